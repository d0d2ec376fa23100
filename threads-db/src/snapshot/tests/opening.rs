//! What a device looks at before it believes a snapshot, and what it cannot read of one.

use super::super::content::{EntityItem, Item, LogItem, MarksItem};
use super::hostile::{items, opened};
use super::*;
use crate::base::marks::Mark;
use crate::entity::Life;

/// Has every way to alter one item by this be refused, under its own name.
fn refused(db: &Db, why: &str, mut alter: impl FnMut(&mut Item) -> bool) {
    let (items, _) = items(db);
    let mut tried = 0;
    for at in 0..items.len() {
        let mut altered = items.clone();
        if !alter(&mut altered[at]) {
            continue;
        }
        tried += 1;
        let refused = opened(db, &altered).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Rejected, "{refused}");
        assert!(refused.to_string().contains(why), "{refused}");
    }
    assert!(tried > 0, "{why}");
}

fn some_cid() -> Cid {
    threads_core::block::cid_of(threads_core::block::DAG_CBOR, b"some")
}

fn ruled() -> Peer {
    let root = Peer::made(Variant::AccessControlled);
    save(&root.db, "a", "one");
    grant(&root.db, PeerId::from_key_bytes([9; 32]), Role::Write);
    for n in 0..20 {
        save(&root.db, "a", &format!("{n}"));
    }
    save(&root.db, "b", "two");
    root
}

#[test]
fn a_log_has_the_time_of_its_last_record_and_an_entity_that_of_its_own() {
    let root = ruled();
    refused(&root.db, "time of its last record", |item| {
        let Item::Log(log) = item else { return false };
        let time = threads_core::Hlc {
            counter: 77,
            ..log.time().unwrap()
        };
        *log = LogItem::new(log.log, (log.seq, log.record), time, log.acl.clone());
        true
    });
    refused(&root.db, "another time than its record", |item| {
        let Item::Entity(entity) = item else {
            return false;
        };
        if entity.id.as_str() != "b" {
            return false;
        }
        let name = (entity.collection.clone(), entity.id.clone());
        let place = (entity.log, entity.seq, entity.index);
        let time = threads_core::Hlc {
            counter: 77,
            ..entity.time().unwrap()
        };
        *entity = EntityItem::new(name, entity.life(), time, place).unwrap();
        true
    });
}

#[test]
fn an_entity_has_no_event_that_says_nothing_of_it() {
    let root = ruled();
    let txn = root.db.thread().node.store.read().unwrap();
    let latest = crate::access::latest(&*txn, root.db.thread().number).unwrap();
    let place = chain::locate(&*txn, root.db.thread().number, &latest[0]);
    let stated = place.unwrap().unwrap().seq;
    drop(txn);
    refused(&root.db, "not applied", |item| {
        let Item::Entity(entity) = item else {
            return false;
        };
        let name = (entity.collection.clone(), entity.id.clone());
        let place = (entity.log, stated, 0);
        *entity = EntityItem::new(name, entity.life(), entity.time().unwrap(), place).unwrap();
        true
    });
}

#[test]
fn all_access_records_that_are_named_are_there() {
    let root = ruled();
    refused(&root.db, "access records that it does not have", |item| {
        match item {
            Item::Thread { acl, .. } => *acl = vec![some_cid()],
            Item::Log(log) => log.acl = vec![some_cid()],
            Item::Record(record) => record.acl.push(some_cid()),
            _ => return false,
        }
        true
    });
    refused(&root.db, "latest access records", |item| {
        let Item::Thread { acl, .. } = item else {
            return false;
        };
        acl.clear();
        true
    });
}

#[test]
fn no_record_is_missing_that_stays_needed() {
    let ann = Peer::made(Variant::Raw);
    for n in 0..30 {
        save(&ann.db, "a", &format!("{n}"));
    }
    let (items, _) = items(&ann.db);
    let mut tried = 0;
    for at in 0..items.len() {
        if !matches!(items[at], Item::Record(_)) {
            continue;
        }
        let mut fewer = items.clone();
        fewer.remove(at);
        if let Some(Item::End { records, .. }) = fewer.last_mut() {
            *records -= 1;
        }
        tried += 1;
        let refused = opened(&ann.db, &fewer).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Rejected, "{refused}");
    }
    assert!(tried > 3, "{tried}");
}

