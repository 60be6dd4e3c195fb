//! Which cameras a list holds and in which order, a page at a time: from what cameras report, pure.

use std::{cmp::Ordering, collections::BTreeSet};

use xueliang_proto::v1::{self, CameraOrder, Signal};

use super::{Seen, summary};
use crate::error::{Error, Result};

/// Ids that may be asked for at once.
const MAX_IDS: usize = 1000;
/// A text to search for is no longer.
const MAX_TEXT_BYTES: usize = 100;

/// What is asked of a list of cameras, beside the divisions.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Query {
    ids: BTreeSet<String>,
    signals: Vec<i32>,
    kinds: Vec<i32>,
    granted: Vec<i32>,
    /// In small letters.
    text: String,
    troubled: bool,
    by_trouble: bool,
    brief: bool,
    drills: bool,
    /// At most so many; `None`: all.
    limit: Option<usize>,
    /// Only what comes after this place of the order.
    after: Option<(u8, String)>,
}

/// A page of a list.
#[derive(Debug, Default, PartialEq)]
pub struct Listed {
    /// In the order that was asked for.
    pub cameras: Vec<v1::CameraStatus>,
    /// How many match in all.
    pub total: usize,
    /// Asks for the next page; empty after the last.
    pub next: String,
}

impl Query {
    /// Reads what is asked; `limit` is the request's, where it sets one.
    pub fn read(request: &v1::ListCamerasRequest, limit: Option<usize>) -> Result<Self> {
        if request.camera_ids.len() > MAX_IDS {
            return Err(Error::Invalid(format!("camera_ids: ask for at most {MAX_IDS} at once")));
        }
        if request.text.len() > MAX_TEXT_BYTES {
            return Err(Error::Invalid(format!("text: search for at most {MAX_TEXT_BYTES} bytes")));
        }
        let after = match request.page_token.as_str() {
            "" => None,
            token => Some(place(token).ok_or_else(|| {
                Error::Invalid("page_token: use next_page_token of an answer to the same question".to_owned())
            })?),
        };
        Ok(Self {
            ids: request.camera_ids.iter().cloned().collect(),
            signals: request.signals.clone(),
            kinds: request.kinds.clone(),
            granted: request.granted.clone(),
            text: request.text.trim().to_lowercase(),
            troubled: request.troubled,
            by_trouble: request.order() == CameraOrder::Trouble,
            brief: request.brief,
            drills: request.drills,
            limit,
            after,
        })
    }

    /// The page of these cameras, which come by id.
    pub(super) fn page<'a>(&self, cameras: impl Iterator<Item = Seen<'a>>) -> Listed {
        let mut found: Vec<(u8, Seen<'a>)> = cameras
            .filter(|seen| self.wants(*seen))
            .map(|seen| (if self.by_trouble { rank(seen) } else { 0 }, seen))
            .collect();
        // Stable: by id among equals.
        found.sort_by_key(|(rank, _)| *rank);
        let total = found.len();
        let begin = self.after.as_ref().map_or(0, |(rank, id)| {
            found.partition_point(|(other, seen)| {
                (*other, seen.camera.camera_id.as_str()).cmp(&(*rank, id.as_str())) != Ordering::Greater
            })
        });
        let end = self.limit.map_or(total, |limit| total.min(begin + limit));
        let next = match found.get(end.wrapping_sub(1)) {
            Some((rank, last)) if end < total && end > begin => format!("{rank}:{}", last.camera.camera_id),
            _ => String::new(),
        };
        let cameras = found[begin..end].iter().map(|(_, seen)| self.told(*seen)).collect();
        Listed { cameras, total, next }
    }

    fn wants(&self, seen: Seen<'_>) -> bool {
        let camera = seen.camera;
        let of_kind = |one: &&v1::Coverage| self.kinds.is_empty() || self.kinds.contains(&one.kind);
        let covered = |one: &v1::Coverage| self.granted.is_empty() || self.granted.contains(&one.granted);
        let any_rule = self.kinds.is_empty() && self.granted.is_empty();
        (self.ids.is_empty() || self.ids.contains(&camera.camera_id))
            && (self.signals.is_empty() || self.signals.contains(&seen.signal().into()))
            && (any_rule || camera.coverage.iter().filter(of_kind).any(covered))
            && (!self.drills || camera.drill)
            && (!self.troubled || rank(seen) < UNTROUBLED)
            && (self.text.is_empty() || self.holds_text(camera))
    }

    fn holds_text(&self, camera: &v1::CameraStatus) -> bool {
        let holds = |text: &String| text.to_lowercase().contains(&self.text);
        [&camera.camera_id, &camera.name, &camera.address].into_iter().any(holds)
            || camera.division_path.iter().any(|code| code.to_lowercase() == self.text)
    }

    /// A camera as it is told: nothing is known of the signal where its node is silent.
    fn told(&self, seen: Seen<'_>) -> v1::CameraStatus {
        let camera = seen.camera;
        let mut told = if self.brief { brief(camera) } else { camera.clone() };
        let blind = seen.blind();
        told.signal = seen.signal().into();
        if seen.silent {
            told.detail = super::SILENT.to_owned();
        }
        told.critical_lost = summary::lost(camera, blind);
        told.lacks_coverage = summary::lacks_coverage(camera, blind);
        told.blind = blind;
        told
    }
}

