//! Peers that share a thread tell each other where they and the others are.
//!
//! Each signs where it can be reached itself, and whoever knows its word passes it on, to those who share
//! a thread with both and have shown its key. One asks by listing what it knows, a number for each peer;
//! so the other learns what there is to ask for in its turn.

use std::collections::BTreeMap;

use threads_core::{PeerId, Result, Whereabouts};

use super::conduct::MALFORMED;
use super::io::{Done, Op, RequestId};
use super::limits::{LOCATE_AFTER_MS, LOCATE_AGAIN_MS};
use super::machine::{Call, Doing, Machine};
use super::timers::Timer;
use super::wire::{Answer, Ask, Claim};
use crate::layout::Number;

/// The latest word of each peer that is known, by its number; 0 where none is.
pub(crate) type Words = BTreeMap<PeerId, u64>;

/// An operation on the store.
#[derive(Debug)]
pub(crate) enum Locate {
    /// What to ask a peer of these threads, which ascend.
    Whom(PeerId, Vec<Number>),
    /// What a peer does not know that claims a thread.
    Tell(PeerId, Claim, Words),
    /// Keep what was heard of those who share a thread; from a peer in the same network, or not.
    Keep(Number, Vec<Whereabouts>, bool),
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Located {
    /// And from which thread on there is more to ask.
    Whom(Vec<Question>, Option<Number>),
    /// `None` when the peer has no right to ask.
    Told(Option<Told>),
    /// Whether something of it was new.
    Kept(bool),
}

/// What a peer is asked of one thread.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) thread: Number,
    pub(crate) claim: Claim,
    pub(crate) known: Words,
}

/// What a peer is told.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) words: Vec<Whereabouts>,
    /// Whether it knows something that is not known here.
    pub(crate) knows_more: bool,
}

impl Machine {
    /// This node signed where it is: from now on it asks its peers where the others are, and they
    /// learn from that what there is to ask for.
    pub(super) fn moved(&mut self) {
        self.locating = true;
        self.locate_with_all(None);
    }

    fn locate_with_all(&mut self, but: Option<PeerId>) {
        let peers: Vec<_> = self.peers.keys().copied().collect();
        for peer in peers.into_iter().filter(|peer| Some(*peer) != but) {
            self.locate_soon(peer);
        }
    }

    /// Asks a peer where others are, once for all that happens meanwhile.
    pub(super) fn locate_soon(&mut self, peer: PeerId) {
        if self.locating {
            let at = self.now + LOCATE_AFTER_MS;
            self.timers.set(Timer::Locate(peer), at);
        }
    }

    pub(super) fn locate(&mut self, peer: PeerId) {
        let Some(known) = self.peers.get(&peer) else {
            return;
        };
        let threads = known.proven.range(known.locate_from..);
        let threads: Vec<_> = threads.copied().collect();
        let whom = Locate::Whom(peer, threads);
        self.op(Op::Locate(whom), Doing::Locate(peer));
    }

    /// The store is done.
    pub(super) fn located(&mut self, peer: PeerId, done: Result<Done>) {
        match done {
            Ok(Done::Located(Located::Whom(questions, more))) => {
                if let Some(known) = self.peers.get_mut(&peer) {
                    known.locate_from = more.unwrap_or(0);
                }
                if more.is_some() {
                    self.locate_soon(peer);
                }
                for question in questions {
                    let Question {
                        thread,
                        claim,
                        known,
                    } = question;
                    // It may have left meanwhile, and come again without showing the key.
                    let shown = self.peers.get(&peer);
                    if shown.is_some_and(|shown| shown.proven.contains(&thread)) {
                        let ask = Ask::Where(claim, known.clone().into_iter().collect());
                        self.call(peer, &ask, Call::Where(thread, peer, known));
                    }
                }
            }
            // The others may want to know it.
            Ok(Done::Located(Located::Kept(true))) => self.locate_with_all(Some(peer)),
            Ok(_) => {}
            Err(error) => self.fault(peer, super::conduct::cost(&error)),
        }
    }

    /// A peer said where others are.
    pub(super) fn heard_where(
        &mut self,
        (thread, peer): (Number, PeerId),
        asked: &Words,
        answer: Result<Answer>,
    ) {
        let Ok(Answer::Where(words)) = answer else {
            let again = self.now + LOCATE_AGAIN_MS;
            return self.timers.set(Timer::Locate(peer), again);
        };
        let news = |word: &Whereabouts| {
            let known = asked.get(&word.peer());
            known.is_some_and(|known| word.seq() > *known)
        };
        if !words.iter().all(news) {
            return self.fault(peer, MALFORMED);
        }
        if words.is_empty() {
            return;
        }
        if words.len() == super::wire::WORDS_MAX {
            // There may be more.
            self.locate_soon(peer);
        }
        let near = self.peers.get(&peer).is_some_and(|known| known.near);
        let keep = Locate::Keep(thread, words, near);
        self.op(Op::Locate(keep), Doing::Locate(peer));
    }

    /// Tells a peer where others are.
    pub(super) fn tell_where(&mut self, from: PeerId, request: RequestId, told: Told) {
        self.reply(request, &Answer::Where(told.words));
        if told.knows_more {
            self.locate_soon(from);
        }
    }
}
