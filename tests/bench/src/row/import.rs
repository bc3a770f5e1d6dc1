//! An import of a log of a million events into a running server, while another client writes to the same org.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cqrs_es::Aggregate;
use futures_util::{SinkExt, TryStreamExt};
use kymograph_domain::content::dashboard::{
    Dashboard, DashboardContent, DashboardCreated, DashboardEvent, DashboardUpdated,
};
use kymograph_domain::content::folder::{Folder, FolderCreated, FolderEvent};
use kymograph_domain::{StoredEvent, Uid};
use kymograph_infra::migrate::connect;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::OnceCell;
use tokio_postgres::Client;

use super::Reading;
use crate::api::Api;
use crate::bench::Bench;
use crate::document::dashboard;
use crate::error::Result;
use crate::report::progress;
use crate::script::content;
use crate::server::Server;

/// The place of the org.
const FOLDER: &str = "import";
const EVENTS: i64 = 1_000_000;
const FOLDERS: i64 = 1_000;
/// The number of versions of each dashboard.
const VERSIONS: i64 = 4;
/// The approximate size of a document, in bytes.
const BYTES: usize = 500;

const COPY_OUT: &str =
    "COPY (SELECT * FROM events WHERE org_id = 1 AND correlation_id LIKE 'import-%' ORDER BY pos)
    TO STDOUT (FORMAT binary)";
const MAKE_TABLE: &str = "CREATE TABLE copied_events (LIKE events INCLUDING ALL)";
const COPY_IN: &str = "COPY copied_events FROM STDIN (FORMAT binary)";

/// The measurement, made once and shared by all rows.
static MEASURED: OnceCell<Measured> = OnceCell::const_new();

struct Measured {
    import: Duration,
    copy: Duration,
    longest_write: Duration,
}

/// The duration of the import, in seconds.
pub(super) async fn time(bench: &Bench, _: &str) -> Result<Reading> {
    Ok(Reading::alone(measured(bench).await?.import.as_secs_f64()))
}

/// The duration relative to a `COPY` of the same events into a table that only has the same indexes.
pub(super) async fn against_copy(bench: &Bench, _: &str) -> Result<Reading> {
    let Measured { import, copy, .. } = measured(bench).await?;
    Ok(Reading::alone(import.as_secs_f64() / copy.as_secs_f64()))
}

/// The maximum time that another writer to the org waits meanwhile, in seconds.
pub(super) async fn wait_of_writers(bench: &Bench, _: &str) -> Result<Reading> {
    Ok(Reading::alone(measured(bench).await?.longest_write.as_secs_f64()))
}

async fn measured(bench: &Bench) -> Result<&'static Measured> {
    let measured = MEASURED.get_or_try_init(async || measure(bench, &bench.folder(FOLDER)?).await).await;
    bench.clear(FOLDER)?;
    measured
}

async fn measure(bench: &Bench, folder: &Path) -> Result<Measured> {
    let server = Server::start(bench, folder).await?;
    let (file, copied) = (folder.join("events.ndjson"), folder.join("events.copy"));
    progress(&format!("  writing a file of {EVENTS} events"));
    write_log(&file)?;
    let mut api = Api::log_in(server.address).await?;
    let mut longest_write = Duration::ZERO;
    let begun = Instant::now();
    tokio::select! {
        imported = import(bench, folder, &file) => imported?,
        failed = write_on(&mut api, &mut longest_write) => failed?,
    }
    let import = begun.elapsed();
    let client = connect(&server.postgres().await?).await?;
    let imported = "SELECT count(*) FROM events WHERE org_id = 1 AND correlation_id LIKE 'import-%'";
    if client.query_one(imported, &[]).await?.get::<_, i64>(0) != EVENTS {
        return Err("the log lacks events".into());
    }
    let copy = copy(&client, &copied).await?;
    progress(&format!("  {import:.1?} / {copy:.1?}, and somebody waited for {longest_write:.1?}"));
    Ok(Measured { import, copy, longest_write })
}

