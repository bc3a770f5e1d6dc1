//! Classes of IP addresses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The class of an IP address, which decides whether it may be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressClass {
    /// On the internet.
    Public,
    /// In a private network.
    Private,
    /// On the machine itself.
    Loopback,
    /// Link-local, multicast, broadcast or unassigned.
    Reserved,
    /// A cloud's metadata service, which gives credentials to any client.
    Metadata,
}

impl fmt::Display for AddressClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "public",
            Self::Private => "private",
            Self::Loopback => "loopback",
            Self::Reserved => "reserved",
            Self::Metadata => "metadata",
        })
    }
}

/// Metadata services: of AWS, Azure, Google and others, of tasks and pods of AWS, of Alibaba, of Oracle.
const METADATA_V4: &[Ipv4Addr] = &[
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(169, 254, 169, 253),
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(169, 254, 170, 23),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
    // Azure's channel between hosts and machines, which is in a public range.
    Ipv4Addr::new(168, 63, 129, 16),
];

/// The metadata services of AWS and of Google in IPv6.
const METADATA_V6: &[Ipv6Addr] = &[
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x253),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];

impl AddressClass {
    /// The settings that would allow it, as a part of an error message.
    pub(super) fn setting(self) -> &'static str {
        match self {
            Self::Private => " ([data_sources] allow_private_networks or allowed_hosts)",
            Self::Loopback => " ([data_sources] allow_loopback or allowed_hosts)",
            Self::Reserved => " ([data_sources] allowed_hosts)",
            Self::Public | Self::Metadata => "",
        }
    }

    /// The class of an address. An IPv6 address that stands for an IPv4 address has the class of that.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match meant(address) {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => of_v6(address),
        }
    }
}

/// The address that packets to this one finally reach.
pub(super) fn meant(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => standing_for(v6).map_or(address, IpAddr::V4),
    }
}

/// The IPv4 address of a mapped, compatible or NAT64 (RFC 6052) IPv6 address.
fn standing_for(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [.., high, low] = address.segments();
    let stands = match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => true,
        [0, 0, 0, 0, 0, 0, high, _] => high != 0,
        _ => false,
    };
    stands.then(|| of_segments(high, low))
}

fn of_segments(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))
}

fn of_v4(address: Ipv4Addr) -> AddressClass {
    if METADATA_V4.contains(&address) {
        return AddressClass::Metadata;
    }
    match address.octets() {
        [127, ..] => AddressClass::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] | [198, 18 | 19, ..] => {
            AddressClass::Private
        }
        // This network, link-local, protocols, documentation, 6to4 relays, multicast, future use and broadcast.
        [0 | 224.., ..]
        | [169, 254, ..]
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 51, 100, _]
        | [203, 0, 113, _] => AddressClass::Reserved,
        _ => AddressClass::Public,
    }
}

fn of_v6(address: Ipv6Addr) -> AddressClass {
    if METADATA_V6.contains(&address) || tunnelled(address).is_some_and(|v4| METADATA_V4.contains(&v4)) {
        return AddressClass::Metadata;
    }
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => AddressClass::Loopback,
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] => AddressClass::Private,
        // Only 2000::/3 is on the internet. Excluded from it are protocols (Teredo among them), documentation, 6to4,
        // and interfaces that tunnel through IPv4 (ISATAP), which may end anywhere.
        [0x2001, 0..=0x1ff | 0xdb8, ..]
        | [0x2002, ..]
        | [0x3fff, 0..=0xfff, ..]
        | [_, _, _, _, 0 | 0x200, 0x5efe, _, _] => AddressClass::Reserved,
        [0x2000..=0x3fff, ..] => AddressClass::Public,
        _ => AddressClass::Reserved,
    }
}

