//! Room for replies that those who asked have not read yet.

use std::collections::HashMap;
use std::sync::Arc;

use threads_core::PeerId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::{REPLYING_BYTES_MAX, REPLYING_BYTES_OF_PEER_MAX};

/// The room of all peers, and of each. What takes some gives it back when it is dropped.
pub(crate) struct Replying {
    all: Arc<Semaphore>,
    peers: HashMap<PeerId, Arc<Semaphore>>,
}

impl Replying {
    pub(crate) fn new() -> Self {
        Self {
            all: Arc::new(Semaphore::new(REPLYING_BYTES_MAX)),
            peers: HashMap::new(),
        }
    }

    /// Takes room for a reply to a peer, if there is some.
    pub(crate) fn room(&mut self, peer: PeerId, bytes: usize) -> Option<Vec<OwnedSemaphorePermit>> {
        let fresh = || Arc::new(Semaphore::new(REPLYING_BYTES_OF_PEER_MAX));
        let its = self.peers.entry(peer).or_insert_with(fresh);
        let bytes = u32::try_from(bytes).ok()?;
        let take = |room: &Arc<Semaphore>| Arc::clone(room).try_acquire_many_owned(bytes).ok();
        Some(vec![take(its)?, take(&self.all)?])
    }

    /// A peer is gone, and what it has not read goes with its connection.
    pub(crate) fn gone(&mut self, peer: &PeerId) {
        self.peers.remove(peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_peer_has_a_bound_and_all_have_one_and_room_comes_back() {
        let peer = |n| PeerId::from_key_bytes([n; 32]);
        let mut replying = Replying::new();
        let full = replying.room(peer(0), REPLYING_BYTES_OF_PEER_MAX).unwrap();
        assert!(replying.room(peer(0), 1).is_none());
        let mut others = Vec::new();
        let peers = (REPLYING_BYTES_MAX / REPLYING_BYTES_OF_PEER_MAX) as u8;
        for n in 1..peers {
            others.push(replying.room(peer(n), REPLYING_BYTES_OF_PEER_MAX).unwrap());
        }
        assert!(replying.room(peer(peers), 1).is_none(), "nothing is left");
        drop(full);
        assert!(replying.room(peer(peers), 1).is_some());
        assert!(replying.room(peer(0), 1).is_some());
        replying.gone(&peer(1));
        assert_eq!(replying.peers.len(), usize::from(peers));
    }
}
