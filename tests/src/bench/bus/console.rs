//! One console: it takes, acknowledges and tallies until it has all that was published.

use std::{collections::HashSet, sync::Arc, time::Duration};

use anyhow::Context;
use bytes::Bytes;
use futures::{StreamExt as _, stream::FuturesUnordered};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until, timeout},
};
use tonic::{Response, Status, transport::Channel};
use xueliang_base::{cursor::Cursor, kind::Lane};
use xueliang_proto::v1::{
    AcknowledgeRequest, AcknowledgeResponse, AlertFilter, Delivery, Lane as WireLane, SubscribeRequest,
    Summary, alert_service_client::AlertServiceClient, subscribe_response::Item,
};

use super::{
    alerts::KINDS,
    load::{Load, Started, Tally},
    process::{Api, PATIENCE},
};

/// What all consoles of a load share.
pub(super) struct Shared {
    pub(super) load: Load,
    pub(super) started: Started,
    pub(super) api: Api,
    /// Told when a console has its first stream, or has one again.
    pub(super) ready: mpsc::Sender<()>,
    /// Set when consoles are to lose their connections.
    pub(super) cut: watch::Receiver<bool>,
}

/// What one console knows.
struct Console {
    shared: Arc<Shared>,
    tally: Tally,
    /// Alerts received, by lane; minor ones by id, since a summary tells no numbers.
    seen: [HashSet<usize>; 3],
    ids: HashSet<String>,
    last: [u64; 3],
    cursor: Bytes,
    /// Whether it is to be told when the stream stands: the first one does, and the first after a cut.
    tell: bool,
}

/// Opens a stream and reads nothing of it after the snapshot; returns never.
pub(super) async fn stall(shared: Arc<Shared>) -> anyhow::Result<Tally> {
    let mut client = shared.api.connect().await?;
    let mut stream = client.subscribe(request(Bytes::new())).await?.into_inner();
    while let Some(response) = stream.message().await? {
        if matches!(response.item, Some(Item::Snapshot(mark)) if !mark.begin) {
            break;
        }
    }
    shared.ready.send(()).await?;
    std::future::pending().await
}

/// Follows to the end. With `cuts`, it loses its connection when that is asked for, and goes on at its cursor.
pub(super) async fn follow(shared: Arc<Shared>, cuts: bool) -> anyhow::Result<Tally> {
    let mut cut = shared.cut.clone();
    let mut console = Console {
        shared,
        tally: Tally::default(),
        seen: Default::default(),
        ids: HashSet::new(),
        last: [0; 3],
        cursor: Bytes::new(),
        tell: true,
    };
    let end = Instant::now() + PATIENCE * 2;
    let mut cuttable = cuts;
    loop {
        let lost = async {
            if !cuttable || cut.wait_for(|cut| *cut).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            ended = console.stream() => match ended {
                Ok(()) => return Ok(console.finish()),
                Err(error) if Instant::now() >= end => return Err(error),
                // It comes again when its connection was refused or its stream was closed.
                Err(_) => {
                    console.tally.closed += 1;
                    sleep(Duration::from_millis(200)).await;
                }
            },
            () = lost => {
                cuttable = false;
                console.tell = true;
            }
        }
    }
}

fn request(cursor: Bytes) -> SubscribeRequest {
    // Not what the bus has to say of itself.
    let filter = AlertFilter { kinds: KINDS.map(Into::into).to_vec(), ..AlertFilter::default() };
    SubscribeRequest { cursor, filter: Some(filter), ..SubscribeRequest::default() }
}

async fn acknowledge(
    mut client: AlertServiceClient<Channel>,
    subscription_id: String,
    cursor: Bytes,
) -> Result<Response<AcknowledgeResponse>, Status> {
    client.acknowledge(AcknowledgeRequest { subscription_id, cursor, ..AcknowledgeRequest::default() }).await
}

