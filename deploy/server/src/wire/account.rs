//! The parts of orgs and of who works in them.

use std::sync::Arc;

use kymograph_app::account::AccountServices;
use kymograph_app::account::access::AccessLog;
use kymograph_app::account::invite::{InviteEndings, InvitePorts, Invites};
use kymograph_app::account::job::Jobs;
use kymograph_app::account::membership::Memberships;
use kymograph_app::account::org::Orgs;
use kymograph_app::account::quota::Quotas;
use kymograph_app::account::service_account::ServiceAccounts;
use kymograph_app::account::session::Sessions;
use kymograph_app::account::statistic::Statistics;
use kymograph_app::account::team::{TeamEndings, Teams};
use kymograph_app::kernel::ending::{EndingListener, Endings};
use kymograph_app::{Commands, Error, Result};
use kymograph_infra::login_attempt::PgLoginAttempts;
use kymograph_infra::password::Argon2Hasher;
use kymograph_infra::session::PgSessionStore;
use kymograph_projections::account::identity::PgIdentityReader;
use kymograph_projections::account::invite::PgInviteReader;
use kymograph_projections::account::membership::PgMembershipReader;
use kymograph_projections::account::org::PgOrgReader;
use kymograph_projections::account::quota::PgQuotaReader;
use kymograph_projections::account::service_account::{PgServiceAccountReader, PgTokenReader};
use kymograph_projections::account::statistic::{PgStatisticReader, TagCounts};
use kymograph_projections::account::team::PgTeamReader;
use kymograph_projections::account::user::PgUserReader;

use super::identity::Identities;
use super::kernel::Kernel;

/// What reads accounts, and keeps what is no event.
pub(super) struct AccountReaders {
    pub(super) identities: Arc<PgIdentityReader>,
    pub(super) invites: Arc<PgInviteReader>,
    pub(super) memberships: Arc<PgMembershipReader>,
    pub(super) orgs: Arc<PgOrgReader>,
    pub(super) statistics: Arc<PgStatisticReader>,
    pub(super) teams: Arc<PgTeamReader>,
    pub(super) tokens: Arc<PgTokenReader>,
    pub(super) users: Arc<PgUserReader>,
    pub(super) attempts: Arc<PgLoginAttempts>,
    pub(super) passwords: Arc<Argon2Hasher>,
    pub(super) sessions: Arc<PgSessionStore>,
    pub(super) tag_counts: Arc<TagCounts>,
}

impl AccountReaders {
    pub(super) fn start(kernel: &Kernel<'_>) -> Result<Self> {
        let database = &kernel.database;
        let tag_counts = Arc::new(TagCounts::new(&kernel.feed_health));
        let max_sessions = kernel.config.quota.max_sessions;
        Ok(Self {
            identities: Arc::new(PgIdentityReader::new(database.clone(), kernel.secrets.clone())),
            invites: Arc::new(PgInviteReader::new(database.clone(), kernel.secrets.clone())),
            memberships: Arc::new(PgMembershipReader::new(database.clone())),
            orgs: Arc::new(PgOrgReader::new(database.clone())),
            statistics: Arc::new(PgStatisticReader::new(database.in_background(), tag_counts.clone())),
            teams: Arc::new(PgTeamReader::new(database.clone())),
            tokens: Arc::new(PgTokenReader::new(database.clone())),
            users: Arc::new(PgUserReader::new(database.clone(), kernel.secrets.clone())),
            attempts: Arc::new(PgLoginAttempts::new(database.clone())),
            passwords: Arc::new(Argon2Hasher::start().map_err(Error::internal)?),
            sessions: Arc::new(PgSessionStore::new(database.clone(), kernel.pipelines.clone(), max_sessions)),
            tag_counts,
        })
    }

    /// Those who end their part when a member, team or service account ends.
    pub(super) fn endings(&self) -> Vec<Arc<dyn EndingListener>> {
        vec![
            Arc::new(InviteEndings::new(self.invites.clone())),
            Arc::new(TeamEndings::new(self.teams.clone())),
        ]
    }

    pub(super) fn services(
        &self,
        kernel: &Kernel<'_>,
        commands: &Commands,
        access: AccessLog,
        memberships: Arc<Memberships>,
        identities: &Identities,
        endings: &Endings,
    ) -> AccountServices {
        let (commands, ids, clock) = (commands.clone(), kernel.ids.clone(), kernel.clock.clone());
        let invite_ports = InvitePorts {
            reader: self.invites.clone(),
            orgs: self.orgs.clone(),
            user_reader: self.users.clone(),
            users: identities.users.clone(),
            memberships: memberships.clone(),
            ids: ids.clone(),
            clock: clock.clone(),
        };
        let quotas = Arc::new(PgQuotaReader::new(kernel.database.clone()));
        let limits = kernel.config.quota.limits.clone();
        let accounts = Arc::new(PgServiceAccountReader::new(kernel.database.clone()));
        let memberships_of = self.memberships.clone();
        let teams =
            Teams::new(commands.clone(), self.teams.clone(), memberships_of, endings.clone(), ids.clone());
        AccountServices {
            access,
            identity: identities.identity.clone(),
            invites: Arc::new(Invites::new(commands.clone(), invite_ports)),
            jobs: Arc::new(Jobs::new(Arc::new(kernel.jobs.clone()), Arc::new(kernel.jobs.clone()))),
            memberships,
            orgs: Arc::new(Orgs::new(commands.clone(), self.orgs.clone(), ids.clone())),
            quotas: Arc::new(Quotas::new(commands.clone(), quotas, limits)),
            service_accounts: Arc::new(ServiceAccounts::new(
                commands.clone(),
                accounts,
                self.tokens.clone(),
                endings.clone(),
                ids.clone(),
                clock.clone(),
            )),
            sessions: Arc::new(Sessions::new(commands.clone(), self.sessions.clone(), self.users.clone())),
            statistics: Arc::new(Statistics::new(self.statistics.clone(), clock)),
            teams: Arc::new(teams),
            users: identities.users.clone(),
        }
    }
}
