//! Requests on their way out: some on the wire, the others in a queue for each peer.

use std::collections::{HashMap, VecDeque};

use libp2p::request_response::OutboundRequestId;
use threads_core::{Error, PeerId, Result};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::limits::{IN_FLIGHT_MAX, QUEUED_BYTES_MAX, QUEUED_MAX};

/// Whoever waits for a reply.
pub(crate) type Asker = oneshot::Sender<Result<Vec<u8>>>;

struct Queued {
    frame: Vec<u8>,
    asker: Asker,
    until: Instant,
}

#[derive(Default)]
struct Peer {
    queued: VecDeque<Queued>,
    in_flight: usize,
    bytes: usize,
}

struct InFlight {
    peer: PeerId,
    bytes: usize,
    asker: Asker,
}

/// All requests that wait for a reply.
#[derive(Default)]
pub(crate) struct Outgoing {
    peers: HashMap<PeerId, Peer>,
    in_flight: HashMap<OutboundRequestId, InFlight>,
}

impl Outgoing {
    /// Queues a request; gives it back when too much waits.
    pub(crate) fn push(
        &mut self,
        to: PeerId,
        frame: Vec<u8>,
        asker: Asker,
        until: Instant,
    ) -> Result<(), Asker> {
        let peer = self.peers.entry(to).or_default();
        if peer.queued.len() >= QUEUED_MAX || peer.bytes + frame.len() > QUEUED_BYTES_MAX {
            return Err(asker);
        }
        peer.bytes += frame.len();
        peer.queued.push_back(Queued {
            frame,
            asker,
            until,
        });
        Ok(())
    }

    /// The next request to a peer that may go on the wire, by `send`. Who stopped waiting is passed
    /// over.
    pub(crate) fn send(&mut self, to: PeerId, mut send: impl FnMut(Vec<u8>) -> OutboundRequestId) {
        let Some(peer) = self.peers.get_mut(&to) else {
            return;
        };
        while peer.in_flight < IN_FLIGHT_MAX {
            let Some(Queued { frame, asker, .. }) = peer.queued.pop_front() else {
                break;
            };
            if asker.is_closed() {
                peer.bytes -= frame.len();
                continue;
            }
            peer.in_flight += 1;
            let bytes = frame.len();
            let peer = to;
            self.in_flight
                .insert(send(frame), InFlight { peer, bytes, asker });
        }
        if peer.in_flight == 0 && peer.queued.is_empty() {
            self.peers.remove(&to);
        }
    }

    /// Whether a request to a peer is on the wire.
    pub(crate) fn is_under_way(&self, peer: PeerId) -> bool {
        self.peers.get(&peer).is_some_and(|peer| peer.in_flight > 0)
    }

    /// A request on the wire has ended. Gives whose it was.
    pub(crate) fn ended(&mut self, id: OutboundRequestId) -> Option<(PeerId, Asker)> {
        let InFlight { peer, bytes, asker } = self.in_flight.remove(&id)?;
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.in_flight -= 1;
            peer.bytes -= bytes;
        }
        Some((peer, asker))
    }

    /// A peer is gone: what waits for it fails. What is on the wire is told one by one.
    pub(crate) fn gone(&mut self, peer: PeerId) {
        let Some(gone) = self.peers.get_mut(&peer) else {
            return;
        };
        for Queued { frame, asker, .. } in gone.queued.drain(..) {
            gone.bytes -= frame.len();
            let _nobody_waits = asker.send(Err(Error::unavailable("the peer went away")));
        }
        if gone.in_flight == 0 {
            self.peers.remove(&peer);
        }
    }

    /// Fails what has waited in a queue for too long. What is on the wire has a clock of its own.
    pub(crate) fn expire(&mut self, now: Instant) {
        for peer in self.peers.values_mut() {
            while peer.queued.front().is_some_and(|first| first.until <= now) {
                let Some(Queued { frame, asker, .. }) = peer.queued.pop_front() else {
                    break;
                };
                peer.bytes -= frame.len();
                let late = Error::unavailable("the peer did not reply in time");
                let _nobody_waits = asker.send(Err(late));
            }
        }
        self.peers
            .retain(|_, peer| peer.in_flight > 0 || !peer.queued.is_empty());
    }
}
