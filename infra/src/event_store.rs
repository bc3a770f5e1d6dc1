//! The log in PostgreSQL.
//!
//! [`lane`] queues the commits of one org that arrive during a flight, [`flight`] writes them in one pipelined
//! transaction (a group commit), and this module connects both to the cache of stream states and to listeners.

mod append;
mod bulk;
mod flight;
mod head;
pub(crate) mod lane;
mod pending;
mod prepared;
mod statements;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use kymograph_app::account::housekeeping::TidyOrg;
use kymograph_app::kernel::by_key::ByOrg;
use kymograph_app::kernel::cache::{MAX_AGE, ReadCache};
use kymograph_app::kernel::change::ChangeListener;
use kymograph_app::kernel::clock::Clock;
use kymograph_app::kernel::event_store::{
    Append, Commit, CommitError, Committed, EndsAhead, EventStore, KeptResponse, Queued, Replay, StreamState,
};
use kymograph_app::kernel::feed_health::FeedHealth;
use kymograph_app::kernel::job::JobWriter;
use kymograph_app::kernel::scope::IdempotencyKey;
use kymograph_app::{Error, Result, Scope};
use kymograph_domain::{OrgId, StreamId};
use kymograph_projections::kernel::database::{Params, WAIT_FOR_CONNECTION, share_of};
use kymograph_projections::{Database, Projector};
use tokio::sync::{Semaphore, oneshot};
use tokio_postgres::Row;

use crate::change_feed::ChangeFeed;
use crate::health::WriteHealth;
use crate::metrics::{FlightMetrics, Outcome};
use crate::pipeline::PipelinePool;
use head::Heads;
use lane::{CommitBudgets, Commits, Loads};
use pending::{PendingEnd, PendingEnds};
use prepared::Prepared;
use statements::FORGET_ANSWERS;

pub use append::{AppendStatement, Payload, PlacedEvent, StreamAppend, append_statements, checksum};
pub use bulk::{BulkAppend, BulkEvent, NewStream};
pub use statements::{MOVE_HEAD, READ_HEAD};

/// The log in PostgreSQL.
pub struct PgEventStore {
    inner: Arc<Inner>,
}

/// The state shared with writing tasks.
struct Inner {
    database: Database,
    pipelines: PipelinePool,
    clock: Arc<dyn Clock>,
    jobs: Arc<dyn JobWriter>,
    projectors: Vec<Box<dyn Projector>>,
    listeners: Vec<Arc<dyn ChangeListener>>,
    feed: ChangeFeed,
    streams: Arc<StreamCache>,
    metrics: FlightMetrics,
    health: Arc<WriteHealth>,
    heads: Heads,
    commits: Commits,
    loads: Loads,
    budgets: CommitBudgets,
    /// Limits concurrent commits across orgs.
    across_orgs: Semaphore,
    /// Limits those of one org.
    across_by_org: ByOrg<Semaphore>,
    share_across: usize,
}

/// The cached states of streams, by org and stream.
pub type StreamCache = ReadCache<(OrgId, StreamId), StreamState>;

/// A cache of stream states that this feed invalidates.
#[must_use]
pub fn stream_cache(feed: &Arc<FeedHealth>) -> StreamCache {
    let weigh = |(_, stream): &(OrgId, StreamId), end: &StreamState| {
        u32::try_from(stream.as_str().len() + end.state.len() + 200).unwrap_or(u32::MAX)
    };
    ReadCache::with_weight_for(32 * 1024 * 1024, MAX_AGE, weigh)
        .while_live(feed)
        .dropped_by_streams(|org, stream| Some((org, stream.clone())))
}

