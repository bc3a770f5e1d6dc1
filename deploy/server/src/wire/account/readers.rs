//! The readers of accounts, and the stores of data outside of events.

use std::sync::Arc;

use kymograph_app::account::identity::IdentityCache;
use kymograph_app::account::invite::InviteEndings;
use kymograph_app::account::team::TeamEndings;
use kymograph_app::kernel::change::ChangeListener;
use kymograph_app::kernel::ending::EndingListener;
use kymograph_app::kernel::random::random_bytes;
use kymograph_app::{Error, Result};
use kymograph_infra::login_attempt::PgLoginAttempts;
use kymograph_infra::password::Argon2Hasher;
use kymograph_infra::session::PgSessionStore;
use kymograph_projections::account::identity::PgIdentityReader;
use kymograph_projections::account::invite::PgInviteReader;
use kymograph_projections::account::membership::PgMembershipReader;
use kymograph_projections::account::org::{AuditCache, PgOrgReader, audit_cache};
use kymograph_projections::account::quota::PgQuotaReader;
use kymograph_projections::account::service_account::{PgServiceAccountReader, PgTokenReader};
use kymograph_projections::account::statistic::{PgStatisticReader, TagCounts};
use kymograph_projections::account::team::PgTeamReader;
use kymograph_projections::account::user::PgUserReader;

use crate::wire::kernel::Kernel;

/// The readers and stores, one per noun.
pub(crate) struct AccountReaders {
    pub(crate) identities: Arc<PgIdentityReader>,
    pub(crate) invites: Arc<PgInviteReader>,
    pub(crate) memberships: Arc<PgMembershipReader>,
    pub(crate) orgs: Arc<PgOrgReader>,
    pub(crate) quotas: Arc<PgQuotaReader>,
    pub(crate) service_accounts: Arc<PgServiceAccountReader>,
    pub(crate) statistics: Arc<PgStatisticReader>,
    pub(crate) teams: Arc<PgTeamReader>,
    pub(crate) tokens: Arc<PgTokenReader>,
    pub(crate) users: Arc<PgUserReader>,
    pub(crate) attempts: Arc<PgLoginAttempts>,
    pub(crate) passwords: Arc<Argon2Hasher>,
    pub(crate) sessions: Arc<PgSessionStore>,
    pub(crate) identity_cache: Arc<IdentityCache>,
    tag_counts: Arc<TagCounts>,
    audit_settings: Arc<AuditCache>,
}

impl AccountReaders {
    pub(crate) fn start(kernel: &Kernel<'_>) -> Result<Self> {
        let database = &kernel.database;
        let tag_counts = Arc::new(TagCounts::new(&kernel.feed_health));
        let audit_settings = Arc::new(audit_cache(&kernel.feed_health));
        let max_sessions = kernel.config.quota.max_sessions;
        Ok(Self {
            identities: Arc::new(PgIdentityReader::new(database.clone(), kernel.secrets.clone())),
            invites: Arc::new(PgInviteReader::new(database.clone(), kernel.secrets.clone())),
            memberships: Arc::new(PgMembershipReader::new(database.clone())),
            orgs: Arc::new(PgOrgReader::new(database.clone(), audit_settings.clone())),
            quotas: Arc::new(PgQuotaReader::new(database.clone())),
            service_accounts: Arc::new(PgServiceAccountReader::new(database.clone())),
            statistics: Arc::new(PgStatisticReader::new(database.in_background(), tag_counts.clone())),
            teams: Arc::new(PgTeamReader::new(database.clone())),
            tokens: Arc::new(PgTokenReader::new(database.clone())),
            users: Arc::new(PgUserReader::new(database.clone(), kernel.secrets.clone())),
            attempts: Arc::new(PgLoginAttempts::new(database.clone())),
            passwords: Arc::new(Argon2Hasher::start().map_err(Error::internal)?),
            sessions: Arc::new(PgSessionStore::new(database.clone(), kernel.pipelines.clone(), max_sessions)),
            identity_cache: Arc::new(IdentityCache::new(random_bytes()?, &kernel.feed_health)),
            tag_counts,
            audit_settings,
        })
    }

    pub(crate) fn caches(&self) -> Vec<Arc<dyn ChangeListener>> {
        vec![self.identity_cache.clone(), self.tag_counts.clone(), self.audit_settings.clone()]
    }

    pub(crate) fn endings(&self) -> Vec<Arc<dyn EndingListener>> {
        vec![
            Arc::new(InviteEndings::new(self.invites.clone())),
            Arc::new(TeamEndings::new(self.teams.clone())),
        ]
    }
}
