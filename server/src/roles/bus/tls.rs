//! TLS of the public listener, with certificates of clients where the configuration asks for them. Files that change are
//! read again, so that a certificate is renewed without a restart.

use std::{
    io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    task::{Context as TaskContext, Poll},
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, bail};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
    time::{Instant, sleep, timeout},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
        server::WebPkiClientVerifier,
    },
    server::TlsStream,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::{Connected, TcpConnectInfo};
use tracing::{debug, error, info, warn};
use xueliang_base::{config::ApiTls, shutdown::Stopping};

/// A handshake takes no longer.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Handshakes at once. Who comes on top waits in the kernel's queue.
const HANDSHAKES: usize = 256;
/// Connections that wait to be served.
const READY: usize = 16;
/// How often files are looked at, at most.
const LOOK: Duration = Duration::from_secs(10);
/// Between two tries to accept a connection.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

fn certificates(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let read = || CertificateDer::pem_file_iter(path)?.collect::<Result<Vec<_>, _>>();
    let found = read().with_context(|| format!("read certificates of {}", path.display()))?;
    if found.is_empty() {
        bail!("{} holds no certificate: it must be PEM", path.display());
    }
    Ok(found)
}

/// Reads the files of a configuration, or says what is wrong with them.
pub fn read(files: &ApiTls) -> anyhow::Result<Arc<ServerConfig>> {
    let provider = Arc::new(ring::default_provider());
    let chain = certificates(&files.certificate)?;
    let shown = files.key.display();
    let key = PrivateKeyDer::from_pem_file(&files.key).with_context(|| format!("read the key of {shown}"))?;
    let versions = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .context("choose versions of TLS")?;
    let clients = match &files.client_ca {
        None => versions.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots.add(certificate).with_context(|| format!("use a certificate of {}", path.display()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            versions.with_client_cert_verifier(verifier.context("client_ca")?)
        }
    };
    let mut config = clients
        .with_single_cert(chain, key)
        .with_context(|| format!("{shown} is not the key of {}", files.certificate.display()))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

/// The configuration in force, and the files that it was read from.
struct Current {
    files: ApiTls,
    config: Arc<ServerConfig>,
    changed: Vec<Option<SystemTime>>,
    looked: Instant,
}

impl Current {
    fn new(files: ApiTls) -> anyhow::Result<Self> {
        let changed = times(&files);
        Ok(Self { config: read(&files)?, changed, looked: Instant::now(), files })
    }
    /// What new connections get. Files that cannot be used leave what is in force in force.
    fn config(&mut self) -> Arc<ServerConfig> {
        if self.looked.elapsed() >= LOOK {
            self.looked = Instant::now();
            self.look();
        }
        Arc::clone(&self.config)
    }
    fn look(&mut self) {
        let changed = times(&self.files);
        if changed == self.changed {
            return;
        }
        self.changed = changed;
        match read(&self.files) {
            Ok(config) => {
                self.config = config;
                info!("certificates have changed and are in force for new connections");
            }
            Err(fault) => {
                error!(
                    error = format!("{fault:#}"),
                    "changed certificates cannot be used, keeping those in force"
                );
            }
        }
    }
}

fn times(files: &ApiTls) -> Vec<Option<SystemTime>> {
    let all = [Some(&files.certificate), Some(&files.key), files.client_ca.as_ref()];
    let time = |path: &PathBuf| std::fs::metadata(path).and_then(|found| found.modified()).ok();
    all.into_iter().flatten().map(time).collect()
}

/// Connections whose handshake succeeded.
pub fn incoming(
    listener: TcpListener,
    files: ApiTls,
    mut stopping: Stopping,
) -> anyhow::Result<ReceiverStream<io::Result<Connection>>> {
    let mut current = Current::new(files)?;
    let (ready, accepted) = mpsc::channel(READY);
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES));
    tokio::spawn(async move {
        loop {
            let place = Arc::clone(&handshakes).acquire_owned().await.expect("it is never closed");
            let stream = tokio::select! {
                () = stopping.wait() => return,
                stream = listener.accept() => stream,
            };
            let stream = match stream {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // No descriptor is left, most likely.
                    warn!(%error, "consoles cannot connect");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let (config, ready) = (current.config(), ready.clone());
            tokio::spawn(async move {
                match timeout(HANDSHAKE, handshake(stream, config)).await {
                    // Nobody takes it any more when the service stops.
                    Ok(Ok(connection)) => drop(ready.send(Ok(connection)).await),
                    Ok(Err(error)) => debug!(%error, "a handshake failed"),
                    Err(_) => debug!("a handshake took too long"),
                }
                drop(place);
            });
        }
    });
    Ok(ReceiverStream::new(accepted))
}

async fn handshake(stream: TcpStream, config: Arc<ServerConfig>) -> io::Result<Connection> {
    stream.set_nodelay(true)?;
    let info = TcpConnectInfo { local_addr: stream.local_addr().ok(), remote_addr: stream.peer_addr().ok() };
    Ok(Connection { info, stream: TlsAcceptor::from(config).accept(stream).await? })
}

/// A connection over TLS that knows where it comes from.
pub struct Connection {
    info: TcpConnectInfo,
    stream: TlsStream<TcpStream>,
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;
    fn connect_info(&self) -> TcpConnectInfo {
        self.info.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut TaskContext<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut TaskContext<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
pub(super) mod tests;
