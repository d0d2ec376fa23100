//! A thread that has something to send or to get. Threads that have not are not in memory.

use std::collections::{BTreeMap, BTreeSet};

use threads_core::{LogId, PeerId};

use super::limits::PUSH_RECORDS_MAX;
use super::pause::Pause;
pub(crate) use super::pulling::{Probe, Pull, Sent};
use super::wire::{Check, Claim, Frontier, HEADS_MAX, Heads, RANGES_MAX, Range, agreed};
use crate::line::{self, Cut, Cuts};

/// What is known of a thread while it is in use.
#[derive(Debug, Default)]
pub(crate) struct Active {
    /// How far its logs have got here, on disk; empty until `loaded`.
    pub(crate) heads: Frontier,
    /// What tells the last records of logs from others in their places.
    checks: BTreeMap<LogId, Check>,
    /// The logs that this node writes.
    pub(crate) own: BTreeSet<LogId>,
    pub(crate) loaded: bool,
    /// Whether this node takes no more of it.
    pub(crate) full: bool,
    /// Whether it is to begin with a snapshot: until it does, or is not to any more, nothing is pulled.
    pub(crate) sought: bool,
    /// Whether the store is being asked how it stands.
    pub(crate) loading: bool,
    /// Whether something changed since the store was asked, so that the answer may be old.
    pub(crate) outdated: bool,
    /// What came in while the store was being asked, which the answer may not know of.
    came: Heads,
    /// Logs that moved while it was not loaded.
    pub(crate) moved: BTreeSet<LogId>,
    /// With each connected peer that shares it.
    pub(crate) links: BTreeMap<PeerId, Link>,
    pub(crate) pull: Option<Pull>,
    /// How often keys of it came, as was told last.
    keys: u64,
    /// Where its logs were forked.
    pub(crate) cuts: Cuts,
    /// Of what peers sent, logs of which older records are to be asked for.
    pub(crate) astray: BTreeMap<PeerId, Frontier>,
}

/// What is known of a thread and one peer.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) claim: Claim,
    /// How far the peer said that it has got, on its disk.
    pub(crate) theirs: Frontier,
    /// What of that it sent, and no keys here opened: it is asked for again when keys come.
    pub(crate) locked: Frontier,
    /// What of that it said in replies, since the thread is in use.
    pub(crate) replied: Frontier,
    /// How far this node said that it has got.
    pub(crate) told: Frontier,
    /// Forked logs of which it says more than there is before the fork: it has one branch, and has to be
    /// shown that there are others.
    pub(crate) unaware: BTreeSet<LogId>,
    /// Forked logs of which it was shown that.
    pub(crate) shown: BTreeSet<LogId>,
    /// Logs of which it has other records than this node in the same places: it is asked for older ones
    /// until one follows what is here.
    pub(crate) probes: BTreeMap<LogId, Probe>,
    /// The earliest places of logs that it was asked for so.
    pub(crate) probed: Frontier,
    pub(crate) pushing: bool,
    /// Whether it is being told numbers, by a list or by ranges.
    pub(crate) telling: bool,
    /// Whether all that it has is to be compared by ranges, or being so. Until then it is told and sent
    /// nothing.
    pub(crate) compare: bool,
    /// Whether it has more than could be noted: when nothing is left to be pulled the two compare again.
    pub(crate) again: bool,
    /// Whether what it said before the thread was in use is still to be read.
    pub(crate) unread: bool,
    /// Whether it said something itself since this node began to push to it or to tell it.
    pub(crate) heard: bool,
    /// Whether it takes no more of the thread. It is told what there is, and sent nothing.
    pub(crate) full: bool,
    /// When to tell it what is new here; nothing is told before there is such a time.
    pub(crate) tell_at: Option<u64>,
    /// When what it has may be pulled from it.
    pub(crate) pull_at: u64,
    pub(crate) pause: Pause,
    /// When it is to be asked how far it has got, if it said nothing for long.
    pub(crate) repair: Pause,
}

/// Raises what is known of a log.
pub(crate) fn raise(frontier: &mut Frontier, log: LogId, seq: u64) {
    let known = frontier.entry(log).or_insert(0);
    *known = (*known).max(seq);
}

