//! The whole matrix of rights at a running process: every call of the protocol, by every role, of the division that is asked
//! about, of another, and bound to another class of points, and by nobody. Calls, messages and verdicts are those of the test that asks a bus of its own
//! (`xueliang_alerts::grpc::cell`); here everything goes through sign-in, the listener and the store as in a town.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, ensure};
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    time::{Instant, timeout_at},
};
use tonic::{
    Code, Request, Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::http::uri::PathAndQuery,
    transport::Channel,
};
use xueliang_alerts::{
    grpc::cell::{self, Fresh, Place, Verdict},
    role::Role,
};
use xueliang_base::{
    alert::Sha256,
    kind::Lane,
    point::PointClass,
    time::{Clock as _, SystemClock},
};
use xueliang_proto::v1::{
    self, account_service_client::AccountServiceClient, case_service_client::CaseServiceClient,
    custodian_service_client::CustodianServiceClient, disclosure_service_client::DisclosureServiceClient,
    division_service_client::DivisionServiceClient, duty_service_client::DutyServiceClient,
    evidence_service_client::EvidenceServiceClient, filing_service_client::FilingServiceClient,
    node_service_client::NodeServiceClient, retention_service_client::RetentionServiceClient,
    sink_service_client::SinkServiceClient, suppression_service_client::SuppressionServiceClient,
};

use super::{
    super::Table,
    site::{OURS, SignedIn, Site, THEIRS, account, alert_at, class_in},
};
use crate::service::until;

/// A stream that goes on is read so long: its snapshot has come by then.
const READ: Duration = Duration::from_millis(1500);
/// Cells that tell of what lies in their own division, at least: fewer, and the matrix would show nothing.
const TELL: usize = 120;

/// Division and class of who asks. The others come first: nothing of ours may be lifted or ended by them. No point of ours
/// is of the first class.
const ASKERS: [(&str, Option<PointClass>); 3] =
    [(THEIRS, None), (OURS, Some(PointClass::First)), (OURS, None)];

/// Messages as the bytes that they are.
#[derive(Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Raw;
    type Decoder = Raw;
    fn encoder(&mut self) -> Raw {
        Raw
    }
    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;
    fn encode(&mut self, item: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;
    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

/// What a call answers: its code and all that it says, whatever kind of call it is.
async fn call(
    channel: &Channel,
    path: &str,
    message: Vec<u8>,
    token: Option<&str>,
) -> anyhow::Result<(Code, Bytes)> {
    let mut request = Request::new(Bytes::from(message));
    if let Some(token) = token {
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse()?);
    }
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await?;
    let end = Instant::now() + READ;
    // An answer of one message is a stream of one.
    let answer = client.server_streaming(request, PathAndQuery::try_from(path)?, Raw);
    let mut stream = match timeout_at(end, answer).await {
        Err(_) => return Ok((Code::Ok, Bytes::new())),
        Ok(Err(status)) => return Ok((status.code(), Bytes::new())),
        Ok(Ok(answer)) => answer.into_inner(),
    };
    let mut said = BytesMut::new();
    loop {
        match timeout_at(end, stream.message()).await {
            Err(_) | Ok(Ok(None)) => return Ok((Code::Ok, said.freeze())),
            Ok(Ok(Some(message))) => said.extend_from_slice(&message),
            Ok(Err(status)) => return Ok((status.code(), said.freeze())),
        }
    }
}

/// A system that refuses all that is sent to it, so that there are dead letters. It ends with this process.
async fn refusing() -> anyhow::Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut asked = vec![0; 64 << 10];
                // One read is enough of a request to answer: the connection is closed behind the answer.
                let _read = stream.read(&mut asked).await;
                let answer = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                let _written = stream.write_all(answer).await;
            });
        }
    });
    Ok(port)
}

