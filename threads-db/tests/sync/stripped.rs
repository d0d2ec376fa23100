//! Records that came without what they said, for a reason that nobody who got them can look up.

use serde_json::json;
use threads_core::access::{Role, Scope, Subject};
use threads_core::block::{DAG_CBOR, cid_of, decode, encode};
use threads_core::{Error, PeerId};

use crate::access::{OTHER, REPLICA, ROOT, WRITER, team};
use crate::frames::Answer;
use crate::net::{Net, Reply};
use crate::purge::is;

const AUTHOR: usize = 0;
const STRIPPER: usize = 1;
const READER: usize = 2;
const LATER: usize = 3;

/// Hands records on without what they say.
pub(crate) fn strip(asked: &[u8], reply: Reply) -> Reply {
    if !is("pull", asked) {
        return reply;
    }
    match decode(&reply?) {
        Ok(Answer::Page(mut parcels, upto, more)) => {
            for (_, event, body) in &mut parcels {
                *event = Vec::new().into();
                *body = cid_of(DAG_CBOR, b"nobody knows").to_bytes().into();
            }
            encode(&Answer::Page(parcels, upto, more))
        }
        _ => Err(Error::unavailable("no page")),
    }
}

fn stripped(net: &Net, node: usize) -> u64 {
    net.db(node).sync_status().unwrap().emptied.stripped
}

fn write(net: &Net, ids: std::ops::Range<usize>) {
    for n in ids {
        net.put(AUTHOR, json!({"_id": format!("x{n}")}));
    }
}

/// How many records of the author's log a peer signed for.
fn signed(net: &Net, by: PeerId) -> Option<u64> {
    let logs = net.db(AUTHOR).sync_status().unwrap().logs;
    logs[0].signed.get(&by).copied()
}

/// An author, a peer that hands on what the author writes without what it says, a reader that has only that, and
/// a later one whom the reader alone can give something. Ten records, with the definition, the reader has whole.
fn beset() -> (Net, threads_core::ThreadId) {
    let mut net = Net::new(4);
    let id = net.shared_thread();
    net.connect(AUTHOR, STRIPPER);
    net.connect(STRIPPER, READER);
    write(&net, 0..9);
    net.run();
    net.tamper(STRIPPER, Some(strip));
    write(&net, 9..300);
    net.run();
    assert_eq!(stripped(&net, READER), 291);
    (net, id)
}

#[test]
fn what_was_stripped_on_the_way_is_got_whole_when_its_author_can_be_reached() {
    let (mut net, id) = beset();
    let reader = net.node(READER).peer_id();
    let status = net.db(READER).sync_status().unwrap();
    assert!(!status.is_in_sync() && status.emptied.purged == 0);
    assert_eq!(net.get(READER, "x8"), Some(json!({"_id": "x8"})));
    assert_eq!(net.get(READER, "x9"), None);

    net.connect(AUTHOR, READER);
    net.run_for(1_900);
    assert_eq!(stripped(&net, READER), 291, "it has not asked yet");
    assert_eq!(signed(&net, reader), Some(10), "for what is before");
    let last = net.db(AUTHOR).log(Some(1)).unwrap()[0].record;
    assert!(!net.db(AUTHOR).replicas_of(&last).unwrap().contains(&reader));

    net.run_for(30_000);
    net.connect(READER, LATER);
    net.run();
    assert_eq!(stripped(&net, READER) + stripped(&net, LATER), 0);
    net.assert_level(&id);
    assert_eq!(signed(&net, reader), Some(301));
    assert!(net.db(AUTHOR).replicas_of(&last).unwrap().contains(&reader));
    assert!(net.db(READER).verify(&mut |_| ()).unwrap().is_clean());
    assert!(net.cut_off().is_empty());
}

#[test]
fn who_is_connected_all_the_while_is_asked_when_it_has_it() {
    let mut net = Net::new(4);
    let id = net.shared_thread();
    net.connect(AUTHOR, STRIPPER);
    net.connect(STRIPPER, READER);
    net.connect(READER, LATER);
    net.run();
    net.tamper(STRIPPER, Some(strip));
    write(&net, 0..300);
    net.run();
    assert_eq!(stripped(&net, READER), 300);
    net.connect(AUTHOR, LATER);
    (0..3).for_each(|_| net.run());
    assert_eq!(stripped(&net, READER), 0);
    net.assert_level(&id);
}

