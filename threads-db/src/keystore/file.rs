//! The bytes of a keystore (`spec/03-encryption.md`): a line that says what it is, a hash of the rest,
//! and canonical DAG-CBOR.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use threads_core::block::{decode, encode as encode_cbor, sha256};
use threads_core::rand_core::CryptoRng;
use threads_core::{ContentKey, Error, ErrorKind, IdentityKey, Result, StoreKey};
use zeroize::{Zeroize as _, Zeroizing};

use super::{Keystore, KeystoreFault, Open, disk};
use crate::passphrase::SealedSecret;

/// The first line of the file, with the version of all that follows.
const MAGIC: &[u8] = b"threads keystore 1\n";
const HASH_BYTES: usize = 32;
/// The bytes of a keystore's name.
pub(super) const ID_BYTES: usize = 16;
const ENTRY_DOMAIN: &[u8] = b"threads/keystore/entry/1";
const LOCK_DOMAIN: &[u8] = b"threads/keystore/lock/1";
const IDENTITY: &str = "identity";
const STORE: &str = "store";

/// What follows the hash. One of `open` and `lock` is there.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    entries: Entries,
    id: ByteBuf,
    /// The key of the file under a passphrase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lock: Option<SealedSecret>,
    /// The key of the file, in the clear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    open: Option<ByteBuf>,
}

/// Each sealed under the key of the file, bound to its name.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entries {
    identity: ByteBuf,
    store: ByteBuf,
}

/// Whether this is a keystore, of a version that is not known here.
fn is_of_another_version(bytes: &[u8]) -> bool {
    let digits = MAGIC.len() - 2;
    let rest = bytes.strip_prefix(&MAGIC[..digits]);
    rest.is_some_and(|rest| matches!(rest, [b'0'..=b'9', b'\n', ..]))
}

/// How the key of a file is kept in it.
pub(super) enum Lock {
    Passphrase(SealedSecret),
    None(ContentKey),
}

impl Lock {
    pub(super) fn new(
        key: &ContentKey,
        id: &[u8; ID_BYTES],
        passphrase: Option<&str>,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self> {
        let Some(passphrase) = passphrase else {
            return Ok(Self::None(key.clone()));
        };
        let secret = key.to_bytes();
        SealedSecret::seal(&*secret, passphrase, &bound(LOCK_DOMAIN, id, ""), rng)
            .map(Self::Passphrase)
    }
}

/// What something in the file is bound to: what it is, which keystore it is of, and its name.
fn bound(domain: &[u8], id: &[u8; ID_BYTES], name: &str) -> Vec<u8> {
    [domain, id, name.as_bytes()].concat()
}

/// What a passphrase costs whoever guesses it.
///
/// ```
/// use threads_core::system_rng;
/// use threads_db::{Keystore, KeystoreFile};
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("keystore");
/// Keystore::create(&path, None, Some("pass"), &mut system_rng()).unwrap();
/// let price = KeystoreFile::read(&path).unwrap().price().unwrap();
/// assert_eq!((price.memory_kib, price.passes, price.lanes), (64 * 1024, 3, 1));
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PassphrasePrice {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes that could run at the same time.
    pub lanes: u32,
}

/// A keystore's file as it rests: whole, and not opened yet.
///
/// ```
/// use threads_core::system_rng;
/// use threads_db::{Keystore, KeystoreFile};
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("keystore");
/// Keystore::create(&path, None, None, &mut system_rng()).unwrap();
/// let file = KeystoreFile::read(&path).unwrap();
/// assert!(!file.is_protected());
/// assert!(file.open(None).is_ok());
/// ```
pub struct KeystoreFile {
    path: PathBuf,
    id: [u8; ID_BYTES],
    lock: Lock,
    entries: Entries,
}

impl KeystoreFile {
    /// Reads the file and checks that it is whole. Nothing is opened.
    ///
    /// # Errors
    ///
    /// [`KeystoreFault::Missing`], [`KeystoreFault::Exposed`] when others may read or change it
    /// (where permissions can be told), [`KeystoreFault::Damaged`];
    /// [`ErrorKind::Unsupported`] when a later version wrote it.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("keystore");
    /// std::fs::write(&path, "no keystore").unwrap();
    /// assert!(threads_db::KeystoreFile::read(&path).is_err());
    /// ```
    pub fn read(path: &Path) -> Result<Self> {
        match Self::of_bytes(path, &disk::read(path)?) {
            // It may have been replaced, and written over, while it was read.
            Err(error) if KeystoreFault::of(&error) == Some(KeystoreFault::Damaged) => {
                Self::of_bytes(path, &disk::read(path)?)
            }
            file => file,
        }
    }

