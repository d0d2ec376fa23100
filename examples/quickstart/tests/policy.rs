//! A policy of one's own: what it refuses never becomes a record, here or on another node.

use std::fs::File;

use serde_json::json;
use threads_codec_jsonpatch::JsonPatch;
use threads_core::codec::ActionKind;
use threads_core::datastore::{Memory, ReadTxn};
use threads_core::module::CollectionSpec;
use threads_core::policy::{AccessPolicy, Candidate, Verdict};
use threads_core::{ErrorKind, Result};
use threads_db::{ExportOptions, Node, RestoreOptions};

#[derive(Debug)]
struct NobodyDeletes;

impl AccessPolicy for NobodyDeletes {
    fn judge(&self, candidate: &Candidate<'_>, _view: &dyn ReadTxn) -> Result<Verdict> {
        let deletes = candidate
            .changes
            .iter()
            .copied()
            .flatten()
            .any(|c| c.action == ActionKind::Delete);
        Ok(if deletes {
            Verdict::Reject("nobody deletes".into())
        } else {
            Verdict::Accept
        })
    }
}

#[test]
fn what_the_policy_refuses_is_never_seen() {
    let strict = || {
        Node::builder(Memory::new())
            .codec(JsonPatch::new())
            .policy(NobodyDeletes)
    };
    let spec = CollectionSpec::new("Person".parse().unwrap(), "jsonpatch/1".parse().unwrap());

    // Its own writer is refused, and nothing of the transaction stays.
    let db = strict().open().unwrap().create("friends").unwrap();
    db.define(&spec).unwrap();
    let people = db.collection("Person").unwrap();
    people.create(&json!({"_id": "ann"})).unwrap();
    let records = db.log(None).unwrap().len();
    let refused = db.write(|txn| {
        txn.create(&people, &json!({"_id": "bob"}))?;
        txn.delete(&people, "ann")
    });
    let error = refused.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert!(error.to_string().contains("nobody deletes"), "{error}");
    assert!(people.has("ann").unwrap() && !people.has("bob").unwrap());
    assert_eq!(db.log(None).unwrap().len(), records);

    // A record that another node allowed is refused by a node that does not.
    let lax = Node::builder(Memory::new())
        .codec(JsonPatch::new())
        .open()
        .unwrap();
    let db = lax.create("friends").unwrap();
    db.define(&spec).unwrap();
    let people = db.collection("Person").unwrap();
    people.create(&json!({"_id": "ann"})).unwrap();
    people.delete("ann").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("friends.car");
    let passphrase = || Some("correct horse".to_owned().into());
    let options = ExportOptions {
        passphrase: passphrase(),
        ..Default::default()
    };
    db.export(File::create(&path).unwrap(), &options, &mut |_| ())
        .unwrap();
    let options = RestoreOptions {
        passphrase: passphrase(),
        ..Default::default()
    };
    let node = strict().open().unwrap();
    let error = node.restore(&path, &options, &mut |_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
    assert!(node.threads().unwrap().is_empty());
    assert!(lax.restore(&path, &options, &mut |_| ()).is_ok());
}
