//! The key that seals contacts of custodians: a file of its own beside the store, its owner's alone, made at the first start.
//! So a copy of the store by itself tells no contact.
//!
//! The file has a line of 64 hexadecimal digits for each key; the last one seals. There is more than one only while contacts
//! are being sealed anew, and after that was cut off halfway. A sealed contact: 4 bytes of the key's digest, 24 bytes nonce,
//! then ciphertext and tag (XChaCha20-Poly1305), the camera's id as associated data, so that none can be moved to another camera.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use prost::Message as _;
use xueliang_base::{alert::Sha256, id::CameraId};
use xueliang_proto::v1;

use crate::{
    audit::key::of_hex,
    error::{Error, Result},
};

/// Name of the file in the state folder; belongs into every backup of the store.
pub const KEY_FILE: &str = "custodians.key";
const KEY: usize = 32;
const MARK: usize = 4;
const NONCE: usize = 24;

struct Key {
    bytes: [u8; KEY],
    cipher: XChaCha20Poly1305,
}

impl Key {
    fn of(bytes: [u8; KEY]) -> Self {
        Self { bytes, cipher: XChaCha20Poly1305::new(&bytes.into()) }
    }
    fn draw() -> Result<Self> {
        Ok(Self::of(random()?))
    }
    /// Names it in what it sealed.
    fn mark(&self) -> [u8; MARK] {
        let digest = Sha256::of(&self.bytes).0;
        [digest[0], digest[1], digest[2], digest[3]]
    }
}

/// The keys of a state folder.
pub(crate) struct Keys {
    path: PathBuf,
    /// The last one seals.
    keys: Vec<Key>,
}

impl Keys {
    /// Reads the keys of a state folder, or makes one.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(KEY_FILE);
        let shown = path.display().to_string();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let made = Self { path, keys: vec![Key::draw()?] };
                made.write()?;
                return Ok(made);
            }
            Err(error) => return Err(Error::io(format_args!("read {shown}"))(error)),
        };
        let keys: Option<Vec<Key>> =
            text.lines().map(|line| of_hex::<KEY>(line.trim()).map(Key::of)).collect();
        match keys.filter(|keys| !keys.is_empty()) {
            Some(keys) => Ok(Self { path, keys }),
            None => Err(Error::DataLoss(format!(
                "{shown} holds no key: put back its copy from the backup of the store"
            ))),
        }
    }
    /// Written whole or not at all, and on disk before anything is sealed with it.
    fn write(&self) -> Result<()> {
        let fresh = self.path.with_extension("key.new");
        let text: String = self.keys.iter().map(|key| hex(&key.bytes) + "\n").collect();
        let written = || -> io::Result<()> {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&fresh, &self.path)?;
            File::open(self.path.parent().unwrap_or(Path::new(".")))?.sync_all()
        };
        written().map_err(Error::io(format_args!("write {}", self.path.display())))
    }
    /// A new key, on disk beside those before. What is sealed from now on is sealed with it.
    pub(crate) fn add(&mut self) -> Result<()> {
        self.keys.push(Key::draw()?);
        let written = self.write();
        if written.is_err() {
            self.keys.pop();
        }
        written
    }
    /// Forgets all keys but the last: once nothing is sealed with them any more.
    pub(crate) fn forget_former(&mut self) -> Result<()> {
        let former = self.keys.len() - 1;
        self.keys.drain(..former);
        self.write()
    }
    /// Seals a contact.
    pub(crate) fn seal(&self, camera: &CameraId, contact: &v1::CustodianContact) -> Result<Vec<u8>> {
        let key = self.keys.last().expect("there is always a key");
        let nonce = random::<NONCE>()?;
        let message = contact.encode_to_vec();
        let payload = Payload { msg: &message, aad: camera.as_str().as_bytes() };
        let sealed = key.cipher.encrypt(XNonce::from_slice(&nonce), payload);
        let sealed = sealed.map_err(|_| Error::Internal("encryption fails".to_owned()))?;
        Ok([&key.mark()[..], &nonce, &sealed].concat())
    }
    /// Opens a contact.
    pub(crate) fn open_contact(&self, camera: &CameraId, sealed: &[u8]) -> Result<v1::CustodianContact> {
        self.try_open(camera, sealed).ok_or_else(|| {
            Error::DataLoss(format!(
                "the contact of {camera} was sealed with another key: put back {KEY_FILE} from the backup of the \
                 store, or import the custodians again"
            ))
        })
    }
    fn try_open(&self, camera: &CameraId, sealed: &[u8]) -> Option<v1::CustodianContact> {
        let (mark, rest) = sealed.split_at_checked(MARK)?;
        let (nonce, rest) = rest.split_at_checked(NONCE)?;
        let payload = || Payload { msg: rest, aad: camera.as_str().as_bytes() };
        let mut keys = self.keys.iter().filter(|key| key.mark() == mark);
        let opened = keys.find_map(|key| key.cipher.decrypt(XNonce::from_slice(nonce), payload()).ok());
        v1::CustodianContact::decode(opened?.as_slice()).ok()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Error::Unavailable(format!("draw a key: {error}")))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn contact() -> v1::CustodianContact {
        v1::CustodianContact { name: "张三".to_owned(), telephone: "13812341234".to_owned() }
    }

    #[test]
    fn a_contact_opens_for_its_camera_and_key_alone_and_through_a_change_of_keys() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(KEY_FILE);
        let (gate, pier): (CameraId, CameraId) = ("gate".parse().unwrap(), "pier".parse().unwrap());
        let mut keys = Keys::open(folder.path()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let sealed = keys.seal(&gate, &contact()).unwrap();
        assert!(!sealed.windows(11).any(|part| part == b"13812341234"));
        assert_ne!(keys.seal(&gate, &contact()).unwrap(), sealed, "each has a nonce of its own");
        assert_eq!(keys.open_contact(&gate, &sealed), Ok(contact()));
        assert!(keys.open_contact(&pier, &sealed).is_err(), "moved to another camera");
        for at in [0, MARK, MARK + NONCE, sealed.len() - 1] {
            let mut other = sealed.clone();
            other[at] ^= 1;
            assert!(keys.open_contact(&gate, &other).is_err(), "byte {at}");
        }
        keys.add().unwrap();
        // Cut off here, the next start knows both.
        let mut keys = Keys::open(folder.path()).unwrap();
        assert_eq!(keys.open_contact(&gate, &sealed), Ok(contact()));
        let again = keys.seal(&gate, &contact()).unwrap();
        keys.forget_former().unwrap();
        let keys = Keys::open(folder.path()).unwrap();
        assert_eq!(keys.open_contact(&gate, &again), Ok(contact()));
        let refused = keys.open_contact(&gate, &sealed).unwrap_err().to_string();
        assert!(refused.contains(KEY_FILE), "{refused}");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, "no key").unwrap();
        let refused = Keys::open(folder.path()).map(|_| ()).unwrap_err().to_string();
        assert!(refused.contains("put back its copy") && !refused.contains("no key\n"), "{refused}");
    }
}
