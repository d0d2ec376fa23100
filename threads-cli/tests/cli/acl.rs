//! `threads acl eval`.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::common::{Place, Said};

fn history() -> Value {
    json!({"events": [
        {"id": "e2", "author": "ann", "kind": "save", "deps": ["e1"], "entity": "note"},
        {"id": "r", "author": "root", "kind": "revoke", "deps": ["e1"], "target": "ann", "role": "read"},
        {"id": "e1", "author": "ann", "kind": "create", "deps": ["a"], "entity": "note"},
        {"id": "a", "author": "root", "kind": "grant", "deps": ["g"], "target": "ann", "role": "write",
         "scope": "thread"},
        {"id": "g", "author": "root", "kind": "genesis", "deps": []},
        {"id": "a", "author": "root", "kind": "grant", "deps": ["g"], "target": "ann", "role": "write",
         "scope": "thread"},
    ]})
}

fn outcome() -> Value {
    json!({
        "root": "root",
        "roles": {
            "ann": {"thread": [], "acl": []},
            "root": {"thread": ["delete", "read", "replicate", "write"], "acl": ["write"]},
        },
        "authorised": ["a", "g", "r"],
        "counted": ["a"],
        "applied": ["e1"],
        "quarantined": ["e2"],
        "alive": ["note"],
    })
}

#[test]
fn a_history_in_a_file_or_on_standard_input_is_evaluated_without_a_repository() {
    let place = Place::bare();
    place.file("h.json", history().to_string());
    for words in [
        &["acl", "eval", "h.json"][..],
        &["acl", "eval", "h.json", "--json"],
    ] {
        let said = place.ok(words);
        assert_eq!((said.json(), said.err.as_str()), (outcome(), ""));
    }
    let mut child = place
        .command(["acl", "eval", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(history().to_string().as_bytes())
        .unwrap();
    assert_eq!(
        Said::of(child.wait_with_output().unwrap()).json(),
        outcome()
    );
    assert!(!place.repo().exists(), "it stores nothing");
}

#[test]
fn what_waits_is_named_beside_the_outcome() {
    let place = Place::bare();
    let mut events = history();
    events["events"].as_array_mut().unwrap().remove(4);
    events["events"]
        .as_array_mut()
        .unwrap()
        .push(json!({"id": "g", "author": "root", "kind": "genesis", "deps": []}));
    let late = json!({"id": "z", "author": "ann", "kind": "save", "deps": ["y"], "entity": "n"});
    events["events"].as_array_mut().unwrap().push(late);
    place.file("h.json", events.to_string());
    let said = place.ok(["acl", "eval", "h.json"]);
    assert_eq!(said.json(), outcome());
    assert!(said.err.contains("1 event without effect") && said.err.contains("z waits for y"));
    let said = place.ok(["acl", "eval", "h.json", "--json"]);
    let told: Value = serde_json::from_str(&said.err).unwrap();
    assert_eq!(told, json!({"pending": [{"id": "z", "missing": ["y"]}]}));
}

#[test]
fn what_is_no_history_is_refused() {
    let place = Place::bare();
    for (text, words) in [
        ("{\"events\": 1}", "the history has another form"),
        ("{\"events\": [", "the history is not JSON"),
        ("{\"events\": []}", "no event of kind genesis"),
        (
            r#"{"events": [{"id": "a", "author": "b", "kind": "rule"}]}"#,
            "no such kind",
        ),
    ] {
        place.file("h.json", text);
        let said = place.fails(5, ["acl", "eval", "h.json"]);
        assert!(said.contains(words), "{said}");
    }
    place.fails(3, ["acl", "eval", "nothing.json"]);
}
