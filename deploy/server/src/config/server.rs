//! `[server]`

use std::time::Duration;

use kymograph_api::kernel::layer::Network;

use super::ConfigError;
use super::value::{self, Parsed};
use super::values::Values;

/// Listening, URLs and limits of the server.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The address to listen on; empty for all interfaces.
    pub http_addr: String,
    /// The port to listen on; 0 lets the operating system choose one.
    pub http_port: u16,
    /// The public URL of the server, with a trailing slash.
    pub root_url: String,
    /// Whether the paths of requests include the path of `root_url`.
    pub serve_from_sub_path: bool,
    /// The reverse proxies whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: Vec<Network>,
    /// The largest request body, in bytes.
    pub max_body: usize,
    /// How long a request may take.
    pub request_timeout: Duration,
    /// How long a client may take to read pending output before its connection is closed.
    pub write_timeout: Duration,
    /// The maximum number of connections; 0 derives it from the limit of file descriptors.
    pub max_connections: usize,
    /// The timeout for receiving the head of a request.
    pub header_timeout: Duration,
    /// The idle timeout of a connection.
    pub idle_timeout: Duration,
    /// How long running requests may continue after the signal to stop.
    pub drain_timeout: Duration,
}

impl ServerConfig {
    pub(super) fn read(values: &Values) -> Result<Self, ConfigError> {
        values.get("server", "protocol", protocol)?;
        Ok(Self {
            http_addr: values.get("server", "http_addr", value::text)?,
            http_port: values.get("server", "http_port", value::port)?,
            root_url: values.get("server", "root_url", root_url)?,
            serve_from_sub_path: values.get("server", "serve_from_sub_path", value::flag)?,
            trusted_proxies: values.get("server", "trusted_proxies", networks)?,
            max_body: values.get("server", "max_body", value::size)?,
            request_timeout: values.get("server", "request_timeout", value::positive_duration)?,
            write_timeout: values.get("server", "write_timeout", value::positive_duration)?,
            max_connections: values.get("server", "max_connections", value::count)?,
            header_timeout: values.get("server", "header_timeout", value::positive_duration)?,
            idle_timeout: values.get("server", "idle_timeout", value::positive_duration)?,
            drain_timeout: values.get("server", "drain_timeout", value::duration)?,
        })
    }

    /// The host and port to bind.
    #[must_use]
    pub fn listen_address(&self) -> (&str, u16) {
        let host = if self.http_addr.is_empty() { "0.0.0.0" } else { &self.http_addr };
        (host, self.http_port)
    }

    /// The path prefix of requests: that of `root_url` if they include it, else empty.
    #[must_use]
    pub fn served_path(&self) -> &str {
        if self.serve_from_sub_path { self.sub_path() } else { "" }
    }

    /// The path of `root_url` without its trailing slash, empty at the root.
    #[must_use]
    pub fn sub_path(&self) -> &str {
        let after_scheme = self.root_url.split_once("://").map_or("", |(_, rest)| rest);
        after_scheme.find('/').map_or("", |at| after_scheme[at..].trim_end_matches('/'))
    }
}

fn protocol(text: &str) -> Parsed<()> {
    if text == "http" {
        Ok(())
    } else {
        Err("http, as TLS is left to a reverse proxy in front of the server")
    }
}

fn networks(text: &str) -> Parsed<Vec<Network>> {
    let networks = value::list(text)?.into_iter().map(|network| network.parse());
    networks.collect::<Result<_, _>>().map_err(|_| "addresses and networks such as 192.0.2.7 and 10.0.0.0/8")
}

fn root_url(text: &str) -> Parsed<String> {
    const EXPECTED: &str = "an http:// or https:// URL with a host and neither query nor fragment";
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")).ok_or(EXPECTED)?;
    if rest.is_empty() || rest.starts_with(['/', ':']) || rest.contains(['?', '#', ' ']) {
        return Err(EXPECTED);
    }
    Ok(format!("{}/", text.trim_end_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Directory;

    fn sub_path(root_url: &str) -> Option<(String, String)> {
        let config = Directory::new().load(&[("GF_SERVER_ROOT_URL", root_url)], &[]).ok()?;
        Some((config.server.root_url.clone(), config.server.sub_path().to_owned()))
    }

    #[test]
    fn root_urls_end_in_a_slash_and_tell_the_sub_path() {
        let cases = [
            ("https://example.org", "https://example.org/", ""),
            ("https://example.org:8443/", "https://example.org:8443/", ""),
            ("http://example.org/a/b", "http://example.org/a/b/", "/a/b"),
        ];
        for (given, root_url, path) in cases {
            assert_eq!(sub_path(given), Some((root_url.to_owned(), path.to_owned())));
        }
        for refused in
            ["example.org", "ftp://example.org", "http://", "http:///a", "http://:80/", "http://a/?b"]
        {
            assert_eq!(sub_path(refused), None, "{refused}");
        }
    }

    #[test]
    fn only_plain_http_is_served() {
        let error = Directory::new().load(&[], &["cfg:server.protocol=https"]).unwrap_err();
        let expected = "argument cfg:server.protocol: expected http, as TLS is left to a reverse proxy in \
                        front of the server";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn proxies_are_addresses_and_networks() {
        let load = |proxies| Directory::new().load(&[("GF_SERVER_TRUSTED_PROXIES", proxies)], &[]);
        assert_eq!(load("").unwrap().server.trusted_proxies, []);
        assert_eq!(load("10.0.0.0/8, ::1").unwrap().server.trusted_proxies.len(), 2);
        let error = load("10.0.0.0/8, proxy").unwrap_err().to_string();
        assert!(
            error.ends_with("expected addresses and networks such as 192.0.2.7 and 10.0.0.0/8"),
            "{error}"
        );
    }

    #[test]
    fn an_address_narrows_where_the_server_listens() {
        let config = Directory::new().load(&[("GF_SERVER_HTTP_ADDR", "127.0.0.1")], &[]).unwrap();
        assert_eq!(config.server.listen_address(), ("127.0.0.1", 3000));
    }
}
