//! Deleting what has expired.

use std::sync::Arc;

use kymograph_domain::OrgId;

use crate::account::invite::Invites;
use crate::account::login_attempt::LoginAttempts;
use crate::account::org::OrgReader;
use crate::account::session::{SessionLifetimes, SessionStore};
use crate::kernel::clock::Clock;
use crate::kernel::error::Result;
use crate::kernel::event_store::EventStore;
use crate::kernel::mail::MailBudget;
use crate::{Permission, Scope};

/// Deletes what has expired. Nothing depends on when that happens, since what has expired is refused.
pub struct Housekeeping {
    store: Arc<dyn EventStore>,
    orgs: Arc<dyn OrgReader>,
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
    /// Tells which orgs there are.
    pub orgs: Arc<dyn OrgReader>,
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
        let HousekeepingPorts { store, orgs, invites, sessions, attempts, mails, clock } = ports;
        Self { store, orgs, invites, sessions, attempts, mails, lifetimes, clock }
    }

    /// Goes once through the whole server, one org after the other, so that requests hardly notice. Orgs that were
    /// deleted are looked at too: a request that was under way then may have kept its answer.
    pub async fn tidy(&self) -> Result<()> {
        self.sessions.forget_sessions(&self.lifetimes, self.clock.now()).await?;
        self.attempts.delete_expired(self.clock.now()).await?;
        self.mails.delete_expired(self.clock.now()).await?;
        for id in OrgId::SERVER.0..=self.orgs.last_org_id().await?.0 {
            let scope = Scope::of_server().in_org(OrgId(id), Permission::ORG_USERS_ADD)?;
            self.store.forget_answers(&scope).await?;
            self.invites.expire_invites(&scope).await?;
        }
        Ok(())
    }
}