#[test]
fn records_are_those_of_which_there_are_marks() {
    let ann = Peer::made(Variant::Raw);
    for n in 0..30 {
        save(&ann.db, "a", &format!("{n}"));
    }
    let other = Mark::from_bytes([7; 8]);
    for kept in [1, 2] {
        // Of the first one, and of one that another names as the one before it.
        refused(&ann.db, "chain", |item| {
            let Item::Marks(marks) = item else {
                return false;
            };
            let mut all = marks.marks().unwrap();
            let last = all.len() - 1;
            all[if kept == 1 { 0 } else { last - 1 }] = other;
            *marks = MarksItem::new(marks.log, marks.first, &all);
            true
        });
    }
    refused(&ann.db, "out of turn", |item| {
        let Item::Marks(marks) = item else {
            return false;
        };
        let mut all = marks.marks().unwrap();
        all.pop();
        *marks = MarksItem::new(marks.log, marks.first, &all);
        true
    });
}

#[test]
fn a_state_is_one_of_its_codec() {
    let ann = Peer::made(Variant::Raw);
    save(&ann.db, "a", "one");
    let scores = ann.db.collection("Score").unwrap();
    scores.save(&json!({"_id": "s", "value": 1})).unwrap();
    refused(&ann.db, "none of its codec", |item| {
        let Item::Entity(entity) = item else {
            return false;
        };
        let Life::Live(codec, _) = entity.life() else {
            return false;
        };
        if codec.as_str() == "most/1" {
            return false;
        }
        let garbage = threads_core::codec::EntityState::new(&b"\xff garbage"[..]);
        let name = (entity.collection.clone(), entity.id.clone());
        let place = (entity.log, entity.seq, entity.index);
        let life = Life::Live(codec, garbage);
        *entity = EntityItem::new(name, life, entity.time().unwrap(), place).unwrap();
        true
    });
}

#[test]
fn entities_of_a_missing_codec_wait_for_it_on_a_new_device_too() {
    let ann = Peer::made(Variant::Raw);
    save(&ann.db, "a", "one");
    let scores = |db: &Db| db.collection("Score").unwrap();
    for (id, value) in [("s", 5), ("t", 6)] {
        scores(&ann.db)
            .save(&json!({"_id": id, "value": value, "text": "many"}))
            .unwrap();
    }
    let file = exported(&ann.db);
    let store = Arc::<Memory>::default();
    let without = Node::builder(Arc::clone(&store)).codec(JsonPatch::new());
    let node = without.clock(ManualClock::at(NOW_MS)).open().unwrap();
    let device = restore(&node, &file).unwrap();
    let missing = || device.missing_codecs().unwrap();
    assert_eq!((missing().len(), missing()[0].entities), (1, 2));
    assert!(
        missing()[0]
            .to_string()
            .starts_with("codec missing: most/1")
    );
    assert!(device.collection("Score").is_err());
    assert_eq!(notes(&device), notes(&ann.db));
    assert!(device.snapshot().is_err(), "nobody here knows its state");
    clean(&device);
    // What comes meanwhile waits with them.
    ann.clock.set(NOW_MS + 1_000);
    scores(&ann.db)
        .save(&json!({"_id": "s", "value": 9}))
        .unwrap();
    take(&device, &records(&ann.db));
    clean(&device);
    drop((device, node));
    let node = builder(&store).clock(ManualClock::at(NOW_MS + 1_000));
    let device = node.open().unwrap().open("t").unwrap();
    assert!(device.missing_codecs().unwrap().is_empty());
    for id in ["s", "t"] {
        assert_eq!(
            scores(&device).get(id).unwrap(),
            scores(&ann.db).get(id).unwrap()
        );
    }
    let by_text = Query::parse("text = 'many'").unwrap();
    assert_eq!(
        scores(&device).find(&by_text).unwrap().len(),
        2,
        "its indexes are filled"
    );
    clean(&device);
    assert_eq!(now(&device), now(&ann.db));
}
