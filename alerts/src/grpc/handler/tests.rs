//! What a handler's link opens, for how long, and that it opens nothing else.

use std::time::Duration;

use tonic::{Code, service::Routes, transport::server::TcpConnectInfo};
use xueliang_base::alert::Alert;
use xueliang_proto::v1::{
    CaseState, HandlerAct, LinkState, case_action::What, case_key::By, case_service_server::CaseService as _,
};

use super::{
    super::{CaseApi, Guard, cell::calls, matrix::ask},
    *,
};
use crate::{
    account::{AccountOptions, Cost},
    rights::{Principal, PrincipalKind, Right},
    store::{CertificateQuery, RegisterQuery},
    testing::{Bench, critical},
};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A photo of these bytes.
fn photo(inside: &[u8]) -> bytes::Bytes {
    [&[0xff, 0xd8, 0xff, 0xda, 0, 4, 1, 2][..], inside, &[0xff, 0xd9]].concat().into()
}

/// An account of a unit, with every right on cases.
fn account(name: &str, unit: &str) -> Principal {
    Principal { unit: Some(unit.to_owned()), ..Principal::new(name, PrincipalKind::Operator) }
}

fn by<T>(who: &Principal, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(who.clone());
    request
}

fn with<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(digest) = link::digest(token) {
        request.extensions_mut().insert(Shown(digest));
    }
    request
}

/// A desk with one case, and telephones.
struct Desk {
    bench: Bench,
    accounts: Accounts,
    phone: HandlerApi,
    links: LinkApi,
    alert: Alert,
}

impl Desk {
    /// With a case that was dispatched to the brigade.
    async fn new() -> Self {
        let bench = Bench::new();
        let options =
            AccountOptions { cost: Cost { memory_kib: 64, passes: 1 }, ..AccountOptions::default() };
        let accounts = Accounts::open(&bench.bus, bench.folder.path(), options).await.unwrap();
        let (phone, links) = (HandlerApi::new(&accounts), LinkApi(bench.bus.clone()));
        let alert = critical();
        bench.commit(std::slice::from_ref(&alert)).await;
        let desk = Self { bench, accounts, phone, links, alert };
        desk.act("jan@desk", What::Confirm(v1::CaseConfirm {})).await.unwrap();
        desk.dispatch("brigade").await;
        desk
    }
    fn key(&self) -> Option<v1::CaseKey> {
        Some(v1::CaseKey { by: Some(By::AlertId(self.alert.id.to_string())) })
    }
    async fn case(&self) -> v1::GetCaseResponse {
        self.bench.bus.case(&account("lea", "desk"), self.key()).await.unwrap()
    }
    async fn act(&self, who: &str, what: What) -> Result<v1::Case, Status> {
        let (name, unit) = who.split_once('@').unwrap();
        let revision = self.case().await.case.unwrap().revision;
        let action = Some(v1::CaseAction { what: Some(what) });
        let note = "as agreed".to_owned();
        let request = v1::ActOnCaseRequest { key: self.key(), revision, action, note };
        let answer = CaseApi(self.bench.bus.clone()).act_on_case(by(&account(name, unit), request)).await?;
        Ok(answer.into_inner().case.unwrap())
    }
    async fn dispatch(&self, unit: &str) {
        let what = v1::CaseDispatch { unit: unit.to_owned(), assisting_units: Vec::new() };
        self.act("dora@desk", What::Dispatch(what)).await.unwrap();
    }
    async fn give(&self) -> v1::GiveLinkResponse {
        let request = v1::GiveLinkRequest { key: self.key(), life_s: 0 };
        self.links.give_link(by(&account("dora", "desk"), request)).await.unwrap().into_inner()
    }
    async fn open(&self, token: &str) -> Result<v1::OpenLinkResponse, Status> {
        Ok(self.phone.open_link(with(token, v1::OpenLinkRequest {})).await?.into_inner())
    }
    async fn state(&self, token: &str) -> LinkState {
        self.open(token).await.unwrap().state()
    }
    /// What the handler sees is what it acts on.
    async fn handle(&self, token: &str, act: HandlerAct, proofs: &[String]) -> Result<CaseState, Status> {
        let seen = self.open(token).await?.case.unwrap_or_default();
        let request = v1::ActByLinkRequest {
            revision: seen.revision,
            act: act.into(),
            note: "the lane is free".to_owned(),
            proof_sha256: proofs.to_vec(),
        };
        let answer = self.phone.act_by_link(with(token, request)).await?.into_inner();
        Ok(answer.link.unwrap().case.unwrap().state())
    }
    async fn prove(&self, token: &str, jpeg: bytes::Bytes) -> Result<v1::CaseProof, Status> {
        let answer = self.phone.put_proof(with(token, v1::PutProofRequest { jpeg })).await?;
        Ok(answer.into_inner().proof.unwrap())
    }
    /// From the link to the work that was handed back.
    async fn hand_back(&self, token: &str) -> v1::CaseProof {
        self.handle(token, HandlerAct::Accept, &[]).await.unwrap();
        self.handle(token, HandlerAct::Start, &[]).await.unwrap();
        let proof = self.prove(token, photo(b"swept")).await.unwrap();
        let state =
            self.handle(token, HandlerAct::Feedback, std::slice::from_ref(&proof.sha256)).await.unwrap();
        assert_eq!(state, CaseState::Feedback);
        proof
    }
    async fn show(&self, who: &Principal, sha256: &str) -> Result<bytes::Bytes, Status> {
        let request = v1::GetProofRequest {
            key: self.key(),
            sha256: sha256.to_owned(),
            purpose: v1::Purpose::Verify.into(),
            call_reason: v1::CallReason::VerifyHandling.into(),
            reason: String::new(),
        };
        Ok(self.links.get_proof(by(who, request)).await?.into_inner().jpeg)
    }
    async fn register(&self) -> Vec<v1::RegisterEntry> {
        let query = RegisterQuery { limit: 100, ..RegisterQuery::default() };
        self.bench.bus.store().list_register(query).await.unwrap()
    }
}

