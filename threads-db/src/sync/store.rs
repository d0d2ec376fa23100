//! What the machine asks of the store, carried out on a node.

use threads_core::books::{Head, HeadBook, KeyBook};
use threads_core::datastore::{Datastore, DatastoreExt, Durability, Keyspace, ReadTxn, WriteTxn};
use threads_core::{Error, LogId, PeerCard, PeerId, ReplicaKey, Result};

use super::io::{
    Compared, Done, Fresh, Heard, Loaded, News, Op, Room, Share, TakenIn, Which, Work, Worked,
};
use super::limits::COMPARED_MAX;
use super::ranges::LISTED_MAX;
use super::taking::Taking;
use super::wire::{
    Check, Claim, Digest, Frontier, Heads, Parcel, agreed, check_of, digest, numbers,
};
use super::{addresses, refill::lacks, shares};
use crate::access;
use crate::chain::Blocks;
use crate::layout::{self, Number, meta};
use crate::node::{self, Node};
use crate::thread::{OwnLog, books};
use crate::{Db, held, ingest, line, snapshot};

impl Node {
    /// Does work that the [machine](super::Machine) of this node asked for. It waits for the disk.
    ///
    /// ```
    /// use threads_core::{PeerId, datastore::Memory, system_rng};
    /// use threads_db::{Node, sync::{Input, Machine, Output}};
    ///
    /// let node = Node::builder(Memory::new()).open().unwrap();
    /// let mut machine = Machine::new(node.peer_id());
    /// let peer = Input::Connected(PeerId::from_key_bytes([255; 32]));
    /// for output in machine.handle(0, peer, &mut system_rng()) {
    ///     if let Output::Work(work) = output {
    ///         machine.handle(0, Input::Worked(node.perform(work)), &mut system_rng());
    ///     }
    /// }
    /// ```
    pub fn perform(&self, work: Work) -> Worked {
        self.perform_on(work).0
    }

    /// As [`Node::perform`], with the thread that was worked on, to be kept open.
    pub(crate) fn perform_on(&self, work: Work) -> (Worked, Option<Db>) {
        let Work(id, op) = work;
        let mut worked_on = None;
        let asks = op.asks();
        let done = self.carry_out(op, &mut worked_on);
        let done = done.and_then(|done| self.refused(asks, done));
        (Worked(id, done), worked_on)
    }

    /// What this node did since it was last asked, for its [machine](super::Machine). Nothing is
    /// remembered before it was asked once.
    ///
    /// ```
    /// use threads_core::datastore::Memory;
    /// let node = threads_db::Node::builder(Memory::new()).open().unwrap();
    /// assert!(node.news().is_empty());
    /// ```
    pub fn news(&self) -> Vec<News> {
        self.inner.notifier.take_news()
    }

