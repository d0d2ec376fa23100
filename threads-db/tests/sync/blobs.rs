//! Blobs between peers: got on demand by who reads, kept by replicas, whole in the end or not at all.

use std::time::Duration;

use serde_bytes::ByteBuf;
use serde_json::json;
use threads_core::block::{decode, encode};
use threads_core::datastore::{Datastore, DatastoreExt, Direction, Durability, Keyspace, WriteTxn};
use threads_core::{Error, ErrorKind};
use threads_db::Db;

use crate::net::{Net, Reply};
use crate::{access, replicas};

const KIB: usize = 1_024;

/// Content without repetition.
pub(crate) fn content(bytes: usize, seed: u8) -> Vec<u8> {
    let mut state = u64::from(seed) << 32 | 0x9e37_79b9;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..bytes).map(|_| next()).collect()
}

fn out(db: &Db, named: &threads_core::blob::BlobRef) -> Vec<u8> {
    let mut out = Vec::new();
    db.blobs().get(named, &mut out).unwrap();
    out
}

/// The bytes of blobs' rows in the store of a node.
fn kept(net: &Net, node: usize) -> usize {
    let txn = net.store(node).read().unwrap();
    let all = (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
    let rows = txn.scan(Keyspace::Blobs, all, Direction::Forward).unwrap();
    rows.map(|row| row.unwrap().1.len()).sum()
}

#[test]
fn a_reader_gets_what_it_asks_for_and_nothing_else() {
    let mut net = Net::new(2);
    net.shared_thread();
    net.connect_all();
    net.run();
    let (wanted, other) = (content(3_000 * KIB, 1), content(500 * KIB, 2));
    let named = net.db(0).blobs().put(&wanted[..]).unwrap();
    net.db(0).blobs().put(&other[..]).unwrap();
    net.put(0, json!({"_id": "a", "picture": named}));
    net.run();
    assert!(net.get(1, "a").is_some());
    assert!(kept(&net, 1) < KIB, "no byte of a blob comes unasked");
    let early = net.db(1).blobs().get(&named, std::io::sink()).unwrap_err();
    assert_eq!(early.kind(), ErrorKind::Unavailable);

    net.db(1).blobs().fetch(named.cid()).unwrap();
    net.run();
    assert!(out(net.db(1), &named) == wanted);
    assert!(kept(&net, 1) < wanted.len() + 20 * KIB);
    net.db(1)
        .blobs()
        .await_whole(named.cid(), Duration::ZERO, &mut |_| ())
        .unwrap();
    assert!(net.machine(0).is_settled() && net.machine(1).is_settled());
}

#[test]
fn a_replica_brings_blobs_from_one_to_another_who_never_meet_and_reads_none() {
    let mut net = replicas::net();
    let (large, small) = (content(2_500 * KIB, 1), b"canary-in-a-blob".to_vec());
    net.connect(0, 1);
    net.run();
    let blobs = net.db(0).blobs();
    let named = [&large, &small].map(|content| blobs.put(&content[..]).unwrap());
    net.put(0, json!({"_id": "album", "pictures": named}));
    net.run();
    for one in &named {
        assert!(
            net.db(1).blobs().has(one.cid()).unwrap(),
            "without being asked to"
        );
    }
    assert!(
        net.node(1).kept_for_others().unwrap() > large.len() as u64,
        "it is counted"
    );
    net.part(0, 1);
    net.run();

    net.connect(1, 2);
    net.run();
    let album = net.get(2, "album").unwrap();
    for (index, content) in [&large, &small].into_iter().enumerate() {
        let named = album["pictures"][index].clone();
        let named: threads_core::blob::BlobRef = serde_json::from_value(named).unwrap();
        net.db(2).blobs().fetch(named.cid()).unwrap();
        net.run();
        assert!(out(net.db(2), &named) == *content);
        assert!(
            net.db(1).blobs().open(&named).is_ok(),
            "who is given the reference can read it"
        );
        let unread = net.db(1).blobs().put(&b"x"[..]).unwrap_err();
        assert_eq!(unread.kind(), ErrorKind::Unsupported);
    }
    let traces = net.traces(1);
    assert!(!traces.windows(small.len()).any(|window| window == small));
}

#[test]
fn what_was_broken_off_goes_on_where_it_was() {
    let mut net = Net::new(2);
    net.shared_thread();
    let content = content(6_000 * KIB, 1);
    let named = net.db(0).blobs().put(&content[..]).unwrap();
    net.db(1).blobs().fetch(named.cid()).unwrap();
    // The fifth part goes through, and then the connection is gone.
    net.tamper(0, Some(only_the_first));
    net.connect(0, 1);
    net.run_for(20_000);
    let before = net.db(1).blobs().missing(named.cid()).unwrap();
    assert_eq!(before.size, Some(content.len() as u64));
    assert!(
        before.blocks > 0 && before.bytes < content.len() as u64,
        "{before:?}"
    );
    net.part(0, 1);
    net.run();
    net.tamper(0, None);
    let received = net.frames(1).len();

    net.reopen(1, |builder| builder);
    net.open_again(1);
    net.connect(0, 1);
    net.run();
    assert!(out(net.db(1), &named) == content);
    let again = net.frames(1).len();
    let missing = before.bytes as usize;
    assert!(
        again < missing + 100 * KIB,
        "{again} bytes for {missing} that were missing"
    );
    assert!(received > 0);
}

/// Flips a bit in the first chunks of blobs that a node has, so many of them.
fn damage(net: &Net, node: usize, chunks: usize) {
    let all = (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
    let rows: Vec<_> = {
        let txn = net.store(node).read().unwrap();
        let rows = txn.scan(Keyspace::Blobs, all, Direction::Forward).unwrap();
        let rows = rows
            .map(|row| row.unwrap())
            .filter(|(_, value)| value.len() > 100 * KIB);
        rows.map(|(key, value)| (key.into_owned(), value.into_owned()))
            .take(chunks)
            .collect()
    };
    assert_eq!(rows.len(), chunks);
    let flip = |txn: &mut dyn WriteTxn| {
        let mut rows = rows.into_iter();
        rows.try_for_each(|(key, mut value)| {
            value[KIB] ^= 1;
            txn.put(Keyspace::Blobs, &key, &value)
        })
    };
    net.store(node).transact(Durability::Group, flip).unwrap();
}

#[test]
fn what_is_damaged_is_fetched_again_and_never_given_to_others() {
    let mut net = Net::new(2);
    net.shared_thread();
    net.connect_all();
    net.run();
    let content = content(3_000 * KIB, 7);
    let named = net.db(0).blobs().put(&content[..]).unwrap();
    net.db(1).blobs().fetch(named.cid()).unwrap();
    net.run();
    assert!(out(net.db(1), &named) == content);

    damage(&net, 1, 2);
    let error = net.db(1).blobs().get(&named, std::io::sink()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let before = net.frames(1).len();
    net.db(1).blobs().fetch(named.cid()).unwrap();
    net.run();
    assert!(out(net.db(1), &named) == content);
    let again = net.frames(1).len() - before;
    assert!(again < 700 * KIB, "{again} bytes for two chunks");

    damage(&net, 0, 2);
    net.db(1).blobs().remove(named.cid()).unwrap();
    net.db(1).blobs().fetch(named.cid()).unwrap();
    net.run();
    let missing = net.db(1).blobs().missing(named.cid()).unwrap();
    assert_eq!(missing.blocks, 2, "the others came");
    assert!(net.connected(0, 1), "a disk that fails is no forgery");
    net.db(0).blobs().put(&content[..]).unwrap();
    net.run();
    assert!(out(net.db(1), &named) == content);
}

#[test]
fn row_60_the_keeper_of_a_replica_clears_what_it_cannot_read_and_nobody_else_can() {
    let mut net = replicas::net();
    net.connect(0, 1);
    net.run();
    let (first, second) = (content(500 * KIB, 1), content(600 * KIB, 2));
    let old = net.db(0).blobs().put(&first[..]).unwrap();
    let pinned = net.db(0).blobs().put(&b"pinned"[..]).unwrap();
    net.run();
    net.db(1).blobs().pin(pinned.cid(), true).unwrap();
    net.run_for(3_600_000);
    let new = net.db(0).blobs().put(&second[..]).unwrap();
    // What a member clears is no word to the replica.
    net.db(0).blobs().remove(pinned.cid()).unwrap();
    net.run();
    let (blobs, has) = (net.db(1).blobs(), |named: &threads_core::blob::BlobRef| {
        net.db(1).blobs().has(named.cid()).unwrap()
    });
    assert!(has(&old) && has(&pinned) && has(&new));
    let cleared = blobs.clear(Duration::ZERO).unwrap();
    assert_eq!(cleared.blobs, 0, "it cannot tell what is named");

    let before = net.node(1).kept_for_others().unwrap();
    let cleared = blobs.clear_unread(Duration::from_secs(1_800)).unwrap();
    assert_eq!(cleared.blobs, 1);
    assert!(!has(&old) && has(&pinned) && has(&new));
    let after = net.node(1).kept_for_others().unwrap();
    assert_eq!(after, before - cleared.bytes);
    let error = net.db(0).blobs().clear_unread(Duration::ZERO).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    net.run();
    assert!(
        !net.db(1).blobs().has(old.cid()).unwrap(),
        "it does not come back by itself"
    );
}

/// The manifest, and the first of the chunks that are asked for; of the others nothing for now.
fn only_the_first(request: &[u8], reply: Reply) -> Reply {
    let Ok(Blocks::Blocks(_, cids)) = decode(request) else {
        return reply;
    };
    let manifest = cids.len() == 1;
    let first: Option<Given> = reply.as_ref().ok().and_then(|reply| decode(reply).ok());
    match first {
        Some(Given::Blocks(mut blocks)) if !manifest => {
            blocks.truncate(1);
            FIRST.with(|seen| match seen.replace(seen.get() + 1) < 2 {
                true => encode(&Given::Blocks(blocks)),
                false => Err(Error::unavailable("the connection was lost")),
            })
        }
        _ => reply,
    }
}

thread_local! {
    static FIRST: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Blocks {
    Blocks(crate::frames::Claim, Vec<threads_core::Cid>),
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Given {
    Blocks(Vec<ByteBuf>),
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Told {
    Blobs((u64, u64), Vec<(u64, threads_core::Cid)>),
}

/// Other bytes for everything that it is asked for.
fn forges(_: &[u8], reply: Reply) -> Reply {
    match reply.as_ref().ok().and_then(|reply| decode(reply).ok()) {
        Some(Given::Blocks(mut blocks)) => {
            for block in &mut blocks {
                if let Some(byte) = block.first_mut() {
                    *byte ^= 1;
                }
            }
            encode(&Given::Blocks(blocks))
        }
        None => reply,
    }
}

#[test]
fn row_59_who_gives_other_bytes_is_cut_off_and_the_blob_comes_from_another() {
    let mut net = Net::new(3);
    net.shared_thread();
    let content = content(2_000 * KIB, 1);
    let named = net.db(0).blobs().put(&content[..]).unwrap();
    net.db(1).blobs().keep_all(true).unwrap();
    net.connect(0, 1);
    net.run();
    assert!(net.db(1).blobs().has(named.cid()).unwrap());

    net.tamper(0, Some(forges));
    net.db(2).blobs().fetch(named.cid()).unwrap();
    net.connect(0, 2);
    net.run();
    assert!(!net.db(2).blobs().has(named.cid()).unwrap());
    assert_eq!(net.cut_off(), [(2, net.node(0).peer_id())]);
    assert!(kept(&net, 2) < KIB, "nothing of it is kept");
    net.connect(1, 2);
    net.run();
    assert!(out(net.db(2), &named) == content);
}

/// A list without an end, of blobs that are nowhere.
fn lists_for_ever(_: &[u8], reply: Reply) -> Reply {
    match reply.as_ref().ok().and_then(|reply| decode(reply).ok()) {
        Some(Told::Blobs(..)) => LISTED.with(|listed| {
            let first = listed.replace(listed.get() + 1_000);
            let cid = |n: u64| {
                let bytes = n.to_be_bytes();
                (
                    n,
                    threads_core::block::cid_of(threads_core::block::DAG_CBOR, &bytes),
                )
            };
            let blobs = (first + 1..=first + 1_000).map(cid).collect();
            encode(&Told::Blobs((7, u64::MAX), blobs))
        }),
        None => reply,
    }
}

thread_local! {
    static LISTED: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

#[test]
fn a_list_without_end_is_taken_in_part_and_what_its_teller_has_not_is_forgotten() {
    let mut net = Net::new(2);
    net.shared_thread();
    net.db(1).blobs().keep_all(true).unwrap();
    net.db(0).blobs().put(&b"one"[..]).unwrap();
    net.tamper(0, Some(lists_for_ever));
    net.connect(0, 1);
    net.run_for(5_000);
    let most = net.db(1).blobs().list().unwrap().len();
    assert!(most <= 4_096, "{most} blobs are wanted");
    net.part(0, 1);
    net.run();
    net.tamper(0, None);
    net.connect(0, 1);
    net.run();
    let left = net.db(1).blobs().list().unwrap().len();
    assert!(left <= 2, "{left} are wanted that nobody has");
}

#[test]
fn two_whose_lists_end_with_what_is_gone_come_to_rest() {
    let mut net = Net::new(2);
    net.shared_thread();
    for node in [0, 1] {
        net.db(node).blobs().keep_all(true).unwrap();
    }
    let kept = net.db(0).blobs().put(&content(100, 1)[..]).unwrap();
    net.connect_all();
    net.run();
    assert!(net.db(1).blobs().has(kept.cid()).unwrap());
    net.part(0, 1);
    net.run();
    for node in [0, 1] {
        let blobs = net.db(node).blobs();
        let gone = blobs.put(&content(100, node as u8 + 2)[..]).unwrap();
        blobs.remove(gone.cid()).unwrap();
    }
    net.connect(0, 1);
    net.run_for(20_000);
    let sent = net.frames(0).len();
    assert!(sent < 4 * KIB, "{sent} bytes for next to nothing");
}

#[test]
fn who_was_removed_is_told_of_nothing_and_given_nothing() {
    let mut net = access::team();
    net.connect_all();
    net.run();
    let before = net
        .db(access::ROOT)
        .blobs()
        .put(&b"while it was in"[..])
        .unwrap();
    net.run();
    access::remove(net.db(access::ROOT), net.node(access::WRITER).peer_id());
    net.run();
    let blobs = net.db(access::ROOT).blobs();
    let after = blobs.put(&b"after it went"[..]).unwrap();
    let removed = net.db(access::WRITER).blobs();
    for cid in [before.cid(), after.cid()] {
        removed.fetch(cid).unwrap();
        net.db(access::OTHER).blobs().fetch(cid).unwrap();
    }
    net.run();
    for cid in [before.cid(), after.cid()] {
        assert!(!removed.has(cid).unwrap());
        assert!(
            net.db(access::OTHER).blobs().has(cid).unwrap(),
            "who stayed gets it"
        );
    }
}

#[test]
fn a_replica_that_is_full_takes_no_more_of_blobs_either() {
    let mut net = replicas::with_quota(|builder| builder.replica_quota(400_000));
    let content = content(3_000 * KIB, 1);
    let named = net.db(0).blobs().put(&content[..]).unwrap();
    net.connect(0, 2);
    net.run();
    let replica = 2;
    let kept = net.node(replica).kept_for_others().unwrap();
    // What came in the reply that filled it is kept.
    assert!((400_000..1_800_000).contains(&kept), "{kept}");
    assert!(!net.db(replica).blobs().has(named.cid()).unwrap());
}
