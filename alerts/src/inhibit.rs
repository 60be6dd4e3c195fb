//! Inhibition: which alert makes another of the same camera needless. The table is fixed.
//!
//! | fires and is shown | suppresses | of levels |
//! |---|---|---|
//! | camera offline, video lost, covered, moved, dark, frozen | what its picture shows: kinds below 8000 | 3 and 4 |
//! | open flame | smoke | not above the flame's own |
//!
//! What a camera that cannot see reports at level 1 or 2 is shown all the same. A flame hides smoke of level 2, because it
//! is itself shown as critical, at the same place. Alerts of people and of other systems (9000 and above) and device
//! kinds are never inhibited, so nothing inhibits in a circle; and what is itself suppressed inhibits nothing.

use xueliang_base::{
    id::AlertId,
    kind::{Kind, Level},
};
use xueliang_proto::v1;

use crate::{filter::Facts, flood, store::FeedRow};

/// Kinds of hazard that a picture shows.
const SCENE: std::ops::Range<i32> = 1000..8000;

/// An alert that fires and is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firing {
    /// The alert.
    pub alert: AlertId,
    /// Number of its kind.
    pub kind: i32,
    /// The most severe level it had.
    pub level: Level,
    /// Its camera.
    pub camera: String,
}

/// Alerts that say that the picture of their camera shows nothing.
const BLIND: [Kind; 6] =
    [Kind::CamOffline, Kind::VideoLost, Kind::CamCovered, Kind::CamMoved, Kind::ImgDark, Kind::ImgFreeze];

/// Whether alerts of this kind inhibit any.
pub fn may_inhibit(kind: i32) -> bool {
    kind == Kind::FireFlame.number() || BLIND.iter().any(|blind| blind.number() == kind)
}

/// What a state says of an alert that may inhibit, and whether it fires. A flood group's inhibits nothing.
pub(crate) fn firing_of(row: &FeedRow) -> Option<(Firing, bool)> {
    let alert = row.record.alert.as_ref()?;
    let source = || Firing { alert: row.alert, kind: row.kind, level: row.level, camera: row.camera.clone() };
    let fires = alert.state() == v1::AlertState::Firing;
    (may_inhibit(row.kind) && alert.publisher != flood::PUBLISHER).then(|| (source(), fires))
}

/// Kinds that may inhibit an alert with these facts.
pub fn sources(target: &Facts<'_>) -> Vec<i32> {
    let mut kinds = Vec::new();
    if SCENE.contains(&target.kind) && target.level >= Level::MAJOR {
        kinds.extend(BLIND.map(Kind::number));
    }
    if target.kind == Kind::FireSmoke.number() {
        kinds.push(Kind::FireFlame.number());
    }
    kinds
}

/// Whether `source` makes an alert with these facts needless.
pub fn inhibits(source: &Firing, target: &Facts<'_>) -> bool {
    let outranks = source.kind != Kind::FireFlame.number() || source.level <= target.level;
    source.camera == target.camera && outranks && sources(target).contains(&source.kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fires(kind: Kind, level: Level) -> Firing {
        Firing { alert: AlertId::mint(), kind: kind.number(), level, camera: "gate".to_owned() }
    }
    fn facts(kind: Kind, level: Level) -> Facts<'static> {
        Facts { path: "/33/", kind: kind.number(), class: 0, level, camera: "gate" }
    }

    #[test]
    fn a_blind_camera_hides_its_scene_but_nothing_critical() {
        for source in BLIND.map(|kind| fires(kind, Level::GENERAL)) {
            assert!(may_inhibit(source.kind));
            for kind in Kind::all() {
                let scene = kind.number() < 8000;
                for number in 1..=4 {
                    let target = facts(kind, Level::try_from(number).unwrap());
                    assert_eq!(inhibits(&source, &target), scene && number >= 3, "{source:?} {target:?}");
                }
                let elsewhere = Facts { camera: "pier", ..facts(kind, Level::GENERAL) };
                assert!(!inhibits(&source, &elsewhere));
            }
        }
    }

    #[test]
    fn a_flame_hides_smoke_that_is_no_more_severe() {
        let flame = fires(Kind::FireFlame, Level::SEVERE);
        assert!(inhibits(&flame, &facts(Kind::FireSmoke, Level::SEVERE)));
        assert!(!inhibits(&flame, &facts(Kind::FireSmoke, Level::EXTREME)));
        assert!(!inhibits(&flame, &facts(Kind::OpenBurning, Level::MAJOR)));
        assert!(!inhibits(&fires(Kind::FireSmoke, Level::SEVERE), &facts(Kind::FireFlame, Level::SEVERE)));
    }

    #[test]
    fn what_may_not_inhibit_inhibits_nothing() {
        for source in Kind::all().map(|kind| fires(kind, Level::EXTREME)) {
            let any = Kind::all().any(|kind| inhibits(&source, &facts(kind, Level::MAJOR)));
            assert_eq!(any, may_inhibit(source.kind), "{source:?}");
        }
    }
}
