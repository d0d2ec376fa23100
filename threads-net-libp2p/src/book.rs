//! Where peers say that they are: what they sign about themselves, bounded and for a time.

use std::collections::HashMap;
use std::time::Duration;

use libp2p::core::{PeerRecord, SignedEnvelope};
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use threads_core::address::is_local;
use tokio::time::Instant;

use crate::limits::{ADDRESS_TTL, PEER_ADDRESSES_MAX, PEERS_KNOWN_MAX};
use crate::per_ip::ip;

/// Addresses of peers, by peer.
#[derive(Default)]
pub(crate) struct Book(HashMap<PeerId, Known>);

struct Known {
    addrs: Vec<Multiaddr>,
    since: Instant,
}

/// Whether a connection with this address stays within one network.
pub(crate) fn is_local_address(addr: &Multiaddr) -> bool {
    ip(addr).is_some() && is_local(addr)
}

/// What is kept of the addresses that a peer gives: those that can be dialled, and lead into private
/// networks only if the peer is in one with us.
pub(crate) fn usable(addrs: Vec<Multiaddr>, near: bool) -> Vec<Multiaddr> {
    let begins = |addr: &Multiaddr| {
        use Protocol::{Dns, Dns4, Dns6, Dnsaddr, Ip4, Ip6};
        let first = addr.iter().next();
        matches!(
            first,
            Some(Ip4(_) | Ip6(_) | Dns(_) | Dns4(_) | Dns6(_) | Dnsaddr(_))
        )
    };
    let dialled = |addr: &Multiaddr| begins(addr) && (near || !is_local(addr));
    addrs
        .into_iter()
        .filter(dialled)
        .take(PEER_ADDRESSES_MAX)
        .collect()
}

/// The addresses that a peer has signed; none when it was somebody else.
pub(crate) fn signed(peer: PeerId, envelope: SignedEnvelope) -> Vec<Multiaddr> {
    match PeerRecord::from_signed_envelope(envelope) {
        Ok(record) if record.peer_id() == peer => record.addresses().to_vec(),
        Ok(_) | Err(_) => Vec::new(),
    }
}

impl Book {
    /// Keeps the addresses of a peer instead of those before.
    pub(crate) fn put(&mut self, peer: PeerId, addrs: Vec<Multiaddr>, now: Instant) {
        if addrs.is_empty() {
            return;
        }
        if self.0.len() >= PEERS_KNOWN_MAX && !self.0.contains_key(&peer) {
            let oldest = self.0.iter().min_by_key(|(_, known)| known.since);
            if let Some(oldest) = oldest.map(|(peer, _)| *peer) {
                self.0.remove(&oldest);
            }
        }
        self.0.insert(peer, Known { addrs, since: now });
    }

    /// The addresses of a peer that are not too old.
    pub(crate) fn get(&self, peer: &PeerId, now: Instant) -> &[Multiaddr] {
        let fresh = |known: &&Known| now.duration_since(known.since) < ADDRESS_TTL;
        let known = self.0.get(peer).filter(fresh);
        known.map_or(&[], |known| &known.addrs)
    }
}

const _: () = assert!(ADDRESS_TTL.as_secs() <= Duration::from_secs(30 * 86_400).as_secs());

#[cfg(test)]
mod tests {
    use super::*;
    use libp2p::identity::Keypair;

    fn addr(text: &str) -> Multiaddr {
        text.parse().unwrap()
    }

    #[test]
    fn private_addresses_are_kept_of_peers_nearby_only() {
        let public = [
            addr("/ip4/192.0.2.7/tcp/1"),
            addr("/dns4/example.org/tcp/1"),
            addr("/ip6/2001:db8::1/tcp/1"),
        ];
        let private = [
            "/ip4/127.0.0.1/tcp/1",
            "/ip4/10.0.0.1/tcp/1",
            "/ip4/192.168.1.1/tcp/1",
            "/ip4/169.254.0.1/tcp/1",
            "/ip4/0.0.0.0/tcp/1",
            "/ip4/100.64.0.1/tcp/1",
            "/ip6/::1/tcp/1",
            "/ip6/fd00::1/tcp/1",
            "/ip6/fe80::1/tcp/1",
            "/ip6/::ffff:127.0.0.1/tcp/1",
            "/dns4/localhost/tcp/1",
            "/dns/printer.local./tcp/1",
        ]
        .map(addr);
        let all = [&public[..], &private[..]].concat();
        assert_eq!(usable(all.clone(), false), public);
        assert_eq!(usable(all.clone(), true), all);
        assert!(usable(vec![addr("/memory/1"), addr("/unix/a")], true).is_empty());
        let many = vec![public[0].clone(); PEER_ADDRESSES_MAX + 1];
        assert_eq!(usable(many, false).len(), PEER_ADDRESSES_MAX);
    }

    #[test]
    fn what_somebody_else_signed_is_nothing() {
        let (ann, bob) = (Keypair::generate_ed25519(), Keypair::generate_ed25519());
        let addrs = vec![addr("/ip4/192.0.2.7/tcp/1")];
        let record = PeerRecord::new(&ann, addrs.clone()).unwrap();
        let envelope = record.to_signed_envelope();
        assert_eq!(signed(ann.public().to_peer_id(), envelope.clone()), addrs);
        assert!(signed(bob.public().to_peer_id(), envelope).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn the_book_is_bounded_and_forgets() {
        let (mut book, addrs) = (Book::default(), vec![addr("/ip4/192.0.2.7/tcp/1")]);
        let first = PeerId::random();
        book.put(first, addrs.clone(), Instant::now());
        assert_eq!(book.get(&first, Instant::now()), addrs);
        tokio::time::advance(Duration::from_secs(1)).await;
        for _ in 0..PEERS_KNOWN_MAX {
            book.put(PeerId::random(), addrs.clone(), Instant::now());
        }
        assert_eq!(book.0.len(), PEERS_KNOWN_MAX);
        assert!(book.get(&first, Instant::now()).is_empty());
        book.put(first, addrs, Instant::now());
        tokio::time::advance(ADDRESS_TTL).await;
        assert!(book.get(&first, Instant::now()).is_empty());
    }
}
