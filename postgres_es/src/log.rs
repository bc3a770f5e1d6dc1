//! The log of an application that was written with `postgres-es`, read by `postgres-es` itself.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use cqrs_es::persist::{EventUpcaster, PersistedEventRepository, SerializedEvent};
use kymograph_app::kernel::foreign_log::{ForeignLog, ForeignRow, TakeRow};
use kymograph_app::{Error, Result};
use kymograph_domain::Stream;
use kymograph_domain::import::TYPES;
use kymograph_domain::registry::{self, AggregateVisitor, visit};
use postgres_es::PostgresEventRepository;
use sqlx::Row;
use sqlx::postgres::PgPoolOptions;

/// A table of `postgres-es` in some database.
pub struct PostgresEsLog {
    url: String,
    table: String,
}

impl PostgresEsLog {
    /// The table of that name, with a schema or without, in the database of a `postgresql://` URL.
    #[must_use]
    pub fn new(url: String, table: String) -> Self {
        Self { url, table }
    }
}

#[async_trait]
impl ForeignLog for PostgresEsLog {
    /// Counts the rows that it passes on: when the connection is lost, `postgres-es` ends as if there were no more
    /// events.
    async fn read(&self, take: TakeRow<'_>) -> Result<()> {
        let table = &self.table;
        let is_name = |part: &str| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        if !table.split('.').all(is_name) {
            return Err(Error::invalid(format!("{table} is not the name of a table")));
        }
        let unreadable = |error: sqlx::Error| Error::invalid(format!("the table {table}: {error}"));
        let pool = PgPoolOptions::new().max_connections(2).connect(&self.url).await.map_err(unreadable)?;
        let count = format!("SELECT aggregate_type, count(*) FROM {table} GROUP BY 1 ORDER BY 1");
        let counts = sqlx::query(&count).fetch_all(&pool).await.map_err(unreadable)?;
        let mut counts: Vec<(String, i64)> = counts.iter().map(|row| (row.get(0), row.get(1))).collect();
        let total = counts.iter().map(|(_, count)| count.unsigned_abs()).sum();
        // Folders come before their contents.
        let rank = |kind: &str| TYPES.iter().position(|known| *known == kind).unwrap_or(TYPES.len());
        counts.sort_by_key(|(kind, _)| rank(kind));
        let mut rows = Rows { take, total, read: 0 };
        for (kind, count) in counts {
            if !registry::TYPES.contains(&kind.as_str()) {
                return Err(Error::invalid(format!("the table {table}: {kind} is not an aggregate type")));
            }
            let before = rows.read;
            let repository = PostgresEventRepository::new(pool.clone()).with_tables(table, "snapshots");
            if let Some(reading) = visit(&kind, ReadType { repository, rows: &mut rows }) {
                reading.await?;
            }
            let read = rows.read - before;
            if read != count.unsigned_abs() {
                return Err(Error::invalid(format!(
                    "the table {table}: has {count} events of type {kind}, but {read} were read"
                )));
            }
        }
        pool.close().await;
        Ok(())
    }
}

/// Passes on the rows, and counts them.
struct Rows<'t> {
    take: TakeRow<'t>,
    total: u64,
    read: u64,
}

impl Rows<'_> {
    fn add(&mut self, event: SerializedEvent) -> Result<()> {
        let sequence = i64::try_from(event.sequence).map_err(|error| {
            let SerializedEvent { aggregate_type, aggregate_id, sequence, .. } = &event;
            Error::invalid(format!("{aggregate_type} {aggregate_id}, sequence {sequence}: {error}"))
        })?;
        let row = ForeignRow {
            aggregate_type: event.aggregate_type,
            aggregate_id: event.aggregate_id,
            sequence,
            event_type: event.event_type,
            event_version: event.event_version,
            payload: event.payload,
            metadata: event.metadata,
        };
        self.read += 1;
        (self.take)(row, self.total)
    }
}

/// Reads the events of aggregates of one type.
struct ReadType<'r, 't> {
    repository: PostgresEventRepository,
    rows: &'r mut Rows<'t>,
}

type Reading<'r> = std::pin::Pin<Box<dyn Future<Output = Result<()>> + Send + 'r>>;

impl<'r, 't: 'r> AggregateVisitor for ReadType<'r, 't> {
    type Output = Reading<'r>;

    fn visit<A: Stream>(self) -> Reading<'r> {
        Box::pin(async move {
            let witness = Witness::default();
            let upcasters: Vec<Box<dyn EventUpcaster>> = vec![Box::new(witness.clone())];
            let mut events = self.repository.stream_all_events::<A>().await.map_err(Error::internal)?;
            // An event that `postgres-es` cannot read is passed on nevertheless: the check of all lines detects it, and
            // can report which event it is.
            while events.next::<A>(&upcasters).await.is_some() {
                if let Some(event) = witness.take() {
                    self.rows.add(event)?;
                }
            }
            Ok(())
        })
    }
}

/// Records each event as it is stored: `postgres-es` shows that to upcasters only.
#[derive(Clone, Default)]
struct Witness(Arc<Mutex<Option<SerializedEvent>>>);

impl Witness {
    fn take(&self) -> Option<SerializedEvent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl EventUpcaster for Witness {
    fn can_upcast(&self, _: &str, _: &str) -> bool {
        true
    }

    fn upcast(&self, event: SerializedEvent) -> SerializedEvent {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(event.clone());
        event
    }
}
