//! The vectors of snapshots, `spec/11-snapshots.md`.
//!
//! `THREADS_VECTORS=write cargo test -p threads-db --lib vectors` rewrites the files.

mod unsound;

use serde_json::{Value, json};
use threads_codec_jsonpatch::JsonPatch;
use threads_core::blob::{BlobKey, BlobRef};
use threads_core::block::{self, DAG_CBOR, RAW, cid_of};
use threads_core::datastore::{Datastore, Memory};
use threads_core::module::CollectionSpec;
use threads_core::{Cid, Hlc, IdentityKey, ManualClock, ReadKey, ReplicaKey, Result, ThreadId};

use super::carry::aad;
use super::content::{EntityItem, Item, LogItem, Reader, RecordItem};
use super::tests::level;
use super::word::Word;
use super::{Apart, Content, covered_until};
use crate::base::marks::MARKS_AT_ONCE;
use crate::entity::Life;
use crate::vectors::encode::{blob, map, uint};
use crate::vectors::{TestRng, array, bytes, check, hex, text};
use crate::{Db, Node, ThreadKeys};

const NOW_MS: u64 = 1_700_000_000_000;

// The items of the thread below, by their places.
const LOG: usize = 1;
const MARKS: usize = 2;
const FIRST: usize = 3;
const FOURTH: usize = 4;
const EIGHTH: usize = 5;
const NINTH: usize = 6;
const DEFINITION: usize = 7;
const LIVING: usize = 8;
const DELETED: usize = 9;

#[test]
fn snapshots() {
    check(
        "snapshots.json",
        "Snapshots, their pieces in files, and words for those that are kept: spec/11-snapshots.md",
        [contents(), pieces(), words()].concat(),
        read,
    );
}

fn node(label: &'static str, identity: u8) -> Node {
    Node::builder(Memory::new())
        .codec(JsonPatch::new())
        .clock(ManualClock::at(NOW_MS))
        .rng(TestRng::new(label))
        .identity(IdentityKey::from_bytes(&[identity; 32]))
        .open()
        .unwrap()
}

fn save(db: &Db, id: &str, n: u64) {
    let notes = db.collection("Note").unwrap();
    notes.save(&json!({"_id": id, "n": n})).unwrap();
}

/// A thread that is the same in every run.
fn thread() -> Db {
    let db = node("snapshots", 7).create("t").unwrap();
    let spec = CollectionSpec::new("Note".parse().unwrap(), "jsonpatch/1".parse().unwrap());
    db.define(&spec).unwrap();
    (0..6).for_each(|n| save(&db, "a", n));
    save(&db, "b", 0);
    db.collection("Note").unwrap().delete("b").unwrap();
    db
}

/// The same thread with the records of another writer.
fn of_two() -> Db {
    let db = thread();
    let other = node("another", 8).add_thread("t", &db.keys()).unwrap();
    level(&db, &other);
    (0..4).for_each(|n| save(&other, "c", n));
    level(&db, &other);
    db
}

/// The same thread with more records than there are marks in one item.
fn long() -> Db {
    let db = thread();
    (0..MARKS_AT_ONCE).for_each(|n| save(&db, "a", n));
    db
}

fn items(db: &Db) -> Vec<Item> {
    let txn = db.thread().node.store.read().unwrap();
    let covered = covered_until(&*txn, db.thread(), None).unwrap();
    let mut content = Content::new(&*txn, db.thread(), covered).unwrap();
    std::iter::from_fn(|| content.next().unwrap()).collect()
}

fn encoded(items: &[Item]) -> Vec<u8> {
    let items = items.iter().map(|item| item.encode().unwrap());
    items.collect::<Vec<_>>().concat()
}

/// What is in a snapshot, as others show it.
fn shown(items: &[Item]) -> Value {
    let show = |item: &Item| match item {
        Item::Thread { thread, acl, .. } => {
            let acl: Vec<_> = acl.iter().map(Cid::to_string).collect();
            json!(["thread", hex(thread.as_bytes()), acl])
        }
        Item::Log(log) => json!([
            "log",
            hex(log.log.key_bytes()),
            log.seq,
            log.record.to_string()
        ]),
        Item::Marks(marks) => json!(["marks", marks.log, marks.first, hex(marks_of(item))]),
        Item::Record(record) => json!(["record", record.log, record.seq, record.apart]),
        Item::Entity(entity) => {
            let life = match entity.life() {
                Life::Live(codec, state) => json!([codec.as_str(), hex(state.as_bytes())]),
                Life::Deleted => json!("deleted"),
                Life::Unknown | Life::Waiting(_) => json!("unknown"),
            };
            let (collection, id) = (entity.collection.as_str(), entity.id.as_str());
            json!([
                "entity",
                collection,
                id,
                life,
                entity.log,
                entity.seq,
                entity.index
            ])
        }
        Item::End {
            logs,
            records,
            entities,
        } => json!(["end", logs, records, entities]),
    };
    items.iter().map(show).collect()
}

