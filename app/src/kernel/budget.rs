//! A shared memory budget.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// A memory budget with a maximum share for each owner.
#[derive(Debug)]
pub struct Budget<K> {
    most: usize,
    share: usize,
    held: Mutex<Held<K>>,
}

#[derive(Debug)]
struct Held<K> {
    bytes: usize,
    by_owner: HashMap<K, usize>,
}

impl<K: Copy + Eq + Hash> Budget<K> {
    /// A budget of `most` bytes, of which each owner may hold up to `share`.
    #[must_use]
    pub fn new(most: usize, share: usize) -> Self {
        Self { most, share, held: Mutex::new(Held { bytes: 0, by_owner: HashMap::new() }) }
    }

    /// Charges bytes to an owner. Returns false if they exceed the owner's share or the budget.
    fn take(&self, owner: K, bytes: usize) -> bool {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let of_owner = held.by_owner.get(&owner).copied().unwrap_or_default() + bytes;
        if held.bytes + bytes > self.most || of_owner > self.share {
            return false;
        }
        held.bytes += bytes;
        held.by_owner.insert(owner, of_owner);
        true
    }

    fn give_back(&self, owner: K, bytes: usize) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.bytes = held.bytes.saturating_sub(bytes);
        if let Some(of_owner) = held.by_owner.get_mut(&owner) {
            *of_owner = of_owner.saturating_sub(bytes);
            if *of_owner == 0 {
                held.by_owner.remove(&owner);
            }
        }
    }
}

/// Bytes that are charged to a budget until this is dropped.
#[derive(Debug)]
pub struct Charge<K: Copy + Eq + Hash> {
    budget: Arc<Budget<K>>,
    owner: K,
    bytes: usize,
}

impl<K: Copy + Eq + Hash> Charge<K> {
    /// An empty charge.
    #[must_use]
    pub fn new(budget: Arc<Budget<K>>, owner: K) -> Self {
        Self { budget, owner, bytes: 0 }
    }

    /// The owner that is charged.
    pub fn owner(&self) -> K {
        self.owner
    }

    /// Grows the charge to this many bytes. Returns false if the budget has no room for them.
    #[must_use]
    pub fn try_grow_to(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        let is_taken = self.budget.take(self.owner, more);
        self.bytes += if is_taken { more } else { 0 };
        is_taken
    }
}

impl<K: Copy + Eq + Hash> Drop for Charge<K> {
    fn drop(&mut self) {
        self.budget.give_back(self.owner, self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_have_a_share_and_leave_the_rest_to_others() {
        let budget = Arc::new(Budget::new(100, 40));
        let charge = |owner: u8, bytes| {
            let mut charge = Charge::new(budget.clone(), owner);
            charge.try_grow_to(bytes).then_some(charge)
        };
        let mut held = charge(1, 30).unwrap();
        assert!(held.try_grow_to(40) && !held.try_grow_to(41));
        assert!(charge(1, 1).is_none());
        let others = (charge(2, 40).unwrap(), charge(3, 20).unwrap());
        assert!(charge(4, 1).is_none());
        drop(held);
        assert!(charge(1, 40).is_some());
        drop(others);
        assert!(budget.held.lock().unwrap().by_owner.is_empty());
        assert_eq!(budget.held.lock().unwrap().bytes, 0);
    }
}
