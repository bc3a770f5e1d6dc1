//! Deletion of expired data.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kymograph_domain::OrgId;
use serde::{Deserialize, Serialize};

use crate::account::invite::Invites;
use crate::account::job::JobStore;
use crate::account::login_attempt::LoginAttempts;
use crate::account::session::{SessionLifetimes, SessionStore};
use crate::kernel::clock::Clock;
use crate::kernel::error::Result;
use crate::kernel::event_store::EventStore;
use crate::kernel::job::{Job, JobError, JobHandler, NewJob, Then};
use crate::kernel::mail::MailBudget;
use crate::{Permission, Scope};

/// The interval of the cleanup of data that belongs to no org, and of the open invites of an org.
const INTERVAL: Duration = Duration::from_secs(60 * 60);
/// The interval of the cleanup of the stored responses of an org. Its next request with a key deletes expired ones,
/// too.
const INTERVAL_OF_ANSWERS: Duration = Duration::from_secs(25 * 60 * 60);
/// The timeout of a cleanup.
const TIME_LIMIT: Duration = Duration::from_secs(10 * 60);

/// Deletes expired data that belongs to no org.
#[derive(Serialize, Deserialize)]
pub struct TidyServer {}

impl Job for TidyServer {
    const KIND: &'static str = "tidy-server";
    const MAX_ATTEMPTS: Option<u32> = None;
    const TIME_LIMIT: Duration = TIME_LIMIT;
}

impl TidyServer {
    /// The only job of this kind for all servers on a database.
    pub fn job() -> Result<NewJob> {
        NewJob::of_org(OrgId::SERVER, &Self {}, Duration::ZERO)
    }
}

/// Deletes expired data of an org. This job is written in the same commit as the data that will expire, so an org
/// without such data has no such job.
#[derive(Serialize, Deserialize)]
pub struct TidyOrg {
    org: OrgId,
}

impl Job for TidyOrg {
    const KIND: &'static str = "tidy-org";
    const MAX_ATTEMPTS: Option<u32> = None;
    const TIME_LIMIT: Duration = TIME_LIMIT;
}

impl TidyOrg {
    /// For an org with an open invite.
    pub fn of_invites(org: OrgId) -> Result<NewJob> {
        NewJob::of_org(org, &Self { org }, INTERVAL)
    }

    /// For an org with a stored response, on the share of an org: its own, or the server's if the caller belongs to no
    /// org, or acts in one that need not exist.
    pub fn of_answers(org: OrgId, turn: OrgId) -> Result<NewJob> {
        Ok(NewJob { org: turn, ..NewJob::of_org(org, &Self { org }, INTERVAL_OF_ANSWERS)? })
    }
}

/// Deletes expired data. Nothing depends on the time of the deletion, since expired data is refused.
pub struct Housekeeping {
    store: Arc<dyn EventStore>,
    jobs: Arc<dyn JobStore>,
    invites: Arc<Invites>,
    sessions: Arc<dyn SessionStore>,
    attempts: Arc<dyn LoginAttempts>,
    mails: Arc<dyn MailBudget>,
    lifetimes: SessionLifetimes,
    clock: Arc<dyn Clock>,
}

/// The dependencies of [`Housekeeping`].
pub struct HousekeepingPorts {
    /// Deletes expired responses.
    pub store: Arc<dyn EventStore>,
    /// Deletes jobs that died long ago.
    pub jobs: Arc<dyn JobStore>,
    /// Ends invites.
    pub invites: Arc<Invites>,
    /// Deletes expired sessions.
    pub sessions: Arc<dyn SessionStore>,
    /// Deletes expired attempts to log in.
    pub attempts: Arc<dyn LoginAttempts>,
    /// Deletes expired counts of mails.
    pub mails: Arc<dyn MailBudget>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

impl Housekeeping {
    /// Housekeeping on these ports.
    #[must_use]
    pub fn new(ports: HousekeepingPorts, lifetimes: SessionLifetimes) -> Self {
        let HousekeepingPorts { store, jobs, invites, sessions, attempts, mails, clock } = ports;
        Self { store, jobs, invites, sessions, attempts, mails, lifetimes, clock }
    }
}

#[async_trait]
impl JobHandler<TidyServer> for Housekeeping {
    async fn run(&self, _: &TidyServer) -> Result<Then, JobError> {
        self.sessions.forget_sessions(&self.lifetimes, self.clock.now()).await?;
        self.attempts.delete_expired(self.clock.now()).await?;
        self.mails.delete_expired(self.clock.now()).await?;
        self.jobs.delete_dead().await?;
        Ok(Then::Again(INTERVAL))
    }
}

#[async_trait]
impl JobHandler<TidyOrg> for Housekeeping {
    /// Cleans up after deleted orgs, too: a request in progress at the deletion may have stored its response.
    async fn run(&self, TidyOrg { org }: &TidyOrg) -> Result<Then, JobError> {
        let scope = Scope::of_server().in_org(*org, Permission::ORG_USERS_ADD)?;
        let keeps_answers = self.store.forget_answers(&scope).await?;
        let has_invites = self.invites.expire_invites(&scope).await?;
        Ok(match (has_invites, keeps_answers) {
            (true, _) => Then::Again(INTERVAL),
            (false, true) => Then::Again(INTERVAL_OF_ANSWERS),
            (false, false) => Then::Done,
        })
    }
}
