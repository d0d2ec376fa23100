//! The repository's keystore: found, and opened with what the user gives.

use std::path::{Path, PathBuf};

use threads_core::{Error, system_rng};
use threads_db::{Keystore, KeystoreFault, KeystoreFile};
use threads_store_lmdb::Lmdb;

use crate::exit::{Advise, Failure, Result};
#[cfg(all(feature = "keyring", target_os = "linux"))]
use crate::keyring;
use crate::passphrase;

/// The file, in the repository's directory.
const FILE: &str = "keystore";

/// Where the keystore is, and what opens it.
pub(crate) struct Keys {
    path: PathBuf,
    /// The file whose first line is the passphrase.
    passphrase_file: Option<PathBuf>,
}

impl Keys {
    pub(crate) fn of(dir: &Path, passphrase_file: Option<PathBuf>) -> Self {
        Self {
            path: dir.join(FILE),
            passphrase_file,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file as it rests; `None` where there is none, as in a repository of an earlier version.
    pub(crate) fn at_rest(&self) -> Result<Option<KeystoreFile>> {
        match KeystoreFile::read(&self.path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if KeystoreFault::of(&error) == Some(KeystoreFault::Missing) => Ok(None),
            Err(error) => Err(error).advise_by(help),
        }
    }

    /// Opens it, and asks for the passphrase if it needs one that was not given.
    pub(crate) fn unlock(&self, file: &KeystoreFile) -> Result<Keystore> {
        if !file.is_protected() {
            return file.open(None).advise_by(help);
        }
        #[cfg(all(feature = "keyring", target_os = "linux"))]
        if let Some(keystore) = keyring::recall(file) {
            return Ok(keystore);
        }
        let passphrase = passphrase::of_keystore(self.passphrase_file.as_deref())?;
        file.open(Some(&passphrase)).advise_by(help)
    }

    /// Opens it if it is there.
    pub(crate) fn opened(&self) -> Result<Option<Keystore>> {
        self.at_rest()?.map(|file| self.unlock(&file)).transpose()
    }

    /// Has the system's keyring open it from now on.
    #[cfg(all(feature = "keyring", target_os = "linux"))]
    pub(crate) fn remember(&self, keystore: &Keystore) -> Result {
        match self.at_rest()? {
            Some(file) => keyring::remember(keystore, &file),
            None => Ok(()),
        }
    }

    /// Has the system's keyring open it no more.
    #[cfg(all(feature = "keyring", target_os = "linux"))]
    pub(crate) fn forget(&self) -> Result {
        match self.at_rest()? {
            Some(file) => keyring::forget(&file),
            None => Ok(()),
        }
    }

    /// Opens it, or makes one for the keys that are in the store.
    pub(crate) fn for_store(&self, store: &Lmdb, passphrase: Option<&str>) -> Result<Keystore> {
        match self.opened()? {
            Some(keystore) => Ok(keystore),
            None => {
                Keystore::adopt(&self.path, store, passphrase, &mut system_rng()).advise_by(help)
            }
        }
    }

    /// Opens it: for what is about the file itself.
    pub(crate) fn demanded(&self) -> Result<Keystore> {
        self.opened()?.ok_or_else(|| {
            let error = Error::not_found("there is no keystore").with("file", self.path.display());
            Failure::new(error, "`threads init` makes one")
        })
    }
}

/// What to do about a keystore that does not open.
pub(crate) fn help(error: &Error) -> Option<String> {
    let help = match KeystoreFault::of(error)? {
        KeystoreFault::PassphraseNeeded | KeystoreFault::WrongPassphrase => {
            passphrase::KEYSTORE_HELP
        }
        KeystoreFault::Missing | KeystoreFault::Damaged => {
            "without the file, the 24 words bring the identity back in a new repository: `threads \
             --repo NEW-DIR identity recover`; then `threads restore FILE` for each export"
        }
        KeystoreFault::Foreign => {
            "the files `keystore` and `store` of a repository go together, also in a backup"
        }
        KeystoreFault::Exposed => "as its owner: `chmod 600` and the file",
        _ => return None,
    };
    Some(help.to_owned())
}
