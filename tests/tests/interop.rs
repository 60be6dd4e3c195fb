//! Sessions, rings and decoders with what speaks RTSP out there: another server, both transports, every codec.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    fmt::Write as _,
    net::SocketAddr,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use gstreamer as gst;
use gstreamer_rtsp_server::{RTSPMediaFactory, RTSPServer, glib, gst_rtsp::RTSPLowerTrans, prelude::*};
use xueliang_base::{
    config::{Stream, StreamSource, Transport},
    picture::Picture,
    shutdown,
    time::SystemClock,
    unit::{AccessUnit, Codec},
};
use xueliang_ingest::{
    decode::{DecodeLimits, Decoder, Want},
    health::SignalChange,
    ring::{Ring, Settled},
    session::{self, ConnectRate, SessionHandle, SessionSpec, UnitSink},
};
use xueliang_simulator::{CameraSpec, Fault, Simulator};
use xueliang_tests::{clip, clips_folder};

const LIMITS: DecodeLimits = DecodeLimits { max_width: 4096, max_height: 2304 };
const BOTH: [StreamSource; 2] = [StreamSource::Gstreamer, StreamSource::Retina];
const PATIENCE: Duration = Duration::from_secs(9);
/// More than one group of 20 pictures, so that a second keyframe and some pictures after it are among them.
const UNITS: usize = 30;

/// A ring, and everything that was put into it.
struct Kept {
    ring: Ring,
    units: Mutex<Vec<AccessUnit>>,
    said: Mutex<String>,
    news: Condvar,
}

impl UnitSink for Kept {
    fn unit(&self, unit: AccessUnit) {
        self.ring.push(unit.clone());
        self.units.lock().unwrap().push(unit);
        self.news.notify_all();
    }
    fn signal(&self, change: SignalChange) {
        writeln!(self.said.lock().unwrap(), "{}: {}", change.signal.word(), change.detail).unwrap();
        self.news.notify_all();
    }
}

impl Kept {
    /// Waits for the first units.
    fn first(&self, count: usize) -> Vec<AccessUnit> {
        let units = self.units.lock().unwrap();
        let (units, timeout) =
            self.news.wait_timeout_while(units, PATIENCE, |units| units.len() < count).unwrap();
        assert!(!timeout.timed_out(), "{} units came; signals: {}", units.len(), self.said.lock().unwrap());
        units[..count].to_vec()
    }
}

/// A session with its ring.
struct Rig {
    kept: Arc<Kept>,
    session: Option<SessionHandle>,
    _stop: shutdown::Stop,
}

impl Rig {
    fn start(url: &str, transport: Transport, source: StreamSource) -> Self {
        let kept = Arc::new(Kept {
            ring: Ring::new(16_000_000, Duration::from_secs(30)),
            units: Mutex::default(),
            said: Mutex::default(),
            news: Condvar::new(),
        });
        let spec = SessionSpec {
            camera: "gate".parse().unwrap(),
            stream: Stream {
                url: url.parse().unwrap(),
                transport,
                credentials: None,
                first_unit_timeout: Duration::from_secs(5),
                source,
            },
            credentials: None,
            networks: vec!["127.0.0.0/8".parse().unwrap()],
            expected_on: None,
            timezone: "Asia/Shanghai".to_owned(),
            idle: None,
            first_seq: 1,
            connect_rate: ConnectRate::default(),
            accounts: session::Accounts::default(),
        };
        let (stop, stopping) = shutdown::pair();
        let sink: Arc<dyn UnitSink> = Arc::<Kept>::clone(&kept);
        let session = session::spawn(spec, sink, SystemClock::shared(), stopping).unwrap();
        Self { kept, session: Some(session), _stop: stop }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            session.stop();
        }
    }
}

/// GStreamer's own RTSP server: one clip, one transport, on a loop of its own.
struct OtherServer {
    url: String,
    main_loop: glib::MainLoop,
    thread: Option<JoinHandle<()>>,
}