pub(crate) fn raise_all(frontier: &mut Frontier, more: &Frontier) {
    more.iter()
        .for_each(|(log, seq)| raise(frontier, *log, *seq));
}

fn at(frontier: &Frontier, log: &LogId) -> u64 {
    frontier.get(log).copied().unwrap_or(0)
}

/// The place after the last. A peer may say that it is at the end of all numbers.
fn after(frontier: &Frontier, log: &LogId) -> u64 {
    at(frontier, log).saturating_add(1)
}

impl Link {
    pub(crate) fn new(claim: Claim) -> Self {
        Self {
            claim,
            theirs: Frontier::new(),
            locked: Frontier::new(),
            replied: Frontier::new(),
            told: Frontier::new(),
            unaware: BTreeSet::new(),
            shown: BTreeSet::new(),
            probes: BTreeMap::new(),
            probed: Frontier::new(),
            pushing: false,
            telling: false,
            compare: false,
            again: false,
            unread: true,
            heard: false,
            full: false,
            tell_at: None,
            pull_at: 0,
            pause: Pause::default(),
            repair: Pause::default(),
        }
    }

    /// Records came of it up to `upto`. Of those in `astray`, older ones are to be asked for; says
    /// whether older ones than so far.
    pub(crate) fn probe(&mut self, upto: &Frontier, astray: &Frontier) -> bool {
        let probes = std::mem::take(&mut self.probes);
        let mut older = false;
        for (log, seq) in astray {
            let before = self.probed.get(log).copied();
            if before.is_none_or(|before| *seq < before) {
                older = true;
                self.probed.insert(*log, *seq);
            }
            let probe = probes.get(log).map(|probe| probe.wider(*seq));
            self.probes
                .insert(*log, probe.unwrap_or_else(|| Probe::new(*seq)));
        }
        // What did not go into the page is asked for next.
        for (log, probe) in probes
            .into_iter()
            .filter(|(log, _)| !astray.contains_key(log))
        {
            let from = upto
                .get(&log)
                .map_or(probe.from, |last| last.saturating_add(1));
            if from <= probe.to {
                older |= from > probe.from;
                self.probes.insert(log, Probe { from, ..probe });
            }
        }
        older
    }

    /// Of a log of which it has as many records as this node, and another last one, it is asked for that.
    pub(crate) fn suspect(&mut self, ours: &Heads, theirs: &Heads) {
        for (log, (seq, check)) in theirs {
            let ours = ours.get(log);
            if ours.is_some_and(|(at, own)| at == seq && own != check) {
                self.probes.entry(*log).or_insert_with(|| Probe::new(*seq));
            }
        }
    }

    /// It is called: what it says until it replies is later than the reply may be.
    pub(crate) fn is_called(&mut self) {
        self.heard &= self.pushing || self.telling;
    }

    /// It said in a reply how far it has got; gives how far that is. What it has it has, and what it
    /// lost it lacks; but a reply may have been overtaken by what it said itself.
    pub(crate) fn replied(&mut self, mut heads: Frontier) -> Frontier {
        if self.heard {
            heads
                .iter_mut()
                .for_each(|(log, seq)| *seq = (*seq).max(at(&self.theirs, log)));
        }
        self.make_room(&mut heads);
        self.theirs.extend(&heads);
        raise_all(&mut self.replied, &heads);
        heads
    }

    /// It said itself how far it has got.
    pub(crate) fn says(&mut self, mut heads: Frontier) {
        self.heard = true;
        self.make_room(&mut heads);
        raise_all(&mut self.theirs, &heads);
    }

    /// It said all that it has, when it was shown a digest of what is here. That told it nothing of any
    /// log: it is told of all of them, also of those that both have alike. What this node wrote, and told it
    /// before, it pulls.
    pub(crate) fn compares(&mut self, theirs: Frontier, own: &BTreeSet<LogId>) {
        let unread = std::mem::take(&mut self.unread);
        let pulls =
            |log: &LogId, told: u64| (unread || own.contains(log)) && at(&theirs, log) < told;
        self.told.retain(|log, told| pulls(log, *told));
        (self.theirs, self.again) = (theirs, false);
    }

    /// It knows that this is here.
    pub(crate) fn has_been_told(&mut self, heads: &Frontier) {
        raise_all(&mut self.told, heads);
    }

