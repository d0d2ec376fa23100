//! Peers in the simulator: 200 seeds, or as many as `THREADS_SEEDS` says, or the one in `THREADS_SEED`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod planted;
mod scripts;

use std::sync::Arc;

use threads_codec_jsonpatch::JsonPatch;
use threads_conformance::sim::lab::{Lab, Things};
use threads_conformance::sim::run::run;
use threads_conformance::sim::script::{Script, Step};
use threads_conformance::sim::{generate, seeds};
use threads_core::Result;
use threads_core::datastore::{Datastore, Keyspace};
use threads_core::rand_core::CryptoRng;
use threads_db::{Db, NodeBuilder, WriteTransaction};
use threads_store_redb::Redb;

fn lab() -> Things {
    let codec = "jsonpatch/1".parse().unwrap();
    Things::new(codec, |node| node.codec(JsonPatch::new()))
}

#[test]
fn peers_agree_once_all_is_healed_whatever_happened() {
    seeds::check(&lab(), seeds::from_env(200));
}

#[test]
fn one_seed_has_one_history() {
    for seed in 0..3 {
        let script = generate::script(seed);
        let (once, twice) = (run(&lab(), &script, None), run(&lab(), &script, None));
        assert_eq!(once, twice);
    }
}

/// The same on a store of one's own, on which nothing crashes.
struct OnRedb(Things, tempfile::TempDir);

impl Lab for OnRedb {
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

    fn store(&self, peer: usize) -> Option<Arc<dyn Datastore>> {
        let dir = self.1.path().join(peer.to_string());
        let store = Redb::open(dir).unwrap();
        // Every peer begins with nothing.
        assert!(
            store
                .read()
                .unwrap()
                .get(Keyspace::Meta, b"layout")
                .unwrap()
                .is_none()
        );
        Some(Arc::new(store))
    }
}

#[test]
fn a_real_store_can_be_tried() {
    let lab = OnRedb(lab(), tempfile::tempdir().unwrap());
    let script = Script {
        peers: 2,
        ..generate::script(2)
    };
    let named = |step: &Step| step.act.peers().into_iter().all(|peer| peer < 2);
    let steps = script.steps.iter().filter(|step| named(step)).take(20);
    let steps = steps.cloned().collect();
    let took = run(&lab, &Script { steps, ..script }, None).unwrap();
    assert!(took.frames > 0);
}

/// Plays the script in `THREADS_SCRIPT`, and prints what happens with `THREADS_TRACE`.
#[test]
fn a_script_from_the_environment_holds() {
    if let Ok(script) = std::env::var("THREADS_SCRIPT") {
        run(&lab(), &script.parse().unwrap(), None).unwrap();
    }
}
