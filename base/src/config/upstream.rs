//! `[[upstream]]`: what cameras hang on, a recorder, a switch or a line, and in turn what that hangs on.
//!
//! Each is declared after what it hangs on, as divisions are: so there is no circle.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    Camera, Config, Division, division_path,
    reader::{Section, bits, parsed, text, whole},
};
use crate::{
    id::{CameraId, DivisionCode, UpstreamId},
    point::PointClass,
};

/// Most cameras behind one upstream: an alert about it names them all.
pub const MAX_BEHIND: usize = 4096;

/// A recorder, switch or line that cameras hang on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upstream {
    /// Its id, unlike any camera's.
    pub id: UpstreamId,
    /// What operators call it.
    pub name: String,
    /// What it hangs on itself, where that is declared.
    pub upstream: Option<UpstreamId>,
    /// Sessions that it carries at once, those of all cameras behind it; `None`: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions: Option<u32>,
    /// Bits a second that it carries, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<u64>,
}

impl Upstream {
    /// Its id as it stands in the place of a camera in alerts about it.
    pub fn place(&self) -> CameraId {
        self.id.as_str().parse().expect("ids of upstreams and of cameras are written alike")
    }
}

impl Config {
    /// The upstream of that id.
    pub fn upstream(&self, id: &UpstreamId) -> Option<&Upstream> {
        self.upstreams.iter().find(|upstream| upstream.id == *id)
    }
    /// The upstream that stands in the place of a camera under this id.
    pub fn upstream_at(&self, place: &CameraId) -> Option<&Upstream> {
        self.upstreams.iter().find(|upstream| upstream.id.as_str() == place.as_str())
    }
    /// What a camera or an upstream that hangs on `first` hangs on: from there upwards.
    pub fn chain<'a>(&'a self, first: Option<&'a UpstreamId>) -> impl Iterator<Item = &'a Upstream> {
        chain(&self.upstreams, first)
    }
    /// All cameras behind an upstream, those behind what hangs on it included, in order of their ids.
    pub fn behind(&self, id: &UpstreamId) -> Vec<&Camera> {
        let behind = |camera: &&Camera| self.chain(camera.upstream.as_ref()).any(|up| up.id == *id);
        self.cameras.iter().filter(behind).collect()
    }
    /// The divisions that the cameras behind an upstream lie in, subtrees included, beside those that it lies in itself.
    pub fn divisions_behind(&self, id: &UpstreamId) -> Vec<DivisionCode> {
        let behind = self.behind(id);
        let of_cameras = behind.iter().flat_map(|camera| division_path(&self.divisions, &camera.division));
        let mut divisions: BTreeSet<DivisionCode> = of_cameras.collect();
        for own in self.common_path(id) {
            divisions.remove(&own);
        }
        divisions.into_iter().collect()
    }
    /// The classes of the points behind an upstream; of one that declares none, there is none.
    pub fn classes_behind(&self, id: &UpstreamId) -> Vec<PointClass> {
        let classes: BTreeSet<_> = self.behind(id).iter().filter_map(|camera| camera.class).collect();
        classes.into_iter().collect()
    }
    /// Codes from the root down to the lowest division that all cameras behind an upstream lie in.
    pub(crate) fn common_path(&self, id: &UpstreamId) -> Vec<DivisionCode> {
        let behind = self.behind(id);
        common_path(&self.divisions, behind.iter().map(|camera| &camera.division))
    }
}

pub(super) fn chain<'a>(
    upstreams: &'a [Upstream],
    first: Option<&'a UpstreamId>,
) -> impl Iterator<Item = &'a Upstream> {
    let find = move |id: &UpstreamId| upstreams.iter().find(|upstream| upstream.id == *id);
    // What is declared stands above, so there is no circle; the bound is for hand-made values.
    std::iter::successors(first.and_then(find), move |one| one.upstream.as_ref().and_then(find))
        .take(upstreams.len())
}

fn common_path<'a>(
    divisions: &[Division],
    codes: impl Iterator<Item = &'a DivisionCode>,
) -> Vec<DivisionCode> {
    let paths = codes.map(|code| division_path(divisions, code));
    let common = |mut a: Vec<DivisionCode>, b: Vec<DivisionCode>| {
        let same = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
        a.truncate(same);
        a
    };
    paths.reduce(common).unwrap_or_default()
}

pub(super) fn read(root: &Section<'_>) -> Vec<Upstream> {
    let mut known: Vec<UpstreamId> = Vec::new();
    root.sections("upstream", |s| {
        let id: Option<UpstreamId> = s.req("id", parsed);
        let name = s.req("name", text);
        let upstream =
            hangs_on(s, |id| known.contains(id), "above it: declare it first, and nothing in a circle");
        let sessions =
            s.opt("sessions", whole(1, MAX_BEHIND as u64)).map(|n| u32::try_from(n).unwrap_or(u32::MAX));
        let bandwidth = s.opt("bandwidth", bits(10_000, 1_000_000_000_000));
        let id = id?;
        if known.contains(&id) {
            s.fault("the id is used twice");
        }
        known.push(id.clone());
        // A missing name is told: what hangs on it is not at fault.
        Some(Upstream { id, name: name.unwrap_or_default(), upstream, sessions, bandwidth })
    })
}

/// What a camera hangs on.
pub(super) fn of_camera(
    s: &Section<'_>,
    camera: Option<&CameraId>,
    upstreams: &[Upstream],
) -> Option<UpstreamId> {
    if upstreams.iter().any(|upstream| camera.is_some_and(|id| id.as_str() == upstream.id.as_str())) {
        s.fault_at("id", "is the id of an upstream: give one of them another");
    }
    hangs_on(s, |id| upstreams.iter().any(|upstream| upstream.id == *id), "as an [[upstream]]")
}

fn hangs_on(s: &Section<'_>, known: impl Fn(&UpstreamId) -> bool, how: &str) -> Option<UpstreamId> {
    let id: UpstreamId = s.opt("upstream", parsed)?;
    if known(&id) {
        return Some(id);
    }
    s.fault_at("upstream", format!("{id} is not declared {how}"));
    None
}

/// What can be said only once the cameras are known.
pub(super) fn check(root: &Section<'_>, upstreams: &[Upstream], cameras: &[Camera], divisions: &[Division]) {
    let mut behind: BTreeMap<&UpstreamId, Vec<&DivisionCode>> = BTreeMap::new();
    for camera in cameras {
        for upstream in chain(upstreams, camera.upstream.as_ref()) {
            behind.entry(&upstream.id).or_default().push(&camera.division);
        }
    }
    for (id, codes) in behind {
        if codes.len() > MAX_BEHIND {
            let count = codes.len();
            root.fault_at(
                "upstream",
                format!("upstream[{id}]: {count} cameras hang on it, at most {MAX_BEHIND} can: divide it"),
            );
        }
        if common_path(divisions, codes.into_iter()).is_empty() {
            root.fault_at(
                "upstream",
                format!(
                    "upstream[{id}]: its cameras lie in no common division, so nobody would be told of it: declare a \
                     division above theirs"
                ),
            );
        }
    }
}
