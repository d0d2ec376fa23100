//! A disk that is full, and a disk that fails.
#![cfg(target_os = "linux")]
#![allow(clippy::print_stdout, reason = "a skipped test says why")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod common;
#[path = "../../threads-store-group/tests/support/fail_together.rs"]
mod fail_together;
#[path = "../../threads-store-group/tests/support/small_disk.rs"]
mod small_disk;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use common::{assert_kind, child_role, get, options, put, spawn_child};
use small_disk::{MIB, SmallDisk};
use threads_core::ErrorKind;
use threads_core::datastore::{Datastore, DatastoreExt, Durability, Keyspace};
use threads_store_lmdb::{Lmdb, LmdbOptions};

#[test]
fn child() {
    let Some((role, dir)) = child_role() else {
        return;
    };
    match &*role {
        "limited" => meet_the_file_limit(&dir),
        "failing" => meet_a_failing_disk(&dir),
        _ => unreachable!("an unknown role"),
    }
}

#[track_caller]
fn assert_success(run: &Output) {
    assert!(
        run.status.success(),
        "{:?}\n{}",
        run.status,
        String::from_utf8_lossy(&run.stderr)
    );
}

fn with_reserve() -> LmdbOptions {
    let mut options = LmdbOptions::default();
    options.reserve_bytes = MIB;
    options
}

/// Commits until the disk is full; gives how many commits there are then.
fn fill_store(store: &Lmdb) -> u32 {
    for i in 0..10_000u32 {
        if let Err(error) = put(store, &i.to_be_bytes(), &[7; 1_500], Durability::Group) {
            assert_eq!(error.kind(), ErrorKind::Full, "{error:?}");
            assert!(error.to_string().contains("disk is full"), "{error}");
            return i;
        }
    }
    unreachable!("the disk is never full")
}

#[test]
fn a_full_disk_keeps_the_last_commit_and_lets_things_be_removed() {
    let Some(disk) = SmallDisk::new(8 * MIB) else {
        return;
    };
    disk.keep(2 * MIB);
    let store = with_reserve().open(disk.store()).unwrap();
    let commits = fill_store(&store);
    assert!(
        disk.store().join("reserve").exists(),
        "a commit that only adds took the reserve"
    );
    disk.fill();
    drop(store);
    let store = with_reserve().open(disk.store()).unwrap();
    assert_eq!(store.verify().unwrap(), u64::from(commits));
    assert_kind(
        put(&store, b"more", &[1; 9_000], Durability::Group),
        ErrorKind::Full,
    );
    assert_eq!(get(&store, b"more"), None);

    // One row in each of a hundred pages, so that a hundred new pages are needed.
    store
        .transact(Durability::Group, |txn| {
            (0..400u32)
                .step_by(4)
                .try_for_each(|i| txn.delete(Keyspace::Meta, &i.to_be_bytes()))
        })
        .unwrap();
    assert!(
        !disk.store().join("reserve").exists(),
        "removing did without the reserve"
    );
    assert_eq!(store.verify().unwrap(), u64::from(commits - 100));
    put(&store, b"more", &[1; 9_000], Durability::Group).unwrap();

    disk.free();
    drop(store);
    let store = with_reserve().open(disk.store()).unwrap();
    assert!(
        disk.store().join("reserve").exists(),
        "the reserve was not made again"
    );
    assert_eq!(store.verify().unwrap(), u64::from(commits - 100) + 1);
}

#[test]
fn a_full_disk_loses_nothing_that_was_acknowledged() {
    let Some(disk) = SmallDisk::new(6 * MIB) else {
        return;
    };
    let store = options().open(disk.store()).unwrap();
    put(&store, b"first", b"v", Durability::Group).unwrap();
    disk.fill();
    for i in 0..100u8 {
        put(&store, &[i], &[i; 1_000], Durability::Relaxed).unwrap();
    }
    // Fails, and takes the writer that was built on it down too; what lies below it stays.
    assert_kind(
        put(&store, b"waits", b"v", Durability::Group),
        ErrorKind::Full,
    );
    assert_kind(store.sync(), ErrorKind::Full);
    assert_eq!(get(&store, b"waits"), None);
    assert_eq!(
        (get(&store, &[99]), store.stats().unsynced),
        (Some(vec![99; 1_000]), 100)
    );
    put(&store, b"later", b"v", Durability::Relaxed).unwrap();

    disk.free();
    store.sync().unwrap();
    assert_eq!(store.stats().unsynced, 0);
    drop(store);
    let store = options().open(disk.store()).unwrap();
    assert_eq!(store.verify().unwrap(), 102);
    assert_eq!(get(&store, b"later").as_deref(), Some(&b"v"[..]));
}

#[test]
fn commits_that_fail_together_leave_nothing_and_the_others_everything() {
    let Some(disk) = SmallDisk::new(4 * MIB) else {
        return;
    };
    let open = || options().open(disk.store()).unwrap();
    fail_together::check(open, |store| store.verify().unwrap());
}

