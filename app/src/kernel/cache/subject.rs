//! What a cache listens to.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kymograph_domain::{OrgId, StreamId};
use moka::sync::Cache;

/// Makes the key of a cached value of a stream that has changed, if there is one.
pub(super) type Subject<K> = Box<dyn Fn(OrgId, &StreamId) -> Option<K> + Send + Sync>;

/// The orgs that lately had an event on any object of a noun, and when, counted in such events.
pub(super) struct OrgChanges<K, V> {
    noun: &'static str,
    count: AtomicU64,
    orgs: Cache<OrgId, u64>,
    is_stale: fn(&K, &V, &dyn Fn(OrgId) -> bool) -> bool,
}

impl<K, V> OrgChanges<K, V> {
    /// Changes that are remembered for longer than values are kept.
    pub(super) fn new(
        noun: &'static str,
        kept_for: Option<Duration>,
        is_stale: fn(&K, &V, &dyn Fn(OrgId) -> bool) -> bool,
    ) -> Self {
        let orgs = Cache::builder();
        let orgs = match kept_for {
            Some(kept_for) => orgs.time_to_live(kept_for * 2),
            None => orgs,
        };
        Self { noun, count: AtomicU64::new(0), orgs: orgs.build(), is_stale }
    }

    /// How many there were.
    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// Notes an event, if it is on an object of the noun.
    pub(super) fn note(&self, org: OrgId, stream: &StreamId) {
        if stream.noun() == self.noun {
            self.orgs.insert(org, self.count.fetch_add(1, Ordering::AcqRel) + 1);
        }
    }

    /// True if a value is stale that was fetched after so many changes.
    pub(super) fn is_stale(&self, key: &K, value: &V, since: u64) -> bool {
        let has_changed = |org| self.orgs.get(&org).is_some_and(|changed| changed > since);
        self.count() > since && (self.is_stale)(key, value, &has_changed)
    }
}
