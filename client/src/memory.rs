//! What was given before: the latest revision of the alerts that changed last, so many and no more.

use std::collections::{HashMap, VecDeque};

#[derive(Default)]
struct Known {
    /// Latest revision given as a record.
    kept: u64,
    /// Latest revision given at all, as a volatile delivery too.
    told: u64,
    /// Which entry of the order is its own.
    turn: u64,
}

/// Revisions by alert. What has not changed for longest is forgotten first.
pub(crate) struct Memory {
    alerts: HashMap<String, Known>,
    /// By turn; an alert that changed again stands here more than once, and only its last entry counts.
    order: VecDeque<(u64, String)>,
    turns: u64,
    capacity: usize,
}

impl Memory {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { alerts: HashMap::new(), order: VecDeque::new(), turns: 0, capacity }
    }
    pub(crate) fn clear(&mut self) {
        self.alerts.clear();
        self.order.clear();
    }
    /// Notes a state that comes (revisions count from 1); whether it, or a later one, was given before. A record that was given as a volatile
    /// delivery only is news: now it is on disk.
    pub(crate) fn repeats(&mut self, alert: &str, revision: u64, volatile: bool) -> bool {
        let known = self.alerts.entry(alert.to_owned()).or_default();
        let before = if volatile { known.told } else { known.kept };
        if before >= revision {
            return true;
        }
        known.told = known.told.max(revision);
        if !volatile {
            known.kept = known.kept.max(revision);
        }
        self.turns += 1;
        known.turn = self.turns;
        self.order.push_back((self.turns, alert.to_owned()));
        self.tidy();
        false
    }
    fn tidy(&mut self) {
        while self.alerts.len() > self.capacity
            && let Some((turn, alert)) = self.order.pop_front()
        {
            if self.alerts.get(&alert).is_some_and(|known| known.turn == turn) {
                self.alerts.remove(&alert);
            }
        }
        if self.order.len() > 2 * self.capacity {
            let alerts = &self.alerts;
            self.order.retain(|(turn, alert)| alerts.get(alert).is_some_and(|known| known.turn == *turn));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_not_changed_for_longest_is_forgotten_first_and_no_more_is_held() {
        let mut memory = Memory::new(3);
        for alert in ["a", "b", "c"] {
            assert!(!memory.repeats(alert, 1, false));
        }
        for revision in 2..100 {
            assert!(!memory.repeats("a", revision, false));
        }
        assert!(memory.order.len() <= 6, "{}", memory.order.len());
        assert!(!memory.repeats("d", 1, false));
        assert!(memory.repeats("a", 99, false) && memory.repeats("c", 1, false));
        assert_eq!(memory.alerts.len(), 3);
        assert!(!memory.repeats("b", 1, false), "forgotten");
    }

    #[test]
    fn a_volatile_state_is_given_once_and_its_record_once_more() {
        let mut memory = Memory::new(8);
        assert!(!memory.repeats("a", 1, true));
        assert!(memory.repeats("a", 1, true));
        assert!(!memory.repeats("a", 1, false));
        assert!(memory.repeats("a", 1, false) && memory.repeats("a", 1, true));
        assert!(!memory.repeats("a", 2, false));
        assert!(memory.repeats("a", 1, true));
    }
}
