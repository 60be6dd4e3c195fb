//! Random tokens: of sessions, one-time links and machines. Kept as digests only; 256 bits need no slow hash.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use xueliang_base::alert::Sha256;

use crate::error::{Error, Result};

/// So many random bytes.
pub(super) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Error::Unavailable(format!("draw a token: {error}")))?;
    Ok(bytes)
}

/// A new token and its digest. What it begins with says what it is, for people and for scanners that look for secrets.
pub(super) fn make(begin: &str) -> Result<(String, Sha256)> {
    let token = format!("{begin}{}", URL_SAFE_NO_PAD.encode(random::<32>()?));
    let digest = Sha256::of(token.as_bytes());
    Ok((token, digest))
}

/// What tokens of sessions begin with.
pub(super) const SESSION: &str = "xls_";
/// What one-time tokens begin with.
pub(super) const ONCE: &str = "xlo_";
/// What keys of machine accounts begin with.
pub(super) const KEY: &str = "xlk_";
