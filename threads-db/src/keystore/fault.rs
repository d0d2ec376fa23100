//! What can be wrong with a keystore.

use std::fmt;
use std::path::Path;

use threads_core::{Error, ErrorKind};

/// What is wrong with a keystore, as the source of an [`Error`].
///
/// ```
/// use threads_db::{KeystoreFault, KeystoreFile};
/// let error = KeystoreFile::read("no such keystore".as_ref()).unwrap_err();
/// assert_eq!(KeystoreFault::of(&error), Some(KeystoreFault::Missing));
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeystoreFault {
    /// It is protected, and no passphrase was given.
    PassphraseNeeded,
    /// Another passphrase opens it.
    WrongPassphrase,
    /// The bytes of the file are not what was written.
    Damaged,
    /// There is no such file, while the datastore says that its keys are sealed.
    Missing,
    /// It is the keystore of another datastore.
    Foreign,
    /// Others on this machine may read or change the file.
    Exposed,
}

impl KeystoreFault {
    /// The fault behind an error, if a keystore is what is wrong.
    ///
    /// ```
    /// use threads_core::Error;
    /// assert_eq!(threads_db::KeystoreFault::of(&Error::invalid("odd")), None);
    /// ```
    pub fn of(error: &Error) -> Option<Self> {
        std::error::Error::source(error)?.downcast_ref().copied()
    }

    fn kind(self) -> ErrorKind {
        match self {
            Self::PassphraseNeeded | Self::WrongPassphrase => ErrorKind::Invalid,
            Self::Damaged => ErrorKind::Corrupt,
            Self::Missing => ErrorKind::NotFound,
            Self::Foreign => ErrorKind::Conflict,
            Self::Exposed => ErrorKind::Unavailable,
        }
    }

    fn message(self) -> &'static str {
        match self {
            Self::PassphraseNeeded => "the keys are protected by a passphrase: give it",
            Self::WrongPassphrase => {
                "the passphrase of the keystore is wrong: type it exactly as it was set, with capitals \
                 and spaces"
            }
            Self::Damaged => {
                "the keystore is damaged: bring it back from a backup; the passphrase cannot help"
            }
            Self::Missing => {
                "the keystore is missing, and the keys in the datastore are sealed by it: bring the file \
                 back from a backup"
            }
            Self::Foreign => {
                "the keystore belongs to another datastore: put each beside the other that it was made with"
            }
            Self::Exposed => {
                "others on this machine may read the keystore: take that right away (`chmod 600`), and if \
                 somebody did read it, treat its keys as known"
            }
        }
    }

    /// The error of this fault.
    pub(super) fn error(self, path: &Path) -> Error {
        Error::new(self.kind(), self.message())
            .with("file", path.display())
            .caused_by(self)
    }

    /// The error of this fault, where only the datastore is known.
    pub(crate) fn of_store(self) -> Error {
        Error::new(self.kind(), self.message()).caused_by(self)
    }
}

impl fmt::Display for KeystoreFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PassphraseNeeded => "a passphrase is needed",
            Self::WrongPassphrase => "wrong passphrase",
            Self::Damaged => "damaged keystore",
            Self::Missing => "missing keystore",
            Self::Foreign => "keystore of another datastore",
            Self::Exposed => "keystore open to others",
        })
    }
}

impl std::error::Error for KeystoreFault {}
