//! All cameras behind one port.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{Mutex, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};

use crate::camera::{Camera, CameraHandle, CameraSpec};
use crate::connection::Connection;
use crate::error::Error;
use crate::schedule::Change;
use crate::sdp;

/// Bytes the system may hold of what a client has not read: a few keyframes, as in a camera, not the megabytes a server
/// gets by default.
const SEND_BUFFER_BYTES: u32 = 256 * 1024;
/// Connections at once; more are closed as soon as they are accepted.
const MOST_CONNECTIONS: usize = 8192;
const BACKLOG: u32 = 1024;
/// Pause after a failure to accept (no file descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The cameras by name.
#[derive(Debug)]
pub(crate) struct Cameras(BTreeMap<String, Arc<Camera>>);

impl Cameras {
    /// The camera that a request's path is for: with or without its track, with or without its query.
    pub(crate) fn find(&self, path: &str) -> Option<Arc<Camera>> {
        let whole = path.strip_suffix(sdp::TRACK).unwrap_or(path).trim_end_matches('/');
        let without_query = whole.split('?').next().unwrap_or_default().trim_end_matches('/');
        self.0.get(whole).or_else(|| self.0.get(without_query)).cloned()
    }
}

/// A running simulator. Dropping it ends everything without waiting; [`shutdown`](Self::shutdown) waits.
#[derive(Debug)]
pub struct Simulator {
    cameras: Arc<Cameras>,
    address: SocketAddr,
    port: Mutex<Option<Port>>,
    /// The schedules; dropping the set ends them.
    _schedules: JoinSet<()>,
}

impl Simulator {
    /// Listens on `address` (port 0: any free one) and serves `cameras`. Runs on the current tokio runtime.
    pub async fn start(address: SocketAddr, cameras: Vec<CameraSpec>) -> Result<Self, Error> {
        let start = Instant::now();
        let mut by_name = BTreeMap::new();
        for (index, spec) in cameras.into_iter().enumerate() {
            let camera = Arc::new(Camera::build(spec, start, phase(index))?);
            if let Some(camera) = by_name.insert(camera.name().to_owned(), camera) {
                return Err(Error::DuplicateCamera { name: camera.name().to_owned() });
            }
        }
        let cameras = Arc::new(Cameras(by_name));
        let listener = listen(address)?;
        let address = listener.local_addr().map_err(|source| Error::Listen { address, source })?;
        let port = Mutex::new(Some(Port::open(listener, &cameras)));
        let mut schedules = JoinSet::new();
        for camera in cameras.0.values() {
            schedules.spawn(run_schedule(Arc::clone(camera)));
        }
        Ok(Self { cameras, address, port, _schedules: schedules })
    }

    /// Where clients connect.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The URL of camera `name`, without credentials.
    pub fn url(&self, name: &str) -> String {
        format!("rtsp://{}/{name}", self.address)
    }

    /// The camera `name`.
    pub fn camera(&self, name: &str) -> Result<CameraHandle, Error> {
        match self.cameras.0.get(name) {
            Some(camera) => Ok(CameraHandle::new(Arc::clone(camera))),
            None => Err(Error::UnknownCamera { name: name.to_owned() }),
        }
    }

    /// All cameras, in order of their names.
    pub fn cameras(&self) -> Vec<CameraHandle> {
        self.cameras.0.values().map(|camera| CameraHandle::new(Arc::clone(camera))).collect()
    }

    /// Closes the port and every connection: the system refuses connections from here on. Waits until it is so.
    pub async fn close_port(&self) {
        if let Some(port) = self.port.lock().await.take() {
            port.close().await;
        }
    }

    /// Opens the port again, with the same number. Does nothing where it is open.
    pub async fn open_port(&self) -> Result<(), Error> {
        let mut port = self.port.lock().await;
        if port.is_none() {
            *port = Some(Port::open(listen(self.address)?, &self.cameras));
        }
        Ok(())
    }

    /// Ends everything, and waits until all connections are closed.
    pub async fn shutdown(self) {
        self.close_port().await;
    }
}

/// Which part of a picture's time a camera is behind the first: spread evenly however many there are (the golden
/// ratio's multiples are), for cameras do not tick together.
fn phase(index: usize) -> f64 {
    (index as f64 * 0.618_033_988_749_895).fract()
}

fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    let open = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        // Accepted connections inherit it.
        socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    open().map_err(|source| Error::Listen { address, source })
}

/// Follows a camera's schedule to its end.
async fn run_schedule(camera: Arc<Camera>) {
    for step in camera.schedule().steps() {
        sleep_until(camera.begun + step.at).await;
        match &step.change {
            Change::Clear => camera.clear(),
            Change::Apply(fault) => {
                if let Err(error) = camera.apply(fault.clone()) {
                    tracing::warn!(camera = camera.name(), %error, "scheduled fault left out");
                }
            }
        }
    }
}

/// An open port with its connections.
#[derive(Debug)]
struct Port {
    /// Dropping it closes the port.
    stop: watch::Sender<()>,
    acceptor: JoinHandle<()>,
}

impl Port {
    fn open(listener: TcpListener, cameras: &Arc<Cameras>) -> Self {
        let (stop, stopped) = watch::channel(());
        let acceptor = tokio::spawn(accept(listener, Arc::clone(cameras), stopped));
        Self { stop, acceptor }
    }

    async fn close(self) {
        drop(self.stop);
        // A panic in the acceptor has closed the port as well.
        let _ = self.acceptor.await;
    }
}

/// Accepts connections until `stopped`, and then ends those there are.
async fn accept(listener: TcpListener, cameras: Arc<Cameras>, mut stopped: watch::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = stopped.changed() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if connections.len() < MOST_CONNECTIONS => {
                    connections.spawn(Connection::new(stream, Arc::clone(&cameras)).run());
                }
                Ok((_, peer)) => tracing::warn!(%peer, "connection closed: the simulator has as many as it serves"),
                Err(error) => {
                    tracing::warn!(%error, "accept connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    connections.shutdown().await;
}
