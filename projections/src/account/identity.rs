//! The data that identifies a user at each request.

use std::sync::Arc;

use async_trait::async_trait;
use kymograph_app::account::identity::{Identified, IdentifiedMembership, IdentityReader};
use kymograph_app::account::user::password_secret;
use kymograph_app::kernel::scope::Standing;
use kymograph_app::kernel::secret::Secrets;
use kymograph_app::{Actor, Result};
use kymograph_domain::kernel::text::fold;
use kymograph_domain::{OrgId, Timestamp, UserId};

use crate::account::user::searchable_name;
use crate::kernel::database::Database;
use crate::kernel::sql::{Text, check};
use crate::kernel::statement::Param;
use crate::kernel::text::{role_column, timestamp_column};
use crate::params;

static CHECK_SERVER_ADMIN: Text =
    Text::new(|| check("EXISTS (SELECT FROM users WHERE id = $1 AND is_server_admin AND NOT is_disabled)"));
const IS_MEMBER: &str =
    "EXISTS (SELECT FROM memberships WHERE org_id = $1 AND user_id = $2 AND role = $3 AND created = $4)";
static CHECK_MEMBER: Text = Text::new(|| {
    check(&format!("{IS_MEMBER} AND NOT EXISTS (SELECT FROM users WHERE id = $2 AND is_disabled)"))
});
static CHECK_SERVER_ADMIN_IN_ORG: Text = Text::new(|| {
    check(&format!(
        "{IS_MEMBER} AND EXISTS (SELECT FROM users WHERE id = $2 AND is_server_admin AND NOT is_disabled)"
    ))
});
static CHECK_SERVICE_ACCOUNT: Text = Text::new(|| {
    check(
        "EXISTS (SELECT FROM service_accounts a JOIN service_account_tokens t ON t.org_id = a.org_id AND t.service_account_id = a.id
        WHERE a.org_id = $1 AND a.id = $2 AND a.role = $3 AND NOT a.is_disabled AND t.id = $4)",
    )
});

static CHECK_USER: Text = Text::new(|| check("EXISTS (SELECT FROM users WHERE id = $1 AND NOT is_disabled)"));

/// A statement that divides by zero unless an actor's rights still have the given basis.
#[must_use]
pub fn standing_check(standing: Standing) -> (&'static str, Vec<Param>) {
    match standing {
        Standing::ServerAdmin(user) => (&CHECK_SERVER_ADMIN, params![user.0]),
        Standing::ServerAdminInOrg(org, user, role, since) => {
            (&CHECK_SERVER_ADMIN_IN_ORG, params![org.0, user.0, role.as_str(), since.date()])
        }
        Standing::Member(org, user, role, since) => {
            (&CHECK_MEMBER, params![org.0, user.0, role.as_str(), since.date()])
        }
        Standing::ServiceAccount(org, account, role, token) => {
            (&CHECK_SERVICE_ACCOUNT, params![org.0, account.0, role.as_str(), token])
        }
        Standing::User(user) => (&CHECK_USER, params![user.0]),
    }
}

/// Reads users with their memberships and password hash.
pub struct PgIdentityReader {
    database: Database,
    secrets: Arc<dyn Secrets>,
}

impl PgIdentityReader {
    /// A reader on this database, with the secrets to decrypt.
    #[must_use]
    pub fn new(database: Database, secrets: Arc<dyn Secrets>) -> Self {
        Self { database, secrets }
    }
}

#[async_trait]
impl IdentityReader for PgIdentityReader {
    async fn find_user_id(&self, login: &str) -> Result<Option<UserId>> {
        let Some(name) = searchable_name(login) else { return Ok(None) };
        let sql = "SELECT user_id FROM user_names WHERE name = $1 ORDER BY is_email <> $2, user_id LIMIT 1";
        let row = self.database.read_global_one(sql, &[&name, &name.contains('@')]).await?;
        Ok(row.map(|row| UserId(row.get(0))))
    }

    async fn identify(&self, user: UserId) -> Result<Option<Identified>> {
        // The secret and the user are one row of one statement, so that a password that is being changed is never
        // combined with another version of the user.
        let sql =
            "SELECT u.uid, u.login, u.email, u.current_org_id, u.is_server_admin, u.is_disabled, s.sealed
            FROM users u JOIN secrets s ON s.org_id = $2 AND s.key = $3 WHERE u.id = $1";
        let server = OrgId::SERVER;
        let key = password_secret(user, None).key;
        let Some(row) = self.database.read_one(server, sql, &[&user.0, &server.0, &key]).await? else {
            return Ok(None);
        };
        let seal: &[u8] = row.get("sealed");
        let hash = self.secrets.open(server, &key, seal).await?;
        let sql =
            "SELECT member_org_id, role, since FROM user_orgs WHERE user_id = $1 ORDER BY member_org_id";
        let memberships = self.database.read_global(sql, &[&user.0]).await?;
        Ok(Some(Identified {
            actor: Arc::new(Actor {
                user_id: user,
                uid: row.get("uid"),
                login: row.get("login"),
                is_server_admin: row.get("is_server_admin"),
            }),
            names: [fold(row.get("login")).into(), fold(row.get("email")).into()],
            is_disabled: row.get("is_disabled"),
            password_hash: hash.as_str().into(),
            password_seal: seal.into(),
            org_id: OrgId(row.get("current_org_id")),
            memberships: memberships
                .iter()
                .map(|row| {
                    Ok(IdentifiedMembership {
                        org: OrgId(row.get("member_org_id")),
                        role: role_column(row, "role")?,
                        since: timestamp_column(row, "since"),
                    })
                })
                .collect::<Result<_>>()?,
        }))
    }

    async fn touch_user(&self, user: UserId, now: Timestamp) -> Result<()> {
        // The lock prevents the user from being deleted meanwhile, which would leave the row behind.
        let sql = "INSERT INTO user_seen (user_id, seen) SELECT id, $2 FROM users WHERE id = $1 FOR KEY SHARE
            ON CONFLICT (user_id) DO UPDATE SET seen = greatest(user_seen.seen, excluded.seen)";
        self.database.write_global(sql, &[&user.0, &now.date()]).await.map(drop)
    }
}
