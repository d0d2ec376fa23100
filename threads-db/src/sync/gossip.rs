//! Announcing what is new to those who are not connected, and hearing what others announce.
//!
//! Peers and replicas that are connected are sent and told of what is new directly. For everybody else
//! its writer publishes its head, sealed, under one of few topics, and peers that take part in any
//! thread of that topic carry it on. What is announced is a hint: who lacks something asks for it, and
//! nothing counts as had by anybody because of it.

use std::collections::{BTreeMap, BTreeSet};

use threads_core::rand_core::CryptoRng;
use threads_core::transport::Acceptance;
use threads_core::{ANNOUNCEMENT_BYTES, LogId, PeerId, Topic};

use super::attend::proved;
use super::conduct::{Allowance, FORGED, MALFORMED};
use super::io::{Op, Output, PublicationId, Share, Which};
use super::limits::{
    ANNOUNCE_AFTER_MS, ANNOUNCE_APART_MS, ANNOUNCED_ANEW_MAX, ANNOUNCERS_MAX, HEARD_MAX,
    PUBLICATIONS_BURST, PUBLICATIONS_PER_SECOND, PUBLISHERS_MAX, SEEK_AFTER_MS, SEEK_AGAIN_MS,
    SEEK_PEERS_MAX, SEEK_SPREAD_MS, SOUGHT_MAX, STRANGERS_BURST, STRANGERS_PER_SECOND,
    UNANNOUNCED_MAX,
};
use super::machine::{Call, Doing, Machine, Peer};
use super::overheard::{Gossip, Gossiped, Overheard};
use super::timers::Timer;
use crate::layout::Number;

/// What this node takes part in, and what it heard.
#[derive(Debug)]
pub(super) struct Gossiping {
    /// The threads that are shared, by topic.
    topics: BTreeMap<Topic, BTreeSet<Number>>,
    /// What is to be announced when somebody is connected.
    unannounced: BTreeSet<Number>,
    /// What peers that this node knows may still publish.
    publishers: BTreeMap<PeerId, Allowance>,
    /// The same of all others together, so that they cannot take what those have.
    strangers: Allowance,
    /// The last that each peer announced of a thread.
    heard: BTreeMap<(Number, PeerId), (LogId, u64)>,
    /// What others have, as was heard, and is to be looked for.
    sought: BTreeMap<Number, Sought>,
}

/// News of a thread that is not here.
#[derive(Debug, Default)]
struct Sought {
    /// How far who announced it has got, of which log, and whether it shares the thread as far as is known.
    announced: BTreeMap<PeerId, (LogId, u64, bool)>,
    /// Who was asked for it.
    asked: BTreeSet<PeerId>,
}

impl Default for Gossiping {
    fn default() -> Self {
        Self {
            topics: BTreeMap::new(),
            unannounced: BTreeSet::new(),
            publishers: BTreeMap::new(),
            strangers: Allowance::new(STRANGERS_PER_SECOND, STRANGERS_BURST, 0),
            heard: BTreeMap::new(),
            sought: BTreeMap::new(),
        }
    }
}

impl Gossiping {
    fn follows(&self, thread: Number) -> bool {
        self.topics.values().any(|of| of.contains(&thread))
    }

    /// Whether a peer may publish one more.
    fn allows(&mut self, from: PeerId, known: bool, now: u64) -> bool {
        if !known {
            return self.strangers.take(now);
        }
        if self.publishers.len() >= PUBLISHERS_MAX && !self.publishers.contains_key(&from) {
            let quietest = self.publishers.iter().min_by_key(|(_, one)| one.used_at());
            if let Some(quietest) = quietest.map(|(peer, _)| *peer) {
                self.publishers.remove(&quietest);
            }
        }
        let new = || Allowance::new(PUBLICATIONS_PER_SECOND, PUBLICATIONS_BURST, now);
        self.publishers.entry(from).or_insert_with(new).take(now)
    }

    /// Notes what a peer announced; says whether that is more than it announced before.
    fn is_new(&mut self, thread: Number, from: PeerId, log: LogId, seq: u64) -> bool {
        let key = (thread, from);
        let known = self.heard.get(&key);
        if known.is_some_and(|known| known.0 == log && known.1 >= seq) {
            return false;
        }
        if self.heard.len() >= HEARD_MAX && known.is_none() {
            self.heard.pop_first();
        }
        self.heard.insert(key, (log, seq));
        true
    }
}

impl Machine {
    pub(super) fn gossip(&mut self, what: Gossip, doing: Doing) {
        self.op(Op::Gossip(what), doing);
    }

