//! What the machine asks of the store about what peers sign for, carried out on a node.

use threads_core::books::HeadBook;
use threads_core::datastore::{Datastore, ReadTxn};
use threads_core::{ErrorKind, LogId, PeerId, Receipt, Result, ThreadId};

use super::io::Done;
use super::shares;
use super::standing::{self, FailedCheck};
use super::store::replica_key;
use super::taking::Taking;
use super::vouch::{Pick, Vouch, Vouched};
use super::wire::{Claim, Parcel};
use crate::base;
use crate::chain::{self, Blocks};
use crate::layout::{self, Number, Place, meta};
use crate::node::{self, Node};
use crate::purge;
use crate::thread::OwnLog;

/// Among how many threads of a peer one is looked for that it signed for.
const PICK_THREADS_MAX: usize = 64;

impl Node {
    pub(super) fn vouch(&self, what: Vouch) -> Result<Done> {
        let vouched = match what {
            Vouch::Unsigned(thread, peer) => {
                let txn = self.inner.store.read()?;
                Vouched::Unsigned(match unsigned(&*txn, thread, &peer)? {
                    Some(place) => Some((self.claim(&*txn, thread, &peer)?, vec![place])),
                    None => None,
                })
            }
            Vouch::Behind(peer, mut threads) => {
                let txn = self.inner.store.read()?;
                let mut failed = None;
                threads.retain(|thread| match unsigned(&*txn, *thread, &peer) {
                    Ok(place) => place.is_some(),
                    Err(error) => {
                        failed.get_or_insert(error);
                        false
                    }
                });
                failed.map_or(Ok(Vouched::Behind(threads)), Err)?
            }
            Vouch::Sign(peer, claim, places) => {
                // Who left may ask for a last receipt, and is not met as somebody new by that.
                let thread = self.resolve(&*self.inner.store.read()?, &peer, &claim)?;
                let sign = thread.map(|(thread, _)| self.sign_for(thread, &places));
                Vouched::Signed(sign.transpose()?)
            }
            Vouch::Keep(thread, peer, receipts) => {
                return self.keep_receipts(thread, &peer, &receipts);
            }
            Vouch::Pick(peer, chance) => Vouched::Picked(self.pick(&peer, chance)?),
            Vouch::Examine(peer, pick, parcels) => {
                Vouched::Examined(self.examine(&peer, &pick, parcels)?)
            }
        };
        Ok(Done::Vouched(vouched))
    }

    fn claim(&self, txn: &dyn ReadTxn, thread: Number, peer: &PeerId) -> Result<Claim> {
        let (_, replica) = replica_key(txn, thread)?;
        Ok(Claim::new(&replica, &self.peer_id(), peer))
    }

    /// Signs for what is on disk here.
    fn sign_for(&self, thread: Number, places: &[(LogId, u64)]) -> Result<Vec<Receipt>> {
        let txn = self.snapshot_on_disk()?;
        let id = node::thread_id(&*txn, thread)?;
        let mut receipts = Vec::new();
        for (log, seq) in places {
            // Nobody signs for what came without what it said, for a reason that is not known.
            if base::is_short(&*txn, thread, log)? {
                // Nor for what is not here.
                continue;
            }
            let stripped = purge::first_stripped(&*txn, thread, log, *seq)?;
            let seq = stripped.map_or(*seq, |stripped| stripped - 1);
            if let Some(blocks) = blocks_at(&*txn, (thread, &id), log, seq)? {
                let head = blocks.record_id();
                receipts.push(Receipt::sign(&self.inner.identity, &id, *log, seq, head)?);
            }
        }
        Ok(receipts)
    }

    /// Keeps what a peer signed, if it is signed and for what is here.
    fn keep_receipts(&self, thread: Number, peer: &PeerId, receipts: &[Receipt]) -> Result<Done> {
        let id = {
            let txn = self.inner.store.read()?;
            node::thread_id(&*txn, thread)?
        };
        for receipt in receipts {
            receipt.verify(peer, &id)?;
        }
        self.note([thread], |txn| {
            if !shares::has(txn.as_read(), thread, peer)? {
                return Ok(());
            }
            for receipt in receipts {
                let (log, seq) = (receipt.log(), receipt.seq());
                let ours = blocks_at(txn.as_read(), (thread, &id), &log, seq)?;
                // A receipt for another record than the one that is here is one for a fork.
                if ours.is_some_and(|ours| ours.record_id() == receipt.head()) {
                    standing::keep(txn, thread, peer, receipt)?;
                }
            }
            Ok(())
        })
    }

