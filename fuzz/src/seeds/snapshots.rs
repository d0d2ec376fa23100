//! Seeds of what strangers say in snapshots, and a device that opens them.

use serde_json::json;
use threads_codec_jsonpatch::JsonPatch;
use threads_core::ReadKey;
use threads_core::datastore::Memory;
use threads_core::module::CollectionSpec;
use threads_db::{Db, ExportOptions, Node, ThreadKeys, fuzzing};

use super::{replica, thread};

pub(crate) const SNAPSHOT: &[&str] = &[
    "cend",
    "clog",
    "eapart",
    "elogs",
    "emarks",
    "erecord",
    "erules",
    "ethread",
    "fentity",
    "fitself",
    "gunknown",
    "gdeleted",
    "dlive",
    "dlife",
    "esnapshot",
    "fpieces",
];

/// A node that has the keys of a thread and nothing of it.
pub(crate) fn device() -> Db {
    let node = Node::builder(Memory::new());
    let node = node.codec(JsonPatch::new()).open().unwrap();
    let read = ReadKey::from_bytes(&[3; 32]);
    let keys = ThreadKeys::new(thread(), replica(), read);
    node.add_thread("t", &keys).unwrap()
}

/// Content of snapshots, to be read and to be opened, and the first blocks of files that have one.
pub(crate) fn snapshot() -> Vec<Vec<u8>> {
    let db = device();
    let mut contents = vec![fuzzing::snapshot_of(&db).unwrap()];
    let spec = CollectionSpec::new("Note".parse().unwrap(), "jsonpatch/1".parse().unwrap());
    db.define(&spec).unwrap();
    let notes = db.collection("Note").unwrap();
    for n in 0..6 {
        notes.save(&json!({"_id": "a", "n": n})).unwrap();
        contents.push(fuzzing::snapshot_of(&db).unwrap());
    }
    notes.delete("a").unwrap();
    contents.push(fuzzing::snapshot_of(&db).unwrap());
    let mut seeds = Vec::new();
    for content in contents {
        seeds.push([&[0], &content[..]].concat());
        seeds.push([&[1], &content[..]].concat());
    }
    let mut file = Vec::new();
    db.export_snapshot(&mut file, &ExportOptions::default(), &mut |_| ())
        .unwrap();
    let (_, blocks) = fuzzing::read_car(&file).unwrap();
    seeds.push([&[2], blocks[0].bytes()].concat());
    seeds
}
