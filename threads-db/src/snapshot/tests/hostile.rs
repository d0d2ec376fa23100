//! Snapshots by those who lie, and what is cut short.

use super::super::content::{EntityItem, Item, LogItem, MarksItem, Reader};
use super::*;
use crate::base::marks::Mark;
use crate::entity::Life;

pub(super) fn items(db: &Db) -> (Vec<Item>, Cid) {
    let txn = db.thread().node.store.read().unwrap();
    let covered = covered_until(&*txn, db.thread(), None).unwrap();
    let mut content = Content::new(&*txn, db.thread(), covered).unwrap();
    let items = std::iter::from_fn(|| content.next().unwrap()).collect();
    (items, now(db))
}

fn bytes(items: &[Item]) -> Vec<u8> {
    items
        .iter()
        .flat_map(|item| item.encode().unwrap())
        .collect()
}

/// Has a node that knows nothing of the thread open it from these items under their own name.
pub(super) fn opened(db: &Db, items: &[Item]) -> Result<()> {
    let bytes = bytes(items);
    let mut name = Name::default();
    name.update(&bytes);
    let device = Peer::copy(&db.keys());
    open(device.db.thread(), &bytes[..], &name.finish().0)
}

#[test]
fn what_was_altered_has_another_name_and_what_is_cut_short_no_end() {
    let ann = Peer::made(Variant::Raw);
    save(&ann.db, "a", "one");
    save(&ann.db, "b", "two");
    let (items, name) = items(&ann.db);
    let whole = bytes(&items);
    let try_open = |bytes: &[u8]| {
        let device = Peer::copy(&ann.db.keys());
        open(device.db.thread(), bytes, &name)
    };
    try_open(&whole).unwrap();
    for at in (0..whole.len()).step_by(7) {
        let mut altered = whole.clone();
        altered[at] ^= 1;
        assert!(try_open(&altered).is_err(), "byte {at}");
        assert!(try_open(&whole[..at]).is_err(), "cut at {at}");
    }
    let more = [&whole[..], &[0]].concat();
    assert!(try_open(&more).is_err());
}

#[test]
fn a_snapshot_that_makes_no_sense_is_refused_under_its_own_name_too() {
    let ann = Peer::made(Variant::Raw);
    save(&ann.db, "a", "one");
    save(&ann.db, "b", "two");
    let (items, _) = items(&ann.db);
    opened(&ann.db, &items).unwrap();
    let refused = |items: Vec<Item>, what: &str| {
        assert!(opened(&ann.db, &items).is_err(), "{what}");
    };
    for lost in 0..items.len() - 1 {
        let mut fewer = items.clone();
        fewer.remove(lost);
        refused(fewer, &format!("without item {lost}"));
    }
    for twice in 0..items.len() {
        let mut more = items.clone();
        more.insert(twice, items[twice].clone());
        if let Some(Item::End {
            logs,
            records,
            entities,
        }) = more.last_mut()
        {
            match &items[twice] {
                Item::Log(_) => *logs += 1,
                Item::Record(_) => *records += 1,
                Item::Entity(_) => *entities += 1,
                _ => {}
            }
        }
        refused(more, &format!("item {twice} twice"));
    }
    // Another head than the record that it carries.
    let mut forged = items.clone();
    for item in &mut forged {
        if let Item::Log(log) = item {
            let other = threads_core::block::cid_of(threads_core::block::DAG_CBOR, b"x");
            *log = LogItem::new(log.log, (log.seq, other), log.time().unwrap(), Vec::new());
        }
    }
    refused(forged, "another head");
    // Entities of records that are not covered.
    let mut forged = items;
    for item in &mut forged {
        if let Item::Entity(entity) = item {
            let name = (entity.collection.clone(), entity.id.clone());
            let place = (entity.log, entity.seq + 100, 0);
            *entity = EntityItem::new(name, Life::Deleted, entity.time().unwrap(), place).unwrap();
        }
    }
    refused(forged, "of a record that is not covered");
}

#[test]
fn a_length_that_lies_is_an_error_and_takes_no_room() {
    for length in [u32::MAX, 1 << 26, 1000] {
        let bytes = [&length.to_be_bytes()[..], &[0; 10]].concat();
        assert!(Reader::new(&bytes[..]).next().is_err());
    }
}

#[test]
fn a_file_whose_snapshot_nobody_signed_or_that_was_altered_is_refused_and_nothing_is_visible() {
    let ann = Peer::made(Variant::Raw);
    for n in 0..50 {
        save(&ann.db, &format!("{n}"), "some text, so that it is longer");
    }
    let file = exported(&ann.db);
    assert!(Peer::restored(&file).is_ok());
    let clock = ManualClock::at(NOW_MS);
    let node = builder(&Arc::default()).clock(clock).open().unwrap();
    for cut in [file.len() / 4, file.len() / 2, file.len() - 1] {
        assert!(restore(&node, &file[..cut]).is_err());
    }
    // The same without who signed it.
    let txn = ann.db.thread().node.store.read().unwrap();
    let covered = covered_until(&*txn, ann.db.thread(), None).unwrap();
    let made = make_of(&*txn, ann.db.thread(), covered.clone()).unwrap();
    drop(txn);
    let mut unsigned = Vec::new();
    crate::export::write_covered(&ann.db, (&mut unsigned, &with_keys()), (covered, made.id))
        .unwrap();
    let refused = restore(&node, &unsigned).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Rejected, "{refused}");
    assert!(node.threads().unwrap().is_empty());
    restore(&node, &file).unwrap();
}

