//! Hours in which a camera is expected.

use std::net::TcpListener;

use xueliang_base::time::Clock;

use super::*;

#[test]
fn failures_outside_the_expected_hours_are_no_faults() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let minute = minute_of_day(SystemClock::shared().wall(), &zone("Asia/Shanghai"));
    let (from_min, to_min) = ((minute + 60) % 1440, (minute + 120) % 1440);
    let rig = Rig::start(&format!("rtsp://{free}/a"), StreamSource::Auto, |spec| {
        spec.expected_on = Some(Hours { from_min, to_min });
    });
    let change = rig.kept.signal_until("is off", |s| s.signal != Signal::Connecting);
    assert_eq!(change.signal, Signal::ExpectedOff);
}

/// A camera that refuses every connection.
struct Gone;

impl Source for Gone {
    fn run_once<'a>(&'a mut self, _: &'a Arc<Delivery>, _: &'a Halt) -> BoxFuture<'a, SessionError> {
        Box::pin(async { SessionError::NotFound })
    }
}

/// The runtime's time, which a test lets pass at once.
struct Paused {
    began: tokio::time::Instant,
    wall: Wall,
}

impl Clock for Paused {
    fn mono(&self) -> Mono {
        Mono(u64::try_from(self.began.elapsed().as_nanos()).unwrap())
    }
    fn wall(&self) -> Wall {
        Wall(self.wall.0 + i64::try_from(self.began.elapsed().as_micros()).unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn a_camera_is_offline_when_its_hours_begin_and_off_when_they_end() {
    // 07:30 in Shanghai; expected on from 08:00 to 18:00.
    let start = Wall(1_767_225_600_000_000 - 1_800_000_000);
    let clock: SharedClock = Arc::new(Paused { began: tokio::time::Instant::now(), wall: start });
    let kept = Arc::new(Kept::default());
    let spec = SessionSpec {
        camera: "shop".parse().unwrap(),
        stream: Stream {
            url: "rtsp://127.0.0.1:1/shop".parse().unwrap(),
            transport: Transport::Tcp,
            credentials: None,
            first_unit_timeout: Duration::from_secs(3),
            source: StreamSource::Auto,
        },
        credentials: None,
        networks: Vec::new(),
        expected_on: Some(Hours { from_min: 480, to_min: 1080 }),
        timezone: "Asia/Shanghai".to_owned(),
        idle: None,
        first_seq: 1,
        connect_rate: ConnectRate::default(),
        accounts: Accounts::default(),
    };
    let (_stop, all) = shutdown::pair();
    let (one_stop, one) = shutdown::pair();
    let sink: Arc<dyn UnitSink> = Arc::<Kept>::clone(&kept);
    let delivery = Arc::new(Delivery::new(1, sink, Arc::clone(&clock)));
    let halt = Halt { all, one, turn: None };
    let (_turns, turns) = turn::turns(Turn::Always);
    let day = async {
        tokio::time::sleep(Duration::from_secs(11 * 3600)).await;
        one_stop.ask();
    };
    let mut gone = Gone;
    tokio::join!(run(&mut gone, &spec, &delivery, &clock, &halt, &turns), day);
    let changes = kept.signals.lock().unwrap();
    let told: Vec<_> = changes.iter().map(|change| change.signal).collect();
    let offline = Signal::Offline(OfflineCause::NotFound);
    assert_eq!(told, [Signal::Connecting, Signal::ExpectedOff, offline, Signal::ExpectedOff]);
    // Each at its minute, however long the wait for the next attempt is.
    let after_s = |n: usize| (changes[n].since_wall.0 - start.0) / 1_000_000;
    assert_eq!((after_s(2), after_s(3)), (1_800, 10 * 3_600 + 1_800));
}
