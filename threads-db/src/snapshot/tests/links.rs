//! What names records that are not here any more, and other records in their places.

use threads_core::record::{Dep, Record};

use super::forger::{Forger, at, saves};
use super::*;
use crate::held::HeldReason;

/// The record of this number in the first log of a node.
fn named(db: &Db, seq: u64) -> Dep {
    let all = records(db);
    let opened = |blocks: &Blocks| db.thread().open_record(&blocks.record).unwrap();
    let record = all
        .iter()
        .map(opened)
        .find(|record| record.fields().seq == seq);
    let record = record.unwrap();
    let (log, cid) = (record.fields().log, record.id());
    Dep { log, seq, cid }
}

fn edited() -> Peer {
    let ann = Peer::made(Variant::Raw);
    save(&ann.db, "a", "one");
    for n in 0..60 {
        patch(&ann.db, "a", &json!({"n": n}));
    }
    ann
}

fn has(db: &Db, id: &str) -> bool {
    db.collection("Note").unwrap().has(id).unwrap()
}

#[test]
fn a_link_to_a_record_that_was_dropped_counts_only_if_it_is_that() {
    let ann = edited();
    let deps: Vec<_> = [2, 20, 33].map(|seq| named(&ann.db, seq)).into();
    let whole = Peer::copy(&ann.db.keys());
    take(&whole.db, &records(&ann.db));
    let device = Peer::restored(&exported(&ann.db)).unwrap();
    take(&whole.db, &records(&ann.db));
    compact(&ann.db, Keep::Latest);
    let other = threads_core::block::cid_of(threads_core::block::DAG_CBOR, b"another");
    for (dep, n) in deps.iter().zip(0..) {
        let mut right = Forger::new(&ann.db);
        let id = format!("right{n}");
        let sound = right.write(
            at(5_000, 0),
            (std::slice::from_ref(dep), &[]),
            vec![saves(&id, &json!({"_id": id}))],
        );
        let mut wrong = Forger::new(&ann.db);
        let lies = Dep {
            cid: other,
            ..dep.clone()
        };
        let id = format!("wrong{n}");
        let lie = wrong.write(
            at(5_000, 0),
            (&[lies], &[]),
            vec![saves(&id, &json!({"_id": id}))],
        );
        // A place of another log is none of this one.
        let elsewhere = Dep {
            log: right.log(),
            ..dep.clone()
        };
        let mut astray = Forger::new(&ann.db);
        let id = format!("astray{n}");
        let third = astray.write(
            at(5_000, 0),
            (&[elsewhere], &[]),
            vec![saves(&id, &json!({"_id": id}))],
        );
        for peer in [&whole, &ann, &device] {
            take(&peer.db, &[sound.clone(), lie.clone(), third.clone()]);
            assert!(has(&peer.db, &format!("right{n}")));
            assert!(!has(&peer.db, &format!("wrong{n}")) && !has(&peer.db, &format!("astray{n}")));
        }
    }
    for peer in [&whole, &ann, &device] {
        let held = peer.db.held().unwrap();
        assert_eq!(held.len(), 6, "{held:?}");
        let misses = |held: &crate::HeldRecord| matches!(held.reason, HeldReason::Missing(_));
        assert!(held.iter().all(misses), "{held:?}");
        clean(&peer.db);
    }
    for peer in [&whole, &device] {
        take(&peer.db, &records(&ann.db));
        assert_eq!(now(&peer.db), now(&ann.db));
    }
}

#[test]
fn marks_outlive_a_second_compaction_and_are_handed_on() {
    let ann = edited();
    let dep = named(&ann.db, 20);
    compact(&ann.db, Keep::Latest);
    for n in 0..20 {
        patch(&ann.db, "a", &json!({"more": n}));
    }
    let late = named(&ann.db, 70);
    let whole = exported(&ann.db);
    compact(&ann.db, Keep::Latest);
    let device = Peer::restored(&whole).unwrap();
    let third = Peer::restored(&exported(&device.db)).unwrap();
    take(&ann.db, &records(&device.db));
    let mut forger = Forger::new(&ann.db);
    let known = forger.write(
        at(5_000, 0),
        (&[dep, late], &[]),
        vec![saves("x", &json!({"_id": "x"}))],
    );
    for peer in [&ann, &device, &third] {
        take(&peer.db, std::slice::from_ref(&known));
        assert!(has(&peer.db, "x"));
        clean(&peer.db);
    }
}

