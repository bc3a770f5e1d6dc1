//! Open invites.

use std::sync::Arc;

use async_trait::async_trait;
use kymograph_app::account::invite::{InviteReader, InviteView, code_secret};
use kymograph_app::kernel::secret::Secrets;
use kymograph_app::{Permission, Result, Scope};
use kymograph_domain::account::invite::{Guest, Invite, InviteEvent, InviteId, MAX_OPEN_INVITES};
use kymograph_domain::account::org::OrgEvent;
use kymograph_domain::account::user::Profile;
use kymograph_domain::{OrgId, Timestamp, UserId};
use tokio_postgres::Row;

use crate::kernel::database::{Database, Params};
use crate::kernel::projector::{Projector, Recorded};
use crate::kernel::sql::{Place, Text, check};
use crate::kernel::statement::{OnFailure, Statements};
use crate::kernel::text::{role_column, timestamp_column};
use crate::params;

/// Keeps `invites`.
pub struct InviteProjector;

const INSERT: &str = "INSERT INTO invites (org_id, id, email, name, role, invited_by, created, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";

/// Whether the inviter of an invite `i` of the org `$1` may invite with one of the roles in the parameter. A server
/// admin may invite in any org.
fn maker_may_invite(roles: Place) -> String {
    format!(
        "(EXISTS (SELECT FROM memberships m JOIN users u ON u.id = m.user_id WHERE m.org_id = $1
                AND m.user_id = i.invited_by AND m.role = ANY ({roles}) AND NOT u.is_disabled)
            OR EXISTS (SELECT FROM service_accounts a WHERE a.org_id = $1 AND a.id = i.invited_by AND a.role = ANY ({roles}) AND NOT a.is_disabled)
            OR EXISTS (SELECT FROM users u WHERE u.id = i.invited_by AND u.is_server_admin AND NOT u.is_disabled))"
    )
}
static CHECK_FEW: Text = Text::new(|| check("(SELECT count(*) FROM invites WHERE org_id = $1) <= $2"));

static CHECK_MAKER: Text = Text::new(|| {
    let may_invite = maker_may_invite(Place(3));
    check(&format!("EXISTS (SELECT FROM invites i WHERE i.org_id = $1 AND i.id = $2 AND {may_invite})"))
});

fn inviting_roles() -> Vec<&'static str> {
    Permission::ORG_USERS_ADD.roles()
}

impl Projector for InviteProjector {
    fn name(&self) -> &'static str {
        "invites"
    }

    fn listens_to(&self) -> &'static [&'static str] {
        &["invite", "org"]
    }

    fn tables(&self) -> &'static [&'static str] {
        &["invites"]
    }

    fn project(&self, recorded: &Recorded<'_>, statements: &mut Statements) {
        let (org, at) = (recorded.org.0, recorded.recorded_at.date());
        if let Some(OrgEvent::Deleted(_)) = recorded.event.of() {
            statements.write("DELETE FROM invites WHERE org_id = $1", params![org]);
        }
        let Some(event) = recorded.event.of::<InviteEvent>() else { return };
        match event {
            InviteEvent::Created(created) => {
                let Guest { email, name, role } = created.guest.clone();
                let (id, by, expires) = (created.id.0, created.invited_by.0, created.expires_at.date());
                statements.write(INSERT, params![org, id, email, name, role.as_str(), by, at, expires]);
                let broken = OnFailure::Broken(Invite::FEW);
                statements.check(&CHECK_FEW, params![org, MAX_OPEN_INVITES], broken);
            }
            InviteEvent::Revoked(revoked) => delete(org, revoked.id, statements),
            InviteEvent::Accepted(accepted) => {
                // Exact, because an invitee who accepts becomes a user and a member: both logs are locked.
                let broken = OnFailure::Broken(Invite::MAKER_MAY_INVITE);
                statements.check(&CHECK_MAKER, params![org, accepted.id.0, inviting_roles()], broken);
                delete(org, accepted.id, statements);
            }
            InviteEvent::Expired(expired) => delete(org, expired.id, statements),
        }
    }
}

fn delete(org: i64, id: InviteId, statements: &mut Statements) {
    statements.write("DELETE FROM invites WHERE org_id = $1 AND id = $2", params![org, id.0]);
}

