//! Randomness: an explicit argument everywhere, and the operating system's source.

use rand_core::{CryptoRng, UnwrapErr};

/// The operating system's random source: what an application passes.
///
/// Its calls panic if the operating system has no randomness to give, as nothing safe can be
/// done without.
///
/// ```
/// use rand_core::Rng as _;
/// let mut bytes = [0; 32];
/// threads_core::system_rng().fill_bytes(&mut bytes);
/// assert_ne!(bytes, [0; 32]);
/// ```
pub fn system_rng() -> impl CryptoRng + Send + Sync + 'static {
    UnwrapErr(getrandom::SysRng)
}
