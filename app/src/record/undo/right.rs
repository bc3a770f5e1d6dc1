//! The right to undo: that of doing it by hand.

use cqrs_es::Aggregate;
use kymograph_domain::OrgId;
use kymograph_domain::account::invite::Invite;
use kymograph_domain::account::membership::Membership;
use kymograph_domain::account::org::Org;
use kymograph_domain::account::service_account::ServiceAccount;
use kymograph_domain::account::team::Team;
use kymograph_domain::account::user::User;
use kymograph_domain::content::dashboard::Dashboard;
use kymograph_domain::content::folder::Folder;
use kymograph_domain::content::preference::Preference;
use kymograph_domain::rights::resource_permission::ResourcePermission;

use crate::kernel::error::{Error, ErrorKind, Result};
use crate::kernel::scope::denied;
use crate::{Permission, Scope};

/// Fails unless the actor could do by hand what undoing does to an object, which is there or has to come back.
pub(super) fn require(scope: &Scope, noun: &str, key: &str, is_there: bool) -> Result<()> {
    use Permission as P;
    match noun {
        // Restored content may have been anybody's, and its rights with it.
        Dashboard::TYPE => require_content(scope, P::DashboardsWrite),
        Folder::TYPE => require_content(scope, P::FoldersWrite),
        ResourcePermission::TYPE => require_content(scope, P::FoldersPermissionsWrite),
        Membership::TYPE => scope.require(if is_there { P::OrgUsersWrite } else { P::OrgUsersAdd }),
        Invite::TYPE => scope.require(P::OrgUsersAdd),
        Team::TYPE => {
            scope.require(if is_there { P::TeamsWrite } else { P::TeamsCreate })?;
            scope.require(P::TeamsPermissionsWrite)
        }
        ServiceAccount::TYPE => scope.require(P::ServiceAccountsWrite),
        Org::TYPE => scope.require(P::OrgsWrite),
        Preference::TYPE if key == format!("user-{}", scope.actor().user_id) => Ok(()),
        Preference::TYPE if key == "org" => scope.require(P::OrgsPreferencesWrite),
        Preference::TYPE if key.starts_with("team-") => scope.require(P::TeamsWrite),
        Preference::TYPE => Err(Error::new(
            ErrorKind::Forbidden,
            "the preferences of a user are for that user alone to change",
        )),
        User::TYPE if scope.org() == OrgId::SERVER => scope.require_on_server(P::UsersWrite),
        noun => Err(Error::internal(format!("nobody decides who may undo changes of a {noun}"))),
    }
}

fn require_content(scope: &Scope, permission: Permission) -> Result<()> {
    if scope.administers_content() { Ok(()) } else { Err(denied(permission)) }
}
