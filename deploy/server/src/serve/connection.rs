//! The state of one connection: its phase, since when, and its memory. The connection's own task writes it, a few
//! relaxed stores per request; the sweep over all connections reads it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::connections::Connections;
use super::table::Client;

/// The size limit of a small read buffer.
pub(crate) const SMALL_BUFFER: usize = 16 * 1024;
/// The size of a read while the buffer should stay small: `hyper` doubles its buffer after a read of 8 KiB or more.
const SMALL_READ: usize = 8 * 1024 - 1;
/// The number of received bytes of a body after which reads become larger. No body on a public route gets that far.
const LARGE_BODY: u64 = 64 * 1024;
/// How long a client may stall while sending its body, if connections are scarce.
pub(crate) const MAX_SILENCE: Duration = Duration::from_millis(100);
/// The minimum rate of sending a body in bytes per second, if connections are scarce.
pub(crate) const MIN_SENT_BYTES_PER_SECOND: usize = 16 * 1024;
/// The size of a large response.
pub(super) const LARGE_ANSWER: u64 = 64 * 1024;

/// The phase of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// It is new, or within the head of a request.
    Head,
    /// It is idle between requests.
    Idle,
    /// A request is being handled.
    Working,
    /// The handler waits for the body. Nothing is decided yet.
    Receiving,
    /// A response is being written.
    Answering,
    /// The end of a response is being written to the socket.
    Flushing,
    /// The rest of the request is being discarded.
    Closing,
    /// It is doomed: it will be closed, and accepts no request.
    Doomed,
}

const PHASES: [Phase; 8] = [
    Phase::Head,
    Phase::Idle,
    Phase::Working,
    Phase::Receiving,
    Phase::Answering,
    Phase::Flushing,
    Phase::Closing,
    Phase::Doomed,
];

/// A connection. Times are milliseconds since the start.
pub(super) struct Connection {
    connections: Arc<Connections>,
    slot: usize,
    client: Client,
    /// Whether it is beyond the limit and serves health probes only.
    is_reserved: bool,
    phase: AtomicU8,
    since: AtomicU64,
    /// The received bytes of a head.
    head: AtomicUsize,
    /// The size of its buffer, if it is a large one.
    large_buffer: AtomicUsize,
    /// The received bytes of the request body.
    body: AtomicU64,
    /// Since when the handler waits for the body, 0 if it does not.
    body_since: AtomicU64,
    /// The bytes of its large responses.
    answers: AtomicU64,
    written: AtomicU64,
    /// Since when the client does not read, 0 if it does.
    blocked_since: AtomicU64,
    /// Whether a request body was left unread.
    has_unread: AtomicBool,
}

impl Connection {
    pub(super) fn new(connections: Arc<Connections>, slot: usize, client: Client, is_reserved: bool) -> Self {
        Self {
            slot,
            client,
            is_reserved,
            phase: AtomicU8::new(Phase::Head as u8),
            since: AtomicU64::new(connections.now()),
            head: AtomicUsize::new(0),
            large_buffer: AtomicUsize::new(0),
            body: AtomicU64::new(0),
            body_since: AtomicU64::new(0),
            answers: AtomicU64::new(0),
            written: AtomicU64::new(0),
            blocked_since: AtomicU64::new(0),
            has_unread: AtomicBool::new(false),
            connections,
        }
    }

    pub(super) fn is_reserved(&self) -> bool {
        self.is_reserved
    }

    /// Its slot in the table.
    pub(super) fn slot(&self) -> usize {
        self.slot
    }

    /// The sub-path of the server.
    pub(super) fn sub_path(&self) -> &str {
        &self.connections.settings().sub_path
    }

    pub(super) fn phase(&self) -> Phase {
        PHASES[usize::from(self.phase.load(Ordering::Relaxed))]
    }

    /// The start of its phase.
    pub(super) fn since(&self) -> u64 {
        self.since.load(Ordering::Relaxed)
    }

    /// For how long the client has not read; 0 if it does.
    pub(super) fn blocked_for(&self, now: u64) -> u64 {
        match self.blocked_since.load(Ordering::Relaxed) {
            0 => 0,
            since => now.saturating_sub(since),
        }
    }

    /// The bytes that the client has read.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// The bytes of its large responses.
    pub(super) fn answers(&self) -> u64 {
        self.answers.load(Ordering::Relaxed)
    }

    pub(super) fn has_unread(&self) -> bool {
        self.has_unread.load(Ordering::Relaxed)
    }

    /// Enters a phase. Returns false if it is doomed.
    pub(super) fn enter(&self, phase: Phase) -> bool {
        self.since.store(self.connections.now(), Ordering::Relaxed);
        if self.phase.swap(phase as u8, Ordering::Relaxed) != Phase::Doomed as u8 {
            return true;
        }
        self.phase.store(Phase::Doomed as u8, Ordering::Relaxed);
        false
    }

