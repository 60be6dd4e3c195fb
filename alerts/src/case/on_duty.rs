//! What the duty rules say about a case: who is to handle it, by which limits, and whom its clock tells. Pure: rules and
//! moment are parameters. They count from the next event on; what a history says it says for ever.

use xueliang_base::{id::DivisionCode, time::Wall};
use xueliang_proto::v1;

use super::{
    Case, Subject,
    clock::{Policy, Stage},
    wire,
};
use crate::duty::{Asked, Duty, Rule};

/// What the rule that is taken says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OnDuty {
    /// The unit that handles it where the dispatcher names none.
    pub unit: Option<String>,
    /// Units that help that one.
    pub assisting: Vec<String>,
    /// Desks that are told when its clock runs out, in turn: the call list, then divisions upwards.
    pub desks: Vec<String>,
    /// Name of the limits that apply; empty: the usual ones.
    pub profile: String,
    /// Whether it is dispatched as soon as it is confirmed, if its level is 1 or 2.
    pub auto_dispatch: bool,
}

fn asked<'a>(policy: &'a Policy, subject: &Subject, at: Wall) -> Asked<'a> {
    let site_zone = policy.calendar.zone().iana_name().unwrap_or("UTC");
    Asked { kind: subject.kind, at, mode: policy.mode, site_zone }
}

/// The divisions of a case from the root down, and those to which it escalates above its own. A division that is not in
/// force has the path that the alert came with.
fn place(duty: &Duty, subject: &Subject, at: Wall) -> (Vec<DivisionCode>, Vec<DivisionCode>) {
    let known = subject.path.last().map(|own| (duty.tree.path(own, at), duty.tree.escalation(own, at)));
    match known {
        Some((path, escalation)) if !path.is_empty() => (path, escalation),
        _ => (subject.path.clone(), subject.path.iter().rev().skip(1).cloned().collect()),
    }
}

fn desk(call: &v1::Call) -> String {
    if call.account.is_empty() { call.unit.clone() } else { format!("{} ({})", call.unit, call.account) }
}

impl OnDuty {
    /// What holds for a case at a moment.
    pub fn of(duty: &Duty, policy: &Policy, subject: &Subject, at: Wall) -> Self {
        let (path, escalation) = place(duty, subject, at);
        let rule = duty.rule_on(asked(policy, subject, at), &path);
        let calls = rule.map(Rule::call_list).unwrap_or_default();
        let up = subject.path.last().into_iter().chain(&escalation).map(ToString::to_string);
        Self {
            unit: rule.map(|rule| rule.lead_unit().to_owned()),
            assisting: rule.map(|rule| rule.assist_units().to_vec()).unwrap_or_default(),
            desks: calls.iter().map(desk).chain(up).collect(),
            profile: rule.map(|rule| rule.limits_profile().to_owned()).unwrap_or_default(),
            auto_dispatch: rule.is_some_and(Rule::auto_dispatch),
        }
    }
}

/// What a dispatch of a case would be filled in with at a moment, and why; `None`: the case is over.
pub(crate) fn prefill(duty: &Duty, policy: &Policy, case: &Case, at: Wall) -> Option<v1::CasePrefill> {
    if !case.state.is_open() {
        return None;
    }
    let subject = &case.subject;
    let on_duty = OnDuty::of(duty, policy, subject, at);
    let (path, escalation) = place(duty, subject, at);
    let resolved = duty.resolve_on(asked(policy, subject, at), &path, escalation);
    let limits = policy.limits(subject.kind, case.level, &on_duty.profile);
    let limit = |stage: Stage| {
        let limit = limits.of(stage).map(wire::limit);
        limit.map(|limit| v1::CaseLimit { stage: wire::stage_number(stage), limit: Some(limit) })
    };
    Some(v1::CasePrefill {
        duty: Some(resolved.told(duty)),
        mode: policy.mode.into(),
        unit: on_duty.unit.unwrap_or_default(),
        assisting_units: on_duty.assisting,
        limits: Stage::ALL.into_iter().filter_map(limit).collect(),
        desks: on_duty.desks,
    })
}
