//! The numbers of objects on the server.

mod tag_count;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use kymograph_app::account::statistic::{ServerStatistics, StatisticReader, UserCounts};
use kymograph_app::{Error, Result};
use kymograph_domain::Timestamp;
use kymograph_domain::account::quota::QuotaTarget;
use tokio_postgres::Row;

use crate::account::quota::{ORG, STAR, USER};
use crate::kernel::database::Database;
use tag_count::TagCounter;

pub use tag_count::TagCounts;

/// Each user counts with the highest role. A user has few roles, so this reads each user's rows of three narrow tables
/// and nothing of the contents of orgs.
const USERS: &str = "SELECT count(*) AS all_users,
        count(*) FILTER (WHERE rank = 3) AS all_admins,
        count(*) FILTER (WHERE rank = 2) AS all_editors,
        count(*) FILTER (WHERE rank = 1) AS all_viewers,
        count(*) FILTER (WHERE is_active) AS active_users,
        count(*) FILTER (WHERE is_active AND rank = 3) AS active_admins,
        count(*) FILTER (WHERE is_active AND rank = 2) AS active_editors,
        count(*) FILTER (WHERE is_active AND rank = 1) AS active_viewers,
        count(*) FILTER (WHERE is_here) AS today_users,
        count(*) FILTER (WHERE is_here AND rank = 3) AS today_admins,
        count(*) FILTER (WHERE is_here AND rank = 2) AS today_editors,
        count(*) FILTER (WHERE is_here AND rank = 1) AS today_viewers,
        count(*) FILTER (WHERE is_this_month) AS month_users
    FROM (SELECT r.rank, s.seen > $1::timestamptz - interval '30 days' AS is_active,
            s.seen > $1 - interval '1 day' AS is_here, s.seen > date_trunc('month', $1, 'UTC') AS is_this_month
        FROM users u LEFT JOIN user_seen s ON s.user_id = u.id
        LEFT JOIN (SELECT user_id, max(CASE role WHEN 'Admin' THEN 3 WHEN 'Editor' THEN 2 ELSE 1 END) AS rank
            FROM user_orgs GROUP BY user_id) r ON r.user_id = u.id) AS found";
const SESSIONS: &str = "SELECT count(*) FILTER (WHERE used > $1::timestamptz - interval '30 days') AS active,
        count(*) FILTER (WHERE used > $1 - interval '1 day') AS today
    FROM (SELECT greatest(rotated, seen) AS used FROM sessions) AS found";

/// The numbers of objects that are counted with each write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Orgs.
    pub orgs: i64,
    /// Users.
    pub users: i64,
    /// Dashboards of all orgs.
    pub dashboards: i64,
    /// Folders of all orgs.
    pub folders: i64,
}

/// Reads the numbers of objects.
pub struct PgStatisticReader {
    database: Database,
    tags: Arc<TagCounter>,
}

impl PgStatisticReader {
    /// A reader on this database.
    #[must_use]
    pub fn new(database: Database, tag_counts: Arc<TagCounts>) -> Self {
        Self { tags: Arc::new(TagCounter::new(database.clone(), tag_counts)), database }
    }

    /// Computes the counts that take long the first time, so that no request has to wait for them.
    pub async fn warm_up(&self, now: Timestamp) {
        if let Err(error) = self.tags.count_all(now).await {
            tracing::warn!(%error, "could not count tags");
        }
    }

    /// The numbers of objects that are already counted.
    pub async fn read_totals(&self) -> Result<Totals> {
        let used = self.count_used().await?;
        let used = |target: &str| used.get(target).copied().unwrap_or_default();
        Ok(Totals {
            orgs: used(ORG),
            users: used(USER),
            dashboards: used(QuotaTarget::Dashboard.as_str()),
            folders: used(QuotaTarget::Folder.as_str()),
        })
    }

    async fn count_used(&self) -> Result<HashMap<String, i64>> {
        let sql = "SELECT target, sum(used)::bigint FROM quotas GROUP BY target";
        let rows = self.database.read_global(sql, &[]).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    async fn read_row(&self, sql: &'static str, now: Timestamp) -> Result<Row> {
        let row = self.database.read_global_one(sql, &[&now.date()]).await?;
        row.ok_or_else(|| Error::internal("a count returned no row"))
    }
}

#[async_trait]
impl StatisticReader for PgStatisticReader {
    async fn read_statistics(&self, now: Timestamp) -> Result<ServerStatistics> {
        let used = self.count_used().await?;
        let used = |target: &str| used.get(target).copied().unwrap_or_default();
        let users = self.read_row(USERS, now).await?;
        let counts = |when: &str| {
            let count = |who: &str| users.get(format!("{when}_{who}").as_str());
            let (all, admins) = (count("users"), count("admins"));
            UserCounts { all, admins, editors: count("editors"), viewers: count("viewers") }
        };
        let sessions = self.read_row(SESSIONS, now).await?;
        Ok(ServerStatistics {
            orgs: used(ORG),
            dashboards: used(QuotaTarget::Dashboard.as_str()),
            stars: used(STAR),
            tags: self.tags.count_all(now).await?,
            data_sources: used(QuotaTarget::DataSource.as_str()),
            alert_rules: used(QuotaTarget::AlertRule.as_str()),
            users: counts("all"),
            active: counts("active"),
            active_today: counts("today"),
            users_this_month: users.get("month_users"),
            sessions: sessions.get("active"),
            sessions_today: sessions.get("today"),
        })
    }
}
