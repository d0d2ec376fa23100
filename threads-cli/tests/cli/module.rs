//! Modules: installing those of the program, listing those of a thread, and beginning a new one.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::common::Place;

#[test]
fn a_module_is_installed_and_listed() {
    let place = Place::new();
    place.ok(["create", "t"]);
    assert_eq!(place.ok(["--json", "module", "ls", "t"]).json(), json!([]));
    place.ok(["module", "add", "t", "person", "--version", "1"]);
    let added = place
        .ok(["--json", "module", "add", "t", "org.threads.person"])
        .json();
    assert_eq!(
        (&added["version"], &added["recorded"]),
        (&json!(2), &json!(true))
    );
    let listed = place.ok(["--json", "module", "ls", "t"]).json();
    let wanted = json!([{
        "id": "org.threads.person", "versions": [1, 2], "collections": ["Person"], "disputed": [],
    }]);
    assert_eq!(listed, wanted);
    let table = place.ok(["module", "ls", "t"]).out;
    assert!(
        table.contains("org.threads.person") && table.contains("yes"),
        "{table}"
    );
    // What is stored is of the first version, whichever stores it.
    place.ok([
        "put",
        "t",
        "Person",
        r#"{"_id": "ann", "firstName": "Ann", "lastName": "Lee"}"#,
    ]);
    let plan = place
        .ok(["find", "t", "Person", "lastName = 'Lee'", "--explain"])
        .out;
    assert!(plan.starts_with("index lastName"), "{plan}");
}

#[test]
fn what_cannot_be_installed_says_why() {
    let place = Place::with_collection();
    let said = place.fails(3, ["module", "add", "t", "poetry"]);
    assert!(said.contains("messages or person"), "{said}");
    let said = place.fails(3, ["module", "add", "t", "person", "--version", "9"]);
    assert!(said.contains("leave --version out"), "{said}");
    let schema = place.file("s.json", r#"{"maxProperties": 1}"#);
    place.ok([
        "collection",
        "add",
        "t",
        "Person",
        "--schema",
        schema.to_str().unwrap(),
    ]);
    let said = place.fails(4, ["module", "add", "t", "person"]);
    assert!(said.contains("collection ls t"), "{said}");
}

/// Every file below a directory, but for what a build leaves.
fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files(&path, found),
            false => found.push(path),
        }
    }
}

/// The crate is among the examples, where the workspace builds it and its tests check the laws.
#[test]
fn a_new_module_is_the_one_among_the_examples() {
    let place = Place::bare();
    let dir = place.path("new");
    let words = [
        "module",
        "new",
        "notes",
        "--threads",
        "../..",
        "--dir",
        dir.to_str().unwrap(),
    ];
    place.ok(words);
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/module-notes");
    let (mut new, mut there) = (Vec::new(), Vec::new());
    files(&dir, &mut new);
    files(&example, &mut there);
    assert_eq!(new.len(), there.len(), "{new:?} {there:?}");
    for file in new {
        let name = file.strip_prefix(&dir).unwrap();
        let (now, kept) = (
            fs::read_to_string(&file),
            fs::read_to_string(example.join(name)),
        );
        assert_eq!(now.unwrap(), kept.unwrap(), "{}", name.display());
    }
    let said = place.fails(4, words);
    assert!(said.contains("--dir"), "{said}");
}

#[test]
fn a_new_module_has_the_id_and_the_version_that_it_is_to_have() {
    let place = Place::bare();
    place.ok(["module", "new", "my-books", "--id", "com.example.books"]);
    let read =
        |file: &str| fs::read_to_string(place.path("threads-module-my-books").join(file)).unwrap();
    assert!(read("src/lib.rs").contains("\"com.example.books\""));
    assert!(read("tests/laws.rs").contains("threads_module_my_books::"));
    let manifest = read("Cargo.toml");
    assert!(
        manifest.contains("threads-core = { version = \""),
        "{manifest}"
    );
    assert!(!manifest.contains("{{"), "{manifest}");
    for (name, id) in [
        ("Books", "a.b"),
        ("../books", "a.b"),
        ("books", "books"),
        ("books", "a.\"b"),
    ] {
        place.fails(5, ["module", "new", name, "--id", id]);
    }
}
