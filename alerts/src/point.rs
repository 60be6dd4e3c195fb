//! Camera points as the configuration in force has them, and how their filing with the police (备案) stands: what was filed
//! last, what differs, and by when a point that was never filed is to be. Order 799, Art. 14. Pure: the day is a parameter.

use std::collections::BTreeMap;

use xueliang_base::{
    config::{Camera, Config, Day, LegalBasis, Retention},
    id::CameraId,
    point::PointClass,
};
use xueliang_proto::v1::{self, FilingStatus, PointField};

use crate::reach;

/// Days from a point's coming into use until it is to be filed.
const FILE_WITHIN_DAYS: u32 = 30;
/// The day from which on Order 799 is in force, and the days that it leaves for what was in use before.
const IN_FORCE: &str = "2025-04-01";
const OLD_SYSTEMS_DAYS: u32 = 90;

/// What a filing asks for (Art. 14: the unit, place, number and kind of devices, and for how long is recorded), beside what
/// every camera has.
const ASKED_FOR: [PointField; 8] = [
    PointField::Address,
    PointField::Position,
    PointField::PointClass,
    PointField::CameraType,
    PointField::ManagingUnit,
    PointField::LegalBasis,
    PointField::InUseSince,
    PointField::RecordedDays,
];

struct Known {
    facts: v1::PointFacts,
    path: String,
    drill: bool,
}

/// The points of a configuration, by camera.
#[derive(Default)]
pub struct Points(BTreeMap<CameraId, Known>);

impl std::fmt::Debug for Points {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Points").field(&self.0.len()).finish()
    }
}

impl Points {
    /// Those of a configuration.
    pub fn of(config: &Config) -> Self {
        let known = |camera: &Camera| {
            let divisions = config.division_path(&camera.division);
            let path = reach::path(&divisions, camera.class);
            (camera.id.clone(), Known { facts: facts(config, camera), path, drill: camera.drill })
        };
        Self(config.cameras.iter().map(known).collect())
    }
    /// Where a camera lies, as [`reach`] has it; `None`: it is not of the configuration.
    pub(crate) fn path_of(&self, camera: &CameraId) -> Option<&str> {
        self.0.get(camera).map(|known| known.path.as_str())
    }
    /// What is in force of a camera.
    pub(crate) fn facts(&self, camera: &CameraId) -> Option<&v1::PointFacts> {
        self.0.get(camera).map(|known| &known.facts)
    }
    /// Whether it is a drill camera.
    pub(crate) fn is_drill(&self, camera: &CameraId) -> bool {
        self.0.get(camera).is_some_and(|known| known.drill)
    }
    /// All points by camera, those included that were filed and are none any more, each with how its filing stands.
    /// `filed`: the latest filing of each.
    pub(crate) fn standing(
        &self,
        filed: &BTreeMap<CameraId, v1::Filing>,
        today: Day,
        sees: impl Fn(&CameraId) -> bool,
    ) -> Vec<v1::FiledPoint> {
        let mut all: BTreeMap<&CameraId, v1::FiledPoint> = BTreeMap::new();
        // A drill camera is no point: nobody files it, and one that was filed as a point is to be noted as removed.
        for (camera, known) in self.0.iter().filter(|(_, known)| !known.drill) {
            all.insert(camera, standing(&known.facts, filed.get(camera), today));
        }
        let is_point = |camera: &CameraId| self.0.get(camera).is_some_and(|known| !known.drill);
        for (camera, last) in filed.iter().filter(|(camera, last)| !last.removed && !is_point(camera)) {
            let gone = v1::FiledPoint {
                facts: last.facts.clone(),
                status: FilingStatus::Removed.into(),
                filing_no: last.filing_no.clone(),
                filed_on: last.filed_on.clone(),
                ..v1::FiledPoint::default()
            };
            all.insert(camera, gone);
        }
        all.into_iter().filter(|(camera, _)| sees(camera)).map(|(_, point)| point).collect()
    }
}

