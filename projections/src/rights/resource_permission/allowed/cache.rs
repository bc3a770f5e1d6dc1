//! The cache of folder trees and of allowed contents.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kymograph_app::rights::authorization::ContentFilter;
use kymograph_domain::OrgId;

use super::tree::Tree;
use super::{Allowed, Version};

/// The maximum total size for all orgs, in bytes. Beyond it the org with the most data is evicted first, so that no org
/// can displace another one that has less.
pub const MAX_KEPT_BYTES: usize = 64 * 1024 * 1024;
/// How long the size of an actor's folders is cached. An outdated size only costs time.
const KEPT_FOR: Duration = Duration::from_secs(600);

/// The folders of an org and the event up to which they are valid. A request that reads them again holds the lock
/// meanwhile.
type TreeSlot = Arc<tokio::sync::Mutex<Option<(i64, Arc<Tree>)>>>;

/// The state of the cache before a read.
#[derive(Clone, Copy)]
pub(super) struct BeforeFetch(u64);

#[derive(Default)]
pub(super) struct Cache(Mutex<Orgs>);

#[derive(Default)]
struct Orgs {
    orgs: HashMap<OrgId, Org>,
    bytes: usize,
    /// Counts uses, to find the least recently used entries.
    uses: u64,
    /// The number of times that the cache was cleared.
    clears: u64,
}

#[derive(Default)]
struct Org {
    tree: TreeSlot,
    tree_bytes: usize,
    /// The event up to which all entries of actors are valid.
    rights: i64,
    allowed: HashMap<ContentFilter, Kept>,
    bytes: usize,
    used: u64,
}

struct Kept {
    allowed: Arc<Allowed>,
    since: Instant,
    bytes: usize,
    used: u64,
}

impl Cache {
    fn lock(&self) -> MutexGuard<'_, Orgs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state before a read whose result is to be cached.
    pub(super) fn before_fetch(&self) -> BeforeFetch {
        BeforeFetch(self.lock().clears)
    }

    /// The contents that an actor may use, if they are cached and still valid.
    pub(super) fn find(&self, org: OrgId, filter: &ContentFilter, version: Version) -> Option<Arc<Allowed>> {
        let mut orgs = self.lock();
        orgs.uses += 1;
        let uses = orgs.uses;
        let org = orgs.orgs.get_mut(&org)?;
        org.used = uses;
        if org.rights < version.rights {
            return None;
        }
        let kept = org.allowed.get_mut(filter).filter(|kept| kept.since.elapsed() < KEPT_FOR)?;
        kept.used = uses;
        Some(kept.allowed.clone())
    }

    /// The slot for the folders of an org.
    pub(super) fn tree_of(&self, org: OrgId) -> TreeSlot {
        let mut orgs = self.lock();
        let used = orgs.uses;
        let org = orgs.orgs.entry(org).or_insert_with(|| Org { used, ..Org::default() });
        org.tree.clone()
    }

    /// Caches the result of a read, unless the cache was cleared since, or has a newer one.
    pub(super) fn keep(
        &self,
        before: BeforeFetch,
        org: OrgId,
        filter: &ContentFilter,
        version: Version,
        allowed: &Arc<Allowed>,
    ) {
        let mut orgs = self.lock();
        if orgs.clears == before.0 {
            orgs.keep(org, filter, version, allowed);
            orgs.shrink(MAX_KEPT_BYTES);
        }
    }

    /// Clears the cache.
    pub(super) fn clear(&self) {
        let mut orgs = self.lock();
        *orgs = Orgs { uses: orgs.uses, clears: orgs.clears + 1, ..Orgs::default() };
    }
}

impl Orgs {
    fn keep(&mut self, id: OrgId, filter: &ContentFilter, version: Version, allowed: &Arc<Allowed>) {
        self.uses += 1;
        let org = self.orgs.entry(id).or_default();
        if org.rights > version.rights {
            return;
        }
        self.bytes -= org.bytes;
        if org.rights < version.rights {
            org.rights = version.rights;
            org.allowed.clear();
        }
        let grantees: usize = filter.grantees.iter().map(String::len).sum();
        let bytes = allowed.bytes() + size_of::<(ContentFilter, Kept)>() + grantees;
        let kept = Kept { allowed: allowed.clone(), since: Instant::now(), bytes, used: self.uses };
        org.allowed.insert(filter.clone(), kept);
        org.tree_bytes = allowed.tree.bytes();
        org.used = self.uses;
        org.count();
        self.bytes += org.bytes;
    }

