//! Memberships: the members of an org and their roles.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use cqrs_es::Aggregate;
use kymograph_domain::account::membership::{Membership, MembershipCommand};
use kymograph_domain::account::service_account::ServiceAccount;
use kymograph_domain::account::team::Team;
use kymograph_domain::account::user::{User, UserError};
use kymograph_domain::kernel::effect::Ending;
use kymograph_domain::rights::resource_permission::Grantee;
use kymograph_domain::{OrgId, OrgRole, Stream, StreamId, TeamId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::account::org::OrgReader;
use crate::account::user::UserReader;
use crate::kernel::ending::Endings;
use crate::kernel::error::Result;
use crate::kernel::history::{HistoryOf, KeyOf};
use crate::kernel::noun::Noun;
use crate::kernel::unit::Entity;
use crate::rights::resource_permission::Grantees;
use crate::{Commands, Error, Page, Permission, Scope, Unit};

/// A member as it is read.
#[derive(Clone, Debug)]
pub struct MemberView {
    /// The org.
    pub org_id: OrgId,
    /// The user.
    pub user_id: UserId,
    /// The user's uid.
    pub uid: String,
    /// The user's login.
    pub login: String,
    /// The user's e-mail address.
    pub email: String,
    /// The user's name.
    pub name: String,
    /// The role in the org.
    pub role: OrgRole,
    /// Whether the user is disabled.
    pub is_disabled: bool,
    /// When the user became a member.
    pub created: Timestamp,
    /// When the user was last seen, if ever.
    pub last_seen: Option<Timestamp>,
}

/// An org that a user is a member of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserOrgView {
    /// The org.
    pub org_id: OrgId,
    /// Its name.
    pub name: String,
    /// The user's role there.
    pub role: OrgRole,
}

/// Reads memberships.
#[async_trait]
pub trait MembershipReader: Send + Sync {
    /// The members of the scope's org whose login, e-mail address or name contains a text, by login.
    async fn list_members(&self, scope: &Scope, query: &str, page: Page) -> Result<Vec<MemberView>>;
    /// The total number of members that the query matches.
    async fn count_members(&self, scope: &Scope, query: &str) -> Result<i64>;
    /// The members of the scope's org who have one of these logins or e-mail addresses, all of them folded. An address
    /// that a user has only claimed matches no user.
    async fn find_members_by_name(&self, scope: &Scope, names: &[String]) -> Result<HashMap<String, UserId>>;
    /// The orgs that a user is a member of, by name.
    async fn list_orgs_of_user(&self, user_id: UserId) -> Result<Vec<UserOrgView>>;
}

/// The result of adding a member.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct AddedMember {
    /// The user who is a member now.
    pub user_id: UserId,
}

/// The history of memberships.
pub const HISTORY: HistoryOf = HistoryOf {
    noun: Membership::TYPE,
    missing: "user not found",
    key: KeyOf::Number,
    read: Some(Permission::ORG_USERS_READ),
    write: Some(Permission::ORG_USERS_WRITE),
    create: None,
};

#[async_trait]
impl Noun for Membership {
    const HAS_RIGHTS: bool = true;

    fn require_undo(scope: &Scope, _: &str, is_there: bool) -> Result<()> {
        scope.require(if is_there { Permission::ORG_USERS_WRITE } else { Permission::ORG_USERS_ADD })
    }

    /// The login of its user.
    async fn name_in(&self, unit: &Unit<'_>, key: &str) -> Result<String> {
        Ok(user_of(unit, key).await?.profile.login.clone())
    }

    async fn end_is_final(unit: &Unit<'_>, key: &str) -> Result<Option<&'static str>> {
        Ok((!user_of(unit, key).await?.exists).then_some("the user was deleted"))
    }

    /// A user restored to a role that may not invite has no open invites.
    async fn follow_return(&self, unit: &mut Unit<'_>, scope: &Scope, endings: &Endings) -> Result<()> {
        if !self.exists || Permission::ORG_USERS_ADD.is_of(self.role) {
            return Ok(());
        }
        endings.tell(unit, scope, &[Ending::Inviter(self.user_id)]).await
    }
}

/// The user whose membership has this key.
async fn user_of(unit: &Unit<'_>, key: &str) -> Result<Entity<User>> {
    unit.load_from_server::<User>(&UserId(key.parse().map_err(Error::internal)?)).await
}

/// The use cases of memberships.
pub struct Memberships {
    commands: Commands,
    reader: Arc<dyn MembershipReader>,
    users: Arc<dyn UserReader>,
    orgs: Arc<dyn OrgReader>,
    endings: Endings,
}

impl Memberships {
    /// The use cases on these ports.
    #[must_use]
    pub fn new(
        commands: Commands,
        reader: Arc<dyn MembershipReader>,
        users: Arc<dyn UserReader>,
        orgs: Arc<dyn OrgReader>,
        endings: Endings,
    ) -> Self {
        Self { commands, reader, users, orgs, endings }
    }

    /// Makes the user of a login or e-mail address a member.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn add_member(
        &self,
        scope: &Scope,
        org: OrgId,
        login: &str,
        role: OrgRole,
    ) -> Result<AddedMember> {
        let scope = &self.org_scope(scope, org, Permission::ORG_USERS_ADD).await?;
        let user = self.users.find_user_by_login(login).await?.ok_or(UserError::NotFound)?;
        self.add(scope, user.id, Some(login), role).await
    }

