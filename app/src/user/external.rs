//! Users whom an identity provider knows.

use kymograph_domain::user::{Profile, UserCreated};
use kymograph_domain::{OrgId, OrgRole, UserId};

use super::Users;
use crate::error::Result;
use crate::random::{hex, random_bytes, random_uid};
use crate::{Permission, Scope};

/// A user to create whom an identity provider knows.
pub(crate) struct NewExternalUser {
    /// The profile.
    pub(crate) profile: Profile,
    /// Whether the user administers the server.
    pub(crate) is_server_admin: bool,
    /// The orgs to make the user a member of; it works in the first.
    pub(crate) memberships: Vec<(OrgId, OrgRole)>,
}

impl Users {
    /// Creates a user whom an identity provider knows. Nobody knows the password, so only the provider lets the user in
    /// until somebody sets another one; and whoever guesses at it cannot tell the user from others.
    pub(crate) async fn create_external_user(&self, scope: &Scope, new: &NewExternalUser) -> Result<UserId> {
        let across = scope.across_orgs(Permission::UsersCreate)?;
        let password = hex(&random_bytes::<32>()?);
        let hash = &self.prepare_password(&new.profile, &password, &scope.request().ip).await?;
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
                self.record_created(&mut unit, created, hash).await?;
                for (org, role) in &new.memberships {
                    self.add_first_membership(&mut unit, across, *org, id, *role).await?;
                }
                Ok(unit.decided(id))
            })
            .await
    }
}
