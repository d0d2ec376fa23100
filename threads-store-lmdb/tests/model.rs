//! The store does what the reference store does, step by step, whatever the durability.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod common;

use std::ops::Bound;

use common::{ALL, fast_dir, options, rows};
use proptest::prelude::*;
use threads_core::datastore::{
    Datastore, Direction, Durability, KeyRange, Keyspace, Memory, ReadTxn, WriteTxn,
};

const SPACES: [Keyspace; 3] = [Keyspace::Meta, Keyspace::Feed, Keyspace::Views];

#[derive(Clone, Debug)]
enum Op {
    Put(usize, Vec<u8>, Vec<u8>),
    Delete(usize, Vec<u8>),
}

#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<Op>, Durability),
    Abandon(Vec<Op>),
    Snapshot,
    Forget,
    Reopen,
}

type Range = (Bound<Vec<u8>>, Bound<Vec<u8>>);

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(vec![0x00, b'a', b'b', 0xff]), 1..4)
}

fn op() -> impl Strategy<Value = Op> {
    let value = prop_oneof![
        3 => prop::collection::vec(any::<u8>(), 0..8),
        1 => prop::collection::vec(any::<u8>(), 3_000..9_000),
    ];
    prop_oneof![
        2 => (0..3usize, key(), value).prop_map(|(space, key, value)| Op::Put(space, key, value)),
        1 => (0..3usize, key()).prop_map(|(space, key)| Op::Delete(space, key)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let ops = || prop::collection::vec(op(), 0..6);
    let durability = prop::sample::select(vec![
        Durability::Relaxed,
        Durability::Relaxed,
        Durability::Group,
        Durability::Immediate,
    ]);
    prop_oneof![
        6 => (ops(), durability).prop_map(|(ops, durability)| Step::Commit(ops, durability)),
        1 => ops().prop_map(Step::Abandon),
        1 => Just(Step::Snapshot),
        1 => Just(Step::Forget),
        1 => Just(Step::Reopen),
    ]
}

/// Bounds that no key can equal are bounds all the same: too long a key, and as a start an empty one.
fn bound(shortest: usize) -> impl Strategy<Value = Bound<Vec<u8>>> {
    let odd = prop::sample::select(vec![0, 600]).prop_map(move |n| vec![b'a'; n.max(shortest)]);
    let key = prop_oneof![8 => key(), 1 => odd];
    prop_oneof![
        1 => Just(Bound::Unbounded),
        2 => key.clone().prop_map(Bound::Included),
        2 => key.prop_map(Bound::Excluded),
    ]
}

fn borrowed((start, end): &Range) -> KeyRange<'_> {
    (
        start.as_ref().map(Vec::as_slice),
        end.as_ref().map(Vec::as_slice),
    )
}

fn compare(ours: &dyn ReadTxn, theirs: &dyn ReadTxn, ranges: &[Range]) {
    for space in SPACES {
        for range in ranges.iter().map(borrowed).chain([ALL]) {
            for direction in [Direction::Forward, Direction::Reverse] {
                let ours = rows(ours, space, range, direction).unwrap();
                let theirs = rows(theirs, space, range, direction).unwrap();
                assert_eq!(ours, theirs, "{space:?} {range:?} {direction:?}");
            }
        }
        for key in [&b""[..], b"a", b"ab", &[0], &[0xff], &[b'a'; 600]] {
            assert_eq!(
                ours.get(space, key).unwrap(),
                theirs.get(space, key).unwrap()
            );
        }
    }
}

fn apply(ours: &mut dyn WriteTxn, theirs: &mut dyn WriteTxn, ops: &[Op], ranges: &[Range]) {
    for op in ops {
        match op {
            Op::Put(space, key, value) => {
                ours.put(SPACES[*space], key, value).unwrap();
                theirs.put(SPACES[*space], key, value).unwrap();
            }
            Op::Delete(space, key) => {
                ours.delete(SPACES[*space], key).unwrap();
                theirs.delete(SPACES[*space], key).unwrap();
            }
        }
        compare(ours.as_read(), theirs.as_read(), ranges);
    }
}

/// Runs steps until a reopen, which ends all snapshots; gives how many steps were done.
fn run(
    store: &threads_store_lmdb::Lmdb,
    memory: &Memory,
    steps: &[Step],
    ranges: &[Range],
) -> usize {
    let mut snapshots = Vec::new();
    for (done, step) in steps.iter().enumerate() {
        match step {
            Step::Commit(ops, durability) => {
                let (mut ours, mut theirs) = (store.write().unwrap(), memory.write().unwrap());
                apply(&mut *ours, &mut *theirs, ops, ranges);
                ours.commit(*durability).unwrap();
                theirs.commit(*durability).unwrap();
            }
            Step::Abandon(ops) => {
                let (mut ours, mut theirs) = (store.write().unwrap(), memory.write().unwrap());
                apply(&mut *ours, &mut *theirs, ops, ranges);
            }
            Step::Snapshot => snapshots.push((store.read().unwrap(), memory.read().unwrap())),
            Step::Forget => drop(snapshots.pop()),
            Step::Reopen => return done + 1,
        }
        compare(&*store.read().unwrap(), &*memory.read().unwrap(), ranges);
        for (ours, theirs) in &snapshots {
            compare(&**ours, &**theirs, ranges);
        }
    }
    steps.len()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn does_what_the_reference_store_does(
        steps in prop::collection::vec(step(), 1..16),
        ranges in prop::collection::vec((bound(0), bound(1)), 3),
    ) {
        let dir = fast_dir();
        let memory = Memory::new();
        let mut left = &steps[..];
        while !left.is_empty() {
            let store = options().open(dir.path()).unwrap();
            left = &left[run(&store, &memory, left, &ranges)..];
        }
        let store = options().open(dir.path()).unwrap();
        compare(&*store.read().unwrap(), &*memory.read().unwrap(), &ranges);
        store.verify().unwrap();
    }
}
