//! What is said of mistakes: the kind, the exit code, and what to type next.

use std::ops::Bound::Unbounded;

use serde_json::json;
use threads_core::datastore::{Datastore, DatastoreExt, Direction, Durability, Keyspace};
use threads_store_lmdb::Lmdb;

use crate::common::{Place, word};

/// Runs a command that has to fail, as a person and as a program, and looks for what is said.
fn check(place: &Place, code: i32, kind: &str, words: &[&str], parts: &[&str]) {
    let text = place.fails(code, words);
    for part in parts {
        assert!(text.contains(part), "{part} in {text}");
    }
    let said = place.run([&["--json"], words].concat());
    assert_eq!(said.code, code, "{said:#?}");
    let error = said.error();
    assert_eq!(error["kind"], kind, "{error}");
    assert!(
        error["message"].is_string() && error["context"].is_object(),
        "{error}"
    );
}

#[test]
fn a_missing_repository_says_how_to_make_one() {
    let place = Place::bare();
    let some: &[&[&str]] = &[
        &["ls"],
        &["create", "t"],
        &["find", "t", "c"],
        &["verify", "t"],
        &["watch", "t"],
        &["restore", "file"],
    ];
    for words in some {
        check(
            &place,
            3,
            "not-found",
            words,
            &["there is no repository", "help: `threads init`"],
        );
    }
    assert!(!place.repo().exists(), "looking does not make one");
}

#[test]
fn what_does_not_exist_says_how_to_make_it() {
    let place = Place::with_collection();
    let cases: &[(&[&str], &[&str])] = &[
        (&["find", "x", "c"], &["threads create x", "threads ls"]),
        (&["verify", "my thread"], &["threads create 'my thread'"]),
        (
            &["find", "t", "x"],
            &["threads collection add t x", "threads collection ls t"],
        ),
        (&["import", "t", "x", "-"], &["threads collection add t x"]),
        (&["watch", "t", "x"], &["threads collection add t x"]),
        (
            &["get", "t", "c", "x"],
            &["_id: x", "threads find t c --fields _id"],
        ),
        (&["rm", "t", "c", "x"], &["nothing was deleted"]),
        (
            &["patch", "t", "c", "x", "{}"],
            &["threads find t c --fields _id"],
        ),
        (
            &["import", "t", "c", "no-such-file"],
            &["file: no-such-file", "name a file that exists"],
        ),
        (
            &["collection", "add", "t", "d", "--schema", "no-such-file"],
            &["file: no-such-file"],
        ),
        (&["restore", "no-such-file"], &["no-such-file"]),
    ];
    for (words, parts) in cases {
        check(&place, 3, "not-found", words, parts);
    }
}

