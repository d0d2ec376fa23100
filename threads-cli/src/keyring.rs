//! The kernel's keyring, which opens the keystore until it forgets: at the end of the session, when it was
//! not used for days, or when the machine starts again. It holds the key of the file, not the passphrase,
//! and is a cache: without it the passphrase opens the keystore as before.

use keyring_core::api::CredentialStoreApi as _;
use keyring_core::{Entry, Error as KeyringError};
use linux_keyutils_keyring_store::Store;
use threads_core::Error;
use threads_core::multibase::Base::Base16Lower;
use threads_db::{Keystore, KeystoreFile};
use zeroize::Zeroizing;

use crate::exit::{Failure, Result};

fn entry(file: &KeystoreFile) -> Result<Entry, KeyringError> {
    Store::new()?.build("threads", &Base16Lower.encode(file.id()), None)
}

/// Opens a keystore with what the keyring remembers of it, if it does.
pub(crate) fn recall(file: &KeystoreFile) -> Option<Keystore> {
    let secret = Zeroizing::new(entry(file).ok()?.get_secret().ok()?);
    let key = Zeroizing::new(<[u8; 32]>::try_from(&secret[..]).ok()?);
    // After a change of the passphrase it is another key's.
    file.open_with(&key).ok()
}

/// Has the keyring remember what opens the keystore, which is in this file.
pub(crate) fn remember(keystore: &Keystore, file: &KeystoreFile) -> Result {
    let key = keystore.file_key();
    told(file, |entry| entry.set_secret(&key[..]))
}

/// Has the keyring forget it.
pub(crate) fn forget(file: &KeystoreFile) -> Result {
    told(file, |entry| match entry.delete_credential() {
        Err(KeyringError::NoEntry) => Ok(()),
        forgotten => forgotten,
    })
}

fn told(file: &KeystoreFile, what: impl FnOnce(&Entry) -> Result<(), KeyringError>) -> Result {
    entry(file).and_then(|entry| what(&entry)).map_err(|cause| {
        let error = Error::unavailable("the system's keyring cannot be used").caused_by(cause);
        Failure::new(error, "without it, the passphrase opens the keystore")
    })
}
