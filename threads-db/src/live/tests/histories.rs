//! Histories by chance: two who write, late records in any order, deletes, purges, definitions.

use super::views::Watcher;
use super::*;
use crate::{CompactOptions, Keep};

/// How many histories. The variable `THREADS_HISTORIES` says otherwise.
const HISTORIES: u64 = 1_000;
const STEPS: usize = 20;
const IDS: [&str; 9] = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];

pub(super) fn random_query(chance: &mut Chance) -> Query {
    let filters = [
        None,
        Some("n >= 2"),
        Some("n < 3 and s != 'x'"),
        Some("s = 'x' or tags = 1"),
        Some("not (n = 1)"),
        Some("_id in ['a', 'c', 'e', 'z']"),
        Some("false"),
    ];
    let mut query = match chance.pick(&filters) {
        Some(filter) => Query::parse(filter).unwrap(),
        None => Query::new(),
    };
    for field in ["n", "s", "tags"] {
        query = match chance.below(5) {
            0 => query.sort(field),
            1 => query.sort_desc(field),
            _ => query,
        };
    }
    if chance.percent(30) {
        query = query.skip(chance.below(4) as u64);
    }
    if chance.percent(60) {
        let limit = chance.below(6) as u64;
        // Room for so many spare rows, or fewer.
        let rows = query.skip + limit + chance.below(4) as u64;
        query = query
            .limit(limit)
            .caps(QueryCaps::default().with_rows(rows.max(1)));
    } else if chance.percent(40) {
        query = query.caps(QueryCaps::default().with_rows(4));
    }
    match chance.below(4) {
        0 => query.fields(["n"]),
        1 => query.fields(["s", "tags"]),
        _ => query,
    }
}

/// The query, after a cursor in its result.
fn after(collection: &Collection<Value>, query: Query, chance: &mut Chance) -> Query {
    let page = query.clone().limit(1 + chance.below(3) as u64);
    let page = collection.find_page(&page.caps(QueryCaps::default()));
    match page.unwrap().next {
        Some(cursor) => query.after(cursor),
        None => query,
    }
}

fn random_note(chance: &mut Chance) -> Value {
    let mut note = json!({"_id": chance.pick(&IDS), "n": chance.below(5)});
    if chance.percent(70) {
        note["s"] = (*chance.pick(&["x", "y", "z"])).into();
    }
    if chance.percent(30) {
        note["tags"] = json!([chance.below(3)]);
    }
    note
}

/// A transaction of some changes; one that is refused leaves no trace.
pub(super) fn write(db: &Db, chance: &mut Chance) {
    let notes = notes(db);
    let refused = db.write(|txn| {
        for _ in 0..1 + chance.below(3) {
            let id = *chance.pick(&IDS);
            match chance.below(8) {
                0 => drop(txn.create(&notes, &random_note(chance))?),
                1 => txn.delete(&notes, id)?,
                2 => txn.patch(&notes, id, &json!({"n": chance.below(5)}))?,
                3 => txn.patch(&notes, id, &json!({"hidden": chance.below(9)}))?,
                _ => drop(txn.save(&notes, &random_note(chance))?),
            }
        }
        Ok(())
    });
    let kinds = [
        ErrorKind::NotFound,
        ErrorKind::Conflict,
        ErrorKind::Rejected,
    ];
    assert!(refused.map_or_else(|error| kinds.contains(&error.kind()), |()| true));
}

/// Brings some records of one node to another, in any order.
pub(super) fn deliver(from: &Db, to: &Db, chance: &mut Chance) {
    let all = records(from);
    for _ in 0..all.len().div_ceil(2) {
        let at = chance.below(all.len());
        take(to, &all[at..(at + 1 + chance.below(3)).min(all.len())]);
    }
}

pub(super) fn purge(db: &Db, chance: &mut Chance) {
    let entity = (
        COLLECTION.parse().unwrap(),
        chance.pick(&IDS).parse().unwrap(),
    );
    let purged = db.purge([entity]);
    let kinds = [
        ErrorKind::NotFound,
        ErrorKind::Conflict,
        ErrorKind::Rejected,
    ];
    assert!(purged.map_or_else(|error| kinds.contains(&error.kind()), |_| true));
}

/// Drops what there is of older records, whoever lacks them.
fn compact(db: &Db) {
    let mut options = CompactOptions::new(Keep::Latest);
    options.even_alone = true;
    db.compact(&options, &mut |_| ()).unwrap();
}

fn index(db: &Db, chance: &mut Chance) {
    let path = *chance.pick(&["n", "s", "tags"]);
    let paths = [path.parse().unwrap()];
    if db.drop_index(COLLECTION, &paths).is_err() {
        let spec = spec().with_index(IndexSpec::on(paths[0].clone()));
        db.define(&spec).unwrap();
    }
}

/// What a history showed.
#[derive(Debug, Default)]
struct Tally {
    changes: usize,
    renewed: usize,
    purges: usize,
}

fn history(seed: u64, tally: &mut Tally) {
    let mut chance = Chance(seed);
    let here = made();
    let there = copy(&here.keys());
    take(&there, &records(&here));
    for _ in 0..3 {
        write(&here, &mut chance);
    }
    let collection = notes(&here);
    let mut followers: Vec<_> = (0..4)
        .map(|_| {
            let mut query = random_query(&mut chance);
            if chance.percent(25) {
                query = after(&collection, query, &mut chance);
            }
            Follower::new(&collection, &query)
        })
        .collect();
    let mut counts = Watcher::new(&here);
    for _ in 0..STEPS {
        match chance.below(12) {
            0..5 => write(&here, &mut chance),
            5..8 => write(&there, &mut chance),
            8 => deliver(&here, &there, &mut chance),
            9 | 10 => deliver(&there, &here, &mut chance),
            _ if chance.percent(40) => index(&here, &mut chance),
            _ if chance.percent(20) => compact(&here),
            _ => {
                purge(&here, &mut chance);
                tally.purges += 1;
            }
        }
        for follower in &mut followers {
            if chance.percent(60) {
                follower.follow();
            }
        }
        if chance.percent(30) {
            counts.follow(&collection);
        }
    }
    counts.follow(&collection);
    for mut follower in followers {
        follower.follow();
        tally.changes += follower.updates - follower.resets;
        tally.renewed += follower.renewed;
    }
}

#[test]
fn lists_follow_whatever_happens() {
    let wanted = std::env::var("THREADS_HISTORIES").ok();
    let histories = wanted.map_or(HISTORIES, |wanted| wanted.parse().unwrap());
    let mut tally = Tally::default();
    for seed in 0..histories {
        history(seed, &mut tally);
    }
    assert!(tally.changes as u64 > 4 * histories, "{tally:?}");
    assert!(tally.renewed as u64 > histories / 50, "{tally:?}");
    assert!(tally.purges as u64 > histories / 10, "{tally:?}");
}
