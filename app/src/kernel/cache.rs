//! A read-through cache that never keeps a value older than the last change it was notified of.

mod subject;

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kymograph_domain::{OrgId, Stream, StreamId};
use moka::sync::Cache;

use crate::kernel::change::ChangeListener;
use crate::kernel::error::Result;
use crate::kernel::feed_health::FeedHealth;
use subject::{OrgChanges, Subject};

const SHARDS: usize = 64;

/// The maximum age of cached rights on a server that missed the notification of a change.
pub const MAX_AGE: Duration = Duration::from_secs(30);

/// The state of a cache before a fetch of several values.
pub struct BeforeFetch {
    generations: Vec<u64>,
    since: u64,
}

/// Caches values that are read from the database, and declares which events invalidate them.
///
/// A plain cache can keep a stale value forever: a reader fetches the old row, a writer commits and invalidates, then
/// the reader stores the row it fetched. Here each key belongs to a shard with a generation; an invalidation increments
/// it, and a fetched value is stored only if the generation has not changed in the meantime.
pub struct ReadCache<K, V> {
    /// The values, each with the count of org changes before it was fetched.
    values: Cache<K, (u64, V)>,
    generations: Vec<Mutex<u64>>,
    hasher: RandomState,
    /// The health of the feed of changes; `None` if the cache does not depend on it.
    feed: Option<Arc<FeedHealth>>,
    subjects: Vec<Subject<K>>,
    changes: Option<OrgChanges<K, V>>,
    time_to_live: Option<Duration>,
}

