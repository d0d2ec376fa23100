//! Power loss: what was acknowledged is in every file that a disk may be left with.
//!
//! A real workload is recorded, write by write. From the recording files are made as they may be
//! after a power loss: all that was synced, and any part of what was not, whole sectors in any
//! combination. Each is opened, and must hold every commit that was acknowledged before, and no
//! part of another.
#![cfg(all(target_os = "linux", target_pointer_width = "64"))]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]
#![allow(clippy::print_stdout, reason = "a test says what it found")]

#[path = "../common/mod.rs"]
mod common;
mod log;
mod recorder;
mod trial;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread;

use common::{ALL, Numbers, rows};
use log::{Image, Log, Op, Syncs};
use threads_core::Result;
use threads_core::datastore::{
    Datastore, DatastoreExt, Direction, Durability, Keyspace, ReadTxn, WriteTxn,
};
use threads_store_lmdb::{Lmdb, LmdbOptions};

/// How many images are checked when `THREADS_IMAGES` does not say.
const IMAGES: u64 = 3_000;
/// How many images of each control are checked.
const CONTROL_IMAGES: u64 = 400;
const THREADS: u64 = 4;
const COMMITS: u64 = 60;
/// How many commits of a thread leave their rows: each removes those of an older one.
const KEPT: u64 = 8;
const MAP_BYTES: usize = 256 << 10;
const FILE: &str = "data.mdb";

#[test]
fn child() {
    trial::child(FILE, check);
}

/// A small map at first, so that it grows on the way.
fn options() -> LmdbOptions {
    let mut options = common::options();
    options.map_bytes_initial = MAP_BYTES;
    options
}

fn key(thread: u64, number: u64) -> Vec<u8> {
    [thread.to_be_bytes(), number.to_be_bytes()].concat()
}

/// What a commit writes: short values, and some that take several pages of their own.
fn value(thread: u64, number: u64) -> Vec<u8> {
    let mut numbers = Numbers(thread << 32 | number);
    let length = match number % 6 {
        5 => 5_000 + numbers.below(30_000),
        _ => numbers.below(400),
    };
    (0..length).map(|_| numbers.below(256) as u8).collect()
}

/// One commit of a thread: a row in two keyspaces, an older one gone from both, and its number.
fn commit(store: &Lmdb, thread: u64, number: u64) -> Result<()> {
    store.transact(Durability::Group, |txn: &mut dyn WriteTxn| {
        txn.put(Keyspace::Feed, &key(thread, number), &value(thread, number))?;
        txn.put(Keyspace::Views, &key(thread, number), b"")?;
        if let Some(old) = number.checked_sub(KEPT) {
            txn.delete(Keyspace::Feed, &key(thread, old))?;
            txn.delete(Keyspace::Views, &key(thread, old))?;
        }
        txn.put(Keyspace::Meta, &thread.to_be_bytes(), &number.to_be_bytes())
    })
}

/// What writers that share their syncs leave behind, write by write.
fn record() -> Log {
    // One recording at a time: tests of this file run beside each other.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let store = options().open(dir.path()).unwrap();
    recorder::begin(&dir.path().join(FILE));
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let store = &store;
            scope.spawn(move || {
                for number in 0..COMMITS {
                    commit(store, thread, number).unwrap();
                    recorder::acknowledge((thread, number));
                }
            });
        }
    });
    drop(store);
    let log = recorder::end();
    println!("{}", log.summary());
    let syncs = log.count(|op| matches!(op, Op::Sync));
    let commits = log.count(|op| matches!(op, Op::Ack(_)));
    assert_eq!(commits as u64, THREADS * COMMITS);
    assert!(syncs > 0 && syncs < commits, "no commits shared a sync");
    assert!(log.replayed().len() > MAP_BYTES, "the map did not grow");
    log
}

/// Whether the store in `dir` is what it may be after the power loss.
fn check(dir: &Path, image: &Image) -> Result<(), String> {
    let named = |what: &'static str| move |error: threads_core::Error| format!("{what}: {error}");
    let store = options().open(dir).map_err(named("cannot be opened"))?;
    let mut latest = state(&store).map_err(named("cannot be read"))??;
    for (thread, number) in &image.acknowledged {
        if latest.get(thread).is_none_or(|latest| latest < number) {
            return Err(format!("commit {number} of thread {thread} is lost"));
        }
    }
    // It goes on from here, without harm to what is there.
    let next = latest.get(&0).map_or(0, |latest| latest + 1);
    commit(&store, 0, next).map_err(named("cannot be written"))?;
    latest.insert(0, next);
    let after = state(&store).map_err(named("cannot be read after a commit"))??;
    if after != latest {
        return Err("a commit after the loss changed others".to_owned());
    }
    Ok(())
}

/// The latest commit of each thread that is there, if the rows are exactly what they left.
fn state(store: &Lmdb) -> Result<Result<BTreeMap<u64, u64>, String>> {
    store.verify()?;
    let read = store.read()?;
    let word = |bytes: &[u8]| u64::from_be_bytes(bytes.try_into().unwrap_or_default());
    let heads = rows(&*read, Keyspace::Meta, ALL, Direction::Forward)?;
    let latest: BTreeMap<u64, u64> = heads
        .iter()
        .map(|(thread, number)| (word(thread), word(number)))
        .collect();
    for space in [Keyspace::Feed, Keyspace::Views] {
        let expected: Vec<_> = latest
            .iter()
            .flat_map(|(thread, last)| {
                let kept = (last + 1).saturating_sub(KEPT)..=*last;
                kept.map(move |number| (*thread, number))
            })
            .map(|(thread, number)| {
                let full = space == Keyspace::Feed;
                let value = if full {
                    value(thread, number)
                } else {
                    Vec::new()
                };
                (key(thread, number), value)
            })
            .collect();
        if rows(&*read as &dyn ReadTxn, space, ALL, Direction::Forward)? != expected {
            return Ok(Err(format!("{} holds a part of a commit", space.name())));
        }
    }
    Ok(Ok(latest))
}

fn images() -> u64 {
    std::env::var("THREADS_IMAGES").map_or(IMAGES, |images| images.parse().unwrap())
}

#[test]
fn every_image_of_a_power_loss_holds_what_was_acknowledged() {
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
fn without_syncs_acknowledged_commits_get_lost() {
    let findings = trial::run(&record(), Syncs::Ignored, CONTROL_IMAGES);
    assert!(findings.len() as u64 > CONTROL_IMAGES / 2);
}

/// Nor is it enough to sync the pages that a commit points to.
#[test]
fn without_synced_meta_pages_acknowledged_commits_get_lost() {
    let findings = trial::run(&record(), Syncs::MetaIgnored, CONTROL_IMAGES);
    let lost = findings
        .iter()
        .filter(|found| found.what.ends_with("is lost"));
    assert!(lost.count() > 0);
}
