//! What a thread needs: decided anew from what is known of it, whenever something changed.

use std::collections::BTreeMap;

use threads_core::rand_core::CryptoRng;
use threads_core::{PeerId, Result};

use super::active::{Link, Sent, raise, raise_all};
use super::io::{Done, Heard, Loaded, Op, Room, TakenIn, Which};
use super::limits::{GRACE_MS, REPAIR_AFTER_MS, RETRY_HELD_MS, RETRY_HELD_MS_MAX, TELL_AFTER_MS};
use super::machine::{Call, Doing, Machine, Peer};
use super::pause::{Pause, put_off};
use super::timers::Timer;
use super::wire::{self, Answer, Ask, Frontier, Head, list, numbers};
use crate::layout::Number;

/// Whether a connected peer has shown the thread's key.
pub(super) fn proved(peers: &BTreeMap<PeerId, Peer>, peer: &PeerId, thread: Number) -> bool {
    peers
        .get(peer)
        .is_some_and(|peer| peer.proven.contains(&thread))
}

impl Machine {
    /// Pushes, tells and pulls what is to be pushed, told and pulled, and puts the thread away when
    /// nothing is.
    pub(super) fn see_to(&mut self, thread: Number, rng: &mut dyn CryptoRng) {
        let Some(active) = self.active.get_mut(&thread) else {
            return;
        };
        if !active.loaded {
            if !std::mem::replace(&mut active.loading, true) {
                let shares =
                    |(id, peer): (&PeerId, &Peer)| peer.threads.contains(&thread).then_some(*id);
                let peers = self.peers.iter().filter_map(shares).collect();
                self.op(Op::Load(thread, peers), Doing::Load(thread));
            }
            return;
        }
        active.cut();
        let proven = |peer: &&PeerId| proved(&self.peers, peer, thread);
        let peers: Vec<PeerId> = active.links.keys().filter(proven).copied().collect();
        for peer in peers {
            self.send_to(thread, peer, rng);
        }
        self.pull(thread, rng);
        if self
            .active
            .get(&thread)
            .is_some_and(super::active::Active::is_idle)
        {
            self.active.remove(&thread);
        }
    }

    /// How a thread stands, as the store says.
    pub(super) fn loaded(&mut self, thread: Number, loaded: Loaded) {
        let Some(active) = self.active.get_mut(&thread) else {
            return;
        };
        active.loading = false;
        active.loaded = !std::mem::take(&mut active.outdated);
        active.own = loaded.own.into_iter().collect();
        active.full = loaded.full;
        active.sought = loaded.sought;
        let stripped = loaded.stripped;
        let moved = std::mem::take(&mut active.moved);
        let heads = numbers(&loaded.heads);
        for (peer, claim) in loaded.claims {
            let mut acked = loaded.acked.iter().filter(|(of, _)| *of == peer);
            let link = active.links.entry(peer).or_insert_with(|| Link::new(claim));
            link.read(acked.next().map(|(_, acked)| acked), |theirs| {
                // What was so when the thread was put away has been told.
                let mut told = heads.clone();
                told.retain(|log, _| !moved.contains(log) && !active.own.contains(log));
                // What both have one of the two told the other of; what only it has comes later.
                for (log, seq) in theirs {
                    let here = heads.get(log).copied().unwrap_or(0);
                    raise(&mut told, *log, (*seq).min(here));
                }
                told
            });
        }
        active.reloaded(&loaded.heads, loaded.cuts);
        self.timers.set(Timer::Thread(thread), self.now);
        if stripped {
            self.refill(thread);
        }
    }

    /// Pushes to one peer and tells it the rest.
    fn send_to(&mut self, thread: Number, peer: PeerId, rng: &mut dyn CryptoRng) {
        let now = self.now;
        let Some(active) = self.active.get(&thread) else {
            return;
        };
        let Some(link) = active.links.get(&peer) else {
            return;
        };
        if let Some(until) = link.pause.until(now) {
            return self.timers.set(Timer::Thread(thread), until);
        }
        let (push, news) = (active.to_push(link), active.to_tell(link));
        let (claim, due) = (link.claim, link.tell_at);
        let (pushing, telling, compare) = (link.pushing, link.telling, link.compare);
        let again = link.again && active.lacking(link) == 0;
        if !push.is_empty() && !pushing {
            self.change(thread, &peer, |link| {
                link.is_called();
                link.pushing = true;
            });
            self.op(Op::Read(thread, peer, push), Doing::Push(thread, peer));
        }
        if telling {
            return;
        }
        if compare {
            return self.compare_ranges(thread, peer);
        }
        if again {
            self.change(thread, &peer, |link| link.again = false);
            let which = Which::Only(thread);
            return self.op(Op::Shared(peer, which), Doing::Greet(peer, which));
        }
        if news.is_empty() {
            return self.repair(thread, peer, rng);
        }
        let due = due.unwrap_or(now + TELL_AFTER_MS);
        self.change(thread, &peer, |link| link.tell_at = Some(due));
        if due > now {
            return self.timers.set(Timer::Thread(thread), due);
        }
        self.change(thread, &peer, |link| {
            link.is_called();
            (link.telling, link.tell_at) = (true, None);
        });
        let ask = Ask::Have(claim, self.named(thread, &news));
        self.call(peer, &ask, Call::Have(thread, peer, news));
    }

