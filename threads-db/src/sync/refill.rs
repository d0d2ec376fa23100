//! What came emptied for a reason that nobody here knows: other peers are asked for it, until somebody gives it
//! whole, or the purge is here that explains it.
//!
//! Such a record stands in its log and is acknowledged, so that nobody would send it again by itself. The purge
//! that explains it may be far behind it in the same log; so nothing waits for this, and it is asked for apart.

use std::collections::BTreeMap;

use threads_core::datastore::{Datastore, ReadTxn};
use threads_core::rand_core::CryptoRng;
use threads_core::{PeerId, Result};

use super::conduct::cost;
use super::io::{Done, Op, Which};
use super::limits::{READ_RECORDS_MAX, REFILL_AFTER_MS, REFILL_RANGES_MAX};
use super::machine::{Call, Doing, Machine};
use super::pause::Pause;
use super::shares;
use super::store::replica_key;
use super::timers::Timer;
use super::wire::{Answer, Ask, Claim, Range};
use crate::base;
use crate::compact;
use crate::layout::Number;
use crate::node::Node;
use crate::purge;

/// What a peer is to be asked for that came emptied.
#[derive(Debug)]
pub(crate) enum Lacking {
    /// Nothing that is shared with it came so.
    Nothing,
    /// Something did, of which it has not said that it has it.
    Elsewhere,
    Ask(Number, Claim, Vec<Range>),
}

/// Which peers are being asked, and when those may be asked again that gave nothing.
#[derive(Debug, Default)]
pub(super) struct Refilling(BTreeMap<PeerId, Turn>);

#[derive(Debug, Default)]
struct Turn {
    asked: bool,
    pause: Pause,
}

impl Refilling {
    /// A peer is gone.
    pub(super) fn forget(&mut self, peer: &PeerId) {
        self.0.remove(peer);
    }
}

/// Whether a thread lacks what peers do not send by themselves: what came emptied, or is older than what it begins
/// with here and needed by what came later.
pub(super) fn lacks(txn: &dyn ReadTxn, thread: Number) -> Result<bool> {
    Ok(purge::any_stripped(txn, thread)? || base::is_wanting(txn, thread)?)
}

impl Machine {
    /// Has the peers that share a thread give whole what came emptied.
    pub(super) fn refill(&mut self, thread: Number) {
        for peer in self.sharing(thread) {
            self.refill_from(peer);
        }
    }

    fn sharing(&self, thread: Number) -> Vec<PeerId> {
        let peers = self.peers.iter();
        let sharing = peers.filter(|(_, known)| known.proven.contains(&thread));
        sharing.map(|(peer, _)| *peer).collect()
    }

    /// Has one do so: soon, or when it may be asked again.
    pub(super) fn refill_from(&mut self, peer: PeerId) {
        let turn = self.refilling.0.get(&peer);
        let until = turn.and_then(|turn| turn.pause.until(self.now));
        let at = until.unwrap_or(self.now + REFILL_AFTER_MS);
        self.timers.set(Timer::Refill(peer), at);
    }

    /// It is time to ask a peer for what came emptied, if there is such.
    pub(super) fn ask_to_refill(&mut self, peer: PeerId, rng: &mut dyn CryptoRng) {
        if !self.peers.contains_key(&peer) {
            return;
        }
        let turn = self.refilling.0.entry(peer).or_default();
        // In their order, while that goes well.
        let chance = match turn.pause == Pause::default() {
            true => 0,
            false => rng.next_u64(),
        };
        if !std::mem::replace(&mut turn.asked, true) {
            self.op(Op::Lacking(peer, chance), Doing::Lacking(peer));
        }
    }

    pub(super) fn ask_for_whole(
        &mut self,
        peer: PeerId,
        done: Result<Done>,
        rng: &mut dyn CryptoRng,
    ) {
        match done {
            Ok(Done::Lacking(Lacking::Ask(thread, claim, ranges)))
                if self.has_proved(thread, &peer) =>
            {
                let ask = Ask::Pull(claim, ranges);
                self.call(peer, &ask, Call::Refill(thread, peer));
            }
            Ok(Done::Lacking(Lacking::Nothing)) => self.refilling.forget(&peer),
            _ => self.gave_nothing(peer, rng),
        }
    }