fn contents() -> Vec<Value> {
    let db = thread();
    let keys = db.thread();
    let read = keys.read_of(0).unwrap().unwrap().to_bytes();
    let vector = |name: &str, bytes: Vec<u8>| {
        json!({
            "name": name, "kind": "content", "thread": hex(keys.id.as_bytes()),
            "replica": hex(*keys.replica.to_bytes()), "read": hex(*read), "bytes": hex(&bytes),
            "snapshot": cid_of(RAW, &bytes).to_string(),
        })
    };
    let whole = items(&db);
    let mut apart = whole.clone();
    // No peer finds these in quarantine: they show how others are written.
    record(&mut apart, FOURTH).apart = Some(Apart::Itself);
    record(&mut apart, EIGHTH).apart = Some(Apart::Rules);
    let two = items(&of_two());
    let mut vectors = Vec::new();
    for (name, items) in [
        ("of a thread of one writer", &whole),
        ("with records in quarantine", &apart),
        ("of a thread of two writers", &two),
        ("of a log of more than 2,000 records", &items(&long())),
    ] {
        let mut made = vector(name, encoded(items));
        made["items"] = shown(items);
        vectors.push(made);
    }
    let others = [
        unsound::forms(&whole, &encoded(&apart)),
        unsound::turns(&whole),
        unsound::logs(&two),
        unsound::listed(&whole),
        unsound::records(&whole),
        unsound::entities(&whole),
    ];
    for (name, bytes) in others.concat() {
        let mut refused = vector(&format!("refused: {name}"), bytes);
        refused["reject"] = "rejected".into();
        vectors.push(refused);
    }
    let foreign = changed(&whole, |items| {
        let (fourth, mut blocks) = (
            record(items, FOURTH).blocks(),
            record(items, EIGHTH).blocks(),
        );
        (blocks.event, blocks.body) = (fourth.event, fourth.body);
        items[EIGHTH] = Item::Record(RecordItem::new((0, 8), None, Vec::new(), blocks));
    });
    let mut refused = vector("refused: a record with the event of another", foreign);
    refused["reject"] = "corrupt".into();
    vectors.push(refused);
    let mut refused = vector("refused: the content of another name", encoded(&whole));
    refused["snapshot"] = cid_of(RAW, b"another").to_string().into();
    refused["reject"] = "rejected".into();
    vectors.push(refused);
    vectors
}