#[tokio::test]
async fn a_case_goes_from_the_dispatch_over_a_telephone_to_its_check_by_a_third() {
    let desk = Desk::new().await;
    let given = desk.give().await;
    let token = given.token.as_str();
    assert_eq!(given.link.as_ref().unwrap().unit, "brigade");
    let seen = desk.open(token).await.unwrap();
    let case = seen.case.unwrap();
    assert_eq!((seen.state, case.state()), (i32::from(LinkState::Live), CaseState::Dispatched));
    assert_eq!((case.unit.as_str(), case.asked.as_str(), case.has_alert), ("brigade", "as agreed", true));
    assert_eq!(case.may, [i32::from(HandlerAct::Accept)]);
    let proof = desk.hand_back(token).await;
    assert_eq!(desk.state(token).await, LinkState::Checked);

    // The link acted as the unit, and as nobody who asks or checks.
    let refused = desk.act("dora@desk", What::TakeUp(v1::CaseTakeUp {})).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied, "whoever gave the link asked for the work");
    let refused = desk.act("otto@brigade", What::TakeUp(v1::CaseTakeUp {})).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied, "its unit did it");
    desk.act("vera@audit", What::TakeUp(v1::CaseTakeUp {})).await.unwrap();
    // The check sends it back, over the same link.
    desk.act("vera@audit", What::Rework(v1::CaseRework {})).await.unwrap();
    assert_eq!(desk.state(token).await, LinkState::Live);
    desk.handle(token, HandlerAct::Start, &[]).await.unwrap();
    let old =
        desk.handle(token, HandlerAct::Feedback, std::slice::from_ref(&proof.sha256)).await.unwrap_err();
    assert_eq!(old.code(), Code::InvalidArgument, "what was proven before proves nothing anew");
    let proof = desk.prove(token, photo(b"swept again")).await.unwrap();
    desk.handle(token, HandlerAct::Feedback, &[proof.sha256]).await.unwrap();
    desk.act("vera@audit", What::TakeUp(v1::CaseTakeUp {})).await.unwrap();
    desk.act("vera@audit", What::Pass(v1::CasePass {})).await.unwrap();
    assert_eq!(desk.state(token).await, LinkState::Left);
    assert!(desk.open(token).await.unwrap().case.is_none(), "an ended link tells nothing of its case");

    let told = desk.case().await;
    let capacities = told.case.unwrap().capacities.unwrap();
    assert_eq!(capacities.handled.unwrap().accounts, ["link:1"]);
    assert_eq!(capacities.verified.unwrap().accounts, ["vera"]);
    assert!(told.history.iter().any(|event| {
        matches!(event.action.as_ref().unwrap().what, Some(What::GiveLink(_)))
            && event.actor.as_ref().unwrap().account == "dora"
    }));
}

