//! When a session may connect, and what came of a visit.
//!
//! A session that is told nothing connects for ever. One that waits for turns ([`SessionSpec::idle`](super::SessionSpec))
//! connects when it is given one: for as long as it has it, or for one visit, which ends with its first failure, or when the
//! turn is taken back. What a failure means for the next visit is decided by whoever gives turns ([`crate::acquire`]).

use std::time::Duration;

use tokio::sync::watch;
use xueliang_base::time::Mono;

use super::{SessionError, Watch};
use crate::health::{Idle, Signal};

/// Whether a session may connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// All the time.
    Always,
    /// Once, in the visit of this number.
    Visit(u64),
    /// Not now, and why.
    Closed(Idle),
}

/// What came of the latest visit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Visit {
    /// Its number; 0 before the first.
    pub number: u64,
    /// Whether its connection is closed.
    pub over: bool,
    /// Arrival of its first keyframe, and how long after its begin that was.
    pub picture: Option<(Mono, Duration)>,
    /// Why it ended, where it was not asked to.
    pub failure: Option<SessionError>,
}

/// A session's end of its turns.
#[derive(Debug, Clone)]
pub struct Turns(watch::Receiver<Turn>);

/// Turns that begin with this one.
pub(super) fn turns(first: Turn) -> (watch::Sender<Turn>, Turns) {
    let (sender, receiver) = watch::channel(first);
    (sender, Turns(receiver))
}

impl Turns {
    /// The turn now.
    pub(super) fn now(&self) -> Turn {
        *self.0.borrow()
    }
    /// Whether what was begun in this turn is to end.
    pub(super) fn is_over(&self, turn: Turn) -> bool {
        let now = self.now();
        // A visit that becomes one for ever goes on.
        now != turn && now != Turn::Always
    }
    /// Waits until it is.
    pub(super) async fn over(&self, turn: Turn) {
        self.until(|now| *now != turn && *now != Turn::Always).await;
    }
    /// Waits for a turn to connect other than the visit of that number, which was made.
    pub(super) async fn next(&self, made: u64) -> Turn {
        self.until(|now| match now {
            Turn::Always => true,
            Turn::Visit(number) => *number != made,
            Turn::Closed(_) => false,
        })
        .await
    }
    async fn until(&self, holds: impl FnMut(&Turn) -> bool) -> Turn {
        let mut turns = self.0.clone();
        let turn = turns.wait_for(holds).await.map(|turn| *turn);
        match turn {
            Ok(turn) => turn,
            // Whoever gives turns is gone, and with it the handle, which asks the session to stop.
            Err(_) => std::future::pending().await,
        }
    }
}

/// So many visits in a row must have failed until the camera is called lost: one may have met a recorder that was busy.
const LOST_AFTER: u32 = 2;

/// The visits of a session that waits for turns.
pub(super) struct Visits {
    /// The number of the last that was made.
    pub(super) made: u64,
    /// In a row.
    failed: u32,
    pub(super) idle: Idle,
}

impl Visits {
    pub(super) fn new(idle: Idle) -> Self {
        Self { made: 0, failed: 0, idle }
    }
    /// Takes note of how a visit ended, and tells it.
    pub(super) fn end(&mut self, number: u64, error: &SessionError, streamed: bool, watch: &Watch<'_>) {
        self.made = number;
        let offline = error.signal();
        match offline {
            Some(offline) if !streamed => {
                self.failed += 1;
                watch.delivery.failed(offline);
            }
            _ if streamed => self.failed = 0,
            _ => {}
        }
        let signal = match offline {
            _ if self.failed == 0 => Some(Signal::NotConnected(self.idle)),
            Some(offline) if self.failed >= LOST_AFTER => Some(offline),
            // Not to be told from what was before.
            _ => None,
        };
        if let Some(signal) = signal {
            watch.tell(signal, error);
        }
        watch.delivery.visit_over(number, error);
    }
}
