//! The number of tags of each org.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{StreamExt, TryStreamExt, stream};
use kymograph_app::Result;
use kymograph_app::kernel::cache::ReadCache;
use kymograph_app::kernel::change::ChangeListener;
use kymograph_app::kernel::feed_health::FeedHealth;
use kymograph_domain::{OrgId, StreamId, Timestamp};

use crate::kernel::database::Database;

/// The number of orgs that are counted concurrently.
const CONCURRENCY: usize = 4;
/// An org with more dashboards than this is counted in the background, except for the first time.
const MANY_DASHBOARDS: i64 = 5_000;
/// The minimum number of seconds before such an org is counted again, if it has changed.
const RECOUNT_SECONDS: i64 = 60;

/// Counts the tags of orgs, each again only after it has changed.
///
/// All other counts are updated with each change. The tags that a change removes could only be determined from all
/// dashboards of the org, which would cost each save more than counting costs each reader.
pub(super) struct TagCounter {
    database: Database,
    counts: Arc<TagCounts>,
}

/// The counts of orgs.
pub struct TagCounts {
    /// The valid counts.
    current: ReadCache<OrgId, i64>,
    /// The latest counts, valid or not, with their times.
    last: Mutex<HashMap<OrgId, (i64, Timestamp)>>,
}

impl TagCounts {
    /// Counts that are invalidated by this feed.
    #[must_use]
    pub fn new(feed: &Arc<FeedHealth>) -> Self {
        let current = ReadCache::with_entries(100_000).while_live(feed);
        let current = current.dropped_by_streams(|org, stream| (stream.noun() == "dashboard").then_some(org));
        Self { current, last: Mutex::default() }
    }
}

impl ChangeListener for TagCounts {
    fn streams_changed(&self, org: OrgId, streams: &[StreamId]) {
        self.current.streams_changed(org, streams);
    }

    fn everything_changed(&self) {
        self.current.everything_changed();
    }
}

impl TagCounts {
    fn last(&self, org: OrgId) -> Option<(i64, Timestamp)> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).get(&org).copied()
    }

    fn keep(&self, org: OrgId, tags: i64, now: Timestamp) {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).insert(org, (tags, now));
    }
}

impl TagCounter {
    pub(super) fn new(database: Database, counts: Arc<TagCounts>) -> Self {
        Self { database, counts }
    }

    /// The total number of tags of all orgs; a tag counts once in each org.
    pub(super) async fn count_all(self: &Arc<Self>, now: Timestamp) -> Result<i64> {
        let sql = "SELECT owner_org_id, used FROM quotas WHERE target = 'dashboard' AND used > 0";
        let orgs = self.database.read_global(sql, &[]).await?;
        let counts: Vec<_> =
            orgs.iter().map(|row| self.count_of(OrgId(row.get(0)), row.get(1), now)).collect();
        let counts: Vec<i64> = stream::iter(counts).buffer_unordered(CONCURRENCY).try_collect().await?;
        Ok(counts.iter().sum())
    }

    async fn count_of(self: &Arc<Self>, org: OrgId, dashboards: i64, now: Timestamp) -> Result<i64> {
        if let Some(tags) = self.counts.current.get(&org) {
            return Ok(tags);
        }
        let Some((tags, counted)) = self.counts.last(org).filter(|_| dashboards > MANY_DASHBOARDS) else {
            return self.recount(org, now).await;
        };
        if counted.plus_seconds(RECOUNT_SECONDS) <= now {
            // Concurrent requests get the old number and start no second count.
            self.counts.keep(org, tags, now);
            let counter = self.clone();
            tokio::spawn(async move {
                if let Err(error) = counter.recount(org, now).await {
                    tracing::warn!(%error, org = org.0, "could not count tags");
                }
            });
        }
        Ok(tags)
    }

    async fn recount(&self, org: OrgId, now: Timestamp) -> Result<i64> {
        let fetch = async {
            let sql = "SELECT count(*) FROM
                (SELECT DISTINCT tag FROM dashboards, unnest(tags) AS tag
                    WHERE org_id = $1 AND deleted IS NULL) AS found";
            Ok(self.database.read_one(org, sql, &[&org.0]).await?.map(|row| row.get(0)))
        };
        let tags = self.counts.current.get_or_fetch(&org, fetch).await?.unwrap_or_default();
        self.counts.keep(org, tags, now);
        Ok(tags)
    }
}
