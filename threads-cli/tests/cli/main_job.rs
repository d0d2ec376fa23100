//! The main job, end to end.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::common::{Place, word};

const SCHEMA: &str = r#"{
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer", "minimum": 0},
        "email": {"type": "string"}
    }
}"#;

const PEOPLE: &str = r#"[
    {"_id": "ann", "name": "Ann", "age": 61, "email": "ann@example.com"},
    {"_id": "bob", "name": "Bob", "age": 65, "email": "bob@example.com"},
    {"_id": "cid", "name": "Cid", "age": 67, "email": "cid@example.com", "home": {"city": "Rome"}},
    {"_id": "bad", "name": "Bad", "age": -1, "email": "bad@example.com"},
    {"_id": "dan", "name": "Dan", "age": 30, "email": "ann@example.com"}
]"#;

const QUERY: &str = "age >= 60 and age < 66 or age == 67";

fn people() -> Place {
    let place = Place::new();
    let schema = place.file("schema.json", SCHEMA);
    let people = place.file("people.json", PEOPLE);
    place.ok(["create", "friends"]);
    place.ok([
        "collection",
        "add",
        "friends",
        "Person",
        "--schema",
        word(&schema),
        "--index",
        "age",
        "--index",
        "/home/city,age",
        "--unique",
        "email",
    ]);
    let said = place.run(["import", "friends", "Person", word(&people)]);
    assert_eq!(said.code, 5, "{said:#?}");
    place
}

fn ids(rows: &[Value]) -> BTreeSet<&str> {
    rows.iter()
        .map(|row| row["_id"].as_str().unwrap())
        .collect()
}

#[test]
fn init_can_be_said_twice() {
    let place = Place::bare();
    let first = place.ok(["init"]);
    let second = place.ok(["init"]);
    assert!(first.out.starts_with("12D3KooW"), "{first:?}");
    assert_eq!(first.out, second.out);
    assert!(first.err.contains("made a repository in"));
    assert!(second.err.contains("already"));
    let json = place.ok(["init", "--json"]).json();
    assert_eq!(json["peer"], first.out.trim());
    assert_eq!(json["created"], false);
}

#[test]
fn threads_are_listed_by_name_and_opened_by_id() {
    let place = Place::new();
    assert!(place.ok(["ls"]).err.contains("threads create NAME"));
    let id = place.ok(["create", "friends"]).out.trim().to_owned();
    let team = place
        .ok(["create", "my team", "--access-controlled", "--json"])
        .json();
    assert_eq!(team["variant"], "access-controlled");
    let listed = place.ok(["ls"]).out;
    assert!(listed.starts_with("NAME") && listed.contains(&id) && listed.contains("my team"));
    let listed = place.ok(["--json", "ls"]).json();
    assert_eq!(listed[0]["name"], "friends");
    assert_eq!(listed[0]["id"], id);
    place.ok(["collection", "add", &id, "Person"]);
    let collections = place.ok(["collection", "ls", "friends", "--json"]).json();
    assert_eq!(collections[0]["name"], "Person");
    assert!(
        place
            .ok(["collection", "ls", "my team"])
            .err
            .contains("collection add 'my team' NAME")
    );
}

#[test]
fn rows_that_break_a_rule_stay_out_and_are_named() {
    let place = Place::new();
    let schema = place.file("schema.json", SCHEMA);
    place.ok(["create", "friends"]);
    place.ok([
        "collection",
        "add",
        "friends",
        "Person",
        "--schema",
        word(&schema),
        "--unique",
        "email",
    ]);
    let said = place.fed(["import", "friends", "Person", "-"], PEOPLE);
    assert_eq!(said.code, 5, "{said:#?}");
    assert!(said.out.is_empty());
    assert!(said.err.contains("line 5, row 4: "), "{said:#?}");
    assert!(said.err.contains("/age"), "{said:#?}");
    assert!(said.err.contains("line 6, row 5: "), "{said:#?}");
    assert!(
        said.err.contains("3 rows imported, 2 skipped: 1 record"),
        "{said:#?}"
    );
    assert_eq!(
        place.ok(["find", "friends", "Person", "--count"]).out,
        "3\n"
    );
}