    /// It takes more of the thread again. What it was told of meanwhile it did not take note of.
    pub(crate) fn has_room(&mut self) {
        if std::mem::take(&mut self.full) {
            let theirs = &self.theirs;
            let told = self.told.iter_mut();
            told.for_each(|(log, seq)| *seq = (*seq).min(at(theirs, log)));
        }
    }

    /// What is here is bounded; what it says of other logs is not. What there is no room for is heard of
    /// when the rest is level.
    fn make_room(&mut self, heads: &mut Frontier) {
        let strangers = self
            .theirs
            .keys()
            .filter(|log| !self.told.contains_key(log));
        let mut room = HEADS_MAX.saturating_sub(strangers.count());
        let (told, theirs, before) = (&self.told, &self.theirs, heads.len());
        heads.retain(|log, _| {
            let known = told.contains_key(log) || theirs.contains_key(log);
            let fits = known || room > 0;
            room -= usize::from(fits && !known);
            fits
        });
        self.again |= heads.len() < before;
    }

    /// What is known of it from before the thread was in use.
    pub(crate) fn read(
        &mut self,
        acked: Option<&Frontier>,
        told: impl FnOnce(&Frontier) -> Frontier,
    ) {
        if std::mem::take(&mut self.unread) {
            for (log, seq) in acked.into_iter().flatten() {
                self.theirs.entry(*log).or_insert(*seq);
            }
            let told = told(&self.theirs);
            self.has_been_told(&told);
        }
    }
}

impl Active {
    /// Has the store say anew how it stands.
    pub(crate) fn reload(&mut self) {
        self.loaded = false;
        self.outdated = self.loading;
    }

    /// Puts an end to lines that were forked, here and in what peers said.
    pub(crate) fn cut(&mut self) {
        for (peer, astray) in std::mem::take(&mut self.astray) {
            if let Some(link) = self.links.get_mut(&peer) {
                link.probe(&Frontier::new(), &astray);
            }
        }
        if self.cuts.is_empty() {
            return;
        }
        line::clamp(&self.cuts, &mut self.heads);
        for link in self.links.values_mut() {
            let beyond =
                |(log, cut): (&LogId, &Cut)| (at(&link.theirs, log) > cut.end).then_some(*log);
            let beyond: Vec<_> = self.cuts.iter().filter_map(beyond).collect();
            let shown = &link.shown;
            link.unaware
                .extend(beyond.iter().filter(|log| !shown.contains(*log)));
            for known in [&mut link.theirs, &mut link.told, &mut link.replied] {
                line::clamp(&self.cuts, known);
            }
            link.probes.retain(|log, _| !self.cuts.contains_key(log));
        }
    }

    /// A peer sent records up to `upto` of which no keys here open some: what it has of those logs is not
    /// asked for until keys come, or it says more of itself.
    pub(crate) fn lock(&mut self, peer: &PeerId, upto: &Frontier) {
        let Some(link) = self.links.get_mut(peer) else {
            return;
        };
        for (log, seq) in upto {
            let here = at(&self.heads, log);
            if here < *seq {
                let said = at(&link.theirs, log).max(*seq);
                link.locked.insert(*log, said);
                link.theirs.insert(*log, here);
            }
        }
    }

    /// What keys may open that came is asked for again. Work may end after such that began later, so what
    /// is told is not only more than before: it is asked for once too often then.
    pub(crate) fn unlock(&mut self, keys: u64) {
        if std::mem::replace(&mut self.keys, keys) == keys {
            return;
        }
        for link in self.links.values_mut() {
            let locked = std::mem::take(&mut link.locked);
            raise_all(&mut link.theirs, &locked);
        }
    }

    /// Lines got further here.
    pub(crate) fn advance(&mut self, heads: &Heads, cuts: Cuts) {
        self.cuts.extend(cuts);
        self.cut();
        if self.loading {
            self.came.extend(heads);
        }
        for (log, (seq, check)) in heads {
            raise(&mut self.heads, *log, *seq);
            if at(&self.heads, log) == *seq {
                self.checks.insert(*log, *check);
            }
        }
    }

    /// Lines as the store has them.
    pub(crate) fn reloaded(&mut self, heads: &Heads, cuts: Cuts) {
        self.heads.clear();
        self.checks.clear();
        self.advance(heads, cuts);
        let came = std::mem::take(&mut self.came);
        self.advance(&came, Cuts::new());
    }

