//! Where a sink may be: its name is resolved once for each connection, and only an address in the sink's own networks is
//! connected to.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use url::{Host, Url};

use super::Fault;

/// Whether pixels or metadata may go there without TLS: nobody else hears it, or only the site's own network does.
pub(super) fn plain_allowed(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local(),
    }
}

fn allowed(ip: IpAddr, networks: &[IpNet]) -> bool {
    let ip = ip.to_canonical();
    networks.iter().any(|network| network.contains(&ip))
}

/// The first address of the URL's host that may be connected to.
pub(super) async fn find(url: &Url, networks: &[IpNet]) -> Result<SocketAddr, Fault> {
    let plain = url.scheme() != "https";
    let port = url.port_or_known_default().ok_or(Fault::Address)?;
    let fits = |ip: IpAddr| allowed(ip, networks) && (!plain || plain_allowed(ip));
    let found = match url.host() {
        Some(Host::Ipv4(ip)) => vec![SocketAddr::new(ip.into(), port)],
        Some(Host::Ipv6(ip)) => vec![SocketAddr::new(ip.into(), port)],
        Some(Host::Domain(name)) => {
            tokio::net::lookup_host((name, port)).await.map_err(|_| Fault::Address)?.collect()
        }
        None => Vec::new(),
    };
    found.into_iter().find(|address| fits(address.ip())).ok_or(Fault::Address)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn at(url: &str, networks: &[&str]) -> bool {
        let networks: Vec<IpNet> = networks.iter().map(|text| text.parse().unwrap()).collect();
        find(&url.parse().unwrap(), &networks).await.is_ok()
    }

    #[tokio::test]
    async fn only_addresses_in_the_sinks_networks_are_connected_to() {
        assert!(at("https://10.1.2.3/hook", &["10.0.0.0/8"]).await);
        assert!(!at("https://10.1.2.3/hook", &["192.168.0.0/16"]).await);
        assert!(!at("https://10.1.2.3/hook", &[]).await);
        assert!(at("https://[::ffff:10.0.0.1]/", &["10.0.0.0/8"]).await);
        assert!(!at("https://[::ffff:192.168.0.1]/", &["10.0.0.0/8"]).await);
    }

    #[tokio::test]
    async fn without_tls_only_this_machine_and_private_networks_are_reached() {
        assert!(at("http://127.0.0.1:8080/", &["127.0.0.0/8"]).await);
        assert!(at("http://192.168.0.9/", &["192.168.0.0/16"]).await);
        assert!(!at("http://192.0.2.9/", &["0.0.0.0/0"]).await);
        assert!(at("https://192.0.2.9/", &["0.0.0.0/0"]).await);
    }
}
