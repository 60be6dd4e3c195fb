//! What is offered is what is done: no more and no less.

use prost::Message as _;
use xueliang_proto::v1::{CaseAct, CaseBarrier};

use super::{
    super::may::{barred, may},
    *,
};
use crate::rights::Right;

/// The number of an action in the protocol: that of its field.
fn number_of(told: &Told, action: &Action) -> i32 {
    let event = Event {
        at: NOW,
        actor: Actor::system(),
        action: action.clone(),
        note: String::new(),
        timers: told.case.timers.clone(),
        state: told.case.state,
    };
    let bytes = event.to_wire(1).action.unwrap().encode_to_vec();
    let key = prost::encoding::decode_varint(&mut bytes.as_slice()).unwrap();
    i32::try_from(key >> 3).unwrap()
}

#[test]
fn acts_have_the_numbers_and_names_of_the_actions_in_the_protocol() {
    let set = prost_types::FileDescriptorSet::decode(xueliang_proto::FILE_DESCRIPTOR_SET).unwrap();
    let mut messages = set.file.iter().flat_map(|file| &file.message_type);
    let action = messages.find(|one| one.name() == "CaseAction").unwrap();
    assert!(action.field.len() > 30);
    for field in &action.field {
        let act = CaseAct::try_from(field.number()).unwrap();
        assert_eq!(act.as_str_name(), format!("CASE_ACT_{}", field.name().to_uppercase()));
    }
    assert!(CaseAct::try_from(i32::try_from(action.field.len()).unwrap() + 1).is_err());
}

#[test]
fn what_is_offered_is_what_is_done_in_every_state_by_everybody() {
    let mut offered_somewhere = BTreeSet::new();
    let callers = [
        ("jan", "desk", vec![Right::Judge]),
        ("dora", "desk", vec![Right::Dispatch]),
        ("hugo", "brigade", vec![Right::Handle]),
        ("olaf", "water", vec![Right::Handle]),
        ("vera", "desk", vec![Right::Verify, Right::Supervise]),
        ("lea", "desk", vec![Right::Lead, Right::SetExtreme, Right::HoldEvidence]),
        ("nobody", "desk", Vec::new()),
        // All at once: what is left are the rules of 采办分离.
        ("dora", "brigade", Principal::new("", PrincipalKind::Operator).rights.into_iter().collect()),
    ];
    let mut cases: Vec<Told> = State::ALL.into_iter().map(at_state).collect();
    cases.push(Told::alert(Kind::FireLaneBlocked, 3).did(&[("jan@desk", Action::Claim(later(1)))]));
    cases.push(Told::alert(Kind::FireLaneBlocked, 3).did(&[("eva@desk", Action::Claim(later(1)))]));
    cases.push(Told::alert(Kind::FireFlame, 2).did(&[("the clock", ended(NOW))]));
    cases.push(Told::alert(Kind::FireLaneBlocked, 3).did(&[("the clock", ended(NOW))]));
    cases.push(at_state(State::Handling).did(&[("hugo@brigade", Action::AskSuspension(later(48)))]));
    cases.push(Told::open(
        3,
        Subject { owner: Owner::External, ..subject(Kind::FireFlame, 2) },
        Actor::system(),
    ));
    for told in &cases {
        for (name, unit, rights) in &callers {
            let mut caller = Principal::new(*name, PrincipalKind::Operator);
            caller.unit = Some((*unit).to_owned());
            caller.rights = rights.iter().copied().collect();
            let offered: BTreeSet<i32> = may(&told.case, &caller, NOW).into_iter().map(i32::from).collect();
            let mut done = BTreeSet::new();
            let extreme = Action::Regrade(Level::EXTREME);
            let leader = Action::Supervise(v1::Supervision::Leader);
            for mut action in all_actions().into_iter().chain([extreme, leader]) {
                // Which unit may be asked is a matter of which one is named.
                if let Action::Dispatch(unit, _) = &mut action {
                    "elsewhere".clone_into(unit);
                }
                let allowed = action.rights().iter().any(|right| caller.may(*right));
                // The claim of nobody is released to no effect, and not offered.
                let idle = action == Action::Release && told.case.claimed(NOW).is_none();
                let actor = Actor::of(&caller);
                let result = act(
                    Some(&told.case),
                    actor,
                    action.clone(),
                    "as agreed",
                    NOW,
                    &policy(),
                    &OnDuty::default(),
                );
                if allowed && !idle && result.is_ok() {
                    done.insert(number_of(told, &action));
                }
            }
            let state = told.case.state;
            assert_eq!(offered, done, "{name} of {unit}, {state}");
            for one in barred(&told.case, &caller, NOW) {
                assert!(!offered.contains(&one.act), "{name} of {unit}, {state}: {one:?} is offered, too");
                assert_ne!(one.why(), CaseBarrier::Unspecified, "{one:?}");
            }
            offered_somewhere.extend(offered);
        }
    }
    // The clock's own and other systems' are offered to nobody; everything else to somebody.
    assert_eq!(offered_somewhere.len(), 30, "{offered_somewhere:?}");
}

#[test]
fn whoever_may_not_lead_a_case_on_is_told_what_would_and_why_not() {
    let all: Vec<Right> = Principal::new("", PrincipalKind::Operator).rights.into_iter().collect();
    let nothing = &[][..];
    let claimed = Told::alert(Kind::FireFlame, 2).did(&[("jan@desk", Action::Claim(later(1)))]);
    let external =
        Told::open(3, Subject { owner: Owner::External, ..subject(Kind::FireFlame, 2) }, Actor::system())
            .did(&[("jan@desk", Action::Confirm)]);
    for (told, who, rights, wanted) in [
        // The same account has dispatched, handled or checked; or its unit has.
        (at_state(State::Feedback), "dora@desk", &all[..], &[(CaseAct::TakeUp, CaseBarrier::Separation)][..]),
        (
            at_state(State::Feedback),
            "carl@brigade",
            &all[..],
            &[(CaseAct::TakeUp, CaseBarrier::Separation)][..],
        ),
        (
            at_state(State::Reopened),
            "vera@desk",
            &all[..],
            &[(CaseAct::Dispatch, CaseBarrier::Separation)][..],
        ),
        (at_state(State::Feedback), "vera@desk", &all[..], nothing),
        (
            at_state(State::Feedback),
            "jan@desk",
            &[Right::Judge][..],
            &[(CaseAct::TakeUp, CaseBarrier::Right)][..],
        ),
        (
            at_state(State::Confirmed),
            "vera@desk",
            &[Right::Verify][..],
            &[(CaseAct::Dispatch, CaseBarrier::Right)][..],
        ),
        (at_state(State::Accepted), "dora@desk", &all[..], &[(CaseAct::Start, CaseBarrier::Unit)][..]),
        (claimed.clone(), "eva@desk", &all[..], &[(CaseAct::Confirm, CaseBarrier::Claimed)][..]),
        (claimed, "jan@desk", &all[..], nothing),
        // What is over, and what is done elsewhere, waits for nobody here.
        (at_state(State::Closed), "dora@desk", &all[..], nothing),
        (external, "vera@desk", &all[..], nothing),
    ] {
        let actor = who_is(who);
        let mut caller = Principal::new(actor.account, PrincipalKind::Operator);
        caller.unit = Some(actor.unit);
        caller.rights = rights.iter().copied().collect();
        let found: Vec<_> =
            barred(&told.case, &caller, NOW).iter().map(|one| (one.act(), one.why())).collect();
        assert_eq!(found, wanted, "{who}, {}", told.case.state);
    }
}
