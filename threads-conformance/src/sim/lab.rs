//! What is tried in the simulator: the parts of a node, what it writes, and what its state is.
//!
//! ```
//! use threads_codec_jsonpatch::JsonPatch;
//! use threads_conformance::sim::lab::{Lab, Things};
//! use threads_core::datastore::Memory;
//! use threads_db::Node;
//!
//! let lab = Things::new("jsonpatch/1".parse().unwrap(), |node| node.codec(JsonPatch::new()));
//! let db = lab.equip(Node::builder(Memory::new())).open().unwrap().create("lab").unwrap();
//! lab.prepare(&db).unwrap();
//! db.write(|txn| lab.write(&db, txn, &mut threads_core::system_rng())).unwrap();
//! assert!(!lab.state(&db).unwrap().is_empty());
//! ```

use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};
use threads_core::datastore::Datastore;
use threads_core::module::{CollectionSpec, IndexSpec};
use threads_core::rand_core::CryptoRng;
use threads_core::{CodecId, CollectionName, EntityId, ErrorKind, Result};
use threads_db::{Db, NodeBuilder, WriteTransaction};

use super::generate;
use super::script::Script;
use super::watch::Watch;

mod applications;
mod ruled;

pub use applications::Applications;
pub use ruled::Ruled;

/// What is tried. See the [module](self) for an example.
pub trait Lab: Sync {
    /// Adds codecs, a policy and reducers to a node; the simulator has given it a store, a clock,
    /// randomness and an identity.
    fn equip(&self, builder: NodeBuilder) -> NodeBuilder;

    /// The same on a peer that lacks parts, as [`Act::Equip`](super::script::Act::Equip) has it: codecs, say. Such
    /// a peer may fail to write, or to act, for want of them. By default it lacks nothing.
    fn equip_less(&self, builder: NodeBuilder) -> NodeBuilder {
        self.equip(builder)
    }

    /// Sees to it that the thread has what is written to. Called before each write.
    ///
    /// # Errors
    ///
    /// Any; it ends the run, unless the power has failed.
    fn prepare(&self, db: &Db) -> Result<()>;

    /// Makes one change, whatever `rng` says. All chance must come from it.
    ///
    /// # Errors
    ///
    /// Any; it ends the run, unless the power has failed.
    fn write(&self, db: &Db, txn: &mut WriteTransaction<'_>, rng: &mut dyn CryptoRng)
    -> Result<()>;

    /// What peers with the same records must have alike: by default [`state`].
    ///
    /// # Errors
    ///
    /// Any; it ends the run.
    fn state(&self, db: &Db) -> Result<Vec<u8>> {
        state(db)
    }

    /// Has a peer do something else than to write, whatever `rng` says: nothing by default. See
    /// [`Act::Own`](super::script::Act::Own).
    ///
    /// # Errors
    ///
    /// Any; it ends the run, unless the power has failed.
    fn act(&self, _db: &Db, _rng: &mut dyn CryptoRng) -> Result<()> {
        Ok(())
    }

    /// What looks on while a peer runs: nothing by default. Asked for after commits until there is something.
    ///
    /// # Errors
    ///
    /// Any; it ends the run.
    fn watch(&self, _db: &Db) -> Result<Vec<Box<dyn Watch>>> {
        Ok(Vec::new())
    }

    /// Has peers do what is left, once all have the same: nothing by default. Given are all that can read, and
    /// the run goes on until they are level again.
    ///
    /// # Errors
    ///
    /// Any; it ends the run.
    fn finish(&self, _peers: &[&Db]) -> Result<()> {
        Ok(())
    }

    /// What must hold in the end of all that can read, besides that they are alike: nothing by default.
    ///
    /// # Errors
    ///
    /// Any: it says what does not hold.
    fn check(&self, _peers: &[&Db]) -> Result<()> {
        Ok(())
    }

    /// What happens in the run of a seed: by default [`generate::script`].
    fn script(&self, seed: u64) -> Script {
        generate::script(seed)
    }

    /// An entity that rules can be about; none by default.
    fn entity(&self, _number: u32) -> Option<(CollectionName, EntityId)> {
        None
    }

    /// A store of one's own for a peer, for runs in which nothing crashes; `None` for the disks of the
    /// simulator.
    fn store(&self, _peer: usize) -> Option<Arc<dyn Datastore>> {
        None
    }
}

/// Every collection, with its entities and the conflicts on its unique values.
///
/// # Errors
///
/// Those of the store.
///
/// ```
/// # use threads_core::datastore::Memory;
/// let node = threads_db::Node::builder(Memory::new()).open().unwrap();
/// let db = node.create("empty").unwrap();
/// assert_eq!(threads_conformance::sim::lab::state(&db).unwrap(), b"");
/// ```
pub fn state(db: &Db) -> Result<Vec<u8>> {
    let mut state = String::new();
    for info in db.collections()? {
        state += &format!("{info:?}\n");
        let mut rows = Vec::new();
        let collection = db.collection(info.name.as_str())?;
        collection.for_each(&Default::default(), &mut |entity| {
            rows.push(entity.to_string());
            Ok(true)
        })?;
        rows.sort();
        for row in rows {
            state += &row;
            state.push('\n');
        }
        state += &format!("{:?}\n", db.conflicts(info.name.as_str())?);
    }
    Ok(state.into_bytes())
}

/// A [`Lab`] with one collection of a few entities, which have a number and a unique name. See the
/// [module](self) for an example.
pub struct Things {
    codec: CodecId,
    equip: Box<dyn Fn(NodeBuilder) -> NodeBuilder + Sync>,
}

impl fmt::Debug for Things {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Things")
            .field("codec", &self.codec)
            .finish_non_exhaustive()
    }
}

