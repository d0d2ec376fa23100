//! What peers say that they erased: asked for by who stated a purge, signed, and kept as a claim.

use std::collections::BTreeSet;

use threads_core::datastore::{Datastore, ReadTxn};
use threads_core::{Cid, Erasure, PeerId, Result};

use super::io::{Done, Op};
use super::machine::{Call, Doing, Machine};
use super::shares;
use super::standing;
use super::store::replica_key;
use super::wire::{Answer, Ask, Claim, PURGES_MAX};
use crate::layout::Number;
use crate::node::{self, Node};
use crate::purge;

/// An operation on the store.
#[derive(Debug)]
pub(crate) enum Erase {
    /// Of which purges of this node a peer has not said what it erased, and has heard.
    Unclaimed(Number, PeerId),
    /// Sign what was erased here by these.
    Sign(PeerId, Claim, Vec<Cid>),
    /// Keep what a peer signed.
    Keep(Number, PeerId, Vec<Erasure>),
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum ErasedBy {
    Unclaimed(Option<(Claim, Vec<Cid>)>),
    /// `None` when the peer has no right to ask.
    Signed(Option<Vec<Erasure>>),
}

impl Machine {
    /// A peer signed for what it has: it may have carried out purges with that.
    pub(super) fn may_have_erased(&mut self, thread: Number, peer: PeerId) {
        let doing = Doing::Unclaimed(thread, peer);
        self.op(Op::Erase(Erase::Unclaimed(thread, peer)), doing);
    }

    pub(super) fn ask_what_erased(&mut self, thread: Number, peer: PeerId, done: Result<Done>) {
        if let Ok(Done::Erased(ErasedBy::Unclaimed(Some((claim, purges))))) = done
            && self.has_proved(thread, &peer)
        {
            let ask = Ask::Erased(claim, purges);
            self.call(peer, &ask, Call::Erased(thread, peer));
        }
    }

    /// A peer said what it erased, or did not. It is asked again when it signs again.
    pub(super) fn erased(&mut self, thread: Number, peer: PeerId, answer: Result<Answer>) {
        if let Ok(Answer::Erased(erasures)) = answer {
            let keep = Erase::Keep(thread, peer, erasures);
            self.op(Op::Erase(keep), Doing::Keep(peer));
        }
    }
}

impl Node {
    pub(super) fn erase(&self, what: Erase) -> Result<Done> {
        let done = match what {
            Erase::Unclaimed(thread, peer) => {
                let purges = self.unclaimed(thread, &peer)?;
                let txn = self.inner.store.read()?;
                ErasedBy::Unclaimed(match purges.is_empty() {
                    true => None,
                    false => {
                        let (_, replica) = replica_key(&*txn, thread)?;
                        Some((Claim::new(&replica, &self.peer_id(), &peer), purges))
                    }
                })
            }
            Erase::Sign(peer, claim, purges) => {
                let thread = self.resolve(&*self.inner.store.read()?, &peer, &claim)?;
                let sign = thread.map(|(thread, _)| self.sign_erasures(thread, &purges));
                ErasedBy::Signed(sign.transpose()?)
            }
            Erase::Keep(thread, peer, erasures) => {
                return self.keep_erasures(thread, &peer, &erasures);
            }
        };
        Ok(Done::Erased(done))
    }

    /// The purges that this node stated and a peer has heard of, and has not said to have carried out as
    /// far as they go.
    fn unclaimed(&self, thread: Number, peer: &PeerId) -> Result<Vec<Cid>> {
        if !purge::any(&*self.inner.store.read()?, thread)? {
            return Ok(Vec::new());
        }
        let db = self.db(thread)?;
        let txn = self.inner.store.read()?;
        let mut purges = BTreeSet::new();
        for (record, place) in purge::stated_by(&*txn, db.thread(), &self.peer_id())? {
            let log = db.thread().log_id(&*txn, place.log)?;
            let said = shares::acked_of(&*txn, thread, peer, &log)?.unwrap_or(0);
            let claim = standing::erasure(&*txn, thread, peer, &record)?;
            let is_done = claim.is_some_and(|claim| claim.erased().absent == 0);
            if said >= place.seq && !is_done && purges.len() < PURGES_MAX {
                purges.insert(record);
            }
        }
        Ok(purges.into_iter().collect())
    }

    /// Signs what was erased here, on disk, by purges that count and are carried out.
    fn sign_erasures(&self, thread: Number, purges: &[Cid]) -> Result<Vec<Erasure>> {
        let db = self.db(thread)?;
        let txn = self.snapshot_on_disk()?;
        let mut erasures = Vec::new();
        for record in purges {
            if purge::is_carried_out(&*txn, thread, record)? {
                let erased = purge::tally(&*txn, db.thread(), record)?;
                let key = &self.inner.identity;
                erasures.push(Erasure::sign(key, db.id(), *record, erased)?);
            }
        }
        Ok(erasures)
    }

    /// Keeps what a peer signed, if it is signed and about a purge that is known here.
    fn keep_erasures(&self, thread: Number, peer: &PeerId, erasures: &[Erasure]) -> Result<Done> {
        let id = node::thread_id(&*self.inner.store.read()?, thread)?;
        for erasure in erasures {
            erasure.verify(peer, &id)?;
        }
        self.note([thread], |txn| {
            if !shares::has(txn.as_read(), thread, peer)? {
                return Ok(());
            }
            for erasure in erasures {
                if purge::is_known(txn.as_read(), thread, &erasure.purge())? {
                    standing::keep_erasure(txn, thread, peer, erasure)?;
                }
            }
            Ok(())
        })
    }
}

/// What the peers that share a thread say to have erased by a purge.
pub(crate) fn claims(
    txn: &dyn ReadTxn,
    thread: Number,
    purge: &Cid,
) -> Result<Vec<(PeerId, Erasure)>> {
    let mut claims = Vec::new();
    for peer in shares::of_thread(txn, thread)? {
        if let Some(claim) = standing::erasure(txn, thread, &peer, purge)? {
            claims.push((peer, claim));
        }
    }
    Ok(claims)
}
