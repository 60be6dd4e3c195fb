//! Cursors: opaque places in the feed.
//!
//! 53 bytes: version (1), epoch (16), the last position of each lane that was passed (3 × 8, big endian; all
//! records of the lane at or before it are done), the mark of the filter it was earned under (8), and the first 4 bytes
//! of the SHA-256 of all that. Version 1 lacks the mark. A client keeps and returns them as they are; a store accepts
//! only cursors of its own epoch, and under another filter tells first what the earlier one did not show.

use std::fmt;

use crate::{alert::Sha256, kind::Lane};

const VERSION: u8 = 2;
/// Without a filter's mark.
const UNMARKED: u8 = 1;
const PLACES: usize = 1 + 16 + 3 * 8;
const MARK: usize = 8;
const SUM: usize = 4;
const LENGTH: usize = PLACES + MARK + SUM;

/// One life of a store's feed. Compared for equality only: a restored or rebuilt store begins a new one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch(pub [u8; 16]);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Epoch({self})")
    }
}

/// Stands for a filter: equal filters have equal marks, others do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FilterMark(pub [u8; MARK]);

/// A place in the feed: one position a lane, inclusive (everything up to it is done).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// Of the store that made it.
    pub epoch: Epoch,
    /// Last position done, by [`Lane::index`]; 0 is before the first.
    pub positions: [u64; 3],
    /// What was passed up to there was passed under this filter; `None` where that is not known.
    pub filter: Option<FilterMark>,
}

/// Why bytes are no cursor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    /// Not as long as a cursor is.
    #[error(
        "a cursor has {LENGTH} bytes, got {0}: return it as it was delivered, or none to begin with a snapshot"
    )]
    Length(usize),
    /// Made by another version.
    #[error("the cursor is of version {0}, this server reads versions up to {VERSION}: begin without one")]
    Version(u8),
    /// Damaged on the way or made by hand.
    #[error("the cursor is damaged: return it as it was delivered, or none to begin with a snapshot")]
    Checksum,
}

impl Cursor {
    /// The beginning of an epoch's feed.
    pub fn start(epoch: Epoch) -> Self {
        Self { epoch, positions: [0; 3], filter: None }
    }
    /// A cursor at one position in every lane.
    pub fn at(epoch: Epoch, position: u64) -> Self {
        Self { epoch, positions: [position; 3], filter: None }
    }
    /// The same place, earned under a filter.
    #[must_use]
    pub fn under(self, filter: FilterMark) -> Self {
        Self { filter: Some(filter), ..self }
    }
    /// This place, or in each lane the later one that was known before: a place never goes back within an epoch and
    /// under a filter.
    #[must_use]
    pub fn not_before(mut self, known: &Cursor) -> Self {
        if self.epoch == known.epoch && self.filter == known.filter {
            for (position, known) in self.positions.iter_mut().zip(known.positions) {
                *position = known.max(*position);
            }
        }
        self
    }
    /// The position of a lane.
    pub fn position(&self, lane: Lane) -> u64 {
        self.positions[lane.index()]
    }
    /// The opaque bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(LENGTH);
        bytes.push(if self.filter.is_some() { VERSION } else { UNMARKED });
        bytes.extend_from_slice(&self.epoch.0);
        for position in self.positions {
            bytes.extend_from_slice(&position.to_be_bytes());
        }
        if let Some(mark) = self.filter {
            bytes.extend_from_slice(&mark.0);
        }
        let sum = Sha256::of(&bytes);
        bytes.extend_from_slice(&sum.0[..SUM]);
        bytes
    }
    /// The cursor of opaque bytes. Whether its epoch is the store's is the store's to say.
    pub fn decode(bytes: &[u8]) -> Result<Self, CursorError> {
        let body = match bytes.first() {
            Some(&UNMARKED) => PLACES,
            Some(&VERSION) => PLACES + MARK,
            Some(version) => return Err(CursorError::Version(*version)),
            None => return Err(CursorError::Length(0)),
        };
        if bytes.len() != body + SUM {
            return Err(CursorError::Length(bytes.len()));
        }
        let (body, sum) = bytes.split_at(body);
        if Sha256::of(body).0[..SUM] != *sum {
            return Err(CursorError::Checksum);
        }
        let mut epoch = [0; 16];
        epoch.copy_from_slice(&body[1..17]);
        let mut positions = [0; 3];
        for (position, chunk) in positions.iter_mut().zip(body[17..PLACES].chunks_exact(8)) {
            *position = chunk.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
        }
        let filter = body[PLACES..].try_into().ok().map(FilterMark);
        Ok(Self { epoch: Epoch(epoch), positions, filter })
    }
    /// The lower position of both in every lane.
    #[must_use]
    pub fn min(&self, other: &Cursor) -> Cursor {
        let mut positions = self.positions;
        for (mine, theirs) in positions.iter_mut().zip(other.positions) {
            *mine = (*mine).min(theirs);
        }
        Cursor { positions, ..*self }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_reads_what_it_wrote(epoch: [u8; 16], positions: [u64; 3], mark: Option<[u8; 8]>) {
            let cursor = Cursor { epoch: Epoch(epoch), positions, filter: mark.map(FilterMark) };
            prop_assert_eq!(Cursor::decode(&cursor.encode()), Ok(cursor));
        }

        #[test]
        fn a_changed_byte_is_noticed(epoch: [u8; 16], positions: [u64; 3], at in 0..LENGTH, by in 1u8..) {
            let filter = Some(FilterMark([7; MARK]));
            let mut bytes = Cursor { epoch: Epoch(epoch), positions, filter }.encode();
            bytes[at] ^= by;
            prop_assert!(Cursor::decode(&bytes).is_err());
        }

        #[test]
        fn garbage_is_an_error(bytes: Vec<u8>) {
            prop_assert!(Cursor::decode(&bytes).is_err());
        }
    }

    #[test]
    fn a_cursor_of_the_first_version_is_read_and_its_filter_is_not_known() {
        // Made by the release before filters were marked.
        let mut bytes = vec![1];
        bytes.extend([3; 16]);
        bytes.extend([0, 0, 0, 0, 0, 0, 0, 9].repeat(3));
        let sum = Sha256::of(&bytes);
        bytes.extend(&sum.0[..4]);
        assert_eq!(bytes.len(), 45);
        assert_eq!(Cursor::decode(&bytes), Ok(Cursor { filter: None, ..Cursor::at(Epoch([3; 16]), 9) }));
    }
}
