//! `kill -9` while many threads commit: what was acknowledged is there, whole and verified.
#![allow(clippy::print_stdout, reason = "a test says what it found")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::ops::Range;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use serde_json::{Value, json};
use threads_codec_jsonpatch::JsonPatch;
use threads_core::datastore::Durability;
use threads_core::module::IndexSpec;
use threads_db::{Db, Node};

use super::Durable;
use super::suite::common::{all, assert_clean, spec};
use crate::place::Kind;

/// How many times the child is killed when `THREADS_KILLS` does not say.
const KILLS: u64 = 30;
/// How many kills one store takes: all that is in it is verified after each.
const KILLS_OF_ONE: u64 = 30;
const THREADS: u64 = 8;
/// The most acknowledgements of one child; one less is the most it is waited for.
const ACKNOWLEDGED_MAX: u64 = 60;

/// What the child is to do, where, and in which round.
const ROLE: &str = "THREADS_CRASH_ROLE";
const DIR: &str = "THREADS_CRASH_DIR";
const ROUND: &str = "THREADS_CRASH_ROUND";

/// A transaction: the round, the thread of the child, and its number there.
type Name = (u64, u64, u64);

#[test]
fn child() {
    let (Ok(role), Some(dir), Ok(round)) = (
        std::env::var(ROLE),
        std::env::var_os(DIR),
        std::env::var(ROUND),
    ) else {
        return; // This is the parent's own run of its tests.
    };
    commit_for_ever(&open(dir.as_ref()), round.parse().unwrap(), role == "early");
}

fn open(dir: &Path) -> Db {
    let node = Node::builder(Durable::open(dir).unwrap())
        .codec(JsonPatch::new())
        .durability(Durability::Group);
    node.open().unwrap().open("friends").unwrap()
}

fn set_up(dir: &Path) {
    let store = Durable::open(dir).unwrap();
    let node = Node::builder(store).codec(JsonPatch::new()).open().unwrap();
    let number = IndexSpec::on("number".parse().unwrap());
    node.create("friends")
        .unwrap()
        .define(&spec("Pair").with_index(number))
        .unwrap();
}

fn half(name: Name, side: char) -> Value {
    let (round, thread, number) = name;
    json!({"_id": format!("{round}.{thread}.{number}.{side}"), "number": number, "side": side.to_string()})
}

/// Each transaction makes both halves of a pair; a line on standard output acknowledges it.
/// To acknowledge early is the mistake that the parent has to find.
fn commit_for_ever(db: &Db, round: u64, early: bool) {
    let pairs = &db.collection("Pair").unwrap();
    let commit_all = |thread| {
        for number in 0.. {
            let name = (round, thread, number);
            let mut txn = db.begin().unwrap();
            txn.create(pairs, &half(name, 'a')).unwrap();
            txn.create(pairs, &half(name, 'b')).unwrap();
            if early {
                acknowledge(name);
            }
            txn.commit().unwrap();
            if !early {
                acknowledge(name);
            }
        }
    };
    thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || commit_all(thread));
        }
    });
}

/// Prints past the test harness, in one write. It fails, and ends the child, without a parent.
fn acknowledge((round, thread, number): Name) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("ack {round} {thread} {number}\n").as_bytes())
        .unwrap();
    out.flush().unwrap();
}

/// What the test harness calls [`child`]: its path without the program's name.
fn child_name() -> String {
    let (_, module) = module_path!().split_once("::").unwrap();
    format!("{module}::child")
}

/// Runs a child until it has acknowledged `enough`, kills it, and gives all it acknowledged.
fn run_and_kill(role: &str, dir: &Path, round: u64, enough: u64) -> BTreeSet<Name> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &child_name(), "--nocapture"])
        .env(ROLE, role)
        .env(DIR, dir)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut acknowledged = BTreeSet::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        acknowledged.extend(acknowledgement(&line.unwrap()));
        if acknowledged.len() as u64 == enough {
            child.kill().unwrap();
        }
    }
    assert!(!child.wait().unwrap().success());
    assert!(
        acknowledged.len() as u64 >= enough,
        "the child ended by itself"
    );
    acknowledged
}

/// The harness may print its own words, on the same line too.
fn acknowledgement(line: &str) -> Option<Name> {
    let (_, ack) = line.split_once("ack ")?;
    let mut numbers = ack.split(' ').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??, numbers.next()??))
}

/// The transactions that are there, after checking that each is whole, that its values are what
/// was written, and that none is missing before a later one of its thread.
fn stored(db: &Db) -> BTreeSet<Name> {
    let mut halves: BTreeMap<Name, Vec<Value>> = BTreeMap::new();
    for entity in all(db, "Pair") {
        let id = entity["_id"].as_str().unwrap();
        let mut numbers = id
            .split('.')
            .map(|number| number.parse().unwrap_or_default());
        let mut next = || numbers.next().unwrap();
        halves
            .entry((next(), next(), next()))
            .or_default()
            .push(entity);
    }
    let mut counts = BTreeMap::new();
    for (name, found) in &halves {
        assert_eq!(
            *found,
            [half(*name, 'a'), half(*name, 'b')],
            "half a transaction"
        );
        let expected = counts.entry((name.0, name.1)).or_insert(0);
        assert_eq!(
            name.2, *expected,
            "a transaction is missing before {name:?}"
        );
        *expected += 1;
    }
    halves.into_keys().collect()
}

/// A small generator of numbers, so that a failure can be repeated.
fn next_below(state: &mut u64, bound: u64) -> u64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % bound
}

fn kills() -> u64 {
    std::env::var("THREADS_KILLS").map_or(KILLS, |kills| kills.parse().unwrap())
}

#[test]
fn row_51_acknowledged_transactions_survive() {
    let (mut random, mut survived) = (11, 0);
    for first in (0..kills()).step_by(KILLS_OF_ONE as usize) {
        let rounds = first..kills().min(first + KILLS_OF_ONE);
        survived += kill_in(rounds, &mut random);
    }
    println!(
        "{} kills, {survived} acknowledged transactions, none lost",
        kills()
    );
}

/// Kills the child in each of `rounds`, on one new store, and gives how many transactions were
/// acknowledged and are there.
fn kill_in(rounds: Range<u64>, random: &mut u64) -> usize {
    let dir = tempfile::tempdir().unwrap();
    set_up(dir.path());
    let mut acknowledged = BTreeSet::new();
    for round in rounds {
        let enough = 1 + next_below(random, ACKNOWLEDGED_MAX - 1);
        acknowledged.extend(run_and_kill("honest", dir.path(), round, enough));
        let db = open(dir.path());
        let stored = stored(&db);
        let lost: Vec<_> = acknowledged.difference(&stored).collect();
        assert!(
            lost.is_empty(),
            "round {round}, killed after {enough}: lost {lost:?}"
        );
        assert_clean(&db);
    }
    acknowledged.len()
}

/// The test above can fail: what is acknowledged before its commit gets lost.
#[test]
fn transactions_acknowledged_too_early_get_lost() {
    let dir = tempfile::tempdir().unwrap();
    set_up(dir.path());
    let loses = |round: &u64| {
        let acknowledged = run_and_kill("early", dir.path(), *round, 20);
        let db = open(dir.path());
        assert_clean(&db);
        acknowledged.difference(&stored(&db)).count() > 0
    };
    let round = (0..KILLS).find(loses);
    println!("found lost transactions in round {round:?}");
    assert!(round.is_some(), "nothing was lost");
}