    /// Dooms it. Fails while a request is being handled, because the client would not learn the outcome.
    pub(super) fn doom(&self) -> bool {
        let phase = self.phase();
        let (from, to) = (phase as u8, Phase::Doomed as u8);
        phase != Phase::Working
            && self.phase.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Reports the size of its buffer. Fails if that makes it a large one, and the budget of those is exhausted.
    pub(super) fn has_room(&self, bytes: usize) -> io::Result<()> {
        let buffer = self.head.load(Ordering::Relaxed) + bytes;
        let before = self.large_buffer();
        if buffer <= SMALL_BUFFER.max(before) {
            return Ok(());
        }
        self.large_buffer.store(buffer, Ordering::Relaxed);
        self.connections.add_buffer(self, buffer - before)
    }

    /// The size of its buffer, if it is a large one. A buffer does not shrink.
    pub(super) fn large_buffer(&self) -> usize {
        self.large_buffer.load(Ordering::Relaxed)
    }

    /// The size of the next read.
    pub(super) fn read_limit(&self) -> usize {
        let is_large = self.body.load(Ordering::Relaxed) > LARGE_BODY;
        if is_large && !self.connections.has_many_buffers() { usize::MAX } else { SMALL_READ }
    }

    /// Whether to close it after its response because of its large buffer.
    pub(super) fn is_too_large_to_keep(&self) -> bool {
        self.large_buffer() > 0 && self.connections.has_many_buffers()
    }

    /// Reports received bytes.
    pub(super) fn received(&self, bytes: usize) {
        match self.phase() {
            Phase::Idle => {
                self.enter(Phase::Head);
                self.head.store(bytes, Ordering::Relaxed);
            }
            Phase::Head => {
                self.head.fetch_add(bytes, Ordering::Relaxed);
            }
            _ => {}
        }
    }

    /// The head of a request is complete. Returns whether to handle it.
    pub(super) fn begin_request(&self) -> bool {
        self.head.store(0, Ordering::Relaxed);
        self.body.store(0, Ordering::Relaxed);
        self.body_since.store(0, Ordering::Relaxed);
        self.has_unread.store(false, Ordering::Relaxed);
        self.enter(Phase::Working)
    }

    /// The handler waits for the body.
    pub(super) fn wait_for_body(&self) {
        if self.phase() == Phase::Working
            && self.enter(Phase::Receiving)
            && self.body.load(Ordering::Relaxed) == 0
        {
            self.body_since.store(self.since(), Ordering::Relaxed);
        }
    }

    /// The handler got a part of the body. Returns whether to continue.
    pub(super) fn go_on(&self, bytes: usize) -> bool {
        self.body.fetch_add(bytes as u64, Ordering::Relaxed);
        match self.phase() {
            Phase::Receiving => self.enter(Phase::Working),
            phase => phase != Phase::Doomed,
        }
    }

    /// Whether the client stalls within a body, or sends it too slowly.
    pub(super) fn is_slow_to_send(&self, now: u64) -> bool {
        let since = |time: u64| u128::from(now.saturating_sub(time));
        let body = u128::from(self.body.load(Ordering::Relaxed));
        let patience = MAX_SILENCE.as_millis() + body * 1000 / MIN_SENT_BYTES_PER_SECOND as u128;
        since(self.since()) >= MAX_SILENCE.as_millis()
            || since(self.body_since.load(Ordering::Relaxed)) >= patience
    }

    /// Reports an unread request body.
    pub(super) fn leave_unread(&self) {
        self.has_unread.store(true, Ordering::Relaxed);
    }

    /// Whether a part of the rest of a request can be discarded now.
    pub(super) fn may_discard(&self) -> bool {
        self.connections.discard_pace().take(self.client, self.connections.now())
    }

    /// Reports a response of this size.
    pub(super) fn begin_answer(&self, bytes: u64) {
        self.enter(Phase::Answering);
        self.hold_answer(bytes);
    }

    /// Reports a chunk of a response, after the previous one was written.
    pub(super) fn hold_answer(&self, bytes: u64) {
        self.forget_answers();
        if bytes >= LARGE_ANSWER {
            self.answers.store(bytes, Ordering::Relaxed);
            self.connections.add_answer(bytes);
        }
    }

    /// Reports that a whole response was handed over for writing.
    pub(super) fn end_answer(&self) {
        self.enter(Phase::Flushing);
    }

    /// Reports that the client does not read.
    pub(super) fn blocked(&self) {
        if self.blocked_since.load(Ordering::Relaxed) == 0 {
            self.blocked_since.store(self.connections.now().max(1), Ordering::Relaxed);
        }
    }

    /// Reports bytes read by the client.
    pub(super) fn wrote(&self, bytes: usize) {
        self.blocked_since.store(0, Ordering::Relaxed);
        self.written.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Reports that all output was written.
    pub(super) fn flushed(&self) {
        if self.phase() == Phase::Flushing {
            self.forget_answers();
            self.enter(Phase::Idle);
        }
    }

    fn forget_answers(&self) {
        let answers = self.answers.swap(0, Ordering::Relaxed);
        if answers > 0 {
            self.connections.remove_answer(answers);
        }
    }
}

/// A connection that is open until this is dropped.
pub(super) struct Open(pub(super) Arc<Connection>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections.remove_buffer(self.0.large_buffer());
        self.0.forget_answers();
        self.0.connections.closed(self.0.slot);
    }
}
