//! What a thread needs: decided anew from what is known of it, whenever something changed.

use std::collections::BTreeMap;

use threads_core::rand_core::CryptoRng;
use threads_core::{PeerId, Result};

use super::active::{Pull, raise, raise_all};
use super::conduct::{STALE, cost};
use super::io::{Done, Heard, Op, TakenIn};
use super::limits::{
    GRACE_MS, PAGES_STORING_MAX, PUSH_RECORDS_MAX, REPAIR_AFTER_MS, RETRY_HELD_MS,
    RETRY_HELD_MS_MAX, TELL_AFTER_MS,
};
use super::machine::{Call, Doing, Machine, Peer, put_off, unfit};
use super::pause::Pause;
use super::timers::Timer;
use super::wire::{Answer, Ask, Frontier, frontier, listed};
use crate::layout::Number;
use crate::line;

/// What a peer was sent.
#[derive(Clone, Copy)]
pub(super) enum Sent {
    Records,
    Numbers,
}

/// Whether a connected peer has shown the thread's key.
fn proved(peers: &BTreeMap<PeerId, Peer>, peer: &PeerId, thread: Number) -> bool {
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
        let (pushing, telling) = (link.pushing, link.telling);
        if !push.is_empty() && !pushing {
            self.change(thread, &peer, |link| {
                link.is_called();
                link.pushing = true;
            });
            self.op(Op::Read(thread, push), Doing::Push(thread, peer));
        }
        if telling {
            return;
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
        let ask = Ask::Have(claim, listed(&news));
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
                let ask = Ask::Have(claim, listed(&lags));
                self.call(peer, &ask, Call::Have(thread, peer, lags));
            }
        }
        self.change(thread, &peer, |link| link.repair = repair);
        if let Some(at) = repair.until(now) {
            self.timers.set(Timer::Thread(thread), at);
        }
    }

    fn change(
        &mut self,
        thread: Number,
        peer: &PeerId,
        how: impl FnOnce(&mut super::active::Link),
    ) {
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
                // If it was of no use to show it, what it says shows that.
                link.unaware.clear();
            }
            Sent::Numbers => link.telling = false,
        }
        let heads = match answer {
            Ok(Answer::Have(heads)) => frontier(&heads).unwrap_or_default(),
            other => return put_off(link, &other, now, rng),
        };
        let took = upto.iter().any(|(log, seq)| heads.get(log) >= Some(seq));
        match sent {
            Sent::Records if took => link.pause.clear(),
            // It has them and does not take them now: it holds them back, or is full.
            Sent::Records => link.pause.fail(now, rng),
            Sent::Numbers => {}
        }
        let heads = link.replied(heads);
        raise_all(&mut link.told, upto);
        self.op(Op::Acked(thread, peer, heads), Doing::Note);
        self.acknowledged(thread, peer);
    }

    /// Begins a pull from the peer that has most of what is missing, or goes on with the one that
    /// is under way.
    fn pull(&mut self, thread: Number, rng: &mut dyn CryptoRng) {
        let now = self.now;
        let Some(active) = self.active.get_mut(&thread) else {
            return;
        };
        if active
            .pull
            .as_ref()
            .is_some_and(|pull| !pull.calling && pull.storing == 0)
        {
            let done = active.pull.as_ref().map(|pull| pull.from);
            let link = done.and_then(|from| active.links.get(&from));
            if link.is_none_or(|link| active.to_pull(link).is_empty()) {
                active.pull = None;
            }
        }
        if active.pull.is_none() {
            let lacking = |link: &super::active::Link| active.lacking(link);
            let mut wait = None;
            let mut best: Option<(u64, u32, PeerId)> = None;
            let proven = |(peer, _): &(&PeerId, _)| proved(&self.peers, peer, thread);
            for (peer, link) in active.links.iter().filter(proven) {
                let lacks = lacking(link);
                if lacks == 0 {
                    continue;
                }
                // What is much will not be pushed: there is nothing to wait for.
                let grace = if lacks > PUSH_RECORDS_MAX {
                    now
                } else {
                    link.pull_at
                };
                let at = link.pause.until(now).unwrap_or(now).max(grace);
                if at > now {
                    wait = Some(wait.map_or(at, |wait: u64| wait.min(at)));
                    continue;
                }
                best = best.max(Some((lacks, rng.next_u32(), *peer)));
            }
            active.pull = best.map(|(_, _, from)| Pull {
                from,
                calling: false,
                storing: 0,
                upto: Frontier::new(),
            });
            if let Some(at) = wait {
                self.timers.set(Timer::Thread(thread), at);
            }
        }
        self.ask_for_more(thread);
    }

    /// Asks for the next page of a pull, unless pages wait to be stored.
    fn ask_for_more(&mut self, thread: Number) {
        let Some(active) = self.active.get_mut(&thread) else {
            return;
        };
        let Some(pull) = &active.pull else { return };
        if pull.calling || pull.storing > PAGES_STORING_MAX {
            return;
        }
        let from = pull.from;
        let Some(link) = active.links.get(&from) else {
            return;
        };
        // What becomes of one probe says what the next is.
        if pull.storing > 0 && !link.probes.is_empty() {
            return;
        }
        let (claim, ranges) = (link.claim, active.to_pull(link));
        if ranges.is_empty() {
            return;
        }
        if let Some(pull) = &mut active.pull {
            pull.calling = true;
        }
        self.call(from, &Ask::Pull(claim, ranges), Call::Pull(thread, from));
    }

    /// A page came: it goes to the store, and the next one is asked for.
    pub(super) fn pulled(
        &mut self,
        thread: Number,
        peer: PeerId,
        answer: Result<Answer>,
        rng: &mut dyn CryptoRng,
    ) {
        let now = self.now;
        let Some(active) = self.active.get_mut(&thread) else {
            return;
        };
        let Some(pull) = active.pull.as_mut().filter(|pull| pull.from == peer) else {
            return;
        };
        pull.calling = false;
        self.timers.set(Timer::Thread(thread), now);
        match answer {
            Ok(Answer::Page(parcels, upto, _)) if !parcels.is_empty() && !upto.is_empty() => {
                let upto = frontier(&upto).unwrap_or_default();
                raise_all(&mut pull.upto, &upto);
                pull.storing += 1;
                let doing = Doing::Pulled(thread, peer, upto);
                self.op(Op::TakeIn(thread, parcels), doing);
                self.ask_for_more(thread);
            }
            Ok(Answer::Page(..)) => {
                let link = active.links.get_mut(&peer);
                if let Some(link) = link.filter(|link| !link.probes.is_empty()) {
                    // It knows of the fork already, and offers what is asked for as branches.
                    return link.probes.clear();
                }
                // It has not what it said it has.
                self.give_up_on(thread, &peer);
                self.fault(peer, STALE);
            }
            other => {
                let other = other.and_then(|other| match other {
                    Answer::Busy(_) => Ok(other),
                    _ => Err(unfit()),
                });
                if pull.storing == 0 {
                    active.pull = None;
                }
                if let Some(link) = active.links.get_mut(&peer) {
                    put_off(link, &other, now, rng);
                }
            }
        }
    }

    /// Forgets what a peer said it has, until it says so again, and pulls from others.
    fn give_up_on(&mut self, thread: Number, peer: &PeerId) {
        let Some(active) = self.active.get_mut(&thread) else {
            return;
        };
        if let Some(link) = active.links.get_mut(peer) {
            for (log, seq) in &mut link.theirs {
                *seq = (*seq).min(active.heads.get(log).copied().unwrap_or(0));
            }
            link.theirs.retain(|_, seq| *seq > 0);
            link.probes.clear();
        }
        if active.pull.as_ref().is_some_and(|pull| pull.storing == 0) {
            active.pull = None;
        }
    }

    /// A page was stored, or was not.
    pub(super) fn pull_stored(
        &mut self,
        thread: Number,
        peer: PeerId,
        mut upto: Frontier,
        done: Result<Done>,
        rng: &mut dyn CryptoRng,
    ) {
        let now = self.now;
        self.timers.set(Timer::Thread(thread), now);
        let Some(active) = self.active.get_mut(&thread) else {
            return;
        };
        if let Some(pull) = &mut active.pull {
            pull.storing = pull.storing.saturating_sub(1);
        }
        let mut due_in_ms = None;
        let link = active.links.get_mut(&peer);
        let probing = link.as_ref().is_some_and(|link| !link.probes.is_empty());
        let (progress, refused) = match done {
            Ok(Done::TakenIn(taken)) => {
                due_in_ms = taken.due_in_ms;
                let heads = &taken.heads;
                line::clamp(&taken.cuts, &mut upto);
                let got = |(log, seq): (_, &u64)| heads.get(log) >= Some(seq);
                let older = link.is_some_and(|link| link.probe(&upto, &taken.astray));
                // What is here anyway says nothing of a probe.
                let got = upto.iter().all(got) && (!probing || taken.new > 0);
                raise_all(&mut active.heads, heads);
                active.cuts.extend(taken.cuts);
                (got || older, taken.refused)
            }
            Ok(_) => (false, None),
            Err(error) => (false, Some(error)),
        };
        if let Some(link) = active.links.get_mut(&peer) {
            match progress {
                true => link.pause.clear(),
                // If the fork was found, what comes next shows it.
                false if probing => {}
                false => link.pause.fail(now, rng),
            }
        }
        if !progress && !probing {
            active.pull = None;
        }
        if let Some(error) = refused {
            self.fault(peer, cost(&error));
        }
        self.wait_for_held(thread, due_in_ms);
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
        let heads = &taken.heads;
        if let Some(active) = self.active.get_mut(&thread) {
            raise_all(&mut active.heads, heads);
            active.cuts.extend(taken.cuts.clone());
            if !active.loaded {
                active.moved.extend(heads.keys());
            }
            if let Some(link) = active.links.get_mut(&from) {
                // It was told in the reply.
                raise_all(&mut link.told, heads);
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
        let (thread, theirs, ours) = (heard.thread, &heard.theirs, &heard.ours);
        let has_more = theirs.iter().any(|(log, seq)| ours.get(log) < Some(seq));
        if !has_more && heard.less.is_empty() && !self.active.contains_key(&thread) {
            return;
        }
        let now = self.now;
        let link = self.link_with(thread, from, heard.claim);
        link.heard = true;
        for (log, seq) in theirs {
            raise(&mut link.theirs, *log, *seq);
        }
        raise_all(&mut link.told, ours);
        if has_more {
            link.pull_at = now + GRACE_MS;
        }
        // What it said may have been overtaken by a reply that said more.
        let mut more = link.replied.clone();
        more.retain(|log, seq| theirs.get(log).is_some_and(|said| said < seq));
        // Or it lost what it had. Its reply to what is here says which.
        for log in heard.less.iter().filter(|log| !more.contains_key(log)) {
            link.told.remove(log);
            link.tell_at = Some(now);
        }
        if !more.is_empty() {
            self.op(Op::Acked(thread, from, more), Doing::Note);
        }
    }
}