/// Of a camera that has no trouble.
const UNTROUBLED: u8 = 3;

/// How much a camera deserves to be looked after, the most first.
fn rank(seen: Seen<'_>) -> u8 {
    let blind = seen.blind();
    if !summary::lost(seen.camera, blind).is_empty() {
        0
    } else if blind {
        1
    } else if summary::lacks_coverage(seen.camera, blind) {
        2
    } else {
        UNTROUBLED
    }
}

/// A camera without what a map of all cameras does not need, and what takes most of the room.
fn brief(camera: &v1::CameraStatus) -> v1::CameraStatus {
    // Every field by name: what is added is decided about here.
    v1::CameraStatus {
        accounting: None,
        coverage: Vec::new(),
        sub_stream: None,
        evidence: String::new(),
        camera_id: camera.camera_id.clone(),
        name: camera.name.clone(),
        division_path: camera.division_path.clone(),
        signal: camera.signal,
        since_unix_us: camera.since_unix_us,
        detail: camera.detail.clone(),
        not_looked: camera.not_looked,
        last_unit_unix_us: camera.last_unit_unix_us,
        last_look_unix_us: camera.last_look_unix_us,
        connects: camera.connects,
        picture: camera.picture.clone(),
        source: camera.source,
        source_reason: camera.source_reason.clone(),
        acquisition: camera.acquisition,
        patrol_interval_us: camera.patrol_interval_us,
        point_class: camera.point_class,
        position: camera.position,
        address: camera.address.clone(),
        blind: camera.blind,
        critical_lost: camera.critical_lost.clone(),
        drill: camera.drill,
        lacks_coverage: camera.lacks_coverage,
    }
}

/// A place in the order: the rank, and the id of the last camera before.
fn place(token: &str) -> Option<(u8, String)> {
    let (rank, id) = token.split_once(':')?;
    let rank = rank.parse().ok().filter(|rank| *rank <= UNTROUBLED)?;
    Some((rank, id.to_owned()))
}

impl Seen<'_> {
    fn blind(&self) -> bool {
        summary::is_blind(self.camera, self.silent)
    }
    fn signal(&self) -> Signal {
        if self.silent { Signal::Unspecified } else { self.camera.signal() }
    }
}

#[cfg(test)]
mod tests {
    use xueliang_base::kind::Kind;
    use xueliang_proto::v1::Granted;

    use super::*;

    fn camera(id: &str, signal: Signal, coverage: &[(Kind, Granted)]) -> v1::CameraStatus {
        let coverage = coverage.iter().map(|(kind, granted)| v1::Coverage {
            kind: kind.number(),
            granted: (*granted).into(),
            ..v1::Coverage::default()
        });
        v1::CameraStatus {
            camera_id: id.to_owned(),
            name: format!("Camera {}", id.to_uppercase()),
            division_path: vec!["33".to_owned()],
            signal: signal.into(),
            coverage: coverage.collect(),
            accounting: Some(v1::Accounting::default()),
            ..v1::CameraStatus::default()
        }
    }

    fn town() -> Vec<v1::CameraStatus> {
        use Granted::{BestEffort, Guaranteed, NotCovered};
        let pond = Kind::WaterZoneEntry;
        let mut all: Vec<_> =
            (0..4).map(|n| camera(&format!("fine-{n}"), Signal::Streaming, &[(pond, Guaranteed)])).collect();
        all.extend([
            camera("gone", Signal::Offline, &[(Kind::LeftObject, Guaranteed)]),
            camera("pond", Signal::Streaming, &[(pond, NotCovered)]),
            camera("tree", Signal::Streaming, &[(Kind::LeftObject, NotCovered), (pond, BestEffort)]),
        ]);
        all
    }

    fn ask(request: v1::ListCamerasRequest, limit: usize, all: &[v1::CameraStatus]) -> (Vec<String>, Listed) {
        let query = Query::read(&request, Some(limit)).unwrap();
        let listed = query.page(all.iter().map(|camera| Seen { camera, silent: false }));
        (listed.cameras.iter().map(|one| one.camera_id.clone()).collect(), listed)
    }

    #[test]
    fn pages_of_any_size_hold_every_camera_once_and_the_troubled_first() {
        let all = town();
        for limit in 1..=8 {
            let mut request =
                v1::ListCamerasRequest { order: CameraOrder::Trouble.into(), ..Default::default() };
            let mut ids = Vec::new();
            loop {
                let (some, listed) = ask(request.clone(), limit, &all);
                assert!(some.len() <= limit && listed.total == all.len());
                ids.extend(some);
                if listed.next.is_empty() {
                    break;
                }
                request.page_token = listed.next;
            }
            assert_eq!(ids, ["pond", "gone", "tree", "fine-0", "fine-1", "fine-2", "fine-3"], "{limit}");
        }
    }

