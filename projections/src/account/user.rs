//! Users of the server.

use std::sync::Arc;

use async_trait::async_trait;
use kymograph_app::account::user::{UserReader, UserView, password_secret};
use kymograph_app::kernel::secret::Secrets;
use kymograph_app::{Page, Result};
use kymograph_domain::account::user::{Claims, Profile, User, UserEvent, UserName};
use kymograph_domain::kernel::text::{MAX_NAME_BYTES, fold, has_hidden_characters};
use kymograph_domain::{OrgId, Timestamp, UserId};
use tokio_postgres::Row;

use crate::kernel::database::Database;
use crate::kernel::projector::{Projector, Recorded};
use crate::kernel::sql::{Text, check};
use crate::kernel::statement::{OnFailure, Statements};
use crate::kernel::text::{contains_pattern, optional_timestamp_column, timestamp_column};
use crate::params;

/// Keeps `users` and `user_names`, and deletes sessions that an event ends.
pub struct UserProjector;

const INSERT: &str = "INSERT INTO users (id, uid, login, email, name, theme, current_org_id, is_server_admin,
    is_disabled, created, updated) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, false, $9, $9)";
const SET_PROFILE: &str = "UPDATE users SET login = $2, email = $3, name = $4, theme = $5, updated = $6,
    email_is_claimed = email_is_claimed AND email = $3, login_is_claimed = login_is_claimed AND login = $2,
    email_vouched_org_id = CASE WHEN email = $3 THEN email_vouched_org_id END WHERE id = $1";
const SET_EMAIL_CLAIMED: &str =
    "UPDATE users SET email_is_claimed = true, email_vouched_org_id = $2 WHERE id = $1";
const DELETE_NAMES: &str = "DELETE FROM user_names WHERE user_id = $1";
const INSERT_NAME: &str =
    "INSERT INTO user_names (name, user_id, is_login, is_email) VALUES ($1, $2, $3, $4)";
static CHECK_NAME: Text =
    Text::new(|| check("NOT EXISTS (SELECT FROM user_names WHERE name = $1 AND user_id <> $2)"));
const SET_SERVER_ADMIN: &str = "UPDATE users SET is_server_admin = $2, updated = $3 WHERE id = $1";
const SET_DISABLED: &str = "UPDATE users SET is_disabled = $2, updated = $3 WHERE id = $1";
/// Exact, because a transaction that adds a member locks the user, and has committed before the user can be deleted.
static CHECK_NO_MEMBER: Text = Text::new(|| {
    check(
        "NOT EXISTS (SELECT FROM user_orgs m
    JOIN orgs o ON o.id = m.member_org_id WHERE m.user_id = $1)",
    )
});
static CHECK_SERVER_ADMIN: Text =
    Text::new(|| check("EXISTS (SELECT FROM users WHERE is_server_admin AND NOT is_disabled)"));
/// Divides by zero unless the user `$1` exists.
pub(crate) static CHECK_USER: Text = Text::new(|| check("EXISTS (SELECT FROM users WHERE id = $1)"));

