//! Work that is done after the commit that causes it. It is written in that commit, so it is neither lost nor done for
//! nothing, and it is done at least once: who does it may die before that is written down.

use std::time::Duration;

use async_trait::async_trait;
use kymograph_domain::OrgId;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::kernel::error::{Error, Result};
use crate::kernel::random::random_uid;
use crate::kernel::side_write::SideWrite;

/// How often a job is tried, unless its kind says else. The last time is about an hour after the first.
pub const MAX_ATTEMPTS: u32 = 12;

/// How long a job may take at a time, unless its kind says else.
pub const TIME_LIMIT: Duration = Duration::from_secs(60);

/// For how long a dead job is kept.
pub const KEEP_DEAD: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A kind of work. What implements it is the payload, which names what the work is about and holds no secret.
pub trait Job: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The stored name of the kind.
    const KIND: &'static str;
    /// How often it is tried before it is dead; `None` for as long as it takes.
    const MAX_ATTEMPTS: Option<u32> = Some(MAX_ATTEMPTS);
    /// How long it may take at a time.
    const TIME_LIMIT: Duration = TIME_LIMIT;
}

/// What comes after a job that succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Nothing: it is forgotten.
    Done,
    /// The same once more, after so long.
    Again(Duration),
}

/// Why a job did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobError {
    /// It is to be tried again.
    Retry(String),
    /// It would not succeed another time either.
    GiveUp(String),
}

impl From<Error> for JobError {
    fn from(error: Error) -> Self {
        Self::Retry(error.to_string())
    }
}

/// Does the work of a kind. The same job can come more than once.
#[async_trait]
pub trait JobHandler<J: Job>: Send + Sync {
    /// Does it.
    async fn run(&self, job: &J) -> Result<Then, JobError>;

    /// Hears that it is given up, before it is dead.
    async fn gave_up(&self, _job: &J, _reason: &str) -> Result<()> {
        Ok(())
    }
}

/// A job that is yet to be written.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Its id.
    pub id: String,
    /// The org whose turn it takes, [`OrgId::SERVER`] for the server's own.
    pub org: OrgId,
    /// The kind.
    pub kind: &'static str,
    /// The payload, as JSON text.
    pub payload: String,
    /// How long it waits after the commit.
    pub delay: Duration,
}

impl NewJob {
    /// A job that is done as soon as may be.
    pub fn once<J: Job>(org: OrgId, job: &J) -> Result<Self> {
        Self::try_new(random_uid()?.to_string(), org, job, Duration::ZERO)
    }

    /// A job of which an org has one at most. If it has one already, the earlier time counts. One that is under way is
    /// done again, because it may have missed the reason for this one.
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
    /// Deletes all jobs of an org, which ends.
    fn delete_all(&self, org: OrgId) -> SideWrite;
    /// Has the workers of this server look for what is due, without which they do so within a second.
    fn wake(&self);
}
