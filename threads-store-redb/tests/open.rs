//! Opening: what is refused, and with which words; and damage of every kind.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]
#![allow(clippy::print_stdout, reason = "a test says what it found")]

mod common;

use std::fs;
use std::process::{Command, Stdio};

use common::{Numbers, Rows, Storage, all_rows, assert_kind, get, options, put};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use threads_core::datastore::{Datastore, DatastoreExt, Direction, Durability, Keyspace};
use threads_core::{ErrorKind, Result};
use threads_store_redb::{Redb, StorageBackend};

const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("meta");

#[test]
fn a_store_is_opened_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = options().open(dir.path()).unwrap();
    let message = assert_kind(options().open(dir.path()), ErrorKind::Unavailable);
    assert!(message.contains("in use"), "{message}");
    put(&store, b"k", b"v", Durability::Group).unwrap();
    drop(store);
    assert!(get(&options().open(dir.path()).unwrap(), b"k").is_some());
}

#[cfg(unix)]
#[test]
fn a_new_directory_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/store");
    options().open(&path).unwrap();
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn a_store_that_was_not_finished_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("new.redb"), b"half a header").unwrap();
    let store = options().open(dir.path()).unwrap();
    put(&store, b"k", b"v", Durability::Group).unwrap();
    assert!(!dir.path().join("new.redb").exists());
}

#[test]
fn a_store_whose_data_file_is_gone_is_not_taken_for_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    drop(options().open(dir.path()).unwrap());
    fs::remove_file(dir.path().join("data.redb")).unwrap();
    let message = assert_kind(options().open(dir.path()), ErrorKind::Corrupt);
    assert!(message.contains("gone"), "{message}");
    fs::write(dir.path().join("data.redb"), b"").unwrap();
    let message = assert_kind(options().open(dir.path()), ErrorKind::Corrupt);
    assert!(message.contains("empty"), "{message}");
}

#[test]
fn another_programs_database_is_refused_and_left_alone() {
    let storage = Storage::default();
    let db = redb::Builder::new()
        .create_with_backend(storage.clone())
        .unwrap();
    let txn = db.begin_write().unwrap();
    txn.open_table(TABLE)
        .unwrap()
        .insert(&b"k"[..], &b"v"[..])
        .unwrap();
    txn.commit().unwrap();
    drop(db);
    let before = storage.bytes();
    let message = assert_kind(storage.open(), ErrorKind::Invalid);
    assert!(message.contains("another program"), "{message}");
    let db = Database::builder()
        .create_with_backend(Storage::of(storage.bytes()))
        .unwrap();
    let table = db.begin_read().unwrap().open_table(TABLE).unwrap();
    assert_eq!(table.get(&b"k"[..]).unwrap().unwrap().value(), b"v");
    assert_eq!(before.len(), storage.bytes().len());
}

#[test]
fn a_store_of_another_format_is_unsupported() {
    const OWN: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("threads");
    let storage = Storage::default();
    drop(storage.open().unwrap());
    let db = redb::Builder::new()
        .create_with_backend(storage.clone())
        .unwrap();
    let txn = db.begin_write().unwrap();
    let mut sealed = Vec::new();
    threads_core::datastore::seal_row("threads", b"format", &2u32.to_le_bytes(), &mut sealed);
    let mut table = txn.open_table(OWN).unwrap();
    table.insert(&b"format"[..], sealed.as_slice()).unwrap();
    drop(table);
    txn.commit().unwrap();
    drop(db);
    let message = assert_kind(storage.open(), ErrorKind::Unsupported);
    assert!(message.contains("another version"), "{message}");
}

#[test]
fn bytes_that_are_no_database_are_refused() {
    let images = [
        vec![0],
        vec![0; 8_192],
        vec![0xff; 100_000],
        b"SQLite format 3\0".repeat(1_000),
        b"redb\x1A\x0A\xA9\x0D\x0A".to_vec(),
        [b"redb\x1A\x0A\xA9\x0D\x0A".to_vec(), vec![0; 100_000]].concat(),
    ];
    for image in images {
        let storage = Storage::of(image.clone());
        assert_kind(storage.open(), ErrorKind::Corrupt);
        assert!(storage.bytes() == image, "what was refused was changed");
    }
}

