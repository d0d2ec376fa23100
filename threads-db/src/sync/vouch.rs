//! What peers sign for: when they are asked to, and to show that they still have it.
//!
//! A number that a peer says is enough to know what to send it. A receipt is worth more: it can be shown
//! to others, and counts for those who wait until others have what they wrote. So each node collects
//! receipts for the log that it writes, one for many records, and asks each peer now and then for a
//! record by chance.

use std::collections::{BTreeMap, BTreeSet};

use threads_core::rand_core::CryptoRng;
use threads_core::{LogId, PeerId, Receipt, Result};

use super::io::{Done, Op};
use super::limits::{
    AWAITED_MAX, AWAITED_MS_MAX, CHECK_EVERY_MS, MISSES_MAX, RECEIPT_AFTER_MS, RECEIPT_AGAIN_MS,
    RECEIPTS_ASKED_MAX,
};
use super::machine::{Call, Doing, Machine};
use super::timers::Timer;
use super::wire::{Answer, Ask, Claim, Parcel, Range};
use crate::layout::Number;

/// An operation on the store.
#[derive(Debug)]
pub(crate) enum Vouch {
    /// What a peer acknowledged of this node's log and has not signed for.
    Unsigned(Number, PeerId),
    /// Of which of these threads there is such.
    Behind(PeerId, Vec<Number>),
    /// Sign for these places, as far as there are records.
    Sign(PeerId, Claim, Vec<(LogId, u64)>),
    /// Keep what a peer signed.
    Keep(Number, PeerId, Vec<Receipt>),
    /// Choose something that a peer signed for, by this random number.
    Pick(PeerId, u64),
    /// Note what a peer showed; `None` when it did not answer.
    Examine(PeerId, Pick, Option<Vec<Parcel>>),
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Vouched {
    Unsigned(Option<(Claim, Vec<(LogId, u64)>)>),
    Behind(Vec<Number>),
    /// `None` when the peer has no right to ask.
    Signed(Option<Vec<Receipt>>),
    Picked(Option<Pick>),
    /// Whether it was what it had to be.
    Examined(bool),
}

/// A record that a peer is to show.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pick {
    pub(crate) thread: Number,
    pub(crate) claim: Claim,
    pub(crate) log: LogId,
    pub(crate) seq: u64,
}

/// What is under way.
#[derive(Debug)]
pub(super) struct Vouching {
    /// Who is being asked to sign.
    asked: BTreeSet<(PeerId, Number)>,
    /// Until when somebody waits for receipts of a thread.
    awaited: BTreeMap<Number, u64>,
    /// How often in a row a peer did not answer when it was to show something.
    misses: BTreeMap<(PeerId, Number), u32>,
    check_every_ms: Option<u64>,
}

impl Default for Vouching {
    fn default() -> Self {
        Self {
            asked: BTreeSet::new(),
            awaited: BTreeMap::new(),
            misses: BTreeMap::new(),
            check_every_ms: Some(CHECK_EVERY_MS),
        }
    }
}

impl Vouching {
    /// A peer is gone.
    pub(super) fn forget(&mut self, peer: &PeerId) {
        self.misses.retain(|(missed, _), _| missed != peer);
    }

    fn asked_of(&self, peer: &PeerId) -> usize {
        self.asked.range((*peer, 0)..=(*peer, Number::MAX)).count()
    }
}

impl Machine {
    /// How often each connected peer is asked to show a record that it signed for, on average, in
    /// milliseconds; every five minutes, if nothing is said; `None` is never.
    ///
    /// ```
    /// use threads_core::PeerId;
    /// use threads_db::sync::Machine;
    /// Machine::new(PeerId::from_key_bytes([1; 32])).check_every(Some(60_000));
    /// ```
    pub fn check_every(&mut self, ms: Option<u64>) {
        self.vouching.check_every_ms = ms;
    }

    /// A peer acknowledged something: it is asked to sign for it, soon.
    pub(super) fn acknowledged(&mut self, thread: Number, peer: PeerId) {
        let reads_only = |active: &super::active::Active| active.loaded && active.own.is_empty();
        if self.active.get(&thread).is_some_and(reads_only) {
            return;
        }
        let until = self.vouching.awaited.get(&thread).copied().unwrap_or(0);
        let wait = if until > self.now {
            0
        } else {
            RECEIPT_AFTER_MS
        };
        self.timers
            .set(Timer::Receipt(thread, peer), self.now + wait);
    }

    /// Somebody waits until peers have signed for a thread.
    pub(super) fn awaited(&mut self, thread: Number, wait_ms: u64) {
        let (now, awaited) = (self.now, &mut self.vouching.awaited);
        awaited.retain(|_, until| *until > now);
        if awaited.len() < AWAITED_MAX {
            let until = awaited.entry(thread).or_insert(0);
            *until = (*until).max(now.saturating_add(wait_ms.min(AWAITED_MS_MAX)));
        }
        for (peer, known) in &self.peers {
            if known.proven.contains(&thread) {
                self.timers.set(Timer::Receipt(thread, *peer), now);
            }
        }
    }

