//! A table of `postgres-es`, which is read by `postgres-es` itself.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::sync::{Arc, Mutex, PoisonError};

use cqrs_es::persist::{EventUpcaster, PersistedEventRepository, SerializedEvent};
use kymograph_app::{Error, Result};
use kymograph_domain::Stream;
use kymograph_domain::import::TYPES;
use kymograph_domain::registry::{self, AggregateVisitor, visit};
use postgres_es::PostgresEventRepository;
use serde::Serialize;
use serde_json::Value;
use sqlx::Row;
use sqlx::postgres::PgPoolOptions;

use crate::progress::Report;

/// Copies a table with `postgres-es` itself, and counts what it gives: when its connection is lost it ends as if there
/// were no more events.
pub(super) async fn read_table(url: &str, table: &str, report: Report<'_>) -> Result<(File, Vec<String>)> {
    let is_name = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    if !table.split('.').all(is_name) {
        return Err(Error::invalid(format!("{table} is no name of a table")));
    }
    let unreadable = |error: sqlx::Error| Error::invalid(format!("the table {table}: {error}"));
    let pool = PgPoolOptions::new().max_connections(2).connect(url).await.map_err(unreadable)?;
    let count = format!("SELECT aggregate_type, count(*) FROM {table} GROUP BY 1 ORDER BY 1");
    let counts = sqlx::query(&count).fetch_all(&pool).await.map_err(unreadable)?;
    let counts: Vec<(String, i64)> = counts.iter().map(|row| (row.get(0), row.get(1))).collect();
    let total = counts.iter().map(|(_, count)| count.unsigned_abs()).sum();
    let file = BufWriter::new(tempfile::tempfile().map_err(Error::internal)?);
    let mut out = Copy { file, places: Vec::new(), total, report };
    // Folders come before what is in them.
    let rank = |kind: &str| TYPES.iter().position(|known| *known == kind).unwrap_or(TYPES.len());
    let mut by_rank = counts;
    by_rank.sort_by_key(|(kind, _)| rank(kind));
    for (kind, count) in by_rank {
        if !registry::TYPES.contains(&kind.as_str()) {
            return Err(Error::invalid(format!("the table {table}: {kind} is no type of aggregate")));
        }
        let before = out.places.len();
        let repository = PostgresEventRepository::new(pool.clone()).with_tables(table, "snapshots");
        if let Some(copying) = visit(&kind, CopyType { repository, out: &mut out }) {
            copying.await?;
        }
        let read = (out.places.len() - before) as u64;
        if read != count.unsigned_abs() {
            return Err(Error::invalid(format!(
                "the table {table}: has {count} events of aggregates of type {kind}, and gave {read}"
            )));
        }
    }
    pool.close().await;
    let file = out.file.into_inner().map_err(|error| Error::internal(error.into_error()))?;
    Ok((file, out.places))
}

/// An event in the form that `row_to_json` gives it.
#[derive(Serialize)]
struct CopiedLine {
    aggregate_type: String,
    aggregate_id: String,
    sequence: i64,
    event_type: String,
    event_version: String,
    payload: Value,
    metadata: Value,
}

/// The copy of a table.
struct Copy<'a> {
    file: BufWriter<File>,
    places: Vec<String>,
    total: u64,
    report: Report<'a>,
}

impl Copy<'_> {
    fn add(&mut self, event: SerializedEvent) -> Result<()> {
        let place = format!("{} {}, sequence {}", event.aggregate_type, event.aggregate_id, event.sequence);
        let line = CopiedLine {
            aggregate_type: event.aggregate_type,
            aggregate_id: event.aggregate_id,
            sequence: i64::try_from(event.sequence)
                .map_err(|error| Error::invalid(format!("{place}: {error}")))?,
            event_type: event.event_type,
            event_version: event.event_version,
            payload: event.payload,
            metadata: event.metadata,
        };
        let mut text = serde_json::to_vec(&line).map_err(Error::internal)?;
        text.push(b'\n');
        self.file.write_all(&text).map_err(Error::internal)?;
        self.places.push(place);
        self.report.at("reading", self.places.len() as u64, self.total);
        Ok(())
    }
}

struct CopyType<'c, 'r> {
    repository: PostgresEventRepository,
    out: &'c mut Copy<'r>,
}

type Copying<'c> = std::pin::Pin<Box<dyn Future<Output = Result<()>> + Send + 'c>>;

impl<'c, 'r: 'c> AggregateVisitor for CopyType<'c, 'r> {
    type Output = Copying<'c>;

    fn visit<A: Stream>(self) -> Copying<'c> {
        Box::pin(async move {
            let witness = Witness::default();
            let upcasters: Vec<Box<dyn EventUpcaster>> = vec![Box::new(witness.clone())];
            let mut events = self.repository.stream_all_events::<A>().await.map_err(Error::internal)?;
            // An event that it cannot read is copied all the same: the check of all lines finds it, and can say
            // which event it is.
            while events.next::<A>(&upcasters).await.is_some() {
                if let Some(event) = witness.take() {
                    self.out.add(event)?;
                }
            }
            Ok(())
        })
    }
}

/// Sees each event as it is stored: `postgres-es` shows it to upcasters only.
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
