//! Runs commands: idempotency, decision, commit, and another decision after a conflict.

use std::sync::Arc;
use std::time::Duration;

use kymograph_domain::Invariant;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::by_org::ByOrg;
use crate::error::{Error, ErrorKind, Result};
use crate::event_store::{Commit, CommitError, EventStore, KeptResponse, Replay};
use crate::scope::{IdempotencyKey, Scope};
use crate::unit::{Decided, Loaded, Unit};

/// How often a command is decided before the client is told to try again.
const MAX_ATTEMPTS: u32 = 40;

/// Runs the commands of all use cases.
#[derive(Clone)]
pub struct Commands {
    store: Arc<dyn EventStore>,
    /// Commands that lost a race wait here for each other, so that the losers of one round do not race again.
    retries: Arc<ByOrg<tokio::sync::Mutex<()>>>,
}

impl Commands {
    /// Commands on this log.
    #[must_use]
    pub fn new(store: Arc<dyn EventStore>) -> Self {
        Self { store, retries: Arc::default() }
    }

    /// Runs one command: decides, and commits what was decided in one transaction.
    ///
    /// A repeated request, known by its idempotency key, gets the outcome of the first without being decided
    /// again. When another command was faster on a stream, this one is decided anew on what is there now, so
    /// a decision that names the version it expects fails then by itself. A decision to change nothing, or to refuse, has
    /// no commit that would find out; so it is made once more on what the database says, which another server may have
    /// changed.
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
        let (mut lane, mut is_fresh, mut is_gone) = (None, false, false);
        for attempt in 1..=MAX_ATTEMPTS {
            let loaded = Loaded::default();
            let decided = decide(Unit::new(scope, self.store.clone(), loaded.clone())).await;
            if !is_fresh && decided.as_ref().map_or(true, |decided| decided.unit.appends.is_empty()) {
                let loaded = loaded.take();
                is_fresh = true;
                if !loaded.is_empty() {
                    self.store.forget(&loaded);
                    continue;
                }
            }
            let Decided { unit, outcome } = decided?;
            if unit.appends.is_empty() {
                return Ok(outcome);
            }
            let replay = match &scope.request().idempotency {
                Some(key) => Some((key.clone(), serde_json::to_string(&outcome).map_err(Error::internal)?)),
                None => None,
            };
            let commit = Commit {
                appends: unit.appends,
                secrets: unit.secrets,
                token_hashes: unit.token_hashes,
                forgotten: unit.forgotten,
                replay,
            };
            match self.store.commit(scope, commit).await {
                Ok(_) => return Ok(outcome),
                Err(CommitError::Conflict) => {
                    tracing::debug!(attempt, "another command was faster, deciding again");
                    if lane.is_none() {
                        lane = Some(self.retries.get_or(scope.org(), Default::default).lock_owned().await);
                    } else {
                        // Another server may have changed streams that the decision only looked at.
                        self.store.forget(&loaded.take());
                        tokio::time::sleep(Duration::from_millis(u64::from(attempt))).await;
                    }
                }
                Err(CommitError::Broken(invariant)) if invariant.is_existence() && !is_gone => {
                    is_gone = true;
                    self.store.forget(&loaded.take());
                }
                // The next request to a deleted org finds no membership.
                Err(CommitError::Broken(Invariant::OrgExists)) if scope.org() == scope.home() => {
                    return Err(Error::unauthenticated("Unauthorized"));
                }
                Err(CommitError::Broken(invariant)) => return Err(Error::from_invariant(invariant)),
                Err(CommitError::Repeated) => {
                    return self.replayed(scope).await?.ok_or_else(|| Error::internal("a replay vanished"));
                }
                Err(CommitError::Failed(error)) => return Err(error),
            }
        }
        Err(Error::new(ErrorKind::Overloaded, "Too many changes of the same at once, try again"))
    }

    /// Decides a command, and writes nothing.
    pub async fn rehearse<'s, O, F, D>(&self, scope: &'s Scope, decide: F) -> Result<O>
    where
        F: FnOnce(Unit<'s>) -> D,
        D: Future<Output = Result<Decided<'s, O>>>,
    {
        Ok(decide(Unit::new(scope, self.store.clone(), Loaded::default())).await?.outcome)
    }

    async fn replayed<O: DeserializeOwned>(&self, scope: &Scope) -> Result<Option<O>> {
        let outcome = self.find_replay(scope).await?.and_then(|replay| replay.outcome);
        outcome.map(|outcome| serde_json::from_str(&outcome).map_err(Error::internal)).transpose()
    }

    async fn find_replay(&self, scope: &Scope) -> Result<Option<Replay>> {
        let Some(IdempotencyKey { key, request_hash }) = &scope.request().idempotency else {
            return Ok(None);
        };
        let replay = self.store.replay(scope, key).await?;
        if replay.as_ref().is_some_and(|replay| replay.request_hash != *request_hash) {
            let message = "Idempotency-Key was used before for a different request";
            return Err(Error::new(ErrorKind::Contradictory, message));
        }
        Ok(replay)
    }

    /// The response that was given to a request when it came before.
    pub async fn repeated_response(&self, scope: &Scope) -> Result<Option<KeptResponse>> {
        Ok(self.find_replay(scope).await?.and_then(|replay| replay.response))
    }

    /// Keeps the response to a request, should the request come again.
    pub async fn keep_response(&self, scope: &Scope, response: &KeptResponse) -> Result<()> {
        match &scope.request().idempotency {
            Some(key) => self.store.keep_response(scope, key, response).await,
            None => Ok(()),
        }
    }
}