#[test]
fn another_record_in_the_place_of_a_covered_one_waits_for_the_older_ones() {
    let ann = Peer::made(Variant::Raw);
    let mut forger = Forger::new(&ann.db);
    let mut written = Vec::new();
    for n in 0..30 {
        written.push(forger.save(n, "a"));
    }
    take(&ann.db, &written);
    let all = records(&ann.db);
    let [ten, first, last] = [9, 0, 29].map(|kept| forger.at(kept).save(2_000, "forked"));
    compact(&ann.db, Keep::Latest);
    let heads = ann.db.heads().unwrap();
    let whole = Peer::copy(&ann.db.keys());
    take(&whole.db, &records(&ann.db));
    take(&whole.db, &all);
    for other in [ten, first, last] {
        take(&ann.db, std::slice::from_ref(&other));
        take(&whole.db, std::slice::from_ref(&other));
    }
    assert_eq!(ann.db.heads().unwrap(), heads);
    assert_eq!(ann.db.base().unwrap().unwrap().waiting, 3);
    assert!(!has(&ann.db, "forked") && has(&whole.db, "forked"));
    assert!(ann.db.snapshot().is_err());
    let told = whole.db.snapshot().unwrap_err();
    assert!(told.to_string().contains("forked"), "{told}");
    clean(&ann.db);
    take(&ann.db, &all);
    assert_eq!(ann.db.regain().unwrap().lacking, 0);
    assert_eq!(
        ann.db.forks().unwrap().len(),
        whole.db.forks().unwrap().len()
    );
    assert_eq!(notes(&ann.db), notes(&whole.db));
    assert!(ann.db.held().unwrap().is_empty());
    clean(&ann.db);
}

#[test]
fn a_fork_that_was_held_before_moves_no_head_back() {
    let ann = Peer::made(Variant::Raw);
    let mut forger = Forger::new(&ann.db);
    let written: Vec<_> = (0..30).map(|n| forger.save(n, "a")).collect();
    take(&ann.db, &written);
    let mut branch = forger.at(9);
    let (tenth, next) = (branch.save(2_000, "forked"), branch.save(2_001, "forked"));
    take(&ann.db, std::slice::from_ref(&next));
    assert_eq!(ann.db.held_counts().unwrap().pending, 1);
    compact(&ann.db, Keep::Latest);
    let heads = ann.db.heads().unwrap();
    ann.db.retry_held().unwrap();
    take(&ann.db, std::slice::from_ref(&tenth));
    ann.db.retry_held().unwrap();
    assert_eq!(ann.db.heads().unwrap(), heads);
    assert!(!has(&ann.db, "forked"));
    assert_eq!(ann.db.base().unwrap().unwrap().waiting, 2);
    clean(&ann.db);
}

/// An event that says to adopt a record.
fn adopts(record: &Cid) -> threads_core::batch::EntityEvent {
    threads_core::batch::EntityEvent {
        collection: "$adopted".parse().unwrap(),
        entity: record.to_string().parse().unwrap(),
        codec: crate::whole::whole_id(),
        action: threads_core::codec::ActionKind::Save,
        payload: threads_core::block::encode(&json!({"by": "somebody"})).unwrap(),
    }
}

#[test]
fn what_says_to_adopt_a_record_that_nobody_knows_waits_and_differs_from_nobody_in_silence() {
    let ann = edited();
    save(&ann.db, "b", "one");
    let all = records(&ann.db);
    let whole = Peer::copy(&ann.db.keys());
    take(&whole.db, &all);
    compact(&ann.db, Keep::Latest);
    take(&whole.db, &records(&ann.db));
    let nothing = threads_core::block::cid_of(threads_core::block::DAG_CBOR, b"nothing");
    let mut forger = Forger::new(&ann.db);
    let events = vec![
        adopts(&nothing),
        saves("b", &json!({"_id": "b", "text": "two"})),
    ];
    let record = forger.write(at(5_000, 0), (&[], &[]), events);
    for peer in [&ann, &whole] {
        peer.clock.set(NOW_MS + 5_000);
        take(&peer.db, std::slice::from_ref(&record));
    }
    assert_eq!(notes(&whole.db)[1]["text"], "two");
    assert_eq!(notes(&ann.db)[1]["text"], "one");
    assert_eq!(ann.db.base().unwrap().unwrap().waiting, 1);
    assert!(ann.db.snapshot().is_err());
    clean(&ann.db);
    // Everything else goes on.
    patch(&ann.db, "a", &json!({"after": 1}));
    assert_eq!(notes(&ann.db)[0]["after"], 1);
    take(&ann.db, &all);
    assert_eq!(ann.db.regain().unwrap().applied, 1);
    take(&whole.db, &records(&ann.db));
    assert_eq!(now(&ann.db), now(&whole.db));
}
