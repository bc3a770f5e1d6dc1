//! One password check of an account at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedMutexGuard;

/// Accounts with a password check in progress. Concurrent guesses are counted one after the other, and of concurrent
/// correct passwords one is hashed and the others are found in the cache.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>);

/// The turn of one request, until it is dropped.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    account: String,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    /// Waits for the turn on an account.
    pub(super) async fn take(&self, account: &str) -> Turn<'_> {
        let mutex = self.lock().entry(account.to_owned()).or_default().clone();
        // Created before the wait, so that a request that is dropped while it waits leaves no entry.
        let mut turn = Turn { turns: self, account: account.to_owned(), guard: None };
        turn.guard = Some(mutex.lock_owned().await);
        turn
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<tokio::sync::Mutex<()>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut turns = self.turns.lock();
        self.guard.take();
        // Waiting requests hold a reference, too.
        if turns.get(&self.account).is_some_and(|turn| Arc::strong_count(turn) == 1) {
            turns.remove(&self.account);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn accounts_are_forgotten_when_nobody_waits() {
        let turns = Turns::default();
        let first = turns.take("ann").await;
        let _other = turns.take("bob").await;
        let mut waiting = Box::pin(turns.take("ann"));
        let mut dropped = Box::pin(turns.take("ann"));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert!(dropped.as_mut().now_or_never().is_none());
        drop(first);
        drop(waiting.await);
        drop(dropped);
        assert_eq!(turns.lock().len(), 1);
    }
}