    fn carry_out(&self, op: Op, on: &mut Option<Db>) -> Result<Done> {
        match op {
            Op::Peers => {
                let holding = held::all_ahead(&*self.inner.store.read()?)?;
                Ok(Done::Peers(self.peers_to_dial()?, holding))
            }
            Op::Addresses(peer) => self.addresses_of(&peer).map(Done::Addresses),
            Op::Joins(peer) => self.pending_joins(&peer).map(Done::Joins),
            Op::Decide(from, invite, secret, card) => match PeerCard::from_bytes(&card) {
                Ok(card) => (self.decide(&from, &invite, &secret, &card)).map(Done::Decided),
                Err(_) => Ok(Done::Decided(None)),
            },
            Op::Admit(invite, key, secret) => {
                let db = on.insert(self.take_admission(&invite, &key, &secret)?);
                Ok(Done::Admitted(db.thread().number))
            }
            Op::Sharers(thread, peers) => {
                let barred = self.barred(thread, peers)?;
                Ok(Done::Sharers(self.sharers(thread)?, barred))
            }
            Op::Farewells(peer) => self.farewells(&peer).map(Done::Farewells),
            Op::Told(thread, peer) => self.told(thread, &peer),
            Op::Shared(peer, which) => self.shared_with(&peer, which).map(Done::Shared),
            Op::Compare(peer, claims) => self.compare(&peer, &claims).map(Done::Compared),
            Op::Load(thread, peers) => {
                let db = on.insert(self.db(thread)?);
                self.load(db, &peers).map(Done::Loaded)
            }
            Op::Read(thread, peer, ranges) => {
                let db = on.insert(self.db(thread)?);
                self.page_for(db, &peer, &ranges).map(Done::Page)
            }
            Op::Serve(peer, claim, ranges) => {
                let Some(thread) = self.claimed(&peer, &claim)? else {
                    return Ok(Done::Served(None));
                };
                let db = on.insert(self.db(thread)?);
                Ok(Done::Served(Some(self.page(db, &ranges)?)))
            }
            Op::TakeIn(thread, parcels) => {
                let db = on.insert(self.db(thread)?);
                self.take_in(db, parcels).map(Done::TakenIn)
            }
            Op::Retry(thread) => {
                let db = on.insert(self.db(thread)?);
                self.retry(db).map(Done::TakenIn)
            }
            Op::Receive(peer, claim, parcels) => {
                let Some(thread) = self.claimed(&peer, &claim)? else {
                    return Ok(Done::Received(None));
                };
                let db = on.insert(self.db(thread)?);
                self.receive(db, &peer, parcels).map(Done::Received)
            }
            Op::Heard(peer, claim, theirs) => self.heard(&peer, &claim, theirs).map(Done::Heard),
            Op::Ranges(peer, claim, spans) => self.ranges(&peer, &claim, &spans).map(Done::Ranges),
            Op::Acked(thread, peer, heads, room) => self.acked(thread, &peer, &heads, room),
            Op::Level(peer, threads) => self.level(&peer, &threads),
            Op::Same(peer, threads) => self.same(&peer, &threads),
            Op::Short(thread, peer, short) => self.is_short(thread, &peer, short),
            Op::Vouch(what) => self.vouch(what),
            Op::Lacking(peer, chance) => self.lacking(&peer, chance).map(Done::Lacking),
            Op::Erase(what) => self.erase(what),
            Op::Locate(what) => self.locate(what),
            Op::Gossip(what) => self.gossip(what),
            Op::Blobs(what) => self.blobs_for_peers(what).map(Done::Blobs),
            Op::Words(what) => self.words_for_peers(what).map(Done::Words),
        }
    }

    /// Takes in what a peer pushed.
    fn receive(&self, db: &Db, peer: &PeerId, parcels: Vec<Parcel>) -> Result<Option<TakenIn>> {
        let taken = self.take_in(db, parcels)?;
        // Who sends a record has it; of a thread in which this node has no part that is of no use.
        if !taken.removed {
            self.level(peer, &[(db.thread().number, taken.sent.clone())])?;
        }
        Ok(Some(taken))
    }

    /// A peer was told that it was removed.
    fn told(&self, thread: Number, peer: &PeerId) -> Result<Done> {
        let told = |txn: &mut dyn WriteTxn| access::settle(txn, thread, peer);
        self.inner.store.transact(Durability::Relaxed, told)?;
        Ok(Done::Noted)
    }

