//! The egress policy for data sources: a request must not reach what only the server can reach, its own machine and
//! network.

mod address;
mod resolver;

use std::net::IpAddr;

use ipnet::IpNet;

pub use address::AddressClass;
pub(crate) use resolver::LOOKUPS;
pub use resolver::{Egress, Names, ResolveError};

/// Which addresses the server connects to for its data sources.
///
/// The address of the connection decides. The metadata services of clouds, which disclose credentials, are refused
/// whatever is allowed here.
#[derive(Clone, Debug, Default)]
pub struct EgressPolicy {
    /// Whether private networks are allowed, those of carriers and of IPv6 (`fc00::/7`) included.
    pub allows_private: bool,
    /// Whether the machine itself is allowed.
    pub allows_loopback: bool,
    /// Networks that are allowed whatever their class is.
    pub allowed_networks: Vec<IpNet>,
    /// Hosts, in lower case, that are allowed whatever their addresses are.
    pub allowed_hosts: Vec<String>,
    /// Hosts in lower case with their ports, like `prometheus:9090`, that HTTP requests may go to. If empty, the list
    /// does not apply.
    pub destinations: Vec<String>,
}

/// Why the server refuses to connect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The host and port are not on the list. The messages contain only the host as it was written: the addresses that
    /// a name resolves to are not disclosed.
    #[error("{0} is not on the list of hosts for data sources ([security] data_source_proxy_whitelist)")]
    NotListed(String),
    /// The addresses are in a class that is not allowed.
    #[error("{host} resolves to a {class} address, where data sources are not allowed{}", class.setting())]
    Address {
        /// The host.
        host: String,
        /// The class of its address.
        class: AddressClass,
    },
}

impl EgressPolicy {
    /// Checks whether HTTP requests may go to a host, by its name and port.
    pub fn check_destination(&self, host: &str, port: u16) -> Result<(), Refusal> {
        if self.destinations.is_empty() {
            return Ok(());
        }
        let destination = format!("{host}:{port}").to_lowercase();
        if self.destinations.contains(&destination) { Ok(()) } else { Err(Refusal::NotListed(destination)) }
    }

    /// Checks whether a connection to an address of a host is allowed.
    pub fn check_address(&self, host: &str, address: IpAddr) -> Result<(), Refusal> {
        let class = AddressClass::of(address);
        let is_allowed = match class {
            AddressClass::Metadata => false,
            AddressClass::Public => true,
            AddressClass::Private if self.allows_private => true,
            AddressClass::Loopback if self.allows_loopback => true,
            _ => self.lists(host, address),
        };
        if is_allowed { Ok(()) } else { Err(Refusal::Address { host: host.to_owned(), class }) }
    }

    fn lists(&self, host: &str, address: IpAddr) -> bool {
        let host = host.trim_end_matches('.');
        let meant = address::meant(address);
        self.allowed_hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(host))
            || self
                .allowed_networks
                .iter()
                .any(|network| network.contains(&address) || network.contains(&meant))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(policy: &EgressPolicy, address: &str) -> bool {
        policy.check_address("host", address.parse().unwrap()).is_ok()
    }

    #[test]
    fn what_is_allowed_opens_its_class_only() {
        let strict = EgressPolicy::default();
        let private = EgressPolicy { allows_private: true, ..EgressPolicy::default() };
        let loopback = EgressPolicy { allows_loopback: true, ..EgressPolicy::default() };
        let cases = [
            ("93.184.215.14", [true, true, true]),
            ("10.1.2.3", [false, true, false]),
            ("::ffff:10.1.2.3", [false, true, false]),
            ("127.0.0.1", [false, false, true]),
            ("64:ff9b::127.0.0.1", [false, false, true]),
            ("169.254.1.1", [false, false, false]),
            ("169.254.169.254", [false, false, false]),
        ];
        for (address, expected) in cases {
            let found = [&strict, &private, &loopback].map(|policy| check(policy, address));
            assert_eq!(found, expected, "{address}");
        }
    }

    #[test]
    fn lists_open_networks_and_hosts_but_no_metadata() {
        let policy = EgressPolicy {
            allowed_networks: vec!["10.1.0.0/16".parse().unwrap(), "169.254.0.0/16".parse().unwrap()],
            allowed_hosts: vec!["prometheus.internal".to_owned()],
            ..EgressPolicy::default()
        };
        assert!(
            check(&policy, "10.1.2.3") && check(&policy, "::ffff:10.1.2.3") && check(&policy, "169.254.1.1")
        );
        assert!(!check(&policy, "10.2.0.1") && !check(&policy, "169.254.169.254"));
        let inside = "192.168.1.1".parse().unwrap();
        assert!(policy.check_address("Prometheus.Internal.", inside).is_ok());
        let metadata = "100.100.100.200".parse().unwrap();
        let refusal = policy.check_address("prometheus.internal", metadata).unwrap_err();
        let text = "prometheus.internal resolves to a metadata address, where data sources are not allowed";
        assert_eq!(refusal.to_string(), text);
    }

    #[test]
    fn a_list_of_destinations_is_of_hosts_with_ports() {
        let policy =
            EgressPolicy { destinations: vec!["prometheus:9090".to_owned()], ..EgressPolicy::default() };
        assert!(policy.check_destination("Prometheus", 9090).is_ok());
        assert!(policy.check_destination("prometheus", 9091).is_err());
        assert!(policy.check_destination("other", 9090).is_err());
        assert!(EgressPolicy::default().check_destination("other", 1).is_ok());
    }
}
