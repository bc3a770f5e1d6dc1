//! Replays the log into the shadow tables.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::TryStreamExt;
use futures_util::future::try_join_all;
use kymograph_app::{Error, Result};
use kymograph_domain::registry::{self, aggregate_type_of, event_types};
use kymograph_domain::{OrgId, StoredEvent, Timestamp, UserId};
use kymograph_projections::{Projector, Recorded, Statement, Statements};
use time::OffsetDateTime;
use tokio::sync::mpsc;
use tokio_postgres::Client;
use tokio_postgres::binary_copy::BinaryCopyOutStream;
use tokio_postgres::types::Type;

use super::failed;
use super::shadow::OWNER;
use crate::database_server::DatabaseServer;
use crate::migrate::connect;
use crate::pipeline::{PipelineError, PipelinePool, Step, pipeline_pool};
use crate::progress::Report;

/// The maximum events and bytes of a batch.
const BATCH: usize = 10_000;
const BATCH_BYTES: usize = 32 * 1024 * 1024;
/// The number of positions per query. A query keeps PostgreSQL from vacuuming rows that were replaced since it began,
/// and each update of a row has to pass all of those.
const RANGE: i64 = 20_000;
/// The maximum number of batches queued for writing.
const MAX_WAITING: usize = 2;
/// The maximum number of pipelined statements.
const MAX_STEPS: usize = 1_000;
/// The maximum number of heads read concurrently.
const HEADS_AT_ONCE: usize = 500;

/// The columns that are read of an event.
const COLUMNS: &str = "pos, type, schema_version, recorded_at, actor_id, actor_login, payload";
const TYPES: &[Type] =
    &[Type::INT8, Type::TEXT, Type::INT4, Type::TIMESTAMPTZ, Type::INT8, Type::TEXT, Type::TEXT];

/// The last position of the log of org `$1`, by its head and by its events.
const HEAD: &str = "SELECT pos, coalesce((SELECT max(pos) FROM public.events WHERE org_id = $1), 0)
    FROM public.heads WHERE org_id = $1";
/// Whether a table without row level security shows that events exist.
const IS_USED: &str = "SELECT pg_relation_size('public.events') > 0 OR EXISTS (SELECT FROM public.orgs)
    OR EXISTS (SELECT FROM public.users)";
const ORGS: &str = "SELECT id FROM public.orgs ORDER BY id";
const CONFIRMED_ORGS: &str =
    "SELECT id FROM public.orgs WHERE id IN (SELECT owner_org_id FROM public.quotas) ORDER BY id";
/// The advice for an unreadable log.
const HIDDEN: &str = "row level security may hide it from this role, or the log is damaged (see `kymograph verify`); \
    the old tables were kept";

/// The frequent aggregate types, whose events projectors receive in runs. Events of all others are projected one by
/// one: a projector may read what the others have written before.
const SHARING: &[&str] = &["folder", "dashboard"];

/// An event that was read.
struct ReadEvent {
    position: i64,
    recorded_at: Timestamp,
    actor_id: UserId,
    actor_login: String,
    event: Box<dyn StoredEvent>,
}

/// A batch of events, with the position of the last.
struct Projected {
    statements: Vec<Statement>,
    events: usize,
    last: i64,
}

/// Reads the log.
struct Reader {
    client: Client,
    /// The event types that a projector handles, as a list in SQL.
    types: String,
}

/// The progress of a replay.
pub(super) struct Replay<'p> {
    projectors: Vec<&'p dyn Projector>,
    reader: Arc<Reader>,
    /// Writes to the schema `rebuild` only, so that a statement on another table fails.
    writer: PipelinePool,
    /// The replayed position of each org's log.
    positions: BTreeMap<OrgId, i64>,
    events: u64,
}

impl<'p> Replay<'p> {
    pub(super) async fn begin(server: &DatabaseServer, projectors: Vec<&'p dyn Projector>) -> Result<Self> {
        let of_writer = server.with_config(|config| {
            let options = format!(
                "{} -c role={OWNER} -c search_path=rebuild -c synchronous_commit=off -c jit=off",
                config.get_options().unwrap_or_default()
            );
            config.options(options.trim());
        });
        let reader = connect(server).await?;
        // Reading row by row needs the first rows soon; the order is that of the key.
        let settings = format!("SET ROLE {OWNER}; SET search_path = pg_catalog; SET jit = off");
        reader.batch_execute(&settings).await.map_err(failed)?;
        let is_heard = |kind: &str| {
            projectors.iter().any(|projector| projector.listens_to().contains(&aggregate_type_of(kind)))
        };
        let types = event_types().into_iter().map(|(kind, _)| kind).filter(|kind| is_heard(kind));
        let types = types.map(|kind| format!("'{kind}'")).collect::<Vec<_>>().join(", ");
        let writer = pipeline_pool(of_writer, 1)?;
        let reader = Arc::new(Reader { client: reader, types });
        Ok(Self { projectors, reader, writer, positions: BTreeMap::new(), events: 0 })
    }

