//! The limits that the settings of a server set on the number of objects.
//!
//! Counting and checking the limit is one statement, so that a limit costs nothing, set or not. The row that it changes
//! is locked until the end of the transaction, so of two transactions the second sees the count of the first, on
//! whichever server they run. Objects that existed before a limit was set are kept.

use kymograph_app::account::quota::QuotaLimits;
use kymograph_domain::account::quota::{Quota, QuotaTarget};
use kymograph_domain::{OrgId, UserId};

use super::{ORG, USER};
use crate::kernel::sql::{Text, check};
use crate::kernel::statement::{OnFailure, Statements};
use crate::params;

/// The limits; without any, objects are only counted.
pub(super) struct Limits(pub(super) Option<QuotaLimits>);

const ADD: &str = "UPDATE quotas SET used = used + $3 WHERE owner_org_id = $1 AND target = $2";
static ADD_WITHIN: Text = Text::new(|| {
    format!(
        "WITH counted AS (UPDATE quotas SET used = used + $3
        WHERE owner_org_id = $1 AND target = $2 RETURNING used, coalesce(max, $4) AS max)
    {} FROM counted",
        check("max < 0 OR used <= max")
    )
});
/// The rows of the server are created by the first count.
const ADD_TO_SERVER: &str = "INSERT INTO quotas (owner_org_id, target, used) VALUES (0, $1, 1)
    ON CONFLICT (owner_org_id, target) DO UPDATE SET used = quotas.used + 1";
static ADD_TO_SERVER_WITHIN: Text = Text::new(|| {
    format!(
        "WITH counted AS (
        INSERT INTO quotas (owner_org_id, target, used) VALUES (0, $1, 1)
        ON CONFLICT (owner_org_id, target) DO UPDATE SET used = quotas.used + 1 RETURNING used)
    {} FROM counted",
        check("used <= $2")
    )
});
/// Orgs do not wait for each other, so a sum over them is only correct under an exclusive lock. Locking and summing are
/// two statements, because a statement does not see what was committed while it waited.
pub(super) const LOCK_TOTAL: &str = "SELECT pg_advisory_xact_lock(hashtextextended('kymograph/quotas', 0))";
static CHECK_TOTAL: Text =
    Text::new(|| format!("{} FROM quotas WHERE target = $1", check("coalesce(sum(used), 0)::bigint <= $2")));
/// A user can be added to two orgs at once.
const LOCK_USER: &str = "SELECT FROM users WHERE id = $1 FOR NO KEY UPDATE";
static CHECK_ORGS: Text = Text::new(|| {
    let check = check(
        "coalesce(q.max, $2) < 0 OR coalesce(q.max, $2) >=
        (SELECT count(*) FROM user_orgs WHERE user_id = $1)",
    );
    format!(
        "{check}
    FROM (SELECT) AS always LEFT JOIN user_quotas q ON q.user_id = $1 AND q.target = 'org'"
    )
});

const BROKEN: OnFailure = OnFailure::Broken(Quota::KEPT);

impl Limits {
    /// Counts additional objects of an org.
    pub(super) fn add(&self, org: OrgId, target: QuotaTarget, count: i64, statements: &mut Statements) {
        let name = target.as_str();
        let Some(limits) = &self.0 else { return statements.write(ADD, params![org.0, name, count]) };
        let params = params![org.0, name, count, limits.of_each(target)];
        statements.write_keeping(&ADD_WITHIN, params, Quota::KEPT);
        if let Some(limit) = limits.of_all(target) {
            statements.check(LOCK_TOTAL, params![], OnFailure::Fault);
            statements.check(&CHECK_TOTAL, params![name, limit], BROKEN);
        }
    }

    /// Counts one more org or user of the server.
    pub(super) fn add_to_server(&self, name: &'static str, statements: &mut Statements) {
        let limit = self.0.as_ref().map(|limits| match name {
            ORG => limits.global_org,
            USER => limits.global_user,
            _ => -1,
        });
        match limit.filter(|limit| *limit >= 0) {
            Some(limit) => {
                statements.write_keeping(&ADD_TO_SERVER_WITHIN, params![name, limit], Quota::KEPT);
            }
            None => statements.write(ADD_TO_SERVER, params![name]),
        }
    }

    /// Checks that a new member does not exceed the maximum number of orgs of a user.
    pub(super) fn check_orgs_of(&self, user: UserId, statements: &mut Statements) {
        if let Some(limits) = &self.0 {
            statements.check_last(LOCK_USER, params![user.0], OnFailure::Fault);
            statements.check_last(&CHECK_ORGS, params![user.0, limits.user_org], BROKEN);
        }
    }
}
