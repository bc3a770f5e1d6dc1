//! How many tags each org has.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{StreamExt, TryStreamExt, stream};
use kymograph_app::Result;
use kymograph_app::kernel::cache::ReadCache;
use kymograph_app::kernel::change::ChangeListener;
use kymograph_app::kernel::feed_health::FeedHealth;
use kymograph_domain::{OrgId, StreamId, Timestamp};

use crate::kernel::database::Database;

/// How many orgs are looked at at once.
const CONCURRENCY: usize = 4;
/// An org with more dashboards than this is not counted while somebody waits, but for the first time.
const MANY_DASHBOARDS: i64 = 5_000;
/// After how many seconds such an org is counted again, if it has changed.
const RECOUNT_SECONDS: i64 = 60;

/// Counts the tags of orgs, each again only after it has changed.
///
/// All else is counted as it changes. Which tags a change took away could only be told by looking at all dashboards of
/// the org, which would cost each save more than this costs who wants to know.
pub(super) struct TagCounter {
    database: Database,
    counts: Arc<TagCounts>,
}

/// The counts of orgs.
pub struct TagCounts {
    /// Those that hold.
    current: ReadCache<OrgId, i64>,
    /// Those that held when they were counted.
    last: Mutex<HashMap<OrgId, (i64, Timestamp)>>,
}

impl TagCounts {
    /// Counts that are told of changes by this feed.
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

    /// The tags of all orgs, each org's counted for themselves.
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
            // Whoever asks meanwhile gets the old number and starts no second count.
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
