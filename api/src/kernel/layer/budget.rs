//! A memory budget for request bodies in flight, with a share for each org, or for each client address on public
//! routes. A body that does not fit is rejected: waiting would let slow uploads block fast ones.

use std::net::IpAddr;
use std::sync::Arc;

use kymograph_app::Error;
use kymograph_app::kernel::budget::{Budget, Charge};
use kymograph_app::kernel::client_network::network_of_client_at;
use kymograph_app::kernel::error::overload;
use kymograph_app::kernel::log_limit::LogLimit;
use kymograph_domain::OrgId;
use kymograph_domain::kernel::json::PADDING;

/// The limit of bytes in flight in all orgs.
pub(crate) const MAX_BYTES: usize = 48 * 1024 * 1024;
/// The limit of bytes of small bodies in flight in all orgs.
pub(crate) const MAX_SMALL_BYTES: usize = 16 * 1024 * 1024;
/// The limit of bytes in flight on public routes.
pub(crate) const MAX_PUBLIC_BYTES: usize = 8 * 1024 * 1024;
/// The limit of those per address.
pub(crate) const MAX_BYTES_OF_ADDRESS: usize = 256 * 1024;

/// The owner of a share of the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    Org(OrgId),
    Address(IpAddr),
}

impl Owner {
    /// The owner of a body on a public route. Unparsable addresses share one budget.
    pub(crate) fn of_address(address: &str) -> Self {
        Self::Address(network_of_client_at(address))
    }
}

/// A budget for bodies of orgs. An org gets a quarter of it, and always one body of maximum size.
pub(crate) fn of_orgs(max_body_bytes: usize) -> Arc<Budget<Owner>> {
    let most = MAX_BYTES.max(2 * (max_body_bytes + PADDING));
    Arc::new(Budget::new(most, (most / 4).max(max_body_bytes + PADDING)))
}

/// A budget for small bodies of orgs.
pub(crate) fn of_small() -> Arc<Budget<Owner>> {
    Arc::new(Budget::new(MAX_SMALL_BYTES, MAX_SMALL_BYTES / 4))
}

/// A budget for bodies on public routes.
pub(crate) fn of_public() -> Arc<Budget<Owner>> {
    Arc::new(Budget::new(MAX_PUBLIC_BYTES, MAX_BYTES_OF_ADDRESS))
}

/// Resizes the reservation of a body. It fails if the budget is exhausted.
pub(crate) fn grow_to(charge: &mut Charge<Owner>, bytes: usize) -> Result<(), Error> {
    static LIMIT: LogLimit = LogLimit::new();
    if charge.try_grow_to(bytes) {
        return Ok(());
    }
    if let Some(suppressed) = LIMIT.admit() {
        let owner = charge.owner();
        tracing::warn!(?owner, suppressed, "the memory budget for request bodies is exhausted");
    }
    Err(Error::overloaded(overload::BODIES, "Too many large requests at once, try again shortly"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn charge(budget: &Arc<Budget<Owner>>, owner: Owner, bytes: usize) -> Option<Charge<Owner>> {
        let mut charge = Charge::new(budget.clone(), owner);
        grow_to(&mut charge, bytes).ok().map(|()| charge)
    }

    #[test]
    fn an_org_gets_a_quarter_and_always_the_largest_body() {
        let org = |id| Owner::Org(OrgId(id));
        let budget = of_orgs(1024);
        assert!(charge(&budget, org(1), MAX_BYTES / 4).is_some());
        assert!(charge(&budget, org(1), MAX_BYTES / 4 + 1).is_none());
        assert!(charge(&of_orgs(MAX_BYTES), org(1), MAX_BYTES + PADDING).is_some());
    }

    #[test]
    fn an_address_gets_its_share_and_a_network_is_one_address() {
        let budget = of_public();
        let (one, neighbour) = (Owner::of_address("2001:db8::1"), Owner::of_address("2001:db8::2:3"));
        let _held = charge(&budget, one, MAX_BYTES_OF_ADDRESS).unwrap();
        assert!(charge(&budget, neighbour, 1).is_none());
        assert!(charge(&budget, Owner::of_address("192.0.2.1"), 1).is_some());
        assert!(charge(&budget, Owner::of_address("?"), 1).is_some());
    }
}
