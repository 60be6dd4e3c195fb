//! A signed head: what stands for all entries up to a number. And its file:
//!
//! ```json
//! {"format": "xueliang-audit-head-1", "size": 4096, "at_unix_us": 1790000000000000, "root": "…", "link": "…",
//!  "key": "…", "signature": "…"}
//! ```
//!
//! `root` is the Merkle root over the first `size` links, `link` the last of them, `key` the public key, all in hexadecimal.
//! Signed (Ed25519) are the first five values in this order, as text, each followed by a line feed.

use std::{fs, path::Path};

use serde::{Deserialize, Serialize};
use xueliang_base::time::Wall;

use super::{
    chain::{Frontier, Hash},
    key::{AuditKey, SIGNATURE_BYTES, of_hex, signed_by},
};
use crate::error::{Error, Result};

const FORMAT: &str = "xueliang-audit-head-1";
const PREFIX: &str = "head-";

/// A signed head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Entries that it stands for.
    pub size: u64,
    /// When it was signed.
    pub at: Wall,
    /// The Merkle root over their links.
    pub root: Hash,
    /// The last of their links.
    pub link: Hash,
    /// The public key.
    pub key: Hash,
    /// By that key.
    pub signature: [u8; SIGNATURE_BYTES],
}

#[derive(Serialize, Deserialize)]
struct HeadFile {
    format: String,
    size: u64,
    at_unix_us: i64,
    root: String,
    link: String,
    key: String,
    signature: String,
}

impl Head {
    /// Signs what stands there now.
    pub(crate) fn sign(key: &AuditKey, tree: &Frontier, link: Hash, at: Wall) -> Self {
        let mut head = Self {
            size: tree.size(),
            at,
            root: tree.root(),
            link,
            key: key.public(),
            signature: [0; SIGNATURE_BYTES],
        };
        head.signature = key.sign(&head.message());
        head
    }
    fn message(&self) -> Vec<u8> {
        format!("{FORMAT}\n{}\n{}\n{}\n{}\n", self.size, self.at.0, self.root, self.link).into_bytes()
    }
    /// Whether it is what its key signed.
    pub fn is_signed(&self) -> bool {
        signed_by(&self.key, &self.message(), &self.signature)
    }
    /// Its signature in hexadecimal.
    pub fn signature_text(&self) -> String {
        self.signature.iter().map(|byte| format!("{byte:02x}")).collect()
    }
    fn file(&self) -> HeadFile {
        HeadFile {
            format: FORMAT.to_owned(),
            size: self.size,
            at_unix_us: self.at.0,
            root: self.root.to_string(),
            link: self.link.to_string(),
            key: self.key.to_string(),
            signature: self.signature_text(),
        }
    }
    fn of_file(file: &HeadFile) -> Option<Self> {
        let hash = |text: &str| Hash::of_text(text);
        if file.format != FORMAT {
            return None;
        }
        Some(Self {
            size: file.size,
            at: Wall(file.at_unix_us),
            root: hash(&file.root)?,
            link: hash(&file.link)?,
            key: hash(&file.key)?,
            signature: of_hex(&file.signature)?,
        })
    }
    /// Writes it into a folder, under a name of its own; what is there stays. Whether it was written now.
    pub(crate) fn export(&self, folder: &Path) -> Result<bool> {
        let root = self.root.to_string();
        let path = folder.join(format!("{PREFIX}{:012}-{}.json", self.size, &root[..12]));
        if path.exists() {
            return Ok(false);
        }
        let text = serde_json::to_vec(&self.file())
            .map_err(|error| Error::Internal(format!("write a head of the audit: {error}")))?;
        let part = path.with_extension("part");
        let written = || -> std::io::Result<()> {
            fs::write(&part, text)?;
            fs::File::open(&part)?.sync_all()?;
            fs::rename(&part, &path)?;
            fs::File::open(folder)?.sync_all()
        };
        written().map_err(Error::io(format_args!("write {}", path.display())))?;
        Ok(true)
    }
}

/// The heads of a folder, as they were exported into it.
pub fn read_heads(folder: &Path) -> Result<Vec<Head>> {
    let doing = || format!("read the heads in {}", folder.display());
    let mut heads = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::io(doing()))? {
        let path = entry.map_err(Error::io(doing()))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !name.starts_with(PREFIX) || !name.ends_with(".json") {
            continue;
        }
        let text = fs::read(&path).map_err(Error::io(format_args!("read {}", path.display())))?;
        let file: Option<HeadFile> = serde_json::from_slice(&text).ok();
        let head = file.as_ref().and_then(Head::of_file);
        heads.push(head.ok_or_else(|| {
            Error::Invalid(format!("{} is no head of an audit: it was damaged or changed", path.display()))
        })?);
    }
    Ok(heads)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::chain::{Content, Source};

    #[test]
    fn a_head_is_read_as_it_was_written_and_not_trusted_when_changed() {
        let folder = tempfile::tempdir().unwrap();
        let key = AuditKey::open(folder.path()).unwrap();
        let mut tree = Frontier::default();
        let link = Content::new(Source::Audit, 1).link(&Hash::ZERO);
        tree.push(link);
        let head = Head::sign(&key, &tree, link, Wall(7));
        assert!(head.is_signed());
        assert_eq!((head.export(folder.path()), head.export(folder.path())), (Ok(true), Ok(false)));
        assert_eq!(read_heads(folder.path()), Ok(vec![head.clone()]));
        for changed in [
            Head { size: 2, ..head.clone() },
            Head { at: Wall(8), ..head.clone() },
            Head { root: Hash::ZERO, ..head.clone() },
            Head { link: Hash::ZERO, ..head.clone() },
            Head { key: Hash::ZERO, ..head.clone() },
            Head { signature: [1; SIGNATURE_BYTES], ..head },
        ] {
            assert!(!changed.is_signed(), "{changed:?}");
        }
        fs::write(folder.path().join("head-2.json"), "{}").unwrap();
        let refused = read_heads(folder.path()).unwrap_err().to_string();
        assert!(refused.contains("head-2.json is no head"), "{refused}");
    }
}
