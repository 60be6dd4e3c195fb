//! NATS JetStream.

use std::{fs, sync::Arc, time::Duration};

use anyhow::{Context, anyhow};
use async_nats::jetstream::{
    self,
    consumer::{AckPolicy, PushConsumer, push},
    stream,
};
use futures::StreamExt as _;
use prost::Message as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};
use xueliang_base::kind::Lane;

use super::{
    super::{
        alerts::alert,
        load::{Load, Measured, Started, Tally, pace},
        process::PATIENCE,
    },
    Follower, Peer, Server, measured,
};
use crate::service::{free_ports, until};

const SUBJECT: &str = "alerts";

pub(super) async fn measure(load: &Load) -> anyhow::Result<(Measured, String)> {
    let [port, monitor] = free_ports()?;
    let server = Server::start(Peer::Nats, |folder| {
        let config = folder.join("nats.conf");
        fs::write(
            &config,
            format!(
                "listen: \"127.0.0.1:{port}\"\nhttp: \"127.0.0.1:{monitor}\"\n\
                 jetstream {{ store_dir: {:?}, sync_interval: always }}\n",
                folder.join("jetstream").display().to_string()
            ),
        )?;
        Ok(vec!["--config".to_owned(), config.display().to_string()])
    })?;
    let address = format!("127.0.0.1:{port}");
    let client = until("NATS serves", PATIENCE, async || async_nats::connect(&address).await.ok()).await?;
    let context = jetstream::new(client);
    let storage = stream::StorageType::File;
    let subjects = vec![SUBJECT.to_owned()];
    let wanted = stream::Config { name: SUBJECT.to_owned(), subjects, storage, ..stream::Config::default() };
    context.create_stream(wanted).await?;
    let setting = setting(monitor).await?;

    let started = Arc::new(Started::new(load));
    let mut consoles = JoinSet::new();
    for number in 0..load.consoles {
        let context = jetstream::new(async_nats::connect(&address).await?);
        let wanted = push::Config {
            durable_name: Some(format!("console-{number}")),
            deliver_subject: format!("console.{number}"),
            ack_policy: AckPolicy::Explicit,
            ..push::Config::default()
        };
        let consumer: PushConsumer = context.create_consumer_on_stream(wanted, SUBJECT).await?;
        let messages = consumer.messages().await?;
        consoles.spawn(follow(messages, Follower::new(load, &started)));
    }
    let flow = *load.flows.first().context("a flow")?;
    let publishing = pace(load, flow, |index| {
        let (context, started) = (context.clone(), Arc::clone(&started));
        async move {
            let payload = alert(Lane::Critical, index).encode_to_vec().into();
            started.now(Lane::Critical, index);
            // The second answer comes when it is on disk.
            context.publish(SUBJECT, payload).await?.await?;
            Ok(())
        }
    });
    let measured = measured(&server, publishing, consoles).await?;
    server.stop().await?;
    Ok((measured, setting))
}

async fn follow(mut messages: push::Messages, mut follower: Follower) -> anyhow::Result<Tally> {
    while !follower.has_all() {
        let Ok(message) = timeout(PATIENCE, messages.next()).await else { break };
        let message = message.context("the consumer ended")??;
        let place = message.info().map_err(|error| anyhow!("{error}"))?.stream_sequence;
        follower.take(place, &message.payload)?;
        message.ack().await.map_err(|error| anyhow!("{error}"))?;
    }
    Ok(follower.finish())
}

/// What the server says of its durability.
async fn setting(monitor: u16) -> anyhow::Result<String> {
    let ask = async {
        let mut stream = TcpStream::connect(("127.0.0.1", monitor)).await?;
        stream.write_all(b"GET /varz HTTP/1.0\r\nHost: localhost\r\n\r\n").await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        anyhow::Ok(text)
    };
    let text = timeout(Duration::from_secs(5), ask).await??;
    let (_, body) = text.split_once("\r\n\r\n").context("an answer with a body")?;
    let body: serde_json::Value = serde_json::from_str(body)?;
    let config = &body["jetstream"]["config"];
    Ok(format!(
        "version {}, sync_always {}, sync_interval {}",
        body["version"], config["sync_always"], config["sync_interval"]
    ))
}
