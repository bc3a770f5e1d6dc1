//! The address of a database server: the settings of a connection, and TLS.

mod channel_binding;
mod distribution;
mod error;
mod tls;
mod tunnel;
mod verifier;

use std::fmt;

use kymograph_app::{Error, Result};
use kymograph_projections::kernel::database::database_error;
use kymograph_projections::kernel::sql::Tables;
use postgres_protocol::message::frontend;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio_postgres::config::{Host, SslMode, SslNegotiation};
use tokio_postgres::{Client, Config, Connection};

pub use error::TlsError;
pub use tls::{
    ClientCertificate, KeyedCertificate, Roots, Tls, TlsMode, TlsSettings, TlsStream, Trust, system_roots,
};
pub use tunnel::Tunnel;

const DEFAULT_PORT: u16 = 5432;

/// A byte stream to a server.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

/// A stream on which PostgreSQL's protocol can begin.
pub(crate) struct OpenSocket {
    pub(crate) socket: Box<dyn Socket>,
    /// Whether the stream is encrypted.
    pub(crate) has_tls: bool,
    /// The channel binding of the TLS session, if the certificate has one.
    pub(crate) channel_binding: Option<Vec<u8>>,
}

impl OpenSocket {
    fn plain(socket: impl Socket + 'static) -> Self {
        Self { socket: Box::new(socket), has_tls: false, channel_binding: None }
    }
}

/// A database server: connection settings and TLS.
#[derive(Clone)]
pub struct DatabaseServer {
    config: Config,
    tls: Tls,
    /// Whether it is the embedded server.
    is_embedded: bool,
    tables: Tables,
}

impl fmt::Debug for DatabaseServer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("DatabaseServer").field("config", &self.config).finish_non_exhaustive()
    }
}

impl DatabaseServer {
    /// A server without TLS, such as a local one.
    #[must_use]
    pub fn without_tls(mut config: Config) -> Self {
        config.ssl_mode(SslMode::Disable);
        Self { config, tls: Tls::default(), is_embedded: false, tables: Tables::Local }
    }

    /// The embedded server.
    #[must_use]
    pub fn embedded(config: Config) -> Self {
        Self { is_embedded: true, ..Self::without_tls(config) }
    }

    pub(crate) fn is_embedded(&self) -> bool {
        self.is_embedded
    }

    /// A server with these TLS settings.
    pub fn with_tls(mut config: Config, settings: &TlsSettings) -> std::result::Result<Self, TlsError> {
        let hosts = config.get_hosts();
        // As with libpq, connections through a Unix socket are not encrypted.
        let is_local = !hosts.is_empty() && hosts.iter().all(|host| matches!(host, Host::Unix(_)));
        if settings.mode == TlsMode::Disable || is_local {
            return Ok(Self::without_tls(config));
        }
        let is_required = settings.mode != TlsMode::Prefer;
        config.ssl_mode(if is_required { SslMode::Require } else { SslMode::Prefer });
        Ok(Self { config, tls: Tls::new(settings)?, is_embedded: false, tables: Tables::Local })
    }

    /// The connection settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The same server with other settings of the connection.
    #[must_use]
    pub fn with_config(&self, change: impl FnOnce(&mut Config)) -> Self {
        let mut server = self.clone();
        change(&mut server.config);
        server
    }

    /// The TLS settings.
    pub(crate) fn tls(&self) -> &Tls {
        &self.tls
    }

    /// Opens a connection, which lives as long as its second half is polled.
    pub async fn connect(
        &self,
    ) -> Result<(Client, Connection<tokio_postgres::Socket, TlsStream<tokio_postgres::Socket>>)> {
        self.config.connect(self.tls.clone()).await.map_err(|error| database_error(&error))
    }

    /// The hosts to try, with their ports.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = (&Host, u16)> {
        let ports = self.config.get_ports();
        self.config
            .get_hosts()
            .iter()
            .enumerate()
            .map(|(index, host)| (host, ports.get(index).or(ports.first()).copied().unwrap_or(DEFAULT_PORT)))
    }

    /// Opens a stream to one of the hosts, for clients that implement PostgreSQL's protocol themselves.
    pub(crate) async fn open(&self, host: &Host, port: u16) -> Result<OpenSocket> {
        match host {
            Host::Unix(folder) => {
                let path = folder.join(format!(".s.PGSQL.{port}"));
                Ok(OpenSocket::plain(UnixStream::connect(path).await.map_err(Error::unavailable)?))
            }
            Host::Tcp(name) => {
                let socket = TcpStream::connect((name.as_str(), port)).await.map_err(Error::unavailable)?;
                socket.set_nodelay(true).map_err(Error::unavailable)?;
                self.encrypt(socket, name).await
            }
        }
    }

    /// Negotiates TLS if it is configured, as `tokio-postgres` does for its own connections.
    async fn encrypt(&self, mut socket: TcpStream, name: &str) -> Result<OpenSocket> {
        let mode = self.config.get_ssl_mode();
        if mode == SslMode::Disable {
            return Ok(OpenSocket::plain(socket));
        }
        if self.config.get_ssl_negotiation() == SslNegotiation::Postgres {
            let mut request = bytes::BytesMut::new();
            frontend::ssl_request(&mut request);
            socket.write_all(&request).await.map_err(Error::unavailable)?;
            // One byte and no more: the following bytes belong to TLS, and clear text that a man in the middle injected
            // after the answer must not be taken for the server's.
            if socket.read_u8().await.map_err(Error::unavailable)? != b'S' {
                if mode == SslMode::Prefer {
                    return Ok(OpenSocket::plain(socket));
                }
                return Err(Error::unavailable(
                    "the database server does not support TLS, which is required",
                ));
            }
        }
        let stream = self.tls.handshake(name, socket).await.map_err(Error::unavailable)?;
        let channel_binding = stream.end_point();
        Ok(OpenSocket { socket: Box::new(stream), has_tls: true, channel_binding })
    }
}