#[test]
fn a_lie_that_somebody_signed_is_found_by_whoever_has_the_records() {
    let ann = Peer::made(Variant::Raw);
    let bob = Peer::copy(&ann.db.keys());
    save(&ann.db, "a", "the truth");
    take(&bob.db, &records(&ann.db));
    let (mut items, _) = items(&ann.db);
    for item in &mut items {
        if let Item::Entity(entity) = item
            && entity.id.as_str() == "a"
        {
            let name = (entity.collection.clone(), entity.id.clone());
            let place = (entity.log, entity.seq, entity.index);
            *entity = EntityItem::new(name, Life::Deleted, entity.time().unwrap(), place).unwrap();
        }
    }
    let mut name = Name::default();
    name.update(&bytes(&items));
    let right = ann.db.snapshot().unwrap();
    let lie = Snapshot {
        id: name.finish().0,
        ..right.clone()
    };
    ann.db.sign(lie.clone()).unwrap();
    take(&bob.db, &records(&ann.db));
    assert_eq!(
        bob.db.check_snapshot(&lie.id).unwrap(),
        SnapshotCheck::Differs(right.id)
    );
}

#[test]
fn a_lie_is_healed_on_a_device_that_believed_it_once_the_records_come() {
    let ann = Peer::made(Variant::Raw);
    save(&ann.db, "a", "the truth");
    save(&ann.db, "b", "kept quiet about");
    let all = records(&ann.db);
    let (mut items, _) = items(&ann.db);
    for item in &mut items {
        if let Item::Entity(entity) = item
            && entity.id.as_str() == "a"
        {
            let name = (entity.collection.clone(), entity.id.clone());
            let place = (entity.log, entity.seq, entity.index);
            *entity = EntityItem::new(name, Life::Deleted, entity.time().unwrap(), place).unwrap();
        }
    }
    items.retain(|item| !matches!(item, Item::Entity(entity) if entity.id.as_str() == "b"));
    if let Some(Item::End { entities, .. }) = items.last_mut() {
        *entities -= 1;
    }
    let bytes = bytes(&items);
    let mut name = Name::default();
    name.update(&bytes);
    let device = Peer::copy(&ann.db.keys());
    open(device.db.thread(), &bytes[..], &name.finish().0).unwrap();
    assert!(notes(&device.db).is_empty(), "it believes the lie");
    take(&device.db, &all);
    let wrong = device.db.regain().unwrap().wrong;
    assert_eq!(
        wrong.iter().map(|(_, id)| id.as_str()).collect::<Vec<_>>(),
        ["a", "b"]
    );
    assert_eq!(notes(&device.db), notes(&ann.db));
    assert_eq!(now(&device.db), now(&ann.db));
    clean(&device.db);
}

#[test]
fn a_lie_about_which_records_there_were_is_healed_too() {
    let ann = Peer::made(Variant::Raw);
    for n in 0..40 {
        save(&ann.db, "a", &format!("{n}"));
    }
    let all = records(&ann.db);
    let (mut items, _) = items(&ann.db);
    let carried: Vec<_> = items
        .iter()
        .filter_map(|item| match item {
            Item::Record(record) => Some(record.seq as usize),
            _ => None,
        })
        .collect();
    for item in &mut items {
        let Item::Marks(marks) = item else { continue };
        let mut altered = marks.marks().unwrap();
        let linked = |seq: usize| carried.contains(&seq) || carried.contains(&(seq + 1));
        for (mark, seq) in altered.iter_mut().zip(1..) {
            let is_skipped = (1..50).any(|from| {
                let links = threads_core::record::skip_target(from) == Some(seq as u64);
                links && carried.contains(&(from as usize))
            });
            if !linked(seq) && !is_skipped {
                *mark = Mark::from_bytes([9; 8]);
            }
        }
        *marks = MarksItem::new(marks.log, marks.first, &altered);
    }
    let bytes = bytes(&items);
    let mut name = Name::default();
    name.update(&bytes);
    let device = Peer::copy(&ann.db.keys());
    open(device.db.thread(), &bytes[..], &name.finish().0).unwrap();
    // They come in the order of their times, and each is known by the one after it.
    take(&device.db, &all);
    assert_eq!(device.db.regain().unwrap().lacking, 0);
    assert!(device.db.held().unwrap().is_empty());
    assert_eq!(now(&device.db), now(&ann.db));
    clean(&device.db);
}