    #[test]
    fn what_is_asked_for_holds_together() {
        let all = town();
        let found = |request: v1::ListCamerasRequest| ask(request, 100, &all).0;
        let request = v1::ListCamerasRequest::default;
        assert_eq!(found(request()).len(), 7);
        assert_eq!(found(v1::ListCamerasRequest { troubled: true, ..request() }), ["gone", "pond", "tree"]);
        let offline = vec![Signal::Offline.into()];
        assert_eq!(found(v1::ListCamerasRequest { signals: offline.clone(), ..request() }), ["gone"]);
        // Of one rule both kind and coverage: the tree's uncovered rule is for another kind.
        let kinds = vec![Kind::WaterZoneEntry.number()];
        let granted = vec![Granted::NotCovered.into()];
        let both = v1::ListCamerasRequest { kinds, granted, ..request() };
        assert_eq!(found(both.clone()), ["pond"]);
        assert!(found(v1::ListCamerasRequest { signals: offline, ..both }).is_empty());
        assert_eq!(
            found(v1::ListCamerasRequest { text: " camera FINE-2".to_owned(), ..request() }),
            ["fine-2"]
        );
        assert_eq!(found(v1::ListCamerasRequest { text: "33".to_owned(), ..request() }).len(), 7);
        assert!(
            found(v1::ListCamerasRequest { text: "3".to_owned(), ..request() })
                .contains(&"fine-3".to_owned())
        );
        let camera_ids = vec!["tree".to_owned(), "none".to_owned()];
        assert_eq!(found(v1::ListCamerasRequest { camera_ids, ..request() }), ["tree"]);
        assert!(found(v1::ListCamerasRequest { drills: true, ..request() }).is_empty());
        // A drill camera is in the list, and in no trouble.
        let mut all = all;
        all.push(v1::CameraStatus { drill: true, ..camera("play", Signal::Offline, &[]) });
        let found = |request: v1::ListCamerasRequest| ask(request, 100, &all);
        assert_eq!(found(request()).0.len(), 8);
        let (ids, listed) = found(v1::ListCamerasRequest { drills: true, ..request() });
        assert_eq!((ids, listed.cameras[0].blind), (vec!["play".to_owned()], false));
        assert_eq!(found(v1::ListCamerasRequest { troubled: true, ..request() }).0, ["gone", "pond", "tree"]);
    }

    #[test]
    fn a_camera_is_told_with_what_is_lost_there_and_in_brief_without_its_account() {
        let all = town();
        let of = |brief: bool| {
            let camera_ids = vec!["pond".to_owned()];
            let request = v1::ListCamerasRequest { brief, camera_ids, ..Default::default() };
            ask(request, 1, &all).1.cameras.remove(0)
        };
        let (whole, brief) = (of(false), of(true));
        assert_eq!((whole.blind, &whole.critical_lost[..]), (false, &[Kind::WaterZoneEntry.number()][..]));
        assert_eq!((brief.signal(), &brief.critical_lost), (Signal::Streaming, &whole.critical_lost));
        assert!(whole.lacks_coverage && brief.lacks_coverage);
        assert!(whole.accounting.is_some() && brief.accounting.is_none() && brief.coverage.is_empty());
        let full = v1::CameraStatus {
            since_unix_us: 1,
            detail: "it is there".to_owned(),
            last_unit_unix_us: 2,
            last_look_unix_us: 3,
            connects: 4,
            source: v1::StreamSource::Retina.into(),
            source_reason: "as it should".to_owned(),
            patrol_interval_us: 5,
            point_class: 3,
            address: "1 Road".to_owned(),
            accounting: Some(v1::Accounting::default()),
            sub_stream: Some(v1::SubStream::default()),
            evidence: "stills".to_owned(),
            ..all[0].clone()
        };
        let query = Query { brief: true, ..Query::default() };
        let told = query.page(std::iter::once(Seen { camera: &full, silent: false })).cameras.remove(0);
        let less = v1::CameraStatus {
            accounting: None,
            coverage: Vec::new(),
            sub_stream: None,
            evidence: String::new(),
            ..full
        };
        assert_eq!(told, less);
        let query = Query::default();
        let silent = query.page(std::iter::once(Seen { camera: &all[0], silent: true }));
        assert_eq!((silent.cameras[0].signal(), silent.cameras[0].blind), (Signal::Unspecified, true));
    }

    #[test]
    fn what_cannot_be_asked_is_refused_with_what_to_do() {
        for (request, told) in [
            (v1::ListCamerasRequest { camera_ids: vec![String::new(); 1001], ..Default::default() }, "1000"),
            (v1::ListCamerasRequest { text: "x".repeat(101), ..Default::default() }, "100"),
            (
                v1::ListCamerasRequest { page_token: "pond".to_owned(), ..Default::default() },
                "next_page_token",
            ),
            (
                v1::ListCamerasRequest { page_token: "9:pond".to_owned(), ..Default::default() },
                "next_page_token",
            ),
        ] {
            let refused = Query::read(&request, None).unwrap_err().to_string();
            assert!(refused.contains(told), "{refused}");
        }
    }
}
