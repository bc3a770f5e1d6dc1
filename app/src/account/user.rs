//! Users of the server: creating, changing, deleting and reading them.

mod email;
mod external;
mod help_flag;
mod history;

use std::sync::Arc;

use async_trait::async_trait;
use kymograph_domain::account::membership::{Membership, MembershipCommand};
use kymograph_domain::account::org::Org;
use kymograph_domain::account::user::{
    Claims, Profile, User, UserCommand, UserCreated, UserError, check_password,
};
use kymograph_domain::kernel::effect::Ending;
use kymograph_domain::{OrgId, OrgRole, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::account::membership::MembershipReader;
use crate::account::password::PasswordHasher;
use crate::kernel::ending::Endings;
use crate::kernel::error::{Error, Result};
use crate::kernel::id_allocator::{IdAllocator, IdKind};
use crate::kernel::random::random_uid;
use crate::kernel::scope::AcrossOrgs;
use crate::kernel::secret::SecretWrite;
use crate::{Commands, Page, Permission, Scope, Unit};

pub use email::{ConfirmationMails, EmailVerification, ProfileUpdate};
pub(crate) use external::NewMember;
pub use history::HISTORY;

/// A user as it is read.
#[derive(Clone, Debug)]
pub struct UserView {
    /// The id.
    pub id: UserId,
    /// The uid.
    pub uid: String,
    /// The profile.
    pub profile: Profile,
    /// The names that it chose for itself.
    pub claims: Claims,
    /// The user's current org.
    pub org_id: OrgId,
    /// Whether the user is a server admin.
    pub is_server_admin: bool,
    /// Whether the user is disabled.
    pub is_disabled: bool,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
    /// When it was last seen, if ever.
    pub last_seen: Option<Timestamp>,
}

/// Reads users, who belong to the server.
#[async_trait]
pub trait UserReader: Send + Sync {
    /// The user of that id.
    async fn find_user(&self, id: UserId) -> Result<Option<UserView>>;
    /// The user of that login or e-mail address, in any case.
    async fn find_user_by_login(&self, login: &str) -> Result<Option<UserView>>;
    /// The user of that uid.
    async fn find_user_by_uid(&self, uid: &str) -> Result<Option<UserView>>;
    /// The current hash of a user's password.
    async fn find_password_hash(&self, id: UserId) -> Result<Option<String>>;
    /// Users whose login, e-mail address or name contains a text, by login.
    async fn search_users(&self, query: &str, page: Page) -> Result<Vec<UserView>>;
    /// The total number of users that the query matches.
    async fn count_users(&self, query: &str) -> Result<i64>;
}

/// A user to create.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// The profile.
    pub profile: Profile,
    /// The password.
    pub password: String,
    /// The org to make the user a member of; `None` for the server's default.
    pub org_id: Option<OrgId>,
}

/// A change of a profile; `None` and empty texts keep a value.
#[derive(Clone, Debug, Default)]
pub struct ProfileChange {
    /// The new login.
    pub login: Option<String>,
    /// The new e-mail address.
    pub email: Option<String>,
    /// The new name.
    pub name: Option<String>,
    /// The new theme.
    pub theme: Option<String>,
}

impl ProfileChange {
    /// A profile with this change.
    fn applied_to(&self, current: &Profile) -> Profile {
        let pick = |new: &Option<String>, old: &String| match new {
            Some(new) if !new.is_empty() => new.clone(),
            _ => old.clone(),
        };
        Profile {
            login: pick(&self.login, &current.login),
            email: pick(&self.email, &current.email),
            name: pick(&self.name, &current.name),
            theme: pick(&self.theme, &current.theme),
        }
    }
}

/// A user that was created.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CreatedUser {
    /// The id.
    pub id: UserId,
    /// The uid.
    pub uid: String,
}

/// The default membership of new users.
#[derive(Clone, Copy, Debug)]
pub struct DefaultMembership {
    /// The org; `None` for no membership.
    pub org_id: Option<OrgId>,
    /// The role.
    pub role: OrgRole,
}

