//! Replicas: peers that keep and serve what they cannot read.

use serde_json::json;
use threads_core::ErrorKind;
use threads_db::{ExportOptions, InviteOptions, RestoreOptions, Role};

use crate::net::Net;

/// A writer (0), a replica (1) and a reader (2), of whom only neighbours ever meet.
fn net() -> Net {
    let mut net = Net::new(3);
    let db = net.node(0).create("secrets").unwrap();
    net.use_thread(0, db);
    for (node, role) in [(1, Role::Replicate), (2, Role::Write)] {
        let options = InviteOptions::new(role).to(net.node(node).card());
        let invite = net.db(0).invite(&options).unwrap();
        let joined = net.node(node).join(&invite, None).unwrap();
        net.use_thread(node, joined.db().unwrap());
    }
    let replica = net.node(1).peer_id();
    net.db(2).share_with(&replica).unwrap();
    net
}

#[test]
fn a_replica_keeps_a_thread_alive_while_its_writers_never_meet() {
    let mut net = net();
    net.connect(0, 1);
    net.run();
    net.put(0, json!({"_id": "bob", "age": 42}));
    net.run();
    net.part(0, 1);
    net.run();

    net.connect(1, 2);
    net.run();
    assert_eq!(net.get(2, "bob"), Some(json!({"_id": "bob", "age": 42})));
    net.put(2, json!({"_id": "eve"}));
    net.run();
    net.part(1, 2);
    net.connect(0, 1);
    net.run();
    assert_eq!(net.get(0, "eve"), Some(json!({"_id": "eve"})));

    let replica = net.db(1);
    assert!(replica.verify(&mut |_| ()).unwrap().is_clean());
    assert_eq!(replica.held_counts().unwrap().pending, 0);
    let logs = |node: usize| {
        let logs = net.db(node).sync_status().unwrap().logs.into_iter();
        logs.map(|log| (log.log, log.have)).collect::<Vec<_>>()
    };
    assert_eq!(logs(1), logs(0), "it has every record");
    let acked = net.db(0).sync_status().unwrap();
    let peer = acked
        .peers
        .iter()
        .find(|peer| peer.peer == net.node(1).peer_id())
        .unwrap();
    assert!(peer.is_level(), "{peer:?}");
}

#[test]
fn whatever_would_read_is_refused_in_a_replica() {
    let mut net = net();
    net.connect(0, 1);
    net.put(0, json!({"_id": "bob"}));
    net.run();
    let replica = net.db(1);
    let refusals = [
        replica.collection("Thing").map(drop),
        replica.collections().map(drop),
        replica.begin().map(drop),
        replica.begin_read().map(drop),
        replica.leave(),
        replica.invite(&InviteOptions::new(Role::Read)).map(drop),
    ];
    for refused in refusals {
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.to_string().contains("replica key"), "{error}");
    }
    let summary = &net.node(1).threads().unwrap()[0];
    assert!(!summary.can_read && summary.records > 0);
    let shown = replica
        .show(&replica.log(Some(1)).unwrap()[0].record)
        .unwrap();
    assert_eq!((shown.access, shown.format), ("blind", None));
}

#[test]
fn row_47_a_replica_never_sees_a_word() {
    const CANARIES: [&str; 4] = [
        "canary-value",
        "canary-entity",
        "canaryField",
        "CanaryThing",
    ];
    let mut net = net();
    net.connect(0, 1);
    net.connect(1, 2);
    let db = net.db(0).clone();
    let codec = "jsonpatch/1".parse().unwrap();
    let spec = threads_core::module::CollectionSpec::new("CanaryThing".parse().unwrap(), codec);
    let schema = json!({"type": "object", "properties": {"canaryField": {"type": "string"}}});
    db.define(&spec.with_schema(schema)).unwrap();
    let things = db.collection("CanaryThing").unwrap();
    things
        .create(&json!({"_id": "canary-entity", "canaryField": "canary-value"}))
        .unwrap();
    net.run();
    let contains = |node: usize, canary: &str| {
        let traces = net.traces(node);
        traces
            .windows(canary.len())
            .any(|window| window == canary.as_bytes())
    };
    for canary in CANARIES {
        assert!(
            contains(2, canary),
            "a reader has {canary}: the search works"
        );
        assert!(!contains(1, canary), "the replica has {canary}");
    }
}

#[test]
fn a_replicas_export_restores_where_the_keys_are() {
    let mut net = net();
    net.connect(0, 1);
    net.put(0, json!({"_id": "bob"}));
    net.run();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("thread.car");
    let file = std::fs::File::create(&path).unwrap();
    let options = ExportOptions::default();
    net.db(1).export(file, &options, &mut |_| ()).unwrap();
    let options = RestoreOptions::default();
    net.node(2).restore(&path, &options, &mut |_| ()).unwrap();
    assert_eq!(net.get(2, "bob"), Some(json!({"_id": "bob"})));
}
