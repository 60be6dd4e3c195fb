//! `xueliang watch`: a console in the terminal, through the public API.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context;
use clap::Args;
use serde::Serialize;
use xueliang_base::{
    id::DivisionCode,
    kind::{Kind, Level},
    time::Wall,
    wire::word,
};
use xueliang_client::{Event, Watcher};
use xueliang_proto::v1::{
    self, AlertFilter, AlertState, Delivery, SubscribeRequest, subscribe_response::Item,
};

use super::{
    Asked, block_on,
    reach::{Reach, advice},
};

/// Leaving takes no longer, whatever the service does.
const LEAVE_WITHIN: Duration = Duration::from_millis(500);

/// Arguments of `watch`.
#[derive(Debug, Args)]
#[command(
    after_help = "Columns: time of the change, end of the alert's id (as `audit` takes it), level, kind, state, place, count or
reason, age by stage in ms. FIRING is new, firing goes on; a line with + tells of evidence that has come to an alert that
was shown.
A name makes the subscription durable: the service keeps what you acknowledged, and the next `watch` under that name
goes on there. --cursor-file keeps the place in a file of your own instead."
)]
pub struct WatchArgs {
    #[command(flatten)]
    reach: Reach,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
    /// Name of a durable subscription.
    #[arg(long)]
    name: Option<String>,
    /// File that holds the place between runs.
    #[arg(long, conflicts_with = "name")]
    cursor_file: Option<PathBuf>,
    /// Only these divisions and what lies below them.
    #[arg(long)]
    division: Vec<DivisionCode>,
    /// Only these kinds, as FIRE_FLAME.
    #[arg(long)]
    kind: Vec<Kind>,
    /// Only levels from 1 to this.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=4))]
    level: Option<u8>,
    /// IANA zone of the times shown.
    #[arg(long, default_value = "Asia/Shanghai")]
    timezone: String,
    /// End after so many seconds.
    #[arg(long)]
    seconds: Option<u64>,
}

/// What to follow and how to show it.
#[derive(Debug)]
pub struct Follow {
    reach: Reach,
    json: bool,
    name: String,
    cursor_file: Option<PathBuf>,
    filter: AlertFilter,
    timezone: String,
}

impl Follow {
    /// All alerts of the demonstration.
    pub fn of_demo(api: SocketAddr, json: bool) -> Self {
        Self {
            reach: Reach::at(format!("http://{api}")),
            json,
            name: String::new(),
            cursor_file: None,
            filter: AlertFilter::default(),
            timezone: "Asia/Shanghai".to_owned(),
        }
    }
}

/// Follows until Ctrl-C.
pub fn run(args: WatchArgs) -> anyhow::Result<ExitCode> {
    let least = args.level.and_then(|n| Level::try_from(n).ok());
    let filter = AlertFilter {
        divisions: args.division.iter().map(ToString::to_string).collect(),
        kinds: args.kind.iter().map(|kind| kind.number()).collect(),
        least_level: least.map_or(0, |level| i32::from(level.number())),
        ..AlertFilter::default()
    };
    let follow_args = Follow {
        reach: args.reach,
        json: args.json,
        name: args.name.unwrap_or_default(),
        cursor_file: args.cursor_file,
        filter,
        timezone: args.timezone,
    };
    let limit = Duration::from_secs(args.seconds.unwrap_or(u64::MAX / 2));
    block_on(async move {
        let mut asked = Asked::listen()?;
        let enough = async {
            tokio::select! {
                () = asked.wait() => {}
                () = tokio::time::sleep(limit) => {}
            }
        };
        follow(follow_args, enough).await
    })
}

