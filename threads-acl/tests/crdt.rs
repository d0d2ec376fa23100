//! The laws of the sets, and how they stand to the rules.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod common;

use std::collections::BTreeSet;

use common::Chance;
use threads_acl::crdt::{ORMap, RWORSet};

type Set = RWORSet<u8>;
type Map = ORMap<u8, Set>;

const RUNS: u64 = 2_000;
const REPLICAS: usize = 3;
const ELEMENTS: usize = 2;

/// What a run leaves: the states of the replicas, and every delta that was ever made.
struct Run<T> {
    states: Vec<T>,
    deltas: Vec<T>,
}

/// Replicas that change what they have and tell each other some of it.
fn run<T: Clone + Default>(
    seed: u64,
    change: impl Fn(&T, u64, &mut Chance) -> T,
    merge: impl Fn(&mut T, &T),
) -> Run<T> {
    let mut chance = Chance(seed);
    let mut run = Run {
        states: vec![T::default(); REPLICAS],
        deltas: Vec::new(),
    };
    for _ in 0..4 + chance.below(8) {
        let at = chance.below(REPLICAS);
        if chance.percent(35) {
            let other = run.states[chance.below(REPLICAS)].clone();
            merge(&mut run.states[at], &other);
        } else {
            let delta = change(&run.states[at], at as u64, &mut chance);
            merge(&mut run.states[at], &delta);
            run.deltas.push(delta);
        }
    }
    run
}

fn change_set(set: &Set, replica: u64, chance: &mut Chance) -> Set {
    let (dot, element) = (set.next_dot(replica), chance.below(ELEMENTS) as u8);
    if chance.percent(50) {
        set.added(dot, element)
    } else {
        set.removed(dot, element)
    }
}

fn change_map(map: &Map, replica: u64, chance: &mut Chance) -> Map {
    let key = chance.below(2) as u8;
    if chance.percent(20) {
        return map.without(&key);
    }
    let (dot, element, adds) = (
        map.next_dot(replica),
        chance.below(ELEMENTS) as u8,
        chance.percent(60),
    );
    map.updated(key, |set| {
        if adds {
            set.added(dot, element)
        } else {
            set.removed(dot, element)
        }
    })
}

/// Merging is commutative, associative and idempotent, of deltas as of states.
fn assert_laws<T: Clone + Default + PartialEq + std::fmt::Debug>(
    seed: u64,
    run: &Run<T>,
    merge: impl Fn(&mut T, &T),
) {
    let joined = |a: &T, b: &T| {
        let mut both = a.clone();
        merge(&mut both, b);
        both
    };
    let all: Vec<&T> = run.states.iter().chain(&run.deltas).collect();
    for a in &all {
        assert_eq!(joined(a, a), **a, "{seed}: idempotent");
        for b in &all {
            assert_eq!(joined(a, b), joined(b, a), "{seed}: commutative");
        }
    }
    let [a, b, c] = [&run.states[0], &run.states[1], &run.states[2]];
    assert_eq!(
        joined(&joined(a, b), c),
        joined(a, &joined(b, c)),
        "{seed}: associative"
    );

    // Every order of the deltas, with duplicates, gives what the replicas have together.
    let mut chance = Chance(seed);
    let end = joined(&joined(a, b), c);
    for _ in 0..10 {
        let mut order: Vec<&T> = run.deltas.iter().chain(&run.deltas).collect();
        chance.shuffle(&mut order);
        let mut state = T::default();
        order.into_iter().for_each(|delta| merge(&mut state, delta));
        assert_eq!(state, end, "{seed}: deltas in any order");
    }
}

#[test]
fn the_set_keeps_the_laws() {
    for seed in 0..RUNS {
        let run = run(seed, change_set, Set::merge);
        assert_laws(seed, &run, Set::merge);
    }
}

#[test]
fn the_map_keeps_the_laws() {
    for seed in 0..RUNS {
        let run = run(seed, change_map, Map::merge);
        assert_laws(seed, &run, Map::merge);
    }
}

/// Every permutation of a few items.
fn permutations(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let place = |order: &Vec<usize>, at: usize| {
        let mut order = order.clone();
        order.insert(at, count - 1);
        order
    };
    let shorter = permutations(count - 1);
    shorter
        .iter()
        .flat_map(|order| (0..count).map(move |at| place(order, at)))
        .collect()
}

