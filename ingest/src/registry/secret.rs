//! Sealing of credentials: XChaCha20-Poly1305, a fresh random nonce each time, the credentials' name as associated
//! data, so that one camera's secret cannot be passed off as another's. Sealed: 24 bytes nonce, then ciphertext and
//! tag; inside: the user's length (4 bytes, little endian), user, password.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use xueliang_base::id::CredentialName;

use crate::{Credentials, Error};

const NONCE: usize = 24;

/// The key of one store.
pub(super) struct Key(XChaCha20Poly1305);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key([redacted])")
    }
}

fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Error::Random(error.to_string()))?;
    Ok(bytes)
}

impl Key {
    /// Reads the key file. Makes one where there is none, unless the store already holds what it would have to open.
    pub(super) fn load_or_make(path: &Path, needed: bool) -> Result<Self, Error> {
        let fail = |doing| move |source| Error::File { doing, path: path.to_owned(), source };
        let wrong = |reason| Error::KeyFile { path: path.to_owned(), reason };
        match fs::metadata(path) {
            Ok(found) => {
                if found.permissions().mode() & 0o077 != 0 {
                    return Err(wrong("others may read it: chmod 600, and change the cameras' passwords"));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if needed {
                    return Err(wrong(
                        "is missing, and the registry holds credentials sealed with it: restore it from the backup; \
                         where it is lost, put 32 random bytes there (head -c 32 /dev/urandom, mode 600) and apply the \
                         configuration again",
                    ));
                }
                Self::make(path)?;
            }
            Err(error) => return Err(fail("look at")(error)),
        }
        let bytes = fs::read(path).map_err(fail("read"))?;
        let key: [u8; 32] =
            bytes.try_into().map_err(|_| wrong("is not 32 bytes long: restore it from the backup"))?;
        Ok(Self(XChaCha20Poly1305::new(&key.into())))
    }
    /// Written whole or not at all, and on disk before anything is sealed with it.
    fn make(path: &Path) -> Result<(), Error> {
        let fail = |source| Error::File { doing: "write", path: path.to_owned(), source };
        let fresh = super::beside(path, ".new");
        let write = || {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
            let key = random::<32>().map_err(io::Error::other)?;
            file.write_all(&key)?;
            file.sync_all()?;
            fs::rename(&fresh, path)?;
            let folder =
                path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(folder)?.sync_all()
        };
        write().map_err(fail)
    }
    pub(super) fn seal(&self, name: &CredentialName, credentials: &Credentials) -> Result<Vec<u8>, Error> {
        let nonce = random::<NONCE>()?;
        let (user, password) = (credentials.user().as_bytes(), credentials.password().as_bytes());
        let length =
            u32::try_from(user.len()).map_err(|_| Error::Random("a user name of 4 GiB".to_owned()))?;
        let plain = [&length.to_le_bytes(), user, password].concat();
        let payload = Payload { msg: &plain, aad: name.as_str().as_bytes() };
        let sealed = self.0.encrypt(XNonce::from_slice(&nonce), payload);
        let sealed = sealed.map_err(|_| Error::Random("encryption fails".to_owned()))?;
        Ok([&nonce[..], &sealed].concat())
    }
    /// `None` where the key is another or the bytes were changed.
    pub(super) fn open(&self, name: &CredentialName, sealed: &[u8]) -> Option<Credentials> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE)?;
        let payload = Payload { msg: sealed, aad: name.as_str().as_bytes() };
        let plain = self.0.decrypt(XNonce::from_slice(nonce), payload).ok()?;
        let (length, rest) = plain.split_at_checked(4)?;
        let length = usize::try_from(u32::from_le_bytes(length.try_into().ok()?)).ok()?;
        let (user, password) = rest.split_at_checked(length)?;
        Some(Credentials::new(std::str::from_utf8(user).ok()?, std::str::from_utf8(password).ok()?))
    }
}
