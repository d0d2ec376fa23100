//! Newcomers that begin with a snapshot which peers keep.

use serde_bytes::ByteBuf;
use serde_json::json;
use threads_core::block::{decode, encode};
use threads_core::{Cid, Error, PeerId};
use threads_db::sync::SyncStatus;
use threads_db::{
    CompactOptions, FromSnapshot, InviteOptions, JoinOptions, Keep, NotOpened, Role, SnapshotTrust,
};

use crate::net::{Net, Reply};
use crate::{access, blobs};

const ANN: usize = 0;
const OTHER: usize = 1;
const NEW: usize = 2;

/// Ann, who wrote something, another peer of the role, and somebody who is to join.
fn net(other: Role) -> Net {
    let mut net = Net::new(3);
    let db = net.node(ANN).create("diary").unwrap();
    net.use_thread(ANN, db);
    for n in 0..40 {
        net.put(ANN, json!({"_id": "x", "n": n}));
    }
    let options = InviteOptions::new(other).to(net.node(OTHER).card());
    let invite = net.db(ANN).invite(&options).unwrap();
    let joined = net.node(OTHER).join(&invite, None).unwrap();
    net.use_thread(OTHER, joined.db().unwrap());
    net.connect(ANN, OTHER);
    net.run();
    net
}

/// Has the newcomer join, by an invite of Ann's, and begin with what these signed.
fn join(net: &mut Net, trust: SnapshotTrust) {
    let options = InviteOptions::new(Role::Write).to(net.node(NEW).card());
    let invite = net.db(ANN).invite(&options).unwrap();
    let mut how = JoinOptions::default();
    how.from_snapshot = Some(trust);
    let joined = net.node(NEW).join_with(&invite, &how).unwrap();
    let other = net.node(OTHER).peer_id();
    let db = joined.db().unwrap();
    db.share_with(&other).unwrap();
    net.use_thread(NEW, db);
}

fn status(net: &Net) -> SyncStatus {
    net.db(NEW).sync_status().unwrap()
}

fn outcome(net: &Net) -> FromSnapshot {
    status(net).from_snapshot.unwrap()
}

fn opened(snapshot: Cid, signers: &[PeerId]) -> FromSnapshot {
    FromSnapshot::Opened {
        snapshot,
        signers: signers.to_vec(),
    }
}

fn why(net: &Net) -> NotOpened {
    match outcome(net) {
        FromSnapshot::Not { why, .. } => why,
        other => panic!("{other:?}"),
    }
}

/// Whether it has all that Ann has, and what it has is right.
fn has_it_all(net: &Net) {
    for id in ["x", "late", "mine"] {
        assert_eq!(net.get(NEW, id), net.get(ANN, id), "{id}");
    }
    assert!(net.get(NEW, "x").is_some());
    let problems = net.db(NEW).verify(&mut |_| ()).unwrap().problems;
    assert_eq!(problems, []);
}

fn is_level_with_ann(net: &Net) {
    let ann = net.node(ANN).peer_id();
    let status = status(net);
    let peer = status.peers.iter().find(|peer| peer.peer == ann);
    assert!(peer.unwrap().is_level(), "{status:?}");
}

#[test]
fn a_newcomer_opens_from_what_its_inviter_keeps_and_gets_the_rest() {
    let mut net = net(Role::Write);
    let snapshot = net.db(ANN).snapshot().unwrap();
    net.put(ANN, json!({"_id": "late", "n": 1}));
    join(&mut net, SnapshotTrust::inviter());
    assert_eq!(outcome(&net), FromSnapshot::Looking);
    net.connect(ANN, NEW);
    net.run();
    assert_eq!(
        outcome(&net),
        opened(snapshot.id, &[net.node(ANN).peer_id()])
    );
    has_it_all(&net);
    assert!(net.records(NEW) < 15, "{} records", net.records(NEW));
    let base = net.db(NEW).base().unwrap().unwrap();
    assert_eq!(base.snapshot, snapshot.id);
    assert!(base.dropped > 20, "{base:?}");

    // It takes part, and says so.
    net.put(NEW, json!({"_id": "mine"}));
    net.run();
    assert!(net.get(ANN, "mine").is_some());
    let new = net.node(NEW).peer_id();
    let members = net.db(ANN).members().unwrap();
    assert!(members.iter().any(|member| member.peer == new));
    is_level_with_ann(&net);
    assert!(net.machine(NEW).is_settled() && net.machine(ANN).is_settled());
}

