//! The data that identifies a service account at each request.

use std::sync::Arc;

use async_trait::async_trait;
use kymograph_app::account::identity::{IdentifiedAccount, TokenHashes, TokenOwner, TokenReader};
use kymograph_app::account::session::TokenHash;
use kymograph_app::kernel::side_write::{OnFailure, SideWrite};
use kymograph_app::{Actor, Result, values};
use kymograph_domain::{OrgId, Timestamp, UserId};
use tokio_postgres::Row;

use crate::kernel::database::Database;
use crate::kernel::text::{optional_timestamp_column, role_column};

/// Keeps the owners of tokens, and reads the rights of their accounts.
pub struct PgTokenReader {
    database: Database,
}

impl PgTokenReader {
    /// A reader on this database.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

const KEEP_HASH: &str =
    "INSERT INTO token_hashes (hash, owner_org_id, service_account_id, token_id) VALUES ($1, $2, $3, $4)";

impl TokenHashes for PgTokenReader {
    fn keep_hash(&self, hash: &TokenHash, owner: &TokenOwner) -> SideWrite {
        let TokenOwner { org, service_account_id, token_id } = *owner;
        let params = values![hash.to_vec(), org.0, service_account_id.0, token_id];
        SideWrite { org, sql: KEEP_HASH, params, on_failure: OnFailure::Fault }
    }
}

#[async_trait]
impl TokenReader for PgTokenReader {
    async fn find_token_owner(&self, hash: &TokenHash) -> Result<Option<TokenOwner>> {
        let sql = "SELECT owner_org_id, service_account_id, token_id FROM token_hashes WHERE hash = $1";
        let row = self.database.read_global_one(sql, &[&hash.as_slice()]).await?;
        Ok(row.map(|row| TokenOwner {
            org: OrgId(row.get("owner_org_id")),
            service_account_id: UserId(row.get("service_account_id")),
            token_id: row.get("token_id"),
        }))
    }

    async fn identify_account(&self, org: OrgId, id: UserId) -> Result<Option<IdentifiedAccount>> {
        let sql = "SELECT a.uid, a.login, a.role, a.is_disabled, t.id AS token_id, t.expires
            FROM service_accounts a
            LEFT JOIN service_account_tokens t ON t.org_id = $1 AND t.service_account_id = a.id
            WHERE a.org_id = $1 AND a.id = $2";
        let rows = self.database.read(org, sql, &[&org.0, &id.0]).await?;
        let Some(first) = rows.first() else { return Ok(None) };
        let token = |row: &Row| {
            let id: Option<i64> = row.get("token_id");
            id.map(|id| (id, optional_timestamp_column(row, "expires")))
        };
        Ok(Some(IdentifiedAccount {
            actor: Arc::new(Actor {
                user_id: id,
                uid: first.get("uid"),
                login: first.get("login"),
                is_server_admin: false,
            }),
            role: role_column(first, "role")?,
            is_disabled: first.get("is_disabled"),
            tokens: rows.iter().filter_map(token).collect(),
        }))
    }

    async fn touch_token(&self, owner: &TokenOwner, now: Timestamp) -> Result<()> {
        // The lock prevents the token from being deleted meanwhile, which would leave the row behind.
        let sql = "INSERT INTO service_account_token_seen (org_id, token_id, service_account_id, seen)
            SELECT org_id, id, service_account_id, $4 FROM service_account_tokens
            WHERE org_id = $1 AND id = $2 AND service_account_id = $3 FOR KEY SHARE
            ON CONFLICT (org_id, token_id)
                DO UPDATE SET seen = greatest(service_account_token_seen.seen, excluded.seen)";
        let TokenOwner { org, service_account_id, token_id } = owner;
        self.database
            .write(*org, sql, &[&org.0, token_id, &service_account_id.0, &now.date()])
            .await
            .map(drop)
    }
}
