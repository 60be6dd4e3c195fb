//! Where the service is, from what people write.

use std::time::Duration;

use tonic::transport::Endpoint;

/// What was written is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no address ({fault}): write https://NAME:PORT, http://ADDRESS:PORT or unix:/PATH")]
pub struct AddressError {
    text: String,
    fault: String,
}

/// An endpoint as consoles need it: `http://127.0.0.1:8750`, `https://town.example:8750`, or `unix:/path/of/socket`. Small windows, so that the bus
/// notices who does not read, and keep-alive, so that the console notices a dead bus.
pub fn address(text: &str) -> Result<Endpoint, AddressError> {
    let endpoint = Endpoint::from_shared(text.to_owned());
    endpoint.map(tuned).map_err(|error| AddressError { text: text.to_owned(), fault: error.to_string() })
}

fn tuned(endpoint: Endpoint) -> Endpoint {
    endpoint
        .initial_stream_window_size(Some(65_535))
        .initial_connection_window_size(Some(131_070))
        .http2_keep_alive_interval(Duration::from_secs(2))
        .keep_alive_timeout(Duration::from_secs(2))
        .keep_alive_while_idle(true)
        .connect_timeout(Duration::from_secs(5))
        .tcp_nodelay(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_what_people_write() {
        for good in ["http://127.0.0.1:8750", "http://[::1]:8750", "unix:/run/xueliang/bus.sock"] {
            assert!(address(good).is_ok(), "{good}");
        }
        let bad = address("not an address").unwrap_err().to_string();
        assert!(bad.contains("write https://NAME:PORT, http://ADDRESS:PORT or unix:/PATH"), "{bad}");
    }
}
