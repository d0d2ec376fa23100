//! Opening a store: who may, and what is refused.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use common::{assert_kind, child_role, get, options, put, rows, say, spawn_child};
use threads_core::datastore::{Datastore, Direction, Durability, Keyspace};
use threads_core::{ErrorKind, Result};
use threads_store_lmdb::Lmdb;

#[test]
fn child() {
    match child_role() {
        Some((role, dir)) if role == "hold" => hold(&dir),
        _ => {}
    }
}

#[test]
fn a_second_writer_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = options().open(dir.path()).unwrap();
    let message = assert_kind(options().open(dir.path()), ErrorKind::Unavailable);
    let me = std::process::id();
    assert!(
        message.contains(&format!("in use by process {me}: close it")),
        "{message}"
    );
    drop(store);
    options().open(dir.path()).unwrap();
}

fn hold(dir: &Path) {
    let store = options().open(dir).unwrap();
    put(&store, b"k", b"theirs", Durability::Group).unwrap();
    say("held");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    put(&store, b"k", b"more", Durability::Group).unwrap();
    say("wrote");
    std::io::stdin().read_line(&mut line).unwrap();
}

#[test]
fn row_53_another_process_is_named_and_can_be_followed() {
    let dir = tempfile::tempdir().unwrap();
    let mut other = spawn_child("hold", dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(other.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    assert!(said.any(|line| line == "held"));
    let message = assert_kind(options().open(dir.path()), ErrorKind::Unavailable);
    assert!(
        message.contains(&format!("in use by process {}", other.id())),
        "{message}"
    );

    // Its file is watched page by page, and each commit of the other makes it begin anew.
    let mut watchful = options();
    watchful.check_bytes_max = 0;
    let follower = watchful.open_read_only(dir.path()).unwrap();
    assert_eq!(get(&follower, b"k").as_deref(), Some(&b"theirs"[..]));
    let before = follower.read().unwrap();
    let mut stdin = other.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, b"go\n").unwrap();
    assert!(said.any(|line| line == "wrote"));
    assert_eq!(get(&follower, b"k").as_deref(), Some(&b"more"[..]));
    assert_eq!(
        before.get(Keyspace::Meta, b"k").unwrap().as_deref(),
        Some(&b"theirs"[..])
    );
    assert_kind(follower.write().map(drop), ErrorKind::Unsupported);
    drop((before, stdin));
    drop(follower);
    assert!(other.wait().unwrap().success());
    options().open(dir.path()).unwrap();
}

#[test]
fn nothing_is_not_a_store_to_read() {
    let dir = tempfile::tempdir().unwrap();
    assert_kind(Lmdb::open_read_only(dir.path()), ErrorKind::NotFound);
    assert_kind(
        Lmdb::open_read_only(dir.path().join("none")),
        ErrorKind::NotFound,
    );
}

#[cfg(unix)]
#[test]
fn a_new_directory_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/store");
    options().open(&path).unwrap();
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o700
    );
}

#[test]
fn a_store_that_was_not_finished_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("new")).unwrap();
    fs::write(dir.path().join("new/data.mdb"), b"half a header").unwrap();
    let store = options().open(dir.path()).unwrap();
    put(&store, b"k", b"v", Durability::Group).unwrap();
    assert!(!dir.path().join("new").exists());
}

#[test]
fn a_foreign_database_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let env = foreign::open(dir.path());
    drop(env);
    let before = fs::read(dir.path().join("data.mdb")).unwrap();
    for check_bytes_max in [0, u64::MAX] {
        let mut options = options();
        options.check_bytes_max = check_bytes_max;
        let message = assert_kind(options.open(dir.path()), ErrorKind::Invalid);
        assert!(message.contains("another program"), "{message}");
    }
    assert_eq!(fs::read(dir.path().join("data.mdb")).unwrap(), before);
}

mod foreign {
    #[allow(unsafe_code, reason = "heed opens an environment in no other way")]
    pub(crate) fn open(dir: &std::path::Path) -> heed::Env {
        use heed::types::Bytes;
        // SAFETY: nobody else touches this new directory.
        let env = unsafe { heed::EnvOpenOptions::new().max_dbs(3).open(dir) }.unwrap();
        let txn = env.write_txn().unwrap();
        env.create_databases_and_commit(txn, |opener, txn| {
            let table = opener.create_database::<Bytes, Bytes>(txn, Some("meta"))?;
            table.put(txn, b"k", b"v")?;
            Ok::<_, heed::Error>(heed::CommitOrAbort::<_, ()>::Commit(table))
        })
        .unwrap();
        env
    }
}

