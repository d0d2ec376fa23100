//! The keystore, and the identity in words.

use serde_json::Value;

use crate::common::serving::{Serving, TCP};
use crate::common::{Place, Said, word};

const PASSPHRASE: &str = "correct horse battery staple";

/// A repository with an entity in it.
fn used() -> Place {
    let place = Place::with_collection();
    place.ok(["put", "t", "c", r#"{"_id": "a"}"#]);
    place
}

fn protected() -> Place {
    let place = used();
    protect(&place);
    place
}

fn protect(place: &Place) {
    let file = place.file("passphrase", PASSPHRASE);
    place.ok(["keystore", "protect", "--passphrase-file", word(&file)]);
}

/// Runs a command with the keystore's passphrase in the environment.
fn with<const N: usize>(place: &Place, passphrase: &str, words: [&str; N]) -> Said {
    let mut command = place.command(words);
    command.env("THREADS_KEYSTORE_PASSPHRASE", passphrase);
    Said::of(command.output().unwrap())
}

fn good<const N: usize>(place: &Place, words: [&str; N]) -> Said {
    let said = with(place, PASSPHRASE, words);
    assert_eq!(said.code, 0, "{said:#?}");
    said
}

fn is_protected(place: &Place) -> Value {
    place.ok(["--json", "keystore", "status"]).json()["protected"].clone()
}

#[test]
fn a_new_repository_asks_for_nothing_and_says_that_it_is_not_protected() {
    let place = used();
    assert_eq!(is_protected(&place), false);
    assert!(place.ok(["id"]).err.contains("`threads keystore protect`"));
    assert!(
        place
            .ok(["status"])
            .err
            .contains("`threads keystore protect`")
    );
    assert_eq!(place.ok(["--json", "id"]).json()["protected"], false);
    let file = place.repo().join("keystore");
    #[cfg(unix)]
    assert_eq!(
        std::os::unix::fs::MetadataExt::mode(&file.metadata().unwrap()) & 0o777,
        0o600
    );
    assert!(file.is_file());
}

#[test]
fn a_protected_repository_opens_with_its_passphrase_only() {
    let place = protected();
    assert_eq!(is_protected(&place), true);
    assert!(!good(&place, ["id"]).err.contains("protect"));
    let said = good(&place, ["get", "t", "c", "a"]);
    assert_eq!(said.json()["_id"], "a");
    good(&place, ["put", "t", "c", r#"{"_id": "b"}"#]);

    for words in [
        ["ls"].as_slice(),
        &["put", "t", "c", "{}"],
        &["identity", "export"],
        &["serve"],
    ] {
        let err = place.fails(5, words);
        assert!(err.contains("there is no terminal to ask on"), "{err}");
        assert!(err.contains("--keystore-passphrase-file"), "{err}");
    }
    let said = with(&place, "correct horse", ["--json", "ls"]);
    assert_eq!(
        (said.code, &said.error()["kind"]),
        (5, &"invalid".into()),
        "{said:#?}"
    );
    assert!(said.err.contains("passphrase of the keystore is wrong"));

    let file = place.file("other", format!("{PASSPHRASE}\nthe rest is not read\n"));
    place.ok(["--keystore-passphrase-file", word(&file), "ls"]);
    // Twice is a mistake.
    assert!(
        place
            .fails(4, ["keystore", "protect"])
            .contains("keystore passwd")
    );
}

#[test]
fn a_passphrase_is_changed_and_taken_away() {
    let place = protected();
    let next = place.file("next", "another");
    good(
        &place,
        ["keystore", "passwd", "--passphrase-file", word(&next)],
    );
    assert_eq!(with(&place, PASSPHRASE, ["ls"]).code, 5);
    assert_eq!(with(&place, "another", ["ls"]).code, 0);
    assert_eq!(with(&place, "another", ["keystore", "unprotect"]).code, 0);
    place.ok(["get", "t", "c", "a"]);
    for word in ["passwd", "unprotect"] {
        assert!(
            place
                .fails(4, ["keystore", word])
                .contains("`threads keystore protect`")
        );
    }
}

/// The real keyring of the kernel. Where there is none, as in some containers, the test says so.
#[cfg(all(feature = "keyring", target_os = "linux"))]
#[test]
fn the_systems_keyring_opens_a_keystore_until_it_is_told_to_forget() {
    let place = protected();
    let said = with(&place, PASSPHRASE, ["keystore", "remember"]);
    if said.code != 0 {
        assert!(
            said.err.contains("the system's keyring cannot be used"),
            "{said:#?}"
        );
        assert!(
            said.err.contains("the passphrase opens the keystore"),
            "{said:#?}"
        );
        assert_eq!(with(&place, PASSPHRASE, ["ls"]).code, 0);
        eprintln!("not tried, for there is no keyring here: {}", said.err);
        return;
    }
    // Without a passphrase: to read, to write, and in a program that serves.
    assert_eq!(place.ok(["get", "t", "c", "a"]).json()["_id"], "a");
    place.ok(["put", "t", "c", r#"{"_id": "b"}"#]);
    drop(Serving::start(&place, TCP));

    // It is of this keystore alone, and of its key as it is: a wrong passphrase is none all the same.
    let other = protected();
    assert_eq!(other.run(["ls"]).code, 5);
    let next = place.file("next", "another");
    place.ok(["keystore", "passwd", "--passphrase-file", word(&next)]);
    assert_eq!(place.run(["ls"]).code, 5, "it has another key now");
    assert_eq!(with(&place, "another", ["keystore", "remember"]).code, 0);
    place.ok(["ls"]);

    place.ok(["keystore", "forget"]);
    assert_eq!(place.run(["ls"]).code, 5);
    assert_eq!(
        with(&place, "another", ["keystore", "forget"]).code,
        0,
        "it may be told twice"
    );
    assert_eq!(with(&place, "another", ["ls"]).code, 0);
}

#[test]
fn each_fault_of_a_keystore_has_a_code_of_its_own() {
    let place = protected();
    let file = place.repo().join("keystore");
    let whole = std::fs::read(&file).unwrap();
    let mut damaged = whole.clone();
    damaged[100] ^= 1;
    std::fs::write(&file, &damaged).unwrap();
    let said = with(&place, PASSPHRASE, ["ls"]);
    assert_eq!(said.code, 7, "{said:#?}");
    assert!(said.err.contains("the keystore is damaged") && said.err.contains("identity recover"));

    std::fs::remove_file(&file).unwrap();
    for words in [["ls"].as_slice(), &["create", "u"]] {
        let err = place.fails(3, words);
        assert!(err.contains("the keystore is missing"), "{err}");
    }
    assert!(!file.exists(), "no new identity was made");

    let other = used();
    std::fs::copy(other.repo().join("keystore"), &file).unwrap();
    for words in [["ls"].as_slice(), &["create", "u"]] {
        let err = place.fails(4, words);
        assert!(err.contains("belongs to another datastore"), "{err}");
    }
    std::fs::write(&file, &whole).unwrap();
    good(&place, ["get", "t", "c", "a"]);
}

#[cfg(unix)]
#[test]
fn a_keystore_that_others_may_read_is_refused_with_what_to_do() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = used();
    let file = place.repo().join("keystore");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(place.fails(8, ["ls"]).contains("chmod 600"));
}

#[test]
fn commands_need_no_passphrase_while_the_repository_is_served() {
    let place = protected();
    let mut command = Serving::command(&place, TCP);
    command.env("THREADS_KEYSTORE_PASSPHRASE", PASSPHRASE);
    let serving = Serving::of(command);
    assert_eq!(place.ok(["get", "t", "c", "a"]).json()["_id"], "a");
    place.ok(["put", "t", "c", r#"{"_id": "b"}"#]);
    place.ok(["create", "u"]);
    place.ok(["id"]);
    // What prints a secret still does.
    assert!(
        place
            .fails(5, ["identity", "export"])
            .contains("passphrase")
    );
    serving.stop();
    assert_eq!(good(&place, ["--json", "ls"]).json()[1]["name"], "u");
}

#[test]
fn an_identity_comes_back_by_its_words() {
    let place = used();
    let peer = place.ok(["--json", "id"]).json()["peer"].clone();
    let said = place.ok(["identity", "export"]);
    assert_eq!(said.out.split_whitespace().count(), 24);
    assert!(said.err.contains("whoever has these 24 words"));
    let json = place.ok(["--json", "identity", "export"]).json();
    assert_eq!(
        (&json["peer"], json["words"].as_array().unwrap().len()),
        (&peer, 24)
    );

    let there = Place::bare();
    let wrong = said.out.replacen(' ', "x ", 1);
    let refused = there.fed(["identity", "recover"], &wrong);
    assert_eq!(refused.code, 5, "{refused:#?}");
    assert!(refused.err.contains("word: number 1"), "{refused:#?}");
    assert!(!there.repo().exists());

    let card = |place: &Place| place.ok(["--json", "id"]).json()["card"].clone();
    let recovered = there.fed(["identity", "recover"], &said.out);
    assert_eq!(
        (recovered.code, recovered.out.trim()),
        (0, peer.as_str().unwrap())
    );
    assert_eq!(card(&there), card(&place));
    there.ok(["create", "t"]);
    // What is there is never replaced.
    let again = there.fed(["identity", "recover"], &said.out);
    assert_eq!(again.code, 4, "{again:#?}");
}

#[test]
fn a_repository_is_protected_from_its_first_moment() {
    let place = Place::bare();
    let file = place.file("passphrase", PASSPHRASE);
    place.ok(["init", "--protect", "--passphrase-file", word(&file)]);
    assert_eq!(is_protected(&place), true);
    let peer = good(&place, ["--json", "id"]).json()["peer"].clone();
    let words = good(&place, ["identity", "export"]).out;
    let there = Place::bare();
    let recover = [
        "identity",
        "recover",
        "--protect",
        "--passphrase-file",
        word(&file),
    ];
    assert_eq!(there.fed(recover, words).code, 0);
    assert_eq!(is_protected(&there), true);
    assert_eq!(good(&there, ["--json", "id"]).json()["peer"], peer);
}
