//! Peers that use every shape, and tell in a feed what they do.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Map, Value, json};
use threads_codec_jsonpatch::JsonPatch;
use threads_codec_lww::Lww;
use threads_conformance::sim::generate::{self, Also};
use threads_conformance::sim::lab::{self, Lab};
use threads_conformance::sim::script::{Act, Script};
use threads_conformance::sim::watch::{Live, Watch};
use threads_core::rand_core::CryptoRng;
use threads_core::{Error, ErrorKind, Result};
use threads_db::query::{Query, field};
use threads_db::{Db, NodeBuilder, WriteTransaction};
use threads_shapes::table::{Column, Kind};
use threads_shapes::{Counters, Docs, Kv, Table};

use crate::journal::{self, Done, Model};
use crate::looks;

/// The shapes, and what happens in scripts.
#[derive(Debug)]
pub(crate) struct Shapes {
    also: &'static [Also],
    /// A defect to be found: what is told is not always what is done.
    pub(crate) lies: AtomicBool,
}

/// How many keys, rows and documents there are: few, so that peers meet in them.
const KEYS: u8 = 4;
/// How many transactions there are at most in a run: all that they tell is looked at over and over.
const WRITES_MAX: usize = 60;

pub(crate) fn table(db: &Db) -> Result<Table> {
    let columns = [
        Column::new("n", Kind::Integer),
        Column::new("b", Kind::Boolean),
        Column::new("next", Kind::Key),
    ];
    match Table::open(db, "Row") {
        Err(error) if error.kind() == ErrorKind::NotFound => Table::define(db, "Row", &columns),
        table => table,
    }
}

impl Shapes {
    pub(crate) fn new(also: &'static [Also]) -> Self {
        let lies = AtomicBool::new(false);
        Self { also, lies }
    }

    fn tell(&self, db: &Db, txn: &mut WriteTransaction<'_>, done: Done) -> Result<()> {
        let done = match done {
            Done::Del { key, .. } if self.lies.load(Ordering::Relaxed) => {
                Done::Del { key, known: 0 }
            }
            done => done,
        };
        journal::feed(db)?.append_in(txn, &done).map(drop)
    }

    fn count(&self, db: &Db, txn: &mut WriteTransaction<'_>, by: i64) -> Result<()> {
        Counters::open(db, "Part")?.add_in(txn, "all", by)?;
        self.tell(db, txn, Done::Add { by })
    }

    fn put(&self, db: &Db, txn: &mut WriteTransaction<'_>, key: u8, value: [u8; 4]) -> Result<()> {
        // Now text, now what is none.
        let value = match value[0] % 2 {
            0 => value.to_vec(),
            _ => format!("{value:?}").into_bytes(),
        };
        let kv = Kv::open(db, "Pair")?;
        kv.batch(txn).put([key], &value)?;
        self.tell(db, txn, Done::Put { key, value })
    }

    fn del(&self, db: &Db, txn: &mut WriteTransaction<'_>, key: u8) -> Result<()> {
        let puts = |done: &Done| matches!(done, Done::Put { key: put, .. } if *put == key);
        let items = journal::read(db)?;
        let known = items.iter().filter(|item| puts(&item.value)).count();
        match Kv::open(db, "Pair")?.batch(txn).del([key])? {
            true => self.tell(db, txn, Done::Del { key, known }),
            false => Ok(()),
        }
    }

    /// Inserts a row, changes it or deletes it.
    fn row(&self, db: &Db, txn: &mut WriteTransaction<'_>, random: [u8; 4]) -> Result<()> {
        let [row, what, value, next] = random;
        let (row, table) = (format!("r{}", row % KEYS), table(db)?);
        if what % 8 == 0 {
            return match table.batch(txn).delete(&row)? {
                true => self.tell(db, txn, Done::Delete { row }),
                false => Ok(()),
            };
        }
        let columns = match what % 4 {
            0 => json!({"n": value}),
            1 => json!({"n": value, "b": value % 2 == 0}),
            2 => json!({"next": format!("r{}", next % KEYS)}),
            _ => json!({"b": null, "n": u32::from(value) + 1_000}),
        };
        let columns: Map<String, Value> = columns.as_object().cloned().unwrap_or_default();
        let all = db.collection("Row")?;
        let Some(before) = txn.get(&all, &row)? else {
            let mut whole = columns.clone();
            whole.retain(|_, value| !value.is_null());
            whole.insert("_id".into(), row.as_str().into());
            return match table.batch(txn).insert(&whole.clone().into()) {
                // It was deleted.
                Err(error) if error.kind() == ErrorKind::Conflict => Ok(()),
                Err(error) => Err(error),
                Ok(_) => self.set(db, txn, row, whole),
            };
        };
        table.batch(txn).update(&row, &columns.clone().into())?;
        let mut columns = columns;
        columns.retain(|name, value| before.get(name).unwrap_or(&Value::Null) != value);
        self.set(db, txn, row, columns)
    }

