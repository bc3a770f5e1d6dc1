//! Service accounts and their tokens.

mod identity;

use async_trait::async_trait;
use kymograph_app::account::service_account::{
    ServiceAccountFilter, ServiceAccountReader, ServiceAccountView, TokenView,
};
use kymograph_app::{Page, Result, Scope};
use kymograph_domain::account::org::OrgEvent;
use kymograph_domain::account::service_account::{ServiceAccount, ServiceAccountEvent};
use kymograph_domain::{OrgId, Timestamp, Uid, UserId};
use tokio_postgres::Row;

use crate::kernel::database::Database;
use crate::kernel::projector::{Projector, Recorded};
use crate::kernel::sql::Text;
use crate::kernel::statement::Statements;
use crate::kernel::text::{contains_pattern, optional_timestamp_column, role_column, timestamp_column};
use crate::params;

pub use identity::PgTokenReader;

/// Keeps `service_accounts` and `service_account_tokens`, and deletes the data on tokens that is kept outside the log.
pub struct ServiceAccountProjector;

const INSERT: &str = "INSERT INTO service_accounts
    (org_id, id, uid, login, name, role, is_disabled, created, updated) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)";
const UPDATE: &str = "UPDATE service_accounts SET name = $3, role = $4, is_disabled = $5, updated = $6
    WHERE org_id = $1 AND id = $2";
const INSERT_TOKEN: &str = "INSERT INTO service_account_tokens
    (org_id, id, service_account_id, name, expires, created) VALUES ($1, $2, $3, $4, $5, $6)";

/// Deletes all accounts of the org `$1` with their tokens. A request that records the first use of a token locks its
/// row meanwhile, so the recorded uses are deleted after the tokens.
const DELETE_ORG: &[&str] = &[
    "DELETE FROM token_hashes WHERE owner_org_id = $1",
    "DELETE FROM service_account_tokens WHERE org_id = $1",
    "DELETE FROM service_account_token_seen WHERE org_id = $1",
    "DELETE FROM service_accounts WHERE org_id = $1",
];
/// Deletes the account `$2`.
const DELETE_ACCOUNT: &[&str] = &[
    "DELETE FROM token_hashes WHERE owner_org_id = $1 AND service_account_id = $2",
    "DELETE FROM service_account_tokens WHERE org_id = $1 AND service_account_id = $2",
    "DELETE FROM service_account_token_seen WHERE org_id = $1 AND service_account_id = $2",
    "DELETE FROM service_accounts WHERE org_id = $1 AND id = $2",
];
/// Deletes the token `$3` of the account `$2`.
const DELETE_TOKEN: &[&str] = &[
    "DELETE FROM token_hashes WHERE owner_org_id = $1 AND service_account_id = $2 AND token_id = $3",
    "DELETE FROM service_account_tokens WHERE org_id = $1 AND service_account_id = $2 AND id = $3",
    "DELETE FROM service_account_token_seen WHERE org_id = $1 AND service_account_id = $2 AND token_id = $3",
];

impl Projector for ServiceAccountProjector {
    fn name(&self) -> &'static str {
        "service_accounts"
    }

    fn listens_to(&self) -> &'static [&'static str] {
        &["service_account", "org"]
    }

    fn tables(&self) -> &'static [&'static str] {
        &["service_accounts", "service_account_tokens"]
    }

    fn touches(&self) -> &'static [&'static str] {
        &["token_hashes", "service_account_token_seen"]
    }

    fn project(&self, recorded: &Recorded<'_>, statements: &mut Statements) {
        let (org, at) = (recorded.org.0, recorded.recorded_at.date());
        if let Some(OrgEvent::Deleted(_)) = recorded.event.of() {
            for sql in DELETE_ORG {
                statements.write(sql, params![org]);
            }
        }
        let Some(event) = recorded.event.of::<ServiceAccountEvent>() else { return };
        match event {
            ServiceAccountEvent::Created(created) => {
                let (uid, login) = (created.uid.to_string(), created.login.clone());
                let (name, role) = (created.name.clone(), created.role.as_str());
                let params = params![org, created.id.0, uid, login, name, role, created.is_disabled, at];
                statements.write_keeping(INSERT, params, ServiceAccount::LOGIN_UNIQUE);
            }
            ServiceAccountEvent::Updated(updated) => {
                let (name, role) = (updated.name.clone(), updated.role.as_str());
                statements.write(UPDATE, params![org, updated.id.0, name, role, updated.is_disabled, at]);
            }
            ServiceAccountEvent::TokenAdded(added) => {
                let expires = added.expires.map(Timestamp::date);
                let params = params![org, added.token_id, added.id.0, added.name.clone(), expires, at];
                statements.write_keeping(INSERT_TOKEN, params, ServiceAccount::TOKEN_NAME_UNIQUE);
            }
            ServiceAccountEvent::TokenDeleted(deleted) => {
                for sql in DELETE_TOKEN {
                    statements.write(sql, params![org, deleted.id.0, deleted.token_id]);
                }
            }
            ServiceAccountEvent::Deleted(deleted) => {
                for sql in DELETE_ACCOUNT {
                    statements.write(sql, params![org, deleted.id.0]);
                }
            }
        }
    }
}

