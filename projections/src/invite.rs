//! Open invites.

use async_trait::async_trait;
use kymograph_app::invite::{InviteReader, InviteView};
use kymograph_app::{Result, Scope};
use kymograph_domain::invite::{Guest, InviteEvent, InviteId};
use kymograph_domain::org::OrgEvent;
use kymograph_domain::user::Profile;
use kymograph_domain::{OrgId, Timestamp};
use tokio_postgres::Row;

use crate::database::Database;
use crate::params;
use crate::projector::{Projector, Recorded};
use crate::statement::Statements;
use crate::text::{role_column, timestamp_column};

/// Keeps `invites`.
pub struct InviteProjector;

const INSERT: &str = "INSERT INTO invites (org_id, id, email, name, role, invited_by, created, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";

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
            }
            InviteEvent::Revoked(revoked) => delete(org, revoked.id, statements),
            InviteEvent::Accepted(accepted) => delete(org, accepted.id, statements),
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
}

impl PgInviteReader {
    /// A reader on this database.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT i.*, s.value AS code, u.login AS by_login, u.email AS by_email, u.name AS by_name
            FROM invites i
            JOIN secrets s ON s.org_id = i.org_id AND s.key = 'invite/' || i.id || '/code'
            LEFT JOIN users u ON u.id = i.invited_by
            WHERE i.org_id = $1 ",
            $rest
        )
    };
}

fn invite_view(row: &Row) -> Result<InviteView> {
    let of_inviter = |column| row.get::<_, Option<String>>(column).unwrap_or_default();
    Ok(InviteView {
        org_id: OrgId(row.get("org_id")),
        id: InviteId(row.get("id")),
        guest: Guest { email: row.get("email"), name: row.get("name"), role: role_column(row, "role")? },
        code: row.get("code"),
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

#[async_trait]
impl InviteReader for PgInviteReader {
    async fn list_invites(&self, scope: &Scope) -> Result<Vec<InviteView>> {
        let sql = select!("ORDER BY i.created DESC, i.id DESC");
        let rows = self.database.read(scope.org(), sql, &[&scope.org().0]).await?;
        rows.iter().map(invite_view).collect()
    }

    async fn list_expired_invites(&self, scope: &Scope, now: Timestamp) -> Result<Vec<InviteId>> {
        let sql = "SELECT id FROM invites WHERE org_id = $1 AND expires_at <= $2 LIMIT 1000";
        let rows = self.database.read(scope.org(), sql, &[&scope.org().0, &now.date()]).await?;
        Ok(rows.iter().map(|row| InviteId(row.get(0))).collect())
    }

    async fn find_invite(&self, scope: &Scope, id: InviteId) -> Result<Option<InviteView>> {
        let sql = select!("AND i.id = $2");
        let row = self.database.read_one(scope.org(), sql, &[&scope.org().0, &id.0]).await?;
        row.as_ref().map(invite_view).transpose()
    }
}
