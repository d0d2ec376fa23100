//! A disk that is full, under a file.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod common;
#[path = "../../threads-store-group/tests/support/fail_together.rs"]
mod fail_together;
#[path = "../../threads-store-group/tests/support/small_disk.rs"]
mod small_disk;

use common::{assert_kind, get, options, put};
use small_disk::{MIB, SmallDisk};
use threads_core::ErrorKind;
use threads_core::datastore::{DatastoreExt, Durability};

#[test]
fn a_full_disk_keeps_what_was_acknowledged_and_relief_is_enough() {
    let Some(disk) = SmallDisk::new(8 * MIB) else {
        return;
    };
    let store = options().open(disk.store()).unwrap();
    put(&store, b"first", b"v", Durability::Group).unwrap();
    disk.fill();
    for i in 0..200u8 {
        put(&store, &[i], &[i; 2_000], Durability::Relaxed).unwrap();
    }
    let big = vec![7; 8 << 20];
    assert_kind(
        put(&store, b"big", &big, Durability::Group),
        ErrorKind::Full,
    );
    assert_eq!(get(&store, b"big"), None);
    assert_eq!(get(&store, &[199]), Some(vec![199; 2_000]));
    assert!(get(&store, b"first").is_some());
    disk.free();
    store.sync().unwrap();
    assert_eq!(store.stats().unsynced, 0);
    drop(store);
    assert_eq!(options().open(disk.store()).unwrap().verify().unwrap(), 201);
}

#[test]
fn commits_that_fail_together_leave_nothing_and_the_others_everything() {
    let Some(disk) = SmallDisk::new(6 * MIB) else {
        return;
    };
    let open = || options().open(disk.store()).unwrap();
    fail_together::check(open, |store| store.verify().unwrap());
}

#[test]
fn a_full_disk_gives_no_store_and_later_a_whole_one() {
    let Some(disk) = SmallDisk::new(4 * MIB) else {
        return;
    };
    disk.fill();
    assert_kind(options().open(disk.store()), ErrorKind::Full);
    disk.free();
    let store = options().open(disk.store()).unwrap();
    put(&store, b"k", b"v", Durability::Group).unwrap();
}
