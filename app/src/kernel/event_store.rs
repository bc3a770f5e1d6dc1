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

/// The end of a stream: how many events it has and what they fold to.
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
    /// How many events the stream has; the commit fails if it has any other number.
    pub expected_version: i64,
    /// The new events, at least one.
    pub events: Vec<Box<dyn StoredEvent>>,
    /// What the stream folds to with them, as JSON text.
    pub state: Arc<str>,
}

impl Append {
    /// The end that the stream has then.
    #[must_use]
    pub fn end(&self) -> StreamState {
        let version = self.expected_version + i64::try_from(self.events.len()).unwrap_or_default();
        StreamState { version, state: self.state.clone() }
    }
}

/// All that one use case wants written, atomically.
#[derive(Debug)]
pub struct Commit {
    /// Events, at least one.
    pub appends: Vec<Append>,
    /// Checks of what it was decided on, in the org of the first append. They come before its own events.
    pub premises: Vec<SideWrite>,
    /// Further writes, which come after its events.
    pub writes: Vec<SideWrite>,
    /// The answer to keep for a repetition of the request, as JSON text.
    pub replay: Option<(IdempotencyKey, String)>,
    /// The fates of the commits that it was decided on before they were written. It is written only if they were.
    pub grounds: Vec<Fate>,
}

/// A commit that will be written, or fail, whether or not anybody waits for it.
#[derive(Debug)]
pub struct Queued {
    /// Its result, once it is written or has failed.
    pub answer: oneshot::Receiver<Result<Committed, CommitError>>,
    /// Whether others can be decided on it already.
    pub is_ground: bool,
}

impl Queued {
    /// Waits until it is written.
    pub async fn written(self) -> Result<Committed, CommitError> {
        let lost = |_| CommitError::Failed(Error::internal("a commit ended without a result"));
        self.answer.await.map_err(lost)?
    }
}

/// The ends that streams will have once what waits is written.
#[derive(Debug, Default)]
pub struct EndsAhead {
    /// The ends; `None` for a stream without events.
    pub ends: Vec<Option<StreamState>>,
    /// The fates of the commits that they hang on.
    pub fates: Vec<Fate>,
}

/// What a commit came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The position of the last event in the log of the first append's org.
    pub position: i64,
    /// When it was recorded.
    pub recorded_at: Timestamp,
}

/// Why nothing was committed.
#[derive(Debug)]
pub enum CommitError {
    /// A stream has other events than expected: decide again.
    Conflict,
    /// A rule that spans aggregates would be broken.
    Broken(Invariant),
    /// A request with the same key was committed meanwhile.
    Repeated,
    /// Anything else.
    Failed(Error),
}

impl From<Error> for CommitError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// The answer kept for a repeated request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    /// The hash of the request it was given to.
    pub request_hash: [u8; 32],
    /// The outcome of the command, as JSON text, if the request ran one.
    pub outcome: Option<String>,
    /// The response, unless the server died before it could be kept.
    pub response: Option<KeptResponse>,
}

/// A response that is kept for a repetition of its request.
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
    /// Forgets what is remembered of the ends of streams, so that they are read from the database again.
    fn forget(&self, streams: &[(OrgId, StreamId)]);

    /// The ends of streams, in the order in which they are named; `None` for a stream without events. They may be
    /// remembered, and another server have moved them since.
    async fn load(&self, org: OrgId, streams: &[StreamId]) -> Result<Vec<Option<StreamState>>>;

    /// The same, but of streams that a commit changes which waits or is being written, the ends that they will have then.
    async fn load_ahead(&self, org: OrgId, streams: &[StreamId]) -> Result<EndsAhead>;

    /// Has everything written or nothing. It is a conflict at once if a commit that waits or is being written changes one of
    /// the streams and this one was not decided on it.
    fn queue(&self, scope: &Scope, commit: Commit) -> Result<Queued, CommitError>;

    /// The answer kept under a key in the scope's home.
    async fn replay(&self, scope: &Scope, key: &str) -> Result<Option<Replay>>;

    /// Keeps the response to a request.
    async fn keep_response(&self, scope: &Scope, key: &IdempotencyKey, response: &KeptResponse)
    -> Result<()>;

    /// Forgets the answers of the scope's org that have had their time, and says whether it keeps others.
    async fn forget_answers(&self, scope: &Scope) -> Result<bool>;
}
