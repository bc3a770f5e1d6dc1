//! The usage and the limits of orgs and users.

mod limit;
mod many;
mod room;

use async_trait::async_trait;
use kymograph_app::account::quota::{QuotaLimits, QuotaReader, StoredQuota};
use kymograph_app::{Result, Scope};
use kymograph_domain::account::membership::MembershipEvent;
use kymograph_domain::account::org::OrgEvent;
use kymograph_domain::account::quota::{QuotaEvent, QuotaOwner, QuotaTarget};
use kymograph_domain::account::service_account::ServiceAccountEvent;
use kymograph_domain::account::user::UserEvent;
use kymograph_domain::{OrgId, UserId};
use tokio_postgres::Row;

use crate::account::user::CHECK_USER;
use crate::kernel::database::Database;
use crate::kernel::projector::{Gathered, Projector, Recorded, project_gathered};
use crate::kernel::statement::{OnFailure, Statements};
use crate::params;
use limit::Limits;
use many::Many;

pub use room::must_have_room;

/// The names of counts without a limit per org.
pub(crate) const STAR: &str = "star";
pub(crate) const ORG: &str = "org";
pub(crate) const USER: &str = "user";

/// Keeps `quotas` and `user_quotas`. It comes before the projectors that delete dependent rows, because it has to count
/// those rows.
pub struct QuotaProjector {
    limits: Limits,
    counters: &'static [Counter],
}

/// Adds the statement that counts objects of another slice, by the rows that exist before the event is projected.
pub type Counter = fn(&Recorded<'_>, &mut Statements);

/// The rows of a new org.
const INSERT: &str =
    "INSERT INTO quotas (owner_org_id, target, used) VALUES ($1, 'org_user', 0), ($1, 'dashboard', 0),
    ($1, 'folder', 0), ($1, 'api_key', 0), ($1, 'star', 0), ($1, 'data_source', 0), ($1, 'alert_rule', 0)";
const REMOVE: &str = "UPDATE quotas SET used = used - $3 WHERE owner_org_id = $1 AND target = $2";
const REMOVE_FROM_SERVER: &str = "UPDATE quotas SET used = used - 1 WHERE owner_org_id = 0 AND target = $1";
const REMOVE_STARS: &str = "UPDATE quotas SET used = used - lost.stars
    FROM (SELECT count(*) AS stars FROM stars WHERE org_id = $1 AND dashboard_uid = ANY ($2)) AS lost
    WHERE owner_org_id = $1 AND target = 'star' AND lost.stars > 0";
const REMOVE_TOKENS: &str = "UPDATE quotas SET used = used - (SELECT count(*) FROM service_account_tokens
    WHERE org_id = $1 AND service_account_id = $2) WHERE owner_org_id = $1 AND target = 'api_key'";
const SET_MAX: &str = "UPDATE quotas SET max = $3 WHERE owner_org_id = $1 AND target = $2";
const SET_MAX_OF_USER: &str = "INSERT INTO user_quotas (user_id, target, max) VALUES ($1, $2, $3)
    ON CONFLICT (user_id, target) DO UPDATE SET max = excluded.max";

impl QuotaProjector {
    /// A projector that enforces these limits, if any, and uses these additional counters.
    #[must_use]
    pub fn new(limits: Option<QuotaLimits>, counters: &'static [Counter]) -> Self {
        Self { limits: Limits(limits), counters }
    }
}

