//! A console that remembers everything it was given: half of the oracle.
//!
//! It speaks the wire protocol itself rather than through our client library, so that a fault of the library cannot
//! hide a fault of the bus.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context;
use bytes::Bytes;
use tonic::{Streaming, transport::Endpoint};
use xueliang_proto::v1::{
    AcknowledgeRequest, Alert, AlertState, Delivery, Kind, ListAlertsRequest, SubscribeRequest,
    SubscribeResponse, alert_service_client::AlertServiceClient, subscribe_response::Item,
};

type Client = AlertServiceClient<tonic::transport::Channel>;

/// A console with one named subscription.
pub struct Desk {
    api: String,
    name: String,
    client: Client,
    stream: Streaming<SubscribeResponse>,
    subscription_id: String,
    /// Where to go on after a break.
    pub cursor: Bytes,
    /// Every delivery in order of arrival, snapshots included.
    pub deliveries: Vec<Delivery>,
    /// Gaps that were announced.
    pub gaps: usize,
    /// Deliveries of the same state outside snapshots, within one stream or over a resumed one.
    pub doubled: Vec<(String, u64)>,
    seen: BTreeMap<(String, u64), u32>,
}

impl Desk {
    /// Opens the subscription, waiting for the service to come up.
    pub async fn open(api: &str, name: &str, limit: Duration) -> anyhow::Result<Self> {
        Self::open_at(api, name, Bytes::new(), limit).await
    }

