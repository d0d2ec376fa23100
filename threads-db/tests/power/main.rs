//! Power loss under the engine: every thread on every image is whole, and verifies.
//!
//! The images are made as in `threads-store-lmdb/tests/power`, which tries many more of them on the
//! store alone.
#![cfg(all(target_os = "linux", target_pointer_width = "64"))]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]
#![allow(clippy::print_stdout, reason = "a test says what it found")]

#[path = "../../../threads-store-lmdb/tests/common/mod.rs"]
mod common;
#[path = "../../../threads-store-lmdb/tests/power/log.rs"]
mod log;
#[path = "../../../threads-store-lmdb/tests/power/recorder.rs"]
mod recorder;
#[path = "../../../threads-store-lmdb/tests/power/trial.rs"]
mod trial;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread;

use common::{Numbers, options};
use log::{Image, Log, Syncs};
use serde_json::{Value, json};
use threads_codec_jsonpatch::JsonPatch;
use threads_core::Result;
use threads_core::datastore::Durability;
use threads_core::module::{CollectionSpec, IndexSpec};
use threads_db::query::Query;
use threads_db::{Db, Node};

/// How many images are checked when `THREADS_IMAGES` does not say.
const IMAGES: u64 = 150;
/// How many images of the control are checked.
const CONTROL_IMAGES: u64 = 40;
const THREADS: u64 = 4;
const TRANSACTIONS: u64 = 12;
const FILE: &str = "data.mdb";

#[test]
fn child() {
    trial::child(FILE, check);
}

fn node(dir: &Path) -> Result<Node> {
    let node = Node::builder(options().open(dir)?).codec(JsonPatch::new());
    node.durability(Durability::Group).open()
}

fn id(thread: u64, number: u64, side: char) -> String {
    format!("{thread}.{number}.{side}")
}

fn half(thread: u64, number: u64, side: char) -> Value {
    let text = "x".repeat((number * 997 % 6_000) as usize);
    json!({"_id": id(thread, number, side), "number": number, "text": text})
}

/// Makes both halves of a pair, and removes a half of the pair before.
fn commit(db: &Db, thread: u64, number: u64) -> Result<()> {
    let pairs = &db.collection("Pair")?;
    db.write(|txn| {
        txn.create(pairs, &half(thread, number, 'a'))?;
        txn.create(pairs, &half(thread, number, 'b'))?;
        match number.checked_sub(1) {
            Some(before) => txn.delete(pairs, &id(thread, before, 'b')),
            None => Ok(()),
        }
    })
    .map(drop)
}

/// What writers that share their syncs leave behind, write by write.
fn record() -> Log {
    // One recording at a time: tests of this file run beside each other.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let node = node(dir.path()).unwrap();
    let db = node.create("friends").unwrap();
    let spec = CollectionSpec::new("Pair".parse().unwrap(), "jsonpatch/1".parse().unwrap());
    let number = IndexSpec::on("number".parse().unwrap());
    db.define(&spec.with_index(number)).unwrap();
    recorder::begin(&dir.path().join(FILE));
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let db = &db;
            scope.spawn(move || {
                for number in 0..TRANSACTIONS {
                    commit(db, thread, number).unwrap();
                    recorder::acknowledge((thread, number));
                }
            });
        }
    });
    drop((db, node));
    let log = recorder::end();
    println!("{}", log.summary());
    log
}

/// Whether the node in `dir` is what it may be after the power loss.
fn check(dir: &Path, image: &Image) -> Result<(), String> {
    state(dir, image).unwrap_or_else(|error| Err(format!("cannot be used: {error}")))
}

fn state(dir: &Path, image: &Image) -> Result<Result<(), String>> {
    let db = node(dir)?.open("friends")?;
    let report = db.verify(&mut |_| ())?;
    if !report.is_clean() {
        return Ok(Err(format!("does not verify: {:?}", report.problems)));
    }
    let found: BTreeMap<String, Value> = db
        .collection("Pair")?
        .find(&Query::new())?
        .into_iter()
        .map(|pair: Value| (pair["_id"].as_str().unwrap_or_default().to_owned(), pair))
        .collect();
    let mut expected = BTreeMap::new();
    for thread in 0..THREADS {
        let there = |number: &u64| found.contains_key(&id(thread, *number, 'a'));
        let count = (0..TRANSACTIONS).take_while(there).count() as u64;
        let acknowledged = image
            .acknowledged
            .iter()
            .filter(|(t, _)| *t == thread)
            .count() as u64;
        if count < acknowledged {
            return Ok(Err(format!(
                "transaction {count} of thread {thread} is lost"
            )));
        }
        for number in 0..count {
            expected.insert(id(thread, number, 'a'), half(thread, number, 'a'));
        }
        if let Some(last) = count.checked_sub(1) {
            expected.insert(id(thread, last, 'b'), half(thread, last, 'b'));
        }
    }
    if found != expected {
        return Ok(Err("a transaction is there in part".to_owned()));
    }
    commit(&db, THREADS, 0)?;
    Ok(Ok(()))
}

fn images() -> u64 {
    std::env::var("THREADS_IMAGES").map_or(IMAGES, |images| images.parse().unwrap())
}

#[test]
fn every_image_of_a_power_loss_verifies_and_holds_what_was_acknowledged() {
    let findings = trial::run(&record(), Syncs::Kept, images());
    let first = findings.first().map(|first| (first.image, &first.what));
    assert!(
        findings.is_empty(),
        "{} images, first {first:?}",
        findings.len()
    );
}

/// The test above can fail: without any sync, hardly an image holds.
#[test]
fn without_syncs_acknowledged_transactions_get_lost() {
    let findings = trial::run(&record(), Syncs::Ignored, CONTROL_IMAGES);
    assert!(findings.len() as u64 > CONTROL_IMAGES / 2);
}