impl OtherServer {
    fn start(clip: &str, transport: RTSPLowerTrans) -> Self {
        xueliang_ingest::init().unwrap();
        let context = glib::MainContext::new();
        let main_loop = glib::MainLoop::new(Some(&context), false);
        let server = RTSPServer::new();
        server.set_address("127.0.0.1");
        server.set_service("0");
        let factory = RTSPMediaFactory::new();
        let location = clips_folder().join(clip);
        factory.set_launch(&format!(
            "( filesrc location={} ! h264parse name=parse ! rtph264pay name=pay0 pt=96 )",
            location.display()
        ));
        factory.set_protocols(transport);
        factory.connect_media_configure(|_, media| date(&media.element()));
        server.mount_points().unwrap().add_factory("/gate", factory);
        let _source = server.attach(Some(&context)).unwrap();
        let url = format!("rtsp://127.0.0.1:{}/gate", server.bound_port());
        let running = main_loop.clone();
        let thread = std::thread::Builder::new()
            .name("other-server".to_owned())
            .spawn(move || {
                let _server = server;
                context.with_thread_default(|| running.run()).unwrap();
            })
            .unwrap();
        Self { url, main_loop, thread: Some(thread) }
    }
}

/// Gives pictures their times: the file has none, and neither has what would be sent then.
fn date(element: &gst::Element) {
    let parse = element.downcast_ref::<gst::Bin>().unwrap().by_name("parse").unwrap();
    let shown = AtomicU64::new(0);
    parse.static_pad("src").unwrap().add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        if let Some(gst::PadProbeData::Buffer(buffer)) = &mut info.data {
            let time = gst::ClockTime::from_mseconds(100 * shown.fetch_add(1, Ordering::Relaxed));
            buffer.make_mut().set_pts(time);
        }
        gst::PadProbeReturn::Ok
    });
}

impl Drop for OtherServer {
    fn drop(&mut self) {
        self.main_loop.quit();
        if let Some(thread) = self.thread.take() {
            // A panic of that thread has been printed; there is nothing left to stop.
            drop(thread.join());
        }
    }
}

/// Types of the H.264 NAL units of an Annex B byte stream.
fn nal_types(data: &[u8]) -> Vec<u8> {
    data.windows(4).filter(|at| at.starts_with(&[0, 0, 1])).map(|at| at[3] & 0x1f).collect()
}

fn read_other_server(transport: Transport, offered: RTSPLowerTrans, source: StreamSource) {
    let server = OtherServer::start("vtest@10fps.h264", offered);
    let rig = Rig::start(&server.url, transport, source);
    let units = rig.kept.first(UNITS);
    let seqs: Vec<_> = units.iter().map(|unit| unit.seq).collect();
    assert_eq!(seqs, (1..=UNITS as u64).collect::<Vec<_>>());
    assert!(units[0].keyframe && units[0].discontinuity, "a session begins with a keyframe");
    for unit in &units[1..] {
        assert!(!unit.discontinuity, "nothing is lost on loopback, unit {}", unit.seq);
    }
    let keyframes: Vec<_> = units.iter().filter(|unit| unit.keyframe).collect();
    assert_eq!(keyframes.len(), 2, "a group has 20 pictures");
    for keyframe in &keyframes {
        let types = nal_types(&keyframe.data);
        for (wanted, name) in [(7, "sequence parameter set"), (8, "picture parameter set"), (5, "IDR slice")]
        {
            assert!(types.contains(&wanted), "no {name} in keyframe {}: {types:?}", keyframe.seq);
        }
    }
    let times: Vec<_> = units.iter().map(|unit| unit.pts_us).collect();
    assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "times go on: {times:?}");
    assert!(units.windows(2).all(|pair| pair[0].arrival <= pair[1].arrival));

    let mut decoder = Decoder::new(Codec::H264, LIMITS).unwrap();
    let alone = decoder.decode_keyframe(keyframes[1]).unwrap();
    assert_eq!((alone.width, alone.height, alone.unit_seq), (768, 576, keyframes[1].seq));
    let pictures = decoder.decode(&units, Want::All).unwrap().pictures;
    let shown: Vec<_> = pictures.iter().map(|picture| picture.unit_seq).collect();
    assert_eq!(shown, seqs, "each unit gives its picture");
}

#[test]
fn a_foreign_server_is_read_over_udp() {
    read_other_server(Transport::Udp, RTSPLowerTrans::UDP, StreamSource::Auto);
}

#[test]
fn a_foreign_server_is_read_over_tcp() {
    read_other_server(Transport::Tcp, RTSPLowerTrans::TCP, StreamSource::Gstreamer);
}

#[test]
fn a_foreign_server_is_read_over_tcp_by_retina() {
    read_other_server(Transport::Tcp, RTSPLowerTrans::TCP, StreamSource::Retina);
}

/// A unit's place in the order of showing, by its time on the media clock.
fn times_of(units: &[AccessUnit], pictures: &[Picture]) -> Vec<i64> {
    let time = |seq| units.iter().find(|unit| unit.seq == seq).and_then(|unit| unit.pts_us).unwrap();
    pictures.iter().map(|picture| time(picture.unit_seq)).collect()
}

