//! The store is lost, and a backup is put in its place.

use std::fs;

use xueliang_proto::v1::{GapReason, subscribe_response::Item};
use xueliang_tests::{cli, desk::alert_of};

use super::*;

/// Runs the program to its end; what it printed, and whether it was content.
async fn said(arguments: &[&str]) -> (bool, String) {
    let output = cli(arguments).await.unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_taken_while_running_restores_with_a_new_epoch() {
    let cameras = vec![walkers("busy", BUSY_ZONE), walkers("lost", "")];
    let mut service = Service::start(cameras, "").await.unwrap();
    let mut desk = Desk::open(&service.api, "desk", MINUTE).await.unwrap();
    desk.until("an alert", MINUTE, |alert| firing(alert, "busy", Kind::ZoneIntrusion)).await.unwrap();
    service.simulator.camera("lost").unwrap().apply(Fault::Stop).unwrap();
    let lost = desk.until("an alert", MINUTE, |alert| firing(alert, "lost", Kind::CamOffline)).await.unwrap();
    let lost = alert_of(&lost).alert_id.clone();

    let config = service.config().display().to_string();
    let folder = service.folder.path().join("backup").display().to_string();
    let backup = ["backup", "--config", &config, "--to", &folder];
    let restore = ["restore", "--config", &config, "--from", &folder];
    let (well, text) = said(&backup).await;
    assert!(well && text.contains("verified"), "{text}");
    assert!(!said(&backup).await.0, "a backup is never written over");
    let (well, text) = said(&restore).await;
    assert!(!well && text.contains("in use"), "nothing is restored under a running service: {text}");

    // What comes after the backup will be lost with the store.
    let held = desk.deliveries.len();
    until("something that the backup does not hold", MINUTE, async || {
        desk.follow(Duration::from_secs(1)).await.ok()?;
        (desk.deliveries.len() > held).then_some(())
    })
    .await
    .unwrap();
    service.stop().await.unwrap();
    let (well, text) = said(&restore).await;
    assert!(!well && text.contains("move it away first"), "a store is never written over: {text}");
    let away = service.folder.path().join("away");
    fs::create_dir(&away).unwrap();
    for entry in fs::read_dir(service.state()).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if name.starts_with("store.db") || name.starts_with("registry.db") {
            fs::rename(entry.path(), away.join(name)).unwrap();
        }
    }
    let (well, text) = said(&restore).await;
    assert!(well && text.contains("new epoch"), "{text}");

    service.run().await.unwrap();
    desk.resume(MINUTE).await.unwrap();
    // Gap, snapshot, then live, whatever bookmarks and summaries stand between.
    let (mut gap, mut begun, mut ended) = (None, false, false);
    let (mut snapshot, mut live) = (Vec::new(), 0);
    let story = async {
        while live == 0 {
            match desk.take().await.unwrap().expect("the stream goes on") {
                Item::Gap(told) => {
                    assert!(!begun, "the gap comes first");
                    gap = Some(told.reason());
                }
                Item::Snapshot(mark) if mark.begin => begun = true,
                Item::Snapshot(_) => ended = true,
                Item::Delivery(delivery) if delivery.in_snapshot => {
                    assert!(begun && !ended);
                    snapshot.push(alert_of(&delivery).alert_id.clone());
                }
                Item::Delivery(_) => {
                    assert!(ended, "live comes after the snapshot");
                    live += 1;
                }
                _ => {}
            }
        }
    };
    tokio::time::timeout(MINUTE, story).await.unwrap_or_else(|_| panic!("nothing live\n{}", service.log()));
    assert_eq!(gap, Some(GapReason::ForeignEpoch));
    assert!(snapshot.contains(&lost), "{lost} was active when the backup was taken: {snapshot:?}");
    // The camera comes back, and the alert that the restored store holds is resolved.
    service.simulator.camera("lost").unwrap().clear();
    desk.until("the camera is back", MINUTE, |alert| {
        alert.alert_id == lost && resolved(alert, "lost", Kind::CamOffline)
    })
    .await
    .unwrap();
    // With the cursor of the new epoch there is no gap.
    desk.gaps = 0;
    desk.resume(MINUTE).await.unwrap();
    desk.follow(Duration::from_secs(2)).await.unwrap();
    assert_eq!(desk.gaps, 0);
    assert_eq!(service.units_missing(2).await.unwrap(), 0.0);
    service.stop().await.unwrap();
}
