//! The networks that count as one client for limits per client.

use std::net::{IpAddr, Ipv6Addr};

/// The address of a client; for IPv6 its /64 network, which one client has for itself.
#[must_use]
pub fn network_of_client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}

/// Like [`network_of_client`], for an address as text. All invalid addresses count as one client.
#[must_use]
pub fn network_of_client_at(address: &str) -> IpAddr {
    network_of_client(address.parse().unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_network_is_one_client() {
        let network = network_of_client_at;
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:1"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_eq!(network("::ffff:192.0.2.7"), network("192.0.2.7"));
        assert_ne!(network("192.0.2.7"), network("192.0.2.8"));
        assert_eq!(network("?"), network(""));
    }
}
