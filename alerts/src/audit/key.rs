//! The key that signs heads: Ed25519, its seed in hexadecimal in a file for its owner only.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use tracing::warn;

use super::chain::Hash;
use crate::error::{Error, Result};

/// Name of the key's file in the state folder.
pub const KEY_FILE: &str = "audit.key";

/// Bytes of a signature.
pub(crate) const SIGNATURE_BYTES: usize = 64;

/// Signs heads.
pub(crate) struct AuditKey(Ed25519KeyPair);

impl AuditKey {
    /// Reads the key of a state folder, or makes one.
    pub(crate) fn open(state_dir: &Path) -> Result<Self> {
        let path = state_dir.join(KEY_FILE);
        let doing = || format!("read the key of the audit {}", path.display());
        match fs::read_to_string(&path) {
            Ok(text) => {
                let mode = fs::metadata(&path).map_err(Error::io(doing()))?.permissions().mode();
                if mode & 0o077 != 0 {
                    warn!(file = %path.display(), "others may read the key of the audit: chmod 600, and see docs/audit.md");
                }
                Self::of_text(&text).ok_or_else(|| {
                    Error::DataLoss(format!(
                        "{} holds no key of 64 hexadecimal digits: put back its copy; without one, move it away, and \
                         heads are signed by a new key from then on",
                        path.display()
                    ))
                })
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Self::make(state_dir, &path),
            Err(error) => Err(Error::io(doing())(error)),
        }
    }
    fn make(state_dir: &Path, path: &Path) -> Result<Self> {
        let doing = || format!("write the key of the audit {}", path.display());
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| Error::Unavailable(format!("draw a key: {error}")))?;
        let key = Self::of_seed(&seed).ok_or_else(|| Error::Internal("a drawn key is none".to_owned()))?;
        // Named so only when it is whole and on disk.
        let fresh = path.with_extension("key.new");
        let written = || -> std::io::Result<()> {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
            writeln!(file, "{}", Hash(seed))?;
            file.sync_all()?;
            fs::rename(&fresh, path)?;
            fs::File::open(state_dir)?.sync_all()
        };
        written().map_err(Error::io(doing()))?;
        Ok(key)
    }
    fn of_text(text: &str) -> Option<Self> {
        Self::of_seed(&of_hex::<32>(text.trim())?)
    }
    fn of_seed(seed: &[u8]) -> Option<Self> {
        Ed25519KeyPair::from_seed_unchecked(seed).ok().map(Self)
    }
    /// The public key.
    pub(crate) fn public(&self) -> Hash {
        Hash::of_bytes(self.0.public_key().as_ref()).expect("a public key of Ed25519 has 32 bytes")
    }
    pub(crate) fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_BYTES] {
        self.0.sign(message).as_ref().try_into().expect("a signature of Ed25519 has 64 bytes")
    }
}

/// Whether a signature of a message is by this key.
pub(crate) fn signed_by(public: &Hash, message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, public.0).verify(message, signature).is_ok()
}

/// Bytes of so many pairs of hexadecimal digits.
pub(crate) fn of_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut bytes = [0; N];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let key = AuditKey::open(folder.path()).unwrap();
        let path = folder.path().join(KEY_FILE);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let signature = key.sign(b"head");
        let again = AuditKey::open(folder.path()).unwrap();
        assert_eq!(again.public(), key.public());
        assert!(signed_by(&again.public(), b"head", &signature));
        assert!(!signed_by(&again.public(), b"tail", &signature));
        let other = tempfile::tempdir().unwrap();
        assert!(!signed_by(&AuditKey::open(other.path()).unwrap().public(), b"head", &signature));
        fs::write(&path, "no key").unwrap();
        let refused = AuditKey::open(folder.path()).map(|_| ()).unwrap_err().to_string();
        assert!(refused.contains("put back its copy") && !refused.contains("no key\n"), "{refused}");
    }
}