impl<K, V> ReadCache<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// A cache of values up to a total weight, by the weight that `weigh` returns for each entry. Each value expires
    /// after `time_to_live`, which bounds its staleness if the notification of another server's change was lost.
    pub fn with_weight_for(max_weight: u64, time_to_live: Duration, weigh: fn(&K, &V) -> u32) -> Self {
        Self::new(max_weight, Some(time_to_live), weigh)
    }

    /// A cache of values up to a total weight, by the weight that `weigh` returns for each entry.
    pub fn with_weight(max_weight: u64, weigh: fn(&K, &V) -> u32) -> Self {
        Self::new(max_weight, None, weigh)
    }

    /// A cache of a limited number of values, each of which expires after `time_to_live`.
    #[must_use]
    pub fn with_entries_for(max_entries: u64, time_to_live: Duration) -> Self {
        Self::with_weight_for(max_entries, time_to_live, |_, _| 1)
    }

    /// A cache of a limited number of values.
    #[must_use]
    pub fn with_entries(max_entries: u64) -> Self {
        Self::with_weight(max_entries, |_, _| 1)
    }

    fn new(max_weight: u64, time_to_live: Option<Duration>, weigh: fn(&K, &V) -> u32) -> Self {
        let values =
            Cache::builder().max_capacity(max_weight).weigher(move |key, (_, value)| weigh(key, value));
        let values = match time_to_live {
            Some(time_to_live) => values.time_to_live(time_to_live),
            None => values,
        };
        let generations = (0..SHARDS).map(|_| Mutex::new(0)).collect();
        let (subjects, changes, feed) = (Vec::new(), None, None);
        let (values, hasher) = (values.build(), RandomState::new());
        Self { values, generations, hasher, feed, subjects, changes, time_to_live }
    }

    /// The same cache, which returns and stores nothing while the feed of changes is not live. Its earlier values are
    /// returned again once all notifications have arrived; if the connection was lost, the cache has to be emptied.
    #[must_use]
    pub fn while_live(self, feed: &Arc<FeedHealth>) -> Self {
        Self { feed: Some(feed.clone()), ..self }
    }

    /// The same cache, which drops a value with each event on an object of a noun. `key_of` makes its key from the org
    /// and the key of the object.
    #[must_use]
    pub fn dropped_by<A: Stream, I: FromStr + 'static>(self, key_of: fn(OrgId, I) -> K) -> Self {
        self.dropped_by_streams(move |org, stream| Some(key_of(org, stream.key_of::<A, I>()?)))
    }

    /// The same cache, which drops a value with each event on a stream for which `key_of` returns its key.
    #[must_use]
    pub fn dropped_by_streams(
        mut self,
        key_of: impl Fn(OrgId, &StreamId) -> Option<K> + Send + Sync + 'static,
    ) -> Self {
        self.subjects.push(Box::new(key_of));
        self
    }

    /// The same cache, which returns no value that an event on any object of some nouns has made stale. `is_stale`
    /// decides that by the orgs that had such an event since the value was fetched, so an event in one org does not
    /// affect values of other orgs.
    #[must_use]
    pub fn outdated_by(
        self,
        nouns: &'static [&'static str],
        is_stale: fn(&K, &V, &dyn Fn(OrgId) -> bool) -> bool,
    ) -> Self {
        let changes = OrgChanges::new(nouns, self.time_to_live, is_stale);
        Self { changes: Some(changes), ..self }
    }

    fn is_live(&self) -> bool {
        self.feed.as_ref().is_none_or(|feed| feed.is_live())
    }

    /// The count of org changes, to be read before a fetch.
    fn since(&self) -> u64 {
        self.changes.as_ref().map_or(0, OrgChanges::count)
    }

    /// The cached value.
    pub fn get(&self, key: &K) -> Option<V> {
        let (since, value) = self.values.get(key).filter(|_| self.is_live())?;
        let is_stale = self.changes.as_ref().is_some_and(|changes| changes.is_stale(key, &value, since));
        (!is_stale).then_some(value)
    }

    /// The cached value, or else the result of `fetch`, which is then cached. `None` is not cached.
    pub async fn get_or_fetch(
        &self,
        key: &K,
        fetch: impl Future<Output = Result<Option<V>>>,
    ) -> Result<Option<V>> {
        if let Some(value) = self.get(key) {
            return Ok(Some(value));
        }
        let (generation, since) = (*self.lock(key), self.since());
        let Some(value) = fetch.await? else { return Ok(None) };
        let current = self.lock(key);
        if *current == generation && self.is_live() {
            self.values.insert(key.clone(), (since, value.clone()));
        }
        drop(current);
        Ok(Some(value))
    }

    /// The state to be taken before values of several keys are fetched at once, for [`Self::keep`].
    #[must_use]
    pub fn before_fetch(&self) -> BeforeFetch {
        let generation = |shard: &Mutex<u64>| *shard.lock().unwrap_or_else(PoisonError::into_inner);
        let since = self.since();
        BeforeFetch { generations: self.generations.iter().map(generation).collect(), since }
    }

    /// Tells whether a key was invalidated after a fetch began.
    #[must_use]
    pub fn has_changed(&self, before: &BeforeFetch, key: &K) -> bool {
        before.generations.get(self.shard(key)) != Some(&*self.lock(key))
    }

    /// Stores a fetched value, unless its key was invalidated since the fetch began.
    pub fn keep(&self, before: &BeforeFetch, key: &K, value: V) {
        let current = self.lock(key);
        if before.generations.get(self.shard(key)) == Some(&*current) && self.is_live() {
            self.values.insert(key.clone(), (before.since, value));
        }
    }

    /// The cached values of some keys, and the results of `fetch` for the others, which are then cached.
    pub async fn get_many_or_fetch<F>(
        &self,
        keys: Vec<K>,
        fetch: impl FnOnce(Vec<K>) -> F,
    ) -> Result<HashMap<K, V>>
    where
        F: Future<Output = Result<Vec<(K, V)>>>,
    {
        let before = self.before_fetch();
        let (mut found, mut missing) = (HashMap::with_capacity(keys.len()), Vec::new());
        for key in keys {
            match self.get(&key) {
                Some(value) => drop(found.insert(key, value)),
                None => missing.push(key),
            }
        }
        if missing.is_empty() {
            return Ok(found);
        }
        for (key, value) in fetch(missing).await? {
            self.keep(&before, &key, value.clone());
            found.insert(key, value);
        }
        Ok(found)
    }

    /// Drops the value of a key, and the result of any fetch in progress for it.
    pub fn invalidate(&self, key: &K) {
        let mut generation = self.lock(key);
        *generation += 1;
        self.values.invalidate(key);
    }

    /// Stores a value that is newer than any cached one and any fetch in progress.
    pub fn replace(&self, key: &K, value: V) {
        let mut generation = self.lock(key);
        *generation += 1;
        if self.is_live() {
            self.values.insert(key.clone(), (self.since(), value));
        } else {
            self.values.invalidate(key);
        }
    }

    /// Drops all values, and the results of all fetches in progress.
    pub fn invalidate_all(&self) {
        for generation in &self.generations {
            *generation.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        }
        self.values.invalidate_all();
    }

    fn shard(&self, key: &K) -> usize {
        usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).unwrap_or_default()
    }

    fn lock(&self, key: &K) -> std::sync::MutexGuard<'_, u64> {
        self.generations[self.shard(key)].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, V> ReadCache<(OrgId, K), V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// The same cache, which returns no value of an org that was fetched before an event of that org on any object of
    /// some nouns.
    #[must_use]
    pub fn outdated_in_org_by(self, nouns: &'static [&'static str]) -> Self {
        self.outdated_by(nouns, |(org, _), _, has_changed| has_changed(*org))
    }
}

impl<K, V> ChangeListener for ReadCache<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    fn streams_changed(&self, org: OrgId, streams: &[StreamId]) {
        for stream in streams {
            let keys = self.subjects.iter().filter_map(|key_of| key_of(org, stream));
            keys.for_each(|key| self.invalidate(&key));
            if let Some(changes) = &self.changes {
                changes.note(org, stream);
            }
        }
    }

    fn everything_changed(&self) {
        self.invalidate_all();
    }
}

