//! Sessions that wait for turns, over whichever driver is due.

use super::*;

const PATROL: Signal = Signal::NotConnected(Idle::Patrol);

fn idle(first_unit_timeout: u64) -> impl FnOnce(&mut SessionSpec) {
    move |spec| {
        spec.idle = Some(Idle::Patrol);
        spec.stream.first_unit_timeout = Duration::from_secs(first_unit_timeout);
    }
}

impl Rig {
    /// Makes a visit and closes it after its first keyframe.
    fn visit(&self, number: u64) -> Visit {
        self.handle().give(Turn::Visit(number));
        self.until_visit("has a picture or is over", |visit| visit.picture.is_some() || visit.over);
        self.handle().give(Turn::Closed(Idle::Patrol));
        self.until_visit("is over", |visit| visit.number == number && visit.over)
    }
    fn until_visit(&self, what: &str, holds: impl Fn(&Visit) -> bool) -> Visit {
        let clock = SystemClock::shared();
        let begun = clock.mono();
        loop {
            let visit = self.handle().visit();
            if holds(&visit) {
                return visit;
            }
            assert!(clock.mono().since(begun) < PATIENCE, "{what}: {visit:?}");
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }
    fn told(&self) -> Vec<Signal> {
        self.kept.signals.lock().unwrap().iter().map(|change| change.signal).collect()
    }
}

#[test]
fn a_visit_connects_delivers_and_closes_and_the_next_goes_on_counting() {
    let town = Town::of(camera("vtest@10fps.h264"));
    let rig = Rig::start(&town.url(), StreamSource::Auto, idle(10));
    let clients = || town.simulator().camera("gate").unwrap().counters().clients;
    std::thread::park_timeout(Duration::from_millis(300));
    assert_eq!((rig.handle().stats().connects, rig.told()), (0, vec![PATROL]), "nobody gave it a turn");
    let first = rig.visit(1);
    let newest = rig.kept.newest();
    assert!(first.picture.is_some() && first.failure.is_none() && newest >= 1, "{first:?}");
    rig.kept.signal_until("closes", |change| change.signal == PATROL && change.edges > 2);
    assert_eq!(rig.told(), [PATROL, Signal::Streaming, PATROL]);
    // The far end sees it a moment later.
    for _ in 0..200 {
        if clients() == 0 {
            break;
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    assert_eq!(clients(), 0);
    rig.visit(2);
    let units = rig.kept.units.lock().unwrap();
    let next = units.iter().find(|unit| unit.seq == newest + 1).expect("numbers go on");
    assert!(next.discontinuity && next.keyframe);
    assert_eq!(rig.handle().stats().first_pictures.within().last(), Some((None, 2)));
}

#[test]
fn a_first_picture_that_takes_long_is_waited_for_and_counted_though_others_came_at_once() {
    let town = Town::of(camera("vtest@10fps.h264"));
    let rig = Rig::start(&town.url(), StreamSource::Auto, idle(15));
    assert!(rig.visit(1).picture.is_some());
    // Longer than a camera that is known is given when it is tried again and again.
    town.apply(Fault::FirstAfter(Duration::from_secs(5)));
    let slow = rig.visit(2);
    let (_, took) = slow.picture.unwrap_or_else(|| panic!("{slow:?}"));
    assert!(took >= Duration::from_secs(5) && slow.failure.is_none());
    assert!(!rig.told().iter().any(|signal| matches!(signal, Signal::Offline(_) | Signal::Stalled)));
    let within: BTreeMap<_, _> = rig.handle().stats().first_pictures.within().collect();
    assert_eq!((within[&Some(2)], within[&None]), (1, 2), "{within:?}");
}

#[test]
fn one_failed_visit_is_no_loss_two_in_a_row_are_and_the_next_that_delivers_ends_it() {
    let town = Town::of(camera("vtest@10fps.h264"));
    let rig = Rig::start(&town.url(), StreamSource::Auto, idle(10));
    rig.visit(1);
    town.apply(Fault::Stop);
    let failed = rig.visit(2);
    assert_eq!((failed.picture, failed.failure), (None, Some(SessionError::NotFound)));
    assert_eq!(rig.told().last(), Some(&PATROL));
    rig.visit(3);
    assert_eq!(rig.offline().0, OfflineCause::NotFound);
    town.clear();
    rig.visit(4);
    let told = rig.told();
    assert_eq!(told[told.len() - 3..], [Signal::Offline(OfflineCause::NotFound), Signal::Streaming, PATROL]);
}

#[test]
fn a_session_that_may_stay_connected_does_and_one_that_may_not_any_more_waits_for_turns() {
    let town = Town::of(camera("vtest@10fps.h264"));
    let rig = Rig::start(&town.url(), StreamSource::Auto, idle(10));
    rig.handle().give(Turn::Visit(1));
    rig.until_visit("has a picture", |visit| visit.picture.is_some());
    // The visit becomes one for ever, without a break.
    rig.handle().give(Turn::Always);
    let newest = rig.kept.newest();
    rig.kept.after("goes on", newest + 5, false);
    assert_eq!(rig.handle().stats().connects, 1);
    rig.handle().give(Turn::Closed(Idle::Patrol));
    rig.kept.signal_until("closes", |change| change.signal == PATROL && change.edges > 2);
    rig.handle().give(Turn::Always);
    rig.until_stats("connects again", |stats| stats.streams == 2);
    assert!(rig.handle().is_open());
}
