//! No access units come.
//!
//! Tells: that the camera is not connected, cannot be reached, or sends nothing, while it is expected to be on.
//! Cannot tell: why; a dead camera, switch, recorder and uplink look the same from here. Between two visits of a patrol a
//! camera is taken to be as it was when it was last tried.

use xueliang_base::{
    incident::MeasureKind,
    look::{NotLooked, Observation},
    time::Mono,
};

use super::Finding;

/// When the silence began.
#[derive(Debug, Clone, Default)]
pub(super) struct Signal {
    silent_since: Option<Mono>,
    /// When it was last tried, units came.
    delivered: bool,
}

impl Signal {
    pub(super) fn judge(&mut self, observation: &Observation) -> Finding {
        match &observation.outcome {
            Err(NotLooked::Connecting | NotLooked::Offline | NotLooked::Stalled) => {
                self.delivered = false;
                let since = *self.silent_since.get_or_insert(observation.at);
                let silence = observation.at.since(since).as_secs_f64();
                Finding::seen().measure(MeasureKind::SilenceS, silence)
            }
            Err(NotLooked::NotConnected) if self.delivered => Finding::not_seen(),
            // Ours to answer for; they say nothing about what arrives.
            Err(
                reason @ (NotLooked::ExpectedOff
                | NotLooked::NotConnected
                | NotLooked::Busy
                | NotLooked::TooOld
                | NotLooked::WorkerLost),
            ) => {
                if *reason == NotLooked::ExpectedOff {
                    self.silent_since = None;
                }
                Finding::not_looked(*reason)
            }
            // Whatever came of the picture, units arrived.
            Ok(_)
            | Err(
                NotLooked::Deadline
                | NotLooked::Undecodable
                | NotLooked::TooLarge
                | NotLooked::ModelFailed
                | NotLooked::ViewMoved
                | NotLooked::Blind
                | NotLooked::Frozen
                | NotLooked::NotDue,
            ) => {
                (self.silent_since, self.delivered) = (None, true);
                Finding::not_seen()
            }
        }
    }
}