/// Puts into a division what calls may tell of.
async fn fill(site: &Site, chief: &SignedIn, code: &str) -> anyhow::Result<Place> {
    let mut place = Place { code: code.to_owned(), ..Place::default() };
    let operator = || site.operator.clone();
    for division in place.below() {
        let request = v1::PutDivisionRequest { division: Some(division) };
        DivisionServiceClient::new(operator()).put_division(request).await.context("put a division")?;
    }
    let mut duty = DutyServiceClient::new(operator());
    let put = duty.put_duty_rule(v1::PutDutyRuleRequest { rule: Some(cell::duty_rule(code)) }).await;
    place.rule_id = put.context("put a duty rule")?.into_inner().rule.context("a rule")?.rule_id;
    duty.put_shift(v1::PutShiftRequest { shift: Some(cell::shift(code)) }).await.context("put a shift")?;

    place.alert_id = site.publish(alert_at(code, Lane::Critical, 0)).await?;
    let silence = cell::silence(code, SystemClock.wall());
    let made = SuppressionServiceClient::new(operator()).create_silence(silence).await.context("silence")?;
    place.silence_id = made.into_inner().silence.context("a silence")?.silence_id;
    place.suppressed_id = site.publish(alert_at(code, Lane::Major, 1)).await?;

    let mut node = NodeServiceClient::new(site.node.clone());
    let clip = v1::ClipBundle { files: vec![code.as_bytes().to_vec().into()] };
    let clip = prost::Message::encode_to_vec(&clip);
    for (kind, data) in [
        (v1::EvidenceKind::Still, code.as_bytes().to_vec()),
        (v1::EvidenceKind::Clip, clip),
        (v1::EvidenceKind::Preview, Vec::new()),
    ] {
        let facts = v1::EvidenceRef {
            kind: kind.into(),
            sha256: Sha256::of(&data).to_string(),
            size_bytes: data.len() as u64,
            redacted: kind != v1::EvidenceKind::Clip,
            start_unix_us: 1,
            end_unix_us: 1,
            ..v1::EvidenceRef::default()
        };
        let request = v1::PutEvidenceRequest {
            alert_id: place.alert_id.clone(),
            evidence: Some(facts),
            data: data.into(),
        };
        let refused = node.put_evidence(request).await.context("put evidence")?.into_inner().refusal;
        ensure!(refused.is_empty(), "evidence was refused: {refused}");
    }
    let hold =
        v1::SetLegalHoldRequest { alert_id: place.alert_id.clone(), reason: "a court asks".to_owned() };
    let held = RetentionServiceClient::new(operator()).set_legal_hold(hold).await.context("hold")?;
    place.hold_id = held.into_inner().hold.context("a hold")?.hold_id;
    let report = v1::ReportExternalStateRequest {
        state: Some(cell::external_state(&place.alert_id)),
        idempotency_key: format!("first-{code}"),
    };
    let mut sinks = SinkServiceClient::new(operator());
    sinks.report_external_state(report).await.context("report a state")?;
    let csv = cell::custodian_csv(code, "Ana");
    let custodians = v1::ImportCustodiansRequest { csv, dry_run: false };
    let told = CustodianServiceClient::new(operator()).import_custodians(custodians).await;
    let faults = told.context("import custodians")?.into_inner().faults;
    ensure!(faults.is_empty(), "custodians were refused: {faults:?}");
    let mut filings = FilingServiceClient::new(operator());
    filings.file_points(cell::filing(&place.camera())).await.context("file a point")?;
    disclose(site, chief, &mut place).await?;
    let letters = || {
        let request = v1::ListDeadLettersRequest { sink: place.sink(), ..Default::default() };
        let mut sinks = sinks.clone();
        async move { sinks.list_dead_letters(request).await.ok().filter(|all| !all.get_ref().letters.is_empty()) }
    };
    until("a dead letter", Duration::from_secs(30), letters).await?;
    Ok(place)
}

/// Prepares a release of an alert's still, which waits; its number.
async fn release(site: &Site, alert_id: &str) -> anyhow::Result<u64> {
    let request = v1::PrepareReleaseRequest {
        alert_id: alert_id.to_owned(),
        kind: v1::EvidenceKind::Still.into(),
        reason: "for the newspaper".to_owned(),
    };
    let mut service = DisclosureServiceClient::new(site.operator.clone());
    let made = service.prepare_release(request).await.context("prepare a release")?.into_inner();
    Ok(made.release.context("a release")?.release_id)
}

