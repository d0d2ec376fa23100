//! Peers that sign for snapshots, and tell of them, to have others do what they should not.

use std::collections::BTreeSet;
use std::time::Duration;

use threads_core::blob::BlobRef;
use threads_core::block::{RAW, cid_of};
use threads_core::datastore::{DatastoreExt, Durability};
use threads_core::{IdentityKey, system_rng};

use super::*;
use crate::sync::words::Wording;

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// What a liar signs for.
fn lie(name: &[u8], frontier: Vec<Dep>) -> Snapshot {
    Snapshot {
        id: cid_of(RAW, name),
        frontier,
        entities: 1,
        records: 1,
        bytes: 1,
        emptied: 0,
        signers: Vec::new(),
        contents: BTreeMap::new(),
    }
}

/// The last record of a log that nobody has.
fn dep(log: u8, seq: u64) -> Dep {
    let (log, cid) = (LogId::from_key_bytes([log; 32]), cid_of(RAW, b"a record"));
    Dep { log, seq, cid }
}

/// Somebody's word that a blob is a snapshot.
fn word(of: &Peer, key: &IdentityKey, (seq, blob): (u64, &BlobRef)) -> Word {
    let (thread, rng) = (of.db.thread(), &mut system_rng());
    let read = thread.read_of(0).unwrap().unwrap();
    let said = (seq, cid_of(RAW, b"a snapshot"));
    Word::sign(key, &thread.id, said, blob, (0, &read, rng)).unwrap()
}

fn tell(to: &Peer, word: Word) {
    let take = Wording::Take(to.db.thread().number, word.peer(), vec![word]);
    to.db.node().words_for_peers(take).unwrap();
}

fn words(of: &Peer) -> BTreeMap<PeerId, Vec<Word>> {
    let txn = of.db.thread().node.store.read().unwrap();
    word::of_thread(&*txn, of.db.thread().number).unwrap()
}

/// A blob of this content, as Ann would name it.
fn blob(ann: &Peer, content: &[u8]) -> BlobRef {
    ann.db.blobs().put(content).unwrap()
}

#[test]
fn nobody_has_a_replica_let_go_of_a_blob_by_telling_it_words() {
    let ann = Peer::made(Variant::Raw);
    let replica = Peer::copy(&ann.db.keys().without_read());
    let blobs = [&b"a photo"[..], b"another", b"a third"].map(|content| blob(&ann, content));
    for blob in &blobs[..2] {
        replica.db.blobs().fetch(blob.cid()).unwrap();
    }
    replica.db.blobs().pin(blobs[0].cid(), true).unwrap();
    let liar = IdentityKey::generate(&mut system_rng());
    for (seq, blob) in (1..).zip([&blobs[0], &blobs[1], &blobs[2], &blobs[2]]) {
        tell(&replica, word(&ann, &liar, (seq, blob)));
    }
    assert_eq!(words(&replica)[&liar.peer_id()].len(), stored::KEPT_MAX);
    let left = replica.db.blobs().list().unwrap();
    let left: BTreeSet<_> = left.into_iter().map(|blob| blob.cid).collect();
    assert_eq!(left, [*blobs[0].cid(), *blobs[1].cid()].into());
}

#[test]
fn nobody_has_a_reader_let_go_of_a_blob_by_signing_for_it() {
    let ann = Peer::made(Variant::Raw);
    let bob = Peer::copy(&ann.db.keys());
    let [named, pinned, loose] =
        [&b"a photo"[..], b"pinned", b"loose"].map(|content| blob(&bob, content));
    bob.db.blobs().pin(pinned.cid(), true).unwrap();
    let photo = json!({"_id": "a", "photo": named});
    take(&bob.db, &records(&ann.db));
    let notes = bob.db.collection("Note").unwrap();
    notes.save(&photo).unwrap();
    let liar = Peer::copy(&ann.db.keys());
    let other = blob(&liar, b"other");
    for (n, content) in [&other, &other, &named, &pinned, &loose].iter().enumerate() {
        let lie = lie(&[n as u8], vec![dep(1, 10_000 - n as u64)]);
        liar.db.sign_kept(lie, Some((*content).clone())).unwrap();
    }
    take(&bob.db, &records(&liar.db));
    assert_eq!(bob.db.snapshots().unwrap().len(), 5);
    bob.db.snapshot().unwrap();
    for blob in [&named, &pinned, &loose] {
        assert!(bob.db.blobs().has(blob.cid()).unwrap(), "{blob:?}");
    }

    // Of its own snapshots it lets go, but for what is pinned or named.
    let me = bob.db.node().peer_id();
    let mut contents = Vec::new();
    for n in 0..5 {
        let made = bob.db.snapshot().unwrap();
        let content = made.contents[&me].clone();
        match n {
            0 => bob.db.blobs().pin(content.cid(), true).unwrap(),
            1 => notes
                .save(&json!({"_id": "b", "is": content}))
                .map(drop)
                .unwrap(),
            _ => {}
        }
        contents.push(content);
        save(&bob.db, "c", &format!("{n}"));
    }
    let has = contents
        .iter()
        .map(|content| bob.db.blobs().has(content.cid()).unwrap());
    assert_eq!(has.collect::<Vec<_>>(), [true, true, false, true, true]);
}

