//! Where foreign events are read from. Whatever it is, it is read as a file of lines, which can be read twice.

use std::io::SeekFrom;
use std::sync::{Arc, Mutex, PoisonError};

use cqrs_es::persist::{EventUpcaster, PersistedEventRepository, SerializedEvent};
use kymograph_app::{Error, Result};
use kymograph_domain::Stream;
use kymograph_domain::import::TYPES;
use kymograph_domain::registry::{self, AggregateVisitor, visit};
use postgres_es::PostgresEventRepository;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::Row;
use sqlx::postgres::PgPoolOptions;
use tokio::fs::File;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, AsyncWriteExt, BufReader, BufWriter};

use super::ImportSource;
use crate::progress::Report;

/// How long a line may be, in bytes.
const MAX_LINE: u64 = 64 * 1024 * 1024;

/// An event as `postgres-es` keeps it, in the form that `row_to_json` gives it.
#[derive(Deserialize, Serialize)]
pub(super) struct Line {
    /// Which line it is, from 1.
    #[serde(skip)]
    pub(super) number: u64,
    pub(super) aggregate_type: String,
    pub(super) aggregate_id: String,
    pub(super) sequence: i64,
    pub(super) event_type: String,
    pub(super) event_version: String,
    payload: Value,
    #[serde(default)]
    pub(super) metadata: Value,
}

impl Line {
    /// What is inside of the payload, whose outermost member says the type once more.
    pub(super) fn inner_payload(&self) -> Result<String, String> {
        let members = self.payload.as_object().filter(|members| members.len() == 1);
        let inner = members.and_then(|members| members.get(&self.event_type));
        let inner =
            inner.ok_or_else(|| format!("payload is no object with the one member {}", self.event_type))?;
        Ok(inner.to_string())
    }
}

/// A file of events that can be read again and again.
pub(super) struct EventFile {
    file: File,
    /// How many lines it has, 0 if nobody has counted them.
    count: u64,
    /// Whether people know the lines by their numbers.
    has_numbers: bool,
    /// The places of the events of a table, by number.
    places: Vec<String>,
}

impl EventFile {
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Where a line comes from, in words for whoever has to mend it.
    pub(super) fn place(&self, line: &Line) -> String {
        if self.has_numbers {
            return format!("line {}", line.number);
        }
        let Line { aggregate_type, aggregate_id, sequence, .. } = line;
        format!("{aggregate_type} {aggregate_id}, sequence {sequence}")
    }

    /// Where the line of that number comes from.
    pub(super) fn place_of(&self, number: u64) -> String {
        let place = usize::try_from(number).ok().and_then(|number| self.places.get(number - 1));
        place.cloned().unwrap_or_else(|| format!("line {number}"))
    }

    /// The lines from the start.
    pub(super) async fn lines(&self) -> Result<Lines> {
        let mut file = self.file.try_clone().await.map_err(Error::internal)?;
        file.seek(SeekFrom::Start(0)).await.map_err(Error::internal)?;
        Ok(Lines { reader: BufReader::with_capacity(256 * 1024, file), number: 0, text: Vec::new() })
    }
}

/// Reads lines.
pub(super) struct Lines {
    reader: BufReader<File>,
    number: u64,
    text: Vec<u8>,
}

impl Lines {
    pub(super) async fn next(&mut self) -> Result<Option<Line>> {
        self.text.clear();
        self.number += 1;
        let number = self.number;
        let mut limited = (&mut self.reader).take(MAX_LINE);
        let read = limited.read_until(b'\n', &mut self.text).await.map_err(Error::internal)?;
        if read == 0 {
            return Ok(None);
        }
        if read as u64 == MAX_LINE {
            return Err(Error::invalid(format!("line {number}: is longer than {MAX_LINE} bytes")));
        }
        let line = serde_json::from_slice::<Line>(&self.text);
        let mut line =
            line.map_err(|error| Error::invalid(format!("line {number}: is no event: {error}")))?;
        line.number = number;
        Ok(Some(line))
    }
}

/// Opens a source. What is no file is copied to one that nobody else sees, and that is gone with this process.
pub(super) async fn open(source: &ImportSource, report: Report<'_>) -> Result<EventFile> {
    let (file, count, places) = match source {
        ImportSource::File(path) => {
            let unreadable = |error| Error::invalid(format!("{}: {error}", path.display()));
            let file = File::open(path).await.map_err(unreadable)?;
            if file.metadata().await.map_err(unreadable)?.is_file() {
                (file, 0, Vec::new())
            } else {
                (copy(file.into_std().await).await?, 0, Vec::new())
            }
        }
        ImportSource::Input => (copy(std::io::stdin()).await?, 0, Vec::new()),
        ImportSource::Table { url, table } => {
            let (file, places) = read_table(url, table, report).await?;
            (file, places.len() as u64, places)
        }
    };
    let has_numbers = !matches!(source, ImportSource::Table { .. });
    Ok(EventFile { file, count, has_numbers, places })
}

async fn copy(mut from: impl std::io::Read + Send + 'static) -> Result<File> {
    let copying = tokio::task::spawn_blocking(move || {
        let mut file = tempfile::tempfile()?;
        std::io::copy(&mut from, &mut file)?;
        std::io::Result::Ok(file)
    });
    copying.await.map_err(Error::internal)?.map(File::from_std).map_err(Error::internal)
}

async fn unnamed_file() -> Result<File> {
    let file = tokio::task::spawn_blocking(tempfile::tempfile).await.map_err(Error::internal)?;
    file.map(File::from_std).map_err(Error::internal)
}

/// Copies a table with `postgres-es` itself, and counts what it gives: when its connection is lost it ends as if there
/// were no more events.
async fn read_table(url: &str, table: &str, report: Report<'_>) -> Result<(File, Vec<String>)> {
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
    let mut out = Copy { file: BufWriter::new(unnamed_file().await?), places: Vec::new(), total, report };
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
    out.file.flush().await.map_err(Error::internal)?;
    pool.close().await;
    Ok((out.file.into_inner(), out.places))
}

/// The copy of a table.
struct Copy<'a> {
    file: BufWriter<File>,
    places: Vec<String>,
    total: u64,
    report: Report<'a>,
}

impl Copy<'_> {
    async fn add(&mut self, event: SerializedEvent) -> Result<()> {
        let place = format!("{} {}, sequence {}", event.aggregate_type, event.aggregate_id, event.sequence);
        let line = Line {
            number: 0,
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
        self.file.write_all(&text).await.map_err(Error::internal)?;
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
            // Whether it can read an event does not matter: that is found out where all others are checked, and
            // where one can say which event it is.
            while events.next::<A>(&upcasters).await.is_some() {
                if let Some(event) = witness.take() {
                    self.out.add(event).await?;
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
