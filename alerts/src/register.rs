//! The register of calls (信息调用登记; Order 799, Art. 16): why somebody calls footage up, as it is kept, and the ledger as a
//! file. Who asks for pixels is written down by the evidence gateway; nothing here returns any.
//!
//! What people write is kept for years and read by many: numbers of documents, telephones and vehicles are never kept, not
//! even of a call that is refused because of them.

mod csv;
mod export;

use xueliang_proto::v1::{self, CallReason, Purpose};

pub(crate) use self::export::Export;
use crate::{
    case::note::number_of,
    error::{Error, Result},
    evidence::Call,
};

/// Characters of a reason in words.
pub(crate) const WORDS: std::ops::RangeInclusive<usize> = 4..=500;

/// The reason that a purpose stands for, where none is picked.
pub(crate) fn picked(call: &Call) -> CallReason {
    reason_for(call.purpose, call.call_reason)
}

/// Likewise of what is no piece of an alert.
pub(crate) fn reason_for(purpose: Purpose, picked: CallReason) -> CallReason {
    if picked != CallReason::Unspecified {
        return picked;
    }
    match purpose {
        Purpose::Unspecified => CallReason::Unspecified,
        Purpose::Judge => CallReason::CheckAlert,
        Purpose::Handle => CallReason::HandleIncident,
        Purpose::Verify => CallReason::VerifyHandling,
        Purpose::Diagnose => CallReason::DiagnoseDevice,
        Purpose::Supervise => CallReason::Supervision,
        Purpose::LegalRequest => CallReason::StateOrgan,
        Purpose::Share => CallReason::Share,
        Purpose::Tune => CallReason::TuneRules,
    }
}

/// What the register keeps of a call's words: of a call that is refused, too.
pub(crate) fn kept(call: &Call) -> String {
    let text = plain(&call.reason);
    match (number_of(&text), text.is_empty()) {
        (Some(_), _) => String::new(),
        // One key is enough where the reason says all that there is to say beside the alert's number.
        (None, true) if call.call_reason != CallReason::Unspecified => format!("alert {}", call.alert),
        (None, _) => text.chars().take(*WORDS.end()).collect(),
    }
}

/// What the register keeps of the words by which a photo of a case is asked for, with the case that it is of.
pub(crate) fn kept_of_case(number: &str, reason: &str) -> String {
    let text = plain(reason);
    let text = if number_of(&text).is_some() { String::new() } else { text };
    format!("case {number} {text}").trim().chars().take(*WORDS.end()).collect()
}

/// Refuses what nothing of an alert or a case is asked for: no purpose, and the tuning of rules.
pub(crate) fn check_of_alert(purpose: Purpose, picked: CallReason) -> Result<()> {
    if purpose == Purpose::Unspecified {
        return Err(Error::Invalid("purpose: must be set".to_owned()));
    }
    if purpose == Purpose::Tune || picked == CallReason::TuneRules {
        return Err(Error::Invalid(
            "purpose: rules are tuned on pictures of the moment, of a camera and no alert".to_owned(),
        ));
    }
    Ok(())
}

/// Refuses a reason that is not enough for an original.
pub(crate) fn check_original(call: &Call) -> Result<()> {
    check_words(call.call_reason, &call.reason)
}

/// Likewise of what is no piece of an alert.
pub(crate) fn check_words(call_reason: CallReason, reason: &str) -> Result<()> {
    let text = plain(reason);
    check_numbers(&text)?;
    let length = text.chars().count();
    match call_reason {
        CallReason::PartyConcerned | CallReason::PublicRelease => {
            return Err(Error::Invalid(
                "call_reason: originals are neither released nor shown to those concerned: DisclosureService gives what is \
                 redacted"
                    .to_owned(),
            ));
        }
        CallReason::Share => {
            return Err(Error::Invalid("call_reason: only sinks share, and only stills".to_owned()));
        }
        // Of these the reason itself says too little.
        CallReason::Unspecified | CallReason::StateOrgan | CallReason::Other => {}
        _ if length == 0 => return Ok(()),
        _ => {}
    }
    if WORDS.contains(&length) {
        return Ok(());
    }
    let hint = match call_reason {
        CallReason::StateOrgan => ": the number of the document by which it is asked for",
        _ => "",
    };
    Err(Error::Invalid(format!("reason: original footage needs one of 4 to 500 characters{hint}")))
}

/// Words that say why something leaves, for the audit; refused where they say too little or too much.
pub(crate) fn words(text: &str) -> Result<String> {
    let text = plain(text);
    check_numbers(&text)?;
    if WORDS.contains(&text.chars().count()) {
        return Ok(text);
    }
    Err(Error::Invalid("reason: say in 4 to 500 characters why".to_owned()))
}

fn check_numbers(text: &str) -> Result<()> {
    match number_of(text) {
        None => Ok(()),
        Some(what) => Err(Error::Invalid(format!(
            "reason: it holds what looks like the number of {what}: leave it out, nothing is kept that tells who was \
             observed"
        ))),
    }
}

/// One line without blanks around it.
fn plain(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    line.trim().to_owned()
}

/// What a filter asks for, for the audit.
fn told(filter: &v1::RegisterFilter) -> String {
    let mut parts = Vec::new();
    let mut number = |name: &str, value: String| {
        if !value.is_empty() && value != "0" && value != "false" {
            parts.push(format!("{name} {value}"));
        }
    };
    number("from", filter.from_unix_us.to_string());
    number("to", filter.to_unix_us.to_string());
    number("account", filter.account.clone());
    number("unit", filter.unit.clone());
    number("camera", filter.camera_id.clone());
    number("alert", filter.alert_id.clone());
    number("reason", filter.call_reason.to_string());
    number("kind", filter.kind.to_string());
    number("refused", filter.refused_only.to_string());
    number("release", filter.release_id.to_string());
    number("request", filter.request_id.to_string());
    if parts.is_empty() { "all".to_owned() } else { parts.join(", ") }
}

#[cfg(test)]
mod tests;
