//! How the whole ends: asked, killed, or unable to begin.

use std::{
    fs,
    io::{Seek, SeekFrom, Write},
    net::TcpListener,
};

use rustix::process::kill_process_group;
use xueliang_tests::service::{Process, still_running};

use super::*;

/// Waits until the service has looked at something: all of its processes are up.
async fn at_work(service: &Service) {
    until("the service is at work", MINUTE, async || {
        let looked = service.metric("xueliang_node_looks", &["looked"]).await.ok()?;
        (looked > 3.0 && !service.pids("evidence").is_empty()).then_some(())
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", service.log()));
}

async fn gone(family: &[Process], limit: Duration, service: &Service) {
    until("every process ends", limit, async || still_running(family).is_empty().then_some(()))
        .await
        .unwrap_or_else(|error| panic!("{error}: {:?}\n{}", still_running(family), service.log()));
}

/// It ended because the bus cannot start, and says so in its last line, and why before; nothing is left of it.
async fn cannot_start(service: &mut Service, why: &str) {
    let status = service.ended(MINUTE).await.unwrap_or_else(|error| panic!("{error}\n{}", service.log()));
    let log = service.log();
    assert_eq!(status.code(), Some(1), "{log}");
    let last: serde_json::Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    let said = last["error"].as_str().unwrap_or_else(|| panic!("{last}"));
    assert!(last["level"] == "ERROR" && said.contains("the bus cannot start"), "{said}");
    assert!(log.contains(why), "{why}\n{log}");
    assert_eq!(log.matches("\"the bus cannot start\"").count(), 3, "it was tried three times\n{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_whose_bus_cannot_start_ends_with_the_reason() {
    let mut service = Service::prepare(vec![walkers("a", "")], "").await.unwrap();
    let taken = TcpListener::bind(service.api.trim_start_matches("http://")).unwrap();
    service.run().await.unwrap();
    cannot_start(&mut service, "set listen.api to a free port").await;
    drop(taken);

    // Then it serves, and is stopped; an older release finds what a newer one has written since.
    service.run().await.unwrap();
    until("it serves", MINUTE, async || service.cameras().await.ok())
        .await
        .unwrap_or_else(|error| panic!("{error}\n{}", service.log()));
    service.stop().await.unwrap();
    let mut store = fs::OpenOptions::new().write(true).open(service.state().join("store.db")).unwrap();
    // The version is the number at byte 60 of the file, see section 1.3 of SQLite's file format.
    store.seek(SeekFrom::Start(60)).unwrap();
    store.write_all(&9999_u32.to_be_bytes()).unwrap();
    drop(store);
    let before = service.log().len();
    service.run().await.unwrap();
    let status = service.ended(MINUTE).await.unwrap_or_else(|error| panic!("{error}\n{}", service.log()));
    let log = service.log().split_off(before);
    assert_eq!(status.code(), Some(1), "{log}");
    let last = log.lines().last().unwrap();
    assert!(last.contains("the bus cannot start") && log.contains("9999"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctrl_c_in_a_terminal_stops_the_service_in_order() {
    let mut service = Service::prepare(vec![walkers("busy", BUSY_ZONE)], "").await.unwrap();
    service.run_as_in_a_terminal().await.unwrap();
    at_work(&service).await;
    let family = service.family();
    assert!(family.len() >= 5, "supervisor, bus, node and workers: {family:?}");

    // The terminal sends it to every process of the group in the foreground.
    kill_process_group(service.supervisor_pid().unwrap(), Signal::INT).unwrap();
    let status = service.ended(Duration::from_secs(25)).await.unwrap();
    let log = service.log();
    assert!(status.success(), "{status}\n{log}");
    let order = ["stopping: node, then bus", "node stops", "bus stops", "\"stopped\""];
    let at = order.map(|said| log.find(said).unwrap_or_else(|| panic!("{said:?} is not in\n{log}")));
    assert!(at.is_sorted(), "{order:?}: {at:?}\n{log}");
    for wrong in ["role ended", "did not stop in time", "look worker died", "look worker ended"] {
        assert!(!log.contains(wrong), "{wrong}\n{log}");
    }
    gone(&family, Duration::from_secs(1), &service).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_processes_die_with_the_supervisor_even_those_that_hang() {
    let mut service = Service::start(vec![walkers("busy", BUSY_ZONE)], "").await.unwrap();
    let mut desk = Desk::open(&service.api, "desk", MINUTE).await.unwrap();
    desk.until("an alert", MINUTE, |alert| firing(alert, "busy", Kind::ZoneIntrusion)).await.unwrap();
    let acknowledged = desk.acknowledged();
    let family = service.family();
    assert!(family.len() >= 5, "supervisor, bus, node and workers: {family:?}");
    // What is stopped takes no notice of anything but SIGKILL.
    for role in ["looks", "node", "bus"] {
        assert!(service.signal(role, Signal::STOP) > 0, "{role} runs");
    }
    assert_eq!(service.signal("run", Signal::KILL), 1);
    service.ended(MINUTE).await.unwrap();
    gone(&family, Duration::from_secs(5), &service).await;

    service.run().await.unwrap();
    desk.resume(MINUTE).await.unwrap();
    at_work(&service).await;
    desk.follow(Duration::from_secs(3)).await.unwrap();
    let gone = lost(&acknowledged, &desk.listed().await.unwrap());
    assert!(gone.is_empty() && desk.doubled.is_empty(), "{gone:?} {:?}", desk.doubled);
    assert_eq!(service.units_missing(1).await.unwrap(), 0.0);
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bus_loads_neither_models_nor_media() {
    let mut service = Service::start(vec![walkers("busy", BUSY_ZONE)], "").await.unwrap();
    at_work(&service).await;
    // Files that a process has in its memory.
    let maps = |pid: i32| fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let (runtime, plugins) = ("libonnxruntime", "/gstreamer-1.0/");
    let worker = service.pids("looks").into_iter().map(maps).collect::<String>();
    assert!(worker.contains(runtime) && worker.contains(plugins), "a worker has both\n{worker}");
    let [bus] = service.pids("bus")[..] else { panic!("one bus: {:?}", service.roles()) };
    let bus = maps(bus);
    assert!(bus.contains("/xueliang"), "{bus}");
    // GStreamer's core library is linked to the program, which plays all roles; starting it would load plug-ins.
    for foreign in [runtime, plugins] {
        assert!(!bus.contains(foreign), "{foreign} is in the bus\n{bus}");
    }
    service.stop().await.unwrap();
}