/// What is no snapshot, and why.
type Case = (&'static str, Vec<u8>);

/// The items once they were changed, with an end that counts them.
fn changed(items: &[Item], change: impl FnOnce(&mut Vec<Item>)) -> Vec<u8> {
    let mut items = items.to_vec();
    change(&mut items);
    let count = |is: fn(&Item) -> bool| items.iter().filter(|item| is(item)).count() as u64;
    let end = Item::End {
        logs: count(|item| matches!(item, Item::Log(_))),
        records: count(|item| matches!(item, Item::Record(_))),
        entities: count(|item| matches!(item, Item::Entity(_))),
    };
    let is_end = |item: &&mut Item| matches!(item, Item::End { .. });
    items
        .iter_mut()
        .filter(is_end)
        .for_each(|item| *item = end.clone());
    encoded(&items)
}

fn record(items: &mut [Item], at: usize) -> &mut RecordItem {
    match &mut items[at] {
        Item::Record(record) => record,
        other => panic!("no record: {other:?}"),
    }
}

fn entity(items: &mut [Item], at: usize) -> &mut EntityItem {
    match &mut items[at] {
        Item::Entity(entity) => entity,
        other => panic!("no entity: {other:?}"),
    }
}

/// The log of which the content is, with other parts.
fn log(items: &[Item], seq: Option<u64>, time: Option<Hlc>, acl: Vec<Cid>) -> Item {
    let Item::Log(log) = &items[LOG] else {
        panic!("no log")
    };
    let time = time.unwrap_or(log.time().unwrap());
    let last = (seq.unwrap_or(log.seq), log.record);
    Item::Log(LogItem::new(log.log, last, time, acl))
}

fn marks_of(item: &Item) -> Vec<u8> {
    let Item::Marks(item) = item else {
        panic!("no marks")
    };
    let marks = item.marks().unwrap();
    marks
        .iter()
        .flat_map(|mark| mark.bytes().to_vec())
        .collect()
}

fn marks(log: u64, first: u64, marks: &[u8]) -> Item {
    let members = [
        ("first", uint(first)),
        ("log", uint(log)),
        ("marks", blob(marks)),
    ];
    block::decode(&map(&[("marks", map(&members))])).unwrap()
}

fn pieces() -> Vec<Value> {
    let rng = &mut TestRng::new("pieces");
    let (key, db) = (ReadKey::generate(rng), thread());
    let (thread, content) = (&db.thread().id, encoded(&items(&db)));
    let snapshot = cid_of(RAW, &content);
    let mut vectors = Vec::new();
    for number in [0, 1] {
        let bound = aad(thread, &snapshot, number);
        let sealed = key.seal_random(&bound, &content, rng).unwrap();
        let mut vector = json!({
            "name": format!("a piece with the number {number}"), "kind": "piece",
            "thread": hex(thread.as_bytes()), "read": hex(*key.to_bytes()),
            "snapshot": snapshot.to_string(), "number": 0, "sealed": hex(&sealed), "piece": hex(&content),
        });
        if number > 0 {
            vector["name"] = "refused: a piece of another place".into();
            vector["reject"] = "rejected".into();
        }
        vectors.push(vector);
    }
    vectors
}

fn words() -> Vec<Value> {
    let rng = &mut TestRng::new("words");
    let (key, read) = (IdentityKey::generate(rng), ReadKey::generate(rng));
    let (db, blob) = (thread(), cid_of(DAG_CBOR, b"manifest"));
    let (thread, snapshot) = (&db.thread().id, cid_of(RAW, b"snapshot"));
    let content = BlobRef::new(blob, BlobKey::from_bytes(&[7; 32]), 300_000, "").unwrap();
    let word = Word::sign(&key, thread, (9, snapshot), &content, (1, &read, rng)).unwrap();
    let word = block::encode(&word).unwrap();
    let mut forged = word.clone();
    if let Some(last) = forged.last_mut() {
        *last ^= 1;
    }
    let vector = |name: &str, word: &[u8]| {
        json!({
            "name": name, "kind": "word", "bytes": hex(word), "thread": hex(thread.as_bytes()),
            "read": hex(*read.to_bytes()), "peer": hex(key.peer_id().key_bytes()), "seq": 9, "epoch": 1,
            "blob": blob.to_string(), "snapshot": snapshot.to_string(), "key": hex([7; 32]), "size": 300_000,
        })
    };
    let mut refused = vector("refused: a word that its peer did not sign", &forged);
    refused["reject"] = "BadSignature".into();
    vec![vector("a word for a snapshot that is kept", &word), refused]
}

fn read(vector: &Value) -> Result<()> {
    let thread = ThreadId::from_bytes(&bytes(&vector["thread"]))?;
    match text(&vector["kind"]) {
        "content" => read_content(vector, &thread),
        "piece" => {
            let key = ReadKey::from_bytes(&array(&vector["read"]));
            let snapshot: Cid = text(&vector["snapshot"]).parse().unwrap();
            let bound = aad(&thread, &snapshot, vector["number"].as_u64().unwrap());
            let piece = key.open(&bound, &bytes(&vector["sealed"]))?;
            assert_eq!(hex(piece), text(&vector["piece"]));
            Ok(())
        }
        "word" => {
            let word: Word = block::decode(&bytes(&vector["bytes"]))?;
            word.verify(&thread)?;
            assert!(word.is_sound());
            assert_eq!(hex(word.peer().key_bytes()), text(&vector["peer"]));
            assert_eq!((word.seq(), word.epoch()), (9, 1));
            let (snapshot, content) =
                word.open(&thread, &ReadKey::from_bytes(&array(&vector["read"])))?;
            assert_eq!(snapshot.to_string(), text(&vector["snapshot"]));
            assert_eq!(content.cid().to_string(), text(&vector["blob"]));
            assert_eq!(hex(*content.key().to_bytes()), text(&vector["key"]));
            assert_eq!(content.size(), vector["size"].as_u64().unwrap());
            Ok(())
        }
        other => panic!("unknown kind {other}"),
    }
}

/// Reads content, has a node open it that knows nothing of the thread, and compares what it says.
fn read_content(vector: &Value, thread: &ThreadId) -> Result<()> {
    let content = bytes(&vector["bytes"]);
    let name: Cid = text(&vector["snapshot"]).parse().unwrap();
    let replica = ReplicaKey::from_bytes(&array(&vector["replica"]));
    let read = ReadKey::from_bytes(&array(&vector["read"]));
    let node = Node::builder(Memory::new())
        .codec(JsonPatch::new())
        .open()?;
    let keys = ThreadKeys::new(thread.clone(), replica, read);
    super::open(node.add_thread("t", &keys)?.thread(), &content[..], &name)?;
    let mut reader = Reader::new(&content[..]);
    let items = std::iter::from_fn(|| reader.next().transpose());
    assert_eq!(shown(&items.collect::<Result<Vec<_>>>()?), vector["items"]);
    Ok(())
}
