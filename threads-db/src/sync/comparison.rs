//! Comparing the heads of a thread of many lines with a peer's: the side that asks.
//!
//! It asks about all lines at first, then about the parts that differ, until the peer lists what it has there.
//! Then it tells the peer: of stretches that both have alike a digest, of others what it has. So in the end
//! each knows what the other has. Nothing of it is kept: who is interrupted begins again.

use std::collections::{BTreeMap, VecDeque};

use threads_core::{LogId, PeerId, Result};

use super::ranges::{
    Edge, Found, PARTS, PARTS_MAX, SPANS_MAX, Said, Span, check_listed, check_parts, digest,
    malformed, within,
};
use super::wire::{Check, Frontier, HEADS_MAX, Head, Heads};
use crate::layout::Number;

/// At how many lines that are not here it stops: what more there is is found when these are here.
const STRANGERS_MAX: usize = HEADS_MAX;
/// The most ranges that one request asks about: as many as a reply can split.
const ASKED_MAX: usize = PARTS_MAX / PARTS;
/// The most ranges that are to be asked about. Those at the end are left for another time.
const TODO_MAX: usize = 32_768;
/// The most requests of one comparison. What is left then is left for another time.
const REQUESTS_MAX: u32 = 256;
/// How often a range is split: more often than it takes with any number of lines.
const LEVELS_MAX: u8 = 16;
/// The most lines that are listed for one range.
const RUN_MAX: usize = 1_024;

/// The lines from one edge up to another.
#[derive(Clone, Debug)]
struct Reach {
    from: Edge,
    upto: Edge,
    /// How often a range was split to get it.
    level: u8,
    /// Whether the peer was told what is here.
    told: bool,
}

/// What is being compared by ranges: one thread at a time with each peer.
pub(crate) type Comparing = BTreeMap<PeerId, (Number, Comparison)>;

/// A comparison that is under way.
#[derive(Debug)]
pub(crate) struct Comparison {
    /// What was here when it began.
    ours: Vec<Head>,
    /// Lines of which the peer has another head, or none.
    others: BTreeMap<LogId, Option<(u64, Check)>>,
    /// How many of them are not here.
    strangers: usize,
    /// Ranges to be asked about, ascending.
    todo: VecDeque<Reach>,
    /// What the peer has there is known, and what is here is to be told: where each such stretch begins and
    /// ends.
    settled: BTreeMap<Edge, Edge>,
    /// What the request that is under way is about.
    asked: Vec<Reach>,
    requests: u32,
    /// Where what is left for another time begins.
    end: Edge,
}

/// What came of a comparison.
#[derive(Debug, PartialEq)]
pub(crate) struct Learned {
    /// What the peer has. 0 is none.
    pub(crate) theirs: Heads,
    /// What it was told is here.
    pub(crate) told: Frontier,
    /// Whether that is all.
    pub(crate) whole: bool,
}

/// What is said in one request.
#[derive(Default)]
struct Telling {
    spans: Vec<Span>,
    listed: usize,
}

impl Telling {
    fn say(&mut self, from: &Edge, upto: &Edge, said: Said) {
        let last = self.spans.last().map(|(upto, _)| upto);
        if last.map_or(*from != Edge::begin(), |last| last != from) {
            self.spans.push((from.clone(), Said::Skip));
        }
        if let Said::Each(listed, _) = &said {
            self.listed += listed.len();
        }
        self.spans.push((upto.clone(), said));
    }

    /// Whether one more range may be too much.
    fn is_full(&self) -> bool {
        self.spans.len() + 2 > SPANS_MAX || self.listed + RUN_MAX > HEADS_MAX
    }
}

impl Comparison {
    /// One of these heads, which ascend, with a peer's that are not known.
    pub(crate) fn new(ours: Vec<Head>) -> Self {
        let all = Reach {
            from: Edge::begin(),
            upto: Edge::end(),
            level: 0,
            told: false,
        };
        Self {
            ours,
            others: BTreeMap::new(),
            strangers: 0,
            todo: [all].into(),
            settled: BTreeMap::new(),
            asked: Vec::new(),
            requests: 0,
            end: Edge::end(),
        }
    }

