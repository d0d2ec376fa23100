//! Pulls: what others have and this node lacks, oldest first, page by page, from one holder of a thread at
//! a time.

use threads_core::rand_core::CryptoRng;
use threads_core::{LogId, PeerId, Result};

use super::active::{Link, Pull, raise_all};
use super::attend::proved;
use super::conduct::{STALE, cost};
use super::io::{Done, Op};
use super::limits::{PAGES_STORING_MAX, PUSH_RECORDS_MAX, UNFOUND_MAX};
use super::machine::{Call, Doing, Machine, unfit};
use super::pause::put_off;
use super::short::Short;
use super::timers::Timer;
use super::wire::{Answer, Ask, Frontier, frontier, numbers};
use crate::layout::Number;
use crate::line;

impl Machine {
    /// Begins a pull from the peer that has most of what is missing, or goes on with the one that
    /// is under way.
    pub(super) fn pull(&mut self, thread: Number, rng: &mut dyn CryptoRng) {
        let now = self.now;
        let Some(active) = self.active.get_mut(&thread) else {
            return;
        };
        if active.sought {
            return;
        }
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
            let lacking = |link: &Link| active.lacking(link);
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
                asked: Vec::new(),
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
            pull.asked.clone_from(&ranges);
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
            Ok(Answer::Page(parcels, upto, _))
                if !parcels.is_empty() && pull.asked_for(&upto) && !upto.is_empty() =>
            {
                let upto = frontier(&upto).unwrap_or_default();
                raise_all(&mut pull.upto, &upto);
                pull.storing += 1;
                let doing = Doing::Pulled(thread, peer, upto);
                self.op(Op::TakeIn(thread, parcels), doing);
                self.ask_for_more(thread);
            }
            Ok(Answer::Short(logs, snapshot)) => {
                self.told_short(thread, peer, Short { logs, snapshot });
            }
            // It has more than others may have of it now, and says again when they may.
            Ok(Answer::Page(parcels, _, true)) if parcels.is_empty() => {
                self.give_up_on(thread, &peer);
            }
            Ok(Answer::Page(parcels, ..)) => {
                let link = active.links.get_mut(&peer);
                let logs: Vec<_> = pull.asked.iter().map(|range| range.log).collect();
                let searched =
                    |link: &&mut Link| logs.iter().all(|log| link.probes.contains_key(log));
                if let Some(link) = link.filter(searched) {
                    link.probes.clear();
                    // Records that nobody asked for no honest peer sends.
                    let honest = parcels.is_empty() && self.may_know_more(&peer, thread, logs);
                    return self.fault(peer, if honest { 0 } else { STALE });
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

    /// Whether a peer that has nothing of these logs where it said that it has other records may know of
    /// the fork by now, and offer them as branches. It speaks of them as branches from then on, so that is
    /// so once for each log.
    fn may_know_more(&mut self, peer: &PeerId, thread: Number, logs: Vec<LogId>) -> bool {
        let Some(known) = self.peers.get_mut(peer) else {
            return true;
        };
        let room = UNFOUND_MAX.saturating_sub(known.unfound.len());
        let new = logs.iter().take(room);
        let new = new.filter(|log| known.unfound.insert((thread, **log)));
        new.count() == logs.len()
    }

    /// Forgets what a peer said it has, until it says so again, and pulls from others.
    pub(super) fn give_up_on(&mut self, thread: Number, peer: &PeerId) {
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
        let stripped = matches!(&done, Ok(Done::TakenIn(taken)) if taken.stripped);
        let link = active.links.get_mut(&peer);
        let probing = link.as_ref().is_some_and(|link| !link.probes.is_empty());
        let (progress, refused) = match done {
            Ok(Done::TakenIn(taken)) => {
                due_in_ms = taken.due_in_ms;
                active.full = taken.full;
                let heads = numbers(&taken.heads);
                line::clamp(&taken.cuts, &mut upto);
                let got = |(log, seq): (_, &u64)| heads.get(log) >= Some(seq);
                let older = link.is_some_and(|link| link.probe(&upto, &taken.astray));
                // What is here anyway says nothing of a probe.
                let got = upto.iter().all(got) && (!probing || taken.moved);
                active.advance(&taken.heads, taken.cuts);
                if taken.locked {
                    active.lock(&peer, &upto);
                }
                active.unlock(taken.keys);
                (got || older || taken.locked, taken.refused)
            }
            Ok(_) => (false, None),
            Err(error) => (false, Some(error)),
        };
        if let Some(link) = active.links.get_mut(&peer) {
            match progress {
                true => link.pause.clear(),
                false => link.pause.fail(now, rng),
            }
        }
        if !progress {
            active.pull = None;
        }
        if let Some(error) = refused {
            self.fault(peer, cost(&error));
        }
        if stripped {
            self.refill(thread);
        }
        self.wait_for_held(thread, due_in_ms);
    }
}
