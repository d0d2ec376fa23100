//! What only readers can see to be wrong stands in its log everywhere: readers and blind replicas have the
//! same records, whichever way these came.

use std::collections::BTreeMap;

use threads_core::batch::{Batch, EntityEvent};
use threads_core::{Clock, ManualClock};

use super::*;
use crate::thread::books;

const NOW: u64 = 1_700_000_000_000;
const MINUTE: u64 = 60_000;

#[derive(Clone, Debug)]
struct Shared(Arc<ManualClock>);

impl Clock for Shared {
    fn now_ms(&self) -> u64 {
        self.0.now_ms()
    }
}

/// A node of its own with a clock of its own, and nothing of the thread yet.
fn joined(of: &Db, reads: bool) -> (Db, Shared) {
    let clock = Shared(Arc::new(ManualClock::at(NOW)));
    let builder = Node::builder(Memory::new()).codec(JsonPatch::new());
    let node = builder.clock(clock.clone()).open().unwrap();
    let number = node.inner.store.transact(Durability::Group, |txn| {
        let number = layout::reserve(txn)?;
        let (id, replica) = (&of.thread().id, &of.thread().replica);
        let read = of.thread().read.get().filter(|_| reads);
        node.add_thread_at(txn, number, id, "copy", replica, read)?;
        Ok(number)
    });
    (node.db(number.unwrap()).unwrap(), clock)
}

fn heads(db: &Db) -> BTreeMap<LogId, (u64, Cid)> {
    let txn = db.thread().node.store.read().unwrap();
    let heads = books::heads(&*txn, db.id()).unwrap().into_iter();
    heads
        .map(|(log, head)| (log, (head.seq, head.record)))
        .collect()
}

/// A log of somebody's, one record after the other, each with the next value of `n` of the entity `p0`.
struct Forger {
    source: Db,
    events: Vec<EntityEvent>,
    keys: (IdentityKey, LogKey),
    made: Vec<Blocks>,
}

impl Forger {
    fn new() -> Self {
        let clock = Shared(Arc::new(ManualClock::at(NOW - MINUTE)));
        let builder = Node::builder(Memory::new()).codec(JsonPatch::new());
        let node = builder.clock(clock).open().unwrap();
        let source = node.create("source").unwrap();
        let name = "Person".parse().unwrap();
        let spec = CollectionSpec::new(name, "jsonpatch/1".parse().unwrap());
        source.define(&spec).unwrap();
        let people = source.collection("Person").unwrap();
        people.create(&json!({"_id": "p0"})).unwrap();
        // Somebody else's patches, to be sealed again.
        let (other, _) = joined(&source, true);
        take(&other, &records(&source));
        for n in 1..=3 {
            let people = other.collection("Person").unwrap();
            people.patch("p0", &json!({"n": n})).unwrap();
        }
        let events = records(&other)[2..]
            .iter()
            .flat_map(|blocks| {
                let opened = other.thread().open(blocks).unwrap();
                opened.batch().unwrap().events.clone()
            })
            .collect();
        let rng = &mut system_rng();
        Self {
            source,
            events,
            keys: (IdentityKey::generate(rng), LogKey::generate(rng)),
            made: Vec::new(),
        }
    }

    fn add(mut self, wall_ms: u64) -> Self {
        let events = vec![self.events[self.made.len()].clone()];
        let plain = Batch { events }.encode().unwrap();
        let (seq, prev) = self.place();
        let keys = (&self.keys.0, &self.keys.1);
        let place = (seq, wall_ms, prev);
        let blocks = sealed_event(&self.source, keys, place, (&plain, None));
        self.made.push(blocks);
        self
    }

    /// A record whose header nobody can open.
    fn add_closed(self) -> Self {
        let (seq, prev) = self.place();
        let mut forger = self.add(NOW);
        let whole = forger.made.pop().unwrap();
        let mut altered: Altered = block::decode(&whole.event).unwrap();
        *altered.header.last_mut().unwrap() ^= 1;
        let event = block::encode(&altered).unwrap();
        let keys = (&forger.keys.0, &forger.keys.1);
        let blocks = signed(&forger.source, keys, (seq, prev), (event, whole.body));
        forger.made.push(blocks);
        forger
    }

    fn place(&self) -> (u64, Option<Cid>) {
        let prev = self.made.last().map(Blocks::record_id);
        (self.made.len() as u64 + 1, prev)
    }

