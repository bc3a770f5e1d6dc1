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
        Dashboard::TYPE => require_content(scope, P::DASHBOARDS_WRITE),
        Folder::TYPE => require_content(scope, P::FOLDERS_WRITE),
        ResourcePermission::TYPE => require_content(scope, P::FOLDERS_PERMISSIONS_WRITE),
        Membership::TYPE => scope.require(if is_there { P::ORG_USERS_WRITE } else { P::ORG_USERS_ADD }),
        Invite::TYPE => scope.require(P::ORG_USERS_ADD),
        Team::TYPE => {
            scope.require(if is_there { P::TEAMS_WRITE } else { P::TEAMS_CREATE })?;
            scope.require(P::TEAMS_PERMISSIONS_WRITE)
        }
        ServiceAccount::TYPE => scope.require(P::SERVICE_ACCOUNTS_WRITE),
        Org::TYPE => scope.require(P::ORGS_WRITE),
        Preference::TYPE if key == format!("user-{}", scope.actor().user_id) => Ok(()),
        Preference::TYPE if key == "org" => scope.require(P::ORGS_PREFERENCES_WRITE),
        Preference::TYPE if key.starts_with("team-") => scope.require(P::TEAMS_WRITE),
        Preference::TYPE => Err(Error::new(
            ErrorKind::Forbidden,
            "the preferences of a user are for that user alone to change",
        )),
        User::TYPE if scope.org() == OrgId::SERVER => scope.require_on_server(P::USERS_WRITE),
        noun => Err(Error::internal(format!("nobody decides who may undo changes of a {noun}"))),
    }
}

fn require_content(scope: &Scope, permission: Permission) -> Result<()> {
    if scope.administers_content() { Ok(()) } else { Err(denied(permission)) }
}
