//! Teams and their members.

use async_trait::async_trait;
use kymograph_app::account::team::{TeamFilter, TeamMemberView, TeamReader, TeamView};
use kymograph_app::{Error, Page, Result, Scope};
use kymograph_domain::account::membership::MembershipEvent;
use kymograph_domain::account::org::OrgEvent;
use kymograph_domain::account::team::{Team, TeamEvent, TeamPermission};
use kymograph_domain::{OrgId, TeamId, Uid, UserId};
use tokio_postgres::Row;

use crate::kernel::database::Database;
use crate::kernel::projector::{Projector, Recorded};
use crate::kernel::sql::{Text, check};
use crate::kernel::statement::{OnFailure, Statements};
use crate::kernel::text::{contains_pattern, stored, uid_column};
use crate::params;

/// Keeps `teams` and `team_members`.
pub struct TeamProjector;

const INSERT: &str = "INSERT INTO teams (org_id, id, uid, name, email, created, updated)
    VALUES ($1, $2, $3, $4, $5, $6, $6)";
const UPDATE: &str = "UPDATE teams SET name = $3, email = $4, updated = $5 WHERE org_id = $1 AND id = $2";
const INSERT_MEMBER: &str =
    "INSERT INTO team_members (org_id, team_id, user_id, permission) VALUES ($1, $2, $3, $4)";
const CHANGE_MEMBER: &str =
    "UPDATE team_members SET permission = $4 WHERE org_id = $1 AND team_id = $2 AND user_id = $3";
static CHECK_IN_NO_TEAM: Text =
    Text::new(|| check("NOT EXISTS (SELECT FROM team_members WHERE org_id = $1 AND user_id = $2)"));

impl Projector for TeamProjector {
    fn name(&self) -> &'static str {
        "teams"
    }

    fn listens_to(&self) -> &'static [&'static str] {
        &["team", "org"]
    }

    fn tables(&self) -> &'static [&'static str] {
        &["teams", "team_members"]
    }

    fn project(&self, recorded: &Recorded<'_>, statements: &mut Statements) {
        let org = recorded.org.0;
        if let Some(OrgEvent::Deleted(_)) = recorded.event.of() {
            statements.write("DELETE FROM team_members WHERE org_id = $1", params![org]);
            statements.write("DELETE FROM teams WHERE org_id = $1", params![org]);
        }
        if let Some(MembershipEvent::Removed(removed)) = recorded.event.of() {
            // A conflict if the user was added to a team after its teams were listed: the command is decided again.
            let params = params![org, removed.user_id.0];
            statements.check(&CHECK_IN_NO_TEAM, params, OnFailure::Conflict);
        }
        if let Some(event) = recorded.event.of() {
            project(recorded, event, statements);
        }
    }
}

fn project(recorded: &Recorded<'_>, event: &TeamEvent, statements: &mut Statements) {
    let (org, at) = (recorded.org.0, recorded.recorded_at.date());
    match event {
        TeamEvent::Created(created) => {
            let (uid, name, email) = (created.uid.to_string(), created.name.clone(), created.email.clone());
            let params = params![org, created.id.0, uid, name, email, at];
            statements.write_keeping(INSERT, params, Team::NAME_UNIQUE);
        }
        TeamEvent::Updated(updated) => {
            let params = params![org, updated.id.0, updated.name.clone(), updated.email.clone(), at];
            statements.write_keeping(UPDATE, params, Team::NAME_UNIQUE);
        }
        TeamEvent::MemberAdded(added) => {
            let user = added.user_id.0;
            let permission = permission_text(added.permission);
            statements.write(INSERT_MEMBER, params![org, added.id.0, user, permission]);
        }
        TeamEvent::PermissionChanged(changed) => {
            let permission = permission_text(changed.permission);
            statements.write(CHANGE_MEMBER, params![org, changed.id.0, changed.user_id.0, permission]);
        }
        TeamEvent::MemberRemoved(removed) => statements.write(
            "DELETE FROM team_members WHERE org_id = $1 AND team_id = $2 AND user_id = $3",
            params![org, removed.id.0, removed.user_id.0],
        ),
        TeamEvent::Deleted(deleted) => {
            statements.write(
                "DELETE FROM team_members WHERE org_id = $1 AND team_id = $2",
                params![org, deleted.id.0],
            );
            statements.write("DELETE FROM teams WHERE org_id = $1 AND id = $2", params![org, deleted.id.0]);
        }
    }
}

fn permission_text(permission: TeamPermission) -> &'static str {
    match permission {
        TeamPermission::Member => "Member",
        TeamPermission::Admin => "Admin",
    }
}

fn try_parse_permission(text: &str) -> Result<TeamPermission> {
    match text {
        "Member" => Ok(TeamPermission::Member),
        "Admin" => Ok(TeamPermission::Admin),
        _ => Err(Error::internal(format!("{text} is not a team permission"))),
    }
}

/// Reads `teams` and `team_members`.
pub struct PgTeamReader {
    database: Database,
}