    /// A peer that has all of it, which came in order or the other way round.
    fn taken(&self, reads: bool, in_order: bool) -> (Db, Shared) {
        let (db, clock) = joined(&self.source, reads);
        let mut all = [records(&self.source), self.made.clone()].concat();
        if !in_order {
            all.reverse();
        }
        for record in &all {
            take(&db, std::slice::from_ref(record));
        }
        (db, clock)
    }

    /// Readers apply the record that leaves `n`, and keep so many apart; all peers have the same logs.
    fn assert_level(&self, n: u64, apart: u64) {
        let (replica, _) = self.taken(false, true);
        let (other, _) = self.taken(false, false);
        assert_eq!(heads(&replica), heads(&other));
        assert_eq!(heads(&replica)[&self.keys.1.log_id()].0, 3);
        assert_clean(&replica);
        for in_order in [true, false] {
            let (reader, _) = self.taken(true, in_order);
            assert_eq!(heads(&reader), heads(&replica), "in order: {in_order}");
            let counts = reader.held_counts().unwrap();
            assert_eq!((counts.pending, counts.quarantined), (0, apart));
            assert_eq!(reader.held().unwrap().len() as u64, apart);
            assert_eq!(all(&reader), [json!({"_id": "p0", "n": n})]);
            assert_clean(&reader);
            assert_eq!(reader.retry_held().unwrap(), 0);
            assert_eq!(take(&reader, &self.made).new, 0, "twice");
            assert_clean(&reader);
        }
    }
}

#[test]
fn a_record_that_is_not_later_than_the_one_before_it_is_applied_by_nobody_and_stands_everywhere() {
    // The third one is later than the second, and has its place before the first.
    let forger = Forger::new().add(NOW).add(NOW - 10).add(NOW - 5);
    forger.assert_level(1, 1);
}

#[test]
fn a_record_whose_header_does_not_open_is_applied_by_nobody_and_stands_everywhere() {
    Forger::new()
        .add(NOW)
        .add_closed()
        .add(NOW + 1)
        .assert_level(3, 1);
}

#[test]
fn a_record_from_the_far_future_stands_everywhere_and_is_applied_when_its_time_has_come() {
    let ahead = NOW + 11 * MINUTE;
    let forger = Forger::new().add(NOW).add(ahead).add(ahead + 1);
    forger.assert_level(1, 2);

    let (reader, clock) = forger.taken(true, true);
    let due = {
        let txn = reader.thread().node.store.read().unwrap();
        next_due(&*txn, reader.thread().number).unwrap()
    };
    assert_eq!(due, Some(ahead - MINUTE), "it is tried again by itself");
    clock.0.set(NOW + 5 * MINUTE);
    assert_eq!(reader.retry_held().unwrap(), 0, "it is still ahead");
    assert_eq!(reader.held_counts().unwrap().pending, 2);
    assert_clean(&reader);
    clock.0.set(ahead);
    assert_eq!(reader.retry_held().unwrap(), 2);
    assert!(reader.held().unwrap().is_empty());
    assert_eq!(all(&reader), [json!({"_id": "p0", "n": 3})]);
    assert_clean(&reader);
    reader
        .collection("Person")
        .unwrap()
        .patch("p0", &json!({"n": 4}))
        .unwrap();
    assert_eq!(all(&reader), [json!({"_id": "p0", "n": 4})]);
    assert_clean(&reader);
}

/// It came back from a peer to who had put back a backup, and was written by a clock that was wrong.
#[test]
fn who_finds_the_end_of_its_own_log_in_the_future_begins_another_one() {
    let source = Forger::new().source;
    let (writer, _) = joined(&source, true);
    take(&writer, &records(&source));
    let people = writer.collection("Person").unwrap();
    people.patch("p0", &json!({"n": 1})).unwrap();
    let own = writer.log(Some(1)).unwrap().remove(0);
    let key = {
        let txn = writer.thread().node.store.read().unwrap();
        writer.thread().log_key(&*txn, &own.log).unwrap()
    };
    let nobody = IdentityKey::generate(&mut system_rng());
    let place = (2, NOW + 11 * MINUTE, Some(own.record));
    let ahead = sealed_event(&writer, (&nobody, &key), place, (b"x", None));
    take(&writer, &[ahead]);
    assert_eq!(heads(&writer)[&own.log].0, 2);
    people.patch("p0", &json!({"n": 2})).unwrap();

    let (reader, _) = joined(&source, true);
    take(&reader, &records(&writer));
    assert_eq!(heads(&reader), heads(&writer));
    assert_eq!(heads(&reader).len(), 3);
    assert_eq!(all(&reader), [json!({"_id": "p0", "n": 2})]);
    assert_eq!(reader.held_counts().unwrap().quarantined, 1);
    assert_clean(&reader);
}
