//! Purging: nothing of what entities said is on any disk.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::common::serving::{Serving, TCP, card};
use crate::common::{Place, word};

/// Every file of a repository.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found
}

/// How many files of a repository hold these bytes.
fn hits(place: &Place, bytes: &[u8]) -> usize {
    let holds = |path: &PathBuf| {
        // A socket is no file that anybody reads.
        let content = fs::read(path).unwrap_or_default();
        content.windows(bytes.len()).any(|window| window == bytes)
    };
    files(&place.repo())
        .iter()
        .filter(|path| holds(path))
        .count()
}

fn put(place: &Place, id: &str, text: &str) {
    let entity = json!({"_id": id, "text": text, "tag": format!("tag {text}")});
    place.ok(["put", "t", "c", &entity.to_string()]);
}

/// A thread with rules, whose collection has an index.
fn ann() -> Place {
    let ann = Place::new();
    ann.ok(["create", "t", "--access-controlled"]);
    ann.ok(["collection", "add", "t", "c", "--index", "tag"]);
    ann
}

fn invited(ann: &Place, role: &str) -> Place {
    let other = Place::new();
    let words = ["invite", "t", "--role", role, "--to", &card(&other)];
    let invite = ann.ok(words).out;
    other.ok(["join", invite.trim(), "--name", "t"]);
    carry(ann, &other);
    other
}

/// Takes all that one has to another, as a file.
fn carry(from: &Place, to: &Place) {
    let file = from.path("t.car");
    from.ok(["export", "t", word(&file), "--force"]);
    to.ok(["restore", word(&file)]);
}

fn verified(place: &Place) -> Value {
    place.ok(["--json", "verify", "t"]).json()
}

#[test]
fn no_byte_of_what_was_purged_is_on_disk() {
    let ann = ann();
    put(&ann, "plan", "CANARY one");
    put(&ann, "list", "eggs");
    let bob = invited(&ann, "write");
    // Both go on with it, and neither knows of the other.
    put(&ann, "plan", "CANARY two");
    put(&bob, "plan", "CANARY three");
    carry(&bob, &ann);
    carry(&ann, &bob);
    put(&bob, "plan", "CANARY four");
    carry(&bob, &ann);
    assert!(
        hits(&ann, b"CANARY") > 0 && hits(&bob, b"CANARY") > 0,
        "the control"
    );

    let said = ann.ok(["--json", "purge", "t", "c/plan"]).json();
    assert_eq!(
        (&said["records"], &said["wiped"]),
        (&json!(4), &json!(true))
    );
    assert_eq!(said["purged"], json!(["c/plan"]));
    assert_eq!(hits(&ann, b"CANARY"), 0);
    let kept = ann.ok(["get", "t", "c", "list"]).json();
    assert_eq!(kept["text"], "eggs");
    assert_eq!(verified(&ann)["emptied"], 4);
    let all = ann.ok(["--json", "find", "t", "c"]).rows();
    assert_eq!(all.len(), 1);
    // What comes from who has not heard of it brings nothing back.
    carry(&bob, &ann);
    assert_eq!(hits(&ann, b"CANARY"), 0);

    carry(&ann, &bob);
    assert_eq!(verified(&bob)["emptied"], 4);
    bob.ok(["purge", "t", "--wipe"]);
    assert_eq!(hits(&bob, b"CANARY"), 0);
    let purge = bob.ok(["--json", "purge", "t"]).json();
    assert_eq!(
        (&purge["emptied"], &purge["record"]),
        (&json!(4), &said["stated"])
    );
    assert_eq!(purge["claims"], json!({}), "nobody was asked");
    let why = ann.ok(["log", "t"]).out;
    assert!(why.contains("purged"), "{why}");
    // It is dead for good.
    ann.fails(4, ["put", "t", "c", r#"{"_id": "plan"}"#]);
}

/// The blocks of an export, each without its CID.
fn blocks(file: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(file).unwrap();
    let (mut rest, mut blocks) = (&bytes[..], Vec::new());
    while !rest.is_empty() {
        let (mut length, mut shift) = (0usize, 0);
        loop {
            let byte = rest[0];
            rest = &rest[1..];
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        // The header has no CID, and is of no interest.
        blocks.push(rest[36.min(length)..length].to_vec());
        rest = &rest[length..];
    }
    blocks
}

#[test]
fn a_replica_that_reads_nothing_keeps_no_ciphertext_of_it() {
    let ann = ann();
    put(&ann, "plan", "CANARY");
    let replica = invited(&ann, "replicate");
    let record = ann.ok(["--json", "why", "t", "c/plan"]);
    assert_eq!(record.code, 0);
    let before = blocks(&ann.path("t.car"));
    ann.ok(["purge", "t", "c/plan"]);
    carry(&ann, &replica);
    let after = blocks(&ann.path("t.car"));
    let gone: Vec<_> = before[2..]
        .iter()
        .filter(|block| !after.contains(block))
        .collect();
    assert_eq!(gone.len(), 2, "an event and a body");
    replica.ok(["purge", "t", "--wipe"]);
    for block in gone {
        assert_eq!(hits(&ann, block) + hits(&replica, block), 0);
    }
    assert_eq!(verified(&replica)["emptied"], 1);
    // The control: what stays is found so.
    let stays = after.iter().rev().find(|block| block.len() > 100).unwrap();
    assert!(hits(&replica, stays) > 0);
}

#[test]
fn what_cannot_be_purged_is_said_and_left() {
    let ann = ann();
    let file = ann.file(
        "two.jsonl",
        "{\"_id\": \"a\", \"text\": \"x\"}\n{\"_id\": \"b\", \"text\": \"y\"}\n",
    );
    ann.ok(["import", "t", "c", word(&file)]);
    let said = ann.fails(4, ["purge", "t", "c/a"]);
    assert!(said.contains("c/b"), "{said}");
    assert_eq!(ann.ok(["--json", "find", "t", "c"]).rows().len(), 2);
    let said = ann.fails(3, ["purge", "t", "c/nobody"]);
    assert!(said.contains("threads find"), "{said}");
    let bob = invited(&ann, "write");
    ann.fails(2, ["purge", "t", "nothing"]);
    let said = bob.fails(6, ["purge", "t", "c/a", "c/b"]);
    assert!(said.contains("role delete"), "{said}");
    ann.ok(["purge", "t", "c/a", "c/b"]);
    assert!(ann.ok(["--json", "find", "t", "c"]).rows().is_empty());

    let raw = Place::with_collection();
    let none = raw.ok(["purge", "t"]);
    assert!(none.err.contains("no purge was stated"), "{none:?}");
}

#[test]
#[cfg(unix)]
fn it_works_while_the_repository_is_served_and_the_disk_is_written_over_after() {
    let ann = ann();
    put(&ann, "plan", "CANARY");
    let serving = Serving::start(&ann, TCP);
    let said = ann.ok(["purge", "t", "c/plan"]);
    assert!(said.err.contains("threads serve"), "{said:?}");
    let again = ann.ok(["--json", "purge", "t", "--wipe"]).json();
    assert_eq!(again["wiped"], false);
    serving.stop();
    assert!(hits(&ann, b"CANARY") > 0, "the control");
    let serving = Serving::start(&ann, TCP);
    assert_eq!(
        hits(&ann, b"CANARY"),
        0,
        "it is written over before it serves"
    );
    serving.stop();
    assert!(verified(&ann)["problems"].as_array().unwrap().is_empty());
}