    /// Asks a peer that has been told everything and does not say that it has it, again and again, less
    /// and less often.
    fn repair(&mut self, thread: Number, peer: PeerId, rng: &mut dyn CryptoRng) {
        let now = self.now;
        let Some(active) = self.active.get(&thread) else {
            return;
        };
        let Some(link) = active.links.get(&peer) else {
            return;
        };
        let (claim, lags, mut repair) = (link.claim, active.to_repair(link), link.repair);
        if lags.is_empty() || link.pushing {
            return self.change(thread, &peer, |link| link.repair.clear());
        }
        match repair.until(now) {
            Some(at) => return self.timers.set(Timer::Thread(thread), at),
            // It may be at it: it is given time first.
            None if repair == Pause::default() => repair.wait(now, REPAIR_AFTER_MS),
            None => {
                repair.fail(now, rng);
                self.change(thread, &peer, |link| {
                    link.is_called();
                    link.telling = true;
                });
                let ask = Ask::Have(claim, self.named(thread, &lags));
                self.call(peer, &ask, Call::Have(thread, peer, lags));
            }
        }
        self.change(thread, &peer, |link| link.repair = repair);
        if let Some(at) = repair.until(now) {
            self.timers.set(Timer::Thread(thread), at);
        }
    }

    /// The heads of lines of a thread that is in use, to be told.
    fn named(&self, thread: Number, lines: &Frontier) -> Vec<Head> {
        let active = self.active.get(&thread);
        active.map_or_else(Vec::new, |active| list(&active.named(lines)))
    }

    fn change(&mut self, thread: Number, peer: &PeerId, how: impl FnOnce(&mut Link)) {
        if let Some(link) = self.link(thread, peer) {
            how(link);
        }
    }

    /// A page of this node's own log was read: it is pushed.
    pub(super) fn push_read(
        &mut self,
        thread: Number,
        peer: PeerId,
        done: Result<Done>,
        rng: &mut dyn CryptoRng,
    ) {
        let now = self.now;
        let Some(link) = self.link(thread, &peer) else {
            return;
        };
        match done {
            Ok(Done::Page(page)) if !page.parcels.is_empty() => {
                let ask = Ask::Push(link.claim, page.parcels);
                self.call(peer, &ask, Call::Push(thread, peer, page.upto));
            }
            Ok(Done::Page(super::io::Page {
                short: Some(short), ..
            })) if !link.telling => {
                // It is to ask for them, and is told then.
                (link.pushing, link.telling) = (false, true);
                let claim = link.claim;
                let active = self.active.get(&thread);
                let heads = active.map_or_else(Frontier::new, |active| active.heads.clone());
                let is_short = |log: &_| short.logs.iter().any(|(of, _)| of == log);
                let news = heads.into_iter().filter(|(log, _)| is_short(log)).collect();
                let ask = Ask::Have(claim, self.named(thread, &news));
                self.call(peer, &ask, Call::Have(thread, peer, news));
            }
            _ => {
                link.pushing = false;
                link.pause.fail(now, rng);
                self.timers.set(Timer::Thread(thread), now);
            }
        }
    }

    /// A push ended, or a peer was told what is here: it says how far it has got itself.
    pub(super) fn sent(
        &mut self,
        (thread, peer): (Number, PeerId),
        sent: Sent,
        upto: &Frontier,
        answer: Result<Answer>,
        rng: &mut dyn CryptoRng,
    ) {
        let now = self.now;
        self.timers.set(Timer::Thread(thread), now);
        let Some(link) = self.link(thread, &peer) else {
            return;
        };
        match sent {
            Sent::Records => {
                link.pushing = false;
                // Whoever cannot take the proof of a fork now hears of the branches all the same.
                link.shown.append(&mut link.unaware);
            }
            Sent::Numbers => link.telling = false,
        }
        let (said, room) = match answer {
            Ok(Answer::Have(heads)) => (wire::heads(&heads).unwrap_or_default(), Room::Some),
            Ok(Answer::Full(heads)) => (wire::heads(&heads).unwrap_or_default(), Room::None),
            other => return put_off(link, &other, now, rng),
        };
        let heads = numbers(&said);
        let took = upto.iter().any(|(log, seq)| heads.get(log) >= Some(seq));
        match sent {
            Sent::Records if took => link.pause.clear(),
            // It has them and does not take them now: it holds them back.
            Sent::Records if room == Room::Some => link.pause.fail(now, rng),
            Sent::Records | Sent::Numbers => {}
        }
        link.full = room == Room::None;
        let reveals = |(log, seq): (&_, &u64)| link.theirs.get(log).is_none_or(|said| said < seq);
        if heads.iter().any(reveals) {
            // It may be on its way.
            link.pull_at = now + GRACE_MS;
        }
        let mut heads = link.replied(heads);
        if let Some(active) = self.active.get_mut(&thread) {
            active.has_been_sent(&peer, sent, upto);
            let agreed = active.suspect(&peer, &said);
            for (log, seq) in &mut heads {
                // What it said since stays as it is.
                if said.get(log).is_some_and(|said| said.0 == *seq) {
                    *seq = agreed.get(log).copied().unwrap_or(*seq);
                }
            }
        }
        self.op(Op::Acked(thread, peer, heads, Some(room)), Doing::Note);
        self.acknowledged(thread, peer);
    }

