//! Users of an identity provider.

use std::collections::BTreeSet;

use kymograph_domain::account::user::{Profile, User, UserCommand};
use kymograph_domain::{OrgId, OrgRole, UserId};

use super::{ProfileChange, Users};
use crate::kernel::error::Result;
use crate::kernel::random::{hex, random_bytes, random_uid};
use crate::{Permission, Scope, Unit};

/// A user to create with its memberships.
pub(crate) struct NewMember {
    /// The profile.
    pub(crate) profile: Profile,
    /// Whether the user is a server admin.
    pub(crate) is_server_admin: bool,
    /// The orgs to make the user a member of; the first one becomes the current org.
    pub(crate) memberships: Vec<(OrgId, OrgRole)>,
    /// Whether an identity provider vouches for the names.
    pub(crate) is_provided: bool,
}

impl Users {
    /// Creates a user of an identity provider. The password is unknown, so the user can only log in at the provider
    /// until another one is set; and guesses cannot distinguish the user from others.
    pub(crate) async fn create_external_user(&self, scope: &Scope, new: &NewMember) -> Result<UserId> {
        let across = scope.across_orgs(Permission::USERS_CREATE)?;
        let hash = self.passwords.hash(&hex(&random_bytes::<32>()?), &scope.request().ip).await?;
        Ok(self.create_member(scope, across, new, &hash).await?.id)
    }

    /// Updates the profile of a user to the data of an identity provider.
    pub(crate) async fn update_external_user(
        &self,
        scope: &Scope,
        id: UserId,
        change: &ProfileChange,
    ) -> Result<()> {
        scope.require_on_server(Permission::USERS_WRITE)?;
        self.commands
            .run(scope, |mut unit| async move {
                let mut user = unit.load_from_server::<User>(&id).await?;
                let profile = change.applied_to(&user.profile);
                user.tell(UserCommand::ChangeProfile(profile)).await?;
                self.take_names(&mut unit, id, &user.profile).await?;
                unit.record(user)?;
                Ok(unit.decided(()))
            })
            .await
    }

    /// Takes the confirmed names of a user from users who have only claimed them, so that a claim locks nobody out.
    /// Called before the user itself is recorded.
    pub(super) async fn take_names(&self, unit: &mut Unit<'_>, id: UserId, profile: &Profile) -> Result<()> {
        let mut claimants = BTreeSet::new();
        for name in profile.names() {
            let holder = self.reader.find_user_by_login(&name.name).await?;
            claimants.extend(holder.map(|holder| holder.id).filter(|holder| *holder != id));
        }
        for claimant in claimants {
            let mut claimant = unit.load_from_server::<User>(&claimant).await?;
            let (owner, stand_in) = (profile.clone(), random_uid()?.to_string());
            claimant.tell(UserCommand::YieldNames { owner, stand_in }).await?;
            tracing::info!(
                user = id.0,
                claimant = claimant.id.0,
                "an identity provider's user took over the login or e-mail address of another user"
            );
            unit.record(claimant)?;
        }
        Ok(())
    }
}
