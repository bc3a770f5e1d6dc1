//! The client address of a request, also behind proxies.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;

/// The header to which each proxy appends the address that it got the request from.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// How many proxies are followed.
const MAX_HOPS: usize = 16;

/// An address or a network of addresses, like `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpNet);

/// The text is not a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkError;

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let address = || text.parse::<IpAddr>().map(IpNet::from);
        let given: IpNet = text.parse().or_else(|_| address()).map_err(|_| NetworkError)?;
        // Peers are compared in canonical form, so networks must have it as well.
        let address = given.addr().to_canonical();
        let mapped = given.max_prefix_len() - IpNet::from(address).max_prefix_len();
        let prefix = given.prefix_len().checked_sub(mapped).ok_or(NetworkError)?;
        IpNet::new(address, prefix).map(Self).map_err(|_| NetworkError)
    }
}

impl Network {
    /// Whether it contains an address.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

/// The client address of a request. The address of the peer is reliable; its header only if it is a trusted proxy, and
/// so on from right to left. Anything before that can be forged.
pub(super) fn client_address(peer: IpAddr, headers: &HeaderMap, proxies: &[Network]) -> String {
    let is_trusted = |address| proxies.iter().any(|network| network.contains(address));
    let mut client = peer.to_canonical();
    let lists = headers.get_all(FORWARDED_FOR).iter().rev();
    let mut hops = lists.flat_map(|list| list.to_str().unwrap_or_default().rsplit(',')).take(MAX_HOPS);
    while is_trusted(client)
        && let Some(before) = hops.next().and_then(hop)
    {
        client = before;
    }
    client.to_string()
}

/// The address of a hop, to which some proxies add a port.
fn hop(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    text.parse().ok().or_else(with_port).or_else(bracketed).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(peer: &str, lists: &[&str], proxies: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for list in lists {
            headers.append(FORWARDED_FOR, list.parse().unwrap());
        }
        let proxies: Vec<_> = proxies.iter().map(|network| network.parse().unwrap()).collect();
        client_address(peer.parse().unwrap(), &headers, &proxies)
    }

    #[test]
    fn who_is_not_trusted_is_not_asked() {
        assert_eq!(address("9.9.9.9", &["1.1.1.1"], &[]), "9.9.9.9");
        assert_eq!(address("9.9.9.9", &["1.1.1.1"], &["10.0.0.0/8"]), "9.9.9.9");
        assert_eq!(address("10.1.2.3", &[], &["10.0.0.0/8"]), "10.1.2.3");
    }

    #[test]
    fn trusted_proxies_are_followed_from_the_right() {
        let proxies = ["10.0.0.0/8", "fd00::/8"];
        assert_eq!(address("10.1.2.3", &["1.1.1.1"], &proxies), "1.1.1.1");
        assert_eq!(address("::ffff:10.1.2.3", &["6.6.6.6, 1.1.1.1, 10.9.9.9"], &proxies), "1.1.1.1");
        assert_eq!(
            address("fd00::1", &["6.6.6.6", "2001:db8::1,10.9.9.9:443", "[fd00::2]"], &proxies),
            "2001:db8::1"
        );
        assert_eq!(address("10.1.2.3", &["10.0.0.1,10.0.0.2"], &proxies), "10.0.0.1");
    }

    #[test]
    fn what_is_no_address_ends_the_way() {
        let proxies = ["10.0.0.0/8"];
        for list in ["1.1.1.1, unknown", "1.1.1.1,", "", "1.1.1.1, 10.0.0.300"] {
            assert_eq!(address("10.1.2.3", &[list], &proxies), "10.1.2.3", "{list}");
        }
        let long = format!("1.1.1.1{}", ", 10.0.0.1".repeat(MAX_HOPS));
        assert_eq!(address("10.1.2.3", &[&long], &proxies), "10.0.0.1");
    }

    #[test]
    fn networks_are_read() {
        for (network, inside, outside) in [
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("192.0.2.0/25", "192.0.2.127", "192.0.2.128"),
            ("::ffff:10.0.0.0/104", "10.255.0.1", "11.0.0.1"),
            ("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"),
            ("0.0.0.0/0", "1.2.3.4", "::1"),
        ] {
            let network: Network = network.parse().unwrap();
            assert!(network.contains(inside.parse().unwrap()) && !network.contains(outside.parse().unwrap()));
        }
        for text in ["", "proxy", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "::ffff:10.0.0.0/95"] {
            assert_eq!(text.parse::<Network>(), Err(NetworkError), "{text}");
        }
    }
}
