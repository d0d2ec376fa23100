//! Modules: installing those of the program, listing those of a thread, and beginning a new one.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use threads_codec_jsonpatch::JsonPatch;
use threads_core::Result;
use threads_core::datastore::Memory;
use threads_core::module::{AclTemplate, Module, ModuleCollection, Version};
use threads_db::{ExportOptions, Node};

use crate::common::{Place, word};

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
    assert!(said.contains("messages, person or photos"), "{said}");
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
    let said = place.run(["--json", "module", "add", "t", "person"]);
    assert_eq!(said.code, 4, "{said:?}");
    let said: Value = serde_json::from_str(&said.err).unwrap();
    let context = &said["error"]["context"];
    assert_eq!(context["there"], r#"{"maxProperties":1}"#, "{said}");
    let me = place.ok(["--json", "id"]).json();
    assert_eq!(context["written_by"], me["peer"], "{said}");
    // Beside it, and against it.
    let added = place.ok(["--json", "module", "add", "t", "person", "--prefix", "my-"]);
    assert_eq!(added.json()["recorded"], false);
    let mine = place.ok(["--json", "collection", "ls", "t"]).json();
    assert!(mine.to_string().contains("my-Person"), "{mine}");
    place.ok(["module", "add", "t", "person", "--redefine"]);
    place.ok(["module", "add", "t", "person"]);
    let said = place.fails(5, ["module", "add", "t", "person", "--prefix", "$"]);
    assert!(said.contains("belong to the framework"), "{said}");
}

#[test]
fn a_collection_of_another_codec_is_told_and_can_be_redefined() {
    let place = Place::new();
    place.ok(["create", "t"]);
    place.ok(["collection", "add", "t", "Person", "--codec", "lww/1"]);
    let said = place.fails(4, ["module", "add", "t", "person"]);
    assert!(
        said.contains("lww/1, where the module has jsonpatch/1"),
        "{said}"
    );
    // Somebody else's version under a number of one's own, too, is another one.
    let said = place.fails(
        4,
        ["collection", "add", "t", "Person", "--codec", "automerge/1"],
    );
    assert!(said.contains("keeps the codec it began with"), "{said}");
    place.ok([
        "module",
        "add",
        "t",
        "person",
        "--version",
        "1",
        "--redefine",
    ]);
    let listed = place.ok(["--json", "module", "ls", "t"]).json();
    assert_eq!(listed[0]["versions"], json!([1]));
}

/// People as somebody else says they are, under the same id, and in a later version.
#[derive(Debug)]
struct Others;

impl Module for Others {
    fn id(&self) -> &str {
        "org.threads.person"
    }

    fn versions(&self) -> Result<Vec<Version>> {
        let schema = json!({"properties": {"nick": {"type": "string"}}});
        let person = ModuleCollection::new("Person", "jsonpatch/1", schema)?;
        Ok(vec![Version::new().with(person); 3])
    }

    fn acl_template(&self) -> Result<Option<AclTemplate>> {
        Ok(None)
    }

    fn vectors(&self) -> Option<&str> {
        None
    }
}

#[test]
fn who_has_the_id_of_a_module_and_a_later_version_is_told() {
    let place = Place::new();
    let node = Node::builder(Memory::new()).codec(JsonPatch::new());
    let node = node.open().unwrap();
    let db = node.create("t").unwrap();
    db.install(&Others).unwrap();
    let (secret, file) = (place.file("secret", "correct horse\n"), place.path("t.car"));
    let options = ExportOptions {
        passphrase: Some("correct horse".to_owned().into()),
        ..ExportOptions::default()
    };
    let out = fs::File::create(&file).unwrap();
    db.export(out, &options, &mut |_| ()).unwrap();
    place.ok(["restore", word(&file), "--passphrase-file", word(&secret)]);

    let said = place.ok(["module", "ls", "t"]);
    assert!(
        said.err.contains("org.threads.person 3 is later than 2"),
        "{said:?}"
    );
    let said = place.ok(["--json", "module", "ls", "t"]);
    assert!(said.err.contains(r#""later":3"#), "{said:?}");
    let said = place.fails(4, ["module", "add", "t", "person"]);
    let me = node.peer_id().to_string();
    for wanted in [
        "another module of this id",
        "collections.0",
        "more differences",
        &me,
        "others_like_it: 1",
    ] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    place.ok(["module", "add", "t", "person", "--redefine"]);
    place.ok(["module", "add", "t", "person"]);
    let listed = place.ok(["--json", "module", "ls", "t"]).json();
    assert_eq!(listed[0]["disputed"], json!([1, 2]));
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
    let dir = place.path("examples/new");
    let words = [
        "module",
        "new",
        "notes",
        "--threads",
        "../..",
        "--dir",
        dir.to_str().unwrap(),
    ];
    let said = place.fails(3, words);
    assert!(said.contains("from the new directory"), "{said}");
    fs::create_dir(place.path("threads-core")).unwrap();
    fs::write(place.path("threads-core/Cargo.toml"), "").unwrap();
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
