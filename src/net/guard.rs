//! Which addresses may be spoken to: what the network names must not lead into this machine or its neighbourhood.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use super::NetError;

/// The operator's own word on addresses.
#[derive(Debug, Clone, Default)]
pub(super) struct Guard {
    allow_private: bool,
    /// Host and port that the configuration itself names.
    trusted: Vec<(String, u16)>,
}

/// How a connection to a checked address is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// Named by the operator: may resolve to anything.
    Operator,
    /// Named by the network: must resolve to public addresses.
    Network,
}

impl Guard {
    pub(super) fn new(allow_private: bool, trusted: &[Url]) -> Self {
        let trusted = trusted.iter().filter_map(|url| Some((url.host_str()?.to_owned(), url.port_or_known_default()?)));
        Self { allow_private, trusted: trusted.collect() }
    }

    /// Checks scheme and literal address of `url`; a name is checked again after it was resolved.
    pub(super) fn check(&self, url: &Url) -> Result<Trust, NetError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(NetError::Scheme(crate::text::plain(url.scheme(), 20)));
        }
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(NetError::BadUrl);
        };
        let named = url.host_str().unwrap_or_default();
        if self.allow_private || self.trusted.iter().any(|(host, at)| host == named && *at == port) {
            return Ok(Trust::Operator);
        }
        let literal = match host {
            Host::Ipv4(address) => Some(IpAddr::V4(address)),
            Host::Ipv6(address) => Some(IpAddr::V6(address)),
            Host::Domain(_) => None,
        };
        match literal {
            Some(address) if !is_public(address) => Err(NetError::PrivateAddress(named.to_owned())),
            _ => Ok(Trust::Network),
        }
    }
}

/// Resolves names, and gives back public addresses only.
#[derive(Debug, Clone, Copy)]
pub(super) struct PublicOnly;

/// Said by the resolver when a name has private addresses only; found again in reqwest's chain of causes.
#[derive(Debug, thiserror::Error)]
#[error("the name has no public address")]
pub(super) struct NoPublicAddress;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            // One private address among public ones is a trap as well: the client would pick it when the others fail.
            if found.iter().any(|address| !is_public(address.ip())) {
                return Err(NoPublicAddress.into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Whether `address` is one of the public internet.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation();
    // "This network", carrier-grade NAT, protocol assignments, benchmarking, multicast and reserved (RFC 6890).
    let reserved = a == 0 || (a == 100 && b & 0xC0 == 64) || (a, b, c) == (192, 0, 0) || (a == 198 && b & 0xFE == 18);
    !special && !reserved && a < 224
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(inner) = embedded_v4(address) {
        return is_public_v4(inner);
    }
    let first = address.segments()[0];
    // Global unicast is 2000::/3 only; documentation and Teredo lie in it.
    first & 0xE000 == 0x2000 && !matches!((first, address.segments()[1]), (0x2001, 0x0DB8 | 0))
}

/// The IPv4 address that an IPv6 one stands for: mapped, compatible, NAT64 and 6to4.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = address.segments();
    let join = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match s {
        [0, 0, 0, 0, 0, 0 | 0xFFFF, high, low] | [0x64, 0xFF9B, 0, 0, 0, 0, high, low] => Some(join(high, low)),
        [0x2002, high, low, ..] => Some(join(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).expect("a url")
    }

    #[test]
    fn a_playlist_cannot_lead_to_loopback_or_the_neighbourhood() {
        let guard = Guard::new(false, &[]);
        for refused in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://0x7f000001/",
            "http://2130706433/",
            "http://0.0.0.0/",
            "http://10.1.2.3/",
            "http://192.168.0.1/",
            "http://172.31.0.1/",
            "http://169.254.169.254/latest",
            "http://100.64.0.1/",
            "http://224.0.0.1/",
            "http://255.255.255.255/",
            "http://198.18.0.1/",
            "http://[::1]/",
            "http://[::]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:10.0.0.1]/",
            "http://[fe80::1]/",
            "http://[fd00::1]/",
            "http://[ff02::1]/",
            "http://[64:ff9b::7f00:1]/",
            "http://[2002:7f00:1::]/",
            "http://[::127.0.0.1]/",
        ] {
            let answer = guard.check(&url(refused));
            assert!(matches!(answer, Err(NetError::PrivateAddress(_))), "{refused} {answer:?}");
        }
        for fine in ["https://x.com/", "http://8.8.8.8/", "https://[2606:4700::1111]/", "http://172.32.0.1/"] {
            assert_eq!(guard.check(&url(fine)).expect(fine), Trust::Network);
        }
    }

    #[test]
    fn only_http_is_spoken_whatever_a_playlist_names() {
        let guard = Guard::new(true, &[]);
        for refused in ["file:///etc/passwd", "ftp://host/x", "gopher://host/", "data:text/plain,x"] {
            assert!(matches!(guard.check(&url(refused)), Err(NetError::Scheme(_))), "{refused}");
        }
    }

    #[test]
    fn the_operators_own_host_is_trusted_on_its_own_port_only() {
        let guard = Guard::new(false, &[url("http://127.0.0.1:8080/x.m3u8"), url("https://cdn.example/")]);
        assert_eq!(guard.check(&url("http://127.0.0.1:8080/y")).expect("own"), Trust::Operator);
        assert!(guard.check(&url("http://127.0.0.1:8081/y")).is_err());
        assert!(guard.check(&url("http://127.0.0.1/y")).is_err());
        assert_eq!(guard.check(&url("https://cdn.example:443/z")).expect("own"), Trust::Operator);
        assert_eq!(guard.check(&url("https://cdn.example:8443/z")).expect("checked later"), Trust::Network);
    }

    #[tokio::test]
    async fn a_name_that_resolves_to_loopback_is_refused() {
        let answer = PublicOnly.resolve("localhost".parse().expect("a name")).await;
        assert!(answer.err().is_some_and(|error| error.is::<NoPublicAddress>()));
    }
}
