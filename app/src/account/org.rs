//! Orgs: creating, changing, deleting and reading them.

use std::sync::Arc;

use async_trait::async_trait;
use cqrs_es::Aggregate;
use kymograph_domain::account::membership::{Membership, MembershipCommand};
use kymograph_domain::account::org::{Address, AuditSettings, Org, OrgCommand, OrgCreated, OrgError};
use kymograph_domain::account::user::User;
use kymograph_domain::{OrgId, OrgRole};
use serde::{Deserialize, Serialize};

use crate::kernel::error::Result;
use crate::kernel::history::{HistoryOf, KeyOf};
use crate::kernel::id_allocator::{IdAllocator, IdKind};
use crate::kernel::noun::Noun;
use crate::{Commands, Error, Page, Permission, Scope};

/// An org as it is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrgView {
    /// The id.
    pub id: OrgId,
    /// The name.
    pub name: String,
    /// The postal address.
    pub address: Address,
}

/// Reads orgs, which belong to the server: a list of names, without tenant data.
#[async_trait]
pub trait OrgReader: Send + Sync {
    /// The org of that id.
    async fn find_org(&self, id: OrgId) -> Result<Option<OrgView>>;
    /// The audit settings of an org; the default if there is no such org.
    async fn find_audit(&self, id: OrgId) -> Result<AuditSettings>;
    /// The org of that name.
    async fn find_org_by_name(&self, name: &str) -> Result<Option<OrgView>>;
    /// Orgs with this name, if one is given, and with a name that contains another text, by name.
    async fn search_orgs(&self, name: &str, query: &str, page: Page) -> Result<Vec<OrgView>>;
}

/// The history of the org of the caller.
pub const HISTORY: HistoryOf = HistoryOf {
    noun: Org::TYPE,
    missing: "Organization not found",
    key: KeyOf::Caller(|scope| scope.org().to_string()),
    read: Some(Permission::ORGS_WRITE),
    write: Some(Permission::ORGS_WRITE),
    create: None,
};

impl Noun for Org {
    fn require_undo(scope: &Scope, _: &str, _: bool) -> Result<()> {
        scope.require(Permission::ORGS_WRITE)
    }
}

/// The use cases of orgs.
pub struct Orgs {
    commands: Commands,
    reader: Arc<dyn OrgReader>,
    ids: Arc<dyn IdAllocator>,
}

impl Orgs {
    /// The use cases on these ports.
    #[must_use]
    pub fn new(commands: Commands, reader: Arc<dyn OrgReader>, ids: Arc<dyn IdAllocator>) -> Self {
        Self { commands, reader, ids }
    }

    /// Creates an org with the actor as its admin.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn create_org(&self, scope: &Scope, name: &str) -> Result<OrgId> {
        let across = scope.across_orgs(Permission::ORGS_CREATE)?;
        let user_id = scope.actor().user_id;
        self.commands
            .run(scope, |mut unit| async move {
                if self.reader.find_org_by_name(name).await?.is_some() {
                    return Err(OrgError::NameTaken.into());
                }
                if !unit.load_from_server::<User>(&user_id).await?.exists {
                    return Err(Error::unauthenticated("Unauthorized"));
                }
                let id = OrgId(self.ids.next_id(OrgId::SERVER, IdKind::Org).await?);
                let mut org = unit.load_across::<Org>(across, id, &id).await?;
                org.tell(OrgCommand::Create(OrgCreated { id, name: name.to_owned() })).await?;
                unit.record(org)?;
                let mut membership = unit.load_across::<Membership>(across, id, &user_id).await?;
                membership.tell(MembershipCommand::Add { user_id, role: OrgRole::Admin }).await?;
                unit.record(membership)?;
                Ok(unit.decided(id))
            })
            .await
    }

    /// Renames an org.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn rename_org(&self, scope: &Scope, org: OrgId, name: &str) -> Result<()> {
        let scope = scope.in_org(org, Permission::ORGS_WRITE)?;
        self.tell(&scope, OrgCommand::Rename(name.to_owned())).await
    }

    /// Changes the address of an org.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn change_address(&self, scope: &Scope, org: OrgId, address: &Address) -> Result<()> {
        let scope = scope.in_org(org, Permission::ORGS_WRITE)?;
        self.tell(&scope, OrgCommand::ChangeAddress(address.clone())).await
    }

    /// Changes the audit settings of the actor's org.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn set_audit(&self, scope: &Scope, audit: AuditSettings) -> Result<()> {
        scope.require(Permission::ORGS_WRITE)?;
        self.tell(scope, OrgCommand::SetAudit(audit)).await
    }

    /// Reads the audit settings of the actor's org.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn get_audit(&self, scope: &Scope) -> Result<AuditSettings> {
        scope.require(Permission::ORGS_READ)?;
        self.reader.find_audit(scope.org()).await
    }

    /// Deletes an org with all its data. Its log is kept as evidence of the actions in it.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn delete_org(&self, scope: &Scope, org: OrgId) -> Result<()> {
        scope.require_on_server(Permission::ORGS_DELETE)?;
        if org == scope.org() {
            return Err(Error::invalid("Cannot delete your active organization"));
        }
        let scope = &scope.in_org(org, Permission::ORGS_DELETE)?;
        self.commands
            .run(scope, |mut unit| async move {
                let mut ending = unit.load::<Org>(&org).await?;
                ending.tell(OrgCommand::Delete).await?;
                unit.record(ending)?;
                unit.delete_secrets();
                unit.delete_jobs();
                Ok(unit.decided(()))
            })
            .await
    }

    async fn tell(&self, scope: &Scope, command: OrgCommand) -> Result<()> {
        let command = &command;
        self.commands
            .run(scope, |mut unit| async move {
                let mut org = unit.load::<Org>(&scope.org()).await?;
                org.tell(command.clone()).await?;
                unit.record(org)?;
                Ok(unit.decided(()))
            })
            .await
    }

    /// Reads the actor's org.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn get_own_org(&self, scope: &Scope) -> Result<OrgView> {
        scope.require(Permission::ORGS_READ)?;
        self.reader.find_org(scope.org()).await?.ok_or_else(|| OrgError::NotFound.into())
    }

    /// Reads any org.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn get_org(&self, scope: &Scope, org: OrgId) -> Result<OrgView> {
        scope.in_org(org, Permission::ORGS_READ)?;
        self.reader.find_org(org).await?.ok_or_else(|| OrgError::NotFound.into())
    }

    /// Reads an org by its name.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn get_org_by_name(&self, scope: &Scope, name: &str) -> Result<OrgView> {
        scope.require_on_server(Permission::ORGS_READ)?;
        self.reader.find_org_by_name(name).await?.ok_or_else(|| OrgError::NotFound.into())
    }

    /// Searches all orgs.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn search_orgs(
        &self,
        scope: &Scope,
        name: &str,
        query: &str,
        page: Page,
    ) -> Result<Vec<OrgView>> {
        scope.require_on_server(Permission::ORGS_READ)?;
        self.reader.search_orgs(name, query, page).await
    }
}
