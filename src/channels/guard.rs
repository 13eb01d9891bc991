//! Which addresses are called for somebody who may be anybody.
//!
//! Whoever can subscribe can have the server call an address. What only the server
//! can reach, its own machine, its neighbours, the metadata of its cloud, must not be
//! among them, in whatever spelling: what is checked are addresses, not names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::http_client::Guard;

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(a: u16, b: u16, c: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), prefix)
}

/// What is not public of the older protocol: IANA's registry of special purposes.
const NOT_PUBLIC_V4: [Ipv4Net; 17] = [
    // This network, and the unspecified address.
    v4(0, 0, 0, 0, 8),
    v4(10, 0, 0, 0, 8),
    // Shared by the customers of a provider; the metadata of some clouds.
    v4(100, 64, 0, 0, 10),
    v4(127, 0, 0, 0, 8),
    // Of one link; the metadata of most clouds.
    v4(169, 254, 0, 0, 16),
    v4(172, 16, 0, 0, 12),
    // Of protocols; the metadata of some clouds.
    v4(192, 0, 0, 0, 24),
    // Of documents.
    v4(192, 0, 2, 0, 24),
    // Relays of 6to4.
    v4(192, 88, 99, 0, 24),
    v4(192, 168, 0, 0, 16),
    // Of measurements.
    v4(198, 18, 0, 0, 15),
    v4(198, 51, 100, 0, 24),
    v4(203, 0, 113, 0, 24),
    // Of groups.
    v4(224, 0, 0, 0, 4),
    // Kept for later, and the broadcast address.
    v4(240, 0, 0, 0, 4),
    // A public address that a cloud's machines find their metadata at.
    v4(168, 63, 129, 16, 32),
    // A resolver of a cloud, likewise.
    v4(169, 253, 0, 0, 16),
];

/// What is public of the newer protocol.
const PUBLIC_V6: Ipv6Net = v6(0x2000, 0, 0, 3);

/// What is not public in there.
const NOT_PUBLIC_V6: [Ipv6Net; 4] = [
    // Of protocols: Teredo, which holds an older address, and the like.
    v6(0x2001, 0, 0, 23),
    // Of documents.
    v6(0x2001, 0x0db8, 0, 32),
    v6(0x3fff, 0, 0, 20),
    // 6to4, which holds an older address.
    v6(0x2002, 0, 0, 16),
];

/// Older addresses that translators are asked for.
const TRANSLATED: Ipv6Net = v6(0x64, 0xff9b, 0, 96);

/// A guard that allows what is public, and what is in one of these networks.
pub fn guard(allowed: Vec<IpNet>) -> Guard {
    Guard::new(move |address| is_allowed(address, &allowed))
}

/// Whether an address is public or in one of these networks.
pub fn is_allowed(address: IpAddr, allowed: &[IpNet]) -> bool {
    // The system takes this for the older address that is in it, and so do we.
    let address = address.to_canonical();
    allowed.iter().any(|network| network.contains(&address)) || is_public(address)
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !NOT_PUBLIC_V4.iter().any(|network| network.contains(&address)),
        IpAddr::V6(address) if TRANSLATED.contains(&address) => {
            let [.., a, b, c, d] = address.octets();
            is_public(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
        }
        IpAddr::V6(address) => {
            PUBLIC_V6.contains(&address)
                && !NOT_PUBLIC_V6.iter().any(|network| network.contains(&address))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(address: &str, networks: &[&str]) -> bool {
        let networks: Vec<IpNet> = networks.iter().map(|it| it.parse().unwrap()).collect();
        is_allowed(address.parse().unwrap_or_else(|_| panic!("{address}")), &networks)
    }

    #[test]
    fn what_everybody_can_reach() {
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "93.184.216.34",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "168.63.129.15",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2a00:1450:4001:81b::200e",
            "2001:4860:4860::8888",
            "2003::1",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
        ] {
            assert!(allowed(address, &[]), "{address}");
        }
    }

    #[test]
    fn what_only_some_can_reach() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.100.100.200",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
            "169.253.169.253",
            "169.254.0.1",
            "169.254.169.254",
            "169.254.170.2",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "192.168.255.255",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.7",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::127.0.0.1",
            "::8.8.8.8",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:0:127.0.0.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::1.1.1.1",
            "100::1",
            "2001::1",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:808:808::1",
            "3fff::1",
            "3fff:fff:ffff::1",
            "4000::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fdff:ffff::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "ff0e::1",
        ] {
            assert!(!allowed(address, &[]), "{address}");
        }
    }

    #[test]
    fn networks_are_allowed_by_name_only() {
        assert!(allowed("10.1.2.3", &["10.0.0.0/8"]));
        assert!(allowed("::ffff:10.1.2.3", &["10.0.0.0/8"]));
        assert!(!allowed("192.168.0.1", &["10.0.0.0/8"]));
        assert!(!allowed("127.0.0.2", &["127.0.0.1/32"]));
        assert!(allowed("::1", &["::1/128"]));
        assert!(!allowed("::1", &["127.0.0.0/8"]));
        assert!(allowed("fd00::7", &["fd00::/8"]));
    }

    #[test]
    fn every_network_is_closed_from_its_first_address_to_its_last() {
        for network in NOT_PUBLIC_V4 {
            for address in [network.network(), network.broadcast()] {
                assert!(!is_public(address.into()), "{address}");
                assert!(!is_public(address.to_ipv6_mapped().to_canonical()), "{address}");
            }
        }
        for network in NOT_PUBLIC_V6 {
            for address in [network.network(), network.broadcast()] {
                assert!(!is_public(address.into()), "{address}");
            }
        }
    }
}
