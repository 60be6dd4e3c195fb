//! Streams that change under the eyes of the service.

use xueliang_proto::v1::{NotLooked, Signal};

use super::*;

/// Another camera goes on being looked at, whatever is waited for.
struct Witness<'a> {
    service: &'a Service,
    looked: f64,
    since: tokio::time::Instant,
}

impl Witness<'_> {
    async fn units(&mut self, camera: &str, column: &str) -> Option<f64> {
        let looked = self.service.units("calm", "looked_at").await.ok()?;
        if looked > self.looked {
            (self.looked, self.since) = (looked, tokio::time::Instant::now());
        }
        assert!(self.since.elapsed() < Duration::from_secs(10), "the other camera is no longer looked at");
        self.service.units(camera, column).await.ok()
    }
    /// Waits for so many more units in a column.
    async fn more(&mut self, camera: &str, column: &str, count: f64) {
        let mut before = None;
        let what = format!("{camera}: {count} more units {column}");
        let found = until(&what, MINUTE, async || {
            let now = self.units(camera, column).await?;
            (now >= *before.get_or_insert(now) + count).then_some(())
        });
        let found = found.await;
        found.unwrap_or_else(|error| panic!("{error}\n{}", self.service.log()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn codecs_change_and_bits_flip_without_disturbing_anything_else() {
    let ids = ["size", "codec", "bits", "calm"];
    let cameras = ids.map(|id| {
        let mut camera = walkers(id, BUSY_ZONE);
        camera.spec = camera
            .spec
            .alternative("small", clip("vtest-320x240@10fps.h264").unwrap())
            .alternative("h265", clip("vtest@10fps.h265").unwrap());
        camera
    });
    let mut service = Service::start(cameras.into(), "").await.unwrap();
    let camera = |id| service.simulator.camera(id).unwrap();
    let mut witness = Witness { service: &service, looked: 0.0, since: tokio::time::Instant::now() + MINUTE };
    for id in ids {
        witness.more(id, "looked_at", 5.0).await;
    }
    // A worker may fall over damage, and is replaced then; nothing else may.
    let lasting = || {
        let mut roles = service.roles();
        roles.retain(|_, role| !role.starts_with("worker"));
        roles
    };
    let processes = lasting();
    assert_eq!(processes.len(), 3, "{processes:?}");

    camera("size").apply(Fault::Show("small".to_owned())).unwrap();
    camera("codec").apply(Fault::Show("h265".to_owned())).unwrap();
    camera("bits").apply(Fault::Corrupt(1e-5)).unwrap();
    until("the camera closes its sessions", MINUTE, async || {
        (camera("codec").counters().dropped_codec_change > 0).then_some(())
    })
    .await
    .unwrap();
    // About one bit in each unit, then about a hundred: decoders conceal most of it, and may fall over the rest.
    witness.more("bits", "received", 50.0).await;
    witness.more("codec", "looked_at", 10.0).await;
    witness.more("size", "looked_at", 10.0).await;
    camera("bits").apply(Fault::Corrupt(1e-3)).unwrap();
    witness.more("bits", "received", 50.0).await;
    witness.more("calm", "looked_at", 20.0).await;

    for id in ids {
        camera(id).clear();
    }
    for id in ids {
        witness.more(id, "looked_at", 10.0).await;
    }
    until("all cameras are well, as consoles see them", MINUTE, async || {
        let cameras = service.cameras().await.ok()?;
        let well = cameras
            .values()
            .filter(|c| c.signal() == Signal::Streaming && c.not_looked() == NotLooked::Unspecified)
            .count();
        (well == ids.len()).then_some(())
    })
    .await
    .unwrap();
    assert_eq!(service.cameras().await.unwrap()["calm"].connects, 1, "its session is the first one");
    assert_eq!(service.units_missing(ids.len()).await.unwrap(), 0.0);
    assert_eq!(lasting(), processes, "{}", service.log());
    service.stop().await.unwrap();
}
