//! Keys and values, and feeds.

use serde_json::{Value, json};

use crate::common::Place;

fn place() -> Place {
    let place = Place::new();
    place.ok(["create", "t"]);
    place
}

#[test]
fn values_are_put_got_listed_and_deleted() {
    let place = place();
    let said = place.fails(3, ["kv", "get", "t", "ui/theme"]);
    assert!(said.contains("threads kv put t KEY VALUE"), "{said}");
    place.ok(["kv", "put", "t", "ui/theme", "dark"]);
    place.ok(["kv", "put", "t", "ui/size", "12"]);
    place.ok(["kv", "put", "t", "ui/size", "13"]);
    place.ok(["kv", "put", "t", "z", "last"]);
    assert_eq!(place.ok(["kv", "get", "t", "ui/size"]).out, "13");
    assert_eq!(
        place.ok(["kv", "ls", "t"]).out,
        "ui/size\t13\nui/theme\tdark\nz\tlast\n"
    );
    assert_eq!(
        place
            .ok(["kv", "ls", "t", "--prefix", "ui/", "--limit", "1"])
            .out,
        "ui/size\t13\n"
    );
    let range = place
        .ok(["--json", "kv", "ls", "t", "--from", "ui/t", "--to", "z"])
        .rows();
    assert_eq!(range, [json!({"key": "ui/theme", "value": "dark"})]);

    // All of those named, or none.
    place.fails(3, ["kv", "del", "t", "z", "nothing"]);
    assert_eq!(place.ok(["kv", "get", "t", "z"]).out, "last");
    place.ok(["kv", "del", "t", "z", "ui/size"]);
    assert_eq!(place.ok(["kv", "ls", "t"]).out, "ui/theme\tdark\n");
    place.ok(["kv", "put", "t", "z", "again"]);
    assert_eq!(place.ok(["kv", "get", "t", "z"]).out, "again");
    place.fails(5, ["kv", "put", "t", "", "v"]);
}

#[test]
fn a_value_may_be_any_bytes_and_is_in_a_collection_of_any_name() {
    let place = place();
    let bytes = [0, 0xff, b'\n', 0x1b];
    let put = place.fed(["kv", "put", "t", "k", "-", "--collection", "Blob"], bytes);
    assert_eq!(put.code, 0, "{put:?}");
    let got = place
        .command(["kv", "get", "t", "k", "--collection", "Blob"])
        .output()
        .unwrap();
    assert_eq!(got.stdout, bytes);
    let got = place
        .ok(["--json", "kv", "get", "t", "k", "--collection", "Blob"])
        .json();
    assert_eq!(got, json!({"key": "k", "value": {"base64": "mAP8KGw"}}));
    // It is an entity like others.
    let entity = place.ok(["get", "t", "Blob", "k"]).json();
    assert_eq!(entity["value"]["base64"], "mAP8KGw");
}

/// The values of lines.
fn values(rows: &[Value]) -> Vec<&Value> {
    rows.iter().map(|row| &row["value"]).collect()
}

#[test]
fn a_feed_is_appended_to_read_and_followed() {
    let place = place();
    let said = place.fails(3, ["feed", "tail", "t"]);
    assert!(said.contains("threads feed append t ITEM"), "{said}");
    let first = place.ok(["feed", "append", "t", r#"{"n": 1}"#]).out;
    for n in 2..=4 {
        place.ok(["feed", "append", "t", &n.to_string()]);
    }
    let rows = place.ok(["feed", "tail", "t"]).rows();
    assert_eq!(
        values(&rows),
        [&json!({"n": 1}), &json!(2), &json!(3), &json!(4)]
    );
    assert_eq!(rows[0]["position"], first.trim());
    let rows = place.ok(["feed", "tail", "t", "-n", "2"]).rows();
    assert_eq!(values(&rows), [&json!(3), &json!(4)]);
    let rows = place
        .ok(["feed", "tail", "t", "--after", first.trim(), "-n", "1"])
        .rows();
    assert_eq!(values(&rows), [&json!(2)]);

    // From a cursor, exactly where it was.
    let rows = place
        .ok(["feed", "tail", "t", "--since", "0", "-n", "3"])
        .rows();
    assert_eq!(values(&rows), [&json!({"n": 1}), &json!(2), &json!(3)]);
    let cursor = rows[2]["cursor"].as_str().unwrap();
    let words = [
        "feed", "tail", "t", "--since", cursor, "--follow", "--count", "2",
    ];
    let follower = place.spawn(words);
    place.ok(["feed", "append", "t", "5"]);
    let followed = crate::common::Said::of(follower.wait_with_output().unwrap());
    assert_eq!(values(&followed.rows()), [&json!(4), &json!(5)]);
    let end = place.ok([
        "feed",
        "tail",
        "t",
        "--since",
        followed.rows()[1]["cursor"].as_str().unwrap(),
    ]);
    assert_eq!(end.out, "");
    let appended = place.ok(["--json", "feed", "append", "t", "6"]).json();
    let last = place.ok(["feed", "tail", "t", "-n", "1"]).rows();
    assert_eq!(last[0]["position"], appended["position"]);

    place.fails(5, ["feed", "append", "t", "{"]);
    for words in [["--after", "rubbish"], ["--since", "x"]] {
        let said = place.run(["feed", "tail", "t"].into_iter().chain(words));
        assert_eq!(said.code, 2, "{said:?}");
    }
    let said = place.fails(5, ["feed", "tail", "t", "--since", "999999"]);
    assert!(said.contains("feed tail --since"), "{said}");
}
