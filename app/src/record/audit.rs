//! The audit log: who did what to which object, when, from where, with which credentials, and with what outcome.
//!
//! Its entries are the events of an org's log, so none can be missing or differ. Events that belong to no org are in
//! the server's log, which server admins read in the same form.

mod activity;
mod change;
mod cursor;
mod export;
mod filter;
mod slot;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use kymograph_domain::account::access::Outcome;
use kymograph_domain::{OrgId, Timestamp, UserId};
use tokio::sync::OnceCell;

use crate::kernel::clock::Clock;
use crate::kernel::error::{Error, Result};
use crate::kernel::moment::LogReader;
use crate::kernel::server_key::{ServerKey, ServerKeys};
use crate::record::history::{Diff, HistoryReader, MAX_DIFF_BYTES, MAX_LISTED_BYTES, Room};
use crate::{Permission, Scope, Workers};
use change::Changes;
use cursor::{Cursor, Seal};
use slot::ExportSlots;

pub use activity::{Activity, ActivityBucket, Interval};
pub use export::AuditExport;
pub(crate) use export::MAX_BATCH_BYTES;
pub use filter::{ActorFilter, AuditQuery, Excluded};
pub(crate) use filter::{MAX_FILTER_ACTORS, MAX_FILTER_BYTES, MAX_FILTER_VALUES};
pub(crate) use slot::{MAX_EXPORTS, MAX_EXPORTS_OF_ORG};

/// The default number of entries of a page.
pub const DEFAULT_PAGE: i64 = 100;
/// The maximum number of entries of a page.
pub(crate) const MAX_PAGE: i64 = 5000;
/// The maximum number of entries of a page that includes their changes.
const MAX_PAGE_WITH_CHANGES: i64 = 100;

/// An entry, borrowed from the result it was read from.
#[derive(Clone, Debug)]
pub struct AuditRecord<'a> {
    /// Its position in the org's log.
    pub id: i64,
    /// The org.
    pub org: OrgId,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// The action: the stored name of the event.
    pub action: &'a str,
    /// The schema version of the event.
    pub schema_version: i32,
    /// The outcome.
    pub outcome: Outcome,
    /// The actor.
    pub actor: AuditActor<'a>,
    /// The target.
    pub target: AuditTarget<'a>,
    /// The IP address of the client.
    pub ip: Cow<'a, str>,
    /// The user agent of the client.
    pub user_agent: Cow<'a, str>,
    /// The request.
    pub request_id: &'a str,
    /// The correlation id, shared by the requests of one operation.
    pub correlation_id: &'a str,
    /// The trace that the request belongs to, empty for none.
    pub trace_id: &'a str,
    /// The session or token that was used, if one was.
    pub token_id: Option<i64>,
    /// How the credentials were given.
    pub auth_method: Cow<'a, str>,
    /// Further details of an imported event.
    pub imported: Option<ImportDetails<'a>>,
    /// Further details of an event about access.
    pub access: Option<AccessDetails<'a>>,
    /// Its changes, if requested.
    pub changes: Option<&'a Diff>,
}

/// The kind of an actor: `user`, `serviceAccount`, `server`, `anonymous`, or `imported` for an actor known only to the
/// log that an event was imported from.
#[must_use]
pub fn actor_kind(id: UserId, auth_method: &str) -> &'static str {
    match (id, auth_method) {
        (UserId::ANONYMOUS, _) => "anonymous",
        (UserId::SERVER, "import") => "imported",
        (UserId::SERVER, _) => "server",
        (_, "token") => "serviceAccount",
        _ => "user",
    }
}

/// An actor.
#[derive(Clone, Copy, Debug)]
pub struct AuditActor<'a> {
    /// `user`, `serviceAccount`, `server`, `anonymous`, or `imported` for an actor known only to the log of origin.
    pub kind: &'static str,
    /// The id, 0 for the server and for unknown actors.
    pub id: UserId,
    /// The login at that time.
    pub login: &'a str,
}

/// The target of an action.
#[derive(Clone, Copy, Debug)]
pub struct AuditTarget<'a> {
    /// The type, like `dashboard`.
    pub kind: &'a str,
    /// The uid, or the numeric id of an object without a uid; empty if there is no single target.
    pub uid: &'a str,
    /// The name that the object has now, or had last.
    pub name: Option<&'a str>,
    /// The version of the object, from 1; `None` if the event is not a change of it.
    pub version: Option<i64>,
}

/// The original details of an imported event. Texts are empty if they are unknown.
#[derive(Clone, Debug)]
pub struct ImportDetails<'a> {
    /// When it happened, in RFC 3339.
    pub occurred_at: Cow<'a, str>,
    /// The login of the actor.
    pub actor: Cow<'a, str>,
}

