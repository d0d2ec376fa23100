//! Defects that what labs look at in the end, or while peers run, must find.

use std::ops::Bound::Unbounded;

use threads_conformance::sim::generate::{self, Also};
use threads_conformance::sim::lab::Lab;
use threads_conformance::sim::run::run;
use threads_conformance::sim::script::Script;
use threads_conformance::sim::seeds::find;
use threads_conformance::sim::watch::{Live, Watch};
use threads_core::Result;
use threads_core::datastore::{DatastoreExt, Direction, Durability, Keyspace};
use threads_core::rand_core::CryptoRng;
use threads_db::query::Query;
use threads_db::{CompactOptions, Db, Keep, NodeBuilder, WriteTransaction};

use crate::automerge::Counted;
use crate::blobs::Albums;
use crate::codecs::{KINDS, Mixed};
use crate::compaction::Compacting;

/// Within so many seeds each is found.
const SEEDS: u64 = 40;

fn found(lab: &dyn Lab) -> String {
    let seed = find(lab, 0..SEEDS, None).expect("the defect is found");
    run(lab, &lab.script(seed), None).unwrap_err().what
}

/// What is wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// A live query is about less than the query.
    Blinkered,
    /// On one peer all of a keyspace is gone in the end.
    Without(Keyspace),
    /// All drop their records, whether or not others have them.
    AllCompact,
}

struct Spoilt<L>(L, Fault);

impl<L: Lab> Lab for Spoilt<L> {
    fn equip(&self, builder: NodeBuilder) -> NodeBuilder {
        self.0.equip(builder)
    }

    fn prepare(&self, db: &Db) -> Result<()> {
        self.0.prepare(db)
    }

    fn write(
        &self,
        db: &Db,
        txn: &mut WriteTransaction<'_>,
        rng: &mut dyn CryptoRng,
    ) -> Result<()> {
        self.0.write(db, txn, rng)
    }

    fn watch(&self, db: &Db) -> Result<Vec<Box<dyn Watch>>> {
        match db.collection(KINDS[0].0) {
            Ok(things) if self.1 == Fault::Blinkered => {
                let live = Live::beside(&things, &Query::new().limit(1), Query::new())?;
                Ok(vec![Box::new(live)])
            }
            _ => Ok(Vec::new()),
        }
    }

    fn script(&self, seed: u64) -> Script {
        generate::with(seed, &[Also::NoBackups])
    }

    fn finish(&self, peers: &[&Db]) -> Result<()> {
        if self.1 == Fault::AllCompact {
            let mut options = CompactOptions::new(Keep::Latest);
            options.even_alone = true;
            for db in peers {
                db.compact(&options, &mut |_| ()).ok();
            }
        }
        Ok(())
    }

    fn check(&self, peers: &[&Db]) -> Result<()> {
        if let (Fault::Without(space), Some(db)) = (self.1, peers.last()) {
            let store = db.node().datastore();
            store.transact(Durability::Group, |txn| {
                let rows = txn.scan(space, (Unbounded, Unbounded), Direction::Forward)?;
                let keys = rows.map(|row| row.map(|(key, _)| key.to_vec()));
                let keys: Vec<_> = keys.collect::<Result<_>>()?;
                keys.iter().try_for_each(|key| txn.delete(space, key))
            })?;
        }
        self.0.check(peers)
    }
}

fn mixed() -> Mixed {
    Mixed { also: &[] }
}

#[test]
fn a_live_query_that_misses_something_is_found() {
    let what = found(&Spoilt(mixed(), Fault::Blinkered));
    assert!(what.contains("a live query shows something else"), "{what}");
}

#[test]
fn an_index_without_rows_is_found() {
    let what = found(&Spoilt(mixed(), Fault::Without(Keyspace::Indexes)));
    assert!(what.contains("an index does not give"), "{what}");
}

#[test]
fn a_past_without_its_histories_is_found() {
    let what = found(&Spoilt(mixed(), Fault::Without(Keyspace::History)));
    assert!(what.contains("past"), "{what}");
}

#[test]
fn records_that_nobody_has_any_more_are_found() {
    let what = found(&Spoilt(Compacting(mixed()), Fault::AllCompact));
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
