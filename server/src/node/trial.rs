//! Answers the bus's questions what would have come of other rules: asks the looks task, and puts its answer on the wire.

use tokio::sync::{mpsc, oneshot};
use tonic::transport::Channel;
use tracing::debug;
use xueliang_base::{
    config::CameraRules,
    id::{CameraId, NodeId},
};
use xueliang_inference::trial::{Trial, Tried, TriedIncident};
use xueliang_proto::v1::{self, ExplainRefusal, node_service_client::NodeServiceClient};

use super::looks::{Compared, Order, TrialAsk, Untold};

/// Answers one question. The bus asks few at once, and drops answers that come too late.
pub async fn answer(node: NodeId, channel: Channel, looks: mpsc::Sender<Order>, asked: v1::TrialQuestion) {
    let mut answer = v1::AnswerTrialRequest {
        node_id: node.to_string(),
        question_id: asked.question_id,
        ..v1::AnswerTrialRequest::default()
    };
    match try_rules(&looks, &asked.camera_id, &asked.rules.unwrap_or_default()).await {
        Ok(compared) => answer.trial = Some(to_wire(&compared)),
        Err((refusal, message)) => {
            answer.set_refusal(refusal);
            answer.message = message;
        }
    }
    if let Err(status) = NodeServiceClient::new(channel).answer_trial(answer).await {
        debug!(%status, "the bus took no trial");
    }
}

async fn try_rules(
    looks: &mpsc::Sender<Order>,
    camera: &str,
    rules: &v1::CameraRules,
) -> Result<Compared, (ExplainRefusal, String)> {
    let invalid = |message: String| (ExplainRefusal::Invalid, message);
    let camera: CameraId = camera.parse().map_err(|fault| invalid(format!("camera_id: {fault}")))?;
    let rules = CameraRules::try_from(rules).map_err(|error| invalid(error.to_string()))?;
    let (reply, told) = oneshot::channel();
    let gone = || (ExplainRefusal::Busy, "the node is starting or stopping: ask again".to_owned());
    looks.send(Order::Try(TrialAsk { camera, rules, reply })).await.map_err(|_| gone())?;
    told.await.map_err(|_| gone())?.map_err(|untold| {
        let refusal = match untold {
            Untold::UnknownCamera(_) => ExplainRefusal::UnknownCamera,
            Untold::Busy | Untold::Unexplained(_) => ExplainRefusal::Busy,
        };
        (refusal, untold.to_string())
    })
}

/// What came of a trial, on the wire.
pub fn to_wire(compared: &Compared) -> v1::TryCameraRulesResponse {
    let Compared { tried, in_force, revision } = compared;
    let rules = |trial: &Trial| trial.rules.iter().map(rule).collect();
    v1::TryCameraRulesResponse {
        from_unix_us: tried.between.map_or(0, |(from, _)| from.0),
        to_unix_us: tried.between.map_or(0, |(_, to)| to.0),
        looks: tried.looks,
        missed: tried.missed,
        tried: rules(tried),
        in_force: rules(in_force),
        config_revision: revision.0,
    }
}

fn rule(tried: &Tried) -> v1::TriedRule {
    let missed = tried
        .missed
        .iter()
        .map(|(reason, times)| v1::TriedMiss { reason: v1::NotLooked::from(*reason).into(), times: *times });
    v1::TriedRule {
        rule_id: tried.rule.to_string(),
        kind: v1::Kind::from(tried.kind).into(),
        seen: tried.seen,
        not_seen: tried.not_seen,
        missed: missed.collect(),
        incidents: tried.incidents.iter().map(incident).collect(),
        left_out: tried.left_out,
        silent: tried.silent,
    }
}

fn incident(one: &TriedIncident) -> v1::TriedIncident {
    v1::TriedIncident {
        started_unix_us: one.started.0,
        raised_unix_us: one.raised.0,
        resolved_unix_us: one.resolved.map_or(0, |at| at.0),
        level: v1::Level::from(one.level).into(),
        score: one.score,
    }
}
