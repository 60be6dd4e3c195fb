//! The secret of a sink, and what it signs: HMAC-SHA256 over `TIMESTAMP.BODY`, hexadecimal after `v1=`.

use std::{fmt, fmt::Write as _, path::Path};

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

/// Bytes a secret has at least: what `openssl rand -hex 16` prints, or more.
const MIN_SECRET_BYTES: usize = 32;
/// And at most: what is longer is some other file.
const MAX_SECRET_BYTES: usize = 4096;

/// A secret. Printed nowhere.
pub struct Secret(Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// Reads a secret: all of a file but white space at its ends. It is read again for each sending, so that it can be
    /// replaced while the service runs. The error says what to do and nothing of what was read.
    pub async fn read(path: &Path) -> Result<Self, String> {
        Self::found(path, tokio::fs::read(path).await)
    }
    /// The same where waiting for the disk holds up nobody.
    pub fn read_blocking(path: &Path) -> Result<Self, String> {
        Self::found(path, std::fs::read(path))
    }
    fn found(path: &Path, read: std::io::Result<Vec<u8>>) -> Result<Self, String> {
        let shown = path.display();
        let bytes = read.map_err(|error| format!("read {shown}: {error}"))?;
        Self::of(&bytes).ok_or_else(|| {
            format!(
                "{shown} must hold one line of {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} bytes: write one with \
                 `openssl rand -hex 32`"
            )
        })
    }
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        let secret = bytes.trim_ascii();
        let one_line = !secret.contains(&b'\n');
        (one_line && (MIN_SECRET_BYTES..=MAX_SECRET_BYTES).contains(&secret.len()))
            .then(|| Self(secret.to_vec()))
    }
    /// The value of `Xueliang-Signature`.
    pub(super) fn sign(&self, timestamp: &str, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("a key may have any length");
        mac.update(timestamp.as_bytes());
        mac.update(b".");
        mac.update(body);
        mac.finalize().into_bytes().iter().fold("v1=".to_owned(), |mut text, byte| {
            let _infallible = write!(text, "{byte:02x}");
            text
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_what_others_compute() {
        let secret = Secret::of(b"0123456789abcdef0123456789abcdef\n").unwrap();
        // printf '1790000000.{"a":1}' | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef
        let expected = "v1=f4346a65c05b64dd6b51506d8bb57787fd3805be72b2212c4b3b6e27d36316eb";
        assert_eq!(secret.sign("1790000000", b"{\"a\":1}"), expected);
        assert_ne!(secret.sign("1790000001", b"{\"a\":1}"), expected);
        assert!(!format!("{secret:?}").contains("0123"));
    }

    #[test]
    fn a_secret_that_is_short_or_some_other_file_is_refused() {
        let long = "x".repeat(5000);
        for bad in ["", "\n", "short", "-----BEGIN\n0123456789abcdef0123456789abcdef", &long] {
            assert!(Secret::of(bad.as_bytes()).is_none(), "{bad:?}");
        }
    }
}
