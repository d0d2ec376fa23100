//! The key under which other keys rest in a datastore.

use std::fmt;

use rand_core::CryptoRng;
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

use super::{aead, derive};
use crate::{Error, Result};

/// Seals the keys of threads and logs where they rest in a datastore. It never leaves its node.
///
/// The nonce is derived from all that goes in: sealing needs no randomness, and one value at one
/// place has one ciphertext.
///
/// ```
/// use threads_core::{StoreKey, system_rng};
/// let key = StoreKey::generate(&mut system_rng());
/// assert_eq!(format!("{key:?}"), "StoreKey(redacted)");
/// let sealed = key.seal(b"where", b"what").unwrap();
/// assert_eq!(*key.open(b"where", &sealed).unwrap(), b"what");
/// ```
#[derive(Clone)]
pub struct StoreKey {
    bytes: Zeroizing<[u8; 32]>,
    nonce_key: Zeroizing<[u8; 32]>,
}

impl StoreKey {
    /// A new key.
    ///
    /// ```
    /// use threads_core::{StoreKey, system_rng};
    /// assert_ne!(StoreKey::generate(&mut system_rng()), StoreKey::generate(&mut system_rng()));
    /// ```
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill_bytes(bytes.as_mut());
        Self::from_bytes(&bytes)
    }

    /// From its 32 bytes.
    ///
    /// ```
    /// let key = threads_core::StoreKey::from_bytes(&[7; 32]);
    /// assert_eq!(*key.to_bytes(), [7; 32]);
    /// ```
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self {
            bytes: Zeroizing::new(*bytes),
            nonce_key: derive(bytes, b"threads/store/nonce/1"),
        }
    }

    /// The 32 bytes of the key: the secret itself.
    ///
    /// ```
    /// let key = threads_core::StoreKey::from_bytes(&[7; 32]);
    /// assert_eq!(*key.to_bytes(), [7; 32]);
    /// ```
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        self.bytes.clone()
    }

    /// Seals `plaintext`, bound to `aad`: `nonce ‖ ciphertext ‖ tag`,
    /// [`SEAL_OVERHEAD_BYTES`](crate::key::SEAL_OVERHEAD_BYTES) longer than the plaintext.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a plaintext of 256 GiB.
    ///
    /// ```
    /// let key = threads_core::StoreKey::from_bytes(&[7; 32]);
    /// assert_eq!(key.seal(b"where", b"what").unwrap(), key.seal(b"where", b"what").unwrap());
    /// ```
    pub fn seal(&self, aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>> {
        let nonce = aead::synthetic_nonce(&self.nonce_key, aad, plaintext);
        aead::seal(&self.bytes, &nonce, aad, plaintext)
    }

    /// Opens what was sealed under this key and bound to `aad`, under the nonce that is derived and no
    /// other.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Rejected`](crate::ErrorKind::Rejected) when the key or `aad` is another, or the
    /// bytes were altered; which of them cannot be told.
    ///
    /// ```
    /// let key = threads_core::StoreKey::from_bytes(&[7; 32]);
    /// let sealed = key.seal(b"where", b"what").unwrap();
    /// assert!(key.open(b"elsewhere", &sealed).is_err());
    /// ```
    pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let plaintext = Zeroizing::new(aead::open(&self.bytes, aad, sealed)?);
        let nonce = aead::synthetic_nonce(&self.nonce_key, aad, &plaintext);
        if !bool::from(nonce[..].ct_eq(&sealed[..aead::NONCE_BYTES])) {
            return Err(Error::rejected("sealed under a nonce of another's choice"));
        }
        Ok(plaintext)
    }
}

impl ConstantTimeEq for StoreKey {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.bytes.ct_eq(&*other.bytes)
    }
}

impl PartialEq for StoreKey {
    fn eq(&self, other: &Self) -> bool {
        self.ct_eq(other).into()
    }
}

impl Eq for StoreKey {}

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreKey(redacted)")
    }
}
