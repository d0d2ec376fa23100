//! Replicas: peers that keep and serve what they cannot read.

use serde_json::json;
use threads_core::ErrorKind;
use threads_db::{ExportOptions, InviteOptions, RestoreOptions, Role};

use crate::net::{How, Net};

/// A writer (0), a replica (1) and a reader (2), of whom only neighbours ever meet.
pub(crate) fn net() -> Net {
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

/// A writer (0) and two replicas, of which the second is opened in this way.
pub(crate) fn with_quota(how: How) -> Net {
    let mut net = Net::new(2);
    net.add(how);
    let db = net.node(0).create("secrets").unwrap();
    net.use_thread(0, db);
    for node in 1..3 {
        let options = InviteOptions::new(Role::Replicate).to(net.node(node).card());
        let invite = net.db(0).invite(&options).unwrap();
        let joined = net.node(node).join(&invite, None).unwrap();
        net.use_thread(node, joined.db().unwrap());
    }
    net
}

#[test]
fn a_replica_that_is_full_says_so_and_keeps_what_it_acknowledged() {
    let mut net = with_quota(|builder| builder.replica_quota(20_000));
    net.connect(0, 1);
    net.connect(0, 2);
    net.put(0, json!({"_id": "first"}));
    net.run();
    let status = |net: &Net| {
        let peer = net.node(2).peer_id();
        let peers = net.db(0).sync_status().unwrap().peers;
        peers.into_iter().find(|one| one.peer == peer).unwrap()
    };
    assert!(status(&net).is_level() && !status(&net).full);

    let text = "x".repeat(1_000);
    for n in 0..60 {
        net.put(0, json!({"_id": format!("x{n}"), "text": text}));
        net.run();
    }
    let full = status(&net);
    assert!(full.full && full.lacks > 20, "{full:?}");
    let kept = net.node(2).kept_for_others().unwrap();
    assert!((20_000..22_000).contains(&kept), "{kept}");
    assert!(net.node(1).kept_for_others().unwrap() > 60_000);
    let acked = |net: &Net| {
        let peer = net.node(2).peer_id();
        let logs = net.db(0).sync_status().unwrap().logs;
        logs.iter().map(|log| log.acked[&peer]).sum::<u64>()
    };
    let have = net.db(2).sync_status().unwrap();
    let have: u64 = have.logs.iter().map(|log| log.have).sum();
    assert_eq!(acked(&net), have, "what it acknowledged is there");
    assert!(net.db(2).verify(&mut |_| ()).unwrap().is_clean());

    // It is not sent payload again and again, and neither pulls nor asks.
    let before = net.received(2);
    for _ in 0..10 {
        net.run();
    }
    let more = net.received(2) - before;
    assert!(more < 2_000, "{more} bytes for nothing");
    net.part(0, 2);
    net.run();
    net.connect(0, 2);
    net.run();
    assert_eq!(acked(&net), have);
    assert!(status(&net).full);
}

#[test]
fn a_quota_is_for_threads_that_cannot_be_read_and_more_room_is_used() {
    let mut net = with_quota(|builder| builder.replica_quota(1));
    net.connect(0, 2);
    // What comes in one page it keeps, even if that makes it full.
    for id in ["a", "more"] {
        net.put(0, json!({"_id": id}));
        net.run();
    }
    assert!(
        net.db(0)
            .sync_status()
            .unwrap()
            .peers
            .iter()
            .any(|peer| peer.full)
    );
    // Its own thread, and one that it can read, it keeps in full.
    let own = net.node(2).create("own").unwrap();
    own.share_with(&net.node(0).peer_id()).unwrap();
    let shared = net.node(0).create("shared").unwrap();
    shared.share_with(&net.node(2).peer_id()).unwrap();
    let read = net.node(2).add_thread("shared", &shared.keys()).unwrap();
    read.share_with(&net.node(0).peer_id()).unwrap();
    let spec = threads_core::module::CollectionSpec::new(
        "C".parse().unwrap(),
        "jsonpatch/1".parse().unwrap(),
    );
    for db in [&own, &shared] {
        db.define(&spec).unwrap();
    }
    net.run();
    assert!(read.collection("C").is_ok() && own.collection("C").is_ok());

    // Opened again with more room, it gets the rest.
    net.reopen(2, |builder| builder.replica_quota(1 << 20));
    net.connect(0, 2);
    net.put(0, json!({"_id": "b"}));
    net.run();
    let peers = net.db(0).sync_status().unwrap().peers;
    let peer = peers
        .iter()
        .find(|peer| peer.peer == net.node(2).peer_id())
        .unwrap();
    assert!(peer.is_level() && !peer.full, "{peer:?}");
}
