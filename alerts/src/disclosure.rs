//! What leaves the people on duty, decided purely: public releases, and requests of those whom an event concerned.
//!
//! Both take two accounts, and give redacted pieces only: there is no unmasking of one among others, since that would take
//! knowing who is who. Of whoever asks only what they are to the event is kept; who they are stays on paper. Pixels are
//! given by the evidence gateway, here are none.

use std::time::Duration;

use xueliang_base::{alert::EvidenceKind, time::Wall, wire};
use xueliang_proto::v1::{self, ReleaseState, ViewingOutcome, ViewingRefusal, ViewingState, ViewingStep};

use crate::error::{Error, Result};

/// For so long an approval counts: what was decided is given out soon, or decided again.
pub const APPROVED_FOR: Duration = Duration::from_secs(7 * 24 * 3600);
/// Of a request at most so long a stretch of time is asked for: an event, not a day's coming and going.
pub const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// Steps of a request.
pub(crate) const MAX_STEPS: usize = 200;
/// Releases of one alert that may wait to be decided.
pub(crate) const MAX_WAITING: u32 = 16;

/// Refuses what cannot be released or shown: an original.
pub fn check_kind(kind: i32) -> Result<EvidenceKind> {
    match v1::EvidenceKind::try_from(kind) {
        Ok(v1::EvidenceKind::Still) => Ok(EvidenceKind::Still),
        Ok(v1::EvidenceKind::Preview) => Ok(EvidenceKind::Preview),
        Ok(v1::EvidenceKind::Clip) => Err(Error::Invalid(
            "kind: a clip is an original and has no redacted form: take the still or the preview".to_owned(),
        )),
        _ => Err(Error::Invalid("kind: name a still or a preview".to_owned())),
    }
}

/// Refuses a decision that this account may not make of this release, or not any more.
pub fn check_decision(release: &v1::Release, account: &str) -> Result<()> {
    let number = release.release_id;
    if release.state() != ReleaseState::Prepared {
        return Err(Error::Conflict(format!(
            "release {number} was decided by {}: prepare another one",
            release.decided_by
        )));
    }
    if release.prepared_by == account {
        return Err(Error::Forbidden(format!(
            "release {number} was prepared by this account: another one has to decide on it"
        )));
    }
    Ok(())
}

/// Refuses to give out what is not approved, or not any more.
pub fn check_approved(release: &v1::Release) -> Result<()> {
    let number = release.release_id;
    let why = match release.state() {
        ReleaseState::Approved => return Ok(()),
        ReleaseState::Expired => "the approval of release {} has ended: prepare another one",
        ReleaseState::Refused => "release {} was refused",
        ReleaseState::Prepared | ReleaseState::Unspecified => {
            "release {} is not approved: another account than the one that prepared it decides"
        }
    };
    Err(Error::Conflict(why.replace("{}", &number.to_string())))
}

/// What a release is, from what was decided and until when it may be given out.
pub fn release_state(decided: Option<(bool, Wall)>, now: Wall) -> ReleaseState {
    match decided {
        None => ReleaseState::Prepared,
        Some((false, _)) => ReleaseState::Refused,
        Some((true, until)) if now < until => ReleaseState::Approved,
        Some((true, _)) => ReleaseState::Expired,
    }
}

/// Refuses a step that a request cannot take, or not by this account.
pub fn check_step(viewing: &v1::Viewing, step: &ViewingStep) -> Result<()> {
    use ViewingState::{Closed, Examined, Granted, Received, Refused, Shown, Unspecified};
    let (from, to, number) = (viewing.state(), step.state(), viewing.request_id);
    let possible = match (from, to) {
        // An examination may be made again, with what has come to light.
        (Received | Examined, Examined) | (Examined, Granted | Refused) => true,
        (Granted | Shown, Shown) => true,
        (Unspecified | Closed, _) | (_, Unspecified | Received) => false,
        (_, Closed) => {
            return check_end(viewing, step.outcome());
        }
        _ => false,
    };
    if !possible {
        return Err(Error::Conflict(format!(
            "request {number} is {}: it cannot become {}",
            word(from),
            word(to)
        )));
    }
    let examined_it = |one: &&ViewingStep| one.state() == Examined && one.account == step.account;
    if matches!(to, Granted | Refused) && viewing.steps.iter().any(|one| examined_it(&one)) {
        return Err(Error::Forbidden(format!(
            "request {number} was examined by this account: another one has to decide on it"
        )));
    }
    if to == Refused && step.refusal() == ViewingRefusal::Unspecified {
        return Err(Error::Invalid("refusal: say why it is refused".to_owned()));
    }
    // Room is left for the end.
    if viewing.steps.len() + 1 >= MAX_STEPS {
        return Err(Error::Exhausted(format!(
            "request {number} has {MAX_STEPS} steps: close it, and receive another one"
        )));
    }
    Ok(())
}

fn check_end(viewing: &v1::Viewing, outcome: ViewingOutcome) -> Result<()> {
    use ViewingState::{Examined, Granted, Received, Refused, Shown};
    let possible = match outcome {
        ViewingOutcome::Shown => viewing.state() == Shown,
        ViewingOutcome::Refused => viewing.state() == Refused,
        ViewingOutcome::Withdrawn => matches!(viewing.state(), Received | Examined | Granted),
        ViewingOutcome::NotTakenUp => viewing.state() == Granted,
        ViewingOutcome::Unspecified => false,
    };
    if possible {
        return Ok(());
    }
    Err(Error::Conflict(format!(
        "request {} is {}: say as outcome how it ended",
        viewing.request_id,
        word(viewing.state())
    )))
}

/// How a request ends that nobody withdraws.
pub fn usual_end(state: ViewingState) -> ViewingOutcome {
    match state {
        ViewingState::Shown => ViewingOutcome::Shown,
        ViewingState::Refused => ViewingOutcome::Refused,
        _ => ViewingOutcome::Unspecified,
    }
}

/// The word of a state, as the audit has it.
pub(crate) fn word(state: ViewingState) -> String {
    wire::word(state.as_str_name(), "VIEWING_STATE_")
}

#[cfg(test)]
mod tests;
