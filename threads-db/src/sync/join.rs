//! Asking a peer to take part in a thread, by a link of it.

use threads_core::{PeerId, Result};

use super::io::{Op, RequestId};
use super::limits::JOIN_AGAIN_MS;
use super::machine::{Call, Doing, Machine};
use super::timers::Timer;
use super::wire::{Answer, Ask};
use crate::invite::{PendingJoin, Verdict};

impl Machine {
    /// Looks which links of a connected peer are to be used.
    pub(super) fn ask_to_join(&mut self, peer: PeerId) {
        if self.peers.contains_key(&peer) {
            self.op(Op::Joins(peer), Doing::Joins(peer));
        }
    }

    pub(super) fn join_all(&mut self, peer: PeerId, pending: Vec<PendingJoin>) {
        for join in pending {
            let card = join.card.to_bytes().to_vec().into();
            let ask = Ask::Join(join.invite.clone(), join.secret, card);
            self.call(peer, &ask, Call::Join(peer, join.invite));
        }
    }

    pub(super) fn join_answered(&mut self, peer: PeerId, invite: String, answer: Result<Answer>) {
        match answer {
            Ok(Answer::Admitted(key, secret)) => {
                let op = Op::Admit(invite, key.into_vec(), secret.into_vec());
                self.op(op, Doing::Admit(peer));
            }
            Ok(Answer::Waiting) => self.timers.set(Timer::Join(peer), self.now + JOIN_AGAIN_MS),
            // A refusal may be one of a busy peer, but to insist looks like guessing.
            _ => self
                .timers
                .set(Timer::Join(peer), self.now + 12 * JOIN_AGAIN_MS),
        }
    }

    /// Tells a peer that uses a link of this node what became of it.
    pub(super) fn decided(&mut self, request: RequestId, verdict: Verdict) {
        let answer = match verdict {
            Verdict::Waiting => Answer::Waiting,
            Verdict::Admitted(key, secret) => Answer::Admitted(key, secret),
        };
        self.reply(request, &answer);
    }
}
