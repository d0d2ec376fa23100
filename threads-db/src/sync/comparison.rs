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
mod tests {
    use std::ops::Range;

    use proptest::prelude::*;
    use serde_bytes::ByteArray;
    use threads_core::ReplicaKey;
    use threads_core::block::sha256;

    use super::super::ranges::{Edge, answer, check_spans};
    use super::super::wire::{Answer, Ask, Claim, heads, numbers};
    use super::*;

    fn line(n: u64) -> LogId {
        LogId::from_key_bytes(sha256(&n.to_be_bytes()))
    }

    fn head(n: u64, seq: u64) -> (LogId, (u64, Check)) {
        (line(n), (seq, ByteArray::new(seq.to_be_bytes())))
    }

    fn lines(lines: Range<u64>) -> Heads {
        lines.map(|n| head(n, 1)).collect()
    }

    fn listed(heads: &Heads) -> Vec<Head> {
        super::super::wire::list(heads)
    }

    fn claim() -> Claim {
        let [ann, bob] = [1, 2].map(|n| PeerId::from_key_bytes([n; 32]));
        Claim::new(&ReplicaKey::from_bytes(&[7; 32]), &ann, &bob)
    }

    /// What a peer that is asked knows of the other in the end.
    #[derive(Default)]
    struct Asked {
        theirs: Heads,
        /// Whether it knows of every range that the other knows what is there.
        level: BTreeMap<Edge, bool>,
    }

    impl Asked {
        fn answers(&mut self, ours: &Heads, spans: &[Span]) -> Vec<Found> {
            let ours = listed(ours);
            let (found, met) = answer(&ours, spans);
            for met in met {
                let said = match met.said {
                    Said::Each(listed, _) => listed,
                    Said::All(_) if met.level => met.ours,
                    _ => continue,
                };
                let (from, upto) = (&met.from, &met.upto);
                self.theirs
                    .retain(|line, _| from.is_after(line) || !upto.is_after(line));
                self.theirs.extend(heads(said).unwrap());
                self.level.insert(met.from, met.level);
            }
            found
        }
    }

    struct Run {
        learned: Learned,
        asked: Asked,
        requests: u64,
        bytes: u64,
    }

    /// Compares until it is over, by frames.
    fn run(ours: &Heads, theirs: &Heads) -> Run {
        let (mut comparison, mut asked) = (Comparison::new(listed(ours)), Asked::default());
        let (mut requests, mut bytes) = (0, 0);
        while let Some(spans) = comparison.next() {
            let ask = Ask::Ranges(claim(), spans).encode().unwrap();
            let Ask::Ranges(_, spans) = Ask::decode(&ask).unwrap() else {
                panic!("another frame");
            };
            let found = Answer::Ranges(asked.answers(theirs, &spans))
                .encode()
                .unwrap();
            requests += 1;
            bytes += (ask.len() + found.len()) as u64;
            let Answer::Ranges(found) = Answer::decode(&found).unwrap() else {
                panic!("another frame");
            };
            comparison.answered(found).unwrap();
        }
        Run {
            learned: comparison.learned(),
            asked,
            requests,
            bytes,
        }
    }

    fn known(learned: &Learned) -> Heads {
        let known = learned.theirs.iter().filter(|(_, (seq, _))| *seq > 0);
        known.map(|(line, head)| (*line, *head)).collect()
    }

    fn assert_same(known: &Heads, heads: &Heads) {
        let missing = heads
            .iter()
            .find(|(line, head)| known.get(line) != Some(head));
        assert!(missing.is_none(), "not known: {missing:?}");
        assert_eq!(known.len(), heads.len());
    }

    /// That each knows exactly what the other has; gives what it cost.
    fn compare(ours: &Heads, theirs: &Heads) -> Run {
        let run = run(ours, theirs);
        assert!(run.learned.whole);
        assert_same(&known(&run.learned), theirs);
        assert!(run.learned.told == numbers(ours));
        assert_same(&run.asked.theirs, ours);
        assert!(run.asked.level.values().all(|level| *level));
        run
    }

    /// How often `count` can be split.
    fn levels(count: usize) -> u64 {
        let (mut levels, mut rest) = (0, count);
        while rest > 0 {
            (levels, rest) = (levels + 1, rest / PARTS);
        }
        levels
    }

    /// The most requests that `lines` lines cost of which `differ` differ.
    fn requests_max(lines: usize, differ: usize) -> u64 {
        levels(lines) + 2 + differ as u64 / 256
    }

    /// The most bytes.
    fn bytes_max(lines: usize, differ: usize) -> u64 {
        256 + 640 * (levels(lines) + 1) * (differ as u64 + 1)
    }