#[test]
fn what_is_taken_is_a_conflict() {
    let place = Place::with_collection();
    check(&place, 4, "conflict", &["create", "t"], &["threads ls"]);
    place.ok(["collection", "add", "t", "c", "--unique", "email"]);
    place.ok(["put", "t", "c", r#"{"_id": "a", "email": "x"}"#]);
    check(
        &place,
        4,
        "conflict",
        &["put", "t", "c", r#"{"email": "x"}"#],
        &["email"],
    );
    place.ok(["rm", "t", "c", "a"]);
    check(
        &place,
        4,
        "conflict",
        &["put", "t", "c", r#"{"_id": "a"}"#],
        &["deleting is final"],
    );
    place.ok(["collection", "add", "t", "d"]);
    place.fed(["import", "t", "d", "-"], "{\"n\":1}\n{\"n\":1}\n");
    check(
        &place,
        4,
        "conflict",
        &["collection", "add", "t", "d", "--unique", "n"],
        &["collection ls t"],
    );
    let file = place.file("taken.car", "mine");
    check(
        &place,
        4,
        "conflict",
        &["export", "t", word(&file)],
        &["--force"],
    );
    assert_eq!(std::fs::read(file).unwrap(), b"mine");
}

/// A collection whose ages are not negative, with an entity `a`.
fn aged() -> Place {
    let place = Place::with_collection();
    let schema = place.file(
        "s.json",
        r#"{"type": "object", "properties": {"age": {"minimum": 0}}}"#,
    );
    place.ok(["collection", "add", "t", "c", "--schema", word(&schema)]);
    place.ok(["put", "t", "c", r#"{"_id": "a", "age": 1}"#]);
    place
}

#[test]
fn entities_and_queries_that_are_not_valid_say_where() {
    let place = aged();
    let cases: &[(&[&str], &[&str])] = &[
        (
            &["put", "t", "c", "{\"a\":"],
            &["line: 1", "help: write JSON in single quotes"],
        ),
        (&["put", "t", "c", "7"], &["an entity is a JSON object"]),
        (&["put", "t", "c", "[{}]"], &["threads import t c FILE"]),
        (
            &["put", "t", "c", r#"{"age": -1}"#],
            &["/age", "threads --json collection ls t"],
        ),
        (&["patch", "t", "c", "a", r#"{"age": -1}"#], &["/age"]),
        (&["patch", "t", "c", "a", "[]"], &["--rfc6902"]),
        (&["patch", "t", "c", "a", "{}", "--rfc6902"], &["error: "]),
        (
            &["patch", "t", "c", "a", r#"{"_id": "b"}"#],
            &["keeps its _id"],
        ),
        (
            &["find", "t", "c", "age >"],
            &["column 6", "  age >\n       ^\n", "single quotes"],
        ),
        (
            &["find", "t", "c", "age = \"x\""],
            &["column 7", "\n        ^\n"],
        ),
        (&["watch", "t", "c", "age >"], &["column 6"]),
        (&["find", "t", "c", "--after", "rubbish"], &["cursor"]),
        (&["watch", "t", "--since", "rubbish"], &["--since start"]),
        (&["watch", "t", "--since", "999999"], &["--since start"]),
        (&["create", ""], &["1 to 128 bytes"]),
    ];
    for (words, parts) in cases {
        check(&place, 5, "invalid", words, parts);
    }
    assert_eq!(
        place.ok(["find", "t", "c"]).rows(),
        [json!({"_id": "a", "age": 1})]
    );
    place.ok(["verify", "t"]);
}

#[test]
fn files_that_are_not_valid_say_where() {
    let place = aged();
    let not_json = place.file("not.json", "{");
    let not_schema = place.file("schema.json", r#"{"type": "nonsense"}"#);
    let remote = place.file("remote.json", r#"{"$ref": "https://example.com/s.json"}"#);
    let dir = place.path("repo");
    let add = ["collection", "add", "t", "d"];
    let schema = |file| [&add[..], &["--schema", file]].concat();
    let cases: &[(&[&str], &[&str])] = &[
        (&["import", "t", "c", word(&dir)], &["name a file in it"]),
        (&schema(word(&not_json)), &["the schema is not JSON"]),
        (
            &schema(word(&not_schema)),
            &["not a JSON Schema", "at: /type"],
        ),
        (&schema(word(&remote)), &["https://example.com/s.json"]),
        (
            &[&add[..], &["--index", "a", "--unique", "a"]].concat(),
            &["same fields"],
        ),
    ];
    for (words, parts) in cases {
        check(&place, 5, "invalid", words, parts);
    }
    assert!(
        place
            .ok(["collection", "ls", "t", "--json"])
            .json()
            .as_array()
            .unwrap()
            .len()
            == 1
    );
}

#[test]
fn a_codec_that_is_not_there_is_unsupported() {
    let place = Place::with_collection();
    let words = ["collection", "add", "t", "d", "--codec", "other/1"];
    check(&place, 10, "unsupported", &words, &["jsonpatch/1"]);
}

#[test]
fn a_command_line_that_is_not_right_has_a_code_of_its_own() {
    let place = Place::with_collection();
    let some: &[&[&str]] = &[
        &[],
        &["nonsense"],
        &["find", "t"],
        &["find", "t", "../c"],
        &["find", "t", "c", "--sort", "a..b"],
        &["find", "t", "c", "--limit", "-1"],
        &["find", "t", "c", "--count", "--explain"],
        &["log", "t", "--limit", "0"],
        &["import", "t", "c", "-", "--batch", "0"],
        &["import", "t", "c", "-", "--batch", "10001"],
        &["collection", "add", "t", "c", "--index", "a,,b"],
        &["show", "t", "not-a-cid"],
        &["export", "t", "f", "--passphrase", "secret"],
    ];
    for words in some {
        let said = place.run(*words);
        assert_eq!(said.code, 2, "{words:?}: {said:#?}");
        assert!(said.out.is_empty() && said.err.contains("Usage") || said.err.contains("--help"));
        if !words.is_empty() {
            let said = place.run([&["--json"], *words].concat());
            assert_eq!(said.code, 2);
            assert_eq!(said.error()["kind"], "usage");
        }
    }
}

/// Changes a derived value behind the program's back.
#[test]
fn verify_finds_what_does_not_follow_from_the_records() {
    let place = Place::with_collection();
    place.ok(["collection", "add", "t", "c", "--index", "n"]);
    place.ok(["put", "t", "c", r#"{"_id": "a", "n": 1}"#]);
    {
        let store = Lmdb::open(place.repo().join("store")).unwrap();
        let key = {
            let read = store.read().unwrap();
            let mut rows = read
                .scan(
                    Keyspace::Indexes,
                    (Unbounded, Unbounded),
                    Direction::Forward,
                )
                .unwrap();
            rows.next().unwrap().unwrap().0.into_owned()
        };
        store
            .transact(Durability::Immediate, |txn| {
                txn.delete(Keyspace::Indexes, &key)
            })
            .unwrap();
    }
    let said = place.run(["verify", "t"]);
    assert_eq!(said.code, 6, "{said:#?}");
    assert!(!said.out.contains("clean"), "{said:#?}");
    assert!(said.err.contains("  problems: 1\n") && said.err.contains("restore FILE"));
    let said = place.run(["verify", "t", "--json"]);
    assert_eq!(said.json()["problem_count"], 1);
    assert_eq!(said.error()["kind"], "rejected");
}

#[test]
fn a_damaged_repository_is_refused() {
    let place = Place::with_collection();
    let data = place.repo().join("store").join("data.mdb");
    let length = std::fs::metadata(&data).unwrap().len();
    let file = std::fs::File::options().write(true).open(&data).unwrap();
    file.set_len(length / 2).unwrap();
    for words in [&["ls"][..], &["put", "t", "c", "{}"]] {
        check(&place, 7, "corrupt", words, &["threads restore FILE"]);
    }
    std::fs::write(&data, "this is another program's file").unwrap();
    let said = place.run(["ls"]);
    assert!(matches!(said.code, 5 | 7), "{said:#?}");
}