#[test]
fn relaxed_commits_on_a_full_disk_are_bounded() {
    let Some(disk) = SmallDisk::new(6 * MIB) else {
        return;
    };
    let store = options().open(disk.store()).unwrap();
    disk.fill();
    let refused = (0..2_000u32)
        .find(|i| put(&store, &i.to_be_bytes(), &[0; 2_000], Durability::Relaxed).is_err())
        .unwrap();
    assert_eq!(store.stats().unsynced, refused as usize);
    assert_eq!(get(&store, &refused.to_be_bytes()), None);
    disk.free();
    store.sync().unwrap();
    assert_eq!(store.verify().unwrap(), u64::from(refused));
}

#[test]
fn a_full_disk_gives_no_store_and_later_a_whole_one() {
    let Some(disk) = SmallDisk::new(MIB) else {
        return;
    };
    disk.fill();
    assert_kind(options().open(disk.store()), ErrorKind::Full);
    disk.free();
    let store = options().open(disk.store()).unwrap();
    put(&store, b"k", b"v", Durability::Group).unwrap();
}

/// A bound on the length of files needs no rights, and LMDB reports it in other ways.
#[test]
fn a_limit_on_files_is_a_full_disk() {
    let dir = tempfile::tempdir().unwrap();
    let child = spawn_child("limited", dir.path());
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "trap '' XFSZ; ulimit -f 4096; exec \"$0\" \"$@\""])
        .arg(child.get_program());
    shell.args(child.get_args());
    for (name, value) in child.get_envs() {
        shell.env(name, value.unwrap());
    }
    assert_success(&shell.output().unwrap());
    let store = options().open(dir.path()).unwrap();
    let rows = store.verify().unwrap();
    put(&store, b"more", &[7; 9_000], Durability::Group).unwrap();
    assert_eq!(store.verify().unwrap(), rows + 1);
}

fn meet_the_file_limit(dir: &Path) {
    let store = options().open(dir).unwrap();
    // One write that crosses the limit is cut short, which LMDB reports as a failing disk.
    assert_kind(
        put(&store, b"long", &vec![1; 4 << 20], Durability::Group),
        ErrorKind::Full,
    );
    let commits = fill_store(&store);
    assert_eq!(store.verify().unwrap(), u64::from(commits));
    assert_kind(
        put(&store, b"long", &vec![1; 4 << 20], Durability::Group),
        ErrorKind::Full,
    );
    assert_kind(
        put(&store, b"more", &[1; 9_000], Durability::Immediate),
        ErrorKind::Full,
    );
    assert_eq!(store.verify().unwrap(), u64::from(commits));
}

/// Stands between the store and the system: while the file exists, the named call fails.
const FAILING_CALLS: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>
static int fails(const char *call) {
    const char *named = getenv("FAILING_CALL"), *flag = getenv("FAILING_FLAG");
    if (!named || !flag || strcmp(named, call) || access(flag, F_OK)) return 0;
    errno = EIO;
    return 1;
}
int fdatasync(int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    return fails("fdatasync") ? -1 : real(fd);
}
ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
    ssize_t (*real)(int, const void *, size_t, off64_t) =
        (ssize_t (*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64");
    return fails("pwrite") ? -1 : real(fd, bytes, count, at);
}
ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) { return pwrite64(fd, bytes, count, at); }
"#;

#[test]
fn row_50_a_failing_disk_stops_all_writing() {
    let dir = tempfile::tempdir().unwrap();
    let (source, library) = (dir.path().join("calls.c"), dir.path().join("calls.so"));
    fs::write(&source, FAILING_CALLS).unwrap();
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .arg("-ldl")
        .output();
    if !built.as_ref().is_ok_and(|run| run.status.success()) {
        println!("skipped: cannot build the library that makes calls fail: {built:?}");
        return;
    }
    for call in ["fdatasync", "pwrite"] {
        let home = dir.path().join(call);
        fs::create_dir(&home).unwrap();
        let run = spawn_child("failing", &home)
            .env("LD_PRELOAD", &library)
            .env("FAILING_CALL", call)
            .env("FAILING_FLAG", home.join("flag"))
            .output()
            .unwrap();
        assert_success(&run);
        let store = options().open(home.join("store")).unwrap();
        assert_eq!(get(&store, b"before").as_deref(), Some(&b"v"[..]));
        put(&store, b"after", b"v", Durability::Group).unwrap();
    }
}

fn meet_a_failing_disk(dir: &Path) {
    let flag = dir.join("flag");
    let store = options().open(dir.join("store")).unwrap();
    put(&store, b"before", b"v", Durability::Group).unwrap();
    put(&store, b"relaxed", b"v", Durability::Relaxed).unwrap();
    fs::write(&flag, "").unwrap();
    let message = assert_kind(
        put(&store, b"k", b"v", Durability::Group),
        ErrorKind::Unavailable,
    );
    assert!(message.contains("open it again"), "{message}");
    fs::remove_file(&flag).unwrap();
    // The disk works again, but what it holds is not known.
    for durability in [
        Durability::Relaxed,
        Durability::Group,
        Durability::Immediate,
    ] {
        assert_kind(put(&store, b"k", b"v", durability), ErrorKind::Unavailable);
    }
    assert_kind(store.write().map(drop), ErrorKind::Unavailable);
    if std::env::var("FAILING_CALL").unwrap() == "fdatasync" {
        assert_eq!(get(&store, b"k"), None);
        assert_eq!(get(&store, b"relaxed").as_deref(), Some(&b"v"[..]));
    }
}
