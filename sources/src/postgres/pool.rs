//! The connection pool of a source.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use deadpool::Runtime;
use deadpool::managed::{self, Metrics, Object, Pool, PoolError, RecycleError, RecycleResult};
use kymograph_app::source::backend::SourceSettings;
use kymograph_domain::OrgId;
use kymograph_infra::database_server::{Tls, TlsMode};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::cancel::Canceller;
use super::error::SourceError;
use super::log_in::log_in;
use super::session::{Session, Socket};
use super::settings::PostgresSettings;
use super::share::{Share, Shares};
use super::tls::tls_of;
use crate::policy::Egress;
use crate::text::shown;

/// The maximum number of connections to a source.
pub const MAX_CONNECTIONS: usize = 10;
/// The timeout of a query for a connection.
pub const WAIT_FOR_CONNECTION: Duration = Duration::from_secs(5);
/// The timeout for connecting and logging in.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The timeout for each of several addresses.
const ADDRESS_TIMEOUT: Duration = Duration::from_secs(3);
/// How long an idle connection is kept.
pub const IDLE_TIME: Duration = Duration::from_secs(60);

/// Resets the session state that a statement changed: settings, locks, prepared statements.
const CLEAN: &str = "DISCARD ALL";

/// A server and its connection settings.
pub(super) struct Endpoint {
    pub(super) settings: PostgresSettings,
    tls: Tls,
    egress: Egress,
    org: OrgId,
    shares: Arc<Shares>,
}

/// The connections to one version of a source.
pub(super) struct SourcePool {
    pool: Pool<Connections>,
    endpoint: Arc<Endpoint>,
    weight: u32,
}

/// The memory of a pool in addition to its settings, in bytes.
const POOL_BYTES: u32 = 32 * 1024;

impl SourcePool {
    /// A pool without connections, which are opened on demand.
    pub(super) fn try_new(
        source: &SourceSettings,
        egress: Egress,
        shares: Arc<Shares>,
    ) -> Result<Self, SourceError> {
        let settings = PostgresSettings::parse(source).map_err(SourceError::Invalid)?;
        let tls = tls_of(source, settings.tls).map_err(SourceError::Invalid)?;
        let max_size = settings.max_connections;
        let endpoint = Arc::new(Endpoint { settings, tls, egress, org: source.org, shares });
        let pool = Pool::builder(Connections { endpoint: endpoint.clone() })
            .max_size(max_size)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(WAIT_FOR_CONNECTION))
            .create_timeout(Some(CONNECT_TIMEOUT))
            .recycle_timeout(Some(WAIT_FOR_CONNECTION))
            .build()
            .map_err(|error| SourceError::Invalid(error.to_string()))?;
        close_idle(&pool);
        Ok(Self { pool, endpoint, weight: POOL_BYTES.saturating_add(source.weight()) })
    }

    pub(super) fn settings(&self) -> &PostgresSettings {
        &self.endpoint.settings
    }

    /// Its weight in the cache, in bytes.
    pub(super) fn weight(&self) -> u32 {
        self.weight
    }

    /// Closes idle connections.
    pub(super) fn close_idle(&self) {
        self.pool.retain(|_, _| false);
    }

    /// A connection for one statement.
    pub(super) async fn lease(&self) -> Result<Lease, SourceError> {
        match self.pool.get().await {
            Ok(session) => Ok(Lease { session: Some(session), max_idle: self.endpoint.settings.max_idle }),
            Err(PoolError::Backend(error)) => Err(error),
            Err(PoolError::Timeout(managed::TimeoutType::Wait)) => Err(SourceError::Busy),
            Err(PoolError::Timeout(_)) => Err(SourceError::Unreachable(format!(
                "the database did not accept a connection within {CONNECT_TIMEOUT:?}"
            ))),
            Err(_) => Err(SourceError::Busy),
        }
    }
}

/// Closes idle connections periodically, as long as the pool exists.
fn close_idle(pool: &Pool<Connections>) {
    let pool = pool.weak();
    let Ok(runtime) = Handle::try_current() else { return };
    runtime.spawn(async move {
        loop {
            tokio::time::sleep(IDLE_TIME / 2).await;
            let Some(pool) = pool.upgrade() else { return };
            pool.retain(|_, metrics| metrics.last_used() < IDLE_TIME);
        }
    });
}

