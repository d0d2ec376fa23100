//! Who may do what, as people see and change it: with the repository alone, and while it is served.

use std::time::Duration;

use serde_json::{Value, json};

use crate::common::serving::{Serving, TCP, card, until, within};
use crate::common::{Place, word};

fn peer(place: &Place) -> String {
    let id = place.ok(["--json", "id"]).json();
    id["peer"].as_str().unwrap().to_owned()
}

/// A thread `t` with rules and a collection `c`, and in it an entity `plan`.
fn root() -> Place {
    let ann = Place::new();
    ann.ok(["create", "t", "--access-controlled"]);
    ann.ok(["collection", "add", "t", "c"]);
    ann.ok(["put", "t", "c", r#"{"_id": "plan", "n": 1}"#]);
    ann
}

/// Somebody who is invited and has what is there.
fn invited(ann: &Place, role: &str) -> Place {
    let other = Place::new();
    let words = ["invite", "t", "--role", role, "--to", &card(&other)];
    let invite = ann.ok(words).out;
    other.ok(["join", invite.trim(), "--name", "t"]);
    carry(ann, &other);
    other
}

/// Takes all that one has to another, as a file.
fn carry(from: &Place, to: &Place) {
    let file = from.path("t.car");
    from.ok(["export", "t", word(&file), "--force"]);
    to.ok(["restore", word(&file)]);
}

fn n(place: &Place) -> Value {
    place.ok(["get", "t", "c", "plan"]).json()["n"].clone()
}

fn set(place: &Place, n: u32) {
    place.ok(["patch", "t", "c", "plan", &json!({ "n": n }).to_string()]);
}

fn rules(place: &Place) -> Value {
    place.ok(["--json", "acl", "show", "t"]).json()
}

#[test]
fn a_thread_with_rules_begins_with_its_root_alone() {
    let ann = Place::new();
    let said = ann.ok(["create", "t", "--access-controlled"]);
    assert!(said.err.contains("is its root"), "{said:#?}");
    let all = ["replicate", "read", "write", "delete"];
    let me = peer(&ann);
    let shown = rules(&ann);
    assert_eq!(shown["ID"], said.out.trim());
    assert_eq!(shown["default"], "no-access");
    assert_eq!(shown["peers"], json!({ &me: all }));
    assert_eq!(shown["acl"], json!({ &me: ["write"] }));
    assert_eq!(
        (&shown["root"], &shown["unsealed"]),
        (&json!(me), &json!(false))
    );
    let said = ann.ok(["acl", "show", "t"]);
    assert!(
        said.out.contains(&me) && said.out.contains("write, delete  root"),
        "{said:#?}"
    );
    assert!(said.err.starts_with("you: write, delete"), "{said:#?}");
    let made = ann
        .ok(["--json", "create", "other", "--access-controlled"])
        .json();
    assert_eq!(made["root"], json!(me));
}

#[test]
fn a_reader_reads_and_is_told_why_it_cannot_write() {
    let ann = root();
    let bob = invited(&ann, "read");
    assert_eq!(n(&bob), 1);
    let said = bob.fails(6, ["put", "t", "c", r#"{"_id": "x"}"#]);
    for part in [
        "policy refuses this",
        "role write in the thread",
        "`threads acl show DB`",
    ] {
        assert!(said.contains(part), "{said}");
    }
    bob.fails(6, ["acl", "grant", "t", &peer(&bob), "write"]);
    bob.fails(6, ["acl", "default", "t", "write"]);
    bob.fails(6, ["collection", "add", "t", "d"]);
    let status = bob.ok(["--json", "status"]).json();
    assert_eq!(
        status["roles"],
        json!({"thread": ["replicate", "read"], "acl": []})
    );
    assert!(ann.ok(["status"]).out.contains("write, delete, acl"));
}

/// Carol wrote without knowing that root had taken write from her; root has what she wrote.
fn after_a_removal() -> (Place, Place, String) {
    let ann = root();
    let carol = invited(&ann, "write");
    set(&carol, 2);
    carry(&carol, &ann);
    set(&carol, 3);
    let who = peer(&carol);
    let said = ann.ok(["acl", "revoke", "t", &who, "write"]);
    assert!(
        said.out.trim().ends_with(": read"),
        "she may read on: {said:#?}"
    );
    carry(&carol, &ann);
    assert_eq!(n(&ann), 2, "what root had seen stays");
    (ann, carol, who)
}

fn see_and_adopt(ann: &Place, carol: &Place, who: &str) {
    let listed = ann.ok(["--json", "quarantine", "ls", "t"]).rows();
    let [held] = &listed[..] else {
        panic!("{listed:?}");
    };
    let record = held["record"].as_str().unwrap();
    assert_eq!(held["author"], who);
    let reason = held["reason"]["access"].as_str().unwrap();
    assert!(reason.contains("took write in the thread from"), "{reason}");
    let table = ann.ok(["quarantine", "ls", "t"]).out;
    assert!(
        table.contains(record) && table.contains(who) && table.contains("apart"),
        "{table}"
    );
    let status = ann.ok(["--json", "status"]).json();
    assert_eq!(
        (&status["access"], &status["held"]["quarantined"]),
        (&json!(1), &json!(1))
    );
    assert!(ann.ok(["status", "t"]).err.contains("threads why t RECORD"));

    let why = ann.ok(["why", "t", record]).out;
    let lines: Vec<_> = why.lines().collect();
    assert!(
        lines[1].contains(" write in the thread"),
        "who gave it first: {why}"
    );
    assert!(lines.last().unwrap().contains("it is not applied"), "{why}");
    let whys = ann.ok(["--json", "why", "t", "c/plan"]).rows();
    let applied: Vec<_> = whys.iter().map(|why| &why["applied"]).collect();
    assert_eq!(applied, [true, true, false], "{whys:?}");

    let shown = ann.ok(["quarantine", "show", "t", record]).json();
    let change = &shown["changes"][0];
    assert_eq!(
        (&change["before"]["n"], &change["after"]["n"]),
        (&json!(2), &json!(3))
    );
    assert_eq!(n(ann), 2, "to look changes nothing");
    carol.fails(6, ["quarantine", "adopt", "t", "--all-of", who]);

    let said = ann.ok(["quarantine", "adopt", "t", "--all-of", who]);
    assert!(said.out.contains("1 change"), "{said:#?}");
    assert_eq!(n(ann), 3);
    let held = ann.ok(["--json", "quarantine", "ls", "t"]).json();
    assert_eq!(held["adopted_by"], json!(peer(ann)));
    let said = ann.ok(["quarantine", "adopt", "t", "--all-of", who]);
    assert!(said.err.contains("nothing of this peer"), "{said:#?}");
    let again = ann.fails(4, ["quarantine", "adopt", "t", record]);
    assert!(again.contains("adopted already"), "{again}");
    assert!(ann.ok(["why", "t", record]).out.contains("were adopted by"));
    ann.ok(["verify", "t"]);
}

#[test]
fn what_a_removed_writer_wrote_meanwhile_is_seen_explained_and_adopted() {
    let (ann, carol, who) = after_a_removal();
    carry(&ann, &carol);
    see_and_adopt(&ann, &carol, &who);
    carry(&ann, &carol);
    assert_eq!(n(&carol), 3);
}

#[test]
fn it_is_the_same_while_the_repository_is_served() {
    let (ann, carol, who) = after_a_removal();
    carry(&ann, &carol);
    let serving = Serving::start(&ann, TCP);
    see_and_adopt(&ann, &carol, &who);
    let said = ann.ok(["acl", "grant", "t", &who, "delete"]);
    assert!(said.out.trim().ends_with(": read, delete"), "{said:#?}");
    let said = ann.ok(["acl", "revoke", "t", &who, "--all"]);
    assert!(said.out.trim().ends_with(": no-access"), "{said:#?}");
    let history = ann.ok(["--json", "acl", "history", "t"]).rows();
    drop(serving);
    assert_eq!(ann.ok(["--json", "acl", "history", "t"]).rows(), history);
    assert_eq!(rules(&ann)["peers"][&who], json!([]));
}

#[test]
fn all_takes_the_list_and_entities_too() {
    let ann = root();
    let carol = invited(&ann, "write");
    let who = peer(&carol);
    ann.ok(["acl", "restrict", "t", "c/plan"]);
    ann.ok(["acl", "grant", "t", &who, "write", "--entity", "c/plan"]);
    let said = ann.ok(["acl", "grant", "t", &card(&carol), "--acl"]);
    let all = ": write, write of these rules, write of c/plan";
    assert!(said.out.trim().ends_with(all), "{said:#?}");
    let status = ann.ok(["peers"]).out;
    assert!(status.contains("t (write, acl)"), "{status}");
    let said = ann
        .ok(["--json", "acl", "revoke", "t", &who, "--all"])
        .json();
    let none = json!({"target": who, "thread": "no-access", "acl": [], "entities": {}});
    assert_eq!(said, none);
    ann.fails(2, ["acl", "revoke", "t", &who, "write", "--all"]);
    ann.fails(2, ["acl", "revoke", "t", &who]);
}

#[test]
fn a_restricted_entity_is_for_those_who_are_named() {
    let ann = root();
    let carol = invited(&ann, "write");
    let who = peer(&carol);
    let said = ann.ok(["acl", "grant", "t", &who, "delete", "--entity", "c/plan"]);
    assert!(
        said.err.contains("threads acl restrict t 'c/plan'"),
        "{said:#?}"
    );
    let said = ann.ok(["acl", "restrict", "t", "c/plan"]);
    assert!(said.out.starts_with("c/plan: restricted"), "{said:#?}");
    carry(&ann, &carol);
    let said = carol.fails(6, ["patch", "t", "c", "plan", r#"{"n": 9}"#]);
    assert!(said.contains("role write for this entity"), "{said}");
    carol.ok(["put", "t", "c", r#"{"_id": "else"}"#]);
    ann.ok(["acl", "grant", "t", &who, "write", "--entity", "c/plan"]);
    carry(&ann, &carol);
    set(&carol, 9);
    let shown = rules(&carol)["entities"]["c/plan"].clone();
    let roles = json!({ &who: ["write", "delete"] });
    assert_eq!(shown, json!({"restricted": true, "roles": roles}));
    let table = carol.ok(["acl", "show", "t"]).out;
    assert!(table.contains("c/plan  restricted  "), "{table}");
    let unknown = ann.fails(3, ["acl", "restrict", "t", "c/plam"]);
    assert!(
        unknown.contains("threads find t c --fields _id"),
        "{unknown}"
    );
}

#[test]
fn row_26_reading_is_for_the_whole_thread() {
    let ann = root();
    let bob = peer(&invited(&ann, "replicate"));
    let said = ann.fails(
        10,
        ["acl", "grant", "t", &bob, "read", "--entity", "c/plan"],
    );
    assert!(
        said.contains("whoever may read the thread reads all of it"),
        "{said}"
    );
}

#[test]
fn everybody_has_the_default_and_nothing_more() {
    let ann = root();
    let default = || rules(&ann)["default"].clone();
    let said = ann.ok(["acl", "default", "t", "write"]);
    assert_eq!(said.out.trim(), "everybody: write");
    assert_eq!(default(), json!(["replicate", "read", "write"]));
    ann.ok(["acl", "default", "t", "read"]);
    assert_eq!(default(), json!(["replicate", "read"]));
    ann.ok(["acl", "revoke", "t", "*", "read"]);
    assert_eq!(default(), json!("no-access"));
    ann.ok(["acl", "grant", "t", "*", "delete"]);
    ann.ok(["acl", "default", "t", "replicate"]);
    assert_eq!(default(), json!(["replicate"]));
    ann.ok(["acl", "default", "t", "no-access"]);
    assert_eq!(default(), json!("no-access"));
    let bad = ann.fails(2, ["acl", "default", "t", "all"]);
    assert!(
        bad.contains("a role is replicate, read, write or delete"),
        "{bad}"
    );
}

#[test]
fn what_was_said_is_listed_and_what_does_not_count_says_why() {
    let ann = root();
    let [bob, carol] = ["write", "write"].map(|role| invited(&ann, role));
    let names = [peer(&bob), peer(&carol)];
    for who in &names {
        ann.ok(["acl", "grant", "t", who, "--acl"]);
    }
    carry(&ann, &bob);
    carry(&ann, &carol);
    // Carol lets somebody in without knowing that root put her out.
    carol.ok(["acl", "grant", "t", "*", "read"]);
    ann.ok(["acl", "revoke", "t", &names[1], "--all"]);
    carry(&carol, &ann);
    let history = ann.ok(["--json", "acl", "history", "t"]).rows();
    assert_eq!(history[0]["said"]["kind"], "genesis");
    let last = history.last().unwrap();
    assert_eq!(last["author"], json!(names[1]));
    let said = json!({"kind": "grant", "target": "*", "scope": "thread", "role": "read"});
    assert_eq!((&last["said"], &last["counts"]), (&said, &json!(false)));
    assert!(
        last["why_not"]
            .as_str()
            .unwrap()
            .contains("took write of the access rules")
    );
    let table = ann.ok(["acl", "history", "t"]).out;
    assert!(table.contains("gives everybody read"), "{table}");
    assert!(
        table.lines().last().unwrap().contains("does not count: "),
        "{table}"
    );
    let why = ann.ok(["why", "t", last["record"].as_str().unwrap()]).out;
    assert!(why.contains("took write of the access rules"), "{why}");
    assert_eq!(rules(&ann)["default"], "no-access");
}

#[test]
fn who_leaves_has_no_role_and_root_stays() {
    let ann = root();
    let carol = invited(&ann, "write");
    carol.ok(["leave", "t"]);
    assert_eq!(rules(&carol)["peers"][peer(&carol)], json!([]));
    let said = carol.fails(6, ["put", "t", "c", r#"{"_id": "x"}"#]);
    assert!(said.contains("you have left the thread"), "{said}");
    let said = carol.ok(["status", "t"]);
    assert!(
        said.err.contains("you have left the thread"),
        "{}",
        said.err
    );
    carry(&carol, &ann);
    assert_eq!(rules(&ann)["peers"][peer(&carol)], json!([]));
    let said = ann.fails(5, ["leave", "t"]);
    assert!(said.contains("root"), "{said}");
}

#[test]
fn what_cannot_be_done_says_why_and_what_to_do() {
    let ann = root();
    let me = peer(&ann);
    let raw = Place::with_collection();
    for words in [
        &["acl", "show", "t"][..],
        &["acl", "grant", "t", "*", "read"],
        &["acl", "history", "t"],
        &["acl", "restrict", "t", "c/plan"],
    ] {
        let said = raw.fails(10, words);
        assert!(said.contains("no access rules"), "{said}");
        assert!(said.contains("--access-controlled"), "{said}");
    }
    let early = Place::new();
    let words = ["invite", "t", "--role", "read", "--to", &card(&early)];
    early.ok(["join", ann.ok(words).out.trim(), "--name", "t"]);
    let said = early.fails(8, ["acl", "show", "t"]);
    assert!(
        said.contains("not here yet") && said.contains("threads sync t --wait"),
        "{said}"
    );

    let said = ann.fails(5, ["acl", "revoke", "t", &me, "--all"]);
    assert!(said.contains("may do everything, always"), "{said}");
    ann.fails(5, ["acl", "grant", "t", &me, "read", "--acl"]);
    ann.fails(2, ["acl", "grant", "t", "nobody", "read"]);
    ann.fails(2, ["why", "t", "plan"]);
    let said = ann.fails(3, ["why", "t", "c/nothing"]);
    assert!(
        said.contains("no record that is here changes this entity"),
        "{said}"
    );
    let record = ann.ok(["--json", "log", "t"]).rows()[0]["record"].clone();
    let record = record.as_str().unwrap();
    for words in ["show", "adopt"] {
        let said = ann.fails(3, ["quarantine", words, "t", record]);
        assert!(said.contains("threads quarantine ls t"), "{said}");
    }
    assert!(
        ann.ok(["quarantine", "ls", "t"])
            .err
            .contains("nothing is in quarantine")
    );
    assert!(raw.ok(["quarantine", "ls", "t"]).out.is_empty());
}

/// Others who have joined, each served, all connected to root.
fn served<const N: usize>(ann: &Place) -> [(Place, Serving); N] {
    std::array::from_fn(|_| {
        let other = invited(ann, "write");
        let serving = Serving::start(&other, TCP);
        ann.ok(["connect", &serving.addresses[0]]);
        (other, serving)
    })
}

#[test]
fn root_that_is_served_states_at_once_that_it_knows_whom_an_admin_removed() {
    let ann = root();
    let _ann = Serving::start(&ann, TCP);
    let [(bob, _bob), (carol, _carol)] = served(&ann);
    let [bobs, carols] = [peer(&bob), peer(&carol)];
    for who in [&bobs, &carols] {
        ann.ok(["acl", "grant", "t", who, "--acl"]);
    }
    let admin =
        || rules(&bob)["acl"].get(&bobs).is_some() && rules(&bob)["acl"].get(&carols).is_some();
    until("bob may change the rules", admin);
    bob.ok(["acl", "revoke", "t", &carols, "--acl"]);
    let removed = || rules(&ann)["acl"].get(&carols).is_none();
    until("root hears of it", removed);
    // In the same second: a person sees no time between the two.
    within(Duration::from_secs(1), "root states what it knows", || {
        let history = ann.ok(["--json", "acl", "history", "t"]).rows();
        history.last().unwrap()["said"]["kind"] == "checkpoint"
    });
    until("bob hears of that", || {
        rules(&bob)["unsealed"] == json!(false)
    });
}

#[test]
fn whoever_is_removed_while_connected_gets_nothing_more() {
    let ann = root();
    let _ann = Serving::start(&ann, TCP);
    let [(bob, _bob), (carol, _carol)] = served(&ann);
    set(&ann, 2);
    until("all have it", || n(&bob) == 2 && n(&carol) == 2);
    ann.ok(["acl", "revoke", "t", &peer(&carol), "--all"]);
    set(&ann, 3);
    until("the other has it", || n(&bob) == 3);
    // What is written later goes the same way, so by now it would have come.
    set(&ann, 4);
    until("the other has that too", || n(&bob) == 4);
    assert_eq!(n(&carol), 2);
    let peers = ann.ok(["--json", "peers"]).rows();
    let of_carol = peers.iter().find(|row| row["peer"] == json!(peer(&carol)));
    assert!(
        of_carol.is_none_or(|row| row["threads"] == json!([])),
        "{peers:?}"
    );
}

#[test]
fn new_keys_are_made_by_who_may_and_listed() {
    let ann = root();
    let bob = invited(&ann, "read");
    let epochs = |place: &Place| place.ok(["--json", "keys", "epochs", "t"]).rows();
    let [first] = &epochs(&ann)[..] else {
        panic!("{:?}", epochs(&ann));
    };
    assert_eq!(
        (&first["epoch"], &first["in_use"], &first["held"]),
        (&json!("0000000000000000"), &json!(true), &json!("read"))
    );
    let made = ann.ok(["keys", "rotate", "t"]);
    assert!(
        made.err.contains("2 readers and 0 replicas get"),
        "{made:#?}"
    );
    let number = made.out.trim();
    let listed = epochs(&ann);
    assert_eq!(listed.len(), 2);
    assert_eq!(
        (&listed[1]["epoch"], &listed[1]["in_use"], &listed[1]["by"]),
        (&json!(number), &json!(true), &json!(peer(&ann)))
    );
    assert_eq!(listed[0]["in_use"], json!(false));
    let table = ann.ok(["keys", "epochs", "t"]);
    assert!(
        table.out.contains("2 readers, 0 replicas") && table.err.contains(number),
        "{table:#?}"
    );
    // Who reads has them too, opens what is written under them, and makes none.
    set(&ann, 7);
    carry(&ann, &bob);
    assert_eq!(n(&bob), 7);
    assert_eq!(epochs(&bob), epochs(&ann));
    let said = bob.fails(6, ["keys", "rotate", "t"]);
    assert!(said.contains("`threads acl show t`"), "{said}");
    ann.ok(["create", "open"]);
    let said = ann.fails(10, ["keys", "rotate", "open"]);
    assert!(said.contains("--access-controlled"), "{said}");
}

#[test]
fn row_54_a_stolen_device_opens_for_nobody_and_reads_nothing_that_is_written_after() {
    let ann = root();
    let bob = invited(&ann, "write");
    let (who, file) = (peer(&bob), bob.file("passphrase", "correct horse battery"));
    bob.ok(["keystore", "protect", "--passphrase-file", word(&file)]);
    for words in [
        ["get", "t", "c", "plan"].as_slice(),
        &["identity", "export"],
        &["export", "t", word(&bob.path("stolen.car"))],
    ] {
        bob.fails(5, words);
    }
    // Whoever guesses the passphrase has all keys of before, and the records of after.
    ann.ok(["acl", "revoke", "t", &who, "--all"]);
    set(&ann, 9);
    let car = ann.path("t.car");
    ann.ok(["export", "t", word(&car), "--force"]);
    let opened = |words: &[&str]| {
        let guessed = ["--keystore-passphrase-file", word(&file)];
        bob.ok(guessed.iter().chain(words))
    };
    opened(&["restore", word(&car)]);
    let plan = opened(&["get", "t", "c", "plan"]).json();
    assert_eq!((n(&ann), &plan["n"]), (json!(9), &json!(1)));
}
