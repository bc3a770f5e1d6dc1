//! Querying data sources: queries and expressions over their results, health checks, other requests to sources, and the
//! proxy to their own APIs.

mod answers;
mod audit;
mod circuit;
mod flight;
mod request;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::stream::{StreamExt, iter};
use kymograph_domain::source::expression::{Plan, PlannedQuery};
use kymograph_domain::{OrgId, UserId};
use moka::sync::Cache;
use serde_json::{Map, Value};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::Instrument;

use crate::kernel::by_key::ByKey;
use crate::kernel::clock::Clock;
use crate::kernel::error::{Error, Result, overload};
use crate::kernel::work::{Admission, Admissions, MAX_WAIT};
use crate::source::backend::{
    Backend, Header, Health, Query, QueryError, ResourceRequest, ResourceResponse, SourceContext,
    SourceProxy, SourceSettings, SourceUser, all_failed,
};
use crate::source::data_source::{DataSourceKey, DataSourceReader, DataSourceView, DataSources};
use crate::source::observer::{CallKind, CallObserver, RunningCall};
use crate::source::room::{AnswerRoom, AnswerRooms};
use crate::{Permission, Scope, TRACE_TARGET, Workers};
use circuit::{Circuits, Entered};
use flight::{Answered, Flights};
use request::{Parsed, parse};

pub use answers::{QueryAnswers, WrittenAnswers};
pub use audit::QueryAudit;
pub(crate) use circuit::MAX_CALLS_OF_SOURCE;
pub use request::MAX_QUERIES;

/// The maximum number of sources that a request queries concurrently.
const CONCURRENT_SOURCES: usize = 10;
/// The maximum number of concurrent calls of sources, in total and of one org. A call that waits for its source takes
/// few resources.
pub(crate) const MAX_CALLS: usize = 512;
pub(crate) const MAX_CALLS_OF_ORG: usize = 16;
/// The maximum number of concurrent requests of a user to sources, other than queries.
pub const MAX_REQUESTS_OF_USER: usize = 4;
/// The maximum number of running and waiting calls of an org.
pub(crate) const MAX_WAITING_OF_ORG: usize = 512;
/// The maximum size of the cached settings of sources in bytes, and how long they are cached.
pub(crate) const MAX_OPENED_BYTES: usize = 16 * 1024 * 1024;
const OPENED_FOR: Duration = Duration::from_secs(600);
const TOO_MANY: overload::Refusal =
    (overload::QUERIES, "Too many queries to data sources at once, try again shortly");

/// Queries as a client sends them.
#[derive(Clone, Debug, Default)]
pub struct NewQueries {
    /// The start of the time range: milliseconds, or date math.
    pub from: Value,
    /// The end of the time range.
    pub to: Value,
    /// The queries.
    pub queries: Vec<Map<String, Value>>,
    /// Headers of the request that may be forwarded to sources.
    pub headers: Vec<Header>,
}

/// The reason why a source was not queried, or failed.
#[derive(Clone, Debug)]
pub enum AskError {
    /// The actor may not query it, or the server is overloaded.
    Refused(Error),
    /// It failed, or its settings are wrong.
    Failed(QueryError),
}

