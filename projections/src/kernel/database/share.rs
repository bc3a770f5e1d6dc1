//! Shares of the connections for reading, so that no tenant can take all of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kymograph_app::kernel::error::overload;
use kymograph_app::kernel::log_limit::LogLimit;
use kymograph_app::{Error, Result};
use kymograph_domain::OrgId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The number of locks among which the claimants are divided.
const SHARDS: usize = 64;

/// The number of connections that one org may use at a time: half of all.
#[must_use]
pub fn share_of(connections: usize) -> usize {
    (connections / 2).max(1)
}

/// A user of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Claimant {
    /// Requests for one org; with [`OrgId::SERVER`] those for data without a tenant.
    Org(OrgId),
    /// Unauthenticated requests.
    Guests,
    /// Background work.
    Background,
}

impl Claimant {
    /// Whether it has to leave a connection for data without a tenant, which logins need.
    fn is_tenant(self) -> bool {
        self != Self::Org(OrgId::SERVER)
    }
}

/// The claimants that use connections or wait for them; others have no entry.
type Shard = HashMap<Claimant, Arc<Semaphore>>;

/// The connections, divided into shares.
pub(super) struct Shares {
    each: usize,
    /// All connections but one, unless there is only one.
    tenants: Arc<Semaphore>,
    shards: [Mutex<Shard>; SHARDS],
}

impl Shares {
    /// Shares of `connections`.
    pub(super) fn of(connections: usize) -> Self {
        Self {
            each: share_of(connections),
            tenants: Arc::new(Semaphore::new(connections.saturating_sub(1).max(1))),
            shards: std::array::from_fn(|_| Mutex::default()),
        }
    }

    fn shard(&self, claimant: Claimant) -> MutexGuard<'_, Shard> {
        let number = match claimant {
            Claimant::Org(org) => org.0.unsigned_abs(),
            Claimant::Guests | Claimant::Background => 0,
        };
        let shard = &self.shards[usize::try_from(number).unwrap_or_default() % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A permit from the share of a claimant, for one connection. Claims are served in order.
    pub(super) async fn claim(self: &Arc<Self>, claimant: Claimant, wait: Duration) -> Result<Share> {
        let semaphore = {
            let mut shard = self.shard(claimant);
            shard.entry(claimant).or_insert_with(|| Arc::new(Semaphore::new(self.each))).clone()
        };
        let mut share = Share { shares: self.clone(), claimant, semaphore, is_held: false };
        match tokio::time::timeout(wait, share.semaphore.acquire()).await {
            Ok(permit) => permit.map_err(Error::internal)?.forget(),
            Err(_) => return Err(self.refuse(claimant)),
        }
        share.is_held = true;
        Ok(share)
    }

    /// A permit from the connections of all tenants.
    pub(super) async fn claim_as_tenant(&self, claimant: Claimant) -> Result<Option<OwnedSemaphorePermit>> {
        if !claimant.is_tenant() {
            return Ok(None);
        }
        self.tenants.clone().acquire_owned().await.map(Some).map_err(Error::internal)
    }

    fn refuse(&self, claimant: Claimant) -> Error {
        static LIMIT: LogLimit = LogLimit::new();
        if let Some(suppressed) = LIMIT.admit() {
            let limit = self.each;
            tracing::warn!(
                ?claimant,
                limit,
                suppressed,
                "an org uses its whole share of the database connections"
            );
        }
        Error::overloaded(overload::READS, "Too many reads of this organization at once, try again shortly")
    }
}

/// A permit from the share of a claimant, or a place in the queue for one.
pub(super) struct Share {
    shares: Arc<Shares>,
    claimant: Claimant,
    semaphore: Arc<Semaphore>,
    is_held: bool,
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.is_held {
            self.semaphore.add_permits(1);
        }
        let mut shard = self.shares.shard(self.claimant);
        // One reference is here and one in the map. Others are only cloned from the latter, under this lock.
        if Arc::strong_count(&self.semaphore) == 2 {
            shard.remove(&self.claimant);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_millis(20);
    const ORG: Claimant = Claimant::Org(OrgId(1));

    fn known(shares: &Shares) -> usize {
        shares.shards.iter().map(|shard| shard.lock().unwrap().len()).sum()
    }

    #[test]
    fn a_share_is_half_and_at_least_one() {
        assert_eq!([1, 2, 3, 8, 9].map(share_of), [1, 1, 1, 4, 4]);
    }

    #[tokio::test]
    async fn who_has_a_share_waits_for_more_and_others_do_not() {
        let shares = Arc::new(Shares::of(4));
        let first = shares.claim(ORG, WAIT).await.unwrap();
        let second = shares.claim(ORG, WAIT).await.unwrap();
        let refused = shares.claim(ORG, WAIT).await.err().unwrap();
        assert_eq!(refused.code(), Some(overload::READS));
        let other = shares.claim(Claimant::Org(OrgId(2)), WAIT).await.unwrap();
        let background = shares.claim(Claimant::Background, WAIT).await.unwrap();
        drop(first);
        let third = shares.claim(ORG, WAIT).await.unwrap();
        assert_eq!(known(&shares), 3);
        drop((second, third, other, background));
        assert_eq!(known(&shares), 0);
    }

    #[tokio::test]
    async fn who_stops_waiting_leaves_nothing() {
        let shares = Arc::new(Shares::of(2));
        let held = shares.claim(ORG, WAIT).await.unwrap();
        assert!(tokio::time::timeout(WAIT, shares.claim(ORG, WAIT * 100)).await.is_err());
        drop(held);
        assert_eq!(known(&shares), 0);
        let next = shares.claim(ORG, WAIT).await.unwrap();
        assert_eq!(next.semaphore.available_permits(), 0);
    }

    #[tokio::test]
    async fn tenants_leave_one_connection_to_what_belongs_to_none() {
        let shares = Shares::of(2);
        let held = shares.claim_as_tenant(ORG).await.unwrap();
        assert!(held.is_some());
        assert!(tokio::time::timeout(WAIT, shares.claim_as_tenant(Claimant::Background)).await.is_err());
        assert!(shares.claim_as_tenant(Claimant::Org(OrgId::SERVER)).await.unwrap().is_none());
        drop(held);
        assert!(shares.claim_as_tenant(ORG).await.unwrap().is_some());
    }
}
