//! Telling a peer that it was removed from a thread: it is pushed the record of that, and nothing else.

use threads_core::{PeerId, Result};

use super::io::Op;
use super::machine::{Call, Doing, Machine};
use super::wire::{Answer, Ask};
use crate::access::Farewell;
use crate::layout::Number;

impl Machine {
    /// A connected peer may have to be told that it was removed.
    pub(super) fn see_farewells(&mut self, peer: PeerId) {
        if self.peers.contains_key(&peer) {
            self.op(Op::Farewells(peer), Doing::Farewells(peer));
        }
    }

    pub(super) fn tell_removed(&mut self, peer: PeerId, farewells: Vec<Farewell>) {
        if !self.peers.contains_key(&peer) {
            return;
        }
        for Farewell {
            thread,
            claim,
            parcel,
        } in farewells
        {
            let ask = Ask::Push(claim, vec![parcel]);
            self.call(peer, &ask, Call::Farewell(thread, peer));
        }
    }

    /// It answered. What it has of the thread is of no interest any more.
    pub(super) fn told_removed(&mut self, thread: Number, peer: PeerId, answer: &Result<Answer>) {
        if let Ok(Answer::Have(_) | Answer::Full(_)) = answer {
            self.op(Op::Told(thread, peer), Doing::Note);
        }
    }
}