/// Shows events until there are enough, or the service refuses us for good.
pub async fn follow(what: Follow, enough: impl Future<Output = ()>) -> anyhow::Result<ExitCode> {
    let cursor = match &what.cursor_file {
        Some(path) if path.is_file() => {
            fs::read(path).with_context(|| format!("read {}", path.display()))?.into()
        }
        _ => bytes::Bytes::new(),
    };
    let request =
        SubscribeRequest { subscription: what.name, cursor, filter: Some(what.filter), credit: None };
    let api = what.reach.address();
    if !["http://", "https://", "unix:"].iter().any(|scheme| api.starts_with(scheme)) {
        anyhow::bail!(
            "{api:?} is no address of the service: write https://NAME:PORT, http://ADDRESS:PORT or unix:/PATH"
        );
    }
    let mut watcher = Watcher::new(what.reach.connect()?, request, u64::from(std::process::id()));
    let mut out = io::stdout();
    let mut terminal = Terminal::new(&api, &what.timezone);
    let mut enough = std::pin::pin!(enough);
    let mut kept = watcher.cursor().clone();
    loop {
        let mut event = tokio::select! {
            event = watcher.next() => event,
            () = &mut enough => {
                // What was shown a moment ago need not be shown again next time; what cannot be said now is.
                drop(tokio::time::timeout(LEAVE_WITHIN, watcher.acknowledge()).await);
                return Ok(ExitCode::SUCCESS);
            }
        };
        // What the libraries say of a certificate helps nobody at a terminal.
        let known = watcher.trouble().and_then(|trouble| advice(trouble, &api));
        if let (Event::Lost { reason, .. }, Some(known)) = (&mut event, known) {
            *reason = known.replace("{said}", reason);
        }
        let line = if what.json { json_line(&event, &what.timezone)? } else { terminal.line(&event) };
        if let Some(line) = line {
            match writeln!(out, "{line}").and_then(|()| out.flush()) {
                Ok(()) => {}
                // `watch | head` is no error.
                Err(e) if e.kind() == io::ErrorKind::BrokenPipe => return Ok(ExitCode::SUCCESS),
                Err(e) => return Err(e.into()),
            }
        }
        if let (Event::Lost { .. }, Some(status)) = (&event, watcher.refused()) {
            return Err(what.reach.refused(status).context("the service refuses this subscription"));
        }
        watcher.shown(&event);
        if let Some(path) = what.cursor_file.as_ref().filter(|_| *watcher.cursor() != kept) {
            kept.clone_from(watcher.cursor());
            keep(path, &kept).with_context(|| format!("write {}", path.display()))?;
        }
    }
}

/// Puts a place into its file, whole or not at all: beside it first, on disk, then in its stead.
fn keep(path: &Path, cursor: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let mut file = fs::File::create(&beside)?;
    file.write_all(cursor)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(folder)?.sync_all()
}

/// What a terminal shows, and what it has shown.
struct Terminal<'a> {
    api: &'a str,
    timezone: &'a str,
    /// That the service is away has been said.
    away: bool,
    /// Pieces of evidence shown of each active alert.
    evidence: BTreeMap<String, usize>,
}

impl<'a> Terminal<'a> {
    fn new(api: &'a str, timezone: &'a str) -> Self {
        Self { api, timezone, away: false, evidence: BTreeMap::new() }
    }
    fn line(&mut self, event: &Event) -> Option<String> {
        let was_away = std::mem::replace(&mut self.away, matches!(event, Event::Lost { .. }));
        Some(match event {
            Event::Item(Item::Delivery(delivery)) => self.delivery(delivery)?,
            Event::Item(Item::Gap(gap)) if gap.reason() == v1::GapReason::FilterChanged => {
                "-- another filter than before: the active alerts follow, then what came since".to_owned()
            }
            Event::Item(Item::Gap(gap)) => {
                let missed: u64 = gap.missed.iter().map(|count| count.count).sum();
                let known =
                    if gap.counts_known { format!("{missed} records") } else { "some records".to_owned() };
                let why = word(gap.reason().as_str_name(), "GAP_REASON_");
                format!("-- gap: {known} were missed ({why}); the active alerts follow")
            }
            Event::Item(Item::Snapshot(mark)) => {
                if mark.begin { "-- active alerts:" } else { "-- live:" }.to_owned()
            }
            Event::Item(Item::Summary(summary)) => {
                let counts: Vec<_> = summary
                    .counts
                    .iter()
                    .map(|count| format!("{} {}", count.count, kind_word(count.kind)))
                    .collect();
                format!("-- counted instead of shown: {}", counts.join(", "))
            }
            Event::Item(Item::Closed(closed)) => {
                let why = word(closed.reason().as_str_name(), "CLOSE_REASON_");
                format!("-- the service closed the stream: {why}")
            }
            Event::Item(Item::Opened(_)) if was_away => "-- the service is there".to_owned(),
            Event::Item(Item::Opened(_) | Item::Bookmark(_)) => return None,
            Event::Stale if was_away => {
                self.away = true;
                return None;
            }
            Event::Stale => "-- stale: nothing was heard from the service for 3 s".to_owned(),
            Event::Lost { .. } if was_away => return None,
            Event::Lost { reason, .. } => format!("-- waiting for the service at {}: {reason}", self.api),
        })
    }
    /// A state, or a short line where only evidence has come to one that was shown.
    fn delivery(&mut self, delivery: &Delivery) -> Option<String> {
        let alert = delivery.record.as_ref()?.alert.as_ref()?;
        let pieces = alert.evidence.len();
        let before = self.evidence.remove(&alert.alert_id);
        if alert.state() != AlertState::Resolved {
            self.evidence.insert(alert.alert_id.clone(), pieces);
        }
        match before {
            Some(before) if before < pieces && !delivery.in_snapshot => {
                Some(evidence_text(alert, &alert.evidence[before..], self.timezone))
            }
            _ => delivery_text(delivery, self.timezone),
        }
    }
}

