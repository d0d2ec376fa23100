//! Defects that what labs look at in the end, or while peers run, must find.

use std::ops::Bound::Unbounded;

use threads_conformance::sim::generate::Also;
use threads_conformance::sim::lab::Lab;
use threads_conformance::sim::run::run;
use threads_conformance::sim::seeds::find;
use threads_conformance::sim::watch::Live;
use threads_core::Result;
use threads_core::datastore::{DatastoreExt, Direction, Durability, Keyspace};
use threads_db::query::Query;
use threads_db::{CompactOptions, Db, Keep};

use crate::automerge::Counted;
use crate::blobs::Albums;
use crate::codecs::{KINDS, Mixed, Watches, indexes_and_pasts_agree};
use crate::compaction::compacting;

/// Within so many seeds each is found.
const SEEDS: u64 = 40;

fn found(lab: &dyn Lab) -> String {
    let seed = find(lab, 0..SEEDS, None).expect("the defect is found");
    run(lab, &lab.script(seed), None).unwrap_err().what
}

const ALSO: &[Also] = &[Also::NoBackups];

/// A live query that is about less than the query.
fn blinkered(db: &Db) -> Result<Watches> {
    let Ok(things) = db.collection(KINDS[0].0) else {
        return Ok(Vec::new());
    };
    let live = Live::beside(&things, &Query::new().limit(1), Query::new())?;
    Ok(vec![Box::new(live)])
}

/// On one peer all of a keyspace is gone.
fn empty(space: Keyspace, peers: &[&Db]) -> Result<()> {
    let Some(db) = peers.last() else {
        return Ok(());
    };
    let store = db.node().datastore();
    store.transact(Durability::Group, |txn| {
        let rows = txn.scan(space, (Unbounded, Unbounded), Direction::Forward)?;
        let keys = rows.map(|row| row.map(|(key, _)| key.to_vec()));
        let keys: Vec<_> = keys.collect::<Result<_>>()?;
        keys.iter().try_for_each(|key| txn.delete(space, key))
    })
}

/// All drop their records, whether or not others have them.
fn all_compact(peers: &[&Db]) -> Result<()> {
    let mut options = CompactOptions::new(Keep::Latest);
    options.even_alone = true;
    for db in peers {
        db.compact(&options, &mut |_| ()).ok();
    }
    Ok(())
}

#[test]
fn a_live_query_that_misses_something_is_found() {
    let what = found(&Mixed {
        watch: blinkered,
        ..Mixed::with(ALSO)
    });
    assert!(what.contains("a live query shows something else"), "{what}");
}

#[test]
fn an_index_without_rows_is_found() {
    let what = found(&Mixed {
        check: |peers| {
            empty(Keyspace::Indexes, peers)?;
            indexes_and_pasts_agree(peers)
        },
        ..Mixed::with(ALSO)
    });
    assert!(what.contains("an index does not give"), "{what}");
}

#[test]
fn a_past_without_its_histories_is_found() {
    let what = found(&Mixed {
        check: |peers| {
            empty(Keyspace::History, peers)?;
            indexes_and_pasts_agree(peers)
        },
        ..Mixed::with(ALSO)
    });
    assert!(what.contains("past"), "{what}");
}

#[test]
fn records_that_nobody_has_any_more_are_found() {
    let what = found(&Mixed {
        finish: all_compact,
        ..compacting(ALSO)
    });
    assert!(what.contains("records are lost"), "{what}");
}

#[test]
fn blobs_that_nobody_fetches_are_found() {
    let what = found(&Albums { lazy: true });
    assert!(what.contains("that others have cannot be got"), "{what}");
}

#[test]
fn steps_that_are_told_to_nobody_are_found() {
    let what = found(&Counted { keeps_back: true });
    assert!(what.contains("not the sum of its steps"), "{what}");
}