    fn set(
        &self,
        db: &Db,
        txn: &mut WriteTransaction<'_>,
        row: String,
        columns: Map<String, Value>,
    ) -> Result<()> {
        let items = journal::read(db)?;
        let mut known = BTreeMap::new();
        for (name, _) in columns.iter().filter(|(_, value)| value.is_null()) {
            let settings = items.iter().filter(|item| item.value.sets(&row, name));
            known.insert(name.clone(), settings.count());
        }
        let done = Done::Set {
            row,
            columns,
            known,
        };
        self.tell(db, txn, done)
    }
}

impl Lab for Shapes {
    fn equip(&self, builder: NodeBuilder) -> NodeBuilder {
        builder.codec(Lww::new()).codec(JsonPatch::new())
    }

    /// All but documents need the other one.
    fn equip_less(&self, builder: NodeBuilder) -> NodeBuilder {
        builder.codec(JsonPatch::new())
    }

    fn prepare(&self, db: &Db) -> Result<()> {
        Docs::open(db, "Doc")?;
        Kv::open(db, "Pair")?;
        Counters::open(db, "Part")?;
        journal::feed(db)?;
        table(db).map(drop)
    }

    fn write(
        &self,
        db: &Db,
        txn: &mut WriteTransaction<'_>,
        rng: &mut dyn CryptoRng,
    ) -> Result<()> {
        let mut random = [0; 6];
        rng.fill_bytes(&mut random);
        let [what, key, rest @ ..] = random;
        self.count(db, txn, i64::from(rest[1]) - 128)?;
        match what % 6 {
            0 => self.del(db, txn, key % KEYS),
            1 | 2 => self.put(db, txn, key % KEYS, rest),
            3 | 4 => self.row(db, txn, rest),
            _ => {
                let docs = db.collection("Doc")?;
                let document =
                    json!({"_id": format!("d{}", key % KEYS), "n": rest[0], "list": [rest[1]]});
                match txn.save(&docs, &document) {
                    Err(error) if error.kind() == ErrorKind::Conflict => Ok(()),
                    other => other.map(drop),
                }
            }
        }
    }

    fn watch(&self, db: &Db) -> Result<Vec<Box<dyn Watch>>> {
        if db.collection("Row").is_err() {
            return Ok(Vec::new());
        }
        let rows = Live::new(
            &db.collection("Row")?,
            Query::new().filter(field("n").gt(20)).sort_desc("n"),
        )?;
        Ok(vec![Box::new(rows), Box::new(looks::Followed::new(db)?)])
    }

    fn script(&self, seed: u64) -> Script {
        let mut script = generate::with(seed, self.also);
        let mut writes = 0;
        script.steps.retain(|step| {
            writes += usize::from(matches!(step.act, Act::Write { .. }));
            writes <= WRITES_MAX || !matches!(step.act, Act::Write { .. })
        });
        script
    }

    fn state(&self, db: &Db) -> Result<Vec<u8>> {
        let mut state = lab::state(db)?;
        if db
            .collections()?
            .iter()
            .any(|info| info.name.as_str() == "Item")
        {
            state.extend(looks::answers(db)?.into_bytes());
        }
        Ok(state)
    }

    fn check(&self, peers: &[&Db]) -> Result<()> {
        for db in peers.iter().filter(|db| db.collection("Row").is_ok()) {
            looks::agree_with_each_other(db)?;
            if self.also.contains(&Also::NoBackups) {
                let (due, there) = (Model::of(&journal::read(db)?), looks::as_a_model(db)?);
                if due != there {
                    let error = Error::corrupt("the shapes are not what was told");
                    return Err(error
                        .with("due", format_args!("{due:?}"))
                        .with("there", format_args!("{there:?}")));
                }
            }
        }
        Ok(())
    }
}
