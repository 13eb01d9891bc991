//! Whom a request comes from, for the log.
//!
//! Anybody can write a forwarding header, so it counts only as far as trusted
//! proxies wrote it: read from its end, each proxy vouches for the address that
//! it added. It never decides who somebody is or what they may do.

use std::net::{IpAddr, SocketAddr};

use actix_web::dev::RequestHead;
use actix_web::http::header::{self, HeaderName};
use ipnet::IpNet;

use crate::config::{ForwardedHeader, HttpSettings};

/// Which proxies are believed, and what they write.
#[derive(Clone, Debug)]
pub struct ProxyRules {
    trusted: Vec<IpNet>,
    header: ForwardedHeader,
}

impl ProxyRules {
    /// The rules that `settings` make.
    pub fn new(settings: &HttpSettings) -> Self {
        Self { trusted: settings.trusted_networks(), header: settings.forwarded_header }
    }

    /// The client's address: that of the peer, or what trusted proxies say.
    pub fn client_address(&self, head: &RequestHead) -> Option<IpAddr> {
        let mut client = head.peer_addr?.ip().to_canonical();
        if !self.trusts(client) {
            return Some(client);
        }
        let (name, parse): (_, fn(&str) -> Option<IpAddr>) = match self.header {
            ForwardedHeader::XForwardedFor => (HeaderName::from_static("x-forwarded-for"), address),
            ForwardedHeader::Forwarded => (header::FORWARDED, forwarded_for),
        };
        let values: Vec<_> = head.headers.get_all(name).collect();
        for value in values.into_iter().rev() {
            let Ok(text) = value.to_str() else { break };
            for hop in text.rsplit(',') {
                // What cannot be read ends the chain: the last known hop counts.
                let Some(address) = parse(hop.trim()) else { return Some(client) };
                client = address.to_canonical();
                if !self.trusts(client) {
                    return Some(client);
                }
            }
        }
        Some(client)
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(&address))
    }
}

/// `192.0.2.1`, `2001:db8::1`, either with a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|it| it.ip()))
}

/// The address in `for=192.0.2.1;proto=https`, which may be in quotes.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let (_, node) = element
        .split(';')
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| name.eq_ignore_ascii_case("for"))?;
    address(node.trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::{ForwardedHeader, ProxyRules};

    fn client(trusted: &[&str], peer: &str, headers: &[(&'static str, &str)]) -> String {
        client_by(ForwardedHeader::XForwardedFor, trusted, peer, headers)
    }

    fn client_by(
        header: ForwardedHeader,
        trusted: &[&str],
        peer: &str,
        headers: &[(&'static str, &str)],
    ) -> String {
        let trusted = trusted.iter().map(|text| text.parse().unwrap()).collect();
        let peer = format!("{peer}:1234").parse().unwrap();
        let mut request = TestRequest::get().peer_addr(peer);
        for header in headers {
            request = request.append_header(*header);
        }
        let request = request.to_http_request();
        let rules = ProxyRules { trusted, header };
        rules.client_address(request.head()).unwrap().to_string()
    }

    #[test]
    fn nobody_is_believed_unless_configured() {
        let lie = ("x-forwarded-for", "198.51.100.1");
        assert_eq!(client(&[], "192.0.2.9", &[lie]), "192.0.2.9");
        assert_eq!(client(&["10.0.0.0/8"], "192.0.2.9", &[lie]), "192.0.2.9");
        // The header that the proxies do not write.
        let lie = ("forwarded", "for=198.51.100.1");
        assert_eq!(client(&["10.0.0.0/8"], "10.0.0.1", &[lie]), "10.0.0.1");
    }

    #[test]
    fn the_last_address_that_no_proxy_has_is_the_client() {
        let trusted = ["10.0.0.0/8", "fd00::/8"];
        for (chain, expected) in [
            ("203.0.113.5", "203.0.113.5"),
            ("198.51.100.1, 203.0.113.5", "203.0.113.5"),
            ("198.51.100.1, 203.0.113.5, 10.1.1.1", "203.0.113.5"),
            ("203.0.113.5:4711", "203.0.113.5"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]:80, fd00::2", "2001:db8::1"),
            ("::ffff:203.0.113.5", "203.0.113.5"),
            ("10.3.3.3, 10.2.2.2", "10.3.3.3"),
            ("198.51.100.1, unknown, 10.2.2.2", "10.2.2.2"),
            ("<script>", "10.0.0.1"),
            ("", "10.0.0.1"),
        ] {
            let header = ("x-forwarded-for", chain);
            assert_eq!(client(&trusted, "10.0.0.1", &[header]), expected, "{chain}");
        }
        let two = [("x-forwarded-for", "198.51.100.1"), ("x-forwarded-for", "203.0.113.5")];
        assert_eq!(client(&trusted, "10.0.0.1", &two), "203.0.113.5");
    }

    #[test]
    fn the_standard_header_is_read_where_it_is_configured() {
        for (chain, expected) in [
            ("for=203.0.113.5;proto=https", "203.0.113.5"),
            ("proto=https; For=\"[2001:db8::1]:4711\"", "2001:db8::1"),
            ("for=198.51.100.1, for=203.0.113.5, for=10.1.1.1;by=10.0.0.1", "203.0.113.5"),
            ("for=_hidden", "10.0.0.1"),
            ("proto=https", "10.0.0.1"),
        ] {
            let header = ("forwarded", chain);
            let header_name = ForwardedHeader::Forwarded;
            let found = client_by(header_name, &["10.0.0.0/8"], "10.0.0.1", &[header]);
            assert_eq!(found, expected, "{chain}");
        }
    }
}
