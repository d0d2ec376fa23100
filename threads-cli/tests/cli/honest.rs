//! What is refused, and what is said when something is lost on the way.

use std::fs::File;
use std::process::Command;

use serde_json::json;

use crate::common::{Place, Said, word};

/// A place with a collection whose schema allows `age` and nothing else, and an entity `a`.
fn closed() -> Place {
    let place = Place::with_collection();
    let schema = r#"{"type": "object", "properties": {"_id": {}, "age": {"minimum": 0}},
                     "additionalProperties": false}"#;
    let schema = place.file("s.json", schema);
    place.ok(["collection", "add", "t", "c", "--schema", word(&schema)]);
    place.ok(["put", "t", "c", r#"{"_id": "a", "age": 1}"#]);
    place
}

#[cfg(unix)]
#[test]
fn an_export_replaces_nothing_but_files() {
    use std::os::unix::fs::symlink;
    let place = Place::with_collection();
    let mine = place.file("mine", "mine");
    std::fs::create_dir(place.path("dir")).unwrap();
    symlink(&mine, place.path("link")).unwrap();
    symlink("nowhere", place.path("dangling")).unwrap();
    let made = Command::new("mkfifo").arg(place.path("fifo")).status();
    assert!(made.unwrap().success());
    let kind = |name: &str| place.path(name).symlink_metadata().unwrap().file_type();
    for name in ["dir", "link", "dangling", "fifo"] {
        let before = kind(name);
        for words in [
            &["export", "t", name, "--force"][..],
            &["export", "t", name],
        ] {
            let said = place.fails(5, words);
            assert!(
                said.contains("not a regular file") && said.contains("another file"),
                "{said}"
            );
        }
        assert_eq!(kind(name), before);
    }
    place.fails(5, ["export", "t", "/dev/full", "--force"]);
    assert_eq!(std::fs::read(mine).unwrap(), b"mine");
    place.ok(["export", "t", "mine", "--force"]);
}

#[test]
fn a_direction_to_sort_by_that_is_not_known_is_refused() {
    let place = closed();
    let said = place.run(["find", "t", "c", "--sort", "age:up"]);
    assert_eq!(said.code, 2, "{said:#?}");
    assert!(said.err.contains(":asc or :desc"), "{said:#?}");
    place.ok(["find", "t", "c", "--sort", "age:DESC", "--sort", "_id:Asc"]);
}

#[test]
fn watching_for_a_field_that_cannot_be_fails_like_finding_it() {
    let place = closed();
    let find = place.fails(3, ["find", "t", "c", "ago > 1 or age = 1"]);
    let watch = place.fails(
        3,
        [
            "watch",
            "t",
            "c",
            "ago > 1 or age = 1",
            "--since",
            "start",
            "--count",
            "1",
        ],
    );
    assert_eq!(find, watch);
}

#[cfg(target_os = "linux")]
#[test]
fn a_change_whose_result_cannot_be_printed_is_there_all_the_same() {
    let place = Place::with_collection();
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let run = |words: &[&str]| {
        let said = Said::of(place.command(words).stdout(full()).output().unwrap());
        assert_eq!(said.code, 9, "{said:#?}");
        said
    };
    let said = run(&["put", "t", "c", r#"{"_id": "a"}"#]);
    assert!(
        said.err.contains("help: the change is committed"),
        "{said:#?}"
    );
    place.ok(["get", "t", "c", "a"]);
    let error = run(&["--json", "put", "t", "c", r#"{"_id": "b"}"#]).error();
    assert_eq!(error["kind"], "full");
    assert!(
        error["help"].as_str().unwrap().contains("is committed"),
        "{error}"
    );
    for n in 0..20 {
        place.ok(["patch", "t", "c", "a", &format!(r#"{{"n": {n}}}"#)]);
    }
    let error = run(&["--json", "compact", "t", "--keep", "latest"]).error();
    assert!(
        error["help"].as_str().unwrap().contains("dropped"),
        "{error}"
    );
    // What only looks did nothing.
    for (words, did) in [
        (&["--json", "find", "t", "c"][..], "committed"),
        (&["--json", "blob", "check", "t"], "taken away"),
        (&["--json", "compact", "t", "--dry-run"], "dropped"),
    ] {
        let error = run(words).error();
        assert!(!error["help"].as_str().unwrap().contains(did), "{error}");
    }
}

#[test]
fn help_is_about_the_mistake() {
    let place = closed();
    let long = "x".repeat(300);
    let big = format!(r#"{{"_id": "{long}"}}"#);
    let cases: &[(&[&str], &str)] = &[
        (&["put", "t", "c", &big], "_id"),
        (
            &["patch", "t", "c", "a", r#"{"_id": "b"}"#],
            "keeps its _id",
        ),
        (
            &["patch", "t", "c", "a", r#"[{"op": "jump"}]"#, "--rfc6902"],
            "unknown variant `jump`",
        ),
        (&["patch", "t", "c", "a", "{}", "--rfc6902"], "write a list"),
    ];
    for (words, part) in cases {
        let said = place.fails(5, *words);
        assert!(said.contains(part), "{part} in {said}");
        assert!(!said.contains("collection ls"), "{said}");
    }
    let said = place.fails(5, ["put", "t", "c", r#"{"age": -1}"#]);
    assert!(said.contains("collection ls t"), "{said}");
    let said = place.fed(["import", "t", "c", "-"], "{\"age\": -1}");
    assert!(
        said.err.contains("`threads --json collection ls t`"),
        "{said:#?}"
    );

    let bad = place.file("bad.json", r#"{"type": "nonsense"}"#);
    let said = place.fails(5, ["collection", "add", "t", "d", "--schema", word(&bad)]);
    assert!(said.contains("help: correct the schema"), "{said}");
    let said = place.fails(3, ["restore", "no-such-file"]);
    assert!(!said.contains("standard input"), "{said}");
    let said = place.fails(5, ["restore", word(&bad)]);
    assert!(
        said.contains("help: name a file that `threads export"),
        "{said}"
    );
}

#[test]
fn a_schema_can_come_from_standard_input() {
    let place = Place::with_collection();
    let add = ["collection", "add", "t", "d", "--schema", "-"];
    let said = place.fed(add, "\u{feff}{\"required\": [\"n\"]}");
    assert_eq!(said.code, 0, "{said:#?}");
    assert_eq!(
        place.fed(["put", "t", "d", "-"], "\u{feff}{\"n\": 1}").code,
        0
    );
    place.fails(5, ["put", "t", "d", "{}"]);
}

#[test]
fn an_entity_that_is_named_twice_is_deleted_once() {
    let place = closed();
    let said = place.ok(["rm", "t", "c", "a", "a"]);
    assert!(said.err.contains("deleted 1 entity"), "{said:#?}");
}

#[test]
fn a_passphrase_is_the_first_line_of_its_file() {
    let place = Place::with_collection();
    let file = place.file("secret", "one\r\ntwo\n");
    let odd = place.file("odd", b"\xff\n");
    let given = ["--with-keys", "--passphrase-file"];
    let export = |more: &[&str]| {
        let words = ["export", "t", "t.car"].iter().chain(more);
        words.map(|word| (*word).to_owned()).collect::<Vec<_>>()
    };
    let said = place.fails(5, export(&[&given[..], &[word(&odd)]].concat()));
    assert!(
        said.contains("not text in UTF-8") && said.contains("help: "),
        "{said}"
    );
    let said = place.run(export(&["--passphrase-file", word(&file)]));
    assert_eq!(said.code, 2, "{said:#?}");
    place.ok(export(&[&given[..], &[word(&file)]].concat()));

    let there = Place::new();
    let car = place.path("t.car");
    let one = there.file("one", "one");
    let restore = |name| {
        let words = ["restore", word(&car), "--passphrase-file", word(&one)];
        there.run([&words[..], &["--name", name]].concat())
    };
    let said = restore("");
    assert_eq!(said.code, 5, "{said:#?}");
    assert!(said.err.contains("help: choose another name"), "{said:#?}");
    assert_eq!(restore("u").code, 0);
    let said = restore("v");
    assert_eq!(said.code, 0, "{said:#?}");
    assert!(said.err.contains("keeps its name u"), "{said:#?}");
}

#[cfg(unix)]
#[test]
fn what_cannot_be_read_is_not_taken_for_missing() {
    use std::os::unix::fs::symlink;
    let place = Place::with_collection();
    symlink("loop", place.path("loop")).unwrap();
    let words = [
        "export",
        "t",
        "f",
        "--with-keys",
        "--passphrase-file",
        "loop",
    ];
    place.fails(8, words);
    place.fails(8, ["--repo", "loop", "ls"]);
}

#[test]
fn a_count_is_of_all() {
    let place = closed();
    for option in ["--skip", "--limit"] {
        let said = place.run(["find", "t", "c", "--count", option, "1"]);
        assert_eq!(said.code, 2, "{said:#?}");
    }
}

#[test]
fn a_bad_row_of_a_sound_array_costs_only_itself() {
    let place = Place::with_collection();
    let said = place.fed(
        ["import", "t", "c", "-"],
        "[{\"_id\":\"a\"},\n{\"n\":1e999},{}]",
    );
    assert_eq!(said.code, 5, "{said:#?}");
    let reason = "line 2, row 2: not JSON at column 10: number out of range";
    assert!(said.err.contains(reason), "{said:#?}");
    assert!(said.err.contains("2 rows imported, 1 skipped"), "{said:#?}");
    let said = place.fed(["import", "t", "c", "-"], "[{},]");
    assert!(
        said.err.contains("a ',' without a row after it"),
        "{said:#?}"
    );
}

#[test]
fn numbers_and_cids_are_asked_for_in_clear_words() {
    let place = Place::with_collection();
    let said = place.run(["log", "t", "--limit", "0"]);
    assert!(said.err.contains("a whole number from 1"), "{said:#?}");
    let said = place.run(["show", "t", "rubbish"]);
    assert!(
        said.err.contains("not a CID: `threads log DB`"),
        "{said:#?}"
    );
}

#[test]
fn a_terminal_is_sent_nothing_to_obey() {
    let place = Place::with_collection();
    let long = format!("a = 1 {} und", "x".repeat(5_000));
    let said = place.fails(5, ["find", "t", "c", &long]);
    assert!(said.len() < 1_000, "{said}");
    let row = json!({"_id": "a", "text": "\u{9b}31m"});
    place.ok(["put", "t", "c", &row.to_string()]);
    let said = place.ok(["find", "t", "c"]);
    assert!(!said.out.contains('\u{9b}'), "{said:#?}");
    assert_eq!(said.rows(), [row]);
    let said = place.fails(3, ["get", "t", "c", "\u{9b}31m"]);
    assert!(said.contains("\\u009b31m"), "{said}");
}

#[test]
fn a_repository_that_lost_its_data_is_not_taken_for_an_empty_one() {
    let place = Place::with_collection();
    let store = place.repo().join("store");
    std::fs::remove_file(store.join("data.mdb")).unwrap();
    assert!(place.fails(7, ["ls"]).contains("gone"));
    assert!(place.fails(7, ["init"]).contains("gone"));
    std::fs::remove_dir_all(&store).unwrap();
    std::fs::create_dir(&store).unwrap();
    assert!(place.fails(3, ["ls"]).contains("threads init"));
}

#[test]
fn a_repository_that_was_copied_says_so_and_begins_logs_of_its_own() {
    let place = Place::with_collection();
    place.ok(["put", "t", "c", r#"{"_id": "a"}"#]);
    let status = place.ok(["status"]);
    assert!(status.out.contains("WAITING"), "{status:#?}");
    assert!(!status.err.contains("copied"), "{status:#?}");
    let copy = place.path("copy");
    std::fs::create_dir_all(copy.join("store")).unwrap();
    for file in std::fs::read_dir(place.repo().join("store")).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), copy.join("store").join(file.file_name())).unwrap();
    }
    std::fs::copy(place.repo().join("keystore"), copy.join("keystore")).unwrap();
    let copy = copy.to_str().unwrap();
    for asked in [&["status"][..], &["status", "t"]] {
        let said = place.ok(["--repo", copy].iter().chain(asked));
        assert!(said.err.contains("begins a log of its own"), "{said:#?}");
    }
    place.ok(["--repo", copy, "put", "t", "c", r#"{"_id": "b"}"#]);
    let after = place.ok(["--repo", copy, "--json", "status", "t"]).json();
    assert_eq!(after["copy"], false);
    let logs = place.ok(["--repo", copy, "--json", "ls"]).json();
    assert_eq!(logs[0]["logs"], 2, "{logs}");
}

#[test]
fn row_43_no_name_leads_out_of_the_repository() {
    let place = Place::with_collection();
    let out = "../../escaped";
    place.ok(["create", out]);
    place.ok(["collection", "add", out, "c"]);
    place.ok(["put", out, "c", r#"{"_id": "../../../escaped", "n": 1}"#]);
    let file = place.path("one.car");
    place.ok(["export", out, file.to_str().unwrap()]);
    for name in ["../c", "a/b", "..", "/c"] {
        let said = place.run(["collection", "add", "t", name]);
        assert_ne!(said.code, 0, "{name}");
    }
    let mut places = vec![place.path(".")];
    let mut names = Vec::new();
    while let Some(dir) = places.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            names.push(path.to_string_lossy().into_owned());
            if path.is_dir() {
                places.push(path);
            }
        }
    }
    assert!(
        names.len() > 2 && !names.iter().any(|name| name.contains("escaped")),
        "{names:?}"
    );
    let above = place.path("..").join("escaped");
    assert!(!above.exists() && !place.path("../..").join("escaped").exists());
}
