//! Sessions with the simulated cameras, over each driver.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::PathBuf,
    sync::{Condvar, Mutex},
};

use xueliang_base::{
    config::{StreamSource, Transport},
    shutdown,
    time::SystemClock,
    unit::Codec,
};
use xueliang_simulator as simulator;
use xueliang_simulator::{CameraSpec, Clip, Fault, Simulator};

use super::*;
use crate::health::OfflineCause;

const PATIENCE: Duration = Duration::from_secs(20);

/// Makes two tests of each function: over GStreamer and over retina.
macro_rules! over_both {
    ($($test:ident),* $(,)?) => {
        mod gstreamer {
            $(#[test] fn $test() { super::$test(super::StreamSource::Gstreamer); })*
        }
        mod retina {
            $(#[test] fn $test() { super::$test(super::StreamSource::Retina); })*
        }
    };
}
over_both! {
    every_codec_streams_with_numbers_times_and_keyframes,
    the_cameras_own_time_comes_from_its_reports,
    a_camera_that_comes_back_delivers_within_two_seconds,
    a_camera_that_flaps_is_followed_each_time,
    a_silent_camera_is_seen_within_the_watchdogs_time,
    a_camera_that_answers_nothing_is_seen_and_comes_back,
    a_change_of_size_or_codec_in_mid_stream_is_followed,
    damaged_bits_end_in_pictures_or_errors_and_the_session_lives,
}

mod drivers;
mod hours;
mod refusals;
mod visits;

/// Keeps what a session delivers.
#[derive(Default)]
struct Kept {
    units: Mutex<Vec<AccessUnit>>,
    signals: Mutex<Vec<SignalChange>>,
    news: Condvar,
}

impl UnitSink for Kept {
    fn unit(&self, unit: AccessUnit) {
        self.units.lock().unwrap().push(unit);
        self.news.notify_all();
    }
    fn signal(&self, change: SignalChange) {
        self.signals.lock().unwrap().push(change);
        let _units = self.units.lock().unwrap();
        self.news.notify_all();
    }
}

impl Kept {
    /// Waits until the condition holds for the units; gives what it found.
    fn until<T>(&self, what: &str, found: impl Fn(&[AccessUnit]) -> Option<T>) -> T {
        let mut units = self.units.lock().unwrap();
        loop {
            if let Some(found) = found(&units) {
                return found;
            }
            let (again, timeout) = self.news.wait_timeout(units, PATIENCE).unwrap();
            assert!(!timeout.timed_out(), "{what}; signals {:?}", self.signals.lock().unwrap());
            units = again;
        }
    }
    fn after(&self, what: &str, seq: u64, keyframe: bool) -> AccessUnit {
        self.until(what, |units| units.iter().find(|u| u.seq > seq && (u.keyframe || !keyframe)).cloned())
    }
    fn signal_until(&self, what: &str, found: impl Fn(&SignalChange) -> bool) -> SignalChange {
        self.until(what, |_| self.signals.lock().unwrap().iter().find(|s| found(s)).cloned())
    }
    fn newest(&self) -> u64 {
        self.units.lock().unwrap().last().map_or(0, |unit| unit.seq)
    }
}

struct Rig {
    kept: Arc<Kept>,
    session: Option<SessionHandle>,
    _stop: Stop,
}

impl Rig {
    fn start(url: &str, source: StreamSource, change: impl FnOnce(&mut SessionSpec)) -> Self {
        let kept = Arc::new(Kept::default());
        let mut spec = SessionSpec {
            camera: "gate-1".parse().unwrap(),
            stream: Stream {
                url: url.parse().unwrap(),
                transport: Transport::Tcp,
                credentials: None,
                first_unit_timeout: Duration::from_secs(3),
                source,
            },
            credentials: None,
            networks: vec!["127.0.0.0/8".parse().unwrap()],
            expected_on: None,
            timezone: "Asia/Shanghai".to_owned(),
            idle: None,
            first_seq: 1,
            connect_rate: ConnectRate::default(),
            accounts: Accounts::default(),
        };
        change(&mut spec);
        let (stop, stopping) = shutdown::pair();
        let sink: Arc<dyn UnitSink> = Arc::<Kept>::clone(&kept);
        let session = Some(spawn(spec, sink, SystemClock::shared(), stopping).unwrap());
        Self { kept, session, _stop: stop }
    }
    fn handle(&self) -> &SessionHandle {
        self.session.as_ref().unwrap()
    }
    /// Waits until the condition holds for what the session has counted.
    fn until_stats(&self, what: &str, holds: impl Fn(&SessionStats) -> bool) {
        let clock = SystemClock::shared();
        let begun = clock.mono();
        while !holds(&self.handle().stats()) {
            assert!(clock.mono().since(begun) < PATIENCE, "{what}: {:?}", self.handle().stats());
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }
    /// The cause of the first failure.
    fn offline(&self) -> (OfflineCause, String) {
        let change = self.kept.signal_until("goes offline", |s| matches!(s.signal, Signal::Offline(_)));
        match change.signal {
            Signal::Offline(cause) => (cause, change.detail),
            other => panic!("{other:?}"),
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            session.stop();
        }
    }
}

fn clip(name: &str) -> Arc<Clip> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.cache/clips"));
    Clip::load(&folder.join(name), None).expect("tools/footage.sh has made the clips")
}

/// A town of one camera, on a runtime of its own.
struct Town {
    runtime: tokio::runtime::Runtime,
    simulator: Option<Simulator>,
}

impl Town {
    fn of(camera: CameraSpec) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let simulator = runtime.block_on(Simulator::start(any, vec![camera])).unwrap();
        Self { runtime, simulator: Some(simulator) }
    }
    fn simulator(&self) -> &Simulator {
        self.simulator.as_ref().unwrap()
    }
    fn url(&self) -> String {
        self.simulator().url("gate")
    }
    fn apply(&self, fault: Fault) {
        let _inside = self.runtime.enter();
        self.simulator().camera("gate").unwrap().apply(fault).unwrap();
    }
    fn clear(&self) {
        let _inside = self.runtime.enter();
        self.simulator().camera("gate").unwrap().clear();
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        if let Some(simulator) = self.simulator.take() {
            self.runtime.block_on(simulator.shutdown());
        }
    }
}

fn camera(name: &str) -> CameraSpec {
    CameraSpec::new("gate", clip(name))
}

fn every_codec_streams_with_numbers_times_and_keyframes(source: StreamSource) {
    let mut clips = vec![
        ("vtest@10fps.h264", Codec::H264),
        ("vtest-bframes@10fps.h264", Codec::H264),
        ("vtest@10fps.h265", Codec::H265),
    ];
    if source == StreamSource::Gstreamer {
        clips.push(("vtest@10fps.mjpeg", Codec::Mjpeg));
    }
    let all: Vec<_> = clips
        .into_iter()
        .map(|(name, codec)| {
            let town = Town::of(camera(name));
            let rig = Rig::start(&town.url(), source, |_| {});
            (name, codec, rig, town)
        })
        .collect();
    for (name, codec, rig, _town) in all {
        let units = rig.kept.until(name, |units| (units.len() >= 12).then(|| units.to_vec()));
        assert!(units.iter().map(|u| u.seq).eq(1..=units.len() as u64), "{name}");
        assert!(units.iter().all(|u| u.codec == codec && u.pts_us.is_some()), "{name}");
        assert!(units[0].keyframe, "{name}: the simulator begins with a keyframe");
        assert!(units.iter().all(|u| u.discontinuity == (u.seq == 1)), "{name}");
        assert_eq!(rig.handle().signal().signal, Signal::Streaming);
        let limits = crate::decode::DecodeLimits { max_width: 1920, max_height: 1088 };
        let mut decoder = crate::decode::Decoder::new(codec, limits).unwrap();
        assert_eq!(decoder.decode_keyframe(&units[0]).unwrap().width, 768, "{name}");
        let stats = rig.handle().stats();
        assert_eq!((stats.connects, stats.streams, stats.gaps), (1, 1, 0), "{name}");
        let driver = if source == StreamSource::Retina { Driver::Retina } else { Driver::Gstreamer };
        assert_eq!(stats.reading.map(|reading| reading.driver), Some(driver));
    }
}

fn the_cameras_own_time_comes_from_its_reports(source: StreamSource) {
    let town = Town::of(camera("vtest@10fps.h264").clock_offset_ms(3_600_000));
    let rig = Rig::start(&town.url(), source, |_| {});
    let unit =
        rig.kept.until("a dated unit", |units| units.iter().find(|u| u.camera_time.is_some()).cloned());
    let time = unit.camera_time.unwrap();
    let ahead_us = time.wall.0 - unit.arrival_wall.0;
    assert!((ahead_us - 3_600_000_000).abs() < 500_000 + i64::try_from(time.error_us).unwrap(), "{ahead_us}");
}

/// Every picture of it is a keyframe: the simulator makes nobody wait for one.
fn keyframes_only() -> CameraSpec {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.cache/clips"));
    let bytes = std::fs::read(folder.join("vtest@10fps.h264")).expect("tools/footage.sh has made the clips");
    // From one access unit delimiter to the next.
    let delimiter = |at: &[u8]| at.starts_with(&[0, 0, 0, 1, 9]);
    let second = bytes.windows(5).skip(1).position(delimiter).expect("more than one picture") + 1;
    let rate = "10".parse().unwrap();
    CameraSpec::new(
        "gate",
        Clip::from_stream(simulator::Codec::H264, bytes[..second].repeat(20), rate).unwrap(),
    )
}

fn a_camera_that_comes_back_delivers_within_two_seconds(source: StreamSource) {
    let town = Town::of(keyframes_only());
    let rig = Rig::start(&town.url(), source, |_| {});
    rig.kept.after("first stream", 0, false);
    // The camera alone, and the whole machine.
    for port in [false, true] {
        if port {
            town.runtime.block_on(town.simulator().close_port());
        } else {
            town.apply(Fault::Stop);
        }
        let failures = rig.handle().stats().failures.values().sum::<u64>();
        rig.kept.signal_until("is seen", |s| matches!(s.signal, Signal::Offline(_)));
        rig.until_stats("is tried", |stats| stats.failures.values().sum::<u64>() >= failures + 4);
        let before = rig.kept.newest();
        let back = SystemClock::shared().mono();
        if port {
            town.runtime.block_on(town.simulator().open_port()).unwrap();
        } else {
            town.clear();
        }
        let unit = rig.kept.after("returns", before, false);
        assert_eq!(unit.seq, before + 1);
        assert!(unit.discontinuity);
        let took = unit.arrival.since(back);
        assert!(took < Duration::from_secs(2), "{took:?}");
    }
}

fn a_camera_that_flaps_is_followed_each_time(source: StreamSource) {
    let town = Town::of(keyframes_only());
    let rig = Rig::start(&town.url(), source, |_| {});
    rig.kept.after("first stream", 0, false);
    for round in 1..=5 {
        let before = rig.kept.newest();
        town.apply(Fault::Restart(Duration::from_millis(300)));
        let back = rig.kept.until("is back", |units| {
            units.iter().find(|unit| unit.seq > before && unit.discontinuity).cloned()
        });
        let down = back
            .arrival
            .since(rig.kept.units.lock().unwrap()[usize::try_from(back.seq).unwrap() - 2].arrival);
        assert!(down < Duration::from_secs(3), "round {round}: {down:?}");
        assert_eq!(rig.handle().stats().streams, round + 1);
    }
    let numbers = rig.kept.units.lock().unwrap().iter().map(|unit| unit.seq).collect::<Vec<_>>();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
}

fn a_silent_camera_is_seen_within_the_watchdogs_time(source: StreamSource) {
    let town = Town::of(camera("vtest@10fps.h264"));
    let rig = Rig::start(&town.url(), source, |_| {});
    rig.kept.after("first stream", 0, false);
    town.apply(Fault::Stall);
    let stalled = rig.kept.signal_until("stalls", |s| s.signal == Signal::Stalled);
    let last = rig.kept.units.lock().unwrap().last().unwrap().arrival;
    let after = stalled.since.since(last);
    assert!((Duration::from_secs(5)..Duration::from_secs(6)).contains(&after), "{after:?}");
    let before = rig.kept.newest();
    town.clear();
    assert!(rig.kept.after("goes on", before, false).discontinuity);
}

fn a_camera_that_answers_nothing_is_seen_and_comes_back(source: StreamSource) {
    let town = Town::of(keyframes_only());
    let rig = Rig::start(&town.url(), source, |_| {});
    rig.kept.after("first stream", 0, false);
    town.apply(Fault::HalfOpen);
    let stalled = rig.kept.signal_until("stalls", |s| s.signal == Signal::Stalled);
    let last = rig.kept.units.lock().unwrap().last().unwrap().arrival;
    assert!(stalled.since.since(last) < Duration::from_secs(6));
    // It takes connections and answers nothing: attempts are given up, and none holds the session for long.
    let stalls = rig.handle().stats().stalls;
    rig.until_stats("attempts are given up", |stats| stats.stalls >= stalls + 2);
    let before = rig.kept.newest();
    let back = SystemClock::shared().mono();
    town.clear();
    let unit = rig.kept.after("goes on", before, false);
    assert!(unit.discontinuity);
    let took = unit.arrival.since(back);
    assert!(took < Duration::from_secs(3), "{took:?}");
}

fn a_change_of_size_or_codec_in_mid_stream_is_followed(source: StreamSource) {
    let town = Town::of(camera("vtest@10fps.h264"));
    let rig = Rig::start(&town.url(), source, |_| {});
    let limits = crate::decode::DecodeLimits { max_width: 1920, max_height: 1088 };
    let mut decoder = crate::decode::Decoder::new(Codec::H264, limits).unwrap();
    rig.kept.after("first stream", 0, true);
    let before = rig.kept.newest();
    town.apply(Fault::ChangeClip(clip("vtest-320x240@10fps.h264")));
    let small = rig.kept.until("small pictures", |units| {
        units
            .iter()
            .rfind(|u| u.seq > before && crate::nal::survey(u.codec, &u.data).largest == Some((320, 240)))
            .cloned()
    });
    assert_eq!(decoder.decode_keyframe(&small).unwrap().width, 320);
    let before = rig.kept.newest();
    town.apply(Fault::ChangeClip(clip("vtest@10fps.h265")));
    let other = rig.kept.until("another codec", |units| {
        units.iter().find(|u| u.seq > before && u.codec == Codec::H265).cloned()
    });
    assert!(other.discontinuity && other.keyframe);
}

fn damaged_bits_end_in_pictures_or_errors_and_the_session_lives(source: StreamSource) {
    let town = Town::of(camera("vtest@10fps.h264"));
    let rig = Rig::start(&town.url(), source, |_| {});
    rig.kept.after("first stream", 0, false);
    town.apply(Fault::Corrupt(1e-4));
    let before = rig.kept.newest();
    let units =
        rig.kept.until("damaged units", |units| (units.len() as u64 >= before + 30).then(|| units.to_vec()));
    let limits = crate::decode::DecodeLimits { max_width: 1920, max_height: 1088 };
    let mut decoder = crate::decode::Decoder::new(Codec::H264, limits).unwrap();
    for unit in units.iter().filter(|unit| unit.keyframe) {
        let _either = decoder.decode_keyframe(unit);
    }
    town.clear();
    let before = rig.kept.newest();
    let good = rig.kept.after("whole again", before + 1, true);
    decoder.decode_keyframe(&good).unwrap();
}