impl From<Error> for AskError {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<QueryError> for AskError {
    fn from(error: QueryError) -> Self {
        Self::Failed(error)
    }
}

/// A call of a source, with its slot in the limits.
struct SourceCall {
    context: SourceContext,
    entered: Entered,
    admission: Admission,
    /// The user's slot, if the client decides how long the call takes.
    of_user: Option<OwnedSemaphorePermit>,
    running: RunningCall,
}

impl SourceCall {
    /// Records the outcome of the call. A response keeps its slot until its body was read.
    fn ended(self, answered: Result<ResourceResponse, QueryError>) -> Result<ResourceResponse, QueryError> {
        self.entered.note_request(answered.as_ref().err());
        self.running.finish(answered.as_ref().map_or_else(|error| error.status, |response| response.status));
        let ResourceResponse { status, headers, body } = answered?;
        let place = (self.entered, self.admission, self.of_user);
        let body = body.inspect(move |_| {
            let _ = &place;
        });
        Ok(ResourceResponse { status, headers, body: body.boxed() })
    }
}

/// The backends by type of data source.
#[derive(Clone, Default)]
pub struct Backends(HashMap<&'static str, Arc<dyn Backend>>);

impl Backends {
    /// Adds the backend of some types.
    #[must_use]
    pub fn with(mut self, types: &[&'static str], backend: &Arc<dyn Backend>) -> Self {
        self.0.extend(types.iter().map(|kind| (*kind, backend.clone())));
        self
    }

    /// The type of a source, one of a fixed list.
    fn type_of(&self, source: &SourceSettings) -> &'static str {
        self.0.get_key_value(source.content.kind.as_str()).map_or("other", |(kind, _)| kind)
    }

    fn of(&self, source: &SourceSettings) -> Result<Arc<dyn Backend>, QueryError> {
        self.0.get(source.content.kind.as_str()).cloned().ok_or_else(|| {
            let (name, kind) = (&source.content.name, &source.content.kind);
            let mut served: Vec<_> = self.0.keys().copied().collect();
            served.sort_unstable();
            let served = served.join(", ");
            QueryError::invalid(format!(
                "{name}: no backend serves data sources of the type {kind} yet; there are {served}"
            ))
        })
    }
}

/// The ports of [`Queries`].
pub struct QueryPorts {
    /// Decides who may query.
    pub data_sources: Arc<DataSources>,
    /// Reads secrets.
    pub reader: Arc<dyn DataSourceReader>,
    /// Answers queries.
    pub backends: Backends,
    /// Forwards requests.
    pub proxy: Arc<dyn SourceProxy>,
    /// Runs expensive work.
    pub workers: Workers,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// The maximum size of a source's response, in bytes.
    pub max_bytes: usize,
    /// Whether the caller is disclosed to sources.
    pub tells_user: bool,
    /// Records queries in the audit log.
    pub audit: QueryAudit,
    /// Observes the calls.
    pub observer: Arc<dyn CallObserver>,
}

/// The use cases of querying data sources.
pub struct Queries {
    ports: QueryPorts,
    opened: Cache<(OrgId, i64, i64), Arc<SourceSettings>>,
    calls: Arc<Admissions>,
    circuits: Circuits,
    requests: ByKey<(OrgId, UserId), Semaphore>,
    flights: Flights,
    rooms: Arc<AnswerRooms>,
}

impl Queries {
    /// The use cases on these ports.
    #[must_use]
    pub fn new(ports: QueryPorts) -> Self {
        let calls = Admissions::new(MAX_CALLS, MAX_CALLS_OF_ORG, TOO_MANY).with_waiting(MAX_WAITING_OF_ORG);
        Self {
            ports,
            opened: Cache::builder()
                .max_capacity(MAX_OPENED_BYTES as u64)
                .weigher(|_, source: &Arc<SourceSettings>| source.weight())
                .time_to_live(OPENED_FOR)
                .build(),
            calls: Arc::new(calls),
            circuits: Circuits::default(),
            requests: ByKey::default(),
            flights: Flights::default(),
            rooms: Arc::default(),
        }
    }

    /// Answers queries, each by its `refId`. Different sources are queried concurrently, and expressions are evaluated
    /// on their results.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn query_metrics(&self, scope: &Scope, mut new: NewQueries) -> Result<QueryAnswers> {
        let headers = std::mem::take(&mut new.headers);
        let parsed = parse(new, self.ports.clock.now())?;
        let planned: Vec<_> = parsed.iter().map(planned_query).collect();
        let plan = Plan::parse(&planned).map_err(|error| Error::invalid(error.to_string()))?;
        drop(planned);
        let mut groups: BTreeMap<String, (DataSourceView, Vec<Query>)> = BTreeMap::new();
        for Parsed { source, query } in parsed {
            let Some(source) = source else { continue };
            let known = groups.values_mut().find(|(view, _)| source.names(view));
            if let Some((_, queries)) = known {
                queries.push(query);
                continue;
            }
            let view = self.find(scope, source.key()).await?;
            groups.entry(view.uid.to_string()).or_insert_with(|| (view, Vec::new())).1.push(query);
        }
        for (view, queries) in groups.values() {
            self.ports.audit.queried(scope, view.uid.as_str(), queries).await?;
        }
        let room = self.rooms.of_request(scope.org());
        let asked =
            groups.into_values().map(|(view, queries)| self.ask(scope, &room, view, queries, &headers));
        let mut answers = iter(asked).buffer_unordered(CONCURRENT_SOURCES);
        let mut asked = Vec::new();
        while let Some(answer) = answers.next().await {
            asked.push(answer?);
        }
        drop(answers);
        // If this request has joined a call of another one, its memory is the largest that can be shared: to wait for a turn of
        // its own could mean to wait for that one.
        let largest = asked.iter().max_by_key(|answered| answered.share.bytes());
        let share = largest.map_or_else(|| room.share(), |answered| answered.share.part());
        QueryAnswers::work_out(asked, plan, share, &self.ports.workers, scope.org()).await
    }

    /// Writes answers with an expected size of `expected` bytes. `write` fails as too large beyond the number of bytes
    /// that it is given, and may be called again with more.
    pub async fn write_answers(
        &self,
        scope: &Scope,
        answers: QueryAnswers,
        expected: usize,
        write: impl Fn(&QueryAnswers, usize) -> Result<Vec<u8>> + Send + Sync + 'static,
    ) -> Result<WrittenAnswers> {
        answers.write(&self.ports.workers, scope.org(), expected, write).await
    }

    /// Whether a source works.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn check_health(
        &self,
        scope: &Scope,
        key: DataSourceKey<'_>,
        headers: Vec<Header>,
    ) -> Result<Health, AskError> {
        let call = self.enter(scope, key, headers, CallKind::Health).await?;
        let backend = self.ports.backends.of(&call.context.source)?;
        let health = backend.check_health(&call.context).await;
        call.running.finish(if health.is_ok { 200 } else { 400 });
        Ok(health)
    }

