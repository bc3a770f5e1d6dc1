//! The jobs of the server, for server admins. [`crate::kernel::job`] describes jobs.

use std::sync::Arc;

use async_trait::async_trait;
use kymograph_domain::{OrgId, Timestamp};

use crate::kernel::error::Result;
use crate::kernel::job::JobWriter;
use crate::{Error, Page, Permission, Scope};

/// The state of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// It runs when it is due.
    Waiting,
    /// A worker has claimed it.
    Running,
    /// It was given up.
    Dead,
}

impl JobState {
    /// All states.
    pub const ALL: [Self; 3] = [Self::Waiting, Self::Running, Self::Dead];

    /// Its name, as it is stored and sent to clients.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Dead => "dead",
        }
    }

    /// The state with this name.
    pub fn parse(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|state| state.as_str() == name);
        found.ok_or_else(|| Error::invalid("state must be waiting, running or dead"))
    }
}

/// A job as it is read. Its payload is only for its handler.
#[derive(Clone, Debug)]
pub struct JobView {
    /// The id.
    pub id: String,
    /// The kind.
    pub kind: String,
    /// The org whose share of the workers it uses; 0 for the server's own.
    pub org: OrgId,
    /// The state.
    pub state: JobState,
    /// The number of attempts.
    pub attempts: i32,
    /// The error of the last failed attempt, empty if there was none.
    pub last_error: String,
    /// When it was written.
    pub created: Timestamp,
    /// When it is, or was, due; for a dead one, when it died.
    pub due: Timestamp,
}

/// The stored jobs.
#[async_trait]
pub trait JobStore: Send + Sync {
    /// The jobs in a state, the newest first.
    async fn list_jobs(&self, state: JobState, page: Page) -> Result<Vec<JobView>>;
    /// Makes a dead job due, with no attempts. Returns false if there is no such job.
    async fn retry_job(&self, id: &str) -> Result<bool>;
    /// Deletes jobs that died too long ago.
    async fn delete_dead(&self) -> Result<()>;
}

/// The use cases of jobs.
pub struct Jobs {
    store: Arc<dyn JobStore>,
    writer: Arc<dyn JobWriter>,
}

impl Jobs {
    /// The use cases on these ports.
    #[must_use]
    pub fn new(store: Arc<dyn JobStore>, writer: Arc<dyn JobWriter>) -> Self {
        Self { store, writer }
    }

    /// Lists the jobs in a state.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn list_jobs(&self, scope: &Scope, state: JobState, page: Page) -> Result<Vec<JobView>> {
        scope.require_on_server(Permission::JOBS_READ)?;
        self.store.list_jobs(state, page).await
    }

    /// Retries a dead job.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn retry_job(&self, scope: &Scope, id: &str) -> Result<()> {
        scope.require_on_server(Permission::JOBS_WRITE)?;
        if !self.store.retry_job(id).await? {
            return Err(Error::missing("Dead job not found"));
        }
        tracing::info!(job = id, actor = scope.actor().login, "a dead job is retried");
        self.writer.wake();
        Ok(())
    }
}
