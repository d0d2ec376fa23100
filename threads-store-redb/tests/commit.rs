//! What a commit costs, what it promises, and what failing storage leaves.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod common;

use common::{Event, Fails, Storage, assert_kind, get, put};
use threads_core::ErrorKind;
use threads_core::datastore::{Datastore, DatastoreExt, Durability, Keyspace};

fn syncs(storage: &Storage) -> usize {
    let events = storage.events.lock().unwrap();
    let syncs = events.iter().filter(|event| matches!(event, Event::Sync));
    syncs.count()
}

#[test]
fn relaxed_commits_wait_for_the_next_sync_or_the_end() {
    let storage = Storage::default();
    let store = storage.open().unwrap();
    let before = syncs(&storage);
    for i in 0..10u8 {
        put(&store, &[i], b"v", Durability::Relaxed).unwrap();
    }
    assert_eq!((store.stats().syncs, store.stats().unsynced), (0, 10));
    assert_eq!(syncs(&storage), before);
    put(&store, b"group", b"v", Durability::Group).unwrap();
    assert_eq!((store.stats().syncs, store.stats().unsynced), (1, 0));
    assert_eq!(syncs(&storage), before + 1, "one sync of the disk");
    put(&store, b"last", b"v", Durability::Relaxed).unwrap();
    drop(store);
    assert_eq!(storage.open().unwrap().verify().unwrap(), 12);
}

/// Storage that is full from any write on: the commit fails whole, what was acknowledged stays,
/// and relief is enough.
#[test]
fn a_full_disk_at_any_write_loses_nothing_that_was_acknowledged() {
    let mut failed = 0;
    for nth in 1..60 {
        let storage = Storage::default();
        let store = storage.open().unwrap();
        put(&store, b"durable", b"v", Durability::Group).unwrap();
        put(&store, b"relaxed", b"v", Durability::Relaxed).unwrap();
        let snapshot = store.read().unwrap();
        storage.fail(Fails::Full, nth);
        let result = put(&store, b"big", &[7; 100_000], Durability::Group);
        if result.is_ok() {
            storage.relieve();
            break;
        }
        failed += 1;
        assert_kind(result, ErrorKind::Full);
        assert_kind(
            put(&store, b"more", b"v", Durability::Immediate),
            ErrorKind::Full,
        );
        drop(snapshot);
        storage.relieve();
        assert_eq!(get(&store, b"big"), None, "write {nth}");
        assert_eq!(get(&store, b"more"), None, "write {nth}");
        assert!(get(&store, b"relaxed").is_some(), "write {nth}");
        put(&store, b"after", b"v", Durability::Group).unwrap();
        assert_eq!(store.stats().unsynced, 0);
        drop(store);
        let store = storage.open().unwrap();
        for key in ["durable", "relaxed", "after"] {
            assert!(get(&store, key.as_bytes()).is_some(), "write {nth}: {key}");
        }
        assert_eq!(store.verify().unwrap(), 3);
    }
    assert!(failed > 2, "only {failed} writes failed");
}

/// While storage is full, all that is committed can be read.
#[test]
fn a_full_disk_can_be_read() {
    let storage = Storage::default();
    let store = storage.open().unwrap();
    for i in 0..200u8 {
        put(&store, &[i], &[i; 20_000], Durability::Relaxed).unwrap();
    }
    store.sync().unwrap();
    // More than the cache holds. The storage grows no more, but what it has can be written.
    let len = storage.bytes().len();
    storage.limit(len as u64);
    assert_kind(
        put(&store, b"big", &vec![7; 2 * len], Durability::Group),
        ErrorKind::Full,
    );
    for i in 0..200u8 {
        assert_eq!(get(&store, &[i]).unwrap(), [i; 20_000]);
    }
    store
        .transact(Durability::Group, |txn| txn.delete(Keyspace::Meta, &[0]))
        .unwrap();
    assert_eq!(store.verify().unwrap(), 199);
}

#[test]
fn failing_storage_stops_all_writing() {
    for fails in [Fails::Writing, Fails::Syncing] {
        let storage = Storage::default();
        let store = storage.open().unwrap();
        put(&store, b"before", b"v", Durability::Group).unwrap();
        put(&store, b"relaxed", b"v", Durability::Relaxed).unwrap();
        storage.fail(fails, 1);
        let message = assert_kind(
            put(&store, b"k", b"v", Durability::Group),
            ErrorKind::Unavailable,
        );
        assert!(message.contains("open it again"), "{message}");
        storage.relieve();
        // The disk works again, but what it holds is not known.
        for durability in [
            Durability::Relaxed,
            Durability::Group,
            Durability::Immediate,
        ] {
            assert_kind(put(&store, b"k", b"v", durability), ErrorKind::Unavailable);
        }
        assert_kind(store.write().map(drop), ErrorKind::Unavailable);
        drop(store);
        let store = storage.open().unwrap();
        assert!(get(&store, b"before").is_some());
        put(&store, b"after", b"v", Durability::Group).unwrap();
    }
}
