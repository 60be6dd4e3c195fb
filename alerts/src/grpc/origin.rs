//! From where somebody signs in: the other end of the connection, or, where that is a proxy which the configuration names,
//! whom it says it asks for. What anybody else says of themselves counts for nothing.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

/// From where a call comes. `forwarded` holds the values of `x-forwarded-for`, in order: each proxy puts the other end of its
/// own connection behind those that were there, so the last that is no proxy of ours was seen by one of ours.
pub(super) fn of(peer: Option<IpAddr>, forwarded: &[&str], proxies: &[IpNet]) -> Option<IpAddr> {
    let is_proxy = |address: &IpAddr| proxies.iter().any(|network| network.contains(address));
    let mut origin = peer.map(|address| address.to_canonical())?;
    let mut said = forwarded.iter().flat_map(|value| value.split(',')).rev();
    while is_proxy(&origin) {
        // A proxy that says nothing, or what is no address, stands for everyone behind it.
        match said.next().and_then(address) {
            Some(address) => origin = address,
            None => break,
        }
    }
    Some(origin)
}

/// An address as proxies write it: some with the port.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    bare.parse().ok().or_else(with_port).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_proxy_that_is_named_says_for_whom_it_asks() {
        let proxies: Vec<IpNet> =
            ["10.0.0.7/32", "10.1.0.0/28", "127.0.0.1/32"].map(|one| one.parse().unwrap()).into();
        for (peer, forwarded, expected) in [
            // Nobody else is believed, whatever they say.
            ("192.0.2.9", vec!["198.51.100.1"], "192.0.2.9"),
            ("10.0.0.8", vec!["198.51.100.1"], "10.0.0.8"),
            ("10.0.0.7", vec!["198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", vec!["198.51.100.1:4711"], "198.51.100.1"),
            ("::ffff:10.0.0.7", vec!["[2001:db8::5]:80"], "2001:db8::5"),
            // What a client puts before it is not believed: the proxy's own word is the last.
            ("10.0.0.7", vec!["203.0.113.1, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.7", vec!["203.0.113.1", "198.51.100.1"], "198.51.100.1"),
            // One proxy behind another.
            ("10.0.0.7", vec!["203.0.113.1, 198.51.100.1 , 10.1.0.3"], "198.51.100.1"),
            // It says nothing of use.
            ("10.0.0.7", vec![], "10.0.0.7"),
            ("10.0.0.7", vec!["unknown"], "10.0.0.7"),
            ("10.0.0.7", vec!["198.51.100.1, unknown"], "10.0.0.7"),
            ("10.0.0.7", vec!["10.1.0.3"], "10.1.0.3"),
        ] {
            let origin = of(Some(peer.parse().unwrap()), &forwarded, &proxies);
            assert_eq!(origin, Some(expected.parse().unwrap()), "{peer} {forwarded:?}");
        }
        assert_eq!(
            of(Some("10.0.0.7".parse().unwrap()), &["1.2.3.4"], &[]),
            Some("10.0.0.7".parse().unwrap())
        );
        assert_eq!(of(None, &["1.2.3.4"], &proxies), None);
    }
}
