//! The second factor: time-based codes (RFC 6238), their secrets sealed with a key beside the store.
//!
//! The key lies in a file of its own, so that a copy of the store alone gives nobody a factor. A sealed secret: 24 bytes
//! nonce, then ciphertext and tag, the account's name as associated data.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use totp_rs::{Algorithm, TOTP};
use xueliang_base::time::Wall;

use super::token;
use crate::error::{Error, Result};

/// Name of the key's file in the state folder; belongs into every backup of the store.
pub const KEY_FILE: &str = "accounts.key";
const NONCE: usize = 24;
/// Seconds for which a code counts.
const STEP_S: u64 = 30;
/// Steps before and after the present one whose codes are taken: clocks of telephones differ.
const SKEW: u64 = 1;

/// The key that seals secrets.
pub(super) struct Key(XChaCha20Poly1305);

impl Key {
    /// Reads the key of a state folder, or makes one.
    pub(super) fn load_or_make(folder: &Path) -> Result<Self> {
        let path = folder.join(KEY_FILE);
        if !path.exists() {
            make(folder, &path).map_err(Error::io(format_args!("write {}", path.display())))?;
        }
        let bytes = fs::read(&path).map_err(Error::io(format_args!("read {}", path.display())))?;
        let key: [u8; 32] = bytes.try_into().map_err(|_| {
            let path = path.display();
            Error::DataLoss(format!("{path} is not 32 bytes long: restore it from the backup"))
        })?;
        Ok(Self(XChaCha20Poly1305::new(&key.into())))
    }
    fn seal(&self, name: &str, secret: &[u8]) -> Result<Vec<u8>> {
        let nonce = token::random::<NONCE>()?;
        let payload = Payload { msg: secret, aad: name.as_bytes() };
        let sealed = self.0.encrypt(XNonce::from_slice(&nonce), payload);
        let sealed = sealed.map_err(|_| Error::Internal("encryption fails".to_owned()))?;
        Ok([&nonce[..], &sealed].concat())
    }
    fn open(&self, name: &str, sealed: &[u8]) -> Option<TOTP> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE)?;
        let payload = Payload { msg: sealed, aad: name.as_bytes() };
        totp(self.0.decrypt(XNonce::from_slice(nonce), payload).ok()?).ok()
    }
    /// A new factor: sealed, and as its owner is told, in base 32 and as a URL.
    pub(super) fn enrol(&self, name: &str) -> Result<(Vec<u8>, String, String)> {
        let secret = token::random::<20>()?;
        let sealed = self.seal(name, &secret)?;
        let told = totp(secret.to_vec())?.get_secret_base32();
        let url = format!("otpauth://totp/xueliang:{name}?secret={told}&issuer=xueliang");
        Ok((sealed, told, url))
    }
    /// The step of a code that is right now and was not used; `None` where there is none.
    pub(super) fn step(&self, name: &str, factor: &super::Totp, code: &str, now: Wall) -> Option<u64> {
        let Some(totp) = self.open(name, &factor.sealed) else {
            tracing::error!(
                account = name,
                "its second factor was sealed with another key: restore {KEY_FILE}, or reset the account"
            );
            return None;
        };
        let present = u64::try_from(now.0).unwrap_or(0) / 1_000_000 / STEP_S;
        let steps = present.saturating_sub(SKEW)..=present + SKEW;
        let mut right = steps.filter(|step| totp.generate(step * STEP_S) == code);
        right.find(|step| *step > factor.last_step)
    }
}

fn totp(secret: Vec<u8>) -> Result<TOTP> {
    // One step at a time is compared: which one it was is to be known.
    TOTP::new(Algorithm::SHA1, 6, 0, STEP_S, secret)
        .map_err(|error| Error::Internal(format!("make a second factor: {error}")))
}

/// Written whole or not at all, and on disk before anything is sealed with it.
fn make(folder: &Path, path: &Path) -> io::Result<()> {
    let fresh = folder.join(format!("{KEY_FILE}.new"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(&token::random::<32>().map_err(io::Error::other)?)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::{super::Totp, *};

    #[test]
    fn a_code_counts_about_its_time_once_and_for_its_account_and_key_alone() {
        let folder = tempfile::tempdir().unwrap();
        let key = Key::load_or_make(folder.path()).unwrap();
        let mode = fs::metadata(folder.path().join(KEY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        // The secret of RFC 6238, appendix B: at 59 s the eight digits 94287082.
        let sealed = key.seal("ana", b"12345678901234567890").unwrap();
        let mut factor = Totp { sealed, confirmed: true, last_step: 0 };
        let at = |seconds: i64| Wall(seconds * 1_000_000);
        assert_eq!(key.step("ana", &factor, "287082", at(59)), Some(1));
        assert_eq!(key.step("ana", &factor, "287082", at(89)), Some(1), "one step late");
        assert_eq!(key.step("ana", &factor, "287082", at(90)), None);
        assert_eq!(key.step("ana", &factor, "287083", at(59)), None);
        assert_eq!(key.step("ana", &factor, "", at(59)), None);
        assert_eq!(key.step("ben", &factor, "287082", at(59)), None);
        factor.last_step = 1;
        assert_eq!(key.step("ana", &factor, "287082", at(59)), None, "used");
        factor.last_step = 0;
        let again = Key::load_or_make(folder.path()).unwrap();
        assert_eq!(again.step("ana", &factor, "287082", at(59)), Some(1));
        let elsewhere = tempfile::tempdir().unwrap();
        let other = Key::load_or_make(elsewhere.path()).unwrap();
        assert_eq!(other.step("ana", &factor, "287082", at(59)), None);
    }
}