    /// A record that a peer signed for, of a thread that it shares; first of all one that it could not
    /// show before.
    fn pick(&self, peer: &PeerId, chance: u64) -> Result<Option<Pick>> {
        let txn = self.inner.store.read()?;
        let mut threads = shares::of_peer(&*txn, peer)?;
        let first = chance % threads.len().max(1) as u64;
        threads.rotate_left(first as usize);
        for thread in threads.into_iter().take(PICK_THREADS_MAX) {
            let receipts = standing::receipts(&*txn, thread, peer)?;
            let Some(receipt) = receipts.get(chance as usize % receipts.len().max(1)) else {
                continue;
            };
            let failed = standing::checked(&*txn, thread, peer)?.failed;
            let (log, seq) = match failed {
                Some(failed) => (failed.log, failed.seq),
                // Other bits of it than those that chose the thread and the log.
                None => (receipt.log(), 1 + chance.rotate_left(32) % receipt.seq()),
            };
            let claim = self.claim(&*txn, thread, peer)?;
            return Ok(Some(Pick {
                thread,
                claim,
                log,
                seq,
            }));
        }
        Ok(None)
    }

    /// Takes in what a peer showed of records that are emptied here.
    fn fill(&self, thread: Number, shown: Vec<Parcel>) -> Result<()> {
        let blocks: Vec<_> = shown.into_iter().map(Blocks::from).collect();
        Taking::default().take(&self.db(thread)?, &blocks)
    }

    /// Whether what a peer showed is the record that is here. One that is emptied here is filled if it is to be.
    pub(crate) fn compare_shown(
        &self,
        thread: Number,
        ours: &Blocks,
        shown: Vec<Parcel>,
    ) -> Result<bool> {
        let db = self.db(thread)?;
        let mut passed = false;
        for shown in shown.iter().cloned().map(Blocks::from) {
            let txn = self.inner.store.read()?;
            // What is malformed shows nothing.
            passed |= match purge::is_shown(&*txn, db.thread(), &shown, ours) {
                Err(error) if error.kind() == ErrorKind::Rejected => false,
                is => is?,
            };
        }
        if passed && ours.is_emptied() {
            // Those who could not read it may have purged it, though it says something of what lives.
            self.fill(thread, shown)?;
        }
        Ok(passed)
    }

    /// Whether a peer showed the record that is here; notes it.
    fn examine(&self, peer: &PeerId, pick: &Pick, shown: Option<Vec<Parcel>>) -> Result<bool> {
        let now_ms = self.inner.clock.now_ms();
        let ours = {
            let txn = self.inner.store.read()?;
            let id = node::thread_id(&*txn, pick.thread)?;
            blocks_at(&*txn, (pick.thread, &id), &pick.log, pick.seq)?
        };
        let Some(ours) = ours else {
            // What is not here cannot be compared.
            return Ok(true);
        };
        let db = self.db(pick.thread)?;
        let txn = self.inner.store.read()?;
        let first = shown.iter().flatten().next().cloned().map(Blocks::from);
        let early = first.is_some_and(|first| purge::is_ahead(&*txn, db.thread(), &first, &ours));
        drop(txn);
        // Who has purged it for a reason that has not come here yet has answered nothing that could be compared.
        let answered = shown.is_some() && !early;
        let passed = self.compare_shown(pick.thread, &ours, shown.unwrap_or_default())?;
        let (thread, log, seq) = (pick.thread, pick.log, pick.seq);
        self.note([thread], |txn| {
            if !shares::has(txn.as_read(), thread, peer)? {
                return Ok(());
            }
            if passed {
                return standing::note_shown(txn, thread, peer, (log, seq, now_ms));
            }
            let failed = FailedCheck {
                log,
                seq,
                at_ms: now_ms,
                answered,
            };
            standing::note_failed(txn, thread, peer, failed)
        })?;
        Ok(passed)
    }
}

/// How far a peer acknowledged this node's log, if it has signed for less.
fn unsigned(txn: &dyn ReadTxn, thread: Number, peer: &PeerId) -> Result<Option<(LogId, u64)>> {
    let Some(own) = OwnLog::get(txn, thread)? else {
        return Ok(None);
    };
    if !shares::has(txn, thread, peer)? {
        return Ok(None);
    }
    let id = node::thread_id(txn, thread)?;
    let have = HeadBook::new(txn).get(&id, &own.log)?;
    let said = shares::acked_of(txn, thread, peer, &own.log)?.unwrap_or(0);
    let seq = have.map_or(0, |head| head.seq).min(said);
    let signed = standing::latest(txn, thread, peer, &own.log)?;
    let behind = seq > signed.map_or(0, |receipt| receipt.seq());
    Ok(behind.then_some((own.log, seq)))
}

/// The blocks of a record that stands in its log here.
fn blocks_at(
    txn: &dyn ReadTxn,
    (thread, id): (Number, &ThreadId),
    log: &LogId,
    seq: u64,
) -> Result<Option<Blocks>> {
    let head = HeadBook::new(txn).get(id, log)?;
    if head.is_none_or(|head| head.seq < seq) {
        return Ok(None);
    }
    let key = meta::log_by_id(thread, log);
    let Some(log) = layout::number(txn, &key)? else {
        return Ok(None);
    };
    chain::get(txn, Place { thread, log, seq })
}
