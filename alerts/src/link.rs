//! Handlers' links: by one, whoever a unit sends acts for that unit on one case, without an account. Pure: time is a parameter,
//! and the store keeps what is decided here.
//!
//! A link is bound to one dispatch. What it may do follows from the case at each use, so that nothing has to be told when the case
//! leaves the unit's hands; a dispatch to the same unit later is another one, and revives no link.

pub(crate) mod photo;

use std::{ops::RangeInclusive, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use xueliang_base::{alert::Sha256, time::Wall};
use xueliang_proto::v1::{self, CaseAct, HandlerAct, LinkState};

use crate::{
    case::{Action, Actor, Case, Event, State},
    error::{Error, Result},
    rights::{Principal, PrincipalKind},
};

/// What tokens of links begin with.
pub(crate) const BEGIN: &str = "xlh_";
/// For how long a link counts unless it is said, and at most: a case that takes longer gets another.
const LIFE: Duration = Duration::from_secs(24 * 3600);
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);
/// Links of one case that are listed, and that are ever given: whoever needs more of them has something else wrong.
pub(crate) const MOST_LINKS: usize = 100;
/// Photos of one case that are kept: as many as one feedback may name.
pub(crate) const MOST_PHOTOS: usize = 32;
/// Bytes of all photos that are kept, beside what evidence may take.
pub(crate) const MOST_PHOTO_BYTES: u64 = 2 << 30;
/// Digits of a hexadecimal sum, and more: a longer token is nobody's.
const TOKEN: RangeInclusive<usize> = 40..=64;

/// A link as the store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its number.
    pub id: u64,
    /// The unit that its handler acts for.
    pub unit: String,
    /// The revision of the dispatch that it is for.
    pub dispatched: u64,
    /// Who gave it.
    pub given_by: Actor,
    /// When.
    pub given: Wall,
    /// Until when it counts.
    pub until: Wall,
    /// When it was first opened.
    pub opened: Option<Wall>,
    /// When it was ended, and by whom.
    pub ended: Option<(Wall, Actor)>,
}

/// A new token, with what is kept of it.
pub(crate) fn mint() -> Result<(String, Sha256)> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| Error::Unavailable(format!("draw a token: {error}")))?;
    let token = format!("{BEGIN}{}", URL_SAFE_NO_PAD.encode(bytes));
    let digest = Sha256::of(token.as_bytes());
    Ok((token, digest))
}

/// What is kept of a token that somebody shows; `None`: it is none of a link.
pub(crate) fn digest(token: &str) -> Option<Sha256> {
    let is_one = token.starts_with(BEGIN) && TOKEN.contains(&token.len()) && token.is_ascii();
    is_one.then(|| Sha256::of(token.as_bytes()))
}

/// Until when a link counts.
pub(crate) fn until(life_s: u32, now: Wall) -> Result<Wall> {
    let life = if life_s == 0 { LIFE } else { Duration::from_secs(life_s.into()) };
    if life > LONGEST {
        return Err(Error::Invalid("life_s: a link counts for 7 days at most, give another then".to_owned()));
    }
    Ok(now.plus(life))
}

/// The account that whoever holds a link acts as. No name of an account has a colon.
pub(crate) fn account(id: u64) -> String {
    format!("link:{id}")
}

/// The revision of the latest dispatch.
pub(crate) fn dispatched(history: &[Event]) -> u64 {
    let last = history.iter().rposition(|event| matches!(event.action, Action::Dispatch(..)));
    last.map_or(0, |at| at as u64 + 1)
}

