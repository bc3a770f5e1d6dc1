//! Conversion of rows of the log to audit entries.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use cqrs_es::Aggregate;
use kymograph_app::record::audit::{
    AccessDetails, AuditActor, AuditBatch, AuditRecord, AuditSelect, AuditSink, AuditTarget, ImportDetails,
    TargetNames, UnnamedBatch, actor_kind,
};
use kymograph_app::{Error, Result, Scope};
use kymograph_domain::account::access::Outcome;
use kymograph_domain::account::membership::Membership;
use kymograph_domain::account::quota::Quota;
use kymograph_domain::account::user::User;
use kymograph_domain::content::preference::Preference;
use kymograph_domain::content::star::Star;
use kymograph_domain::kernel::text::{MAX_NAME_BYTES, shortened};
use kymograph_domain::{OrgId, Timestamp, UserId};
use serde::Deserialize;
use tokio_postgres::Row;

use super::PgAuditReader;

// The columns of a row by number, because looking up their names would be a fifth of the work on a row.
const POS: usize = 0;
const STREAM_ID: usize = 1;
const VERSION: usize = 2;
const TYPE: usize = 3;
const SCHEMA_VERSION: usize = 4;
const RECORDED_AT: usize = 5;
const ACTOR_ID: usize = 6;
const ACTOR_LOGIN: usize = 7;
const CAUSATION_ID: usize = 8;
const CORRELATION_ID: usize = 9;
const TRACE_ID: usize = 10;
const META: usize = 11;
const ACCESS: usize = 12;

/// The metadata of a request that has no columns of its own.
#[derive(Clone, Deserialize)]
struct Meta<'a> {
    #[serde(borrow)]
    auth_method: Cow<'a, str>,
    #[serde(borrow)]
    token_id: Cow<'a, str>,
    #[serde(borrow)]
    ip: Cow<'a, str>,
    #[serde(borrow)]
    user_agent: Cow<'a, str>,
    #[serde(borrow)]
    imported_at: Option<Cow<'a, str>>,
    #[serde(borrow)]
    imported_actor: Option<Cow<'a, str>>,
}

/// The common members of access events.
#[derive(Deserialize)]
struct Access<'a> {
    #[serde(borrow)]
    target: AccessTarget<'a>,
    #[serde(borrow)]
    reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    route: Option<Cow<'a, str>>,
    #[serde(borrow)]
    query: Option<Cow<'a, str>>,
    count: Option<i64>,
    since: Option<Timestamp>,
}

#[derive(Deserialize)]
struct AccessTarget<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    uid: &'a str,
}

/// The members of states that contain the name of their object, whichever exist.
#[derive(Deserialize)]
struct Named {
    title: Option<String>,
    name: Option<String>,
    profile: Option<Login>,
    resource: Option<NamedResource>,
    user_id: Option<UserId>,
}

#[derive(Deserialize)]
struct NamedResource {
    uid: String,
}

#[derive(Deserialize)]
struct Login {
    login: String,
}

/// Rows of the log that were read together.
pub(super) struct Batch {
    org: OrgId,
    rows: Vec<Row>,
    bytes: usize,
    has_more: bool,
    /// The names of the rows' objects, once they were looked up.
    names: Vec<Option<Arc<str>>>,
}

impl Batch {
    /// Up to `limit` rows, and up to so many bytes; further rows only show that there are more.
    pub(super) fn new(org: OrgId, mut rows: Vec<Row>, select: &AuditSelect) -> Result<Self> {
        let limit = usize::try_from(select.limit).map_err(Error::internal)?;
        let max_bytes = select.max_bytes.unwrap_or(usize::MAX);
        let (mut fitting, mut bytes) = (0, 0);
        for row in rows.iter().take(limit) {
            let more = row_bytes(row);
            if fitting > 0 && bytes + more > max_bytes {
                break;
            }
            (fitting, bytes) = (fitting + 1, bytes + more);
        }
        let has_more = rows.len() > fitting;
        rows.truncate(fitting);
        Ok(Self { org, rows, bytes, has_more, names: Vec::new() })
    }

