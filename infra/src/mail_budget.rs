//! The rate limit of verification mails.

use async_trait::async_trait;
use kymograph_app::Result;
use kymograph_app::kernel::mail::{MAIL_WINDOW_SECONDS, MAX_MAILS, MailBudget, RequestedMail};
use kymograph_domain::Timestamp;
use kymograph_projections::Database;

/// Counts mails in `sent_mails`.
pub struct PgMailBudget {
    database: Database,
}

impl PgMailBudget {
    /// A budget in this database.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

#[async_trait]
impl MailBudget for PgMailBudget {
    async fn take(&self, mail: &RequestedMail) -> Result<bool> {
        let sql = "INSERT INTO sent_mails (user_id, address_hash, at)
            SELECT $1::bigint, $2::bytea, $3::timestamptz
            WHERE (SELECT count(*) FROM sent_mails WHERE user_id = $1 AND at > $4) < $5
                AND (SELECT count(*) FROM sent_mails WHERE address_hash = $2 AND at > $4) < $5
            RETURNING 1";
        let RequestedMail { user, address_hash, at } = mail;
        let since = at.plus_seconds(-MAIL_WINDOW_SECONDS).date();
        let params: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
            [&user.0, &address_hash.as_slice(), &at.date(), &since, &MAX_MAILS];
        let rows = self.database.write_global_alone("kymograph/mails", sql, &params).await?;
        Ok(!rows.is_empty())
    }

    async fn delete_expired(&self, now: Timestamp) -> Result<()> {
        let sql = "DELETE FROM sent_mails WHERE at <= $1";
        self.database.write_global(sql, &[&now.plus_seconds(-MAIL_WINDOW_SECONDS).date()]).await.map(drop)
    }
}
