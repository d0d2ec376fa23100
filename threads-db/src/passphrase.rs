//! Small secrets under a passphrase: the keys of a thread in a file that anyone may copy, and what
//! opens a keystore.
//!
//! Argon2id turns the passphrase into a key, slowly and with much memory, so that guessing is
//! dear; XChaCha20-Poly1305 seals the secret under that key, bound to a context of the caller's.
//! How slowly is written beside the secret: later versions may ask for more and still open this
//! one. What is read there is bounded, as it comes from a file.
//!
//! A passphrase is the bytes of its text, as typed: no case or Unicode form is changed.

use std::fmt;
use std::ops::RangeInclusive;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use threads_core::block::{decode, encode};
use threads_core::rand_core::CryptoRng;
use threads_core::{ContentKey, Error, Result};
use zeroize::Zeroizing;

/// The largest secret, in bytes: the keys of a thread are a few hundred.
pub(crate) const SECRET_BYTES_MAX: usize = 64 * 1024;
/// The name of the one derivation there is.
const KDF: &str = "argon2id";
/// Argon2 version 1.3.
const KDF_VERSION: u32 = 0x13;
const SALT_BYTES: usize = 16;
const CHECK_BYTES: usize = 8;
/// Memory that a sealed secret may ask for, in KiB: 19 MiB to 1 GiB.
const MEMORY_KIB: RangeInclusive<u32> = 19 * 1024..=1024 * 1024;
/// Passes over the memory that a sealed secret may ask for.
const PASSES: RangeInclusive<u32> = 2..=16;
/// Lanes that a sealed secret may ask for.
const LANES: RangeInclusive<u32> = 1..=4;

/// How dear one guess is.
#[derive(Clone, Copy)]
struct Cost {
    m_kib: u32,
    t: u32,
    p: u32,
}

/// What new secrets are sealed with: RFC 9106's second choice, for machines short of memory, in
/// one lane.
const COST: Cost = Cost {
    m_kib: 64 * 1024,
    t: 3,
    p: 1,
};

/// A secret that a passphrase opens, as it is kept: DAG-CBOR
/// `{kdf, v, m_kib, t, p, salt, check, box}`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SealedSecret {
    kdf: String,
    v: u32,
    m_kib: u32,
    t: u32,
    p: u32,
    salt: ByteBuf,
    /// Derived from the key, and tells a wrong passphrase from altered bytes. A guess can be
    /// tested against it, and against the box, at the same price.
    check: ByteBuf,
    #[serde(rename = "box")]
    sealed: ByteBuf,
}

