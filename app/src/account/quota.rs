//! Quotas: the usage and the limits of orgs and users.

use std::sync::Arc;

use async_trait::async_trait;
use kymograph_domain::account::org::{Org, OrgError};
use kymograph_domain::account::quota::{Quota, QuotaCommand, QuotaOwner, QuotaTarget};
use kymograph_domain::account::user::{User, UserError};
use kymograph_domain::{OrgId, UserId};

use crate::kernel::error::{Error, ErrorKind, Result};
use crate::kernel::noun::Noun;
use crate::{Commands, Permission, Scope};

/// The default limits in the settings of the server. A negative number stands for no limit.
#[derive(Clone, Debug)]
pub struct QuotaLimits {
    /// Members of an org.
    pub org_user: i64,
    /// Dashboards of an org.
    pub org_dashboard: i64,
    /// Folders of an org.
    pub org_folder: i64,
    /// Data sources of an org.
    pub org_data_source: i64,
    /// Tokens of an org.
    pub org_api_key: i64,
    /// Alert rules of an org.
    pub org_alert_rule: i64,
    /// Orgs of a user.
    pub user_org: i64,
    /// Orgs of the server.
    pub global_org: i64,
    /// Users of the server.
    pub global_user: i64,
    /// Dashboards of all orgs together.
    pub global_dashboard: i64,
    /// Tokens of all orgs together.
    pub global_api_key: i64,
}

impl QuotaLimits {
    /// The limit for each org, or for each user.
    #[must_use]
    pub fn of_each(&self, target: QuotaTarget) -> i64 {
        match target {
            QuotaTarget::OrgUser => self.org_user,
            QuotaTarget::Dashboard => self.org_dashboard,
            QuotaTarget::Folder => self.org_folder,
            QuotaTarget::DataSource => self.org_data_source,
            QuotaTarget::ApiKey => self.org_api_key,
            QuotaTarget::AlertRule => self.org_alert_rule,
            QuotaTarget::Org => self.user_org,
        }
    }

    /// The limit for all orgs together, if there is one.
    #[must_use]
    pub fn of_all(&self, target: QuotaTarget) -> Option<i64> {
        let limit = match target {
            QuotaTarget::Dashboard => self.global_dashboard,
            QuotaTarget::ApiKey => self.global_api_key,
            _ => return None,
        };
        (limit >= 0).then_some(limit)
    }
}

/// The usage and the limit of a target, as they are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaView {
    /// The target.
    pub target: QuotaTarget,
    /// The limit; a negative number stands for none.
    pub limit: i64,
    /// The usage.
    pub used: i64,
}

/// A stored quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredQuota {
    /// The target.
    pub target: QuotaTarget,
    /// The limit, if one was set.
    pub limit: Option<i64>,
    /// The usage.
    pub used: i64,
}

/// The usage of an org, for its overview.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrgUsage {
    /// Dashboards, without those in the trash.
    pub dashboards: i64,
    /// Folders.
    pub folders: i64,
    /// Members.
    pub members: i64,
}

/// Reads quotas.
#[async_trait]
pub trait QuotaReader: Send + Sync {
    /// The stored quotas of the scope's org; empty if there is no such org.
    async fn list_quotas(&self, scope: &Scope) -> Result<Vec<StoredQuota>>;
    /// The stored quotas of a user; empty if there is no such user.
    async fn list_quotas_of_user(&self, user: UserId) -> Result<Vec<StoredQuota>>;
}

impl Noun for Quota {}

/// The use cases of quotas.
pub struct Quotas {
    commands: Commands,
    reader: Arc<dyn QuotaReader>,
    /// `None` if the server has no quotas.
    limits: Option<QuotaLimits>,
}

impl Quotas {
    /// The use cases on these ports.
    #[must_use]
    pub fn new(commands: Commands, reader: Arc<dyn QuotaReader>, limits: Option<QuotaLimits>) -> Self {
        Self { commands, reader, limits }
    }