/// Whatever redb's own pages say, a value that is not what was written is found by its checksum.
#[test]
fn a_changed_value_is_corrupt_by_name() {
    let storage = Storage::default();
    let store = storage.open().unwrap();
    put(&store, b"key", b"value", Durability::Group).unwrap();
    drop(store);
    let db = redb::Builder::new()
        .create_with_backend(storage.clone())
        .unwrap();
    let txn = db.begin_write().unwrap();
    let mut table = txn.open_table(TABLE).unwrap();
    let mut row = table.get(&b"key"[..]).unwrap().unwrap().value().to_vec();
    *row.last_mut().unwrap() ^= 1;
    table.insert(&b"key"[..], &*row).unwrap();
    drop(table);
    txn.commit().unwrap();
    drop(db);
    let store = storage.open().unwrap();
    let message = assert_kind(store.verify(), ErrorKind::Corrupt);
    assert!(message.contains("key: 6b6579"), "{message}");
    let read = store.read().unwrap();
    assert_kind(read.get(Keyspace::Meta, b"key"), ErrorKind::Corrupt);
}

/// Its other commit slot may be that of an older commit.
#[test]
fn data_that_was_closed_in_order_is_refused_and_not_repaired() {
    /// Where the checksums of the two slots end.
    const SLOTS: [usize; 2] = [64 + 127, 64 + 128 + 127];
    let pristine = filled();
    for check_bytes_max in [0, u64::MAX] {
        let refused = SLOTS.map(|byte| {
            let mut image = pristine.clone();
            image[byte] ^= 1;
            let storage = Storage::of(image.clone());
            let mut options = options();
            options.check_bytes_max = check_bytes_max;
            let result = options.open_backend(storage.clone());
            let refused = result.is_err_and(|error| error.kind() == ErrorKind::Corrupt);
            assert!(
                !refused || storage.bytes() == image,
                "what was refused was changed"
            );
            refused
        });
        assert!(
            refused[0] != refused[1],
            "the slot in use, and no other: {refused:?}"
        );
    }
}

/// A store with everything redb knows: branches, long values, free pages.
fn filled() -> Vec<u8> {
    const SPACES: [Keyspace; 3] = [Keyspace::Meta, Keyspace::Blocks, Keyspace::Views];
    let storage = Storage::default();
    let store = storage.open().unwrap();
    for round in 0..4u32 {
        let fill = store.transact(Durability::Group, |txn| {
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
        });
        fill.unwrap();
    }
    drop(store);
    storage.bytes()
}

/// Reads everything in every way, then writes. `Ok` means that every byte was right.
fn use_damaged(storage: &Storage, right: &Rows) -> Result<()> {
    let before = storage.bytes();
    let store = storage.open().inspect_err(|_| {
        assert!(storage.bytes() == before, "what was refused was changed");
    })?;
    assert!(
        all_rows(&store, Direction::Forward)? == *right,
        "wrong rows"
    );
    let backwards = all_rows(&store, Direction::Reverse)?;
    assert_eq!(backwards.len(), right.len(), "wrong rows backwards");
    let read = store.read()?;
    for (space, key, value) in right {
        let found = read.get(*space, key)?;
        assert_eq!(found.as_deref(), Some(&value[..]), "wrong value");
    }
    drop(read);
    store.transact(Durability::Group, |txn| {
        for (i, (space, key, value)) in right.iter().enumerate() {
            match i % 2 {
                0 => txn.delete(*space, key)?,
                _ => txn.put(*space, key, &value.repeat(3))?,
            }
        }
        Ok(())
    })?;
    store.verify().map(drop)
}

const PAGE: u64 = 4_096;

