//! What a file holds of rows that were removed or replaced, before it is wiped and after.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod common;

use std::fs;
use std::path::Path;

use common::{Rows, all_rows, assert_kind, get, options, put};
use threads_core::ErrorKind;
use threads_core::datastore::{DatastoreExt, Direction, Durability, Keyspace};
use threads_store_redb::Redb;

const REMOVED: &[u8] = b"a canary that was removed";
const REPLACED: &[u8] = b"a canary that was replaced";

fn holds(path: &Path, canary: &[u8]) -> bool {
    let bytes = fs::read(path).unwrap();
    bytes.windows(canary.len()).any(|window| window == canary)
}

fn rows(store: &Redb) -> Rows {
    all_rows(store, Direction::Forward).unwrap()
}

/// A closed store that forgot values between others that it kept: redb gives back what is free at the end.
fn forgetful(dir: &Path) {
    let store = options().open(dir).unwrap();
    let (kept, removed) = (b"what is kept".repeat(100), REMOVED.repeat(50));
    for n in 0..100u32 {
        let commit = store.transact(Durability::Group, |txn| {
            txn.put(Keyspace::Entities, &n.to_be_bytes(), &kept)?;
            txn.put(Keyspace::Views, &n.to_be_bytes(), &removed)
        });
        commit.unwrap();
    }
    put(&store, b"replaced", REPLACED, Durability::Group).unwrap();
    put(&store, b"replaced", b"by this", Durability::Group).unwrap();
    let commit = store.transact(Durability::Group, |txn| {
        (0..100u32).try_for_each(|n| txn.delete(Keyspace::Views, &n.to_be_bytes()))
    });
    commit.unwrap();
}

#[test]
fn a_wiped_store_has_its_rows_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (data, old) = (dir.path().join("data.redb"), dir.path().join("old"));
    forgetful(dir.path());
    assert!(holds(&data, REMOVED), "the control");
    let before = rows(&options().open(dir.path()).unwrap());
    // Another name of the file, to see what becomes of what was in it.
    fs::hard_link(&data, &old).unwrap();
    options().wipe(dir.path()).unwrap();
    for file in [&data, &old] {
        assert!(!holds(file, REMOVED) && !holds(file, REPLACED), "{file:?}");
    }
    assert!(fs::read(&old).unwrap().iter().all(|byte| *byte == 0));
    let store = options().open(dir.path()).unwrap();
    assert_eq!(rows(&store), before);
    assert_eq!(get(&store, b"replaced").as_deref(), Some(&b"by this"[..]));
    put(&store, b"k", b"v", Durability::Group).unwrap();
}

#[test]
fn what_is_left_of_a_wipe_that_was_cut_short_goes_when_the_store_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    forgetful(dir.path());
    let (data, new) = (dir.path().join("data.redb"), dir.path().join("new.redb"));
    fs::copy(&data, &new).unwrap();
    drop(options().open(dir.path()).unwrap());
    assert!(!new.exists());
    // A wipe begins it anew.
    fs::write(&new, REMOVED).unwrap();
    options().wipe(dir.path()).unwrap();
    assert!(!new.exists() && !holds(&data, REMOVED));
}

#[test]
fn a_store_in_use_and_a_place_without_one_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    assert_kind(options().wipe(dir.path()), ErrorKind::Invalid);
    assert!(!dir.path().join("data.redb").exists());
    let store = options().open(dir.path()).unwrap();
    assert_kind(options().wipe(dir.path()), ErrorKind::Unavailable);
    put(&store, b"k", b"v", Durability::Group).unwrap();
}
