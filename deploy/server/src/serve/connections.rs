//! The limits of connections: number, timeouts, and memory of heads and responses.

use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kymograph_api::kernel::layer::Network;
use kymograph_app::kernel::client_network::network_of_client;
use kymograph_app::kernel::log_limit::LogLimit;
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use tokio::task::AbortHandle;

use super::connection::{Connection, Phase};
use super::discard::Pace;
use super::table::{Admission, Client, Slot, Table};

/// The budget of large read buffers (above [`SMALL_BUFFER`](super::connection::SMALL_BUFFER)), in bytes. Beyond half of
/// it, connections with one are closed after their request.
pub(crate) const MAX_BUFFER_BYTES: usize = 16 * 1024 * 1024;
/// The maximum number of unread bytes of responses of 64 KiB and more, before stalled connections are closed.
pub(crate) const MAX_ANSWER_BYTES: usize = 32 * 1024 * 1024;
/// The timeout for the head of a request beyond the limit.
pub(crate) const RESERVED_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the rest of a request is discarded after its response. It is throttled while many connections do that.
const LINGER_TIMEOUT: Duration = Duration::from_secs(5);
/// The minimum number of bytes of a response that a client must read within the write timeout.
pub(crate) const MIN_TAKEN_BYTES: usize = 64 * 1024;

/// How often, and for how long, a new connection waits for evicted ones to close.
const SETTLE_TRIES: usize = 100;
const SETTLE_PAUSE: Duration = Duration::from_millis(1);

/// The settings of connections.
#[derive(Clone, Debug)]
pub struct ConnectionSettings {
    /// The maximum number of connections.
    pub max_connections: usize,
    /// The timeout for receiving the head of a request.
    pub header_timeout: Duration,
    /// The idle timeout.
    pub idle_timeout: Duration,
    /// The write timeout.
    pub write_timeout: Duration,
    /// The trusted proxies, whose connections do not count as those of one client.
    pub trusted_proxies: Vec<Network>,
    /// The sub-path of the server, empty for the root.
    pub sub_path: String,
}

/// All connections of a server.
pub struct Connections {
    settings: ConnectionSettings,
    started: Instant,
    table: Mutex<Table>,
    buffer_bytes: AtomicUsize,
    answer_bytes: AtomicU64,
    discard_pace: Pace,
    metrics: Metrics,
    full: LogLimit,
    over_share: LogLimit,
    pressure: LogLimit,
}

struct Metrics {
    open: IntGauge,
    refused: IntCounter,
    closed: IntCounterVec,
}

/// The reason for closing a connection.
#[derive(Clone, Copy, Debug)]
enum Reason {
    HeaderTimeout,
    IdleTimeout,
    Stalled,
    Displaced,
}

impl Reason {
    const ALL: [Self; 4] = [Self::HeaderTimeout, Self::IdleTimeout, Self::Stalled, Self::Displaced];

    fn label(self) -> &'static str {
        match self {
            Self::HeaderTimeout => "header_timeout",
            Self::IdleTimeout => "idle_timeout",
            Self::Stalled => "stalled",
            Self::Displaced => "displaced",
        }
    }
}

impl Metrics {
    fn try_new(registry: &Registry) -> prometheus::Result<Self> {
        let open = IntGauge::new("kymograph_http_connections", "Connections that are open.")?;
        let refused = IntCounter::new(
            "kymograph_http_connections_refused_total",
            "Connections beyond the limit, which are closed or serve health checks only.",
        )?;
        let opts = Opts::new(
            "kymograph_http_connections_closed_total",
            "Connections closed by the server: slow or idle clients, or eviction at the limit.",
        );
        let closed = IntCounterVec::new(opts, &["reason"])?;
        Reason::ALL.iter().for_each(|reason| closed.with_label_values(&[reason.label()]).inc_by(0));
        registry.register(Box::new(open.clone()))?;
        registry.register(Box::new(refused.clone()))?;
        registry.register(Box::new(closed.clone()))?;
        Ok(Self { open, refused, closed })
    }

    fn count(&self, reason: Reason) {
        self.closed.with_label_values(&[reason.label()]).inc();
    }
}

