//! Where peers say that they are: their signed words as rows of the store, and the work on them.

use std::collections::BTreeSet;

use threads_core::address::{ADDRESS_BYTES_MAX, is_local};
use threads_core::datastore::{Datastore, DatastoreExt, Durability, Keyspace, ReadTxn, WriteTxn};
use threads_core::transport::named_peer;
use threads_core::{Error, Multiaddr, PeerId, Result, WHEREABOUTS_MAX, Whereabouts, block};

use super::io::{Done, Fresh, News};
use super::locate::{Locate, Located, Question, Told, Words};
use super::store::replica_key;
use super::wire::{Claim, WHOM_MAX, WORDS_MAX};
use super::{addresses, shares};
use crate::layout::{Number, peers};
use crate::node::Node;

/// How long this node's own word is good, and when it signs it again though nothing changed, in
/// milliseconds.
const GOOD_MS: u64 = 14 * DAY_MS;
const AGAIN_MS: u64 = DAY_MS;
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
/// The longest time for which another's word may be good, in milliseconds.
const GOOD_MS_MAX: u64 = 30 * DAY_MS;
/// The most addresses that are learned of those who share one thread.
const THREAD_ADDRESSES_MAX: usize = 1_000;
/// The most questions to one peer at a time, each about one thread.
const QUESTIONS_MAX: usize = 4;

/// The latest word of a peer.
pub(crate) fn of(txn: &dyn ReadTxn, peer: &PeerId) -> Result<Option<Whereabouts>> {
    let row = txn.get(Keyspace::Peers, &peers::located(peer))?;
    row.map(|row| {
        block::decode(&row).map_err(|cause| {
            Error::corrupt("where a peer says that it is is damaged").caused_by(cause)
        })
    })
    .transpose()
}

/// The same while it is good.
fn good(txn: &dyn ReadTxn, peer: &PeerId, now_ms: u64) -> Result<Option<Whereabouts>> {
    Ok(of(txn, peer)?.filter(|word| word.until_ms() > now_ms))
}

fn put(txn: &mut dyn WriteTxn, word: &Whereabouts) -> Result<()> {
    let key = peers::located(&word.peer());
    txn.put(Keyspace::Peers, &key, &block::encode(word)?)
}

/// Forgets what a peer said.
pub(crate) fn forget(txn: &mut dyn WriteTxn, peer: &PeerId) -> Result<()> {
    txn.delete(Keyspace::Peers, &peers::located(peer))
}

/// How many addresses are known by the words of those who share a thread. Words that are over go.
fn count(txn: &mut dyn WriteTxn, thread: Number, now_ms: u64) -> Result<usize> {
    let mut count = 0;
    for peer in shares::of_thread(txn.as_read(), thread)? {
        match of(txn.as_read(), &peer)? {
            Some(word) if word.until_ms() <= now_ms => forget(txn, &peer)?,
            Some(word) => count += word.addresses().len(),
            None => {}
        }
    }
    Ok(count)
}

impl Node {
    /// Signs where this node can be reached, to be told to those who share its threads: addresses that
    /// end in its id. Says whether that was necessary: because they changed, or for the day. A driver of
    /// a [machine](crate::sync::Machine) does so now and then, with what
    /// [`Transport::addresses`](threads_core::transport::Transport::addresses) gives, and tells the
    /// machine by [`Input::Moved`](crate::sync::Input::Moved).
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// let addr = format!("/ip4/192.0.2.7/tcp/4001/p2p/{}", node.peer_id()).parse().unwrap();
    /// assert!(node.sign_addresses(&[addr]).unwrap());
    /// # let addr = format!("/ip4/192.0.2.7/tcp/4001/p2p/{}", node.peer_id()).parse().unwrap();
    /// assert!(!node.sign_addresses(&[addr]).unwrap(), "nothing changed");
    /// ```
    pub fn sign_addresses(&self, addrs: &[Multiaddr]) -> Result<bool> {
        let (me, now_ms) = (self.peer_id(), self.inner.clock.now_ms());
        let own =
            |addr: &&Multiaddr| named_peer(addr) == Some(me) && addr.len() <= ADDRESS_BYTES_MAX;
        let mut addrs: Vec<_> = addrs.iter().filter(own).cloned().collect();
        // What leads here from everywhere comes first, and goes last.
        addrs.sort_by_key(is_local);
        addrs.truncate(WHEREABOUTS_MAX);
        let known = of(&*self.inner.store.read()?, &me)?;
        let same = match &known {
            Some(known) => {
                let left = known.until_ms().saturating_sub(now_ms);
                known.addresses() == addrs && (GOOD_MS - AGAIN_MS..=GOOD_MS).contains(&left)
            }
            None => addrs.is_empty(),
        };
        if same {
            return Ok(false);
        }
        // Later than any before, also where the clock was set back.
        let seq = known.map_or(1, |known| known.seq().saturating_add(1));
        let until = now_ms.saturating_add(GOOD_MS);
        let word = Whereabouts::sign(&self.inner.identity, seq.max(now_ms), until, &addrs)?;
        let put = |txn: &mut dyn WriteTxn| put(txn, &word);
        self.inner.store.transact(Durability::Group, put)?;
        Ok(true)
    }