/// Receives a request of somebody concerned, and examines it if that is wanted; its number.
async fn viewing(site: &Site, code: &str, is_examined: bool) -> anyhow::Result<u64> {
    let mut service = DisclosureServiceClient::new(site.operator.clone());
    let made = service.receive_viewing(cell::received(code)).await.context("receive a request")?;
    let request_id = made.into_inner().viewing.context("a request")?.request_id;
    if is_examined {
        let request = v1::ExamineViewingRequest { request_id, refusal: 0 };
        service.examine_viewing(request).await.context("examine a request")?;
    }
    Ok(request_id)
}

/// Has a release approved and a request granted, by somebody else than asked for them.
async fn disclose(site: &Site, chief: &SignedIn, place: &mut Place) -> anyhow::Result<()> {
    place.release_id = release(site, &place.alert_id).await?;
    // Nobody approves what they have not seen.
    let still =
        v1::GetStillRequest { alert_id: place.alert_id.clone(), purpose: v1::Purpose::Supervise.into() };
    let mut evidence = EvidenceServiceClient::new(site.api.clone());
    evidence.get_still(chief.asks(still)?).await.context("look at a still")?;
    let approval = v1::DecideReleaseRequest {
        release_id: place.release_id,
        approve: true,
        nothing_recognisable: true,
        ..v1::DecideReleaseRequest::default()
    };
    let mut service = DisclosureServiceClient::new(site.api.clone());
    service.decide_release(chief.asks(approval)?).await.context("approve a release")?;
    place.viewing_id = viewing(site, &place.code, true).await?;
    let grant = v1::DecideViewingRequest { request_id: place.viewing_id, refusal: 0 };
    service.decide_viewing(chief.asks(grant)?).await.context("grant a request")?;
    Ok(())
}

/// Reports both cameras, as their node does.
async fn report_cameras(site: &Site) -> anyhow::Result<()> {
    let camera = |code: &str| v1::CameraStatus {
        camera_id: format!("camera-{code}"),
        division_path: vec!["33".to_owned(), code.to_owned()],
        point_class: class_in(code).number(),
        ..v1::CameraStatus::default()
    };
    let cameras = [OURS, THEIRS].map(camera).to_vec();
    let request = v1::ReportRequest { node_id: "node-1".to_owned(), cameras, ..v1::ReportRequest::default() };
    NodeServiceClient::new(site.node.clone()).report(request).await.context("report cameras")?;
    Ok(())
}

/// The revision that the case of an alert is at.
async fn revision(site: &Site, alert_id: &str) -> anyhow::Result<u64> {
    let by = Some(v1::case_key::By::AlertId(alert_id.to_owned()));
    let request = v1::GetCaseRequest { key: Some(v1::CaseKey { by }) };
    let answer = CaseServiceClient::new(site.operator.clone()).get_case(request).await?;
    Ok(answer.into_inner().case.unwrap_or_default().revision)
}

/// What calls use up, made when it is asked for and kept until a call has used it.
struct Supply<'a> {
    site: &'a Site,
    ours: &'a Place,
    unused: BTreeMap<String, u64>,
}

impl Supply<'_> {
    /// The state that a call needs.
    async fn of(&mut self, path: &str) -> anyhow::Result<u64> {
        if let Some(unused) = self.unused.get(path) {
            return Ok(*unused);
        }
        let (site, ours) = (self.site, self.ours);
        let made = match cell::fresh(path) {
            Fresh::Nothing => return Ok(0),
            Fresh::Case => return revision(site, &ours.alert_id).await,
            Fresh::Release => release(site, &ours.alert_id).await?,
            Fresh::Received => viewing(site, &ours.code, false).await?,
            Fresh::Examined => viewing(site, &ours.code, true).await?,
        };
        self.unused.insert(path.to_owned(), made);
        Ok(made)
    }
    /// A call was answered so.
    fn answered(&mut self, path: &str, code: Code) {
        if code == Code::Ok {
            self.unused.remove(path);
        }
    }
}

