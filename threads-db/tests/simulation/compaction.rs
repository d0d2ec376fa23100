//! Peers that drop old records, and peers that begin with a snapshot, while events come late.

use std::collections::BTreeSet;

use threads_conformance::sim::generate::{self, Also};
use threads_conformance::sim::lab::Lab;
use threads_conformance::sim::script::Script;
use threads_conformance::sim::seeds;
use threads_conformance::sim::watch::Watch;
use threads_core::rand_core::CryptoRng;
use threads_core::{Error, Result};
use threads_db::{Db, NodeBuilder, WriteTransaction};

use crate::codecs::Mixed;

/// All codecs, in scripts with compaction. That all have the same state in the end, whether or not they dropped
/// something, is seen to by the simulator.
pub(super) struct Compacting(pub(super) Mixed);

pub(super) const ALSO: &[Also] = &[Also::NoBackups, Also::Compacts, Also::Snapshots];

impl Lab for Compacting {
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
        self.0.watch(db)
    }

    fn script(&self, seed: u64) -> Script {
        generate::with(seed, self.0.also)
    }

    fn check(&self, peers: &[&Db]) -> Result<()> {
        nothing_is_lost(peers)?;
        peers.iter().try_for_each(|db| nothing_waits(db))
    }
}

/// What waited for older records has got them: somebody has all of them.
fn nothing_waits(db: &Db) -> Result<()> {
    match db.base()? {
        Some(base) if base.waiting > 0 => Err(Error::corrupt(
            "records wait for older ones, which others have",
        )
        .with("waiting", base.waiting)),
        _ => Ok(()),
    }
}

/// Each record is with somebody.
fn nothing_is_lost(peers: &[&Db]) -> Result<()> {
    let mut kept = BTreeSet::new();
    let mut due = 0;
    for db in peers {
        let all: u64 = db.sync_status()?.logs.iter().map(|log| log.have).sum();
        due = due.max(all);
        kept.extend(
            db.log(None)?
                .into_iter()
                .map(|entry| (entry.log, entry.seq)),
        );
    }
    match kept.len() as u64 == due {
        true => Ok(()),
        false => Err(Error::corrupt("records are lost")
            .with("kept", kept.len())
            .with("due", due)),
    }
}

#[test]
fn who_compacts_answers_as_everybody_else() {
    seeds::check(&Compacting(Mixed { also: ALSO }), seeds::from_env(20));
}
