//! What a ciphertext is bound to.

use crate::{LogId, ThreadId};

const AAD_DOMAIN: &[u8] = b"threads/aad/1";

/// What is sealed, and so cannot stand in for one another.
#[derive(Clone, Copy)]
pub(crate) enum Layer {
    Record = 0,
    Header = 1,
    Body = 2,
}

/// What a ciphertext is bound to. A record is opened before its log and place are known; its
/// signature binds those.
pub(crate) fn aad(
    layer: Layer,
    thread: &ThreadId,
    place: Option<(&LogId, u64)>,
    epoch: u64,
) -> Vec<u8> {
    let mut aad = Vec::with_capacity(128);
    aad.extend_from_slice(AAD_DOMAIN);
    // The length keeps apart what follows; a thread id has at most 66 bytes.
    aad.extend_from_slice(&[layer as u8, thread.as_bytes().len() as u8]);
    aad.extend_from_slice(thread.as_bytes());
    aad.extend_from_slice(&epoch.to_be_bytes());
    if let Some((log, seq)) = place {
        aad.extend_from_slice(log.key_bytes());
        aad.extend_from_slice(&seq.to_be_bytes());
    }
    aad
}