/// What the cells came to.
#[derive(Default)]
struct Cells {
    all: usize,
    allowed: usize,
    told: usize,
    leaks: Vec<String>,
    withheld: Vec<String>,
}

impl Cells {
    fn add(&mut self, cell: &str, verdict: Verdict) {
        self.all += 1;
        match verdict {
            Verdict::Right { told } => self.told += usize::from(told),
            Verdict::Leak(how) => self.leaks.push(format!("{cell}: {how}")),
            Verdict::Withheld(why) => self.withheld.push(format!("{cell}: {why}")),
        }
    }
}

/// Measures and prints.
pub(super) async fn run(table: &mut Table) -> anyhow::Result<()> {
    let site = Site::start(Some(refusing().await?)).await?;
    // A request of somebody concerned is about a camera that has been reported.
    report_cameras(&site).await?;
    let chief = site.enter(account("chief", v1::Role::Leader, &[])).await?;
    let ours = fill(&site, &chief, OURS).await?;
    fill(&site, &chief, THEIRS).await?;
    let mut callers: BTreeMap<_, SignedIn> = BTreeMap::new();
    for role in Role::ALL {
        for (code, class) in ASKERS {
            let bound = class.map_or("all", PointClass::word);
            let wanted = account(&format!("{}-{code}-{bound}", role.word()), role.into(), &[code]);
            let point_classes = class.iter().map(|class| class.number()).collect();
            let wanted = v1::Account { point_classes, ..wanted };
            callers.insert((role, code, class), site.enter(wanted).await?);
        }
    }
    let began = Instant::now();
    let (calls, mut cells) = (cell::calls(), Cells::default());
    let mut supply = Supply { site: &site, ours: &ours, unused: BTreeMap::new() };
    for path in &calls {
        for role in Role::ALL {
            for (code, class) in ASKERS {
                if class.is_some() && cell::is_of_places(path) {
                    continue;
                }
                let about = ours.asked_by(path, supply.of(path).await?, SystemClock.wall());
                let names = about.is_some();
                let caller = callers.get_mut(&(role, code, class)).context("everyone has an account")?;
                let message = about.unwrap_or_default();
                let (answer, said) = call(&site.api, path, message, Some(&caller.token)).await?;
                supply.answered(path, answer);
                let is_own = code == OURS && class.is_none();
                let verdict = cell::judge(&ours, path, role, is_own, names, answer, &said);
                cells.add(&format!("{path} by {role:?} of {code} and {class:?}: {answer:?}"), verdict);
                cells.allowed += usize::from(cell::may(role, path));
                // Whoever has left comes back for the cells that follow.
                if path.ends_with("/SignOut") && !caller.account.machine {
                    caller.token = site.sign_in(&caller.account.name).await?;
                }
            }
        }
        let message = ours.asked_by(path, 0, SystemClock.wall()).unwrap_or_default();
        let (answer, said) = call(&site.api, path, message, None).await?;
        let verdict = cell::judge_nobody(path, answer, &said);
        cells.add(&format!("{path} by nobody: {answer:?}"), verdict);
    }
    let mut lost = 0;
    for caller in callers.values() {
        let request = caller.asks(v1::GetSelfRequest {})?;
        lost += usize::from(AccountServiceClient::new(site.api.clone()).get_self(request).await.is_err());
    }
    site.stop().await?;
    for line in cells.leaks.iter().chain(&cells.withheld).take(20) {
        eprintln!("{line}");
    }
    table.note(
        "the matrix at a running process: calls × roles × own and another's division and another class, and nobody",
        format!("{} cells, {} allowed, in {:.0} s", cells.all, cells.allowed, began.elapsed().as_secs_f64()),
    );
    table.row("cells that leak", cells.leaks.len().to_string(), "0", cells.leaks.is_empty());
    table.row(
        "cells that withhold what their role may have",
        cells.withheld.len().to_string(),
        "0",
        cells.withheld.is_empty(),
    );
    table.row(
        "cells that tell of their own division",
        cells.told.to_string(),
        &format!(">= {TELL}"),
        cells.told >= TELL,
    );
    table.row("callers who are not signed in at the end of it", lost.to_string(), "0", lost == 0);
    Ok(())
}