    /// A thread is shared now, or may not be any more.
    pub(super) fn follow(&mut self, thread: Option<Number>) {
        self.gossip(Gossip::Topics(thread), Doing::Topics(thread));
    }

    pub(super) fn follow_new(&mut self, thread: Number) {
        if !self.gossiping.follows(thread) {
            self.follow(Some(thread));
        }
    }

    /// Takes part in the topics of threads that are shared, and in no others.
    fn following(&mut self, asked: Option<Number>, shared: Vec<(Number, Topic)>) {
        let topics = &mut self.gossiping.topics;
        if let Some(thread) = asked.filter(|_| shared.is_empty()) {
            let left = topics.iter_mut().find(|(_, of)| of.contains(&thread));
            if let Some((topic, of)) = left {
                of.remove(&thread);
                if of.is_empty() {
                    let topic = *topic;
                    topics.remove(&topic);
                    self.out.push(Output::Unsubscribe(topic.to_bytes()));
                }
            }
        }
        for (thread, topic) in shared {
            let of = topics.entry(topic).or_default();
            if of.is_empty() {
                self.out.push(Output::Subscribe(topic.to_bytes()));
            }
            of.insert(thread);
        }
    }

    /// This node wrote to a thread: that is announced once those who are connected had time to get it, and
    /// at most once in that time.
    pub(super) fn announce_later(&mut self, thread: Number) {
        let at = self.now + ANNOUNCE_AFTER_MS;
        self.timers.set(Timer::Announce(thread), at);
    }

    /// Announces what this node wrote to those who share the thread and are not connected.
    pub(super) fn announce(&mut self, thread: Number) {
        if !self.gossiping.follows(thread) {
            return;
        }
        if self.peers.is_empty() {
            if self.gossiping.unannounced.len() < UNANNOUNCED_MAX {
                self.gossiping.unannounced.insert(thread);
            }
            return;
        }
        let reached = |peer: &&PeerId| proved(&self.peers, peer, thread);
        let reached = self.peers.keys().filter(reached).copied().collect();
        self.gossip(Gossip::Announce(thread, reached), Doing::Gossip);
    }

    /// Somebody is connected: what was written while nobody was is announced, one after the other.
    pub(super) fn announce_all(&mut self) {
        let threads = std::mem::take(&mut self.gossiping.unannounced);
        let mut at = self.now + ANNOUNCE_AFTER_MS;
        for thread in threads {
            self.timers.set(Timer::Announce(thread), at);
            at += ANNOUNCE_APART_MS;
        }
    }

    /// This node begins: what it wrote before may not have reached all. It announces some of it, of other
    /// threads each time.
    fn announce_anew(&mut self, shared: &[(Number, Topic)], rng: &mut dyn CryptoRng) {
        let first = rng.next_u32() as usize % shared.len().max(1);
        let threads = shared.iter().cycle().skip(first);
        let threads = threads.take(shared.len().min(ANNOUNCED_ANEW_MAX));
        let threads = threads.map(|(thread, _)| *thread);
        self.gossiping.unannounced.extend(threads);
        if !self.peers.is_empty() {
            self.announce_all();
        }
    }

    fn knows(&self, peer: &PeerId) -> bool {
        let shares = |peer: &Peer| !peer.proven.is_empty();
        self.dials.contains_key(peer) || self.peers.get(peer).is_some_and(shares)
    }

    /// A peer published something: it is looked at before it goes on to others.
    pub(super) fn published(
        &mut self,
        from: PeerId,
        publication: PublicationId,
        topic: &[u8],
        frame: Vec<u8>,
    ) {
        let threads = Topic::from_bytes(topic).and_then(|of| self.gossiping.topics.get(&of));
        let Some(threads) = threads.filter(|_| from != self.me) else {
            return self.judge(publication, Acceptance::Ignore);
        };
        if frame.len() != ANNOUNCEMENT_BYTES {
            self.judge(publication, Acceptance::Reject);
            return self.fault(from, MALFORMED);
        }
        let threads = threads.iter().copied().collect();
        let known = self.knows(&from);
        if self.conducts.is_banned(&from, self.now) || !self.gossiping.allows(from, known, self.now)
        {
            return self.judge(publication, Acceptance::Ignore);
        }
        self.gossip(
            Gossip::Overhear(from, threads, frame),
            Doing::Overhear(from, publication),
        );
    }

    pub(super) fn judge(&mut self, publication: PublicationId, fit: Acceptance) {
        self.out.push(Output::Judge(publication, fit));
    }