fn evidence_word(evidence: &v1::EvidenceRef) -> String {
    let word = word(evidence.kind().as_str_name(), "EVIDENCE_KIND_");
    if evidence.missing_reason.is_empty() { word } else { format!("no {word}") }
}

fn evidence_text(alert: &v1::Alert, new: &[v1::EvidenceRef], timezone: &str) -> String {
    let pieces: Vec<_> = new.iter().map(evidence_word).collect();
    let camera = alert.place.as_ref().map_or("", |place| place.camera_name.as_str());
    let at = Wall(alert.decided_unix_us).rfc3339(timezone);
    let id = end_of(&alert.alert_id);
    format!("{at}  {id}     {:<18} + {} of {camera}", kind_word(alert.kind), pieces.join(", "))
}

/// The last group of an alert's id: 48 random bits, which no two alerts of a town share.
fn end_of(id: &str) -> &str {
    id.rsplit('-').next().unwrap_or(id)
}

fn kind_word(number: i32) -> String {
    Kind::from_number(number).map_or_else(|| format!("kind {number}"), |kind| kind.code().to_owned())
}

fn delivery_text(delivery: &Delivery, timezone: &str) -> Option<String> {
    let record = delivery.record.as_ref()?;
    let alert = record.alert.as_ref()?;
    let place = alert.place.clone().unwrap_or_default();
    let kind = Kind::from_number(alert.kind);
    let state = match alert.state() {
        AlertState::Resolved => "resolved",
        _ if alert.revision == 1 => "FIRING",
        _ => "firing",
    };
    let at =
        if alert.state() == AlertState::Resolved { alert.resolved_unix_us } else { alert.decided_unix_us };
    let zone = if place.zone.is_empty() { String::new() } else { format!(" / {}", place.zone) };
    let mut facts = vec![format!("x{}", alert.count)];
    if alert.confidence > 0.0 {
        facts.push(format!("{:.2}", alert.confidence));
    }
    if !alert.cameras_behind.is_empty() {
        facts.push(format!("{} cameras behind it", alert.cameras_behind.len()));
    }
    let evidence: Vec<_> = alert.evidence.iter().map(evidence_word).collect();
    if !evidence.is_empty() {
        facts.push(evidence.join("+"));
    }
    let mut flags = String::new();
    for (set, word) in [(delivery.late, " LATE"), (delivery.volatile, " VOLATILE"), (alert.drill, " DRILL")] {
        if set {
            flags.push_str(word);
        }
    }
    Some(format!(
        "{}  {}  L{} {:<18} {:<8} {}{zone}  [{}]  {}{flags}",
        Wall(at).rfc3339(timezone),
        end_of(&alert.alert_id),
        alert.level,
        kind.map_or_else(|| kind_word(alert.kind), |kind| kind.code().to_owned()),
        state,
        place.camera_name,
        facts.join(", "),
        ages(delivery, alert),
    ))
}

/// `612 ms = wait 310 + decode 12 + …`
fn ages(delivery: &Delivery, alert: &v1::Alert) -> String {
    if delivery.in_snapshot {
        return String::new();
    }
    let stages: Vec<_> = alert
        .stages
        .iter()
        .chain(delivery.deliver.as_ref())
        .map(|stage| {
            let word = word(stage.stage().as_str_name(), "STAGE_");
            format!("{word} {:.1}", stage.duration_us as f64 / 1000.0)
        })
        .collect();
    format!("{:.0} ms = {}", delivery.age_us as f64 / 1000.0, stages.join(" + "))
}

