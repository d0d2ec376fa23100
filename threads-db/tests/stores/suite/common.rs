//! What the tests of the engine share.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;
use threads_codec_jsonpatch::JsonPatch;
use threads_core::module::CollectionSpec;
use threads_core::{Clock, ManualClock, Result};
use threads_db::query::Query;
use threads_db::{Collection, Db, ExportOptions, Node, NodeBuilder, RestoreOptions, RestoreReport};

/// The store of the module that the suite is part of.
pub(crate) use super::super::Store;

/// A clock that several nodes share and a test moves.
#[derive(Clone, Debug)]
pub(crate) struct SharedClock(pub(crate) Arc<ManualClock>);

impl SharedClock {
    pub(crate) fn at(ms: u64) -> Self {
        Self(Arc::new(ManualClock::at(ms)))
    }
}

impl Clock for SharedClock {
    fn now_ms(&self) -> u64 {
        self.0.now_ms()
    }
}

pub(crate) fn builder() -> NodeBuilder {
    Node::builder(Store::fresh()).codec(JsonPatch::new())
}

pub(crate) fn node() -> Node {
    builder().open().unwrap()
}

pub(crate) fn spec(name: &str) -> CollectionSpec {
    CollectionSpec::new(name.parse().unwrap(), "jsonpatch/1".parse().unwrap())
}

/// A thread with one collection, on a node of its own.
pub(crate) fn people() -> (Db, Collection<Value>) {
    let db = node().create("friends").unwrap();
    db.define(&spec("Person")).unwrap();
    let people = db.collection("Person").unwrap();
    (db, people)
}

pub(crate) fn passphrase() -> Option<zeroize::Zeroizing<String>> {
    Some("correct horse".to_owned().into())
}

/// Carries a thread to another node as a file.
pub(crate) fn carry(from: &Db, to: &Node) -> Result<(Db, RestoreReport)> {
    // Keys are dear to seal; a node that has the thread needs none.
    let known = to.open(&from.id().to_string()).is_ok();
    let path = if known {
        export_bare(from)
    } else {
        export(from)
    };
    let options = RestoreOptions {
        passphrase: passphrase(),
        ..Default::default()
    };
    let restored = to.restore(&path, &options, &mut |_| ());
    std::fs::remove_file(path).unwrap();
    restored
}

/// Exports a thread with its keys to a temporary file.
pub(crate) fn export(db: &Db) -> PathBuf {
    export_with(
        db,
        &ExportOptions {
            passphrase: passphrase(),
            ..Default::default()
        },
    )
}

fn export_bare(db: &Db) -> PathBuf {
    export_with(db, &ExportOptions::default())
}

fn export_with(db: &Db, options: &ExportOptions) -> PathBuf {
    let unique = threads_core::EntityId::generate(0, &mut threads_core::system_rng());
    let path = std::env::temp_dir().join(format!("threads-test-{unique}.car"));
    let file = std::fs::File::create(&path).unwrap();
    db.export(file, options, &mut |_| ()).unwrap();
    path
}

/// Every entity of a collection, by id.
pub(crate) fn all(db: &Db, collection: &str) -> Vec<Value> {
    db.collection(collection)
        .unwrap()
        .find(&Query::new())
        .unwrap()
}

#[track_caller]
pub(crate) fn assert_clean(db: &Db) {
    let report = db.verify(&mut |_| ()).unwrap();
    assert!(report.is_clean(), "{:#?}", report.problems);
}
