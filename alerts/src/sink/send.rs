//! One sending: a connection, a signed POST, the status of its answer. Redirects are not followed, and of the answer
//! nothing but its head is read.

use std::{path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, StatusCode, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    },
};
use url::Url;
use xueliang_base::time::Wall;

use super::{Fault, address, sign::Secret};

/// What a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// No longer wait is taken from `Retry-After`.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);
/// The head of an answer.
const MAX_HEAD: usize = 16 << 10;

/// What became of one sending.
#[derive(Debug)]
pub(super) struct Sent {
    /// Whether anything may have left.
    pub(super) left: bool,
    /// HTTP status; 0 when no answer came.
    pub(super) status: u16,
    /// Why it was not taken.
    pub(super) result: Result<(), Fault>,
    /// What the other side asked to wait.
    pub(super) retry_after: Option<Duration>,
}

impl Sent {
    fn failed(left: bool, fault: Fault) -> Self {
        Self { left, status: 0, result: Err(fault), retry_after: None }
    }
}

/// What a sending carries besides its body.
pub(super) struct Letter<'a> {
    pub(super) delivery_id: &'a str,
    pub(super) body: Bytes,
    /// Now, for the signature.
    pub(super) at: Wall,
}

/// Sends to one place.
pub(super) struct Sender {
    pub(super) url: Url,
    pub(super) networks: Vec<IpNet>,
    pub(super) secret_file: PathBuf,
    /// For an answer, from the connection on.
    pub(super) answer_within: Duration,
    /// `Err`: why no certificate can be checked.
    pub(super) tls: Result<Arc<ClientConfig>, String>,
}

/// What TLS needs: the certificates of a file, or those of this machine.
pub(super) fn tls(ca_file: Option<&PathBuf>) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = ca_file {
        let shown = path.display();
        let read = CertificateDer::pem_file_iter(path).map_err(|error| format!("read {shown}: {error}"))?;
        for certificate in read {
            let certificate = certificate.map_err(|error| format!("read {shown}: {error}"))?;
            roots.add(certificate).map_err(|error| format!("use the certificates of {shown}: {error}"))?;
        }
        if roots.is_empty() {
            return Err(format!("{shown} holds no certificate: it must be PEM"));
        }
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(
                "this machine has no certificates: install ca-certificates, or set ca_file".to_owned()
            );
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

impl Sender {
    /// Sends once.
    pub(super) async fn send(&self, letter: &Letter<'_>) -> Sent {
        let Ok(secret) = Secret::read(&self.secret_file).await else {
            return Sent::failed(false, Fault::Local);
        };
        let connected = timeout(CONNECT, self.connect()).await.unwrap_or(Err(Fault::Unreachable));
        let stream = match connected {
            Ok(stream) => stream,
            Err(fault) => return Sent::failed(false, fault),
        };
        let request = self.request(letter, &secret);
        if self.url.scheme() != "https" {
            return self.exchange(stream, request, letter.at).await;
        }
        let Ok(tls) = &self.tls else { return Sent::failed(false, Fault::Local) };
        let Some(name) = self.server_name() else { return Sent::failed(false, Fault::Address) };
        match timeout(CONNECT, TlsConnector::from(Arc::clone(tls)).connect(name, stream)).await {
            Ok(Ok(stream)) => self.exchange(stream, request, letter.at).await,
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::InvalidData => {
                Sent::failed(false, Fault::Tls)
            }
            _ => Sent::failed(false, Fault::Unreachable),
        }
    }
    async fn connect(&self) -> Result<TcpStream, Fault> {
        let address = address::find(&self.url, &self.networks).await?;
        TcpStream::connect(address).await.map_err(|_| Fault::Unreachable)
    }
    fn server_name(&self) -> Option<ServerName<'static>> {
        let host = self.url.host_str()?.trim_matches(['[', ']']);
        ServerName::try_from(host.to_owned()).ok()
    }
    fn request(&self, letter: &Letter<'_>, secret: &Secret) -> Option<Request<Full<Bytes>>> {
        let timestamp = letter.at.0.div_euclid(1_000_000).to_string();
        let path = &self.url[url::Position::BeforePath..url::Position::AfterQuery];
        let host = &self.url[url::Position::BeforeHost..url::Position::AfterPort];
        let request = Request::post(path)
            .header(header::HOST, host)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("xueliang/", env!("CARGO_PKG_VERSION")))
            .header(header::CONNECTION, "close")
            .header("Xueliang-Delivery-Id", letter.delivery_id)
            .header("Xueliang-Signature", secret.sign(&timestamp, &letter.body))
            .header("Xueliang-Timestamp", timestamp)
            .body(Full::new(letter.body.clone()));
        request.ok()
    }
    async fn exchange<S>(&self, stream: S, request: Option<Request<Full<Bytes>>>, now: Wall) -> Sent
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Some(request) = request else { return Sent::failed(false, Fault::Address) };
        let answer = async {
            let mut builder = http1::Builder::new();
            builder.max_buf_size(MAX_HEAD);
            let (mut requests, connection) = builder.handshake(TokioIo::new(stream)).await?;
            // Ends with this sending, whether it was answered or not.
            let mut driving = JoinSet::new();
            driving.spawn(connection);
            requests.send_request(request).await
        };
        match timeout(self.answer_within, answer).await {
            Ok(Ok(response)) => {
                let status = response.status();
                let after = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
                Sent {
                    left: true,
                    status: status.as_u16(),
                    result: judge(status),
                    retry_after: after.and_then(|text| retry_after(text, now)),
                }
            }
            _ => Sent::failed(true, Fault::NoAnswer),
        }
    }
}

/// What a status means.
fn judge(status: StatusCode) -> Result<(), Fault> {
    match status.as_u16() {
        200..=299 => Ok(()),
        300..=399 => Err(Fault::Redirect),
        408 | 429 => Err(Fault::Busy),
        400..=499 => Err(Fault::Refused),
        _ => Err(Fault::Busy),
    }
}

/// Seconds, or a date, which is measured by this machine's clock.
fn retry_after(text: &str, now: Wall) -> Option<Duration> {
    let wait = match text.trim().parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = httpdate::parse_http_date(text).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
            at.saturating_sub(Duration::from_micros(u64::try_from(now.0).ok()?))
        }
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_asked_for_in_seconds_or_by_date_and_is_bounded() {
        let now = Wall(1_790_000_000_000_000);
        assert_eq!(retry_after("7", now), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Mon, 21 Sep 2026 14:13:30 GMT", now), Some(Duration::from_secs(10)));
        assert_eq!(retry_after("Mon, 21 Sep 2020 14:13:30 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("999999999", now), Some(MAX_RETRY_AFTER));
        assert_eq!(retry_after("soon", now), None);
    }

    #[test]
    fn a_redirect_is_no_success_and_a_refusal_no_outage() {
        let judged = |code| judge(StatusCode::from_u16(code).unwrap());
        assert_eq!(judged(204), Ok(()));
        assert_eq!(judged(302), Err(Fault::Redirect));
        assert_eq!(judged(410), Err(Fault::Refused));
        for busy in [408, 429, 500, 503] {
            assert_eq!(judged(busy), Err(Fault::Busy));
        }
    }
}
