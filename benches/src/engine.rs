//! Our side: a node on LMDB with one collection.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use threads_codec_jsonpatch::JsonPatch;
use threads_core::datastore::{Datastore, Durability};
use threads_core::module::{CollectionSpec, IndexSpec};
use threads_db::{Collection, Db, Node};
use threads_store_lmdb::Lmdb;

use crate::Result;
use crate::documents::{document, sized};

/// The thread and the collection of every store here.
pub(crate) const THREAD: &str = "bench";
pub(crate) const COLLECTION: &str = "Document";
/// The codec of the collection.
const CODEC: &str = "jsonpatch/1";
/// How many entities share a transaction when many are loaded.
pub(crate) const BATCH: usize = 1_000;

/// Makes a node with an empty collection that has these indexes.
pub(crate) fn create<T>(
    store: impl Datastore,
    durability: Durability,
    indexes: &[&str],
) -> Result<Collection<T>> {
    collection(&node(store, durability)?, indexes)
}

/// Makes the thread, with an empty collection that has these indexes.
pub(crate) fn collection<T>(node: &Node, indexes: &[&str]) -> Result<Collection<T>> {
    let db = node.create(THREAD)?;
    db.define(&spec(indexes)?)?;
    Ok(db.typed(COLLECTION)?)
}

/// The definition of a collection with these indexes.
pub(crate) fn spec(indexes: &[&str]) -> Result<CollectionSpec> {
    let mut spec = CollectionSpec::new(COLLECTION.parse()?, CODEC.parse()?);
    for path in indexes {
        spec = spec.with_index(IndexSpec::on(path.parse()?));
    }
    Ok(spec)
}

/// Opens the collection that [`create`] made.
pub(crate) fn open<T>(store: impl Datastore) -> Result<Collection<T>> {
    let db = node(store, Durability::default())?.open(THREAD)?;
    Ok(db.typed(COLLECTION)?)
}

/// A node with the codec.
pub(crate) fn node(store: impl Datastore, durability: Durability) -> Result<Node> {
    let builder = Node::builder(store).codec(JsonPatch::new());
    Ok(builder.durability(durability).open()?)
}

/// A store in `dir` with `documents` documents, indexed by group and rank.
pub(crate) fn build(dir: &Path, documents: usize) -> Result<()> {
    let store = Arc::new(Lmdb::open(dir)?);
    let collection = create(store, Durability::Group, &["group", "rank"])?;
    let mut lines = (0..documents).map(|number| document(number, documents));
    loop {
        let batch: Vec<_> = lines.by_ref().take(BATCH).collect();
        if batch.is_empty() {
            return Ok(());
        }
        collection.db().write(|txn| {
            let mut save = |value| txn.save(&collection, value).map(drop);
            batch.iter().try_for_each(&mut save)
        })?;
    }
}

/// The length of the entities of a shared thread, in bytes of JSON.
pub(crate) const SHARED_BYTES: usize = 300;

/// A store in `dir` with a thread of `records` one-entity records.
pub(crate) fn build_log(dir: &Path, records: usize) -> Result<()> {
    let collection = create(Lmdb::open(dir)?, Durability::Relaxed, &[])?;
    (0..records).try_for_each(|number| {
        let entity = sized(number, SHARED_BYTES);
        Ok(collection.create(&entity).map(drop)?)
    })
}

/// Loads lines of JSON as the command line does: values, saved in transactions of [`BATCH`].
pub(crate) fn import<'l>(
    db: &Db,
    collection: &Collection<Value>,
    lines: impl IntoIterator<Item = &'l String>,
) -> Result<()> {
    let mut txn = db.begin()?;
    for line in lines {
        let value: Value = serde_json::from_str(line)?;
        txn.save(collection, &value)?;
        if txn.staged_events() == BATCH {
            txn.commit()?;
            txn = db.begin()?;
        }
    }
    txn.commit()?;
    Ok(())
}
