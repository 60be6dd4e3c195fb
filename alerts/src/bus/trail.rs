//! What one subscription has brought to which stage since that was last saved: one stretch a stage and lane, however
//! many deliveries it holds.

use std::sync::Arc;

use xueliang_base::{cursor::Cursor, kind::Lane, time::Wall};
use xueliang_proto::v1::DeliveryStage::{self, Acknowledged, Displayed, Received, Sent};

use crate::store::{DeliveryNote, Reader};

/// Stages in their order.
const STAGES: [DeliveryStage; 4] = [Sent, Received, Displayed, Acknowledged];

/// A stretch that grows.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    after: u64,
    upto: u64,
    from: Wall,
    to: Wall,
}

/// One stage.
#[derive(Debug, Clone, Copy, Default)]
struct Stage {
    /// Where it stands in each lane.
    reached: [u64; 3],
    /// What is not saved of it.
    unsaved: [Option<Stretch>; 3],
    /// When it came to the snapshot that the stream began with.
    snapshot: Option<Stretch>,
    /// Whether it has come there.
    past_snapshot: bool,
}

/// The stages of one stream.
#[derive(Debug)]
pub(crate) struct Trail {
    reader: Arc<Reader>,
    stages: [Stage; 4],
    /// The place of the snapshot, and when it began.
    snapshot: Option<([u64; 3], Wall)>,
}

impl Trail {
    pub(crate) fn new(reader: Reader) -> Self {
        Self { reader: Arc::new(reader), stages: [Stage::default(); 4], snapshot: None }
    }
    /// The stream begins at a place, with a snapshot of it or without.
    pub(crate) fn begin(&mut self, place: &Cursor, snapshot: bool, now: Wall) {
        self.snapshot = snapshot.then_some((place.positions, now));
        self.stages.iter_mut().for_each(|stage| stage.reached = place.positions);
    }
    /// A row, or all rows of the lane up to it, was handed to the connection.
    pub(crate) fn sent(&mut self, lane: Lane, upto: u64, now: Wall) {
        self.stages[0].reach(lane, upto, now);
    }
    /// The end of the snapshot was handed to the connection.
    pub(crate) fn sent_snapshot(&mut self, now: Wall) {
        if let Some((_, began)) = self.snapshot {
            self.stages[0].pass_snapshot(began, now);
        }
    }
    /// The console has come to a stage with everything up to a cursor of this stream.
    pub(crate) fn reach(&mut self, stage: DeliveryStage, cursor: &Cursor, now: Wall) {
        let [sent, told @ ..] = &mut self.stages;
        let Some((_, told)) = STAGES[1..].iter().zip(told).find(|(one, _)| **one == stage) else { return };
        // Every cursor of the stream lies behind its snapshot.
        if self.snapshot.is_some() {
            told.pass_snapshot(now, now);
        }
        for lane in Lane::ALL {
            // A cursor also passes over what was not wanted, and not sent.
            told.reach(lane, cursor.position(lane).min(sent.reached[lane.index()]), now);
        }
    }
    /// Takes what is not saved.
    pub(crate) fn take(&mut self) -> Vec<DeliveryNote> {
        let place = self.snapshot.map_or([0; 3], |(place, _)| place);
        let mut notes = Vec::new();
        for (stage, state) in STAGES.into_iter().zip(&mut self.stages) {
            let snapshot = state.snapshot.take();
            for lane in Lane::ALL {
                let told = snapshot.map(|one| Stretch { upto: place[lane.index()], ..one });
                let told = told.filter(|one| one.upto > 0).map(|one| (true, one));
                let rows = state.unsaved[lane.index()].take().map(|one| (false, one));
                notes.extend(told.into_iter().chain(rows).map(|(snapshot, one)| DeliveryNote {
                    reader: Arc::clone(&self.reader),
                    stage,
                    lane,
                    snapshot,
                    after_exclusive: one.after,
                    upto_inclusive: one.upto,
                    from: one.from,
                    to: one.to,
                }));
            }
        }
        notes
    }
}

impl Stage {
    fn reach(&mut self, lane: Lane, upto: u64, now: Wall) {
        let reached = &mut self.reached[lane.index()];
        if upto <= *reached {
            return;
        }
        let fresh = Stretch { after: *reached, upto, from: now, to: now };
        let stretch = self.unsaved[lane.index()].get_or_insert(fresh);
        (stretch.upto, stretch.to) = (upto, stretch.to.max(now));
        *reached = upto;
    }
    fn pass_snapshot(&mut self, from: Wall, to: Wall) {
        if !std::mem::replace(&mut self.past_snapshot, true) {
            self.snapshot = Some(Stretch { after: 0, upto: 0, from, to });
        }
    }
}
