//! A unit of work: the aggregates that one use case loads, and its decisions before they are committed.

use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cqrs_es::event_sink::EventSink;
use kymograph_domain::{OrgId, StoredEvent, Stream, StreamId};
use tokio::sync::OnceCell;

use crate::kernel::error::{Error, Result, overload};
use crate::kernel::event_store::{Append, EndsAhead, EventStore, Fate, StreamState};
use crate::kernel::job::{JobWriter, NewJob};
use crate::kernel::scope::{AcrossOrgs, Scope};
use crate::kernel::secret::{SecretWrite, Secrets};
use crate::kernel::side_write::SideWrite;
use crate::kernel::work::{Admission, Admissions, MAX_WAIT};

/// A loaded aggregate, with the events decided since.
pub struct Entity<A: Stream> {
    org: OrgId,
    stream_id: StreamId,
    version: i64,
    state: A,
    events: Vec<A::Event>,
}

impl<A: Stream> Entity<A> {
    fn from_stored(org: OrgId, stream_id: StreamId, stored: Option<StreamState>) -> Result<Self> {
        let (version, state) = match stored {
            Some(stored) => (stored.version, serde_json::from_str(&stored.state).map_err(Error::internal)?),
            None => (0, A::default()),
        };
        Ok(Self { org, stream_id, version, state, events: Vec::new() })
    }

    /// The number of its events, including those decided since it was loaded.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.version + i64::try_from(self.events.len()).unwrap_or_default()
    }

    /// Runs a command on the aggregate. Its events are kept until the entity is recorded.
    pub async fn tell(&mut self, command: A::Command) -> Result<()> {
        let sink = EventSink::default();
        self.state.handle(command, &(), &sink).await?;
        self.events.extend(sink.collect().await);
        Ok(())
    }
}

impl<A: Stream> Deref for Entity<A> {
    type Target = A;

    fn deref(&self) -> &A {
        &self.state
    }
}

/// The decision of a use case: its unit of work and its outcome.
pub struct Decided<'s, O> {
    pub(crate) unit: Unit<'s>,
    pub(crate) outcome: O,
}

/// The stores that units of work load from, with the limit on their memory.
pub(crate) struct Stores {
    pub(crate) events: Arc<dyn EventStore>,
    pub(crate) secrets: Arc<dyn Secrets>,
    pub(crate) jobs: Arc<dyn JobWriter>,
    /// The limit on commands that load many aggregates, because they hold much memory until they are decided.
    pub(crate) bulk: Admissions,
}

/// The maximum number of aggregates that a command loads at once without an admission.
pub(crate) const MANY: usize = 32;
/// The maximum number of concurrent commands that hold more than [`MANY`] aggregates, of all orgs and of one.
pub(crate) const MAX_BULK: usize = 4;
pub(crate) const MAX_BULK_OF_ORG: usize = 1;
/// The maximum number of commands of an org that wait for that. An undo of a large request holds all its events while
/// it waits.
pub(crate) const MAX_WAITING_BULK_OF_ORG: usize = 16;

impl Stores {
    pub(crate) fn new(
        events: Arc<dyn EventStore>,
        secrets: Arc<dyn Secrets>,
        jobs: Arc<dyn JobWriter>,
    ) -> Self {
        let refusal = (overload::COMMANDS, "Too many commands on many objects at once, try again shortly");
        let bulk = Admissions::new(MAX_BULK, MAX_BULK_OF_ORG, refusal).with_waiting(MAX_WAITING_BULK_OF_ORG);
        Self { events, secrets, jobs, bulk }
    }
}

/// Collects the writes of a use case.
pub struct Unit<'s> {
    scope: &'s Scope,
    stores: Arc<Stores>,
    pub(crate) appends: Vec<Append>,
    pub(crate) premises: Vec<SideWrite>,
    pub(crate) writes: Vec<SideWrite>,
    /// Whether a job that is due at once is written.
    pub(crate) wakes_workers: bool,
    loaded: Loaded,
    /// The admission to hold many aggregates.
    admission: OnceCell<Admission>,
}

/// Notes the streams and pending commits that a decision is based on.
#[derive(Clone, Default)]
pub(crate) struct Loaded {
    noted: Arc<Mutex<Noted>>,
    /// Whether it is based on the state after the pending commits.
    is_ahead: bool,
}

