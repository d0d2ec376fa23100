//! Blobs on one node.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;
use threads_codec_jsonpatch::JsonPatch;
use threads_core::blob::{BlobKey, BlobRef, CHUNK_BYTES};
use threads_core::datastore::{Datastore, DatastoreExt, Direction, Durability, Keyspace, Memory};
use threads_core::module::CollectionSpec;
use threads_core::{Clock, ErrorKind, ManualClock};

use crate::{Collection, Db, Node};

mod carry;
mod meanwhile;
mod mending;
mod unreadable;

const HOUR: Duration = Duration::from_secs(3_600);

fn node() -> (Node, Db, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(1_000_000_000_000));
    let node = Node::builder(Memory::new())
        .codec(JsonPatch::new())
        .clock(Arc::clone(&clock))
        .open()
        .unwrap();
    let db = node.create("a").unwrap();
    (node, db, clock)
}

fn things(db: &Db) -> Collection<serde_json::Value> {
    let spec = CollectionSpec::new("Thing".parse().unwrap(), "jsonpatch/1".parse().unwrap());
    db.define(&spec).unwrap();
    db.collection("Thing").unwrap()
}

fn pass(clock: &ManualClock, time: Duration) {
    clock.set(clock.now_ms() + time.as_millis() as u64);
}

/// Content without repetition.
fn content(bytes: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..bytes).map(|_| next()).collect()
}

fn out(db: &Db, named: &BlobRef) -> Vec<u8> {
    let mut out = Vec::new();
    db.blobs().get(named, &mut out).unwrap();
    out
}

/// The rows of blobs: how many, and how many bytes.
fn rows(node: &Node) -> (usize, usize) {
    let txn = node.inner.store.read().unwrap();
    let all = (Bound::Unbounded, Bound::Unbounded);
    let rows = txn.scan(Keyspace::Blobs, all, Direction::Forward).unwrap();
    let sizes: Vec<_> = rows.map(|row| row.unwrap().1.len()).collect();
    (sizes.len(), sizes.iter().sum())
}

/// Gives so much, and fails then.
struct Breaks(usize);

impl Read for Breaks {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let bytes = into.len().min(self.0);
        if bytes == 0 {
            return Err(io::Error::other("the cable was pulled"));
        }
        // The first bytes are those of what is read to its end elsewhere.
        into[..bytes].fill(7);
        self.0 -= bytes;
        Ok(bytes)
    }
}

