//! A unit of work: what one use case loads and decides before it is committed.

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

/// An aggregate as it was loaded, with what was decided on it since.
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

    /// How many events it has, those included that were decided since it was loaded.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.version + i64::try_from(self.events.len()).unwrap_or_default()
    }

    /// Tells the aggregate to do something; what it decides is kept until the entity is recorded.
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

/// What a use case decided: its unit of work and what it answers.
pub struct Decided<'s, O> {
    pub(crate) unit: Unit<'s>,
    pub(crate) outcome: O,
}

/// Where units of work load from, and what keeps them apart.
pub(crate) struct Stores {
    pub(crate) events: Arc<dyn EventStore>,
    pub(crate) secrets: Arc<dyn Secrets>,
    pub(crate) jobs: Arc<dyn JobWriter>,
    /// Commands that load many aggregates hold a lot of memory until they are decided.
    pub(crate) bulk: Admissions,
}

/// The most aggregates that a command loads at once without an admission.
pub(crate) const MANY: usize = 32;
/// The most commands of all orgs that hold more than [`MANY`] aggregates at a time, and of one.
pub(crate) const MAX_BULK: usize = 4;
pub(crate) const MAX_BULK_OF_ORG: usize = 1;
/// The most commands of an org that wait for that. One that undoes a large request holds all its events meanwhile.
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

/// Collects what a use case wants written.
pub struct Unit<'s> {
    scope: &'s Scope,
    stores: Arc<Stores>,
    pub(crate) appends: Vec<Append>,
    pub(crate) premises: Vec<SideWrite>,
    pub(crate) writes: Vec<SideWrite>,
    /// Whether a job is written that is due at once.
    pub(crate) wakes_workers: bool,
    loaded: Loaded,
    /// The right to hold many aggregates.
    admission: OnceCell<Admission>,
}

/// Notes what a decision is made on.
#[derive(Clone, Default)]
pub(crate) struct Loaded {
    noted: Arc<Mutex<Noted>>,
    /// Whether it is made on what commits come to that are yet to be written.
    is_ahead: bool,
}

/// The ground of a decision.
#[derive(Default)]
pub(crate) struct Noted {
    /// The streams.
    pub(crate) streams: Vec<(OrgId, StreamId)>,
    /// The fates of the commits that were not written yet.
    pub(crate) fates: Vec<Fate>,
}

impl Loaded {
    /// Nothing yet. The decision is made on what commits come to that are yet to be written, or is not.
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

    /// Takes all that was noted.
    pub(crate) fn take(&self) -> Noted {
        std::mem::take(&mut self.lock())
    }

    /// The fates of the commits that were not written yet.
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

    /// Loads an aggregate of the scope's org; one that never was has the default state.
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

    /// Loads an aggregate of the org of another scope that the actor has.
    pub async fn load_in<A: Stream>(&self, scope: &Scope, key: &A::Key) -> Result<Entity<A>> {
        self.load_from(scope.org(), key).await
    }

    /// Loads many aggregates of the scope's org at once.
    pub async fn load_many<A: Stream>(&self, keys: &[&A::Key]) -> Result<Vec<Entity<A>>> {
        self.load_many_in(self.scope, keys).await
    }

    /// Loads many aggregates of the org of another scope that the actor has at once.
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

    /// Whether decisions on a stream of a scope's org are to be written already.
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

    /// Whether there is, or was, an aggregate with this stream, in the scope's org or on the server.
    pub(crate) async fn is_known(&self, stream: &StreamId) -> Result<bool> {
        for org in [self.scope.org(), OrgId::SERVER] {
            if self.stores.events.load(org, std::slice::from_ref(stream)).await?.iter().any(Option::is_some) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Has the decisions of an aggregate written. An aggregate that decided nothing is left alone.
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

    /// Has a secret kept, or deleted, together with the events.
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

    /// Has all secrets of the scope's org deleted, because it ends.
    pub fn delete_secrets(&mut self) {
        self.stores
            .secrets
            .delete_all(self.scope.org())
            .into_iter()
            .for_each(|write| self.writes.push(write));
    }

    /// Has a job written together with the events, to be done after them.
    pub fn start_job(&mut self, job: NewJob) {
        self.wakes_workers |= job.delay.is_zero();
        let write = self.stores.jobs.write(job);
        self.write(write);
    }

    /// Has all jobs of the scope's org deleted, because it ends.
    pub fn delete_jobs(&mut self) {
        let write = self.stores.jobs.delete_all(self.scope.org());
        self.write(write);
    }

    /// Has something of a slice's own written together with the events.
    pub fn write(&mut self, write: SideWrite) {
        self.writes.push(write);
    }

    /// Has it written only if something else in the scope's org still holds.
    pub(crate) fn rest_on(&mut self, premise: SideWrite) {
        if !self.premises.contains(&premise) {
            self.premises.push(premise);
        }
    }

    /// Ends the unit with what the use case answers.
    #[must_use]
    pub fn decided<O>(self, outcome: O) -> Decided<'s, O> {
        Decided { unit: self, outcome }
    }
}
