//! Glances at sub-streams: 15 pictures a second beside a keyframe every two seconds.

use xueliang_proto::v1::{GlancedPicture, WorkerGlance, WorkerGlanced};

use super::*;
use crate::node::sub_stream::SubStream;

/// From one picture of the sub-stream to the next.
const STEP: f64 = 1.0 / 15.0;
/// One of so many is a keyframe.
const GOP: u64 = 30;

/// What the worker was asked for.
#[derive(Debug, Default, Clone, Copy)]
struct Asked {
    looks: usize,
    of_models: usize,
    turns: usize,
    keyframes: usize,
    pictures: usize,
}

struct Subbed {
    stage: Stage,
    cell: Arc<Cell>,
    steps: u64,
    sub_seq: u64,
    /// Whether the sub-stream delivers.
    delivers: bool,
    asked: Asked,
}

fn with_sub(gate: &str) -> Arc<Config> {
    let mut config = (*resting_pond(gate)).clone();
    let camera = &mut config.cameras[0];
    let url = "rtsp://127.0.0.1:8554/gate-2".parse().unwrap();
    camera.sub_stream = Some(xueliang_base::config::Stream { url, ..camera.stream.clone() });
    Arc::new(config)
}

impl Subbed {
    fn new(gate: &str) -> Self {
        let mut stage = Stage::new();
        stage.ready();
        let config = with_sub(gate);
        let cell = stage.cell(&config);
        stage.configure(&config, &cell, Vec::new());
        stage.signal(&cell, Signal::Streaming);
        let mut subbed = Self { stage, cell, steps: 0, sub_seq: 0, delivers: false, asked: Asked::default() };
        subbed.sub_signal(Signal::Streaming);
        subbed
    }
    fn sub(&self) -> Arc<SubStream> {
        self.cell.sub.clone().unwrap()
    }
    fn sub_signal(&mut self, signal: Signal) {
        self.delivers = signal == Signal::Streaming;
        let (since, since_wall) = (self.stage.clock.mono(), self.stage.clock.wall());
        let change = SignalChange { signal, since, since_wall, detail: "gone".to_owned(), edges: 1 };
        self.sub().signal(change);
    }
    /// Answers all that the worker is asked for, as a picture with so many persons shows it.
    async fn serve(&mut self, persons: usize) {
        loop {
            self.stage.looks.dispatch();
            for _ in 0..6 {
                tokio::task::yield_now().await;
            }
            let Ok(mut job) = self.stage.jobs.try_recv() else { return };
            let answer = match job.request.ask.take() {
                Some(Ask::Look(look)) => {
                    self.asked.looks += 1;
                    self.asked.of_models += usize::from(!look.models.is_empty());
                    Answer::Saw(saw(&look, persons))
                }
                Some(Ask::Glance(glance)) => {
                    self.asked.turns += 1;
                    self.asked.keyframes += usize::from(!glance.continued);
                    let glanced = glanced(&glance, persons);
                    self.asked.pictures += glanced.pictures.len();
                    Answer::Glanced(glanced)
                }
                _ => {
                    drop(job.answer.send(Ok(Answer::Released(WorkerReleased {}))));
                    continue;
                }
            };
            assert!(job.answer.send(Ok(answer)).is_ok());
            self.stage.finish().await;
        }
    }
    /// One picture of the sub-stream later, and now and then a keyframe of the main one.
    async fn step(&mut self, persons: usize) {
        self.stage.clock.advance(s(STEP));
        self.steps += 1;
        if self.steps.is_multiple_of(GOP) {
            let cell = self.cell.clone();
            self.stage.unit(&cell);
        }
        if self.steps.is_multiple_of(15) {
            self.stage.tick(0.0);
        }
        if self.delivers {
            self.deliver();
        }
        self.serve(persons).await;
    }
    /// A picture of the sub-stream arrives.
    fn deliver(&mut self) {
        self.sub_seq += 1;
        self.sub().unit(AccessUnit {
            seq: self.sub_seq,
            codec: Codec::H264,
            keyframe: self.sub_seq % GOP == 1,
            discontinuity: false,
            pts_us: None,
            arrival: self.stage.clock.mono(),
            arrival_wall: self.stage.clock.wall(),
            camera_time: None,
            data: vec![0; 100].into(),
        });
    }
    /// Time passes; what was asked for in it.
    async fn pass(&mut self, seconds: u64, persons: usize) -> Asked {
        self.asked = Asked::default();
        for _ in 0..seconds * 15 {
            self.step(persons).await;
        }
        self.asked
    }
    /// Somebody comes: how long until the camera is watched.
    async fn woken_after(&mut self) -> Duration {
        assert_eq!(self.stage.vigil(), Some(Vigil::Resting));
        let came = self.stage.clock.mono();
        while self.stage.vigil() == Some(Vigil::Resting) {
            self.step(1).await;
            assert!(self.stage.clock.mono().since(came) < s(20.0), "nobody is seen");
        }
        self.stage.clock.mono().since(came)
    }
}