    pub(crate) fn of_bytes(path: &Path, bytes: &[u8]) -> Result<Self> {
        let damaged = || KeystoreFault::Damaged.error(path);
        let Some(rest) = bytes.strip_prefix(MAGIC) else {
            return Err(match is_of_another_version(bytes) {
                true => Error::unsupported(
                    "a newer version of Threads wrote the keystore: use that one",
                )
                .with("file", path.display()),
                false => damaged(),
            });
        };
        let (hash, body) = rest.split_first_chunk::<HASH_BYTES>().ok_or_else(damaged)?;
        if *hash != sha256(body) {
            return Err(damaged());
        }
        let body: Body = decode(body).map_err(|_| damaged())?;
        let id = body.id.as_slice().try_into().map_err(|_| damaged())?;
        let lock = match (body.lock, body.open) {
            (Some(sealed), None) => {
                sealed.check_price().map_err(|error| match error.kind() {
                    ErrorKind::Unsupported => error.with("file", path.display()),
                    _ => damaged(),
                })?;
                Lock::Passphrase(sealed)
            }
            (None, Some(mut open)) => {
                let key = open.as_slice().try_into().map(ContentKey::from_bytes);
                open.zeroize();
                Lock::None(key.map_err(|_| damaged())?)
            }
            _ => return Err(damaged()),
        };
        Ok(Self {
            path: path.to_owned(),
            id,
            lock,
            entries: body.entries,
        })
    }

    /// Whether it needs a passphrase.
    ///
    /// ```
    /// # use threads_core::system_rng;
    /// # use threads_db::{Keystore, KeystoreFile};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("keystore");
    /// Keystore::create(&path, None, Some("pass"), &mut system_rng()).unwrap();
    /// assert!(KeystoreFile::read(&path).unwrap().is_protected());
    /// ```
    pub fn is_protected(&self) -> bool {
        matches!(self.lock, Lock::Passphrase(_))
    }

    /// What a guess of its passphrase costs; `None` when it needs none.
    ///
    /// ```
    /// # use threads_core::system_rng;
    /// # use threads_db::{Keystore, KeystoreFile};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("keystore");
    /// Keystore::create(&path, None, None, &mut system_rng()).unwrap();
    /// assert!(KeystoreFile::read(&path).unwrap().price().is_none());
    /// ```
    pub fn price(&self) -> Option<PassphrasePrice> {
        match &self.lock {
            Lock::None(_) => None,
            Lock::Passphrase(sealed) => {
                let (memory_kib, passes, lanes) = sealed.price();
                Some(PassphrasePrice {
                    memory_kib,
                    passes,
                    lanes,
                })
            }
        }
    }

    /// Its name, which is no secret: random, and the same for as long as it goes with its datastore.
    ///
    /// ```
    /// # use threads_core::system_rng;
    /// # use threads_db::{Keystore, KeystoreFile};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("keystore");
    /// let mut keystore = Keystore::create(&path, None, None, &mut system_rng()).unwrap();
    /// let id = *KeystoreFile::read(&path).unwrap().id();
    /// keystore.protect("pass", &mut system_rng()).unwrap();
    /// assert_eq!(*KeystoreFile::read(&path).unwrap().id(), id);
    /// ```
    pub fn id(&self) -> &[u8; 16] {
        &self.id
    }

    /// Opens it: with its passphrase if it is protected, in about a tenth of a second. A passphrase that is not needed
    /// is not looked at.
    ///
    /// # Errors
    ///
    /// [`KeystoreFault::PassphraseNeeded`], [`KeystoreFault::WrongPassphrase`],
    /// [`KeystoreFault::Damaged`]; [`ErrorKind::Unavailable`] without the memory.
    ///
    /// ```
    /// # use threads_core::system_rng;
    /// # use threads_db::{Keystore, KeystoreFault, KeystoreFile};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("keystore");
    /// Keystore::create(&path, None, Some("pass"), &mut system_rng()).unwrap();
    /// let error = KeystoreFile::read(&path).unwrap().open(None).unwrap_err();
    /// assert_eq!(KeystoreFault::of(&error), Some(KeystoreFault::PassphraseNeeded));
    /// ```
    pub fn open(&self, passphrase: Option<&str>) -> Result<Keystore> {
        let key = match (&self.lock, passphrase) {
            (Lock::None(key), _) => key.clone(),
            (Lock::Passphrase(_), None) => {
                return Err(KeystoreFault::PassphraseNeeded.error(&self.path));
            }
            (Lock::Passphrase(sealed), Some(passphrase)) => {
                let secret = sealed.open(passphrase, &bound(LOCK_DOMAIN, &self.id, ""));
                let secret = secret.map_err(|error| match error.kind() {
                    ErrorKind::Invalid => KeystoreFault::WrongPassphrase.error(&self.path),
                    ErrorKind::Corrupt => KeystoreFault::Damaged.error(&self.path),
                    _ => error,
                })?;
                ContentKey::from_bytes(&*self.thirty_two(&secret)?)
            }
        };
        self.opened(key)
    }