#[tokio::test]
async fn a_link_is_given_by_whoever_dispatches_for_what_was_dispatched_and_not_by_the_unit_itself() {
    let desk = Desk::new().await;
    let give = async |who: &Principal| {
        let request = v1::GiveLinkRequest { key: desk.key(), life_s: 0 };
        desk.links.give_link(by(who, request)).await.map(drop).map_err(|status| status.code())
    };
    let mut judge = account("jan", "desk");
    judge.rights.remove(&Right::Dispatch);
    assert_eq!(give(&judge).await, Err(Code::PermissionDenied));
    assert_eq!(give(&account("otto", "brigade")).await, Err(Code::PermissionDenied), "采办分离");
    assert_eq!(give(&account("dora", "desk")).await, Ok(()));
    let link = v1::CaseGiveLink { link_id: 9, until_unix_us: 9 };
    let refused = desk.act("dora@desk", What::GiveLink(link)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "ActOnCase gives none");
    desk.hand_back(&desk.give().await.token).await;
    assert_eq!(give(&account("dora", "desk")).await, Err(Code::FailedPrecondition));
}

#[tokio::test]
async fn a_link_ends_at_its_time_when_it_is_ended_or_replaced_and_when_the_case_leaves_its_unit() {
    let desk = Desk::new().await;
    let first = desk.give().await.token;
    let second = desk.give().await;
    assert_eq!(desk.state(&first).await, LinkState::Ended, "another was given");
    let link_id = second.link.as_ref().unwrap().link_id;
    let request = v1::EndLinkRequest { link_id };
    desk.links.end_link(by(&account("dora", "desk"), request)).await.unwrap();
    assert_eq!(desk.state(&second.token).await, LinkState::Ended);
    let refused = desk.handle(&second.token, HandlerAct::Accept, &[]).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);

    let third = desk.give().await.token;
    desk.act("hugo@brigade", What::Return(v1::CaseReturn {})).await.unwrap();
    assert_eq!(desk.state(&third).await, LinkState::Left);
    desk.dispatch("water").await;
    assert_eq!(desk.state(&third).await, LinkState::Left);
    let fourth = desk.give().await.token;
    desk.dispatch("forest").await;
    desk.dispatch("water").await;
    assert_eq!(desk.state(&fourth).await, LinkState::Left, "it was for the dispatch before");

    let fifth = desk.give().await.token;
    assert_eq!(desk.state(&fifth).await, LinkState::Live);
    desk.bench.clock.advance(DAY);
    let told = desk.open(&fifth).await.unwrap();
    assert_eq!((told.state(), told.case), (LinkState::Expired, None));
    let request = v1::ListLinksRequest { key: desk.key() };
    let all = desk.links.list_links(by(&account("lea", "desk"), request)).await.unwrap();
    let states: Vec<_> = all.into_inner().links.iter().map(v1::HandlerLink::state).collect();
    assert_eq!(states[0], LinkState::Expired);
    assert_eq!(states.len(), 5);
}

