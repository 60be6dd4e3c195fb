//! Every call of the protocol, by every role, in its own division and in another's: past the guard and the handlers, as a
//! console calls. The calls are read from the protocol's descriptors, so that a new one without a rule fails here.

use std::{collections::BTreeSet, time::Duration};

use bytes::{BufMut as _, Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use tonic::{
    body::Body,
    codegen::{Service as _, http},
    service::Routes,
};
use tower::Layer as _;
use xueliang_base::{point::PointClass, time::Clock as _};
use xueliang_proto::v1;

use super::{
    cell::{Fresh, Place, Verdict, calls, fresh, is_of_places, judge, judge_nobody, may},
    rule,
    scope::{OURS, THEIRS, Town, release, viewing},
    *,
};
use crate::{
    account::{AccountOptions, Accounts, Caller, Cost},
    rights::PrincipalKind,
    role::Role,
    testing::book::Book,
};

/// Frames of a stream that are read: its snapshot, and more.
const FRAMES: usize = 24;

pub(super) struct Served {
    pub(super) town: Town,
    routes: Routes,
}

impl Served {
    pub(super) async fn new() -> Self {
        let town = Town::new().await;
        let bus = &town.bench.bus;
        let cost = Cost { memory_kib: 64, passes: 1 };
        let options = AccountOptions { cost, ..AccountOptions::default() };
        let accounts = Accounts::open(bus, town.bench.folder.path(), options).await.unwrap();
        let routes = Routes::new(bus.alert_service())
            .add_service(accounts.service())
            .add_service(bus.custodian_service())
            .add_service(bus.delivery_service())
            .add_service(bus.filing_service())
            .add_service(bus.evidence_service())
            .add_service(bus.disclosure_service())
            .add_service(bus.retention_service())
            .add_service(bus.camera_service())
            .add_service(bus.case_service())
            .add_service(bus.link_service())
            .add_service(bus.drill_service())
            .add_service(accounts.handler_service())
            .add_service(bus.statistics_service())
            .add_service(bus.division_service())
            .add_service(bus.duty_service())
            .add_service(bus.vocabulary_service())
            .add_service(bus.explain_service())
            .add_service(bus.rule_service(Arc::new(Book::default())))
            .add_service(bus.clock_service())
            .add_service(bus.suppression_service())
            .add_service(bus.node_service(watch::channel(None).1))
            .add_service(town.sinks.service());
        Self { town, routes }
    }
    /// What a call answers to a caller: its code and all that it says.
    pub(super) async fn call(&self, path: &str, message: &[u8], who: Option<&Caller>) -> (Code, Bytes) {
        let who = who.cloned();
        let guard = Guard::new(self.town.bench.bus.clone(), move |_: &http::HeaderMap| Ok(who.clone()));
        ask(&self.routes, guard, path, message, &[]).await
    }
    /// What lies in our division.
    fn ours(&self) -> Place {
        let ours = self.town.all.iter().find(|one| one.code == OURS.0).unwrap();
        Place {
            code: OURS.0.to_owned(),
            alert_id: ours.alert.id.to_string(),
            suppressed_id: ours.suppressed.id.to_string(),
            silence_id: ours.silence,
            hold_id: ours.hold,
            release_id: ours.release,
            viewing_id: ours.viewing,
            linked_id: ours.linked.id.to_string(),
            link_id: ours.link,
            proof: ours.proof.clone(),
            // The first that was made.
            rule_id: 1,
        }
    }
    /// A message that asks for what lies in our division, as it is now; `None` where the call names nothing.
    pub(super) async fn about_ours(&self, path: &str) -> Option<Vec<u8>> {
        let ours = self.town.all.iter().find(|one| one.code == OURS.0).unwrap();
        let bench = &self.town.bench;
        let state = match fresh(path) {
            Fresh::Nothing => 0,
            Fresh::Case => {
                let town = Principal::new("town", PrincipalKind::Operator);
                let by = Some(v1::case_key::By::AlertId(ours.alert.id.to_string()));
                let case = bench.bus.case(&town, Some(v1::CaseKey { by })).await.unwrap().case;
                case.unwrap_or_default().revision
            }
            Fresh::Release => release(&bench.bus, &ours.alert, false).await,
            Fresh::Received => viewing(&bench.bus, OURS.0, v1::ViewingState::Received).await,
            Fresh::Examined => viewing(&bench.bus, OURS.0, v1::ViewingState::Examined).await,
        };
        self.ours().asked_by(path, state, bench.clock.wall())
    }
}

/// What services behind a guard answer to a call: its code and all that it says.
pub(super) async fn ask<W>(
    routes: &Routes,
    guard: Guard<W>,
    path: &str,
    message: &[u8],
    headers: &[(&str, &str)],
) -> (Code, Bytes)
where
    W: Fn(&http::HeaderMap) -> Result<Option<Caller>> + Clone,
{
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap());
    frame.put_slice(message);
    let mut request =
        http::Request::post(path).header("content-type", "application/grpc").header("te", "trailers");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::new(Full::new(frame.freeze()))).unwrap();
    let answer = guard.layer(routes.clone()).call(request).await.unwrap();
    let code =
        |headers: &http::HeaderMap| headers.get("grpc-status").map(|code| Code::from_bytes(code.as_bytes()));
    let mut said = BytesMut::new();
    if let Some(code) = code(answer.headers()) {
        return (code, said.freeze());
    }
    let mut body = answer.into_body();
    for _ in 0..FRAMES {
        let next = tokio::time::timeout(Duration::from_secs(10), body.frame()).await;
        let Some(frame) = next.expect("the stream gives no frame") else { break };
        let frame = frame.unwrap();
        match frame.into_data() {
            Ok(data) => said.extend_from_slice(&data),
            Err(frame) => {
                let trailers = frame.into_trailers().unwrap();
                return (code(&trailers).expect("trailers say how it went"), said.freeze());
            }
        }
    }
    // A stream that goes on.
    (Code::Ok, said.freeze())
}

