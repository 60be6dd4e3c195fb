//! Which cameras see nothing, and where critical hazards are not covered: from what cameras report, pure.

use xueliang_base::kind::{Kind, Level};
use xueliang_proto::v1::{self, NotLooked, Signal};

use super::SILENT;

/// Cameras that a summary names: more than a desk reads, few enough for an answer that is asked for every few seconds.
const MAX_TROUBLES: usize = 200;

/// The summary of cameras, each with whether its node is silent.
pub(super) fn of<'a>(
    cameras: impl Iterator<Item = (&'a v1::CameraStatus, bool)>,
    reported_unix_us: i64,
) -> v1::SummariseCamerasResponse {
    let mut answer =
        v1::SummariseCamerasResponse { reported_unix_us, ..v1::SummariseCamerasResponse::default() };
    for (camera, silent) in cameras.filter(|(camera, _)| !camera.drill) {
        answer.cameras += 1;
        let blind = is_blind(camera, silent);
        let critical_lost = lost(camera, blind);
        answer.blind += u32::from(blind);
        answer.critical_lost += u32::from(!critical_lost.is_empty());
        answer.not_covered += u32::from(lacks_coverage(camera, blind));
        if blind || !critical_lost.is_empty() {
            let signal = if silent { Signal::Unspecified.into() } else { camera.signal };
            let detail = if silent { SILENT } else { &camera.detail };
            answer.troubles.push(v1::CameraTrouble {
                camera_id: camera.camera_id.clone(),
                name: camera.name.clone(),
                blind,
                signal,
                since_unix_us: camera.since_unix_us,
                picture: camera.picture.clone(),
                not_looked: camera.not_looked,
                critical_lost,
                detail: detail.to_owned(),
            });
        }
    }
    // They come by id, and stay in that order among equals.
    answer.troubles.sort_by_key(|trouble| trouble.critical_lost.is_empty());
    answer.troubles.truncate(MAX_TROUBLES);
    answer
}

/// Whether a camera shows nothing though it should. One that is off as planned, or between two visits, is not blind; one of
/// drills never is.
pub(super) fn is_blind(camera: &v1::CameraStatus, silent: bool) -> bool {
    if camera.drill || silent {
        return !camera.drill;
    }
    match camera.signal() {
        Signal::ExpectedOff | Signal::NotConnected => false,
        Signal::Unspecified | Signal::Connecting | Signal::Stalled | Signal::Offline => true,
        Signal::Streaming => {
            let sees_nothing = matches!(
                camera.not_looked(),
                NotLooked::Undecodable
                    | NotLooked::TooLarge
                    | NotLooked::ModelFailed
                    | NotLooked::ViewMoved
                    | NotLooked::Blind
                    | NotLooked::Frozen
            );
            sees_nothing || !camera.picture.is_empty()
        }
    }
}

/// Whether it is looked at, all the time or on patrol, and a rule of it is not covered all the same. One that is off as planned, or that
/// is connected when somebody asks, lacks nothing that anybody could mend.
pub(super) fn lacks_coverage(camera: &v1::CameraStatus, blind: bool) -> bool {
    let lacks = |one: &v1::Coverage| match camera.signal() {
        Signal::ExpectedOff => false,
        Signal::NotConnected => one.lack() == v1::CoverageLack::Patrol,
        _ => true,
    };
    let not_covered = |one: &v1::Coverage| one.granted() == v1::Granted::NotCovered && lacks(one);
    !blind && !camera.drill && camera.coverage.iter().any(not_covered)
}