impl PgTeamReader {
    /// A reader on this database.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

/// Teams of the org `$1`, with the permission of the actor `$2`.
fn select(rest: &str) -> String {
    format!(
        "SELECT t.org_id, t.id, t.uid, t.name, t.email, own.permission,
                (SELECT count(*) FROM team_members m JOIN users u ON u.id = m.user_id
                    WHERE m.org_id = $1 AND m.team_id = t.id) AS member_count
            FROM teams t
            LEFT JOIN team_members own ON own.org_id = $1 AND own.team_id = t.id AND own.user_id = $2
            WHERE t.org_id = $1 {rest}"
    )
}

fn team_view(row: &Row) -> Result<TeamView> {
    Ok(TeamView {
        org_id: OrgId(row.get("org_id")),
        id: TeamId(row.get("id")),
        uid: uid_column(row, "uid")?,
        name: row.get("name"),
        email: row.get("email"),
        member_count: row.get("member_count"),
        own_permission: stored::<Option<_>>(row, "permission")?.map(try_parse_permission).transpose()?,
    })
}

fn team_member_view(row: &Row) -> Result<TeamMemberView> {
    Ok(TeamMemberView {
        user_id: UserId(row.get("user_id")),
        uid: row.get("uid"),
        login: row.get("login"),
        email: row.get("email"),
        name: row.get("name"),
        permission: try_parse_permission(stored(row, "permission")?)?,
    })
}

#[async_trait]
impl TeamReader for PgTeamReader {
    async fn find_team(&self, scope: &Scope, id: TeamId) -> Result<Option<TeamView>> {
        static SQL: Text = Text::new(|| select("AND t.id = $3"));
        let (org, actor) = (scope.org(), scope.actor().user_id);
        let row = self.database.read_one(org, &SQL, &[&org.0, &actor.0, &id.0]).await?;
        row.as_ref().map(team_view).transpose()
    }

    async fn find_team_id(&self, scope: &Scope, uid: &Uid) -> Result<Option<TeamId>> {
        let sql = "SELECT id FROM teams WHERE org_id = $1 AND uid = $2";
        let row = self.database.read_one(scope.org(), sql, &[&scope.org().0, &uid.as_str()]).await?;
        Ok(row.map(|row| TeamId(row.get("id"))))
    }

    async fn search_teams(&self, scope: &Scope, filter: &TeamFilter, page: Page) -> Result<Vec<TeamView>> {
        static SQL: Text = Text::new(|| {
            select(
                "AND ($3 = '' OR t.name = $3) AND t.name ILIKE $4 ORDER BY t.name, t.id LIMIT $5 OFFSET $6",
            )
        });
        let (org, actor) = (scope.org(), scope.actor().user_id);
        let pattern = contains_pattern(&filter.query);
        let rows = self
            .database
            .read(org, &SQL, &[&org.0, &actor.0, &filter.name, &pattern, &page.size, &page.offset()])
            .await?;
        rows.iter().map(team_view).collect()
    }

    async fn count_teams(&self, scope: &Scope, filter: &TeamFilter) -> Result<i64> {
        let sql = "SELECT count(*) FROM teams WHERE org_id = $1 AND ($2 = '' OR name = $2) AND name ILIKE $3";
        let (org, pattern) = (scope.org(), contains_pattern(&filter.query));
        let row = self.database.read_one(org, sql, &[&org.0, &filter.name, &pattern]).await?;
        Ok(row.map_or(0, |row| row.get(0)))
    }

    async fn list_team_members(&self, scope: &Scope, id: TeamId) -> Result<Vec<TeamMemberView>> {
        // Of users who are not members of the org only the id is returned, which the caller who added the user already
        // knew.
        let sql =
            "SELECT m.user_id, m.permission, coalesce(u.uid, '') AS uid, coalesce(u.login, '') AS login,
                coalesce(u.email, '') AS email, coalesce(u.name, '') AS name
            FROM team_members m JOIN users someone ON someone.id = m.user_id
            LEFT JOIN memberships ON memberships.org_id = $1 AND memberships.user_id = m.user_id
            LEFT JOIN users u ON u.id = memberships.user_id
            WHERE m.org_id = $1 AND m.team_id = $2 ORDER BY login, m.user_id";
        let org = scope.org();
        let rows = self.database.read(org, sql, &[&org.0, &id.0]).await?;
        rows.iter().map(team_member_view).collect()
    }

    async fn list_teams_of_user(&self, scope: &Scope, user: UserId) -> Result<Vec<TeamView>> {
        static SQL: Text = Text::new(|| {
            select(
                "AND EXISTS
                (SELECT FROM team_members m WHERE m.org_id = $1 AND m.team_id = t.id AND m.user_id = $3)
            ORDER BY t.name, t.id",
            )
        });
        let (org, actor) = (scope.org(), scope.actor().user_id);
        let rows = self.database.read(org, &SQL, &[&org.0, &actor.0, &user.0]).await?;
        rows.iter().map(team_view).collect()
    }
}
