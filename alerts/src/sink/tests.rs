//! Sinks against a receiver that fails in every way, over the real store and gateway.

mod example;
mod tls;

use std::{collections::VecDeque, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinHandle,
};
use xueliang_base::{
    alert::{Alert, Sha256},
    kind::Kind,
    shutdown,
};

use super::*;
use crate::{
    rights::PrincipalKind,
    store::{
        NoticeWay,
        sinks::{LetterQuery, ShareQuery},
    },
    testing::{Bench, alert, critical, minor, next_state},
};

const SECRET: &str = "canary-0123456789abcdef0123456789abcdef";

/// What the receiver does with a request; at the end of its script it takes all.
#[derive(Clone, Copy)]
enum Answer {
    Status(u16),
    Hang,
    Close,
}

/// A receiver on loopback; every request it keeps bears a good signature.
struct Receiver {
    url: Url,
    got: Arc<Mutex<Vec<Value>>>,
    _serving: JoinHandle<()>,
}

impl Receiver {
    async fn with(script: &[Answer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?token=canary", listener.local_addr().unwrap()).parse().unwrap();
        let got = Arc::<Mutex<Vec<Value>>>::default();
        let (kept, script) = (Arc::clone(&got), Arc::new(Mutex::new(VecDeque::from(script.to_vec()))));
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, Arc::clone(&kept), Arc::clone(&script)));
            }
        });
        Self { url, got, _serving: serving }
    }
    /// One behind TLS, that takes all.
    async fn over_tls(acceptor: tokio_rustls::TlsAcceptor) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/hook", listener.local_addr().unwrap()).parse().unwrap();
        let got = Arc::<Mutex<Vec<Value>>>::default();
        let kept = Arc::clone(&got);
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, kept) = (acceptor.clone(), Arc::clone(&kept));
                tokio::spawn(async move {
                    // Who does not trust the certificate goes away.
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream, kept, Arc::default()).await;
                    }
                });
            }
        });
        Self { url, got, _serving: serving }
    }
    /// Alert and revision of each request, in order.
    fn got(&self) -> Vec<(String, u64)> {
        let key = |body: &Value| {
            let alert = &body["alert"];
            (alert["alert_id"].as_str().unwrap().to_owned(), alert["revision"].as_u64().unwrap())
        };
        self.got.lock().unwrap().iter().map(key).collect()
    }
    async fn wait_for(&self, count: usize) {
        until(|| self.got.lock().unwrap().len() >= count).await;
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    got: Arc<Mutex<Vec<Value>>>,
    script: Arc<Mutex<VecDeque<Answer>>>,
) {
    let mut bytes = Vec::new();
    let (head, body) = loop {
        if stream.read_buf(&mut bytes).await.unwrap() == 0 {
            return;
        }
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_lowercase();
        let length: usize = header(&head, "content-length").parse().unwrap();
        if bytes.len() >= end + 4 + length {
            break (head, bytes[end + 4..].to_vec());
        }
    };
    let secret = Secret::of(SECRET.as_bytes()).unwrap();
    assert_eq!(header(&head, "xueliang-signature"), secret.sign(header(&head, "xueliang-timestamp"), &body));
    let parsed: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(header(&head, "xueliang-delivery-id"), parsed["delivery_id"].as_str().unwrap());
    got.lock().unwrap().push(parsed);
    let answer = script.lock().unwrap().pop_front().unwrap_or(Answer::Status(204));
    match answer {
        Answer::Status(code) => {
            let text =
                format!("HTTP/1.1 {code} x\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n");
            stream.write_all(text.as_bytes()).await.unwrap();
        }
        Answer::Hang => std::future::pending().await,
        Answer::Close => {}
    }
}

fn header<'a>(head: &'a str, name: &str) -> &'a str {
    let line = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("no {name} in {head}"))
}

async fn until(mut so: impl FnMut() -> bool) {
    let wait = async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("it never comes");
}

fn spec(bench: &Bench, name: &str, url: &Url) -> SinkSpec {
    let secret_file = bench.folder.path().join("secret");
    std::fs::write(&secret_file, SECRET).unwrap();
    SinkSpec {
        name: name.to_owned(),
        site: "town".to_owned(),
        url: url.clone(),
        networks: vec!["127.0.0.0/8".parse().unwrap()],
        secret_file,
        ca_file: None,
        filter: Filter::default(),
        with_still: false,
        with_cases: false,
    }
}

