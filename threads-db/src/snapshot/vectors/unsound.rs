//! Content of snapshots that is refused, made from such as is sound.

use threads_core::block::{DAG_CBOR, cid_of};
use threads_core::codec::EntityState;
use threads_core::{Cid, Hlc, ThreadId};

use super::{
    Case, DEFINITION, DELETED, EIGHTH, FIRST, FOURTH, LIVING, LOG, MARKS, NINTH, changed, encoded,
    entity, log, marks, marks_of, record,
};
use crate::entity::Life;
use crate::snapshot::Apart;
use crate::snapshot::content::{EntityItem, Item, RecordItem};

/// By the bytes, whatever the items say.
pub(super) fn forms(items: &[Item], apart: &[u8]) -> Vec<Case> {
    let whole = encoded(items);
    let in_place = |content: &[u8], from: &[u8], to: &[u8]| {
        let at = content.windows(from.len()).position(|part| part == from);
        let at = at.unwrap();
        [&content[..at], to, &content[at + from.len()..]].concat()
    };
    let too_long = [&u32::MAX.to_be_bytes()[..], &whole[4..]].concat();
    let fewer = |at: usize| {
        let mut items = items.to_vec();
        items.remove(at);
        encoded(&items)
    };
    let twice = [items, &items[items.len() - 1..]].concat();
    vec![
        ("nothing", Vec::new()),
        ("it ends early", whole[..whole.len() - 1].to_vec()),
        ("no end", encoded(&items[..items.len() - 1])),
        ("it goes on after its end", [&whole[..], &[0]].concat()),
        ("its end twice", encoded(&twice)),
        ("an item that is too long", too_long),
        ("fewer entities than it counts", fewer(LIVING)),
        ("fewer records than it counts", fewer(EIGHTH)),
        (
            "an unknown item",
            in_place(&whole, b"\x65marks", b"\x65masks"),
        ),
        (
            "an unknown reason for quarantine",
            in_place(apart, b"itself", b"itselv"),
        ),
        (
            "quarantine without a reason",
            in_place(&whole, b"\x65apart\xf6", b"\x65apart\xf5"),
        ),
    ]
}

/// By the order of the items.
pub(super) fn turns(items: &[Item]) -> Vec<Case> {
    let changed = |change: &dyn Fn(&mut Vec<Item>)| changed(items, change);
    let moved = |from: usize, to: usize| {
        changed(&|items| {
            let item = items.remove(from);
            items.insert(to, item);
        })
    };
    let twice = |at: usize| changed(&|items| items.insert(at, items[at].clone()));
    let (id, named) = (
        ThreadId::from_bytes(&[&[1, 0x55][..], &[7; 32]].concat()).unwrap(),
        cid_of(DAG_CBOR, b"rule"),
    );
    let begins = |version: u64, thread: Option<&ThreadId>, acl: Vec<Cid>| {
        changed(&|items| {
            let Item::Thread { thread: own, .. } = &items[0] else {
                panic!("no thread")
            };
            let thread = thread.unwrap_or(own).clone();
            let acl = acl.clone();
            items[0] = Item::Thread {
                version,
                thread,
                acl,
            };
        })
    };
    vec![
        ("no thread", changed(&|items| drop(items.remove(0)))),
        ("its thread twice", twice(0)),
        ("a later version", begins(2, None, Vec::new())),
        ("of another thread", begins(1, Some(&id), Vec::new())),
        (
            "it names an access record that is not there",
            begins(1, None, vec![named]),
        ),
        ("no log", changed(&|items| drop(items.remove(LOG)))),
        ("a log twice", twice(LOG)),
        ("marks before their log", moved(MARKS, LOG)),
        ("a record before the marks", moved(FIRST, MARKS)),
        ("a record after an entity", moved(NINTH, DEFINITION)),
        ("records out of turn", moved(FOURTH, EIGHTH)),
        ("a record twice", twice(FOURTH)),
        ("entities out of turn", moved(LIVING, DELETED)),
        ("an entity twice", twice(LIVING)),
    ]
}

/// By the order of the logs, and of their marks.
pub(super) fn logs(two: &[Item]) -> Vec<Case> {
    let changed = |change: &dyn Fn(&mut Vec<Item>)| changed(two, change);
    let marks_of_second = LOG + 3;
    vec![
        (
            "logs out of turn",
            changed(&|items| items.swap(LOG, LOG + 1)),
        ),
        (
            "marks of the second log first",
            changed(&|items| items.swap(LOG + 2, marks_of_second)),
        ),
        (
            "marks of one log of two",
            changed(&|items| drop(items.remove(marks_of_second))),
        ),
        (
            "records of the second log first",
            changed(&|items| {
                let is_first =
                    |item: &Item| matches!(item, Item::Record(record) if record.log == 0);
                let is_second =
                    |item: &Item| matches!(item, Item::Record(record) if record.log == 1);
                let at = items.iter().position(is_first).unwrap();
                let firsts = items
                    .extract_if(.., |item| is_first(item))
                    .collect::<Vec<_>>();
                let after = at + items.iter().filter(|item| is_second(item)).count();
                drop(items.splice(after..after, firsts));
            }),
        ),
    ]
}

