//! Comparisons from both ends, by frames.

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