    /// The number of replayed events.
    pub(super) fn events(&self) -> u64 {
        self.events
    }

    /// Replays the events since the last round, and returns their number.
    pub(super) async fn catch_up(&mut self, what: &str, report: Report<'_>) -> Result<i64> {
        let heads = self.heads().await?;
        let missing: i64 = heads.iter().map(|(org, head)| head - self.position(*org)).sum();
        let total = missing.unsigned_abs();
        let mut done = 0;
        for (org, head) in heads {
            let from = self.position(org);
            if head > from {
                let progress = |position: i64| {
                    report.at(what, done + (position - from).unsigned_abs(), total);
                };
                self.events += self.replay(org, from, head, &progress).await?;
                self.positions.insert(org, head);
                done += (head - from).unsigned_abs();
            }
        }
        Ok(missing)
    }

    /// Fails if the log is inconsistent with the existing tables: switching would empty them.
    pub(super) async fn check_read(&self, projector: &dyn Projector) -> Result<()> {
        let reader = &self.reader.client;
        let is_empty = self.positions.is_empty();
        if is_empty && reader.query_one(IS_USED, &[]).await.map_err(failed)?.get(0) {
            return Err(Error::internal(format!("no event is readable: {HIDDEN}")));
        }
        // An org that only the table of orgs contains is a fault of that table, fixed by rebuilding it.
        let orgs = if projector.tables().contains(&"orgs") { CONFIRMED_ORGS } else { ORGS };
        let orgs = reader.query(orgs, &[]).await.map_err(failed)?;
        match orgs.iter().map(|row| OrgId(row.get(0))).find(|org| self.position(*org) == 0) {
            Some(org) => Err(Error::internal(format!("org {org} has no log: {HIDDEN}"))),
            None => Ok(()),
        }
    }

    fn position(&self, org: OrgId) -> i64 {
        self.positions.get(&org).copied().unwrap_or_default()
    }

    /// The last positions of all orgs' logs, including deleted orgs. Row level security shows one org at a time.
    async fn heads(&self) -> Result<Vec<(OrgId, i64)>> {
        let sql = "SELECT greatest((SELECT value FROM public.counters WHERE org_id = 0 AND name = 'org'),
            (SELECT max(id) FROM public.orgs))";
        let reader = &self.reader.client;
        reader.batch_execute("SET app.org_id = '0'").await.map_err(failed)?;
        let last: Option<i64> = reader.query_one(sql, &[]).await.map_err(failed)?.get(0);
        let set = reader.prepare("SELECT set_config('app.org_id', $1, false)").await.map_err(failed)?;
        let get = reader.prepare(HEAD).await.map_err(failed)?;
        let (set, get) = (&set, &get);
        let orgs: Vec<_> = (0..=last.unwrap_or_default()).collect();
        let mut heads = Vec::new();
        for orgs in orgs.chunks(HEADS_AT_ONCE) {
            let found = try_join_all(orgs.iter().map(async |org| {
                let name = org.to_string();
                let params: [&(dyn tokio_postgres::types::ToSql + Sync); 1] = [&name];
                let (of_org, head) =
                    futures_util::future::join(reader.execute(set, &params), reader.query_opt(get, &[org]))
                        .await;
                of_org?;
                head
            }));
            let found = found.await.map_err(failed)?;
            for (org, row) in orgs.iter().zip(found) {
                let (head, last): (i64, i64) = row.map_or((0, 0), |row| (row.get(0), row.get(1)));
                if head != last {
                    let message =
                        format!("org {org}: its log ends at position {last}, but its head is {head}");
                    return Err(Error::internal(format!("{message}: {HIDDEN}")));
                }
                heads.push((OrgId(*org), head));
            }
        }
        Ok(heads)
    }

    /// Replays a part of an org's log, in a pipeline: reading and decoding, projecting, writing.
    async fn replay(&self, org: OrgId, from: i64, to: i64, progress: &(dyn Fn(i64) + Sync)) -> Result<u64> {
        let (batches, read) = mpsc::channel::<Vec<ReadEvent>>(MAX_WAITING);
        let (ready, projected) = mpsc::channel::<Projected>(MAX_WAITING);
        let reading = tokio::spawn(self.reader.clone().read(org, from, to, batches));
        let ((), written) =
            tokio::join!(self.project_all(org, read, ready), self.write_all(org, projected, progress));
        // The writer fails first; the reader then finds the channel closed.
        let events = written?;
        reading.await.map_err(Error::internal)??;
        progress(to);
        Ok(events)
    }

    async fn project_all(
        &self,
        org: OrgId,
        mut batches: mpsc::Receiver<Vec<ReadEvent>>,
        ready: mpsc::Sender<Projected>,
    ) {
        while let Some(batch) = batches.recv().await {
            let last = batch.last().map_or(0, |last| last.position);
            let projected = Projected { statements: self.project(org, &batch), events: batch.len(), last };
            if ready.send(projected).await.is_err() {
                break;
            }
        }
    }

    async fn write_all(
        &self,
        org: OrgId,
        mut projected: mpsc::Receiver<Projected>,
        progress: &(dyn Fn(i64) + Sync),
    ) -> Result<u64> {
        let mut events = 0;
        while let Some(batch) = projected.recv().await {
            self.write(org, &batch).await?;
            events += batch.events as u64;
            progress(batch.last);
        }
        Ok(events)
    }

    fn project(&self, org: OrgId, batch: &[ReadEvent]) -> Vec<Statement> {
        let recorded: Vec<_> = batch
            .iter()
            .map(|read| Recorded {
                org,
                position: read.position,
                recorded_at: read.recorded_at,
                actor_id: read.actor_id,
                actor_login: &read.actor_login,
                event: &*read.event,
            })
            .collect();
        let mut statements = Statements::default();
        if let [only] = self.projectors.as_slice() {
            only.project_many(&recorded, &mut statements);
        } else {
            let shares = |one: &Recorded<'_>, other: &Recorded<'_>| {
                let kind = aggregate_type_of(one.event.stored_type());
                kind == aggregate_type_of(other.event.stored_type()) && SHARING.contains(&kind)
            };
            for run in recorded.chunk_by(shares) {
                self.projectors.iter().for_each(|projector| projector.project_many(run, &mut statements));
            }
        }
        statements.into_vec()
    }

    async fn write(&self, org: OrgId, batch: &Projected) -> Result<()> {
        let statements = batch.statements.iter().filter(|statement| !statement.is_check);
        let steps: Vec<_> =
            statements.map(|write| Step::Statement { sql: write.sql, params: &write.params }).collect();
        let mut pipeline = self.writer.get().await?;
        for steps in steps.chunks(MAX_STEPS) {
            pipeline.transaction(steps).await.map_err(|error| match error {
                PipelineError::Failed(error) => error,
                PipelineError::Refused { refusal, .. } => Error::internal(format!(
                    "org {org}: the events up to position {} cannot be projected: {}",
                    batch.last, refusal.message
                )),
            })?;
        }
        Ok(())
    }
}