#[test]
fn queries_find_sort_page_and_explain() {
    let place = people();
    let found = place.ok(["find", "friends", "Person", QUERY]).rows();
    assert_eq!(ids(&found), ["ann", "bob", "cid"].into());
    let explained = place
        .ok(["find", "friends", "Person", QUERY, "--explain"])
        .out;
    assert!(explained.starts_with("index age"), "{explained}");
    let explained = place.ok(["find", "friends", "Person", "name = 'Ann'", "--explain"]);
    assert!(explained.out.starts_with("scan"));
    assert!(explained.err.contains("--index name"));
    let json = place
        .ok(["find", "friends", "Person", QUERY, "--explain", "--json"])
        .json();
    assert_eq!(json["steps"][0]["by"], "index");

    let sorted = place.ok([
        "find", "friends", "Person", "--sort", "age:desc", "--fields", "age",
    ]);
    assert_eq!(
        sorted.rows(),
        [
            json!({"_id": "cid", "age": 67}),
            json!({"_id": "bob", "age": 65}),
            json!({"_id": "ann", "age": 61})
        ]
    );
    let skipped = place.ok([
        "find", "friends", "Person", "--sort", "age", "--skip", "1", "--limit", "1",
    ]);
    assert_eq!(skipped.rows()[0]["_id"], "bob");
    assert_eq!(
        place
            .ok(["find", "friends", "Person", "age > 61", "--count"])
            .out,
        "2\n"
    );
    let count = place
        .ok(["find", "friends", "Person", "age > 61", "--count", "--json"])
        .json();
    assert_eq!(count, json!({"count": 2}));
}

#[test]
fn pages_go_on_from_their_cursor() {
    let place = people();
    let words = ["find", "friends", "Person", "--sort", "age", "--limit", "2"];
    let first = place.ok(words);
    assert_eq!(first.rows().len(), 2);
    let cursor = first.err.trim().strip_prefix("more: add --after ").unwrap();
    let second = place.ok(words.into_iter().chain(["--after", cursor]));
    assert_eq!(ids(&second.rows()), ["cid"].into());
    assert!(second.err.is_empty());
    let json = place.ok(words.into_iter().chain(["--json"]));
    let next: Value = serde_json::from_str(&json.err).unwrap();
    assert_eq!(next["next"], cursor);
    let other = place.fails(5, ["find", "friends", "Person", "--after", cursor]);
    assert!(other.contains("another query"), "{other}");
}