/// The sub-stream's encoder draws its own picture of the same scene.
fn glanced(glance: &WorkerGlance, persons: usize) -> WorkerGlanced {
    let picture = |unit: &v1::WorkerUnit| GlancedPicture {
        seq: unit.seq,
        thumbnail: cells(unit.seq, persons).into_iter().map(|level| 255 - level).collect::<Vec<u8>>().into(),
    };
    WorkerGlanced {
        pictures: glance.units.iter().map(picture).collect(),
        decoded: u32::try_from(glance.units.len()).unwrap(),
        decode_us: 500,
    }
}

#[tokio::test]
async fn with_a_sub_stream_a_resting_camera_wakes_within_half_a_second() {
    let mut subbed = Subbed::new("enforce");
    subbed.pass(44, 0).await;
    let rest = subbed.pass(16, 0).await;
    // Every picture is glanced at, in four turns a second; glances at the main stream go on beside.
    assert!((236..=244).contains(&rest.pictures) && rest.keyframes == 0, "{rest:?}");
    assert!((57..=64).contains(&rest.turns) && (3..=5).contains(&rest.looks), "{rest:?}");
    let after = subbed.woken_after().await;
    assert!(after <= s(0.5), "{after:?}");
    subbed.pass(6, 1).await;
    assert_eq!(subbed.stage.edges(), [("raised", Kind::WaterZoneEntry)]);
    subbed.pass(30, 0).await;
    assert_eq!(subbed.stage.vigil(), Some(Vigil::Resting), "what is gone keeps nobody awake");
    let counts = subbed.stage.pixels();
    assert_eq!((counts.misses, counts.woken_hits), (0, 1), "{counts:?}");
    let account = subbed.sub().ring.account();
    assert_eq!((account.missing(), account.received), (0, subbed.sub_seq));
    assert_eq!(account.looked_at + account.in_ring, account.received, "{account:?}");
    assert_eq!(subbed.cell.ring.account().missing(), 0);
}

#[tokio::test]
async fn without_its_sub_stream_a_camera_is_glanced_at_by_keyframes_and_nothing_is_wrong_with_it() {
    let mut subbed = Subbed::new("enforce");
    subbed.pass(50, 0).await;
    let before = subbed.stage.not_looked();
    subbed.sub_signal(Signal::Offline(OfflineCause::Closed));
    let rest = subbed.pass(40, 0).await;
    assert!(rest.turns <= 1 && rest.looks >= 9, "{rest:?}");
    assert_eq!(subbed.stage.looks.spare.kept(), 0, "its decoder is given back");
    assert_eq!(subbed.stage.not_looked(), before, "the camera is looked at as before");
    let after = subbed.woken_after().await;
    assert!(after > s(0.5) && after <= s(6.1), "{after:?}");
    subbed.pass(10, 1).await;
    assert_eq!(subbed.stage.edges(), [("raised", Kind::WaterZoneEntry)], "its loss is no incident");
    // It comes back, and is followed from a keyframe on.
    subbed.pass(20, 0).await;
    subbed.sub_signal(Signal::Streaming);
    subbed.pass(4, 0).await;
    let rest = subbed.pass(10, 0).await;
    assert!((146..=154).contains(&rest.pictures) && rest.keyframes == 0, "{rest:?}");
    assert_eq!(subbed.sub().ring.account().missing(), 0);
}

#[tokio::test]
async fn a_worker_that_a_look_needs_has_no_time_for_glances() {
    let mut subbed = Subbed::new("enforce");
    subbed.pass(4, 0).await;
    // A keyframe and pictures of the sub-stream wait.
    subbed.stage.clock.advance(s(2.0));
    let cell = subbed.cell.clone();
    subbed.deliver();
    subbed.stage.unit(&cell);
    let (look, job) = subbed.stage.asked().await.expect("the look is first");
    subbed.stage.looks.dispatch();
    for _ in 0..6 {
        tokio::task::yield_now().await;
    }
    assert!(subbed.stage.jobs.try_recv().is_err(), "and has the worker for itself");
    assert!(job.answer.send(Ok(Answer::Saw(saw(&look, 0)))).is_ok());
    subbed.stage.finish().await;
    subbed.asked = Asked::default();
    subbed.serve(0).await;
    assert_eq!((subbed.asked.looks, subbed.asked.turns), (0, 1));
}