fn facts(config: &Config, camera: &Camera) -> v1::PointFacts {
    let filing = &camera.filing;
    let day = |day: Option<Day>| day.map(|day| day.to_string()).unwrap_or_default();
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    v1::PointFacts {
        camera_id: camera.id.to_string(),
        name: camera.name.clone(),
        division_path: config.division_path(&camera.division).iter().map(ToString::to_string).collect(),
        address: text(&camera.address),
        position: camera.position.map(|[longitude, latitude]| v1::GeoPoint { longitude, latitude }),
        point_class: camera.class.map_or(0, PointClass::number),
        device_code: text(&filing.device_code),
        vendor: filing.vendor.map_or(0, u32::from),
        model: text(&filing.model),
        camera_type: filing.camera_type.map_or(0, u32::from),
        managing_unit: text(&filing.managing_unit),
        police_code: text(&filing.police_code),
        legal_basis: filing.legal_basis.map(LegalBasis::word).unwrap_or_default().to_owned(),
        in_use_since: day(filing.in_use_since),
        recorded_days: filing.recorded_days.unwrap_or_default(),
        sign_since: day(filing.sign_since),
        key_point: camera.retention == Retention::KeyPoint,
    }
}

/// The values of all fields, as people read them; empty where they say nothing.
pub fn values(facts: &v1::PointFacts) -> [(PointField, String); 17] {
    let number = |number: u32| if number == 0 { String::new() } else { number.to_string() };
    let class = PointClass::from_number(facts.point_class).map(PointClass::number);
    let position = facts.position.map(|point| format!("{:.6},{:.6}", point.longitude, point.latitude));
    [
        (PointField::CameraId, facts.camera_id.clone()),
        (PointField::Name, facts.name.clone()),
        (PointField::DivisionPath, facts.division_path.join("/")),
        (PointField::Address, facts.address.clone()),
        (PointField::Position, position.unwrap_or_default()),
        (PointField::PointClass, class.map(|class| class.to_string()).unwrap_or_default()),
        (PointField::DeviceCode, facts.device_code.clone()),
        (PointField::Vendor, number(facts.vendor)),
        (PointField::Model, facts.model.clone()),
        (PointField::CameraType, number(facts.camera_type)),
        (PointField::ManagingUnit, facts.managing_unit.clone()),
        (PointField::PoliceCode, facts.police_code.clone()),
        (PointField::LegalBasis, facts.legal_basis.clone()),
        (PointField::InUseSince, facts.in_use_since.clone()),
        (PointField::RecordedDays, number(facts.recorded_days)),
        (PointField::SignSince, facts.sign_since.clone()),
        (PointField::KeyPoint, if facts.key_point { "1" } else { "" }.to_owned()),
    ]
}

/// How the filing of a point stands that is in force.
fn standing(now: &v1::PointFacts, last: Option<&v1::Filing>, today: Day) -> v1::FiledPoint {
    let values_now = values(now);
    let says_nothing =
        |field: &PointField| values_now.iter().any(|(one, value)| one == field && value.is_empty());
    let missing =
        ASKED_FOR.iter().filter(|field| says_nothing(field)).map(|field| i32::from(*field)).collect();
    let point = v1::FiledPoint { facts: Some(now.clone()), missing, ..v1::FiledPoint::default() };
    // What was filed as gone and is there again was never filed as it is.
    let Some(last) = last.filter(|last| !last.removed) else {
        let due = now.in_use_since.parse().ok().map(due_on);
        return v1::FiledPoint {
            status: FilingStatus::Unfiled.into(),
            due_on: due.map(|due: Day| due.to_string()).unwrap_or_default(),
            days_left: due.map(|due| i32::try_from(today.until(due)).unwrap_or(i32::MAX)),
            ..point
        };
    };
    let filed = values(&last.facts.clone().unwrap_or_default());
    let differs = values_now.iter().zip(&filed).filter(|(now, filed)| now.1 != filed.1);
    let changed: Vec<i32> = differs.map(|(now, _)| now.0.into()).collect();
    let status = if changed.is_empty() { FilingStatus::Filed } else { FilingStatus::Changed };
    v1::FiledPoint {
        status: status.into(),
        filing_no: last.filing_no.clone(),
        filed_on: last.filed_on.clone(),
        changed,
        ..point
    }
}

