//! Calls to those behind a relay, and when the relay is left.
//!
//! The two replace the relay by a direct connection as soon as they are connected, and only then: each
//! has to know by that time how others see it. So who calls through a relay meets the relay first.

use libp2p::multiaddr::Protocol;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::{Multiaddr, PeerId as TheirId};
use threads_core::{Error, PeerId};
use tokio::time::Instant;

use super::{Task, tell};
use crate::command::Done;
use crate::limits::CONNECTING_MAX;
use crate::peer::ours;

/// A call that waits until the relay has said how it sees this end.
pub(crate) struct Behind {
    relay: TheirId,
    addr: Multiaddr,
    done: Done<PeerId>,
    until: Instant,
}

/// The relay of an address, and where it is.
fn relay_of(addr: &Multiaddr) -> Option<(TheirId, Multiaddr)> {
    let is_circuit = |part: &Protocol<'_>| *part == Protocol::P2pCircuit;
    let circuit = addr.iter().position(|part| is_circuit(&part))?;
    let relay: Multiaddr = addr.iter().take(circuit).collect();
    match relay.iter().last()? {
        Protocol::P2p(peer) => Some((peer, relay)),
        _ => None,
    }
}

impl Task {
    /// Connects, through a relay if the address says so.
    pub(super) fn connect(&mut self, addr: Multiaddr, done: Done<PeerId>) {
        let punches = self.swarm.behaviour().dcutr.is_enabled();
        match relay_of(&addr).filter(|(relay, _)| punches && !self.identified.contains(relay)) {
            Some((relay, at)) => self.connect_behind(relay, at, addr, done),
            None => self.connect_at(addr, done),
        }
    }

    fn connect_behind(
        &mut self,
        relay: TheirId,
        at: Multiaddr,
        addr: Multiaddr,
        done: Done<PeerId>,
    ) {
        if self.behind.len() >= CONNECTING_MAX {
            let error = Error::unavailable("too many connections are being made");
            return tell(done, Err(error));
        }
        let opts = DialOpts::peer_id(relay)
            .condition(PeerCondition::DisconnectedAndNotDialing)
            .addresses(vec![at])
            .allocate_new_port();
        // It may be connected, or being connected to, already.
        let _already = self.swarm.dial(opts.build());
        self.behind.push(Behind {
            relay,
            addr,
            done,
            until: Instant::now() + self.limits.handshake,
        });
    }

    /// Ends connections through a relay with peers who are connected without one, when nothing is under
    /// way with them: frames would go both ways, and a relay carries little for a short time.
    pub(super) fn leave_relays(&mut self) {
        let is_replaced = |peer: &TheirId| {
            let through_relays = self.relayed.values().filter(|one| *one == peer).count();
            let all = self.connections.get(peer).copied().unwrap_or(0);
            let idle = ours(peer).is_none_or(|peer| !self.outgoing.is_under_way(peer));
            all as usize > through_relays && idle && !self.answering.contains_key(peer)
        };
        let relayed = self.relayed.iter();
        let replaced = relayed.filter(|(_, peer)| is_replaced(peer));
        let replaced: Vec<_> = replaced.map(|(id, _)| *id).collect();
        for id in replaced {
            if self.swarm.close_connection(id) {
                self.relayed.remove(&id);
                self.shared
                    .counting
                    .count(|counters| counters.relays_left += 1);
            }
        }
    }

    /// Goes on with calls through a peer: it said how it sees this end, or cannot be reached.
    pub(super) fn go_on_behind(&mut self, relay: &TheirId) {
        self.go_on(|behind| behind.relay == *relay);
    }

    /// Goes on with calls for which it was waited long enough.
    pub(super) fn expire_behind(&mut self, now: Instant) {
        self.go_on(|behind| behind.until <= now);
    }

    fn go_on(&mut self, with: impl Fn(&Behind) -> bool) {
        let (now, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.behind).into_iter().partition(with);
        self.behind = later;
        for Behind { addr, done, .. } in now {
            self.connect_at(addr, done);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_relay_is_what_comes_before_the_circuit() {
        let (relay, peer) = (TheirId::random(), TheirId::random());
        let at: Multiaddr = format!("/ip4/192.0.2.7/tcp/4001/p2p/{relay}")
            .parse()
            .unwrap();
        let addr = format!("{at}/p2p-circuit/p2p/{peer}").parse().unwrap();
        assert_eq!(relay_of(&addr), Some((relay, at.clone())));
        assert_eq!(relay_of(&at), None);
        let nobody = format!("/ip4/192.0.2.7/tcp/4001/p2p-circuit/p2p/{peer}");
        assert_eq!(relay_of(&nobody.parse().unwrap()), None);
    }
}