/// By the marks of the records.
pub(super) fn listed(items: &[Item]) -> Vec<Case> {
    let all = marks_of(&items[MARKS]);
    let with = |item: Item| changed(items, |items| items[MARKS] = item);
    let log_of = |seq, time, acl| {
        let item = log(items, seq, time, acl);
        changed(items, |items| items[LOG] = item)
    };
    let mut other = all.clone();
    other[0] ^= 1;
    let mut before = all.clone();
    before[7 * 8] ^= 1;
    let named = cid_of(DAG_CBOR, b"rule");
    vec![
        (
            "a log that is covered up to 0",
            log_of(Some(0), None, Vec::new()),
        ),
        (
            "a log with another time than its last record",
            log_of(None, Some(Hlc::ZERO), Vec::new()),
        ),
        (
            "a log that knows of an access record that is not there",
            log_of(None, None, vec![named]),
        ),
        (
            "no marks",
            changed(items, |items| drop(items.remove(MARKS))),
        ),
        (
            "marks twice",
            changed(items, |items| items.insert(MARKS, items[MARKS].clone())),
        ),
        (
            "marks of a length that is no multiple of eight",
            with(marks(0, 1, &all[..all.len() - 1])),
        ),
        (
            "marks of fewer records",
            with(marks(0, 1, &all[..all.len() - 8])),
        ),
        (
            "marks of more records",
            with(marks(0, 1, &[&all[..], &[7; 8]].concat())),
        ),
        (
            "marks in two items, of fewer than 2,000 records",
            changed(items, |items| {
                items[MARKS] = marks(0, 1, &all[..8]);
                items.insert(MARKS + 1, marks(0, 2, &all[8..]));
            }),
        ),
        ("marks from another record on", with(marks(0, 2, &all))),
        ("marks of no log", with(marks(1, 1, &all))),
        ("a record with another mark", with(marks(0, 1, &other))),
        (
            "a record that links to one with another mark",
            with(marks(0, 1, &before)),
        ),
    ]
}

/// By the records.
pub(super) fn records(items: &[Item]) -> Vec<Case> {
    let without = |at: usize| changed(items, |items| drop(items.remove(at)));
    let at = |log: u64, seq: u64| {
        changed(items, |items| {
            let record = record(items, NINTH);
            (record.log, record.seq) = (log, seq);
        })
    };
    let named = cid_of(DAG_CBOR, b"rule");
    vec![
        ("without its first record", without(FIRST)),
        ("without its last record", without(NINTH)),
        (
            "without one that a later one has as its skip link",
            without(FOURTH),
        ),
        ("a record of no log", at(1, 9)),
        ("a record beyond what is covered", at(0, 10)),
        (
            "a record with the number 0",
            changed(items, |items| record(items, FIRST).seq = 0),
        ),
        (
            "a record in the place of another",
            changed(items, |items| {
                let blocks = record(items, FOURTH).blocks();
                items[EIGHTH] = Item::Record(RecordItem::new((0, 8), None, Vec::new(), blocks));
            }),
        ),
        (
            "a record that knows of an access record that is not there",
            changed(items, |items| {
                record(items, EIGHTH).acl = vec![named];
            }),
        ),
    ]
}

/// By the entities.
pub(super) fn entities(items: &[Item]) -> Vec<Case> {
    let at = |log: u64, seq: u64| {
        changed(items, |items| {
            let entity = entity(items, LIVING);
            (entity.log, entity.seq) = (log, seq);
        })
    };
    let like = |at: usize, life: Life, time: Option<Hlc>| {
        changed(items, |items| {
            let of = entity(items, at);
            let (name, place) = (
                (of.collection.clone(), of.id.clone()),
                (of.log, of.seq, of.index),
            );
            *of = EntityItem::new(name, life, time.unwrap_or(of.time().unwrap()), place).unwrap();
        })
    };
    let codec = "jsonpatch/1".parse().unwrap();
    let state = Life::Live(codec, EntityState::new(&b"\xff"[..]));
    vec![
        ("an entity of no log", at(1, 7)),
        ("an entity of a record with the number 0", at(0, 0)),
        ("an entity of a record beyond what is covered", at(0, 10)),
        (
            "an entity with another time than its record",
            like(DELETED, Life::Deleted, Some(Hlc::ZERO)),
        ),
        (
            "an entity of a record in quarantine",
            changed(items, |items| {
                record(items, NINTH).apart = Some(Apart::Rules);
            }),
        ),
        (
            "a state that its codec does not know",
            like(LIVING, state, None),
        ),
    ]
}
