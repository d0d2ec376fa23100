//! Comparing threads with a peer, which has to show that it holds their keys before it is told or
//! sent anything else.

use subtle::ConstantTimeEq;
use threads_core::{PeerId, Result};

use super::io::{Op, Share};
use super::limits::GREET_AFTER_MS;
use super::machine::{Call, Doing, Machine};
use super::timers::Timer;
use super::vouch::Vouch;
use super::wire::{self, Answer, Ask, CLAIMS_MAX, Verdict, agreed, joint, numbers};
use crate::layout::Number;

impl Machine {
    /// Compares threads with a peer, unless the two have done so.
    pub(super) fn greet(&mut self, peer: PeerId) {
        if let Some(known) = self.peers.get_mut(&peer)
            && !std::mem::replace(&mut known.greeted, true)
        {
            self.op(Op::Shared(peer), Doing::Greet(peer, None));
        }
    }

    /// Asks a peer about the threads shared with it.
    pub(super) fn compare(&mut self, peer: PeerId, only: Option<Number>, mut shares: Vec<Share>) {
        let Some(known) = self.peers.get_mut(&peer) else {
            return;
        };
        if let Some(only) = only {
            shares.retain(|share| share.thread == only);
        }
        known
            .threads
            .extend(shares.iter().map(|share| share.thread));
        while !shares.is_empty() {
            let rest = shares.split_off(shares.len().min(CLAIMS_MAX));
            let claims = shares.iter().map(|share| (share.claim, share.digest));
            self.call(
                peer,
                &Ask::Heads(claims.collect()),
                Call::Heads(peer, shares),
            );
            shares = rest;
        }
    }

    /// What a peer has of the threads it was asked about.
    pub(super) fn compared(&mut self, peer: PeerId, shares: Vec<Share>, answer: Result<Answer>) {
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
                Verdict::Differs(heads) => {
                    // Decoding has checked it.
                    let heads = wire::heads(&heads).unwrap_or_default();
                    let theirs = numbers(&heads);
                    let now = self.now;
                    self.shares(peer, share.thread);
                    let link = self.link_with(share.thread, peer, share.claim);
                    // It knows a digest of what is here, which told it nothing of any log: it is told
                    // of all of them, also of those that both have alike.
                    link.theirs = theirs.clone();
                    link.told.clear();
                    (link.tell_at, link.pull_at) = (Some(now), now);
                    link.suspect(&share.heads, &heads);
                    let theirs = agreed(&share.heads, &heads);
                    self.op(Op::Acked(share.thread, peer, theirs, None), Doing::Note);
                    self.acknowledged(share.thread, peer);
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
    }

    fn not_greeted(&mut self, peer: PeerId) {
        if let Some(known) = self.peers.get_mut(&peer) {
            known.greeted = false;
            self.timers
                .set(Timer::Greet(peer), self.now + GREET_AFTER_MS);
        }
    }
}
