//! What a commit costs, who sees what, and what a flight that failed leaves.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod common;
#[path = "support/fail_together.rs"]
mod fail_together;

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use common::{Shelf, assert_kind, get, put};
use threads_core::ErrorKind;
use threads_core::datastore::{Datastore, DatastoreExt, Durability, Keyspace, ReadTxn};

const ALL_KINDS: [Durability; 3] = [
    Durability::Immediate,
    Durability::Group,
    Durability::Relaxed,
];

#[test]
fn relaxed_commits_wait_for_the_next_sync_or_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let store = Shelf::open(dir.path()).unwrap();
    for i in 0..10u8 {
        put(&store, &[i], b"v", Durability::Relaxed).unwrap();
    }
    assert_eq!((store.counts().syncs, store.counts().unsynced), (0, 10));
    put(&store, b"group", b"v", Durability::Group).unwrap();
    assert_eq!((store.counts().syncs, store.counts().unsynced), (1, 0));
    put(&store, b"last", b"v", Durability::Relaxed).unwrap();
    drop(store);
    let store = Shelf::open(dir.path()).unwrap();
    assert_eq!(store.verify(), 12);
}

#[test]
fn relaxed_commits_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let store = Shelf::open(dir.path()).unwrap();
    for i in 0..5_000u32 {
        put(&store, &i.to_be_bytes(), b"v", Durability::Relaxed).unwrap();
        assert!(store.counts().unsynced <= 4_096);
    }
    assert_eq!(store.counts().syncs, 1);
    let long = vec![0; 1 << 20];
    for i in 0..4u32 {
        put(&store, &i.to_be_bytes(), &long, Durability::Relaxed).unwrap();
    }
    assert_eq!(store.counts().syncs, 4);
}

#[test]
fn what_changes_nothing_costs_no_sync() {
    let dir = tempfile::tempdir().unwrap();
    let store = Shelf::open(dir.path()).unwrap();
    store.sync().unwrap();
    store.transact(Durability::Relaxed, |_| Ok(())).unwrap();
    let counts = store.counts();
    assert_eq!((counts.commits, counts.syncs, counts.unsynced), (0, 0, 0));
}

#[test]
fn concurrent_commits_share_syncs() {
    const THREADS: u8 = 32;
    const EACH: u8 = 20;
    let dir = tempfile::tempdir().unwrap();
    let store = Shelf::open(dir.path()).unwrap();
    let start = Barrier::new(usize::from(THREADS));
    thread::scope(|scope| {
        for t in 0..THREADS {
            let (store, start) = (&store, &start);
            scope.spawn(move || {
                start.wait();
                for i in 0..EACH {
                    put(store, &[t, i], b"v", Durability::Group).unwrap();
                    assert!(get(store, &[t, i]).is_some());
                }
            });
        }
    });
    let counts = store.counts();
    assert_eq!(counts.commits, u64::from(THREADS) * u64::from(EACH));
    assert!(counts.syncs < counts.commits / 2, "{counts:?}");
    assert_eq!(store.verify(), counts.commits);
}

/// Every commit writes one number everywhere. A reader that sees two numbers saw half a commit.
#[test]
fn no_snapshot_has_half_a_commit() {
    const SPACES: [Keyspace; 3] = [Keyspace::Meta, Keyspace::History, Keyspace::Views];
    const ROUNDS: u64 = 150;
    fn number(txn: &dyn ReadTxn) -> u64 {
        let numbers = SPACES.map(|space| {
            let value = txn.get(space, b"k").unwrap();
            value.map_or(0, |value| u64::from_be_bytes(value[..].try_into().unwrap()))
        });
        assert!(
            numbers.iter().all(|n| *n == numbers[0]),
            "half a commit: {numbers:?}"
        );
        numbers[0]
    }
    let dir = tempfile::tempdir().unwrap();
    let store = &Shelf::open(dir.path()).unwrap();
    let add_one = |durability| {
        let mut txn = store.write().unwrap();
        let next = number(txn.as_read()) + 1;
        for space in SPACES {
            txn.put(space, b"k", &next.to_be_bytes()).unwrap();
        }
        txn.commit(durability).unwrap();
        next
    };
    let over = &AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut last = 0;
                while !over.load(Ordering::Relaxed) {
                    let now = number(&*store.read().unwrap());
                    assert!(now >= last, "a commit went away: {now} after {last}");
                    last = now;
                }
            });
        }
        let writer = |t: usize| {
            for i in 0..ROUNDS {
                let mine = add_one(ALL_KINDS[(t + i as usize) % 3]);
                let seen = number(&*store.read().unwrap());
                assert!(seen >= mine, "not visible on return: {seen}, not {mine}");
            }
        };
        let writers = [0, 1, 2, 3, 4, 5].map(|t| scope.spawn(move || writer(t)));
        let failed = writers.map(|writer| writer.join().is_err());
        over.store(true, Ordering::Relaxed);
        assert_eq!(failed, [false; 6], "writers failed");
    });
    assert_eq!(number(&*store.read().unwrap()), 6 * ROUNDS);
}

#[test]
fn commits_that_fail_together_leave_nothing_and_the_others_everything() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Shelf::open_with_room(dir.path(), 1 << 19).unwrap();
    fail_together::check(open, Shelf::verify);
}

#[test]
fn a_full_disk_keeps_what_was_acknowledged_and_takes_what_waits() {
    let dir = tempfile::tempdir().unwrap();
    let store = Shelf::open_with_room(dir.path(), 10_000).unwrap();
    put(&store, b"durable", b"v", Durability::Group).unwrap();
    put(&store, b"relaxed", b"v", Durability::Relaxed).unwrap();
    let long = vec![7; 20_000];
    assert_kind(
        put(&store, b"long", &long, Durability::Group),
        ErrorKind::Full,
    );
    assert_eq!(get(&store, b"long"), None);
    assert!(get(&store, b"relaxed").is_some());
    assert_eq!((store.counts().syncs, store.counts().unsynced), (1, 1));
    store.sync().unwrap();
    assert_eq!((store.counts().syncs, store.counts().unsynced), (2, 0));
    drop(store);
    assert_eq!(Shelf::open(dir.path()).unwrap().verify(), 2);
}

#[test]
fn after_a_fault_that_leaves_a_doubt_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let store = Shelf::open(dir.path()).unwrap();
    put(&store, b"before", b"v", Durability::Group).unwrap();
    put(&store, b"relaxed", b"v", Durability::Relaxed).unwrap();
    store.broken.store(true, Ordering::Relaxed);
    let message = assert_kind(
        put(&store, b"k", b"v", Durability::Group),
        ErrorKind::Unavailable,
    );
    assert!(message.contains("open it again"), "{message}");
    store.broken.store(false, Ordering::Relaxed);
    assert_kind(store.write().map(drop), ErrorKind::Unavailable);
    assert_eq!(get(&store, b"k"), None);
    assert!(get(&store, b"relaxed").is_some());
    drop(store);
    let store = Shelf::open(dir.path()).unwrap();
    assert_eq!(store.verify(), 1, "what is in doubt was not touched");
    put(&store, b"after", b"v", Durability::Group).unwrap();
}
