//! Verifies that the log and everything derived from it are consistent.
//!
//! All reads of the log and the tables share one snapshot, so that a server may write at the same time. For each org:
//! positions without gaps, the versions of each stream without gaps, unchanged payloads; the stored states of streams
//! equal to a fold; the read models equal to a projection of the log from the start; valid references between objects;
//! and a fold by another implementation ([`ReferenceFold`]).

mod differential;
mod log;
mod read_model;
mod reference;
mod side_table;

use std::collections::BTreeMap;

use kymograph_app::kernel::reference_fold::ReferenceFold;
use kymograph_app::{Error, ErrorKind, Result};
use kymograph_domain::OrgId;
use kymograph_domain::registry::Fold;
use kymograph_projections::projectors;
use tokio_postgres::{Client, Transaction};

use crate::database_server::DatabaseServer;
use crate::migrate::connect;
use crate::rebuild::{LOCK, check_schema};

/// The maximum number of described faults; the others are only counted.
const MAX_DESCRIBED: usize = 50;

/// The result of a verification.
#[derive(Debug, Default)]
pub struct Report {
    /// The number of logs: one for each org and one for the server.
    pub logs: usize,
    /// The number of events.
    pub events: i64,
    /// The number of streams, folded by the domain and compared with their stored states.
    pub streams: usize,
    /// The number of streams that the reference folded to the same state.
    pub streams_by_reference: usize,
    /// The number of rows of each read model that equal those of a fresh projection.
    pub tables: BTreeMap<&'static str, i64>,
    /// The tables that are not derived from the log and were found consistent with it.
    pub side_tables: Vec<&'static str>,
    /// Descriptions of the first faults.
    pub faults: Vec<String>,
    /// The total number of faults.
    pub fault_count: usize,
}

impl Report {
    fn fault(&mut self, description: impl Into<String>) {
        self.fault_count += 1;
        if self.faults.len() < MAX_DESCRIBED {
            self.faults.push(description.into());
        }
    }
}

/// A folded stream.
struct Folded {
    stream_type: String,
    version: i64,
    fold: Box<dyn Fold>,
    /// Whether the reference can read its events.
    is_readable: bool,
}

/// The streams of an org by name.
type FoldedStreams = BTreeMap<String, Folded>;

/// Verifies a database. The reference folds the streams of its log as well.
pub async fn verify(server: &DatabaseServer, reference: &dyn ReferenceFold) -> Result<Report> {
    let mut client = connect(server).await?;
    check_schema(&client).await?;
    share_lock(&client).await?;
    let projectors = projectors();
    read_model::create_shadows(&client).await.map_err(Error::internal)?;
    let transaction = client
        .build_transaction()
        .isolation_level(tokio_postgres::IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await
        .map_err(Error::internal)?;
    let (mut report, mut prepared) = (Report::default(), read_model::Prepared::new());
    for org in list_orgs(&transaction).await? {
        set_org(&transaction, org).await?;
        let Some(streams) = log::check(&transaction, org, &projectors, &mut prepared, &mut report).await?
        else {
            continue;
        };
        report.logs += 1;
        report.streams += streams.len();
        log::check_stored_ends(&transaction, org, &streams, &mut report).await?;
        read_model::compare_tenant_tables(&transaction, org, &projectors, &mut report).await?;
        side_table::check_tenant(&transaction, org, &mut report).await?;
        reference::check_tenant(&transaction, org, &mut report).await?;
        differential::check(reference, org, &streams, &mut report).await?;
    }
    read_model::compare_global_tables(&transaction, &projectors, &mut report).await?;
    side_table::check_global(&transaction, &mut report).await?;
    reference::check_global(&transaction, &mut report).await?;
    Ok(report)
}

/// Shares the lock of rebuilds, which replace the tables that are verified.
async fn share_lock(client: &Client) -> Result<()> {
    let sql = "SELECT pg_try_advisory_lock_shared($1)";
    let is_free: bool = client.query_one(sql, &[&LOCK]).await.map_err(Error::internal)?.get(0);
    let message = "a projection is being rebuilt: verify afterwards";
    if is_free { Ok(()) } else { Err(Error::new(ErrorKind::Stale, message)) }
}

/// All orgs that ever existed. Deleted ones keep their log, so all ids up to the last one are listed.
async fn list_orgs(transaction: &Transaction<'_>) -> Result<Vec<OrgId>> {
    set_org(transaction, OrgId::SERVER).await?;
    let sql = "SELECT greatest(
        (SELECT value FROM counters WHERE org_id = 0 AND name = 'org'), (SELECT max(id) FROM orgs))";
    let last: Option<i64> = transaction.query_one(sql, &[]).await.map_err(Error::internal)?.get(0);
    Ok((0..=last.unwrap_or_default()).map(OrgId).collect())
}

async fn set_org(transaction: &Transaction<'_>, org: OrgId) -> Result<()> {
    transaction.batch_execute(&format!("SET LOCAL app.org_id = '{org}'")).await.map_err(Error::internal)
}