/// Kinds of level 1 or 2 that nobody watches for there now, by number, each once.
pub(super) fn lost(camera: &v1::CameraStatus, blind: bool) -> Vec<i32> {
    if camera.drill {
        return Vec::new();
    }
    let not_covered = |one: &&v1::Coverage| blind || one.granted() == v1::Granted::NotCovered;
    let critical =
        |number: &i32| Kind::from_number(*number).is_some_and(|kind| kind.default_level() <= Level::SEVERE);
    let mut kinds: Vec<i32> =
        camera.coverage.iter().filter(not_covered).map(|one| one.kind).filter(critical).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;

    fn camera(id: &str, signal: Signal) -> v1::CameraStatus {
        v1::CameraStatus { camera_id: id.to_owned(), signal: signal.into(), ..v1::CameraStatus::default() }
    }

    fn watching(kind: Kind, granted: v1::Granted) -> v1::Coverage {
        v1::Coverage { kind: kind.number(), granted: granted.into(), ..v1::Coverage::default() }
    }

    #[test]
    fn cameras_that_should_show_something_and_do_not_are_blind_and_no_others() {
        let mut dark = camera("dark", Signal::Streaming);
        dark.picture.push(v1::PictureTrouble::Dark.into());
        let mut turned = camera("turned", Signal::Streaming);
        turned.set_not_looked(NotLooked::ViewMoved);
        let mut busy = camera("busy", Signal::Streaming);
        busy.set_not_looked(NotLooked::Busy);
        let all = [
            busy,
            dark,
            camera("fine", Signal::Streaming),
            camera("gone", Signal::Offline),
            camera("night", Signal::ExpectedOff),
            camera("patrol", Signal::NotConnected),
            v1::CameraStatus { drill: true, ..camera("play", Signal::Offline) },
            turned,
        ];
        let summary = of(all.iter().map(|camera| (camera, false)), 7);
        let named: Vec<_> = summary.troubles.iter().map(|one| one.camera_id.as_str()).collect();
        assert_eq!(named, ["dark", "gone", "turned"]);
        assert_eq!((summary.cameras, summary.blind, summary.critical_lost), (7, 3, 0));
        assert_eq!(summary.reported_unix_us, 7);
        // Of a silent node's cameras nothing is known.
        assert_eq!(of(all.iter().map(|camera| (camera, true)), 7).blind, 7);
    }

    #[test]
    fn what_is_off_as_planned_or_connected_when_asked_lacks_no_coverage() {
        let lacking = |id: &str, signal: Signal, lack: v1::CoverageLack| v1::CameraStatus {
            coverage: vec![v1::Coverage {
                lack: lack.into(),
                ..watching(Kind::LeftObject, v1::Granted::NotCovered)
            }],
            ..camera(id, signal)
        };
        use v1::CoverageLack::{Blind, KeyframesTooRare, NoDecoder, OnRequest, Patrol};
        let play = v1::CameraStatus {
            drill: true,
            coverage: vec![watching(Kind::WaterZoneEntry, v1::Granted::NotCovered)],
            ..camera("play", Signal::Streaming)
        };
        assert!(lost(&play, false).is_empty(), "nothing is lost in drills");
        let all = [
            lacking("asked", Signal::NotConnected, OnRequest),
            lacking("night", Signal::ExpectedOff, Blind),
            play,
            lacking("rare", Signal::NotConnected, Patrol),
            lacking("slow", Signal::Streaming, KeyframesTooRare),
            // Somebody asked for it, and its rules are to hold while it is connected.
            lacking("taken", Signal::Streaming, NoDecoder),
        ];
        let counted: Vec<&str> = all
            .iter()
            .filter(|camera| lacks_coverage(camera, false))
            .map(|camera| camera.camera_id.as_str())
            .collect();
        assert_eq!(counted, ["rare", "slow", "taken"]);
        assert_eq!(of(all.iter().map(|camera| (camera, false)), 7).not_covered, 3);
    }

    #[test]
    fn lost_coverage_of_critical_kinds_comes_first_however_many_cameras_are_blind() {
        let mut all: Vec<_> =
            (0..MAX_TROUBLES * 2).map(|n| camera(&format!("a{n:04}"), Signal::Offline)).collect();
        let mut pond = camera("pond", Signal::Streaming);
        pond.coverage = vec![
            watching(Kind::WaterZoneEntry, v1::Granted::NotCovered),
            watching(Kind::WaterZoneEntry, v1::Granted::NotCovered),
            watching(Kind::LeftObject, v1::Granted::NotCovered),
            watching(Kind::FireSmoke, v1::Granted::BestEffort),
        ];
        let mut tower = camera("tower", Signal::Stalled);
        tower.coverage = vec![watching(Kind::FireSmoke, v1::Granted::Guaranteed)];
        all.extend([pond, tower]);
        let summary = of(all.iter().map(|camera| (camera, false)), 7);
        assert_eq!(summary.troubles.len(), MAX_TROUBLES);
        assert_eq!((summary.critical_lost, summary.not_covered), (2, 1), "the blind one is counted as blind");
        let first: Vec<_> = summary.troubles[..2]
            .iter()
            .map(|one| (one.camera_id.as_str(), one.blind, &one.critical_lost[..]))
            .collect();
        assert_eq!(first, [("pond", false, &[2101][..]), ("tower", true, &[1102][..])]);
    }
}