impl Things {
    /// The collection is of `codec`; `equip` adds it to a node. See the [module](self) for an example.
    pub fn new(
        codec: CodecId,
        equip: impl Fn(NodeBuilder) -> NodeBuilder + Sync + 'static,
    ) -> Self {
        Self {
            codec,
            equip: Box::new(equip),
        }
    }
}

/// The name of the collection.
const THING: &str = "Thing";
/// How many entities there are: few, so that peers meet in them.
const ENTITIES: u32 = 8;
/// How many names there are: fewer than entities, so that they are taken.
const NAMES: u32 = 6;

fn id(number: u32) -> String {
    format!("x{}", number % ENTITIES)
}

impl Lab for Things {
    fn entity(&self, number: u32) -> Option<(CollectionName, EntityId)> {
        Some((THING.parse().ok()?, id(number).parse().ok()?))
    }

    fn equip(&self, builder: NodeBuilder) -> NodeBuilder {
        (self.equip)(builder)
    }

    fn prepare(&self, db: &Db) -> Result<()> {
        if db.collection(THING).is_ok() {
            return Ok(());
        }
        let index = IndexSpec::on("name".parse()?).unique();
        let spec = CollectionSpec::new(THING.parse()?, self.codec.clone()).with_index(index);
        db.define(&spec)
    }

    fn write(
        &self,
        db: &Db,
        txn: &mut WriteTransaction<'_>,
        rng: &mut dyn CryptoRng,
    ) -> Result<()> {
        let things = db.collection(THING)?;
        let id = id(rng.next_u32());
        let (n, name) = (rng.next_u32(), rng.next_u32() % NAMES);
        let wrote = match rng.next_u32() % 8 {
            0 => txn.delete(&things, &id),
            1 => txn
                .save(&things, &json!({"_id": id, "n": n, "name": name}))
                .map(drop),
            2 => txn.patch(&things, &id, &json!({"name": name})),
            3 => txn.patch(&things, &id, &json!({"tags": {(name.to_string()): n}})),
            4 | 5 if txn.has(&things, &id)? => txn.patch(&things, &id, &json!({"n": n})),
            _ => txn
                .save(
                    &things,
                    &json!({"_id": id, "n": n, "list": [n, Value::Null]}),
                )
                .map(drop),
        };
        match wrote {
            // The name is taken, or the entity is not there.
            Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound) => {
                Ok(())
            }
            other => other,
        }
    }
}