    /// The heads of lines, to be told.
    pub(crate) fn named(&self, lines: &Frontier) -> Heads {
        let lines = lines.iter();
        let named = |(log, seq): (&LogId, &u64)| Some((*log, (*seq, *self.checks.get(log)?)));
        lines.filter_map(named).collect()
    }

    /// A peer said how far it has got. Of a log of which it has as many records as this node, and another
    /// last one, it is asked for that. Gives how far they agree.
    pub(crate) fn suspect(&mut self, peer: &PeerId, theirs: &Heads) -> Frontier {
        let ours = self.named(&self.heads);
        if let Some(link) = self.links.get_mut(peer) {
            link.suspect(&ours, theirs);
        }
        agreed(&ours, theirs)
    }

    /// What shows a peer that logs were forked: the first records of two branches of each.
    pub(crate) fn proofs(&self, link: &Link) -> Vec<Range> {
        let cuts = link.unaware.iter().filter_map(|log| self.cuts.get(log));
        let firsts = cuts.flat_map(|cut| {
            let (from, to) = (cut.end + 1, cut.end + 1);
            let branches = cut.branches.iter().take(2);
            branches.map(move |log| Range {
                log: *log,
                from,
                to,
            })
        });
        firsts.take(RANGES_MAX).collect()
    }

    /// Whether a peer lacks so much that it pulls, as far as it said.
    fn is_behind(&self, link: &Link) -> bool {
        let lacks = |(log, seq): (&LogId, &u64)| seq.saturating_sub(at(&link.theirs, log));
        let all = self.heads.iter().map(lacks);
        all.fold(0, u64::saturating_add) > PUSH_RECORDS_MAX
    }

    /// What this node wrote and the peer lacks, unless the peer pulls. What it was told of it pulls: what
    /// came after that waits, for it would not follow what the peer has.
    pub(crate) fn to_push(&self, link: &Link) -> Vec<Range> {
        let proofs = self.proofs(link);
        if link.full || link.compare || self.is_behind(link) {
            return proofs;
        }
        let pulls = |log: &&LogId| at(&link.told, log) > at(&link.theirs, log);
        let untold = self.own.iter().filter(|log| !pulls(log));
        let ranges = untold.filter_map(|log| {
            let range = Range {
                log: *log,
                from: after(&link.theirs, log),
                to: at(&self.heads, log),
            };
            (range.from <= range.to).then_some(range)
        });
        proofs.into_iter().chain(ranges).take(RANGES_MAX).collect()
    }

    /// A peer was told numbers, or sent records up to them. What this node wrote, and the peer holds back, it
    /// is sent again.
    pub(crate) fn has_been_sent(&mut self, peer: &PeerId, sent: Sent, upto: &Frontier) {
        let Some(link) = self.links.get_mut(peer) else {
            return;
        };
        for (log, seq) in upto {
            let took = at(&link.theirs, log) >= *seq;
            if took || sent == Sent::Numbers || !self.own.contains(log) {
                raise(&mut link.told, *log, *seq);
            }
        }
    }

    /// What the peer has not been told of and will not be pushed. While a push is under way it is not
    /// known how much is left for the next one.
    pub(crate) fn to_tell(&self, link: &Link) -> Frontier {
        let pushes = link.pushing || !self.is_behind(link);
        let news = self.heads.iter().filter(|(log, seq)| {
            let lacks = at(&link.theirs, log) < **seq;
            let pushed = self.own.contains(*log) && lacks && pushes && !link.full;
            at(&link.told, log) < **seq && !pushed
        });
        news.take(HEADS_MAX)
            .map(|(log, seq)| (*log, *seq))
            .collect()
    }

    /// What the peer was told of or sent, and did not say that it has. What it said may have been lost,
    /// or overtaken by what it said before.
    pub(crate) fn to_repair(&self, link: &Link) -> Frontier {
        let lags = self
            .heads
            .iter()
            .filter(|(log, seq)| at(&link.theirs, log) < **seq);
        lags.take(HEADS_MAX)
            .map(|(log, seq)| (*log, *seq))
            .collect()
    }

