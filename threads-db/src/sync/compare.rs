//! Comparing threads with a peer, which has to show that it holds their keys before it is told or
//! sent anything else.

use subtle::ConstantTimeEq;
use threads_core::{PeerId, Result};

use super::active::Link;
use super::io::{Op, Share, Which};
use super::limits::{COMPARED_MAX, GRACE_MS, GREET_AFTER_MS};
use super::machine::{Call, Doing, Machine};
use super::timers::Timer;
use super::vouch::Vouch;
use super::wire::{self, Answer, Ask, Heads, Verdict, agreed, joint, numbers};
use crate::layout::Number;

impl Machine {
    /// Compares threads with a peer, unless the two have done so.
    pub(super) fn greet(&mut self, peer: PeerId) {
        if let Some(known) = self.peers.get_mut(&peer)
            && !std::mem::replace(&mut known.greeted, true)
        {
            self.greet_from(peer, 0);
        }
    }

    fn greet_from(&mut self, peer: PeerId, first: Number) {
        let which = Which::From(first);
        self.op(Op::Shared(peer, which), Doing::Greet(peer, which));
    }

    /// Asks a peer about threads shared with it. About the next ones it is asked when it has answered, so
    /// that what they have here is in memory for no more than that at a time.
    pub(super) fn compare(&mut self, peer: PeerId, which: Which, shares: Vec<Share>) {
        let Some(known) = self.peers.get_mut(&peer) else {
            return;
        };
        let threads = shares.iter().map(|share| share.thread);
        known.threads.extend(threads);
        known.asks = false;
        let last = shares.last().map(|share| share.thread);
        let more = match which {
            Which::From(_) if shares.len() == COMPARED_MAX => last.and_then(|n| n.checked_add(1)),
            _ => None,
        };
        if last.is_some() {
            let claims = shares.iter().map(|share| (share.claim, share.digest));
            let ask = Ask::Heads(claims.collect());
            self.call(peer, &ask, Call::Heads(peer, shares, more));
        }
    }

    /// What a peer has of the threads it was asked about.
    pub(super) fn compared(
        &mut self,
        peer: PeerId,
        shares: Vec<Share>,
        more: Option<Number>,
        answer: Result<Answer>,
    ) {
        let (verdicts, proof) = match answer {
            Ok(Answer::Heads(verdicts, proof)) if verdicts.len() == shares.len() => {
                (verdicts, proof)
            }
            // Ask again when somebody has something to say.
            _ => return self.not_greeted(peer),
        };
        if !self.peers.contains_key(&peer) {
            return;
        }
        let known = shares.iter().zip(&verdicts);
        let known = known.filter(|(_, verdict)| **verdict != Verdict::Unknown);
        let expected = joint(known.map(|(share, _)| &share.theirs));
        if !bool::from(expected[..].ct_eq(&proof[..])) {
            // It speaks of threads whose keys it has not.
            self.not_greeted(peer);
            return self.fault(peer, super::conduct::MALFORMED);
        }
        let (mut level, mut same) = (Vec::new(), Vec::new());
        for (share, verdict) in shares.into_iter().zip(verdicts) {
            if self.is_barred(share.thread, &peer) {
                continue;
            }
            match verdict {
                Verdict::Unknown => self.shares_not(peer, share.thread),
                Verdict::Same => {
                    self.shares(peer, share.thread);
                    let threads = match self.link(share.thread, &peer) {
                        // It may have said since that it has more.
                        Some(_) => &mut level,
                        None => &mut same,
                    };
                    threads.push((share.thread, numbers(&share.heads)));
                }
                Verdict::Many => {
                    self.shares(peer, share.thread);
                    self.link_with(share.thread, peer, share.claim).compare = true;
                }
                // Decoding has checked them.
                Verdict::Differs(heads) => {
                    self.differs(peer, &share, &wire::heads(&heads).unwrap_or_default());
                }
            }
        }
        let alike = level.iter().chain(&same);
        let threads: Vec<_> = alike.map(|(thread, _)| *thread).collect();
        if !threads.is_empty() {
            self.op(Op::Level(peer, level), Doing::Note);
            self.op(Op::Same(peer, same), Doing::Note);
            self.op(Op::Vouch(Vouch::Behind(peer, threads)), Doing::Behind(peer));
        }
        if let Some(first) = more {
            self.greet_from(peer, first);
        }
    }

    /// A peer has other heads of a thread than this node.
    fn differs(&mut self, peer: PeerId, share: &Share, heads: &Heads) {
        let now = self.now;
        self.shares(peer, share.thread);
        // Two that asked each other at once would both get what the one with the smaller id pushes.
        let asks = self.peers.get(&peer).is_some_and(|known| known.asks);
        let grace = if asks && peer < self.me { GRACE_MS } else { 0 };
        let active = self.activate(share.thread);
        let link = active.links.entry(peer);
        let link = link.or_insert_with(|| Link::new(share.claim));
        link.compares(numbers(heads), &active.own);
        (link.tell_at, link.pull_at) = (Some(now), now + grace);
        link.suspect(&share.heads, heads);
        let theirs = agreed(&share.heads, heads);
        self.op(Op::Acked(share.thread, peer, theirs, None), Doing::Note);
        self.acknowledged(share.thread, peer);
    }

    fn not_greeted(&mut self, peer: PeerId) {
        if let Some(known) = self.peers.get_mut(&peer) {
            known.greeted = false;
            self.timers
                .set(Timer::Greet(peer), self.now + GREET_AFTER_MS);
        }
    }
}
