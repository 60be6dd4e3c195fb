//! Answers the bus's questions about what a camera did: asks the looks task, and puts its answer on the wire.

use tokio::sync::{mpsc, oneshot};
use tonic::transport::Channel;
use tracing::debug;
use xueliang_base::{
    gate::WakeReason,
    id::{CameraId, NodeId},
    look::{LookKind, NotLooked},
    time::{Mono, Wall, micros},
};
use xueliang_inference::explain::{
    Arriving, Explained, ExplainedIncident, ExplainedRule, LookFor, LooksTaken, Said, Stretch, Times,
    Unexplained, VerdictKind, Vigil, Watch,
};
use xueliang_proto::v1::{self, ExplainRefusal, node_service_client::NodeServiceClient};

use super::{
    looks::{ExplainAsk, Order, Told, Untold},
    wire,
};

/// Stretches of a list on the wire.
const MOST: usize = 256;

/// Answers one question. The bus asks few at once, and drops answers that come too late.
pub async fn answer(node: NodeId, channel: Channel, looks: mpsc::Sender<Order>, asked: v1::ExplainQuestion) {
    let mut answer = v1::AnswerExplainRequest {
        node_id: node.to_string(),
        question_id: asked.question_id,
        ..v1::AnswerExplainRequest::default()
    };
    match explain(&looks, asked.request.unwrap_or_default()).await {
        Ok(camera) => answer.camera = Some(camera),
        Err((refusal, message)) => {
            answer.set_refusal(refusal);
            answer.message = message;
        }
    }
    if let Err(status) = NodeServiceClient::new(channel).answer_explain(answer).await {
        debug!(%status, "the bus took no explanation");
    }
}

async fn explain(
    looks: &mpsc::Sender<Order>,
    request: v1::ExplainRequest,
) -> Result<v1::ExplainedCamera, (ExplainRefusal, String)> {
    let camera: CameraId = request
        .camera_id
        .parse()
        .map_err(|fault| (ExplainRefusal::Invalid, format!("camera_id: {fault}")))?;
    let (reply, told) = oneshot::channel();
    let (from, to) = (Wall(request.from_unix_us), Wall(request.to_unix_us));
    let gone = || (ExplainRefusal::Busy, "the node is starting or stopping: ask again".to_owned());
    looks.send(Order::Explain(ExplainAsk { camera, from, to, reply })).await.map_err(|_| gone())?;
    match told.await.map_err(|_| gone())? {
        Ok(told) => Ok(to_wire(&told)),
        Err(untold) => {
            let refusal = match &untold {
                Untold::UnknownCamera(_) => ExplainRefusal::UnknownCamera,
                Untold::Busy => ExplainRefusal::Busy,
                Untold::Unexplained(Unexplained::Empty | Unexplained::TooLong) => ExplainRefusal::Invalid,
                Untold::Unexplained(Unexplained::Outside { .. }) => ExplainRefusal::Outside,
            };
            Err((refusal, untold.to_string()))
        }
    }
}

/// What a camera did, on the wire.
pub fn to_wire(told: &Told) -> v1::ExplainedCamera {
    let Told { camera, revision, explained } = told;
    let mut writer = Writer { explained, left_out: 0 };
    let rules = explained.rules.iter().map(|rule| writer.rule(rule)).collect();
    let times = &explained.times;
    v1::ExplainedCamera {
        camera_id: camera.id.to_string(),
        name: camera.name.clone(),
        timezone: times.zone.clone(),
        config_revision: revision.0,
        known_from_unix_us: times.wall(explained.known.0).0,
        known_to_unix_us: times.wall(explained.known.1).0,
        clock_set_us: explained.clock_set_us.unwrap_or(0),
        looks: explained.looks.iter().map(|looks| looks_to_wire(looks, times)).collect(),
        missed: explained
            .missed
            .iter()
            .map(|missed| v1::ExplainedMiss {
                reason: v1::NotLooked::from(missed.reason).into(),
                times: missed.times,
                failed: missed.failed,
                lasted_us: micros(missed.lasted),
            })
            .collect(),
        watch: writer.stretches(&explained.watch, |part, times| {
            let (said, reason) = match part.what {
                Watch::Untold => (v1::Said::Unspecified, None),
                Watch::Looked => (v1::Said::Seen, None),
                Watch::Missed(reason) => (v1::Said::NotLooked, Some(reason)),
            };
            stretch(part, times, said, reason)
        }),
        signal: writer.stretches(&explained.signal, |part, times| v1::ExplainedSignal {
            from_unix_us: times.wall(part.from).0,
            to_unix_us: times.wall(part.to).0,
            signal: signal(part.what).into(),
        }),
        picture: writer.stretches(&explained.picture, |part, times| v1::ExplainedPicture {
            from_unix_us: times.wall(part.from).0,
            to_unix_us: times.wall(part.to).0,
            known: part.what.is_some(),
            troubles: part.what.map(wire::troubles_to_wire).unwrap_or_default(),
        }),
        vigil: writer.stretches(&explained.vigil, |part, times| v1::ExplainedVigil {
            from_unix_us: times.wall(part.from).0,
            to_unix_us: times.wall(part.to).0,
            vigil: part.what.map_or(v1::Vigil::Unspecified, vigil).into(),
        }),
        wakes: explained
            .wakes
            .iter()
            .map(|woken| v1::ExplainedWake {
                reason: woken_by(woken.reason).into(),
                times: woken.times,
                last_unix_us: times.wall(woken.last).0,
            })
            .collect(),
        rules,
        stretches_left_out: writer.left_out,
    }
}

