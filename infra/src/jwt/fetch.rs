//! Fetches a key set over HTTP: one request to one URL, without following redirects.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, HOST, HeaderValue};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use kymograph_app::{Error, Result};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::database_server::Socket;

/// The timeout of a fetch.
pub(crate) const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// The maximum size of a key set, in bytes.
pub(crate) const MAX_JWKS_BYTES: usize = 256 * 1024;

/// The URL of a key set, and how it is fetched.
#[derive(Clone, Debug)]
pub struct JwksEndpoint {
    /// The address.
    pub url: Uri,
    /// How long keys are cached.
    pub lifetime: Duration,
    /// The PEM file of trusted certificate authorities, by default those of the system.
    pub ca_file: Option<PathBuf>,
    /// The file of the bearer token, if the provider requires one. It is read each time, because such tokens change.
    pub bearer_token_file: Option<PathBuf>,
}

impl JwksEndpoint {
    /// Parses a URL. It must be `https`, except for the local machine: whoever can change the response can issue
    /// tokens.
    #[must_use]
    pub fn parse_url(text: &str) -> Option<Uri> {
        let url: Uri = text.parse().ok()?;
        let host = host(&url)?;
        let is_local = || host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        match url.scheme_str() {
            Some("https") => Some(url),
            Some("http") if is_local() => Some(url),
            _ => None,
        }
    }
}

/// The host of a URL, without the brackets of IPv6.
fn host(url: &Uri) -> Option<&str> {
    url.host().map(|host| host.trim_start_matches('[').trim_end_matches(']')).filter(|host| !host.is_empty())
}

/// Fetches from one URL.
pub(super) struct Fetcher {
    endpoint: JwksEndpoint,
    tls: Option<TlsConnector>,
}

impl Fetcher {
    pub(super) fn try_new(endpoint: &JwksEndpoint) -> Result<Self> {
        let tls = match endpoint.url.scheme_str() {
            Some("https") => Some(connector(endpoint.ca_file.as_deref())?),
            _ => None,
        };
        if let Some(file) = &endpoint.bearer_token_file {
            let refused = |why| Error::invalid(format!("[auth.jwt] jwk_set_bearer_token_file: {why}"));
            read_bearer(file).map_err(refused)?;
        }
        Ok(Self { endpoint: endpoint.clone(), tls })
    }

    /// The URL, for the log.
    pub(super) fn url(&self) -> String {
        self.endpoint.url.to_string()
    }

    pub(super) async fn fetch(&self) -> std::result::Result<Bytes, String> {
        let fetched = tokio::time::timeout(FETCH_TIMEOUT, self.request()).await;
        fetched.unwrap_or_else(|_| Err("it took too long".into()))
    }

    async fn request(&self) -> std::result::Result<Bytes, String> {
        let url = &self.endpoint.url;
        let (Some(host), Some(authority)) = (host(url), url.authority()) else {
            return Err("the address has no host".into());
        };
        let port = url.port_u16().unwrap_or(if self.tls.is_some() { 443 } else { 80 });
        let stream = TcpStream::connect((host, port)).await.map_err(|error| error.to_string())?;
        let socket: Box<dyn Socket> = match &self.tls {
            None => Box::new(stream),
            Some(tls) => {
                let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
                Box::new(tls.connect(name, stream).await.map_err(|error| error.to_string())?)
            }
        };
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(socket))
            .await
            .map_err(|error| error.to_string())?;
        let path = url.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::get(path)
            .header(HOST, authority.as_str())
            .header(ACCEPT, "application/json")
            .body(Empty::<Bytes>::new())
            .map_err(|error| error.to_string())?;
        if let Some(file) = &self.endpoint.bearer_token_file {
            request.headers_mut().insert(AUTHORIZATION, read_bearer(file)?);
        }
        let exchange = async {
            let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
            if !response.status().is_success() {
                return Err(format!("the answer has the status {}", response.status().as_u16()));
            }
            let body = Limited::new(response.into_body(), MAX_JWKS_BYTES).collect().await;
            Ok(body.map_err(|error| error.to_string())?.to_bytes())
        };
        // The caller drives the connection. Its end does not matter: the response is complete or not.
        tokio::pin!(connection, exchange);
        tokio::select! {
            biased;
            result = &mut exchange => result,
            _ = &mut connection => exchange.await,
        }
    }
}

fn read_bearer(file: &Path) -> std::result::Result<HeaderValue, String> {
    let token = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.trim()))
        .map_err(|_| format!("{} contains no token", file.display()))?;
    value.set_sensitive(true);
    Ok(value)
}

fn connector(ca_file: Option<&Path>) -> Result<TlsConnector> {
    let refused = |why: String| Error::invalid(format!("[auth.jwt] tls_client_ca: {why}"));
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(file) => {
            let unusable = |error: &dyn std::fmt::Display| {
                refused(format!("{} cannot be used: {error}", file.display()))
            };
            for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unusable(&error))? {
                let certificate = certificate.map_err(|error| unusable(&error))?;
                roots.add(certificate).map_err(|error| unusable(&error))?;
            }
            if roots.is_empty() {
                return Err(unusable(&"it holds no PEM certificate"));
            }
        }
        None => {
            // Unusable certificates of the system are skipped.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err(refused(
                    "this system has no trusted certificate authorities, so name a file of them".into(),
                ));
            }
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(Error::internal)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_over_tls_or_from_the_machine_itself() {
        for taken in [
            "https://idp.example.org/jwks",
            "https://[2001:db8::1]:8443/jwks?a=b",
            "http://localhost:8080/jwks",
            "http://127.0.0.1/jwks",
            "http://[::1]:9/jwks",
        ] {
            assert!(JwksEndpoint::parse_url(taken).is_some(), "{taken}");
        }
        for refused in [
            "",
            "/jwks",
            "idp.example.org/jwks",
            "http://idp.example.org/",
            "http://localhost.evil.example/",
            "file:///etc/jwks",
            "ftp://localhost/",
        ] {
            assert!(JwksEndpoint::parse_url(refused).is_none(), "{refused}");
        }
    }
}