    /// Reads the quotas of an org.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn get_org_quotas(&self, scope: &Scope, org: OrgId) -> Result<Vec<QuotaView>> {
        let scope = scope.in_org(org, Permission::ORGS_QUOTAS_READ)?;
        let limits = self.limits()?;
        let stored = self.reader.list_quotas(&scope).await?;
        if stored.is_empty() {
            return Err(OrgError::NotFound.into());
        }
        Ok(views(limits, &stored))
    }

    /// Reads the usage of the actor's org, which is counted even if quotas are disabled.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn get_usage(&self, scope: &Scope) -> Result<OrgUsage> {
        // An actor who may not list the members may not count them either.
        scope.require(Permission::ORG_USERS_READ)?;
        let stored = self.reader.list_quotas(scope).await?;
        if stored.is_empty() {
            return Err(OrgError::NotFound.into());
        }
        let used =
            |target| stored.iter().find(|stored| stored.target == target).map_or(0, |found| found.used);
        Ok(OrgUsage {
            dashboards: used(QuotaTarget::Dashboard),
            folders: used(QuotaTarget::Folder),
            members: used(QuotaTarget::OrgUser),
        })
    }

    /// Reads the quotas of the actor.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn get_own_quotas(&self, scope: &Scope) -> Result<Vec<QuotaView>> {
        self.read_user_quotas(scope.actor().user_id).await
    }

    /// Reads the quotas of any user.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn get_user_quotas(&self, scope: &Scope, user: UserId) -> Result<Vec<QuotaView>> {
        scope.require_on_server(Permission::USERS_QUOTAS_READ)?;
        self.read_user_quotas(user).await
    }

    async fn read_user_quotas(&self, user: UserId) -> Result<Vec<QuotaView>> {
        let limits = self.limits()?;
        let stored = self.reader.list_quotas_of_user(user).await?;
        if stored.is_empty() {
            return Err(UserError::NotFound.into());
        }
        Ok(views(limits, &stored))
    }

    /// Sets a limit of an org. Existing objects beyond it are kept.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn set_org_quota(&self, scope: &Scope, org: OrgId, target: &str, limit: i64) -> Result<()> {
        let scope = &scope.in_org(org, Permission::ORGS_QUOTAS_WRITE)?;
        self.limits()?;
        let owner = QuotaOwner::Org;
        let target = owner.target(target)?;
        self.commands
            .run(scope, |mut unit| async move {
                if !unit.load::<Org>(&org).await?.exists {
                    return Err(OrgError::NotFound.into());
                }
                let mut quota = unit.load::<Quota>(&owner).await?;
                quota.tell(QuotaCommand::Set { owner, target, limit }).await?;
                unit.record(quota)?;
                Ok(unit.decided(()))
            })
            .await
    }

    /// Sets a limit of a user. Existing objects beyond it are kept.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn set_user_quota(&self, scope: &Scope, user: UserId, target: &str, limit: i64) -> Result<()> {
        scope.require_on_server(Permission::USERS_QUOTAS_WRITE)?;
        self.limits()?;
        let owner = QuotaOwner::User(user);
        let target = owner.target(target)?;
        self.commands
            .run(scope, |mut unit| async move {
                if !unit.load_from_server::<User>(&user).await?.exists {
                    return Err(UserError::NotFound.into());
                }
                let mut quota = unit.load_from_server::<Quota>(&owner).await?;
                quota.tell(QuotaCommand::Set { owner, target, limit }).await?;
                unit.record(quota)?;
                Ok(unit.decided(()))
            })
            .await
    }

    fn limits(&self) -> Result<&QuotaLimits> {
        let disabled = || Error::new(ErrorKind::Disabled, "Quotas not enabled").with_code("quota.disabled");
        self.limits.as_ref().ok_or_else(disabled)
    }
}

fn views(limits: &QuotaLimits, stored: &[StoredQuota]) -> Vec<QuotaView> {
    let view = |stored: &StoredQuota| QuotaView {
        target: stored.target,
        limit: stored.limit.unwrap_or_else(|| limits.of_each(stored.target)),
        used: stored.used,
    };
    stored.iter().map(view).collect()
}