    /// What to ask next; `None` when it is over.
    pub(crate) fn next(&mut self) -> Option<Vec<Span>> {
        if self.strangers >= STRANGERS_MAX && !self.todo.is_empty() {
            self.leave_from(0);
        }
        if self.requests >= REQUESTS_MAX || self.todo.is_empty() && self.settled.is_empty() {
            return None;
        }
        self.requests += 1;
        let mut telling = Telling::default();
        if self.todo.is_empty() {
            self.tell(&mut telling);
            return Some(telling.spans);
        }
        let asked = self.todo.drain(..self.todo.len().min(ASKED_MAX));
        self.asked = asked.collect();
        for Reach { from, upto, .. } in &self.asked {
            telling.say(
                from,
                upto,
                Said::All(digest(within(&self.ours, from, upto))),
            );
        }
        Some(telling.spans)
    }

    /// Tells what is here, as much as goes into a request.
    fn tell(&mut self, telling: &mut Telling) {
        while !telling.is_full()
            && let Some((mut from, upto)) = self.settled.pop_first()
        {
            for (upto, said) in self.runs(&from, &upto) {
                if telling.is_full() {
                    break;
                }
                telling.say(&from, &upto, said);
                self.asked.push(Reach {
                    from: std::mem::replace(&mut from, upto.clone()),
                    upto,
                    level: 0,
                    told: true,
                });
            }
            if from < upto {
                self.settled.insert(from, upto);
            }
        }
    }

    /// A stretch as ranges of lines that both have alike and ranges of others.
    fn runs(&self, from: &Edge, upto: &Edge) -> Vec<Span> {
        let ours = within(&self.ours, from, upto).iter().map(|head| head.0);
        let mut lines: Vec<(LogId, bool)> = ours
            .filter(|line| !self.others.contains_key(line))
            .map(|line| (line, false))
            .chain(self.others_in(from, upto).map(|(line, _)| (*line, true)))
            .collect();
        lines.sort_unstable();
        let mut runs = Vec::new();
        let alike = lines.chunk_by(|a, b| a.1 == b.1);
        let mut chunks = alike
            .flat_map(|run| run.chunks(if run[0].1 { RUN_MAX } else { run.len() }))
            .peekable();
        let mut from = from.clone();
        while let Some(chunk) = chunks.next() {
            let after = chunks.peek().map(|next| next[0].0);
            // Chunks of a slice are not empty.
            let last = chunk[chunk.len() - 1].0;
            let upto = after.map_or_else(|| upto.clone(), |after| Edge::between(&last, &after));
            let ours = within(&self.ours, &from, &upto);
            let said = match chunk[0].1 {
                false => Said::All(digest(ours)),
                true => Said::Each(ours.to_vec(), digest(&self.others_listed(&from, &upto))),
            };
            runs.push((upto.clone(), said));
            from = upto;
        }
        if runs.is_empty() {
            runs.push((upto.clone(), Said::All(digest(&[]))));
        }
        runs
    }

    fn others_in(
        &self,
        from: &Edge,
        upto: &Edge,
    ) -> impl Iterator<Item = (&LogId, &Option<(u64, Check)>)> {
        let others = self.others.range(from.first()..);
        others.take_while(|(line, _)| upto.is_after(line))
    }

    /// What the peer has of them in a range.
    fn others_listed(&self, from: &Edge, upto: &Edge) -> Vec<Head> {
        let listed = self.others_in(from, upto);
        let head = |(line, head): (&LogId, &Option<(u64, Check)>)| {
            head.map(|(seq, check)| (*line, seq, check))
        };
        listed.filter_map(head).collect()
    }

    /// Takes in what the peer answered.
    ///
    /// # Errors
    /// `Rejected` when it does not fit what was asked, or leads nowhere.
    pub(crate) fn answered(&mut self, found: Vec<Found>) -> Result<()> {
        let asked = std::mem::take(&mut self.asked);
        if found.len() != asked.len() {
            return Err(malformed("not as many ranges as asked about"));
        }
        if found.iter().all(|found| *found == Found::Later) {
            return Err(malformed("no answer about any range"));
        }
        let mut todo = Vec::new();
        for (reach, found) in asked.into_iter().zip(found) {
            self.found(reach, found, &mut todo)?;
        }
        for reach in todo.into_iter().rev() {
            self.todo.push_front(reach);
        }
        if self.todo.len() > TODO_MAX {
            self.leave_from(TODO_MAX);
        }
        Ok(())
    }