    /// Sees to it that what a snapshot shows is on disk: what peers hear of must not be lost here,
    /// or this node's log would be written a second time from an earlier place.
    pub(crate) fn snapshot_on_disk(&self) -> Result<Box<dyn ReadTxn + '_>> {
        let txn = self.inner.store.read()?;
        self.inner.store.transact(Durability::Group, |_| Ok(()))?;
        Ok(txn)
    }

    /// The peers that share something and can be reached.
    fn peers_to_dial(&self) -> Result<Vec<PeerId>> {
        let txn = self.inner.store.read()?;
        let mut peers = addresses::peers_with(&*txn)?;
        let awaited = self.awaited_inviters()?;
        let mut failed = None;
        peers.retain(|peer| match shares::of_peer(&*txn, peer) {
            Ok(threads) => !threads.is_empty() || awaited.contains(peer),
            Err(error) => {
                failed.get_or_insert(error);
                false
            }
        });
        failed.map_or(Ok(peers), Err)
    }

    fn shared_with(&self, peer: &PeerId, which: Which) -> Result<Vec<Share>> {
        let txn = self.snapshot_on_disk()?;
        let threads = match which {
            Which::Only(thread) if shares::has(&*txn, thread, peer)? => vec![thread],
            Which::Only(_) => Vec::new(),
            Which::From(first) => shares::of_peer_from(&*txn, peer, first, COMPARED_MAX)?,
        };
        let share = |thread| {
            let (id, replica) = replica_key(&*txn, thread)?;
            let (digest, heads) = standing(&*txn, &id)?;
            Ok(Share {
                thread,
                claim: Claim::new(&replica, &self.peer_id(), peer),
                theirs: replica.proof(peer, &self.peer_id()),
                digest,
                heads,
            })
        };
        threads.into_iter().map(share).collect()
    }

    /// The thread that a peer rightly claims. Whoever holds its key shares it.
    pub(crate) fn claimed(&self, peer: &PeerId, claim: &Claim) -> Result<Option<Number>> {
        let (thread, known) = {
            let txn = self.inner.store.read()?;
            let Some((thread, _)) = self.resolve(&*txn, peer, claim)? else {
                return Ok(None);
            };
            (thread, shares::has(&*txn, thread, peer)?)
        };
        if !known {
            self.is_new(thread, peer)?;
        }
        Ok(Some(thread))
    }

    /// A peer showed a thread's key for the first time.
    fn is_new(&self, thread: Number, peer: &PeerId) -> Result<()> {
        self.add_share(thread, peer)?;
        self.db(thread)?.note_invited(peer)
    }

    pub(crate) fn add_share(&self, thread: Number, peer: &PeerId) -> Result<()> {
        let new = self
            .inner
            .store
            .transact(Durability::Group, |txn| shares::add(txn, thread, peer))?;
        if new {
            let news = News(Fresh::Shared(thread, *peer));
            self.inner.notifier.notify_of(news);
        }
        Ok(())
    }

    /// The thread that a claim names, with its key, if it was shown, and the peer may have it by the rules.
    pub(super) fn resolve(
        &self,
        txn: &dyn ReadTxn,
        peer: &PeerId,
        claim: &Claim,
    ) -> Result<Option<(Number, ReplicaKey)>> {
        let Some((thread, replica)) = self.proved(txn, peer, claim)? else {
            return Ok(None);
        };
        let id = node::thread_id(txn, thread)?;
        let may = access::may_share(&*self.inner.policy, txn, &id, peer)?;
        Ok(may.then_some((thread, replica)))
    }

    /// The thread that a claim names, with its key, if it was shown. What is looked up and computed
    /// is the same for a thread that is not here as for a proof that is wrong.
    pub(super) fn proved(
        &self,
        txn: &dyn ReadTxn,
        peer: &PeerId,
        claim: &Claim,
    ) -> Result<Option<(Number, ReplicaKey)>> {
        let thread = layout::number(txn, &meta::thread_by_locator(claim.locator()))?;
        let replica = match thread {
            Some(thread) => replica_key(txn, thread)?.1,
            None => {
                // No thread has this number, and no key such a name.
                _ = node::thread_id(txn, Number::MAX);
                _ = txn.get(Keyspace::Keys, &[0])?;
                ReplicaKey::from_bytes(&[0; 32])
            }
        };
        let proved = replica.proves(peer, &self.peer_id(), claim.proof());
        Ok(thread.filter(|_| proved).map(|thread| (thread, replica)))
    }

    fn compare(&self, peer: &PeerId, claims: &[(Claim, Digest)]) -> Result<Vec<Compared>> {
        let (mut new, mut level, mut removed) = (Vec::new(), Vec::new(), Vec::new());
        let compared: Vec<_> = {
            let txn = self.snapshot_on_disk()?;
            let one = |(claim, theirs): &(Claim, Digest)| {
                let Some((thread, replica)) = self.proved(&*txn, peer, claim)? else {
                    return Ok(Compared::Unknown);
                };
                let id = node::thread_id(&*txn, thread)?;
                if !access::may_share(&*self.inner.policy, &*txn, &id, peer)? {
                    removed.push(thread);
                    return Ok(match self.was_in(&*txn, thread, peer)? {
                        true => Compared::Removed,
                        false => Compared::Unknown,
                    });
                }
                if !shares::has(&*txn, thread, peer)? {
                    new.push(thread);
                }
                let proof = replica.proof(&self.peer_id(), peer);
                let (ours, heads) = standing(&*txn, &id)?;
                Ok(match ours == *theirs {
                    true => {
                        level.push((thread, numbers(&heads)));
                        Compared::Same(thread, proof)
                    }
                    false if heads.len() > LISTED_MAX => Compared::Many(thread, proof),
                    false => {
                        let claim = Claim::new(&replica, &self.peer_id(), peer);
                        Compared::Differs(thread, proof, claim, heads)
                    }
                })
            };
            claims.iter().map(one).collect::<Result<_>>()?
        };
        for thread in new {
            self.is_new(thread, peer)?;
        }
        if !removed.is_empty() {
            self.say_removed(peer, &removed)?;
        }
        if !level.is_empty() {
            // It says so: what it sent the digest of is on its disk.
            self.level(peer, &level)?;
        }
        Ok(compared)
    }

    fn load(&self, db: &Db, peers: &[PeerId]) -> Result<Loaded> {
        let thread = db.thread();
        let txn = self.snapshot_on_disk()?;
        let acked = |peer: &PeerId| Ok((*peer, shares::acked(&*txn, thread.number, peer)?));
        let claim = |peer: &PeerId| (*peer, Claim::new(&thread.replica, &self.peer_id(), peer));
        Ok(Loaded {
            heads: heads(&*txn, &thread.id)?,
            own: OwnLog::get(&*txn, thread.number)?
                .map(|own| own.log)
                .into_iter()
                .collect(),
            acked: peers.iter().map(acked).collect::<Result<_>>()?,
            cuts: line::cuts(&*txn, thread.number)?,
            full: self.is_full_for(&*txn, &thread.id)?,
            stripped: lacks(&*txn, thread.number)?,
            sought: snapshot::is_sought(&*txn, thread.number)?,
            claims: peers.iter().map(claim).collect(),
        })
    }

    /// Takes records in.
    fn take_in(&self, db: &Db, parcels: Vec<Parcel>) -> Result<TakenIn> {
        let blocks: Vec<Blocks> = parcels.into_iter().map(Blocks::from).collect();
        let mut taken = Taking::default();
        // What is on its way when it gets full is kept whole, up to a page.
        if !self.takes_none_of(&*self.inner.store.read()?, db.thread().number, db.id())? {
            taken.take(db, &blocks)?;
        }
        if !db.thread().is_blind() {
            db.attend_after_intake();
        }
        let txn = self.snapshot_on_disk()?;
        let heads = heads_of(&*txn, db.id(), taken.logs.keys().chain(&taken.moved))?;
        let cuts = line::cuts(&*txn, db.thread().number)?;
        line::clamp(&cuts, &mut taken.logs);
        Ok(TakenIn {
            thread: db.thread().number,
            heads,
            cuts,
            astray: taken.astray,
            sent: taken.logs,
            moved: taken.new > 0 || !taken.moved.is_empty(),
            filled: taken.filled,
            stripped: lacks(&*txn, db.thread().number)?,
            locked: taken.locked,
            keys: db.thread().later.came(),
            removed: taken.removed,
            refused: taken.refused,
            full: self.takes_none_of(&*txn, db.thread().number, db.id())?,
            due_in_ms: self.due_in_ms(&*txn, db)?,
        })
    }

    /// Tries again what a thread holds, if something is due.
    fn retry(&self, db: &Db) -> Result<TakenIn> {
        let due_in_ms = self.due_in_ms(&*self.inner.store.read()?, db)?;
        let intake = match due_in_ms {
            Some(0) => db.settle_held()?,
            _ => ingest::Intake::default(),
        };
        let txn = self.snapshot_on_disk()?;
        let mut heads = heads(&*txn, db.id())?;
        heads.retain(|log, _| intake.moved.contains(log));
        Ok(TakenIn {
            thread: db.thread().number,
            heads,
            cuts: line::cuts(&*txn, db.thread().number)?,
            astray: Frontier::new(),
            sent: Frontier::new(),
            moved: intake.new > 0 || !intake.moved.is_empty(),
            filled: intake.filled,
            stripped: lacks(&*txn, db.thread().number)?,
            locked: false,
            keys: db.thread().later.came(),
            removed: false,
            refused: None,
            full: false,
            due_in_ms: self.due_in_ms(&*txn, db)?,
        })
    }

    fn due_in_ms(&self, txn: &dyn ReadTxn, db: &Db) -> Result<Option<u64>> {
        let number = db.thread().number;
        if !held::any(txn, number)? {
            return Ok(None);
        }
        let now_ms = self.inner.clock.now_ms();
        Ok(held::next_due(txn, number)?.map(|due| due.saturating_sub(now_ms)))
    }

    fn heard(&self, peer: &PeerId, claim: &Claim, theirs: Heads) -> Result<Option<Heard>> {
        let Some(thread) = self.claimed(peer, claim)? else {
            return Ok(None);
        };
        let (id, replica) = replica_key(&*self.inner.store.read()?, thread)?;
        let (ours, full) = {
            let txn = self.snapshot_on_disk()?;
            let ours = heads_of(&*txn, &id, theirs.keys())?;
            (ours, self.takes_none_of(&*txn, thread, &id)?)
        };
        let now_ms = self.inner.clock.now_ms();
        let (mut less, mut room) = (Vec::new(), None);
        let said = agreed(&ours, &theirs);
        self.note([thread], |txn| {
            for (log, seq) in &said {
                let before = shares::acked_of(txn.as_read(), thread, peer, log)?;
                less.extend(before.is_some_and(|before| *seq < before).then_some(*log));
                if before.is_some_and(|before| *seq > before) {
                    room = Some(Room::Some);
                }
            }
            shares::note_room(txn, thread, peer, room)?;
            shares::acknowledge(txn, thread, peer, &said, now_ms)
        })?;
        Ok(Some(Heard {
            thread,
            claim: Claim::new(&replica, &self.peer_id(), peer),
            theirs,
            ours,
            less,
            room,
            full,
        }))
    }
}

