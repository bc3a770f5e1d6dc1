//! Writes an import step by step, each in one transaction.
//!
//! The first event of a step takes the next position in the log, so other writes to the org wait until the step ends.
//! As much work as possible is done before: the next step is read while one is written.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use kymograph_app::kernel::clock::Clock;
use kymograph_app::kernel::random::{hex, random_bytes};
use kymograph_app::{Error, ErrorKind, Result};
use kymograph_domain::{StoredEvent, Timestamp, UserId};
use kymograph_projections::account::quota::must_have_room;
use kymograph_projections::kernel::statement::Param;
use kymograph_projections::{Projector, Recorded, Statements, params, projectors};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement, Transaction};

use super::check::must_be_placed;
use super::chunk::Chunk;
use super::plan::Plan;
use super::source::EventFile;
use super::{ImportOrder, ImportReport, failed};
use crate::change_feed::EVERYTHING_CHANGED;
use crate::clock::SystemClock;
use crate::event_store::{BulkAppend, BulkEvent, MOVE_HEAD, PlacedEvent, READ_HEAD};
use crate::progress::Report;

/// How often a step is retried after a conflict with other writes to the org.
const MAX_TRIES: usize = 200;

/// Whether other sessions wait for the end of this transaction.
const IS_WAITED_FOR: &str = "SELECT EXISTS (SELECT FROM pg_locks
    WHERE NOT granted AND locktype = 'transactionid' AND transactionid = pg_current_xact_id()::xid)";

/// The time in milliseconds for which waiting writers can go first, and the polling interval.
const PATIENCE: u64 = 1_000;
const LOOK_EVERY: u64 = 5;

/// Writes all steps of a plan.
pub(super) async fn write(
    client: Client,
    order: &ImportOrder,
    file: &Arc<EventFile>,
    plan: &Arc<Plan>,
    found: &mut ImportReport,
    report: Report<'_>,
) -> Result<()> {
    let mut writer = Writer::prepare(client, order, file).await?;
    let last_id = writer.draw_ids(plan.ids()).await?;
    let read = |step| read(file, plan, step, last_id, order.max_document_bytes);
    let (mut done, total) = (0, plan.events());
    let mut next = read(0);
    for step in 0..plan.steps() {
        let chunk = next.await.map_err(Error::internal)?;
        next = read(step + 1);
        let written = match chunk {
            Ok(chunk) => writer.write_step(&plan.correlation_id, &chunk).await,
            Err(error) => Err(error),
        };
        let written = written.map_err(|error| interrupted(error, done, total))?;
        done += plan.lines(step).len();
        if written.is_waited_for {
            writer.give_way(written.last).await?;
        }
        written.counts.into_iter().for_each(|(kind, count)| *found.written.entry(kind).or_default() += count);
        let first = found.positions.map_or(written.first, |(first, _)| first);
        found.positions = Some((first, written.last));
        report.at("writing", done as u64, total as u64);
    }
    Ok(())
}

/// Reads a step, which takes as long as writing one. A step beyond the last is empty.
fn read(
    file: &Arc<EventFile>,
    plan: &Arc<Plan>,
    step: usize,
    last_id: i64,
    max_document_bytes: usize,
) -> JoinHandle<Result<Chunk>> {
    let (file, plan) = (file.clone(), plan.clone());
    spawn_blocking(move || {
        Chunk::read(&file, &plan, step, last_id + plan.ids_before(step), max_document_bytes)
    })
}

/// The error of an aborted import.
fn interrupted(error: Error, done: usize, total: usize) -> Error {
    if done == 0 {
        return error;
    }
    let message =
        format!("{done} of {total} events are written; running the same import again continues after them");
    Error::new(error.kind(), format!("{error} ({message})"))
}

/// Why a step was not written.
enum Failure {
    /// Another commit has taken the position in the log.
    Overtaken,
    /// It cannot be written.
    Failed(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        let constraint = error.as_db_error().and_then(|error| error.constraint()).unwrap_or_default();
        let is_place = constraint.starts_with("events_pkey");
        let taken = "another object with the same uid was created during the import";
        match error.code() {
            Some(&SqlState::T_R_DEADLOCK_DETECTED) => Self::Overtaken,
            Some(&SqlState::UNIQUE_VIOLATION) if is_place => Self::Overtaken,
            Some(&SqlState::UNIQUE_VIOLATION) => Self::Failed(Error::invalid(taken)),
            _ => Self::Failed(failed(error)),
        }
    }
}

