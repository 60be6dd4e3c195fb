//! Credit: how much may be unacknowledged, lane by lane. It bounds what a console can be behind without anyone
//! noticing, since transport windows hide thousands of alerts.

use std::collections::VecDeque;

use xueliang_base::{cursor::Cursor, kind::Lane};
use xueliang_proto::v1;

use crate::error::{Error, Result};

/// Deliveries a lane may have unacknowledged where the console does not say.
const DEFAULT: u32 = 64;
/// And at most.
const MAX: u32 = 1024;

/// The account of one subscription.
#[derive(Debug)]
pub(crate) struct Credits {
    limits: [u32; 3],
    /// Places of the deliveries that are not acknowledged, in order.
    outstanding: [VecDeque<u64>; 3],
    /// The last cursor handed out.
    handed: Cursor,
    /// The last cursor acknowledged.
    acked: Cursor,
}

impl Credits {
    pub(crate) fn new(wanted: Option<v1::Credit>, start: Cursor) -> Result<Self> {
        let wanted = wanted.unwrap_or_default();
        let mut limits = [0; 3];
        for (limit, wanted) in limits.iter_mut().zip([wanted.critical, wanted.major, wanted.minor]) {
            *limit = match wanted {
                0 => DEFAULT,
                1..=MAX => wanted,
                _ => {
                    let fault = format!("credit: {wanted} is more than the {MAX} that are allowed");
                    return Err(Error::Invalid(fault));
                }
            };
        }
        Ok(Self { limits, outstanding: Default::default(), handed: start, acked: start })
    }
    /// What was granted.
    pub(crate) fn granted(&self) -> v1::Credit {
        credit(self.limits)
    }
    /// What is left in a lane.
    pub(crate) fn free(&self, lane: Lane) -> usize {
        let used = self.outstanding[lane.index()].len();
        (self.limits[lane.index()] as usize).saturating_sub(used)
    }
    /// What is left in all lanes.
    pub(crate) fn available(&self) -> v1::Credit {
        credit(Lane::ALL.map(|lane| u32::try_from(self.free(lane)).unwrap_or(MAX)))
    }
    /// Takes one delivery's credit.
    pub(crate) fn take(&mut self, lane: Lane, position: u64) {
        self.outstanding[lane.index()].push_back(position);
    }
    /// Notes a cursor that goes out with an item.
    pub(crate) fn hand(&mut self, cursor: Cursor) {
        self.handed = cursor;
    }
    /// Begins at another place: after a snapshot, say.
    pub(crate) fn restart(&mut self, start: Cursor) {
        self.handed = start;
        self.acked = start;
    }
    /// Everything up to here was acknowledged.
    pub(crate) fn acked(&self) -> Cursor {
        self.acked
    }
    /// Refuses a cursor that this stream did not hand out.
    pub(crate) fn check(&self, cursor: &Cursor) -> Result<()> {
        if cursor.epoch != self.handed.epoch {
            return Err(Error::Invalid(
                "the cursor is of another epoch: acknowledge what this stream delivered".into(),
            ));
        }
        if cursor.filter != self.handed.filter {
            let fault = "the cursor was earned under another filter: acknowledge what this stream delivered";
            return Err(Error::Invalid(fault.to_owned()));
        }
        let ahead = cursor.positions.iter().zip(self.handed.positions).any(|(mine, handed)| *mine > handed);
        if ahead {
            let fault = "the cursor lies ahead of what was delivered: acknowledge only what was shown";
            return Err(Error::Invalid(fault.to_owned()));
        }
        Ok(())
    }
    /// Gives back the credit of everything up to a cursor that was checked. Returns the cursor acknowledged in all, and
    /// what is free.
    pub(crate) fn acknowledge(&mut self, cursor: Cursor) -> (Cursor, v1::Credit) {
        for index in 0..3 {
            let upto = cursor.positions[index];
            self.acked.positions[index] = self.acked.positions[index].max(upto);
            let outstanding = &mut self.outstanding[index];
            while outstanding.front().is_some_and(|position| *position <= upto) {
                outstanding.pop_front();
            }
        }
        (self.acked, self.available())
    }
}

fn credit([critical, major, minor]: [u32; 3]) -> v1::Credit {
    v1::Credit { critical, major, minor }
}