/// The use cases of users.
pub struct Users {
    commands: Commands,
    reader: Arc<dyn UserReader>,
    memberships: Arc<dyn MembershipReader>,
    endings: Endings,
    ids: Arc<dyn IdAllocator>,
    passwords: Arc<dyn PasswordHasher>,
    verification: Option<Arc<EmailVerification>>,
    default_membership: DefaultMembership,
}

/// The dependencies of [`Users`].
pub struct UserPorts {
    /// Reads users.
    pub reader: Arc<dyn UserReader>,
    /// Reads memberships.
    pub memberships: Arc<dyn MembershipReader>,
    /// Ends references to a membership.
    pub endings: Endings,
    /// Allocates ids.
    pub ids: Arc<dyn IdAllocator>,
    /// Hashes passwords.
    pub passwords: Arc<dyn PasswordHasher>,
    /// Requests the confirmation of new e-mail addresses, if it is required.
    pub verification: Option<Arc<EmailVerification>>,
}

impl Users {
    /// The use cases on these ports.
    #[must_use]
    pub fn new(commands: Commands, ports: UserPorts, default_membership: DefaultMembership) -> Self {
        let UserPorts { reader, memberships, endings, ids, passwords, verification } = ports;
        Self { commands, reader, memberships, endings, ids, passwords, verification, default_membership }
    }