/// The basis of a decision.
#[derive(Default)]
pub(crate) struct Noted {
    /// The streams.
    pub(crate) streams: Vec<(OrgId, StreamId)>,
    /// The fates of the commits that were still pending.
    pub(crate) fates: Vec<Fate>,
}

impl Loaded {
    /// An empty basis, of a decision on the state after the pending commits if `is_ahead`.
    pub(crate) fn new(is_ahead: bool) -> Self {
        Self { noted: Arc::default(), is_ahead }
    }

    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, org: OrgId, streams: &[StreamId]) {
        self.lock().streams.extend(streams.iter().map(|stream| (org, stream.clone())));
    }

    fn note_fates(&self, fates: Vec<Fate>) {
        let noted = &mut self.lock().fates;
        for fate in fates {
            if !noted.iter().any(|other| other.is_same(&fate)) {
                noted.push(fate);
            }
        }
    }

    /// Takes all notes.
    pub(crate) fn take(&self) -> Noted {
        std::mem::take(&mut self.lock())
    }

    /// The fates of the commits that were still pending.
    pub(crate) fn fates(&self) -> Vec<Fate> {
        self.lock().fates.clone()
    }
}

impl<'s> Unit<'s> {
    pub(crate) fn new(scope: &'s Scope, stores: Arc<Stores>, loaded: Loaded) -> Self {
        let (appends, premises, writes, wakes_workers) = (Vec::new(), Vec::new(), Vec::new(), false);
        let admission = OnceCell::new();
        Self { scope, stores, appends, premises, writes, wakes_workers, loaded, admission }
    }

    /// Loads an aggregate of the scope's org; one that never existed has the default state.
    pub async fn load<A: Stream>(&self, key: &A::Key) -> Result<Entity<A>> {
        self.load_from(self.scope.org(), key).await
    }

    /// Loads an aggregate that belongs to no org, such as a user.
    pub async fn load_from_server<A: Stream>(&self, key: &A::Key) -> Result<Entity<A>> {
        self.load_from(OrgId::SERVER, key).await
    }

    /// Loads an aggregate of any org.
    pub async fn load_across<A: Stream>(&self, _: AcrossOrgs, org: OrgId, key: &A::Key) -> Result<Entity<A>> {
        self.load_from(org, key).await
    }

    /// Loads an aggregate of the org of another scope of the actor.
    pub async fn load_in<A: Stream>(&self, scope: &Scope, key: &A::Key) -> Result<Entity<A>> {
        self.load_from(scope.org(), key).await
    }

    /// Loads many aggregates of the scope's org at once.
    pub async fn load_many<A: Stream>(&self, keys: &[&A::Key]) -> Result<Vec<Entity<A>>> {
        self.load_many_in(self.scope, keys).await
    }

