//! Cursors: opaque places in the feed.
//!
//! 45 bytes: version (1), epoch (16), the last position of each lane that was passed (3 × 8, big endian; all
//! records of the lane at or before it are done), and the first 4 bytes of the SHA-256 of all that. A client
//! keeps and returns them as they are; a store accepts only cursors of its own epoch.

use std::fmt;

use crate::{alert::Sha256, kind::Lane};

const VERSION: u8 = 1;
const BODY: usize = 1 + 16 + 3 * 8;
const LENGTH: usize = BODY + 4;

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

/// A place in the feed: one position a lane, inclusive (everything up to it is done).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// Of the store that made it.
    pub epoch: Epoch,
    /// Last position done, by [`Lane::index`]; 0 is before the first.
    pub positions: [u64; 3],
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
    #[error("the cursor is of version {0}, this server reads version {VERSION}: begin without one")]
    Version(u8),
    /// Damaged on the way or made by hand.
    #[error("the cursor is damaged: return it as it was delivered, or none to begin with a snapshot")]
    Checksum,
}

impl Cursor {
    /// The beginning of an epoch's feed.
    pub fn start(epoch: Epoch) -> Self {
        Self { epoch, positions: [0; 3] }
    }
    /// A cursor at one position in every lane.
    pub fn at(epoch: Epoch, position: u64) -> Self {
        Self { epoch, positions: [position; 3] }
    }
    /// The position of a lane.
    pub fn position(&self, lane: Lane) -> u64 {
        self.positions[lane.index()]
    }
    /// The opaque bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(LENGTH);
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.epoch.0);
        for position in self.positions {
            bytes.extend_from_slice(&position.to_be_bytes());
        }
        let sum = Sha256::of(&bytes);
        bytes.extend_from_slice(&sum.0[..4]);
        bytes
    }
    /// The cursor of opaque bytes. Whether its epoch is the store's is the store's to say.
    pub fn decode(bytes: &[u8]) -> Result<Self, CursorError> {
        if let Some(version) = bytes.first().filter(|version| **version != VERSION) {
            return Err(CursorError::Version(*version));
        }
        if bytes.len() != LENGTH {
            return Err(CursorError::Length(bytes.len()));
        }
        let (body, sum) = bytes.split_at(BODY);
        if Sha256::of(body).0[..4] != *sum {
            return Err(CursorError::Checksum);
        }
        let mut epoch = [0; 16];
        epoch.copy_from_slice(&body[1..17]);
        let mut positions = [0; 3];
        for (position, chunk) in positions.iter_mut().zip(body[17..].chunks_exact(8)) {
            *position = chunk.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
        }
        Ok(Self { epoch: Epoch(epoch), positions })
    }
    /// The lower position of both in every lane.
    #[must_use]
    pub fn min(&self, other: &Cursor) -> Cursor {
        let mut positions = self.positions;
        for (mine, theirs) in positions.iter_mut().zip(other.positions) {
            *mine = (*mine).min(theirs);
        }
        Cursor { epoch: self.epoch, positions }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_reads_what_it_wrote(epoch: [u8; 16], positions: [u64; 3]) {
            let cursor = Cursor { epoch: Epoch(epoch), positions };
            prop_assert_eq!(Cursor::decode(&cursor.encode()), Ok(cursor));
        }

        #[test]
        fn a_changed_byte_is_noticed(epoch: [u8; 16], positions: [u64; 3], at in 0..LENGTH, by in 1u8..) {
            let mut bytes = Cursor { epoch: Epoch(epoch), positions }.encode();
            bytes[at] ^= by;
            prop_assert!(Cursor::decode(&bytes).is_err());
        }

        #[test]
        fn garbage_is_an_error(bytes: Vec<u8>) {
            prop_assert!(Cursor::decode(&bytes).is_err());
        }
    }
}