impl Link {
    /// Who acts by it.
    pub(crate) fn actor(&self) -> Actor {
        Actor::new(account(self.id), &self.unit)
    }
    /// Who asks for the still by it.
    pub(crate) fn principal(&self) -> Principal {
        let unit = Some(self.unit.clone());
        Principal { unit, ..Principal::new(account(self.id), PrincipalKind::Handler) }
    }
    /// Whether it counts, as its case stands.
    pub fn state(&self, case: &Case, history: &[Event], now: Wall) -> LinkState {
        let theirs = case.unit.as_deref() == Some(&*self.unit)
            && case.state.is_open()
            && dispatched(history) == self.dispatched;
        match case.state {
            _ if self.ended.is_some() => LinkState::Ended,
            _ if now >= self.until => LinkState::Expired,
            _ if !theirs => LinkState::Left,
            State::Feedback | State::Verifying => LinkState::Checked,
            _ => LinkState::Live,
        }
    }
    /// As those on duty are told it.
    pub(crate) fn to_wire(&self, case: &Case, history: &[Event], now: Wall) -> v1::HandlerLink {
        v1::HandlerLink {
            link_id: self.id,
            case_number: case.number.to_string(),
            unit: self.unit.clone(),
            given_by: Some((&self.given_by).into()),
            given_unix_us: self.given.0,
            until_unix_us: self.until.0,
            opened_unix_us: self.opened.map_or(0, |at| at.0),
            ended_by: self.ended.as_ref().map(|(_, by)| by.into()),
            ended_unix_us: self.ended.as_ref().map_or(0, |(at, _)| at.0),
            state: self.state(case, history, now).into(),
        }
    }
}

/// What is done by an act of a handler.
pub(crate) fn action(act: HandlerAct, proofs: Vec<Sha256>) -> Result<Action> {
    match act {
        HandlerAct::Accept => Ok(Action::Accept),
        HandlerAct::Start => Ok(Action::Start),
        HandlerAct::Feedback => Ok(Action::Feedback(proofs)),
        HandlerAct::Unspecified => Err(Error::Invalid("act: say what is to be done".to_owned())),
    }
}

/// What a handler can do with a case that its link is live for.
pub(crate) fn may(state: State) -> &'static [HandlerAct] {
    match state {
        State::Dispatched => &[HandlerAct::Accept],
        State::Accepted | State::Rework => &[HandlerAct::Start],
        State::Handling => &[HandlerAct::Feedback],
        _ => &[],
    }
}

/// The refusal of what a link is no longer for.
pub(crate) fn refusal(state: LinkState) -> Error {
    Error::Conflict(
        match state {
            LinkState::Checked => {
                "the work was handed back and is being checked: wait for what comes of that"
            }
            LinkState::Expired => "the time of this link is over: ask whoever sent it for another",
            LinkState::Ended => "this link was ended: ask whoever sent it for another",
            _ => "the case is no longer in your unit's hands: this link has ended",
        }
        .to_owned(),
    )
}

/// The last thing that people did, with its number in the protocol.
pub(crate) fn last(history: &[Event]) -> Option<(&Event, CaseAct)> {
    let by_people = |event: &&Event| !event.actor.is_system() && !matches!(event.action, Action::Open(..));
    let event = history.iter().rev().find(by_people)?;
    Some((event, event.action.act()))
}

/// What the unit was asked in words: by the dispatch, or by the check that failed.
pub(crate) fn asked(history: &[Event]) -> String {
    let asks = |event: &&Event| matches!(event.action, Action::Dispatch(..) | Action::Rework);
    history.iter().rev().find(asks).map(|event| event.note.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_digest_and_looks_like_nothing_else() {
        let (token, kept) = mint().unwrap();
        assert_eq!(digest(&token), Some(kept));
        assert_ne!(mint().unwrap().1, kept);
        for other in ["", "xlh_", "xls_0123456789012345678901234567890123456789012", &token[..20]] {
            assert_eq!(digest(other), None, "{other}");
        }
        assert_eq!(digest(&format!("{token}{token}")), None);
    }

    #[test]
    fn a_link_has_a_day_unless_it_is_said_and_a_week_at_most() {
        assert_eq!(until(0, Wall(0)), Ok(Wall(0).plus(LIFE)));
        assert_eq!(until(60, Wall(0)), Ok(Wall(60_000_000)));
        assert!(until(7 * 24 * 3600 + 1, Wall(0)).is_err());
    }
}