    /// The stream of the object of each row.
    fn target_streams(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.rows.iter().map(|row| target_stream(row, access(row).as_ref()))
    }

    fn record<'r>(&'r self, row: &'r Row, name: Option<&'r str>, meta: Meta<'r>) -> AuditRecord<'r> {
        let access = access(row);
        let (action, request_id): (&str, &str) = (row.get(TYPE), row.get(CAUSATION_ID));
        let (kind, uid, version) = match &access {
            Some(access) => (access.target.kind, access.target.uid, None),
            None => {
                // The type of an aggregate has no hyphen, but keys may have.
                let (kind, key) = row.get::<_, &str>(STREAM_ID).split_once('-').unwrap_or_default();
                (kind, key, Some(row.get(VERSION)))
            }
        };
        AuditRecord {
            id: row.get(POS),
            org: self.org,
            occurred_at: Timestamp::from_date(row.get(RECORDED_AT)),
            action,
            schema_version: row.get::<_, Option<_>>(SCHEMA_VERSION).unwrap_or(1),
            outcome: Outcome::of_event(action),
            actor: actor(row, &meta.auth_method),
            target: AuditTarget { kind, uid, name, version },
            ip: meta.ip,
            user_agent: meta.user_agent,
            request_id,
            correlation_id: row.get::<_, Option<_>>(CORRELATION_ID).unwrap_or(request_id),
            trace_id: row.get::<_, Option<_>>(TRACE_ID).unwrap_or_default(),
            token_id: meta.token_id.parse().ok(),
            auth_method: meta.auth_method,
            imported: meta
                .imported_at
                .zip(meta.imported_actor)
                .map(|(occurred_at, actor)| ImportDetails { occurred_at, actor }),
            access: access.map(|access| AccessDetails {
                reason: access.reason,
                method: access.method,
                route: access.route,
                query: access.query,
                count: access.count,
                since: access.since,
            }),
            changes: None,
        }
    }
}

impl Meta<'_> {
    /// The metadata of an event whose request is unknown.
    const NONE: Self = Self {
        auth_method: Cow::Borrowed(""),
        token_id: Cow::Borrowed(""),
        ip: Cow::Borrowed(""),
        user_agent: Cow::Borrowed(""),
        imported_at: None,
        imported_actor: None,
    };
}

fn access(row: &Row) -> Option<Access<'_>> {
    serde_json::from_str(row.get::<_, Option<&str>>(ACCESS)?).ok()
}

/// The stream of the target object. An access event has the stream of the object that was accessed.
fn target_stream<'r>(row: &'r Row, access: Option<&Access<'_>>) -> Cow<'r, str> {
    match access {
        Some(access) => format!("{}-{}", access.target.kind, access.target.uid).into(),
        None => row.get::<_, &str>(STREAM_ID).into(),
    }
}

fn actor<'r>(row: &'r Row, auth_method: &str) -> AuditActor<'r> {
    let id = UserId(row.get(ACTOR_ID));
    AuditActor { kind: actor_kind(id, auth_method), id: id.max(UserId::SERVER), login: row.get(ACTOR_LOGIN) }
}

impl AuditBatch for Batch {
    fn ends(&self) -> Option<(i64, i64)> {
        Some((self.rows.first()?.get(POS), self.rows.last()?.get(POS)))
    }

    fn has_more(&self) -> bool {
        self.has_more
    }

    fn emit(&self, reversed: bool, sink: &mut AuditSink<'_>) {
        let mut metas = Metas::default();
        let mut emit = |index: usize| {
            let row = &self.rows[index];
            let name = self.names.get(index).and_then(Option::as_deref);
            sink(&self.record(row, name, metas.of(row)));
        };
        if reversed {
            (0..self.rows.len()).rev().for_each(&mut emit);
        } else {
            (0..self.rows.len()).for_each(&mut emit);
        }
    }
}

/// The memory of a row in bytes.
fn row_bytes(row: &Row) -> usize {
    const COLUMN: usize = size_of::<Option<Range<usize>>>();
    size_of::<Row>() + row.len() * COLUMN + row.raw_size_bytes()
}