    /// Evicts entries down to the maximum size: of the org with the most data, the least recently used ones.
    fn shrink(&mut self, max_bytes: usize) {
        while self.bytes > max_bytes {
            let largest = self.orgs.iter().max_by_key(|(_, org)| (org.bytes, std::cmp::Reverse(org.used)));
            let Some(id) = largest.map(|(id, _)| *id) else { return };
            let Some(org) = self.orgs.get_mut(&id) else { return };
            self.bytes -= org.bytes;
            let oldest =
                org.allowed.iter().min_by_key(|(_, kept)| kept.used).map(|(filter, _)| filter.clone());
            if let Some(filter) = oldest {
                org.allowed.remove(&filter);
                org.count();
            }
            // Without entries of actors the tree is not needed.
            if org.allowed.is_empty() {
                self.orgs.remove(&id);
            } else {
                self.bytes += org.bytes;
            }
        }
    }
}

impl Org {
    fn count(&mut self) {
        let allowed: usize = self.allowed.values().map(|kept| kept.bytes).sum();
        self.bytes = self.tree_bytes + allowed;
    }
}

#[cfg(test)]
mod tests {
    use kymograph_domain::AccessLevel;

    use super::*;

    fn filter(user: i64) -> ContentFilter {
        ContentFilter {
            is_unlimited: false,
            level: AccessLevel::View,
            grantees: vec![format!("user:{user}")],
            default_level: None,
            member: None,
            creator_since: None,
        }
    }

    fn allowed(folders: usize) -> Arc<Allowed> {
        let uids: Vec<_> = (0..folders).map(|number| format!("{number:010}")).collect();
        let uids: Vec<_> = uids.iter().map(String::as_str).collect();
        let tree = Arc::new(Tree::of(&uids, &vec![""; folders]));
        Arc::new(Allowed::of(tree, &uids, Vec::new()))
    }

    fn version(rights: i64) -> Version {
        Version { folders: 1, rights }
    }

    #[test]
    fn what_is_older_than_the_last_event_is_not_found() {
        let cache = Cache::default();
        cache.keep(cache.before_fetch(), OrgId(1), &filter(1), version(5), &allowed(3));
        assert!(cache.find(OrgId(1), &filter(1), version(5)).is_some());
        assert!(cache.find(OrgId(1), &filter(1), version(6)).is_none());
        assert!(cache.find(OrgId(1), &filter(2), version(5)).is_none());
        assert!(cache.find(OrgId(2), &filter(1), version(5)).is_none());
        // An older read is not cached in addition to a newer one.
        cache.keep(cache.before_fetch(), OrgId(1), &filter(2), version(6), &allowed(3));
        cache.keep(cache.before_fetch(), OrgId(1), &filter(1), version(5), &allowed(3));
        assert!(cache.find(OrgId(1), &filter(1), version(5)).is_none());
        assert!(cache.find(OrgId(1), &filter(2), version(6)).is_some());
    }

    #[test]
    fn what_was_read_before_all_was_forgotten_is_not_kept() {
        let cache = Cache::default();
        let before = cache.before_fetch();
        cache.clear();
        cache.keep(before, OrgId(1), &filter(1), version(5), &allowed(3));
        assert!(cache.find(OrgId(1), &filter(1), version(5)).is_none());
    }

    #[test]
    fn the_org_that_has_the_most_loses_first_and_what_was_not_used_longest() {
        let mut orgs = Orgs::default();
        let (small, large) = (allowed(10), allowed(10_000));
        orgs.keep(OrgId(1), &filter(1), version(5), &small);
        for user in 1..=100 {
            orgs.keep(OrgId(2), &filter(user), version(5), &large);
        }
        let total = orgs.bytes;
        assert_eq!(total, orgs.orgs.values().map(|org| org.bytes).sum::<usize>());
        orgs.shrink(total - 1);
        let users = |orgs: &Orgs, org| orgs.orgs[&OrgId(org)].allowed.len();
        assert_eq!((users(&orgs, 1), users(&orgs, 2)), (1, 99));
        assert!(!orgs.orgs[&OrgId(2)].allowed.contains_key(&filter(1)));
        orgs.shrink(large.tree.bytes());
        assert_eq!(orgs.orgs.keys().collect::<Vec<_>>(), [&OrgId(1)]);
        assert_eq!(orgs.bytes, orgs.orgs[&OrgId(1)].bytes);
        orgs.shrink(0);
        assert_eq!((orgs.orgs.len(), orgs.bytes), (0, 0));
    }
}
