//! What is kept in memory of permissions, so that a warm read of a dashboard asks no database.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kymograph_app::kernel::cache::{MAX_AGE, ReadCache};
use kymograph_app::kernel::change::ChangeListener;
use kymograph_app::kernel::feed_health::FeedHealth;
use kymograph_app::rights::authorization::OwnAccess;
use kymograph_domain::{OrgId, StreamId, TeamId, UserId};

/// Over how many places the orgs' counts of changes are spread.
const EPOCHS: i64 = 1024;

/// What is set on folders and dashboards, by org and numeric id, and the teams that users are members of.
///
/// Who created something, and when, never changes for a numeric id, so an entry is dropped when the permissions
/// change, and not with each save of a dashboard. A deleted one stays in it: nobody asks for its id again.
pub struct ResourcePermissionCache {
    pub(super) own: ReadCache<(OrgId, i64), Arc<OwnAccess>>,
    /// An event on a team does not say whose teams it changes, so the key holds the org's count of changes.
    pub(super) teams: ReadCache<(OrgId, u64, UserId), Arc<[TeamId]>>,
    epochs: Vec<AtomicU64>,
}

impl ResourcePermissionCache {
    /// A cache that is told of changes by this feed.
    #[must_use]
    pub fn new(feed: &Arc<FeedHealth>) -> Self {
        let own = ReadCache::with_weight_for(1_000_000, MAX_AGE, |_, own: &Arc<OwnAccess>| {
            u32::try_from(own.grants.as_ref().map_or(0, Vec::len) + 1).unwrap_or(u32::MAX)
        });
        Self {
            own: own.while_live(feed),
            teams: ReadCache::with_entries_for(20_000, MAX_AGE).while_live(feed),
            epochs: (0..EPOCHS).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    fn epoch(&self, org: OrgId) -> Option<&AtomicU64> {
        self.epochs.get(usize::try_from(org.0.rem_euclid(EPOCHS)).unwrap_or_default())
    }

    /// The key for the teams of a user. What is fetched must be kept under the key from before the fetch.
    pub(super) fn teams_key(&self, org: OrgId, user: UserId) -> (OrgId, u64, UserId) {
        (org, self.epoch(org).map_or(0, |epoch| epoch.load(Ordering::Acquire)), user)
    }
}

impl ChangeListener for ResourcePermissionCache {
    fn streams_changed(&self, org: OrgId, streams: &[StreamId]) {
        for stream in streams {
            match stream.as_str().split_once('-') {
                Some(("resource_permission", id)) => {
                    if let Ok(id) = id.parse() {
                        self.own.invalidate(&(org, id));
                    }
                }
                Some(("team", _)) => {
                    if let Some(epoch) = self.epoch(org) {
                        epoch.fetch_add(1, Ordering::Release);
                    }
                }
                Some(("org", _)) => self.everything_changed(),
                _ => {}
            }
        }
    }

    fn everything_changed(&self) {
        self.own.invalidate_all();
        self.teams.invalidate_all();
    }
}