    /// What the peer has and this node lacks, but for what is on its way.
    pub(crate) fn to_pull(&self, link: &Link) -> Vec<Range> {
        if self.full {
            return Vec::new();
        }
        if !link.probes.is_empty() {
            let ranges = link.probes.iter().map(|(log, probe)| Range {
                log: *log,
                from: probe.from,
                to: probe.to,
            });
            return ranges.take(RANGES_MAX).collect();
        }
        let on_its_way = |log| self.pull.as_ref().map_or(0, |pull| at(&pull.upto, log));
        let lacks = link.theirs.iter().filter_map(|(log, seq)| {
            let from = at(&self.heads, log).max(on_its_way(log)).saturating_add(1);
            (from <= *seq).then_some(Range {
                log: *log,
                from,
                to: *seq,
            })
        });
        lacks.take(RANGES_MAX).collect()
    }

    /// How many records the peer has that this node lacks, and those to ask for to find a fork.
    pub(crate) fn lacking(&self, link: &Link) -> u64 {
        if self.full {
            return 0;
        }
        let lacks = |(log, seq): (&LogId, &u64)| seq.saturating_sub(at(&self.heads, log));
        let probes = link.probes.len() as u64;
        link.theirs
            .iter()
            .map(lacks)
            .fold(probes, u64::saturating_add)
    }

    /// Whether nothing is under way and nothing left to be done with any connected peer.
    pub(crate) fn is_idle(&self) -> bool {
        let idle = |link: &Link| {
            !link.pushing
                && link.locked.is_empty()
                && !link.telling
                && !link.compare
                && !link.again
                && self.to_push(link).is_empty()
                && self.to_tell(link).is_empty()
                && self.to_repair(link).is_empty()
                && self.lacking(link) == 0
        };
        self.loaded && !self.loading && self.pull.is_none() && self.links.values().all(idle)
    }
}

#[cfg(test)]
mod tests {
    use threads_core::ReplicaKey;

    use super::*;

    fn log(n: u8) -> LogId {
        LogId::from_key_bytes([n; 32])
    }

    fn link() -> Link {
        let (ann, bob) = ([1; 32], [2; 32]);
        let (ann, bob) = (PeerId::from_key_bytes(ann), PeerId::from_key_bytes(bob));
        Link::new(Claim::new(&ReplicaKey::from_bytes(&[7; 32]), &ann, &bob))
    }

    fn active(mine: u64, others: u64) -> Active {
        Active {
            own: [log(1)].into(),
            heads: [(log(1), mine), (log(2), others)].into(),
            ..Active::default()
        }
    }

    #[test]
    fn a_peer_that_lacks_much_in_all_is_told_and_not_pushed_to() {
        let (link, little) = (link(), active(1, PUSH_RECORDS_MAX - 1));
        assert_eq!(little.to_push(&link).len(), 1);
        assert_eq!(little.to_tell(&link).len(), 1, "what others wrote");
        let much = active(1, PUSH_RECORDS_MAX);
        assert!(much.to_push(&link).is_empty());
        assert_eq!(much.to_tell(&link), much.heads);
    }

    #[test]
    fn what_a_push_under_way_leaves_is_not_told() {
        let active = active(PUSH_RECORDS_MAX, 1);
        let mut link = link();
        link.pushing = true;
        assert_eq!(active.to_tell(&link), [(log(2), 1)].into());
        link.theirs.insert(log(1), PUSH_RECORDS_MAX - 1);
        assert_eq!(active.to_push(&link).len(), 1);
    }

    #[test]
    fn what_is_here_has_room_in_what_a_peer_has_and_strangers_have_a_bound() {
        let numbered = |n: u32| {
            let mut id = [0; 32];
            id[..4].copy_from_slice(&n.to_be_bytes());
            (LogId::from_key_bytes(id), 1)
        };
        let mut link = link();
        link.has_been_told(&(0..20_000).map(numbered).collect());
        link.says((0..20_000).map(numbered).collect());
        assert_eq!((link.theirs.len(), link.again), (20_000, false));
        link.says((20_000..20_010).map(numbered).collect());
        assert_eq!((link.theirs.len(), link.again), (20_010, false));
        link.replied((30_000..60_000).map(numbered).collect());
        assert_eq!((link.theirs.len(), link.again), (20_000 + HEADS_MAX, true));
    }
}
