//! Resolves a host to the addresses that may be connected to.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;

use super::{EgressPolicy, Refusal};

/// The maximum number of concurrent lookups. A lookup by the system blocks a thread and cannot be cancelled, and other
/// work of the server uses the same thread pool.
pub(crate) const LOOKUPS: usize = 64;

/// The maximum number of addresses of a name that are tried.
const MAX_ADDRESSES: usize = 16;

/// Resolves names.
pub trait Names: Send + Sync {
    /// All addresses of a host.
    fn look_up(&self, host: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// Why no address can be connected to.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The policy refuses the host.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The name cannot be resolved.
    #[error("the name {host} has no address")]
    Unknown {
        /// The host.
        host: String,
        /// The error of the system.
        source: io::Error,
    },
}

/// The egress: resolves names, and returns the addresses that the policy allows. A caller that connects to exactly
/// those cannot be redirected by a name that changes its address between the check and the connection.
#[derive(Clone)]
pub struct Egress {
    policy: Arc<EgressPolicy>,
    names: Arc<dyn Names>,
}

impl Egress {
    /// An egress with the resolver of the system.
    #[must_use]
    pub fn new(policy: EgressPolicy) -> Self {
        Self::with_names(policy, Arc::new(SystemNames { lookups: Arc::new(Semaphore::new(LOOKUPS)) }))
    }

    /// An egress with another resolver.
    #[must_use]
    pub fn with_names(policy: EgressPolicy, names: Arc<dyn Names>) -> Self {
        Self { policy: Arc::new(policy), names }
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &EgressPolicy {
        &self.policy
    }

    /// The allowed addresses of a host, which is a name or an address. There is at least one.
    pub async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, ResolveError> {
        let addresses = self.look_up(host).await?;
        let mut refusal = None;
        let mut allowed = Vec::new();
        for address in addresses.into_iter().take(MAX_ADDRESSES) {
            match self.policy.check_address(host, address) {
                Ok(()) => allowed.push(SocketAddr::new(address, port)),
                Err(reason) => refusal = Some(reason),
            }
        }
        match refusal {
            Some(reason) if allowed.is_empty() => Err(reason.into()),
            _ if allowed.is_empty() => Err(unknown(host, io::ErrorKind::NotFound.into())),
            _ => Ok(allowed),
        }
    }

    /// The addresses of a host that the operator configured, which the policy does not apply to.
    pub(crate) async fn resolve_trusted(
        &self,
        host: &str,
        port: u16,
    ) -> Result<Vec<SocketAddr>, ResolveError> {
        let addresses = self.look_up(host).await?;
        Ok(addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect())
    }

    async fn look_up(&self, host: &str) -> Result<Vec<IpAddr>, ResolveError> {
        let literal = host.trim_start_matches('[').trim_end_matches(']');
        match literal.parse() {
            Ok(address) => Ok(vec![address]),
            Err(_) => self.names.look_up(host).await.map_err(|error| unknown(host, error)),
        }
    }
}

fn unknown(host: &str, source: io::Error) -> ResolveError {
    ResolveError::Unknown { host: host.to_owned(), source }
}

/// The resolver of the system.
struct SystemNames {
    lookups: Arc<Semaphore>,
}

impl Names for SystemNames {
    fn look_up(&self, host: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let (lookups, host) = (self.lookups.clone(), host.to_owned());
        async move {
            let permit = lookups.acquire_owned().await.map_err(io::Error::other)?;
            let work = tokio::task::spawn_blocking(move || {
                // The thread may outlive the request, so the permit goes with the thread.
                let _permit = permit;
                let addresses = (host.as_str(), 0).to_socket_addrs()?;
                Ok(addresses.map(|address| address.ip()).collect())
            });
            work.await.map_err(io::Error::other)?
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::*;

    struct Fixed(Vec<IpAddr>);

    impl Names for Fixed {
        fn look_up(&self, _: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
            ready(Ok(self.0.clone())).boxed()
        }
    }

    fn egress(addresses: &[&str]) -> Egress {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        Egress::with_names(EgressPolicy::default(), Arc::new(Fixed(addresses)))
    }

    #[tokio::test]
    async fn only_allowed_addresses_are_given() {
        let mixed = egress(&["10.0.0.1", "93.184.215.14", "::1"]).resolve("host", 80).await.unwrap();
        assert_eq!(mixed, ["93.184.215.14:80".parse().unwrap()]);
        let refused = egress(&["10.0.0.1"]).resolve("host", 80).await.unwrap_err();
        assert!(matches!(refused, ResolveError::Refused(Refusal::Address { .. })));
        let none = egress(&[]).resolve("host", 80).await.unwrap_err();
        assert_eq!(none.to_string(), "the name host has no address");
    }

    #[tokio::test]
    async fn addresses_are_checked_without_a_look_up() {
        let egress = egress(&["93.184.215.14"]);
        for address in ["127.0.0.1", "[::1]", "::ffff:127.0.0.1", "169.254.169.254"] {
            assert!(matches!(egress.resolve(address, 80).await, Err(ResolveError::Refused(_))), "{address}");
        }
    }

    #[tokio::test]
    async fn the_system_knows_the_machine_itself_by_every_notation() {
        let policy = EgressPolicy::default();
        for host in ["localhost", "127.1", "0x7f000001", "2130706433", "017700000001"] {
            let refused = Egress::new(policy.clone()).resolve(host, 80).await.unwrap_err();
            assert!(matches!(refused, ResolveError::Refused(_)), "{host}: {refused}");
        }
    }
}
