//! What gossip asks of the store: topics, what to announce, and what an announcement means here.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use threads_core::books::HeadBook;
use threads_core::datastore::{Datastore, Keyspace, ReadTxn, WriteTxn};
use threads_core::{Announcement, Error, LogId, PeerId, Result, Topic, block};

use super::io::Done;
use super::limits::{ANNOUNCED_MS_MAX, OPENINGS_MAX};
use super::shares;
use super::store::replica_key;
use crate::access;
use crate::layout::{Number, peers};
use crate::node::{self, Node};
use crate::thread::OwnLog;

/// An operation on the store.
#[derive(Debug)]
pub(crate) enum Gossip {
    /// The topics of the threads that are shared: of one thread, or of all.
    Topics(Option<Number>),
    /// What to announce of a thread, unless all who share it are among these peers or said that they have it.
    Announce(Number, BTreeSet<PeerId>),
    /// What a peer announces, if it is of one of these threads.
    Overhear(PeerId, Vec<Number>, Vec<u8>),
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Gossiped {
    Topics(Vec<(Number, Topic)>),
    Announced(Option<(Topic, Vec<u8>)>),
    Overheard(Overheard),
}

/// What somebody announced, as this node sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Overheard {
    /// It is of none of the threads that are shared here.
    Closed,
    /// It is of one of them, and who published it did not sign it.
    Forged,
    Head {
        thread: Number,
        log: LogId,
        seq: u64,
        /// Whether this node lacks it, and has room for it.
        lacks: bool,
        /// Whether who announced it is known to share the thread.
        shares: bool,
    },
}

/// News that a peer announced, and that is not here: that there is something, from nobody but itself.
///
/// ```
/// fn tell(news: &threads_db::sync::Announced) -> String {
///     format!("there is record {} of log {}, and it is not here yet", news.seq, news.log)
/// }
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announced {
    /// The log.
    pub log: LogId,
    /// How many records it has.
    pub seq: u64,
    /// When that was heard, in milliseconds since 1970.
    pub at_ms: u64,
}

/// What a peer announced last, if that is not long ago.
pub(super) fn latest(
    txn: &dyn ReadTxn,
    thread: Number,
    peer: &PeerId,
    now_ms: u64,
) -> Result<Option<Announced>> {
    let row = txn.get(Keyspace::Peers, &peers::announced(thread, peer))?;
    let damaged =
        |cause| Error::corrupt("a row about a peer is damaged: verify the thread").caused_by(cause);
    let announced = row.map(|row| block::decode::<Announced>(&row).map_err(damaged));
    let fresh = |news: &Announced| now_ms.abs_diff(news.at_ms) < ANNOUNCED_MS_MAX;
    Ok(announced.transpose()?.filter(fresh))
}

fn note(txn: &mut dyn WriteTxn, thread: Number, peer: &PeerId, news: &Announced) -> Result<()> {
    let key = peers::announced(thread, peer);
    txn.put(Keyspace::Peers, &key, &block::encode(news)?)
}

impl Node {
    pub(super) fn gossip(&self, what: Gossip) -> Result<Done> {
        Ok(Done::Gossiped(match what {
            Gossip::Topics(asked) => Gossiped::Topics(self.topics(asked)?),
            Gossip::Announce(thread, reached) => {
                Gossiped::Announced(self.announce(thread, &reached)?)
            }
            Gossip::Overhear(from, threads, frame) => {
                Gossiped::Overheard(self.overhear(&from, &threads, &frame)?)
            }
        }))
    }

    pub(super) fn sharers(&self, thread: Number) -> Result<Vec<PeerId>> {
        shares::of_thread(&*self.inner.store.read()?, thread)
    }

    /// Those of some peers who may not have a thread, by its rules.
    pub(super) fn barred(&self, thread: Number, peers: Vec<PeerId>) -> Result<Vec<PeerId>> {
        let txn = self.inner.store.read()?;
        let id = node::thread_id(&*txn, thread)?;
        let mut barred = Vec::new();
        for peer in peers {
            if !access::may_share(&*self.inner.policy, &*txn, &id, &peer)? {
                barred.push(peer);
            }
        }
        Ok(barred)
    }

    fn topics(&self, asked: Option<Number>) -> Result<Vec<(Number, Topic)>> {
        let txn = self.inner.store.read()?;
        let shared = match asked {
            None => shares::threads(&*txn)?,
            Some(thread) => {
                let shared = !shares::of_thread(&*txn, thread)?.is_empty();
                shared.then_some(thread).into_iter().collect()
            }
        };
        let topic = |thread| Ok((thread, replica_key(&*txn, thread)?.1.topic()));
        shared.into_iter().map(topic).collect()
    }

    /// The head of this node's log, on its disk, for those who are not reached.
    fn announce(
        &self,
        thread: Number,
        reached: &BTreeSet<PeerId>,
    ) -> Result<Option<(Topic, Vec<u8>)>> {
        let mut away = self.sharers(thread)?;
        away.retain(|peer| !reached.contains(peer));
        if away.is_empty() {
            return Ok(None);
        }
        let txn = self.snapshot_on_disk()?;
        let Some(own) = OwnLog::get(&*txn, thread)? else {
            return Ok(None);
        };
        let (id, replica) = replica_key(&*txn, thread)?;
        let Some(head) = HeadBook::new(&*txn).get(&id, &own.log)? else {
            return Ok(None);
        };
        let has =
            |peer: &PeerId| Ok(shares::acked_of(&*txn, thread, peer, &own.log)? >= Some(head.seq));
        let have = away.iter().map(has).collect::<Result<Vec<bool>>>()?;
        if have.iter().all(|has| *has) {
            return Ok(None);
        }
        let identity = &self.inner.identity;
        let announced = Announcement::sign(identity, &id, own.log, head.seq, &head.record)?;
        Ok(Some((replica.topic(), announced.seal(&replica)?)))
    }

    fn overhear(&self, from: &PeerId, threads: &[Number], frame: &[u8]) -> Result<Overheard> {
        let at_ms = self.inner.clock.now_ms();
        let (news, tell) = {
            let txn = self.inner.store.read()?;
            let opened = threads.iter().take(OPENINGS_MAX).find_map(|thread| {
                // A thread that cannot be read now is one that this is not of.
                let (id, replica) = replica_key(&*txn, *thread).ok()?;
                let opened = Announcement::open(&replica, frame).ok()?;
                Some((*thread, id, opened))
            });
            let Some((thread, id, announced)) = opened else {
                return Ok(Overheard::Closed);
            };
            if announced.verify(from, &id).is_err() {
                return Ok(Overheard::Forged);
            }
            let (log, seq) = (announced.log(), announced.seq());
            let here = HeadBook::new(&*txn).get(&id, &log)?;
            let behind = here.is_none_or(|here| here.seq < seq);
            let shares = shares::has(&*txn, thread, from)?;
            let lacks = behind && !self.is_full_for(&*txn, &id)?;
            let known = latest(&*txn, thread, from, at_ms)?;
            let said_before = |known: Announced| known.log == log && known.seq >= seq;
            let tell = lacks && shares && !known.is_some_and(said_before);
            ((thread, log, seq, shares, lacks), tell)
        };
        let (thread, log, seq, shares, lacks) = news;
        if tell {
            let news = Announced { log, seq, at_ms };
            self.note([thread], |txn| note(txn, thread, from, &news))?;
        }
        Ok(Overheard::Head {
            thread,
            log,
            seq,
            lacks,
            shares,
        })
    }
}
