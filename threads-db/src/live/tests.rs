//! A list that follows a live query is what the query gives, whatever happens.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};
use threads_codec_jsonpatch::JsonPatch;
use threads_core::datastore::{Datastore, Direction, Memory};
use threads_core::module::{CollectionSpec, IndexSpec};
use threads_core::{ErrorKind, ManualClock};

use super::*;
use crate::chain::{self, Blocks};
use crate::db::Db;
use crate::export::ByTime;
use crate::ingest;
use crate::node::{Node, NodeBuilder};
use crate::query::QueryCaps;
use crate::sharing::ThreadKeys;

mod histories;
mod limits;
mod model;
mod rules;
mod views;

/// A list that follows a live query.
pub(crate) struct Follower {
    pub(crate) live: LiveQuery<Value>,
    pub(crate) list: Vec<Value>,
    /// How many updates came, and how many of them told the whole result.
    pub(crate) updates: usize,
    pub(crate) resets: usize,
    /// How many of those came after a look that failed.
    pub(crate) renewed: usize,
    /// Whether the last look failed.
    failed: bool,
}

impl Follower {
    pub(crate) fn new(collection: &Collection<Value>, query: &Query) -> Self {
        Self {
            live: collection.watch(query).unwrap(),
            list: Vec::new(),
            updates: 0,
            resets: 0,
            renewed: 0,
            failed: false,
        }
    }

    /// Takes what there is, and compares the list with what the query gives.
    #[track_caller]
    pub(crate) fn follow(&mut self) {
        let expected = self.live.collection.find(&self.live.query);
        let old = self.list.clone();
        match self.live.try_next() {
            Ok(Some(update)) => {
                self.updates += 1;
                match &update {
                    LiveUpdate::Reset { why, .. } => {
                        assert_eq!(self.failed, *why == Renewed::Failed);
                        self.resets += 1;
                        self.renewed += usize::from(self.failed);
                    }
                    LiveUpdate::Changes(changes) => {
                        assert!(!self.failed);
                        assert_least(&old, expected.as_ref().unwrap(), changes);
                    }
                }
                update.apply(&mut self.list);
                self.failed = false;
            }
            Ok(None) => {}
            Err(error) => {
                assert_eq!(
                    error.kind(),
                    expected.as_ref().unwrap_err().kind(),
                    "{error}"
                );
                self.failed = true;
            }
        }
        assert_eq!(self.failed, expected.is_err(), "{expected:?}");
        if let Ok(expected) = expected {
            assert_eq!(self.list, expected, "{:?}", self.live.query);
            let ids: Vec<_> = expected.iter().map(id).collect();
            assert_eq!(self.live.ids().collect::<Vec<_>>(), ids);
        }
        assert!(
            self.failed || self.live.try_next().unwrap().is_none(),
            "nothing happened"
        );
    }
}

fn id(row: &Value) -> &str {
    row["_id"].as_str().unwrap()
}

/// What comes, goes and changes is said once, and of nothing else anything is said.
fn assert_least(old: &[Value], new: &[Value], changes: &[LiveChange<Value>]) {
    let by_id = |rows: &[Value]| -> BTreeMap<String, Value> {
        rows.iter()
            .map(|row| (id(row).to_owned(), row.clone()))
            .collect()
    };
    let (was, is) = (by_id(old), by_id(new));
    let mut said = BTreeSet::new();
    for change in changes {
        let name = change.id().as_str();
        let kind = std::mem::discriminant(change);
        assert!(
            said.insert((name, format!("{kind:?}"))),
            "said twice: {changes:?}"
        );
        let (was, is) = (was.get(name), is.get(name));
        let right = match change {
            LiveChange::Added { at, row, .. } => {
                was.is_none() && is == Some(row) && new[*at] == *row
            }
            LiveChange::Removed { from, .. } => is.is_none() && was == Some(&old[*from]),
            LiveChange::Changed { at, row, .. } => {
                was.is_some_and(|was| was != row) && is == Some(row) && new[*at] == *row
            }
            LiveChange::Moved { from, to, .. } => id(&old[*from]) == name && id(&new[*to]) == name,
        };
        assert!(right, "{change:?} of {old:?} to {new:?}");
    }
    assert!(!changes.is_empty());
}

const COLLECTION: &str = "Note";

fn builder(store: &Arc<Memory>) -> NodeBuilder {
    let builder = Node::builder(Arc::clone(store)).codec(JsonPatch::new());
    builder.clock(ManualClock::at(1_900_000_000_000))
}

fn spec() -> CollectionSpec {
    CollectionSpec::new(COLLECTION.parse().unwrap(), "jsonpatch/1".parse().unwrap())
}

/// A thread with a collection.
fn made() -> Db {
    let node = builder(&Arc::default()).reducer(views::ByNumber).open();
    let db = node.unwrap().create("t").unwrap();
    db.define(&spec()).unwrap();
    db
}

fn notes(db: &Db) -> Collection<Value> {
    db.collection(COLLECTION).unwrap()
}

/// The same thread on another node, with nothing of it.
fn copy(keys: &ThreadKeys) -> Db {
    builder(&Arc::default())
        .open()
        .unwrap()
        .add_thread("t", keys)
        .unwrap()
}

/// The records of a thread, in the order of their times.
fn records(db: &Db) -> Vec<Blocks> {
    let (thread, txn) = (db.thread(), db.thread().node.store.read().unwrap());
    let mut order = ByTime::new(&*txn, thread).unwrap();
    std::iter::from_fn(|| order.next(&*txn, thread).unwrap())
        .map(|place| chain::expect(&*txn, place).unwrap())
        .collect()
}

fn take(db: &Db, records: &[Blocks]) {
    ingest::take_in(db.thread(), records).unwrap();
}

/// Chance that comes out the same every time: splitmix64.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }

    fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}
