//! Deleting what has expired.

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

/// How often what belongs to no org is looked at, and the open invites of an org.
const INTERVAL: Duration = Duration::from_secs(60 * 60);
/// How often the kept answers of an org are looked at. Its next request with a key forgets them, too.
const INTERVAL_OF_ANSWERS: Duration = Duration::from_secs(25 * 60 * 60);
/// How long it may take at a time.
const TIME_LIMIT: Duration = Duration::from_secs(10 * 60);

/// Deletes what has expired of what belongs to no org.
#[derive(Serialize, Deserialize)]
pub struct TidyServer {}

impl Job for TidyServer {
    const KIND: &'static str = "tidy-server";
    const MAX_ATTEMPTS: Option<u32> = None;
    const TIME_LIMIT: Duration = TIME_LIMIT;
}

impl TidyServer {
    /// The one such job of all servers on a database.
    pub fn job() -> Result<NewJob> {
        NewJob::of_org(OrgId::SERVER, &Self {}, Duration::ZERO)
    }
}

/// Deletes what has expired of an org. What will expire comes with it in one commit, so an org that has nothing of the
/// kind has no such job.
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
    /// For an org that has an open invite.
    pub fn of_invites(org: OrgId) -> Result<NewJob> {
        NewJob::of_org(org, &Self { org }, INTERVAL)
    }

    /// For an org that keeps an answer, in the turn of an org: its own, or the server's for the answer of somebody who belongs
    /// to no org, or acts in one that need not be there.
    pub fn of_answers(org: OrgId, turn: OrgId) -> Result<NewJob> {
        Ok(NewJob { org: turn, ..NewJob::of_org(org, &Self { org }, INTERVAL_OF_ANSWERS)? })
    }
}

/// Deletes what has expired. Nothing depends on when that happens, since what has expired is refused.
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

/// What [`Housekeeping`] is made of.
pub struct HousekeepingPorts {
    /// Forgets kept answers.
    pub store: Arc<dyn EventStore>,
    /// Deletes what died long ago.
    pub jobs: Arc<dyn JobStore>,
    /// Ends invites.
    pub invites: Arc<Invites>,
    /// Forgets sessions.
    pub sessions: Arc<dyn SessionStore>,
    /// Deletes expired attempts to log in.
    pub attempts: Arc<dyn LoginAttempts>,
    /// Deletes counted mails.
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
    /// An org that was deleted is looked at too: a request that was under way then may have kept its answer.
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