/// From a simulated camera through session, ring and decoder.
fn read_simulator(name: &str, codec: Codec, reordered: bool, source: StreamSource) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let camera = CameraSpec::new("gate", clip(name).unwrap());
    let simulator = runtime.block_on(Simulator::start(any, vec![camera])).unwrap();
    let rig = Rig::start(&simulator.url("gate"), Transport::Tcp, source);
    rig.kept.first(UNITS);
    let ring = &rig.kept.ring;

    let span = ring.take_from_keyframe().unwrap();
    let (first, last) = (span.units.first().unwrap(), span.units.last().unwrap());
    assert!(first.keyframe && first.codec == codec, "{name}");
    let mut decoder = Decoder::new(codec, LIMITS).unwrap();
    let mut pictures = decoder.decode(&span.units, Want::All).unwrap().pictures;
    if !reordered {
        assert_eq!(pictures.len(), span.units.len(), "{name}: nothing is held back");
    }
    pictures.extend(decoder.drain(Want::All).unwrap().pictures);

    for picture in &pictures {
        assert_eq!((picture.width, picture.height), (768, 576), "{name}");
        let unit = span.units.iter().find(|unit| unit.seq == picture.unit_seq).unwrap();
        assert_eq!(picture.arrival, unit.arrival, "{name}: a picture bears the arrival of its own unit");
        assert_eq!(picture.arrival_wall, unit.arrival_wall, "{name}");
    }
    let shown: Vec<_> = pictures.iter().map(|picture| picture.unit_seq).collect();
    let times = times_of(&span.units, &pictures);
    assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{name}: in order of showing: {times:?}");
    assert_eq!(shown.is_sorted(), !reordered, "{name}: {shown:?}");
    let mut all = shown;
    all.sort_unstable();
    assert_eq!(all, (first.seq..=last.seq).collect::<Vec<_>>(), "{name}: each unit gives one picture");

    ring.settle(&span.ticket, Settled::Looked { looked_seq: last.seq, decoded: span.units.len() as u64 });
    let account = ring.account();
    assert_eq!(account.missing(), 0, "{name}: {account:?}");
    assert_eq!(account.looked_at, 1, "{name}: {account:?}");
    drop(rig);
    runtime.block_on(simulator.shutdown());
}

#[test]
fn h264_arrives_as_pictures_with_their_own_arrival() {
    for source in BOTH {
        read_simulator("vtest@10fps.h264", Codec::H264, false, source);
    }
}

#[test]
fn h264_with_b_frames_arrives_in_order_of_showing() {
    for source in BOTH {
        read_simulator("vtest-bframes@10fps.h264", Codec::H264, true, source);
    }
}

#[test]
fn h265_arrives_as_pictures_with_their_own_arrival() {
    for source in BOTH {
        read_simulator("vtest@10fps.h265", Codec::H265, false, source);
    }
}

#[test]
fn mjpeg_arrives_as_pictures_with_their_own_arrival() {
    read_simulator("vtest@10fps.mjpeg", Codec::Mjpeg, false, StreamSource::Auto);
}

/// GStreamer numbers its elements, and their names stand in its messages: after some hundred reconnects they look like
/// statuses of RTSP. A wrong 401 would keep a camera out for five minutes.
#[test]
fn refusals_are_told_apart_however_often_was_reconnected() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let camera = CameraSpec::new("gate", clip("vtest@10fps.h264").unwrap());
    let simulator = runtime.block_on(Simulator::start(any, vec![camera])).unwrap();
    let rig = Rig::start(&simulator.url("gate"), Transport::Tcp, StreamSource::Gstreamer);
    rig.kept.first(1);
    let number = || {
        let element = gst::ElementFactory::make("rtspsrc").build().unwrap();
        element.name().trim_start_matches("rtspsrc").parse::<u32>().unwrap()
    };
    while number() < 400 {}

    {
        let _inside = runtime.enter();
        simulator.camera("gate").unwrap().apply(Fault::Stop).unwrap();
    }
    let units = rig.kept.units.lock().unwrap();
    let silent = |_: &mut Vec<AccessUnit>| !rig.kept.said.lock().unwrap().contains("404");
    let (units, timeout) = rig.kept.news.wait_timeout_while(units, PATIENCE, silent).unwrap();
    drop(units);
    let said = rig.kept.said.lock().unwrap().clone();
    assert!(!timeout.timed_out() && said.contains("not_found: "), "{said}");
    drop(rig);
    runtime.block_on(simulator.shutdown());
}
