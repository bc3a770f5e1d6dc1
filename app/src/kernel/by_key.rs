//! Values that exist per key, such as an org, while they are in use, such as a lock or a semaphore.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use kymograph_domain::OrgId;

/// A value for each key that is in use. A value that is no longer held is dropped.
pub struct ByKey<K, T>(Mutex<HashMap<K, Weak<T>>>);

/// A value for each org that is in use.
pub type ByOrg<T> = ByKey<OrgId, T>;

impl<K, T> Default for ByKey<K, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, T> ByKey<K, T> {
    /// The value of a key, created if it is not in use.
    pub fn get_or(&self, key: K, make: impl FnOnce() -> T) -> Arc<T> {
        let mut by_key = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = by_key.get(&key).and_then(Weak::upgrade) {
            return value;
        }
        by_key.retain(|_, value| value.strong_count() > 0);
        let value = Arc::new(make());
        by_key.insert(key, Arc::downgrade(&value));
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shared_while_they_are_held_and_forgotten_then() {
        let values = ByKey::default();
        let one = values.get_or(OrgId(1), || 1);
        assert!(Arc::ptr_eq(&one, &values.get_or(OrgId(1), || 2)));
        assert_eq!(*values.get_or(OrgId(2), || 3), 3);
        drop(one);
        assert_eq!(*values.get_or(OrgId(1), || 4), 4);
        assert_eq!(values.0.lock().unwrap().len(), 1);
    }
}