fn options() -> SinkOptions {
    let ms = Duration::from_millis;
    SinkOptions { wait_from: ms(2), wait_to: ms(10), answer_within: ms(100), ..SinkOptions::default() }
}

/// Running sinks; they have found their places.
struct Running {
    sinks: Sinks,
    stop: shutdown::Stop,
    task: JoinHandle<()>,
}

async fn start(bench: &Bench, specs: Vec<SinkSpec>) -> Running {
    let sinks = Sinks::new(bench.bus.clone(), specs, options());
    let (stop, stopping) = shutdown::pair();
    let own = sinks.clone();
    let task = tokio::spawn(async move { own.run(stopping).await });
    until(|| sinks.all().iter().all(|one| one.counts().place.is_some())).await;
    Running { sinks, stop, task }
}

impl Running {
    async fn stop(self) {
        self.stop.ask();
        self.task.await.unwrap();
    }
}

async fn letters(bench: &Bench) -> Vec<v1::DeadLetter> {
    let query = LetterQuery { with_settled: true, limit: 1000, ..LetterQuery::default() };
    bench.bus.store().list_letters(query).await.unwrap()
}

async fn shares(bench: &Bench) -> Vec<v1::Share> {
    let query = ShareQuery { limit: 1000, ..ShareQuery::default() };
    let mut shares = bench.bus.store().list_shares(query).await.unwrap();
    shares.reverse();
    shares
}

#[tokio::test]
async fn what_a_sink_does_not_take_is_sent_again_until_it_does_and_in_order() {
    let bench = Bench::new();
    let script = [Answer::Status(500), Answer::Close, Answer::Hang, Answer::Status(429)];
    let receiver = Receiver::with(&script).await;
    let running = start(&bench, vec![spec(&bench, "city", &receiver.url)]).await;
    let first = critical();
    let second = next_state(&first);
    bench.commit(&[first.clone(), second]).await;
    let id = first.id.to_string();
    until(|| running.sinks.counts("city").unwrap().taken == 2).await;
    let want: Vec<_> = [1, 1, 1, 1, 1, 2].map(|revision| (id.clone(), revision)).into();
    assert_eq!(receiver.got(), want);
    let statuses: Vec<_> = shares(&bench).await.iter().map(|one| one.status).collect();
    assert_eq!(statuses, [500, 0, 0, 429, 204, 204], "each sending stands in the ledger");
    assert_eq!(running.sinks.lag("city").await.unwrap(), Lag::default());
    running.stop().await;
}

#[tokio::test]
async fn a_refusal_or_redirect_is_a_dead_letter_and_later_alerts_go_on() {
    let bench = Bench::new();
    let receiver = Receiver::with(&[Answer::Status(410), Answer::Status(302)]).await;
    let running = start(&bench, vec![spec(&bench, "city", &receiver.url)]).await;
    bench.commit(&[critical(), critical(), critical()]).await;
    until(|| running.sinks.counts("city").unwrap().taken == 1).await;
    let dead = letters(&bench).await;
    let faults: Vec<_> = dead.iter().map(v1::DeadLetter::fault).collect();
    assert_eq!(faults, [v1::ShareFault::Redirect, v1::ShareFault::Refused]);
    let operator = Principal::new("boss", PrincipalKind::Operator);
    assert_eq!(running.sinks.retry("city", vec![dead[0].letter_id], &operator).await.unwrap(), 1);
    receiver.wait_for(4).await;
    until(|| running.sinks.counts("city").unwrap().taken == 2).await;
    let states: Vec<_> = letters(&bench).await.iter().map(v1::DeadLetter::state).collect();
    assert_eq!(states, [v1::DeadLetterState::Settled, v1::DeadLetterState::Dead]);
    assert_eq!(running.sinks.dead_letters("city").await.unwrap(), 1);
    running.stop().await;
}