#[test]
fn it_comes_through_a_replica_that_cannot_read_it() {
    let mut net = net(Role::Replicate);
    let snapshot = net.db(ANN).snapshot().unwrap();
    net.put(ANN, json!({"_id": "late", "n": 1}));
    join(&mut net, SnapshotTrust::inviter());
    net.run();
    assert_eq!(
        net.db(OTHER).blobs().list().unwrap().len(),
        1,
        "it keeps it"
    );
    net.part(ANN, OTHER);
    net.run();
    net.connect(OTHER, NEW);
    net.run();
    assert_eq!(
        outcome(&net),
        opened(snapshot.id, &[net.node(ANN).peer_id()])
    );
    has_it_all(&net);
    let traces = net.traces(OTHER);
    let id = snapshot.id.to_bytes();
    assert!(!traces.windows(id.len()).any(|window| window == id));
}

#[test]
fn of_older_snapshots_their_signer_keeps_nothing() {
    let mut net = net(Role::Replicate);
    for n in 0..5 {
        net.put(ANN, json!({"_id": "late", "n": n}));
        net.db(ANN).snapshot().unwrap();
        net.run();
    }
    assert_eq!(net.db(ANN).blobs().list().unwrap().len(), 2);
    // Nobody has a replica take anything away.
    assert_eq!(net.db(OTHER).blobs().list().unwrap().len(), 5);
    let grace = std::time::Duration::ZERO;
    assert_eq!(net.db(ANN).blobs().clear(grace).unwrap().blobs, 0);
    join(&mut net, SnapshotTrust::inviter());
    net.part(ANN, OTHER);
    net.run();
    net.connect(OTHER, NEW);
    net.run();
    let newest = net.db(ANN).snapshots().unwrap()[0].id;
    assert_eq!(outcome(&net), opened(newest, &[net.node(ANN).peer_id()]));
}

#[test]
fn where_nobody_keeps_one_all_records_come() {
    let mut net = net(Role::Write);
    join(&mut net, SnapshotTrust::inviter());
    net.connect(ANN, NEW);
    net.run();
    assert_eq!(why(&net), NotOpened::NoneOffered);
    has_it_all(&net);
    assert!(net.db(NEW).base().unwrap().is_none());
    is_level_with_ann(&net);
    let new = net.node(NEW).peer_id();
    let members = net.db(ANN).members().unwrap();
    assert!(members.iter().any(|member| member.peer == new));
}

#[test]
fn who_invited_may_come_later_than_who_cannot_read() {
    let mut net = net(Role::Replicate);
    net.part(ANN, OTHER);
    net.run();
    let snapshot = net.db(ANN).snapshot().unwrap();
    join(&mut net, SnapshotTrust::inviter());
    net.connect(OTHER, NEW);
    net.run_for(20_000);
    assert_eq!(outcome(&net), FromSnapshot::Looking);
    net.connect(ANN, NEW);
    net.run();
    assert_eq!(
        outcome(&net),
        opened(snapshot.id, &[net.node(ANN).peer_id()])
    );
    has_it_all(&net);
}

#[test]
fn who_never_comes_is_waited_for_no_more_than_a_minute() {
    let mut net = net(Role::Replicate);
    join(&mut net, SnapshotTrust::inviter());
    net.part(ANN, OTHER);
    net.connect(OTHER, NEW);
    net.run_for(70_000);
    net.run();
    assert_eq!(why(&net), NotOpened::NoneOffered);
    has_it_all(&net);
}

#[test]
fn who_compacted_before_anybody_shared_the_thread_offers_a_snapshot_to_whom_it_invites() {
    let mut net = Net::new(3);
    let db = net.node(ANN).create("diary").unwrap();
    net.use_thread(ANN, db);
    for n in 0..40 {
        net.put(ANN, json!({"_id": "x", "n": n}));
    }
    let did = net
        .db(ANN)
        .compact(&CompactOptions::new(Keep::Latest), &mut |_| ());
    assert!(did.unwrap().dropped > 10);
    net.put(ANN, json!({"_id": "late", "n": 1}));
    assert!(net.db(ANN).blobs().list().unwrap().is_empty());
    join(&mut net, SnapshotTrust::inviter());
    net.connect(ANN, NEW);
    net.run();
    let newest = net.db(ANN).snapshots().unwrap()[0].id;
    assert_eq!(outcome(&net), opened(newest, &[net.node(ANN).peer_id()]));
    has_it_all(&net);
}