    /// As [`Desk::open`], from a cursor on.
    pub async fn open_at(api: &str, name: &str, cursor: Bytes, limit: Duration) -> anyhow::Result<Self> {
        let end = tokio::time::Instant::now() + limit;
        loop {
            match Self::try_open(api, name, cursor.clone()).await {
                Ok(desk) => return Ok(desk),
                Err(error) if tokio::time::Instant::now() > end => return Err(error),
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    async fn try_open(api: &str, name: &str, cursor: Bytes) -> anyhow::Result<Self> {
        let channel = Endpoint::new(api.to_owned())?.connect().await?;
        let mut client = AlertServiceClient::new(channel).max_decoding_message_size(16 << 20);
        let request = SubscribeRequest {
            subscription: name.to_owned(),
            cursor: cursor.clone(),
            filter: None,
            credit: None,
        };
        let stream = client.subscribe(request).await?.into_inner();
        Ok(Self {
            api: api.to_owned(),
            name: name.to_owned(),
            client,
            stream,
            subscription_id: String::new(),
            cursor,
            deliveries: Vec::new(),
            gaps: 0,
            doubled: Vec::new(),
            seen: BTreeMap::new(),
        })
    }

    /// Opens the stream again from the cursor, keeping what was seen.
    pub async fn resume(&mut self, limit: Duration) -> anyhow::Result<()> {
        let end = tokio::time::Instant::now() + limit;
        loop {
            match Self::try_open(&self.api, &self.name, self.cursor.clone()).await {
                Ok(fresh) => {
                    self.client = fresh.client;
                    self.stream = fresh.stream;
                    return Ok(());
                }
                Err(error) if tokio::time::Instant::now() > end => return Err(error),
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    /// Takes one item and acknowledges it. `None` when the stream ended.
    pub async fn take(&mut self) -> anyhow::Result<Option<Item>> {
        let Some(response) = self.stream.message().await? else { return Ok(None) };
        let item = response.item.context("an item without content")?;
        let mut acknowledge = None;
        match &item {
            Item::Opened(opened) => self.subscription_id.clone_from(&opened.subscription_id),
            Item::Delivery(delivery) => {
                let alert = alert_of(delivery).clone();
                let key = (alert.alert_id.clone(), alert.revision);
                let times = self.seen.entry(key.clone()).or_default();
                *times += 1;
                if *times > 1 && !delivery.in_snapshot && !delivery.volatile {
                    self.doubled.push(key);
                }
                if !delivery.cursor.is_empty() {
                    acknowledge = Some(delivery.cursor.clone());
                }
                self.deliveries.push(delivery.clone());
            }
            Item::Gap(_) => self.gaps += 1,
            Item::Snapshot(mark) if !mark.begin => acknowledge = Some(mark.cursor.clone()),
            // Within a snapshot it is a sign of life and leads nowhere.
            Item::Bookmark(bookmark) if bookmark.cursor.is_empty() => {}
            Item::Bookmark(bookmark) => acknowledge = Some(bookmark.cursor.clone()),
            Item::Summary(summary) => acknowledge = Some(summary.cursor.clone()),
            Item::Snapshot(_) | Item::Closed(_) => {}
        }
        if let Some(cursor) = acknowledge {
            self.cursor = cursor.clone();
            let request =
                AcknowledgeRequest { subscription_id: self.subscription_id.clone(), cursor, stage: 0 };
            self.client.acknowledge(request).await?;
        }
        Ok(Some(item))
    }

    /// Takes items, resuming as needed, until a delivery satisfies `wanted`.
    pub async fn until(
        &mut self,
        what: &str,
        limit: Duration,
        wanted: impl Fn(&Alert) -> bool,
    ) -> anyhow::Result<Delivery> {
        if let Some(found) = self.deliveries.iter().find(|delivery| wanted(alert_of(delivery))) {
            return Ok(found.clone());
        }
        let search = async {
            loop {
                match self.take().await {
                    Ok(Some(Item::Delivery(delivery))) if wanted(alert_of(&delivery)) => return Ok(delivery),
                    Ok(Some(_)) => {}
                    Ok(None) | Err(_) => self.resume(limit).await?,
                }
            }
        };
        tokio::time::timeout(limit, search).await.with_context(|| format!("{what}: not within {limit:?}"))?
    }

    /// Takes whatever comes for so long, resuming as needed.
    pub async fn follow(&mut self, time: Duration) -> anyhow::Result<()> {
        let end = tokio::time::Instant::now() + time;
        while let Ok(taken) = tokio::time::timeout_at(end, self.take()).await {
            if !matches!(taken, Ok(Some(_))) {
                self.resume(time).await?;
            }
        }
        Ok(())
    }

    /// Latest state of each alert seen.
    pub fn latest(&self) -> BTreeMap<String, Alert> {
        let mut latest: BTreeMap<String, Alert> = BTreeMap::new();
        for alert in self.deliveries.iter().map(alert_of) {
            let newer = latest.get(&alert.alert_id).is_none_or(|known| known.revision < alert.revision);
            if newer {
                latest.insert(alert.alert_id.clone(), alert.clone());
            }
        }
        latest
    }

    /// What must still be in the record after any crash: each alert that this desk was given durably, with the highest
    /// revision of it. (The bus shows a state only once its publisher could be told that it is on disk.)
    pub fn acknowledged(&self) -> BTreeMap<String, u64> {
        let mut highest: BTreeMap<String, u64> = BTreeMap::new();
        for alert in self.deliveries.iter().filter(|delivery| !delivery.volatile).map(alert_of) {
            let known = highest.entry(alert.alert_id.clone()).or_default();
            *known = alert.revision.max(*known);
        }
        highest
    }

    /// Every alert of the record in its latest state, page by page.
    pub async fn listed(&self) -> anyhow::Result<BTreeMap<String, Alert>> {
        let mut listed = BTreeMap::new();
        let mut page_token = String::new();
        loop {
            let request = ListAlertsRequest { page_size: 1000, page_token, ..Default::default() };
            let page = self.client().list_alerts(request).await?.into_inner();
            let alerts = page.records.into_iter().filter_map(|record| record.alert);
            listed.extend(alerts.map(|alert| (alert.alert_id.clone(), alert)));
            if page.next_page_token.is_empty() {
                return Ok(listed);
            }
            page_token = page.next_page_token;
        }
    }

    /// A client for other calls.
    pub fn client(&self) -> Client {
        self.client.clone()
    }
}

/// The alert of a delivery.
pub fn alert_of(delivery: &Delivery) -> &Alert {
    static NONE: std::sync::LazyLock<Alert> = std::sync::LazyLock::new(Alert::default);
    delivery.record.as_ref().and_then(|record| record.alert.as_ref()).unwrap_or(&NONE)
}

/// Whether an alert is of this kind, at this camera, and firing.
pub fn firing(alert: &Alert, camera: &str, kind: Kind) -> bool {
    is(alert, camera, kind) && alert.state() == AlertState::Firing
}

/// Whether an alert is of this kind, at this camera, and resolved.
pub fn resolved(alert: &Alert, camera: &str, kind: Kind) -> bool {
    is(alert, camera, kind) && alert.state() == AlertState::Resolved
}

fn is(alert: &Alert, camera: &str, kind: Kind) -> bool {
    alert.kind() == kind && alert.place.as_ref().is_some_and(|place| place.camera_id == camera)
}

/// Which of what was acknowledged the record no longer holds at that revision or a later one.
pub fn lost(acknowledged: &BTreeMap<String, u64>, listed: &BTreeMap<String, Alert>) -> Vec<(String, u64)> {
    let kept = |id: &String, revision: u64| listed.get(id).is_some_and(|alert| alert.revision >= revision);
    acknowledged
        .iter()
        .filter(|(id, revision)| !kept(id, **revision))
        .map(|(id, revision)| (id.clone(), *revision))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_that_is_gone_or_went_back_is_lost() {
        let acknowledged =
            [("a", 2), ("b", 1), ("c", 3)].map(|(id, revision)| (id.to_owned(), revision)).into();
        let listed = [("a", 1), ("c", 4), ("d", 1)]
            .map(|(id, revision)| (id.to_owned(), Alert { revision, ..Alert::default() }))
            .into();
        assert_eq!(lost(&acknowledged, &listed), [("a".to_owned(), 2), ("b".to_owned(), 1)]);
    }
}
