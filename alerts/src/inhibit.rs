//! Inhibition: which alert makes another of the same camera needless. The table is fixed.
//!
//! | fires and is shown | suppresses | of levels |
//! |---|---|---|
//! | upstream down | of each camera behind it: camera offline, video lost | 3 and 4 |
//! | upstream down, and of their camera offline, video lost, covered, moved, dark, frozen | what its picture shows: kinds below 8000 | 3 and 4 |
//! | open flame | smoke | not above the flame's own |
//!
//! What a camera that cannot see reports at level 1 or 2 is shown all the same. A flame hides smoke of level 2, because it
//! is itself shown as critical, at the same place. What is itself suppressed inhibits nothing: so an upstream that is down
//! stands in for the losses that it suppresses. Alerts of people and of other systems (9000 and above) and other device
//! kinds are never inhibited, so nothing inhibits in a circle. A drill inhibits nothing, and nothing inhibits a drill.

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
    /// Its camera; of an upstream the one behind it that is asked for.
    pub camera: String,
}

/// Alerts that say that the picture of their camera shows nothing.
const BLIND: [Kind; 6] =
    [Kind::CamOffline, Kind::VideoLost, Kind::CamCovered, Kind::CamMoved, Kind::ImgDark, Kind::ImgFreeze];

/// Alerts that say that a camera is lost.
const LOSSES: [Kind; 2] = [Kind::CamOffline, Kind::VideoLost];

/// Whether alerts of this kind inhibit those of all cameras behind their place.
pub fn is_upstream(kind: i32) -> bool {
    kind == Kind::UpstreamDown.number()
}

/// Whether alerts of this kind inhibit any.
pub fn may_inhibit(kind: i32) -> bool {
    is_upstream(kind) || kind == Kind::FireFlame.number() || BLIND.iter().any(|blind| blind.number() == kind)
}

/// What a state says of an alert that may inhibit, at each camera it reaches, and whether it fires. A flood group's inhibits
/// nothing, nor does a drill.
pub(crate) fn firing_of(row: &FeedRow) -> Vec<(Firing, bool)> {
    let Some(alert) = &row.record.alert else { return Vec::new() };
    if !may_inhibit(row.kind) || alert.publisher == flood::PUBLISHER || alert.drill {
        return Vec::new();
    }
    let own = std::slice::from_ref(&row.camera);
    let cameras = if is_upstream(row.kind) { &alert.cameras_behind } else { own };
    let fires = alert.state() == v1::AlertState::Firing;
    let source = |camera: &String| Firing {
        alert: row.alert,
        kind: row.kind,
        level: row.level,
        camera: camera.clone(),
    };
    cameras.iter().map(|camera| (source(camera), fires)).collect()
}

/// Kinds that may inhibit an alert with these facts.
pub fn sources(target: &Facts<'_>) -> Vec<i32> {
    let mut kinds = Vec::new();
    if target.drill {
        return kinds;
    }
    let scene = SCENE.contains(&target.kind);
    let loss = LOSSES.iter().any(|loss| loss.number() == target.kind);
    if (scene || loss) && target.level >= Level::MAJOR {
        kinds.push(Kind::UpstreamDown.number());
    }
    if scene && target.level >= Level::MAJOR {
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
        Facts { path: "/33/", kind: kind.number(), class: 0, level, camera: "gate", drill: false }
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
                    assert!(!inhibits(&source, &Facts { drill: true, ..target }), "a drill is shown");
                }
                let elsewhere = Facts { camera: "pier", ..facts(kind, Level::GENERAL) };
                assert!(!inhibits(&source, &elsewhere));
            }
        }
    }

    #[test]
    fn an_upstream_that_is_down_hides_the_losses_and_the_scenes_behind_it_and_no_other_device() {
        let source = fires(Kind::UpstreamDown, Level::MAJOR);
        assert!(may_inhibit(source.kind) && is_upstream(source.kind));
        for kind in Kind::all() {
            let hidden = kind.number() < 8000 || matches!(kind, Kind::CamOffline | Kind::VideoLost);
            for number in 1..=4 {
                let target = facts(kind, Level::try_from(number).unwrap());
                assert_eq!(inhibits(&source, &target), hidden && number >= 3, "{target:?}");
            }
        }
    }

    #[test]
    fn nothing_inhibits_in_a_circle() {
        // Depth first: what inhibits this, and what inhibits that.
        fn depth(kind: Kind) -> usize {
            let target = facts(kind, Level::GENERAL);
            let sources =
                sources(&target).into_iter().map(|number| depth(Kind::from_number(number).unwrap()));
            sources.max().map_or(0, |deepest| deepest + 1)
        }
        // Smoke by flame, flame by a lost camera, that by what it hangs on.
        assert_eq!(Kind::all().map(depth).max(), Some(3));
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
