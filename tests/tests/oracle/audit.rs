//! `xueliang watch` and `xueliang audit` against a running bus: what one prints, the other takes.

use std::time::Duration;

use rustix::process::Signal;
use xueliang_tests::{cli, service::until};

use super::site::{Site, fresh, publication, send};

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn audit_tells_by_the_end_of_an_id_which_consoles_were_shown_an_alert() {
    let site = Site::new();
    let mut bus = site.start(None);
    let alert = fresh(2);
    let mut publisher = site.publisher();
    until("the bus takes an alert", PATIENCE, async || {
        let publications = vec![publication(&alert)];
        publisher.publish(xueliang_proto::v1::PublishRequest { publications }).await.ok()
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", site.log()));

    let api = site.api();
    let watched = cli(&["watch", "--api", &api, "--name", "wall", "--seconds", "3"]).await.unwrap();
    let shown = String::from_utf8(watched.stdout).unwrap();
    let line = shown.lines().find(|line| line.contains("FIRE_FLAME")).unwrap_or_else(|| panic!("{shown}"));
    let end = line.split_whitespace().nth(1).unwrap();
    assert_eq!(end, alert.id.to_string().rsplit('-').next().unwrap(), "{line}");

    // The audit is saved once a second.
    let told = until("the audit tells of the console", PATIENCE, async || {
        let audited = cli(&["audit", end, "--api", &api]).await.ok()?;
        let text = String::from_utf8(audited.stdout).ok()?;
        (audited.status.success() && text.contains("displayed")).then_some(text)
    })
    .await
    .unwrap();
    assert!(told.lines().all(|line| line.contains("  wall  ")), "{told}");
    let whole = cli(&["audit", &alert.id.to_string(), "--api", &api]).await.unwrap();
    assert_eq!(String::from_utf8(whole.stdout).unwrap(), told);

    for (wrong, says) in [("0123456789ab", "no alert's id ends in"), ("nonsense", "alert_id")] {
        let refused = cli(&["audit", wrong, "--api", &api]).await.unwrap();
        let text = String::from_utf8(refused.stderr).unwrap();
        assert!(!refused.status.success() && text.contains(says), "{text}");
    }
    send(&bus, Signal::TERM);
    bus.wait().await.unwrap();
}
