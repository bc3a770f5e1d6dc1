//! The limit of connections to all sources, and of those to the sources of one org.

use std::sync::Arc;

use kymograph_app::kernel::by_key::ByOrg;
use kymograph_domain::OrgId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The maximum number of connections to all sources.
pub const MAX_CONNECTIONS_OF_ALL: usize = 200;
/// The maximum number of connections to the sources of an org.
pub const MAX_CONNECTIONS_OF_ORG: usize = 40;

/// The available connections.
pub(super) struct Shares {
    of_all: Arc<Semaphore>,
    of_org: ByOrg<Semaphore>,
}

/// A permit for one connection, released when it is dropped.
pub(super) struct Share {
    _of_org: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Default for Shares {
    fn default() -> Self {
        Self { of_all: Arc::new(Semaphore::new(MAX_CONNECTIONS_OF_ALL)), of_org: ByOrg::default() }
    }
}

impl Shares {
    /// A permit for one more connection; `None` if a limit is reached.
    pub(super) fn take(&self, org: OrgId) -> Option<Share> {
        let of_org = self.of_org.get_or(org, || Semaphore::new(MAX_CONNECTIONS_OF_ORG));
        let of_org = of_org.try_acquire_owned().ok()?;
        let of_all = self.of_all.clone().try_acquire_owned().ok()?;
        Some(Share { _of_org: of_org, _of_all: of_all })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_org_has_more_than_its_share_and_all_no_more_than_there_are() {
        let shares = Shares::default();
        let mut held: Vec<_> = (0..MAX_CONNECTIONS_OF_ORG).map(|_| shares.take(OrgId(1)).unwrap()).collect();
        assert!(shares.take(OrgId(1)).is_none());
        for number in MAX_CONNECTIONS_OF_ORG..MAX_CONNECTIONS_OF_ALL {
            let org = OrgId(i64::try_from(2 + number / MAX_CONNECTIONS_OF_ORG).unwrap());
            held.push(shares.take(org).unwrap());
        }
        assert!(shares.take(OrgId(100)).is_none());
        held.truncate(1);
        assert!(shares.take(OrgId(100)).is_some() && shares.take(OrgId(1)).is_some());
    }
}
