//! All codecs in one thread and in one transaction, on peers some of which lack two of them for a while; with
//! undo and redo, new indexes, live queries, and the past.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use threads_codec_automerge::Automerge;
use threads_codec_jsonpatch::JsonPatch;
use threads_codec_lww::Lww;
use threads_conformance::sim::generate::{self, Also};
use threads_conformance::sim::lab::Lab;
use threads_conformance::sim::script::Script;
use threads_conformance::sim::seeds;
use threads_conformance::sim::watch::{Live, Watch};
use threads_core::module::{CollectionSpec, IndexSpec};
use threads_core::rand_core::CryptoRng;
use threads_core::{Cid, Error, ErrorKind, Result};
use threads_db::query::{Query, field};
use threads_db::{Collection, Db, Finality, NodeBuilder, Point, WriteTransaction};

/// A collection of each codec.
pub(super) const KINDS: [(&str, &str); 3] = [
    ("Patched", "jsonpatch/1"),
    ("Merged", "automerge/1"),
    ("Last", "lww/1"),
];
/// How many entities each has, and how many names there are for them.
const ENTITIES: u32 = 4;
const NAMES: u32 = 3;
/// At how many points in the past peers are compared.
const POINTS: usize = 6;

pub(super) type Watches = Vec<Box<dyn Watch>>;

/// What is tried, and what of it may be otherwise.
pub(super) struct Mixed {
    pub(super) also: &'static [Also],
    pub(super) watch: fn(&Db) -> Result<Watches>,
    pub(super) finish: fn(&[&Db]) -> Result<()>,
    pub(super) check: fn(&[&Db]) -> Result<()>,
}

impl Mixed {
    pub(super) fn with(also: &'static [Also]) -> Self {
        Self {
            also,
            watch: live_queries,
            finish: |_| Ok(()),
            check: indexes_and_pasts_agree,
        }
    }
}

fn all_codecs(node: NodeBuilder) -> NodeBuilder {
    node.codec(JsonPatch::new())
        .codec(Lww::new())
        .codec_for(|own| Automerge::of(own.to_string()))
}

fn id(number: u32) -> String {
    format!("x{}", number % ENTITIES)
}

fn spec(name: &str, codec: &str, indexed: &[&str]) -> Result<CollectionSpec> {
    let mut spec = CollectionSpec::new(name.parse()?, codec.parse()?);
    for member in indexed {
        spec.indexes.push(IndexSpec::on(member.parse()?));
    }
    Ok(spec)
}

impl Lab for Mixed {
    fn equip(&self, builder: NodeBuilder) -> NodeBuilder {
        all_codecs(builder)
    }

    fn equip_less(&self, builder: NodeBuilder) -> NodeBuilder {
        builder.codec(JsonPatch::new())
    }

    fn prepare(&self, db: &Db) -> Result<()> {
        for (name, codec) in KINDS {
            if db.collection(name).is_err() {
                db.define(&spec(name, codec, &["n"])?)?;
            }
        }
        Ok(())
    }

    fn write(
        &self,
        db: &Db,
        txn: &mut WriteTransaction<'_>,
        rng: &mut dyn CryptoRng,
    ) -> Result<()> {
        // Now one of them, now all in one transaction.
        let some = rng.next_u32() % 8;
        for (number, (name, _)) in KINDS.iter().enumerate() {
            if some == 0 || (some >> number) & 1 == 1 {
                write(txn, &db.collection(name)?, rng)?;
            }
        }
        Ok(())
    }

    fn act(&self, db: &Db, rng: &mut dyn CryptoRng) -> Result<()> {
        match rng.next_u32() % 6 {
            0 | 1 => undo(db),
            2 | 3 => allowed(db.redo_with(Finality::Accept).map(drop)),
            what => {
                self.prepare(db)?;
                let (name, codec) = KINDS[rng.next_u32() as usize % KINDS.len()];
                let indexed: &[&str] = if what == 4 { &["n", "name"] } else { &["n"] };
                db.define(&spec(name, codec, indexed)?)
            }
        }
    }

    fn watch(&self, db: &Db) -> Result<Watches> {
        (self.watch)(db)
    }

    fn finish(&self, peers: &[&Db]) -> Result<()> {
        (self.finish)(peers)
    }

    fn check(&self, peers: &[&Db]) -> Result<()> {
        (self.check)(peers)
    }

    fn script(&self, seed: u64) -> Script {
        generate::with(seed, self.also)
    }
}

