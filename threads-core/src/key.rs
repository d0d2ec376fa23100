//! Keys: who someone is, which log, and who may read what.
//!
//! Each kind is its own type, so that one cannot stand in for another. All are wiped from memory
//! when dropped, compared in constant time, and shown as `ReadKey(redacted)` by `Debug`. There is
//! no `Display`: whoever wants the text of a key asks for it by `to_text`, which names the kind
//! (`read_b…`) and ends in a checksum, so that a mixed-up or mistyped key is found at once.
//!
//! ```
//! use threads_core::{ReadKey, ReplicaKey, system_rng};
//!
//! let read = ReadKey::generate(&mut system_rng());
//! let text = read.to_text();
//! assert!(text.starts_with("read_b"));
//! assert_eq!(text.parse::<ReadKey>().unwrap(), read);
//! assert!(text.parse::<ReplicaKey>().unwrap_err().to_string().contains("this is a read key"));
//! ```

mod aead;
mod agreement;
mod card;
mod epoch;
mod signature;
mod signing;
mod store;
mod symmetric;
mod text;

pub use aead::SEAL_OVERHEAD_BYTES;
pub(crate) use aead::{open_once, seal_once};
pub(crate) use agreement::SEALED_OVERHEAD_BYTES;
pub use agreement::{AgreementKey, AgreementPublicKey, SEALED_CONTENT_KEY_BYTES};
pub use card::PeerCard;
pub use epoch::{EpochKeys, READ_MARK_BYTES};
pub use signature::{SignatureError, check_key, verify, verify_batch};
pub use signing::{IdentityKey, LogKey};
pub use store::StoreKey;
pub use symmetric::{ContentKey, ReadKey, ReplicaKey};

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// Derives a key for one purpose: HKDF-SHA256 without salt, `info` naming the purpose.
fn derive(secret: &[u8; 32], info: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut derived = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(None, secret)
        .expand(info, derived.as_mut())
        // HKDF refuses more than 255 blocks; this is one.
        .expect("32 bytes are one HKDF block");
    derived
}
