//! Opening a shape over a collection that is there.

use serde_json::{Value, json};
use threads_core::{ErrorKind, Result};
use threads_db::Db;
use threads_shapes::table::{Column, Kind};
use threads_shapes::{Counters, Docs, Feed, Kv, Table};

use crate::peers::Peers;

/// Opens the shapes of `lww/1` over one collection.
fn open_lww(db: &Db, name: &str) -> [Result<()>; 4] {
    [
        Kv::open(db, name).map(drop),
        Feed::<Value>::open(db, name).map(drop),
        Counters::open(db, name).map(drop),
        Table::open(db, name).map(drop),
    ]
}

#[test]
fn a_collection_of_another_codec_is_refused() {
    let peers = Peers::alone();
    let db = &peers.dbs[0];
    let docs = Docs::open(db, "docs").unwrap();
    docs.insert(&json!({"_id": "x", "value": "v"})).unwrap();
    for opened in open_lww(db, "docs") {
        assert_eq!(opened.unwrap_err().kind(), ErrorKind::Conflict);
    }
    Table::define(db, "table", &[Column::new("value", Kind::Text)]).unwrap();
    for opened in open_lww(db, "table") {
        opened.unwrap();
    }
    let refused = Docs::open(db, "table").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert!(Docs::open(db, "docs").is_ok());
}