impl Projector for QuotaProjector {
    fn name(&self) -> &'static str {
        "quotas"
    }

    fn listens_to(&self) -> &'static [&'static str] {
        &[
            "org",
            "user",
            "membership",
            "folder",
            "dashboard",
            "star",
            "service_account",
            "data_source",
            "quota",
        ]
    }

    fn tables(&self) -> &'static [&'static str] {
        &["quotas", "user_quotas"]
    }

    fn touches(&self) -> &'static [&'static str] {
        &["stars", "service_account_tokens"]
    }

    fn project(&self, recorded: &Recorded<'_>, statements: &mut Statements) {
        let (org, event) = (recorded.org, recorded.event);
        match event.of::<OrgEvent>() {
            Some(OrgEvent::Created(_)) => {
                statements.write(INSERT, params![org.0]);
                self.limits.add_to_server(ORG, statements);
            }
            Some(OrgEvent::Deleted(_)) => {
                statements.write("DELETE FROM quotas WHERE owner_org_id = $1", params![org.0]);
                statements.write(REMOVE_FROM_SERVER, params![ORG]);
            }
            Some(OrgEvent::Renamed(_) | OrgEvent::AddressChanged(_) | OrgEvent::AuditChanged(_)) | None => {}
        }
        match event.of::<UserEvent>() {
            Some(UserEvent::Created(_)) => self.limits.add_to_server(USER, statements),
            Some(UserEvent::Deleted(deleted)) => {
                statements.write("DELETE FROM user_quotas WHERE user_id = $1", params![deleted.id.0]);
                statements.write(REMOVE_FROM_SERVER, params![USER]);
            }
            _ => {}
        }
        match event.of::<MembershipEvent>() {
            Some(MembershipEvent::Added(added)) => {
                self.limits.check_orgs_of(added.user_id, statements);
                self.limits.add(org, QuotaTarget::OrgUser, 1, statements);
            }
            Some(MembershipEvent::Removed(_)) => remove(org, QuotaTarget::OrgUser, 1, statements),
            Some(MembershipEvent::RoleChanged(_)) | None => {}
        }
        self.project_content(recorded, statements);
        if let Some(event) = event.of() {
            project_quota(org, event, statements);
        }
    }

    fn project_many(&self, recorded: &[Recorded<'_>], statements: &mut Statements) {
        project_gathered(self, Many::new(&self.limits), recorded, statements);
    }
}

impl QuotaProjector {
    /// Counts the objects of an org.
    fn project_content(&self, recorded: &Recorded<'_>, statements: &mut Statements) {
        let (org, event) = (recorded.org, recorded.event);
        let mut content = Many::new(&self.limits);
        if content.take(recorded) {
            content.write(statements);
        }
        self.counters.iter().for_each(|count| count(recorded, statements));
        match event.of::<ServiceAccountEvent>() {
            Some(ServiceAccountEvent::TokenAdded(_)) => {
                self.limits.add(org, QuotaTarget::ApiKey, 1, statements);
            }
            Some(ServiceAccountEvent::TokenDeleted(_)) => remove(org, QuotaTarget::ApiKey, 1, statements),
            Some(ServiceAccountEvent::Deleted(deleted)) => {
                statements.write(REMOVE_TOKENS, params![org.0, deleted.id.0]);
            }
            Some(ServiceAccountEvent::Created(_) | ServiceAccountEvent::Updated(_)) | None => {}
        }
    }
}

fn remove(org: OrgId, target: QuotaTarget, count: i64, statements: &mut Statements) {
    statements.write(REMOVE, params![org.0, target.as_str(), count]);
}

fn project_quota(org: OrgId, event: &QuotaEvent, statements: &mut Statements) {
    let QuotaEvent::Changed(changed) = event;
    let (target, limit) = (changed.target.as_str(), changed.limit);
    match changed.owner {
        QuotaOwner::Org => statements.write(SET_MAX, params![org.0, target, limit]),
        QuotaOwner::User(user) => {
            statements.write(SET_MAX_OF_USER, params![user.0, target, limit]);
            // A conflict if the user was deleted after the lookup: the command is decided again.
            statements.check(&CHECK_USER, params![user.0], OnFailure::Conflict);
        }
    }
}

/// Reads `quotas` and `user_quotas`.
pub struct PgQuotaReader {
    database: Database,
}

impl PgQuotaReader {
    /// A reader on this database.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

#[async_trait]
impl QuotaReader for PgQuotaReader {
    async fn list_quotas(&self, scope: &Scope) -> Result<Vec<StoredQuota>> {
        let sql = "SELECT target, max, used FROM quotas WHERE owner_org_id = $1";
        let rows = self.database.read_for(scope.org(), sql, &[&scope.org().0]).await?;
        let quota = |target: &QuotaTarget| {
            let row = rows.iter().find(|row| row.get::<_, &str>("target") == target.as_str())?;
            Some(StoredQuota { target: *target, limit: row.get("max"), used: row.get("used") })
        };
        Ok(QuotaTarget::OF_ORG.iter().filter_map(quota).collect())
    }

    async fn list_quotas_of_user(&self, user: UserId) -> Result<Vec<StoredQuota>> {
        let sql = "SELECT (SELECT max FROM user_quotas WHERE user_id = $1 AND target = 'org') AS max,
                (SELECT count(*) FROM user_orgs WHERE user_id = $1) AS used
            FROM users WHERE id = $1";
        let row = self.database.read_global_one(sql, &[&user.0]).await?;
        let quota = |row: &Row| StoredQuota {
            target: QuotaTarget::Org,
            limit: row.get("max"),
            used: row.get("used"),
        };
        Ok(row.as_ref().map(quota).into_iter().collect())
    }
}
