//! Snapshots between peers: who keeps one tells of it, by the words of those who signed it, and a device that holds no
//! record yet may begin with it.
//!
//! A word is signed by a peer's identity, so it is the same from whoever hands it on. Nobody is told of snapshots of
//! which nobody here knows any. Their content is a blob, and is got as such.

use std::collections::{BTreeMap, BTreeSet};

use threads_core::{Error, ErrorKind, PeerId, Result};

use super::conduct::FORGED;
use super::io::{Done, Op, Which};
use super::limits::{ASK_APART_MS, BLOB_LOOK_AFTER_MS, SOUGHT_STEP_MS, TELL_AFTER_MS};
use super::machine::{Call, Doing, Machine};
use super::timers::Timer;
use super::wire::{Answer, Ask, Claim};
use crate::layout::Number;
use crate::snapshot::Word;

/// Of each signer the newest word whose content is there, by number.
pub(crate) type KnownWords = Vec<(PeerId, u64)>;

/// An operation on the store.
#[derive(Debug)]
pub(crate) enum Wording {
    /// What a peer is to be asked, and told by that; whether it knows of words that are not here.
    Greet(Number, PeerId, bool),
    /// What a peer asks for, who knows these.
    List(PeerId, Claim, KnownWords),
    /// Take in words that a peer told.
    Take(Number, PeerId, Vec<Word>),
    /// See how a snapshot stands that a thread is to begin with, as so many milliseconds went by with these peers.
    Seek(Number, u64, Vec<PeerId>),
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Worded {
    Greeting {
        /// `None` when there is nothing to be told, or asked.
        ask: Option<(Claim, KnownWords)>,
        /// Whether the thread is to begin with a snapshot.
        sought: bool,
    },
    /// `None` when the peer has no right to ask.
    Listed(Option<ListedWords>),
    Taken {
        /// Whether anything of it is new here.
        new: bool,
        /// Whether all of it was signed by whom it names.
        sound: bool,
    },
    Sought(Sought),
}

/// The words here that are later than those that a peer knows.
#[derive(Debug)]
pub(crate) struct ListedWords {
    pub(crate) thread: Number,
    pub(crate) words: Vec<Word>,
    /// Whether the peer knows of some that are wanted here.
    pub(crate) behind: bool,
}

/// How a snapshot stands that a thread is to begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sought {
    /// There is none to be sought.
    Nothing,
    /// It is to be looked at again.
    Waits,
    /// Its content is to be got.
    Fetch,
    /// The search has ended: by the snapshot, or without it.
    Ended,
}

/// What a connected peer was told of snapshots.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// What it was told last, and when.
    last: BTreeMap<Number, (KnownWords, u64)>,
    /// The threads of which it is to be asked even if there is nothing new to tell.
    owed: BTreeSet<Number>,
    /// Whether it knows no such question.
    is_deaf: bool,
}

impl Machine {
    /// A peer showed the key of a thread: it is told of snapshots, and may have one that is sought.
    pub(super) fn may_have_words(&mut self, thread: Number, peer: PeerId) {
        let soon = self.now + BLOB_LOOK_AFTER_MS;
        self.timers.set(Timer::Words(thread, peer), soon);
    }

    /// There is a snapshot to tell of.
    pub(super) fn have_words(&mut self, thread: Number) {
        for peer in self.proven_of(thread) {
            let at = self.now + TELL_AFTER_MS;
            self.timers.set(Timer::Words(thread, peer), at);
        }
    }

    /// It is time to tell a peer of snapshots, or to ask it.
    pub(super) fn greet_with_words(&mut self, thread: Number, peer: PeerId) {
        if self.has_proved(thread, &peer)
            && let Some(known) = self.peers.get_mut(&peer)
            && !known.told.is_deaf
        {
            let in_turn = known.told.owed.remove(&thread);
            let greet = Wording::Greet(thread, peer, in_turn);
            self.op(Op::Words(greet), Doing::Words(thread, peer));
        }
    }

    /// A peer asked for the words here, and said which it knows.
    pub(super) fn answer_words(&mut self, from: PeerId, listed: &ListedWords) {
        let thread = listed.thread;
        self.shares(from, thread);
        if listed.behind
            && let Some(known) = self.peers.get_mut(&from)
        {
            known.told.owed.insert(thread);
            let last = known.told.last.remove(&thread);
            let at = last.map_or(0, |(_, at)| at + ASK_APART_MS).max(self.now);
            self.timers.set(Timer::Words(thread, from), at);
        }
    }

