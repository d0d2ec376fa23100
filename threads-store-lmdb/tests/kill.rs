//! `kill -9` while many threads commit: what was acknowledged is there.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::thread;

use common::{ALL, Numbers, child_role, options, rows, say, spawn_child};
use threads_core::datastore::{Datastore, DatastoreExt, Direction, Durability, Keyspace};

const ROUNDS: u64 = 30;
const THREADS: u64 = 8;

type Acknowledged = BTreeSet<(u64, u64)>;

#[test]
fn child() {
    if let Some((role, dir)) = child_role() {
        let durability = match &*role {
            "relaxed" => Durability::Relaxed,
            _ => Durability::Group,
        };
        commit_for_ever(&dir, durability);
    }
}

fn key(thread: u64, number: u64) -> Vec<u8> {
    [thread.to_be_bytes(), number.to_be_bytes()].concat()
}

/// Each commit writes two rows; a line on standard output acknowledges it.
fn commit_for_ever(dir: &Path, durability: Durability) {
    let store = options().open(dir).unwrap();
    thread::scope(|scope| {
        for t in 0..THREADS {
            let store = &store;
            scope.spawn(move || {
                let (first, last) = (key(t, 0), key(t, u64::MAX));
                let range = (
                    std::ops::Bound::Included(&first[..]),
                    std::ops::Bound::Included(&last[..]),
                );
                let from = rows(
                    &*store.read().unwrap(),
                    Keyspace::Feed,
                    range,
                    Direction::Reverse,
                )
                .unwrap()
                .first()
                .map_or(0, |(key, _)| number(key).1 + 1);
                for n in from.. {
                    store
                        .transact(durability, |txn| {
                            txn.put(Keyspace::Feed, &key(t, n), &[t as u8; 100])?;
                            txn.put(Keyspace::Views, &key(t, n), b"")
                        })
                        .unwrap();
                    say(&format!("ack {t} {n}"));
                }
            });
        }
    });
}

fn number(key: &[u8]) -> (u64, u64) {
    let word = |at: usize| u64::from_be_bytes(key[at..at + 8].try_into().unwrap());
    (word(0), word(8))
}

/// Runs the child until it has acknowledged `enough`, kills it, and gives all it acknowledged.
fn run_and_kill(role: &str, dir: &Path, enough: u64) -> Acknowledged {
    let mut child = spawn_child(role, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut acknowledged = Acknowledged::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        // The harness may print its own words on the same line before the first.
        let Some((_, ack)) = line.split_once("ack ") else {
            continue;
        };
        let Some((t, n)) = ack.split_once(' ') else {
            continue;
        };
        acknowledged.insert((t.parse().unwrap(), n.parse().unwrap()));
        if acknowledged.len() as u64 == enough {
            child.kill().unwrap();
        }
    }
    assert!(!child.wait().unwrap().success());
    acknowledged
}

/// What is in the store, after checking that no commit is there in part and none is missing
/// before the last of its thread.
fn stored(dir: &Path) -> Acknowledged {
    let store = options().open(dir).unwrap();
    store.verify().unwrap();
    let read = store.read().unwrap();
    let keys = |space| -> Acknowledged {
        let rows = rows(&*read, space, ALL, Direction::Forward).unwrap();
        rows.iter().map(|(key, _)| number(key)).collect()
    };
    let stored = keys(Keyspace::Feed);
    assert_eq!(stored, keys(Keyspace::Views), "half a commit");
    let mut counts = BTreeMap::new();
    for (t, n) in &stored {
        let expected = counts.entry(t).or_insert(0);
        assert_eq!(n, expected, "a commit is missing before a later one");
        *expected += 1;
    }
    stored
}

#[test]
fn acknowledged_commits_survive() {
    let dir = tempfile::tempdir().unwrap();
    let mut numbers = Numbers(7);
    let mut acknowledged = Acknowledged::new();
    for round in 0..ROUNDS {
        let enough = 1 + numbers.below(150);
        acknowledged.extend(run_and_kill("group", dir.path(), enough));
        let stored = stored(dir.path());
        let lost: Vec<_> = acknowledged.difference(&stored).collect();
        assert!(lost.is_empty(), "round {round}: lost {lost:?}");
    }
    println!(
        "{ROUNDS} kills, {} acknowledged commits, none lost",
        acknowledged.len()
    );
}

/// The test above can fail: with a weaker promise, commits do get lost.
#[test]
fn relaxed_commits_may_be_lost_from_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let acknowledged = run_and_kill("relaxed", dir.path(), 200);
    let stored = stored(dir.path());
    assert!(
        acknowledged.difference(&stored).count() > 0,
        "nothing was lost"
    );
}
