//! Runs commands: idempotency, decision, commit, and retries after conflicts.

mod course;

use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use kymograph_domain::Invariant;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::Sha256;
use tokio::sync::OnceCell;

use crate::kernel::by_key::ByOrg;
use crate::kernel::error::{Error, ErrorKind, Result};
use crate::kernel::event_store::{Commit, CommitError, EventStore, Fate, KeptResponse, Replay};
use crate::kernel::job::JobWriter;
use crate::kernel::scope::{IdempotencyKey, Scope};
use crate::kernel::secret::Secrets;
use crate::kernel::server_key::{ServerKey, ServerKeys};
use crate::kernel::unit::{Decided, Loaded, Stores, Unit};
use course::Course;

/// The maximum number of decisions of a command, after which the client is told to retry.
const MAX_ATTEMPTS: u32 = 40;

/// Runs the commands of all use cases.
#[derive(Clone)]
pub struct Commands {
    stores: Arc<Stores>,
    /// Commands that lost a race are retried one at a time, so that they do not conflict again.
    turns: Arc<ByOrg<tokio::sync::Mutex<()>>>,
    server_keys: Arc<dyn ServerKeys>,
    /// The key of the hashes that identify repeated requests.
    request_key: Arc<OnceCell<ServerKey>>,
}

impl Commands {
    /// Commands on this log, with the secrets and jobs stored in addition to it, and the keys of the server.
    #[must_use]
    pub fn new(
        store: Arc<dyn EventStore>,
        secrets: Arc<dyn Secrets>,
        jobs: Arc<dyn JobWriter>,
        server_keys: Arc<dyn ServerKeys>,
    ) -> Self {
        let stores = Arc::new(Stores::new(store, secrets, jobs));
        Self { stores, turns: Arc::default(), server_keys, request_key: Arc::default() }
    }

    /// The hash that identifies a repeated request, made of its plain digest. It is keyed, because a request may
    /// contain a password, which could be guessed from a plain hash.
    pub async fn hash_request(&self, digest: &[u8; 32]) -> Result<[u8; 32]> {
        let key = self.request_key.get_or_try_init(|| self.server_keys.server_key("idempotency")).await?;
        let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(Error::internal)?;
        mac.update(digest);
        Ok(mac.finalize().into_bytes().into())
    }

    fn unit<'s>(&self, scope: &'s Scope, loaded: Loaded) -> Unit<'s> {
        Unit::new(scope, self.stores.clone(), loaded)
    }

    /// Runs one command: decides it, and commits the decision in one transaction.
    ///
    /// A repeated request, identified by its idempotency key, gets the outcome of the first one without another
    /// decision. After an optimistic concurrency conflict on a stream, the command is decided again on the current
    /// state, or on the state that the pending commit of the other command will write; a decision that expects a
    /// certain version then fails by itself. A decision without events, or a refusal, has no commit that would detect a
    /// conflict. So it is repeated on state read from the database, which another server may have changed.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", name = "command", skip_all)]
    pub async fn run<'s, O, F, D>(&self, scope: &'s Scope, decide: F) -> Result<O>
    where
        O: Serialize + DeserializeOwned,
        F: Fn(Unit<'s>) -> D,
        D: Future<Output = Result<Decided<'s, O>>>,
    {
        if let Some(outcome) = self.replayed(scope).await? {
            return Ok(outcome);
        }
        let mut course = Course::new(self, scope.org());
        for attempt in 1..=MAX_ATTEMPTS {
            let loaded = course.begin().await;
            let decided = decide(self.unit(scope, loaded.clone())).await;
            let writes_nothing = decided.as_ref().map_or(true, |decided| decided.unit.appends.is_empty());
            if writes_nothing && course.must_decide_on_stored(&loaded).await {
                continue;
            }
            let Decided { unit, outcome } = decided?;
            if unit.appends.is_empty() {
                return Ok(outcome);
            }
            let wakes_workers = unit.wakes_workers;
            let commit = commit(scope, unit, &outcome, loaded.fates())?;
            let result = match self.stores.events.queue(scope, commit) {
                Ok(queued) => course.written(queued).await,
                Err(CommitError::Conflict) => {
                    course.is_behind();
                    continue;
                }
                Err(error) => Err(error),
            };
            match result {
                Ok(_) => {
                    if wakes_workers {
                        self.stores.jobs.wake();
                    }
                    return Ok(outcome);
                }
                Err(CommitError::Conflict) => course.lost(attempt, &loaded).await,
                Err(CommitError::Broken(invariant)) if invariant.is_existence() && course.misses(&loaded) => {
                }
                // As for the next request to a deleted org, which finds no membership.
                Err(CommitError::Broken(invariant))
                    if invariant == Invariant::ORG_EXISTS && scope.org() == scope.home() =>
                {
                    return Err(Error::unauthenticated("Unauthorized"));
                }
                Err(CommitError::Broken(invariant)) => return Err(Error::broken(invariant)),
                Err(CommitError::Repeated) => match self.replayed(scope).await? {
                    Some(outcome) => return Ok(outcome),
                    // The first request preceded this one in the same transaction, but has failed.
                    None => course.lost(attempt, &loaded).await,
                },
                Err(CommitError::Failed(error)) => return Err(error),
            }
        }
        Err(Error::new(ErrorKind::Overloaded, "Too many concurrent changes of the same object, try again"))
    }

    /// Decides a command without writing anything.
    pub async fn rehearse<'s, O, F, D>(&self, scope: &'s Scope, decide: F) -> Result<O>
    where
        F: FnOnce(Unit<'s>) -> D,
        D: Future<Output = Result<Decided<'s, O>>>,
    {
        Ok(decide(self.unit(scope, Loaded::default())).await?.outcome)
    }

    async fn replayed<O: DeserializeOwned>(&self, scope: &Scope) -> Result<Option<O>> {
        let outcome = self.find_replay(scope).await?.and_then(|replay| replay.outcome);
        outcome.map(|outcome| serde_json::from_str(&outcome).map_err(Error::internal)).transpose()
    }

    async fn find_replay(&self, scope: &Scope) -> Result<Option<Replay>> {
        let Some(IdempotencyKey { key, request_hash }) = &scope.request().idempotency else {
            return Ok(None);
        };
        let replay = self.stores.events.replay(scope, key).await?;
        if replay.as_ref().is_some_and(|replay| replay.request_hash != *request_hash) {
            let message = "Idempotency-Key was used before for a different request";
            return Err(Error::new(ErrorKind::Contradictory, message));
        }
        Ok(replay)
    }

    /// The stored response to the first of these repeated requests.
    pub async fn repeated_response(&self, scope: &Scope) -> Result<Option<KeptResponse>> {
        Ok(self.find_replay(scope).await?.and_then(|replay| replay.response))
    }

    /// Stores the response to a request, in case the request is repeated.
    pub async fn keep_response(&self, scope: &Scope, response: &KeptResponse) -> Result<()> {
        match &scope.request().idempotency {
            Some(key) => self.stores.events.keep_response(scope, key, response).await,
            None => Ok(()),
        }
    }
}

/// The commit of a unit of work, with the outcome to return for a repeated request.
fn commit<O: Serialize>(scope: &Scope, unit: Unit<'_>, outcome: &O, grounds: Vec<Fate>) -> Result<Commit> {
    let replay = match &scope.request().idempotency {
        Some(key) => Some((key.clone(), serde_json::to_string(outcome).map_err(Error::internal)?)),
        None => None,
    };
    let Unit { appends, premises, writes, .. } = unit;
    Ok(Commit { appends, premises, writes, replay, grounds })
}
