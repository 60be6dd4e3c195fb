//! Connections of our own, beside a driver's: whether anybody is there, and what it speaks.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::{SessionError, address::Place};

/// A camera that was gone gets this long to take a connection before anything is built for it.
const KNOCK: Duration = Duration::from_secs(1);

/// Connects.
pub(super) async fn connect(address: SocketAddr) -> Result<TcpStream, SessionError> {
    let silent = || SessionError::Unreachable { reason: "no answer to a connection".to_owned() };
    timeout(KNOCK, TcpStream::connect(address)).await.map_err(|_| silent())?.map_err(|error| {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => SessionError::Refused,
            io::ErrorKind::TimedOut => silent(),
            _ => SessionError::Unreachable { reason: error.to_string() },
        }
    })
}

/// Looks closer at an attempt that ended before the camera had described anything: refused or unreachable, and whether
/// RTSP is spoken. `knocked`: the camera took a connection just before.
pub(super) async fn closer(error: SessionError, place: &Place, knocked: bool) -> SessionError {
    use SessionError as E;
    let unclear = matches!(error, E::Closed | E::NotRtsp | E::Rejected { .. } | E::Unreadable { .. });
    let silent = matches!(error, E::NoAnswer { .. } | E::NoFirstUnit { .. }) && !knocked;
    if !unclear && !silent && !matches!(error, E::Unreachable { .. }) {
        return error;
    }
    let mut socket = match connect(place.address).await {
        Err(error) => return error,
        Ok(socket) => socket,
    };
    if unclear && place.url.scheme() == "rtsp" {
        let mut answer = [0; 5];
        let asked = timeout(KNOCK, async {
            socket.write_all(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n").await?;
            socket.read_exact(&mut answer).await
        });
        if matches!(asked.await, Ok(Ok(_))) && &answer != b"RTSP/" {
            return E::NotRtsp;
        }
    }
    error
}
