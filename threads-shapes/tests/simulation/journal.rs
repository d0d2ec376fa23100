//! What was done, told in the transaction that does it; and what has to come of that, by rules of a few lines.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use threads_core::{LogId, Result};
use threads_db::Db;
use threads_shapes::Feed;
use threads_shapes::feed::Item;

/// The most that is read of a feed at once: more than a run writes.
pub(crate) const ALL: usize = 10_000;

/// One thing that was done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Done {
    Add {
        by: i64,
    },
    Put {
        key: u8,
        value: Vec<u8>,
    },
    /// Whoever deletes says how many puts of earlier transactions it knows.
    Del {
        key: u8,
        known: usize,
    },
    /// The columns of a row that are not what they were; null for those that go, of which whoever does so knows so
    /// many settings of earlier transactions.
    Set {
        row: String,
        columns: Map<String, Value>,
        known: BTreeMap<String, usize>,
    },
    Delete {
        row: String,
    },
}

pub(crate) fn feed(db: &Db) -> Result<Feed<Done>> {
    Feed::open(db, "Item")
}

/// All that was done, in the order of the feed.
pub(crate) fn read(db: &Db) -> Result<Vec<Item<Done>>> {
    feed(db)?.read(None, ALL)
}

impl Done {
    /// Whether it sets a column of a row.
    pub(crate) fn sets(&self, of: &str, name: &str) -> bool {
        match self {
            Self::Set { row, columns, .. } => {
                row == of && columns.get(name).is_some_and(|value| !value.is_null())
            }
            _ => false,
        }
    }
}

/// What a table, keys and values and a counter have to be.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Model {
    pub(crate) sum: i128,
    pub(crate) pairs: BTreeMap<u8, Vec<u8>>,
    pub(crate) rows: BTreeMap<String, Map<String, Value>>,
}

impl Model {
    pub(crate) fn of(items: &[Item<Done>]) -> Self {
        let mut model = Self::default();
        // By which transactions each key was put, and each column set.
        let mut puts: BTreeMap<u8, Vec<_>> = BTreeMap::new();
        let mut sets: BTreeMap<(&str, &str), Vec<_>> = BTreeMap::new();
        // One that it did not know of, and who takes away is about something else.
        let knew = |all: Option<&Vec<_>>, txn, known: usize| {
            let earlier = all.into_iter().flatten();
            earlier.filter(|other| **other != txn).count() == known
        };
        let mut dead = BTreeSet::new();
        for (txn, done) in in_order(items) {
            match done {
                Done::Add { by } => model.sum += i128::from(*by),
                Done::Put { key, value } => {
                    puts.entry(*key).or_default().push(txn);
                    model.pairs.insert(*key, value.clone());
                }
                Done::Del { key, known } => {
                    if knew(puts.get(key), txn, *known) {
                        model.pairs.remove(key);
                    }
                }
                Done::Set {
                    row,
                    columns,
                    known,
                } => {
                    let there = model.rows.entry(row.clone()).or_default();
                    there.insert("_id".into(), row.as_str().into());
                    for (name, value) in columns {
                        let set = sets.entry((row, name)).or_default();
                        let known = known.get(name).copied().unwrap_or_default();
                        if !value.is_null() {
                            set.push(txn);
                            there.insert(name.clone(), value.clone());
                        } else if knew(Some(set), txn, known) {
                            there.remove(name);
                        }
                    }
                }
                Done::Delete { row } => drop(dead.insert(row)),
            }
        }
        model.rows.retain(|row, _| !dead.contains(row));
        model
    }
}

/// What was done, with its transaction: by time, then by writer, then as it was done.
fn in_order(items: &[Item<Done>]) -> Vec<((u64, u32, LogId), &Done)> {
    let mut all = Vec::new();
    for item in items {
        let text = item.position.to_string();
        let log = text
            .split('-')
            .nth(1)
            .and_then(|log| log.parse::<LogId>().ok());
        let time = item.position.time();
        all.push(((time.wall_ms, time.counter, log.unwrap()), &item.value));
    }
    // The items of one transaction are in order already.
    all.sort_by_key(|(txn, _)| *txn);
    all
}
