//! Takes the log of an application that was written with `postgres-es` into the log of an org.
//!
//! The log is read twice: first everything is checked, without a lock, and then it is written in steps, each of which is a
//! transaction that brings whole objects and leaves an org that is in order. What cannot be read twice is copied to a file
//! first. See `docs/adr/0029-import.md`.

mod check;
mod chunk;
mod copy;
mod form;
mod line;
mod metadata;
mod plan;
mod source;
mod write;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kymograph_app::account::quota::QuotaLimits;
use kymograph_app::kernel::foreign_log::ForeignLog;
use kymograph_app::{Error, ErrorKind, Result};
use kymograph_domain::OrgId;
use tokio_postgres::Client;

use crate::database_server::DatabaseServer;
use crate::migrate::connect;
use crate::pool::app_server;
use crate::progress::Report;

pub use form::LineForm;

/// Where the log is.
pub enum ImportSource {
    /// A file with a JSON object for each event on a line of its own.
    File(PathBuf),
    /// Such a file as the standard input.
    Input,
    /// A log that is read event by event, such as a table of `postgres-es`.
    Log(Box<dyn ForeignLog>),
}

/// What to import.
pub struct ImportOrder {
    /// The org that gets the events.
    pub org: OrgId,
    /// Where they are.
    pub source: ImportSource,
    /// The form of the lines of a file; if nobody names it, they tell.
    pub form: Option<LineForm>,
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
    /// How many objects there are more.
    pub objects: usize,
    /// How many objects an earlier run of the same import has brought already.
    pub objects_before: usize,
    /// The first and the last position of what was written. What others have written meanwhile can lie between them.
    pub positions: Option<(i64, i64)>,
}

/// The advisory lock of those who import into an org, of whom there is one at a time.
const LOCK: &str = "SELECT pg_try_advisory_lock(hashtextextended('kymograph/import', $1))";

/// How often it is asked again whether another import is over, and how long after the last time.
const MAX_WAITS: u32 = 25;
const WAIT: Duration = Duration::from_millis(200);

/// Imports what is ordered. Nothing is written if anything of it cannot be imported. A run that is broken off leaves whole
/// objects; the next of the same import goes on after them.
pub async fn import(
    server: &DatabaseServer,
    order: &ImportOrder,
    report: Report<'_>,
) -> Result<ImportReport> {
    let client = connect(&app_server(server)).await?;
    must_be_there(&client, order.org).await?;
    let file = source::open(&order.source, order.form, report).await?;
    let mut found = ImportReport::default();
    let mut checked = check::read(&file, order, &mut found, report)?;
    must_be_alone(&client, order).await?;
    client.batch_execute(&format!("SET app.org_id = '{}'", order.org)).await.map_err(failed)?;
    found.objects_before = checked.leave_out_what_is_there(&client, order, &file).await?;
    found.objects = checked.import.objects().count();
    checked.must_fit(&client, order, &file).await?;
    if order.is_dry_run || found.objects == 0 {
        return Ok(found);
    }
    let plan = plan::Plan::of(checked);
    write::write(client, order, &Arc::new(file), &Arc::new(plan), &mut found, report).await?;
    Ok(found)
}

async fn must_be_there(client: &Client, org: OrgId) -> Result<()> {
    let sql = "SELECT EXISTS (SELECT FROM orgs WHERE id = $1)";
    let is_there: bool = client.query_one(sql, &[&org.0]).await.map_err(failed)?.get(0);
    if is_there { Ok(()) } else { Err(Error::missing(format!("org {org} does not exist"))) }
}

/// Lets one import into an org at a time: the checks of two would not hold for either. The session of one that was killed ends when PostgreSQL
/// notices, which is waited for.
async fn must_be_alone(client: &Client, order: &ImportOrder) -> Result<()> {
    let org = order.org;
    for attempt in 0.. {
        if client.query_one(LOCK, &[&org.0]).await.map_err(failed)?.get(0) {
            break;
        }
        if attempt == MAX_WAITS {
            let message = format!("another import into org {org} is running: try again later");
            return Err(Error::new(ErrorKind::Overloaded, message));
        }
        tokio::time::sleep(WAIT).await;
    }
    Ok(())
}

fn failed(error: tokio_postgres::Error) -> Error {
    kymograph_projections::kernel::database::database_error(&error)
}