/// The details of an access event: an authentication or authorization, successful or not.
#[derive(Clone, Debug)]
pub struct AccessDetails<'a> {
    /// The reason for a refusal.
    pub reason: Option<Cow<'a, str>>,
    /// The method of the request.
    pub method: Option<Cow<'a, str>>,
    /// The path of the request, with parameters in braces.
    pub route: Option<Cow<'a, str>>,
    /// The query to a data source.
    pub query: Option<Cow<'a, str>>,
    /// The number of such events in a short time.
    pub count: Option<i64>,
    /// The time of the first of them.
    pub since: Option<Timestamp>,
}

/// A query, resolved to the columns by which the log is indexed. `None` stands for any.
#[derive(Clone, Debug, Default)]
pub struct AuditSelect {
    /// Only those after this position.
    pub after: i64,
    /// Only those before this position.
    pub before: i64,
    /// Only events of these types.
    pub types: Option<Vec<&'static str>>,
    /// Only those by these actors.
    pub actors: Option<Vec<i64>>,
    /// None by these actors, even if they match otherwise.
    pub excluded_actors: Vec<i64>,
    /// Only those in these streams.
    pub streams: Option<Vec<String>>,
    /// Only those with this trace id.
    pub trace_id: Option<String>,
    /// Whether the newest are wanted rather than the oldest.
    pub newest: bool,
    /// The maximum number of entries.
    pub limit: i64,
    /// The maximum size of the entries in bytes, the first one excepted.
    pub max_bytes: Option<usize>,
}

impl AuditSelect {
    /// The names of the event types that are wanted.
    #[must_use]
    pub fn type_names(&self) -> Vec<&'static str> {
        self.types.clone().unwrap_or_else(|| filter::all_types().collect())
    }

    /// Whether all entries between the two positions are wanted.
    fn is_whole(&self) -> bool {
        let is_any = self.types.is_none() && self.actors.is_none() && self.excluded_actors.is_empty();
        is_any && self.streams.is_none() && self.trace_id.is_none()
    }

    /// Whether no entry can match.
    fn is_empty(&self) -> bool {
        let is_none = |length: Option<usize>| length == Some(0);
        self.after + 1 >= self.before
            || is_none(self.types.as_ref().map(Vec::len))
            || is_none(self.actors.as_ref().map(Vec::len))
            || is_none(self.streams.as_ref().map(Vec::len))
    }
}

/// Receives entries, one after the other.
pub type AuditSink<'s> = dyn FnMut(&AuditRecord<'_>) + Send + 's;

/// Entries that were read together, in the requested order.
pub trait AuditBatch: Send + Sync {
    /// The positions of the first and the last entry, if there is one.
    fn ends(&self) -> Option<(i64, i64)>;
    /// Whether there are more of them.
    fn has_more(&self) -> bool;
    /// Passes the entries to `sink`, in reverse order if requested.
    fn emit(&self, reversed: bool, sink: &mut AuditSink<'_>);
}

/// The names of objects by stream, cached while many entries are read.
pub type TargetNames = HashMap<String, Option<Arc<str>>>;

/// Entries that were read, without the names of their objects. The names are looked up in a separate step, so that the
/// next entries can be read meanwhile.
pub trait UnnamedBatch: AuditBatch {
    /// The number of entries, and their size in bytes.
    fn size(&self) -> (usize, usize);
    /// The streams of the target objects whose names are not yet known.
    fn unnamed_streams(&self, names: &TargetNames) -> HashSet<Cow<'_, str>>;
    /// The same entries with the names of their objects, taken from `names`.
    fn named(self: Box<Self>, names: &TargetNames) -> Box<dyn AuditBatch>;
}

/// Reads audit entries.
#[async_trait]
pub trait AuditReader: Send + Sync {
    /// Up to `limit` of the matching entries.
    async fn read_audit(&self, scope: &Scope, select: &AuditSelect) -> Result<Box<dyn UnnamedBatch>>;
    /// Adds the names of the objects of a batch to the known ones. A name is the current or last one of an object; a
    /// membership, and other objects of a user in an org, have the name of the user.
    async fn complete_names(
        &self,
        scope: &Scope,
        batch: &dyn UnnamedBatch,
        names: &mut TargetNames,
    ) -> Result<()>;
    /// The ids of the org's actors that match a filter, at most `limit`.
    async fn find_actors(&self, scope: &Scope, filter: &ActorFilter, limit: i64) -> Result<Vec<i64>>;
    /// The number of matching entries at any time, for each pair of neighbouring positions and each type: after the
    /// first position, up to and including the second. Each result has the index of the pair, the index of the type in
    /// [`AuditSelect::type_names`], and the count. The count of a pair can come in parts.
    async fn count_between(
        &self,
        scope: &Scope,
        positions: &[i64],
        select: &AuditSelect,
    ) -> Result<Vec<(usize, usize, i64)>>;
}

/// The links from a page to its neighbours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageLinks {
    /// The `cursor` parameter for the next page.
    pub next: Option<String>,
    /// The `cursor` parameter for the previous page; with the newest first also for later entries.
    pub previous: Option<String>,
}

/// The use cases of the audit log.
pub struct Audits {
    reader: Arc<dyn AuditReader>,
    log: Arc<dyn LogReader>,
    changes: Changes,
    keys: Arc<dyn ServerKeys>,
    clock: Arc<dyn Clock>,
    cursor_key: OnceCell<ServerKey>,
    exports: ExportSlots,
}

