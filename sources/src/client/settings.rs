//! The HTTP settings: those of the operator, and those of a source.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{HeaderName, HeaderValue};
use kymograph_app::source::backend::{QueryError, SourceSettings};
use serde_json::Value;

use super::failure::misconfigured;

/// The maximum timeout that a source may set.
pub(crate) const MAX_TIMEOUT: Duration = Duration::from_secs(600);

/// The maximum number of headers that a source may set.
const MAX_HEADERS: usize = 64;

/// The headers that frame or route a message. A source that could set them could make two parsers disagree about where
/// a message ends.
const FIXED_HEADERS: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The HTTP settings for all sources.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// The timeout of a response, unless the source sets one: of the complete response if it is read here; if it is
    /// forwarded, of its head and of each part of its body.
    pub timeout: Duration,
    /// The timeout for connecting, and then again for the TLS handshake.
    pub dial_timeout: Duration,
    /// The idle time of a connection before the system checks that it is alive; zero disables the check.
    pub keep_alive: Duration,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
    /// The maximum number of unused connections kept for a source.
    pub max_idle: usize,
    /// Whether sources receive the caller's login as `X-Grafana-User`.
    pub sends_user: bool,
    /// The maximum size of a response that is streamed to the client, in bytes; `None` without a limit.
    pub max_streamed_bytes: Option<usize>,
    /// The proxy for all requests. The proxy settings of the environment are ignored.
    pub proxy: Option<ForwardProxy>,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            dial_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(90),
            max_idle: 100,
            sends_user: false,
            max_streamed_bytes: None,
            proxy: None,
        }
    }
}

/// An HTTP proxy that the operator trusts: it resolves the names itself, so the addresses are not visible here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardProxy {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) authorization: Option<HeaderValue>,
}

impl ForwardProxy {
    /// The port of a proxy whose URL has none.
    const DEFAULT_PORT: u16 = 80;

    /// Parses a URL like `http://user:password@proxy.example.org:3128`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let url = url::Url::parse(text).ok().filter(|url| url.scheme() == "http" && url.path() == "/")?;
        let user = decoded(url.username());
        let authorization = if user.is_empty() {
            None
        } else {
            Some(basic(&user, &decoded(url.password().unwrap_or_default()))?)
        };
        let port = url.port().unwrap_or(Self::DEFAULT_PORT);
        Some(Self { host: url.host_str()?.to_owned(), port, authorization })
    }
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The value of a basic authentication header, marked as sensitive.
pub(super) fn basic(user: &str, password: &str) -> Option<HeaderValue> {
    secret(&format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
}

/// A header value that is marked as sensitive, so that it is not printed.
pub(super) fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// A string in a source's `json_data`, empty if there is none.
pub(crate) fn json_text<'a>(source: &'a SourceSettings, name: &str) -> &'a str {
    source.content.json_data.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A flag in a source's `json_data`.
pub(crate) fn json_flag(source: &SourceSettings, name: &str) -> bool {
    source.content.json_data.get(name).and_then(Value::as_bool).unwrap_or_default()
}

/// An integer in a source's `json_data`, which forms also write as a string.
pub(crate) fn json_number(source: &SourceSettings, name: &str) -> Option<u64> {
    let value = source.content.json_data.get(name)?;
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// The timeout of a source.
pub(super) fn timeout(source: &SourceSettings, settings: &ClientSettings) -> Duration {
    match json_number(source, "timeout") {
        Some(seconds) if seconds > 0 => Duration::from_secs(seconds).min(MAX_TIMEOUT),
        _ => settings.timeout,
    }
}

/// The names of the cookies that are forwarded to a source.
pub(super) fn kept_cookies(source: &SourceSettings) -> Vec<String> {
    let names = source.content.json_data.get("keepCookies").and_then(Value::as_array);
    names.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The headers that are added to each request to a source.
pub(super) fn own_headers(source: &SourceSettings) -> Result<Vec<(HeaderName, HeaderValue)>, QueryError> {
    let mut headers = Vec::new();
    if source.content.basic_auth {
        let password = source.secrets.get("basicAuthPassword").unwrap_or_default();
        let value = basic(&source.content.basic_auth_user, password)
            .ok_or_else(|| misconfigured(source, "its user or password cannot be sent"))?;
        headers.push((hyper::header::AUTHORIZATION, value));
    }
    for (key, name) in &source.content.json_data {
        let (Some(number), Some(name)) = (key.strip_prefix("httpHeaderName"), name.as_str()) else {
            continue;
        };
        if name.trim().is_empty() {
            continue;
        }
        let refused = |why| misconfigured(source, &format!("its header {} {why}", crate::text::shown(name)));
        let parsed = HeaderName::try_from(name.trim()).map_err(|_| refused("has no valid name"))?;
        if FIXED_HEADERS.contains(&parsed.as_str()) {
            return Err(refused("cannot be set"));
        }
        let text = source.secrets.get(&format!("httpHeaderValue{number}")).unwrap_or_default();
        let value = secret(text).ok_or_else(|| refused("has a value that cannot be sent"))?;
        if headers.len() == MAX_HEADERS {
            return Err(refused("is one too many"));
        }
        headers.push((parsed, value));
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::source;

    #[test]
    fn headers_are_those_of_the_settings() {
        let mut source = source("http://localhost");
        source.content.basic_auth = true;
        source.content.basic_auth_user = "ann".to_owned();
        source.secrets.0.insert("basicAuthPassword".to_owned(), "hunter2".to_owned().into());
        source.secrets.0.insert("httpHeaderValue1".to_owned(), "tenant-1".to_owned().into());
        source.content.json_data.insert("httpHeaderName1".to_owned(), "X-Scope-OrgID".into());
        let headers = own_headers(&source).unwrap();
        let shown: Vec<_> =
            headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(shown, [("authorization", "Basic YW5uOmh1bnRlcjI="), ("x-scope-orgid", "tenant-1")]);
        assert!(!format!("{headers:?}").contains("tenant-1"));
        for (name, value) in [("Content-Length", "1"), ("a b", "1"), ("X-A", "1\r\nX-B: 2")] {
            source.content.json_data.insert("httpHeaderName1".to_owned(), name.into());
            source.secrets.0.insert("httpHeaderValue1".to_owned(), value.to_owned().into());
            assert_eq!(own_headers(&source).unwrap_err().status, 400, "{name}");
        }
    }

    #[test]
    fn time_outs_are_bounded() {
        let mut source = source("http://localhost");
        let settings = ClientSettings::default();
        for (value, seconds) in
            [(Value::from(5), 5), ("7".into(), 7), (0.into(), 30), ((-1).into(), 30), (u64::MAX.into(), 600)]
        {
            source.content.json_data.insert("timeout".to_owned(), value);
            assert_eq!(timeout(&source, &settings).as_secs(), seconds);
        }
    }

    #[test]
    fn proxies_are_addresses() {
        let proxy = ForwardProxy::parse("http://ann:p%40ss@proxy:3128").unwrap();
        assert_eq!((proxy.host.as_str(), proxy.port), ("proxy", 3128));
        assert_eq!(proxy.authorization.unwrap().to_str().unwrap(), "Basic YW5uOnBAc3M=");
        assert_eq!(ForwardProxy::parse("http://proxy").unwrap().port, 80);
        for text in ["", "proxy:3128", "socks5://proxy", "https://proxy", "http://proxy/path"] {
            assert!(ForwardProxy::parse(text).is_none(), "{text}");
        }
    }
}
