use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::{Condvar, Mutex},
};

use xueliang_base::{
    config::Transport,
    shutdown,
    time::{ManualClock, SystemClock},
    unit::Codec,
};
use xueliang_simulator as simulator;
use xueliang_simulator::{CameraSpec, Clip, Fault, Simulator};

use super::*;
use crate::health::OfflineCause;

const PATIENCE: Duration = Duration::from_secs(20);

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
    _stop: shutdown::Stop,
}

impl Rig {
    fn start(url: &str, change: impl FnOnce(&mut SessionSpec)) -> Self {
        let kept = Arc::new(Kept::default());
        let mut spec = SessionSpec {
            camera: "gate-1".parse().unwrap(),
            stream: Stream {
                url: url.parse().unwrap(),
                transport: Transport::Tcp,
                credentials: None,
                first_unit_timeout: Duration::from_secs(3),
            },
            credentials: None,
            networks: vec!["127.0.0.0/8".parse().unwrap()],
            expected_on: None,
            timezone: "Asia/Shanghai".to_owned(),
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

#[test]
fn every_codec_streams_with_numbers_times_and_keyframes() {
    let all = [
        ("vtest@10fps.h264", Codec::H264),
        ("vtest-bframes@10fps.h264", Codec::H264),
        ("vtest@10fps.h265", Codec::H265),
        ("vtest@10fps.mjpeg", Codec::Mjpeg),
    ]
    .map(|(name, codec)| {
        let town = Town::of(camera(name));
        let rig = Rig::start(&town.url(), |_| {});
        (name, codec, rig, town)
    });
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
    }
}

#[test]
fn the_cameras_own_time_comes_from_its_reports() {
    let town = Town::of(camera("vtest@10fps.h264").clock_offset_ms(3_600_000));
    let rig = Rig::start(&town.url(), |_| {});
    let unit =
        rig.kept.until("a dated unit", |units| units.iter().find(|u| u.camera_time.is_some()).cloned());
    let time = unit.camera_time.unwrap();
    let ahead_us = time.wall.0 - unit.arrival_wall.0;
    assert!((ahead_us - 3_600_000_000).abs() < 500_000 + i64::try_from(time.error_us).unwrap(), "{ahead_us}");
}

#[test]
fn a_camera_that_comes_back_delivers_within_two_seconds() {
    // Every picture is a keyframe: the simulator makes nobody wait for one.
    let town = Town::of(camera("vtest@10fps.mjpeg"));
    let rig = Rig::start(&town.url(), |_| {});
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
        while rig.handle().stats().failures.values().sum::<u64>() < failures + 4 {
            std::thread::park_timeout(Duration::from_millis(20));
        }
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

#[test]
fn a_silent_camera_is_seen_within_the_watchdogs_time() {
    let town = Town::of(camera("vtest@10fps.h264"));
    let rig = Rig::start(&town.url(), |_| {});
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

#[test]
fn a_wrong_password_is_told_from_a_missing_one_and_never_shown() {
    let account = || simulator::Account::new("canary-user", "canary-right");
    let town = Town::of(camera("vtest@10fps.h264").account(account()));
    let right = Rig::start(&town.url(), |spec| {
        spec.credentials = Some(Credentials::new("canary-user", "canary-right"));
    });
    right.kept.after("signs in", 0, false);
    drop(right);
    let wrong = Rig::start(&town.url(), |spec| {
        spec.credentials = Some(Credentials::new("canary-user", "canary-wrong"));
    });
    let (cause, detail) = wrong.offline();
    assert_eq!(cause, OfflineCause::Unauthorized);
    assert!(detail.contains("refuses the user or password"), "{detail}");
    let shown = format!("{detail} {:?} {:?}", wrong.kept.signals.lock().unwrap(), wrong.handle());
    assert!(!shown.contains("canary"), "{shown}");
    drop(wrong);
    let (cause, detail) = Rig::start(&town.url(), |_| {}).offline();
    assert_eq!(cause, OfflineCause::Unauthorized);
    assert!(detail.contains("name `credentials`"), "{detail}");
}

#[test]
fn a_recorder_with_a_wrong_password_sees_one_login_of_all_its_cameras() {
    let lock = simulator::LockPolicy {
        attempts: 3,
        duration: Duration::from_secs(600),
        answer: simulator::LockAnswer::Unauthorized,
    };
    let account = simulator::Account { lock: Some(lock), ..simulator::Account::new("operator", "right") };
    let town = Town::of(camera("vtest@10fps.h264").account(account));
    let accounts = Accounts::default();
    let channels: Vec<_> = (0..8)
        .map(|channel| {
            Rig::start(&town.url(), |spec| {
                spec.camera = format!("gate-{channel}").parse().unwrap();
                spec.credentials = Some(Credentials::new("operator", "wrong"));
                spec.accounts = accounts.clone();
            })
        })
        .collect();
    let details: Vec<_> = channels.iter().map(Rig::offline).collect();
    assert!(details.iter().all(|(cause, _)| *cause == OfflineCause::Unauthorized), "{details:?}");
    let told = details.iter().filter(|(_, detail)| detail.contains("another camera")).count();
    assert_eq!(told, 7, "the others say why they do not try: {details:?}");
    let counters = town.simulator().camera("gate").unwrap().counters();
    assert_eq!((counters.logins_failed, counters.logins_locked_out), (1, 0));
    // With the right password nobody has to wait for the account.
    let right = Rig::start(&town.url(), |spec| {
        spec.credentials = Some(Credentials::new("operator", "right"));
        spec.accounts = accounts.clone();
    });
    right.kept.after("signs in", 0, false);
}

#[test]
fn a_change_of_size_or_codec_in_mid_stream_is_followed() {
    let town = Town::of(camera("vtest@10fps.h264"));
    let rig = Rig::start(&town.url(), |_| {});
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

#[test]
fn damaged_bits_end_in_pictures_or_errors_and_the_session_lives() {
    let town = Town::of(camera("vtest@10fps.h264"));
    let rig = Rig::start(&town.url(), |_| {});
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

/// On each connection, answers each request with the next of the texts, then closes. `{cseq}` stands for the
/// request's number. The thread lives as long as the test.
fn answering(answers: &'static [&'static str]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("rtsp://{}/a", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        while let Ok((mut socket, _)) = listener.accept() {
            for answer in answers {
                let mut request = Vec::new();
                let mut byte = [0; 1];
                while !request.ends_with(b"\r\n\r\n") && socket.read(&mut byte).is_ok_and(|n| n == 1) {
                    request.push(byte[0]);
                }
                let request = String::from_utf8_lossy(&request).into_owned();
                let cseq = request.lines().find_map(|l| l.strip_prefix("CSeq: ")).unwrap_or("1").to_owned();
                let answer = answer.replace("{cseq}", &cseq);
                if socket.write_all(answer.as_bytes()).is_err() {
                    break;
                }
            }
        }
    });
    url
}

const OPTIONS: &str = "RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nPublic: OPTIONS, DESCRIBE, SETUP, PLAY\r\n\r\n";

#[test]
fn every_refusal_is_told_by_its_cause() {
    let cases: [(&'static [&'static str], OfflineCause); 7] = [
        (&[OPTIONS, "RTSP/1.0 404 Not Found\r\nCSeq: {cseq}\r\n\r\n"], OfflineCause::NotFound),
        (&[OPTIONS, "RTSP/1.0 403 Forbidden\r\nCSeq: {cseq}\r\n\r\n"], OfflineCause::Forbidden),
        (
            &[
                OPTIONS,
                "RTSP/1.0 401 Unauthorized\r\nCSeq: {cseq}\r\nWWW-Authenticate: Basic realm=\"a\"\r\n\r\n",
            ],
            OfflineCause::Unauthorized,
        ),
        (&[OPTIONS, "RTSP/1.0 503 Service Unavailable\r\nCSeq: {cseq}\r\n\r\n"], OfflineCause::Rejected),
        (&["SSH-2.0-OpenSSH_9.2\r\n"], OfflineCause::NotRtsp),
        (&["HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"], OfflineCause::NotRtsp),
        (&[OPTIONS, ""], OfflineCause::Closed),
    ];
    for (answers, expected) in cases {
        let url = answering(answers);
        let rig = Rig::start(&url, |_| {});
        let (cause, detail) = rig.offline();
        println!("{cause}: {detail}");
        drop(rig);
        assert_eq!(cause, expected, "{answers:?}: {detail}");
    }
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(Rig::start(&format!("rtsp://{free}/a"), |_| {}).offline().0, OfflineCause::Refused);
    let outside = Rig::start("rtsp://192.0.2.1/a", |_| {}).offline();
    assert_eq!(outside.0, OfflineCause::AddressNotAllowed);
}

#[test]
fn an_unsupported_codec_is_named() {
    let description = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=a\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n\
        c=IN IP4 0.0.0.0\r\na=rtpmap:96 AV1/90000\r\na=control:t\r\n";
    let answer = format!(
        "RTSP/1.0 200 OK\r\nCSeq: {{cseq}}\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{description}",
        description.len()
    );
    let answer: &'static str = Box::leak(answer.into_boxed_str());
    let answers: &'static [&'static str] = Box::leak(vec![OPTIONS, answer, ""].into_boxed_slice());
    let url = answering(answers);
    let (cause, detail) = Rig::start(&url, |_| {}).offline();
    assert_eq!(cause, OfflineCause::UnsupportedCodec, "{detail}");
    assert!(detail.contains("AV1"), "{detail}");
}

#[test]
fn a_redirect_is_not_followed_and_takes_no_password_along() {
    let target = TcpListener::bind("127.0.0.2:0").unwrap();
    let text = format!(
        "RTSP/1.0 302 Moved Temporarily\r\nCSeq: {{cseq}}\r\nLocation: rtsp://{}/stolen\r\n\r\n",
        target.local_addr().unwrap()
    );
    let text: &'static str = Box::leak(text.into_boxed_str());
    let answers: &'static [&'static str] = Box::leak(vec![OPTIONS, text].into_boxed_slice());
    let url = answering(answers);
    let rig =
        Rig::start(&url, |spec| spec.credentials = Some(Credentials::new("canary-user", "canary-right")));
    let (cause, detail) = rig.offline();
    assert_eq!(cause, OfflineCause::Redirected, "{detail}");
    drop(rig);
    target.set_nonblocking(true).unwrap();
    if let Ok((mut socket, _)) = target.accept() {
        let mut got = Vec::new();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        socket.read_to_end(&mut got).unwrap();
        assert!(got.is_empty(), "{:?}", String::from_utf8_lossy(&got));
    }
}

#[test]
fn failures_outside_the_expected_hours_are_no_faults() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let minute = minute_of_day(SystemClock::shared().wall(), &zone("Asia/Shanghai"));
    let (from_min, to_min) = ((minute + 60) % 1440, (minute + 120) % 1440);
    let rig =
        Rig::start(&format!("rtsp://{free}/a"), |spec| spec.expected_on = Some(Hours { from_min, to_min }));
    let change = rig.kept.signal_until("is off", |s| s.signal != Signal::Connecting);
    assert_eq!(change.signal, Signal::ExpectedOff);
}