/// One line of JSON; numbers of the wire, words for enumerations.
#[derive(Debug, Serialize)]
struct JsonLine<'a> {
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    alert: Option<JsonAlert<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gap: Option<JsonGap>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<JsonSummary<'a>>,
    /// Why a stream was closed or lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Until the next try to connect.
    #[serde(skip_serializing_if = "Option::is_none")]
    wait_ms: Option<u128>,
    /// The same in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

/// What was missed.
#[derive(Debug, Serialize)]
struct JsonGap {
    reason: String,
    counts_known: bool,
    /// Records by level, `1` to `4`.
    missed_by_level: BTreeMap<i32, u64>,
    missed: u64,
    /// `null` where it is not known.
    from: Option<String>,
    to: Option<String>,
}

/// Minor alerts that were counted instead of delivered.
#[derive(Debug, Serialize)]
struct JsonSummary<'a> {
    counts: BTreeMap<String, u64>,
    /// For ListAlerts.
    alert_ids: &'a [String],
}

#[derive(Debug, Serialize)]
struct JsonAlert<'a> {
    alert_id: &'a str,
    revision: u64,
    kind: String,
    level: i32,
    state: &'a str,
    camera_id: String,
    camera_name: String,
    division_path: Vec<String>,
    zone: String,
    started: String,
    decided: String,
    resolved: Option<String>,
    count: u64,
    confidence: f32,
    rule: String,
    config_revision: u64,
    evidence: Vec<&'a str>,
    stages_us: BTreeMap<String, u64>,
    age_us: u64,
    late: bool,
    volatile: bool,
    in_snapshot: bool,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    cameras_behind: &'a [String],
}

fn json_line(event: &Event, timezone: &str) -> anyhow::Result<Option<String>> {
    let mut line = JsonLine {
        event: "",
        alert: None,
        gap: None,
        summary: None,
        reason: None,
        wait_ms: None,
        text: None,
    };
    let time = |us: i64| (us != 0).then(|| Wall(us).rfc3339(timezone));
    line.event = match event {
        Event::Item(Item::Delivery(delivery)) => {
            line.alert = json_alert(delivery, timezone);
            "delivery"
        }
        Event::Item(Item::Gap(gap)) => {
            let mut missed_by_level = BTreeMap::new();
            for count in &gap.missed {
                *missed_by_level.entry(count.level).or_default() += count.count;
            }
            line.gap = Some(JsonGap {
                reason: word(gap.reason().as_str_name(), "GAP_REASON_"),
                counts_known: gap.counts_known,
                missed: missed_by_level.values().sum(),
                missed_by_level,
                from: time(gap.from_unix_us),
                to: time(gap.to_unix_us),
            });
            "gap"
        }
        Event::Item(Item::Snapshot(mark)) if mark.begin => "snapshot_begin",
        Event::Item(Item::Snapshot(_)) => "snapshot_end",
        Event::Item(Item::Summary(summary)) => {
            let counts = summary.counts.iter().map(|count| (kind_word(count.kind), count.count)).collect();
            line.summary = Some(JsonSummary { counts, alert_ids: &summary.alert_ids });
            "summary"
        }
        Event::Item(Item::Closed(closed)) => {
            line.reason = Some(word(closed.reason().as_str_name(), "CLOSE_REASON_"));
            "closed"
        }
        Event::Item(Item::Opened(_) | Item::Bookmark(_)) => return Ok(None),
        Event::Stale => "stale",
        Event::Lost { reason, wait } => {
            line.reason = Some(reason.clone());
            line.wait_ms = Some(wait.as_millis());
            "lost"
        }
    };
    if line.alert.is_none() && line.wait_ms.is_none() {
        line.text = Terminal::new("", timezone).line(event);
    }
    Ok(Some(serde_json::to_string(&line)?))
}

