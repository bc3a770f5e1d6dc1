//! Memberships of users in orgs.

use std::collections::HashMap;

use async_trait::async_trait;
use kymograph_app::account::membership::{MemberView, MembershipReader, UserOrgView};
use kymograph_app::{Page, Result, Scope};
use kymograph_domain::account::membership::{Membership, MembershipEvent};
use kymograph_domain::account::org::OrgEvent;
use kymograph_domain::account::user::User;
use kymograph_domain::{OrgId, UserId};
use tokio_postgres::Row;

use crate::account::user::CHECK_USER;
use crate::kernel::database::Database;
use crate::kernel::projector::{Projector, Recorded};
use crate::kernel::sql::{Tables, Text, check};
use crate::kernel::statement::{OnFailure, Statements};
use crate::kernel::text::{contains_pattern, optional_timestamp_column, role_column, timestamp_column};
use crate::params;

/// Keeps `memberships`, and `user_orgs`, the same by user.
pub struct MembershipProjector;

const INSERT: &str =
    "INSERT INTO memberships (org_id, user_id, role, created, updated) VALUES ($1, $2, $3, $4, $4)";
const INSERT_OF_USER: &str =
    "INSERT INTO user_orgs (user_id, member_org_id, role, since) VALUES ($1, $2, $3, $4)";
const CHANGE_ROLE: &str = "UPDATE memberships SET role = $3, updated = $4 WHERE org_id = $1 AND user_id = $2";
const CHANGE_ROLE_OF_USER: &str = "UPDATE user_orgs SET role = $3 WHERE user_id = $1 AND member_org_id = $2";
const DELETE: &str = "DELETE FROM memberships WHERE org_id = $1 AND user_id = $2";
const DELETE_OF_USER: &str = "DELETE FROM user_orgs WHERE user_id = $1 AND member_org_id = $2";
/// The log of the org does not include the deletion of a user, so the user is locked against deletion until the
/// membership is committed. Locking and checking are two statements, because a statement does not see what was
/// committed while it waited.
const LOCK_USER: &str = "SELECT FROM users WHERE id = $1 FOR KEY SHARE";
static CHECK_ADMIN: Text = Text::new(|| {
    check(
        "EXISTS (SELECT FROM memberships m JOIN users u ON u.id = m.user_id
    WHERE m.org_id = $1 AND m.role = 'Admin')",
    )
});

impl Projector for MembershipProjector {
    fn name(&self) -> &'static str {
        "memberships"
    }

    fn listens_to(&self) -> &'static [&'static str] {
        &["membership", "org"]
    }

    fn tables(&self) -> &'static [&'static str] {
        &["memberships", "user_orgs"]
    }

    fn project(&self, recorded: &Recorded<'_>, statements: &mut Statements) {
        let (org, at) = (recorded.org.0, recorded.recorded_at.date());
        if let Some(OrgEvent::Deleted(_)) = recorded.event.of() {
            statements.write("DELETE FROM memberships WHERE org_id = $1", params![org]);
            statements.write("DELETE FROM user_orgs WHERE member_org_id = $1", params![org]);
        }
        let Some(event) = recorded.event.of::<MembershipEvent>() else { return };
        match event {
            MembershipEvent::Added(added) => {
                let (user, role) = (added.user_id.0, added.role.as_str());
                statements.write(INSERT, params![org, user, role, at]);
                statements.write(INSERT_OF_USER, params![user, org, role, at]);
                statements.check_last(LOCK_USER, params![user], OnFailure::Fault);
                let broken = OnFailure::Broken(User::EXISTS);
                statements.check_last(&CHECK_USER, params![user], broken);
            }
            MembershipEvent::RoleChanged(changed) => {
                let (user, role) = (changed.user_id.0, changed.role.as_str());
                statements.write(CHANGE_ROLE, params![org, user, role, at]);
                statements.write(CHANGE_ROLE_OF_USER, params![user, org, role]);
                check_admin(org, statements);
            }
            MembershipEvent::Removed(removed) => {
                let user = removed.user_id.0;
                statements.write(DELETE, params![org, user]);
                statements.write(DELETE_OF_USER, params![user, org]);
                check_admin(org, statements);
            }
        }
    }
}

fn check_admin(org: i64, statements: &mut Statements) {
    statements.check(&CHECK_ADMIN, params![org], OnFailure::Broken(Membership::ADMIN_KEPT));
}

/// Reads `memberships`.
pub struct PgMembershipReader {
    database: Database,
}