    fn assert_cheap(run: &Run, lines: usize, differ: usize) {
        let (requests, bytes) = (requests_max(lines, differ), bytes_max(lines, differ));
        assert!(
            run.requests <= requests,
            "{} requests, {requests} allowed",
            run.requests
        );
        assert!(run.bytes <= bytes, "{} bytes, {bytes} allowed", run.bytes);
    }

    #[test]
    fn ten_of_ten_thousand_lines_cost_a_hundredth_of_all() {
        let ours = lines(0..10_000);
        let mut theirs = ours.clone();
        theirs.extend((0..10).map(|n| head(n * 997, 2)));
        let run = compare(&ours, &theirs);
        let lists = 2 * Answer::Have(listed(&ours)).encode().unwrap().len() as u64;
        // As docs/benchmarks.md has it.
        assert_eq!((run.bytes, run.requests, lists), (9_825, 5, 900_018));
        assert_cheap(&run, 10_000, 10);
    }

    #[test]
    fn as_many_lines_as_are_listed_cost_a_fraction_by_ranges() {
        let ours = lines(0..super::super::ranges::LISTED_MAX as u64);
        let mut theirs = ours.clone();
        theirs.extend((0..10).map(|n| head(n * 25, 2)));
        let run = compare(&ours, &theirs);
        let lists = 2 * Answer::Have(listed(&ours)).encode().unwrap().len() as u64;
        assert_eq!((run.bytes, run.requests, lists), (6_182, 3, 23_058));
    }

    #[test]
    fn twenty_thousand_lines_of_one_side_and_none_of_the_other() {
        let (many, none) = (lines(0..20_000), Heads::new());
        let list = Answer::Have(listed(&many)).encode().unwrap().len() as u64;
        let asked = compare(&none, &many);
        assert!(
            asked.bytes < list + 5_000,
            "{} bytes; a list {list}",
            asked.bytes
        );
        // Who has them asks who has none.
        let told = compare(&many, &none);
        assert!(
            told.bytes < list + 1_000,
            "{} bytes; a list {list}",
            told.bytes
        );
    }

    #[test]
    fn what_would_be_too_much_at_once_is_left_for_another_time() {
        let many = lines(0..50_000);
        let first = run(&Heads::new(), &many).learned;
        assert!(!first.whole);
        let known = known(&first);
        assert!(
            (HEADS_MAX..2 * HEADS_MAX).contains(&known.len()),
            "{}",
            known.len()
        );
        assert!(
            known
                .iter()
                .all(|(line, head)| many.get(line) == Some(head))
        );
        let second = run(&known, &many).learned;
        assert!(second.theirs.len() >= known.len() + HEADS_MAX);
    }

    #[test]
    fn lines_that_all_moved_are_told_in_several_requests() {
        let ours = lines(0..20_000);
        let theirs: Heads = (0..20_000).map(|n| head(n, 2)).collect();
        let run = compare(&ours, &theirs);
        assert_cheap(&run, 20_000, 20_000);
    }

    #[test]
    fn who_is_asked_may_move_meanwhile() {
        let ours = lines(0..5_000);
        let mut theirs = lines(100..5_100);
        let (mut comparison, mut asked) = (Comparison::new(listed(&ours)), Asked::default());
        let mut requests = 0;
        while let Some(spans) = comparison.next() {
            comparison.answered(asked.answers(&theirs, &spans)).unwrap();
            requests += 1;
            // What moves once all is told it tells of itself.
            if requests < 4 {
                theirs.extend([head(requests * 500, 7), head(10_000 + requests, 1)]);
            }
        }
        let learned = comparison.learned();
        assert!(learned.whole && requests < 32, "{requests} requests");
        assert_same(&known(&learned), &theirs);
        assert_same(&asked.theirs, &ours);
    }

    /// Answers that never come to an end.
    fn parts_for_ever(spans: &[Span]) -> Vec<Found> {
        let mut from = Edge::begin().first();
        let mut found = Vec::new();
        for (upto, said) in spans {
            let first = std::mem::replace(&mut from, upto.first());
            let mut half = *first.key_bytes();
            let at = half
                .iter()
                .rposition(|byte| *byte != 0)
                .map_or(0, |at| at + 1);
            half[at.min(31)] = 1;
            let middle = Edge::between(&first, &LogId::from_key_bytes(half));
            if *said != Said::Skip {
                let other = ByteArray::new([9; 16]);
                found.push(Found::Parts(vec![(middle, other), (upto.clone(), other)]));
            }
        }
        found
    }

