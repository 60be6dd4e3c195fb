//! The client library over real connections: at a bus, and at a service that does what a test says.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod bus;
mod half_open;
mod scripted;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Channel;
use xueliang_client::{Event, Item, Watcher, address, v1};

const PATIENCE: Duration = Duration::from_secs(8);

fn socket(folder: &Path) -> PathBuf {
    folder.join("socket")
}

/// A socket in a folder, in place of the one before.
fn listen(folder: &Path) -> UnixListenerStream {
    let socket = socket(folder);
    if socket.exists() {
        std::fs::remove_file(&socket).unwrap();
    }
    UnixListenerStream::new(UnixListener::bind(socket).unwrap())
}

fn channel(folder: &Path) -> Channel {
    address(&format!("unix:{}", socket(folder).display())).unwrap().connect_lazy()
}

fn named(name: &str) -> v1::SubscribeRequest {
    v1::SubscribeRequest { subscription: name.to_owned(), ..v1::SubscribeRequest::default() }
}

/// A console that shows everything at once.
struct Desk(Watcher);

impl Desk {
    fn at(folder: &Path, request: v1::SubscribeRequest) -> Self {
        Self(Watcher::new(channel(folder), request, 1))
    }
    async fn event(&mut self) -> Event {
        let event = tokio::time::timeout(PATIENCE, self.0.next()).await.expect("the watcher gives no event");
        self.0.shown(&event);
        event
    }
    /// The first event that a test asks for.
    async fn until<T>(&mut self, wanted: impl Fn(&Event) -> Option<T>) -> T {
        let waiting = async {
            loop {
                if let Some(found) = wanted(&self.event().await) {
                    return found;
                }
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("what is waited for never comes")
    }
    async fn delivery(&mut self) -> v1::Delivery {
        self.until(|event| match event {
            Event::Item(Item::Delivery(delivery)) => Some(delivery.clone()),
            _ => None,
        })
        .await
    }
    async fn live(&mut self) {
        // One without a place is a sign of life within the snapshot.
        self.until(|event| match event {
            Event::Item(Item::Bookmark(bookmark)) if !bookmark.cursor.is_empty() => Some(()),
            _ => None,
        })
        .await;
    }
}

fn lost(event: &Event) -> Option<Duration> {
    match event {
        Event::Lost { wait, .. } => Some(*wait),
        _ => None,
    }
}

fn key(delivery: &v1::Delivery) -> (String, u64) {
    let alert = delivery.record.as_ref().unwrap().alert.as_ref().unwrap();
    (alert.alert_id.clone(), alert.revision)
}