    /// A peer told of snapshots. Old ones know no such question, and are not blamed, nor asked it again.
    pub(super) fn words_came(&mut self, thread: Number, peer: PeerId, answer: Result<Answer>) {
        match answer {
            Ok(Answer::Snapshots(words)) if words.is_empty() => {}
            Ok(Answer::Snapshots(words)) => {
                let take = Wording::Take(thread, peer, words);
                self.op(Op::Words(take), Doing::Words(thread, peer));
            }
            Ok(_) => self.ask_again(thread, peer),
            Err(_) => {
                let known = self.peers.get_mut(&peer);
                known
                    .into_iter()
                    .for_each(|known| known.told.is_deaf = true);
            }
        }
    }

    /// Asks a peer later what could not be done now.
    fn ask_again(&mut self, thread: Number, peer: PeerId) {
        if let Some(known) = self.peers.get_mut(&peer) {
            known.told.owed.insert(thread);
            known.told.last.remove(&thread);
            let again = self.now + ASK_APART_MS;
            self.timers.set(Timer::Words(thread, peer), again);
        }
    }

    /// Whether a peer is to be told this: it was not told the same before.
    fn is_news(&mut self, thread: Number, peer: &PeerId, known: &KnownWords) -> bool {
        let now = self.now;
        self.peers.get_mut(peer).is_some_and(|peer| {
            let last = peer.told.last.insert(thread, (known.clone(), now));
            last.is_none_or(|(last, _)| last != *known)
        })
    }

    /// It is time to see how a snapshot stands that a thread is to begin with.
    pub(super) fn see_to_sought(&mut self, thread: Number) {
        // Whoever comes is asked then.
        let peers = self.proven_of(thread);
        if !peers.is_empty() {
            let seek = Wording::Seek(thread, SOUGHT_STEP_MS, peers);
            self.op(Op::Words(seek), Doing::Sought(thread));
        }
    }

    /// Work for words was done.
    pub(super) fn words_done(&mut self, doing: Doing, done: Result<Done>) {
        let done = match done {
            Ok(Done::Words(done)) => done,
            Err(error) => return self.words_failed(doing, &error),
            Ok(_) => return,
        };
        match (doing, done) {
            (Doing::Words(thread, peer), Worded::Greeting { ask, sought })
                if self.has_proved(thread, &peer) =>
            {
                if let Some((claim, known)) = ask
                    && (self.is_news(thread, &peer, &known) || sought)
                {
                    let ask = Ask::Snapshots(claim, known);
                    self.call(peer, &ask, Call::Words(thread, peer));
                }
                if sought {
                    let soon = self.now + SOUGHT_STEP_MS;
                    self.timers.set(Timer::Sought(thread), soon);
                }
            }
            (Doing::Words(thread, peer), Worded::Taken { new, sound }) => {
                if !sound {
                    self.fault(peer, FORGED);
                }
                if new {
                    self.have_words(thread);
                }
            }
            (Doing::Sought(thread), Worded::Sought(sought)) => self.sought(thread, sought),
            _ => {}
        }
    }

    /// The disk is full, or fails.
    fn words_failed(&mut self, doing: Doing, error: &Error) {
        let passes = matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Full);
        match doing {
            Doing::Sought(thread) => {
                let again = self.now + SOUGHT_STEP_MS;
                self.timers.set(Timer::Sought(thread), again);
            }
            Doing::Words(thread, peer) if passes => self.ask_again(thread, peer),
            _ => {}
        }
    }

    fn sought(&mut self, thread: Number, sought: Sought) {
        match sought {
            Sought::Nothing => return,
            Sought::Waits => {}
            Sought::Fetch => self.look_for_blobs(thread),
            Sought::Ended => {
                // What is here is another thing now: it is compared anew, and the rest is pulled.
                self.activate(thread).reload();
                for peer in self.proven_of(thread) {
                    let which = Which::Only(thread);
                    self.op(Op::Shared(peer, which), Doing::Greet(peer, which));
                }
                return self.have_words(thread);
            }
        }
        let again = self.now + SOUGHT_STEP_MS;
        self.timers.set(Timer::Sought(thread), again);
    }
}

#[cfg(test)]
mod tests;