    #[test]
    fn a_peer_that_never_comes_to_an_end_is_given_up_on() {
        let mut comparison = Comparison::new(listed(&lines(0..1_000)));
        let mut requests = 0;
        let refused = loop {
            let spans = comparison.next().unwrap();
            requests += 1;
            assert!(comparison.todo.len() <= TODO_MAX && requests <= REQUESTS_MAX);
            if let Err(refused) = comparison.answered(parts_for_ever(&spans)) {
                break refused;
            }
        };
        assert!(refused.to_string().contains("malformed"), "{refused}");
        assert!(requests <= 2 * u32::from(LEVELS_MAX), "{requests}");

        // Or it answers as if it moved all the time.
        let ours = lines(0..1_000);
        let mut comparison = Comparison::new(listed(&ours));
        for turn in 0_u64.. {
            let Some(spans) = comparison.next() else {
                break;
            };
            let theirs: Heads = (0..1_000).map(|n| head(n, turn + 2)).collect();
            comparison
                .answered(answer(&listed(&theirs), &spans).0)
                .unwrap();
        }
        assert_eq!(comparison.requests, REQUESTS_MAX);
        assert!(!comparison.learned().whole);
    }

    #[test]
    fn answers_that_fit_no_question_are_refused() {
        let digest = ByteArray::new([9; 16]);
        let stranger = vec![head(1, 1).into_head()];
        let below = Edge::between(&Edge::begin().first(), &line(1));
        let unfit = [
            vec![],
            vec![Found::Same, Found::Same],
            vec![Found::Later],
            vec![Found::Parts(vec![(Edge::end(), digest)])],
            vec![Found::Parts(vec![
                (below.clone(), digest),
                (below.clone(), digest),
            ])],
            vec![Found::Parts(vec![
                (Edge::end(), digest),
                (Edge::end(), digest),
            ])],
            vec![Found::Each([stranger.clone(), stranger].concat())],
        ];
        for found in unfit {
            let mut comparison = Comparison::new(listed(&lines(0..100)));
            comparison.next().unwrap();
            let refused = comparison.answered(found.clone());
            assert!(refused.is_err(), "{found:?}");
        }
        let mut comparison = Comparison::new(listed(&lines(0..100)));
        comparison.next().unwrap();
        let parts = vec![(below.clone(), digest), (Edge::end(), digest)];
        comparison.answered(vec![Found::Parts(parts)]).unwrap();
        comparison.next().unwrap();
        let first = vec![head(1, 1).into_head()];
        let outside = comparison.answered(vec![Found::Each(first), Found::Same]);
        assert!(outside.is_err(), "a head that is not of its range");
    }

    trait IntoHead {
        fn into_head(self) -> Head;
    }

    impl IntoHead for (LogId, (u64, Check)) {
        fn into_head(self) -> Head {
            (self.0, self.1.0, self.1.1)
        }
    }

    /// The numbers that two have of a line.
    type Both = (Option<u64>, Option<u64>);

    /// What two have: of each line neither, one of them, both alike, or both and not alike.
    fn sides() -> impl Strategy<Value = (Heads, Heads, usize)> {
        let kinds = prop_oneof![
            90 => Just((Some(1), Some(1))),
            3 => Just((Some(1), None)),
            3 => Just((None, Some(1))),
            2 => Just((Some(2), Some(1))),
            2 => Just((Some(1), Some(2))),
        ];
        // Ids that are random, and ids that have much in common.
        let id = prop_oneof![
            any::<u64>().prop_map(line),
            any::<u16>().prop_map(|n| {
                let mut id = [0; 32];
                id[30..].copy_from_slice(&n.to_be_bytes());
                LogId::from_key_bytes(id)
            })
        ];
        prop::collection::btree_map(id, kinds, 0..2_000).prop_map(|all| {
            let side = |seq: fn(&Both) -> Option<u64>| {
                let some = all
                    .iter()
                    .filter_map(|(id, both)| Some((*id, head(0, seq(both)?).1)));
                some.collect::<Heads>()
            };
            let differ = all.values().filter(|(a, b)| a != b).count();
            (side(|both| both.0), side(|both| both.1), differ)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn each_knows_what_the_other_has((ours, theirs, differ) in sides()) {
            let run = compare(&ours, &theirs);
            assert_cheap(&run, ours.len().max(theirs.len()), differ);
        }

        #[test]
        fn whatever_is_answered_nothing_is_said_that_is_malformed(
            (ours, theirs, _) in sides(),
            answers in prop::collection::vec(0..6_u8, 1..8),
        ) {
            let mut comparison = Comparison::new(listed(&ours));
            for how in answers.iter().cycle() {
                let Some(spans) = comparison.next() else { break };
                prop_assert!(check_spans(&spans).is_ok());
                let theirs = listed(&theirs);
                let mut found = answer(&theirs, &spans).0;
                for (at, found) in found.iter_mut().enumerate() {
                    match how {
                        0 => *found = Found::Same,
                        1 if at % 2 == 0 => *found = Found::Later,
                        2 => *found = Found::Each(vec![]),
                        _ => {}
                    }
                }
                if comparison.answered(found).is_err() {
                    break;
                }
            }
            prop_assert!(comparison.requests <= REQUESTS_MAX);
        }
    }
}
