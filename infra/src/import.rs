//! Takes the log of an application that was written with `postgres-es` into the log of an org.
//!
//! The log is read twice: first everything is checked, without a lock, and then all of it is written in one
//! transaction. What cannot be read twice is copied to a file first. See `docs/adr/0019-rebuild.md`.

mod metadata;
mod source;
mod write;

use std::collections::BTreeMap;
use std::path::PathBuf;

use kymograph_app::quota::QuotaLimits;
use kymograph_app::{Error, Result};
use kymograph_domain::OrgId;
use kymograph_domain::import::{ForeignEvent, Import, Imported};
use kymograph_projections::quota::must_have_room;
use tokio_postgres::Client;

use crate::database_server::DatabaseServer;
use crate::migrate::connect;
use crate::pool::app_server;
use crate::progress::Report;
use source::{EventFile, Line};

/// How many streams are looked up at once.
const LOOK_UP: usize = 5_000;

/// Where the log is.
#[derive(Clone, Debug)]
pub enum ImportSource {
    /// A file with a JSON object for each event on a line of its own.
    File(PathBuf),
    /// Such a file as the standard input.
    Input,
    /// A table of `postgres-es`.
    Table {
        /// How to connect to its database.
        url: String,
        /// Its name, with a schema or without.
        table: String,
    },
}

/// What to import.
#[derive(Clone, Debug)]
pub struct ImportOrder {
    /// The org that gets the events.
    pub org: OrgId,
    /// Where they are.
    pub source: ImportSource,
    /// Only aggregates of these types; all if there are none.
    pub only: Vec<String>,
    /// Whether everything is to be checked and nothing to be written.
    pub is_dry_run: bool,
    /// What the server allows each org, if it limits anything.
    pub limits: Option<QuotaLimits>,
    /// How many bytes the document of a dashboard has at most.
    pub max_document_bytes: usize,
}

/// What was imported, or would have been.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// How many events of each type were read.
    pub read: BTreeMap<String, u64>,
    /// How many events of each type the log has got, counted in the log.
    pub written: BTreeMap<String, u64>,
    /// How many events of other aggregates were left out, by the type of the aggregate.
    pub left_out: BTreeMap<String, u64>,
    /// How many objects there are.
    pub objects: usize,
    /// The first and the last position of what was written.
    pub positions: Option<(i64, i64)>,
}

/// Imports what is ordered, or nothing.
pub async fn import(
    server: &DatabaseServer,
    order: &ImportOrder,
    report: Report<'_>,
) -> Result<ImportReport> {
    let client = connect(&app_server(server)).await?;
    must_be_there(&client, order.org).await?;
    let file = source::open(&order.source, report).await?;
    let mut found = ImportReport::default();
    let import = check(&file, order, &mut found, report).await?;
    found.objects = import.streams().count();
    must_be_free(&client, order, &file, &import).await?;
    if let Some(limits) = &order.limits {
        must_have_room(&client, limits, order.org, &import.added()).await?;
    }
    if order.is_dry_run || import.last_id() == 0 {
        return Ok(found);
    }
    write::write(client, order, &file, &import, &mut found, report).await?;
    Ok(found)
}

/// Reads everything, and finds out whether it can be imported.
async fn check(
    file: &EventFile,
    order: &ImportOrder,
    found: &mut ImportReport,
    report: Report<'_>,
) -> Result<Import> {
    let mut import = Import::new(0, order.max_document_bytes);
    let mut lines = file.lines().await?;
    while let Some(line) = lines.next().await? {
        if !is_wanted(order, &line) {
            *found.left_out.entry(line.aggregate_type).or_default() += 1;
            continue;
        }
        take(&mut import, file, &line)?;
        *found.read.entry(line.event_type).or_default() += 1;
        report.at("checking", line.number, file.count());
    }
    import.check_places().map_err(|error| Error::invalid(format!("line {}: {error}", error.number)))?;
    Ok(import)
}

fn is_wanted(order: &ImportOrder, line: &Line) -> bool {
    order.only.is_empty() || order.only.contains(&line.aggregate_type)
}

/// Takes over the event of a line.
fn take(import: &mut Import, file: &EventFile, line: &Line) -> Result<Imported> {
    let refused = |error: &dyn std::fmt::Display| Error::invalid(format!("{}: {error}", file.place(line)));
    let schema_version = line.event_version.parse().ok().filter(|version| *version > 0);
    let schema_version = schema_version.ok_or_else(|| refused(&"event_version is no version"))?;
    let payload = line.inner_payload().map_err(|error| refused(&error))?;
    let event = ForeignEvent {
        aggregate_type: &line.aggregate_type,
        aggregate_id: &line.aggregate_id,
        sequence: line.sequence,
        event_type: &line.event_type,
        schema_version,
        payload: &payload,
    };
    import.take(line.number, &event).map_err(|error| refused(&error))
}

async fn must_be_there(client: &Client, org: OrgId) -> Result<()> {
    let sql = "SELECT EXISTS (SELECT FROM orgs WHERE id = $1)";
    let is_there: bool = client.query_one(sql, &[&org.0]).await.map_err(Error::internal)?.get(0);
    if is_there { Ok(()) } else { Err(Error::missing(format!("there is no org {org}"))) }
}

/// Refuses objects that the org has, or ever had: a stream has one beginning.
async fn must_be_free(client: &Client, order: &ImportOrder, file: &EventFile, import: &Import) -> Result<()> {
    let org = order.org;
    let select = "SELECT stream_id FROM streams WHERE org_id = $1 AND stream_id = ANY ($2)";
    client.batch_execute(&format!("SET app.org_id = '{org}'")).await.map_err(Error::internal)?;
    let mut taken = BTreeMap::new();
    let streams: Vec<_> = import.streams().collect();
    for streams in streams.chunks(LOOK_UP) {
        let names: Vec<_> = streams.iter().map(|(stream, _)| stream.as_str()).collect();
        let rows = client.query(select, &[&org.0, &names]).await.map_err(Error::internal)?;
        let found: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
        let found = streams.iter().filter(|(stream, _)| found.contains(&stream.as_str()));
        taken.extend(found.map(|(stream, number)| (*number, *stream)));
    }
    client.batch_execute("RESET app.org_id").await.map_err(Error::internal)?;
    let Some((number, stream)) = taken.first_key_value() else { return Ok(()) };
    let (place, others) = (file.place_of(*number), taken.len() - 1);
    Err(Error::invalid(format!("{place}: {stream} is taken in org {org} ({others} others are, too)")))
}