fn json_alert<'a>(delivery: &'a Delivery, timezone: &str) -> Option<JsonAlert<'a>> {
    let alert = delivery.record.as_ref()?.alert.as_ref()?;
    let place = alert.place.clone().unwrap_or_default();
    let explanation = alert.explanation.clone().unwrap_or_default();
    Some(JsonAlert {
        alert_id: &alert.alert_id,
        revision: alert.revision,
        kind: kind_word(alert.kind),
        level: alert.level,
        state: alert.state().as_str_name().trim_start_matches("ALERT_STATE_"),
        camera_id: place.camera_id,
        camera_name: place.camera_name,
        division_path: place.division_path,
        zone: place.zone,
        started: Wall(alert.started_unix_us).rfc3339(timezone),
        decided: Wall(alert.decided_unix_us).rfc3339(timezone),
        resolved: (alert.resolved_unix_us != 0).then(|| Wall(alert.resolved_unix_us).rfc3339(timezone)),
        count: alert.count,
        confidence: alert.confidence,
        rule: explanation.rule,
        config_revision: explanation.config_revision,
        evidence: alert
            .evidence
            .iter()
            .filter(|e| e.missing_reason.is_empty())
            .map(|e| e.kind().as_str_name().trim_start_matches("EVIDENCE_KIND_"))
            .collect(),
        stages_us: alert
            .stages
            .iter()
            .chain(delivery.deliver.as_ref())
            .map(|s| (word(s.stage().as_str_name(), "STAGE_"), s.duration_us))
            .collect(),
        age_us: delivery.age_us,
        late: delivery.late,
        volatile: delivery.volatile,
        in_snapshot: delivery.in_snapshot,
        cameras_behind: &alert.cameras_behind,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use xueliang_proto::v1::{Gap, GapReason, KindCount, LevelCount, Summary};

    use super::*;

    fn line(item: Item) -> Value {
        serde_json::from_str(&json_line(&Event::Item(item), "UTC").unwrap().unwrap()).unwrap()
    }

    #[test]
    fn a_program_reads_from_a_gap_what_was_missed() {
        let value = line(Item::Gap(Gap {
            reason: GapReason::ForeignEpoch.into(),
            missed: vec![LevelCount { level: 2, count: 3 }, LevelCount { level: 4, count: 40 }],
            counts_known: true,
            from_unix_us: 0,
            to_unix_us: 1_790_000_000_000_000,
        }));
        assert_eq!(value["event"], "gap");
        let gap = &value["gap"];
        assert_eq!(gap["reason"], "foreign_epoch");
        assert_eq!(gap["missed"], 43);
        assert_eq!(gap["missed_by_level"], json!({ "2": 3, "4": 40 }));
        assert_eq!(gap["from"], Value::Null);
        assert!(gap["to"].as_str().unwrap().starts_with("2026-"));
        assert!(value["text"].as_str().unwrap().contains("43 records"), "{value}");
    }

    #[test]
    fn a_program_reads_from_a_summary_which_alerts_were_counted() {
        let kind = Kind::ImgDark.number();
        let summary = Summary {
            counts: vec![KindCount { kind, count: 2 }],
            alert_ids: vec!["a".to_owned(), "b".to_owned()],
            ..Summary::default()
        };
        let value = line(Item::Summary(summary));
        assert_eq!(value["summary"], json!({ "counts": { "IMG_DARK": 2 }, "alert_ids": ["a", "b"] }));
    }

    #[test]
    fn a_line_names_its_alert_within_the_first_hundred_columns() {
        let alert_id = "0199f3a2-5c1e-7abc-8def-0123456789ab".to_owned();
        let alert = v1::Alert {
            alert_id,
            revision: 1,
            kind: Kind::ZoneIntrusion.number(),
            level: 2,
            state: AlertState::Firing.into(),
            decided_unix_us: 1_790_000_000_000_000,
            count: 3,
            place: Some(v1::Place { camera_name: "East gate".to_owned(), ..v1::Place::default() }),
            evidence: vec![v1::EvidenceRef { kind: v1::EvidenceKind::Still.into(), ..Default::default() }],
            ..v1::Alert::default()
        };
        let record = Some(v1::Record { alert: Some(alert.clone()), ..v1::Record::default() });
        let delivery = Delivery { record, age_us: 612_000, ..Delivery::default() };
        let line = delivery_text(&delivery, "Asia/Shanghai").unwrap();
        let told = line.split("  [").next().unwrap();
        assert!(told.contains("  0123456789ab  L2 ZONE_INTRUSION") && told.len() <= 100, "{line}");
        let line = evidence_text(&alert, &alert.evidence, "Asia/Shanghai");
        assert!(line.contains("  0123456789ab  ") && line.len() <= 100, "{line}");
    }

    #[test]
    fn a_place_is_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cursor");
        keep(&path, b"first, and longer").unwrap();
        keep(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
        // What cannot be written leaves the old one as it is.
        fs::create_dir(folder.path().join("cursor.new")).unwrap();
        assert!(keep(&path, b"third").is_err());
        assert_eq!(fs::read(&path).unwrap(), b"second");
    }
}