#[test]
fn what_goes_in_comes_out_whatever_its_size() {
    let (_node, db, _) = node();
    for bytes in [
        0,
        1,
        CHUNK_BYTES - 1,
        CHUNK_BYTES,
        CHUNK_BYTES + 1,
        20 * CHUNK_BYTES + 5,
    ] {
        let content = content(bytes, bytes as u64);
        let named = db.blobs().put(&content[..]).unwrap();
        assert_eq!(named.size(), bytes as u64);
        assert!(db.blobs().has(named.cid()).unwrap());
        assert!(out(&db, &named) == content, "{bytes} bytes");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_stretch_is_read_from_anywhere(
        size in 0..3 * CHUNK_BYTES,
        reads in prop::collection::vec((0..4 * CHUNK_BYTES as u64, 0..CHUNK_BYTES), 1..8),
    ) {
        let (_node, db, _) = node();
        let content = content(size, 1);
        let named = db.blobs().put(&content[..]).unwrap();
        let mut reader = db.blobs().open(&named).unwrap();
        let mut plain = io::Cursor::new(&content);
        for (from, bytes) in reads {
            reader.seek(SeekFrom::Start(from)).unwrap();
            plain.seek(SeekFrom::Start(from)).unwrap();
            let (mut theirs, mut ours) = (Vec::new(), Vec::new());
            Read::by_ref(&mut reader).take(bytes as u64).read_to_end(&mut ours).unwrap();
            Read::by_ref(&mut plain).take(bytes as u64).read_to_end(&mut theirs).unwrap();
            prop_assert!(ours == theirs);
        }
    }
}

#[test]
fn equal_content_is_kept_once_and_named_alike() {
    let (node, db, _) = node();
    let first = content(3 * CHUNK_BYTES, 1);
    let one = db.blobs().put(&first[..]).unwrap();
    let before = rows(&node);
    assert_eq!(db.blobs().put(&first[..]).unwrap(), one);
    assert_eq!(rows(&node), before, "not a row more");
    let longer = [&first[..], b"more"].concat();
    let other = db.blobs().put(&longer[..]).unwrap();
    let added = rows(&node).1 - before.1;
    assert!(added < 2_000, "{added} bytes for four of content");
    assert!(out(&db, &other) == longer && out(&db, &one) == first);
    // What both have stays as long as one of them does.
    db.blobs().remove(one.cid()).unwrap();
    assert!(out(&db, &other) == longer);
}

#[test]
fn row_58_two_threads_have_nothing_in_common_that_could_be_compared() {
    let (node, db, _) = node();
    let other = node.create("b").unwrap();
    let content = content(2 * CHUNK_BYTES, 1);
    let (one, two) = (
        db.blobs().put(&content[..]),
        other.blobs().put(&content[..]),
    );
    assert_ne!(one.unwrap().cid(), two.unwrap().cid());
}

#[test]
fn no_byte_of_the_content_is_on_disk() {
    let (node, db, _) = node();
    let secret = b"a word that stands nowhere else";
    let named = db.blobs().put(&secret[..]).unwrap();
    let txn = node.inner.store.read().unwrap();
    let all = (Bound::Unbounded, Bound::Unbounded);
    for row in txn.scan(Keyspace::Blobs, all, Direction::Forward).unwrap() {
        let (_, value) = row.unwrap();
        let holds = |needle: &[u8]| value.windows(needle.len()).any(|window| window == needle);
        assert!(!holds(&secret[..8]) && !holds(&*named.key().to_bytes()));
    }
}

#[test]
fn what_a_broken_attempt_left_is_used_again_and_then_cleared() {
    let (node, db, clock) = node();
    let error = db.blobs().put(Breaks(20 * CHUNK_BYTES)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let left = rows(&node);
    assert!(left.1 > CHUNK_BYTES, "it is all one chunk");
    assert_eq!(
        db.blobs().clear(Duration::ZERO).unwrap().blocks,
        0,
        "it may go on"
    );
    assert!(db.blobs().list().unwrap().is_empty());

    let whole = vec![7; CHUNK_BYTES];
    let named = db.blobs().put(&whole[..]).unwrap();
    assert!(
        rows(&node).1 < left.1 + 2_000,
        "the chunk is not kept twice"
    );
    pass(&clock, 2 * HOUR);
    assert_eq!(
        db.blobs().clear(3 * HOUR).unwrap().blocks,
        0,
        "the blob has it"
    );
    assert!(out(&db, &named) == whole);
    assert_eq!(db.blobs().clear(Duration::ZERO).unwrap().blocks, 2);

    db.blobs().put(Breaks(20 * CHUNK_BYTES)).unwrap_err();
    pass(&clock, 2 * HOUR);
    let cleared = db.blobs().clear(HOUR).unwrap();
    assert_eq!((cleared.blobs, cleared.blocks), (0, 1));
    assert_eq!(rows(&node).0, 1, "the end of the list");
}

#[test]
fn what_no_entity_names_is_cleared_and_what_one_names_in_any_form_stays() {
    let (_node, db, clock) = node();
    let things = things(&db);
    let put = |n: u64| db.blobs().put(&content(100, n)[..]).unwrap();
    let (object, text, pinned, young, lost) = (put(1), put(2), put(3), put(4), put(5));
    things
        .save(&json!({"_id": "a", "in": [{"deep": {"down": object}}]}))
        .unwrap();
    things
        .save(&json!({"_id": "b", "text": text.to_string()}))
        .unwrap();
    db.blobs().pin(pinned.cid(), true).unwrap();
    pass(&clock, HOUR);
    db.blobs().put(&content(100, 4)[..]).unwrap();
    assert_eq!(db.blobs().unnamed(HOUR).unwrap(), [*lost.cid()]);
    assert_eq!(db.blobs().clear(HOUR).unwrap().blobs, 1);
    for named in [&object, &text, &pinned, &young] {
        assert_eq!(out(&db, named).len(), 100);
    }
    assert_eq!(
        db.blobs().clear(Duration::ZERO).unwrap().blobs,
        1,
        "the young one"
    );
    let error = db.blobs().get(&lost, io::sink()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("fetch"), "{error}");
}

#[test]
fn without_a_codec_nothing_is_cleared_that_an_entity_may_name() {
    let clock = Arc::new(ManualClock::at(1_000_000_000_000));
    let store = Arc::new(Memory::new());
    let open = |codec: bool| {
        let node = Node::builder(Arc::clone(&store)).clock(Arc::clone(&clock));
        match codec {
            true => node.codec(JsonPatch::new()),
            false => node,
        }
        .open()
        .unwrap()
    };
    let (id, named) = {
        let node = open(true);
        let db = node.create("a").unwrap();
        let named = db.blobs().put(&content(100, 1)[..]).unwrap();
        things(&db).save(&json!({"_id": "a", "in": named})).unwrap();
        (db.id().to_string(), named)
    };
    {
        let node = open(false);
        let db = node.open(id.as_str()).unwrap();
        let error = db.blobs().clear(Duration::ZERO).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        let error = db.blobs().unnamed(Duration::ZERO).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(db.blobs().has(named.cid()).unwrap());
    }
    let node = open(true);
    let db = node.open(id.as_str()).unwrap();
    assert_eq!(db.blobs().clear(Duration::ZERO).unwrap().blobs, 0);
    assert_eq!(out(&db, &named).len(), 100);
}

/// Gives all but the end, and then nothing for two hours, in which somebody clears.
struct Stalls<'a>(&'a [u8], &'a Db, &'a ManualClock);

impl Read for Stalls<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if (1..CHUNK_BYTES).contains(&self.0.len()) {
            pass(self.2, 2 * HOUR);
            self.1.blobs().clear(HOUR).unwrap();
        }
        self.0.read(into)
    }
}

