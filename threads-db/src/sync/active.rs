//! A thread that has something to send or to get. Threads that have not are not in memory.

use std::collections::{BTreeMap, BTreeSet};

use threads_core::{LogId, PeerId};

use super::limits::PUSH_RECORDS_MAX;
use super::pause::Pause;
use super::wire::{Claim, Frontier, RANGES_MAX, Range};

/// What is known of a thread while it is in use.
#[derive(Debug, Default)]
pub(crate) struct Active {
    /// How far its logs have got here, on disk; empty until `loaded`.
    pub(crate) heads: Frontier,
    /// The logs that this node writes.
    pub(crate) own: BTreeSet<LogId>,
    pub(crate) loaded: bool,
    /// Whether the store is being asked how it stands.
    pub(crate) loading: bool,
    /// Whether something changed since the store was asked, so that the answer may be old.
    pub(crate) outdated: bool,
    /// Logs that moved while it was not loaded.
    pub(crate) moved: BTreeSet<LogId>,
    /// With each connected peer that shares it.
    pub(crate) links: BTreeMap<PeerId, Link>,
    pub(crate) pull: Option<Pull>,
}

/// What is known of a thread and one peer.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) claim: Claim,
    /// How far the peer said that it has got, on its disk.
    pub(crate) theirs: Frontier,
    /// What of that it said in replies, since the thread is in use.
    pub(crate) replied: Frontier,
    /// How far this node said that it has got.
    pub(crate) told: Frontier,
    pub(crate) pushing: bool,
    pub(crate) telling: bool,
    /// Whether it said something itself since this node began to push to it or to tell it.
    pub(crate) heard: bool,
    /// When to tell it what is new here; nothing is told before there is such a time.
    pub(crate) tell_at: Option<u64>,
    /// When what it has may be pulled from it.
    pub(crate) pull_at: u64,
    pub(crate) pause: Pause,
}

/// A pull that is under way: from one peer at a time.
#[derive(Debug)]
pub(crate) struct Pull {
    pub(crate) from: PeerId,
    pub(crate) calling: bool,
    /// How many pages are being stored.
    pub(crate) storing: usize,
    /// How far the pages that came so far reach.
    pub(crate) upto: Frontier,
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
            replied: Frontier::new(),
            told: Frontier::new(),
            pushing: false,
            telling: false,
            heard: false,
            tell_at: None,
            pull_at: 0,
            pause: Pause::default(),
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
        self.theirs.extend(&heads);
        raise_all(&mut self.replied, &heads);
        heads
    }
}

impl Active {
    /// Has the store say anew how it stands.
    pub(crate) fn reload(&mut self) {
        self.loaded = false;
        self.outdated = self.loading;
    }

    /// What this node wrote and the peer lacks, if it is little enough to be pushed.
    pub(crate) fn to_push(&self, link: &Link) -> Vec<Range> {
        let ranges = self.own.iter().filter_map(|log| {
            let range = Range {
                log: *log,
                from: after(&link.theirs, log),
                to: at(&self.heads, log),
            };
            (range.from <= range.to && is_little(&range)).then_some(range)
        });
        ranges.take(RANGES_MAX).collect()
    }

    /// What the peer has not been told of and will not be pushed.
    pub(crate) fn to_tell(&self, link: &Link) -> Frontier {
        let news = self.heads.iter().filter(|(log, seq)| {
            let gap = Range {
                log: **log,
                from: after(&link.theirs, log),
                to: **seq,
            };
            let lacks = gap.from <= gap.to;
            let pushed = self.own.contains(*log) && lacks && is_little(&gap);
            at(&link.told, log) < **seq && !pushed
        });
        news.map(|(log, seq)| (*log, *seq)).collect()
    }

    /// What the peer has and this node lacks, but for what is on its way.
    pub(crate) fn to_pull(&self, link: &Link) -> Vec<Range> {
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

    /// How many records the peer has that this node lacks.
    pub(crate) fn lacking(&self, link: &Link) -> u64 {
        let lacks = |(log, seq): (&LogId, &u64)| seq.saturating_sub(at(&self.heads, log));
        link.theirs.iter().map(lacks).fold(0, u64::saturating_add)
    }

    /// Whether nothing is under way and nothing left to be done with any connected peer.
    pub(crate) fn is_idle(&self) -> bool {
        let idle = |link: &Link| {
            !link.pushing
                && !link.telling
                && self.to_push(link).is_empty()
                && self.to_tell(link).is_empty()
                && self.lacking(link) == 0
        };
        self.loaded && !self.loading && self.pull.is_none() && self.links.values().all(idle)
    }
}

fn is_little(range: &Range) -> bool {
    range.to - range.from < PUSH_RECORDS_MAX
}