    /// The store has looked at something.
    pub(super) fn gossiped(&mut self, doing: Doing, done: Gossiped, rng: &mut dyn CryptoRng) {
        match (doing, done) {
            (Doing::Topics(asked), Gossiped::Topics(shared)) => {
                if asked.is_none() {
                    self.announce_anew(&shared, rng);
                }
                self.following(asked, shared);
            }
            (Doing::Gossip, Gossiped::Announced(Some((topic, frame)))) => {
                self.out.push(Output::Publish(topic.to_bytes(), frame));
            }
            (Doing::Overhear(from, publication), Gossiped::Overheard(overheard)) => {
                let fit = self.overheard(from, &overheard, rng);
                self.judge(publication, fit);
            }
            _ => {}
        }
    }

    fn overheard(
        &mut self,
        from: PeerId,
        overheard: &Overheard,
        rng: &mut dyn CryptoRng,
    ) -> Acceptance {
        match *overheard {
            // Of a thread of others. Who hands it on cannot know more than that it has the right form.
            Overheard::Closed => Acceptance::Accept,
            Overheard::Forged => {
                self.fault(from, FORGED);
                Acceptance::Reject
            }
            Overheard::Head {
                thread,
                log,
                seq,
                lacks,
                shares,
            } => {
                if !self.gossiping.is_new(thread, from, log, seq) {
                    return Acceptance::Ignore;
                }
                if lacks {
                    self.seek_later(thread, from, (log, seq, shares), rng);
                }
                Acceptance::Accept
            }
        }
    }

    /// There is news of a thread. Who is connected may send it any moment, so it is looked for a little
    /// later, and not by all who heard of it at once.
    fn seek_later(
        &mut self,
        thread: Number,
        from: PeerId,
        announced: (LogId, u64, bool),
        rng: &mut dyn CryptoRng,
    ) {
        // It sends and tells itself what it wrote.
        if proved(&self.peers, &from, thread) {
            return;
        }
        let sought = &mut self.gossiping.sought;
        if sought.len() >= SOUGHT_MAX && !sought.contains_key(&thread) {
            return;
        }
        let sought = sought.entry(thread).or_default();
        if sought.announced.len() < ANNOUNCERS_MAX || sought.announced.contains_key(&from) {
            sought.announced.insert(from, announced);
        }
        let wait = SEEK_AFTER_MS + u64::from(rng.next_u32()) % SEEK_SPREAD_MS;
        self.timers.set(Timer::Seek(thread), self.now + wait);
    }

    /// Looks for what was announced: with one who is connected and shares the thread, or else by
    /// connecting to who announced it.
    pub(super) fn seek(&mut self, thread: Number, rng: &mut dyn CryptoRng) {
        let Some(sought) = self.gossiping.sought.get_mut(&thread) else {
            return;
        };
        let shares = |(_, peer): &(&PeerId, &Peer)| peer.threads.contains(&thread);
        let sharers = self.peers.iter().filter(shares).map(|(peer, _)| *peer);
        let comparing = |call: &Call| match call {
            Call::Heads(peer, ..) => Some(*peer),
            _ => None,
        };
        let busy: BTreeSet<PeerId> = self.calls.values().filter_map(comparing).collect();
        let unasked = sharers.filter(|peer| !sought.asked.contains(peer) && !busy.contains(peer));
        let by_chance = |peer: &PeerId| (!sought.announced.contains_key(peer), rng.next_u32());
        let next = unasked.min_by_key(by_chance);
        match next.filter(|_| sought.asked.len() < SEEK_PEERS_MAX) {
            Some(peer) => {
                sought.asked.insert(peer);
                let only = Which::Only(thread);
                self.op(Op::Shared(peer, only), Doing::Seek(thread, peer));
            }
            None => {
                let sought = self.gossiping.sought.remove(&thread).unwrap_or_default();
                for (peer, (.., shares)) in sought.announced {
                    if shares {
                        self.hasten(peer);
                    }
                }
            }
        }
    }

    /// Asks a peer for what was announced, unless it came by another way meanwhile.
    pub(super) fn ask_for(&mut self, thread: Number, peer: PeerId, shares: Vec<Share>) {
        let Some(sought) = self.gossiping.sought.get_mut(&thread) else {
            return;
        };
        for share in &shares {
            let lacks = |log: &LogId, seq| share.heads.get(log).is_none_or(|ours| ours.0 < seq);
            sought.announced.retain(|_, (log, seq, _)| lacks(log, *seq));
        }
        if sought.announced.is_empty() {
            self.gossiping.sought.remove(&thread);
            return;
        }
        self.timers
            .set(Timer::Seek(thread), self.now + SEEK_AGAIN_MS);
        self.compare(peer, Which::Only(thread), shares);
    }
}