impl Audits {
    /// The use cases on these ports.
    #[must_use]
    pub fn new(
        reader: Arc<dyn AuditReader>,
        log: Arc<dyn LogReader>,
        histories: Arc<dyn HistoryReader>,
        keys: Arc<dyn ServerKeys>,
        clock: Arc<dyn Clock>,
        workers: Workers,
    ) -> Self {
        let (cursor_key, exports) = (OnceCell::new(), ExportSlots::default());
        let changes = Changes { reader: histories, workers };
        Self { reader, log, changes, keys, clock, cursor_key, exports }
    }

    /// The scope in which a server admin reads the log of the server, which belongs to no org.
    pub fn server_scope(scope: &Scope) -> Result<Scope> {
        scope.in_org(OrgId::SERVER, Permission::SERVER_AUDIT_READ)
    }

    /// Reads a page of entries, passing each to `sink`.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn list_events(
        &self,
        scope: &Scope,
        query: &AuditQuery,
        sink: &mut AuditSink<'_>,
    ) -> Result<PageLinks> {
        require(scope)?;
        let mut select = self.select(scope, query).await?;
        let newest_first = query.newest_first(true)?;
        let seal = self.seal(scope, query).await?;
        let cursor = query.cursor.as_deref().map(|text| seal.open(text)).transpose()?;
        // A request for the previous page reads in reverse order from the cursor.
        let is_back = cursor.is_some_and(|cursor| cursor.newer == newest_first);
        if let Some(cursor) = cursor {
            cursor.narrow(&mut select);
        }
        select.newest = newest_first != is_back;
        let max = if query.with_changes { MAX_PAGE_WITH_CHANGES } else { MAX_PAGE };
        select.limit = query.limit.filter(|limit| *limit > 0).unwrap_or(DEFAULT_PAGE).min(max);
        let batch = self.read(scope, &select).await?;
        let Some(batch) = batch.filter(|batch| batch.ends().is_some()) else {
            return Ok(empty_page(&seal, cursor.filter(|_| is_back)));
        };
        let batch = if query.with_changes {
            self.changes.add_to(scope, batch, MAX_LISTED_BYTES, Room::OF_REQUEST).await?
        } else {
            batch
        };
        batch.emit(is_back, sink);
        let (first, last) = batch.ends().map_or((0, 0), |(a, b)| if is_back { (b, a) } else { (a, b) });
        let has_next = is_back || batch.has_more();
        let has_previous = newest_first || if is_back { batch.has_more() } else { cursor.is_some() };
        let link = |newer, position| seal.close(Cursor { newer, position });
        Ok(PageLinks {
            next: has_next.then(|| link(!newest_first, last)),
            previous: has_previous.then(|| link(newest_first, first)),
        })
    }

    /// Reads one entry.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn get_event(&self, scope: &Scope, id: i64, sink: &mut AuditSink<'_>) -> Result<()> {
        require(scope)?;
        let after = id.saturating_sub(1);
        let select =
            AuditSelect { after, before: after.saturating_add(2), limit: 1, ..AuditSelect::default() };
        match self.read(scope, &select).await? {
            Some(batch) if batch.ends().is_some() => {
                let batch = self.changes.add_to(scope, batch, MAX_DIFF_BYTES, Room::OF_REQUEST).await?;
                batch.emit(false, sink);
                Ok(())
            }
            _ => Err(Error::missing("audit event not found")),
        }
    }

    async fn read(&self, scope: &Scope, select: &AuditSelect) -> Result<Option<Box<dyn AuditBatch>>> {
        if select.is_empty() {
            return Ok(None);
        }
        let (batch, mut names) = (self.reader.read_audit(scope, select).await?, TargetNames::new());
        self.reader.complete_names(scope, &*batch, &mut names).await?;
        Ok(Some(batch.named(&names)))
    }

    async fn seal(&self, scope: &Scope, query: &AuditQuery) -> Result<Seal> {
        let key = self.cursor_key.get_or_try_init(|| self.keys.server_key("audit-cursor")).await?;
        Ok(Seal::new(*key, scope.org(), query.identity()))
    }
}

/// An empty page still links back to the page that the client came from, and forward to entries that may be added
/// later.
fn empty_page(seal: &Seal, back: Option<Cursor>) -> PageLinks {
    let Some(cursor) = back else { return PageLinks::default() };
    let beside = if cursor.newer { cursor.position + 1 } else { cursor.position - 1 };
    PageLinks {
        next: Some(seal.close(Cursor { newer: !cursor.newer, position: beside })),
        previous: Some(seal.close(cursor)),
    }
}

/// The server's log needs a permission of its own, with which its scope was created.
fn require(scope: &Scope) -> Result<()> {
    let is_server = scope.org() == OrgId::SERVER;
    scope.require(if is_server { Permission::SERVER_AUDIT_READ } else { Permission::AUDIT_READ })
}
