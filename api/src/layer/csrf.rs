//! Protection against requests that another site makes a browser send.

use axum::extract::Request;
use axum::http::uri::{Authority, Uri};
use axum::http::{Method, StatusCode, header};

use crate::error::ApiError;

/// Refuses a write with a cookie whose `Origin` is another site. Requests without an `Origin` or without a
/// cookie do not come from a page of another site that could use somebody's session.
pub(super) fn check(request: &Request, trusted: &[String]) -> Result<(), ApiError> {
    let headers = request.headers();
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS)
        || !headers.contains_key(header::COOKIE)
    {
        return Ok(());
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
    let origin_host = origin.as_ref().and_then(Uri::host);
    let own_host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .and_then(|host| host.parse::<Authority>().ok());
    let is_own = origin_host.is_some() && origin_host == own_host.as_ref().map(Authority::host);
    let is_trusted = origin_host.is_some_and(|host| trusted.iter().any(|trusted| trusted == host));
    if is_own || is_trusted {
        Ok(())
    } else {
        Err(ApiError::new(StatusCode::FORBIDDEN, "origin not allowed"))
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn is_allowed(method: Method, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::builder().method(method).uri("/api/org");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        check(&request.body(Body::empty()).unwrap(), &["admin.example.org".to_owned()]).is_ok()
    }

    #[test]
    fn another_site_cannot_use_a_cookie() {
        let cookie = ("cookie", "grafana_session=1");
        let host = ("host", "grafana.example.org:3000");
        assert!(!is_allowed(Method::POST, &[cookie, host, ("origin", "https://evil.example")]));
        assert!(!is_allowed(Method::POST, &[cookie, host, ("origin", "null")]));
        assert!(is_allowed(Method::POST, &[cookie, host, ("origin", "http://grafana.example.org:3000")]));
        assert!(is_allowed(Method::POST, &[cookie, host, ("origin", "https://admin.example.org")]));
        assert!(is_allowed(Method::POST, &[cookie, host]));
        assert!(is_allowed(Method::POST, &[host, ("origin", "https://evil.example")]));
        assert!(is_allowed(Method::GET, &[cookie, host, ("origin", "https://evil.example")]));
    }
}
