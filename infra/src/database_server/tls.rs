//! TLS for connections to PostgreSQL: an adapter of `rustls` for `tokio-postgres`.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{self, ChannelBinding, MakeTlsConnect, TlsConnect};
use tokio_rustls::TlsConnector;

use super::channel_binding::end_point;
use super::error::TlsError;
pub use super::verifier::Trust;
use super::verifier::Verifier;

/// The ALPN protocol of PostgreSQL, which servers require for direct TLS.
const ALPN: &[u8] = b"postgresql";

/// The TLS mode, as libpq's `sslmode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// None.
    Disable,
    /// Encrypted if the server supports it.
    Prefer,
    /// Encrypted; with a file of roots, the certificate must be signed by one of them.
    Require,
    /// Encrypted, and the certificate must be signed by a root.
    VerifyCa,
    /// In addition, the certificate must be for the host.
    VerifyFull,
}

impl TlsMode {
    /// The mode by libpq's name. `allow`, which would try without encryption first, is treated as `prefer`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "disable" => Some(Self::Disable),
            "allow" | "prefer" => Some(Self::Prefer),
            "require" => Some(Self::Require),
            "verify-ca" => Some(Self::VerifyCa),
            "verify-full" => Some(Self::VerifyFull),
            _ => None,
        }
    }
}

/// The trusted certificate authorities.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Roots {
    /// Not configured: those of the system, if any are needed.
    #[default]
    Unset,
    /// Those of the system, explicitly.
    System,
    /// Those in a PEM file.
    File(PathBuf),
}

/// A client certificate and its key, in PEM files.
#[derive(Clone, Debug, Default)]
pub struct ClientCertificate {
    /// The certificate chain.
    pub certificate: Option<PathBuf>,
    /// The key.
    pub key: Option<PathBuf>,
}

/// TLS settings.
#[derive(Clone, Debug)]
pub struct TlsSettings {
    /// The TLS mode.
    pub mode: TlsMode,
    /// The trust policy.
    pub roots: Roots,
    /// The client certificate.
    pub client: ClientCertificate,
    /// The expected name of the server's certificate, by default the host.
    pub server_name: Option<String>,
}

/// A certificate chain and its key.
pub type KeyedCertificate = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Encrypts streams. Without settings it encrypts nothing.
#[derive(Clone, Default)]
pub struct Tls {
    config: Option<Arc<ClientConfig>>,
    server_name: Option<ServerName<'static>>,
}

impl Tls {
    /// Reads and validates the files.
    pub(super) fn new(settings: &TlsSettings) -> Result<Self, TlsError> {
        let trust = trust(settings)?;
        let client = match (&settings.client.certificate, &settings.client.key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => {
                let key = read_key(key)?;
                Some((read_certificates("the client certificate", certificate)?, key))
            }
            _ => return Err(TlsError::HalfCertificate),
        };
        Self::of(trust, client, settings.server_name.clone())
    }

    /// TLS with a trust policy. `server_name` is the name expected in the server's certificate, if it is not the host.
    pub fn of(
        trust: Trust,
        client: Option<KeyedCertificate>,
        server_name: Option<String>,
    ) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = Verifier::new(trust, &provider);
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::Setup(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match client {
            None => builder.with_no_client_auth(),
            Some((certificates, key)) => builder
                .with_client_auth_cert(certificates, key)
                .map_err(|error| TlsError::ClientCertificate(error.to_string()))?,
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        let server_name = server_name
            .map(|name| ServerName::try_from(name.clone()).map_err(|_| TlsError::ServerName(name)));
        Ok(Self { config: Some(Arc::new(config)), server_name: server_name.transpose()? })
    }

    /// Performs the handshake on a stream to a host.
    pub async fn handshake<S>(&self, host: &str, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Some(config) = &self.config else { return Err(io::Error::other("TLS is not set up")) };
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => ServerName::try_from(host.to_owned()).map_err(io::Error::other)?,
        };
        let connecting = TlsConnector::from(config.clone()).connect(name, stream);
        connecting.await.map(TlsStream).map_err(|error| explained(&error))
    }
}

