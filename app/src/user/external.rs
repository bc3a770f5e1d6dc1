//! Users whom an identity provider knows.

use kymograph_domain::user::Profile;
use kymograph_domain::{OrgId, OrgRole, UserId};

use super::Users;
use crate::error::Result;
use crate::random::{hex, random_bytes};
use crate::{Permission, Scope};

/// A user to create with its memberships.
pub(crate) struct NewMember {
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
    pub(crate) async fn create_external_user(&self, scope: &Scope, new: &NewMember) -> Result<UserId> {
        let across = scope.across_orgs(Permission::UsersCreate)?;
        let password = hex(&random_bytes::<32>()?);
        Ok(self.create_member(scope, across, new, &password).await?.id)
    }
}