#[test]
fn who_compacts_after_it_invited_is_warned_and_offers_a_snapshot_to_whom_comes() {
    let mut net = Net::new(3);
    let db = net.node(ANN).create("diary").unwrap();
    net.use_thread(ANN, db);
    for n in 0..40 {
        net.put(ANN, json!({"_id": "x", "n": n}));
    }
    let options = InviteOptions::new(Role::Write).to(net.node(NEW).card());
    let invite = net.db(ANN).invite(&options).unwrap();
    let mut options = CompactOptions::new(Keep::Latest);
    let refused = net.db(ANN).compact(&options, &mut |_| ()).unwrap_err();
    assert!(refused.to_string().contains("invited"), "{refused}");
    options.even_alone = true;
    net.db(ANN).compact(&options, &mut |_| ()).unwrap();
    net.put(ANN, json!({"_id": "late", "n": 1}));

    let mut how = JoinOptions::default();
    how.from_snapshot = Some(SnapshotTrust::inviter());
    let joined = net.node(NEW).join_with(&invite, &how).unwrap();
    net.use_thread(NEW, joined.db().unwrap());
    net.connect(ANN, NEW);
    net.run();
    assert!(matches!(outcome(&net), FromSnapshot::Opened { .. }));
    has_it_all(&net);
}

