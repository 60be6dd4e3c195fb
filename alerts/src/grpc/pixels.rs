//! Nobody sees pixels without an entry of the register. The calls are read from the protocol's descriptors: a new one whose
//! answer holds bytes fails here until it is said what they are, and every call is tried for pixels, whatever is said of it.

use std::collections::{BTreeMap, BTreeSet};

use futures::FutureExt as _;
use prost::Message as _;
use prost_types::{DescriptorProto, FileDescriptorSet, field_descriptor_proto::Type};
use xueliang_proto::v1;

use super::{
    cell::calls,
    matrix::{Served, caller},
    scope::{OURS, PIXELS},
    *,
};
use crate::{
    evidence::Call,
    rights::PrincipalKind,
    role::Role,
    store::{RegisterQuery, faulty_disk::FaultyDisk},
    testing::{Bench, critical, options},
};

/// Bytes in answers, by call and field: what they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bytes {
    /// Pixels: the gateway gives them.
    Pixels,
    /// Something else, which is said here.
    Other(&'static str),
}

const BYTES: [(&str, &str, Bytes); 15] = [
    ("GetStill", "jpeg", Bytes::Pixels),
    ("GetPreview", "pictures.jpeg", Bytes::Pixels),
    ("GetClip", "data", Bytes::Pixels),
    ("GetPicture", "jpeg", Bytes::Pixels),
    ("GetRelease", "data", Bytes::Pixels),
    ("ShowViewing", "pictures.jpeg", Bytes::Pixels),
    ("GetProof", "jpeg", Bytes::Pixels),
    // To whoever holds a handler's link, and to no account: the tests of links look at its entry of the register.
    (BY_LINK, "jpeg", Bytes::Pixels),
    ("Subscribe", "delivery.cursor", CURSOR),
    ("Subscribe", "snapshot.cursor", CURSOR),
    ("Subscribe", "bookmark.cursor", CURSOR),
    ("Subscribe", "summary.cursor", CURSOR),
    ("Subscribe", "closed.cursor", CURSOR),
    ("ExportRegister", "csv", Bytes::Other("the register, which holds words")),
    ("Attach", "config_json", Bytes::Other("the configuration, for nodes of ours")),
];
const BY_LINK: &str = "GetLinkStill";
const CURSOR: Bytes = Bytes::Other("a place of the feed, some dozens of bytes");

/// All fields of bytes in the answers of all calls.
fn bytes_of_answers() -> BTreeSet<(String, String)> {
    let set = FileDescriptorSet::decode(xueliang_proto::FILE_DESCRIPTOR_SET).unwrap();
    let mut messages = BTreeMap::new();
    for file in &set.file {
        for message in &file.message_type {
            collect(&format!(".{}", file.package()), message, &mut messages);
        }
    }
    let mut found = BTreeSet::new();
    for method in set.file.iter().flat_map(|file| &file.service).flat_map(|service| &service.method) {
        let mut path = Vec::new();
        walk(method.output_type(), &messages, &mut path, &mut |field| {
            found.insert((method.name().to_owned(), field));
        });
    }
    found
}

fn collect<'a>(within: &str, message: &'a DescriptorProto, all: &mut BTreeMap<String, &'a DescriptorProto>) {
    let name = format!("{within}.{}", message.name());
    for nested in &message.nested_type {
        collect(&name, nested, all);
    }
    all.insert(name, message);
}

/// Goes through a message and those within it; one that holds itself once.
fn walk<'a>(
    name: &'a str,
    messages: &BTreeMap<String, &'a DescriptorProto>,
    path: &mut Vec<(&'a str, &'a str)>,
    tell: &mut impl FnMut(String),
) {
    if path.iter().any(|(outer, _)| *outer == name) {
        return;
    }
    let Some(message) = messages.get(name) else { return };
    for field in &message.field {
        path.push((name, field.name()));
        match field.r#type() {
            Type::Bytes => tell(path.iter().map(|(_, field)| *field).collect::<Vec<_>>().join(".")),
            Type::Message => walk(field.type_name(), messages, path, tell),
            _ => {}
        }
        path.pop();
    }
}

fn holds_pixels(said: &[u8]) -> bool {
    said.windows(PIXELS.len()).any(|part| part == PIXELS.as_bytes())
}

async fn given(served: &Served) -> Vec<v1::RegisterEntry> {
    let query = RegisterQuery { limit: usize::MAX >> 1, ..RegisterQuery::default() };
    let mut all = served.town.bench.bus.store().list_register(query).await.unwrap();
    all.retain(|entry| entry.granted);
    all
}

#[test]
fn every_answer_with_bytes_is_said_to_hold_pixels_or_not() {
    let said: BTreeSet<_> =
        BYTES.iter().map(|(call, field, _)| ((*call).to_owned(), (*field).to_owned())).collect();
    assert_eq!(said.len(), BYTES.len());
    let found = bytes_of_answers();
    let new: Vec<_> = found.difference(&said).collect();
    assert!(
        new.is_empty(),
        "say here whether these are pixels, which the evidence gateway alone gives: {new:?}"
    );
    let gone: Vec<_> = said.difference(&found).collect();
    assert!(gone.is_empty(), "no call answers with {gone:?}");
    for (call, _, bytes) in BYTES {
        let path = calls().into_iter().find(|path| path.ends_with(&format!("/{call}"))).unwrap();
        // What is refused of pixels stands in the register, which the guard does not write.
        let recorded = matches!(rule::of(&path), Some(rule::Rule::Recorded(_) | rule::Rule::Link));
        assert!(bytes != Bytes::Pixels || recorded, "{call}");
    }
}

