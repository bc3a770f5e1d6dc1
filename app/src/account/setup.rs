//! The first start: the first org and the first user.

use std::sync::Arc;

use kymograph_domain::account::membership::{Membership, MembershipCommand};
use kymograph_domain::account::org::{Org, OrgCommand, OrgCreated};
use kymograph_domain::account::user::{Profile, User, UserCommand, UserCreated};
use kymograph_domain::{OrgId, OrgRole, UserId};

use crate::account::identity::IdentityReader;
use crate::account::password::PasswordHasher;
use crate::account::user::{UserReader, password_secret};
use crate::kernel::error::{ErrorKind, Result};
use crate::kernel::id_allocator::{IdAllocator, IdKind};
use crate::kernel::moment::LogReader;
use crate::kernel::random::random_uid;
use crate::{Commands, Permission, Scope};

/// The first user.
pub struct FirstUser {
    /// The login.
    pub login: String,
    /// The e-mail address.
    pub email: String,
    /// The password.
    pub password: String,
}

/// Prepares an empty database.
pub struct Setup {
    commands: Commands,
    log: Arc<dyn LogReader>,
    users: Arc<dyn UserReader>,
    identities: Arc<dyn IdentityReader>,
    ids: Arc<dyn IdAllocator>,
    passwords: Arc<dyn PasswordHasher>,
}

impl Setup {
    /// The set-up on these ports.
    #[must_use]
    pub fn new(
        commands: Commands,
        log: Arc<dyn LogReader>,
        users: Arc<dyn UserReader>,
        identities: Arc<dyn IdentityReader>,
        ids: Arc<dyn IdAllocator>,
        passwords: Arc<dyn PasswordHasher>,
    ) -> Self {
        Self { commands, log, users, identities, ids, passwords }
    }

    /// Whether a user can log in with this password.
    pub async fn has_password(&self, login: &str, password: &str) -> Result<bool> {
        let Some(id) = self.identities.find_user_id(login).await? else { return Ok(false) };
        let user = self.identities.identify(id).await?;
        match user.filter(|user| !user.is_disabled && !user.password_hash.is_empty()) {
            Some(user) => self.passwords.verify(password, &user.password_hash, "").await,
            None => Ok(false),
        }
    }

    /// Creates org 1 and a server admin who is its admin, if the log is empty. Both are one commit, so that two servers
    /// that start on one database create them once. Only the log can prove that there never was a user: a read model
    /// can be damaged, and a known password would then give anybody access.
    pub async fn ensure_first_user(&self, first: &FirstUser) -> Result<bool> {
        let is_log_empty = self.log.last_position(&Scope::of_server()).await? == 0;
        let has_users = self.users.count_users("").await? > 0;
        if is_log_empty && has_users {
            tracing::error!(
                "the server's log is empty or not readable although users exist: no admin was created"
            );
        } else if !is_log_empty && !has_users {
            tracing::error!("the server's log has events, but there are no users: rebuild the projections");
        }
        if !is_log_empty || has_users {
            return Ok(false);
        }
        match self.create_first_user(first).await {
            // Another server was starting at the same time.
            Err(error) if error.kind() == ErrorKind::Taken => Ok(false),
            created => created.map(|()| true),
        }
    }

    async fn create_first_user(&self, first: &FirstUser) -> Result<()> {
        let scope = &Scope::of_server();
        let across = scope.across_orgs(Permission::USERS_CREATE)?;
        let hash = &self.passwords.hash(&first.password, "").await?;
        let uid = &random_uid()?;
        self.commands
            .run(scope, |mut unit| async move {
                let id = OrgId(self.ids.next_id(OrgId::SERVER, IdKind::Org).await?);
                let user_id = UserId(self.ids.next_id(OrgId::SERVER, IdKind::User).await?);
                let mut user = unit.load_from_server::<User>(&user_id).await?;
                user.tell(UserCommand::Create(UserCreated {
                    id: user_id,
                    uid: uid.clone(),
                    profile: Profile {
                        login: first.login.clone(),
                        email: first.email.clone(),
                        ..Profile::default()
                    },
                    is_server_admin: true,
                    org_id: id,
                }))
                .await?;
                unit.record(user)?;
                unit.write_secret(password_secret(user_id, Some(hash.clone()))).await?;
                let mut org = unit.load_across::<Org>(across, id, &id).await?;
                org.tell(OrgCommand::Create(OrgCreated { id, name: "Main Org.".into() })).await?;
                unit.record(org)?;
                let mut membership = unit.load_across::<Membership>(across, id, &user_id).await?;
                membership.tell(MembershipCommand::Add { user_id, role: OrgRole::Admin }).await?;
                unit.record(membership)?;
                Ok(unit.decided(()))
            })
            .await
    }
}