#[tokio::test]
async fn a_hanging_sink_delays_no_other_and_loses_nothing_over_a_restart() {
    let bench = Bench::new();
    let (stuck, well) = (Receiver::with(&[Answer::Hang; 1000]).await, Receiver::with(&[]).await);
    let specs = vec![spec(&bench, "stuck", &stuck.url), spec(&bench, "well", &well.url)];
    let running = start(&bench, specs).await;
    let alerts: Vec<_> = (0..20).map(|index| if index % 2 == 0 { critical() } else { minor() }).collect();
    bench.commit(&alerts).await;
    well.wait_for(20).await;
    stuck.wait_for(1).await;
    assert_eq!(running.sinks.lag("stuck").await.unwrap().waiting, 20);
    running.stop().await;

    let bench = bench.reopen().await;
    let healed = Receiver::with(&[]).await;
    let running = start(&bench, vec![spec(&bench, "stuck", &healed.url)]).await;
    until(|| running.sinks.counts("stuck").unwrap().taken == 20).await;
    let mut got: Vec<_> = healed.got().into_iter().map(|(alert, _)| alert).collect();
    let levels: Vec<_> =
        healed.got.lock().unwrap().iter().map(|body| body["alert"]["level"].clone()).collect();
    assert!(levels.is_sorted_by_key(Value::as_i64), "the urgent ones first: {levels:?}");
    got.sort();
    let mut want: Vec<_> = alerts.iter().map(|alert| alert.id.to_string()).collect();
    want.sort();
    assert_eq!(got, want);
    running.stop().await;
}

#[tokio::test]
async fn a_still_goes_once_an_alert_through_the_register_and_the_ledger() {
    let bench = Bench::new();
    let receiver = Receiver::with(&[]).await;
    let with_still = SinkSpec { with_still: true, ..spec(&bench, "city", &receiver.url) };
    let running = start(&bench, vec![with_still]).await;
    let first = critical();
    bench.commit(std::slice::from_ref(&first)).await;
    receiver.wait_for(1).await;
    let jpeg = bytes::Bytes::from_static(b"redacted");
    let facts = v1::EvidenceRef {
        kind: v1::EvidenceKind::Still.into(),
        sha256: Sha256::of(&jpeg).to_string(),
        size_bytes: jpeg.len() as u64,
        redacted: true,
        start_unix_us: 1,
        end_unix_us: 1,
        ..v1::EvidenceRef::default()
    };
    assert_eq!(bench.bus.evidence().put(first.id, facts, jpeg).await.unwrap(), None);
    let second = next_state(&first);
    bench.commit(&[second.clone(), next_state(&second)]).await;
    until(|| running.sinks.counts("city").unwrap().taken == 3).await;
    let stills: Vec<_> = receiver.got.lock().unwrap().iter().map(|body| body["still"].is_object()).collect();
    assert_eq!(stills, [false, true, false]);
    let contents: Vec<_> = shares(&bench).await.iter().map(v1::Share::content).collect();
    assert_eq!(contents[1], v1::ShareContent::MetadataAndRedactedStill);
    let register =
        bench.bus.store().list_register(crate::store::RegisterQuery { limit: 10, ..Default::default() });
    let register = register.await.unwrap();
    assert_eq!(register.len(), 1);
    assert_eq!((register[0].principal.as_str(), register[0].purpose()), ("sink:city", v1::Purpose::Share));
    running.stop().await;
}

#[tokio::test]
async fn a_report_is_kept_once_under_its_key() {
    let bench = Bench::new();
    let alert = critical();
    bench.commit(std::slice::from_ref(&alert)).await;
    let state = v1::ExternalState {
        alert_id: alert.id.to_string(),
        system: "city".to_owned(),
        stage: v1::ExternalStage::Accepted.into(),
        at_unix_us: 1,
        principal: "p".to_owned(),
        ..v1::ExternalState::default()
    };
    let report = |state: &v1::ExternalState| bench.bus.store().report_external(state.clone(), "k".to_owned());
    let (kept, duplicate) = report(&state).await.unwrap();
    assert!(!duplicate);
    bench.clock.advance(Duration::from_secs(5));
    assert_eq!(report(&state).await.unwrap(), (kept.clone(), true));
    let other = v1::ExternalState { stage: v1::ExternalStage::Done.into(), ..state };
    assert!(matches!(report(&other).await, Err(Error::Conflict(_))));
    assert_eq!(bench.bus.store().list_external(alert.id).await.unwrap(), [kept]);
}