impl Console {
    /// Reads one stream until all is there or nothing comes any more.
    async fn stream(&mut self) -> anyhow::Result<()> {
        let mut client = timeout(PATIENCE, self.shared.api.connect()).await??;
        let mut stream = client.subscribe(request(self.cursor.clone())).await?.into_inner();
        let mut acknowledging = FuturesUnordered::new();
        let (mut id, mut shown) = (String::new(), None);
        let mut silent = Instant::now() + PATIENCE;
        while !self.has_all() {
            let item = tokio::select! {
                item = stream.message() => item?.context("the stream ended")?.item,
                Some(answer) = acknowledging.next() => {
                    let _credit: Response<AcknowledgeResponse> = answer?;
                    // In the manner of one call at a time: the newest of what came meanwhile.
                    if let Some(cursor) = shown.take() {
                        acknowledging.push(acknowledge(client.clone(), id.clone(), cursor));
                    }
                    continue;
                }
                () = sleep_until(silent) => break,
            };
            let cursor = match item {
                Some(Item::Opened(opened)) => {
                    id = opened.subscription_id;
                    continue;
                }
                Some(Item::Delivery(delivery)) if !delivery.in_snapshot => self.delivered(delivery)?,
                Some(Item::Summary(summary)) => self.summarised(summary)?,
                Some(Item::Gap(_)) => {
                    self.tally.gaps += 1;
                    continue;
                }
                Some(Item::Closed(closed)) => anyhow::bail!("closed: {:?}", closed.reason()),
                // A stream stands with the end of its snapshot; one that goes on at a cursor, with its first bookmark.
                Some(Item::Snapshot(mark)) if !mark.begin => {
                    self.stands(mark.cursor).await?;
                    continue;
                }
                Some(Item::Bookmark(mark)) if !mark.cursor.is_empty() => {
                    self.stands(mark.cursor).await?;
                    continue;
                }
                _ => continue,
            };
            silent = Instant::now() + PATIENCE;
            self.cursor = cursor.clone();
            if self.shared.load.each || acknowledging.is_empty() {
                acknowledging.push(acknowledge(client.clone(), id.clone(), cursor));
            } else {
                shown = Some(cursor);
            }
        }
        Ok(())
    }
    async fn stands(&mut self, cursor: Bytes) -> anyhow::Result<()> {
        self.cursor = cursor;
        if std::mem::take(&mut self.tell) {
            self.shared.ready.send(()).await?;
        }
        Ok(())
    }
    fn delivered(&mut self, delivery: Delivery) -> anyhow::Result<Bytes> {
        let lane = lane(delivery.lane())?;
        let alert = delivery.record.and_then(|record| record.alert).context("an alert")?;
        let index = usize::try_from(alert.count)?.checked_sub(1).context("an index")?;
        let age_us = self.shared.started.age_us(lane, index);
        self.passed(lane, &delivery.cursor)?;
        let new = match lane {
            Lane::Minor => self.ids.insert(alert.alert_id),
            _ => self.seen[lane.index()].insert(index),
        };
        if new {
            self.tally.ages[lane.index()].push((index, age_us));
        } else {
            self.tally.doubled += 1;
        }
        Ok(delivery.cursor)
    }
    fn summarised(&mut self, summary: Summary) -> anyhow::Result<Bytes> {
        self.passed(Lane::Minor, &summary.cursor)?;
        let counted: u64 = summary.counts.iter().map(|one| one.count).sum();
        self.tally.miscounted += usize::from(counted != summary.alert_ids.len() as u64);
        self.tally.summarised += summary.alert_ids.len();
        for id in summary.alert_ids {
            self.tally.doubled += usize::from(!self.ids.insert(id));
        }
        Ok(summary.cursor)
    }
    /// Within a lane, places only grow.
    fn passed(&mut self, lane: Lane, cursor: &[u8]) -> anyhow::Result<()> {
        let positions = Cursor::decode(cursor)?.positions;
        let back = positions.iter().zip(self.last).any(|(now, last)| *now < last);
        self.tally.reordered += usize::from(back || positions[lane.index()] == self.last[lane.index()]);
        self.last = positions;
        Ok(())
    }
    fn has_all(&self) -> bool {
        self.missing() == 0
    }
    fn missing(&self) -> usize {
        let count = |lane| self.shared.load.count(lane);
        let [critical, major, _] = &self.seen;
        let got = critical.len() + major.len() + self.ids.len();
        Lane::ALL.map(count).iter().sum::<usize>().saturating_sub(got)
    }
    fn finish(mut self) -> Tally {
        self.tally.lost = self.missing();
        self.tally
    }
}

fn lane(wire: WireLane) -> anyhow::Result<Lane> {
    match wire {
        WireLane::Critical => Ok(Lane::Critical),
        WireLane::Major => Ok(Lane::Major),
        WireLane::Minor => Ok(Lane::Minor),
        WireLane::Unspecified => anyhow::bail!("a delivery without a lane"),
    }
}