#[tokio::test]
async fn a_wrong_link_is_told_from_nothing_and_waits_and_whoever_holds_one_waits_for_nobody() {
    let desk = Desk::new().await;
    let token = desk.give().await.token;
    let wrong = |n: usize| format!("{}{n:04}", &token[..token.len() - 4]);
    let from = |token: &str| {
        let mut request = with(token, v1::OpenLinkRequest {});
        let remote_addr = Some("192.0.2.7:4711".parse().unwrap());
        request.extensions_mut().insert(TcpConnectInfo { local_addr: None, remote_addr });
        request
    };
    let mut refused = Vec::new();
    for n in 0..40 {
        refused.push(desk.phone.open_link(from(&wrong(n))).await.unwrap_err());
    }
    assert_eq!(refused[0].code(), Code::Unauthenticated);
    assert_eq!(refused[39].code(), Code::ResourceExhausted);
    assert!(refused[39].metadata().contains_key("grpc-retry-pushback-ms"));
    assert!(refused.iter().all(|status| !status.message().contains("xlh_")));
    assert!(desk.phone.open_link(from(&token)).await.is_ok());
    assert_eq!(desk.bench.bus.counts().links_unknown.load(std::sync::atomic::Ordering::Relaxed), 40);
    let none = desk.phone.open_link(with("", v1::OpenLinkRequest {})).await.unwrap_err();
    assert_eq!(none.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn no_other_call_of_the_protocol_takes_a_link() {
    let desk = Desk::new().await;
    let token = desk.give().await.token;
    let (bus, accounts) = (&desk.bench.bus, &desk.accounts);
    let routes = Routes::new(bus.alert_service())
        .add_service(accounts.service())
        .add_service(accounts.handler_service())
        .add_service(bus.link_service())
        .add_service(bus.case_service())
        .add_service(bus.evidence_service())
        .add_service(bus.vocabulary_service());
    // As listeners have it: who names nobody is even the operator.
    let who = |accounts: Accounts| {
        move |headers: &HeaderMap| match headers.get("authorization") {
            None => {
                let principal = Principal::new("local", PrincipalKind::Operator);
                Ok(Some(crate::account::Caller { principal, session: None }))
            }
            Some(said) => {
                let token = said.to_str().unwrap_or_default().trim_start_matches("Bearer ").to_owned();
                accounts.caller(&token).map(Some).ok_or_else(|| Error::NotSignedIn("nobody".to_owned()))
            }
        }
    };
    let mut opened = 0;
    for path in calls() {
        let guard = Guard::new(bus.clone(), who(accounts.clone()));
        let bearer = format!("Bearer {token}");
        let (code, said) = ask(&routes, guard, &path, &[], &[("authorization", &bearer)]).await;
        if path.starts_with("/xueliang.v1.HandlerService/") {
            assert!(!matches!(code, Code::Unauthenticated | Code::PermissionDenied), "{path}: {code:?}");
            opened += 1;
        } else {
            assert_eq!((code, said.len()), (Code::Unauthenticated, 0), "{path}");
        }
    }
    assert_eq!(opened, 4);
    // Nor does anybody else make those calls.
    let guard = Guard::new(bus.clone(), who(accounts.clone()));
    let (code, _) = ask(&routes, guard, "/xueliang.v1.HandlerService/OpenLink", &[], &[]).await;
    assert_eq!(code, Code::PermissionDenied);
}

#[tokio::test]
async fn photos_come_while_the_work_is_under_way_in_number_and_size_within_bounds_and_leave_no_file_otherwise()
 {
    let desk = Desk::new().await;
    let token = desk.give().await.token;
    let early = desk.prove(&token, photo(b"early")).await.unwrap_err();
    assert_eq!(early.code(), Code::FailedPrecondition);
    desk.handle(&token, HandlerAct::Accept, &[]).await.unwrap();
    desk.handle(&token, HandlerAct::Start, &[]).await.unwrap();
    for wrong in [&b"no picture"[..], &vec![0; (1 << 20) + 1]] {
        let refused = desk.prove(&token, bytes::Bytes::copy_from_slice(wrong)).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
    let missing = desk.handle(&token, HandlerAct::Feedback, &["ab".repeat(32)]).await.unwrap_err();
    assert_eq!(missing.code(), Code::InvalidArgument, "no such photo came");
    let none = desk.handle(&token, HandlerAct::Feedback, &[]).await.unwrap_err();
    assert_eq!(none.code(), Code::InvalidArgument);
    for n in 0..32_u8 {
        desk.prove(&token, photo(&[n])).await.unwrap();
    }
    desk.prove(&token, photo(&[7])).await.unwrap();
    let many = desk.prove(&token, photo(b"one more")).await.unwrap_err();
    assert_eq!(many.code(), Code::ResourceExhausted);
    let files = || {
        let folder = std::fs::read_dir(desk.bench.folder.path().join("evidence")).unwrap();
        let inner = folder.map(|shelf| std::fs::read_dir(shelf.unwrap().path()).unwrap().count());
        inner.sum::<usize>()
    };
    assert_eq!(files(), 32, "what is refused is not kept");
    assert_eq!(desk.open(&token).await.unwrap().case.unwrap().proofs.len(), 32);
}

#[tokio::test]
async fn of_a_handler_and_somebody_at_the_desk_who_act_at_once_one_wins_and_a_lost_answer_is_given_again() {
    let desk = Desk::new().await;
    let token = desk.give().await.token;
    let revision = desk.open(&token).await.unwrap().case.unwrap().revision;
    let accept = || v1::ActByLinkRequest { revision, act: HandlerAct::Accept.into(), ..Default::default() };
    desk.act("hugo@brigade", What::Accept(v1::CaseAccept {})).await.unwrap();
    let lost = desk.phone.act_by_link(with(&token, accept())).await.unwrap_err();
    assert_eq!(lost.code(), Code::FailedPrecondition);
    assert!(lost.message().contains("hugo of brigade was first"), "{lost}");
    let seen = desk.open(&token).await.unwrap().case.unwrap();
    assert_eq!((seen.last_unit.as_str(), seen.last_is_own), ("brigade", false));
    let start = v1::ActByLinkRequest { revision: seen.revision, act: HandlerAct::Start.into(), ..accept() };
    for _ in 0..2 {
        desk.phone.act_by_link(with(&token, start.clone())).await.unwrap();
    }
    let seen = desk.open(&token).await.unwrap().case.unwrap();
    assert_eq!((seen.state(), seen.last_is_own), (CaseState::Handling, true));
    assert_eq!(desk.case().await.history.len(), seen.revision as usize);
}

#[tokio::test]
async fn pixels_by_a_link_and_photos_of_it_stand_in_the_register_and_photos_go_at_their_time() {
    let desk = Desk::new().await;
    let data = b"redacted".as_slice();
    let facts = v1::EvidenceRef {
        kind: v1::EvidenceKind::Still.into(),
        sha256: Sha256::of(data).to_string(),
        size_bytes: data.len() as u64,
        redacted: true,
        start_unix_us: 1,
        end_unix_us: 1,
        ..v1::EvidenceRef::default()
    };
    desk.bench.bus.evidence().put(desk.alert.id, facts, data.into()).await.unwrap();
    let token = desk.give().await.token;
    let still = desk.phone.get_link_still(with(&token, v1::GetLinkStillRequest {})).await.unwrap();
    assert_eq!(still.into_inner().jpeg, data);
    let entry = &desk.register().await[0];
    assert_eq!((entry.principal.as_str(), entry.unit.as_str()), ("link:1", "brigade"));
    assert_eq!((entry.purpose(), entry.granted), (v1::Purpose::Handle, true));

    let proof = desk.hand_back(&token).await;
    let late = desk.phone.get_link_still(with(&token, v1::GetLinkStillRequest {})).await.unwrap_err();
    assert_eq!(late.code(), Code::FailedPrecondition, "it is out of the unit's hands");
    let vera = account("vera", "audit");
    assert_eq!(desk.show(&vera, &proof.sha256).await.unwrap(), photo(b"swept"));
    let mut grid = vera.clone();
    grid.rights.remove(&Right::ViewOriginal);
    assert_eq!(desk.show(&grid, &proof.sha256).await.unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(desk.show(&vera, &"ab".repeat(32)).await.unwrap_err().code(), Code::NotFound);
    let entries = desk.register().await;
    let told: Vec<_> = entries.iter().take(3).map(|one| (one.kind(), one.granted)).collect();
    let kind = v1::EvidenceKind::Proof;
    assert_eq!(told, [(kind, false), (kind, false), (kind, true)]);
    assert!(entries[2].reason.starts_with("case "), "{:?}", entries[2]);

    // Past its time it stays as long as the case is open.
    let evidence = desk.bench.bus.evidence();
    desk.bench.clock.advance(DAY * 31);
    evidence.sweep().await.unwrap();
    assert!(desk.show(&vera, &proof.sha256).await.is_ok());
    desk.act("vera@audit", What::TakeUp(v1::CaseTakeUp {})).await.unwrap();
    desk.act("vera@audit", What::Pass(v1::CasePass {})).await.unwrap();
    assert_eq!(evidence.sweep().await, Ok(1));
    assert_eq!(desk.show(&vera, &proof.sha256).await.unwrap_err().code(), Code::NotFound);
    let query = CertificateQuery { limit: 10, ..CertificateQuery::default() };
    let certificates = desk.bench.bus.store().certificates(query).await.unwrap();
    assert!(certificates.iter().any(|one| one.kind() == kind && one.sha256 == proof.sha256));
}

#[tokio::test]
async fn a_token_is_kept_nowhere() {
    let desk = Desk::new().await;
    let token = desk.give().await.token;
    desk.hand_back(&token).await;
    for entry in std::fs::read_dir(desk.bench.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let Ok(bytes) = std::fs::read(&path) else { continue };
        let has = bytes.windows(token.len()).any(|part| part == token.as_bytes());
        assert!(!has, "{}", path.display());
    }
}
