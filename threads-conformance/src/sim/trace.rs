//! Chance that a seed decides, and the digest of a history.

use chacha20::ChaCha8Rng;
use chacha20::rand_core::SeedableRng;
use threads_core::block::sha256;

/// The source of all chance for one purpose.
pub(super) fn chance(seed: u64, purpose: &str) -> ChaCha8Rng {
    ChaCha8Rng::from_seed(sha256(format!("{seed}/{purpose}").as_bytes()))
}

/// What happened so far, as a number: FNV-1a.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digest(pub(super) u64);

impl Digest {
    pub(super) fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
}
