//! Failed log-ins.

use async_trait::async_trait;
use kymograph_app::Result;
use kymograph_app::login_attempt::{LoginAttempts, WINDOW_SECONDS};
use kymograph_domain::Timestamp;
use kymograph_projections::Database;

/// Keeps failed log-ins in `login_attempts`.
pub struct PgLoginAttempts {
    database: Database,
}

impl PgLoginAttempts {
    /// Failed log-ins in this database.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

/// Whatever somebody types as a login is cut before it is kept, so that nobody can fill the table with novels.
fn key(login: &str) -> String {
    login.chars().take(200).filter(|character| *character != '\0').collect()
}

#[async_trait]
impl LoginAttempts for PgLoginAttempts {
    async fn failures_since(&self, login: &str, since: Timestamp) -> Result<i64> {
        let sql = "SELECT count(*) FROM login_attempts WHERE login = $1 AND at > $2";
        let row = self.database.read_global_one(sql, &[&key(login), &since.date()]).await?;
        Ok(row.map_or(0, |row| row.get(0)))
    }

    async fn record_failure(&self, login: &str, at: Timestamp, ip: &str) -> Result<()> {
        let forget = "DELETE FROM login_attempts WHERE at <= $1";
        self.database.write_global(forget, &[&at.plus_seconds(-WINDOW_SECONDS).date()]).await?;
        let sql = "INSERT INTO login_attempts (login, at, ip) VALUES ($1, $2, $3)";
        self.database.write_global(sql, &[&key(login), &at.date(), &ip]).await.map(drop)
    }

    async fn clear(&self, login: &str) -> Result<()> {
        let sql = "DELETE FROM login_attempts WHERE login = $1";
        self.database.write_global(sql, &[&key(login)]).await.map(drop)
    }
}
