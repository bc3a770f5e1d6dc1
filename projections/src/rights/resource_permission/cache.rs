//! The in-memory cache of permissions, with which a warm read of a dashboard needs no database.

use std::sync::Arc;

use kymograph_app::kernel::cache::{MAX_AGE, ReadCache};
use kymograph_app::kernel::change::ChangeListener;
use kymograph_app::kernel::feed_health::FeedHealth;
use kymograph_app::rights::authorization::OwnAccess;
use kymograph_domain::rights::resource_permission::ResourcePermission;
use kymograph_domain::{OrgId, StreamId, TeamId, UserId};

/// The access-control lists of folders and dashboards, by org and numeric id, and the teams of users.
///
/// The creator and time of creation never change for a numeric id, so an entry is dropped when the permissions change,
/// and not with each save of a dashboard. An entry of a deleted object stays: its id is never requested again.
pub struct ResourcePermissionCache {
    pub(super) own: ReadCache<(OrgId, i64), Arc<OwnAccess>>,
    pub(super) teams: ReadCache<(OrgId, UserId), Arc<[TeamId]>>,
}

impl ResourcePermissionCache {
    /// A cache that is invalidated by this feed.
    #[must_use]
    pub fn new(feed: &Arc<FeedHealth>) -> Self {
        let own = ReadCache::with_weight_for(1_000_000, MAX_AGE, |_, own: &Arc<OwnAccess>| {
            u32::try_from(own.grants.as_ref().map_or(0, Vec::len) + 1).unwrap_or(u32::MAX)
        });
        // An event on a team does not contain the users whose teams it changes.
        let teams = ReadCache::with_entries_for(20_000, MAX_AGE).outdated_in_org_by(&["team", "org"]);
        let own = own.dropped_by::<ResourcePermission, i64>(|org, id| (org, id)).outdated_in_org_by(&["org"]);
        Self { own: own.while_live(feed), teams: teams.while_live(feed) }
    }
}

impl ChangeListener for ResourcePermissionCache {
    fn streams_changed(&self, org: OrgId, streams: &[StreamId]) {
        self.own.streams_changed(org, streams);
        self.teams.streams_changed(org, streams);
    }

    fn everything_changed(&self) {
        self.own.everything_changed();
        self.teams.everything_changed();
    }
}