/// A camera that refuses every connection.
struct Gone;

impl Source for Gone {
    fn run_once(&mut self, _: &Arc<Delivery>, _: &Halt) -> SessionError {
        SessionError::NotFound
    }
}

/// Drives the clock until so many signals were told.
fn drive(clock: &ManualClock, session: &SessionHandle, kept: &Kept, signals: usize) -> Vec<Signal> {
    for _ in 0..2_000 {
        let told: Vec<_> = kept.signals.lock().unwrap().iter().map(|change| change.signal).collect();
        if told.len() >= signals {
            return told;
        }
        clock.advance(Duration::from_secs(60));
        session.thread.unpark();
        std::thread::park_timeout(Duration::from_millis(3));
    }
    panic!("{:?}", kept.signals.lock().unwrap());
}

#[test]
fn a_camera_is_offline_when_its_hours_begin_and_off_when_they_end() {
    // 07:30 in Shanghai; expected on from 08:00 to 18:00.
    let start = Wall(1_767_225_600_000_000 - 1_800_000_000);
    let clock = ManualClock::at(start);
    let kept = Arc::new(Kept::default());
    let spec = SessionSpec {
        camera: "shop".parse().unwrap(),
        stream: Stream {
            url: "rtsp://127.0.0.1:1/shop".parse().unwrap(),
            transport: Transport::Tcp,
            credentials: None,
            first_unit_timeout: Duration::from_secs(3),
        },
        credentials: None,
        networks: Vec::new(),
        expected_on: Some(Hours { from_min: 480, to_min: 1080 }),
        timezone: "Asia/Shanghai".to_owned(),
        first_seq: 1,
        connect_rate: ConnectRate::default(),
        accounts: Accounts::default(),
    };
    let (_stop, stopping) = shutdown::pair();
    let sink: Arc<dyn UnitSink> = Arc::<Kept>::clone(&kept);
    let shared: SharedClock = Arc::<ManualClock>::clone(&clock);
    let session = spawn_source(spec, Box::new(Gone), sink, shared, stopping).unwrap();
    let told = drive(&clock, &session, &kept, 4);
    session.stop();
    let offline = Signal::Offline(OfflineCause::NotFound);
    assert_eq!(told, [Signal::Connecting, Signal::ExpectedOff, offline, Signal::ExpectedOff]);
    let changes = kept.signals.lock().unwrap();
    let after = |n: usize| Duration::from_micros(u64::try_from(changes[n].since_wall.0 - start.0).unwrap());
    // Each at its minute, however long the wait for the next attempt is: the clock moves on in steps of a minute.
    let late = Duration::from_secs(900);
    assert!((1800..1800 + 900).contains(&after(2).as_secs()), "{:?}", after(2));
    assert!(
        after(3) >= Duration::from_secs(10 * 3600 + 1800)
            && after(3) < Duration::from_secs(10 * 3600 + 1800) + late
    );
}
