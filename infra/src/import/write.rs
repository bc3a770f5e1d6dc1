//! Writes imported events, in one transaction.

use std::collections::{BTreeMap, HashMap};

use futures_util::future::join_all;
use kymograph_app::clock::Clock;
use kymograph_app::random::{hex, random_bytes};
use kymograph_app::{Error, ErrorKind, Result};
use kymograph_domain::import::{Import, Imported};
use kymograph_domain::{OrgId, StoredEvent, StreamId, Timestamp, UserId};
use kymograph_projections::quota::must_have_room;
use kymograph_projections::statement::Param;
use kymograph_projections::{Projector, Recorded, Statements, params, projectors};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement, Transaction};

use super::metadata::Origin;
use super::source::EventFile;
use super::{ImportOrder, ImportReport, is_wanted, take};
use crate::change_feed::EVERYTHING_CHANGED;
use crate::clock::SystemClock;
use crate::event_store::{MOVE_HEAD, Payload, PlacedEvent, READ_HEAD, StreamAppend, append_statements};
use crate::progress::Report;

/// How many events are written at once, and of how many bytes.
const CHUNK: usize = 256;
const CHUNK_BYTES: usize = 4 * 1024 * 1024;

/// How often the beginning is tried, when others write to the same org.
const MAX_TRIES: usize = 200;

/// Writes all events of a file, or none. Who writes to the same org meanwhile waits; nobody else does.
pub(super) async fn write(
    mut client: Client,
    order: &ImportOrder,
    file: &EventFile,
    checked: &Import,
    found: &mut ImportReport,
    report: Report<'_>,
) -> Result<()> {
    let last_id = draw_ids(&mut client, order.org, checked.last_id()).await?;
    for _ in 0..MAX_TRIES {
        let transaction = client.transaction().await.map_err(failed)?;
        let tenant = format!("SET LOCAL app.org_id = '{}'", order.org);
        transaction.batch_execute(&tenant).await.map_err(failed)?;
        let mut writer = Writer::begin(transaction, order, last_id - checked.last_id()).await?;
        match writer.write(order, file, found, report).await {
            Ok(()) => return writer.commit(order, found).await,
            // Somebody else has written since the end of the log was read. From the first event on they wait.
            Err(Failure::Overtaken(_)) if !writer.has_begun => {}
            Err(Failure::Overtaken(error) | Failure::Failed(error)) => return Err(error),
        }
    }
    Err(Error::new(ErrorKind::Overloaded, format!("org {} is too busy: try again later", order.org)))
}

/// Draws the numeric ids of the objects, and returns the last of them. What is not used in the end is lost.
async fn draw_ids(client: &mut Client, org: OrgId, count: i64) -> Result<i64> {
    let sql = "INSERT INTO counters (org_id, name, value) VALUES ($1, 'object', $2)
        ON CONFLICT (org_id, name) DO UPDATE SET value = counters.value + excluded.value RETURNING value";
    let transaction = client.transaction().await.map_err(failed)?;
    transaction.batch_execute(&format!("SET LOCAL app.org_id = '{org}'")).await.map_err(failed)?;
    let last = transaction.query_one(sql, &[&org.0, &count]).await.map_err(failed)?.get(0);
    transaction.commit().await.map_err(failed)?;
    Ok(last)
}

fn failed(error: tokio_postgres::Error) -> Error {
    kymograph_projections::database::database_error(&error)
}

/// Why nothing was written.
enum Failure {
    /// Somebody else has taken a place in a log.
    Overtaken(Error),
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
        let code = error.code();
        let is_race = [SqlState::UNIQUE_VIOLATION, SqlState::T_R_DEADLOCK_DETECTED];
        if code.is_some_and(|code| is_race.contains(code)) {
            return Self::Overtaken(failed(error));
        }
        Self::Failed(failed(error))
    }
}

/// An event that is about to be written.
struct Pending {
    imported: Imported,
    origin: Origin,
    payload: Payload,
    position: i64,
    recorded_at: Timestamp,
}

