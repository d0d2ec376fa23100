//! A disk that is full, under the store that applications use.
#![allow(clippy::print_stdout, reason = "a skipped test says why")]

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use threads_codec_jsonpatch::JsonPatch;
use threads_core::module::IndexSpec;
use threads_core::{ErrorKind, Result};
use threads_db::{Db, Node};
use threads_store_lmdb::LmdbOptions;

use crate::lmdb::suite::common::{all, assert_clean, spec};
use crate::small_disk::{MIB, SmallDisk};

/// In a child: where the store is.
const DIR: &str = "THREADS_FAULTS_DIR";
/// More transactions than fit on any disk here.
const TRANSACTIONS_MAX: u64 = 20_000;

fn open(dir: &Path) -> Result<Node> {
    let mut options = LmdbOptions::default();
    options.reserve_bytes = MIB;
    Node::builder(options.open(dir)?)
        .codec(JsonPatch::new())
        .open()
}

fn make(dir: &Path) -> Db {
    let db = open(dir).unwrap().create("friends").unwrap();
    db.define(&spec("Person").with_index(index("n"))).unwrap();
    db
}

fn index(path: &str) -> IndexSpec {
    IndexSpec::on(path.parse().unwrap())
}

fn row(n: u64) -> Value {
    json!({"_id": format!("{n:06}"), "n": n, "text": "x".repeat(1_000)})
}

/// A row that fits into no pages that are free again. A small one may: whether a page has to be parted
/// for it depends on its record's name, which is another for each attempt.
fn long_row() -> Value {
    json!({"_id": "long", "n": 0, "text": "x".repeat(300_000)})
}

/// Commits until the disk is full; gives how many entities there are then.
fn fill(db: &Db) -> u64 {
    let people = db.collection("Person").unwrap();
    let full = |n: &u64| match people.create(&row(*n)) {
        Ok(_) => false,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Full, "{error:?}");
            true
        }
    };
    (0..TRANSACTIONS_MAX)
        .find(full)
        .expect("the disk is never full")
}

#[track_caller]
fn assert_holds(db: &Db, entities: u64) {
    let expected: Vec<_> = (0..entities).map(row).collect();
    assert!(all(db, "Person") == expected, "not what was committed");
    assert_clean(db);
}

#[test]
fn child() {
    let Some(dir) = std::env::var_os(DIR) else {
        return; // This is the parent's own run of its tests.
    };
    let db = open(dir.as_ref()).unwrap().open("friends").unwrap();
    let entities = fill(&db);
    assert_holds(&db, entities);
    let people = db.collection("Person").unwrap();
    let again = people.create(&long_row()).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Full, "{again:?}");
    assert_holds(&db, entities);
    fs::write(Path::new(&dir).join("entities"), entities.to_string()).unwrap();
}

/// A bound on the length of files needs no rights.
#[test]
fn a_limit_on_files_is_a_full_disk() {
    let dir = tempfile::tempdir().unwrap();
    drop(make(dir.path()));
    let run = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 8192; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "full_disk::child"])
        .env(DIR, dir.path())
        .output()
        .unwrap();
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stdout)
    );
    let entities = fs::read_to_string(dir.path().join("entities"))
        .unwrap()
        .parse()
        .unwrap();
    let db = open(dir.path()).unwrap().open("friends").unwrap();
    assert_holds(&db, entities);
    db.collection("Person")
        .unwrap()
        .create(&row(entities))
        .unwrap();
    assert_holds(&db, entities + 1);
}

#[test]
fn a_full_disk_keeps_what_was_committed_and_works_again_when_it_is_not() {
    let Some(disk) = SmallDisk::new(12 * MIB) else {
        return;
    };
    let store = disk.store();
    let db = make(&store);
    let people = db.collection("Person").unwrap();
    (0..100)
        .try_for_each(|n| people.create(&row(n)).map(drop))
        .unwrap();
    disk.fill();
    let entities = 100
        + (100..TRANSACTIONS_MAX)
            .take_while(|n| people.create(&row(*n)).is_ok())
            .count() as u64;
    assert_holds(&db, entities);
    let pet = |n| spec(&format!("Pet{n}")).with_index(index("name"));
    let (refused, more) = (0..TRANSACTIONS_MAX)
        .find_map(|n| Some((n, db.define(&pet(n)).err()?)))
        .expect("the disk is never full");
    assert_eq!(more.kind(), ErrorKind::Full, "{more:?}");
    assert!(db.collection(&format!("Pet{refused}")).is_err());
    people.delete("000000").unwrap();
    assert_clean(&db);
    disk.free();
    people.create(&row(entities)).unwrap();
    drop((db, people));
    let db = open(&store).unwrap().open("friends").unwrap();
    let expected: Vec<_> = (1..=entities).map(row).collect();
    assert!(all(&db, "Person") == expected);
    assert_clean(&db);
}