/// Reads `service_accounts` and `service_account_tokens`.
pub struct PgServiceAccountReader {
    database: Database,
}

impl PgServiceAccountReader {
    /// A reader on this database.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

fn select(rest: &str) -> String {
    format!(
        "SELECT a.*, (SELECT count(*) FROM service_account_tokens t
            WHERE t.org_id = $1 AND t.service_account_id = a.id) AS token_count
        FROM service_accounts a WHERE a.org_id = $1 {rest}"
    )
}

/// The filter of a search for accounts: `$2` is a pattern, `$3` and `$4` narrow it further.
const FILTER: &str = "AND (a.name ILIKE $2 OR a.login ILIKE $2) AND (a.is_disabled OR NOT $3)
        AND ($4::timestamptz IS NULL OR EXISTS (SELECT FROM service_account_tokens e
            WHERE e.org_id = $1 AND e.service_account_id = a.id AND e.expires <= $4)) ";

fn service_account_view(row: &Row) -> Result<ServiceAccountView> {
    Ok(ServiceAccountView {
        org_id: OrgId(row.get("org_id")),
        id: UserId(row.get("id")),
        uid: row.get("uid"),
        login: row.get("login"),
        name: row.get("name"),
        role: role_column(row, "role")?,
        is_disabled: row.get("is_disabled"),
        token_count: row.get("token_count"),
        created: timestamp_column(row, "created"),
        updated: timestamp_column(row, "updated"),
    })
}

fn token_view(row: &Row) -> TokenView {
    TokenView {
        id: row.get("id"),
        name: row.get("name"),
        created: timestamp_column(row, "created"),
        expires: optional_timestamp_column(row, "expires"),
        last_used: optional_timestamp_column(row, "seen"),
    }
}

#[async_trait]
impl ServiceAccountReader for PgServiceAccountReader {
    async fn find_service_account(&self, scope: &Scope, id: UserId) -> Result<Option<ServiceAccountView>> {
        static SQL: Text = Text::new(|| select("AND a.id = $2"));
        let row = self.database.read_one(scope.org(), &SQL, &[&scope.org().0, &id.0]).await?;
        row.as_ref().map(service_account_view).transpose()
    }

    async fn find_service_account_id(&self, scope: &Scope, uid: &Uid) -> Result<Option<UserId>> {
        let sql = "SELECT id FROM service_accounts WHERE org_id = $1 AND uid = $2";
        let row = self.database.read_one(scope.org(), sql, &[&scope.org().0, &uid.as_str()]).await?;
        Ok(row.map(|row| UserId(row.get("id"))))
    }

    async fn search_service_accounts(
        &self,
        scope: &Scope,
        filter: &ServiceAccountFilter,
        page: Page,
    ) -> Result<Vec<ServiceAccountView>> {
        static SQL: Text =
            Text::new(|| select(&format!("{FILTER}ORDER BY a.login, a.id LIMIT $5 OFFSET $6")));
        let (org, pattern) = (scope.org(), contains_pattern(&filter.query));
        let expired = filter.expired_before.map(Timestamp::date);
        let rows = self
            .database
            .read(org, &SQL, &[&org.0, &pattern, &filter.is_disabled, &expired, &page.size, &page.offset()])
            .await?;
        rows.iter().map(service_account_view).collect()
    }

    async fn count_service_accounts(&self, scope: &Scope, filter: &ServiceAccountFilter) -> Result<i64> {
        static SQL: Text =
            Text::new(|| format!("SELECT count(*) FROM service_accounts a WHERE a.org_id = $1 {FILTER}"));
        let (org, pattern) = (scope.org(), contains_pattern(&filter.query));
        let expired = filter.expired_before.map(Timestamp::date);
        let row =
            self.database.read_one(org, &SQL, &[&org.0, &pattern, &filter.is_disabled, &expired]).await?;
        Ok(row.map_or(0, |row| row.get(0)))
    }

    async fn list_tokens(&self, scope: &Scope, id: UserId) -> Result<Vec<TokenView>> {
        let sql = "SELECT t.id, t.name, t.created, t.expires, s.seen FROM service_account_tokens t
            LEFT JOIN service_account_token_seen s ON s.org_id = $1 AND s.token_id = t.id
            WHERE t.org_id = $1 AND t.service_account_id = $2 ORDER BY t.id";
        let org = scope.org();
        let rows = self.database.read(org, sql, &[&org.0, &id.0]).await?;
        Ok(rows.iter().map(token_view).collect())
    }
}
