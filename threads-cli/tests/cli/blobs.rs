//! Large content on the command line.

use serde_json::{Value, json};

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
