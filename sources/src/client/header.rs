//! Which headers are forwarded to a source, and which of its headers are returned.

use std::collections::HashSet;

use hyper::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use kymograph_app::source::backend::Header;

/// Headers of one connection only (RFC 9110, 7.6.1).
const HOP_BY_HOP: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Request headers addressed to this server: the caller's credentials, address and route.
const OF_THE_CALLER: &[&str] = &[
    "authorization",
    "content-length",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "origin",
    "referer",
    "x-ds-authorization",
    "x-id-token",
    "x-jwt-assertion",
    "x-real-ip",
];

/// Prefixes of further ones.
const PREFIXES_OF_THE_CALLER: &[&str] = &["x-forwarded-", "x-grafana-", "sec-"];

/// Response headers that would be taken as statements of this server, by a browser or by a proxy in front of it.
const ABOUT_THE_SERVER: &[&str] = &[
    "alt-svc",
    "clear-site-data",
    "content-security-policy",
    "public-key-pins",
    "service-worker-allowed",
    "set-cookie",
    "set-cookie2",
    "strict-transport-security",
    "www-authenticate",
    "x-content-type-options",
    "x-lighttpd-send-file",
    "x-sendfile",
];

/// Prefixes of further ones.
const PREFIXES_ABOUT_THE_SERVER: &[&str] = &["access-control-", "x-accel-"];

/// The request headers that are forwarded to a source.
pub(super) fn of_request(headers: &[Header]) -> HeaderMap {
    let named = named_by_connection(headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let mut kept = HeaderMap::new();
    for (name, value) in headers {
        let is_stopped = is_any(name, HOP_BY_HOP)
            || is_any(name, OF_THE_CALLER)
            || begins(name, PREFIXES_OF_THE_CALLER)
            || named.contains(&name.to_ascii_lowercase());
        if is_stopped {
            continue;
        }
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            kept.append(name, value);
        }
    }
    kept
}

/// The response headers that are returned to the client. A browser that displays the response as a page executes
/// nothing in it.
pub(super) fn of_answer(headers: &HeaderMap) -> Vec<Header> {
    let texts = || headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let named = named_by_connection(texts());
    // The length of a chunked body is that of its chunks, whatever another header says.
    let has_other_length = headers.contains_key(TRANSFER_ENCODING);
    let mut kept: Vec<Header> = texts()
        .filter(|(name, _)| {
            !(HOP_BY_HOP.contains(name)
                || has_other_length && *name == CONTENT_LENGTH
                || ABOUT_THE_SERVER.contains(name)
                || begins(name, PREFIXES_ABOUT_THE_SERVER)
                || named.contains(*name))
        })
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    kept.push(("content-security-policy".to_owned(), "sandbox".to_owned()));
    kept.push(("x-content-type-options".to_owned(), "nosniff".to_owned()));
    kept
}

/// The first value of a header.
pub(crate) fn value<'a>(headers: &'a [Header], name: &str) -> Option<&'a str> {
    headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// The request cookies that are forwarded to a source, as the value of a header.
pub(super) fn cookies(headers: &[Header], kept: &[String]) -> Option<String> {
    let all = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("cookie"));
    let pairs = all.flat_map(|(_, value)| value.split(';')).map(str::trim);
    let kept: Vec<_> = pairs
        .filter(|pair| pair.split_once('=').is_some_and(|(name, _)| kept.iter().any(|kept| kept == name)))
        .collect();
    (!kept.is_empty()).then(|| kept.join("; "))
}

fn is_any(name: &str, known: &[&str]) -> bool {
    known.iter().any(|known| name.eq_ignore_ascii_case(known))
}

fn begins(name: &str, prefixes: &[&str]) -> bool {
    prefixes
        .iter()
        .any(|prefix| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix)))
}

/// The headers that `Connection` lists, which concern the connection only.
fn named_by_connection<'a>(headers: impl Iterator<Item = (&'a str, &'a str)>) -> HashSet<String> {
    let connection = headers.filter(|(name, _)| name.eq_ignore_ascii_case("connection"));
    connection.flat_map(|(_, value)| value.split(',')).map(|name| name.trim().to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> Vec<Header> {
        pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn what_is_for_this_server_stays_here() {
        let sent = headers(&[
            ("Accept", "text/plain"),
            ("Authorization", "Bearer x"),
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("Cookie", "a=1"),
            ("Origin", "http://x"),
            ("Referer", "http://x"),
            ("X-Forwarded-For", "1.2.3.4"),
            ("X-Grafana-User", "admin"),
            ("Transfer-Encoding", "chunked"),
            ("bad name", "1"),
            ("x-bad", "a\nb"),
        ]);
        let kept = of_request(&sent);
        assert_eq!(kept.len(), 1, "{kept:?}");
        assert_eq!(kept["accept"], "text/plain");
    }

    #[test]
    fn an_answer_says_nothing_about_this_server() {
        let mut answer = HeaderMap::new();
        for (name, value) in [
            ("content-type", "text/html"),
            ("set-cookie", "grafana_session=x"),
            ("access-control-allow-origin", "*"),
            ("x-accel-redirect", "/secret"),
            ("connection", "x-hop"),
            ("x-hop", "1"),
            ("content-security-policy", "default-src *"),
            ("content-length", "5"),
            ("transfer-encoding", "chunked"),
        ] {
            answer.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let expected = headers(&[
            ("content-type", "text/html"),
            ("content-security-policy", "sandbox"),
            ("x-content-type-options", "nosniff"),
        ]);
        assert_eq!(of_answer(&answer), expected);
    }

    #[test]
    fn only_named_cookies_go_on() {
        let sent = headers(&[("cookie", "a=1; grafana_session=secret;b=2"), ("Cookie", "c=3; a")]);
        let kept = ["a".to_owned(), "c".to_owned()];
        assert_eq!(cookies(&sent, &kept).as_deref(), Some("a=1; c=3"));
        assert_eq!(cookies(&sent, &[]), None);
    }
}