    /// Opens it with the [key of the file](Keystore::file_key), which is another one after each change
    /// of the passphrase.
    ///
    /// # Errors
    ///
    /// [`KeystoreFault::WrongPassphrase`] when that is not the key.
    ///
    /// ```
    /// # use threads_core::system_rng;
    /// # use threads_db::{Keystore, KeystoreFile};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("keystore");
    /// let mut keystore = Keystore::create(&path, None, Some("pass"), &mut system_rng()).unwrap();
    /// let key = keystore.file_key();
    /// keystore.protect("another", &mut system_rng()).unwrap();
    /// assert!(KeystoreFile::read(&path).unwrap().open_with(&key).is_err());
    /// ```
    pub fn open_with(&self, key: &[u8; 32]) -> Result<Keystore> {
        self.opened(ContentKey::from_bytes(key))
            .map_err(|_| KeystoreFault::WrongPassphrase.error(&self.path))
    }

    fn opened(&self, key: ContentKey) -> Result<Keystore> {
        let entry = |name, sealed: &[u8]| {
            let secret = key.open(&bound(ENTRY_DOMAIN, &self.id, name), sealed);
            let secret = secret.map_err(|_| KeystoreFault::Damaged.error(&self.path))?;
            self.thirty_two(&Zeroizing::new(secret))
        };
        let open = Open {
            path: self.path.clone(),
            id: self.id,
            identity: IdentityKey::from_bytes(&*entry(IDENTITY, &self.entries.identity)?),
            store: StoreKey::from_bytes(&*entry(STORE, &self.entries.store)?),
            key,
            is_protected: self.is_protected(),
        };
        Ok(Keystore(Arc::new(open)))
    }

    #[cfg(test)]
    pub(super) fn sealed(&self) -> Option<&SealedSecret> {
        match &self.lock {
            Lock::Passphrase(sealed) => Some(sealed),
            Lock::None(_) => None,
        }
    }

    #[cfg(test)]
    pub(super) fn swap_entries(&mut self) {
        std::mem::swap(&mut self.entries.identity, &mut self.entries.store);
    }

    #[cfg(test)]
    pub(super) fn rename(&mut self) {
        self.id[0] ^= 1;
    }

    /// Its bytes.
    pub(crate) fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>> {
        let (lock, open) = match &self.lock {
            Lock::Passphrase(sealed) => (Some(sealed.clone()), None),
            Lock::None(key) => (None, Some(ByteBuf::from(*key.to_bytes()))),
        };
        let mut body = Body {
            entries: self.entries.clone(),
            id: ByteBuf::from(self.id),
            lock,
            open,
        };
        let bytes = encode_cbor(&body).map(Zeroizing::new);
        if let Some(open) = &mut body.open {
            open.zeroize();
        }
        Ok(Zeroizing::new(framed(&bytes?)))
    }

    fn thirty_two(&self, secret: &[u8]) -> Result<Zeroizing<[u8; 32]>> {
        let bytes = secret.try_into().map(Zeroizing::new);
        bytes.map_err(|_| KeystoreFault::Damaged.error(&self.path))
    }
}

/// Says how it is protected; the contents are secret.
impl fmt::Debug for KeystoreFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeystoreFile")
            .field("path", &self.path)
            .field("price", &self.price())
            .finish_non_exhaustive()
    }
}

/// The bytes of the file of these keys.
pub(super) fn encode(
    open: &Open,
    lock: Lock,
    rng: &mut dyn CryptoRng,
) -> Result<Zeroizing<Vec<u8>>> {
    let mut entry = |name, secret: &[u8; 32]| {
        let bound = bound(ENTRY_DOMAIN, &open.id, name);
        open.key.seal_random(&bound, secret, rng).map(ByteBuf::from)
    };
    let entries = Entries {
        identity: entry(IDENTITY, &open.identity.to_bytes())?,
        store: entry(STORE, &open.store.to_bytes())?,
    };
    let file = KeystoreFile {
        path: open.path.clone(),
        id: open.id,
        lock,
        entries,
    };
    file.to_bytes()
}

/// The bytes of the file with this body.
pub(crate) fn framed(body: &[u8]) -> Vec<u8> {
    [MAGIC, &sha256(body), body].concat()
}
