//! Transactions that edit ten fields of a document that merges, against Automerge alone.

use std::collections::BTreeMap;

use automerge::transaction::Transactable;
use automerge::{AutoCommit, ROOT};
use threads_codec_automerge::Automerge;
use threads_core::datastore::{Durability, Keyspace};
use threads_core::module::CollectionSpec;
use threads_db::{Collection, Node};
use threads_store_lmdb::Lmdb;

use crate::Result;
use crate::bench::Bench;
use crate::clock::timed;
use crate::floor::{Raw, Sync};
use crate::report::{Reach, Row};
use crate::trace::Change;

/// How many transactions there are on each document.
const EACH: usize = 100;
const DOCUMENTS: usize = 10;
const FIELDS: usize = 20;
/// How many fields a transaction edits.
const EDITED: usize = 10;

const NAME: &str = "Merging";
const ID: &str = "_id";

type Document = BTreeMap<String, serde_json::Value>;

fn field(number: usize) -> String {
    format!("field-{:02}", number % FIELDS)
}

/// The fields that a transaction sets, and to what.
fn edits(turn: usize) -> impl Iterator<Item = (String, i64)> {
    (0..EDITED).map(move |at| (field(turn + at), (turn * EDITED + at) as i64))
}

pub(crate) fn run(bench: &Bench) -> Result<Row> {
    let each = bench.size(EACH);
    let figures = bench.in_turns(
        || ours(bench, DOCUMENTS, each),
        || theirs(bench, DOCUMENTS, each),
    )?;
    let long = (
        ours(bench, 1, each * DOCUMENTS)?,
        theirs(bench, 1, each * DOCUMENTS)?,
    );
    let what = (
        format!(
            "a durable transaction of {EDITED} edits, {DOCUMENTS} documents of {FIELDS} fields, {each} each"
        ),
        "Automerge in memory, the same edits in a commit, the change put into LMDB and synced",
    );
    Ok(Row::new("merging", what, figures, "µs", Reach::AtMost(1.3)).note(format!(
        "all on one document, whose history is {} changes in the end: {:.0} and {:.0} µs, {:.2} ×",
        each * DOCUMENTS,
        long.0,
        long.1,
        long.0 / long.1,
    )))
}

/// Microseconds for each transaction of the engine.
fn ours(bench: &Bench, documents: usize, each: usize) -> Result<f64> {
    let dir = bench.fresh()?;
    let builder = Node::builder(Lmdb::open(dir.path())?).durability(Durability::Immediate);
    let node = builder
        .codec_for(|own| Automerge::of(own.to_string()))
        .open()?;
    let db = node.create("bench")?;
    db.define(&CollectionSpec::new(NAME.parse()?, "automerge/1".parse()?))?;
    let collection: Collection<Document> = db.typed(NAME)?;
    let mut values: Vec<Document> = (0..documents)
        .map(|document| {
            let fields = (0..FIELDS).map(|number| (field(number), 0.into()));
            let id = (ID.to_owned(), format!("document-{document}").into());
            fields.chain([id]).collect()
        })
        .collect();
    values
        .iter()
        .try_for_each(|value| collection.create(value).map(drop))?;
    let (seconds, ()) = timed(|| {
        for turn in 0..each {
            for value in &mut values {
                value.extend(edits(turn).map(|(name, to)| (name, to.into())));
                collection.save(value)?;
            }
        }
        Ok(())
    })?;
    Ok(seconds * 1e6 / (documents * each) as f64)
}

/// The same of Automerge: its documents stay in memory, and each change is kept as it is.
fn theirs(bench: &Bench, documents: usize, each: usize) -> Result<f64> {
    let dir = bench.fresh()?;
    let raw = Raw::create(dir.path(), Sync::Yes)?;
    let mut values = Vec::with_capacity(documents);
    for _ in 0..documents {
        let mut value = AutoCommit::new();
        (0..FIELDS).try_for_each(|number| value.put(ROOT, field(number), 0))?;
        value.commit();
        value.save_incremental();
        values.push(value);
    }
    let mut number = 0_u64;
    let (seconds, ()) = timed(|| {
        for turn in 0..each {
            for value in &mut values {
                edits(turn).try_for_each(|(name, to)| value.put(ROOT, name, to))?;
                value.commit();
                number += 1;
                raw.commit(&[Change {
                    space: Keyspace::Blocks,
                    key: number.to_be_bytes().to_vec(),
                    value: Some(value.save_incremental()),
                }])?;
            }
        }
        Ok(())
    })?;
    Ok(seconds * 1e6 / (documents * each) as f64)
}
