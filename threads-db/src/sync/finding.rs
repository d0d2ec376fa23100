//! Finding peers whose addresses are not known, or are not right any more, in the transport's directory.
//!
//! Every shared thread is provided there under a key that only who holds its replica key can make, and
//! looked up while somebody who shares it is not connected. What is found is believed only of peers that
//! a thread is shared with, and only as an address to try.

use std::collections::BTreeSet;

use threads_core::datastore::Datastore;
use threads_core::transport::{Transport, named_peer};
use threads_core::{Multiaddr, PeerId, Result};

use super::limits::{FIND_AFTER_MS, FIND_EVERY_MS, FIND_SOON_MS, FIND_THREADS_MAX};
use super::shares;
use super::store::replica_key;
use crate::node::Node;

/// When to look next.
#[derive(Debug, Default)]
pub(super) struct Finding {
    next_at: u64,
    /// How often this node has looked.
    times: usize,
}

/// A thread to be looked up.
struct Wanted {
    key: [u8; 32],
    /// Whether somebody who shares it is away.
    look: bool,
}

impl Finding {
    pub(super) fn next_at(&self) -> u64 {
        self.next_at
    }

    /// Somebody is connected, who may know others.
    pub(super) fn soon(&mut self, now_ms: u64) {
        self.next_at = self.next_at.min(now_ms + FIND_SOON_MS);
    }

    /// Whether it is time to look; then the next time is later.
    pub(super) fn is_due(&mut self, now_ms: u64) -> bool {
        if now_ms < self.next_at {
            return false;
        }
        // Soon again at first: a directory is empty until somebody is connected.
        let wait = FIND_AFTER_MS.get(self.times).copied();
        self.next_at = now_ms + wait.unwrap_or(FIND_EVERY_MS);
        self.times += 1;
        true
    }
}

/// Provides every shared thread, and looks for those who are away, one after the other.
pub(super) async fn find(node: Node, transport: &dyn Transport, connected: BTreeSet<PeerId>) {
    // What cannot be read now is read the next time.
    for wanted in node.wanted(&connected).unwrap_or_default() {
        // A directory that cannot be reached may be by the next time.
        _ = transport.provide(&wanted.key).await;
        if wanted.look
            && let Ok(found) = transport.find(&wanted.key).await
        {
            _ = node.found(&found);
        }
    }
}

impl Node {
    fn wanted(&self, connected: &BTreeSet<PeerId>) -> Result<Vec<Wanted>> {
        let txn = self.inner.store.read()?;
        let mut wanted = Vec::new();
        for thread in shares::threads(&*txn)?.into_iter().take(FIND_THREADS_MAX) {
            let peers = shares::of_thread(&*txn, thread)?;
            let (_, replica) = replica_key(&*txn, thread)?;
            wanted.push(Wanted {
                key: replica.rendezvous(),
                look: !peers.iter().all(|peer| connected.contains(peer)),
            });
        }
        Ok(wanted)
    }

    /// Notes the addresses of those whom something is shared with.
    fn found(&self, addrs: &[Multiaddr]) -> Result<()> {
        for addr in addrs {
            if let Some(peer) = named_peer(addr) {
                self.discovered(&peer, std::slice::from_ref(addr))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]
mod tests {
    use threads_core::datastore::Memory;
    use threads_core::transport::memory::Hub;

    use super::*;

    #[tokio::test]
    async fn peers_that_share_a_thread_find_each_other_and_nobody_else() {
        let node = || Node::builder(Memory::new()).open().unwrap();
        let (ann, bob, eve, hub) = (node(), node(), node(), Hub::new());
        let theirs = ann.create("friends").unwrap();
        theirs.share_with(&bob.peer_id()).unwrap();
        let ours = bob.add_thread("friends", &theirs.keys()).unwrap();
        ours.share_with(&ann.peer_id()).unwrap();
        // Somebody else who has the key, and whom bob shares nothing with.
        let hers = eve.add_thread("stolen", &theirs.keys()).unwrap();
        hers.share_with(&bob.peer_id()).unwrap();

        let nobody = BTreeSet::new;
        let join = |node: &Node| hub.join(node.peer_id()).unwrap();
        let ends = [&ann, &eve, &bob].map(join);
        for (node, end) in [&ann, &eve, &bob].into_iter().zip(&ends) {
            find(node.clone(), end, nobody()).await;
        }
        let known = |peer: &Node| bob.addresses_of(&peer.peer_id()).unwrap();
        assert_eq!(known(&ann), ends[0].addresses());
        assert!(known(&eve).is_empty());

        // Who is connected is not looked for.
        assert!(ann.addresses_of(&bob.peer_id()).unwrap().is_empty());
        find(ann.clone(), &ends[0], [bob.peer_id()].into()).await;
        assert!(ann.addresses_of(&bob.peer_id()).unwrap().is_empty());
        find(ann.clone(), &ends[0], nobody()).await;
        assert_eq!(
            ann.addresses_of(&bob.peer_id()).unwrap(),
            ends[2].addresses()
        );
    }

    #[test]
    fn looks_soon_at_first_and_then_now_and_then() {
        let mut finding = Finding::default();
        let mut times = Vec::new();
        for now in (0..2_000_000).step_by(1_000) {
            if finding.is_due(now) {
                times.push(now);
            }
        }
        assert_eq!(times, [0, 10_000, 70_000, 670_000, 1_270_000, 1_870_000]);
    }
}
