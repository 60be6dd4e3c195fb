//! How a console gets in: where the service is, what vouches for it, what the console shows for itself, and as whom it calls.

use std::net::IpAddr;

use tonic::{
    body::Body,
    codegen::{
        Service,
        http::{HeaderValue, Request, Response, Uri, header::AUTHORIZATION},
    },
    transport::{Certificate, Channel, ClientTlsConfig, Identity, channel::ResponseFuture},
};

use super::address::{AddressError, address};

/// What was given leads nowhere.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// No address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A key is told to nobody on the way.
    #[error(
        "a key is sent over https, a Unix socket or within this machine only: write https:// instead of {0:?}"
    )]
    Clear(String),
    /// It cannot stand in a header. It is not repeated.
    #[error("the key is no token: it must be one line of letters, digits and signs")]
    Key,
    /// Certificates speak of https.
    #[error(
        "certificates go with https:// alone, and {0:?} is none: write https://NAME:PORT, or leave them out"
    )]
    NoTls(String),
    /// Certificates that cannot be used.
    #[error("the certificates cannot be used: they must be PEM, and the key that of its certificate ({0})")]
    Certificates(#[source] tonic::transport::Error),
    /// Nothing vouches for any service.
    #[error("this machine has no authorities that vouch for services: name the one that does")]
    NoAuthorities,
}

/// A way in, to be opened by [`Access::connect`].
#[derive(Clone)]
pub struct Access {
    address: String,
    authority: Option<Certificate>,
    own: Option<Identity>,
    bearer: Option<HeaderValue>,
}

impl Access {
    /// As whoever the listener makes of those who name nobody: `http://ADDRESS:PORT`, `unix:/PATH`, or `https://NAME:PORT`,
    /// whose certificate this machine's authorities vouch for.
    pub fn to(address: impl Into<String>) -> Self {
        Self { address: address.into(), authority: None, own: None, bearer: None }
    }
    /// The authority that vouches for the service instead of this machine's, PEM.
    pub fn trusting(self, authority_pem: impl AsRef<[u8]>) -> Self {
        Self { authority: Some(Certificate::from_pem(authority_pem)), ..self }
    }
    /// A certificate that the console shows for itself, with its key, PEM.
    pub fn showing(self, certificate_pem: impl AsRef<[u8]>, key_pem: impl AsRef<[u8]>) -> Self {
        Self { own: Some(Identity::from_pem(certificate_pem, key_pem)), ..self }
    }
    /// As whom to call: a session's token or a machine's key.
    pub fn bearing(self, key: &str) -> Result<Self, AccessError> {
        let key = key.trim();
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(AccessError::Key);
        }
        let mut bearer = HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_| AccessError::Key)?;
        // What shows headers leaves it out.
        bearer.set_sensitive(true);
        Ok(Self { bearer: Some(bearer), ..self })
    }
    /// A connection that is made with the first call, and made again when it is lost.
    pub fn connect(&self) -> Result<Connection, AccessError> {
        let mut endpoint = address(&self.address)?;
        let over_tls = endpoint.uri().scheme_str() == Some("https");
        if over_tls {
            let mut tls = ClientTlsConfig::new();
            tls = match &self.authority {
                Some(authority) => tls.ca_certificate(authority.clone()),
                None => tls.with_native_roots(),
            };
            if let Some(own) = &self.own {
                tls = tls.identity(own.clone());
            }
            let given = self.authority.is_some() || self.own.is_some();
            let fault =
                |error| if given { AccessError::Certificates(error) } else { AccessError::NoAuthorities };
            endpoint = endpoint.tls_config(tls).map_err(fault)?;
        } else if self.authority.is_some() || self.own.is_some() {
            return Err(AccessError::NoTls(self.address.clone()));
        }
        if self.bearer.is_some()
            && !over_tls
            && !self.address.starts_with("unix:")
            && !is_here(endpoint.uri())
        {
            return Err(AccessError::Clear(self.address.clone()));
        }
        Ok(Connection { channel: endpoint.connect_lazy(), bearer: self.bearer.clone() })
    }
}

fn is_here(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A connection to the service that says with each call who calls. Clients of all its services are made with it; cheap to clone.
#[derive(Clone)]
pub struct Connection {
    channel: Channel,
    bearer: Option<HeaderValue>,
}

impl From<Channel> for Connection {
    /// A channel of one's own making, over which nobody is named.
    fn from(channel: Channel) -> Self {
        Self { channel, bearer: None }
    }
}

impl Service<Request<Body>> for Connection {
    type Response = Response<Body>;
    type Error = tonic::transport::Error;
    type Future = ResponseFuture;

    fn poll_ready(
        &mut self,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Self::Error>> {
        self.channel.poll_ready(context)
    }
    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        if let Some(bearer) = &self.bearer {
            request.headers_mut().insert(AUTHORIZATION, bearer.clone());
        }
        self.channel.call(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_key_never_leaves_this_machine_in_the_clear() {
        let with_key = |address: &str| Access::to(address).bearing("xlk_0123").unwrap().connect().map(drop);
        for good in [
            "http://127.0.0.1:8750",
            "http://[::1]:8750",
            "http://localhost:1",
            "unix:/run/x.sock",
            "https://town.test:1",
        ] {
            assert!(with_key(good).is_ok(), "{good}");
        }
        for bad in ["http://10.0.0.7:8750", "http://town.test:8750", "http://127.0.0.1.example.org:1"] {
            let fault = with_key(bad).unwrap_err().to_string();
            assert!(fault.contains("write https://") && !fault.contains("xlk_0123"), "{fault}");
            assert!(Access::to(bad).connect().is_ok(), "whoever names nobody tells nothing");
        }
        for key in ["", " \n", "two lines\nhere", "schlüssel"] {
            assert!(matches!(Access::to("https://a:1").bearing(key), Err(AccessError::Key)), "{key:?}");
        }
    }

    #[tokio::test]
    async fn certificates_without_tls_are_a_mistake_that_is_told() {
        let fault = Access::to("http://127.0.0.1:1").trusting("x").connect().map(drop).unwrap_err();
        assert!(fault.to_string().contains("https://"), "{fault}");
        let fault = Access::to("https://a:1").showing("none", "none").connect().map(drop).unwrap_err();
        assert!(fault.to_string().contains("must be PEM"), "{fault}");
    }
}
