//! Consoles that read and acknowledge, whatever happens to their streams.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::timeout;
use tonic::transport::Endpoint;
use xueliang_proto::v1::{
    AcknowledgeRequest, Credit, SubscribeRequest, alert_service_client::AlertServiceClient,
    subscribe_response::Item,
};

use super::seen::Seen;

const PATIENCE: Duration = Duration::from_secs(3);

/// Reads for ever, from one stream to the next.
pub async fn read(api: String, name: &'static str, credit: u32, seen: Arc<Mutex<Seen>>) {
    loop {
        // Whatever ends a stream, the next one begins where it ended.
        drop(stream(&api, name, credit, &seen).await);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn stream(api: &str, name: &str, credit: u32, seen: &Mutex<Seen>) -> anyhow::Result<()> {
    let endpoint = Endpoint::new(api.to_owned())?.connect_timeout(PATIENCE).tcp_nodelay(true);
    let channel = endpoint.connect().await?;
    let mut client = AlertServiceClient::new(channel);
    let cursor = seen.lock().unwrap().cursor.clone();
    let request = SubscribeRequest {
        subscription: name.to_owned(),
        cursor,
        credit: Some(Credit { critical: credit, major: credit, minor: credit }),
        ..SubscribeRequest::default()
    };
    let mut items = timeout(PATIENCE, client.subscribe(request)).await??.into_inner();
    let mut subscription_id = String::new();
    // Bookmarks come every second: without one for so long, the other side is gone.
    while let Some(response) = timeout(PATIENCE, items.message()).await?? {
        let Some(item) = response.item else { continue };
        if let Item::Opened(opened) = &item {
            subscription_id.clone_from(&opened.subscription_id);
        }
        let cursor = seen.lock().unwrap().take(&item);
        if let Some(cursor) = cursor {
            let request =
                AcknowledgeRequest { subscription_id: subscription_id.clone(), cursor, ..Default::default() };
            timeout(PATIENCE, client.acknowledge(request)).await??;
        }
    }
    Ok(())
}
