//! Metrics between processes: a role writes its metrics as text to whoever connects to its socket, and closes.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Context;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    time::{sleep, timeout},
};
use tracing::{debug, warn};
use xueliang_base::shutdown::Stopping;

/// Between two tries to accept a connection.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Serves `text` on the socket until stopping is asked.
pub fn spawn<F>(socket: &Path, mut stopping: Stopping, text: F) -> anyhow::Result<()>
where
    F: Fn() -> String + Send + Sync + 'static,
{
    remove_stale(socket)?;
    let listener = UnixListener::bind(socket).with_context(|| format!("listen on {}", socket.display()))?;
    let text = Arc::new(text);
    tokio::spawn(async move {
        loop {
            let accepted = tokio::select! {
                () = stopping.wait() => return,
                accepted = listener.accept() => accepted,
            };
            let (mut stream, _) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // No descriptor is left, most likely: trying again at once would only take the time of others.
                    warn!(%error, "metrics cannot be asked for");
                    tokio::select! {
                        () = stopping.wait() => return,
                        () = sleep(ACCEPT_PAUSE) => continue,
                    }
                }
            };
            let write = async { stream.write_all(text().as_bytes()).await };
            if !matches!(timeout(Duration::from_secs(2), write).await, Ok(Ok(()))) {
                debug!("metrics were not taken");
            }
        }
    });
    Ok(())
}

/// Reads a role's metrics; `None` when it does not answer within a second.
pub async fn read(socket: &Path) -> Option<String> {
    let read = async {
        let mut stream = UnixStream::connect(socket).await.ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await.ok()?;
        Some(text)
    };
    timeout(Duration::from_secs(1), read).await.ok().flatten()
}

/// Removes a socket that a killed process left behind.
pub fn remove_stale(socket: &Path) -> anyhow::Result<()> {
    match std::fs::remove_file(socket) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e).with_context(|| format!("remove {}", socket.display())),
    }
}