#[test]
fn numbers_that_are_too_large_harm_nobody() {
    let ann = Peer::made(Variant::Raw);
    save(&ann.db, "a", "a secret");
    ann.db.collection("Note").unwrap().delete("a").unwrap();
    ann.db
        .purge([("Note".parse().unwrap(), "a".parse().unwrap())])
        .unwrap();
    let most = lie(b"most", vec![dep(1, u64::MAX), dep(2, u64::MAX)]);
    ann.db.sign(most.clone()).unwrap();
    let check = ann.db.check_snapshot(&most.id).unwrap();
    assert!(matches!(check, SnapshotCheck::Unknown(_)), "{check:?}");
    assert_eq!(ann.db.snapshots().unwrap()[0].covers(), u64::MAX);

    let made = ann.db.snapshot().unwrap();
    assert!(made.emptied > 0);
    let mut emptied = lie(b"emptied", made.frontier);
    emptied.emptied = u64::MAX;
    ann.db.sign(emptied.clone()).unwrap();
    let check = ann.db.check_snapshot(&emptied.id).unwrap();
    assert!(matches!(check, SnapshotCheck::Unknown(_)), "{check:?}");

    // What names a log twice, or out of turn, is no frontier.
    let before = ann.db.snapshots().unwrap();
    for frontier in [vec![dep(1, 1), dep(1, 2)], vec![dep(2, 1), dep(1, 1)]] {
        ann.db.sign(lie(b"out of turn", frontier)).unwrap();
    }
    assert_eq!(ann.db.snapshots().unwrap(), before);
}

#[test]
fn who_signs_under_the_name_of_others_has_none_of_them_accused() {
    let ann = Peer::made(Variant::Raw);
    let bob = Peer::copy(&ann.db.keys());
    save(&ann.db, "a", "one");
    let liar = Peer::copy(&ann.db.keys());
    take(&liar.db, &records(&ann.db));
    save(&liar.db, "b", "two");
    let made = ann.db.snapshot().unwrap();
    // What is there, and more than Ann had.
    let txn = liar.db.thread().node.store.read().unwrap();
    let covered = covered_until(&*txn, liar.db.thread(), None).unwrap();
    let more = make_of(&*txn, liar.db.thread(), covered).unwrap().frontier;
    drop(txn);
    for frontier in [more, vec![dep(1, 10_000)]] {
        let id = made.id;
        let lie = Snapshot {
            id,
            ..lie(b"", frontier)
        };
        liar.db.sign(lie).unwrap();
        take(&bob.db, &records(&ann.db));
        take(&bob.db, &records(&liar.db));
        assert_ne!(bob.db.snapshots().unwrap()[0].signers, made.signers);
        let check = bob.db.check_snapshot(&made.id).unwrap();
        assert_eq!(check, SnapshotCheck::Agrees);
    }
    let signed = bob.db.sign_snapshot(&made.id).unwrap();
    assert_eq!(signed.frontier, made.frontier);
    assert_eq!(signed.signers.len(), 2);
}

#[test]
fn what_it_tells_of_is_what_it_keeps() {
    let ann = Peer::made(Variant::Raw);
    let to = PeerId::from_key_bytes([1; 32]);
    ann.db.share_with(&to).unwrap();
    for day in 1..=120 {
        ann.clock.set(NOW_MS + day * DAY_MS);
        save(&ann.db, "a", &format!("{day}"));
        match day {
            100 | 101 => drop(ann.db.snapshot().unwrap()),
            110 | 120 => {
                let mut options = even_alone();
                options.keep = Keep::SinceMs(NOW_MS + (day - 30) * DAY_MS);
                let did = ann.db.compact(&options, &mut |_| ()).unwrap();
                assert!(did.dropped > 0);
            }
            _ => {}
        }
    }
    ann.db.blobs().clear(Duration::ZERO).unwrap();
    let words = words(&ann).into_values().flatten();
    let kept = words.map(|word| ann.db.blobs().has(word.blob()).unwrap());
    assert_eq!(kept.collect::<Vec<_>>(), [true, true]);
    assert_eq!(ann.db.blobs().list().unwrap().len(), 2);
}