    fn found(&mut self, reach: Reach, found: Found, todo: &mut Vec<Reach>) -> Result<()> {
        let Reach { from, upto, .. } = &reach;
        match found {
            Found::Same if reach.told => {}
            // Each has learned it by the other's digest.
            Found::Same => self.learn(&reach, None),
            Found::Later => todo.push(Reach {
                told: false,
                ..reach
            }),
            Found::Each(heads) => {
                check_listed(&heads, from, upto)?;
                self.learn(&reach, Some(&heads));
                self.settle(reach.from, reach.upto);
            }
            Found::Parts(parts) => {
                check_parts(&parts, from, upto)?;
                if reach.level >= LEVELS_MAX {
                    return Err(malformed("a range is split again and again"));
                }
                let mut from = reach.from;
                for (upto, theirs) in parts {
                    let part = Reach {
                        from: std::mem::replace(&mut from, upto.clone()),
                        upto,
                        level: reach.level + 1,
                        told: false,
                    };
                    if digest(within(&self.ours, &part.from, &part.upto)) == theirs {
                        self.learn(&part, None);
                        self.settle(part.from, part.upto);
                    } else {
                        todo.push(part);
                    }
                }
            }
        }
        Ok(())
    }

    /// Notes what the peer has in a range; `None` is what is here.
    fn learn(&mut self, reach: &Reach, theirs: Option<&[Head]>) {
        let ours = within(&self.ours, &reach.from, &reach.upto);
        let gone = self.others_in(&reach.from, &reach.upto);
        let gone: Vec<_> = gone.map(|(line, _)| *line).collect();
        for line in gone {
            self.others.remove(&line);
            self.strangers -= usize::from(ours.binary_search_by_key(&line, |own| own.0).is_err());
        }
        let Some(theirs) = theirs else { return };
        let lacks = ours
            .iter()
            .filter(|own| theirs.binary_search_by_key(&own.0, |head| head.0).is_err());
        self.others.extend(lacks.map(|own| (own.0, None)));
        for (line, seq, check) in theirs {
            let own = ours
                .binary_search_by_key(line, |own| own.0)
                .ok()
                .map(|at| &ours[at]);
            if own != Some(&(*line, *seq, *check)) {
                self.strangers += usize::from(own.is_none());
                self.others.insert(*line, Some((*seq, *check)));
            }
        }
    }

    /// What the peer has in a stretch is known, and what is here to be told.
    fn settle(&mut self, from: Edge, upto: Edge) {
        let upto = self.settled.remove(&upto).unwrap_or(upto);
        match self.settled.range_mut(..&from).next_back() {
            Some((_, end)) if *end == from => *end = upto,
            _ => _ = self.settled.insert(from, upto),
        }
    }

    /// Leaves ranges to be asked about for another time.
    fn leave_from(&mut self, index: usize) {
        if let Some(first) = self.todo.get(index) {
            self.end = first.from.clone().min(self.end.clone());
            self.todo.truncate(index);
        }
    }

    /// What came of it.
    pub(crate) fn learned(mut self) -> Learned {
        self.leave_from(0);
        let untold = self.settled.keys().next();
        let told_upto = untold.unwrap_or(&self.end).min(&self.end);
        let (begin, mut theirs) = (Edge::begin(), Heads::new());
        for (line, seq, check) in within(&self.ours, &begin, &self.end) {
            theirs.insert(*line, (*seq, *check));
        }
        for (line, head) in self.others_in(&begin, &self.end) {
            theirs.insert(*line, head.unwrap_or_default());
        }
        let told = within(&self.ours, &begin, told_upto);
        Learned {
            told: told.iter().map(|(line, seq, _)| (*line, *seq)).collect(),
            theirs,
            whole: told_upto.is_end(),
        }
    }
}

#[cfg(test)]
mod tests;
