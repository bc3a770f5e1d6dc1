//! Failed log-ins.

use async_trait::async_trait;
use kymograph_app::Result;
use kymograph_app::account::login_attempt::{LoginAttempt, LoginAttempts, WINDOW_SECONDS};
use kymograph_domain::Timestamp;
use kymograph_projections::Database;

/// Keeps attempts in `login_attempts`.
pub struct PgLoginAttempts {
    database: Database,
}

impl PgLoginAttempts {
    /// Attempts in this database.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

#[async_trait]
impl LoginAttempts for PgLoginAttempts {
    async fn begin(&self, attempt: &LoginAttempt, max: i64) -> Result<bool> {
        let sql = "INSERT INTO login_attempts (account, at, ip) SELECT $1::text, $2::timestamptz, $3::text
            WHERE (SELECT count(*) FROM login_attempts WHERE account = $1 AND at > $4) < $5 RETURNING 1";
        let LoginAttempt { account, at, ip } = attempt;
        let since = at.plus_seconds(-WINDOW_SECONDS).date();
        let lock = format!("kymograph/login/{account}");
        let rows =
            self.database.write_global_alone(&lock, sql, &[account, &at.date(), ip, &since, &max]).await?;
        Ok(!rows.is_empty())
    }

    async fn withdraw(&self, attempt: &LoginAttempt) -> Result<()> {
        let sql = "DELETE FROM login_attempts WHERE account = $1 AND at = $2";
        self.database.write_global(sql, &[&attempt.account, &attempt.at.date()]).await.map(drop)
    }

    async fn clear(&self, account: &str) -> Result<()> {
        let sql = "DELETE FROM login_attempts WHERE account = $1";
        self.database.write_global(sql, &[&account]).await.map(drop)
    }

    async fn delete_expired(&self, now: Timestamp) -> Result<()> {
        let sql = "DELETE FROM login_attempts WHERE at <= $1";
        self.database.write_global(sql, &[&now.plus_seconds(-WINDOW_SECONDS).date()]).await.map(drop)
    }
}
