//! Another configuration while the service runs.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_unit_stays_accounted_for_when_cameras_change_and_go() {
    let ids = ["kept", "changed", "removed"];
    let mut service = Service::start(ids.map(|id| walkers(id, "")).into(), "").await.unwrap();
    let mut before = Vec::new();
    for id in ids {
        let looked = until("it is looked at", MINUTE, async || {
            let looked = service.units(id, "looked_at").await.ok()?;
            (looked >= 3.0).then_some(service.units(id, "received").await.ok()?)
        });
        before.push(looked.await.unwrap_or_else(|error| panic!("{id}: {error}\n{}", service.log())));
    }
    assert_eq!(service.units_missing(3).await.unwrap(), 0.0);

    // One gets another weight and with it a new session, ring and account; one goes. The bus reads the file when it starts.
    service
        .edit(|text| {
            let (rest, _) = text.split_once("[[camera]]\nid = \"removed\"").unwrap();
            rest.replace("id = \"changed\"\n", "id = \"changed\"\nweight = 2\n")
        })
        .unwrap();
    service.signal("bus", Signal::KILL);
    let mut received = before[1];
    until("the camera goes on under its new registration", MINUTE, async || {
        // Not a moment in between at which less was received than before.
        let now = service.units("changed", "received").await.ok()?;
        assert!(now == 0.0 || now >= received, "{now} after {received}");
        received = received.max(now);
        let cameras = service.cameras().await.ok()?;
        let replaced = service
            .metric("xueliang_node_access_units", &["camera=\"changed\"", "reason=\"removed\""])
            .await
            .ok()?;
        (!cameras.contains_key("removed") && replaced > 0.0 && now > before[1] + 50.0).then_some(())
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", service.log()));
    // The removed one is shown to its end.
    let columns = until("its last unit finds a column", MINUTE, async || {
        let ring = service.units("removed", "in_ring").await.ok()?;
        let flight = service.units("removed", "in_flight").await.ok()?;
        (ring + flight == 0.0).then_some(service.units("removed", "received").await.ok()?)
    });
    assert!(columns.await.unwrap() >= before[2]);
    assert_eq!(service.units_missing(3).await.unwrap(), 0.0);
    let streaming = service.samples("xueliang_node_camera_streaming", &[]).await.unwrap();
    assert_eq!(streaming.len(), 2, "a removed camera has no signal");
    service.stop().await.unwrap();
}