impl SealedSecret {
    /// Seals `secret` under `passphrase`, bound to `context`, in about a tenth of a second.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) for an empty passphrase or a
    /// secret over [`SECRET_BYTES_MAX`];
    /// [`ErrorKind::Unavailable`](threads_core::ErrorKind::Unavailable) without 64 MiB of memory.
    pub(crate) fn seal(
        secret: &[u8],
        passphrase: &str,
        context: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Result<Self> {
        Self::seal_at(COST, secret, passphrase, context, rng)
    }

    /// Seals at a price of the caller's: tests pay the least that opens.
    fn seal_at(
        cost: Cost,
        secret: &[u8],
        passphrase: &str,
        context: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Result<Self> {
        if secret.len() > SECRET_BYTES_MAX {
            return Err(Error::invalid("the secret is too large for a passphrase")
                .with("bytes", secret.len())
                .with("most", SECRET_BYTES_MAX));
        }
        let mut salt = [0; SALT_BYTES];
        rng.fill_bytes(&mut salt);
        let keys = Keys::derive(cost, passphrase, &salt)?;
        let sealed = keys.seal.seal_random(&bound(cost, context), secret, rng)?;
        Ok(Self {
            kdf: KDF.to_owned(),
            v: KDF_VERSION,
            m_kib: cost.m_kib,
            t: cost.t,
            p: cost.p,
            salt: ByteBuf::from(salt),
            check: ByteBuf::from(keys.check),
            sealed: ByteBuf::from(sealed),
        })
    }

    /// The secret, wiped from memory when dropped.
    ///
    /// # Errors
    ///
    /// * [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) when the passphrase is wrong.
    /// * [`ErrorKind::Corrupt`](threads_core::ErrorKind::Corrupt) when the passphrase is right
    ///   and the bytes are not what was sealed, or were sealed for another context.
    /// * [`ErrorKind::Unavailable`](threads_core::ErrorKind::Unavailable) without the memory.
    pub(crate) fn open(&self, passphrase: &str, context: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let cost = self.cost()?;
        let keys = Keys::derive(cost, passphrase, &self.salt)?;
        if !bool::from(keys.check.ct_eq(&self.check)) {
            return Err(Error::invalid(
                "the passphrase is wrong: type it exactly as it was set, with capitals and spaces",
            ));
        }
        keys.seal
            .open(&bound(cost, context), &self.sealed)
            .map(Zeroizing::new)
            .map_err(|cause| {
                Error::corrupt(
                    "the passphrase is right, but the sealed keys are damaged or belong \
                     elsewhere: get another copy",
                )
                .caused_by(cause)
            })
    }

    /// Its canonical DAG-CBOR.
    ///
    /// # Errors
    ///
    /// None in practice; the encoder's are passed on.
    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        encode(self)
    }

    /// From its DAG-CBOR, if what it asks for is within bounds.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`](threads_core::ErrorKind::Corrupt) for other bytes, and
    /// [`ErrorKind::Unsupported`](threads_core::ErrorKind::Unsupported) for another derivation
    /// or another price.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let secret: Self = decode(bytes).map_err(|cause| {
            Error::corrupt("the sealed keys are damaged: get another copy").caused_by(cause)
        })?;
        secret.check_price()?;
        Ok(secret)
    }

    /// Refuses what asks for more or less than is allowed, or is not whole.
    ///
    /// # Errors
    ///
    /// As [`SealedSecret::decode`].
    pub(crate) fn check_price(&self) -> Result<()> {
        self.cost().map(drop)
    }

    /// Memory in KiB, passes and lanes.
    pub(crate) fn price(&self) -> (u32, u32, u32) {
        (self.m_kib, self.t, self.p)
    }

    /// What opening costs, if that is within bounds.
    fn cost(&self) -> Result<Cost> {
        let known = self.kdf == KDF
            && self.v == KDF_VERSION
            && MEMORY_KIB.contains(&self.m_kib)
            && PASSES.contains(&self.t)
            && LANES.contains(&self.p);
        if !known {
            return Err(Error::unsupported(
                "the keys are sealed in a way this version does not open: use a newer version",
            )
            .with("m_kib", self.m_kib)
            .with("t", self.t)
            .with("p", self.p));
        }
        if self.salt.len() != SALT_BYTES || self.check.len() != CHECK_BYTES {
            return Err(Error::corrupt(
                "the sealed keys are damaged: get another copy",
            ));
        }
        Ok(Cost {
            m_kib: self.m_kib,
            t: self.t,
            p: self.p,
        })
    }
}

/// Says how it is sealed; the contents are secret.
impl fmt::Debug for SealedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "SealedSecret({KDF}, {} KiB, {} passes, {} bytes)",
            self.m_kib,
            self.t,
            self.sealed.len()
        )
    }
}

/// What a passphrase becomes.
struct Keys {
    seal: ContentKey,
    check: [u8; CHECK_BYTES],
}

impl Keys {
    fn derive(cost: Cost, passphrase: &str, salt: &[u8]) -> Result<Self> {
        let derived = stretch(cost, passphrase, salt)?;
        let mut check = [0; CHECK_BYTES];
        check.copy_from_slice(&expand(&derived, b"threads/passphrase/check/1")[..CHECK_BYTES]);
        let seal = ContentKey::from_bytes(&expand(&derived, b"threads/passphrase/seal/1"));
        Ok(Self { seal, check })
    }
}

/// What Argon2id makes of a passphrase for a secret, for its vectors.
#[cfg(test)]
pub(crate) fn derived(secret: &SealedSecret, passphrase: &str) -> Result<Zeroizing<[u8; 32]>> {
    stretch(secret.cost()?, passphrase, &secret.salt)
}

/// What Argon2id makes of a passphrase.
fn stretch(cost: Cost, passphrase: &str, salt: &[u8]) -> Result<Zeroizing<[u8; 32]>> {
    if passphrase.is_empty() {
        return Err(Error::invalid(
            "the passphrase is empty: choose several words",
        ));
    }
    let refused =
        |cause: argon2::Error| Error::invalid("the passphrase cannot be used").with("cause", cause);
    let params = Params::new(cost.m_kib, cost.t, cost.p, Some(32)).map_err(refused)?;
    // Reserved first: running out of memory is an error, not an abort.
    let mut memory = Zeroizing::new(Vec::new());
    memory
        .try_reserve_exact(params.block_count())
        .map_err(|cause| {
            Error::unavailable("not enough memory for the passphrase: close something")
                .with("mib", cost.m_kib / 1024)
                .caused_by(cause)
        })?;
    memory.resize(params.block_count(), Block::default());
    let mut derived = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(
            passphrase.as_bytes(),
            salt,
            derived.as_mut(),
            memory.as_mut_slice(),
        )
        .map_err(refused)?;
    Ok(derived)
}

