//! A camera's sub-stream is glanced at, fails, and comes back.

use xueliang_proto::v1::Signal;

use super::*;

/// Two cameras, `busy` and `calm`, each with a sub-stream: `busy-2` and `calm-2` of the town.
async fn with_sub_streams() -> Service {
    let sub = |id: &str| TestCamera::new(id, clip("vtest-320x240@10fps.h264").unwrap(), "");
    let cameras = vec![walkers("busy", BUSY_ZONE), walkers("calm", EMPTY_ZONE), sub("busy-2"), sub("calm-2")];
    let service = Service::prepare(cameras, "").await.unwrap();
    let (busy, calm) = (service.simulator.url("busy-2"), service.simulator.url("calm-2"));
    service
        .edit(|text| {
            // The last two are cameras of the town, and none of the service.
            let (text, _) = text.split_once("[[camera]]\nid = \"busy-2\"").unwrap();
            let mut parts = text.split("credentials = \"test\"\n");
            let (head, first, last) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
            let sub = |url: &str| {
                format!("credentials = \"test\"\ngate = \"enforce\"\nsub_stream = {{ url = \"{url}\" }}\n")
            };
            format!("{head}{}{first}{}{last}", sub(&busy), sub(&calm))
        })
        .unwrap();
    service
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sub_stream_is_glanced_at_in_time_and_its_loss_leaves_the_glances_at_keyframes() {
    let mut service = with_sub_streams().await;
    service.run().await.unwrap();
    let glances = async |what: &str| {
        let label = format!("what=\"{what}\"");
        service.metric("xueliang_node_sub_stream_glances", &[&label]).await.ok()
    };
    until("what moves in a sub-stream asks for looks", 2 * MINUTE, async || {
        (glances("wakes").await? > 0.0 && glances("pictures").await? > 400.0).then_some(())
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", service.log()));
    // From the arrival of a picture until it was glanced at.
    let age = "xueliang_node_look_age_seconds";
    let of_sub = "look=\"sub_stream\"";
    let all = service.metric(&format!("{age}_count"), &[of_sub]).await.unwrap();
    let in_time = service.metric(&format!("{age}_bucket"), &[of_sub, "le=\"0.5\""]).await.unwrap();
    // Of the machine that tests run on nothing is known but that it is busy.
    assert!(all > 300.0 && in_time >= all * 0.5, "{in_time} of {all}");

    service.simulator.camera("calm-2").unwrap().apply(Fault::Stop).unwrap();
    let lost = until("the loss of the sub-stream is told", MINUTE, async || {
        let cameras = service.cameras().await.ok()?;
        let sub = cameras["calm"].sub_stream.clone()?;
        (sub.signal() == Signal::Offline).then_some((cameras["calm"].clone(), sub))
    });
    let (calm, sub) = lost.await.unwrap();
    assert_eq!(calm.signal(), Signal::Streaming, "and is no loss of the camera");
    assert!(!sub.detail.is_empty() && sub.last_glance_unix_us > 0, "{sub:?}");
    let streaming = service.metric("xueliang_node_sub_stream_streaming", &["camera=\"calm\""]).await.unwrap();
    assert_eq!(streaming, 0.0);
    assert!(service.log().contains("glances are taken at keyframes of the main stream"));
    let rested = async || service.metric("xueliang_node_attention", &["what=\"glances\""]).await.ok();
    let before = rested().await.unwrap();
    until("glances go on at keyframes", MINUTE, async || (rested().await? >= before + 3.0).then_some(()))
        .await
        .unwrap();

    service.simulator.camera("calm-2").unwrap().clear();
    until("it is followed again", 3 * MINUTE, async || {
        let cameras = service.cameras().await.ok()?;
        let again = cameras["calm"].sub_stream.clone()?;
        (again.signal() == Signal::Streaming && again.last_glance_unix_us > sub.last_glance_unix_us)
            .then_some(())
    })
    .await
    .unwrap();
    assert_eq!(service.cameras().await.unwrap()["calm"].connects, 1, "the main session is the first one");
    let missing = service.samples("xueliang_node_sub_stream_units_missing", &[]).await.unwrap();
    assert_eq!(missing, [0.0, 0.0]);
    assert_eq!(service.units_missing(2).await.unwrap(), 0.0);
    service.stop().await.unwrap();
    assert!(!service.log().contains(PASSWORD));
}
