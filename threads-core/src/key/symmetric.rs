//! The symmetric keys of the three layers: links, headers, bodies.

use std::fmt;
use std::str::FromStr;

use hmac::{Hmac, KeyInit, Mac};
use rand_core::CryptoRng;
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

use super::{aead, derive, text};
use crate::{Error, PeerId, Result, Topic};

macro_rules! symmetric_key {
    ($name:ident, $tag:literal) => {
        impl $name {
            /// A new key.
            ///
            /// ```
            #[doc = concat!("use threads_core::{", stringify!($name), ", system_rng};")]
            #[doc = concat!("let key = ", stringify!($name), "::generate(&mut system_rng());")]
            #[doc = concat!("assert_ne!(key, ", stringify!($name), "::generate(&mut system_rng()));")]
            /// ```
            pub fn generate(rng: &mut dyn CryptoRng) -> Self {
                let mut bytes = Zeroizing::new([0; 32]);
                rng.fill_bytes(bytes.as_mut());
                Self::from_bytes(&bytes)
            }

            /// The 32 bytes of the key: the secret itself.
            ///
            /// ```
            #[doc = concat!("let key = threads_core::", stringify!($name), "::from_bytes(&[7; 32]);")]
            /// assert_eq!(*key.to_bytes(), [7; 32]);
            /// ```
            pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
                self.bytes.clone()
            }

            /// The secret as text, to hand it on: its kind, the key, a checksum.
            ///
            /// ```
            #[doc = concat!("let key = threads_core::", stringify!($name), "::from_bytes(&[7; 32]);")]
            #[doc = concat!("assert!(key.to_text().starts_with(\"", $tag, "_b\"));")]
            #[doc = concat!("assert_eq!(key.to_text().parse::<threads_core::", stringify!($name), ">().unwrap(), key);")]
            /// ```
            pub fn to_text(&self) -> Zeroizing<String> {
                text::encode($tag, &self.bytes)
            }

            /// Seals `plaintext` under a random nonce, bound to `aad`: `nonce ‖ ciphertext ‖ tag`,
            /// [`SEAL_OVERHEAD_BYTES`](crate::key::SEAL_OVERHEAD_BYTES) longer than the plaintext.
            ///
            /// # Errors
            ///
            /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a plaintext of 256 GiB.
            ///
            /// ```
            #[doc = concat!("use threads_core::{", stringify!($name), ", system_rng};")]
            #[doc = concat!("let key = ", stringify!($name), "::from_bytes(&[7; 32]);")]
            /// let sealed = key.seal_random(b"where", b"what", &mut system_rng()).unwrap();
            /// assert_eq!(key.open(b"where", &sealed).unwrap(), b"what");
            /// assert!(key.open(b"elsewhere", &sealed).is_err());
            /// ```
            pub fn seal_random(
                &self,
                aad: &[u8],
                plaintext: &[u8],
                rng: &mut dyn CryptoRng,
            ) -> Result<Vec<u8>> {
                let mut nonce = [0; aead::NONCE_BYTES];
                rng.fill_bytes(&mut nonce);
                aead::seal(&self.bytes, &nonce, aad, plaintext)
            }

            /// Opens what was sealed under this key and bound to `aad`.
            ///
            /// # Errors
            ///
            /// [`ErrorKind::Rejected`](crate::ErrorKind::Rejected) when the key or `aad` is
            /// another, or the bytes were altered; which of them cannot be told.
            ///
            /// ```
            #[doc = concat!("let key = threads_core::", stringify!($name), "::from_bytes(&[7; 32]);")]
            /// assert!(key.open(b"where", &[0; 64]).is_err());
            /// ```
            pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>> {
                aead::open(&self.bytes, aad, sealed)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                Ok(Self::from_bytes(&*text::decode($tag, text)?))
            }
        }

        impl ConstantTimeEq for $name {
            fn ct_eq(&self, other: &Self) -> Choice {
                self.bytes.ct_eq(&*other.bytes)
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.ct_eq(other).into()
            }
        }

        impl Eq for $name {}

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(redacted)"))
            }
        }
    };
}

/// Opens records: links and signatures. Who holds only this can store, check and serve a thread.
///
/// ```
/// use threads_core::{ReplicaKey, system_rng};
/// let key = ReplicaKey::generate(&mut system_rng());
/// assert_eq!(format!("{key:?}"), "ReplicaKey(redacted)");
/// ```
#[derive(Clone)]
pub struct ReplicaKey {
    bytes: Zeroizing<[u8; 32]>,
    /// Derived once: every record needs it, and deriving costs as much as using it.
    nonce_key: Zeroizing<[u8; 32]>,
}