#[test]
fn what_was_cleared_under_a_stalled_attempt_is_no_blob() {
    let (_node, db, clock) = node();
    let content = content(20 * CHUNK_BYTES + 5, 1);
    let error = db.blobs().put(Stalls(&content, &db, &clock)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(db.blobs().list().unwrap().is_empty());
    let named = db.blobs().put(&content[..]).unwrap();
    assert!(out(&db, &named) == content);
}

#[test]
fn a_purge_takes_the_blob_that_only_the_purged_named() {
    let (_node, db, _) = node();
    let things = things(&db);
    let put = |n: u64| db.blobs().put(&content(100, n)[..]).unwrap();
    let (own, shared) = (put(1), put(2));
    things
        .save(&json!({"_id": "a", "own": own, "shared": shared}))
        .unwrap();
    things.save(&json!({"_id": "b", "shared": shared})).unwrap();
    let purge = |id: &str| {
        db.purge([("Thing".parse().unwrap(), id.parse().unwrap())])
            .unwrap()
    };
    assert_eq!(purge("a").unnamed_blobs, Some(1));
    assert!(db.blobs().has(own.cid()).unwrap(), "it only says so");
    assert_eq!(db.blobs().clear(Duration::ZERO).unwrap().blobs, 1);
    assert!(!db.blobs().has(own.cid()).unwrap());
    assert!(db.blobs().has(shared.cid()).unwrap());
    assert_eq!(purge("b").unnamed_blobs, Some(1));
    db.blobs().clear(Duration::ZERO).unwrap();
    things.save(&json!({"_id": "c"})).unwrap();
    assert_eq!(purge("c").unnamed_blobs, Some(0));
}

#[test]
fn a_reference_that_lies_opens_nothing() {
    let (_node, db, _) = node();
    let named = db.blobs().put(&content(100, 1)[..]).unwrap();
    let other = BlobKey::from_bytes(&[1; 32]);
    let wrong_key = BlobRef::new(*named.cid(), other, 100, "").unwrap();
    let error = db.blobs().open(&wrong_key).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    let wrong_size = BlobRef::new(*named.cid(), named.key().clone(), 99, "").unwrap();
    assert_eq!(
        db.blobs().open(&wrong_size).unwrap_err().kind(),
        ErrorKind::Invalid
    );
}