impl Projector for UserProjector {
    fn name(&self) -> &'static str {
        "users"
    }

    fn listens_to(&self) -> &'static [&'static str] {
        &["user"]
    }

    fn tables(&self) -> &'static [&'static str] {
        &["users", "user_names"]
    }

    fn touches(&self) -> &'static [&'static str] {
        &["sessions", "user_seen"]
    }

    fn project(&self, recorded: &Recorded<'_>, statements: &mut Statements) {
        let Some(event) = recorded.event.of::<UserEvent>() else { return };
        let at = recorded.recorded_at.date();
        match event {
            UserEvent::Created(created) => {
                let Profile { login, email, name, theme } = created.profile.clone();
                let (id, org) = (created.id.0, created.org_id.0);
                let uid = created.uid.to_string();
                statements.write_keeping(
                    INSERT,
                    params![id, uid, login, email, name, theme, org, created.is_server_admin, at],
                    User::NAMES_UNIQUE,
                );
                insert_names(created.id, &created.profile, statements);
            }
            UserEvent::ProfileChanged(changed) => {
                let Profile { login, email, name, theme } = changed.profile.clone();
                statements.write(SET_PROFILE, params![changed.id.0, login, email, name, theme, at]);
                statements.write(DELETE_NAMES, params![changed.id.0]);
                insert_names(changed.id, &changed.profile, statements);
            }
            UserEvent::EmailClaimed(claimed) => statements
                .write(SET_EMAIL_CLAIMED, params![claimed.id.0, claimed.vouched_by.map(|org| org.0)]),
            UserEvent::LoginClaimed(claimed) => statements
                .write("UPDATE users SET login_is_claimed = true WHERE id = $1", params![claimed.id.0]),
            UserEvent::PasswordChanged(changed) => {
                statements.write("UPDATE users SET updated = $2 WHERE id = $1", params![changed.id.0, at]);
                end_sessions(changed.id, statements);
            }
            UserEvent::ServerAdminChanged(changed) => {
                statements.write(SET_SERVER_ADMIN, params![changed.id.0, changed.is_server_admin, at]);
                check_server_admin(statements);
            }
            UserEvent::Disabled(disabled) => {
                statements.write(SET_DISABLED, params![disabled.id.0, true, at]);
                end_sessions(disabled.id, statements);
                check_server_admin(statements);
            }
            UserEvent::Enabled(enabled) => {
                statements.write(SET_DISABLED, params![enabled.id.0, false, at]);
            }
            UserEvent::OrgSwitched(switched) => statements.write(
                "UPDATE users SET current_org_id = $2 WHERE id = $1",
                params![switched.id.0, switched.org_id.0],
            ),
            // These are only used in decisions, which read them from the log.
            UserEvent::HelpFlagsChanged(_)
            | UserEvent::EmailChangeRequested(_)
            | UserEvent::EmailNotSent(_) => {}
            UserEvent::SessionRevoked(revoked) => statements.write(
                "DELETE FROM sessions WHERE user_id = $1 AND id = $2",
                params![revoked.id.0, revoked.session_id],
            ),
            UserEvent::LoggedOut(logged_out) => end_sessions(logged_out.id, statements),
            UserEvent::Deleted(deleted) => {
                statements.write("DELETE FROM users WHERE id = $1", params![deleted.id.0]);
                statements.write(DELETE_NAMES, params![deleted.id.0]);
                statements.write("DELETE FROM user_seen WHERE user_id = $1", params![deleted.id.0]);
                end_sessions(deleted.id, statements);
                // A conflict if the user was added to an org after its orgs were listed: the command is decided again.
                statements.check(&CHECK_NO_MEMBER, params![deleted.id.0], OnFailure::Conflict);
                check_server_admin(statements);
            }
        }
    }
}

/// Keeps the names by which a user is found, and fails if another user has one of them. The check is exact, because the
/// transactions of the server's log are serialized; replays of older logs skip it.
fn insert_names(user: UserId, profile: &Profile, statements: &mut Statements) {
    for UserName { name, is_login, is_email } in profile.names() {
        statements.write(INSERT_NAME, params![name.clone(), user.0, is_login, is_email]);
        let taken = OnFailure::Broken(User::NAMES_UNIQUE);
        statements.check(&CHECK_NAME, params![name, user.0], taken);
    }
}

fn end_sessions(user: UserId, statements: &mut Statements) {
    statements.write("DELETE FROM sessions WHERE user_id = $1", params![user.0]);
}

fn check_server_admin(statements: &mut Statements) {
    statements.check(&CHECK_SERVER_ADMIN, params![], OnFailure::Broken(User::SERVER_ADMIN_KEPT));
}

/// Reads `users`.
pub struct PgUserReader {
    database: Database,
    secrets: Arc<dyn Secrets>,
}

impl PgUserReader {
    /// A reader on this database, with the secrets to decrypt.
    #[must_use]
    pub fn new(database: Database, secrets: Arc<dyn Secrets>) -> Self {
        Self { database, secrets }
    }
}