#[tokio::test]
async fn whoever_sees_pixels_by_any_call_stands_in_the_register_as_given() {
    let served = Served::new().await;
    let ours = served.town.all.iter().find(|one| one.code == OURS.0).unwrap();
    let mut shown: BTreeMap<String, usize> = BTreeMap::new();
    for path in calls() {
        let call = path.rsplit('/').next().unwrap();
        let pixels = BYTES.iter().any(|(name, _, bytes)| *name == call && *bytes == Bytes::Pixels);
        for role in Role::ALL {
            let who = caller(role, OURS.0, None);
            let message = served.about_ours(call).await.unwrap_or_default();
            let before = given(&served).await.len();
            let (code, said) = served.call(&path, &message, Some(&who)).await;
            let new = given(&served).await.len() - before;
            if !holds_pixels(&said) {
                assert_eq!(new, 0, "{call} by {role:?}: given and not shown, {code:?}");
                continue;
            }
            assert!(pixels, "{call} by {role:?} shows pixels");
            *shown.entry(call.to_owned()).or_default() += 1;
            let all = given(&served).await;
            let entry = &all[0];
            let alert = if call == "GetProof" { &ours.linked } else { &ours.alert }.id.to_string();
            assert_eq!((new, &entry.principal, &entry.alert_id), (1, &who.principal.name, &alert), "{call}");
            assert!(!entry.sha256.is_empty() && entry.call_reason != 0, "{entry:?}");
        }
    }
    let pixels = BYTES.iter().filter(|(call, _, bytes)| *bytes == Bytes::Pixels && *call != BY_LINK);
    let expected: BTreeSet<&str> = pixels.map(|(call, _, _)| *call).collect();
    // Or this test would show nothing.
    assert_eq!(shown.keys().map(String::as_str).collect::<BTreeSet<_>>(), expected, "{shown:?}");
}

#[tokio::test]
async fn where_the_register_cannot_be_written_no_call_shows_pixels() {
    let served = Served::new().await;
    let mut messages = BTreeMap::new();
    for path in calls() {
        let call = path.rsplit('/').next().unwrap();
        messages.insert(path.clone(), served.about_ours(call).await.unwrap_or_default());
    }
    crate::store::tests::refuse_entries(served.town.bench.folder.path(), "register");
    let mut refused = 0;
    for (path, message) in &messages {
        let call = path.rsplit('/').next().unwrap();
        let pixels = BYTES.iter().any(|(name, _, bytes)| *name == call && *bytes == Bytes::Pixels);
        for role in [Role::Judge, Role::Dispatcher, Role::Leader, Role::Verifier] {
            let (code, said) = served.call(path, message, Some(&caller(role, OURS.0, None))).await;
            assert!(!holds_pixels(&said), "{path} by {role:?}");
            assert!(!pixels || code != Code::Ok, "{path} by {role:?}");
            refused += usize::from(pixels && code != Code::PermissionDenied);
        }
    }
    assert!(refused >= 8, "{refused}");
}

#[tokio::test]
async fn the_entry_is_on_disk_before_the_first_byte() {
    let disk = FaultyDisk::new();
    let mut slow = options();
    slow.sqlite.vfs = Some(disk.vfs());
    let bench = Bench::with(slow);
    let alert = critical();
    bench.commit(std::slice::from_ref(&alert)).await;
    let data = PIXELS.as_bytes();
    let facts = v1::EvidenceRef {
        kind: v1::EvidenceKind::Still.into(),
        sha256: xueliang_base::alert::Sha256::of(data).to_string(),
        size_bytes: data.len() as u64,
        redacted: true,
        start_unix_us: 1,
        end_unix_us: 1,
        ..v1::EvidenceRef::default()
    };
    bench.bus.evidence().put(alert.id, facts, data.into()).await.unwrap();
    let call = Call {
        alert: alert.id,
        purpose: v1::Purpose::Judge,
        call_reason: v1::CallReason::Unspecified,
        reason: String::new(),
    };
    let desk = Principal::new("desk", PrincipalKind::Console);
    disk.hold_syncs();
    let mut asked = Box::pin(bench.bus.evidence().still(&desk, &call));
    // All is read and written, and the disk has not said that it is there.
    while disk.waiting_syncs() == 0 {
        assert!(asked.as_mut().now_or_never().is_none(), "pixels came before the entry was on disk");
        tokio::task::yield_now().await;
    }
    assert!(asked.as_mut().now_or_never().is_none(), "pixels came before the entry was on disk");
    disk.release_syncs();
    assert_eq!(asked.await.unwrap().1, data);
}