#[tokio::test]
async fn a_desk_that_is_told_of_a_case_is_told_outside_too_until_that_is_taken() {
    let bench = Bench::new();
    // The first three are alerts.
    let script = [204, 204, 204, 503].map(Answer::Status);
    let receiver = Receiver::with(&[&script[..], &[Answer::Close]].concat()).await;
    let none = Filter { kinds: vec![Kind::FireFlame.number()], ..Filter::default() };
    let told = SinkSpec { with_cases: true, filter: none, ..spec(&bench, "sms", &receiver.url) };
    let deaf = spec(&bench, "wall", &receiver.url);
    let running = start(&bench, vec![told, deaf]).await;
    let sms = NoticeWay { sink: "sms".to_owned(), critical: true };
    assert_eq!(bench.bus.store().case_notice_place(sms.clone()).await.unwrap(), 0);
    let (severe, other) = (critical(), alert(Kind::PersonDown, 2));
    bench.commit(&[severe.clone(), other]).await;
    receiver.wait_for(3).await;
    bench.clock.advance(Duration::from_secs(60));
    bench.bus.tick_cases().await;
    receiver.wait_for(6).await;
    until(|| running.sinks.counts("sms").unwrap().notices_taken == 1).await;
    let notices: Vec<Value> = {
        let got = receiver.got.lock().unwrap();
        got.iter().filter(|one| one["schema"] == CASE_SCHEMA).cloned().collect()
    };
    assert_eq!(notices.len(), 3, "sent until it was taken, and what its filter does not want is not");
    for one in &notices {
        assert_eq!((&one["what"], &one["sink"]), (&"escalated".into(), &"sms".into()));
        assert_eq!(one["escalation"]["cause"], "not_displayed");
        assert_eq!(one["case"]["alert_id"], severe.id.to_string());
        assert_eq!(one["delivery_id"], notices[0]["delivery_id"]);
    }
    // That it was taken is counted before it is kept.
    let sent = async || {
        let ledger = shares(&bench).await;
        let sent = ledger.iter().filter(|one| one.content() == v1::ShareContent::Case);
        sent.map(|one| (one.status, one.attempt)).collect::<Vec<_>>()
    };
    while sent().await.len() < 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(sent().await, [(503, 1), (0, 2), (204, 3)], "each sending stands in the ledger");
    running.stop().await;
    // Nothing is told again in the next life.
    let bench = bench.reopen().await;
    let place = bench.bus.store().case_notice_place(sms.clone()).await.unwrap();
    let (next, _) = bench.bus.store().next_case_notice(Arc::default(), place).await.unwrap();
    assert!(next.is_none_or(|next| next.case.subject.alert != Some(severe.id)));
}

#[tokio::test]
async fn a_notice_that_is_not_taken_delays_no_call_for_help() {
    let bench = Bench::new();
    // What is minor is refused for the time being, over and over.
    let stubborn = Receiver::with(&[Answer::Status(503); 5000]).await;
    let minor = SinkSpec { with_cases: true, ..spec(&bench, "sms", &stubborn.url) };
    let running = start(&bench, vec![minor]).await;
    let (late, severe) = (alert(Kind::ExposedGarbage, 4), critical());
    bench.commit(std::slice::from_ref(&late)).await;
    bench.clock.advance(Duration::from_secs(3600));
    bench.bus.tick_cases().await;
    let told = |alert: &Alert| {
        let got = stubborn.got.lock().unwrap();
        got.iter().any(|one| one["schema"] == CASE_SCHEMA && one["case"]["alert_id"] == alert.id.to_string())
    };
    until(|| told(&late)).await;
    bench.commit(std::slice::from_ref(&severe)).await;
    bench.clock.advance(Duration::from_secs(61));
    bench.bus.tick_cases().await;
    until(|| told(&severe)).await;
    assert_eq!(running.sinks.counts("sms").unwrap().notices_taken, 0, "neither was taken");
    running.stop().await;
}
