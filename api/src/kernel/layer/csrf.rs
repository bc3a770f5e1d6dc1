//! Protection against cross-site requests.

use axum::extract::Request;
use axum::http::uri::{Authority, Uri};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};

use super::context::is_write;
use crate::kernel::error::ApiError;

/// The header with the relation of the requesting site to this one.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// The header with the mode of a request: `navigate` for the page that the user opens.
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// GET routes that change state. The link of a verification mail is not among them: it contains a secret, and is opened
/// from a mail client, which may be another site.
const CHANGING_READS: [&str; 3] = ["/logout", "/user/auth-tokens/rotate", "/api/user/helpflags/clear"];

/// Checks an authenticated request. Without a cookie there are no ambient credentials that another site could abuse.
/// Links from other sites are allowed; their pages must not load anything from here.
pub(super) fn check_private(request: &Request, trusted: &[String]) -> Result<(), ApiError> {
    let headers = request.headers();
    if !headers.contains_key(header::COOKIE) {
        return Ok(());
    }
    if is_write(request.method()) {
        return check_write(headers, trusted);
    }
    let is_link = *request.method() == Method::GET
        && is(headers, &SEC_FETCH_MODE, "navigate")
        && !CHANGING_READS.contains(&request.uri().path());
    if is_link { Ok(()) } else { check_site(headers, trusted) }
}

/// Checks a request to a public route. Public writes create sessions, so they are checked without a cookie, too:
/// otherwise another site could log its visitors in to an account of the attacker.
pub(super) fn check_public(request: &Request, trusted: &[String]) -> Result<(), ApiError> {
    let headers = request.headers();
    if is_write(request.method()) {
        return check_write(headers, trusted);
    }
    let changes = CHANGING_READS.contains(&request.uri().path());
    if changes && headers.contains_key(header::COOKIE) { check_site(headers, trusted) } else { Ok(()) }
}

/// Scripts send no `Origin`; browsers do with every write.
fn check_write(headers: &HeaderMap, trusted: &[String]) -> Result<(), ApiError> {
    if !headers.contains_key(header::ORIGIN) {
        return check_site(headers, trusted);
    }
    let is_own = origin_host(headers).is_some_and(|origin| {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        // Ports are not compared: some proxies drop the port from `Host`, and cookies do not depend on it either.
        host.and_then(|host| host.parse::<Authority>().ok()).is_some_and(|host| host.host() == origin)
    });
    if is_own || is_trusted(headers, trusted) { Ok(()) } else { Err(not_allowed()) }
}

fn check_site(headers: &HeaderMap, trusted: &[String]) -> Result<(), ApiError> {
    let is_foreign = is(headers, &SEC_FETCH_SITE, "cross-site");
    if is_foreign && !is_trusted(headers, trusted) { Err(not_allowed()) } else { Ok(()) }
}

fn is(headers: &HeaderMap, name: &HeaderName, value: &str) -> bool {
    headers.get(name).is_some_and(|given| given == value)
}

fn is_trusted(headers: &HeaderMap, trusted: &[String]) -> bool {
    origin_host(headers).is_some_and(|host| trusted.contains(&host))
}

fn origin_host(headers: &HeaderMap) -> Option<String> {
    let origin = headers.get(header::ORIGIN)?.to_str().ok()?.parse::<Uri>().ok()?;
    origin.host().map(str::to_owned)
}

fn not_allowed() -> ApiError {
    ApiError::new(StatusCode::FORBIDDEN, "origin not allowed")
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    const COOKIE: (&str, &str) = ("cookie", "grafana_session=1");
    const HOST: (&str, &str) = ("host", "grafana.example.org:3000");
    const OWN: (&str, &str) = ("origin", "http://grafana.example.org:3000");
    const TRUSTED: (&str, &str) = ("origin", "https://admin.example.org");
    const EVIL: (&str, &str) = ("origin", "https://evil.example");
    const CROSS_SITE: (&str, &str) = ("sec-fetch-site", "cross-site");
    const NAVIGATE: (&str, &str) = ("sec-fetch-mode", "navigate");

    fn request(method: &Method, path: &str, headers: &[(&str, &str)]) -> Request {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Body::empty()).unwrap()
    }

    fn private(method: Method, headers: &[(&str, &str)]) -> bool {
        check_private(&request(&method, "/api/org", headers), &["admin.example.org".to_owned()]).is_ok()
    }

    fn public(method: Method, path: &str, headers: &[(&str, &str)]) -> bool {
        check_public(&request(&method, path, headers), &["admin.example.org".to_owned()]).is_ok()
    }

    #[test]
    fn another_site_cannot_write_with_a_cookie() {
        assert!(!private(Method::POST, &[COOKIE, HOST, EVIL]));
        assert!(!private(Method::POST, &[COOKIE, HOST, ("origin", "null")]));
        assert!(!private(Method::POST, &[COOKIE, HOST, CROSS_SITE]));
        assert!(!private(Method::POST, &[COOKIE, HOST, CROSS_SITE, NAVIGATE]));
        assert!(!private(Method::DELETE, &[COOKIE, EVIL]));
        assert!(private(Method::POST, &[COOKIE, HOST, OWN]));
        assert!(private(Method::POST, &[COOKIE, HOST, OWN, ("sec-fetch-site", "same-origin")]));
        assert!(private(Method::POST, &[COOKIE, HOST, TRUSTED, CROSS_SITE]));
        assert!(private(Method::POST, &[COOKIE, HOST, ("sec-fetch-site", "same-site")]));
        assert!(private(Method::POST, &[COOKIE, HOST]));
        assert!(private(Method::POST, &[HOST, EVIL, CROSS_SITE]));
    }

    #[test]
    fn another_site_can_only_lead_to_what_is_read_with_a_cookie() {
        assert!(!private(Method::GET, &[COOKIE, HOST, CROSS_SITE]));
        assert!(!private(Method::GET, &[COOKIE, HOST, CROSS_SITE, ("sec-fetch-mode", "no-cors")]));
        assert!(private(Method::GET, &[COOKIE, HOST, CROSS_SITE, NAVIGATE]));
        assert!(private(Method::GET, &[COOKIE, HOST, CROSS_SITE, TRUSTED]));
        assert!(private(Method::GET, &[COOKIE, HOST, EVIL]));
        assert!(private(Method::GET, &[HOST, CROSS_SITE]));
        let change = request(&Method::GET, CHANGING_READS[2], &[COOKIE, HOST, CROSS_SITE, NAVIGATE]);
        assert!(check_private(&change, &[]).is_err());
    }

    #[test]
    fn another_site_cannot_log_anybody_in_or_out() {
        for path in ["/login", "/api/user/invite/complete"] {
            assert!(!public(Method::POST, path, &[HOST, EVIL]));
            assert!(!public(Method::POST, path, &[HOST, CROSS_SITE]));
            assert!(public(Method::POST, path, &[HOST, OWN]));
            assert!(public(Method::POST, path, &[HOST, TRUSTED, CROSS_SITE]));
            assert!(public(Method::POST, path, &[HOST]));
        }
        for path in &CHANGING_READS[..2] {
            assert!(!public(Method::GET, path, &[COOKIE, HOST, CROSS_SITE, NAVIGATE]));
            assert!(public(Method::GET, path, &[COOKIE, HOST, ("sec-fetch-site", "none"), NAVIGATE]));
            assert!(public(Method::GET, path, &[HOST, CROSS_SITE, NAVIGATE]));
        }
        assert!(public(Method::GET, "/avatar/1", &[COOKIE, HOST, CROSS_SITE]));
    }
}