/// The parts of [`PgEventStore`].
pub struct EventStoreParts {
    /// The database, to read from.
    pub database: Database,
    /// The database, to write to.
    pub pipelines: PipelinePool,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Starts jobs that delete expired responses.
    pub jobs: Arc<dyn JobWriter>,
    /// The inline projectors.
    pub projectors: Vec<Box<dyn Projector>>,
    /// Listeners that are notified of this server's commits before these are acknowledged.
    pub listeners: Vec<Arc<dyn ChangeListener>>,
    /// Notifies other servers after commits are acknowledged.
    pub feed: ChangeFeed,
    /// The cache of stream states. It must be invalidated by other servers' commits, but not by this one's.
    pub streams: Arc<StreamCache>,
    /// Counts commits.
    pub metrics: FlightMetrics,
    /// Records whether the database accepts writes.
    pub health: Arc<WriteHealth>,
}

impl PgEventStore {
    /// A store of these parts.
    #[must_use]
    pub fn new(parts: EventStoreParts) -> Self {
        let EventStoreParts {
            database,
            pipelines,
            clock,
            jobs,
            projectors,
            listeners,
            feed,
            streams,
            metrics,
            health,
        } = parts;
        let share_across = share_of(pipelines.usage().max);
        let across_orgs = Semaphore::new(share_across);
        Self {
            inner: Arc::new(Inner {
                database,
                pipelines,
                clock,
                jobs,
                projectors,
                listeners,
                feed,
                streams,
                metrics,
                health,
                heads: Heads::default(),
                commits: Commits::default(),
                loads: Loads::default(),
                budgets: CommitBudgets::default(),
                across_orgs,
                across_by_org: ByOrg::default(),
                share_across,
            }),
        }
    }
}

#[async_trait]
impl EventStore for PgEventStore {
    fn forget(&self, streams: &[(OrgId, StreamId)]) {
        streams.iter().for_each(|key| self.inner.streams.invalidate(key));
    }

    async fn load(&self, org: OrgId, streams: &[StreamId]) -> Result<Vec<Option<StreamState>>> {
        let store = &self.inner;
        if let [stream] = streams {
            let key = (org, stream.clone());
            return Ok(vec![store.streams.get_or_fetch(&key, lane::load(store, org, stream)).await?]);
        }
        store.fetch_streams(org, streams, MAX_LOADED_BYTES).await
    }

    async fn load_ahead(&self, org: OrgId, streams: &[StreamId]) -> Result<EndsAhead> {
        let look = |ends: &mut PendingEnds| streams.iter().map(|stream| ends.get(stream)).collect();
        let pending: Vec<Option<PendingEnd>> = self.inner.commits.known(org, look).unwrap_or_default();
        let known = || pending.iter().flatten();
        let bytes: usize = known().map(|pending| pending.end.state.len()).sum();
        let room = MAX_LOADED_BYTES.checked_sub(bytes).filter(|_| known().next().is_some());
        let Some(room) = room else {
            // A load that is too large is not speculative: it waits until the commits are written.
            for pending in known() {
                pending.fate.settled().await;
            }
            return Ok(EndsAhead { ends: self.load(org, streams).await?, fates: Vec::new() });
        };
        let others = streams.iter().zip(&pending).filter(|(_, pending)| pending.is_none());
        let others: Vec<_> = others.map(|(stream, _)| stream.clone()).collect();
        let stored = match others.as_slice() {
            [] => Vec::new(),
            others => self.inner.fetch_streams(org, others, room).await?,
        };
        let mut stored = stored.into_iter();
        let mut ahead = EndsAhead::default();
        for pending in pending {
            match pending {
                Some(PendingEnd { end, fate }) => {
                    ahead.ends.push(Some(end));
                    ahead.fates.push(fate);
                }
                None => ahead.ends.push(stored.next().flatten()),
            }
        }
        Ok(ahead)
    }

    fn queue(&self, scope: &Scope, commit: Commit) -> Result<Queued, CommitError> {
        let queued = self.inner.queue(scope, commit);
        if let Err(CommitError::Conflict) = queued {
            self.inner.metrics.count(Outcome::Conflict);
        }
        queued
    }

