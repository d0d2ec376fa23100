//! Waiting for updates of a live query: in a thread, and in a task.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use futures_util::Stream;
use serde_json::{Value, json};
use threads_codec_jsonpatch::JsonPatch;
use threads_core::datastore::Memory;
use threads_core::module::CollectionSpec;
use threads_db::query::Query;
use threads_db::{Collection, Node};

const LONG: Duration = Duration::from_secs(60);

fn notes() -> Collection<Value> {
    let node = Node::builder(Memory::new()).codec(JsonPatch::new()).open();
    let db = node.unwrap().create("t").unwrap();
    let codec = "jsonpatch/1".parse().unwrap();
    db.define(&CollectionSpec::new("Note".parse().unwrap(), codec))
        .unwrap();
    db.collection("Note").unwrap()
}

#[test]
fn a_thread_waits_for_what_another_writes() {
    let notes = notes();
    let mut live = notes.watch(&Query::new()).unwrap();
    let (sender, updates) = mpsc::sync_channel(3);
    let waiting = thread::spawn(move || {
        for _ in 0..3 {
            let update = live.next_timeout(LONG).unwrap().unwrap();
            sender.send(update).unwrap();
        }
    });
    let mut list = Vec::new();
    updates.recv().unwrap().apply(&mut list);
    for n in 0..2 {
        notes.create(&json!({"n": n})).unwrap();
        updates.recv().unwrap().apply(&mut list);
    }
    waiting.join().unwrap();
    assert_eq!(list, notes.find(&Query::new()).unwrap());
}

#[tokio::test]
async fn a_task_is_woken_by_what_another_writes() {
    let notes = notes();
    let mut live = notes.watch(&Query::new()).unwrap();
    let mut next = async || {
        let update = poll_fn(|cx| Pin::new(&mut live).poll_next(cx)).await;
        update.unwrap().unwrap()
    };
    let mut list = Vec::new();
    next().await.apply(&mut list);
    let writer = notes.clone();
    let written = thread::spawn(move || writer.create(&json!({"n": 1})).unwrap());
    next().await.apply(&mut list);
    written.join().unwrap();
    assert_eq!(list, notes.find(&Query::new()).unwrap());
}
