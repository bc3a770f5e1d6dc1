//! Values that exist per org while they are in use, such as a lock or a semaphore.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use kymograph_domain::OrgId;

/// A value for each org that is in use. A value that is no longer held is dropped.
pub struct ByOrg<T>(Mutex<HashMap<OrgId, Weak<T>>>);

impl<T> Default for ByOrg<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> ByOrg<T> {
    /// The value of an org, created if it is not in use.
    pub fn get_or(&self, org: OrgId, make: impl FnOnce() -> T) -> Arc<T> {
        let mut by_org = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = by_org.get(&org).and_then(Weak::upgrade) {
            return value;
        }
        by_org.retain(|_, value| value.strong_count() > 0);
        let value = Arc::new(make());
        by_org.insert(org, Arc::downgrade(&value));
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shared_while_they_are_held_and_forgotten_then() {
        let values = ByOrg::default();
        let one = values.get_or(OrgId(1), || 1);
        assert!(Arc::ptr_eq(&one, &values.get_or(OrgId(1), || 2)));
        assert_eq!(*values.get_or(OrgId(2), || 3), 3);
        drop(one);
        assert_eq!(*values.get_or(OrgId(1), || 4), 4);
        assert_eq!(values.0.lock().unwrap().len(), 1);
    }
}
