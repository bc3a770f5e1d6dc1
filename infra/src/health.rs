//! Health of the database: reads and writes.

use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use kymograph_app::kernel::feed_health::FeedHealth;
use kymograph_app::kernel::health::HealthCheck;
use kymograph_app::kernel::id_allocator::IdKind;
use kymograph_app::{Error, ErrorKind, Result};
use kymograph_domain::OrgId;
use kymograph_projections::Database;
use kymograph_projections::kernel::database::Params;
use tokio::sync::Mutex;
use tokio_postgres::error::SqlState;

use crate::migrate::latest_version;
use crate::pipeline::PipelinePool;

/// How long the result of a write probe is cached.
const WRITES_KNOWN: Duration = Duration::from_secs(5);
/// The timeout of a write probe.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a commit that failed for lack of space counts, unless another one succeeds.
const FAILURE_LASTS: Duration = Duration::from_secs(15);

/// Records commits that failed for lack of space. The probe alone would miss a full disk: it updates a row in place,
/// while commits need new pages.
#[derive(Debug, Default)]
pub struct WriteHealth(StdMutex<Option<Instant>>);

impl WriteHealth {
    /// A commit was written.
    pub(crate) fn succeeded(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// A commit failed, possibly for lack of space.
    pub(crate) fn refused(&self, code: &SqlState) {
        // SQLSTATE classes of insufficient resources and system errors.
        let concerns_all = ["53", "58"].iter().any(|class| code.code().starts_with(class));
        if concerns_all || *code == SqlState::READ_ONLY_SQL_TRANSACTION {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
    }

    fn has_failed(&self) -> bool {
        let failed = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failed.is_some_and(|failed| failed.elapsed() < FAILURE_LASTS)
    }
}

/// Asks the database for the version of its schema, and writes to it.
pub struct PgHealthCheck {
    database: Database,
    pipelines: PipelinePool,
    commits: Arc<WriteHealth>,
    feed: Arc<FeedHealth>,
    /// When the last write probe ran, and whether it succeeded.
    writes: Mutex<Option<(Instant, bool)>>,
}

impl PgHealthCheck {
    /// A check of this database, of commits over these connections, and of the change feed.
    #[must_use]
    pub fn new(
        database: Database,
        pipelines: PipelinePool,
        commits: Arc<WriteHealth>,
        feed: Arc<FeedHealth>,
    ) -> Self {
        Self { database, pipelines, commits, feed, writes: Mutex::default() }
    }

    /// Updates the counter of user ids without changing it: a row that always exists and is rarely locked. Then it
    /// acquires and returns a connection for commits, because all of those may be stuck.
    async fn try_write(&self) -> Result<()> {
        let sql = "UPDATE counters SET value = value WHERE org_id = $1 AND name = $2";
        let (org, name) = (OrgId::SERVER, IdKind::User.counter());
        let params: Params<'_> = &[&org.0, &name];
        let written = async {
            self.database.write(org, sql, params).await?;
            self.pipelines.get().await.map(drop)
        };
        let in_time = tokio::time::timeout(WRITE_TIMEOUT, written).await;
        in_time.map_err(|_| Error::unavailable("a write timed out"))?
    }
}

#[async_trait]
impl HealthCheck for PgHealthCheck {
    async fn check_database(&self) -> Result<()> {
        let row = self.database.read_global_one("SELECT max(version) FROM schema_migrations", &[]).await?;
        let found: Option<i32> = row.and_then(|row| row.get(0));
        let wanted = latest_version();
        if found == Some(wanted) {
            Ok(())
        } else {
            Err(Error::unavailable(format!("the schema has version {found:?}, this server needs {wanted}")))
        }
    }

    async fn check_writes(&self) -> Result<()> {
        // Concurrent callers wait for the same probe.
        let mut writes = self.writes.lock().await;
        let before = writes.filter(|(at, _)| at.elapsed() < WRITES_KNOWN);
        let is_possible = match before {
            Some((_, is_possible)) => is_possible,
            None => {
                let tried = self.try_write().await;
                let was_possible = writes.is_none_or(|(_, is_possible)| is_possible);
                match &tried {
                    Err(error) if was_possible => tracing::error!(%error, "the database accepts no writes"),
                    Ok(()) if !was_possible => tracing::info!("the database accepts writes again"),
                    _ => {}
                }
                *writes = Some((Instant::now(), tried.is_ok()));
                tried.is_ok()
            }
        };
        if is_possible && !self.commits.has_failed() {
            Ok(())
        } else {
            Err(Error::new(ErrorKind::Unavailable, "The database accepts no writes"))
        }
    }

    fn check_feed(&self) -> Result<()> {
        let message = "The server does not hear of what other servers change";
        if self.feed.is_live() { Ok(()) } else { Err(Error::new(ErrorKind::Unavailable, message)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_that_finds_no_space_counts_until_one_succeeds() {
        let health = WriteHealth::default();
        health.refused(&SqlState::UNIQUE_VIOLATION);
        assert!(!health.has_failed());
        for code in [SqlState::DISK_FULL, SqlState::IO_ERROR, SqlState::READ_ONLY_SQL_TRANSACTION] {
            health.refused(&code);
            assert!(health.has_failed(), "{}", code.code());
            health.succeeded();
            assert!(!health.has_failed());
        }
    }
}