/// A transaction that imports.
struct Writer<'a> {
    transaction: Transaction<'a>,
    org: OrgId,
    projectors: Vec<Box<dyn Projector>>,
    prepared: HashMap<&'static str, Statement>,
    import: Import,
    /// The versions of the streams as they are written.
    versions: HashMap<StreamId, i64>,
    /// Where the log ended before, and where it ends now.
    before: i64,
    position: i64,
    last_at: Timestamp,
    correlation_id: String,
    /// Whether something is written, so that nobody else can write to the log.
    has_begun: bool,
}

impl<'a> Writer<'a> {
    async fn begin(transaction: Transaction<'a>, order: &ImportOrder, last_id: i64) -> Result<Self> {
        let org = order.org;
        let head = transaction.query_opt(READ_HEAD, &[&org.0]).await.map_err(failed)?;
        let head = head.filter(|head| head.get("is_open"));
        let head = head.ok_or_else(|| Error::missing(format!("there is no org {org}")))?;
        let (before, last_at) = (head.get("pos"), Timestamp::from_date(head.get("last_at")));
        Ok(Self {
            transaction,
            org,
            projectors: projectors(),
            prepared: HashMap::new(),
            import: Import::new(last_id, order.max_document_bytes),
            versions: HashMap::new(),
            before,
            position: before,
            last_at,
            correlation_id: format!("import-{}", hex(&random_bytes::<8>()?)),
            has_begun: false,
        })
    }

    async fn write(
        &mut self,
        order: &ImportOrder,
        file: &EventFile,
        found: &ImportReport,
        report: Report<'_>,
    ) -> Result<(), Failure> {
        let total = found.read.values().sum();
        let (mut done, mut size, mut chunk) = (0, 0, Vec::new());
        let mut lines = file.lines().await?;
        while let Some(line) = lines.next().await? {
            if !is_wanted(order, &line) {
                continue;
            }
            let imported = take(&mut self.import, file, &line)?;
            let payload = Payload::new(imported.event.payload().map_err(Error::internal)?);
            size += payload.len();
            let origin = Origin::of(&line.metadata).map_err(Error::internal)?;
            chunk.push(self.place(imported, origin, payload));
            if chunk.len() == CHUNK || size >= CHUNK_BYTES {
                self.flush(&std::mem::take(&mut chunk)).await?;
                size = 0;
            }
            done += 1;
            report.at("writing", done, total);
        }
        self.flush(&chunk).await
    }

    /// Gives an event the next place in the log.
    fn place(&mut self, imported: Imported, origin: Origin, payload: Payload) -> Pending {
        self.position += 1;
        self.last_at = SystemClock.now().max(Timestamp(self.last_at.0 + 1));
        Pending { imported, origin, payload, position: self.position, recorded_at: self.last_at }
    }

    async fn flush(&mut self, chunk: &[Pending]) -> Result<(), Failure> {
        // The events of a stream go into one append as long as they are of the same origin.
        let mut groups: BTreeMap<(&StreamId, usize), Vec<&Pending>> = BTreeMap::new();
        let mut changes: HashMap<&StreamId, (usize, &Origin)> = HashMap::new();
        for pending in chunk {
            let stream = &pending.imported.stream;
            let (part, origin) = changes.entry(stream).or_insert((0, &pending.origin));
            if origin.meta != pending.origin.meta {
                (*part, *origin) = (*part + 1, &pending.origin);
            }
            groups.entry((stream, *part)).or_default().push(pending);
        }
        // A statement can move a stream once, so parts of one stream do not share any.
        let last_part = changes.values().map(|(part, _)| *part).max().unwrap_or(0);
        for part in 0..=last_part {
            let groups = groups.iter().filter(|((_, of), _)| *of == part);
            self.append(groups.map(|((stream, _), events)| (*stream, events.as_slice())).collect()).await?;
        }
        self.has_begun = true;
        self.project(chunk).await
    }

