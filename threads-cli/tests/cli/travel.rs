//! A thread as it was, who changed what, and taking changes back.

use serde_json::{Value, json};

use crate::common::{Place, word};

/// A person who was changed twice; with the records of that.
fn ann() -> (Place, Vec<String>) {
    let place = Place::new();
    place.ok(["create", "t"]);
    place.ok(["collection", "add", "t", "c"]);
    let mut records = Vec::new();
    let changes = [
        vec![
            "put",
            "t",
            "c",
            r#"{"_id": "ann", "age": 61, "home": {"city": "Graz"}}"#,
        ],
        vec!["patch", "t", "c", "ann", r#"{"age": 62}"#],
        vec![
            "patch",
            "t",
            "c",
            "ann",
            r#"{"home": {"city": "Wien"}, "nick": "a"}"#,
        ],
    ];
    for mut change in changes {
        change.insert(0, "--json");
        let said = place.ok(change).json();
        records.push(said["record"].as_str().unwrap().to_owned());
    }
    (place, records)
}

fn get(place: &Place) -> Value {
    place.ok(["get", "t", "c", "ann"]).json()
}

#[test]
fn a_thread_is_looked_at_as_it_was() {
    let (place, records) = ann();
    place.ok(["put", "t", "c", r#"{"_id": "bob", "age": 30}"#]);
    let was = place.ok(["at", &records[1], "get", "t", "c", "ann"]).json();
    assert_eq!(
        was,
        json!({"_id": "ann", "age": 62, "home": {"city": "Graz"}})
    );
    let found = place.ok([
        "at",
        &records[0],
        "find",
        "t",
        "c",
        "age > 60",
        "--fields",
        "age",
    ]);
    assert_eq!(found.rows(), [json!({"_id": "ann", "age": 61})]);
    let count = place.ok(["at", "now", "find", "t", "c", "--count"]);
    assert_eq!(count.out, "2\n");
    let sorted = place.ok([
        "at", "now", "find", "t", "c", "--sort", "age", "--limit", "1",
    ]);
    assert_eq!(sorted.rows()[0]["_id"], "bob");
    assert!(sorted.err.contains("--after"), "{sorted:?}");
    let none = place.ok(["at", "2001-01-01T00:00:00Z", "find", "t", "c"]);
    assert!(none.out.is_empty());
    let said = place.fails(3, ["at", &records[0], "get", "t", "c", "bob"]);
    assert!(said.contains("threads history t c"), "{said}");
    place.fails(2, ["at", "yesterday", "find", "t", "c"]);
    let other = ann().1;
    let said = place.fails(3, ["at", &other[0], "find", "t", "c"]);
    assert!(said.contains("threads log t"), "{said}");
    for option in ["--explain", "--watch"] {
        place.fails(10, ["at", "now", "find", "t", "c", option]);
    }
}

#[test]
fn history_and_blame_tell_who_and_when() {
    let (place, records) = ann();
    let said = place.ok(["history", "t", "c", "ann"]).out;
    let lines: Vec<_> = said.lines().collect();
    assert!(
        lines[0].ends_with(&format!("create  {}", records[0])),
        "{said}"
    );
    assert_eq!(
        (lines[3], lines[5]),
        ("  age: 61 → 62", r#"  home.city: "Graz" → "Wien""#)
    );
    let rows = place.ok(["--json", "history", "t", "c", "ann"]).rows();
    assert_eq!((rows.len(), &rows[1]["fate"]), (3, &json!("applied")));
    assert_eq!(
        rows[1]["edits"],
        json!([{"path": "/age", "before": 61, "after": 62}])
    );

    let rows = place.ok(["--json", "blame", "t", "c", "ann"]).rows();
    let by: Vec<_> = rows
        .iter()
        .map(|row| {
            (
                row["path"].as_str().unwrap(),
                row["record"].as_str().unwrap(),
            )
        })
        .collect();
    let [first, second, third] = [0, 1, 2].map(|n| records[n].as_str());
    assert_eq!(
        by,
        [
            ("_id", first),
            ("age", second),
            ("home.city", third),
            ("nick", third)
        ]
    );
    let said = place.ok(["blame", "t", "c", "ann", "age"]).out;
    assert!(
        said.contains("62") && said.contains(second) && !said.contains(third),
        "{said}"
    );
    place.ok(["patch", "t", "c", "ann", r#"{"nick": null}"#]);
    let gone = place.ok(["blame", "t", "c", "ann", "nick"]).out;
    assert!(gone.contains("removed"), "{gone}");
    place.fails(3, ["blame", "t", "c", "ann", "never"]);
    let said = place.fails(3, ["history", "t", "c", "nobody"]);
    assert!(said.contains("threads find t c"), "{said}");
}

#[test]
fn what_differs_is_told_to_people_and_programs() {
    let (place, records) = ann();
    let said = place.ok(["diff", "t", &records[0], "now"]).out;
    assert_eq!(
        said,
        "c/ann: save\n  age: 61 → 62\n  home.city: \"Graz\" → \"Wien\"\n  nick: + \"a\"\n"
    );
    let rows = place
        .ok(["--json", "diff", "t", &records[1], &records[0], "c", "ann"])
        .rows();
    assert_eq!(
        rows[0]["patch"],
        json!([{"op": "replace", "path": "/age", "value": 61}])
    );
    let created = place
        .ok(["--json", "diff", "t", "2001-01-01T00:00:00Z", "now", "c"])
        .rows();
    assert_eq!(
        (&created[0]["action"], &created[0]["after"]),
        (&json!("create"), &get(&place))
    );
    let none = place.ok(["diff", "t", "now", &records[2]]);
    assert!(
        none.out.is_empty() && none.err.contains("nothing differs"),
        "{none:?}"
    );
    place.fails(3, ["diff", "t", "now", "now", "nothing"]);
}

#[test]
fn an_entity_goes_back_to_what_it_was() {
    let (place, records) = ann();
    place.ok(["revert", "t", "c", "ann", &records[0]]);
    assert_eq!(
        get(&place),
        json!({"_id": "ann", "age": 61, "home": {"city": "Graz"}})
    );
    let again = place
        .ok(["--json", "revert", "t", "c", "ann", &records[0]])
        .json();
    assert_eq!(again["record"], Value::Null);
    place.ok(["rm", "t", "c", "ann"]);
    let said = place.fails(4, ["revert", "t", "c", "ann", &records[0]]);
    assert!(
        said.contains("deleting is final") && said.contains("at POINT get"),
        "{said}"
    );
    let was = place.ok(["at", &records[0], "get", "t", "c", "ann"]).json();
    assert_eq!(was["age"], 61);
    place.fails(3, ["revert", "t", "c", "bob", "now"]);
}

#[test]
fn what_was_done_is_undone_and_done_again() {
    let (place, records) = ann();
    let ahead = place.ok(["undo", "t", "--dry-run"]).out;
    assert!(
        ahead.starts_with("would take back") && ahead.contains(&records[2]),
        "{ahead}"
    );
    assert_eq!(get(&place)["nick"], "a");
    let said = place.ok(["undo", "t"]).out;
    assert!(
        said.contains("  nick: - \"a\"\n  home.city: \"Wien\" → \"Graz\"\n"),
        "{said}"
    );
    place.ok(["undo", "t"]);
    assert_eq!(get(&place)["age"], 61);
    let redone = place.ok(["--json", "redo", "t"]).json();
    assert_eq!(redone["entities"][0]["how"], "restored");
    assert_eq!(get(&place)["age"], 62);
    place.ok(["redo", "t"]);
    assert_eq!(get(&place)["home"]["city"], "Wien");
    let none = place.ok(["redo", "t"]);
    assert!(none.err.contains("nothing to redo"), "{none:?}");
    for _ in 0..2 {
        place.ok(["undo", "t"]);
    }
    let said = place.fails(4, ["undo", "t"]);
    assert!(
        said.contains("for good") && said.contains("threads undo t --final"),
        "{said}"
    );
    let said = place.ok(["undo", "t", "--final"]).out;
    assert!(said.contains("c/ann: deleted, for good"), "{said}");
    assert_eq!(place.ok(["--json", "undo", "t"]).json(), Value::Null);
    assert!(place.ok(["verify", "t"]).out.contains("clean"));
}

/// What another changed in between stays, and is told.
#[test]
fn what_others_changed_stays_and_is_told() {
    let (place, _) = ann();
    let file = place.path("t.car");
    let passphrase = place.file("passphrase", "correct horse\n");
    place.ok([
        "export",
        "t",
        word(&file),
        "--with-keys",
        "--passphrase-file",
        word(&passphrase),
    ]);
    let other = Place::new();
    other.ok([
        "restore",
        word(&file),
        "--passphrase-file",
        word(&passphrase),
    ]);
    other.ok(["patch", "t", "c", "ann", r#"{"nick": "b"}"#]);
    other.ok(["export", "t", word(&file), "--force"]);
    place.ok(["restore", word(&file)]);
    let said = place.ok(["undo", "t"]).out;
    assert!(
        said.contains("  home.city: \"Wien\" → \"Graz\"\n"),
        "{said}"
    );
    assert!(
        said.contains("  /nick stays \"b\": somebody changed it since"),
        "{said}"
    );
    assert_eq!(get(&place)["nick"], "b");
    let history = place.ok(["history", "t", "c", "ann"]).out;
    assert!(history.contains("  takes back "), "{history}");
}

#[test]
fn what_cannot_be_undone_is_passed_over() {
    let place = Place::new();
    place.ok(["create", "t"]);
    place.ok(["collection", "add", "t", "c", "--unique", "name"]);
    let file = place.file(
        "two.jsonl",
        "{\"_id\": \"a\", \"name\": \"x\"}\n{\"_id\": \"b\", \"name\": \"y\"}\n",
    );
    place.ok(["import", "t", "c", word(&file)]);
    place.ok(["patch", "t", "c", "a", r#"{"name": "z"}"#]);
    place.ok(["patch", "t", "c", "b", r#"{"name": "x"}"#]);
    let said = place.ok(["undo", "t", "--skip"]).err;
    assert!(said.contains("stays as it is"), "{said}");
    let said = place.fails(4, ["undo", "t"]);
    assert!(
        said.contains("threads undo t --skip") && !said.contains("--final"),
        "{said}"
    );
    place.ok(["undo", "t", "--skip"]);
    let said = place.ok(["undo", "t"]).out;
    assert!(
        said.contains("c/a: stays, as somebody changed it since"),
        "{said}"
    );
}
