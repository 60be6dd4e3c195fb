//! A network between a console and the bus that fails on command. Loopback only.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    time::sleep,
};

/// What the network does to every connection through it, old and new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// Nothing.
    Fair,
    /// Takes no more bytes from either side, so that their buffers fill up.
    Stalled,
    /// The other side is gone without a word: bytes are taken and lost, connections are taken and answered by nobody.
    HalfOpen,
    /// Each piece comes so much later.
    Delayed(Duration),
    /// So few bytes a second reach the console.
    Slow(usize),
    /// Connections are reset as they come.
    Cut,
}

pub struct Proxy {
    port: u16,
    weather: Arc<watch::Sender<Weather>>,
    task: tokio::task::JoinHandle<()>,
}

impl Proxy {
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let weather = Arc::new(watch::channel(Weather::Fair).0);
        let shared = weather.clone();
        let task = tokio::spawn(async move {
            let mut links = tokio::task::JoinSet::new();
            loop {
                tokio::select! {
                    Ok((console, _)) = listener.accept() => {
                        links.spawn(link(console, port, shared.subscribe()));
                    }
                    Some(_) = links.join_next() => {}
                }
            }
        });
        Self { port: own, weather, task }
    }
    pub fn api(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn link(console: TcpStream, port: u16, mut weather: watch::Receiver<Weather>) {
    // Gone without a word is gone for ever, as for a host that was switched off.
    if *weather.borrow_and_update() == Weather::HalfOpen {
        let mut console = console;
        let mut lost = [0; 4096];
        while console.read(&mut lost).await.is_ok_and(|read| read > 0) {}
        return;
    }
    let Ok(bus) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    console.set_nodelay(true).unwrap();
    bus.set_nodelay(true).unwrap();
    let ((from_console, to_console), (from_bus, to_bus)) = (console.into_split(), bus.into_split());
    let down = pump(from_bus, to_console, weather.clone(), true);
    let up = pump(from_console, to_bus, weather.clone(), false);
    let cut = async move {
        // The sender lives as long as the proxy does.
        drop(weather.wait_for(|weather| *weather == Weather::Cut).await);
    };
    tokio::select! {
        () = async { tokio::join!(down, up); } => {}
        () = cut => {}
    }
}

/// Carries bytes one way until an end closes.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut weather: watch::Receiver<Weather>,
    down: bool,
) {
    let mut buffer = vec![0; 16 << 10];
    let mut gone = false;
    loop {
        let now = *weather.borrow_and_update();
        gone |= now == Weather::HalfOpen;
        if now == Weather::Stalled {
            if weather.changed().await.is_err() {
                return;
            }
            continue;
        }
        let room =
            if let (Weather::Slow(bytes), true) = (now, down) { (bytes / 20).max(1) } else { buffer.len() };
        let room = room.min(buffer.len());
        let read = tokio::select! {
            read = from.read(&mut buffer[..room]) => read,
            changed = weather.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
        };
        let Ok(read @ 1..) = read else {
            if gone {
                // The other side is told of no end either; it finds out by itself, or the test ends.
                std::future::pending::<()>().await;
            }
            // It may have closed this way already.
            drop(to.shutdown().await);
            return;
        };
        match now {
            Weather::Delayed(by) => sleep(by).await,
            Weather::Slow(_) if down => sleep(Duration::from_millis(50)).await,
            _ => {}
        }
        if !gone && to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