/// Someone bound to a division, and to a class of points where one is named.
pub(super) fn caller(role: Role, division: &str, class: Option<PointClass>) -> Caller {
    let bound = class.map_or("all", PointClass::word);
    let principal = Principal {
        name: format!("{role:?}-{division}-{bound}").to_lowercase(),
        kind: PrincipalKind::Console,
        unit: None,
        rights: role.rights().iter().copied().collect(),
        divisions: Some(vec![division.parse().unwrap()]),
        classes: class.map(|class| [class].into()),
    };
    Caller { principal, session: None }
}

#[test]
fn every_call_of_the_protocol_has_one_rule_and_no_rule_is_left_over() {
    let calls: BTreeSet<_> = calls().into_iter().collect();
    let ruled: Vec<_> = rule::paths().collect();
    assert_eq!(ruled.len(), ruled.iter().collect::<BTreeSet<_>>().len(), "a call has two rules");
    let missing: Vec<_> = calls.iter().filter(|path| rule::of(path).is_none()).collect();
    assert!(missing.is_empty(), "say in grpc/rule.rs who may call {missing:?}");
    let left: Vec<_> = ruled.iter().filter(|path| !calls.contains(*path)).collect();
    assert!(left.is_empty(), "no call of the protocol: {left:?}");
    for unknown in ["/xueliang.v1.AlertService/Nothing", "/xueliang.v1.Nothing/GetAlert", "/", "/other/x"] {
        assert_eq!(rule::of(unknown), None, "{unknown}");
    }
}

#[tokio::test]
async fn every_call_by_every_role_gives_what_its_rights_allow_in_its_own_division_and_class_and_nothing_of_another()
 {
    let served = Served::new().await;
    let ours = served.ours();
    let (mut cells, mut allowed, mut told) = (0, 0, 0);
    for path in calls() {
        for role in Role::ALL {
            // The others first: nothing of ours may be lifted or ended by them. All points of ours are of the third class.
            let (foreign, own) = (PointClass::First, None);
            for (division, class) in [(THEIRS.0, own), (OURS.0, Some(foreign)), (OURS.0, own)] {
                if class.is_some() && is_of_places(&path) {
                    continue;
                }
                let about = served.about_ours(&path).await;
                let message = about.clone().unwrap_or_default();
                let (code, said) = served.call(&path, &message, Some(&caller(role, division, class))).await;
                cells += 1;
                allowed += usize::from(may(role, &path));
                let is_own = division == OURS.0 && class.is_none();
                match judge(&ours, &path, role, is_own, about.is_some(), code, &said) {
                    Verdict::Right { told: tells } => told += usize::from(tells),
                    wrong => panic!("{path} by {role:?} of {division} and {class:?}: {code:?}: {wrong:?}"),
                }
            }
        }
        let message = served.about_ours(&path).await.unwrap_or_default();
        let (code, said) = served.call(&path, &message, None).await;
        let verdict = judge_nobody(&path, code, &said);
        assert_eq!(verdict, Verdict::Right { told: false }, "{path} by nobody: {code:?}");
    }
    let of_places = calls().iter().filter(|path| is_of_places(path)).count();
    assert_eq!(cells, (calls().len() * 3 - of_places) * Role::ALL.len());
    // The cells that are allowed are calls that work, or this test would show nothing.
    assert!(allowed > 600 && told > 120, "{allowed} of {cells} are allowed, {told} tell");
    let unruled =
        served.call("/xueliang.v1.AlertService/Nothing", &[], Some(&caller(Role::Judge, OURS.0, None))).await;
    assert_eq!(unruled.0, Code::PermissionDenied);
}

#[tokio::test]
async fn a_refused_call_is_audited_once_a_minute_and_a_refused_picture_stands_in_the_register() {
    let served = Served::new().await;
    let grid = caller(Role::GridWorker, OURS.0, None);
    for _ in 0..3 {
        let (code, _) = served.call("/xueliang.v1.EvidenceService/ListRegister", &[], Some(&grid)).await;
        assert_eq!(code, Code::PermissionDenied);
    }
    let clip = served.about_ours("/xueliang.v1.EvidenceService/GetClip").await.unwrap();
    let (code, _) = served.call("/xueliang.v1.EvidenceService/GetClip", &clip, Some(&grid)).await;
    assert_eq!(code, Code::PermissionDenied);
    let query = crate::store::RegisterQuery { limit: 9, ..Default::default() };
    let register = served.town.bench.bus.store().list_register(query).await.unwrap();
    let entry = register.iter().find(|entry| entry.principal == grid.principal.name);
    assert!(entry.is_some_and(|entry| !entry.granted), "{register:?}");
    // The audit is written beside the answer.
    let audited = || {
        let all = crate::store::tests::audited(served.town.bench.folder.path());
        all.into_iter().filter(|one| one.1 == "call_refused").collect::<Vec<_>>()
    };
    let all = loop {
        match audited() {
            none if none.is_empty() => tokio::task::yield_now().await,
            all => break all,
        }
    };
    assert_eq!(all.len(), 1, "{all:?}");
    assert!(all[0].2.starts_with("/xueliang.v1.EvidenceService/ListRegister: "), "{all:?}");
}
