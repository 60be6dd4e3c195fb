//! The bus as a process of its own, its publishers and its consoles.

use std::{collections::HashSet, fs, path::PathBuf, process::Stdio, sync::Arc, time::Duration};

use anyhow::{Context, bail, ensure};
use futures::{StreamExt as _, stream::FuturesUnordered};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{process::Child, task::JoinSet, time::timeout};
use tonic::transport::{Channel, Endpoint};
use xueliang_base::{cursor::Cursor, id::AlertId};
use xueliang_proto::v1::{
    AcknowledgeRequest, Alert, AlertFilter, AlertState, Explanation, Kind, KindClass, Level, LookRef, Place,
    Publication, PublishOutcome, PublishRequest, Region, SubscribeRequest,
    alert_service_client::AlertServiceClient, subscribe_response::Item,
};

use super::load::{Load, Measured, Started, cpu};
use crate::service::{command, free_ports, until};

const PATIENCE: Duration = Duration::from_secs(30);
/// Calls of Publish under way at once, at most.
const PUBLISHING: usize = 256;

pub(super) struct BusProcess {
    folder: tempfile::TempDir,
    api: String,
    child: Child,
    pid: u32,
}

impl BusProcess {
    /// Starts the role as the supervisor does, in a folder of its own.
    pub(super) async fn start(consoles: usize) -> anyhow::Result<Self> {
        ensure!(consoles <= 2000, "the bus allows 2048 subscriptions");
        let folder = tempfile::tempdir()?;
        let [api] = free_ports()?;
        let config = folder.path().join("xueliang.toml");
        fs::write(
            &config,
            format!(
                "site = \"bench\"\nstate_dir = \"state\"\nnetworks = [\"127.0.0.0/8\"]\nmodels = []\n\
                 [listen]\napi = \"127.0.0.1:{api}\"\n[[division]]\ncode = \"330282\"\nname = \"Bench\"\n\
                 [[camera]]\nid = \"gate\"\nname = \"Gate\"\ndivision = \"330282\"\nurl = \"rtsp://127.0.0.1:1/gate\"\n"
            ),
        )?;
        let log = fs::File::create(folder.path().join("bus.log"))?;
        let mut bus = command()?;
        bus.args(["bus", "--config"]).arg(&config).arg("--state-dir").arg(folder.path().join("state"));
        let child = bus.stdout(Stdio::null()).stderr(Stdio::from(log)).spawn()?;
        let pid = child.id().context("it runs")?;
        let bus = Self { folder, api: format!("http://127.0.0.1:{api}"), child, pid };
        let up = until("the bus serves", PATIENCE, async || bus.console().await.ok()).await;
        up.with_context(|| fs::read_to_string(bus.folder.path().join("bus.log")).unwrap_or_default())?;
        Ok(bus)
    }
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        kill_process(Pid::from_raw(i32::try_from(self.pid)?).context("it has an id")?, Signal::TERM)?;
        timeout(PATIENCE, self.child.wait()).await??;
        Ok(())
    }
    async fn console(&self) -> anyhow::Result<AlertServiceClient<Channel>> {
        Ok(AlertServiceClient::new(Endpoint::new(self.api.clone())?.connect().await?))
    }
    fn socket(&self) -> PathBuf {
        self.folder.path().join("state/run/bus.sock")
    }
    /// Opens the consoles, then publishes; ends when each console has all of it, or no more comes.
    pub(super) async fn measure(&self, load: &Load) -> anyhow::Result<Measured> {
        let started = Arc::new(Started::new(load.count));
        let mut consoles = JoinSet::new();
        let (ready, mut waiting) = tokio::sync::mpsc::channel(load.consoles);
        for _ in 0..load.consoles {
            let (client, ready, started) = (self.console().await?, ready.clone(), Arc::clone(&started));
            consoles.spawn(follow(client, load.count, load.warm, started, ready));
        }
        drop(ready);
        for _ in 0..load.consoles {
            timeout(PATIENCE, waiting.recv()).await?.context("a console ended early")?;
        }
        let (began, bus, own) = (tokio::time::Instant::now(), cpu(self.pid), cpu(std::process::id()));
        self.publish(load, &started).await?;
        let mut all = Measured::default();
        while let Some(one) =
            timeout(PATIENCE, consoles.join_next()).await.context("deliveries are missing")?
        {
            let one = one??;
            all.ages_us.extend(one.ages_us);
            all.lost += one.lost;
            all.reordered += one.reordered;
            all.doubled += one.doubled;
            all.gaps += one.gaps;
        }
        all.took = began.elapsed();
        all.server_cpu = cpu(self.pid).saturating_sub(bus);
        all.own_cpu = cpu(std::process::id()).saturating_sub(own);
        Ok(all)
    }
    /// Publishes at the rate, whatever the answers take; each alert by a call of its own.
    async fn publish(&self, load: &Load, started: &Arc<Started>) -> anyhow::Result<()> {
        let channel = Endpoint::new(format!("unix:{}", self.socket().display()))?.connect().await?;
        let client = AlertServiceClient::new(channel);
        let mut tick = tokio::time::interval(Duration::from_secs(1) / u32::try_from(load.rate)?);
        let mut calls = JoinSet::new();
        for index in 0..load.count {
            tick.tick().await;
            if calls.len() >= PUBLISHING {
                calls.join_next().await.context("one is under way")???;
            }
            let (mut client, started) = (client.clone(), Arc::clone(started));
            calls.spawn(async move {
                let publication = Publication { alert: Some(alert(index)), last_round_trip_us: 1_000 };
                started.now(index);
                let answer =
                    client.publish(PublishRequest { publications: vec![publication] }).await?.into_inner();
                let result = answer.results.first().context("one result")?;
                ensure!(result.outcome() == PublishOutcome::Committed, "not committed: {}", result.message);
                anyhow::Ok(())
            });
        }
        while let Some(call) = calls.join_next().await {
            call??;
        }
        Ok(())
    }
}