/// The result of a step.
struct Written {
    first: i64,
    last: i64,
    counts: BTreeMap<String, u64>,
    is_waited_for: bool,
}

/// Writes steps.
struct Writer<'a> {
    client: Client,
    order: &'a ImportOrder,
    file: &'a EventFile,
    projectors: Vec<Box<dyn Projector>>,
    bulk: BulkAppend,
    prepared: HashMap<&'static str, Statement>,
}

impl<'a> Writer<'a> {
    async fn prepare(client: Client, order: &'a ImportOrder, file: &'a EventFile) -> Result<Self> {
        let bulk = BulkAppend::prepare(&client).await.map_err(failed)?;
        Ok(Self { client, order, file, projectors: projectors(), bulk, prepared: HashMap::new() })
    }

    /// Allocates numeric ids, and returns the one before them. Unused ones are lost.
    async fn draw_ids(&self, count: i64) -> Result<i64> {
        let sql = "INSERT INTO counters (org_id, name, value) VALUES ($1, 'object', $2)
            ON CONFLICT (org_id, name) DO UPDATE SET value = counters.value + excluded.value RETURNING value";
        let last = self.client.query_one(sql, &[&self.order.org.0, &count]).await.map_err(failed)?;
        Ok(last.get::<_, i64>(0) - count)
    }

    /// Waits until another commit follows a position. Waiting writers notice the end of a step, and find the new head,
    /// later than the next step could begin.
    async fn give_way(&self, position: i64) -> Result<()> {
        for _ in 0..PATIENCE / LOOK_EVERY {
            let head = self.client.query_one(READ_HEAD, &[&self.order.org.0]).await.map_err(failed)?;
            if head.get::<_, i64>("pos") > position {
                break;
            }
            tokio::time::sleep(Duration::from_millis(LOOK_EVERY)).await;
        }
        Ok(())
    }

    /// Writes a step, retrying after conflicts.
    async fn write_step(&mut self, correlation_id: &str, chunk: &Chunk) -> Result<Written> {
        let causation_id = format!("import-{}", hex(&random_bytes::<8>()?));
        for _ in 0..MAX_TRIES {
            let Self { client, order, file, projectors, bulk, prepared } = self;
            let transaction = client.transaction().await.map_err(failed)?;
            let mut step =
                StepWriter { transaction, order, file, projectors: &*projectors, bulk, prepared, chunk };
            match step.write(&causation_id, correlation_id).await {
                Ok(written) => {
                    step.transaction.commit().await.map_err(failed)?;
                    return Ok(written);
                }
                Err(Failure::Overtaken) => {}
                Err(Failure::Failed(error)) => return Err(error),
            }
        }
        let message = format!("org {} is too busy: try again later", self.order.org);
        Err(Error::new(ErrorKind::Overloaded, message))
    }
}

/// Writes a step in a transaction.
struct StepWriter<'s> {
    transaction: Transaction<'s>,
    order: &'s ImportOrder,
    file: &'s EventFile,
    projectors: &'s [Box<dyn Projector>],
    bulk: &'s BulkAppend,
    prepared: &'s mut HashMap<&'static str, Statement>,
    chunk: &'s Chunk,
}

