//! Background work after a commit. A job is written in the commit that causes it, so it is neither lost nor run without
//! a cause. It runs at least once: a worker may crash before it records the result.

use std::time::Duration;

use async_trait::async_trait;
use kymograph_domain::OrgId;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::kernel::error::{Error, Result};
use crate::kernel::random::random_uid;
use crate::kernel::side_write::SideWrite;

/// The maximum number of attempts of a job, unless its kind overrides it. The last one is about an hour after the
/// first.
pub const MAX_ATTEMPTS: u32 = 12;

/// The timeout of an attempt, unless the kind of the job overrides it.
pub const TIME_LIMIT: Duration = Duration::from_secs(60);

/// The retention of a dead job.
pub const KEEP_DEAD: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A kind of job. The implementing type is the payload, which identifies the subject of the work and contains no
/// secret.
pub trait Job: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The stored name of the kind.
    const KIND: &'static str;
    /// The maximum number of attempts before the job is dead; `None` for no maximum.
    const MAX_ATTEMPTS: Option<u32> = Some(MAX_ATTEMPTS);
    /// The timeout of an attempt.
    const TIME_LIMIT: Duration = TIME_LIMIT;
}

/// What happens after a job has succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The job is deleted.
    Done,
    /// The same job runs again after this delay.
    Again(Duration),
}

/// The reason why a job failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobError {
    /// A retry may succeed.
    Retry(String),
    /// A retry would fail, too.
    GiveUp(String),
}

impl From<Error> for JobError {
    fn from(error: Error) -> Self {
        Self::Retry(error.to_string())
    }
}

/// Handles the jobs of a kind. The same job can run more than once.
#[async_trait]
pub trait JobHandler<J: Job>: Send + Sync {
    /// Runs the job.
    async fn run(&self, job: &J) -> Result<Then, JobError>;

    /// Called when the job is given up, before it is dead.
    async fn gave_up(&self, _job: &J, _reason: &str) -> Result<()> {
        Ok(())
    }
}

/// A job that is yet to be written.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Its id.
    pub id: String,
    /// The org whose share of the workers it uses; [`OrgId::SERVER`] for the server's own.
    pub org: OrgId,
    /// The kind.
    pub kind: &'static str,
    /// The payload, as JSON text.
    pub payload: String,
    /// The delay after the commit.
    pub delay: Duration,
}

impl NewJob {
    /// A job that is due at once.
    pub fn once<J: Job>(org: OrgId, job: &J) -> Result<Self> {
        Self::try_new(random_uid()?.to_string(), org, job, Duration::ZERO)
    }

    /// A job that exists at most once per org. For an existing one the earlier time counts. A running one runs again,
    /// because it may have missed the reason for this one.
    pub fn of_org<J: Job>(org: OrgId, job: &J, delay: Duration) -> Result<Self> {
        Self::try_new(format!("{}-{org}", J::KIND), org, job, delay)
    }

    fn try_new<J: Job>(id: String, org: OrgId, job: &J, delay: Duration) -> Result<Self> {
        let payload = serde_json::to_string(job).map_err(Error::internal)?;
        Ok(Self { id, org, kind: J::KIND, payload, delay })
    }
}

/// Writes jobs.
#[async_trait]
pub trait JobWriter: Send + Sync {
    /// Writes a job as part of a commit.
    fn write(&self, job: NewJob) -> SideWrite;
    /// Writes a job that belongs to no commit.
    async fn write_alone(&self, job: NewJob) -> Result<()>;
    /// Deletes all jobs of an org that ends.
    fn delete_all(&self, org: OrgId) -> SideWrite;
    /// Makes the workers of this server look for due jobs at once, instead of within a second.
    fn wake(&self);
}
