//! What somebody else put into the collections of shapes, and their positions and keys.

use std::ops::Bound;
use std::sync::{Arc, OnceLock};

use serde_json::Value;
use threads_codec_jsonpatch::JsonPatch;
use threads_codec_lww::Lww;
use threads_core::ErrorKind;
use threads_core::datastore::{Datastore, Memory};
use threads_db::query::Query;
use threads_db::{Db, FeedCursor, Node};
use threads_shapes::feed::Position;
use threads_shapes::table::{Column, Kind, Table};
use threads_shapes::{Counters, Docs, Feed, Kv, key};

use crate::check::{refused, text};

/// The most that is read at once.
const ALL: usize = 100;
/// What is there, and must be found whatever else is.
const KEY: &[u8] = b"sound";
const ITEM: u32 = 7;

fn node(store: impl Datastore) -> Node {
    let builder = Node::builder(store)
        .codec(JsonPatch::new())
        .codec(Lww::new());
    builder.open().unwrap()
}

/// A thread with something in each shape.
fn thread() -> (Node, Db) {
    static STORE: OnceLock<Arc<Memory>> = OnceLock::new();
    let store = STORE.get_or_init(|| {
        let store = Arc::new(Memory::new());
        let node = node(Arc::clone(&store));
        let db = node.create("shapes").unwrap();
        Kv::open(&db, "Pair").unwrap().put(KEY, "yes").unwrap();
        Counters::open(&db, "Part").unwrap().add("all", 5).unwrap();
        Feed::<u32>::open(&db, "Item")
            .unwrap()
            .append(&ITEM)
            .unwrap();
        Docs::open(&db, "Doc").unwrap();
        let columns = [
            Column::new("n", Kind::Integer),
            Column::new("next", Kind::Key),
        ];
        Table::define(&db, "Row", &columns).unwrap();
        store
    });
    let node = node(store.fork());
    let db = node.open("shapes").unwrap();
    (node, db)
}

/// An entity that a stranger put into every collection; or a position; or the id of a key.
pub(crate) fn shapes(input: &[u8]) {
    if let Ok(typed) = std::str::from_utf8(input) {
        text::<Position>(typed);
        if let Some(key) = key::of_id(typed) {
            assert_eq!(key::to_id(&key).unwrap(), typed, "one key has one id");
        }
    }
    if let Ok(id) = key::to_id(input) {
        assert_eq!(key::of_id(&id).unwrap(), input);
    }
    let Ok(entity @ Value::Object(_)) = serde_json::from_slice::<Value>(input) else {
        return;
    };
    let (_node, db) = thread();
    for name in ["Pair", "Part", "Item", "Doc", "Row"] {
        let saved = db.collection(name).unwrap().save(&entity);
        if let Err(error) = saved {
            refused(&error, &[ErrorKind::Invalid, ErrorKind::Conflict]);
        }
    }
    if entity["_id"] != key::to_id(KEY).unwrap() {
        look(&db);
    }
}

/// What is there is found, and what is not of a shape is left out or refused.
fn look(db: &Db) {
    let kv = Kv::open(db, "Pair").unwrap();
    assert_eq!(kv.get(KEY).unwrap().unwrap(), b"yes");
    let all: (Bound<&[u8]>, Bound<&[u8]>) = (Bound::Unbounded, Bound::Unbounded);
    if let Err(error) = kv.range::<&[u8]>(all, ALL) {
        refused(&error, &[ErrorKind::Invalid]);
    }
    let counters = Counters::open(db, "Part").unwrap();
    assert_eq!(
        counters.all().unwrap()["all"],
        counters.value("all").unwrap()
    );
    let feed = Feed::<u32>::open(db, "Item").unwrap();
    assert!(
        feed.read(None, ALL)
            .unwrap()
            .iter()
            .any(|item| item.value == ITEM)
    );
    let mut follower = feed.follow(FeedCursor::START).unwrap();
    assert_eq!(follower.try_next().unwrap().unwrap().value, ITEM);
    while follower.try_next().unwrap().is_some() {}
    let table = Table::open(db, "Row").unwrap();
    let rows = table.select(&Query::new()).unwrap().rows;
    assert_eq!(
        table.join(&Query::new(), "next", &table).unwrap().len(),
        rows.len()
    );
    Docs::open(db, "Doc")
        .unwrap()
        .select(&Query::new())
        .unwrap();
}