#[test]
fn every_permutation_of_five_deltas_is_one_state() {
    let mut chance = Chance(7);
    for seed in 0..50 {
        let run = run(seed, change_map, Map::merge);
        let mut deltas = run.deltas;
        deltas.truncate(5);
        let states: Vec<Map> = permutations(deltas.len())
            .into_iter()
            .map(|order| {
                let mut state = Map::default();
                for at in order {
                    state.merge(&deltas[at]);
                    state.merge(&deltas[chance.below(deltas.len())]);
                }
                // The duplicates may have come before what they repeat; all are in now.
                state
            })
            .collect();
        assert!(states.windows(2).all(|two| two[0] == two[1]), "{seed}");
    }
}

/// The definition, on the graph of changes: an element is in the set when it was added, and every removal
/// was seen by a later change of that element.
#[test]
fn the_set_is_what_its_definition_says() {
    struct Change {
        adds: bool,
        element: u8,
        saw: BTreeSet<usize>,
    }
    for seed in 0..RUNS {
        let mut chance = Chance(seed);
        let mut changes: Vec<Change> = Vec::new();
        let mut replicas = vec![(Set::default(), BTreeSet::new()); REPLICAS];
        for _ in 0..4 + chance.below(10) {
            let at = chance.below(REPLICAS);
            if chance.percent(35) {
                let (set, saw) = replicas[chance.below(REPLICAS)].clone();
                replicas[at].0.merge(&set);
                replicas[at].1.extend(saw);
                continue;
            }
            let (element, adds) = (chance.below(ELEMENTS) as u8, chance.percent(50));
            let (set, saw) = &mut replicas[at];
            let dot = set.next_dot(at as u64);
            let delta = if adds {
                set.added(dot, element)
            } else {
                set.removed(dot, element)
            };
            set.merge(&delta);
            changes.push(Change {
                adds,
                element,
                saw: saw.clone(),
            });
            saw.insert(changes.len() - 1);
        }
        for (set, saw) in &replicas {
            let here = |element: u8| {
                let changes = &changes;
                saw.iter()
                    .map(move |at| (*at, &changes[*at]))
                    .filter(move |(_, c)| c.element == element)
            };
            for element in 0..ELEMENTS as u8 {
                let live = |at: usize| !here(element).any(|(_, later)| later.saw.contains(&at));
                let added = here(element).any(|(at, change)| change.adds && live(at));
                let removed = here(element).any(|(at, change)| !change.adds && live(at));
                assert_eq!(set.contains(&element), added && !removed, "{seed}");
            }
        }
    }
}

#[test]
fn removing_a_key_loses_to_what_happens_at_the_same_time() {
    // Why a ban is a removal of every role, and never of the peer.
    let mut ann = Map::default();
    let dot = ann.next_dot(1);
    ann.merge(&ann.updated(9, |set| set.added(dot, 1)));
    let mut bob = ann.clone();
    let dot = ann.next_dot(1);
    ann.merge(&ann.updated(9, |set| set.added(dot, 1)));
    bob.merge(&bob.without(&9));
    assert!(bob.get(&9).is_none());
    bob.merge(&ann);
    assert!(bob.get(&9).unwrap().contains(&1));
}

#[test]
fn two_removals_answered_apart_are_where_rule_7_is_stricter() {
    let mut start = Set::default();
    start.merge(&start.added(start.next_dot(1), 1));
    let [mut ann, mut bob] = [start.clone(), start.clone()];
    for (set, replica) in [(&mut ann, 1), (&mut bob, 2)] {
        set.merge(&set.removed(set.next_dot(replica), 1));
        set.merge(&set.added(set.next_dot(replica), 1));
    }
    ann.merge(&bob);
    assert!(
        ann.contains(&1),
        "each removal was answered, by another addition"
    );

    use threads_acl::eval::{Described, evaluate};
    let role = |id, author, kind, deps: &[&str]| {
        Described::new(id, author, kind, deps)
            .target("X")
            .role("read")
    };
    let admin = |id, whom| {
        Described::new(id, "R", "grant", &["g"])
            .target(whom)
            .role("write")
            .scope("acl")
    };
    let history = [
        Described::new("g", "R", "genesis", &[]),
        admin("a", "A"),
        admin("b", "B"),
        role("a1", "A", "revoke", &["a", "b"]),
        role("a2", "A", "grant", &["a1"]),
        role("b1", "B", "revoke", &["a", "b"]),
        role("b2", "B", "grant", &["b1"]),
    ];
    assert!(
        evaluate(&history).unwrap().outcome.roles["X"]
            .thread
            .is_empty()
    );
}