impl Reader {
    async fn read(
        self: Arc<Self>,
        org: OrgId,
        from: i64,
        to: i64,
        batches: mpsc::Sender<Vec<ReadEvent>>,
    ) -> Result<()> {
        let tenant = format!("SET app.org_id = '{org}'");
        self.client.batch_execute(&tenant).await.map_err(failed)?;
        let mut after = from;
        while after < to {
            let last = to.min(after + RANGE);
            if !self.read_range(org, after, last, &batches).await? {
                break;
            }
            after = last;
        }
        Ok(())
    }

    /// Reads some positions, and returns whether the receiver is still open.
    async fn read_range(
        &self,
        org: OrgId,
        after: i64,
        last: i64,
        batches: &mpsc::Sender<Vec<ReadEvent>>,
    ) -> Result<bool> {
        let sql = format!(
            "COPY (SELECT {COLUMNS} FROM public.events WHERE org_id = {org} AND pos > {after} AND pos <= {last}
                AND type IN ({}) ORDER BY pos) TO STDOUT (FORMAT binary)",
            self.types
        );
        let rows = BinaryCopyOutStream::new(self.client.copy_out(&sql).await.map_err(failed)?, TYPES);
        let mut rows = std::pin::pin!(rows);
        let (mut batch, mut size) = (Vec::new(), 0);
        while let Some(row) = rows.try_next().await.map_err(failed)? {
            let (position, payload): (i64, &str) = (row.get(0), row.get(6));
            let event = registry::decode(row.get(1), row.get(2), payload).map_err(|error| {
                Error::internal(format!(
                    "org {org}: the event at position {position} cannot be read: {error}"
                ))
            })?;
            let recorded_at = Timestamp::from_date(row.get::<OffsetDateTime>(3));
            let (actor_id, actor_login) = (UserId(row.get(4)), row.get::<&str>(5).to_owned());
            size += payload.len();
            batch.push(ReadEvent { position, recorded_at, actor_id, actor_login, event });
            if batch.len() == BATCH || size >= BATCH_BYTES {
                size = 0;
                if batches.send(std::mem::take(&mut batch)).await.is_err() {
                    return Ok(false);
                }
            }
        }
        // The channel is closed if writing has failed.
        Ok(batch.is_empty() || batches.send(batch).await.is_ok())
    }
}