/// One key for one purpose.
fn expand(derived: &[u8; 32], purpose: &[u8]) -> Zeroizing<[u8; 32]> {
    // HMAC hashes a key that is too long and pads one that is too short.
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mac = Hmac::<Sha256>::new_from_slice(derived).expect("HMAC takes keys of any length");
    Zeroizing::new(mac.chain_update(purpose).finalize().into_bytes().into())
}

/// What the box is bound to: how it was sealed, and the caller's context.
fn bound(cost: Cost, context: &[u8]) -> Vec<u8> {
    let mut bytes = b"threads/passphrase/box/1".to_vec();
    for number in [KDF_VERSION, cost.m_kib, cost.t, cost.p] {
        bytes.extend_from_slice(&number.to_be_bytes());
    }
    bytes.extend_from_slice(context);
    bytes
}

#[cfg(test)]
mod tests {
    use threads_core::{ErrorKind, system_rng};

    use super::*;

    /// The least that opens.
    const CHEAP: Cost = Cost {
        m_kib: 19 * 1024,
        t: 2,
        p: 1,
    };

    fn sealed() -> SealedSecret {
        SealedSecret::seal_at(CHEAP, b"secret", "pass", b"here", &mut system_rng()).unwrap()
    }

    #[test]
    fn the_passphrase_opens() {
        let bytes = sealed().encode().unwrap();
        let read = SealedSecret::decode(&bytes).unwrap();
        assert_eq!(*read.open("pass", b"here").unwrap(), b"secret");
        assert!(!bytes.windows(6).any(|window| window == b"secret"));
    }

    #[test]
    fn new_secrets_are_dear() {
        let sealed = SealedSecret::seal(b"", "pass", b"", &mut system_rng()).unwrap();
        assert_eq!((sealed.m_kib, sealed.t, sealed.p), (65_536, 3, 1));
        assert!(sealed.open("pass", b"").unwrap().is_empty());
    }

    #[test]
    fn a_wrong_passphrase_and_damage_differ() {
        let whole = sealed();
        for wrong in ["Pass", "pass ", "pas", "\u{0}"] {
            let error = whole.open(wrong, b"here").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
            assert!(error.message().starts_with("the passphrase is wrong"));
        }
        let mut damaged = whole.clone();
        damaged.sealed[30] ^= 1;
        let mut short = whole.clone();
        short.sealed.truncate(20);
        for (sealed, context) in [(&damaged, b"here"), (&short, b"here"), (&whole, b"away")] {
            let error = sealed.open("pass", context).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        }
    }

    #[test]
    fn an_empty_passphrase_is_refused() {
        let error = sealed().open("", b"here").unwrap_err();
        assert!(error.message().starts_with("the passphrase is empty"));
        let error = SealedSecret::seal(b"", "", b"", &mut system_rng()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }

    #[test]
    fn a_large_secret_is_refused() {
        let large = vec![0; SECRET_BYTES_MAX + 1];
        let error = SealedSecret::seal(&large, "pass", b"", &mut system_rng()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }

    #[test]
    fn row_33_a_price_out_of_bounds_is_refused_before_it_is_paid() {
        let edits: [fn(&mut SealedSecret); 9] = [
            |s| s.m_kib = 19 * 1024 - 1,
            |s| s.m_kib = 1024 * 1024 + 1,
            |s| s.m_kib = u32::MAX,
            |s| s.t = 1,
            |s| s.t = 17,
            |s| s.p = 0,
            |s| s.p = 5,
            |s| s.v = 0x10,
            |s| s.kdf = "argon2i".to_owned(),
        ];
        for edit in edits {
            let mut sealed = sealed();
            edit(&mut sealed);
            let error = sealed.open("pass", b"here").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
            let error = SealedSecret::decode(&sealed.encode().unwrap()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        }
    }

    #[test]
    fn every_flipped_byte_is_an_error() {
        let mut bytes = sealed().encode().unwrap();
        for at in 0..bytes.len() {
            bytes[at] ^= 1;
            let opened = SealedSecret::decode(&bytes).and_then(|s| s.open("pass", b"here"));
            assert!(opened.is_err(), "byte {at}");
            bytes[at] ^= 1;
        }
    }

    #[test]
    fn no_two_seals_are_alike() {
        let (one, two) = (sealed(), sealed());
        assert_ne!(one.salt, two.salt);
        assert_ne!(one.check, two.check);
        assert_ne!(one.sealed, two.sealed);
    }
}
