//! The body of a sending: `xueliang.alert.v1`, JSON with typed facts only. `docs/webhook.md` explains every field; a
//! field is only ever added, and a reader must pass over what it does not know.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde::Serialize;
use xueliang_base::{kind::Kind, wire::word};
use xueliang_proto::v1;

use crate::store::FeedRow;

/// Name and version of the body.
pub const SCHEMA: &str = "xueliang.alert.v1";

#[derive(Serialize)]
struct Body<'a> {
    schema: &'static str,
    delivery_id: &'a str,
    sink: &'a str,
    site: &'a str,
    committed_unix_us: i64,
    alert: Alert<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    still: Option<Still<'a>>,
}

#[derive(Serialize)]
struct Alert<'a> {
    alert_id: &'a str,
    revision: u64,
    kind: i32,
    kind_code: &'static str,
    kind_class: String,
    level: i32,
    state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    resolution: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resolved_unix_us: Option<i64>,
    drill: bool,
    place: Place<'a>,
    started_unix_us: i64,
    last_seen_unix_us: i64,
    decided_unix_us: i64,
    count: u64,
    confidence: f32,
    measures: Vec<Measure>,
    rule: &'a str,
    publisher: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    cameras_behind: &'a [String],
}

#[derive(Serialize)]
struct Place<'a> {
    camera_id: &'a str,
    camera_name: &'a str,
    division_path: &'a [String],
    division_name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    address: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    longitude: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latitude: Option<f64>,
    #[serde(skip_serializing_if = "str::is_empty")]
    zone: &'a str,
}

#[derive(Serialize)]
struct Measure {
    kind: String,
    value: f64,
}

#[derive(Serialize)]
struct Still<'a> {
    content_type: &'static str,
    redacted: bool,
    sha256: &'a str,
    size_bytes: u64,
    taken_unix_us: i64,
    data_base64: String,
}

/// Identifies one state at one sink: the same again is the same sending.
pub(super) fn delivery_id(row: &FeedRow, sink: &str) -> String {
    format!("{}-{}-{sink}", row.alert, revision(row))
}

/// The state's revision.
pub(super) fn revision(row: &FeedRow) -> u64 {
    row.record.alert.as_ref().map_or(0, |alert| alert.revision)
}

/// The body for a state, with its still where one goes along.
pub(super) fn body(
    row: &FeedRow,
    site: &str,
    sink: &str,
    still: Option<&(v1::EvidenceRef, Bytes)>,
) -> serde_json::Result<Bytes> {
    let nothing = v1::Alert::default();
    let nowhere = v1::Place::default();
    let alert = row.record.alert.as_ref().unwrap_or(&nothing);
    let place = alert.place.as_ref().unwrap_or(&nowhere);
    let resolved = alert.state() == v1::AlertState::Resolved;
    let body = Body {
        schema: SCHEMA,
        delivery_id: &delivery_id(row, sink),
        sink,
        site,
        committed_unix_us: row.record.committed_unix_us,
        alert: Alert {
            alert_id: &alert.alert_id,
            revision: alert.revision,
            kind: alert.kind,
            kind_code: Kind::from_number(alert.kind).map_or("UNKNOWN", Kind::code),
            kind_class: word(alert.kind_class().as_str_name(), "KIND_CLASS_"),
            level: alert.level,
            state: word(alert.state().as_str_name(), "ALERT_STATE_"),
            resolution: resolved.then(|| word(alert.resolution().as_str_name(), "RESOLUTION_")),
            resolved_unix_us: resolved.then_some(alert.resolved_unix_us),
            drill: alert.drill,
            place: Place {
                camera_id: &place.camera_id,
                camera_name: &place.camera_name,
                division_path: &place.division_path,
                division_name: &place.division_name,
                address: &place.address,
                longitude: place.position.map(|point| point.longitude),
                latitude: place.position.map(|point| point.latitude),
                zone: &place.zone,
            },
            started_unix_us: alert.started_unix_us,
            last_seen_unix_us: alert.last_seen_unix_us,
            decided_unix_us: alert.decided_unix_us,
            count: alert.count,
            confidence: alert.confidence,
            measures: alert
                .measures
                .iter()
                .map(|one| Measure {
                    kind: word(one.kind().as_str_name(), "MEASURE_KIND_"),
                    value: one.value,
                })
                .collect(),
            rule: alert.explanation.as_ref().map_or("", |why| why.rule.as_str()),
            publisher: &alert.publisher,
            cameras_behind: &alert.cameras_behind,
        },
        still: still.map(|(facts, jpeg)| Still {
            content_type: "image/jpeg",
            redacted: facts.redacted,
            sha256: &facts.sha256,
            size_bytes: jpeg.len() as u64,
            taken_unix_us: facts.start_unix_us,
            data_base64: BASE64_STANDARD.encode(jpeg),
        }),
    };
    serde_json::to_vec(&body).map(Bytes::from)
}