impl UnnamedBatch for Batch {
    fn size(&self) -> (usize, usize) {
        (self.rows.len(), self.bytes)
    }

    fn unnamed_streams(&self, names: &TargetNames) -> HashSet<Cow<'_, str>> {
        self.target_streams().filter(|stream| !names.contains_key(&**stream)).collect()
    }

    fn named(mut self: Box<Self>, names: &TargetNames) -> Box<dyn AuditBatch> {
        self.names = self.target_streams().map(|stream| names.get(&*stream).cloned().flatten()).collect();
        self
    }
}

/// The last `Meta` that was read. A client often does many things in a row, with the same metadata each time.
#[derive(Default)]
struct Metas<'r>(Option<(&'r str, Meta<'r>)>);

impl<'r> Metas<'r> {
    fn of(&mut self, row: &'r Row) -> Meta<'r> {
        let text = row.get(META);
        match &self.0 {
            Some((last, meta)) if *last == text => meta.clone(),
            _ => {
                let meta: Meta<'r> = serde_json::from_str(text).unwrap_or(Meta::NONE);
                self.0.insert((text, meta)).1.clone()
            }
        }
    }
}

/// The user that owns a stream, by its name: streams of a user's objects in an org contain the id of the user.
fn owner(stream: &str) -> Option<i64> {
    let (kind, key) = stream.split_once('-')?;
    let id = match kind {
        Star::TYPE => key,
        Preference::TYPE | Quota::TYPE => key.strip_prefix("user-")?,
        _ => return None,
    };
    id.parse().ok()
}

impl PgAuditReader {
    /// Finds the names of the objects of some streams.
    pub(super) async fn find_names(
        &self,
        scope: &Scope,
        streams: &HashSet<Cow<'_, str>>,
        names: &mut TargetNames,
    ) -> Result<()> {
        if streams.is_empty() {
            return Ok(());
        }
        let org = scope.org();
        let sql = "SELECT stream_id, state FROM streams WHERE org_id = $1 AND stream_id = ANY ($2)";
        let streams: Vec<_> = streams.iter().collect();
        let owned = streams.iter().filter_map(|stream| Some((stream.to_string(), owner(stream)?)));
        let mut owned: Vec<_> = owned.collect();
        // Users belong to the server. An org's log contains the names of its current and former members only.
        let users = streams.iter().filter_map(|stream| stream.strip_prefix("user-"));
        let memberships = users.map(|id| Cow::from(format!("{}-{id}", Membership::TYPE)));
        let asked: Vec<_> = streams.iter().map(|stream| Cow::from(&***stream)).chain(memberships).collect();
        for row in self.database.read(org, sql, &[&org.0, &asked]).await? {
            let stream: String = row.get("stream_id");
            let Ok(state) = serde_json::from_str::<Named>(row.get("state")) else { continue };
            if let Some(user) = state.user_id {
                owned.push((stream.clone(), user.0));
                owned.push((format!("{}-{user}", User::TYPE), user.0));
            }
            let title = state.title.map(|title| shortened(&title, MAX_NAME_BYTES));
            let name = title.or(state.name).or(state.profile.map(|profile| profile.login));
            let name = name.or(state.resource.map(|resource| resource.uid));
            names.insert(stream, name.map(Arc::from));
        }
        if !owned.is_empty() {
            let ids: Vec<_> = owned.iter().map(|(_, id)| *id).collect();
            let sql = "SELECT id, login FROM users WHERE id = ANY ($1)";
            let users = self.database.read_for(org, sql, &[&ids]).await?;
            let logins: HashMap<i64, &str> =
                users.iter().map(|row| (row.get("id"), row.get("login"))).collect();
            for (stream, id) in owned {
                names.insert(stream, logins.get(&id).map(|login| Arc::from(*login)));
            }
        }
        for stream in streams {
            names.entry(stream.to_string()).or_insert(None);
        }
        Ok(())
    }
}
