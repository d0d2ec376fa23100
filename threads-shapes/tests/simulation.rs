//! The shapes in the simulator: peers that crash, are cut off and hear late. 30 seeds, or as many as
//! `THREADS_SEEDS` says, or the one in `THREADS_SEED`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use serde_json::json;
use threads_codec_jsonpatch::JsonPatch;
use threads_codec_lww::Lww;
use threads_conformance::sim::lab::{self, Lab};
use threads_conformance::sim::script::{Act, Script, Step};
use threads_conformance::sim::{generate, seeds};
use threads_core::rand_core::CryptoRng;
use threads_core::{Error, Result};
use threads_db::query::Query;
use threads_db::{Db, NodeBuilder, WriteTransaction};
use threads_shapes::table::{Column, Kind};
use threads_shapes::{Counters, Feed, Kv, Table};

/// Every write counts, and appends what it counted.
#[derive(Debug)]
struct Shapes {
    /// No datastore is put back from a backup. Then the two agree, at every moment, on every peer; else
    /// what a writer counted on both sides of it is in one place, and the later one wins.
    no_backups: bool,
}

/// The most that is read of a feed at once: more than a run writes.
const ALL: usize = 10_000;

fn table(db: &Db) -> Result<Table> {
    match Table::open(db, "Row") {
        Err(_) => Table::define(
            db,
            "Row",
            &[
                Column::new("n", Kind::Integer),
                Column::new("b", Kind::Boolean),
            ],
        ),
        table => table,
    }
}

impl Lab for Shapes {
    fn equip(&self, builder: NodeBuilder) -> NodeBuilder {
        builder.codec(Lww::new()).codec(JsonPatch::new())
    }

    fn prepare(&self, db: &Db) -> Result<()> {
        Kv::open(db, "Pair")?;
        Counters::open(db, "Part")?;
        Feed::<i64>::open(db, "Item")?;
        table(db).map(drop)
    }

    fn write(
        &self,
        db: &Db,
        txn: &mut WriteTransaction<'_>,
        rng: &mut dyn CryptoRng,
    ) -> Result<()> {
        let mut random = [0; 4];
        rng.fill_bytes(&mut random);
        let [key, value, by, what] = random;
        let by = i64::from(by) - 128;
        Counters::open(db, "Part")?.add_in(txn, "all", by)?;
        Feed::<i64>::open(db, "Item")?.append_in(txn, &by)?;
        let (kv, key) = (Kv::open(db, "Pair")?, [key % 4]);
        match what % 3 {
            0 => kv.batch(txn).del(key).map(drop),
            1 => kv.batch(txn).put(key, [value]),
            _ => {
                let table = table(db)?;
                let (mut rows, id) = (table.batch(txn), key[0].to_string());
                let columns = match value % 2 {
                    0 => json!({"n": value}),
                    _ => json!({"b": value % 4 == 1}),
                };
                match rows.update(&id, &columns) {
                    Err(_) => rows.insert(&json!({"_id": id})).map(drop),
                    done => done,
                }
            }
        }
    }

    fn script(&self, seed: u64) -> Script {
        let mut script = generate::script(seed);
        let put_back = |step: &Step| matches!(step.act, Act::PutBack { .. });
        script
            .steps
            .retain(|step| !self.no_backups || !put_back(step));
        script
    }

    fn state(&self, db: &Db) -> Result<Vec<u8>> {
        let mut state = lab::state(db)?;
        if db
            .collections()?
            .iter()
            .all(|info| info.name.as_str() != "Item")
        {
            return Ok(state);
        }
        let items = Feed::<i64>::open(db, "Item")?.read(None, ALL)?;
        let sum: i128 = items.iter().map(|item| i128::from(item.value)).sum();
        let counted = Counters::open(db, "Part")?.value("all")?;
        if self.no_backups && counted != sum {
            let error = Error::corrupt("a counter does not have what was counted");
            return Err(error.with("counted", counted).with("sum", sum));
        }
        state.extend(format!("{counted} {items:?}").into_bytes());
        let rows = table(db)?.select(&Query::new())?;
        state.extend(format!("{:?}", rows.rows).into_bytes());
        Ok(state)
    }
}

#[test]
fn shapes_agree_once_all_is_healed_whatever_happened() {
    let lab = Shapes { no_backups: false };
    seeds::check(&lab, seeds::from_env(30));
}

#[test]
fn what_is_counted_is_the_sum_of_what_was_told_at_every_moment_on_every_peer() {
    let lab = Shapes { no_backups: true };
    seeds::check(&lab, seeds::from_env(30));
}