pub(super) fn replica_key(
    txn: &dyn ReadTxn,
    thread: Number,
) -> Result<(threads_core::ThreadId, ReplicaKey)> {
    let id = node::thread_id(txn, thread)?;
    let key = KeyBook::new(txn).replica_key(&id)?;
    let key = key.ok_or_else(|| Error::corrupt("a thread's key is missing").with("thread", &id))?;
    Ok((id, key))
}

pub(super) fn heads(txn: &dyn ReadTxn, thread: &threads_core::ThreadId) -> Result<Heads> {
    let heads = books::heads(txn, thread)?.into_iter();
    Ok(heads.map(|(log, head)| (log, named(&head))).collect())
}

fn heads_of<'a>(
    txn: &dyn ReadTxn,
    thread: &threads_core::ThreadId,
    lines: impl Iterator<Item = &'a LogId>,
) -> Result<Heads> {
    let book = HeadBook::new(txn);
    let head = |line: &LogId| Ok(book.get(thread, line)?.map(|head| (*line, named(&head))));
    lines.filter_map(|line| head(line).transpose()).collect()
}

pub(super) fn named(head: &Head) -> (u64, Check) {
    (head.seq, check_of(&head.record))
}

/// How far a thread's logs have got, and a digest of its heads.
fn standing(txn: &dyn ReadTxn, thread: &threads_core::ThreadId) -> Result<(Digest, Heads)> {
    let heads = books::heads(txn, thread)?;
    let listed = heads
        .iter()
        .map(|(log, head)| (log, head.seq, &head.record));
    let digest = digest(listed);
    let heads = heads.iter().map(|(log, head)| (*log, named(head)));
    Ok((digest, heads.collect()))
}
