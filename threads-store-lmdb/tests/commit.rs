//! Transactions: what is seen, by whom, and what a commit costs.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod common;

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use common::{assert_kind, get, options, put};
use threads_core::ErrorKind;
use threads_core::datastore::{Datastore, DatastoreExt, Durability, Keyspace, ReadTxn};
use threads_store_lmdb::Lmdb;

const ALL_KINDS: [Durability; 3] = [
    Durability::Immediate,
    Durability::Group,
    Durability::Relaxed,
];

#[test]
fn a_writer_sees_its_own_writes_and_nobody_else_does() {
    let dir = tempfile::tempdir().unwrap();
    let store = options().open(dir.path()).unwrap();
    for durability in ALL_KINDS {
        let mut txn = store.write().unwrap();
        txn.put(Keyspace::Meta, b"k", b"new").unwrap();
        assert_eq!(
            txn.get(Keyspace::Meta, b"k").unwrap().as_deref(),
            Some(&b"new"[..])
        );
        assert_eq!(get(&store, b"k"), None);
        txn.commit(durability).unwrap();
        assert_eq!(get(&store, b"k").as_deref(), Some(&b"new"[..]));
        store
            .transact(durability, |txn| txn.delete(Keyspace::Meta, b"k"))
            .unwrap();
        assert_eq!(get(&store, b"k"), None);
    }
}

#[test]
fn a_snapshot_stays_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let store = options().open(dir.path()).unwrap();
    for durability in ALL_KINDS {
        put(&store, b"k", b"old", durability).unwrap();
        let before = store.read().unwrap();
        put(&store, b"k", b"new", durability).unwrap();
        assert_eq!(
            before.get(Keyspace::Meta, b"k").unwrap().as_deref(),
            Some(&b"old"[..])
        );
        assert_eq!(get(&store, b"k").as_deref(), Some(&b"new"[..]));
    }
}

#[test]
fn a_dropped_writer_leaves_no_trace() {
    let dir = tempfile::tempdir().unwrap();
    let store = options().open(dir.path()).unwrap();
    let mut txn = store.write().unwrap();
    txn.put(Keyspace::Meta, b"k", b"v").unwrap();
    drop(txn);
    store.sync().unwrap();
    assert_eq!(get(&store, b"k"), None);
    assert_eq!(store.stats().syncs, 0);
}

#[test]
fn a_thread_cannot_wait_for_itself() {
    let dir = tempfile::tempdir().unwrap();
    let store = options().open(dir.path()).unwrap();
    let _held = store.write().unwrap();
    assert_kind(store.write().map(drop), ErrorKind::Invalid);
}

#[test]
fn keys_have_bounds() {
    let dir = tempfile::tempdir().unwrap();
    let store = options().open(dir.path()).unwrap();
    let mut txn = store.write().unwrap();
    assert_kind(txn.put(Keyspace::Meta, b"", b"v"), ErrorKind::Invalid);
    assert_kind(txn.delete(Keyspace::Meta, &[1; 512]), ErrorKind::Invalid);
    txn.put(Keyspace::Meta, &[1; 511], b"").unwrap();
    txn.commit(Durability::Group).unwrap();
    assert_eq!(get(&store, &[1; 511]).as_deref(), Some(&b""[..]));
}

#[test]
fn relaxed_commits_wait_for_the_next_sync_or_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let store = options().open(dir.path()).unwrap();
    for i in 0..10u8 {
        put(&store, &[i], b"v", Durability::Relaxed).unwrap();
    }
    assert_eq!((store.stats().syncs, store.stats().unsynced), (0, 10));
    put(&store, b"group", b"v", Durability::Group).unwrap();
    assert_eq!((store.stats().syncs, store.stats().unsynced), (1, 0));
    put(&store, b"last", b"v", Durability::Relaxed).unwrap();
    drop(store);
    let store = options().open(dir.path()).unwrap();
    assert_eq!(store.verify().unwrap(), 12);
}

#[test]
fn concurrent_commits_share_syncs() {
    const THREADS: u8 = 32;
    const EACH: u8 = 20;
    let dir = tempfile::tempdir().unwrap();
    let store = options().open(dir.path()).unwrap();
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
    let stats = store.stats();
    assert_eq!(stats.commits, u64::from(THREADS) * u64::from(EACH));
    assert!(stats.syncs < stats.commits / 2, "{stats:?}");
    println!("{stats:?}");
    assert_eq!(store.verify().unwrap(), stats.commits);
}

/// Every commit writes one number everywhere. A reader that sees two numbers saw half a commit.
#[test]
fn nobody_sees_half_a_commit() {
    const SPACES: [Keyspace; 3] = [Keyspace::Meta, Keyspace::History, Keyspace::Views];
    const ROUNDS: u64 = 150;
    fn number(txn: &dyn ReadTxn) -> u64 {
        let numbers: Vec<u64> = SPACES
            .iter()
            .flat_map(|space| [&b"a"[..], b"z"].map(|key| txn.get(*space, key).unwrap()))
            .map(|value| value.map_or(0, |v| u64::from_be_bytes(v[..].try_into().unwrap())))
            .collect();
        assert!(
            numbers.iter().all(|n| *n == numbers[0]),
            "half a commit: {numbers:?}"
        );
        numbers[0]
    }
    fn add_one(store: &Lmdb, durability: Durability) -> u64 {
        let mut txn = store.write().unwrap();
        let next = number(txn.as_read()) + 1;
        for space in SPACES {
            for key in [b"a", b"z"] {
                txn.put(space, key, &next.to_be_bytes()).unwrap();
            }
        }
        txn.commit(durability).unwrap();
        next
    }
    let dir = tempfile::tempdir().unwrap();
    let store = options().open(dir.path()).unwrap();
    let over = AtomicBool::new(false);
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
        let writers: Vec<_> = (0..6)
            .map(|t| {
                let store = &store;
                scope.spawn(move || {
                    for i in 0..ROUNDS {
                        let mine = add_one(store, ALL_KINDS[(t + i as usize) % 3]);
                        assert!(
                            number(&*store.read().unwrap()) >= mine,
                            "not visible on return"
                        );
                    }
                })
            })
            .collect();
        let failed = writers
            .into_iter()
            .filter_map(|writer| writer.join().err())
            .count();
        over.store(true, Ordering::Relaxed);
        assert_eq!(failed, 0, "writers failed");
    });
    assert_eq!(number(&*store.read().unwrap()), 6 * ROUNDS);
    drop(store);
    let store = options().open(dir.path()).unwrap();
    assert_eq!(number(&*store.read().unwrap()), 6 * ROUNDS);
}