/// The folded name by which a user is looked up; `None` if the typed text cannot be a name. A text with `@` finds the
/// owner of that address before a user with that login.
pub(crate) fn searchable_name(typed: &str) -> Option<String> {
    let is_possible = typed.len() <= MAX_NAME_BYTES && !has_hidden_characters(typed.trim());
    is_possible.then(|| fold(typed)).filter(|name| !name.is_empty())
}

fn select(rest: &str) -> String {
    format!("SELECT users.*, user_seen.seen FROM users LEFT JOIN user_seen ON user_id = id {rest}")
}

fn user_view(row: &Row) -> UserView {
    let seen: Option<Timestamp> = optional_timestamp_column(row, "seen");
    UserView {
        id: UserId(row.get("id")),
        uid: row.get("uid"),
        profile: Profile {
            login: row.get("login"),
            email: row.get("email"),
            name: row.get("name"),
            theme: row.get("theme"),
        },
        claims: Claims {
            email: row.get("email_is_claimed"),
            email_vouched_by: row.get::<_, Option<i64>>("email_vouched_org_id").map(OrgId),
            login: row.get("login_is_claimed"),
        },
        org_id: OrgId(row.get("current_org_id")),
        is_server_admin: row.get("is_server_admin"),
        is_disabled: row.get("is_disabled"),
        created: timestamp_column(row, "created"),
        updated: timestamp_column(row, "updated"),
        last_seen: seen,
    }
}

#[async_trait]
impl UserReader for PgUserReader {
    async fn find_user(&self, id: UserId) -> Result<Option<UserView>> {
        static SQL: Text = Text::new(|| select("WHERE id = $1"));
        Ok(self.database.read_global_one(&SQL, &[&id.0]).await?.as_ref().map(user_view))
    }

    async fn find_user_by_login(&self, login: &str) -> Result<Option<UserView>> {
        static SQL: Text = Text::new(|| {
            select(
                "JOIN user_names n ON n.user_id = id WHERE n.name = $1 ORDER BY n.is_email <> $2, id LIMIT 1",
            )
        });
        let Some(name) = searchable_name(login) else { return Ok(None) };
        let row = self.database.read_global_one(&SQL, &[&name, &name.contains('@')]).await?;
        Ok(row.as_ref().map(user_view))
    }

    async fn find_user_by_uid(&self, uid: &str) -> Result<Option<UserView>> {
        static SQL: Text = Text::new(|| select("WHERE uid = $1"));
        Ok(self.database.read_global_one(&SQL, &[&uid]).await?.as_ref().map(user_view))
    }

    async fn find_password_hash(&self, id: UserId) -> Result<Option<String>> {
        let sql = "SELECT sealed FROM secrets WHERE org_id = $1 AND key = $2";
        let (server, key) = (OrgId::SERVER, password_secret(id, None).key);
        let Some(row) = self.database.read_one(server, sql, &[&server.0, &key]).await? else {
            return Ok(None);
        };
        Ok(Some(self.secrets.open(server, &key, row.get(0)).await?.to_string()))
    }

    async fn search_users(&self, query: &str, page: Page) -> Result<Vec<UserView>> {
        static SQL: Text = Text::new(|| {
            select(
                "WHERE login ILIKE $1 OR email ILIKE $1 OR name ILIKE $1 ORDER BY login, id LIMIT $2 OFFSET $3",
            )
        });
        let pattern = contains_pattern(query);
        let rows = self.database.read_global(&SQL, &[&pattern, &page.size, &page.offset()]).await?;
        Ok(rows.iter().map(user_view).collect())
    }

    async fn count_users(&self, query: &str) -> Result<i64> {
        let sql = "SELECT count(*) FROM users WHERE login ILIKE $1 OR email ILIKE $1 OR name ILIKE $1";
        let row = self.database.read_global_one(sql, &[&contains_pattern(query)]).await?;
        Ok(row.map_or(0, |row| row.get(0)))
    }
}