#[test]
fn who_has_only_that_does_not_hand_it_on_and_is_blamed_by_nobody() {
    let (mut net, id) = beset();
    net.connect(READER, LATER);
    net.run();
    assert_eq!(stripped(&net, LATER), 0);
    assert_eq!(net.db(LATER).sync_status().unwrap().logs[0].have, 10);
    // However often it says what it has.
    for _ in 0..30 {
        net.part(READER, LATER);
        net.connect(READER, LATER);
        net.run_for(3_000);
    }
    assert!(net.cut_off().is_empty());

    // The two go on.
    net.put(LATER, json!({"_id": "theirs"}));
    net.run();
    assert!(net.get(READER, "theirs").is_some());
    net.connect(AUTHOR, READER);
    // Who was told that there is more hears of it again and again, less and less often.
    (0..6).for_each(|_| net.run());
    assert_eq!(stripped(&net, READER) + stripped(&net, LATER), 0);
    net.assert_level(&id);
}

#[test]
fn nobody_is_asked_for_it_for_ever_without_a_pause() {
    let (mut net, _) = beset();
    net.connect(READER, LATER);
    (0..10).for_each(|_| net.run());
    let (before, requests) = (net.received(READER), net.requests());
    for _ in 0..30 {
        net.run();
    }
    // It is five minutes then, for each of those who ask or are asked; a page is a hundred KiB.
    let requests = net.requests() - requests;
    assert!((1..60).contains(&requests), "{requests}");
    assert!(net.received(READER) < before + 10 * 128 * 1_024);
    assert!(net.cut_off().is_empty());
}

#[test]
fn what_was_emptied_by_a_purge_that_counts_no_more_is_handed_on_and_got_whole() {
    let mut net = team();
    let [writer, other] = [WRITER, OTHER].map(|node| Subject::Peer(net.node(node).peer_id()));
    let granted = net.db(ROOT).write(|txn| {
        txn.grant(writer, Scope::Thread, Role::Delete)?;
        txn.grant(other, Scope::Acl, Role::Write)
    });
    granted.unwrap();
    net.run();
    for node in [ROOT, WRITER, REPLICA] {
        net.part(OTHER, node);
    }
    net.put(WRITER, json!({"_id": "plan"}));
    net.run();
    net.part(ROOT, WRITER);
    net.part(ROOT, REPLICA);
    // The writer purges it, and the replica follows; the right to is taken meanwhile.
    let name = ("Thing".parse().unwrap(), "plan".parse().unwrap());
    assert_eq!(net.db(WRITER).purge([name]).unwrap().records, 1);
    net.put(WRITER, json!({"_id": "list"}));
    net.db(OTHER)
        .write(|txn| txn.revoke(writer, Scope::Thread, Role::Delete))
        .unwrap();
    net.run();
    let emptied = net.db(REPLICA).sync_status().unwrap().emptied;
    assert_eq!((emptied.purged, emptied.stripped), (1, 0));
    // Nobody here has it whole. Who comes is not kept from what is behind it: the purge says who would have it
    // so.
    net.part(WRITER, REPLICA);
    net.connect(REPLICA, OTHER);
    net.run();
    assert_eq!((stripped(&net, REPLICA), stripped(&net, OTHER)), (1, 1));
    assert!(net.get(OTHER, "list").is_some());

    // Root has it whole, and hears that the right was taken before it hears of the purge.
    net.connect(ROOT, OTHER);
    net.run();
    net.connect(ROOT, WRITER);
    (0..6).for_each(|_| net.run());
    for node in [WRITER, REPLICA, OTHER] {
        assert!(net.db(node).emptied().unwrap().is_empty(), "{node}");
    }
    for node in [ROOT, WRITER, OTHER] {
        assert!(net.get(node, "plan").is_some(), "{node}");
    }
    assert!(net.cut_off().is_empty());
}

#[test]
fn a_purge_far_behind_in_the_same_log_explains_it_to_those_who_come_later() {
    let mut net = team();
    for node in [WRITER, OTHER] {
        for other in (0..4).filter(|other| *other != node) {
            net.part(node, other);
        }
    }
    net.put(ROOT, json!({"_id": "note", "text": "CANARY"}));
    for n in 0..1_500 {
        net.put(ROOT, json!({"_id": "list", "n": n}));
    }
    let name = ("Thing".parse().unwrap(), "note".parse().unwrap());
    assert_eq!(net.db(ROOT).purge([name]).unwrap().records, 1);
    net.run();
    net.part(ROOT, REPLICA);
    // One after the other, each from the one before, which has not yet the end of it.
    net.connect(REPLICA, OTHER);
    net.connect(OTHER, WRITER);
    net.run();
    for node in [REPLICA, OTHER, WRITER] {
        let status = net.db(node).sync_status().unwrap();
        assert_eq!(
            (status.emptied.purged, status.emptied.stripped),
            (1, 0),
            "{node}"
        );
        assert!(
            net.db(node).verify(&mut |_| ()).unwrap().is_clean(),
            "{node}"
        );
    }
    for node in [OTHER, WRITER] {
        assert_eq!(net.get(node, "list"), net.get(ROOT, "list"), "{node}");
        assert_eq!(net.get(node, "note"), None, "{node}");
    }
    assert!(net.cut_off().is_empty());
}
