//! Snapshots that came from peers, by those who lie, and what is cut short.

use threads_core::blob::BlobRef;
use threads_core::datastore::{DatastoreExt, Durability};

use super::super::seek::{CONTENT_BYTES_MAX, Found, Progress, State};
use super::super::stored::make_and_keep;
use super::*;
use crate::catalogue::Catalogue;
use crate::sync::words::{Sought, Worded, Wording};

/// A newcomer that holds nothing and seeks what the author of the thread signed.
fn newcomer(of: &Peer) -> Peer {
    let new = Peer::copy(&of.db.keys());
    let trust = SnapshotTrust::inviter().of(of.db.node().peer_id()).unwrap();
    seek(&new, Seek::new(trust, None));
    new
}

fn seek(new: &Peer, seek: Seek) {
    let thread = new.db.thread();
    let put = |txn: &mut dyn threads_core::datastore::WriteTxn| seek.put(txn, thread.number);
    thread.node.store.transact(Durability::Group, put).unwrap();
}

/// Has it open content that is here, as if it was signed for under this name.
fn open_as(new: &Peer, of: &Peer, (snapshot, content): (Cid, BlobRef)) -> Sought {
    let trust = SnapshotTrust::inviter().of(of.db.node().peer_id()).unwrap();
    let found = Found {
        snapshot,
        signers: vec![of.db.node().peer_id()],
        content,
    };
    let mut search = Seek::new(trust, None);
    search.state = State::Fetching(found, Progress::default());
    seek(new, search);
    go_on(new)
}

fn go_on(new: &Peer) -> Sought {
    let work = Wording::Seek(new.db.thread().number, 500, Vec::new());
    match new.db.node().words_for_peers(work).unwrap() {
        Worded::Sought(sought) => sought,
        other => panic!("{other:?}"),
    }
}

fn why(new: &Peer) -> (NotOpened, String) {
    match new.db.sync_status().unwrap().from_snapshot.unwrap() {
        FromSnapshot::Not { why, detail, .. } => (why, detail),
        other => panic!("{other:?}"),
    }
}

/// What a peer has as a snapshot, as bytes.
fn content(peer: &Peer) -> (Cid, Vec<u8>) {
    let txn = peer.db.thread().node.store.read().unwrap();
    let covered = covered_until(&*txn, peer.db.thread(), None).unwrap();
    let (made, blob) = make_and_keep(&*txn, &peer.db, covered).unwrap();
    let mut bytes = Vec::new();
    peer.db.blobs().get(&blob, &mut bytes).unwrap();
    (made.id, bytes)
}

/// That nothing is left, and what comes is taken in as by any other.
fn is_as_before(new: &Peer, of: &Peer) {
    let (db, txn) = (&new.db, new.db.thread().node.store.read().unwrap());
    assert!(!is_sought(&*txn, db.thread().number).unwrap());
    assert!(db.base().unwrap().is_none());
    assert!(db.collections().unwrap().is_empty());
    assert!(db.blobs().list().unwrap().is_empty());
    drop(txn);
    take(db, &records(&of.db));
    let (ours, theirs) = (
        db.collection("Note").unwrap(),
        of.db.collection("Note").unwrap(),
    );
    assert_eq!(ours.get("a").unwrap(), theirs.get("a").unwrap());
    assert!(db.verify(&mut |_| ()).unwrap().is_clean());
}

#[test]
fn what_is_not_what_was_signed_for_is_refused_and_leaves_nothing() {
    let ann = Peer::made(Variant::Raw);
    save(&ann.db, "a", "one");
    let (name, bytes) = content(&ann);
    let put = |new: &Peer, bytes: &[u8]| new.db.blobs().put(bytes).unwrap();

    let new = newcomer(&ann);
    let content = put(&new, &bytes);
    assert_eq!(open_as(&new, &ann, (name, content)), Sought::Ended);
    let status = new.db.sync_status().unwrap().from_snapshot.unwrap();
    assert!(matches!(status, FromSnapshot::Opened { .. }), "{status:?}");
    assert!(new.db.collection("Note").unwrap().has("a").unwrap());
    // If it ends before that was noted, it is noted later.
    assert_eq!(
        open_as(&new, &ann, (name, put(&new, &bytes))),
        Sought::Ended
    );
    let status = new.db.sync_status().unwrap().from_snapshot.unwrap();
    assert!(matches!(status, FromSnapshot::Opened { .. }), "{status:?}");

    let mut altered = bytes.clone();
    let middle = altered.len() / 2;
    altered[middle] ^= 1;
    let endless: Vec<u8> = bytes.iter().copied().chain([0; 100_000]).collect();
    let other = Peer::made(Variant::Raw);
    save(&other.db, "a", "another thread");
    let (others, foreign) = self::content(&other);
    for (what, bytes, name) in [
        ("altered", &altered, name),
        ("cut short", &bytes[..bytes.len() - 9].to_vec(), name),
        ("without end", &endless, name),
        ("nothing", &Vec::new(), name),
        ("of another thread", &foreign, others),
    ] {
        let new = newcomer(&ann);
        let content = put(&new, bytes);
        assert_eq!(
            open_as(&new, &ann, (name, content)),
            Sought::Ended,
            "{what}"
        );
        assert_eq!(why(&new).0, NotOpened::Refused, "{what}");
        is_as_before(&new, &ann);
    }

    // As many bytes as were signed for, and no others.
    let new = newcomer(&ann);
    let content = put(&new, &bytes);
    let more = content.size() + 1;
    let more = BlobRef::new(*content.cid(), content.key().clone(), more, "").unwrap();
    assert_eq!(open_as(&new, &ann, (name, more)), Sought::Ended);
    assert_eq!(why(&new).0, NotOpened::Refused);
    is_as_before(&new, &ann);
}

