//! One console: it takes, acknowledges and tallies until it has all that was published.

use std::{collections::HashSet, sync::Arc, time::Duration};

use anyhow::Context;
use bytes::Bytes;
use futures::{
    FutureExt as _, StreamExt as _,
    future::BoxFuture,
    stream::{FuturesUnordered, unfold},
};
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
    load::{Acks, Load, Started, Tally},
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

/// Acknowledgements that wait to be written: as many as a console has credit for.
const WAITING: usize = 64;

type Answer = Result<Response<AcknowledgeResponse>, Status>;

/// How one stream is acknowledged.
struct Acknowledging {
    client: AlertServiceClient<Channel>,
    acks: Acks,
    id: String,
    /// The messages of the call that stays open.
    messages: Option<mpsc::Sender<AcknowledgeRequest>>,
    /// Calls under way.
    calls: FuturesUnordered<BoxFuture<'static, Answer>>,
    /// The newest that waits for the answer of the call before.
    newest: Option<Bytes>,
}

impl Acknowledging {
    fn new(client: AlertServiceClient<Channel>, acks: Acks) -> Self {
        let (id, calls) = (String::new(), FuturesUnordered::new());
        Self { client, acks, id, messages: None, calls, newest: None }
    }
    fn opened(&mut self, id: String) {
        self.id = id;
        if self.acks == Acks::Stream {
            let (messages, waiting) = mpsc::channel(WAITING);
            let next = |mut waiting: mpsc::Receiver<_>| async move { Some((waiting.recv().await?, waiting)) };
            let mut client = self.client.clone();
            let call = async move { client.acknowledge_stream(unfold(waiting, next)).await };
            self.calls.push(call.boxed());
            self.messages = Some(messages);
        }
    }
    async fn shown(&mut self, cursor: Bytes) -> anyhow::Result<()> {
        if let Some(messages) = &self.messages {
            return Ok(messages.send(self.request(cursor)).await?);
        }
        if self.acks == Acks::Calls || self.calls.is_empty() {
            self.call(cursor);
        } else {
            self.newest = Some(cursor);
        }
        Ok(())
    }
    fn request(&self, cursor: Bytes) -> AcknowledgeRequest {
        AcknowledgeRequest { subscription_id: self.id.clone(), cursor, ..AcknowledgeRequest::default() }
    }
    fn call(&mut self, cursor: Bytes) {
        let (mut client, request) = (self.client.clone(), self.request(cursor));
        self.calls.push(async move { client.acknowledge(request).await }.boxed());
    }
    fn answered(&mut self, answer: Answer) -> anyhow::Result<()> {
        let _credit = answer?;
        if let Some(cursor) = self.newest.take() {
            self.call(cursor);
        }
        Ok(())
    }
}

impl Console {
    /// Reads one stream until all is there or nothing comes any more.
    async fn stream(&mut self) -> anyhow::Result<()> {
        let mut client = timeout(PATIENCE, self.shared.api.connect()).await??;
        let mut stream = client.subscribe(request(self.cursor.clone())).await?.into_inner();
        let mut acknowledging = Acknowledging::new(client, self.shared.load.acks);
        let mut silent = Instant::now() + PATIENCE;
        while !self.has_all() {
            let item = tokio::select! {
                item = stream.message() => item?.context("the stream ended")?.item,
                Some(answer) = acknowledging.calls.next() => {
                    acknowledging.answered(answer)?;
                    continue;
                }
                () = sleep_until(silent) => break,
            };
            let cursor = match item {
                Some(Item::Opened(opened)) => {
                    acknowledging.opened(opened.subscription_id);
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
            acknowledging.shown(cursor).await?;
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
