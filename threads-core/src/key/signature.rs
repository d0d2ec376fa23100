//! Ed25519 signatures: one acceptance rule, alone and in a batch.
//!
//! The rule is ZIP 215 with weak keys refused. ZIP 215 multiplies the equation by the cofactor
//! everywhere, so that a signature is accepted in a batch exactly when it is accepted alone; the
//! usual rules leave that open, and replicas that verify differently would keep different
//! records. A *weak* key is a point of small order, under which one signature fits any message,
//! or an encoding that is not the shortest, which would give one author two names.

use std::error::Error as StdError;
use std::fmt;

use ed25519_zebra::{Signature, VerificationKey, VerificationKeyBytes, batch};
use rand_core::CryptoRng;

use crate::Error;

/// The y coordinates of the eight points of small order, little endian: 0, 1, −1 and the two of
/// order eight. (Bernstein et al., "High-speed high-security signatures"; checked in the tests.)
const SMALL_ORDER_Y: [[u8; 32]; 5] = [
    [0; 32],
    {
        let mut one = [0; 32];
        one[0] = 1;
        one
    },
    {
        let mut minus_one = [0xff; 32];
        minus_one[0] = 0xec;
        minus_one[31] = 0x7f;
        minus_one
    },
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
];

/// Why a signature was refused.
///
/// ```
/// use threads_core::key::{SignatureError, verify};
///
/// // The identity point: without the check, one signature would fit every message.
/// let mut weak = [0; 32];
/// weak[0] = 1;
/// assert_eq!(verify(&weak, b"anything", &[0; 64]), Err(SignatureError::WeakKey));
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignatureError {
    /// The public key has small order, or its encoding is not the shortest.
    WeakKey,
    /// The public key is no point of the curve.
    MalformedKey,
    /// The signature does not fit the key and the message.
    BadSignature,
    /// At least one signature of a batch does not fit; verify each to find which.
    BadBatch,
}

impl fmt::Display for SignatureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WeakKey => "a public key is weak: signatures of it prove nothing",
            Self::MalformedKey => "a public key is not a point of the curve",
            Self::BadSignature => "a signature does not fit its key and message",
            Self::BadBatch => "a signature in a batch does not fit its key and message",
        })
    }
}

impl StdError for SignatureError {}

impl From<SignatureError> for Error {
    fn from(fault: SignatureError) -> Self {
        Self::rejected("a signature was refused").caused_by(fault)
    }
}

/// Refuses weak keys. [`verify`] and [`verify_batch`] begin with it; a key that is stored before
/// anything is verified under it deserves it too.
///
/// ```
/// use threads_core::{IdentityKey, key::check_key, system_rng};
/// let id = IdentityKey::generate(&mut system_rng()).peer_id();
/// assert!(check_key(id.key_bytes()).is_ok());
/// assert!(check_key(&[0; 32]).is_err());
/// ```
pub fn check_key(key: &[u8; 32]) -> Result<(), SignatureError> {
    let mut y = *key;
    y[31] &= 0x7f;
    // p is 2^255 - 19: nineteen encodings, ed ff … ff 7f and up, have a shorter one.
    let above_p = y[0] >= 0xed && y[1..31].iter().all(|byte| *byte == 0xff) && y[31] == 0x7f;
    // The other encodings with a shorter one, x = 0 with its sign set, are of small order.
    if above_p || SMALL_ORDER_Y.contains(&y) {
        return Err(SignatureError::WeakKey);
    }
    Ok(())
}

/// Checks one signature. The caller's message carries its own domain tag.
///
/// # Errors
///
/// The fault, as a [`SignatureError`].
///
/// ```
/// use threads_core::{IdentityKey, key::verify, system_rng};
///
/// let key = IdentityKey::generate(&mut system_rng());
/// let signature = key.sign(b"example/1 hello");
/// assert!(verify(key.peer_id().key_bytes(), b"example/1 hello", &signature).is_ok());
/// assert!(verify(key.peer_id().key_bytes(), b"example/1 hallo", &signature).is_err());
/// ```
pub fn verify(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> Result<(), SignatureError> {
    check_key(key)?;
    VerificationKey::try_from(*key)
        .map_err(|_| SignatureError::MalformedKey)?
        .verify(&Signature::from_bytes(signature), message)
        .map_err(|_| SignatureError::BadSignature)
}

/// Checks many signatures at once, in about half the time of checking each.
///
/// Accepts exactly when [`verify`] accepts each. `rng` must be unpredictable to the signers.
/// Signatures of one key are cheaper together than those of many. The caller bounds the batch.
///
/// # Errors
///
/// [`SignatureError::WeakKey`], or [`SignatureError::BadBatch`] when some signature does not fit;
/// [`verify`] then finds which.
///
/// ```
/// use threads_core::{IdentityKey, key::verify_batch, system_rng};
///
/// let key = IdentityKey::generate(&mut system_rng());
/// let (id, signature) = (key.peer_id(), key.sign(b"a"));
/// let good = [(id.key_bytes(), &b"a"[..], &signature)];
/// assert!(verify_batch(good, &mut system_rng()).is_ok());
/// let bad = [(id.key_bytes(), &b"b"[..], &signature)];
/// assert!(verify_batch(bad, &mut system_rng()).is_err());
/// ```
pub fn verify_batch<'a>(
    items: impl IntoIterator<Item = (&'a [u8; 32], &'a [u8], &'a [u8; 64])>,
    rng: &mut dyn CryptoRng,
) -> Result<(), SignatureError> {
    let mut verifier = batch::Verifier::new();
    for (key, message, signature) in items {
        check_key(key)?;
        let key = VerificationKeyBytes::from(*key);
        verifier.queue((key, Signature::from_bytes(signature), message));
    }
    verifier.verify(rng).map_err(|_| SignatureError::BadBatch)
}
