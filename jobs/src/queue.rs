//! The table `jobs`.

mod sql;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kymograph_app::account::job::{JobState, JobStore, JobView};
use kymograph_app::kernel::job::{JobWriter, KEEP_DEAD, NewJob};
use kymograph_app::kernel::side_write::{OnFailure, SideWrite};
use kymograph_app::{Page, Result, values};
use kymograph_domain::{OrgId, Timestamp};
use kymograph_projections::Database;
use tokio::sync::Notify;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

/// The duration of a lease.
pub(crate) const LEASE: Duration = Duration::from_secs(20);
/// How many orgs are read in addition to those that get a turn: other workers may be claiming their jobs.
const LOOK_AHEAD: usize = 16;
/// How many characters of an error are stored.
const MAX_ERROR: usize = 500;

/// Jobs in the table `jobs`.
#[derive(Clone)]
pub struct PgJobs {
    database: Database,
    woken: Arc<Notify>,
}

/// A job that a worker has claimed.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) id: String,
    pub(crate) org: OrgId,
    pub(crate) kind: String,
    pub(crate) payload: String,
    /// The number of attempts, including this one.
    pub(crate) attempts: u32,
    /// The fencing token: a claim with an earlier one is no longer valid.
    epoch: i64,
}

/// The outcome that is stored for a claimed job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Settlement {
    /// It is deleted.
    Done,
    /// It is due again after this delay, with no attempts.
    Again(Duration),
    /// It failed and is due again after this delay.
    Retry(Duration, String),
    /// It is released: due at once, without counting this attempt.
    Release,
    /// It is dead.
    Dead(String),
}

/// The bounds of one round of claims.
pub(crate) struct Turn<'a> {
    /// The org that had the last turn.
    pub(crate) after: OrgId,
    /// How many orgs get a turn at most, one job each.
    pub(crate) orgs: usize,
    /// Orgs that have reached their limit of running jobs.
    pub(crate) busy: &'a [i64],
    /// The kinds that have a handler.
    pub(crate) kinds: &'a [&'static str],
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// The beginning of an error, without control characters: NUL cannot be stored.
fn kept(error: &str) -> String {
    let printable = error.chars().map(|character| if character.is_control() { ' ' } else { character });
    printable.take(MAX_ERROR).collect()
}

impl PgJobs {
    /// Jobs in this database.
    #[must_use]
    pub fn new(database: &Database) -> Self {
        Self { database: database.in_background(), woken: Arc::default() }
    }

    /// Waits for a notification that a job is due.
    pub(crate) async fn woken(&self) {
        self.woken.notified().await;
    }

    /// Writes a standing job unless it exists.
    pub(crate) async fn ensure(&self, job: &NewJob) -> Result<()> {
        self.insert(sql::ENSURE, job).await
    }

    async fn insert(&self, sql: &'static str, job: &NewJob) -> Result<()> {
        let NewJob { id, org, kind, payload, delay } = job;
        let params: &[&(dyn ToSql + Sync)] = &[id, &org.0, kind, payload, &milliseconds(*delay)];
        self.database.write_global(sql, params).await.map(drop)
    }

    /// Claims due jobs, of each org the one that is due longest.
    pub(crate) async fn claim(&self, turn: &Turn<'_>) -> Result<Vec<Claim>> {
        let looked_at = i64::try_from(turn.orgs + turn.busy.len() + LOOK_AHEAD).unwrap_or(i64::MAX);
        let orgs = i64::try_from(turn.orgs).unwrap_or(i64::MAX);
        let lease = milliseconds(LEASE);
        let rows = self
            .database
            .write(
                OrgId::SERVER,
                sql::CLAIM,
                &[&turn.after.0, &looked_at, &turn.busy, &turn.kinds, &orgs, &lease],
            )
            .await?;
        Ok(rows.iter().map(claim).collect())
    }

    /// Renews the lease of a job. Returns false if another worker has claimed it.
    pub(crate) async fn renew(&self, claim: &Claim) -> Result<bool> {
        let lease = milliseconds(LEASE);
        Ok(self.database.write_global(sql::RENEW, &[&claim.id, &claim.epoch, &lease]).await? == 1)
    }

    /// Settles a job. Returns false if another worker has claimed it.
    pub(crate) async fn settle(&self, claim: &Claim, settlement: Settlement) -> Result<bool> {
        let tried = i32::try_from(claim.attempts).unwrap_or(i32::MAX);
        let (state, wait, attempts, error) = match settlement {
            Settlement::Done => {
                let deleted = self.database.write_global(sql::DELETE, &[&claim.id, &claim.epoch]).await?;
                return Ok(deleted == 1);
            }
            Settlement::Again(wait) => (JobState::Waiting, wait, 0, String::new()),
            Settlement::Retry(wait, error) => (JobState::Waiting, wait, tried, kept(&error)),
            Settlement::Release => (JobState::Waiting, Duration::ZERO, tried - 1, String::new()),
            Settlement::Dead(error) => (JobState::Dead, Duration::ZERO, tried, kept(&error)),
        };
        let (state, wait) = (state.as_str(), milliseconds(wait));
        let params: &[&(dyn ToSql + Sync)] = &[&claim.id, &claim.epoch, &state, &wait, &attempts, &error];
        Ok(self.database.write_global(sql::SETTLE, params).await? == 1)
    }
}

fn claim(row: &Row) -> Claim {
    Claim {
        id: row.get("id"),
        org: OrgId(row.get("owner_org_id")),
        kind: row.get("kind"),
        payload: row.get("payload"),
        attempts: row.get::<_, i32>("attempts").unsigned_abs(),
        epoch: row.get("epoch"),
    }
}

#[async_trait]
impl JobWriter for PgJobs {
    fn write(&self, job: NewJob) -> SideWrite {
        let NewJob { id, org, kind, payload, delay } = job;
        let params = values![id, org.0, kind, payload, milliseconds(delay)];
        SideWrite { org, sql: sql::WRITE, params, on_failure: OnFailure::Fault }
    }

    async fn write_alone(&self, job: NewJob) -> Result<()> {
        self.insert(sql::WRITE, &job).await
    }

    fn delete_all(&self, org: OrgId) -> SideWrite {
        SideWrite { org, sql: sql::DELETE_ALL, params: values![org.0], on_failure: OnFailure::Fault }
    }

    fn wake(&self) {
        self.woken.notify_one();
    }
}

#[async_trait]
impl JobStore for PgJobs {
    async fn list_jobs(&self, state: JobState, page: Page) -> Result<Vec<JobView>> {
        let rows =
            self.database.read_global(sql::LIST, &[&state.as_str(), &page.size, &page.offset()]).await?;
        let view = |row: &Row| {
            Ok(JobView {
                id: row.get("id"),
                kind: row.get("kind"),
                org: OrgId(row.get("owner_org_id")),
                state: JobState::parse(row.get("state"))?,
                attempts: row.get("attempts"),
                last_error: row.get("last_error"),
                created: Timestamp::from_date(row.get("created")),
                due: Timestamp::from_date(row.get("due_at")),
            })
        };
        rows.iter().map(view).collect()
    }

    async fn retry_job(&self, id: &str) -> Result<bool> {
        Ok(self.database.write_global(sql::REVIVE, &[&id]).await? == 1)
    }

    async fn delete_dead(&self) -> Result<()> {
        self.database.write_global(sql::DELETE_DEAD, &[&milliseconds(KEEP_DEAD)]).await.map(drop)
    }
}
