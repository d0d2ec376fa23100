//! Connecting to the peers that something is shared with.

use threads_core::rand_core::CryptoRng;
use threads_core::{Multiaddr, PeerId, Result};

use super::io::{Op, Output};
use super::limits::{DIAL_SOON_MS, DIALS_MAX, HASTEN_EVERY_MS};
use super::machine::{Doing, Machine};
use super::pause::Pause;
use super::timers::Timer;

/// A peer to be connected to.
#[derive(Debug, Default)]
pub(super) struct Dial {
    /// Where it has not been tried yet, this time.
    untried: Vec<Multiaddr>,
    dialling: bool,
    pause: Pause,
    /// Until when it is not tried sooner because of what it announced.
    hastened_until_ms: u64,
}

impl Machine {
    /// Sees to it that a peer is connected, now and from now on.
    pub(super) fn want(&mut self, peer: PeerId) {
        if peer == self.me || self.dials.len() >= DIALS_MAX && !self.dials.contains_key(&peer) {
            return;
        }
        self.dials.entry(peer).or_default();
        self.timers.set(Timer::Dial(peer), self.now);
    }

    /// The same for one of which an address became known: it is not waited for long.
    pub(super) fn want_soon(&mut self, peer: PeerId) {
        if let Some(dial) = self.dials.get_mut(&peer) {
            dial.pause.shorten(self.now, DIAL_SOON_MS);
        }
        self.want(peer);
    }

    /// Asks where a peer can be reached, unless it is connected or it is too early.
    pub(super) fn dial(&mut self, peer: PeerId) {
        let connected = self.peers.contains_key(&peer) || self.conducts.is_banned(&peer, self.now);
        let Some(dial) = self
            .dials
            .get_mut(&peer)
            .filter(|dial| !dial.dialling && !connected)
        else {
            return;
        };
        if let Some(until) = dial.pause.until(self.now) {
            return self.timers.set(Timer::Dial(peer), until);
        }
        dial.dialling = true;
        self.op(Op::Addresses(peer), Doing::Dial(peer));
    }

    /// Tries the addresses of a peer, one after the other.
    pub(super) fn dial_at(&mut self, peer: PeerId, addrs: Vec<Multiaddr>, rng: &mut dyn CryptoRng) {
        if let Some(dial) = self.dials.get_mut(&peer) {
            dial.untried = addrs;
            // The latest is first; they are taken from the end.
            dial.untried.reverse();
        }
        self.dial_next(peer, rng);
    }

    fn dial_next(&mut self, peer: PeerId, rng: &mut dyn CryptoRng) {
        let Some(dial) = self.dials.get_mut(&peer) else {
            return;
        };
        if let Some(addr) = dial.untried.pop() {
            return self.out.push(Output::Connect(peer, addr));
        }
        dial.dialling = false;
        dial.pause.fail(self.now, rng);
        if let Some(until) = dial.pause.until(self.now) {
            self.timers.set(Timer::Dial(peer), until);
        }
    }

    /// An attempt ended.
    pub(super) fn dialled(&mut self, peer: PeerId, ended: Result<()>, rng: &mut dyn CryptoRng) {
        match ended {
            Ok(()) => self.is_connected(&peer),
            Err(_) => self.dial_next(peer, rng),
        }
    }

    /// A peer that shares something announced news, so it is somewhere: it is tried now, once in a while,
    /// however often it could not be reached.
    pub(super) fn hasten(&mut self, peer: PeerId) {
        if self.peers.contains_key(&peer) {
            return;
        }
        self.want(peer);
        if let Some(dial) = self.dials.get_mut(&peer)
            && dial.hastened_until_ms <= self.now
        {
            dial.hastened_until_ms = self.now + HASTEN_EVERY_MS;
            dial.pause.shorten(self.now, 0);
        }
    }

    pub(super) fn is_connected(&mut self, peer: &PeerId) {
        if let Some(dial) = self.dials.get_mut(peer) {
            *dial = Dial::default();
        }
    }

    /// A peer is gone: it is dialled again, though not by both at the same moment.
    pub(super) fn lost(&mut self, peer: PeerId, rng: &mut dyn CryptoRng) {
        if let Some(dial) = self.dials.get_mut(&peer) {
            dial.pause.fail(self.now, rng);
            self.timers.set(Timer::Dial(peer), self.now);
        }
    }
}