/// The last day on which a point is filed in time.
fn due_on(in_use_since: Day) -> Day {
    let in_force: Day = IN_FORCE.parse().expect("it is a day");
    if in_use_since < in_force {
        // 90 days, the first of which is the day itself.
        in_force.plus(OLD_SYSTEMS_DAYS - 1)
    } else {
        in_use_since.plus(FILE_WITHIN_DAYS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    fn point() -> v1::PointFacts {
        v1::PointFacts {
            camera_id: "gate".to_owned(),
            name: "North gate".to_owned(),
            division_path: vec!["33".to_owned(), "3302".to_owned()],
            in_use_since: "2026-11-01".to_owned(),
            ..v1::PointFacts::default()
        }
    }

    #[test]
    fn thirty_days_run_from_the_day_of_use_and_old_systems_had_ninety() {
        for (since, today, due, left) in [
            ("2026-11-01", "2026-11-01", "2026-12-01", 30),
            ("2026-11-01", "2026-12-01", "2026-12-01", 0),
            ("2026-11-01", "2026-12-04", "2026-12-01", -3),
            ("2025-04-01", "2025-04-01", "2025-05-01", 30),
            ("2019-01-01", "2025-06-29", "2025-06-29", 0),
        ] {
            let facts = v1::PointFacts { in_use_since: since.to_owned(), ..point() };
            let told = standing(&facts, None, day(today));
            assert_eq!((told.due_on.as_str(), told.days_left), (due, Some(left)), "{since} {today}");
            assert_eq!(told.status(), FilingStatus::Unfiled);
        }
        // Where nobody knows since when, no day is made up.
        let told =
            standing(&v1::PointFacts { in_use_since: String::new(), ..point() }, None, day("2026-11-01"));
        assert_eq!((told.due_on.as_str(), told.days_left), ("", None));
        assert!(told.missing().any(|field| field == PointField::InUseSince));
    }

    #[test]
    fn every_field_that_differs_from_what_was_filed_is_told() {
        let filed = v1::Filing { facts: Some(point()), filing_no: "a1".to_owned(), ..v1::Filing::default() };
        let today = day("2026-11-30");
        assert_eq!(standing(&point(), Some(&filed), today).status(), FilingStatus::Filed);
        let changes: [(PointField, v1::PointFacts); 16] = [
            (PointField::Name, v1::PointFacts { name: "South gate".to_owned(), ..point() }),
            (PointField::DivisionPath, v1::PointFacts { division_path: vec!["33".to_owned()], ..point() }),
            (PointField::Address, v1::PointFacts { address: "1 Road".to_owned(), ..point() }),
            (PointField::Position, v1::PointFacts { position: Some(v1::GeoPoint::default()), ..point() }),
            (PointField::PointClass, v1::PointFacts { point_class: 3, ..point() }),
            (PointField::DeviceCode, v1::PointFacts { device_code: "1".to_owned(), ..point() }),
            (PointField::Vendor, v1::PointFacts { vendor: 99, ..point() }),
            (PointField::Model, v1::PointFacts { model: "x".to_owned(), ..point() }),
            (PointField::CameraType, v1::PointFacts { camera_type: 1, ..point() }),
            (PointField::ManagingUnit, v1::PointFacts { managing_unit: "x".to_owned(), ..point() }),
            (PointField::PoliceCode, v1::PointFacts { police_code: "1".to_owned(), ..point() }),
            (PointField::LegalBasis, v1::PointFacts { legal_basis: "9".to_owned(), ..point() }),
            (PointField::InUseSince, v1::PointFacts { in_use_since: "2026-11-02".to_owned(), ..point() }),
            (PointField::RecordedDays, v1::PointFacts { recorded_days: 30, ..point() }),
            (PointField::SignSince, v1::PointFacts { sign_since: "2026-11-02".to_owned(), ..point() }),
            (PointField::KeyPoint, v1::PointFacts { key_point: true, ..point() }),
        ];
        for (field, now) in changes {
            let told = standing(&now, Some(&filed), today);
            assert_eq!(told.status(), FilingStatus::Changed, "{field:?}");
            assert_eq!(told.changed().collect::<Vec<_>>(), [field]);
            assert_eq!(told.days_left, None);
        }
        // A field that is added to the message without a place in the sheet fails here.
        let set = <v1::PointFacts as Default>::default();
        assert_eq!(values(&set).len(), 17);
        let fields: Vec<i32> = values(&set).iter().map(|(field, _)| i32::from(*field)).collect();
        assert_eq!(fields, (1..=17).collect::<Vec<_>>());
        assert!(PointField::try_from(18).is_err(), "give it a value in `values`, and a change above");
    }
}
