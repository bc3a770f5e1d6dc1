//! The port to the log: loading streams and committing events.

mod fate;

use std::sync::Arc;

use async_trait::async_trait;
use kymograph_domain::{Invariant, OrgId, StoredEvent, StreamId, Timestamp};
use tokio::sync::oneshot;

use crate::kernel::error::{Error, Result};
use crate::kernel::scope::{IdempotencyKey, Scope};
use crate::kernel::side_write::SideWrite;

pub use fate::{Fate, Verdict};

/// The end of a stream: its version and state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamState {
    /// The number of the last event, from 1.
    pub version: i64,
    /// The state as JSON text.
    pub state: Arc<str>,
}

/// The events of one command on one stream.
#[derive(Debug)]
pub struct Append {
    /// The org whose log the events belong to.
    pub org: OrgId,
    /// The stream.
    pub stream_id: StreamId,
    /// The type of the aggregate.
    pub stream_type: &'static str,
    /// The expected number of events of the stream; the commit fails if it has any other number.
    pub expected_version: i64,
    /// The new events, at least one.
    pub events: Vec<Box<dyn StoredEvent>>,
    /// The state of the stream with the new events, as JSON text.
    pub state: Arc<str>,
}

impl Append {
    /// The end of the stream after this append.
    #[must_use]
    pub fn end(&self) -> StreamState {
        let version = self.expected_version + i64::try_from(self.events.len()).unwrap_or_default();
        StreamState { version, state: self.state.clone() }
    }
}

/// All writes of one use case, which are atomic.
#[derive(Debug)]
pub struct Commit {
    /// Events, at least one.
    pub appends: Vec<Append>,
    /// Checks of the premises of the decision, in the org of the first append. They run before its own events.
    pub premises: Vec<SideWrite>,
    /// Further writes, which run after its events.
    pub writes: Vec<SideWrite>,
    /// The outcome to return for a repeated request, as JSON text.
    pub replay: Option<(IdempotencyKey, String)>,
    /// The fates of the pending commits that it was decided on. It is written only if all of them were.
    pub grounds: Vec<Fate>,
}

/// A commit that will be written, or fail, even if no caller waits for it.
#[derive(Debug)]
pub struct Queued {
    /// Its result, once it is written or has failed.
    pub answer: oneshot::Receiver<Result<Committed, CommitError>>,
    /// Whether other commands can already be decided on it.
    pub is_ground: bool,
}

impl Queued {
    /// Waits until it is written.
    pub async fn written(self) -> Result<Committed, CommitError> {
        let lost = |_| CommitError::Failed(Error::internal("a commit ended without a result"));
        self.answer.await.map_err(lost)?
    }
}

/// The ends that streams will have after the pending commits.
#[derive(Debug, Default)]
pub struct EndsAhead {
    /// The ends; `None` for a stream without events.
    pub ends: Vec<Option<StreamState>>,
    /// The fates of the pending commits that they depend on.
    pub fates: Vec<Fate>,
}

/// The result of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The position of the last event in the log of the first append's org.
    pub position: i64,
    /// When it was recorded.
    pub recorded_at: Timestamp,
}

/// The reason why nothing was committed.
#[derive(Debug)]
pub enum CommitError {
    /// A stream has other events than expected, an optimistic concurrency conflict: the command must be decided again.
    Conflict,
    /// An invariant across aggregates would be broken.
    Broken(Invariant),
    /// A request with the same idempotency key was committed in the meantime.
    Repeated,
    /// Any other error.
    Failed(Error),
}

impl From<Error> for CommitError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// The outcome and response stored for a repeated request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    /// The hash of the first request.
    pub request_hash: [u8; 32],
    /// The outcome of the command, as JSON text, if the request ran one.
    pub outcome: Option<String>,
    /// The response, unless the server crashed before it was stored.
    pub response: Option<KeptResponse>,
}

/// A response that is stored for a repeated request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptResponse {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: String,
}

/// The log.
#[async_trait]
pub trait EventStore: Send + Sync {
    /// Drops the cached ends of streams, so that they are read from the database again.
    fn forget(&self, streams: &[(OrgId, StreamId)]);

    /// The ends of streams, in the order of the argument; `None` for a stream without events. They may be cached, and
    /// stale if another server has appended since.
    async fn load(&self, org: OrgId, streams: &[StreamId]) -> Result<Vec<Option<StreamState>>>;

    /// The same, but with the ends that the pending commits on these streams will write.
    async fn load_ahead(&self, org: OrgId, streams: &[StreamId]) -> Result<EndsAhead>;

    /// Queues a commit, which is written entirely or not at all. It is a conflict at once if a pending commit changes
    /// one of the streams and this one was not decided on it.
    fn queue(&self, scope: &Scope, commit: Commit) -> Result<Queued, CommitError>;

    /// The outcome and response stored under a key in the scope's home org.
    async fn replay(&self, scope: &Scope, key: &str) -> Result<Option<Replay>>;

    /// Stores the response to a request.
    async fn keep_response(&self, scope: &Scope, key: &IdempotencyKey, response: &KeptResponse)
    -> Result<()>;

    /// Deletes the expired responses of the scope's org. Returns whether it has others.
    async fn forget_answers(&self, scope: &Scope) -> Result<bool>;
}
