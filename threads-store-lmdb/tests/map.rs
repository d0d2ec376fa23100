//! The map grows when it is full, up to its bound.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod common;

use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use common::{assert_kind, fast_dir, get, options, put};
use threads_core::ErrorKind;
use threads_core::datastore::{Datastore, DatastoreExt, Durability, Keyspace};

const TINY: usize = 256 * 1024;

#[test]
fn a_full_map_grows() {
    let dir = fast_dir();
    let mut options = options();
    options.map_bytes_initial = TINY;
    let store = options.open(dir.path()).unwrap();
    for i in 0..200u8 {
        put(&store, &[i], &[i; 20_000], Durability::Group).unwrap();
    }
    assert!(store.stats().map_bytes >= 16 * TINY);
    assert_eq!(store.verify().unwrap(), 200);
}

#[test]
fn growing_waits_for_readers_in_bounds() {
    let dir = fast_dir();
    let mut options = options();
    options.map_bytes_initial = TINY;
    options.readers_wait = Duration::from_millis(50);
    let store = options.open(dir.path()).unwrap();
    put(&store, b"k", b"old", Durability::Relaxed).unwrap();
    let reader = store.read().unwrap();
    let big = vec![7; 2 * TINY];
    let message = assert_kind(
        put(&store, b"big", &big, Durability::Group),
        ErrorKind::Unavailable,
    );
    assert!(message.contains("close them and try again"), "{message}");
    assert_eq!(get(&store, b"big"), None);
    // What was acknowledged is still there, and the snapshot too.
    assert_eq!(get(&store, b"k").as_deref(), Some(&b"old"[..]));
    assert_eq!(
        reader.get(Keyspace::Meta, b"k").unwrap().as_deref(),
        Some(&b"old"[..])
    );
    drop(reader);
    put(&store, b"big", &big, Durability::Group).unwrap();
    assert_eq!(get(&store, b"big"), Some(big));
}

#[test]
fn a_reader_that_leaves_in_time_is_waited_for() {
    let dir = fast_dir();
    let mut options = options();
    options.map_bytes_initial = TINY;
    let store = options.open(dir.path()).unwrap();
    let (begun, ready) = sync_channel(0);
    thread::scope(|scope| {
        let store = &store;
        scope.spawn(move || {
            let reader = store.read().unwrap();
            begun.send(()).unwrap();
            assert!(reader.get(Keyspace::Meta, b"k").unwrap().is_none());
        });
        ready.recv().unwrap();
        put(store, b"big", &vec![7; 8 * TINY], Durability::Group).unwrap();
    });
    assert!(store.stats().map_bytes > 8 * TINY);
}

#[test]
fn at_the_bound_commits_fail_and_removing_works() {
    let dir = fast_dir();
    let mut options = options();
    options.map_bytes_initial = TINY;
    options.map_bytes_max = 4 * TINY;
    options.reserve_bytes = TINY as u64;
    let store = options.open(dir.path()).unwrap();
    let fill = |from: u32| {
        (from..10_000)
            .find_map(|i| {
                let done = put(&store, &i.to_be_bytes(), &[1; 2_000], Durability::Group);
                done.err().map(|error| (i, error))
            })
            .unwrap()
    };
    let (rows, error) = fill(0);
    assert_eq!(error.kind(), ErrorKind::Full, "{error:?}");
    assert!(error.to_string().contains("map_bytes_max"), "{error}");
    assert_eq!(store.verify().unwrap(), u64::from(rows));
    for i in 0..rows {
        let key = i.to_be_bytes();
        store
            .transact(Durability::Group, |txn| txn.delete(Keyspace::Meta, &key))
            .unwrap();
    }
    assert_eq!(store.verify().unwrap(), 0);
    assert!(fill(0).0 >= rows);
}

#[test]
fn impossible_options_are_refused() {
    let dir = fast_dir();
    let mut options = options();
    options.map_bytes_max = 0;
    assert_kind(options.open(dir.path()), ErrorKind::Invalid);
    options.map_bytes_max = usize::MAX;
    assert_kind(options.open(dir.path()), ErrorKind::Invalid);
}