/// A connection in use. If it is dropped while a statement runs, the statement is cancelled, and the connection closed.
pub(super) struct Lease {
    session: Option<Object<Connections>>,
    max_idle: usize,
}

impl Lease {
    pub(super) fn session(&mut self) -> Result<&mut Session, SourceError> {
        let session = self.session.as_deref_mut();
        session.ok_or_else(|| SourceError::Lost("it was given back".to_owned()))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(session) = self.session.take() else { return };
        if session.is_busy() {
            if let Some(canceller) = Object::take(session).canceller.take() {
                canceller.cancel();
            }
        } else if Object::pool(&session).is_none_or(|pool| pool.status().available >= self.max_idle) {
            drop(Object::take(session));
        }
    }
}

/// Opens connections, and resets them before they are used again.
struct Connections {
    endpoint: Arc<Endpoint>,
}

impl managed::Manager for Connections {
    type Type = Session;
    type Error = SourceError;

    async fn create(&self) -> Result<Session, SourceError> {
        let settings = &self.endpoint.settings;
        let resolved = self.endpoint.egress.resolve(&settings.host, settings.port).await;
        let addresses = resolved.map_err(|error| SourceError::Unreachable(error.to_string()))?;
        let Some(share) = self.endpoint.shares.take(self.endpoint.org) else { return Err(SourceError::Full) };
        let mut failure = SourceError::Unreachable(format!("the name {} has no address", settings.host));
        for address in addresses {
            match timeout(ADDRESS_TIMEOUT, open(&self.endpoint, address)).await {
                Ok(Ok((socket, end_point))) => {
                    return begin(&self.endpoint, address, (socket, end_point), share).await;
                }
                Ok(Err(error)) => failure = error,
                Err(_) => {
                    failure = SourceError::Unreachable("the database cannot be reached in time".to_owned());
                }
            }
        }
        Err(failure)
    }

    async fn recycle(&self, session: &mut Session, _: &Metrics) -> RecycleResult<SourceError> {
        if session.is_busy() || session.is_lost() || session.age() > self.endpoint.settings.lifetime {
            return Err(RecycleError::message("the connection is over"));
        }
        session.command(CLEAN).await.map_err(RecycleError::Backend)
    }
}

async fn begin(
    endpoint: &Arc<Endpoint>,
    address: SocketAddr,
    (socket, end_point): Opened,
    share: Share,
) -> Result<Session, SourceError> {
    let mut session = Session::new(socket, share);
    let (process, secret) = log_in(&mut session, &endpoint.settings, end_point).await?;
    session.canceller = Some(Canceller { endpoint: endpoint.clone(), address, process, secret });
    Ok(session)
}

/// A stream to a server, and the data that binds authentication to its TLS session, against machine-in-the-middle
/// attacks.
type Opened = (Box<dyn Socket>, Option<Vec<u8>>);

/// Opens a stream to one address of a server, encrypted if the source requires it.
pub(super) async fn open(endpoint: &Endpoint, address: SocketAddr) -> Result<Opened, SourceError> {
    let unreachable = |error: std::io::Error| {
        SourceError::Unreachable(format!("the database cannot be reached: {}", shown(&error.to_string())))
    };
    let mut socket = TcpStream::connect(address).await.map_err(unreachable)?;
    socket.set_nodelay(true).map_err(unreachable)?;
    let settings = &endpoint.settings;
    if settings.tls == TlsMode::Disable {
        return Ok((Box::new(socket), None));
    }
    let mut out = BytesMut::new();
    frontend::ssl_request(&mut out);
    socket.write_all(&out).await.map_err(unreachable)?;
    // Exactly one byte: whatever follows must be part of the TLS session.
    if socket.read_u8().await.map_err(unreachable)? != b'S' {
        return Err(SourceError::Unreachable(
            "the database does not support TLS: set sslmode to disable, or enable ssl at the database"
                .to_owned(),
        ));
    }
    let stream = endpoint.tls.handshake(&settings.host, socket).await.map_err(unreachable)?;
    let end_point = stream.end_point();
    Ok((Box::new(stream), end_point))
}