/// One console: takes and acknowledges until it has all alerts, or none has come for long.
async fn follow(
    mut client: AlertServiceClient<Channel>,
    count: usize,
    warm: usize,
    started: Arc<Started>,
    ready: tokio::sync::mpsc::Sender<()>,
) -> anyhow::Result<Measured> {
    let filter = AlertFilter { kinds: vec![Kind::FireFlame.into()], ..AlertFilter::default() };
    let request = SubscribeRequest { filter: Some(filter), ..SubscribeRequest::default() };
    let mut stream = client.subscribe(request).await?.into_inner();
    let mut acknowledging = FuturesUnordered::new();
    let (mut seen, mut last, mut id) = (HashSet::new(), [0; 3], String::new());
    let mut measured = Measured::default();
    let deadline = tokio::time::sleep(PATIENCE);
    tokio::pin!(deadline);
    while seen.len() < count {
        let item = tokio::select! {
            item = stream.message() => item?.and_then(|response| response.item),
            Some(answer) = acknowledging.next() => {
                let _acknowledged: tonic::Response<_> = answer?;
                continue;
            }
            () = &mut deadline => break,
        };
        let delivery = match item {
            Some(Item::Delivery(delivery)) => delivery,
            Some(Item::Opened(opened)) => {
                id = opened.subscription_id;
                continue;
            }
            Some(Item::Snapshot(mark)) if !mark.begin => {
                ready.send(()).await?;
                continue;
            }
            Some(Item::Gap(_)) => {
                measured.gaps += 1;
                continue;
            }
            Some(Item::Closed(closed)) => bail!("closed: {:?}", closed.reason()),
            None => bail!("the stream ended"),
            Some(_) => continue,
        };
        let alert = delivery.record.and_then(|record| record.alert).context("an alert")?;
        let index = usize::try_from(alert.count)?.checked_sub(1).context("an index")?;
        let age_us = started.age_us(index);
        deadline.as_mut().reset(tokio::time::Instant::now() + PATIENCE);
        let positions = Cursor::decode(&delivery.cursor)?.positions;
        measured.reordered += usize::from(positions[0] <= last[0]);
        last = positions;
        if seen.insert(index) {
            if index >= warm {
                measured.ages_us.push(age_us);
            }
        } else {
            measured.doubled += 1;
        }
        let (mut client, subscription_id) = (client.clone(), id.clone());
        acknowledging.push(async move {
            client.acknowledge(AcknowledgeRequest { subscription_id, cursor: delivery.cursor }).await
        });
    }
    measured.lost = count - seen.len();
    Ok(measured)
}

/// A critical alert of about 1 KB that carries its number as its count.
fn alert(index: usize) -> Alert {
    let now = 1_790_000_000_000_000;
    let look = |look_id| LookRef { look_id, arrived_unix_us: now, score: 0.5 };
    let region = Region { x0: 0.1, y0: 0.1, x1: 0.2, y1: 0.2 };
    Alert {
        alert_id: AlertId::mint().to_string(),
        revision: 1,
        kind: Kind::FireFlame.into(),
        kind_class: KindClass::Event.into(),
        level: Level::Level2.into(),
        state: AlertState::Firing.into(),
        place: Some(Place {
            camera_id: "gate".to_owned(),
            camera_name: "Gate".to_owned(),
            division_path: vec!["330282".to_owned()],
            division_name: "Bench".to_owned(),
            address: "x".repeat(200),
            ..Place::default()
        }),
        started_unix_us: now,
        last_seen_unix_us: now,
        decided_unix_us: now,
        count: index as u64 + 1,
        confidence: 0.5,
        regions: vec![region; 16],
        explanation: Some(Explanation {
            config_revision: 1,
            rule: "rule".to_owned(),
            looks: (1..=16).map(look).collect(),
            ..Explanation::default()
        }),
        ..Alert::default()
    }
}
