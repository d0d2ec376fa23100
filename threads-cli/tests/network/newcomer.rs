//! A newcomer begins with a snapshot that a replica keeps which cannot read it.

use serde_json::Value;

use crate::common::Place;
use crate::common::serving::{Serving, TCP, card, until};

fn status(place: &Place) -> Value {
    place.ok(["--json", "status", "t"]).json()
}

/// Has somebody join Ann's thread.
fn join(ann: &Place, role: &str, more: &[&str]) -> Place {
    let other = Place::new();
    let words = ["invite", "t", "--role", role, "--to", &card(&other)];
    let invite = ann.ok(words).out;
    let join = ["join", invite.trim(), "--name", "t"];
    other.ok(join.iter().chain(more));
    other
}

#[test]
fn a_newcomer_begins_with_a_snapshot_from_a_replica_and_gets_the_rest() {
    let ann = Place::new();
    ann.ok(["create", "t", "--access-controlled"]);
    ann.ok(["collection", "add", "t", "c"]);
    for n in 0..40 {
        ann.ok(["put", "t", "c", &format!(r#"{{"_id": "e", "n": {n}}}"#)]);
    }
    let replica = join(&ann, "replicate", &[]);
    let bob = join(&ann, "write", &["--from-snapshot"]);
    let snapshot = ann.ok(["--json", "snapshot", "t"]).json()["id"].clone();
    ann.ok(["put", "t", "c", r#"{"_id": "late"}"#]);

    let served = Serving::start(&replica, TCP);
    let from_ann = Serving::start(&ann, TCP);
    ann.ok(["connect", &served.addresses[0]]);
    let whole = |place: &Place| {
        let blobs = place.ok(["--json", "blob", "ls", "t"]).rows();
        blobs.iter().any(|blob| blob["whole"] == true)
    };
    until("the replica keeps the snapshot", || whole(&replica));
    until("the replica has all", || {
        let stands = status(&ann);
        let peers = stands["peers"].as_array().unwrap();
        let has_all = |peer: &Value| peer["last_contact_ms"].is_u64() && peer["lacks"] == 0;
        peers.iter().any(has_all)
    });
    drop(from_ann);

    let reads = Serving::start(&bob, TCP);
    bob.ok(["connect", &served.addresses[0]]);
    until("the newcomer begins with it", || {
        // While it is being opened another process is told to wait.
        let said = bob.run(["--json", "status", "t"]);
        said.code == 0 && said.json()["from_snapshot"]["state"] == "opened"
    });
    until("the rest is there", || {
        bob.run(["get", "t", "c", "late"]).code == 0
    });
    drop(reads);
    let stands = status(&bob);
    assert_eq!(stands["base"]["snapshot"], snapshot);
    assert!(stands["base"]["dropped"].as_u64().unwrap() > 20, "{stands}");
    assert_eq!(bob.ok(["get", "t", "c", "e"]).json()["n"], 39);
    bob.ok(["verify", "t"]);
    let said = bob.ok(["status", "t"]);
    assert!(said.err.contains("was opened from snapshot"), "{said:#?}");
    assert!(said.err.contains("older records are not here"), "{said:#?}");
}