impl PgMembershipReader {
    /// A reader on this database.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// Adds the times when members were last seen, which the list does not include on distributed tables.
    async fn add_last_seen(&self, members: &mut [MemberView]) -> Result<()> {
        let sql = "SELECT user_id, seen FROM user_seen WHERE user_id = ANY ($1)";
        let ids: Vec<_> = members.iter().map(|member| member.user_id.0).collect();
        let rows = self.database.read_global(sql, &[&ids]).await?;
        let seen: HashMap<i64, _> =
            rows.iter().map(|row| (row.get("user_id"), timestamp_column(row, "seen"))).collect();
        for member in members {
            member.last_seen = seen.get(&member.user_id.0).copied();
        }
        Ok(())
    }
}

fn list(seen: &str, join: &str) -> String {
    format!(
        "SELECT m.org_id, m.user_id, m.role, m.created, u.uid, u.login, u.email, u.name, u.is_disabled,
                {seen}
            FROM memberships m JOIN users u ON u.id = m.user_id {join}
            WHERE m.org_id = $1 AND (u.login ILIKE $2 OR u.email ILIKE $2 OR u.name ILIKE $2)
            ORDER BY u.login, u.id LIMIT $3 OFFSET $4"
    )
}

static LIST: Text = Text::new(|| list("s.seen", "LEFT JOIN user_seen s ON s.user_id = m.user_id"));
/// Tables distributed by org and by user are not colocated, so they cannot be joined.
static LIST_DISTRIBUTED: Text = Text::new(|| list("NULL::timestamptz AS seen", ""));

fn member_view(row: &Row) -> Result<MemberView> {
    Ok(MemberView {
        org_id: OrgId(row.get("org_id")),
        user_id: UserId(row.get("user_id")),
        uid: row.get("uid"),
        login: row.get("login"),
        email: row.get("email"),
        name: row.get("name"),
        role: role_column(row, "role")?,
        is_disabled: row.get("is_disabled"),
        created: timestamp_column(row, "created"),
        last_seen: optional_timestamp_column(row, "seen"),
    })
}

#[async_trait]
impl MembershipReader for PgMembershipReader {
    async fn list_members(&self, scope: &Scope, query: &str, page: Page) -> Result<Vec<MemberView>> {
        let tables = self.database.tables();
        let sql = if tables == Tables::Local { &LIST } else { &LIST_DISTRIBUTED };
        let org = scope.org();
        let pattern = contains_pattern(query);
        let rows = self.database.read(org, sql, &[&org.0, &pattern, &page.size, &page.offset()]).await?;
        let mut members: Vec<_> = rows.iter().map(member_view).collect::<Result<_>>()?;
        if tables == Tables::Distributed {
            self.add_last_seen(&mut members).await?;
        }
        Ok(members)
    }

    async fn count_members(&self, scope: &Scope, query: &str) -> Result<i64> {
        let sql = "SELECT count(*) FROM memberships m JOIN users u ON u.id = m.user_id
            WHERE m.org_id = $1 AND (u.login ILIKE $2 OR u.email ILIKE $2 OR u.name ILIKE $2)";
        let org = scope.org();
        let row = self.database.read_one(org, sql, &[&org.0, &contains_pattern(query)]).await?;
        Ok(row.map_or(0, |row| row.get(0)))
    }

    async fn find_members_by_name(&self, scope: &Scope, names: &[String]) -> Result<HashMap<String, UserId>> {
        let sql = "SELECT n.name, n.user_id FROM user_names n
            JOIN memberships m ON m.org_id = $1 AND m.user_id = n.user_id JOIN users u ON u.id = n.user_id
            WHERE n.name = ANY ($2)
                AND (n.is_login AND n.name NOT LIKE '%@%' OR n.is_email AND (NOT u.email_is_claimed OR u.email_vouched_org_id = $1))";
        let org = scope.org();
        let rows = self.database.read(org, sql, &[&org.0, &names]).await?;
        Ok(rows.iter().map(|row| (row.get(0), UserId(row.get(1)))).collect())
    }

    async fn list_orgs_of_user(&self, user_id: UserId) -> Result<Vec<UserOrgView>> {
        let sql = "SELECT o.id, o.name, m.role FROM user_orgs m JOIN orgs o ON o.id = m.member_org_id
            WHERE m.user_id = $1 ORDER BY o.name, o.id";
        let rows = self.database.read_global(sql, &[&user_id.0]).await?;
        rows.iter()
            .map(|row| {
                Ok(UserOrgView {
                    org_id: OrgId(row.get("id")),
                    name: row.get("name"),
                    role: role_column(row, "role")?,
                })
            })
            .collect()
    }
}