impl Connections {
    /// An empty table. It fails if a metric is registered already.
    pub fn try_new(settings: ConnectionSettings, registry: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            started: Instant::now(),
            table: Mutex::new(Table::new(settings.max_connections)),
            buffer_bytes: AtomicUsize::new(0),
            answer_bytes: AtomicU64::new(0),
            discard_pace: Pace::default(),
            metrics: Metrics::try_new(registry)?,
            full: LogLimit::new(),
            over_share: LogLimit::new(),
            pressure: LogLimit::new(),
            settings,
        })
    }

    pub(super) fn settings(&self) -> &ConnectionSettings {
        &self.settings
    }

    /// Milliseconds since the start.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until evicted connections have released their descriptors, which takes the runtime a moment.
    pub(super) async fn settle(&self) {
        for _ in 0..SETTLE_TRIES {
            if !self.table().is_crowded() {
                return;
            }
            tokio::time::sleep(SETTLE_PAUSE).await;
        }
    }

    /// Admits a connection from an address, if the limits allow it.
    pub(super) fn open(self: &Arc<Self>, peer: IpAddr) -> Option<Arc<Connection>> {
        let client = self.client(peer);
        let mut table = self.table();
        let decision = table.decide(client, self.now());
        let is_reserved = decision.admission == Admission::Reserved;
        let connection = (decision.admission != Admission::Refused).then(|| {
            table.insert(client, is_reserved, |slot| Connection::new(self.clone(), slot, client, is_reserved))
        });
        let open = table.len();
        drop(table);
        self.metrics.open.set(i64::try_from(open).unwrap_or(i64::MAX));
        if decision.has_displaced {
            self.metrics.count(Reason::Displaced);
        }
        if decision.admission != Admission::Open {
            self.metrics.refused.inc();
        }
        let max_connections = self.settings.max_connections;
        if decision.is_full
            && let Some(suppressed) = self.full.admit()
        {
            tracing::warn!(open, max_connections, suppressed, "the connection limit is reached");
        } else if decision.is_over_share
            && let Some(suppressed) = self.over_share.admit()
        {
            tracing::warn!(
                %peer,
                max_connections,
                suppressed,
                "one address has half of all connections; if it is a reverse proxy, add it to [server] trusted_proxies"
            );
        }
        connection
    }

    fn client(&self, peer: IpAddr) -> Client {
        let is_trusted = self.settings.trusted_proxies.iter().any(|network| network.contains(peer));
        (!is_trusted).then(|| network_of_client(peer))
    }

    pub(super) fn set_task(&self, connection: &Arc<Connection>, task: AbortHandle) {
        self.table().set_task(connection, task);
    }

    pub(super) fn closed(&self, slot: usize) {
        let mut table = self.table();
        table.remove(slot);
        self.metrics.open.set(i64::try_from(table.len()).unwrap_or(i64::MAX));
    }

    /// Counts bytes of a connection's large buffer. If the budget is exceeded, an idle connection of another client
    /// with such a buffer is closed. It fails if there is none.
    pub(super) fn add_buffer(&self, connection: &Connection, bytes: usize) -> io::Result<()> {
        let all = self.buffer_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if all <= MAX_BUFFER_BYTES {
            return Ok(());
        }
        if let Some(suppressed) = self.pressure.admit() {
            tracing::warn!(bytes = all, suppressed, "large request heads take too much memory");
        }
        if self.table().displace_buffer(connection.slot(), self.now()) {
            self.metrics.count(Reason::Displaced);
            return Ok(());
        }
        Err(io::Error::other("large request heads take too much memory"))
    }

    pub(super) fn discard_pace(&self) -> &Pace {
        &self.discard_pace
    }

    pub(super) fn remove_buffer(&self, bytes: usize) {
        self.buffer_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Whether large buffers use so much memory that none is kept after a request.
    pub(super) fn has_many_buffers(&self) -> bool {
        self.buffer_bytes.load(Ordering::Relaxed) > MAX_BUFFER_BYTES / 2
    }

    /// Counts a large response. If the budget is exceeded, a stalled connection with one is closed.
    pub(super) fn add_answer(&self, bytes: u64) {
        let all = self.answer_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if all <= MAX_ANSWER_BYTES as u64 || !self.table().displace_answer(self.now()) {
            return;
        }
        self.metrics.count(Reason::Stalled);
        if let Some(suppressed) = self.pressure.admit() {
            tracing::warn!(
                bytes = all,
                suppressed,
                "closed a connection whose client does not read its response"
            );
        }
    }

    pub(super) fn remove_answer(&self, bytes: u64) {
        self.answer_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Closes a connection because there are no file descriptors left.
    pub(super) fn relieve(&self) {
        if self.table().displace_any(self.now()) {
            self.metrics.count(Reason::Displaced);
        }
    }

    /// Closes the connections that have timed out.
    pub(super) fn sweep(&self) {
        let now = self.now();
        let reasons = self.table().sweep(|slot| self.overdue(slot, now));
        reasons.into_iter().for_each(|reason| self.metrics.count(reason));
    }

    fn overdue(&self, slot: &mut Slot, now: u64) -> Option<Reason> {
        let connection = &slot.connection;
        let waited = Duration::from_millis(now.saturating_sub(connection.since()));
        match connection.phase() {
            Phase::Head if connection.is_reserved() => {
                (waited >= RESERVED_TIMEOUT).then_some(Reason::HeaderTimeout)
            }
            Phase::Head => (waited >= self.settings.header_timeout).then_some(Reason::HeaderTimeout),
            Phase::Idle => (waited >= self.settings.idle_timeout).then_some(Reason::IdleTimeout),
            Phase::Closing => (waited >= LINGER_TIMEOUT).then_some(Reason::Stalled),
            // The router has timeouts for bodies and handlers.
            Phase::Working | Phase::Receiving | Phase::Doomed => None,
            Phase::Answering | Phase::Flushing => self.stalled(slot, now),
        }
    }

    /// Whether the client reads its response too slowly. The kernel only detects clients that read nothing at all.
    fn stalled(&self, slot: &mut Slot, now: u64) -> Option<Reason> {
        let (taken, since) = slot.checked;
        let written = slot.connection.written();
        if slot.connection.blocked_for(now) == 0 || written.saturating_sub(taken) >= MIN_TAKEN_BYTES as u64 {
            slot.checked = (written, now);
            return None;
        }
        let waited = Duration::from_millis(now.saturating_sub(since.max(slot.connection.since())));
        (waited >= self.settings.write_timeout).then_some(Reason::Stalled)
    }
}
