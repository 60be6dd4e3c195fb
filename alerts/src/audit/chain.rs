//! Links and the Merkle tree over them. Pure.
//!
//! A link is `SHA-256(0x00 ‖ the link before ‖ content)`, an inner node `SHA-256(0x01 ‖ left ‖ right)`. The link before the
//! first is 32 zero bytes. The content of an entry is its table (1 the audit, 2 the register) and its number, 8 bytes, then for
//! each of its columns that is neither NULL nor an empty text: its place among the columns, a type, and its value, integers
//! as 8 bytes, texts after their length in 4 bytes; all big-endian. A column that is added later, empty in what was there
//! before, changes no link.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// Bytes of a hash.
const BYTES: usize = 32;

/// A SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hash(pub [u8; BYTES]);

impl Hash {
    /// The link before the first.
    pub const ZERO: Hash = Hash([0; BYTES]);
    /// From bytes of the right number.
    pub fn of_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
    /// From 64 hexadecimal digits.
    pub fn of_text(text: &str) -> Option<Self> {
        super::key::of_hex(text).map(Self)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Who did what.
    Audit = 1,
    /// Who asked for which pixels.
    Register = 2,
}

impl Source {
    /// Of its number.
    pub fn of_number(number: i64) -> Option<Self> {
        match number {
            1 => Some(Source::Audit),
            2 => Some(Source::Register),
            _ => None,
        }
    }
    /// What it is called.
    pub fn word(self) -> &'static str {
        match self {
            Source::Audit => "audit",
            Source::Register => "register",
        }
    }
}

/// The content of an entry, as it is hashed.
#[derive(Debug, Clone)]
pub struct Content(Vec<u8>);

impl Content {
    /// Of an entry, without its columns.
    pub fn new(source: Source, entry_id: i64) -> Self {
        let mut bytes = Vec::with_capacity(128);
        bytes.push(source as u8);
        bytes.extend_from_slice(&entry_id.to_be_bytes());
        Self(bytes)
    }
    /// Adds an integer, by the place of its column.
    pub fn integer(&mut self, column: u8, value: i64) {
        self.0.extend_from_slice(&[column, 1]);
        self.0.extend_from_slice(&value.to_be_bytes());
    }
    /// Adds a text, by the place of its column; an empty one adds nothing.
    pub fn text(&mut self, column: u8, value: &[u8]) {
        if value.is_empty() {
            return;
        }
        self.0.extend_from_slice(&[column, 2]);
        let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(value);
    }
    /// The link of this entry.
    pub fn link(&self, before: &Hash) -> Hash {
        hash(&[&[0], &before.0, &self.0])
    }
}

fn hash(parts: &[&[u8]]) -> Hash {
    let mut sum = Sha256::new();
    parts.iter().for_each(|part| sum.update(part));
    Hash(sum.finalize().into())
}

/// What of a growing Merkle tree is needed to grow it: the roots of its full subtrees, the largest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

impl Frontier {
    /// Leaves so far.
    pub fn size(&self) -> u64 {
        self.size
    }
    /// Adds a leaf.
    pub fn push(&mut self, leaf: Hash) {
        let (mut node, mut rest) = (leaf, self.size);
        while rest & 1 == 1 {
            let left = self.peaks.pop().expect("each full subtree has its root here");
            node = parent(&left, &node);
            rest >>= 1;
        }
        self.peaks.push(node);
        self.size += 1;
    }
    /// The root over all leaves so far.
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return hash(&[]) };
        peaks.fold(*last, |right, left| parent(left, &right))
    }
    /// As the store keeps it.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.size.to_be_bytes().to_vec();
        self.peaks.iter().for_each(|peak| bytes.extend_from_slice(&peak.0));
        bytes
    }
    /// What [`Frontier::bytes`] gave.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let (size, peaks) = bytes.split_first_chunk()?;
        let size = u64::from_be_bytes(*size);
        let peaks: Vec<Hash> = peaks.chunks(BYTES).map(Hash::of_bytes).collect::<Option<_>>()?;
        (peaks.len() == size.count_ones() as usize).then_some(Self { size, peaks })
    }
}

fn parent(left: &Hash, right: &Hash) -> Hash {
    hash(&[&[1], &left.0, &right.0])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The root by the definition of RFC 6962, section 2.1.
    fn root(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => hash(&[]),
            [one] => *one,
            more => {
                let split = more.len().next_power_of_two() / 2;
                parent(&root(&more[..split]), &root(&more[split..]))
            }
        }
    }

    #[test]
    fn a_growing_tree_has_the_root_that_the_definition_gives() {
        let leaves: Vec<Hash> = (0..100).map(|n| Content::new(Source::Audit, n).link(&Hash::ZERO)).collect();
        let mut tree = Frontier::default();
        for (size, leaf) in leaves.iter().enumerate() {
            assert_eq!(tree.root(), root(&leaves[..size]), "{size}");
            assert_eq!(Frontier::of_bytes(&tree.bytes()), Some(tree.clone()));
            tree.push(*leaf);
        }
        assert_eq!((tree.size(), tree.root()), (100, root(&leaves)));
        assert_eq!(Frontier::of_bytes(&tree.bytes()[..40]), None);
        assert_eq!(Frontier::of_bytes(b"short"), None);
    }

    #[test]
    fn no_two_contents_are_written_alike() {
        let with = |source, id, build: &dyn Fn(&mut Content)| {
            let mut content = Content::new(source, id);
            build(&mut content);
            content.link(&Hash::ZERO)
        };
        let all = [
            with(Source::Audit, 1, &|_| ()),
            with(Source::Register, 1, &|_| ()),
            with(Source::Audit, 2, &|_| ()),
            with(Source::Audit, 1, &|one| one.text(0, b"ab")),
            with(Source::Audit, 1, &|one| one.text(1, b"ab")),
            with(Source::Audit, 1, &|one| {
                one.text(0, b"a");
                one.text(0, b"b");
            }),
            with(Source::Audit, 1, &|one| one.integer(0, 7)),
            with(Source::Audit, 1, &|one| one.text(0, &7i64.to_be_bytes())),
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(!all[..index].contains(one), "{index}");
        }
        // An empty column that is added later changes nothing.
        assert_eq!(with(Source::Audit, 1, &|one| one.text(9, b"")), all[0]);
    }
}
