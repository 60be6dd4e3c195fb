//! How cameras rest, and which of their streams that takes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Acquire, Camera, Rule, Stream};
use crate::{gate::Gate, kind::Kind};

/// How cameras rest where nothing seems to happen. With an enforced gate, a resting camera has a glance now and then, and
/// each of its rules a look as often as its floor at rest; whatever its gates see brings what the rules ask for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RestOptions {
    /// Whether attention decides when cameras are looked at. Where it does not, every camera is decoded as a whole and
    /// looked at five times a second, whatever its rules ask and its gates would say: what the rest is measured against,
    /// and not for use.
    #[serde(default = "attended")]
    pub attention: bool,
    /// What the gates do, of cameras that do not say.
    pub gate: Gate,
    /// Between two glances.
    pub glance: Duration,
    /// The longest time without a look of the models, whatever the gates say; shorter for kinds that cannot wait so long, and
    /// as long as a rule's own `blind_max` where that is longer.
    pub floor: Duration,
    /// How long a camera is watched after what woke it.
    pub watch: Duration,
}

impl Default for RestOptions {
    fn default() -> Self {
        let s = Duration::from_secs;
        Self { attention: true, gate: Gate::Shadow, glance: s(4), floor: s(30), watch: s(10) }
    }
}

fn attended() -> bool {
    true
}

impl RestOptions {
    /// Between two looks at every camera while attention is off, at most. A look is due after four fifths of it, and takes the
    /// picture that arrives nearest to that: every second of 10 a second, every third of 15, every fifth of 25.
    pub const UNATTENDED: Duration = Duration::from_millis(260);

    /// The longest time that a rule may go without a look at rest.
    pub fn at_rest(&self, rule: &Rule) -> Duration {
        // A fire doubles within a minute, and smoke rises too slowly for a glance to be sure of it.
        let most = match rule.kind {
            Kind::FireFlame | Kind::FireSmoke => self.floor.min(Duration::from_secs(10)),
            _ => self.floor,
        };
        rule.blind_max.max(most)
    }
}

impl Camera {
    /// What its gates do: nothing while attention is off.
    pub fn gate(&self, rest: &RestOptions) -> Gate {
        if rest.attention { self.gate.unwrap_or(rest.gate) } else { Gate::Off }
    }
    /// Sessions that it takes while it is connected for good; a visit takes one.
    pub fn sessions(&self, rest: &RestOptions) -> u32 {
        1 + u32::from(self.acquire == Acquire::Continuous && self.glanced(rest).is_some())
    }
    /// The stream whose every picture is a glance: none where its gates are off, for there are no glances then.
    pub fn glanced(&self, rest: &RestOptions) -> Option<&Stream> {
        self.sub_stream.as_ref().filter(|_| self.gate(rest) != Gate::Off)
    }
}