/// The IPv4 address at the end of a 6to4, Teredo or ISATAP tunnel, or of a network's own NAT64.
fn tunnelled(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [0x2002, high, low, ..] => Some(of_segments(high, low)),
        [0x2001, 0, _, _, _, _, high, low] => Some(of_segments(!high, !low)),
        [_, _, _, _, 0 | 0x200, 0x5efe, high, low] | [0x64, 0xff9b, 1, _, _, _, high, low] => {
            Some(of_segments(high, low))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::AddressClass::{Loopback, Metadata, Private, Public, Reserved};
    use super::*;

    /// The first and the last address of every range, and their neighbours.
    const CASES: &[(&str, AddressClass)] = &[
        ("0.0.0.0", Reserved),
        ("0.255.255.255", Reserved),
        ("1.0.0.0", Public),
        ("9.255.255.255", Public),
        ("10.0.0.0", Private),
        ("10.255.255.255", Private),
        ("11.0.0.0", Public),
        ("100.63.255.255", Public),
        ("100.64.0.0", Private),
        ("100.127.255.255", Private),
        ("100.128.0.0", Public),
        ("126.255.255.255", Public),
        ("127.0.0.0", Loopback),
        ("127.255.255.255", Loopback),
        ("128.0.0.0", Public),
        ("169.253.255.255", Public),
        ("169.254.0.0", Reserved),
        ("169.254.255.255", Reserved),
        ("169.255.0.0", Public),
        ("172.15.255.255", Public),
        ("172.16.0.0", Private),
        ("172.31.255.255", Private),
        ("172.32.0.0", Public),
        ("192.0.0.1", Reserved),
        ("192.0.2.1", Reserved),
        ("192.88.99.1", Reserved),
        ("192.167.255.255", Public),
        ("192.168.0.0", Private),
        ("192.168.255.255", Private),
        ("192.169.0.0", Public),
        ("198.17.255.255", Public),
        ("198.18.0.0", Private),
        ("198.19.255.255", Private),
        ("198.20.0.0", Public),
        ("198.51.100.1", Reserved),
        ("203.0.113.1", Reserved),
        ("223.255.255.255", Public),
        ("224.0.0.0", Reserved),
        ("239.255.255.255", Reserved),
        ("240.0.0.0", Reserved),
        ("255.255.255.255", Reserved),
        ("169.254.169.254", Metadata),
        ("169.254.170.2", Metadata),
        ("169.254.170.23", Metadata),
        ("100.100.100.200", Metadata),
        ("192.0.0.192", Metadata),
        ("168.63.129.16", Metadata),
        ("::", Reserved),
        ("::1", Loopback),
        ("::2", Reserved),
        ("::127.0.0.1", Loopback),
        ("::10.0.0.1", Private),
        ("::ffff:127.0.0.1", Loopback),
        ("::ffff:a9fe:a9fe", Metadata),
        ("::ffff:93.184.215.14", Public),
        ("64:ff9b::a00:1", Private),
        ("64:ff9b::169.254.169.254", Metadata),
        ("64:ff9b::93.184.215.14", Public),
        ("64:ff9b:1::10.0.0.1", Reserved),
        ("64:ff9b:1::169.254.169.254", Metadata),
        ("100::1", Reserved),
        ("2001::1", Reserved),
        ("2001:0:4136:e378:8000:63bf:5601:5601", Metadata),
        ("2001:db8::1", Reserved),
        ("2001:4860:4860::8888", Public),
        ("2002:7f00:1::", Reserved),
        ("2002:a9fe:a9fe::1", Metadata),
        ("2606:4700::1111", Public),
        ("2606:4700::5efe:a00:1", Reserved),
        ("2606:4700::200:5efe:a9fe:a9fe", Metadata),
        ("3fff::1", Reserved),
        ("fbff::1", Reserved),
        ("fc00::", Private),
        ("fdff:ffff::1", Private),
        ("fd00:ec2::254", Metadata),
        ("fd20:ce::254", Metadata),
        ("fe80::1", Reserved),
        ("febf::1", Reserved),
        ("fec0::1", Private),
        ("ff02::1", Reserved),
    ];

    #[test]
    fn every_range_is_what_it_is() {
        for (address, class) in CASES {
            assert_eq!(AddressClass::of(address.parse().unwrap()), *class, "{address}");
        }
    }
}