    async fn replay(&self, scope: &Scope, key: &str) -> Result<Option<Replay>> {
        let sql = "SELECT request_hash, outcome, status, response FROM idempotency
            WHERE org_id = $1 AND key = $2 AND expires_at > $3";
        let (org, now) = (scope.home(), self.inner.clock.now().date());
        let Some(row) = self.inner.database.read_one(org, sql, &[&org.0, &key, &now]).await? else {
            return Ok(None);
        };
        let request_hash = row.get::<_, &[u8]>("request_hash").try_into().map_err(Error::internal)?;
        let response = match (row.get::<_, Option<i32>>("status"), row.get("response")) {
            (Some(status), Some(body)) => {
                Some(KeptResponse { status: status.try_into().map_err(Error::internal)?, body })
            }
            _ => None,
        };
        Ok(Some(Replay { request_hash, outcome: row.get("outcome"), response }))
    }

    async fn keep_response(
        &self,
        scope: &Scope,
        key: &IdempotencyKey,
        response: &KeptResponse,
    ) -> Result<()> {
        let sql = "INSERT INTO idempotency (org_id, key, request_hash, status, response, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT (org_id, key) DO UPDATE SET status = excluded.status, response = excluded.response
                WHERE idempotency.request_hash = excluded.request_hash AND idempotency.response IS NULL
            RETURNING outcome IS NULL";
        let org = scope.home();
        let expires = self.inner.clock.now().plus_seconds(KEEP_ANSWER_SECONDS).date();
        let (hash, status) = (key.request_hash.as_slice(), i32::from(response.status));
        let params: Params<'_> = &[&org.0, &key.key, &hash, &status, &response.body, &expires];
        let kept = self.inner.database.write(org, sql, params).await?;
        // The commit that stored the outcome has done so already.
        if kept.first().is_some_and(|row| row.get(0)) {
            let turn = if scope.belongs_to_home() { org } else { OrgId::SERVER };
            self.inner.jobs.write_alone(TidyOrg::of_answers(org, turn)?).await?;
        }
        Ok(())
    }

    async fn forget_answers(&self, scope: &Scope) -> Result<bool> {
        let (org, now) = (scope.org(), self.inner.clock.now().date());
        let database = self.inner.database.in_background();
        database.write(org, FORGET_ANSWERS, &[&org.0, &now]).await?;
        let sql = "SELECT FROM idempotency WHERE org_id = $1 LIMIT 1";
        Ok(database.read_one(org, sql, &[&org.0]).await?.is_some())
    }
}

/// The limit of the states that a command loads, in bytes. They are in memory several times until the commit.
pub(crate) const MAX_LOADED_BYTES: usize = 8 * 1024 * 1024;

/// The retention of a stored response, in seconds.
const KEEP_ANSWER_SECONDS: i64 = 24 * 60 * 60;

impl Inner {
    fn queue(self: &Arc<Self>, scope: &Scope, commit: Commit) -> Result<Queued, CommitError> {
        if let Some(Append { org, .. }) = commit.appends.first()
            && self.commits.known(*org, |ends| ends.admit(*org, &commit.appends, &commit.grounds))
                == Some(false)
        {
            // Checked before the payloads are built, and again when it joins the lane.
            return Err(CommitError::Conflict);
        }
        let charge = |bytes| self.budgets.charge(scope.org(), bytes);
        // The payloads are built only if there is room for the states, which are in memory already.
        let of_states = charge(commit.appends.iter().map(|append| append.state.len()).sum())?;
        let mut prepared = Prepared::try_new(scope, commit)?;
        drop(of_states);
        prepared.charge = Some(charge(prepared.size())?);
        let is_ground = prepared.is_ground();
        let (reply, answer) = oneshot::channel();
        // From here on the work is a separate task: aborting the request does not cancel it.
        match prepared.single_org() {
            // The lane orders it after the commits that it was decided on, if they are in the same lane.
            Some(org) if prepared.grounds.iter().all(|ground| ground.org() == org) => {
                lane::commit(self, org, prepared, reply)?;
                Ok(Queued { answer, is_ground })
            }
            _ => {
                let store = self.clone();
                tokio::spawn(async move {
                    let result = store.commit_across_orgs(prepared).await;
                    // An aborted request has no receiver.
                    drop(reply.send(result));
                });
                Ok(Queued { answer, is_ground: false })
            }
        }
    }

