//! Imports the log of a `postgres-es` application into the log of an org.
//!
//! The log is read twice: first everything is checked, without a lock, and then it is written in steps. Each step is a
//! transaction that writes whole objects and leaves the org consistent. Sources that cannot be read twice are copied to
//! a file first. See `docs/adr/0029-import.md`.

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

/// The source of the log.
pub enum ImportSource {
    /// A file with one event per line, as JSON.
    File(PathBuf),
    /// Such a file as the standard input.
    Input,
    /// A log that is read event by event, such as a table of `postgres-es`.
    Log(Box<dyn ForeignLog>),
}

/// The settings of an import.
pub struct ImportOrder {
    /// The org to import into.
    pub org: OrgId,
    /// The source of the events.
    pub source: ImportSource,
    /// The format of the lines of a file, by default detected.
    pub form: Option<LineForm>,
    /// Only aggregates of these types; all if there are none.
    pub only: Vec<String>,
    /// Whether to check without writing.
    pub is_dry_run: bool,
    /// The quotas of the server, if enforced.
    pub limits: Option<QuotaLimits>,
    /// The size limit of a dashboard document, in bytes.
    pub max_document_bytes: usize,
}

/// The result of an import or dry run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// The number of events read, by type.
    pub read: BTreeMap<String, u64>,
    /// The number of events written, by type, counted in the log.
    pub written: BTreeMap<String, u64>,
    /// The number of skipped events, by aggregate type.
    pub left_out: BTreeMap<String, u64>,
    /// The number of new objects.
    pub objects: usize,
    /// The number of objects written by an earlier run of the same import.
    pub objects_before: usize,
    /// The first and last position written. Commits of others can lie between them.
    pub positions: Option<(i64, i64)>,
}

/// The advisory lock of imports into an org, one at a time.
const LOCK: &str = "SELECT pg_try_advisory_lock(hashtextextended('kymograph/import', $1))";

/// How often the lock of another import is retried, and the pause between the attempts.
const MAX_WAITS: u32 = 25;
const WAIT: Duration = Duration::from_millis(200);

/// Imports a log. Nothing is written if any part of it is invalid. An aborted run leaves whole objects; the next run of
/// the same import continues after them.
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

/// Serializes imports into an org: the checks of concurrent ones would not hold. After a killed import PostgreSQL takes
/// a while to end its session, which this waits for.
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