thread_local! {
    static ASKED: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Asks {
    Snapshots(ByteBuf, Vec<(PeerId, u64)>),
}

fn is_ask(request: &[u8]) -> bool {
    let asked = matches!(decode(request), Ok(Asks::Snapshots(claim, known)) if claim.len() == 32 && known.len() < 65);
    ASKED.with(|count| count.set(count.get() + u64::from(asked)));
    asked
}

/// Knows no such question.
fn is_older(request: &[u8], reply: Reply) -> Reply {
    match is_ask(request) {
        true => Err(Error::unavailable("it does not decode")),
        false => reply,
    }
}

#[test]
fn who_knows_no_snapshots_is_asked_once() {
    let mut net = net(Role::Replicate);
    net.tamper(OTHER, Some(is_older));
    net.part(ANN, OTHER);
    net.connect(ANN, OTHER);
    ASKED.set(0);
    for n in 0..6 {
        net.put(ANN, json!({"_id": "late", "n": n}));
        net.db(ANN).snapshot().unwrap();
        net.db(ANN).blobs().put(&[n; 100][..]).unwrap();
        net.run();
    }
    assert_eq!(ASKED.get(), 1);
}

/// What is asked about snapshots, and no part of any.
fn counts_and_keeps_back(request: &[u8], reply: Reply) -> Reply {
    is_ask(request);
    keeps_back(request, reply)
}

#[test]
fn two_who_each_know_of_one_that_neither_has_do_not_ask_without_end() {
    const REPLICA: usize = 3;
    let mut net = net(Role::Write);
    let mut replicas = Vec::new();
    for node in [NEW, REPLICA] {
        if node == REPLICA {
            net.add(|builder| builder);
        }
        let options = InviteOptions::new(Role::Replicate).to(net.node(node).card());
        let invite = net.db(ANN).invite(&options).unwrap();
        let joined = net.node(node).join(&invite, None).unwrap();
        net.use_thread(node, joined.db().unwrap());
        replicas.push(net.node(node).peer_id());
    }
    for signer in [ANN, OTHER] {
        for replica in &replicas {
            net.db(signer).share_with(replica).unwrap();
        }
    }
    for replica in [NEW, REPLICA] {
        for peer in [ANN, OTHER, NEW, REPLICA] {
            let peer = net.node(peer).peer_id();
            if peer != net.node(replica).peer_id() {
                net.db(replica).share_with(&peer).unwrap();
            }
        }
    }
    net.connect(ANN, NEW);
    net.connect(OTHER, REPLICA);
    net.run();
    net.part(ANN, OTHER);
    [ANN, OTHER]
        .iter()
        .for_each(|node| net.tamper(*node, Some(keeps_back)));
    net.put(ANN, json!({"_id": "late", "n": 1}));
    net.put(OTHER, json!({"_id": "late", "n": 2}));
    net.db(ANN).snapshot().unwrap();
    net.db(OTHER).snapshot().unwrap();
    net.run_for(5_000);
    net.part(ANN, NEW);
    net.part(OTHER, REPLICA);
    net.run_for(1_000);
    [NEW, REPLICA]
        .iter()
        .for_each(|node| net.tamper(*node, Some(counts_and_keeps_back)));
    ASKED.set(0);
    net.connect(NEW, REPLICA);
    net.run_for(20_000);
    assert!(ASKED.get() < 10, "{}", ASKED.get());
}

#[test]
fn what_others_signed_than_those_who_are_trusted_counts_for_nothing() {
    let mut net = net(Role::Write);
    net.db(OTHER).snapshot().unwrap();
    net.run();
    join(&mut net, SnapshotTrust::inviter());
    net.connect(OTHER, NEW);
    net.connect(ANN, NEW);
    net.run();
    assert_eq!(why(&net), NotOpened::NoneOffered);
    has_it_all(&net);
}

#[test]
fn two_have_to_say_the_same_where_two_are_asked_for() {
    let mut net = net(Role::Write);
    let snapshot = net.db(ANN).snapshot().unwrap();
    net.run();
    let both = [ANN, OTHER].map(|node| net.node(node).peer_id());
    join(&mut net, SnapshotTrust::peers(both).at_least(2));
    net.connect(ANN, NEW);
    net.run_for(3_000);
    assert_eq!(outcome(&net), FromSnapshot::Looking, "one has");
    net.db(OTHER).sign_snapshot(&snapshot.id).unwrap();
    net.connect(OTHER, NEW);
    net.run();
    let FromSnapshot::Opened { signers, .. } = outcome(&net) else {
        panic!("{:?}", outcome(&net));
    };
    assert_eq!(signers.len(), 2);
    has_it_all(&net);
}

#[test]
fn who_writes_before_it_came_has_all_records_come() {
    let mut net = net(Role::Write);
    net.db(ANN).snapshot().unwrap();
    join(&mut net, SnapshotTrust::inviter());
    net.put(NEW, json!({"_id": "mine"}));
    net.connect(ANN, NEW);
    net.run();
    assert_eq!(why(&net), NotOpened::HasRecords);
    has_it_all(&net);
    assert!(net.get(ANN, "mine").is_some());
}

#[test]
fn a_newcomer_opens_from_what_a_compacted_peer_dropped_records_for() {
    let mut net = net(Role::Write);
    let mut options = CompactOptions::new(Keep::Latest);
    options.even_alone = true;
    let did = net.db(ANN).compact(&options, &mut |_| ()).unwrap();
    net.part(ANN, OTHER);
    net.put(ANN, json!({"_id": "late", "n": 1}));
    join(&mut net, SnapshotTrust::inviter());
    net.connect(ANN, NEW);
    net.run();
    let snapshot = did.snapshot.unwrap();
    assert_eq!(outcome(&net), opened(snapshot, &[net.node(ANN).peer_id()]));
    has_it_all(&net);
}

#[test]
fn with_rules_it_is_the_same() {
    let mut net = access::team();
    net.put(access::ROOT, json!({"_id": "x", "n": 1}));
    net.db(access::ROOT).snapshot().unwrap();
    net.run();
    net.add(|builder| builder.policy(threads_acl::Acl::new()));
    let (new, root) = (4, access::ROOT);
    let options = InviteOptions::new(Role::Write).to(net.node(new).card());
    let invite = net.db(root).invite(&options).unwrap();
    let mut how = JoinOptions::default();
    how.from_snapshot = Some(SnapshotTrust::inviter());
    let joined = net.node(new).join_with(&invite, &how).unwrap();
    net.use_thread(new, joined.db().unwrap());
    net.connect(root, new);
    net.run();
    let from = net.db(new).sync_status().unwrap().from_snapshot.unwrap();
    assert!(matches!(from, FromSnapshot::Opened { .. }), "{from:?}");
    assert_eq!(net.get(new, "x"), net.get(root, "x"));
    net.put(new, json!({"_id": "mine"}));
    net.run();
    assert!(net.get(root, "mine").is_some());
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Given {
    Blocks(Vec<ByteBuf>),
}

type Word = (PeerId, u64, Cid, u64, ByteBuf, ByteBuf);

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Told {
    Snapshots(Vec<Word>),
}

/// A signature that its peer has not made.
fn forges(_: &[u8], reply: Reply) -> Reply {
    match reply.as_ref().ok().and_then(|reply| decode(reply).ok()) {
        Some(Told::Snapshots(mut words)) => {
            for word in &mut words {
                word.5[7] ^= 1;
            }
            encode(&Told::Snapshots(words))
        }
        None => reply,
    }
}

#[test]
fn a_word_that_nobody_signed_is_its_tellers_fault_and_opens_nothing() {
    let mut net = net(Role::Replicate);
    net.db(ANN).snapshot().unwrap();
    join(&mut net, SnapshotTrust::inviter());
    net.run();
    net.tamper(OTHER, Some(forges));
    net.connect(OTHER, NEW);
    net.run();
    assert_eq!(net.cut_off()[0], (NEW, net.node(OTHER).peer_id()));
    assert_eq!(outcome(&net), FromSnapshot::Looking);
    net.connect(ANN, NEW);
    net.run();
    assert!(matches!(outcome(&net), FromSnapshot::Opened { .. }));
    has_it_all(&net);
}

/// Nothing of what the snapshot is made of.
fn keeps_back(_: &[u8], reply: Reply) -> Reply {
    match reply.as_ref().ok().and_then(|reply| decode(reply).ok()) {
        Some(Given::Blocks(blocks)) => {
            let nothing = blocks.iter().map(|_| ByteBuf::new()).collect();
            encode(&Given::Blocks(nothing))
        }
        None => reply,
    }
}

#[test]
fn where_its_content_does_not_come_all_records_do() {
    let mut net = net(Role::Write);
    let snapshot = net.db(ANN).snapshot().unwrap();
    join(&mut net, SnapshotTrust::inviter());
    net.tamper(ANN, Some(keeps_back));
    net.connect(ANN, NEW);
    net.run_for(30_000);
    assert!(matches!(outcome(&net), FromSnapshot::Fetching { .. }));
    net.run();
    net.run();
    let FromSnapshot::Not {
        snapshot: of, why, ..
    } = outcome(&net)
    else {
        panic!("{:?}", outcome(&net));
    };
    assert_eq!((of, why), (Some(snapshot.id), NotOpened::DidNotCome));
    has_it_all(&net);
    assert!(net.db(NEW).blobs().list().unwrap().is_empty());
}

/// Answers the first requests for parts, and none after that.
fn breaks_off(_: &[u8], reply: Reply) -> Reply {
    match reply.as_ref().ok().and_then(|reply| decode(reply).ok()) {
        Some(Given::Blocks(_)) => GIVEN.with(|given| match given.replace(given.get() + 1) < 3 {
            true => reply,
            false => Err(Error::unavailable("the connection was lost")),
        }),
        None => reply,
    }
}

thread_local! {
    static GIVEN: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

#[test]
fn what_was_broken_off_goes_on_where_it_was() {
    let mut net = net(Role::Write);
    for n in 0..10 {
        let text: String = blobs::content(300_000, n)
            .iter()
            .map(|byte| char::from(b'a' + byte % 26))
            .collect();
        net.put(ANN, json!({"_id": format!("large-{n}"), "text": text}));
    }
    net.run();
    let snapshot = net.db(ANN).snapshot().unwrap();
    join(&mut net, SnapshotTrust::inviter());
    net.tamper(ANN, Some(breaks_off));
    net.connect(ANN, NEW);
    net.run_for(20_000);
    let FromSnapshot::Fetching { missing, .. } = outcome(&net) else {
        panic!("{:?}", outcome(&net));
    };
    assert!(missing > 0 && missing < snapshot.bytes, "{missing}");
    net.part(ANN, NEW);
    net.run();
    net.tamper(ANN, None);

    net.reopen(NEW, |builder| builder);
    let name = net.node(NEW).threads().unwrap()[0].name.clone();
    let db = net.node(NEW).open(&name).unwrap();
    net.use_thread(NEW, db);
    net.connect(ANN, NEW);
    net.run();
    assert!(matches!(outcome(&net), FromSnapshot::Opened { .. }));
    assert_eq!(net.get(NEW, "large-7"), net.get(ANN, "large-7"));
    let again = net.frames(NEW).len() as u64;
    // What Ann pushes before she is told not to has at most 1 MiB.
    assert!(again < missing + 1_200_000, "{again} for {missing}");
    has_it_all(&net);
}