    /// Sends a request other than a query to a source.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn call_resource(
        &self,
        scope: &Scope,
        key: DataSourceKey<'_>,
        request: ResourceRequest,
    ) -> Result<ResourceResponse, AskError> {
        let call = self.enter(scope, key, request.headers.clone(), CallKind::Resource).await?;
        self.ports.audit.requested(scope, call.context.source.uid.as_str(), &request).await?;
        let backend = self.ports.backends.of(&call.context.source)?;
        let answered = backend.call_resource(&call.context, request).await;
        Ok(call.ended(answered)?)
    }

    /// Forwards a request to the source's own API.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn forward(
        &self,
        scope: &Scope,
        key: DataSourceKey<'_>,
        request: ResourceRequest,
    ) -> Result<ResourceResponse, AskError> {
        let call = self.enter(scope, key, request.headers.clone(), CallKind::Proxy).await?;
        self.ports.audit.requested(scope, call.context.source.uid.as_str(), &request).await?;
        let answered = self.ports.proxy.forward(&call.context, request).await;
        Ok(call.ended(answered)?)
    }

    /// Queries one source. Identical queries of concurrent requests share one call.
    async fn ask(
        &self,
        scope: &Scope,
        room: &Arc<AnswerRoom>,
        view: DataSourceView,
        queries: Vec<Query>,
        headers: &[Header],
    ) -> Result<Arc<Answered>> {
        let context = self.context(scope, room, view, headers.to_vec()).await?;
        let share = context.share.clone();
        let answered = |results| Answered::new(results, share);
        let backend = match self.ports.backends.of(&context.source) {
            Ok(backend) => backend,
            Err(error) => return Ok(Arc::new(answered(all_failed(&queries, &error)))),
        };
        let (circuit, calls) = (self.circuits.of(&context.source), self.calls.clone());
        let (observer, source_type) =
            (self.ports.observer.clone(), self.ports.backends.type_of(&context.source));
        let key = flight::key(&context, &queries);
        let call = async move {
            let entered = match circuit.enter(&context.source.content.name).await {
                Ok(entered) => entered,
                Err(error) => return all_failed(&queries, &error),
            };
            let _admission = match calls.admit(context.source.org, MAX_WAIT).await {
                Ok(admission) => admission,
                Err(error) => return all_failed(&queries, &error.into()),
            };
            let running = RunningCall::start(observer, source_type, CallKind::Query);
            let span = tracing::trace_span!(
                target: TRACE_TARGET,
                "data source",
                kymograph.data_source.uid = context.source.uid.as_str(),
                kymograph.data_source.type = source_type,
            );
            let answers = backend.query(&context, &queries).instrument(span).await;
            answers.values().for_each(|answer| entered.note(answer.as_ref().err()));
            let failed = answers.values().find_map(|answer| answer.as_ref().err());
            running.finish(failed.map_or(200, |error| error.status));
            answers
        };
        Ok(self.flights.join(key, call.map(answered)).await)
    }

    async fn enter(
        &self,
        scope: &Scope,
        key: DataSourceKey<'_>,
        headers: Vec<Header>,
        kind: CallKind,
    ) -> Result<SourceCall, AskError> {
        let view = self.find(scope, key).await?;
        let room = self.rooms.of_request(scope.org());
        let context = self.context(scope, &room, view, headers).await?;
        let of_user = match kind {
            CallKind::Resource | CallKind::Proxy => Some(self.user_slot(scope).await?),
            CallKind::Query | CallKind::Health => None,
        };
        let entered = self.circuits.of(&context.source).enter(&context.source.content.name).await?;
        let admission = self.calls.admit(scope.org(), MAX_WAIT).await?;
        let source_type = self.ports.backends.type_of(&context.source);
        let running = RunningCall::start(self.ports.observer.clone(), source_type, kind);
        Ok(SourceCall { context, entered, admission, of_user, running })
    }

    /// Waits for a slot among the user's requests other than queries: a slow client must leave slots of a source, and of
    /// the org, to others.
    async fn user_slot(&self, scope: &Scope) -> Result<OwnedSemaphorePermit> {
        let key = (scope.org(), scope.actor().user_id);
        let slots = self.requests.get_or(key, || Semaphore::new(MAX_REQUESTS_OF_USER));
        let slot = tokio::time::timeout(MAX_WAIT, slots.acquire_owned()).await;
        slot.map_err(|_| Error::overloaded(TOO_MANY.0, TOO_MANY.1))?.map_err(Error::internal)
    }

    async fn find(&self, scope: &Scope, key: DataSourceKey<'_>) -> Result<DataSourceView> {
        self.ports.data_sources.find(scope, key, Permission::DATA_SOURCES_QUERY).await
    }

    async fn context(
        &self,
        scope: &Scope,
        room: &Arc<AnswerRoom>,
        view: DataSourceView,
        headers: Vec<Header>,
    ) -> Result<SourceContext> {
        let login = &scope.actor().login;
        let user = self.ports.tells_user.then(|| SourceUser {
            login: login.clone(),
            name: login.clone(),
            email: String::new(),
            role: scope.role(),
        });
        let source = self.open(scope, view).await?;
        let (max_bytes, share) = (self.ports.max_bytes, Arc::new(room.share()));
        Ok(SourceContext { source, user, headers, max_bytes, share })
    }

    /// The settings of a source with its secrets. Every change of them increments the version.
    async fn open(&self, scope: &Scope, view: DataSourceView) -> Result<Arc<SourceSettings>> {
        let key = (scope.org(), view.id, view.version);
        if let Some(opened) = self.opened.get(&key) {
            return Ok(opened);
        }
        let settings = Arc::new(SourceSettings {
            org: scope.org(),
            id: view.id,
            uid: view.uid,
            content: view.content,
            secrets: self.ports.reader.read_secrets(scope, view.id).await?,
            version: view.version,
            updated_ms: view.updated.0 / 1000,
        });
        self.opened.insert(key, settings.clone());
        Ok(settings)
    }
}

fn planned_query(parsed: &Parsed) -> PlannedQuery<'_> {
    let Query { ref_id, model, range, .. } = &parsed.query;
    let (from_ms, to_ms) = (range.from_ms, range.to_ms);
    PlannedQuery { ref_id, model, is_expression: parsed.source.is_none(), from_ms, to_ms }
}