/// How the image is damaged: cut to a length, one bit flipped, or a page overwritten.
fn damages(pristine: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut numbers = Numbers(1);
    let length = pristine.len() as u64;
    // Most of a young file is empty. What is not is where damage matters.
    let pages: Vec<u64> = (0..length / PAGE)
        .filter(|page| {
            let bytes = &pristine[(page * PAGE) as usize..((page + 1) * PAGE) as usize];
            bytes.iter().any(|byte| *byte != 0)
        })
        .collect();
    let mut damages = Vec::new();
    // Storage of no bytes is a new store's.
    for cut in (1..40)
        .map(|n| n * length / 40)
        .chain((0..20).map(|n| 1 + n * 13))
    {
        damages.push((format!("cut to {cut}"), pristine[..cut as usize].to_vec()));
    }
    let mut flip = |byte: u64, bit: u64| {
        let mut bytes = pristine.to_vec();
        bytes[byte as usize] ^= 1 << bit;
        damages.push((format!("bit {bit} of byte {byte} flipped"), bytes));
    };
    for byte in 0..320 {
        flip(byte, numbers.below(8));
    }
    (0..8).for_each(|bit| flip(9, bit));
    for n in 0..500 {
        let page = pages[numbers.below(pages.len() as u64) as usize];
        let within = if n % 2 == 0 { 64 } else { PAGE };
        flip(page * PAGE + numbers.below(within), numbers.below(8));
    }
    for _ in 0..100 {
        let mut pick = || pages[numbers.below(pages.len() as u64) as usize] * PAGE;
        let (to, from) = (pick(), pick());
        let mut bytes = pristine.to_vec();
        bytes.copy_within(from as usize..(from + PAGE) as usize, to as usize);
        damages.push((format!("page at {to} overwritten by that at {from}"), bytes));
    }
    damages
}

const ROLE: &str = "THREADS_REDB_TEST_ROLE";

#[test]
fn child() {
    if std::env::var(ROLE).is_err() {
        return; // This is the parent's own run of its tests.
    }
    let pristine = filled();
    let right = all_rows(
        &Storage::of(pristine.clone()).open().unwrap(),
        Direction::Forward,
    );
    let right = right.unwrap();
    let (mut found, mut harmless) = (0, 0);
    for (what, image) in damages(&pristine) {
        println!("case {what}");
        match use_damaged(&Storage::of(image), &right) {
            Ok(()) => harmless += 1,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error:?}");
                found += 1;
            }
        }
    }
    println!("done: {found} found, {harmless} without effect");
    assert!(found > 300);
}

/// In a child, so that a signal is seen and does not end the tests.
#[test]
fn row_52_damage_is_found_and_is_never_a_signal_or_a_wrong_value() {
    let run = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(ROLE, "damage")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let out = String::from_utf8_lossy(&run.stdout);
    let tail: Vec<_> = out.lines().rev().take(5).collect();
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{:?}: {tail:?}\n{said}", run.status);
    println!("{tail:?}");
}

/// Damage while the store is open, where redb reads without checking: a panic of redb is `Corrupt`.
#[test]
fn a_panic_inside_redb_is_an_error() {
    let storage = Storage::of(filled());
    let mut options = options();
    options.cache_bytes = 0;
    let store: Redb = options.open_backend(storage.clone()).unwrap();
    let len = StorageBackend::len(&storage).unwrap() as usize;
    storage.image.lock().unwrap()[PAGE as usize..len].fill(0xA5);
    assert_kind(store.verify(), ErrorKind::Corrupt);
}

/// What a crash left behind and damage hit besides: the last commit, the one before it, or
/// `Corrupt`; never a mixture, and never less.
#[test]
fn damage_after_a_crash_is_never_a_mixture() {
    let storage = Storage::of(filled());
    let store = storage.open().unwrap();
    put(&store, b"last", b"1", Durability::Group).unwrap();
    let before = all_rows(&store, Direction::Forward).unwrap();
    put(&store, b"last", b"2", Durability::Group).unwrap();
    let last = all_rows(&store, Direction::Forward).unwrap();
    let crashed = storage.bytes();
    drop(store);
    let (mut whole, mut corrupt) = (0, 0);
    for (what, image) in damages(&crashed).into_iter().step_by(3) {
        let storage = Storage::of(image);
        let rows = storage
            .open()
            .and_then(|store| all_rows(&store, Direction::Forward));
        match rows {
            Ok(rows) if rows == last => whole += 1,
            Ok(rows) => assert!(rows == before, "{what}: wrong rows"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error:?}");
                corrupt += 1;
            }
        }
    }
    println!("{whole} whole, {corrupt} corrupt");
    assert!(whole > 0 && corrupt > 0);
}