#[test]
fn bytes_that_are_no_database_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("data.mdb");
    for (bytes, says) in [
        (Vec::new(), "truncated"),
        (vec![0], "truncated"),
        (vec![0; 8_192], "not an LMDB file"),
        (vec![0xff; 100_000], "not an LMDB file"),
        (b"SQLite format 3\0".repeat(1_000), "not an LMDB file"),
    ] {
        fs::write(&file, &bytes).unwrap();
        let message = assert_kind(options().open(dir.path()), ErrorKind::Corrupt);
        assert!(message.contains(says), "{message}");
        assert_eq!(fs::read(&file).unwrap(), bytes);
    }
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    options().open(dir.path()).unwrap_err();
}

#[test]
fn a_flipped_bit_in_a_value_is_corrupt_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let store = options().open(dir.path()).unwrap();
    put(
        &store,
        b"k",
        b"a value to be found in the file",
        Durability::Group,
    )
    .unwrap();
    put(&store, b"other", b"fine", Durability::Group).unwrap();
    drop(store);
    let file = dir.path().join("data.mdb");
    let mut bytes = fs::read(&file).unwrap();
    let needle = b"a value to be found";
    let spots: Vec<_> = (0..bytes.len() - needle.len())
        .filter(|at| bytes[*at..].starts_with(needle))
        .collect();
    assert!(!spots.is_empty());
    spots.iter().for_each(|at| bytes[*at] ^= 0x10);
    fs::write(&file, bytes).unwrap();

    let store = options().open(dir.path()).unwrap();
    let read = store.read().unwrap();
    let message = assert_kind(read.get(Keyspace::Meta, b"k").map(drop), ErrorKind::Corrupt);
    assert!(message.contains("keyspace: meta, key: 6b"), "{message}");
    assert_eq!(
        read.get(Keyspace::Meta, b"other").unwrap().as_deref(),
        Some(&b"fine"[..])
    );
    let scan = rows(&*read, Keyspace::Meta, common::ALL, Direction::Forward);
    assert_kind(scan, ErrorKind::Corrupt);
    assert_kind(store.verify(), ErrorKind::Corrupt);
}

/// Lookups trust the order of keys: one that is out of place would be missing without a word.
#[test]
fn a_key_out_of_place_is_corrupt() {
    let dir = tempfile::tempdir().unwrap();
    let store = options().open(dir.path()).unwrap();
    for i in 0..20u8 {
        put(
            &store,
            format!("key-{i:02}").as_bytes(),
            b"v",
            Durability::Relaxed,
        )
        .unwrap();
    }
    drop(store);
    let file = dir.path().join("data.mdb");
    let mut bytes = fs::read(&file).unwrap();
    let at = bytes
        .windows(6)
        .position(|window| window == b"key-07")
        .unwrap();
    bytes[at + 4] = b'9';
    fs::write(&file, bytes).unwrap();
    let message = assert_kind(options().open(dir.path()), ErrorKind::Corrupt);
    assert!(message.contains("out of order"), "{message}");
}

/// Headers that agree with each other and not with the pages: as after a mixed-up copy.
#[cfg(target_pointer_width = "64")]
#[test]
fn headers_of_another_commit_are_corrupt() {
    let dir = tempfile::tempdir().unwrap();
    let store = options().open(dir.path()).unwrap();
    put(&store, b"k", b"v", Durability::Group).unwrap();
    drop(store);
    let file = dir.path().join("data.mdb");
    let mut bytes = fs::read(&file).unwrap();
    for header in [0, page_bytes(&bytes)] {
        bytes[header + 144] += 2;
    }
    fs::write(&file, bytes).unwrap();
    let message = assert_kind(options().open(dir.path()), ErrorKind::Corrupt);
    assert!(message.contains("newest commit"), "{message}");
}

#[cfg(target_pointer_width = "64")]
fn page_bytes(file: &[u8]) -> usize {
    u32::from_ne_bytes(file[40..44].try_into().unwrap()) as usize
}

#[test]
fn a_file_that_was_cut_is_not_opened_however_long_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options();
    let store = options.open(dir.path()).unwrap();
    for i in 0..100u32 {
        put(&store, &i.to_be_bytes(), &[7; 1_000], Durability::Relaxed).unwrap();
    }
    drop(store);
    options.check_bytes_max = 0;
    assert_eq!(options.open(dir.path()).unwrap().verify().unwrap(), 100);
    let file = fs::OpenOptions::new()
        .write(true)
        .open(dir.path().join("data.mdb"))
        .unwrap();
    file.set_len(40_960).unwrap();
    let message = assert_kind(options.open(dir.path()), ErrorKind::Corrupt);
    assert!(message.contains("truncated"), "{message}");
}

#[test]
fn a_store_whose_data_file_is_gone_is_not_taken_for_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    drop(Lmdb::open(dir.path()).unwrap());
    fs::remove_file(dir.path().join("data.mdb")).unwrap();
    let error = Lmdb::open(dir.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(!dir.path().join("data.mdb").exists());
}