    async fn append(&mut self, groups: Vec<(&StreamId, &[&Pending])>) -> Result<(), Failure> {
        let mut states = Vec::new();
        let mut placed = Vec::new();
        for (stream, events) in &groups {
            states.push(self.import.state(stream).map_err(Error::internal)?);
            placed.push(events.iter().map(|pending| placed_event(pending)).collect::<Vec<_>>());
        }
        let mut appends = Vec::new();
        for (((stream, events), state), placed) in groups.iter().zip(&states).zip(&placed) {
            let Some(first) = events.first() else { continue };
            let version = self.versions.entry((*stream).clone()).or_default();
            let expected_version = *version;
            *version += i64::try_from(events.len()).map_err(Error::internal)?;
            appends.push(StreamAppend {
                stream_id: stream,
                stream_type: first.imported.stream_type,
                expected_version,
                state,
                events: placed,
                actor_id: 0,
                actor_login: &first.origin.actor,
                causation_id: &self.correlation_id,
                correlation_id: &self.correlation_id,
                meta: &first.origin.meta,
                trace_id: "",
            });
        }
        let statements = append_statements(self.org, appends, true);
        let statements: Vec<_> =
            statements.iter().map(|statement| (statement.sql, statement.params.as_slice())).collect();
        self.execute(&statements).await
    }

    async fn project(&mut self, chunk: &[Pending]) -> Result<(), Failure> {
        let mut statements = Statements::default();
        for pending in chunk {
            let recorded = Recorded {
                org: self.org,
                position: pending.position,
                recorded_at: pending.recorded_at,
                actor_id: UserId::SERVER,
                actor_login: &pending.origin.actor,
                event: &*pending.imported.event as &dyn StoredEvent,
            };
            self.projectors.iter().for_each(|projector| projector.project(&recorded, &mut statements));
        }
        // Rules are checked on the whole and not event by event, because the events of different objects come in
        // another order than that in which they happened.
        let statements = statements.into_vec();
        let writes = statements.iter().filter(|statement| !statement.is_check);
        let writes: Vec<_> = writes.map(|statement| (statement.sql, statement.params.as_slice())).collect();
        self.execute(&writes).await
    }

    async fn execute(&mut self, statements: &[(&'static str, &[Param])]) -> Result<(), Failure> {
        for (sql, _) in statements {
            if !self.prepared.contains_key(sql) {
                self.prepared.insert(sql, self.transaction.prepare(sql).await?);
            }
        }
        let (transaction, prepared) = (&self.transaction, &self.prepared);
        let sending = statements.iter().filter_map(|(sql, params)| {
            let statement = prepared.get(sql)?;
            let params: Vec<&(dyn ToSql + Sync)> = params.iter().map(|param| &**param as _).collect();
            Some(async move { transaction.execute(statement, &params).await })
        });
        // Whatever follows a failure fails, too, and may be noticed first.
        for executed in join_all(sending).await {
            executed?;
        }
        Ok(())
    }

    /// Counts what the log has got, moves its end, tells all servers, and commits.
    async fn commit(mut self, order: &ImportOrder, found: &mut ImportReport) -> Result<()> {
        let (org, before, last) = (self.org, self.before, self.position);
        if let Some(limits) = &order.limits {
            // Others may have created something since the first look. What was imported is counted by now.
            let none_more = self.import.added().into_keys().map(|target| (target, 0)).collect();
            must_have_room(&self.transaction, limits, org, &none_more).await?;
        }
        let count =
            "SELECT type, count(*) FROM events WHERE org_id = $1 AND pos > $2 AND pos <= $3 GROUP BY 1";
        let rows = self.transaction.query(count, &[&org.0, &before, &last]).await.map_err(failed)?;
        let counts = rows.iter().map(|row| (row.get(0), row.get::<_, i64>(1).unsigned_abs()));
        found.written = counts.collect();
        if found.written != found.read {
            let (read, written) = (&found.read, &found.written);
            return Err(Error::internal(format!("{read:?} were read, but {written:?} written")));
        }
        let head = params![org.0, last, self.last_at.date(), before];
        let moved = self.execute(&[(MOVE_HEAD, head.as_slice())]).await;
        moved.map_err(|(Failure::Overtaken(error) | Failure::Failed(error))| error)?;
        self.transaction.batch_execute(EVERYTHING_CHANGED).await.map_err(failed)?;
        self.transaction.commit().await.map_err(failed)?;
        found.positions = Some((before + 1, last));
        Ok(())
    }
}

fn placed_event(pending: &Pending) -> PlacedEvent<'_> {
    PlacedEvent {
        position: pending.position,
        recorded_at: pending.recorded_at,
        stored_type: pending.imported.event.stored_type(),
        schema_version: pending.imported.event.schema_version(),
        payload: &pending.payload,
    }
}
