//! Where a stream may be read from: host names are resolved here, once for each attempt, and every address must lie
//! in an allowed network. What is then connected to is the address, not the name.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use url::{Host, Url};

use super::SessionError;

/// A place that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// What to connect to.
    pub address: SocketAddr,
    /// What to ask for. Its host is the address; only `rtsps` keeps the name, since the certificate carries it.
    pub url: Url,
}

/// The port of a scheme that names none.
pub(super) fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "rtsp" => Some(554),
        "rtsps" => Some(322),
        _ => None,
    }
}

/// Resolves and checks the address of a stream.
pub async fn check(url: &Url, networks: &[IpNet]) -> Result<Place, SessionError> {
    let Some(default_port) = default_port(url.scheme()) else {
        return Err(SessionError::BadUrl { reason: "begins with neither rtsp:// nor rtsps://" });
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(SessionError::BadUrl { reason: "holds a user or password; name `credentials` instead" });
    }
    let Some(host) = url.host_str() else {
        return Err(SessionError::BadUrl { reason: "names no host" });
    };
    let port = url.port().unwrap_or(default_port);
    // Schemes that the URL standard does not know keep an IPv4 address as an opaque name.
    let literal = match url.host() {
        Some(Host::Ipv4(ip)) => Some(IpAddr::V4(ip)),
        Some(Host::Ipv6(ip)) => Some(IpAddr::V6(ip)),
        Some(Host::Domain(name)) => name.parse().ok(),
        None => None,
    };
    let addresses = match literal {
        Some(ip) => vec![SocketAddr::new(ip, port)],
        None => tokio::net::lookup_host((host, port))
            .await
            .map_err(|error| SessionError::Unresolvable { host: host.to_owned(), reason: error.to_string() })?
            .collect(),
    };
    let Some(first) = addresses.first() else {
        return Err(SessionError::Unresolvable { host: host.to_owned(), reason: "no address".to_owned() });
    };
    let Some(address) = addresses.iter().find(|address| allowed(address.ip(), networks)) else {
        return Err(SessionError::AddressNotAllowed { host: host.to_owned(), address: first.ip() });
    };
    let mut checked = url.clone();
    if url.scheme() == "rtsp" || literal.is_some() {
        let text = match address.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        if checked.set_host(Some(&text)).is_err() {
            return Err(SessionError::BadUrl { reason: "has a host that cannot be replaced by its address" });
        }
    }
    Ok(Place { address: *address, url: checked })
}

fn allowed(ip: IpAddr, networks: &[IpNet]) -> bool {
    // An IPv4 address written as IPv6 is the same host.
    let ip = ip.to_canonical();
    networks.iter().any(|network| network.contains(&ip))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(url: &str, networks: &[&str]) -> Result<Place, SessionError> {
        let networks: Vec<_> = networks.iter().map(|n| n.parse().unwrap()).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(check(&Url::parse(url).unwrap(), &networks))
    }

    #[test]
    fn only_addresses_in_allowed_networks_pass() {
        let place = at("rtsp://10.1.2.3/main?a=1", &["10.0.0.0/8"]).unwrap();
        assert_eq!(place.address, "10.1.2.3:554".parse().unwrap());
        assert_eq!(place.url.as_str(), "rtsp://10.1.2.3/main?a=1");
        for url in ["rtsp://192.168.0.1/", "rtsp://[::ffff:192.168.0.1]/", "rtsp://[fe80::1]/"] {
            assert!(matches!(at(url, &["10.0.0.0/8"]), Err(SessionError::AddressNotAllowed { .. })), "{url}");
        }
        assert!(at("rtsp://[::ffff:10.0.0.1]/", &["10.0.0.0/8"]).is_ok());
        assert!(matches!(at("rtsp://10.0.0.1/", &[]), Err(SessionError::AddressNotAllowed { .. })));
    }

    #[test]
    fn a_name_is_replaced_by_its_address_but_for_tls() {
        let networks = ["127.0.0.0/8", "::1/128"];
        let plain = at("rtsp://localhost:8554/a", &networks).unwrap();
        assert!(!plain.url.as_str().contains("localhost"), "{}", plain.url);
        let tls = at("rtsps://localhost/a", &networks).unwrap();
        assert_eq!((tls.url.as_str(), tls.address.port()), ("rtsps://localhost/a", 322));
    }

    #[test]
    fn a_password_in_the_address_is_refused_and_not_repeated() {
        let error = at("rtsp://canary-user:canary-password@10.0.0.1/", &["10.0.0.0/8"]).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
}
