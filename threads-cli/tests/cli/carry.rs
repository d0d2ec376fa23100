//! A thread as a file, from one repository to another.

use std::path::PathBuf;

use crate::common::{Place, Said, word};

const SECRET: &str = "correct horse\n";

/// A place with a thread of a few records, and a file of it with its keys.
fn exported() -> (Place, PathBuf) {
    let place = Place::with_collection();
    place.ok(["collection", "add", "t", "c", "--index", "n"]);
    for n in 0..5 {
        place.ok(["put", "t", "c", &format!(r#"{{"_id": "e{n}", "n": {n}}}"#)]);
    }
    place.ok(["rm", "t", "c", "e0"]);
    let secret = place.file("secret", SECRET);
    let file = place.path("t.car");
    let said = place.ok([
        "export",
        "t",
        word(&file),
        "--with-keys",
        "--passphrase-file",
        word(&secret),
    ]);
    assert!(
        said.err.contains("7 records") || said.err.contains("8 records"),
        "{said:#?}"
    );
    (place, file)
}

fn restore(place: &Place, file: &std::path::Path, secret: &str) -> Said {
    let secret = place.file("secret", secret);
    place.run(["restore", word(file), "--passphrase-file", word(&secret)])
}

#[test]
fn a_thread_is_the_same_in_another_repository() {
    let (here, file) = exported();
    let there = Place::new();
    let said = restore(&there, &file, SECRET);
    assert_eq!(said.code, 0, "{said:#?}");
    assert_eq!(said.out.trim(), here.ok(["--json", "ls"]).json()[0]["id"]);
    let find = ["find", "t", "c", "n > 1", "--sort", "n"];
    assert_eq!(here.ok(find).out, there.ok(find).out);
    assert!(
        there
            .ok(["find", "t", "c", "n > 1", "--explain"])
            .out
            .starts_with("index n")
    );
    let report = |place: &Place| place.ok(["verify", "t", "--json"]).json();
    assert_eq!(report(&here), report(&there));
    let log = |place: &Place| place.ok(["log", "t", "--json"]).out;
    assert_eq!(log(&here), log(&there));

    // It goes on there, and what is new comes back without keys.
    there.ok(["put", "t", "c", r#"{"_id": "new"}"#]);
    let back = there.path("back.car");
    let said = there.ok(["export", "t", word(&back)]);
    assert!(said.err.contains("no keys"), "{said:#?}");
    let said = here.ok(["restore", word(&back), "--json"]);
    assert!(said.json()["present"].as_u64().unwrap() > 0, "{said:#?}");
    here.ok(["get", "t", "c", "new"]);
    here.ok(["verify", "t"]);
    let again = here.ok(["restore", word(&back), "--json"]).json();
    assert_eq!(again["records"], 0);
}

#[test]
fn the_passphrase_comes_from_a_file_or_the_environment_and_has_to_be_right() {
    let (_here, file) = exported();
    let there = Place::new();
    let said = restore(&there, &file, "wrong horse");
    assert_eq!(said.code, 5, "{said:#?}");
    assert!(said.err.contains("passphrase is wrong") && said.err.contains("--passphrase-file"));
    assert_eq!(restore(&there, &file, "\n").code, 5);
    let said = there.run(["restore", word(&file), "--passphrase-file", "no-such-file"]);
    assert_eq!(said.code, 3, "{said:#?}");
    assert_eq!(there.ok(["--json", "ls"]).out, "[]\n", "nothing came in");

    let mut command = there.command(["restore", word(&file)]);
    let said = Said::of(
        command
            .env("THREADS_PASSPHRASE", SECRET.trim())
            .output()
            .unwrap(),
    );
    assert_eq!(said.code, 0, "{said:#?}");
}

#[cfg(target_os = "linux")]
#[test]
fn without_a_terminal_nobody_is_asked() {
    let (here, file) = exported();
    for (words, part) in [
        (
            vec!["export", "t", "new.car", "--with-keys"],
            "no terminal to ask on",
        ),
        (vec!["restore", word(&file), "--name", "x"], ""),
    ] {
        let mut command = std::process::Command::new("setsid");
        command
            .args(["--wait", env!("CARGO_BIN_EXE_threads")])
            .args(&words);
        command
            .env("THREADS_REPO", here.repo())
            .env_remove("THREADS_PASSPHRASE");
        command
            .stdin(std::process::Stdio::null())
            .current_dir(here.path(""));
        let said = Said::of(command.output().unwrap());
        if words[0] == "export" {
            assert_eq!(said.code, 5, "{said:#?}");
            assert!(said.err.contains(part) && said.err.contains("$THREADS_PASSPHRASE"));
            assert!(!here.path("new.car").exists());
        } else {
            assert_eq!(said.code, 0, "the thread is here already: {said:#?}");
        }
    }
}

#[test]
fn names_that_are_taken_can_be_others() {
    let (_here, file) = exported();
    let there = Place::new();
    there.ok(["create", "t"]);
    let said = restore(&there, &file, SECRET);
    assert_eq!(said.code, 4, "{said:#?}");
    assert!(said.err.contains("--name NAME"));
    let secret = there.file("secret", SECRET);
    let words = [
        "restore",
        word(&file),
        "--passphrase-file",
        word(&secret),
        "--name",
        "u",
    ];
    there.ok(words);
    there.ok(["verify", "u"]);
}

#[test]
fn files_that_are_damaged_or_foreign_change_nothing() {
    let (_here, file) = exported();
    let whole = std::fs::read(&file).unwrap();
    let there = Place::new();
    let damaged = |name: &str, bytes: &[u8], codes: &[i32]| {
        let said = restore(&there, &there.file(name, bytes), SECRET);
        assert!(codes.contains(&said.code), "{name}: {said:#?}");
        assert!(
            said.err.contains("error: ") && said.err.contains("help: "),
            "{name}: {said:#?}"
        );
    };
    for end in [1, 60, whole.len() / 2, whole.len() - 1] {
        damaged("cut", &whole[..end], &[5, 7]);
    }
    for at in [80, whole.len() / 2, whole.len() - 1] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        damaged("flipped", &bytes, &[5, 7]);
    }
    damaged("empty", b"", &[5, 7]);
    damaged("text", b"{\"_id\": \"a\"}", &[5, 7]);
    damaged("noise", &[0xff; 4096], &[5, 7]);
    let said = there.run(["restore", word(&there.path(""))]);
    assert_eq!(said.code, 5, "a directory: {said:#?}");
    assert_eq!(there.ok(["--json", "ls"]).out, "[]\n", "nothing came in");
    assert_eq!(
        restore(&there, &file, SECRET).code,
        0,
        "the whole file still does"
    );
}

#[test]
fn a_file_without_keys_is_of_no_use_where_the_thread_is_not() {
    let (here, _) = exported();
    let bare = here.path("bare.car");
    here.ok(["export", "t", word(&bare)]);
    let there = Place::new();
    let said = restore(&there, &bare, SECRET);
    assert_eq!(said.code, 5, "{said:#?}");
    assert!(said.err.contains("no keys") && said.err.contains("--with-keys"));
}

#[test]
fn an_export_replaces_a_file_only_when_told_and_never_half() {
    let (here, file) = exported();
    let before = std::fs::read(&file).unwrap();
    here.fails(4, ["export", "t", word(&file)]);
    assert_eq!(std::fs::read(&file).unwrap(), before);
    here.ok(["export", "t", word(&file), "--force"]);
    assert_ne!(std::fs::read(&file).unwrap(), before);
    let error = here.fails(3, ["export", "t", "no/such/dir/file"]);
    assert!(error.contains("a directory that exists"), "{error}");
    let left: Vec<_> = std::fs::read_dir(here.path(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with(".threads"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
