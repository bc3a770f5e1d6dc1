//! The state of one connection: its phase, since when, and how much memory it holds. The connection's own task writes it,
//! a few relaxed stores per request; the sweep over all connections reads it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::connections::Connections;
use super::table::Client;

/// How large the buffer may be into which a connection reads, without being counted among the large ones.
pub(crate) const SMALL_BUFFER: usize = 16 * 1024;
/// How much is read at once while the buffer is to stay small: `hyper` doubles its buffer after a read of 8 KiB or more.
const SMALL_READ: usize = 8 * 1024 - 1;
/// After how many bytes of a body larger reads are worth their memory. No body on a public route gets that far.
const LARGE_BODY: u64 = 64 * 1024;
/// How long a client may leave the server waiting for its body while others need its connection.
pub(crate) const MAX_SILENCE: Duration = Duration::from_millis(100);
/// How many bytes of a body a client has to send in a second while others need its connection.
pub(crate) const MIN_SENT_BYTES_PER_SECOND: usize = 16 * 1024;
/// Answers below this many bytes are not counted among the large ones.
pub(super) const LARGE_ANSWER: u64 = 64 * 1024;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// It is to send the head of a request: it is new, or has begun.
    Head,
    /// It may send another request.
    Idle,
    /// A request is being worked on.
    Working,
    /// Its request goes no further without more of its body. Nothing is decided yet.
    Receiving,
    /// An answer is being written.
    Answering,
    /// The end of an answer is on its way to the socket.
    Flushing,
    /// What the client still sends is thrown away.
    Closing,
    /// It is to be closed, and begins nothing more.
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
    /// Whether it is one more than the limit and only serves health checks.
    is_reserved: bool,
    phase: AtomicU8,
    since: AtomicU64,
    /// How many bytes of a head have come.
    head: AtomicUsize,
    /// How many bytes its buffer has, if it is a large one.
    large_buffer: AtomicUsize,
    /// How many bytes of the body of its request have come.
    body: AtomicU64,
    /// Since when they are waited for, 0 if they are not.
    body_since: AtomicU64,
    /// How many bytes of large answers it holds.
    answers: AtomicU64,
    written: AtomicU64,
    /// Since when the client does not take what is written, 0 if it does.
    blocked_since: AtomicU64,
    /// Whether the body of a request was left unread.
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

    /// Its place among all connections.
    pub(super) fn slot(&self) -> usize {
        self.slot
    }

    /// The path under which the server is served.
    pub(super) fn sub_path(&self) -> &str {
        &self.connections.settings().sub_path
    }

    pub(super) fn phase(&self) -> Phase {
        PHASES[usize::from(self.phase.load(Ordering::Relaxed))]
    }

    /// Since when it is doing what it is doing.
    pub(super) fn since(&self) -> u64 {
        self.since.load(Ordering::Relaxed)
    }

    /// For how long the client has not taken what is written; 0 if it does.
    pub(super) fn blocked_for(&self, now: u64) -> u64 {
        match self.blocked_since.load(Ordering::Relaxed) {
            0 => 0,
            since => now.saturating_sub(since),
        }
    }

    /// How many bytes the client has taken.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// How many bytes of large answers it holds.
    pub(super) fn answers(&self) -> u64 {
        self.answers.load(Ordering::Relaxed)
    }

    pub(super) fn has_unread(&self) -> bool {
        self.has_unread.load(Ordering::Relaxed)
    }

    /// Goes on to a phase, unless it is doomed. Whether it was not.
    pub(super) fn enter(&self, phase: Phase) -> bool {
        self.since.store(self.connections.now(), Ordering::Relaxed);
        if self.phase.swap(phase as u8, Ordering::Relaxed) != Phase::Doomed as u8 {
            return true;
        }
        self.phase.store(Phase::Doomed as u8, Ordering::Relaxed);
        false
    }

    /// Lets it begin nothing more, so that it can be closed. It fails while a request is worked on: nobody would learn what
    /// became of it.
    pub(super) fn doom(&self) -> bool {
        let phase = self.phase();
        let (from, to) = (phase as u8, Phase::Doomed as u8);
        phase != Phase::Working
            && self.phase.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// There is room for so many bytes in its buffer. It fails if that makes it a large one, and all of those take too much.
    pub(super) fn has_room(&self, bytes: usize) -> io::Result<()> {
        let buffer = self.head.load(Ordering::Relaxed) + bytes;
        let before = self.large_buffer();
        if buffer <= SMALL_BUFFER.max(before) {
            return Ok(());
        }
        self.large_buffer.store(buffer, Ordering::Relaxed);
        self.connections.add_buffer(self, buffer - before)
    }

    /// How many bytes its buffer has, if it is a large one. A buffer does not shrink.
    pub(super) fn large_buffer(&self) -> usize {
        self.large_buffer.load(Ordering::Relaxed)
    }

    /// How many bytes may be read at once.
    pub(super) fn read_limit(&self) -> usize {
        let is_large = self.body.load(Ordering::Relaxed) > LARGE_BODY;
        if is_large && !self.connections.has_many_buffers() { usize::MAX } else { SMALL_READ }
    }

    /// Whether it is better closed after its answer than kept with its large buffer.
    pub(super) fn is_too_large_to_keep(&self) -> bool {
        self.large_buffer() > 0 && self.connections.has_many_buffers()
    }

    /// Bytes have come.
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

    /// The head of a request is complete. Whether it may be worked on.
    pub(super) fn begin_request(&self) -> bool {
        self.head.store(0, Ordering::Relaxed);
        self.body.store(0, Ordering::Relaxed);
        self.body_since.store(0, Ordering::Relaxed);
        self.has_unread.store(false, Ordering::Relaxed);
        self.enter(Phase::Working)
    }

    /// Its request waits for its body.
    pub(super) fn wait_for_body(&self) {
        if self.phase() == Phase::Working
            && self.enter(Phase::Receiving)
            && self.body.load(Ordering::Relaxed) == 0
        {
            self.body_since.store(self.since(), Ordering::Relaxed);
        }
    }

    /// Its request waits for its body no longer, of which so many bytes have come. Whether it may go on.
    pub(super) fn go_on(&self, bytes: usize) -> bool {
        self.body.fetch_add(bytes as u64, Ordering::Relaxed);
        match self.phase() {
            Phase::Receiving => self.enter(Phase::Working),
            phase => phase != Phase::Doomed,
        }
    }

    /// Whether the client leaves the server waiting for the body of its request, or sends it byte by byte.
    pub(super) fn is_slow_to_send(&self, now: u64) -> bool {
        let since = |time: u64| u128::from(now.saturating_sub(time));
        let body = u128::from(self.body.load(Ordering::Relaxed));
        let patience = MAX_SILENCE.as_millis() + body * 1000 / MIN_SENT_BYTES_PER_SECOND as u128;
        since(self.since()) >= MAX_SILENCE.as_millis()
            || since(self.body_since.load(Ordering::Relaxed)) >= patience
    }

    /// The body of a request was left unread.
    pub(super) fn leave_unread(&self) {
        self.has_unread.store(true, Ordering::Relaxed);
    }

    /// Whether a part of the rest of a request may be thrown away now.
    pub(super) fn may_discard(&self) -> bool {
        self.connections.discard_pace().take(self.client, self.connections.now())
    }

    /// An answer with so many bytes is there.
    pub(super) fn begin_answer(&self, bytes: u64) {
        self.enter(Phase::Answering);
        self.hold_answer(bytes);
    }

    /// So many bytes of an answer are there, and those before them are gone.
    pub(super) fn hold_answer(&self, bytes: u64) {
        self.forget_answers();
        if bytes >= LARGE_ANSWER {
            self.answers.store(bytes, Ordering::Relaxed);
            self.connections.add_answer(bytes);
        }
    }

    /// All of an answer was handed over to be written.
    pub(super) fn end_answer(&self) {
        self.enter(Phase::Flushing);
    }

    /// The client takes nothing at the moment.
    pub(super) fn blocked(&self) {
        if self.blocked_since.load(Ordering::Relaxed) == 0 {
            self.blocked_since.store(self.connections.now().max(1), Ordering::Relaxed);
        }
    }

    /// The client has taken bytes.
    pub(super) fn wrote(&self, bytes: usize) {
        self.blocked_since.store(0, Ordering::Relaxed);
        self.written.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// All that there was to write is written.
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