    pub(super) fn locate(&self, what: Locate) -> Result<Done> {
        Ok(Done::Located(match what {
            Locate::Whom(peer, threads) => self.whom_to_ask_for(&peer, &threads)?,
            Locate::Tell(peer, claim, known) => {
                Located::Told(self.whereabouts_for(&peer, &claim, &known)?)
            }
            Locate::Keep(thread, words, near) => {
                Located::Kept(self.keep_whereabouts(thread, &words, near)?)
            }
        }))
    }

    /// Every peer that shares one of these threads, once, with the peer that is asked among them, and
    /// this node: it may have lost what it signed itself. And the thread to go on with, if that is too
    /// much for once.
    fn whom_to_ask_for(&self, peer: &PeerId, threads: &[Number]) -> Result<Located> {
        let (txn, now_ms) = (self.inner.store.read()?, self.inner.clock.now_ms());
        let (mut asked, mut questions) = (BTreeSet::new(), Vec::new());
        for thread in threads {
            if questions.len() == QUESTIONS_MAX || asked.len() == WHOM_MAX {
                return Ok(Located::Whom(questions, Some(*thread)));
            }
            let mut known = Words::new();
            let sharers = shares::of_thread(&*txn, *thread)?.into_iter();
            for one in sharers.chain([self.peer_id()]) {
                if asked.len() < WHOM_MAX && asked.insert(one) {
                    let word = good(&*txn, &one, now_ms)?;
                    known.insert(one, word.map_or(0, |word| word.seq()));
                }
            }
            if !known.is_empty() {
                let (_, replica) = replica_key(&*txn, *thread)?;
                questions.push(Question {
                    thread: *thread,
                    claim: Claim::new(&replica, &self.peer_id(), peer),
                    known,
                });
            }
        }
        Ok(Located::Whom(questions, None))
    }

    /// What is known here and not to a peer, of those who share a thread that it claims and shares.
    fn whereabouts_for(&self, peer: &PeerId, claim: &Claim, known: &Words) -> Result<Option<Told>> {
        let (txn, now_ms) = (self.inner.store.read()?, self.inner.clock.now_ms());
        let Some((thread, _)) = self.resolve(&*txn, peer, claim)? else {
            return Ok(None);
        };
        if !shares::has(&*txn, thread, peer)? {
            return Ok(None);
        }
        let (mut words, mut knows_more) = (Vec::new(), false);
        for (about, seq) in known {
            if *about != self.peer_id() && !shares::has(&*txn, thread, about)? {
                continue;
            }
            let word = good(&*txn, about, now_ms)?;
            knows_more |= word.as_ref().map_or(0, Whereabouts::seq) < *seq;
            words.extend(word.filter(|word| word.seq() > *seq && words.len() < WORDS_MAX));
        }
        Ok(Some(Told { words, knows_more }))
    }

    /// Keeps what is signed, later than what is known, and good now and not for too long, of those who
    /// share the thread. Says whether there was such.
    fn keep_whereabouts(&self, thread: Number, words: &[Whereabouts], near: bool) -> Result<bool> {
        words.iter().try_for_each(Whereabouts::verify)?;
        let now_ms = self.inner.clock.now_ms();
        let in_time = |word: &&Whereabouts| {
            let left = word.until_ms().saturating_sub(now_ms);
            (1..=GOOD_MS_MAX).contains(&left)
        };
        let (mut kept, mut moved) = (false, Vec::new());
        // On disk: who begins anew elsewhere has nothing else to begin with.
        self.inner.store.transact(Durability::Group, |txn| {
            let mut room = THREAD_ADDRESSES_MAX.saturating_sub(count(txn, thread, now_ms)?);
            for word in words.iter().filter(in_time) {
                let peer = word.peer();
                let before = of(txn.as_read(), &peer)?;
                let later = before
                    .as_ref()
                    .is_none_or(|before| word.seq() > before.seq());
                if !later {
                    continue;
                }
                if peer == self.peer_id() {
                    // This node signed it, and lost it. It signs again above that.
                    put(txn, word)?;
                    continue;
                }
                let old = before.map_or(Vec::new(), |before| before.addresses());
                let new = word.addresses();
                if !shares::has(txn.as_read(), thread, &peer)? || new.len() > room + old.len() {
                    continue;
                }
                room = room + old.len() - new.len();
                put(txn, word)?;
                kept = true;
                let here = |addr: &&Multiaddr| near || !is_local(addr);
                let usable: Vec<_> = new.iter().filter(here).cloned().collect();
                if addresses::replace(txn, (&peer, &old), &usable, word.until_ms(), now_ms)? {
                    moved.push(peer);
                }
            }
            Ok(())
        })?;
        for peer in moved {
            self.inner.notifier.notify_of(News(Fresh::Address(peer)));
        }
        Ok(kept)
    }
}
