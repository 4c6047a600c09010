//! Which address a request comes from, where it has passed proxies of ours.

use std::net::IpAddr;

use http::HeaderMap;
use seaworthy_config::Network;

/// The address that the request came from before it reached the first proxy that is trusted.
///
/// Every proxy adds the address of its own peer at the end of `x-forwarded-for`, so the list is read
/// from there, and only for as long as those who wrote it are trusted: what comes before may be the
/// caller's invention.
pub(crate) fn caller_address(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut address = peer.to_canonical();
    if trusted.is_empty() || !is_trusted(address) {
        return address;
    }
    let lines = headers.get_all("x-forwarded-for").iter().rev();
    let words = lines.flat_map(|line| line.to_str().unwrap_or_default().rsplit(','));
    for word in words {
        let Some(before) = parse(word.trim()) else {
            return address;
        };
        address = before;
        if !is_trusted(address) {
            return address;
        }
    }
    address
}

/// An address as proxies write it, some of them with its port.
fn parse(word: &str) -> Option<IpAddr> {
    let with_port = || Some(word.parse::<std::net::SocketAddr>().ok()?.ip());
    let bare = word.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse::<IpAddr>().ok().or_else(with_port)?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(peer: &str, lines: &[&str]) -> String {
        let trusted = ["10.0.0.0/8", "fd00::/8"];
        let trusted: Vec<Network> = serde_json::from_value(trusted.to_vec().into()).unwrap();
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-forwarded-for", line.parse().unwrap());
        }
        caller_address(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn the_last_address_that_no_proxy_of_ours_has_counts() {
        assert_eq!(address("192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(address("10.1.1.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(
            address("10.1.1.1", &["203.0.113.5, 198.51.100.7, 10.2.2.2"]),
            "198.51.100.7",
            "what comes before it is anybody's word"
        );
        assert_eq!(
            address("::ffff:10.1.1.1", &["203.0.113.5", "198.51.100.7:4711"]),
            "198.51.100.7"
        );
        assert_eq!(address("fd00::1", &["[2001:db8::1]:443"]), "2001:db8::1");
        assert_eq!(address("fd00::1", &["2001:db8::1"]), "2001:db8::1");
    }

    #[test]
    fn without_a_word_or_with_a_wrong_one_it_is_that_of_the_proxy() {
        assert_eq!(address("10.1.1.1", &[]), "10.1.1.1");
        assert_eq!(address("10.1.1.1", &["unknown"]), "10.1.1.1");
        assert_eq!(address("10.1.1.1", &["198.51.100.7, _hidden"]), "10.1.1.1");
        assert_eq!(address("10.1.1.1", &["10.3.3.3"]), "10.3.3.3");
    }
}