/// The bytes of a [`ReplicaKey::locator`] and of a [`ReplicaKey::proof`].
const MAC_BYTES: usize = 16;

symmetric_key!(ReplicaKey, "replica");

impl ReplicaKey {
    /// From its 32 bytes.
    ///
    /// ```
    /// let key = threads_core::ReplicaKey::from_bytes(&[7; 32]);
    /// assert_eq!(*key.to_bytes(), [7; 32]);
    /// ```
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self {
            bytes: Zeroizing::new(*bytes),
            nonce_key: derive(bytes, b"threads/nonce/1"),
        }
    }

    /// Seals `plaintext` under a nonce derived from all that goes in, so that one plaintext at
    /// one place has one ciphertext and one CID.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a plaintext of 256 GiB.
    ///
    /// ```
    /// let key = threads_core::ReplicaKey::from_bytes(&[7; 32]);
    /// let sealed = key.seal_synthetic(b"where", b"what").unwrap();
    /// assert_eq!(key.seal_synthetic(b"where", b"what").unwrap(), sealed);
    /// assert_eq!(key.open_synthetic(b"where", &sealed).unwrap(), b"what");
    /// ```
    pub fn seal_synthetic(&self, aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>> {
        let nonce = aead::synthetic_nonce(&self.nonce_key, aad, plaintext);
        aead::seal(&self.bytes, &nonce, aad, plaintext)
    }

    /// Opens what [`ReplicaKey::seal_synthetic`] sealed, and nothing else: another holder of the
    /// key cannot make a second ciphertext of the same plaintext.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Rejected`](crate::ErrorKind::Rejected), as of [`ReplicaKey::open`], and when
    /// the nonce is not the one derived.
    ///
    /// ```
    /// use threads_core::{ReplicaKey, system_rng};
    /// let key = ReplicaKey::from_bytes(&[7; 32]);
    /// let other = key.seal_random(b"where", b"what", &mut system_rng()).unwrap();
    /// assert!(key.open(b"where", &other).is_ok());
    /// assert!(key.open_synthetic(b"where", &other).is_err());
    /// ```
    pub fn open_synthetic(&self, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>> {
        let plaintext = aead::open(&self.bytes, aad, sealed)?;
        let nonce = aead::synthetic_nonce(&self.nonce_key, aad, &plaintext);
        if !bool::from(nonce[..].ct_eq(&sealed[..aead::NONCE_BYTES])) {
            return Err(Error::rejected(
                "a record was sealed again under another nonce",
            ));
        }
        Ok(plaintext)
    }

    /// The name of the key's thread between those who hold the key. Nobody else can tell which
    /// thread it stands for, or make it from the thread's id.
    ///
    /// ```
    /// use threads_core::ReplicaKey;
    /// let key = ReplicaKey::from_bytes(&[7; 32]);
    /// assert_eq!(key.locator(), ReplicaKey::from_bytes(&[7; 32]).locator());
    /// assert_ne!(key.locator(), ReplicaKey::from_bytes(&[8; 32]).locator());
    /// ```
    pub fn locator(&self) -> [u8; MAC_BYTES] {
        let derived = derive(&self.bytes, b"threads/locator/1");
        let mut locator = [0; MAC_BYTES];
        locator.copy_from_slice(&derived[..MAC_BYTES]);
        locator
    }

    /// What peers that hold the key look each other up by, in a directory that strangers keep. It tells
    /// nobody which thread it is, and is of no use for anything else: unlike the
    /// [locator](Self::locator), it is never part of a claim.
    ///
    /// ```
    /// use threads_core::ReplicaKey;
    /// let key = ReplicaKey::from_bytes(&[7; 32]);
    /// assert_ne!(key.rendezvous(), ReplicaKey::from_bytes(&[8; 32]).rendezvous());
    /// assert_ne!(key.rendezvous()[..16], key.locator());
    /// ```
    pub fn rendezvous(&self) -> [u8; 32] {
        *derive(&self.bytes, b"threads/rendezvous/1")
    }

    /// Opens the headers of access records, which everybody may read who has this key: whoever keeps the
    /// thread for others has to know who may change it.
    ///
    /// ```
    /// use threads_core::ReplicaKey;
    /// let key = ReplicaKey::from_bytes(&[7; 32]);
    /// assert_ne!(key.access_key().to_bytes(), key.to_bytes());
    /// ```
    pub fn access_key(&self) -> ReadKey {
        ReadKey::from_bytes(&derive(&self.bytes, b"threads/access/1"))
    }

    /// The topic under which peers that hold the key announce what is new. Strangers' threads share it.
    ///
    /// ```
    /// use threads_core::ReplicaKey;
    /// let key = ReplicaKey::from_bytes(&[7; 32]);
    /// assert_eq!(key.topic(), ReplicaKey::from_bytes(&[7; 32]).topic());
    /// ```
    pub fn topic(&self) -> Topic {
        Topic::new(derive(&self.bytes, b"threads/topic/1")[0])
    }

    /// What announcements are sealed with, and nothing else.
    pub(crate) fn announcing(&self) -> Self {
        Self::from_bytes(&derive(&self.bytes, b"threads/announcement/1"))
    }

    /// What `from` says to `to`, over a connection that authenticates both, to show that it holds
    /// the key: a MAC of the two. It is of no use to anyone else, nor towards anyone else. Compare
    /// it in constant time, as [`ReplicaKey::proves`] does.
    ///
    /// ```
    /// use threads_core::{PeerId, ReplicaKey};
    /// let key = ReplicaKey::from_bytes(&[7; 32]);
    /// let (ann, bob) = (PeerId::from_key_bytes([1; 32]), PeerId::from_key_bytes([2; 32]));
    /// assert_ne!(key.proof(&ann, &bob), key.proof(&bob, &ann));
    /// ```
    pub fn proof(&self, from: &PeerId, to: &PeerId) -> [u8; MAC_BYTES] {
        let key = derive(&self.bytes, b"threads/proof/1");
        // HMAC takes keys of any length.
        let mut mac = Hmac::<Sha256>::new_from_slice(key.as_ref()).expect("a key of any length");
        mac.update(from.key_bytes());
        mac.update(to.key_bytes());
        let mut proof = [0; MAC_BYTES];
        proof.copy_from_slice(&mac.finalize().into_bytes()[..MAC_BYTES]);
        proof
    }

    /// Whether `proof` is the one that `from` gives `to`.
    ///
    /// ```
    /// use threads_core::{PeerId, ReplicaKey};
    /// let key = ReplicaKey::from_bytes(&[7; 32]);
    /// let (ann, bob) = (PeerId::from_key_bytes([1; 32]), PeerId::from_key_bytes([2; 32]));
    /// let proof = key.proof(&ann, &bob);
    /// assert!(key.proves(&ann, &bob, &proof));
    /// assert!(!key.proves(&bob, &ann, &proof));
    /// ```
    pub fn proves(&self, from: &PeerId, to: &PeerId, proof: &[u8; MAC_BYTES]) -> bool {
        self.proof(from, to)[..].ct_eq(proof).into()
    }
}

/// Opens event headers: times, codecs and the content keys within.
///
/// ```
/// use threads_core::{ReadKey, system_rng};
/// let key = ReadKey::generate(&mut system_rng());
/// assert_eq!(format!("{key:?}"), "ReadKey(redacted)");
/// ```
#[derive(Clone)]
pub struct ReadKey {
    bytes: Zeroizing<[u8; 32]>,
}

/// Opens one event body.
///
/// ```
/// use threads_core::{ContentKey, system_rng};
/// let key = ContentKey::generate(&mut system_rng());
/// assert_eq!(format!("{key:?}"), "ContentKey(redacted)");
/// ```
#[derive(Clone)]
pub struct ContentKey {
    bytes: Zeroizing<[u8; 32]>,
}

macro_rules! plain_from_bytes {
    ($($name:ident)*) => {$(
        impl $name {
            /// From its 32 bytes.
            ///
            /// ```
            #[doc = concat!("let key = threads_core::", stringify!($name), "::from_bytes(&[7; 32]);")]
            /// assert_eq!(*key.to_bytes(), [7; 32]);
            /// ```
            pub fn from_bytes(bytes: &[u8; 32]) -> Self {
                Self { bytes: Zeroizing::new(*bytes) }
            }
        }
    )*};
}

impl ReadKey {
    /// A key for one purpose that follows from this one.
    pub(crate) fn derive(&self, info: &[u8]) -> Zeroizing<[u8; 32]> {
        derive(&self.bytes, info)
    }
}

plain_from_bytes!(ReadKey ContentKey);
symmetric_key!(ReadKey, "read");
symmetric_key!(ContentKey, "content");
