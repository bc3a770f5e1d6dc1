//! How much each org has.

use kymograph_domain::OrgId;
use kymograph_domain::dashboard::DashboardEvent;
use kymograph_domain::folder::FolderEvent;
use kymograph_domain::membership::MembershipEvent;
use kymograph_domain::org::OrgEvent;
use kymograph_domain::service_account::ServiceAccountEvent;
use kymograph_domain::star::StarEvent;
use kymograph_domain::user::UserEvent;

use crate::params;
use crate::projector::{Projector, Recorded};
use crate::star::losing_its_stars;
use crate::statement::{Param, Statements};

/// What is counted, by the names under which it is kept.
pub(crate) const ALERT_RULE: &str = "alert_rule";
pub(crate) const DASHBOARD: &str = "dashboard";
pub(crate) const DATA_SOURCE: &str = "data_source";
pub(crate) const ORG: &str = "org";
pub(crate) const STAR: &str = "star";
const API_KEY: &str = "api_key";
const FOLDER: &str = "folder";
const MEMBER: &str = "org_user";
const USER: &str = "user";

/// Counts what there is in `quotas`. It comes before the projectors that delete rows with what they belong to, because
/// it has to count those rows.
pub struct QuotaProjector;

/// The rows of a new org.
const INSERT: &str =
    "INSERT INTO quotas (owner_org_id, target, used) VALUES ($1, 'org_user', 0), ($1, 'dashboard', 0),
    ($1, 'folder', 0), ($1, 'api_key', 0), ($1, 'star', 0), ($1, 'data_source', 0), ($1, 'alert_rule', 0)";
const ADD: &str = "UPDATE quotas SET used = used + $3 WHERE owner_org_id = $1 AND target = $2";
/// Orgs and users are counted for the server, whose rows nothing else makes.
const ADD_TO_SERVER: &str = "INSERT INTO quotas (owner_org_id, target, used) VALUES (0, $1, $2)
    ON CONFLICT (owner_org_id, target) DO UPDATE SET used = quotas.used + excluded.used";
/// A star can be taken back after its dashboard was deleted, and put on another one of that uid: what counts is whether
/// there is a row.
const ADD_STAR: &str = "UPDATE quotas SET used = used + $4 - (SELECT count(*) FROM stars
    WHERE org_id = $1 AND user_id = $2 AND dashboard_uid = $3) WHERE owner_org_id = $1 AND target = 'star'";
const REMOVE_STARS: &str = "UPDATE quotas SET used = used - (SELECT count(*) FROM stars
    WHERE org_id = $1 AND dashboard_uid = $2) WHERE owner_org_id = $1 AND target = 'star'";
const REMOVE_TOKENS: &str = "UPDATE quotas SET used = used - (SELECT count(*) FROM service_account_tokens
    WHERE org_id = $1 AND service_account_id = $2) WHERE owner_org_id = $1 AND target = 'api_key'";

impl Projector for QuotaProjector {
    fn name(&self) -> &'static str {
        "quotas"
    }

    fn listens_to(&self) -> &'static [&'static str] {
        &["org", "user", "membership", "folder", "dashboard", "star", "service_account"]
    }

    fn tables(&self) -> &'static [&'static str] {
        &["quotas"]
    }

    fn touches(&self) -> &'static [&'static str] {
        &["stars", "service_account_tokens"]
    }

    fn project(&self, recorded: &Recorded<'_>, statements: &mut Statements) {
        let (org, event) = (recorded.org, recorded.event);
        match event.of::<OrgEvent>() {
            Some(OrgEvent::Created(_)) => {
                statements.write(INSERT, params![org.0]);
                statements.write(ADD_TO_SERVER, params![ORG, 1_i64]);
            }
            Some(OrgEvent::Deleted(_)) => {
                statements.write("DELETE FROM quotas WHERE owner_org_id = $1", params![org.0]);
                statements.write(ADD_TO_SERVER, params![ORG, -1_i64]);
            }
            Some(OrgEvent::Renamed(_) | OrgEvent::AddressChanged(_)) | None => {}
        }
        match event.of::<UserEvent>() {
            Some(UserEvent::Created(_)) => statements.write(ADD_TO_SERVER, params![USER, 1_i64]),
            Some(UserEvent::Deleted(_)) => statements.write(ADD_TO_SERVER, params![USER, -1_i64]),
            _ => {}
        }
        match event.of::<MembershipEvent>() {
            Some(MembershipEvent::Added(_)) => statements.write(ADD, one_more(org, MEMBER)),
            Some(MembershipEvent::Removed(_)) => statements.write(ADD, one_less(org, MEMBER)),
            Some(MembershipEvent::RoleChanged(_)) | None => {}
        }
        project_content(recorded, statements);
    }
}

/// What an org owns.
fn project_content(recorded: &Recorded<'_>, statements: &mut Statements) {
    let (org, event) = (recorded.org, recorded.event);
    match event.of::<FolderEvent>() {
        Some(FolderEvent::Created(_)) => statements.write(ADD, one_more(org, FOLDER)),
        Some(FolderEvent::Deleted(_)) => statements.write(ADD, one_less(org, FOLDER)),
        Some(FolderEvent::Updated(_) | FolderEvent::Moved(_)) | None => {}
    }
    match event.of::<DashboardEvent>() {
        Some(DashboardEvent::Created(_) | DashboardEvent::Restored(_)) => {
            statements.write(ADD, one_more(org, DASHBOARD));
        }
        Some(DashboardEvent::Deleted(_)) => statements.write(ADD, one_less(org, DASHBOARD)),
        // What is purged was in the trash, where it no longer counts.
        Some(DashboardEvent::Updated(_) | DashboardEvent::VersionRestored(_) | DashboardEvent::Purged(_))
        | None => {}
    }
    if let Some(uid) = event.of().and_then(losing_its_stars) {
        statements.write(REMOVE_STARS, params![org.0, uid.to_string()]);
    }
    match event.of::<StarEvent>() {
        Some(StarEvent::Added(added)) => {
            let uid = added.dashboard_uid.to_string();
            statements.write(ADD_STAR, params![org.0, added.user_id.0, uid, 1_i64]);
        }
        Some(StarEvent::Removed(removed)) => {
            let uid = removed.dashboard_uid.to_string();
            statements.write(ADD_STAR, params![org.0, removed.user_id.0, uid, 0_i64]);
        }
        None => {}
    }
    match event.of::<ServiceAccountEvent>() {
        Some(ServiceAccountEvent::TokenAdded(_)) => statements.write(ADD, one_more(org, API_KEY)),
        Some(ServiceAccountEvent::TokenDeleted(_)) => statements.write(ADD, one_less(org, API_KEY)),
        Some(ServiceAccountEvent::Deleted(deleted)) => {
            statements.write(REMOVE_TOKENS, params![org.0, deleted.id.0]);
        }
        Some(ServiceAccountEvent::Created(_) | ServiceAccountEvent::Updated(_)) | None => {}
    }
}

fn one_more(org: OrgId, target: &'static str) -> Vec<Param> {
    params![org.0, target, 1_i64]
}

fn one_less(org: OrgId, target: &'static str) -> Vec<Param> {
    params![org.0, target, -1_i64]
}