    /// Whether a connected peer has shown the thread's key: nobody else is told of its logs.
    pub(super) fn has_proved(&self, thread: Number, peer: &PeerId) -> bool {
        let known = self.peers.get(peer);
        known.is_some_and(|known| known.proven.contains(&thread))
    }

    /// Asks a peer to sign, if there is something to sign.
    pub(super) fn ask_to_sign(&mut self, thread: Number, peer: PeerId) {
        if !self.has_proved(thread, &peer) {
            return;
        }
        let full = self.vouching.asked_of(&peer) >= RECEIPTS_ASKED_MAX;
        if full || !self.vouching.asked.insert((peer, thread)) {
            let again = self.now + RECEIPT_AGAIN_MS;
            return self.timers.set(Timer::Receipt(thread, peer), again);
        }
        let doing = Doing::Unsigned(thread, peer);
        self.op(Op::Vouch(Vouch::Unsigned(thread, peer)), doing);
    }

    pub(super) fn have_signed(&mut self, thread: Number, peer: PeerId, done: Result<Done>) {
        match done {
            Ok(Done::Vouched(Vouched::Unsigned(Some((claim, places)))))
                if self.has_proved(thread, &peer) =>
            {
                self.call(peer, &Ask::Sign(claim, places), Call::Sign(thread, peer));
            }
            _ => _ = self.vouching.asked.remove(&(peer, thread)),
        }
    }

    /// A peer signed, or did not. It is asked again when it says again what it has.
    pub(super) fn signed(&mut self, thread: Number, peer: PeerId, answer: Result<Answer>) {
        self.vouching.asked.remove(&(peer, thread));
        match answer {
            Ok(Answer::Signed(receipts)) => {
                let keep = Vouch::Keep(thread, peer, receipts);
                self.op(Op::Vouch(keep), Doing::Keep(peer));
                self.may_have_erased(thread, peer);
            }
            Ok(Answer::Busy(ms)) => {
                let again = self.now + ms.clamp(RECEIPT_AGAIN_MS, RECEIPT_AFTER_MS);
                self.timers.set(Timer::Receipt(thread, peer), again);
            }
            _ => {}
        }
    }

    /// Plans when a peer is to show something: at a time that it cannot know.
    pub(super) fn check_later(&mut self, peer: PeerId, rng: &mut dyn CryptoRng) {
        if let Some(every) = self.vouching.check_every_ms {
            let wait = every / 2 + rng.next_u64() % every.max(1);
            self.timers.set(Timer::Check(peer), self.now + wait);
        }
    }

    /// Has a peer show something that it signed for.
    pub(super) fn check(&mut self, peer: PeerId, rng: &mut dyn CryptoRng) {
        if self.peers.contains_key(&peer) && self.vouching.check_every_ms.is_some() {
            let pick = Vouch::Pick(peer, rng.next_u64());
            self.op(Op::Vouch(pick), Doing::Pick(peer));
            self.check_later(peer, rng);
        }
    }

    pub(super) fn have_shown(&mut self, peer: PeerId, pick: Pick) {
        if self.has_proved(pick.thread, &peer) {
            let range = Range {
                log: pick.log,
                from: pick.seq,
                to: pick.seq,
            };
            let ask = Ask::Pull(pick.claim, vec![range]);
            self.call(peer, &ask, Call::Check(peer, pick));
        }
    }

    /// A peer showed something, or did not.
    pub(super) fn shown(&mut self, peer: PeerId, pick: Pick, answer: Result<Answer>) {
        let missed = (peer, pick.thread);
        let parcels = match answer {
            Ok(Answer::Page(parcels, ..)) => {
                self.vouching.misses.remove(&missed);
                Some(parcels)
            }
            // It has dropped it, and says so: what it signed for counts for nothing, and that is no fault.
            Ok(Answer::Short(..)) => {
                self.vouching.misses.remove(&missed);
                let examine = Vouch::Examine(peer, pick, Some(Vec::new()));
                return self.op(Op::Vouch(examine), Doing::Note);
            }
            // Who is gone did not refuse, and who is busy says so.
            Ok(Answer::Busy(_)) => return,
            _ if !self.peers.contains_key(&peer) => return,
            _ => {
                let misses = self.vouching.misses.entry(missed).or_insert(0);
                *misses += 1;
                if *misses < MISSES_MAX {
                    return;
                }
                None
            }
        };
        let examine = Vouch::Examine(peer, pick, parcels);
        self.op(Op::Vouch(examine), Doing::Examine(peer));
    }
}
