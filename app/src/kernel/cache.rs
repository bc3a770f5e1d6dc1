//! A read-through cache that never keeps a value older than the last change it was told of.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moka::sync::Cache;

use crate::kernel::error::Result;
use crate::kernel::feed_health::FeedHealth;

const SHARDS: usize = 64;

/// How old rights can be that a server goes by, if it missed the word of another one that changed them.
pub const MAX_AGE: Duration = Duration::from_secs(30);

/// What a cache knew before a fetch of several values began.
pub struct BeforeFetch(Vec<u64>);

/// Caches values that are read from the database.
///
/// A plain cache can keep a stale value for ever: a reader fetches the old row, a writer commits and
/// invalidates, then the reader stores what it fetched. Here each key belongs to a shard with a generation;
/// an invalidation raises it, and a fetched value is stored only if the generation has not moved meanwhile.
pub struct ReadCache<K, V> {
    values: Cache<K, V>,
    generations: Vec<Mutex<u64>>,
    hasher: RandomState,
    /// Whether the cache is told of changes.
    feed: Option<Arc<FeedHealth>>,
}

impl<K, V> ReadCache<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// A cache that holds values up to a total weight, which `weigh` gives for each entry.
    pub fn with_weight(max_weight: u64, weigh: fn(&K, &V) -> u32) -> Self {
        Self::over(Cache::builder().max_capacity(max_weight).weigher(weigh).build())
    }

    fn over(values: Cache<K, V>) -> Self {
        let generations = (0..SHARDS).map(|_| Mutex::new(0)).collect();
        Self { values, generations, hasher: RandomState::new(), feed: None }
    }

    /// The same cache, which gives and keeps nothing while no word of changes could reach it. What it held before it gives
    /// again if all of them have reached it in the end; where the connection was lost, somebody empties it.
    #[must_use]
    pub fn while_live(self, feed: &Arc<FeedHealth>) -> Self {
        Self { feed: Some(feed.clone()), ..self }
    }

    fn is_live(&self) -> bool {
        self.feed.as_ref().is_none_or(|feed| feed.is_live())
    }

    /// A cache that holds values up to a total weight, each for so long at most.
    pub fn with_weight_for(max_weight: u64, time_to_live: Duration, weigh: fn(&K, &V) -> u32) -> Self {
        Self::over(
            Cache::builder().max_capacity(max_weight).weigher(weigh).time_to_live(time_to_live).build(),
        )
    }

    /// A cache that holds up to a number of values, each for so long at most: what another server changed counts then even
    /// if its word of that was lost.
    #[must_use]
    pub fn with_entries_for(max_entries: u64, time_to_live: Duration) -> Self {
        Self::over(Cache::builder().max_capacity(max_entries).time_to_live(time_to_live).build())
    }

    /// A cache that holds up to a number of values.
    #[must_use]
    pub fn with_entries(max_entries: u64) -> Self {
        Self::with_weight(max_entries, |_, _| 1)
    }

    /// The cached value.
    pub fn get(&self, key: &K) -> Option<V> {
        if self.is_live() { self.values.get(key) } else { None }
    }

    /// The cached value, or else what `fetch` finds, which is then cached. `None` is not cached.
    pub async fn get_or_fetch(
        &self,
        key: &K,
        fetch: impl Future<Output = Result<Option<V>>>,
    ) -> Result<Option<V>> {
        if let Some(value) = self.get(key) {
            return Ok(Some(value));
        }
        let generation = *self.lock(key);
        let Some(value) = fetch.await? else { return Ok(None) };
        let current = self.lock(key);
        if *current == generation && self.is_live() {
            self.values.insert(key.clone(), value.clone());
        }
        drop(current);
        Ok(Some(value))
    }

    /// What is remembered before values of several keys are fetched at once, to [`Self::keep`] them.
    #[must_use]
    pub fn before_fetch(&self) -> BeforeFetch {
        let generation = |shard: &Mutex<u64>| *shard.lock().unwrap_or_else(PoisonError::into_inner);
        BeforeFetch(self.generations.iter().map(generation).collect())
    }

    /// Tells whether a key was invalidated after a fetch began.
    #[must_use]
    pub fn has_changed(&self, before: &BeforeFetch, key: &K) -> bool {
        before.0.get(self.shard(key)) != Some(&*self.lock(key))
    }

    /// Keeps a fetched value, unless its key was invalidated since the fetch began.
    pub fn keep(&self, before: &BeforeFetch, key: &K, value: V) {
        let current = self.lock(key);
        if before.0.get(self.shard(key)) == Some(&*current) && self.is_live() {
            self.values.insert(key.clone(), value);
        }
    }

    /// The cached values of some keys, and of the others what `fetch` finds, which is then cached.
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

    /// Drops the value of a key, and whatever is being fetched for it.
    pub fn invalidate(&self, key: &K) {
        let mut generation = self.lock(key);
        *generation += 1;
        self.values.invalidate(key);
    }

    /// Puts a value that is newer than any that is cached or being fetched.
    pub fn replace(&self, key: &K, value: V) {
        let mut generation = self.lock(key);
        *generation += 1;
        if self.is_live() {
            self.values.insert(key.clone(), value);
        } else {
            self.values.invalidate(key);
        }
    }

    /// Drops all values, and whatever is being fetched.
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

#[cfg(test)]
mod tests {
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

    #[tokio::test]
    async fn keeps_what_did_not_change() {
        let cache = ReadCache::<u8, &str>::with_entries(10);
        cache.get_or_fetch(&1, async { Ok(Some("value")) }).await.unwrap();
        assert_eq!(cache.get(&1), Some("value"));
        cache.invalidate_all();
        assert_eq!(cache.get(&1), None);
    }
}