/// Changes an entity, or deletes it.
fn write(
    txn: &mut WriteTransaction<'_>,
    things: &Collection,
    rng: &mut dyn CryptoRng,
) -> Result<()> {
    let (id, n, name) = (id(rng.next_u32()), rng.next_u32(), rng.next_u32() % NAMES);
    allowed(match rng.next_u32() % 10 {
        0 => txn.delete(things, &id),
        1 | 2 => txn.patch(things, &id, &json!({"name": name, "tags": [n]})),
        3 | 4 => txn.patch(things, &id, &json!({"deep": {(name.to_string()): n}})),
        5..8 => txn.patch(things, &id, &json!({"n": n})),
        _ => txn
            .save(
                things,
                &json!({"_id": id, "n": n, "list": [n, Value::Null]}),
            )
            .map(drop),
    })
}

/// Undoes the last transaction, or passes over it.
fn undo(db: &Db) -> Result<()> {
    match db.undo_with(Finality::Accept) {
        Err(error) if error.kind() != ErrorKind::Unavailable => db.skip_undo().map(drop),
        other => other.map(drop),
    }
}

fn live_queries(db: &Db) -> Result<Watches> {
    let mut watches = Watches::new();
    for (name, _) in KINDS {
        let Ok(things) = db.collection(name) else {
            return Ok(Vec::new());
        };
        let some = field("n").ge(1_u32 << 30).or(field("name").eq(1));
        for query in [
            Query::new(),
            Query::new().sort_desc("n").limit(2),
            Query::new().filter(some).sort("name").skip(1).limit(2),
        ] {
            watches.push(Box::new(Live::new(&things, query)?));
        }
    }
    Ok(watches)
}

/// What is refused for what is in the thread is no fault.
fn allowed(result: Result<()>) -> Result<()> {
    match result {
        Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound) => Ok(()),
        other => other,
    }
}

pub(super) fn indexes_and_pasts_agree(peers: &[&Db]) -> Result<()> {
    peers.iter().try_for_each(|db| indexes_find_all(db))?;
    pasts_agree(peers)
}

/// What an index gives is what looking at every entity gives.
fn indexes_find_all(db: &Db) -> Result<()> {
    for (name, _) in KINDS {
        let Ok(things) = db.collection(name) else {
            continue;
        };
        let mut all = Vec::new();
        things.for_each(&Query::new(), &mut |thing| {
            all.push(thing);
            Ok(true)
        })?;
        for member in ["n", "name"] {
            let mut values: BTreeMap<String, &Value> = BTreeMap::new();
            for value in all.iter().filter_map(|thing| thing.get(member)) {
                values.insert(value.to_string(), value);
            }
            for value in values.values().filter(|value| !value.is_array()) {
                let query = Query::new().filter(field(member).eq((*value).clone()));
                let found = things.find(&query)?;
                let due: Vec<_> = all
                    .iter()
                    .filter(|thing| thing[member] == **value)
                    .collect();
                if found.iter().collect::<Vec<_>>() != due {
                    return Err(Error::corrupt("an index does not give what is there")
                        .with("collection", name)
                        .with("member", member)
                        .with("value", value));
                }
            }
        }
    }
    Ok(())
}

/// All entities as they were.
fn past(db: &Db, point: &Point) -> Result<String> {
    let past = db.as_of(point)?;
    let mut rows = String::new();
    for (name, _) in KINDS {
        let Ok(things) = db.collection(name) else {
            continue;
        };
        past.for_each(&things, &Query::new(), &mut |thing| {
            rows += &format!("{name} {thing}\n");
            Ok(true)
        })?;
    }
    Ok(rows)
}

/// Peers that have the same have the same past; and that of all records is the present.
fn pasts_agree(peers: &[&Db]) -> Result<()> {
    let Some(first) = peers.first() else {
        return Ok(());
    };
    let heads = Point::Records(first.heads()?);
    let log = first.log(None)?;
    let mut points = vec![heads.clone()];
    for entry in log.iter().step_by(log.len() / POINTS + 1) {
        let record: Cid = entry.record;
        points.extend([Point::Records(vec![record]), Point::Time(entry.time)]);
    }
    for (at, db) in peers.iter().enumerate() {
        if past(db, &Point::Now)? != past(db, &heads)? {
            return Err(
                Error::corrupt("the past of the present heads is not the present").with("peer", at),
            );
        }
        for point in &points {
            let (here, there) = (past(db, point)?, past(first, point)?);
            if here != there {
                return Err(Error::corrupt("peers with the same records have two pasts")
                    .with("peer", at)
                    .with("point", point)
                    .with("here", here)
                    .with("there", there));
            }
        }
    }
    Ok(())
}

#[test]
fn all_codecs_in_one_transaction_agree_once_all_is_healed() {
    seeds::check(&Mixed::with(&[Also::Acts]), seeds::from_env(15));
}

#[test]
fn who_lacks_codecs_and_gets_them_later_agrees_with_all() {
    let also = &[Also::Lacks, Also::Acts, Also::Between];
    seeds::check(&Mixed::with(also), seeds::from_env(15));
}
