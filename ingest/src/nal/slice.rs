//! What a slice header says of its picture, and the parameter sets that are needed to read one.

use std::hash::{DefaultHasher, Hasher};

use super::bits::MAX_BYTES;

/// How a picture may be predicted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum PictureType {
    /// From nothing but itself.
    I,
    /// From one picture a block.
    P,
    /// From two pictures a block. Encoders without reordering use it in H.265, too.
    B,
    /// Cannot be told.
    #[default]
    Other,
}

impl PictureType {
    /// Lists of references that its slices have.
    pub fn lists(self) -> usize {
        match self {
            PictureType::P => 1,
            PictureType::B => 2,
            PictureType::I | PictureType::Other => 0,
        }
    }
}

/// The first slice of a picture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Slice {
    pub picture: PictureType,
    /// Other pictures may be predicted from it.
    pub reference: bool,
    /// Its quantiser; `None` where it cannot be read.
    pub qp: Option<i8>,
}

/// Sets of one kind by their id. A stream has one or two; standards allow 256, hostile streams all of them.
const SLOTS: usize = 4;

#[derive(Debug)]
pub(crate) struct Slots<T> {
    /// Id, a hash of the bytes it was read from, and the set; oldest first.
    held: Vec<(u32, u64, T)>,
    newest: usize,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { held: Vec::new(), newest: 0 }
    }
}

impl<T> Slots<T> {
    pub fn get(&self, id: u32) -> Option<&T> {
        self.held.iter().find(|slot| slot.0 == id).map(|slot| &slot.2)
    }
    pub fn newest(&self) -> Option<&T> {
        self.held.get(self.newest).map(|slot| &slot.2)
    }
    /// Parses a set that is not held already, in place of the one with its id or of the oldest.
    pub fn put(&mut self, nal: &[u8], parse: impl Fn(&[u8]) -> Option<(u32, T)>) {
        let mut hasher = DefaultHasher::new();
        hasher.write(&nal[..nal.len().min(MAX_BYTES)]);
        let hash = hasher.finish();
        if let Some(at) = self.held.iter().position(|slot| slot.1 == hash) {
            self.newest = at;
            return;
        }
        let Some((id, set)) = parse(nal) else { return };
        let full = self.held.len() == SLOTS;
        match self.held.iter().position(|slot| slot.0 == id) {
            Some(at) => drop(self.held.remove(at)),
            None if full => drop(self.held.remove(0)),
            None => {}
        }
        self.held.push((id, hash, set));
        self.newest = self.held.len() - 1;
    }
}
