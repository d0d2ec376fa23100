//! Where a node's keys rest: a file of its own, beside the datastore.
//!
//! A keystore holds the node's identity and one *store key*. The keys of threads and logs stay in the
//! datastore, sealed under the store key, so that they change together with everything else and none is
//! on disk in the clear. A passphrase protects the file, and with it all of them; changing it writes the
//! file anew and nothing else.
//!
//! Without a passphrase the file is there as well and has what opens it inside: it *protects nothing*
//! then but what its permissions do. That is where every node begins, so that nobody is asked for
//! anything before there is something to protect; [`KeystoreFile::is_protected`] tells.
//!
//! ```
//! use threads_core::{datastore::Memory, system_rng};
//! use threads_db::{Keystore, KeystoreFault, KeystoreFile, Node};
//!
//! # let dir = tempfile::tempdir().unwrap();
//! # let path = dir.path().join("keystore");
//! let rng = &mut system_rng();
//! let mut keystore = Keystore::create(&path, None, None, rng).unwrap();
//! keystore.protect("correct horse battery staple", rng).unwrap();
//!
//! let file = KeystoreFile::read(&path).unwrap();
//! let error = file.open(Some("correct horse")).unwrap_err();
//! assert_eq!(KeystoreFault::of(&error), Some(KeystoreFault::WrongPassphrase));
//! let keystore = file.open(Some("correct horse battery staple")).unwrap();
//! let node = Node::builder(Memory::new()).keystore(&keystore).open().unwrap();
//! assert_eq!(node.peer_id(), keystore.identity().peer_id());
//! ```
//!
//! # What a crash leaves
//!
//! The file is replaced whole: written beside, synced, renamed, and its directory synced. A datastore
//! that has its keys in the clear, as earlier versions left them, is taken over in two steps, each of
//! which is whole or not there: the file is on disk before one transaction seals every key. Between
//! the two everything is readable without the file, as before.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use threads_core::datastore::Datastore;
use threads_core::rand_core::CryptoRng;
use threads_core::{ContentKey, Error, IdentityKey, Result, StoreKey};
use zeroize::Zeroizing;

mod disk;
mod fault;
mod file;
mod layer;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;

pub use fault::KeystoreFault;
pub use file::{KeystoreFile, PassphrasePrice};

pub(crate) use file::framed;
use file::{ID_BYTES, Lock};
pub(crate) use layer::{Standing, standing};

/// The keys of a node, opened. Cloning it is cheap. See the [module](self).
#[derive(Clone)]
pub struct Keystore(Arc<Open>);

struct Open {
    path: PathBuf,
    id: [u8; ID_BYTES],
    identity: IdentityKey,
    store: StoreKey,
    /// What the entries of the file are sealed under.
    key: ContentKey,
    is_protected: bool,
}

