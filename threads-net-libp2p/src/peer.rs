//! Ids of peers in libp2p's types and in ours: the same 38 bytes.

use libp2p::identity::{Keypair, ed25519};
use threads_core::{Error, IdentityKey, PeerId, Result};

/// Ours of libp2p's; `None` when it is not one of an Ed25519 key.
pub(crate) fn ours(peer: &libp2p::PeerId) -> Option<PeerId> {
    PeerId::from_bytes(&peer.to_bytes()).ok()
}

/// libp2p's of ours.
pub(crate) fn theirs(peer: PeerId) -> libp2p::PeerId {
    libp2p::PeerId::from_bytes(&peer.to_bytes())
        // `to_bytes` gives libp2p's form.
        .expect("an id in libp2p's form")
}

/// The pair of keys in libp2p's type. Our copies of the seed are wiped.
pub(crate) fn keypair(identity: &IdentityKey) -> Result<Keypair> {
    let mut seed = identity.to_bytes();
    // libp2p wipes what it is given, too.
    let secret = ed25519::SecretKey::try_from_bytes(seed.as_mut())
        .map_err(|error| Error::invalid("not a seed of Ed25519").caused_by(error))?;
    Ok(ed25519::Keypair::from(secret).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_the_same_in_both() {
        let identity = IdentityKey::from_bytes(&[7; 32]);
        let keypair = keypair(&identity).unwrap();
        let id = keypair.public().to_peer_id();
        assert_eq!(id.to_string(), identity.peer_id().to_string());
        assert_eq!(ours(&id), Some(identity.peer_id()));
        assert_eq!(theirs(identity.peer_id()), id);
    }
}