fn looks_to_wire(looks: &LooksTaken, times: &Times) -> v1::ExplainedLooks {
    let mut told = v1::ExplainedLooks {
        count: looks.count,
        interval_p50_us: micros(looks.interval.p50),
        interval_most_us: micros(looks.interval.most),
        age_p50_us: micros(looks.age.p50),
        age_most_us: micros(looks.age.most),
        last_unix_us: times.wall(looks.last).0,
        ..v1::ExplainedLooks::default()
    };
    told.set_kind(match looks.kind {
        LookKind::Keyframe => v1::ExplainedLookKind::Keyframe,
        LookKind::Continued => v1::ExplainedLookKind::Continued,
    });
    told.set_purpose(match looks.purpose {
        LookFor::Floor => v1::LookPurpose::Floor,
        LookFor::Rest => v1::LookPurpose::Rest,
        LookFor::Glance => v1::LookPurpose::Glance,
        LookFor::Stirred => v1::LookPurpose::Stirred,
        LookFor::Watch => v1::LookPurpose::Watch,
        LookFor::Decide => v1::LookPurpose::Decide,
    });
    told
}

fn vigil(vigil: Vigil) -> v1::Vigil {
    match vigil {
        Vigil::Resting => v1::Vigil::Resting,
        Vigil::Watching => v1::Vigil::Watching,
        Vigil::Confirming => v1::Vigil::Confirming,
    }
}

fn woken_by(reason: WakeReason) -> v1::WakeReason {
    match reason {
        WakeReason::Moving => v1::WakeReason::Moving,
        WakeReason::Global => v1::WakeReason::Global,
        WakeReason::Staying => v1::WakeReason::Staying,
        WakeReason::Kept => v1::WakeReason::Kept,
    }
}

fn signal(what: Arriving) -> v1::Signal {
    match what {
        Arriving::Untold => v1::Signal::Unspecified,
        Arriving::Units => v1::Signal::Streaming,
        Arriving::Silent(NotLooked::Connecting) => v1::Signal::Connecting,
        Arriving::Silent(NotLooked::Stalled) => v1::Signal::Stalled,
        Arriving::Silent(NotLooked::ExpectedOff) => v1::Signal::ExpectedOff,
        Arriving::Silent(NotLooked::NotConnected) => v1::Signal::NotConnected,
        Arriving::Silent(_) => v1::Signal::Offline,
    }
}

fn stretch<T>(
    part: &Stretch<T>,
    times: &Times,
    said: v1::Said,
    reason: Option<NotLooked>,
) -> v1::ExplainedStretch {
    v1::ExplainedStretch {
        from_unix_us: times.wall(part.from).0,
        to_unix_us: times.wall(part.to).0,
        said: said.into(),
        reason: reason.map_or(v1::NotLooked::Unspecified, v1::NotLooked::from).into(),
        looks: part.looks,
        seen: part.seen,
    }
}

struct Writer<'a> {
    explained: &'a Explained,
    left_out: u64,
}

