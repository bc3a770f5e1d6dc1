//! A budget for the memory of request bodies under way, with a share for each org, or for each client address on public
//! routes. A body that does not fit is refused: to wait would let slow uploads block fast ones.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use kymograph_app::Error;
use kymograph_app::client_network::network_of_client_at;
use kymograph_app::error::overload;
use kymograph_app::log_limit::LogLimit;
use kymograph_domain::OrgId;
use kymograph_domain::json::PADDING;

/// How many bytes of bodies there may be under way in all orgs.
pub(crate) const MAX_BYTES: usize = 48 * 1024 * 1024;
/// How many bytes of small bodies there may be under way in all orgs.
pub(crate) const MAX_SMALL_BYTES: usize = 16 * 1024 * 1024;
/// How many bytes of bodies there may be under way on public routes.
pub(crate) const MAX_PUBLIC_BYTES: usize = 8 * 1024 * 1024;
/// How many of those may come from one address.
pub(crate) const MAX_BYTES_OF_ADDRESS: usize = 256 * 1024;

/// Whose share of the budget a body uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    Org(OrgId),
    Address(IpAddr),
}

impl Owner {
    /// The owner of a body on a public route. Addresses that cannot be parsed share one budget.
    pub(crate) fn of_address(address: &str) -> Self {
        Self::Address(network_of_client_at(address))
    }
}

/// An amount of memory that is shared.
#[derive(Debug)]
pub(crate) struct Budget {
    most: usize,
    share: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    bytes: usize,
    by_owner: HashMap<Owner, usize>,
}

impl Budget {
    /// A budget for bodies of orgs. An org may hold a quarter of it, and always one of the largest bodies.
    pub(crate) fn of_orgs(max_body_bytes: usize) -> Self {
        let most = MAX_BYTES.max(2 * (max_body_bytes + PADDING));
        Self { most, share: (most / 4).max(max_body_bytes + PADDING), held: Mutex::default() }
    }

    /// A budget for small bodies of orgs.
    pub(crate) fn of_small() -> Self {
        Self { most: MAX_SMALL_BYTES, share: MAX_SMALL_BYTES / 4, held: Mutex::default() }
    }

    /// A budget for bodies on public routes.
    pub(crate) fn of_public() -> Self {
        Self { most: MAX_PUBLIC_BYTES, share: MAX_BYTES_OF_ADDRESS, held: Mutex::default() }
    }

    /// Takes bytes out of an owner's share, if they are there.
    fn take(&self, owner: Owner, bytes: usize) -> bool {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let of_owner = held.by_owner.get(&owner).copied().unwrap_or_default() + bytes;
        if held.bytes + bytes > self.most || of_owner > self.share {
            return false;
        }
        held.bytes += bytes;
        held.by_owner.insert(owner, of_owner);
        true
    }

    fn give_back(&self, owner: Owner, bytes: usize) {
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

/// The bytes that one body takes out of a budget, until this is dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    budget: Arc<Budget>,
    owner: Owner,
    bytes: usize,
}

impl Charge {
    /// Nothing yet.
    pub(crate) fn new(budget: Arc<Budget>, owner: Owner) -> Self {
        Self { budget, owner, bytes: 0 }
    }

    /// Makes it so many bytes. It fails if there are not as many.
    pub(crate) fn grow_to(&mut self, bytes: usize) -> Result<(), Error> {
        let more = bytes.saturating_sub(self.bytes);
        if !self.budget.take(self.owner, more) {
            static LIMIT: LogLimit = LogLimit::new();
            if let Some(suppressed) = LIMIT.admit() {
                let owner = self.owner;
                tracing::warn!(?owner, suppressed, "the budget for request bodies under way is used up");
            }
            let message = "Too many large requests at once, try again shortly";
            return Err(Error::overloaded(overload::BODIES, message));
        }
        self.bytes += more;
        Ok(())
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.give_back(self.owner, self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn charge(budget: &Arc<Budget>, owner: Owner, bytes: usize) -> Option<Charge> {
        let mut charge = Charge::new(budget.clone(), owner);
        charge.grow_to(bytes).ok().map(|()| charge)
    }

    #[test]
    fn an_org_gets_a_quarter_and_leaves_the_rest_to_others() {
        const SHARE: usize = MAX_BYTES / 4;
        let budget = Arc::new(Budget::of_orgs(1024));
        let org = |id| Owner::Org(OrgId(id));
        let held = charge(&budget, org(1), SHARE).unwrap();
        assert!(charge(&budget, org(1), 1).is_none());
        let others: Vec<_> = (2..5).map(|id| charge(&budget, org(id), SHARE).unwrap()).collect();
        assert!(charge(&budget, org(5), 1).is_none());
        drop(held);
        assert!(charge(&budget, org(1), SHARE).is_some());
        drop(others);
        assert_eq!(*budget.held.lock().unwrap().by_owner.keys().collect::<Vec<_>>(), Vec::<&Owner>::new());
    }

    #[test]
    fn the_largest_body_fits_whatever_its_size() {
        let budget = Arc::new(Budget::of_orgs(MAX_BYTES));
        assert!(charge(&budget, Owner::Org(OrgId(1)), MAX_BYTES + PADDING).is_some());
    }

    #[test]
    fn an_address_gets_its_share_and_a_network_is_one_address() {
        let budget = Arc::new(Budget::of_public());
        let (one, neighbour) = (Owner::of_address("2001:db8::1"), Owner::of_address("2001:db8::2:3"));
        let _held = charge(&budget, one, MAX_BYTES_OF_ADDRESS).unwrap();
        assert!(charge(&budget, neighbour, 1).is_none());
        assert!(charge(&budget, Owner::of_address("192.0.2.1"), 1).is_some());
        assert!(charge(&budget, Owner::of_address("?"), 1).is_some());
    }
}