/// Imports by the public subcommand.
async fn import(bench: &Bench, folder: &Path, file: &Path) -> Result<()> {
    let mut command = tokio::process::Command::new(bench.programs.join("kymograph"));
    command.args(["import", "--org", "1", "--from"]).arg(file).current_dir(folder).kill_on_drop(true);
    let output = command.env("GF_PATHS_DATA", folder.join("data")).output().await?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(())
}

/// Saves a dashboard repeatedly, until a save fails.
async fn write_on(api: &mut Api, longest: &mut Duration) -> Result<()> {
    loop {
        let begun = Instant::now();
        api.save(&dashboard("meanwhile", BYTES)).await?;
        *longest = begun.elapsed().max(*longest);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Copies the imported events into a table of the same shape, and returns the duration.
async fn copy(client: &Client, file: &Path) -> Result<Duration> {
    let mut rows = std::pin::pin!(client.copy_out(COPY_OUT).await?);
    let mut out = BufWriter::new(File::create(file)?);
    while let Some(part) = rows.try_next().await? {
        out.write_all(&part)?;
    }
    out.flush()?;
    client.batch_execute(MAKE_TABLE).await?;
    let begun = Instant::now();
    let mut sink = std::pin::pin!(client.copy_in::<_, Bytes>(COPY_IN).await?);
    let mut file = File::open(file)?;
    let mut part = vec![0; 256 * 1024];
    loop {
        let read = file.read(&mut part)?;
        if read == 0 {
            break;
        }
        sink.send(Bytes::copy_from_slice(&part[..read])).await?;
    }
    sink.finish().await?;
    Ok(begun.elapsed())
}

/// Writes the log: folders in ten folders, and dashboards in all of them, whose versions are far apart.
fn write_log(file: &Path) -> Result<()> {
    let mut out = BufWriter::new(File::create(file)?);
    for number in 0..FOLDERS {
        let uid = folder_uid(number)?;
        let parent_uid = (number >= 10).then(|| folder_uid(number % 10)).transpose()?;
        let title = format!("Folder {number}");
        let created =
            FolderCreated { id: 1, uid, title, description: String::new(), parent_uid, restores: None };
        write_line(
            &mut out,
            Folder::TYPE,
            &format!("folder-import-{number:06}"),
            1,
            &FolderEvent::from(created),
        )?;
    }
    let template = content(&dashboard("imported", BYTES))?;
    for version in 1..=VERSIONS {
        for number in 0..(EVENTS - FOLDERS) / VERSIONS {
            let uid = format!("imported-{number:07}");
            let content = DashboardContent {
                uid: Uid::try_new(&uid)?,
                title: format!("Dashboard {number} of service-{}", number % 997),
                folder_uid: Some(folder_uid(number % FOLDERS)?),
                message: format!("Version {version}"),
                ..template.clone()
            };
            let event: DashboardEvent = if version == 1 {
                DashboardCreated { id: 1, generation: 1, content }.into()
            } else {
                DashboardUpdated { generation: 1, version, content }.into()
            };
            write_line(&mut out, Dashboard::TYPE, &format!("dashboard-{uid}"), version, &event)?;
        }
    }
    Ok(out.flush()?)
}

fn folder_uid(number: i64) -> Result<Uid> {
    Ok(Uid::try_new(&format!("import-{number:06}"))?)
}

fn write_line(
    out: &mut impl Write,
    kind: &str,
    id: &str,
    sequence: i64,
    event: &dyn StoredEvent,
) -> Result<()> {
    let line = Line {
        aggregate_type: kind,
        aggregate_id: id,
        sequence,
        event_type: event.stored_type(),
        event_version: event.schema_version().to_string(),
        payload: BTreeMap::from([(event.stored_type(), RawValue::from_string(event.payload()?)?)]),
        metadata: BTreeMap::from([("actor", "ada"), ("time", "2024-05-06T07:08:09Z")]),
    };
    serde_json::to_writer(&mut *out, &line)?;
    Ok(out.write_all(b"\n")?)
}

/// An event as `row_to_json` writes it.
#[derive(Serialize)]
struct Line<'a> {
    aggregate_type: &'a str,
    aggregate_id: &'a str,
    sequence: i64,
    event_type: &'a str,
    event_version: String,
    payload: BTreeMap<&'a str, Box<RawValue>>,
    metadata: BTreeMap<&'a str, &'a str>,
}