    /// Loads many aggregates of the org of another scope of the actor at once.
    pub async fn load_many_in<A: Stream>(&self, scope: &Scope, keys: &[&A::Key]) -> Result<Vec<Entity<A>>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let org = scope.org();
        let streams: Vec<_> = keys.iter().map(|key| A::stream_id(key)).collect();
        let stored = self.load_ends(org, &streams).await?;
        streams
            .into_iter()
            .zip(stored)
            .map(|(stream, stored)| Entity::from_stored(org, stream, stored))
            .collect()
    }

    /// Loads aggregates of the scope's org by the names of their streams.
    pub async fn load_streams<A: Stream>(&self, streams: &[StreamId]) -> Result<Vec<Entity<A>>> {
        let org = self.scope.org();
        let stored = self.load_ends(org, streams).await?;
        let entities = streams.iter().cloned().zip(stored);
        entities.map(|(stream, stored)| Entity::from_stored(org, stream, stored)).collect()
    }

    /// Whether the unit already writes decisions on a stream of a scope's org.
    pub(crate) fn has(&self, scope: &Scope, stream: &StreamId) -> bool {
        self.appends.iter().any(|append| append.org == scope.org() && append.stream_id == *stream)
    }

    /// Loads an aggregate of the scope's org by the name of its stream.
    pub async fn load_stream<A: Stream>(&self, stream_id: &StreamId) -> Result<Entity<A>> {
        self.load_stream_from(self.scope.org(), stream_id.clone()).await
    }

    async fn load_from<A: Stream>(&self, org: OrgId, key: &A::Key) -> Result<Entity<A>> {
        self.load_stream_from(org, A::stream_id(key)).await
    }

    async fn load_stream_from<A: Stream>(&self, org: OrgId, stream_id: StreamId) -> Result<Entity<A>> {
        let stored = self.load_ends(org, std::slice::from_ref(&stream_id)).await?.pop().flatten();
        Entity::from_stored(org, stream_id, stored)
    }

    async fn load_ends(&self, org: OrgId, streams: &[StreamId]) -> Result<Vec<Option<StreamState>>> {
        if streams.len() > MANY {
            self.admission.get_or_try_init(|| self.stores.bulk.admit(self.scope.org(), MAX_WAIT)).await?;
        }
        self.loaded.note(org, streams);
        if !self.loaded.is_ahead {
            return self.stores.events.load(org, streams).await;
        }
        let EndsAhead { ends, fates } = self.stores.events.load_ahead(org, streams).await?;
        self.loaded.note_fates(fates);
        Ok(ends)
    }

    /// Whether an aggregate with this stream exists or existed, in the scope's org or on the server.
    pub(crate) async fn is_known(&self, stream: &StreamId) -> Result<bool> {
        for org in [self.scope.org(), OrgId::SERVER] {
            if self.stores.events.load(org, std::slice::from_ref(stream)).await?.iter().any(Option::is_some) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Adds the decisions of an aggregate to the commit. An aggregate without any is skipped.
    pub fn record<A: Stream>(&mut self, entity: Entity<A>) -> Result<()> {
        if entity.events.is_empty() {
            return Ok(());
        }
        let events = entity.events.into_iter().map(|event| Box::new(event) as Box<dyn StoredEvent>).collect();
        self.appends.push(Append {
            org: entity.org,
            stream_id: entity.stream_id,
            stream_type: A::TYPE,
            expected_version: entity.version,
            events,
            state: serde_json::to_string(&entity.state).map_err(Error::internal)?.into(),
        });
        Ok(())
    }

    /// Adds a secret, or its deletion, to the commit.
    pub async fn write_secret(&mut self, secret: SecretWrite) -> Result<()> {
        let (secrets, SecretWrite { org, key, value }) = (self.stores.secrets.clone(), secret);
        let write = match value {
            Some(value) => {
                let sealed = secrets.seal(org, &key, &value).await?;
                secrets.keep(org, key, sealed)
            }
            None => secrets.delete(org, key),
        };
        self.write(write);
        Ok(())
    }

    /// Adds the deletion of the secrets whose names begin with a prefix to the commit.
    pub fn delete_secrets_below(&mut self, prefix: String) {
        let write = self.stores.secrets.delete_below(self.scope.org(), prefix);
        self.write(write);
    }

    /// Adds the deletion of all secrets of the scope's org, which ends, to the commit.
    pub fn delete_secrets(&mut self) {
        self.stores
            .secrets
            .delete_all(self.scope.org())
            .into_iter()
            .for_each(|write| self.writes.push(write));
    }

    /// Adds a job to the commit, to be run after it.
    pub fn start_job(&mut self, job: NewJob) {
        self.wakes_workers |= job.delay.is_zero();
        let write = self.stores.jobs.write(job);
        self.write(write);
    }

    /// Adds the deletion of all jobs of the scope's org, which ends, to the commit.
    pub fn delete_jobs(&mut self) {
        let write = self.stores.jobs.delete_all(self.scope.org());
        self.write(write);
    }

    /// Adds a slice's own statement to the commit.
    pub fn write(&mut self, write: SideWrite) {
        self.writes.push(write);
    }

    /// Makes the commit depend on a check in the scope's org.
    pub(crate) fn rest_on(&mut self, premise: SideWrite) {
        if !self.premises.contains(&premise) {
            self.premises.push(premise);
        }
    }

    /// Ends the unit with the outcome of the use case.
    #[must_use]
    pub fn decided<O>(self, outcome: O) -> Decided<'s, O> {
        Decided { unit: self, outcome }
    }
}
