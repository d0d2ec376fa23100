//! Peers in the simulator: 200 seeds, or as many as `THREADS_SEEDS` says, or the one in `THREADS_SEED`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod automerge;
mod blobs;
mod codecs;
mod compaction;
mod planted;
mod scripts;
mod spoilt;

use std::sync::Arc;

use threads_acl::Acl;
use threads_codec_jsonpatch::JsonPatch;
use threads_codec_lww::Lww;
use threads_conformance::sim::lab::{Lab, Ruled, Things};
use threads_conformance::sim::run::run;
use threads_conformance::sim::script::{Act, Script, Step};
use threads_conformance::sim::{generate, seeds};
use threads_core::Result;
use threads_core::datastore::{Datastore, Keyspace};
use threads_core::module::CollectionSpec;
use threads_core::rand_core::CryptoRng;
use threads_db::{Db, NodeBuilder, WriteTransaction};
use threads_store_redb::Redb;

/// Sees to it that a thread has a collection.
fn provide(db: &Db, name: &str, codec: &str) -> Result<()> {
    match db.collection(name) {
        Ok(_) => Ok(()),
        Err(_) => db.define(&CollectionSpec::new(name.parse()?, codec.parse()?)),
    }
}

fn lab() -> Things {
    let codec = "jsonpatch/1".parse().unwrap();
    Things::new(codec, |node| node.codec(JsonPatch::new()))
}

#[test]
fn peers_agree_once_all_is_healed_whatever_happened() {
    seeds::check(&lab(), seeds::from_env(200));
}

#[test]
fn peers_agree_on_each_member_once_all_is_healed_whatever_happened() {
    let codec = "lww/1".parse().unwrap();
    let lab = Things::new(codec, |node: NodeBuilder| node.codec(Lww::new()));
    seeds::check(&lab, seeds::from_env(100));
}

/// The same in threads with access rules.
fn ruled() -> Ruled<Things> {
    let codec = "jsonpatch/1".parse().unwrap();
    let equip = |node: NodeBuilder| node.codec(JsonPatch::new()).policy(Acl::new());
    Ruled::new(Things::new(codec, equip))
}

#[test]
fn peers_agree_on_the_rules_once_all_is_healed_whatever_happened() {
    seeds::check(&ruled(), seeds::from_env(200));
}

#[test]
fn one_seed_has_one_history() {
    for seed in 0..3 {
        let script = generate::script(seed);
        let (once, twice) = (run(&lab(), &script, None), run(&lab(), &script, None));
        assert_eq!(once, twice);
        let script = generate::ruled(seed);
        let (once, twice) = (run(&ruled(), &script, None), run(&ruled(), &script, None));
        assert_eq!(once, twice);
    }
}

/// What peers write in a seed's script, with nothing in the way; and all of it apart, before they meet.
fn without_trouble(seed: u64) -> [Script; 2] {
    let mut together = generate::script(seed);
    let writes = |step: &Step| matches!(step.act, Act::Write { .. });
    together.steps.retain(writes);
    let (peers, mut apart) = (together.peers, together.clone());
    let pairs = (0..peers).flat_map(|from| (0..peers).map(move |to| (from, to)));
    for (from, to) in pairs.filter(|(from, to)| from != to) {
        let (cut, heal) = (Act::Cut { from, to }, Act::Heal { from, to });
        apart.steps.insert(0, Step { at_ms: 0, act: cut });
        let at_ms = 70_000;
        apart.steps.push(Step { at_ms, act: heal });
    }
    [together, apart]
}

#[test]
fn without_trouble_hardly_anything_is_sent_twice() {
    let (mut came, mut due) = (0, 0);
    for seed in 0..20 {
        let [together, apart] = without_trouble(seed);
        let met = run(&lab(), &together, None).unwrap();
        assert_eq!(met.records_came, met.records_due, "seed {seed}, together");
        let met = run(&lab(), &apart, None).unwrap();
        if apart.peers == 2 {
            assert_eq!(met.records_came, met.records_due, "seed {seed}, apart");
        }
        (came, due) = (came + met.records_came, due + met.records_due);
    }
    // Of many that meet at once, one may send what another is asked for.
    assert!(due > 1_000, "{due} records");
    assert!(20 * came <= 21 * due, "{came} records came, {due} were due");
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
        let script: Script = script.parse().unwrap();
        let ruled = ruled();
        let lab: &dyn Lab = if script.rules { &ruled } else { &lab() };
        run(lab, &script, None).unwrap();
    }
}
