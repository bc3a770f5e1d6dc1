//! Connections to a source. This is the only place that decides which address is connected to.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hyper::Uri;
use hyper::header::HeaderValue;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustix::net::sockopt;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::settings::ClientSettings;
use super::tls::Tls;
use crate::policy::{Egress, ResolveError};

/// The maximum size of a proxy's response to `CONNECT`, in bytes.
const MAX_PROXY_HEAD: usize = 8 * 1024;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Connects to one source.
#[derive(Clone)]
pub(super) struct Connector(Arc<Inner>);

struct Inner {
    egress: Egress,
    settings: Arc<ClientSettings>,
    tls: Tls,
}

impl Connector {
    pub(super) fn new(egress: Egress, settings: Arc<ClientSettings>, tls: Tls) -> Self {
        Self(Arc::new(Inner { egress, settings, tls }))
    }
}

impl tower::Service<Uri> for Connector {
    type Response = TokioIo<Link>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let inner = self.0.clone();
        async move { inner.connect(&uri).await.map(TokioIo::new) }.boxed()
    }
}

impl Inner {
    async fn connect(&self, uri: &Uri) -> Result<Link, BoxError> {
        let host = uri.host().ok_or("the address has no host")?;
        let is_tls = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        self.egress.policy().check_destination(host, port)?;
        let stream = match &self.settings.proxy {
            None => self.dial(self.resolved(self.egress.resolve(host, port)).await?).await?,
            Some(proxy) => {
                self.check_behind_proxy(host, port).await?;
                let addresses = self.egress.resolve_trusted(&proxy.host, proxy.port);
                let mut stream = self.dial(self.resolved(addresses).await?).await?;
                if is_tls {
                    let opened = open_tunnel(&mut stream, host, port, proxy.authorization.as_ref());
                    in_time(self.settings.dial_timeout, "the proxy", opened).await?;
                }
                stream
            }
        };
        if !is_tls {
            return Ok(Link::Plain { stream, is_proxied: self.settings.proxy.is_some() });
        }
        let name = match &self.tls.server_name {
            Some(name) => name.clone(),
            None => ServerName::try_from(host.trim_matches(['[', ']']).to_owned())?,
        };
        let begun = TlsConnector::from(self.tls.config.clone()).connect(name, stream);
        Ok(Link::Tls(Box::new(in_time(self.settings.dial_timeout, "TLS", begun).await?)))
    }

    /// A proxy resolves names itself. The addresses that the name resolves to here are checked nevertheless, if there
    /// are any.
    async fn check_behind_proxy(&self, host: &str, port: u16) -> Result<(), BoxError> {
        match self.resolved(self.egress.resolve(host, port)).await {
            Err(error) if is_refusal(&*error) => Err(error),
            _ => Ok(()),
        }
    }

    async fn resolved(
        &self,
        addresses: impl Future<Output = Result<Vec<SocketAddr>, ResolveError>>,
    ) -> Result<Vec<SocketAddr>, BoxError> {
        match timeout(self.settings.dial_timeout, addresses).await {
            Ok(resolved) => Ok(resolved?),
            Err(_) => Err(too_slow("looking its name up").into()),
        }
    }

    /// Connects to the first address that accepts. All of them share the timeout.
    async fn dial(&self, addresses: Vec<SocketAddr>) -> Result<TcpStream, BoxError> {
        let count = u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
        let mut last: BoxError = "there is no address".into();
        for address in addresses {
            match in_time(self.settings.dial_timeout / count, "connecting", TcpStream::connect(address)).await
            {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    if !self.settings.keep_alive.is_zero() {
                        sockopt::set_socket_keepalive(&stream, true)?;
                        sockopt::set_tcp_keepidle(&stream, self.settings.keep_alive)?;
                    }
                    return Ok(stream);
                }
                Err(error) => last = error.into(),
            }
        }
        Err(last)
    }
}

fn is_refusal(error: &(dyn std::error::Error + 'static)) -> bool {
    matches!(error.downcast_ref::<ResolveError>(), Some(ResolveError::Refused(_)))
}

async fn in_time<T>(limit: Duration, what: &str, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(limit, work).await.unwrap_or_else(|_| Err(too_slow(what)))
}

fn too_slow(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("{what} took too long"))
}

/// Requests a tunnel to a host from a proxy.
async fn open_tunnel(
    stream: &mut TcpStream,
    host: &str,
    port: u16,
    authorization: Option<&HeaderValue>,
) -> io::Result<()> {
    let mut request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n").into_bytes();
    if let Some(value) = authorization {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(value.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    stream.write_all(&request).await?;
    // Byte by byte, so that no byte after the head is consumed.
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == MAX_PROXY_HEAD {
            return Err(io::Error::other("the proxy's answer has no end"));
        }
        head.push(stream.read_u8().await?);
    }
    if head.starts_with(b"HTTP/1.1 2") || head.starts_with(b"HTTP/1.0 2") {
        return Ok(());
    }
    let status = String::from_utf8_lossy(head.get(9..12).unwrap_or_default()).into_owned();
    Err(io::Error::other(format!("the proxy refused the connection with {status}")))
}

/// A connection to a source.
pub(super) enum Link {
    /// Without encryption.
    Plain {
        /// The stream.
        stream: TcpStream,
        /// Whether it ends at a proxy, which expects absolute URLs.
        is_proxied: bool,
    },
    /// With TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection for Link {
    fn connected(&self) -> Connected {
        match self {
            Self::Plain { is_proxied, .. } => Connected::new().proxy(*is_proxied),
            Self::Tls(stream) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
                Connected::new().negotiated_h2()
            }
            Self::Tls(_) => Connected::new(),
        }
    }
}

impl AsyncRead for Link {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain { stream, .. } => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Link {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain { stream, .. } => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain { stream, .. } => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain { stream, .. } => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
