//! Where a request has its JWT, and how a browser logs in with one in the URL.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::{PathAndQuery, Uri};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use kymograph_app::account::identity::Identity;
use kymograph_app::{Error, ErrorKind};

use crate::account::session::CookieSettings;
use crate::kernel::error::ApiError;
use crate::kernel::layer::{Network, request_context};

/// The query parameter of a token.
const PARAMETER: &str = "auth_token";

/// Where a JWT is sent.
#[derive(Clone, Debug)]
pub struct JwtTransport {
    /// The header of the token.
    pub header: HeaderName,
    /// Whether it can be in the URL.
    pub url_login: bool,
}

/// A token from the URL.
#[derive(Clone)]
struct UrlToken(String);

impl JwtTransport {
    /// Removes the token from the URL, so that nothing after this, such as a log, sees it.
    pub(super) fn take_url_token(&self, request: &mut Request) {
        if !self.url_login {
            return;
        }
        if let Some((token, rest)) = split(request.uri()) {
            *request.uri_mut() = rest;
            request.extensions_mut().insert(UrlToken(token));
        }
    }

    /// The token of a request: that of the header, or else that of the URL.
    pub(super) fn token(&self, request: &Request) -> Option<String> {
        let of_header = request.headers().get(&self.header).and_then(|value| self.of_header(value));
        of_header.or_else(|| request.extensions().get::<UrlToken>().map(|UrlToken(token)| token.clone()))
    }

    /// `Authorization` is shared: other schemes, and tokens without the three parts of a JWT, are left to other
    /// authenticators.
    fn of_header(&self, value: &HeaderValue) -> Option<String> {
        // A header that is not text is rejected like an invalid token.
        let value = value.to_str().unwrap_or("?").trim();
        let bearer = value.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let token = bearer.map(|(_, token)| token.trim());
        if self.header == header::AUTHORIZATION {
            return token.filter(|token| token.split('.').count() == 3).map(str::to_owned);
        }
        Some(token.unwrap_or(value)).filter(|token| !token.is_empty()).map(str::to_owned)
    }
}

/// The token in a URL, and the URL without it.
fn split(uri: &Uri) -> Option<(String, Uri)> {
    let query = uri.query()?;
    let is_token = |pair: &&str| pair.split_once('=').is_some_and(|(name, _)| name == PARAMETER);
    let pair = query.split('&').find(is_token)?;
    let (_, token) = form_urlencoded::parse(pair.as_bytes()).next()?;
    let rest: Vec<_> = query.split('&').filter(|pair| !is_token(pair)).collect();
    let path = uri.path();
    let rest = if rest.is_empty() { path.to_owned() } else { format!("{path}?{}", rest.join("&")) };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(rest).ok()?);
    Some((token.into_owned(), Uri::from_parts(parts).ok()?))
}

/// A URL without its token.
pub(crate) fn without_url_token(uri: Uri) -> Uri {
    split(&uri).map_or(uri, |(_, rest)| rest)
}

/// The parts for logging in a browser.
#[derive(Clone)]
pub(crate) struct UrlLogIn {
    pub(crate) identity: Arc<Identity>,
    pub(crate) cookie: Arc<CookieSettings>,
    pub(crate) trusted_proxies: Arc<[Network]>,
    /// The public path of the server, without a trailing slash.
    pub(crate) sub_path: Arc<str>,
}

/// Creates a session for a browser that opens a page with a token in its URL, and redirects it to the URL without the
/// token, which must not stay in the history or in `Referer`. A browser with a rejected token is redirected as well,
/// and asked to log in.
pub(crate) async fn log_in_by_url(State(state): State<UrlLogIn>, request: Request, next: Next) -> Response {
    let found = if request.method() == Method::GET { split(request.uri()) } else { None };
    let Some((token, rest)) = found else { return next.run(request).await };
    let context = request_context(&request, &state.trusted_proxies);
    let session = match state.identity.log_in_with_jwt(&token, &context).await {
        Ok(session) => Some(session),
        Err(error) if matches!(error.kind(), ErrorKind::Unauthenticated | ErrorKind::Forbidden) => None,
        Err(error) => return ApiError::from(error).into_response(),
    };
    let path = rest.path_and_query().map_or("/", PathAndQuery::as_str);
    let Ok(location) = HeaderValue::try_from(format!("{}{path}", state.sub_path)) else {
        return ApiError::from(Error::invalid("bad request data")).into_response();
    };
    let headers = [
        (header::LOCATION, location),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    let mut response = (StatusCode::FOUND, headers).into_response();
    if let Some(session) = session {
        state.cookie.set(response.headers_mut(), &session);
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn token(header: &'static str, value: &str) -> Option<String> {
        let jwt = JwtTransport { header: HeaderName::from_static(header), url_login: false };
        let request = Request::builder().header(header, value).body(Body::empty()).unwrap();
        jwt.token(&request)
    }

    #[test]
    fn a_header_of_its_own_has_nothing_but_tokens() {
        for value in ["a.b.c", "Bearer a.b.c", "bearer  a.b.c "] {
            assert_eq!(token("x-jwt", value).as_deref(), Some("a.b.c"), "{value}");
        }
        assert_eq!(token("x-jwt", "Basic a").as_deref(), Some("Basic a"));
        assert_eq!(token("x-jwt", " "), None);
    }

    #[test]
    fn authorization_is_shared_with_passwords_and_service_accounts() {
        assert_eq!(token("authorization", "Bearer a.b.c").as_deref(), Some("a.b.c"));
        for other in
            ["Basic a.b.c", "a.b.c", "Bearer glsa_abc_12345678", "Bearer a.b", "Bearer a.b.c.d", "Bearer"]
        {
            assert_eq!(token("authorization", other), None, "{other}");
        }
    }

    #[test]
    fn an_address_is_the_same_without_its_token() {
        let cases = [
            ("/portal?auth_token=a.b.c", "/portal"),
            ("/portal?auth_token=a.b.c&x=1&y=%26", "/portal?x=1&y=%26"),
            ("/portal?x=1&auth_token=a.b.c&auth_token=d", "/portal?x=1"),
            ("/portal?x&auth_token=a%2Eb.c&y", "/portal?x&y"),
        ];
        for (given, rest) in cases {
            let (token, without) = split(&given.parse().unwrap()).unwrap();
            assert_eq!((token.as_str(), without.to_string().as_str()), ("a.b.c", rest));
        }
        for other in ["/portal", "/portal?auth_tokens=a", "/portal?x=auth_token=a", "/portal?auth_token"] {
            assert!(split(&other.parse().unwrap()).is_none(), "{other}");
        }
    }
}