    /// Makes a user a member.
    pub(crate) async fn add_user(
        &self,
        scope: &Scope,
        org: OrgId,
        user: UserId,
        role: OrgRole,
    ) -> Result<()> {
        let scope = &self.org_scope(scope, org, Permission::ORG_USERS_ADD).await?;
        self.add(scope, user, None, role).await.map(drop)
    }

    /// Makes a user a member. A user that was found by a name must still have it.
    async fn add(
        &self,
        scope: &Scope,
        user_id: UserId,
        login: Option<&str>,
        role: OrgRole,
    ) -> Result<AddedMember> {
        self.commands
            .run(scope, |mut unit| async move {
                // The user may have changed or been deleted since it was found, and the log is ahead of the projection.
                let user = unit.load_from_server::<User>(&user_id).await?;
                match login {
                    Some(login) => user.check_named(scope.org(), login)?,
                    None if !user.exists => return Err(UserError::NotFound.into()),
                    None => {}
                }
                let mut membership = unit.load::<Membership>(&user_id).await?;
                membership.tell(MembershipCommand::Add { user_id, role }).await?;
                unit.record(membership)?;
                Ok(unit.decided(AddedMember { user_id }))
            })
            .await
    }

    /// Changes the role of a member.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn change_role(&self, scope: &Scope, org: OrgId, user: UserId, role: OrgRole) -> Result<()> {
        let scope = &scope.in_org(org, Permission::ORG_USERS_WRITE)?;
        let may_invite = Permission::ORG_USERS_ADD.is_of(role);
        self.commands
            .run(scope, |mut unit| async move {
                if !may_invite {
                    self.endings.tell(&mut unit, scope, &[Ending::Inviter(user)]).await?;
                }
                let mut membership = unit.load::<Membership>(&user).await?;
                membership.tell(MembershipCommand::ChangeRole(role)).await?;
                unit.record(membership)?;
                Ok(unit.decided(()))
            })
            .await
    }

    /// Ends a membership. Removing a non-member succeeds for a server admin; an admin of the org learns nothing about
    /// users of other orgs.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn remove_member(&self, scope: &Scope, org: OrgId, user: UserId) -> Result<()> {
        let knows_users = scope.require_on_server(Permission::ORG_USERS_REMOVE).is_ok();
        let scope = &self.org_scope(scope, org, Permission::ORG_USERS_REMOVE).await?;
        self.commands
            .run(scope, |mut unit| async move {
                if knows_users
                    && !unit.load::<Membership>(&user).await?.exists
                    && unit.load_from_server::<User>(&user).await?.exists
                {
                    return Ok(unit.decided(()));
                }
                self.endings.tell(&mut unit, scope, &[Ending::Member(user)]).await?;
                let mut membership = unit.load::<Membership>(&user).await?;
                membership.tell(MembershipCommand::Remove).await?;
                unit.record(membership)?;
                Ok(unit.decided(()))
            })
            .await
    }

    /// Lists the members of an org.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn list_members(
        &self,
        scope: &Scope,
        org: OrgId,
        query: &str,
        page: Page,
    ) -> Result<Vec<MemberView>> {
        let scope = scope.in_org(org, Permission::ORG_USERS_READ)?;
        self.reader.list_members(&scope, query, page).await
    }

    /// Lists the members of an org, with their total number.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn search_members(
        &self,
        scope: &Scope,
        org: OrgId,
        query: &str,
        page: Page,
    ) -> Result<(Vec<MemberView>, i64)> {
        let scope = scope.in_org(org, Permission::ORG_USERS_READ)?;
        let members = self.reader.list_members(&scope, query, page).await?;
        Ok((members, self.reader.count_members(&scope, query).await?))
    }

    /// Lists the orgs that the actor is a member of.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn list_own_orgs(&self, scope: &Scope) -> Result<Vec<UserOrgView>> {
        self.reader.list_orgs_of_user(scope.actor().user_id).await
    }

    /// Lists the orgs that a user is a member of.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn list_orgs_of_user(&self, scope: &Scope, user: UserId) -> Result<Vec<UserOrgView>> {
        scope.require_on_server(Permission::USERS_READ)?;
        self.users.find_user(user).await?.ok_or(UserError::NotFound)?;
        self.reader.list_orgs_of_user(user).await
    }

    async fn org_scope(&self, scope: &Scope, org: OrgId, permission: Permission) -> Result<Scope> {
        let scope = scope.in_org(org, permission)?;
        if self.orgs.find_org(org).await?.is_none() {
            return Err(Error::missing("Organization not found"));
        }
        Ok(scope)
    }
}

/// Members, service accounts and teams, the possible grantees of an org.
pub struct OrgGrantees;

#[async_trait]
impl Grantees for OrgGrantees {
    async fn has_user(&self, unit: &Unit<'_>, id: UserId) -> Result<bool> {
        Ok(unit.load::<Membership>(&id).await?.exists || unit.load::<ServiceAccount>(&id).await?.exists)
    }

    async fn has_team(&self, unit: &Unit<'_>, id: TeamId) -> Result<bool> {
        Ok(unit.load::<Team>(&id).await?.exists)
    }

    fn streams_of(&self, grantee: Grantee) -> Vec<StreamId> {
        match grantee {
            Grantee::User(id) => vec![Membership::stream_id(&id), ServiceAccount::stream_id(&id)],
            Grantee::Team(id) => vec![Team::stream_id(&id)],
            Grantee::Role(_) => Vec::new(),
        }
    }
}