#[cfg(test)]
mod tests {
    use kymograph_domain::Uid;
    use kymograph_domain::content::folder::Folder;

    use super::*;

    #[tokio::test]
    async fn a_value_fetched_before_a_change_is_not_kept() {
        let cache = ReadCache::<u8, &str>::with_entries(10);
        let fetched = cache
            .get_or_fetch(&1, async {
                cache.invalidate(&1);
                Ok(Some("old"))
            })
            .await
            .unwrap();
        assert_eq!(fetched, Some("old"));
        assert_eq!(cache.get(&1), None);
    }

    #[test]
    fn of_several_values_those_that_changed_meanwhile_are_not_kept() {
        let cache = ReadCache::<u8, &str>::with_entries(10);
        let before = cache.before_fetch();
        cache.keep(&before, &1, "value");
        cache.invalidate(&1);
        assert_eq!(cache.get(&1), None);
        cache.keep(&before, &1, "old");
        assert_eq!(cache.get(&1), None);
        cache.keep(&cache.before_fetch(), &1, "new");
        assert_eq!(cache.get(&1), Some("new"));
    }

    #[tokio::test]
    async fn many_values_are_fetched_only_if_they_are_not_there() {
        let cache = ReadCache::<u8, &str>::with_entries(10);
        cache.replace(&1, "cached");
        let fetched = cache.get_many_or_fetch(vec![1, 2, 3], async |missing| {
            assert!(!missing.contains(&1) && missing.len() == 2);
            cache.invalidate(&3);
            Ok(vec![(2, "two"), (3, "old")])
        });
        let expected = HashMap::from([(1, "cached"), (2, "two"), (3, "old")]);
        assert_eq!(fetched.await.unwrap(), expected);
        assert_eq!((cache.get(&2), cache.get(&3)), (Some("two"), None));
    }

    #[tokio::test]
    async fn nothing_is_given_nor_kept_while_nothing_is_heard() {
        let feed = Arc::new(FeedHealth::default());
        let cache = ReadCache::<u8, &str>::with_entries(10).while_live(&feed);
        cache.replace(&1, "one");
        assert_eq!(cache.get(&1), Some("one"));
        feed.lost();
        assert_eq!(cache.get(&1), None);
        assert_eq!(cache.get_or_fetch(&2, async { Ok(Some("two")) }).await.unwrap(), Some("two"));
        cache.keep(&cache.before_fetch(), &3, "three");
        cache.replace(&1, "newer");
        feed.heard(feed.now());
        assert_eq!([1, 2, 3].map(|key| cache.get(&key)), [None, None, None]);
    }

    fn changed(org: i64, stream: &str) -> (OrgId, [StreamId; 1]) {
        (OrgId(org), [StreamId::from_stored(stream.to_owned())])
    }

    #[test]
    fn an_event_drops_what_its_object_is_cached_under() {
        let cache = ReadCache::<(OrgId, Uid), &str>::with_entries(10)
            .dropped_by::<Folder, Uid>(|org, uid| (org, uid));
        let key = |org| (OrgId(org), Uid::try_new("ops-1").unwrap());
        cache.replace(&key(1), "one");
        cache.replace(&key(2), "two");
        for (org, streams) in [changed(1, "dashboard-ops-1"), changed(1, "folder-ops"), changed(1, "folder-")]
        {
            cache.streams_changed(org, &streams);
        }
        assert_eq!(cache.get(&key(1)), Some("one"));
        let (org, streams) = changed(1, "folder-ops-1");
        cache.streams_changed(org, &streams);
        assert_eq!((cache.get(&key(1)), cache.get(&key(2))), (None, Some("two")));
    }

    #[tokio::test]
    async fn an_event_of_an_org_leaves_alone_what_belongs_to_others() {
        let cache = ReadCache::<(OrgId, u8), &str>::with_entries(10).outdated_in_org_by(&["team"]);
        let keys = [(OrgId(1), 1), (OrgId(1), 2), (OrgId(2), 1)];
        keys.iter().for_each(|key| cache.replace(key, "old"));
        let before = cache.before_fetch();
        let (org, streams) = changed(1, "team-5");
        cache.streams_changed(org, &streams);
        assert_eq!(keys.map(|key| cache.get(&key)), [None, None, Some("old")]);
        cache.keep(&before, &keys[0], "read before");
        assert_eq!(cache.get(&keys[0]), None);
        let read = cache.get_or_fetch(&keys[0], async { Ok(Some("new")) });
        assert_eq!((read.await.unwrap(), cache.get(&keys[0])), (Some("new"), Some("new")));
    }

    #[tokio::test]
    async fn keeps_what_did_not_change() {
        let cache = ReadCache::<u8, &str>::with_entries(10);
        cache.get_or_fetch(&1, async { Ok(Some("value")) }).await.unwrap();
        assert_eq!(cache.get(&1), Some("value"));
        cache.invalidate_all();
        assert_eq!(cache.get(&1), None);
    }
}