    /// Reads the states of streams, in the given order, if they have at most this many bytes together.
    async fn fetch_streams(
        &self,
        org: OrgId,
        streams: &[StreamId],
        max_bytes: usize,
    ) -> Result<Vec<Option<StreamState>>> {
        let names: Vec<_> = streams.iter().map(StreamId::as_str).collect();
        let max_bytes = i64::try_from(max_bytes).unwrap_or(i64::MAX);
        let sql = "SELECT stream_id, version,
                CASE WHEN sum(octet_length(state)) OVER () <= $3 THEN state END AS state
            FROM streams WHERE org_id = $1 AND stream_id = ANY ($2)";
        let rows = self.database.read(org, sql, &[&org.0, &names, &max_bytes]).await?;
        if rows.iter().any(|row| row.get::<_, Option<&str>>("state").is_none()) {
            return Err(lane::too_large());
        }
        let end = |row: &Row| {
            let state = row.get::<_, &str>("state").into();
            (row.get("stream_id"), StreamState { version: row.get("version"), state })
        };
        let found: HashMap<String, StreamState> = rows.iter().map(end).collect();
        Ok(names.into_iter().map(|name| found.get(name).cloned()).collect())
    }

    /// Commits on the logs of several orgs. They are rare, so they are not grouped. They have half of the connections
    /// that write, and an org half of those, because no lane limits how many of them run concurrently.
    async fn commit_across_orgs(&self, prepared: Prepared) -> Result<Committed, CommitError> {
        for ground in &prepared.grounds {
            ground.settled().await;
        }
        let org = prepared.orgs().into_iter().find(|org| *org != OrgId::SERVER).unwrap_or(OrgId::SERVER);
        let of_org = self.across_by_org.get_or(org, || Semaphore::new(share_of(self.share_across)));
        let turn = async { (of_org.acquire().await, self.across_orgs.acquire().await) };
        let Ok((Ok(_of_org), Ok(_turn))) = tokio::time::timeout(WAIT_FOR_CONNECTION, turn).await else {
            return Err(CommitError::Failed(lane::too_many()));
        };
        let mut batch = vec![prepared];
        let mut results = flight::fly(self, &mut batch).await;
        let result = results.pop().unwrap_or_else(|| Err(CommitError::Failed(Error::internal("no result"))));
        self.landed(&batch, std::slice::from_ref(&result));
        result
    }

    /// Updates the cache after a flight, before its commits are acknowledged.
    fn landed(&self, batch: &[Prepared], results: &[Result<Committed, CommitError>]) {
        let results = || batch.iter().zip(results);
        // Some commits on a stream may have failed: the state is that of the last one written.
        for (prepared, _) in results().filter(|(_, result)| result.is_err()) {
            self.forget_ends(prepared);
        }
        for (prepared, _) in results().filter(|(_, result)| result.is_ok()) {
            for append in &prepared.appends {
                self.streams.replace(&(append.org, append.stream_id.clone()), append.end());
            }
            let orgs: BTreeSet<_> = prepared.appends.iter().map(|append| append.org).collect();
            for org in orgs {
                let streams: Vec<_> = prepared.streams_of(org).cloned().collect();
                self.listeners.iter().for_each(|listener| listener.streams_changed(org, &streams));
                self.feed.publish(org, streams);
            }
        }
        results().for_each(|(prepared, result)| prepared.verdict.tell(result.is_ok()));
    }

    fn forget_ends(&self, prepared: &Prepared) {
        for append in &prepared.appends {
            self.streams.invalidate(&(append.org, append.stream_id.clone()));
        }
    }
}
