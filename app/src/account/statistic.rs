//! Statistics of the server over all orgs, for server admins.

use std::sync::Arc;

use async_trait::async_trait;
use kymograph_domain::Timestamp;

use crate::kernel::clock::Clock;
use crate::kernel::error::Result;
use crate::{Permission, Scope};

/// Statistics of the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerStatistics {
    /// Orgs.
    pub orgs: i64,
    /// Dashboards of all orgs.
    pub dashboards: i64,
    /// Stars of all users.
    pub stars: i64,
    /// Tags, counted separately for each org.
    pub tags: i64,
    /// Data sources of all orgs.
    pub data_sources: i64,
    /// Alert rules of all orgs.
    pub alert_rules: i64,
    /// All users.
    pub users: UserCounts,
    /// Users who were seen within 30 days.
    pub active: UserCounts,
    /// Users who were seen within a day.
    pub active_today: UserCounts,
    /// Users who were seen since the month began.
    pub users_this_month: i64,
    /// Sessions that were used within 30 days.
    pub sessions: i64,
    /// Sessions that were used within a day.
    pub sessions_today: i64,
}

/// The number of users, in total and by their highest role in any org.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UserCounts {
    /// All users, including those without a membership.
    pub all: i64,
    /// Admins.
    pub admins: i64,
    /// Editors.
    pub editors: i64,
    /// Viewers, and members without a role.
    pub viewers: i64,
}

/// Reads statistics: only numbers, no tenant data.
#[async_trait]
pub trait StatisticReader: Send + Sync {
    /// The statistics; `now` determines which activity is recent.
    async fn read_statistics(&self, now: Timestamp) -> Result<ServerStatistics>;
}

/// The use cases of statistics.
pub struct Statistics {
    reader: Arc<dyn StatisticReader>,
    clock: Arc<dyn Clock>,
}

impl Statistics {
    /// The use cases on these ports.
    #[must_use]
    pub fn new(reader: Arc<dyn StatisticReader>, clock: Arc<dyn Clock>) -> Self {
        Self { reader, clock }
    }

    /// Reads the statistics of the server.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn get_statistics(&self, scope: &Scope) -> Result<ServerStatistics> {
        scope.require_on_server(Permission::SERVER_STATS_READ)?;
        self.reader.read_statistics(self.clock.now()).await
    }
}
