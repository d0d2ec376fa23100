//! The Ed25519 pairs: of a peer, and of one log.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signer as _, SigningKey};
use rand_core::CryptoRng;
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

use super::{AgreementKey, derive, text};
use crate::{Error, LogId, PeerId, Result};

macro_rules! signing_key {
    ($(#[$doc:meta])* $name:ident, $tag:literal, $id:ident, $id_fn:ident) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(SigningKey);

        impl $name {
            /// A new pair.
            ///
            /// ```
            #[doc = concat!("use threads_core::{", stringify!($name), ", system_rng};")]
            #[doc = concat!("let key = ", stringify!($name), "::generate(&mut system_rng());")]
            #[doc = concat!("assert_ne!(key, ", stringify!($name), "::generate(&mut system_rng()));")]
            /// ```
            pub fn generate(rng: &mut dyn CryptoRng) -> Self {
                let mut seed = Zeroizing::new([0; 32]);
                rng.fill_bytes(seed.as_mut());
                Self::from_bytes(&seed)
            }

            /// From the 32 bytes of an Ed25519 seed.
            ///
            /// ```
            #[doc = concat!("let key = threads_core::", stringify!($name), "::from_bytes(&[7; 32]);")]
            /// assert_eq!(*key.to_bytes(), [7; 32]);
            /// ```
            pub fn from_bytes(seed: &[u8; 32]) -> Self {
                Self(SigningKey::from_bytes(seed))
            }

            /// The 32 bytes of the seed: the secret itself.
            ///
            /// ```
            #[doc = concat!("let key = threads_core::", stringify!($name), "::from_bytes(&[7; 32]);")]
            /// assert_eq!(*key.to_bytes(), [7; 32]);
            /// ```
            pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
                Zeroizing::new(self.0.to_bytes())
            }

            /// The secret as text, for a backup: its kind, the key, a checksum.
            ///
            /// ```
            #[doc = concat!("let key = threads_core::", stringify!($name), "::from_bytes(&[7; 32]);")]
            #[doc = concat!("assert!(key.to_text().starts_with(\"", $tag, "_b\"));")]
            #[doc = concat!("assert_eq!(key.to_text().parse::<threads_core::", stringify!($name), ">().unwrap(), key);")]
            /// ```
            pub fn to_text(&self) -> Zeroizing<String> {
                text::encode($tag, &self.to_bytes())
            }

            /// The public half, as an id.
            ///
            /// ```
            #[doc = concat!("let key = threads_core::", stringify!($name), "::from_bytes(&[7; 32]);")]
            #[doc = concat!("assert!(key.", stringify!($id_fn), "().to_string().starts_with(\"12D3KooW\"));")]
            /// ```
            pub fn $id_fn(&self) -> $id {
                $id::from_key_bytes(self.0.verifying_key().to_bytes())
            }

            /// Signs `message`, which carries its own domain tag.
            ///
            /// ```
            /// use threads_core::key::verify;
            #[doc = concat!("let key = threads_core::", stringify!($name), "::from_bytes(&[7; 32]);")]
            /// let signature = key.sign(b"example/1 hello");
            #[doc = concat!("assert!(verify(key.", stringify!($id_fn), "().key_bytes(), b\"example/1 hello\", &signature).is_ok());")]
            /// ```
            pub fn sign(&self, message: &[u8]) -> [u8; 64] {
                self.0.sign(message).to_bytes()
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
                self.0.as_bytes().ct_eq(other.0.as_bytes())
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

signing_key! {
    /// Who someone is: the Ed25519 pair of a peer. Whoever holds it is that person.
    ///
    /// ```
    /// use threads_core::{IdentityKey, system_rng};
    ///
    /// let key = IdentityKey::generate(&mut system_rng());
    /// assert_eq!(format!("{key:?}"), "IdentityKey(redacted)");
    /// assert!(key.to_text().starts_with("identity_b"));
    /// ```
    IdentityKey, "identity", PeerId, peer_id
}

signing_key! {
    /// The right to write one log: its Ed25519 pair.
    ///
    /// ```
    /// use threads_core::{LogKey, system_rng};
    ///
    /// let key = LogKey::generate(&mut system_rng());
    /// assert_eq!(key.log_id().to_bytes().len(), 38);
    /// ```
    LogKey, "log", LogId, log_id
}

impl IdentityKey {
    /// The pair that opens what is sealed to this peer, derived from the same seed, so that one
    /// backup covers both.
    ///
    /// ```
    /// let key = threads_core::IdentityKey::from_bytes(&[7; 32]);
    /// assert_eq!(key.agreement_key().public_key(), key.agreement_key().public_key());
    /// ```
    pub fn agreement_key(&self) -> AgreementKey {
        AgreementKey::from_bytes(&derive(&self.to_bytes(), b"threads/agreement/1"))
    }
}