#[test]
fn entities_are_put_patched_and_removed() {
    let place = people();
    let id = place
        .ok(["put", "friends", "Person", r#"{"name": "Eve", "age": 20}"#])
        .out;
    let eve = place
        .ok(["get", "friends", "Person", id.trim(), "--json"])
        .json();
    assert_eq!(eve["name"], "Eve");
    let same = place.fed(
        ["put", "friends", "Person", "-"],
        r#"{"_id": "ann", "name": "Anna"}"#,
    );
    assert_eq!(same.out, "ann\n");
    let anna = place.ok(["get", "friends", "Person", "ann"]).json();
    assert_eq!(anna, json!({"_id": "ann", "name": "Anna"}));

    place.ok([
        "patch",
        "friends",
        "Person",
        "bob",
        r#"{"age": 66, "email": null}"#,
    ]);
    let bob = place.ok(["get", "friends", "Person", "bob"]).json();
    assert_eq!(bob, json!({"_id": "bob", "name": "Bob", "age": 66}));
    let list = r#"[{"op": "test", "path": "/age", "value": 66}, {"op": "replace", "path": "/age", "value": 67}]"#;
    let patched = place
        .ok([
            "patch",
            "friends",
            "Person",
            "bob",
            list,
            "--rfc6902",
            "--json",
        ])
        .json();
    assert!(patched["record"].is_string());
    let again = place.ok(["patch", "friends", "Person", "bob", r#"{"age": 67}"#]);
    assert!(again.err.contains("nothing to change"), "{again:?}");

    let error = place.fails(3, ["rm", "friends", "Person", "bob", "nobody"]);
    assert!(
        error.contains("nothing was deleted") && error.contains("nobody"),
        "{error}"
    );
    place.ok(["get", "friends", "Person", "bob"]);
    let removed = place
        .ok(["rm", "friends", "Person", "bob", "cid", "--json"])
        .json();
    assert_eq!(removed["removed"], json!(["bob", "cid"]));
    assert_eq!(
        place.ok(["find", "friends", "Person", "--count"]).out,
        "2\n"
    );
}

#[test]
fn the_log_shows_every_record_and_verify_proves_it() {
    let place = people();
    place.ok(["rm", "friends", "Person", "bob"]);
    let log = place.ok(["log", "friends"]).out;
    assert!(log.starts_with("LOG"), "{log}");
    assert!(log.lines().nth(1).unwrap().contains("1 delete"), "{log}");
    let entries = place.ok(["--json", "log", "friends"]).rows();
    assert_eq!(entries.len(), log.lines().count() - 1);
    let limited = place
        .ok(["--json", "log", "friends", "--limit", "1"])
        .rows();
    assert_eq!(limited, entries[..1]);

    let record = entries[0]["record"].as_str().unwrap();
    assert!(log.contains(record));
    let shown = place.ok(["show", "friends", record]).json();
    assert!(shown.is_object(), "{shown}");
    let missing = "bafyreib6ba6oakwqzsg4vv6sogb7yysu5yqqe7dqth6z3nulqkyj7lom4a";
    let error = place.fails(3, ["show", "friends", missing]);
    assert!(error.contains("threads log friends"), "{error}");

    let report = place.ok(["verify", "friends"]);
    assert!(report.out.contains("clean"), "{report:?}");
    let report = place.ok(["verify", "friends", "--json"]).json();
    assert_eq!(report["problems"], json!([]));
    assert_eq!(report["records"], entries.len());
}

#[test]
fn every_command_speaks_json() {
    let place = people();
    for words in [
        vec!["ls"],
        vec!["status"],
        vec!["status", "friends"],
        vec!["collection", "ls", "friends"],
        vec!["collection", "add", "friends", "Other"],
        vec!["create", "another"],
        vec!["put", "friends", "Person", r#"{"_id": "x", "name": "X"}"#],
        vec!["get", "friends", "Person", "x"],
        vec!["rm", "friends", "Person", "x"],
        vec!["verify", "friends"],
        vec!["export", "friends", "friends.car"],
    ] {
        let said = place.ok(words.iter().chain(&["--json"]));
        assert!(said.json().is_object() || said.json().is_array());
        assert!(said.err.is_empty(), "{said:?}");
    }
}

#[test]
fn the_demonstration_runs_and_leaves_nothing_behind() {
    let place = Place::bare();
    let said = place.ok(["demo"]);
    assert!(said.err.is_empty(), "{said:#?}");
    for part in [
        "$ threads create people",
        "index age",
        "error: ",
        "\"cursor\"",
        "clean",
        "restore",
        "$ CARD=$(threads id | tail -1)",
        "in sync: ",
        "cannot read it",
        "\"lastName\": \"Smith\"",
    ] {
        assert!(said.out.contains(part), "{part} in {}", said.out);
    }
    assert!(
        !place.repo().exists(),
        "$THREADS_REPO is not the demonstration's"
    );

    let kept = place.path("kept");
    place.ok(["--repo", word(&kept), "demo"]);
    let first = place
        .ok([
            "--repo",
            word(&kept.join("first")),
            "find",
            "people",
            "Person",
        ])
        .rows();
    let rows = |repo: &str| {
        let repo = kept.join(repo);
        place
            .ok(["--repo", word(&repo), "find", "people", "Person"])
            .rows()
    };
    assert_eq!(first.len(), 5);
    assert_eq!(rows("second").len(), 5);
    assert_eq!(first, rows("third"), "two processes that met agree");
    place.fails(4, ["--repo", word(&kept), "demo"]);
    place.ok(["demo", "--json"]).rows();
}

#[test]
fn completions_and_help_need_no_repository() {
    let place = Place::bare();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(place.ok(["completions", shell]).out.contains("threads"));
    }
    let help = place.ok(["--help"]).out;
    assert!(help.contains("Exit codes:"), "{help}");
    assert!(help.contains("10  unsupported"), "{help}");
}