    /// A peer gave records whole, or did not: it may have them not, or emptied too.
    pub(super) fn refilled(
        &mut self,
        (thread, peer): (Number, PeerId),
        answer: Result<Answer>,
        rng: &mut dyn CryptoRng,
    ) {
        match answer {
            Ok(Answer::Page(parcels, ..)) if !parcels.is_empty() => {
                let doing = Doing::Refilled(thread, peer);
                self.op(Op::TakeIn(thread, parcels), doing);
            }
            _ => self.gave_nothing(peer, rng),
        }
    }

    /// What a peer gave was taken in. It is asked for more while that fills something.
    pub(super) fn refill_stored(
        &mut self,
        (thread, peer): (Number, PeerId),
        done: Result<Done>,
        rng: &mut dyn CryptoRng,
    ) {
        let Ok(Done::TakenIn(taken)) = done else {
            return self.gave_nothing(peer, rng);
        };
        if let Some(refused) = &taken.refused {
            self.fault(peer, cost(refused));
        }
        self.wait_for_held(thread, taken.due_in_ms);
        self.came_in(thread, peer, &taken);
        if taken.filled == 0 {
            return self.gave_nothing(peer, rng);
        }
        self.refilling.forget(&peer);
        self.timers.set(Timer::Refill(peer), self.now);
        // Nobody is told of it by a number; those who wait for a receipt ask for it when they compare.
        for sharer in self.sharing(thread) {
            let which = Which::Only(thread);
            self.op(Op::Shared(sharer, which), Doing::Greet(sharer, which));
        }
    }

    fn gave_nothing(&mut self, peer: PeerId, rng: &mut dyn CryptoRng) {
        if !self.peers.contains_key(&peer) {
            return self.refilling.forget(&peer);
        }
        let turn = self.refilling.0.entry(peer).or_default();
        turn.asked = false;
        turn.pause.fail(self.now, rng);
        self.refill_from(peer);
    }
}

impl Node {
    /// The newest of the older records of each log that something here waits for, as far as a peer said to have them.
    fn older(&self, txn: &dyn ReadTxn, thread: Number, peer: &PeerId) -> Result<Vec<Range>> {
        let db = self.db(thread)?;
        let mut ranges = Vec::new();
        for (log, (first, to)) in compact::wanted(txn, db.thread())? {
            let said = shares::acked_of(txn, thread, peer, &log)?.unwrap_or(0);
            let to = to.min(said);
            if first <= to {
                let from = first.max((to + 1).saturating_sub(READ_RECORDS_MAX as u64));
                ranges.push(Range { log, from, to });
            }
        }
        Ok(ranges)
    }

    /// What a peer is to be asked for: records that came emptied, from a thread and record by chance on, so that
    /// those that nobody has whole are in nobody's way.
    pub(super) fn lacking(&self, peer: &PeerId, chance: u64) -> Result<Lacking> {
        let txn = self.inner.store.read()?;
        let mut threads = shares::of_peer(&*txn, peer)?;
        let first = chance % threads.len().max(1) as u64;
        threads.rotate_left(first as usize);
        let mut lacking = Lacking::Nothing;
        for thread in threads {
            if !lacks(&*txn, thread)? {
                continue;
            }
            lacking = Lacking::Elsewhere;
            let (id, replica) = replica_key(&*txn, thread)?;
            let mut ranges = Vec::new();
            for (log, mut seqs) in purge::stripped(&*txn, (thread, &id))? {
                let said = shares::acked_of(&*txn, thread, peer, &log)?.unwrap_or(0);
                seqs.retain(|seq| *seq <= said);
                // Other bits than those that chose the thread.
                let chance = chance.rotate_left(32) as usize;
                let Some(from) = seqs.get(chance % seqs.len().max(1)).copied() else {
                    continue;
                };
                let end = from.saturating_add(READ_RECORDS_MAX as u64);
                let last = seqs.into_iter().rfind(|seq| *seq < end);
                let to = last.unwrap_or(from);
                ranges.push(Range { log, from, to });
            }
            ranges.extend(self.older(&*txn, thread, peer)?);
            if !ranges.is_empty() {
                let first = chance.rotate_left(16) as usize % ranges.len();
                ranges.rotate_left(first);
                ranges.truncate(REFILL_RANGES_MAX);
                let claim = Claim::new(&replica, &self.peer_id(), peer);
                return Ok(Lacking::Ask(thread, claim, ranges));
            }
        }
        Ok(lacking)
    }
}
