//! Listening, connecting, and what becomes of connections.

use std::io;

use libp2p::core::transport::ListenerId;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, DialError};
use libp2p::{Multiaddr, TransportError, identify, mdns};
use threads_core::transport::named_peer;
use threads_core::{Error, PeerId, Result};
use tokio::time::Instant;

use super::{Task, tell, unavailable};
use crate::behaviour::KAD;
use crate::book::{signed, usable};
use crate::command::Done;
use crate::limits::CONNECTING_MAX;
use crate::peer::{ours, theirs};

impl Task {
    pub(super) fn listen(&mut self, addr: Multiaddr, done: Done<Multiaddr>) {
        match self.swarm.listen_on(addr) {
            Ok(id) => {
                self.listeners.insert(id);
                self.listening.insert(id, done);
            }
            Err(TransportError::MultiaddrNotSupported(addr)) => {
                let what = "this transport cannot listen at such an address";
                tell(done, Err(Error::invalid(what).with("address", addr)));
            }
            Err(TransportError::Other(error)) => {
                tell(
                    done,
                    Err(Error::unavailable("cannot listen").caused_by(error)),
                );
            }
        }
    }

    pub(super) fn listens(&mut self, id: ListenerId, addr: Multiaddr) {
        self.tell_addresses();
        if let Some(done) = self.listening.remove(&id) {
            tell(done, Ok(self.named(addr)));
        }
    }

    pub(super) fn listens_no_more(&mut self, id: ListenerId, fault: Option<io::Error>) {
        self.tell_addresses();
        if let Some(done) = self.listening.remove(&id) {
            let error = Error::unavailable("cannot listen");
            tell(
                done,
                Err(match fault {
                    Some(fault) => error.caused_by(fault),
                    None => error,
                }),
            );
        }
    }

    pub(super) fn connect_at(&mut self, addr: Multiaddr, done: Done<PeerId>) {
        match self.dial(addr) {
            Ok(Dialled::Already(peer)) => tell(done, Ok(peer)),
            Ok(Dialled::Begun(id)) => drop(self.connecting.insert(id, done)),
            Err(error) => tell(done, Err(error)),
        }
    }

    fn dial(&mut self, addr: Multiaddr) -> Result<Dialled> {
        let named = named_peer(&addr);
        let me = ours(self.swarm.local_peer_id());
        if named.is_some() && named == me {
            return Err(Error::invalid("this is the address of this end itself"));
        }
        if !can_be_dialled(&addr) {
            let what = "this transport cannot dial such an address";
            return Err(Error::invalid(what).with("address", addr));
        }
        if let Some(peer) = named.filter(|peer| self.connected.contains(peer)) {
            return Ok(Dialled::Already(peer));
        }
        if self.connecting.len() >= CONNECTING_MAX {
            return Err(Error::unavailable("too many connections are being made"));
        }
        // From a port of its own: two who call each other from the ports they listen at meet in one
        // connection that both began, and neither answers.
        let opts = match named.map(theirs) {
            Some(peer) => {
                let opts = DialOpts::peer_id(peer).condition(PeerCondition::Always);
                let only_named = addr.iter().count() == 1;
                let opts = match only_named {
                    true => opts
                        .addresses(self.book.get(&peer, Instant::now()).to_vec())
                        .extend_addresses_through_behaviour(),
                    false => opts.addresses(vec![addr]),
                };
                opts.allocate_new_port().build()
            }
            None => DialOpts::unknown_peer_id()
                .address(addr)
                .allocate_new_port()
                .build(),
        };
        let id = opts.connection_id();
        match self.swarm.dial(opts) {
            Ok(()) => Ok(Dialled::Begun(id)),
            Err(error) => Err(failed(&error)),
        }
    }

    pub(super) fn disconnect(&mut self, peer: PeerId, done: Done<()>) {
        if self.swarm.disconnect_peer_id(theirs(peer)).is_err() {
            // It was not connected.
            return tell(done, Ok(()));
        }
        self.outgoing.gone(peer);
        self.disconnecting.entry(peer).or_default().push(done);
    }

    pub(super) fn established(&mut self, peer: &libp2p::PeerId, id: ConnectionId) {
        self.shared.counting.count(|counters| {
            counters.connections += 1;
            counters.connections_made += 1;
        });
        let done = self.connecting.remove(&id);
        let Some(who) = ours(peer) else {
            self.swarm.close_connection(id);
            if let Some(done) = done {
                tell(
                    done,
                    Err(Error::unavailable("the peer there has no Ed25519 key")),
                );
            }
            return;
        };
        // Both may have called at once, and have two connections then. Who closed one of them, could
        // close the one that the other keeps.
        if self.connected.insert(who) {
            self.shared.inbox.connected(who);
        }
        if let Some(done) = done {
            tell(done, Ok(who));
        }
    }

