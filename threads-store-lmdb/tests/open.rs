//! Opening a store: who may, and what is refused.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use common::{
    Numbers, Pairs, assert_kind, child_role, fast_dir, get, options, put, rows, say, spawn_child,
};
use threads_core::datastore::{Datastore, DatastoreExt, Direction, Durability, Keyspace};
use threads_core::{ErrorKind, Result};
use threads_store_lmdb::Lmdb;

#[test]
fn child() {
    match child_role() {
        Some((role, dir)) if role == "hold" => hold(&dir),
        Some((role, dir)) if role == "damage" => damage(&dir),
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
fn another_process_is_named_and_can_be_followed() {
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

    let follower = Lmdb::open_read_only(dir.path()).unwrap();
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

const SPACES: [Keyspace; 3] = [Keyspace::Meta, Keyspace::Blocks, Keyspace::Views];

/// A store with everything LMDB knows: branches, long values, free pages.
fn fill(dir: &Path) {
    let store = options().open(dir).unwrap();
    for round in 0..4u32 {
        store
            .transact(Durability::Group, |txn| {
                for i in 0..400u32 {
                    let space = SPACES[i as usize % 3];
                    let key = i.wrapping_mul(0x9E37_79B9).to_be_bytes().repeat(4);
                    let bytes = if i % 50 == 0 { 9_000 } else { 60 };
                    txn.put(space, &key, &vec![(i ^ round) as u8; bytes])?;
                    if i % 7 == round {
                        txn.delete(space, &key)?;
                    }
                }
                Ok(())
            })
            .unwrap();
    }
}

fn contents(store: &Lmdb, direction: Direction) -> Result<Vec<Pairs>> {
    let read = store.read()?;
    SPACES
        .iter()
        .map(|space| rows(&*read, *space, common::ALL, direction))
        .collect()
}

/// Reads everything in every way, then writes. `Ok` means that every byte was right.
fn use_damaged(dir: &Path, right: &[Pairs]) -> Result<()> {
    let store = options().open(dir)?;
    assert!(contents(&store, Direction::Forward)? == right, "wrong rows");
    let mut backwards = contents(&store, Direction::Reverse)?;
    backwards.iter_mut().for_each(|rows| rows.reverse());
    assert!(backwards == right, "wrong rows backwards");
    let read = store.read()?;
    for (space, rows) in SPACES.iter().zip(right) {
        for (key, value) in rows {
            assert_eq!(
                read.get(*space, key)?.as_deref(),
                Some(&value[..]),
                "wrong value"
            );
        }
    }
    drop(read);
    for (space, rows) in SPACES.iter().zip(right) {
        store.transact(Durability::Group, |txn| {
            for (i, (key, value)) in rows.iter().enumerate() {
                match i % 2 {
                    0 => txn.delete(*space, key)?,
                    _ => txn.put(*space, key, &value.repeat(3))?,
                }
            }
            Ok(())
        })?;
    }
    store.verify().map(drop)
}

/// How the file is damaged: cut to a length, one bit flipped, or a page overwritten.
fn damages(pristine: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut numbers = Numbers(1);
    let length = pristine.len() as u64;
    let mut damages = Vec::new();
    for cut in (0..length)
        .step_by(4_096)
        .chain((0..60).map(|_| numbers.below(length)))
    {
        damages.push((format!("cut to {cut}"), pristine[..cut as usize].to_vec()));
    }
    // Headers and the starts of pages are a small part of the file and the most dangerous one.
    let flips = 900;
    for n in 0..flips {
        let byte = match n % 3 {
            0 => numbers.below(length),
            1 => numbers.below(length / 4_096) * 4_096 + numbers.below(64),
            _ => numbers.below(2) * 4_096 + numbers.below(160),
        };
        let bit = numbers.below(8);
        let mut bytes = pristine.to_vec();
        bytes[byte as usize] ^= 1 << bit;
        damages.push((format!("bit {bit} of byte {byte} flipped"), bytes));
    }
    for _ in 0..150 {
        let (to, from) = (numbers.below(length / 4_096), numbers.below(length / 4_096));
        let mut bytes = pristine.to_vec();
        let source = (from * 4_096) as usize..(from * 4_096 + 4_096) as usize;
        bytes.copy_within(source, (to * 4_096) as usize);
        damages.push((format!("page {to} overwritten by page {from}"), bytes));
    }
    damages
}

fn damage(dir: &Path) {
    let pristine = fs::read(dir.join("pristine/data.mdb")).unwrap();
    let right = contents(
        &options().open(dir.join("pristine")).unwrap(),
        Direction::Forward,
    )
    .unwrap();
    let victim: PathBuf = dir.join("victim");
    fs::create_dir(&victim).unwrap();
    let (mut found, mut harmless) = (0, 0);
    for (what, bytes) in damages(&pristine) {
        say(&format!("case {what}"));
        fs::write(victim.join("data.mdb"), bytes).unwrap();
        match use_damaged(&victim, &right) {
            Ok(()) => harmless += 1,
            Err(error) => {
                let kind = error.kind();
                let typed = matches!(
                    kind,
                    ErrorKind::Corrupt | ErrorKind::Invalid | ErrorKind::Unsupported
                );
                assert!(typed, "{what}: {error:?}");
                found += 1;
            }
        }
    }
    say(&format!("done: {found} found, {harmless} without effect"));
}

/// In a child, so that a signal is seen and does not end the tests.
#[test]
fn damage_is_found_and_is_never_a_signal_or_a_wrong_value() {
    let dir = fast_dir();
    fill(&dir.path().join("pristine"));
    let run = spawn_child("damage", dir.path()).output().unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    let last = said
        .lines()
        .rfind(|line| line.starts_with("case "))
        .unwrap_or("no case");
    assert!(
        run.status.success(),
        "{last}: {:?}\n{}",
        run.status,
        String::from_utf8_lossy(&run.stderr)
    );
    println!(
        "{}",
        said.lines().find(|line| line.starts_with("done")).unwrap()
    );
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
fn a_long_file_is_checked_by_its_header_alone_unless_it_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    let mut options = options();
    options.check_bytes_max = 0;
    assert_eq!(options.open(dir.path()).unwrap().verify().unwrap(), 343);
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
