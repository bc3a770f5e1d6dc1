//! Subscriptions of a cache to events.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kymograph_domain::{OrgId, StreamId};
use moka::Entry;
use moka::sync::Cache;

/// Returns the key of the cached value of a changed stream, if it has one.
pub(super) type Subject<K> = Box<dyn Fn(OrgId, &StreamId) -> Option<K> + Send + Sync>;

/// The orgs with recent events on objects of some nouns, each with the count of such events at its last one.
pub(super) struct OrgChanges<K, V> {
    nouns: &'static [&'static str],
    count: AtomicU64,
    orgs: Cache<OrgId, u64>,
    is_stale: fn(&K, &V, &dyn Fn(OrgId) -> bool) -> bool,
}

impl<K, V> OrgChanges<K, V> {
    /// Changes are kept for longer than cached values.
    pub(super) fn new(
        nouns: &'static [&'static str],
        kept_for: Option<Duration>,
        is_stale: fn(&K, &V, &dyn Fn(OrgId) -> bool) -> bool,
    ) -> Self {
        let orgs = Cache::builder();
        let orgs = match kept_for {
            Some(kept_for) => orgs.time_to_live(kept_for * 2),
            None => orgs,
        };
        Self { nouns, count: AtomicU64::new(0), orgs: orgs.build(), is_stale }
    }

    /// The number of changes so far.
    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// Counts an event, if it is on an object of the nouns.
    pub(super) fn note(&self, org: OrgId, stream: &StreamId) {
        if self.nouns.contains(&stream.noun()) {
            self.keep(org, self.count.fetch_add(1, Ordering::AcqRel) + 1);
        }
    }

    /// The last of concurrent changes of an org counts, in whatever order they arrive here.
    fn keep(&self, org: OrgId, count: u64) {
        let last =
            |before: Option<Entry<OrgId, u64>>| before.map_or(count, |before| before.into_value().max(count));
        self.orgs.entry(org).and_upsert_with(last);
    }

    /// True if a value that was fetched at this count of changes is stale.
    pub(super) fn is_stale(&self, key: &K, value: &V, since: u64) -> bool {
        let has_changed = |org| self.orgs.get(&org).is_some_and(|changed| changed > since);
        self.count() > since && (self.is_stale)(key, value, &has_changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_changes_that_are_noted_at_once_the_last_counts() {
        let changes = OrgChanges::<OrgId, ()>::new(&["team"], None, |org, (), has_changed| has_changed(*org));
        changes.count.store(2, Ordering::Release);
        changes.keep(OrgId(1), 2);
        changes.keep(OrgId(1), 1);
        assert!(changes.is_stale(&OrgId(1), &(), 1) && !changes.is_stale(&OrgId(1), &(), 2));
    }
}
