//! What a ciphertext is bound to: a second hand at it, for seeds and targets.

use threads_core::{LogId, ThreadId};

/// The domain under which what a ciphertext is bound to is written: spec/03-encryption.md.
const AAD_DOMAIN: &[u8] = b"threads/aad/1";

/// What a ciphertext is bound to, from the specification.
pub(crate) fn aad(
    layer: u8,
    thread: &ThreadId,
    place: Option<(&LogId, u64)>,
    epoch: u64,
) -> Vec<u8> {
    let mut aad = AAD_DOMAIN.to_vec();
    aad.extend([layer, thread.as_bytes().len() as u8]);
    aad.extend(thread.as_bytes());
    aad.extend(epoch.to_be_bytes());
    if let Some((log, seq)) = place {
        aad.extend(log.key_bytes());
        aad.extend(seq.to_be_bytes());
    }
    aad
}
