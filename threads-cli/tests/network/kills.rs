//! A first sync whose process is killed again and again.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use threads_codec_jsonpatch::JsonPatch;
use threads_core::datastore::Durability;
use threads_db::Node;
use threads_store_lmdb::Lmdb;

use crate::common::Place;
use crate::common::serving::{Serving, TCP, card, within};

/// How many records there are when `THREADS_RECORDS` does not say; 100,000 is what the figures of
/// the documents are of.
const RECORDS: u64 = 6_000;
const KILLS: u64 = 10;
/// How many kills have to hit it before it is done. A busy machine may look, stop, and kill so late
/// that the rest arrived meanwhile; that says nothing about what a kill does.
const KILLS_MIN: u64 = 3;
/// What may be sent again after a kill: the page that was being stored, and the one behind it.
const PAGE_RECORDS: u64 = 256;
const PATIENCE: Duration = Duration::from_secs(300);

#[derive(Serialize)]
struct Note {
    text: String,
}

/// Makes a record for each of `count` notes.
fn fill(place: &Place, count: u64) {
    let builder = Node::builder(Lmdb::open(place.repo().join("store")).unwrap());
    let builder = builder.keystore(&place.keystore());
    let builder = builder
        .codec(JsonPatch::new())
        .durability(Durability::Relaxed);
    let db = builder.open().unwrap().open("t").unwrap();
    let notes = db.typed::<Note>("c").unwrap();
    for number in 0..count {
        let text = format!("{number:0>240}");
        notes.create(&Note { text }).unwrap();
    }
}

/// How many records of `t` are here.
fn have(place: &Place) -> u64 {
    let status: Value = place.ok(["--json", "status", "t"]).json();
    let logs = status["logs"].as_array().unwrap();
    logs.iter().map(|log| log["have"].as_u64().unwrap()).sum()
}

#[test]
fn a_first_sync_that_is_killed_again_and_again_is_complete_and_sends_little_again() {
    let wanted = std::env::var("THREADS_RECORDS").map(|count| count.parse().unwrap());
    let records = wanted.unwrap_or(RECORDS);
    let (ann, bob) = (Place::with_collection(), Place::new());
    fill(&ann, records);
    let source = Serving::start(&ann, TCP);
    let invite = ann.ok(["invite", "t", "--role", "write", "--to", &card(&bob)]);
    bob.ok(["join", invite.out.trim(), "--name", "t"]);
    let all = have(&ann);

    let (mut before, mut kills) = (0, 0);
    while kills < KILLS && before < all {
        kills += 1;
        let killed = Serving::start(&bob, TCP);
        let enough = (all * kills / (KILLS + 2)).max(before + 1);
        within(PATIENCE, "progress", || have(&bob) >= enough);
        drop(killed);
        let now = have(&bob);
        assert!(now >= enough, "{now} of {all} are left of {enough}");
        before = now;
    }
    let hit = kills - u64::from(before >= all);
    assert!(hit >= KILLS_MIN, "it was done before kill {kills}");
    let last = Serving::start(&bob, TCP);
    within(PATIENCE, "the rest", || have(&bob) >= all);
    bob.ok(["sync", "t", "--wait"]);
    assert_eq!(have(&bob), have(&ann));
    last.stop();

    let sent = source.stop()["records_sent"].as_u64().unwrap();
    let again = sent - all;
    println!("{all} records, {again} sent again after {kills} kills");
    assert!(again <= kills * 2 * PAGE_RECORDS, "{again} of {all}");
    assert!(records < 100_000 || again * 20 < all, "{again} of {all}");
    bob.ok(["verify", "t"]);
    assert_eq!(
        bob.ok(["find", "t", "c", "--count"]).out.trim(),
        records.to_string()
    );
}