/// Reads `invites`, and their codes among the secrets.
pub struct PgInviteReader {
    database: Database,
    /// The same for callers who only present a code.
    guests: Database,
    secrets: Arc<dyn Secrets>,
}

impl PgInviteReader {
    /// A reader on this database, with the secrets to decrypt.
    #[must_use]
    pub fn new(database: Database, secrets: Arc<dyn Secrets>) -> Self {
        Self { guests: database.for_guests(), database, secrets }
    }

    async fn invite_view(&self, row: &Row) -> Result<InviteView> {
        let (org, id) = (OrgId(row.get("org_id")), InviteId(row.get("id")));
        let code = self.secrets.open(org, &code_secret(org, id, None).key, row.get("sealed")).await?;
        let of_inviter = |column| row.get::<_, Option<String>>(column).unwrap_or_default();
        Ok(InviteView {
            org_id: org,
            id,
            guest: Guest { email: row.get("email"), name: row.get("name"), role: role_column(row, "role")? },
            code: code.to_string(),
            invited_by: Profile {
                login: of_inviter("by_login"),
                email: of_inviter("by_email"),
                name: of_inviter("by_name"),
                theme: String::new(),
            },
            created: timestamp_column(row, "created"),
            expires_at: timestamp_column(row, "expires_at"),
        })
    }
}

fn select(rest: &str) -> String {
    format!(
        "SELECT i.*, s.sealed, u.login AS by_login, u.email AS by_email, u.name AS by_name
            FROM invites i
            JOIN secrets s ON s.org_id = i.org_id AND s.key = 'invite/' || i.id || '/code'
            LEFT JOIN users u ON u.id = i.invited_by
            WHERE i.org_id = $1 AND {}{rest}",
        maker_may_invite(Place(2))
    )
}

#[async_trait]
impl InviteReader for PgInviteReader {
    async fn list_invites(&self, scope: &Scope) -> Result<Vec<InviteView>> {
        static SQL: Text = Text::new(|| select(" ORDER BY i.created DESC, i.id DESC"));
        let rows = self.database.read(scope.org(), &SQL, &[&scope.org().0, &inviting_roles()]).await?;
        let mut invites = Vec::with_capacity(rows.len());
        for row in &rows {
            invites.push(self.invite_view(row).await?);
        }
        Ok(invites)
    }

    async fn list_invites_of(&self, scope: &Scope, maker: UserId) -> Result<Vec<InviteId>> {
        let sql = "SELECT id FROM invites WHERE org_id = $1 AND invited_by = $2 ORDER BY id";
        let rows = self.database.read(scope.org(), sql, &[&scope.org().0, &maker.0]).await?;
        Ok(rows.iter().map(|row| InviteId(row.get(0))).collect())
    }

    async fn has_invites(&self, scope: &Scope) -> Result<bool> {
        let sql = "SELECT FROM invites WHERE org_id = $1 LIMIT 1";
        let org = scope.org();
        Ok(self.database.in_background().read_one(org, sql, &[&org.0]).await?.is_some())
    }

    async fn list_ended_invites(&self, scope: &Scope, now: Timestamp) -> Result<Vec<InviteId>> {
        static SQL: Text = Text::new(|| {
            let may_invite = maker_may_invite(Place(3));
            format!(
                "SELECT i.id FROM invites i WHERE i.org_id = $1 AND (i.expires_at <= $2 OR NOT {may_invite}) LIMIT 1000"
            )
        });
        let params: Params<'_> = &[&scope.org().0, &now.date(), &inviting_roles()];
        let rows = self.database.in_background().read(scope.org(), &SQL, params).await?;
        Ok(rows.iter().map(|row| InviteId(row.get(0))).collect())
    }

    async fn find_invite(&self, scope: &Scope, id: InviteId) -> Result<Option<InviteView>> {
        static SQL: Text = Text::new(|| select(" AND i.id = $3"));
        let params: Params<'_> = &[&scope.org().0, &inviting_roles(), &id.0];
        let row = self.guests.read_one(scope.org(), &SQL, params).await?;
        match &row {
            Some(row) => self.invite_view(row).await.map(Some),
            None => Ok(None),
        }
    }
}