#[test]
fn nobody_leaves_no_room_for_the_words_of_others() {
    let ann = Peer::made(Variant::Raw);
    let bob = Peer::copy(&ann.db.keys());
    bob.db.blobs().keep_all(true).unwrap();
    let nowhere = blob(&ann, b"nowhere");
    let crowd = || {
        for _ in 0..=SIGNERS_MAX {
            let key = IdentityKey::generate(&mut system_rng());
            tell(&bob, word(&ann, &key, (1, &nowhere)));
        }
        assert_eq!(words(&bob).len(), SIGNERS_MAX);
    };
    crowd();
    let (content, him) = (blob(&bob, b"a snapshot"), ann.db.node().peer_id());
    let his = || words(&bob).contains_key(&him);
    bob.db.share_with(&him).unwrap();
    tell(&bob, word(&ann, ann.db.node().identity(), (1, &content)));
    assert!(his(), "others make room");
    crowd();
    assert!(his(), "who keeps what it tells of makes none");

    // Nor does this node's own word need any.
    let whole = || {
        for _ in 0..SIGNERS_MAX {
            let key = IdentityKey::generate(&mut system_rng());
            bob.db.share_with(&key.peer_id()).unwrap();
            tell(&bob, word(&ann, &key, (1, &content)));
        }
    };
    whole();
    take(&bob.db, &records(&ann.db));
    bob.db.snapshot().unwrap();
    let me = bob.db.node().peer_id();
    assert!(words(&bob).contains_key(&me));
    assert_eq!(words(&bob).len(), SIGNERS_MAX);
    let before = words(&bob);
    let key = IdentityKey::generate(&mut system_rng());
    bob.db.share_with(&key.peer_id()).unwrap();
    tell(&bob, word(&ann, &key, (1, &content)));
    assert_eq!(words(&bob), before, "all of them keep what they tell of");
    for peer in bob.db.shared_with().unwrap() {
        bob.db.unshare(&peer).unwrap();
    }
    assert_eq!(words(&bob).into_keys().collect::<Vec<_>>(), [me]);
}

/// Bob, who has room for no more words: all are of peers that share the thread, and keep nothing of what they tell of, but
/// for one that does not share it.
fn full(ann: &Peer) -> (Peer, PeerId) {
    let bob = Peer::copy(&ann.db.keys());
    bob.db.blobs().keep_all(true).unwrap();
    let (nowhere, content) = (blob(ann, b"nowhere"), blob(&bob, b"a snapshot"));
    let loner = IdentityKey::generate(&mut system_rng());
    tell(&bob, word(ann, &loner, (1, &content)));
    for _ in 1..SIGNERS_MAX {
        let key = IdentityKey::generate(&mut system_rng());
        bob.db.share_with(&key.peer_id()).unwrap();
        tell(&bob, word(ann, &key, (1, &nowhere)));
    }
    assert_eq!(words(&bob).len(), SIGNERS_MAX);
    (bob, loner.peer_id())
}

#[test]
fn who_keeps_what_it_tells_of_stays_before_those_who_do_not() {
    let ann = Peer::made(Variant::Raw);
    let (bob, loner) = full(&ann);
    let nowhere = blob(&ann, b"nowhere");
    for _ in 0..SIGNERS_MAX {
        let key = IdentityKey::generate(&mut system_rng());
        tell(&bob, word(&ann, &key, (1, &nowhere)));
    }
    assert!(words(&bob).contains_key(&loner));
}

#[test]
fn while_a_snapshot_is_sought_the_words_of_those_who_are_trusted_stay() {
    let ann = Peer::made(Variant::Raw);
    let (bob, _) = full(&ann);
    let trusted = words(&bob).into_keys().next().unwrap();
    let seek = Seek::new(SnapshotTrust::peers([trusted]), None);
    let thread = bob.db.thread();
    let put = |txn: &mut dyn threads_core::datastore::WriteTxn| seek.put(txn, thread.number);
    thread.node.store.transact(Durability::Group, put).unwrap();
    let nowhere = blob(&ann, b"nowhere");
    for _ in 0..2 * SIGNERS_MAX {
        let key = IdentityKey::generate(&mut system_rng());
        bob.db.share_with(&key.peer_id()).unwrap();
        tell(&bob, word(&ann, &key, (1, &nowhere)));
    }
    assert!(words(&bob).contains_key(&trusted));
    assert_eq!(words(&bob).len(), SIGNERS_MAX);
}