    pub(super) fn closed(&mut self, peer: &libp2p::PeerId, left: u32) {
        self.shared
            .counting
            .count(|counters| counters.connections -= 1);
        if left == 0 {
            self.identified.remove(peer);
            self.answering.remove(peer);
        }
        let Some(peer) = ours(peer).filter(|_| left == 0) else {
            return;
        };
        if self.connected.remove(&peer) {
            drop(self.shared.inbox.disconnected(peer));
        }
        self.outgoing.gone(peer);
        self.replying.gone(&peer);
        for done in self.disconnecting.remove(&peer).unwrap_or_default() {
            tell(done, Ok(()));
        }
    }

    pub(super) fn not_connected(
        &mut self,
        id: ConnectionId,
        peer: Option<libp2p::PeerId>,
        error: &DialError,
    ) {
        self.shared
            .counting
            .count(|counters| counters.connections_failed += 1);
        if let Some(relay) = peer {
            self.go_on_behind(&relay);
        }
        let Some(done) = self.connecting.remove(&id) else {
            return;
        };
        // Both may have called at once, and the other one's call came through.
        let there = peer
            .as_ref()
            .and_then(ours)
            .filter(|peer| self.connected.contains(peer));
        tell(done, there.ok_or_else(|| failed(error)));
    }

    /// What a peer signed about itself becomes known, here and to the reader.
    pub(super) fn handle_identify(&mut self, event: identify::Event) {
        let identify::Event::Received {
            peer_id,
            connection_id,
            info,
        } = event
        else {
            return;
        };
        self.identified.insert(peer_id);
        self.go_on_behind(&peer_id);
        let near = self.near.contains_key(&connection_id);
        let Some(envelope) = info.signed_peer_record else {
            return;
        };
        let addrs = usable(signed(peer_id, envelope), near);
        let serves = info.protocols.contains(&KAD);
        if let Some(kad) = self.swarm.behaviour_mut().kad.as_mut().filter(|_| serves) {
            for addr in &addrs {
                kad.add_address(&peer_id, addr.clone());
            }
        }
        self.book.put(peer_id, addrs.clone(), Instant::now());
        if let Some(peer) = ours(&peer_id).filter(|_| !addrs.is_empty()) {
            self.shared.inbox.discovered(peer, addrs);
        }
    }

    pub(super) fn handle_mdns(&self, event: mdns::Event) {
        let mdns::Event::Discovered(found) = event else {
            return;
        };
        let mut by_peer: Vec<(libp2p::PeerId, Vec<Multiaddr>)> = Vec::new();
        for (peer, addr) in found {
            match by_peer.iter_mut().find(|(known, _)| *known == peer) {
                Some((_, addrs)) => addrs.push(addr),
                None => by_peer.push((peer, vec![addr])),
            }
        }
        for (peer, addrs) in by_peer {
            let addrs = usable(addrs, true);
            if let Some(peer) = ours(&peer).filter(|_| !addrs.is_empty()) {
                self.shared.inbox.discovered(peer, addrs);
            }
        }
    }
}

enum Dialled {
    Already(PeerId),
    Begun(ConnectionId),
}

/// Whether it begins in a network, or is the name of a peer, and does not end at a relay.
fn can_be_dialled(addr: &Multiaddr) -> bool {
    let first = addr.iter().next();
    let begins = matches!(
        first,
        Some(
            Protocol::Ip4(_)
                | Protocol::Ip6(_)
                | Protocol::Dns(_)
                | Protocol::Dns4(_)
                | Protocol::Dns6(_)
                | Protocol::Dnsaddr(_)
                | Protocol::P2p(_)
        )
    );
    begins && addr.iter().last() != Some(Protocol::P2pCircuit)
}

fn failed(error: &DialError) -> Error {
    let what = match error {
        DialError::LocalPeerId { .. } => {
            return Error::invalid("this is the address of this end itself");
        }
        DialError::WrongPeerId { .. } => "another peer is at this address",
        DialError::NoAddresses => "no address of the peer is known",
        DialError::Denied { .. } => "there are too many connections",
        DialError::Transport(_) => "nobody could be reached at this address",
        _ => "no connection could be made",
    };
    unavailable(what, error)
}
