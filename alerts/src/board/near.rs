//! Which cameras stand near a place: those within a distance, and those of the same street address.

use std::cmp::Ordering;

use xueliang_proto::v1;

use super::CameraBoard;
use crate::{live::window::distance_m, reach::Reach};

/// Nearest ones that are told.
const MOST: usize = 12;

impl CameraBoard {
    /// Cameras within so many metres of a place or of its address, `within` reach, nearest first; not the place's own.
    pub(crate) fn near(
        &self,
        place: &v1::Place,
        metres: u32,
        within: Option<&[Reach]>,
    ) -> Vec<v1::NearbyCamera> {
        let nodes = self.nodes();
        let mut found: Vec<(f64, v1::NearbyCamera)> = Vec::new();
        for (camera, silent) in self.matching(&nodes, &[], within).into_values() {
            let away = distance_m(place.position.as_ref(), camera.position.as_ref());
            let same_address = !place.address.is_empty() && camera.address == place.address;
            let in_sight = away.is_some_and(|away| away <= f64::from(metres));
            if camera.camera_id == place.camera_id || !(in_sight || same_address) {
                continue;
            }
            let told = v1::NearbyCamera {
                camera_id: camera.camera_id.clone(),
                name: camera.name.clone(),
                distance_m: rounded(away.unwrap_or_default()),
                same_address,
                signal: if silent { v1::Signal::Unspecified.into() } else { camera.signal },
            };
            // At the same address, and nobody knows how far: it is as near as can be.
            found.push((away.unwrap_or_default(), told));
        }
        let nearer = |one: &f64, other: &f64| one.partial_cmp(other).unwrap_or(Ordering::Equal);
        found.sort_by(|(one, a), (other, b)| nearer(one, other).then_with(|| a.camera_id.cmp(&b.camera_id)));
        found.truncate(MOST);
        found.into_iter().map(|(_, camera)| camera).collect()
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a distance within a town")]
fn rounded(metres: f64) -> u32 {
    metres.round() as u32
}

#[cfg(test)]
mod tests {
    use xueliang_base::time::{ManualClock, Wall};

    use super::*;

    #[test]
    fn near_is_what_stands_within_the_distance_or_has_the_same_address_and_may_be_seen() {
        let board = CameraBoard::new(ManualClock::at(Wall(1)));
        let at = |latitude| Some(v1::GeoPoint { longitude: 121.25, latitude });
        let camera = |id: &str, division: &str, position, address: &str| v1::CameraStatus {
            camera_id: id.into(),
            name: id.to_uppercase(),
            division_path: vec!["33".into(), division.into()],
            position,
            address: address.into(),
            ..v1::CameraStatus::default()
        };
        let cameras = vec![
            camera("gate", "3301", at(30.17), "1 Pond Road"),
            camera("bridge", "3301", at(30.171), ""),
            camera("other", "3302", at(30.1705), ""),
            camera("far", "3301", at(30.172), ""),
            camera("yard", "3301", None, "1 Pond Road"),
            camera("nowhere", "3301", None, ""),
        ];
        board.report("node-1", v1::ReportRequest { cameras, ..v1::ReportRequest::default() });
        let mut place = v1::Place {
            camera_id: "gate".into(),
            position: at(30.17),
            address: "1 Pond Road".into(),
            ..v1::Place::default()
        };
        let near = |place: &v1::Place, metres, within: Option<&[Reach]>| {
            let all = board.near(place, metres, within);
            all.into_iter().map(|one| (one.camera_id, one.distance_m)).collect::<Vec<_>>()
        };
        let expected = [("yard", 0), ("other", 56), ("bridge", 111)].map(|(id, m)| (id.to_owned(), m));
        assert_eq!(near(&place, 150, None), expected);
        let ours: Reach = "3301".parse().unwrap();
        assert_eq!(near(&place, 150, Some(&[ours])), [expected[0].clone(), expected[2].clone()]);
        assert_eq!(near(&place, 10, None), [expected[0].clone()]);
        // Nothing is near what stands nowhere.
        (place.position, place.address) = (None, String::new());
        assert!(near(&place, 150, None).is_empty());
    }
}