impl StepWriter<'_> {
    /// Writes everything except the commit.
    async fn write(&mut self, causation_id: &str, correlation_id: &str) -> Result<Written, Failure> {
        let org = self.order.org;
        let head = self.transaction.query_opt(READ_HEAD, &[&org.0]).await?;
        let head = head.filter(|head| head.get("is_open"));
        let head = head.ok_or_else(|| Error::missing(format!("org {org} does not exist")))?;
        let (before, mut last_at): (i64, _) = (head.get("pos"), Timestamp::from_date(head.get("last_at")));
        let mut times = Vec::with_capacity(self.chunk.events.len());
        for _ in &self.chunk.events {
            last_at = SystemClock.now().max(Timestamp(last_at.0 + 1));
            times.push(last_at);
        }
        let events: Vec<_> = (before + 1..)
            .zip(&times)
            .zip(&self.chunk.events)
            .map(|((position, recorded_at), pending)| BulkEvent {
                placed: PlacedEvent {
                    position,
                    recorded_at: *recorded_at,
                    stored_type: pending.imported.event.stored_type(),
                    schema_version: pending.imported.event.schema_version(),
                    payload: &pending.payload,
                },
                stream_id: &pending.imported.stream,
                stream_type: pending.imported.stream_type,
                version: pending.version,
                actor_login: &pending.origin.actor,
                meta: &pending.origin.meta,
            })
            .collect();
        self.bulk.append(&self.transaction, org, (causation_id, correlation_id), &events).await?;
        self.bulk.begin(&self.transaction, org, &self.chunk.streams).await?;
        // From here on no other transaction can move a folder of this org.
        must_be_placed(&self.transaction, self.order, self.file, &self.chunk.import).await?;
        self.project(before, &times).await?;
        self.must_have_room().await?;
        let last = events.last().map_or(before, |event| event.placed.position);
        let counts = self.count(before, last).await?;
        let head = params![org.0, last, last_at.date(), before];
        self.execute(MOVE_HEAD, head.as_slice()).await?;
        self.transaction.batch_execute(EVERYTHING_CHANGED).await?;
        let is_waited_for = self.transaction.query_one(IS_WAITED_FOR, &[]).await?.get(0);
        Ok(Written { first: before + 1, last, counts, is_waited_for })
    }

    async fn project(&mut self, before: i64, times: &[Timestamp]) -> Result<(), Failure> {
        let (org, chunk) = (self.order.org, self.chunk);
        let recorded: Vec<_> = (before + 1..)
            .zip(times)
            .zip(&chunk.events)
            .map(|((position, recorded_at), pending)| Recorded {
                org,
                position,
                recorded_at: *recorded_at,
                actor_id: UserId::SERVER,
                actor_login: &pending.origin.actor,
                event: &*pending.imported.event as &dyn StoredEvent,
            })
            .collect();
        for run in &chunk.runs {
            let run: Vec<_> = run.iter().filter_map(|index| recorded.get(*index).copied()).collect();
            let mut statements = Statements::default();
            self.projectors.iter().for_each(|projector| projector.project_many(&run, &mut statements));
            // Rules are checked on the final state and not per event, because the events of different objects are not
            // in their original order.
            for statement in statements.into_vec().iter().filter(|statement| !statement.is_check) {
                self.execute(statement.sql, &statement.params).await?;
            }
        }
        Ok(())
    }

    /// Objects may have been created since the first check. The objects of this step are counted by now.
    async fn must_have_room(&self) -> Result<(), Failure> {
        let Some(limits) = &self.order.limits else { return Ok(()) };
        let none_more = self.chunk.import.added().into_keys().map(|target| (target, 0)).collect();
        Ok(must_have_room(&self.transaction, limits, self.order.org, &none_more).await?)
    }

    /// Counts the written events in the log.
    async fn count(&self, before: i64, last: i64) -> Result<BTreeMap<String, u64>, Failure> {
        let mut expected = BTreeMap::<String, u64>::new();
        for pending in &self.chunk.events {
            *expected.entry(pending.imported.event.stored_type().to_owned()).or_default() += 1;
        }
        let sql = "SELECT type, count(*) FROM events WHERE org_id = $1 AND pos > $2 AND pos <= $3 GROUP BY 1";
        let rows = self.transaction.query(sql, &[&self.order.org.0, &before, &last]).await?;
        let counts = rows.iter().map(|row| (row.get(0), row.get::<_, i64>(1).unsigned_abs())).collect();
        if counts == expected {
            return Ok(counts);
        }
        Err(Error::internal(format!("read {expected:?}, but wrote {counts:?}")).into())
    }

    async fn execute(&mut self, sql: &'static str, params: &[Param]) -> Result<(), Failure> {
        if !self.prepared.contains_key(sql) {
            self.prepared.insert(sql, self.transaction.prepare(sql).await?);
        }
        let Some(statement) = self.prepared.get(sql) else { return Ok(()) };
        let params: Vec<&(dyn ToSql + Sync)> = params.iter().map(|param| &**param as _).collect();
        self.transaction.execute(statement, &params).await?;
        Ok(())
    }
}