    /// With whom a thread is shared may have changed.
    pub(super) fn see_sharers(&mut self, thread: Number) {
        let shares = |(id, peer): (&PeerId, &Peer)| peer.threads.contains(&thread).then_some(*id);
        let peers = self.peers.iter().filter_map(shares).collect();
        self.op(Op::Sharers(thread, peers), Doing::Sharers(thread));
    }

    /// The rules of a thread let a peer have it no more: it is told and sent nothing.
    pub(super) fn bar(&mut self, thread: Number, peer: PeerId) {
        if let Some(known) = self.peers.get_mut(&peer) {
            known.threads.remove(&thread);
            known.proven.remove(&thread);
            known.barred.insert(thread);
        }
        if let Some(active) = self.active.get_mut(&thread) {
            active.links.remove(&peer);
            // Another peer may have what this one was to give.
            self.timers.set(Timer::Thread(thread), self.now);
        }
        self.see_farewells(peer);
    }

    /// A record that is dated ahead is tried again when its time has come, by a clock that may be set
    /// meanwhile.
    pub(super) fn wait_for_held(&mut self, thread: Number, due_in_ms: Option<u64>) {
        if let Some(wait) = due_in_ms {
            let wait = wait.clamp(RETRY_HELD_MS, RETRY_HELD_MS_MAX);
            self.timers.set(Timer::Held(thread), self.now + wait);
        }
    }

    /// Records came in by another way than a pull: this thread's other peers are told.
    pub(super) fn came_in(&mut self, thread: Number, from: PeerId, taken: &TakenIn) {
        if taken.stripped {
            self.refill(thread);
        }
        let heads = numbers(&taken.heads);
        if let Some(active) = self.active.get_mut(&thread) {
            active.advance(&taken.heads, taken.cuts.clone());
            active.unlock(taken.keys);
            if !active.loaded {
                active.moved.extend(heads.keys());
            }
            if let Some(link) = active.links.get_mut(&from) {
                // It was told in the reply.
                raise_all(&mut link.told, &heads);
            }
            self.timers.set(Timer::Thread(thread), self.now);
            return;
        }
        let shares = |(id, peer): (&PeerId, &Peer)| *id != from && peer.threads.contains(&thread);
        if self.peers.iter().any(shares) {
            self.activate(thread).moved.extend(heads.keys());
        }
    }

    /// A peer said how far it has got.
    pub(super) fn heard(&mut self, from: PeerId, heard: &Heard) {
        let (thread, theirs, ours) = (heard.thread, &numbers(&heard.theirs), &numbers(&heard.ours));
        if self.is_barred(thread, &from) {
            return;
        }
        let has_more = theirs.iter().any(|(log, seq)| ours.get(log) < Some(seq));
        // As many records, and another last one.
        let differs = |(log, head): (&_, &(u64, _))| {
            let own = heard.ours.get(log);
            own.is_some_and(|own| own.0 == head.0 && own != head)
        };
        let has_more = has_more && !heard.full;
        let has_other = heard.theirs.iter().any(differs);
        if !has_more && !has_other && heard.less.is_empty() && !self.active.contains_key(&thread) {
            return;
        }
        let now = self.now;
        let link = self.link_with(thread, from, heard.claim);
        link.suspect(&heard.ours, &heard.theirs);
        if heard.room.is_some() {
            link.has_room();
        }
        link.has_been_told(ours);
        link.says(theirs.clone());
        if has_more {
            link.pull_at = now + GRACE_MS;
        }
        if let Some(active) = self.active.get_mut(&thread).filter(|active| !active.loaded) {
            active.moved.extend(&heard.less);
        }
        let link = self.link_with(thread, from, heard.claim);
        // What it said may have been overtaken by a reply that said more.
        let mut more = link.replied.clone();
        more.retain(|log, seq| theirs.get(log).is_some_and(|said| said < seq));
        // Or it lost what it had. Its reply to what is here says which.
        for log in heard.less.iter().filter(|log| !more.contains_key(log)) {
            link.told.remove(log);
            link.tell_at = Some(now);
        }
        // The store may note a reply that said less only after this: the more of both holds.
        let mut noted = link.replied.clone();
        noted.retain(|log, seq| theirs.get(log).is_some_and(|said| said != seq));
        for (log, seq) in &mut noted {
            *seq = theirs.get(log).copied().unwrap_or(0).max(*seq);
        }
        if !noted.is_empty() {
            self.op(Op::Acked(thread, from, noted, None), Doing::Note);
        }
    }
}