impl Keystore {
    /// Makes a keystore in a file that is not there yet, for `identity` or a new one, protected by a
    /// passphrase if one is given. Whoever calls it is the only one to do so: who holds the
    /// datastore's write lock.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`](threads_core::ErrorKind::Conflict) when the file exists,
    /// [`ErrorKind::Unavailable`](threads_core::ErrorKind::Unavailable) when it cannot be written.
    ///
    /// ```
    /// use threads_core::system_rng;
    /// use threads_db::Keystore;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("keystore");
    /// Keystore::create(&path, None, None, &mut system_rng()).unwrap();
    /// assert!(Keystore::create(&path, None, None, &mut system_rng()).is_err());
    /// ```
    pub fn create(
        path: &Path,
        identity: Option<IdentityKey>,
        passphrase: Option<&str>,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self> {
        if path.symlink_metadata().is_ok() {
            return Err(
                Error::conflict("there is a keystore already: open that one")
                    .with("file", path.display()),
            );
        }
        let mut id = [0; ID_BYTES];
        rng.fill_bytes(&mut id);
        let open = Open {
            path: path.to_owned(),
            id,
            identity: identity.unwrap_or_else(|| IdentityKey::generate(rng)),
            store: StoreKey::generate(rng),
            key: ContentKey::generate(rng),
            is_protected: false,
        };
        open.rewritten(passphrase, rng)
            .map(|open| Self(Arc::new(open)))
    }

    /// Makes a keystore for a datastore that has none: with the identity that is in it in the clear,
    /// or with a new one when it is empty. See [`Keystore::create`].
    ///
    /// # Errors
    ///
    /// Those of [`Keystore::create`], and [`KeystoreFault::Missing`] when the keys of the datastore
    /// are sealed by a keystore already.
    ///
    /// ```
    /// use threads_core::{datastore::Memory, system_rng};
    /// use threads_db::{Keystore, Node};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("keystore");
    /// let store = std::sync::Arc::new(Memory::new());
    /// let peer = Node::builder(store.clone()).open().unwrap().peer_id();
    /// let keystore = Keystore::adopt(&path, &*store, None, &mut system_rng()).unwrap();
    /// assert_eq!(keystore.identity().peer_id(), peer);
    /// ```
    pub fn adopt(
        path: &Path,
        store: &dyn Datastore,
        passphrase: Option<&str>,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self> {
        let identity = match standing(&*store.read()?)? {
            Standing::New => None,
            Standing::Clear(identity) => Some(*identity),
            Standing::Sealed(_) => return Err(KeystoreFault::Missing.error(path)),
        };
        Self::create(path, identity, passphrase, rng)
    }

    /// The node's identity.
    ///
    /// ```
    /// use threads_core::{IdentityKey, system_rng};
    /// use threads_db::Keystore;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("keystore");
    /// let ann = IdentityKey::generate(&mut system_rng());
    /// let keystore = Keystore::create(&path, Some(ann.clone()), None, &mut system_rng()).unwrap();
    /// assert_eq!(*keystore.identity(), ann);
    /// ```
    pub fn identity(&self) -> &IdentityKey {
        &self.0.identity
    }

    /// Whether the file needs a passphrase.
    ///
    /// ```
    /// use threads_core::system_rng;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("keystore");
    /// let keystore = threads_db::Keystore::create(&path, None, None, &mut system_rng()).unwrap();
    /// assert!(!keystore.is_protected());
    /// ```
    pub fn is_protected(&self) -> bool {
        self.0.is_protected
    }

    /// What opens the file instead of the passphrase, until the passphrase is changed: for a cache that
    /// the system protects. See [`KeystoreFile::open_with`].
    ///
    /// ```
    /// use threads_core::system_rng;
    /// use threads_db::{Keystore, KeystoreFile};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("keystore");
    /// let keystore = Keystore::create(&path, None, Some("pass"), &mut system_rng()).unwrap();
    /// assert!(KeystoreFile::read(&path).unwrap().open_with(&keystore.file_key()).is_ok());
    /// ```
    pub fn file_key(&self) -> Zeroizing<[u8; 32]> {
        self.0.key.to_bytes()
    }

    /// Writes the file anew under a passphrase: its first, or another. Nodes that are open stay so.
    ///
    /// The blocks of the file before are written over, as far as the file system lets that be done: a
    /// copy of them that is elsewhere still opens as it did.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) for an empty passphrase,
    /// [`ErrorKind::Unavailable`](threads_core::ErrorKind::Unavailable) or
    /// [`ErrorKind::Full`](threads_core::ErrorKind::Full) when the file cannot be written: the one
    /// before is in its place then.
    ///
    /// ```
    /// use threads_core::system_rng;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("keystore");
    /// let mut keystore = threads_db::Keystore::create(&path, None, None, &mut system_rng()).unwrap();
    /// keystore.protect("several words", &mut system_rng()).unwrap();
    /// assert!(keystore.is_protected());
    /// ```
    pub fn protect(&mut self, passphrase: &str, rng: &mut dyn CryptoRng) -> Result<()> {
        self.0 = Arc::new(self.0.rewritten(Some(passphrase), rng)?);
        Ok(())
    }

    /// Writes the file anew without a passphrase: whoever reads it has the keys from then on.
    ///
    /// # Errors
    ///
    /// As [`Keystore::protect`].
    ///
    /// ```
    /// use threads_core::system_rng;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("keystore");
    /// let rng = &mut system_rng();
    /// let mut keystore = threads_db::Keystore::create(&path, None, Some("pass"), rng).unwrap();
    /// keystore.unprotect(rng).unwrap();
    /// assert!(threads_db::KeystoreFile::read(&path).unwrap().open(None).is_ok());
    /// ```
    pub fn unprotect(&mut self, rng: &mut dyn CryptoRng) -> Result<()> {
        self.0 = Arc::new(self.0.rewritten(None, rng)?);
        Ok(())
    }

    /// The datastore as its node sees it: the keys in it are opened when they are read and sealed when
    /// they are written. Those that are in the clear are sealed first, unless the store can only be
    /// read: it is read as it is then.
    ///
    /// # Errors
    ///
    /// [`KeystoreFault::Foreign`] when the datastore belongs to another keystore.
    pub(crate) fn over(&self, store: Arc<dyn Datastore>) -> Result<Arc<dyn Datastore>> {
        layer::over(self, store)
    }
}

impl Open {
    /// The same keys, in a file that is written now, under a new key.
    fn rewritten(&self, passphrase: Option<&str>, rng: &mut dyn CryptoRng) -> Result<Self> {
        let open = Self {
            path: self.path.clone(),
            id: self.id,
            identity: self.identity.clone(),
            store: self.store.clone(),
            key: ContentKey::generate(rng),
            is_protected: passphrase.is_some(),
        };
        let lock = Lock::new(&open.key, &open.id, passphrase, rng)?;
        let bytes = file::encode(&open, lock, rng)?;
        disk::replace(&open.path, &bytes, rng, &mut disk::no_fault)?;
        Ok(open)
    }
}

/// Says where it is; the contents are secret.
impl fmt::Debug for Keystore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keystore({})", self.0.path.display())
    }
}