/// Names the certificate in an error.
fn explained(error: &io::Error) -> io::Error {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    match cause {
        Some(rustls::Error::InvalidCertificate(reason)) => {
            io::Error::other(format!("the certificate of the database server is not trusted: {reason}"))
        }
        _ => io::Error::new(error.kind(), format!("TLS with the database server failed: {error}")),
    }
}

fn trust(settings: &TlsSettings) -> Result<Trust, TlsError> {
    let is_full = settings.mode == TlsMode::VerifyFull;
    match (settings.mode, &settings.roots) {
        (TlsMode::VerifyFull, Roots::Unset | Roots::System) => {
            Ok(Trust::Roots { roots: system_roots()?, pinned: Vec::new(), is_name_checked: true })
        }
        (_, Roots::System) => Err(TlsError::WeakSystemRoots),
        (TlsMode::VerifyCa, Roots::Unset) => Err(TlsError::AnyAuthority),
        (TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull, Roots::File(path)) => {
            let purpose = "the root certificate";
            let pinned = read_certificates(purpose, path)?;
            let mut roots = RootCertStore::empty();
            for certificate in &pinned {
                roots.add(certificate.clone()).map_err(|error| file_error(purpose, path, error))?;
            }
            Ok(Trust::Roots { roots, pinned, is_name_checked: is_full })
        }
        (TlsMode::Disable | TlsMode::Prefer | TlsMode::Require, _) => Ok(Trust::Anybody),
    }
}

/// The authorities that the system trusts.
pub fn system_roots() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Unusable certificates of the system are skipped.
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let errors: Vec<_> = found.errors.iter().map(ToString::to_string).collect();
        return Err(TlsError::NoSystemRoots(errors.join("; ")));
    }
    Ok(roots)
}

fn read_certificates(purpose: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |error| file_error(purpose, path, error);
    let read = CertificateDer::pem_file_iter(path).map_err(failed)?.collect::<Result<Vec<_>, _>>();
    let certificates = read.map_err(failed)?;
    if certificates.is_empty() {
        return Err(file_error(purpose, path, "it holds no PEM certificate"));
    }
    Ok(certificates)
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let purpose = "the key of the client certificate";
    PrivateKeyDer::from_pem_file(path).map_err(|error| match error {
        rustls::pki_types::pem::Error::NoItemsFound => {
            file_error(purpose, path, "it holds no PEM key without a password")
        }
        error => file_error(purpose, path, error),
    })
}

fn file_error(purpose: &'static str, path: &Path, cause: impl ToString) -> TlsError {
    TlsError::File { purpose, path: path.to_owned(), cause: cause.to_string() }
}

impl<S> MakeTlsConnect<S> for Tls
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = TlsStream<S>;
    type TlsConnect = HostTls;
    type Error = io::Error;

    fn make_tls_connect(&mut self, host: &str) -> io::Result<HostTls> {
        Ok(HostTls { tls: self.clone(), host: host.to_owned() })
    }
}

/// Encrypts one stream to a host.
pub struct HostTls {
    tls: Tls,
    host: String,
}

impl<S> TlsConnect<S> for HostTls
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = TlsStream<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TlsStream<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move { self.tls.handshake(&self.host, stream).await })
    }
}

/// An encrypted stream to PostgreSQL.
pub struct TlsStream<S>(tokio_rustls::client::TlsStream<S>);

impl<S> TlsStream<S> {
    /// The channel binding of the session.
    #[must_use]
    pub fn end_point(&self) -> Option<Vec<u8>> {
        let (_, session) = self.0.get_ref();
        session.peer_certificates().and_then(<[_]>::first).and_then(|certificate| end_point(certificate))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> tls::TlsStream for TlsStream<S> {
    fn channel_binding(&self) -> ChannelBinding {
        self.end_point().map_or_else(ChannelBinding::none, ChannelBinding::tls_server_end_point)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