#[tokio::test]
async fn in_shadow_a_sub_stream_speaks_for_the_pixel_tier_and_wakes_nobody() {
    let mut subbed = Subbed::new("shadow");
    let rest = subbed.pass(40, 0).await;
    assert_eq!(rest.of_models, rest.looks, "every look as the rule asks");
    subbed.pass(10, 1).await;
    let counts = subbed.stage.pixels();
    assert_eq!((counts.hits, counts.misses, counts.woken_hits + counts.woken_false), (1, 0, 0), "{counts:?}");
    assert_eq!(subbed.stage.looks.attention.counters().woken, 0);
    assert!(subbed.stage.looks.facts.subs.wakes > 0);
}

#[tokio::test]
async fn a_sub_stream_that_cannot_be_decoded_harms_nothing_and_is_tried_again_at_a_later_keyframe() {
    let mut subbed = Subbed::new("enforce");
    subbed.stage.clock.advance(s(1.0));
    let (mut failed, mut turns) = (0, Vec::new());
    let (mut kept, mut released) = (0, 0);
    for _ in 0..600 {
        subbed.stage.clock.advance(s(STEP));
        subbed.deliver();
        subbed.stage.looks.dispatch();
        for _ in 0..6 {
            tokio::task::yield_now().await;
        }
        let Ok(mut job) = subbed.stage.jobs.try_recv() else { continue };
        let glance = match job.request.ask.take() {
            Some(Ask::Glance(glance)) => glance,
            Some(Ask::Release(release)) if release.sub_stream => {
                released += 1;
                continue;
            }
            _ => panic!("there is nothing else"),
        };
        failed += glance.units.len() as u64;
        kept += u32::from(glance.continued);
        turns.push(glance.units[0].seq);
        assert!(job.answer.send(Err(NotLooked::Undecodable)).is_ok());
        subbed.stage.finish().await;
    }
    assert!(kept > 0 && released == kept, "the worker forgets what it kept for it: {released} of {kept}");
    assert!((4..=8).contains(&turns.len()), "{turns:?}");
    assert!(turns.windows(2).all(|pair| pair[1] > pair[0]), "{turns:?}");
    let account = subbed.sub().ring.account();
    assert_eq!((account.missing(), account.lost[&NotLooked::Undecodable]), (0, failed), "{account:?}");
    assert_eq!(subbed.stage.edges(), []);
}

#[tokio::test]
async fn a_turn_of_before_other_rules_is_accounted_for_and_told_to_nobody() {
    let mut subbed = Subbed::new("enforce");
    subbed.pass(4, 0).await;
    let (glance, job) = loop {
        subbed.stage.clock.advance(s(STEP));
        subbed.deliver();
        subbed.stage.looks.dispatch();
        for _ in 0..6 {
            tokio::task::yield_now().await;
        }
        if let Ok(mut job) = subbed.stage.jobs.try_recv()
            && let Some(Ask::Glance(glance)) = job.request.ask.take()
        {
            break (glance, job);
        }
    };
    let before = subbed.stage.looks.facts.subs.pictures;
    let mut other = with_sub("enforce").cameras[0].clone();
    other.rules.truncate(1);
    other.zones[0].area_m2 = Some(10.0);
    let config = Arc::new(Config { cameras: vec![other.clone()], ..Config::clone(&with_sub("enforce")) });
    subbed.cell = Arc::new(subbed.cell.watching_for(Arc::new(other)));
    let cell = subbed.cell.clone();
    subbed.stage.configure(&config, &cell, Vec::new());
    assert!(job.answer.send(Ok(Answer::Glanced(glanced(&glance, 1)))).is_ok());
    subbed.stage.finish().await;
    assert_eq!(subbed.sub().ring.account().in_flight, 0);
    assert_eq!(subbed.stage.looks.facts.subs.pictures, before, "the camera has begun anew since");
    assert!(subbed.pass(4, 0).await.turns > 10, "and is glanced at as before");
}