#[test]
fn what_is_larger_than_any_is_not_even_got() {
    let ann = Peer::made(Variant::Raw);
    save(&ann.db, "a", "one");
    let new = newcomer(&ann);
    let content = ann.db.blobs().put(&b"small"[..]).unwrap();
    let size = CONTENT_BYTES_MAX + 1;
    let large = BlobRef::new(*content.cid(), content.key().clone(), size, "").unwrap();
    ann.db.tell_of(content_id(), &large).unwrap();
    told(&new, &[&ann]);
    assert_eq!(go_on(&new), Sought::Ended);
    assert_eq!(why(&new).0, NotOpened::TooLarge);
    is_as_before(&new, &ann);
}

fn content_id() -> Cid {
    threads_core::block::cid_of(threads_core::block::RAW, b"a snapshot")
}

#[test]
fn who_may_not_write_by_the_rules_in_it_signs_for_nothing() {
    let root = Peer::made(Variant::AccessControlled);
    save(&root.db, "a", "one");
    let (name, bytes) = content(&root);
    let stranger = Peer::open(|node| node.create("other").unwrap());
    let new = newcomer(&root);
    let content = new.db.blobs().put(&bytes[..]).unwrap();
    assert_eq!(
        open_as(&new, &stranger, (name, content.clone())),
        Sought::Ended
    );
    let (why, detail) = why(&new);
    assert_eq!(why, NotOpened::Refused);
    assert!(detail.contains("may write"), "{detail}");
    assert!(new.db.collections().unwrap().is_empty());
    assert!(new.db.base().unwrap().is_none());
    // By who may it is opened.
    let content = new.db.blobs().put(&bytes[..]).unwrap();
    assert_eq!(open_as(&new, &root, (name, content)), Sought::Ended);
    assert!(new.db.collection("Note").unwrap().has("a").unwrap());
}

#[test]
fn nobody_reads_a_thread_that_is_being_opened_and_what_was_cut_short_is_cleared() {
    let ann = Peer::made(Variant::Raw);
    save(&ann.db, "a", "one");
    let (name, bytes) = content(&ann);
    let store = Arc::new(Memory::new());
    let clock = || ManualClock::at(NOW_MS);
    let node = builder(&store).clock(clock()).open().unwrap();
    let db = node.add_thread("t", &ann.db.keys()).unwrap();
    let thread = db.thread();
    let close =
        |txn: &mut dyn threads_core::datastore::WriteTxn| Catalogue::close(txn, thread.number);
    thread
        .node
        .store
        .transact(Durability::Group, close)
        .unwrap();
    // It ends in the middle: all of it is there but for its end.
    let cut = &bytes[..bytes.len() - 20];
    assert!(open(thread, cut, &name).is_err());
    for refused in [db.collection("Note").map(drop), db.collections().map(drop)] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    assert!(
        db.write(|txn| txn
            .define(&CollectionSpec::new(
                "Note".parse().unwrap(),
                "jsonpatch/1".parse().unwrap()
            ))
            .map(drop))
            .is_err()
    );
    drop((db, node));

    // Who takes the thread up may be another process beside the one that opens it: nothing is cleared.
    let node = builder(&store).clock(clock()).open().unwrap();
    let db = node.open("t").unwrap();
    assert_eq!(db.collections().unwrap_err().kind(), ErrorKind::Unavailable);
    // Who goes on with the search does that.
    let trust = SnapshotTrust::inviter()
        .of(ann.db.node().peer_id())
        .unwrap();
    let (search, number) = (Seek::new(trust, None), db.thread().number);
    let put = |txn: &mut dyn threads_core::datastore::WriteTxn| search.put(txn, number);
    let store = &db.thread().node.store;
    store.transact(Durability::Group, put).unwrap();
    let work = Wording::Seek(number, 500, Vec::new());
    node.words_for_peers(work).unwrap();
    assert!(db.collections().unwrap().is_empty());
    take(&db, &records(&ann.db));
    assert!(db.collection("Note").unwrap().has("a").unwrap());
    assert!(db.verify(&mut |_| ()).unwrap().is_clean());
}