impl Writer<'_> {
    /// A list that is too long keeps its longest stretches.
    fn stretches<T, W>(
        &mut self,
        parts: &[Stretch<T>],
        mut write: impl FnMut(&Stretch<T>, &Times) -> W,
    ) -> Vec<W> {
        let mut kept: Vec<&Stretch<T>> = parts.iter().collect();
        if kept.len() > MOST {
            self.left_out += (kept.len() - MOST) as u64;
            kept.sort_by_key(|part| std::cmp::Reverse(part.lasts()));
            kept.truncate(MOST);
            kept.sort_by_key(|part| part.from);
        }
        kept.into_iter().map(|part| write(part, &self.explained.times)).collect()
    }

    fn rule(&mut self, told: &ExplainedRule) -> v1::ExplainedRule {
        let explained = self.explained;
        let wall = |at: Option<Mono>| at.map_or(0, |at| explained.times.wall(at).0);
        let said = self.stretches(&told.said, |part, times| {
            let (said, reason) = match part.what {
                Said::Nothing => (v1::Said::Unspecified, None),
                Said::Seen => (v1::Said::Seen, None),
                Said::NotSeen => (v1::Said::NotSeen, None),
                Said::NotLooked(reason) => (v1::Said::NotLooked, Some(reason)),
                Said::Unwatched => (v1::Said::Unwatched, None),
                Said::Rested => (v1::Said::Rested, None),
            };
            stretch(part, times, said, reason)
        });
        let mut rule = v1::ExplainedRule {
            rule: told.rule.id.to_string(),
            zone: told.rule.zone.as_ref().map(ToString::to_string).unwrap_or_default(),
            text: told.verdict.text.clone(),
            text_zh: told.verdict.text_zh.clone(),
            blind_max_us: micros(told.rule.blind_max),
            at_rest_us: micros(told.at_rest),
            dwell_us: micros(told.timing.dwell),
            max_gap_us: micros(told.timing.max_gap),
            seen: told.seen,
            not_seen: told.not_seen,
            untold: told.untold,
            not_looked: told
                .not_looked
                .iter()
                .map(|(reason, times)| v1::ExplainedMiss {
                    reason: v1::NotLooked::from(*reason).into(),
                    times: *times,
                    ..v1::ExplainedMiss::default()
                })
                .collect(),
            said,
            longest_gap_from_unix_us: wall(told.longest_gap.map(|gap| gap.0)),
            longest_gap_to_unix_us: wall(told.longest_gap.map(|gap| gap.1)),
            floor_broken: told.floor_broken,
            nearest: told.nearest.map(|nearest| v1::ExplainedNearest {
                at_unix_us: wall(Some(nearest.at)),
                watched_us: micros(nearest.watched),
                seen_us: micros(nearest.seen),
                share: nearest.share.unwrap_or(0.0),
            }),
            missed: told
                .missed
                .iter()
                .map(|missed| v1::ExplainedThreshold {
                    kind: v1::ThresholdKind::from(missed.kind).into(),
                    best: missed.best,
                    needed: missed.needed,
                    at_unix_us: wall(Some(missed.at)),
                })
                .collect(),
            elsewhere: told.elsewhere,
            cooling_unix_us: wall(told.cooling),
            incidents: told.incidents.iter().map(|one| incident(one, &wall)).collect(),
            ..v1::ExplainedRule::default()
        };
        rule.set_kind(told.rule.kind.into());
        rule.set_verdict(match told.verdict.kind {
            VerdictKind::CannotSay => v1::ExplainedVerdict::Unspecified,
            VerdictKind::Alert => v1::ExplainedVerdict::Alert,
            VerdictKind::Cooldown => v1::ExplainedVerdict::Cooldown,
            VerdictKind::NotConfirmed => v1::ExplainedVerdict::NotConfirmed,
            VerdictKind::CouldNotLook => v1::ExplainedVerdict::CouldNotLook,
            VerdictKind::Rested => v1::ExplainedVerdict::Rested,
            VerdictKind::NotSeen => v1::ExplainedVerdict::NotSeen,
        });
        rule
    }
}

fn incident(one: &ExplainedIncident, wall: &impl Fn(Option<Mono>) -> i64) -> v1::ExplainedIncident {
    let mut incident = v1::ExplainedIncident {
        started_unix_us: one.started.0,
        raised_unix_us: wall(one.raised),
        resolved_unix_us: wall(one.resolved.map(|(at, _)| at)),
        looks: one.looks,
        best_score: one.best,
        ..v1::ExplainedIncident::default()
    };
    if let Some((_, why)) = one.resolved {
        incident.set_resolution(why.into());
    }
    incident
}
