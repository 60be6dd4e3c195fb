//! Which of the held states go to the bus with the next call beside the spool, and what came of it.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message as _;
use tokio::time::Instant;
use xueliang_base::{
    alert::{Stage, StageTime},
    id::{AlertId, AlertRevision},
    kind::Lane,
    time::Mono,
};
use xueliang_proto::v1;

use super::{BATCH, Held};
use crate::publisher::line::{Failure, Line, refusal};

/// Bytes of one call: well under what the bus takes.
const BYTES: usize = 1 << 20;
/// States of one alert in a call. The bus is to answer for them before it gets more of that alert.
const CHAIN: usize = 16;

/// How far a held state has come beside the spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offer {
    /// It was not offered yet.
    Fresh,
    /// A call with it is under way.
    UnderWay,
    /// It is offered again from then on.
    Again(Instant),
    /// The bus refuses it: it is left to the spool, where it is set aside with the reason.
    Left,
}

/// What became of an offer.
pub(super) enum Said {
    /// The bus has it on disk.
    Kept,
    /// It was not sent: an earlier state of its alert waits in the spool.
    Waits,
    /// It was not stored, for this reason.
    Later(String),
    /// It never will be, for this reason.
    Refused(String),
}

/// What became of the states of a call, by their places.
pub(super) struct Answers {
    pub(super) said: Vec<(u64, Said)>,
    /// Whether the call offered them again.
    pub(super) repeats: bool,
}

struct State {
    place: u64,
    wire: v1::Alert,
    minted: Mono,
}

/// States of one alert, in order.
struct Chain {
    alert: AlertId,
    states: Vec<State>,
    /// Whether it is known that nothing before them waits, whatever the spool says.
    first: bool,
}

/// The states of one call.
pub(super) struct Call(Vec<Chain>);

/// The next call with states whose offer is `wanted`, the most urgent first, each after those before it that the bus has
/// not answered for; `None` when there are none.
pub(super) fn choose<T>(
    held: &BTreeMap<u64, Held<T>>,
    passed: &BTreeMap<AlertId, AlertRevision>,
    wanted: impl Fn(Offer) -> bool,
) -> Option<Call> {
    let mut alerts: BTreeMap<AlertId, (Lane, Vec<u64>, usize)> = BTreeMap::new();
    for (place, one) in held.iter().filter(|(_, one)| one.offer != Offer::Left) {
        let alert = &one.minted.alert;
        let (lane, places, upto) =
            alerts.entry(alert.id).or_insert_with(|| (alert.level.lane(), Vec::new(), 0));
        *lane = alert.level.lane().min(*lane);
        if places.len() < CHAIN {
            places.push(*place);
            if wanted(one.offer) {
                *upto = places.len();
            }
        }
    }
    let mut chosen: Vec<_> = alerts.into_iter().filter(|(_, (_, _, upto))| *upto > 0).collect();
    chosen.sort_by_key(|(_, (lane, places, _))| (*lane, places[0]));
    let (mut count, mut bytes, mut chains) = (0, 0, Vec::new());
    for (alert, (_, mut places, upto)) in chosen {
        places.truncate(upto);
        let states: Vec<State> = places
            .iter()
            .filter_map(|place| {
                let minted = &held.get(place)?.minted;
                let wire = v1::Alert::from(&minted.alert);
                Some(State { place: *place, wire, minted: minted.at.0 })
            })
            .collect();
        count += states.len();
        bytes += states.iter().map(|state| state.wire.encoded_len()).sum::<usize>();
        if !chains.is_empty() && (count > BATCH || bytes > BYTES) {
            break;
        }
        let revision = states.first().map_or(0, |state| state.wire.revision);
        let first = revision == 1 || passed.get(&alert).is_some_and(|passed| passed.0 + 1 == revision);
        chains.push(Chain { alert, states, first });
    }
    (!chains.is_empty()).then_some(Call(chains))
}

impl Call {
    pub(super) fn places(&self) -> impl Iterator<Item = u64> {
        self.0.iter().flat_map(|chain| chain.states.iter().map(|state| state.place))
    }
    pub(super) fn alerts(&self) -> impl Iterator<Item = AlertId> {
        self.0.iter().map(|chain| chain.alert)
    }
    /// Sends what nothing in the spool comes before. `waits` is the alerts of which a state is there; `None` when that
    /// cannot be told.
    pub(super) async fn send(self, line: &Line, waits: Option<&BTreeSet<AlertId>>, repeats: bool) -> Answers {
        let free = |chain: &Chain| waits.map_or(chain.first, |waits| !waits.contains(&chain.alert));
        let (go, stay): (Vec<Chain>, Vec<Chain>) = self.0.into_iter().partition(free);
        let mut said: Vec<(u64, Said)> =
            stay.iter().flat_map(|chain| &chain.states).map(|state| (state.place, Said::Waits)).collect();
        let go: Vec<State> = go.into_iter().flat_map(|chain| chain.states).collect();
        if go.is_empty() {
            return Answers { said, repeats };
        }
        let places: Vec<u64> = go.iter().map(|state| state.place).collect();
        let leaving = |now: Mono| go.into_iter().map(|state| left_at(now, state)).collect();
        match line.publish(leaving).await {
            Ok(results) => said.extend(places.into_iter().zip(&results).map(|(place, result)| {
                let said = refusal(result).map_or(Said::Kept, Said::Refused);
                (place, said)
            })),
            Err(Failure::Again(reason) | Failure::Stumbled(reason)) => {
                said.extend(places.into_iter().map(|place| (place, Said::Later(reason.clone()))));
            }
            // One of them spoils it for all: which one is found out from the spool.
            Err(Failure::Never(reason)) => {
                said.extend(places.into_iter().map(|place| (place, Said::Refused(reason.clone()))));
            }
        }
        Answers { said, repeats }
    }
}

/// A state that leaves now: what it has waited here it would have waited in the spool.
fn left_at(now: Mono, state: State) -> v1::Alert {
    let mut alert = state.wire;
    alert.stages.push((&StageTime::exact(Stage::Spool, now.since(state.minted))).into());
    alert
}