/// What a peer was told by these.
fn told(new: &Peer, by: &[&Peer]) {
    for peer in by {
        let words = {
            let txn = peer.db.thread().node.store.read().unwrap();
            word::of_thread(&*txn, peer.db.thread().number).unwrap()
        };
        let words = words.into_values().flatten().collect();
        let teller = peer.db.node().peer_id();
        let take = Wording::Take(new.db.thread().number, teller, words);
        new.db.node().words_for_peers(take).unwrap();
    }
}

#[test]
fn what_passes_is_waited_for_and_ends_no_search() {
    let ann = Peer::made(Variant::Raw);
    save(&ann.db, "a", "one");
    let (name, bytes) = content(&ann);
    let new = newcomer(&ann);
    let content = new.db.blobs().put(&bytes[..]).unwrap();
    new.clock.set(NOW_MS - 90_000);
    assert_eq!(open_as(&new, &ann, (name, content)), Sought::Waits);
    // More often than what is cut short is tried.
    for _ in 0..5 {
        assert_eq!(go_on(&new), Sought::Waits);
    }
    assert!(!new.db.blobs().list().unwrap().is_empty());
    let grace = std::time::Duration::ZERO;
    assert_eq!(new.db.blobs().clear(grace).unwrap().blobs, 0);
    new.clock.set(NOW_MS);
    assert_eq!(go_on(&new), Sought::Ended);
    let status = new.db.sync_status().unwrap().from_snapshot.unwrap();
    assert!(matches!(status, FromSnapshot::Opened { .. }), "{status:?}");
    assert!(new.db.collection("Note").unwrap().has("a").unwrap());
    // Whoever asks once more, as it ended with an error, is told that it has.
    assert_eq!(go_on(&new), Sought::Ended);
}

#[test]
fn what_does_not_pass_in_a_minute_ends_it() {
    let ann = Peer::made(Variant::Raw);
    save(&ann.db, "a", "one");
    let (name, bytes) = content(&ann);
    let new = newcomer(&ann);
    let content = new.db.blobs().put(&bytes[..]).unwrap();
    new.clock.set(NOW_MS - 90_000);
    assert_eq!(open_as(&new, &ann, (name, content)), Sought::Waits);
    let ended = (0..200).any(|_| go_on(&new) == Sought::Ended);
    assert!(ended);
    let (why, detail) = why(&new);
    assert_eq!(why, NotOpened::DidNotCome);
    assert!(detail.contains("clock"), "{detail}");
    new.clock.set(NOW_MS);
    is_as_before(&new, &ann);
}

#[test]
fn who_lies_about_what_a_snapshot_is_kept_as_keeps_nobody_from_it() {
    let ann = Peer::made(Variant::Raw);
    save(&ann.db, "a", "one");
    let (name, bytes) = content(&ann);
    let mut two = [Peer::copy(&ann.db.keys()), Peer::copy(&ann.db.keys())];
    // Those who come first are believed first.
    two.sort_by_key(|peer| peer.db.node().peer_id());
    let [liar, honest] = two;
    let new = Peer::copy(&ann.db.keys());
    let trusted = [&liar, &honest].map(|peer| peer.db.node().peer_id());
    let trust = SnapshotTrust::peers(trusted).of(trusted[0]).unwrap();
    seek(&new, Seek::new(trust, None));
    let bogus = new.db.blobs().put(&b"bogus"[..]).unwrap();
    let good = new.db.blobs().put(&bytes[..]).unwrap();
    liar.db.tell_of(name, &bogus).unwrap();
    // It also says that what is good is something else, and that later.
    liar.clock.set(NOW_MS + 5);
    liar.db.tell_of(content_id(), &good).unwrap();
    honest.db.tell_of(name, &good).unwrap();
    told(&new, &[&liar, &honest]);
    let ended = (0..10).any(|_| go_on(&new) == Sought::Ended);
    assert!(ended);
    let status = new.db.sync_status().unwrap().from_snapshot.unwrap();
    assert!(matches!(status, FromSnapshot::Opened { .. }), "{status:?}");
    assert!(new.db.collection("Note").unwrap().has("a").unwrap());
    assert!(new.db.verify(&mut |_| ()).unwrap().is_clean());
}
