//! Redis Streams.

use std::sync::Arc;

use anyhow::{Context, anyhow};
use futures::{StreamExt as _, stream::FuturesUnordered};
use prost::Message as _;
use redis::{
    AsyncCommands as _, AsyncConnectionConfig, Client, RedisResult, Value,
    aio::MultiplexedConnection,
    streams::{StreamReadOptions, StreamReadReply},
};
use tokio::task::JoinSet;
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

const KEY: &str = "alerts";
const FIELD: &str = "alert";
/// Messages of one read, as our credit has it.
const PAGE: usize = 64;

pub(super) async fn measure(load: &Load) -> anyhow::Result<(Measured, String)> {
    let [port] = free_ports()?;
    let server = Server::start(Peer::Redis, |folder| {
        let port = port.to_string();
        let dir = folder.display().to_string();
        let arguments = [
            ["--port", &port],
            ["--bind", "127.0.0.1"],
            ["--dir", &dir],
            ["--appendonly", "yes"],
            ["--appendfsync", "always"],
            ["--save", ""],
        ];
        Ok(arguments.into_iter().flatten().map(str::to_owned).collect())
    })?;
    let client = Client::open(format!("redis://127.0.0.1:{port}"))?;
    let mut connection = until("Redis serves", PATIENCE, async || connect(&client).await.ok()).await?;
    let mut setting = Vec::new();
    for name in ["appendonly", "appendfsync"] {
        let answer: Vec<String> =
            redis::cmd("CONFIG").arg("GET").arg(name).query_async(&mut connection).await?;
        setting.push(answer.join(" "));
    }

    let started = Arc::new(Started::new(load));
    let mut consoles = JoinSet::new();
    for number in 0..load.consoles {
        let group = format!("console-{number}");
        let _made: Value = connection.xgroup_create_mkstream(KEY, &group, "$").await?;
        // A read that waits holds its connection up: acknowledgements go beside it.
        let (reading, acknowledging) = (connect(&client).await?, connect(&client).await?);
        consoles.spawn(follow(reading, acknowledging, group, Follower::new(load, &started)));
    }
    let flow = *load.flows.first().context("a flow")?;
    let publishing = pace(load, flow, |index| {
        let (mut connection, started) = (connection.clone(), Arc::clone(&started));
        async move {
            let payload = alert(Lane::Critical, index).encode_to_vec();
            started.now(Lane::Critical, index);
            let _id: Option<String> = connection.xadd(KEY, "*", &[(FIELD, payload)]).await?;
            Ok(())
        }
    });
    let measured = measured(&server, publishing, consoles).await?;
    server.stop().await?;
    Ok((measured, setting.join(", ")))
}

async fn connect(client: &Client) -> RedisResult<MultiplexedConnection> {
    // A read may wait for long.
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    client.get_multiplexed_async_connection_with_config(&config).await
}

async fn follow(
    mut reading: MultiplexedConnection,
    acknowledging: MultiplexedConnection,
    group: String,
    mut follower: Follower,
) -> anyhow::Result<Tally> {
    let wait_ms = usize::try_from(PATIENCE.as_millis())?;
    let options = StreamReadOptions::default().group(&group, "console").count(PAGE).block(wait_ms);
    let mut acknowledged = FuturesUnordered::new();
    while !follower.has_all() {
        let reply: Option<StreamReadReply> = {
            let read = reading.xread_options(&[KEY], &[">"], &options);
            tokio::pin!(read);
            loop {
                tokio::select! {
                    reply = &mut read => break reply?,
                    Some(answer) = acknowledged.next() => {
                        let _count: usize = answer?;
                    }
                }
            }
        };
        let Some(reply) = reply else { break };
        for message in reply.keys.into_iter().flat_map(|key| key.ids) {
            let Some(Value::BulkString(payload)) = message.map.get(FIELD) else {
                return Err(anyhow!("a message without an alert"));
            };
            follower.take(place(&message.id)?, payload)?;
            acknowledged.push(acknowledge(acknowledging.clone(), group.clone(), message.id));
        }
    }
    Ok(follower.finish())
}

async fn acknowledge(mut connection: MultiplexedConnection, group: String, id: String) -> RedisResult<usize> {
    connection.xack(KEY, &group, &[id]).await
}

/// An id is milliseconds and a number within them.
fn place(id: &str) -> anyhow::Result<u64> {
    let (ms, number) = id.split_once('-').context("an id of a stream")?;
    Ok((ms.parse::<u64>()? << 16) + number.parse::<u64>()?)
}
