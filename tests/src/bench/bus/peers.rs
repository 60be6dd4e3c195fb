//! Other servers under the same load: each durable before it answers, each delivery acknowledged by itself, each console
//! on a connection of its own. They are what `tools/peers.sh` fetched.

use std::{path::Path, process::Stdio, sync::Arc};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::{Child, Command},
    task::JoinSet,
    time::timeout,
};
use xueliang_base::kind::Lane;

use super::{
    load::{Load, Measured, Meter, Started, Tally},
    process::PATIENCE,
};
use crate::repository;

mod nats;
mod redis;

/// The other servers, as [`super::PEERS`] names them.
#[derive(Clone, Copy)]
pub(super) enum Peer {
    /// NATS JetStream: a file store, push consumers with explicit acknowledgement.
    Nats,
    /// Redis Streams: a group for each console.
    Redis,
}

impl Peer {
    pub(super) const ALL: [Self; 2] = [Self::Nats, Self::Redis];
    pub(super) fn name(self) -> &'static str {
        super::PEERS[self as usize]
    }
    fn program(self) -> &'static str {
        match self {
            Self::Nats => ".cache/peers/nats-server",
            Self::Redis => ".cache/peers/redis/redis-server",
        }
    }
    pub(super) fn is_there(self) -> bool {
        repository().join(self.program()).is_file()
    }
    /// Runs a load of critical alerts on a server of its own. What the server says of its durability comes with it.
    pub(super) async fn measure(self, load: &Load) -> anyhow::Result<(Measured, String)> {
        match self {
            Self::Nats => nats::measure(load).await,
            Self::Redis => redis::measure(load).await,
        }
    }
}

/// A server that ends with this.
struct Server {
    child: Child,
    folder: tempfile::TempDir,
}

impl Server {
    /// Starts a peer in a folder of its own; `prepare` writes there what it needs and gives its arguments.
    fn start(peer: Peer, prepare: impl FnOnce(&Path) -> anyhow::Result<Vec<String>>) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let program = repository().join(peer.program());
        let mut command = Command::new(&program);
        command.args(prepare(folder.path())?).current_dir(folder.path()).kill_on_drop(true);
        // Its libraries stand beside it.
        command.env("LD_LIBRARY_PATH", program.parent().context("a folder")?);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        Ok(Self { child, folder })
    }
    fn pid(&self) -> anyhow::Result<u32> {
        self.child.id().context("the server has ended")
    }
    async fn stop(mut self) -> anyhow::Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.pid()?)?).context("it has an id")?;
        kill_process(pid, Signal::TERM)?;
        timeout(PATIENCE, self.child.wait()).await??;
        drop(self.folder);
        Ok(())
    }
}

/// What one console of a peer got.
struct Follower {
    load: Load,
    started: Arc<Started>,
    seen: Vec<bool>,
    last: u64,
    tally: Tally,
}

impl Follower {
    fn new(load: &Load, started: &Arc<Started>) -> Self {
        let seen = vec![false; load.count(Lane::Critical)];
        Self { load: load.clone(), started: Arc::clone(started), seen, last: 0, tally: Tally::default() }
    }
    fn has_all(&self) -> bool {
        self.tally.ages[Lane::Critical.index()].len() == self.load.count(Lane::Critical)
    }
    /// Takes a message, at a place of the server that only grows.
    fn take(&mut self, place: u64, payload: &[u8]) -> anyhow::Result<()> {
        let alert: xueliang_proto::v1::Alert = prost::Message::decode(payload)?;
        let index = usize::try_from(alert.count)?.checked_sub(1).context("an index")?;
        let age_us = self.started.age_us(Lane::Critical, index);
        self.tally.reordered += usize::from(place <= self.last);
        self.last = place;
        let seen = self.seen.get_mut(index).context("an index of the load")?;
        if std::mem::replace(seen, true) {
            self.tally.doubled += 1;
        } else {
            self.tally.ages[Lane::Critical.index()].push((index, age_us));
        }
        Ok(())
    }
    fn finish(mut self) -> Tally {
        self.tally.lost = self.seen.iter().filter(|seen| !**seen).count();
        self.tally
    }
}

/// Measures from here until `publishing` is done and all consoles have all.
async fn measured(
    server: &Server,
    publishing: impl Future<Output = anyhow::Result<()>>,
    mut consoles: JoinSet<anyhow::Result<Tally>>,
) -> anyhow::Result<Measured> {
    let meter = Meter::start(server.pid()?);
    publishing.await?;
    let mut all = Tally::default();
    while let Some(one) = timeout(PATIENCE, consoles.join_next()).await.context("a console hangs")? {
        all.add(&one??);
    }
    Ok(meter.stop(all))
}
