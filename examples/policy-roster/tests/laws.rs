//! The policy keeps every law, and real nodes keep to the policy.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]
#![allow(clippy::print_stdout, reason = "it says what does not apply")]

use example_policy_roster::Roster;
use serde_json::json;
use threads_codec_jsonpatch::JsonPatch;
use threads_conformance::policy::{LAWS, Subject};
use threads_core::access::{Role, Scope, Subject as Whom};
use threads_core::datastore::Memory;
use threads_core::module::CollectionSpec;
use threads_core::{ErrorKind, IdentityKey, Variant, system_rng};
use threads_db::{Db, ExportOptions, Node, RestoreOptions};

threads_conformance::policy_laws!(Subject::new(|| Roster));

#[test]
fn no_law_is_skipped() {
    let line = threads_conformance::summary(LAWS, || Subject::new(|| Roster));
    assert_eq!(line, "checked 12 of 12 laws, skipped none");
}

#[test]
fn the_guide_has_this_policy() {
    let (code, guide) = (
        include_str!("../src/lib.rs"),
        "../../docs/writing-a-policy.md",
    );
    let guide = std::fs::read_to_string(guide).unwrap();
    let begins = code.find("/// A row of what is kept").unwrap();
    assert!(guide.contains(&code[begins..]), "copy it there");
}

fn node() -> Node {
    let builder = Node::builder(Memory::new()).codec(JsonPatch::new());
    let identity = IdentityKey::generate(&mut system_rng());
    builder.policy(Roster).identity(identity).open().unwrap()
}

/// Gives one all that the other has.
fn hand_over(from: &Db, to: &Node) {
    let dir = std::env::temp_dir().join(format!("roster-{}", from.id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join(to.peer_id().to_string());
    let file = std::fs::File::create(&path).unwrap();
    from.export(file, &ExportOptions::default(), &mut |_| ())
        .unwrap();
    to.restore(&path, &RestoreOptions::default(), &mut |_| ())
        .unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn who_was_taken_out_has_what_was_seen_and_no_more() {
    let (root, ann) = (node(), node());
    let team = root.create_with("team", Variant::AccessControlled).unwrap();
    let spec = CollectionSpec::new("Note".parse().unwrap(), "jsonpatch/1".parse().unwrap());
    team.define(&spec).unwrap();
    let hers = ann.add_thread("team", &team.keys()).unwrap();
    hand_over(&team, &ann);

    let refused = hers.collection("Note").unwrap().save(&json!({"_id": "a"}));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Rejected);
    let her = Whom::Peer(ann.peer_id());
    team.write(|txn| txn.grant(her, Scope::Thread, Role::Write))
        .unwrap();
    let refused = hers.write(|txn| txn.grant(her, Scope::Thread, Role::Write));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Rejected);
    hand_over(&team, &ann);

    let notes = hers.collection("Note").unwrap();
    notes.save(&json!({"_id": "seen"})).unwrap();
    hand_over(&hers, &root);
    team.write(|txn| txn.revoke(her, Scope::Thread, Role::Write))
        .unwrap();
    notes.save(&json!({"_id": "unseen"})).unwrap();
    hand_over(&hers, &root);
    hand_over(&team, &ann);
    for db in [&team, &hers] {
        let notes = db.collection("Note").unwrap();
        assert!(notes.has("seen").unwrap() && !notes.has("unseen").unwrap());
        let held = db.held().unwrap();
        let why = db.why(&held[0].record).unwrap();
        assert_eq!(why, ["its author had been taken out"]);
        assert!(db.verify(&mut |_| ()).unwrap().is_clean());
    }
}
