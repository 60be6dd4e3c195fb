//! What a node sends while the page is looked at: alerts, and how its cameras are.

use std::{collections::VecDeque, time::Duration};

use anyhow::ensure;
use rand::{SeedableRng as _, rngs::SmallRng};
use tokio::time::{Instant, interval};
use tonic::transport::Channel;
use xueliang_base::time::{Clock as _, SystemClock};
use xueliang_proto::v1::{
    self, Publication, PublishOutcome, PublishRequest, alert_service_client::AlertServiceClient,
    node_service_client::NodeServiceClient,
};

use super::town;

/// An alert fires for so long: what fires then has room in view, so that each begin is painted.
const FIRES: Duration = Duration::from_secs(3);
/// States of one call of Publish at most, as the service has it.
const BATCH: usize = 256;

/// A node reports so often.
const REPORTS: Duration = Duration::from_secs(1);

/// Reports the town's cameras for as long as there is a bus to hear it.
pub(super) async fn report(node: Channel) {
    let mut service = NodeServiceClient::new(node);
    let mut tick = interval(REPORTS);
    loop {
        tick.tick().await;
        if service.report(town::report(SystemClock.wall())).await.is_err() {
            return;
        }
    }
}

#[derive(Clone)]
pub(super) struct Source {
    client: AlertServiceClient<Channel>,
    dice: SmallRng,
}

impl Source {
    pub(super) fn new(node: Channel) -> Self {
        Self { client: AlertServiceClient::new(node), dice: SmallRng::seed_from_u64(7) }
    }
    /// Alerts one after the other at a rate, each of which ends; returns when all have. Their ids.
    pub(super) async fn steady(mut self, per_second: u32, long: Duration) -> anyhow::Result<Vec<String>> {
        let end = Instant::now() + long;
        let mut tick = interval(Duration::from_secs(1) / per_second);
        let mut firing: VecDeque<(Instant, v1::Alert)> = VecDeque::new();
        let mut ids = Vec::new();
        loop {
            let now = tick.tick().await;
            let mut states = Vec::new();
            if now < end {
                let alert = self.one();
                ids.push(alert.alert_id.clone());
                states.push(alert.clone());
                firing.push_back((now + FIRES, alert));
            } else if firing.is_empty() {
                return Ok(ids);
            }
            while firing.front().is_some_and(|(until, _)| *until <= now) {
                states.extend(firing.pop_front().map(|(_, alert)| town::ended(&alert, SystemClock.wall())));
            }
            self.publish(states).await?;
        }
    }
    /// So many alerts, evenly over a time; they go on.
    pub(super) async fn flood(mut self, alerts: usize, over: Duration) -> anyhow::Result<Vec<v1::Alert>> {
        const TICKS: usize = 100;
        let mut tick = interval(over / u32::try_from(TICKS)?);
        let mut all = Vec::with_capacity(alerts);
        for number in 1..=TICKS {
            tick.tick().await;
            let some: Vec<v1::Alert> = (all.len()..alerts * number / TICKS).map(|_| self.one()).collect();
            self.publish(some.clone()).await?;
            all.extend(some);
        }
        Ok(all)
    }
    /// Ends them all, a few hundred a second.
    pub(super) async fn end(&mut self, alerts: &[v1::Alert]) -> anyhow::Result<()> {
        let mut tick = interval(Duration::from_millis(200));
        for some in alerts.chunks(BATCH / 4) {
            tick.tick().await;
            self.publish(some.iter().map(|alert| town::ended(alert, SystemClock.wall())).collect()).await?;
        }
        Ok(())
    }
    fn one(&mut self) -> v1::Alert {
        town::alert(&mut self.dice, SystemClock.wall())
    }
    async fn publish(&mut self, states: Vec<v1::Alert>) -> anyhow::Result<()> {
        if states.is_empty() {
            return Ok(());
        }
        let publications =
            states.into_iter().map(|alert| Publication { alert: Some(alert), ..Publication::default() });
        let request = PublishRequest { publications: publications.collect() };
        for result in self.client.publish(request).await?.into_inner().results {
            ensure!(result.outcome() == PublishOutcome::Committed, "not committed: {}", result.message);
        }
        Ok(())
    }
}