    /// Creates a user who is a member of one org.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn create_user(&self, scope: &Scope, new: &NewUser) -> Result<CreatedUser> {
        let across = scope.across_orgs(Permission::USERS_CREATE)?;
        let home = new.org_id.or(self.default_membership.org_id);
        let new_member = NewMember {
            profile: new.profile.clone(),
            is_server_admin: false,
            memberships: home.map(|org| (org, self.default_membership.role)).into_iter().collect(),
            is_provided: false,
        };
        let hash = &self.prepare_password(&new.profile, &new.password, &scope.request().ip).await?;
        self.create_member(scope, across, &new_member, hash).await
    }

    /// Creates a user who is a member of some orgs, in one commit, with this password hash.
    async fn create_member(
        &self,
        scope: &Scope,
        across: AcrossOrgs,
        new: &NewMember,
        hash: &str,
    ) -> Result<CreatedUser> {
        let uid = &random_uid()?;
        self.commands
            .run(scope, |mut unit| async move {
                let id = self.next_user_id().await?;
                let created = UserCreated {
                    id,
                    uid: uid.clone(),
                    profile: new.profile.clone(),
                    is_server_admin: new.is_server_admin,
                    org_id: new.memberships.first().map(|(org, _)| *org).unwrap_or_default(),
                };
                if new.is_provided {
                    self.take_names(&mut unit, id, &new.profile).await?;
                }
                self.record_created(&mut unit, created, hash).await?;
                for (org, role) in &new.memberships {
                    self.add_first_membership(&mut unit, across, *org, id, *role).await?;
                }
                Ok(unit.decided(CreatedUser { id, uid: uid.to_string() }))
            })
            .await
    }

    /// The id of a user to be created.
    pub(crate) async fn next_user_id(&self) -> Result<UserId> {
        Ok(UserId(self.ids.next_id(OrgId::SERVER, IdKind::User).await?))
    }

    /// Checks that a user can be created with this profile and password, and hashes the password.
    pub(crate) async fn prepare_password(
        &self,
        profile: &Profile,
        password: &str,
        ip: &str,
    ) -> Result<String> {
        check_password(password)?;
        for login in [&profile.login, &profile.email] {
            if !login.is_empty() && self.reader.find_user_by_login(login).await?.is_some() {
                return Err(UserError::Taken.into());
            }
        }
        self.passwords.hash(password, ip).await
    }

    /// Adds a new user to the commit, with this password hash.
    pub(crate) async fn record_created(
        &self,
        unit: &mut Unit<'_>,
        created: UserCreated,
        hash: &str,
    ) -> Result<()> {
        self.record_new(unit, created, hash, None).await
    }

    /// Adds a guest of an org to the commit, with unconfirmed names: the inviter sees the code, and no mail is sent.
    pub(crate) async fn record_guest(
        &self,
        unit: &mut Unit<'_>,
        created: UserCreated,
        hash: &str,
    ) -> Result<()> {
        let vouched_by = created.org_id;
        self.record_new(unit, created, hash, Some(UserCommand::ClaimNames { vouched_by })).await
    }

    async fn record_new(
        &self,
        unit: &mut Unit<'_>,
        created: UserCreated,
        hash: &str,
        then: Option<UserCommand>,
    ) -> Result<()> {
        let id = created.id;
        let mut user = unit.load_from_server::<User>(&id).await?;
        user.tell(UserCommand::Create(created)).await?;
        if let Some(command) = then {
            user.tell(command).await?;
        }
        unit.record(user)?;
        unit.write_secret(password_secret(id, Some(hash.to_owned()))).await?;
        Ok(())
    }

    async fn add_first_membership(
        &self,
        unit: &mut Unit<'_>,
        across: AcrossOrgs,
        org: OrgId,
        user_id: UserId,
        role: OrgRole,
    ) -> Result<()> {
        if !unit.load_across::<Org>(across, org, &org).await?.exists {
            return Err(Error::invalid("Organization not found"));
        }
        let mut membership = unit.load_across::<Membership>(across, org, &user_id).await?;
        membership.tell(MembershipCommand::Add { user_id, role }).await?;
        unit.record(membership)
    }

    /// Changes any user's profile.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn update_user(&self, scope: &Scope, id: UserId, change: &ProfileChange) -> Result<()> {
        scope.require_on_server(Permission::USERS_WRITE)?;
        self.change_profile(scope, id, change, UserCommand::ChangeProfile).await
    }

    async fn change_profile(
        &self,
        scope: &Scope,
        id: UserId,
        change: &ProfileChange,
        command: fn(Profile) -> UserCommand,
    ) -> Result<()> {
        self.commands
            .run(scope, |mut unit| async move {
                let mut user = unit.load_from_server::<User>(&id).await?;
                let profile = change.applied_to(&user.profile);
                user.tell(command(profile)).await?;
                unit.record(user)?;
                Ok(unit.decided(()))
            })
            .await
    }

    /// Sets any user's password.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn set_password(&self, scope: &Scope, id: UserId, password: &str) -> Result<()> {
        scope.require_on_server(Permission::USERS_PASSWORD_WRITE)?;
        self.replace_password(scope, id, password, None).await.map(drop)
    }

    /// Sets the actor's password, if its hash is still the one that was checked; returns whether it was.
    pub(crate) async fn replace_own_password(
        &self,
        scope: &Scope,
        password: &str,
        checked: &str,
    ) -> Result<bool> {
        self.replace_password(scope, scope.actor().user_id, password, Some(checked)).await
    }

    async fn replace_password(
        &self,
        scope: &Scope,
        id: UserId,
        password: &str,
        checked: Option<&str>,
    ) -> Result<bool> {
        check_password(password)?;
        let hash = &self.passwords.hash(password, &scope.request().ip).await?;
        self.commands
            .run(scope, |mut unit| async move {
                let mut user = unit.load_from_server::<User>(&id).await?;
                // A concurrent change would be an event on the user, and this command would be decided again.
                if checked.is_some() && self.reader.find_password_hash(id).await?.as_deref() != checked {
                    return Ok(unit.decided(false));
                }
                user.tell(UserCommand::ChangePassword).await?;
                unit.record(user)?;
                unit.write_secret(password_secret(id, Some(hash.clone()))).await?;
                Ok(unit.decided(true))
            })
            .await
    }

    /// Grants or revokes a user's rights as a server admin.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn set_server_admin(&self, scope: &Scope, id: UserId, is_server_admin: bool) -> Result<()> {
        scope.require_on_server(Permission::USERS_PERMISSIONS_WRITE)?;
        self.tell(scope, id, UserCommand::SetServerAdmin(is_server_admin)).await
    }

    /// Disables or enables a user.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn set_disabled(&self, scope: &Scope, id: UserId, is_disabled: bool) -> Result<()> {
        let permission = if is_disabled { Permission::USERS_DISABLE } else { Permission::USERS_ENABLE };
        scope.require_on_server(permission)?;
        self.tell(scope, id, UserCommand::SetDisabled(is_disabled)).await
    }

    /// Switches the actor's current org to another one of the actor's orgs.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn switch_org(&self, scope: &Scope, org: OrgId) -> Result<()> {
        self.switch_org_of(scope, scope.actor().user_id, org).await
    }

    /// Switches a user's current org to another one of the user's orgs.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn switch_org_of_user(&self, scope: &Scope, user: UserId, org: OrgId) -> Result<()> {
        scope.require_on_server(Permission::USERS_WRITE)?;
        self.switch_org_of(scope, user, org).await
    }

    async fn switch_org_of(&self, scope: &Scope, user: UserId, org: OrgId) -> Result<()> {
        let orgs = self.memberships.list_orgs_of_user(user).await?;
        if !orgs.iter().any(|membership| membership.org_id == org) {
            return Err(Error::unauthenticated("Unauthorized"));
        }
        self.tell(scope, user, UserCommand::SwitchOrg(org)).await
    }

    /// Deletes a user with its memberships, in one commit.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn delete_user(&self, scope: &Scope, id: UserId) -> Result<()> {
        let across = scope.across_orgs(Permission::USERS_DELETE)?;
        self.commands
            .run(scope, |mut unit| async move {
                let mut user = unit.load_from_server::<User>(&id).await?;
                user.tell(UserCommand::Delete).await?;
                unit.record(user)?;
                unit.write_secret(password_secret(id, None)).await?;
                for org in self.memberships.list_orgs_of_user(id).await? {
                    let org_scope = scope.in_org(org.org_id, Permission::ORG_USERS_REMOVE)?;
                    self.endings.tell(&mut unit, &org_scope, &[Ending::Member(id)]).await?;
                    let mut membership = unit.load_across::<Membership>(across, org.org_id, &id).await?;
                    membership.tell(MembershipCommand::Remove).await?;
                    unit.record(membership)?;
                }
                Ok(unit.decided(()))
            })
            .await
    }

    async fn tell(&self, scope: &Scope, id: UserId, command: UserCommand) -> Result<()> {
        tell_user(&self.commands, scope, id, &command).await
    }

    /// Reads the actor.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn get_own_user(&self, scope: &Scope) -> Result<UserView> {
        self.find(scope.actor().user_id).await
    }

    /// Reads any user.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn get_user(&self, scope: &Scope, id: UserId) -> Result<UserView> {
        scope.require_on_server(Permission::USERS_READ)?;
        self.find(id).await
    }

    /// Reads the user of a login or e-mail address.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn get_user_by_login(&self, scope: &Scope, login: &str) -> Result<UserView> {
        scope.require_on_server(Permission::USERS_READ)?;
        self.reader.find_user_by_login(login).await?.ok_or_else(|| UserError::NotFound.into())
    }

    /// Reads the user of a uid.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn get_user_by_uid(&self, scope: &Scope, uid: &str) -> Result<UserView> {
        scope.require_on_server(Permission::USERS_READ)?;
        self.reader.find_user_by_uid(uid).await?.ok_or_else(|| UserError::NotFound.into())
    }

    /// Searches all users.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn search_users(&self, scope: &Scope, query: &str, page: Page) -> Result<Vec<UserView>> {
        scope.require_on_server(Permission::USERS_READ)?;
        self.reader.search_users(query, page).await
    }

    /// Counts all users that a query matches.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn count_users(&self, scope: &Scope, query: &str) -> Result<i64> {
        scope.require_on_server(Permission::USERS_READ)?;
        self.reader.count_users(query).await
    }

    async fn find(&self, id: UserId) -> Result<UserView> {
        self.reader.find_user(id).await?.ok_or_else(|| UserError::NotFound.into())
    }
}

/// The secret that holds a user's password hash.
#[must_use]
pub fn password_secret(id: UserId, hash: Option<String>) -> SecretWrite {
    SecretWrite { org: OrgId::SERVER, key: format!("user/{id}/password"), value: hash }
}

/// Runs a command on a user. The caller has checked the permission.
pub(crate) async fn tell_user(
    commands: &Commands,
    scope: &Scope,
    id: UserId,
    command: &UserCommand,
) -> Result<()> {
    commands
        .run(scope, |mut unit| async move {
            let mut user = unit.load_from_server::<User>(&id).await?;
            user.tell(command.clone()).await?;
            unit.record(user)?;
            Ok(unit.decided(()))
        })
        .await
}
