//! A large blob goes on where it was when the process that gets it is killed.

use std::ops::Bound;

use threads_core::datastore::{
    Datastore as _, DatastoreExt as _, Direction, Durability, Keyspace, WriteTxn,
};
use threads_store_lmdb::Lmdb;

use crate::common::serving::{Serving, TCP, card, until};
use crate::common::{Place, word};

/// How many chunks the blob has, each of another content.
const CHUNKS: u64 = 12;

/// Changes a byte of some of the chunks that a repository has, in the order of their names; of one that was
/// changed before, back to what it was.
fn flip(place: &Place, which: impl Fn(usize) -> bool) {
    let store = Lmdb::open(place.repo().join("store")).unwrap();
    let mut chunks: Vec<_> = {
        let txn = store.read().unwrap();
        let all = (Bound::Unbounded, Bound::Unbounded);
        let rows = txn.scan(Keyspace::Blobs, all, Direction::Forward).unwrap();
        let rows = rows.map(|row| row.unwrap());
        let chunks = rows.filter(|(_, value)| value.len() > 200_000);
        chunks
            .map(|(key, value)| (key.into_owned(), value.into_owned()))
            .collect()
    };
    assert_eq!(chunks.len() as u64, CHUNKS);
    let change = |txn: &mut dyn WriteTxn| {
        let mut chosen = chunks.iter_mut().enumerate().filter(|(at, _)| which(*at));
        chosen.try_for_each(|(_, (key, value))| {
            value[1_000] ^= 1;
            txn.put(Keyspace::Blobs, key, value)
        })
    };
    store.transact(Durability::Immediate, change).unwrap();
}

/// How many blocks of blobs are here, each of them what its name says.
fn blocks(place: &Place) -> u64 {
    let checked = place.ok(["--json", "blob", "check", "t"]).json();
    checked["blocks"].as_u64().unwrap()
}

#[test]
fn what_came_of_a_blob_stays_when_the_process_that_gets_it_is_killed() {
    let (ann, bob) = (Place::new(), Place::new());
    ann.ok(["create", "t", "--access-controlled"]);
    let words = ["invite", "t", "--role", "write", "--to", &card(&bob)];
    let invite = ann.ok(words).out;
    bob.ok(["join", invite.trim(), "--name", "t"]);
    let numbers = 0..CHUNKS as u32 * 65_536;
    let content: Vec<u8> = numbers.flat_map(u32::to_le_bytes).collect();
    let film = ann.file("film", &content);
    let reference = ann.ok(["blob", "add", "t", word(&film)]).out;
    // One chunk does not come, so the transfer does not end by itself.
    flip(&ann, |at| at == 0);

    let (gives, gets) = (Serving::start(&ann, TCP), Serving::start(&bob, TCP));
    bob.ok(["connect", &gives.addresses[0]]);
    let get = ["blob", "get", "t", reference.trim(), "--wait", "0s"];
    bob.fails(8, get);
    // Its manifest, and all chunks but one.
    until("most of it came", || blocks(&bob) == CHUNKS);
    drop((gets, gives));
    assert_eq!(blocks(&bob), CHUNKS);
    bob.fails(8, get);

    // From now on that chunk is all that can be had.
    flip(&ann, |_| true);
    let (gives, gets) = (Serving::start(&ann, TCP), Serving::start(&bob, TCP));
    bob.ok(["connect", &gives.addresses[0]]);
    let out = bob.path("out");
    bob.ok(["blob", "get", "t", reference.trim(), "-o", word(&out)]);
    assert!(std::fs::read(&out).unwrap() == content);
    drop((gets, gives));
}
