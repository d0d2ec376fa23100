//! Who was removed is told so, once, by the record of it: otherwise its program would see silence only.
//!
//! It is sent what anybody with its keys could have been sent before, and nothing else of the thread.

use threads_core::datastore::{DatastoreExt, Direction, Durability, Keyspace, ReadTxn, WriteTxn};
use threads_core::{Error, PeerId, Result};

use crate::chain;
use crate::layout::{Number, Prefix, peers};
use crate::node::Node;
use crate::sync::{Claim, PAGE_BYTES_MAX, Parcel};

/// Of how many threads a peer is told at a time.
const FAREWELLS_MAX: usize = 64;

/// That a peer was removed from a thread, as it is sent.
#[derive(Debug)]
pub(crate) struct Farewell {
    pub(crate) thread: Number,
    pub(crate) claim: Claim,
    pub(crate) parcel: Parcel,
}

/// Notes that a peer, which has shown the thread's key, is to be told that it was removed.
pub(crate) fn owe(txn: &mut dyn WriteTxn, thread: Number, peer: &PeerId) -> Result<()> {
    txn.put(Keyspace::Peers, &peers::farewell(peer, thread), &[])
}

/// It was told, or has a part again.
pub(crate) fn settle(txn: &mut dyn WriteTxn, thread: Number, peer: &PeerId) -> Result<()> {
    txn.delete(Keyspace::Peers, &peers::farewell(peer, thread))
}

/// The threads of which a peer is to be told that it was removed.
fn owed(txn: &dyn ReadTxn, peer: &PeerId) -> Result<Vec<Number>> {
    let bounds = Prefix::new(&peers::farewells(peer));
    let rows = txn.scan(Keyspace::Peers, bounds.range(), Direction::Forward)?;
    let damaged = || Error::corrupt("a row about a peer is damaged: verify the thread");
    let number = |key: &[u8]| key.last_chunk().copied().map(Number::from_be_bytes);
    rows.take(FAREWELLS_MAX)
        .map(|row| number(&row?.0).ok_or_else(damaged))
        .collect()
}

impl Node {
    /// What a peer is to be told of threads that it was removed from.
    pub(crate) fn farewells(&self, peer: &PeerId) -> Result<Vec<Farewell>> {
        let owed = owed(&*self.inner.store.read()?, peer)?;
        let mut farewells = Vec::new();
        for thread in owed {
            let farewell = match self.db(thread) {
                Ok(db) => self.farewell(&db, peer)?,
                Err(_) => None,
            };
            match farewell {
                Some(farewell) => farewells.push(farewell),
                // Nothing is owed after all: it makes room for others.
                None => {
                    let forget = |txn: &mut dyn WriteTxn| settle(txn, thread, peer);
                    self.inner.store.transact(Durability::Relaxed, forget)?;
                }
            }
        }
        Ok(farewells)
    }

    fn farewell(&self, db: &crate::db::Db, peer: &PeerId) -> Result<Option<Farewell>> {
        let thread = db.thread();
        let txn = self.snapshot_on_disk()?;
        let Some(record) = self.inner.policy.removal(&thread.id, peer, &*txn)? else {
            return Ok(None);
        };
        let Some(place) = chain::locate(&*txn, thread.number, &record)? else {
            return Ok(None);
        };
        let blocks = chain::expect(&*txn, place)?;
        let bytes = blocks.record.len() + blocks.event.len() + blocks.body.len();
        // Who left knows it; and what fills more than a frame has to be heard of from people.
        if thread.author(&*txn, place.log)? == Some(*peer) || bytes > PAGE_BYTES_MAX {
            return Ok(None);
        }
        Ok(Some(Farewell {
            thread: thread.number,
            claim: Claim::new(&thread.replica, &self.peer_id(), peer),
            parcel: blocks.into(),
        }))
    }
}
