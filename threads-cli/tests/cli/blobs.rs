//! Large content on the command line.

use serde_json::{Value, json};
use threads_core::datastore::{Datastore as _, DatastoreExt as _, Direction, Durability, Keyspace};
use threads_store_lmdb::Lmdb;

use crate::common::{Place, word};

fn content(bytes: usize) -> Vec<u8> {
    (0..bytes as u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect()
}

#[test]
fn files_go_in_and_come_out_by_reference_and_by_entity() {
    let place = Place::with_collection();
    let file = place.file("film", content(500_000));
    let reference = place.ok(["blob", "add", "t", word(&file)]).out;
    assert!(reference.starts_with("blob_b"), "{reference}");
    let said = place
        .ok([
            "--json",
            "blob",
            "add",
            "t",
            "--type",
            "video/mp4",
            word(&file),
        ])
        .json();
    assert_eq!(said["reference"]["type"], "video/mp4");
    let film = json!({"_id": "film", "file": said["reference"], "of": "a day"});
    place.ok(["put", "t", "c", &film.to_string()]);

    let out = place.path("out");
    for what in [reference.trim(), "c/film", &said["reference"].to_string()] {
        place.ok(["blob", "get", "t", what, "-o", word(&out), "--force"]);
        assert!(std::fs::read(&out).unwrap() == content(500_000), "{what}");
    }
    let taken = place.fails(4, ["blob", "get", "t", "c/film", "-o", word(&out)]);
    assert!(taken.contains("--force"), "{taken}");
    let piped = place
        .command(["blob", "get", "t", "c/film"])
        .output()
        .unwrap();
    assert!(piped.stdout == content(500_000));
    let listed = place.ok(["--json", "blob", "ls", "t"]).rows();
    assert_eq!(
        (listed.len(), &listed[0]["size"]),
        (1, &json!(2_000_000)),
        "the same twice is one"
    );

    let none = place
        .ok(["blob", "gc", "t", "--older", "0s", "--dry-run"])
        .out;
    assert_eq!(none, "", "an entity names it");
    place.ok(["rm", "t", "c", "film"]);
    let cleared: Value = place
        .ok(["--json", "blob", "gc", "t", "--older", "0s"])
        .json();
    assert_eq!(cleared["blobs"], 1);
    let gone = place.fails(8, ["blob", "get", "t", reference.trim(), "--wait", "0s"]);
    assert!(gone.contains("threads serve"), "{gone}");
}

#[test]
fn what_is_wrong_is_said_with_what_to_do() {
    let place = Place::with_collection();
    place.fails(3, ["blob", "add", "t", "nowhere"]);
    place.fails(2, ["blob", "get", "t", "blob_babc"]);
    let named = |text: &str| {
        place
            .fed(["blob", "add", "t", "-"], text)
            .out
            .trim()
            .to_owned()
    };
    let both = json!({"_id": "x", "a": named("one"), "b": named("two")});
    place.ok(["put", "t", "c", &both.to_string()]);
    let several = place.fails(5, ["blob", "get", "t", "c/x"]);
    assert!(several.contains("--field"), "{several}");
    assert_eq!(
        place.ok(["blob", "get", "t", "c/x", "--field", "b"]).out,
        "two"
    );
    let cid = place.ok(["--json", "blob", "ls", "t"]).rows()[0]["cid"].clone();
    place.ok(["blob", "rm", "t", cid.as_str().unwrap()]);
    place.fails(3, ["blob", "rm", "t", cid.as_str().unwrap()]);
}

/// Changes the last byte of a chunk on disk.
fn damage(place: &Place) {
    let store = Lmdb::open(place.repo().join("store")).unwrap();
    let all = (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
    let (key, mut value) = {
        let txn = store.read().unwrap();
        let mut rows = txn.scan(Keyspace::Blobs, all, Direction::Forward).unwrap();
        let row = rows.find(|row| row.as_ref().unwrap().1.len() > 100_000);
        let (key, value) = row.unwrap().unwrap();
        (key.into_owned(), value.into_owned())
    };
    *value.last_mut().unwrap() ^= 1;
    let put =
        |txn: &mut dyn threads_core::datastore::WriteTxn| txn.put(Keyspace::Blobs, &key, &value);
    store.transact(Durability::Group, put).unwrap();
}

#[test]
fn what_is_damaged_is_told_and_taken_away_on_request() {
    let place = Place::with_collection();
    let film = place.file("film", content(200_000));
    let reference = place.ok(["blob", "add", "t", word(&film)]).out;
    let clean = place.ok(["blob", "check", "t"]).out;
    assert!(
        clean.contains("5 blocks") && clean.contains("0 damaged"),
        "{clean}"
    );
    damage(&place);
    for (code, words) in [
        (6, &["blob", "check", "t"][..]),
        (6, &["verify", "t"]),
        (7, &["blob", "get", "t", reference.trim(), "-o", "none"]),
    ] {
        let said = place.fails(code, words);
        assert!(said.contains("blob check t --repair"), "{said}");
    }
    let repaired = place
        .ok(["--json", "blob", "check", "t", "--repair"])
        .json();
    assert_eq!(
        (&repaired["damaged"], &repaired["broken"]),
        (&json!(1), &json!(1))
    );
    let listed = place.ok(["--json", "blob", "ls", "t"]).rows();
    assert_eq!(listed[0]["whole"], false);
    place.ok(["blob", "check", "t"]);
    place.ok(["verify", "t"]);
    place.ok(["blob", "add", "t", word(&film)]);
    let out = place.path("out");
    place.ok(["blob", "get", "t", reference.trim(), "-o", word(&out)]);
    assert!(std::fs::read(&out).unwrap() == content(200_000));
}

#[test]
fn a_file_of_a_thread_has_its_blobs_when_asked_to() {
    let place = Place::with_collection();
    let film = place.file("film", content(200_000));
    let added = place.ok(["--json", "blob", "add", "t", word(&film)]).json();
    let entity = json!({"_id": "film", "file": added["reference"]});
    place.ok(["put", "t", "c", &entity.to_string()]);
    let secret = place.file("secret", "correct horse\n");
    let export = |name: &str, more: &[&str]| {
        let file = place.path(name);
        let words = [
            "export",
            "t",
            word(&file),
            "--with-keys",
            "--passphrase-file",
        ];
        let said = place.ok(words.iter().chain(&[word(&secret)]).chain(more));
        (file.clone(), said.err)
    };
    let (bare, _) = export("bare.car", &[]);
    let (full, said) = export("full.car", &["--with-blobs"]);
    assert!(said.contains("1 blob"), "{said}");
    let there = Place::new();
    let restore = |file: &std::path::Path| {
        there.run(["restore", word(file), "--passphrase-file", word(&secret)])
    };
    assert_eq!(restore(&bare).code, 0);
    there.fails(8, ["blob", "get", "t", "c/film", "--wait", "0s"]);
    let cut = std::fs::read(&full).unwrap();
    let cut = there.file("cut.car", &cut[..cut.len() - 300_000]);
    let said = restore(&cut);
    assert_eq!(said.code, 7, "{said:#?}");
    let said = restore(&full);
    assert!(
        said.err.contains("1 blob in it, of which 5 blocks new"),
        "{said:#?}"
    );
    let out = there.path("out");
    there.ok(["blob", "get", "t", "c/film", "-o", word(&out)]);
    assert!(std::fs::read(&out).unwrap() == content(200_000));
}

#[test]
fn a_purge_says_how_many_blobs_nothing_names_any_more() {
    let place = Place::with_collection();
    let film = place.file("film", content(100));
    let added = place.ok(["--json", "blob", "add", "t", word(&film)]).json();
    for id in ["film", "copy", "other"] {
        let mut entity = json!({ "_id": id });
        if id != "other" {
            entity["file"] = added["reference"].clone();
        }
        place.ok(["put", "t", "c", &entity.to_string()]);
    }
    let first = place.ok(["purge", "t", "c/film"]).err;
    assert!(!first.contains("blob"), "another names it: {first}");
    let second = place.ok(["purge", "t", "c/copy"]).err;
    assert!(
        second.contains("1 blob here named by nothing now")
            && second.contains("threads blob gc t --older 0s"),
        "{second}"
    );
    place.ok(["blob", "gc", "t", "--older", "0s"]);
    let third = place.ok(["--json", "purge", "t", "c/other"]).json();
    assert_eq!(third["unnamed_blobs"], 0);
}
