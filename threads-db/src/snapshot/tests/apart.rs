//! Records that are in quarantine where a snapshot is made, or wait for a clock.

use super::forger::{Forger, at, saves};
use super::*;
use crate::held::HeldReason;

const HOUR_MS: u64 = 3_600_000;

fn all_equal(peers: &[&Peer]) {
    for peer in peers {
        clean(&peer.db);
        assert_eq!(notes(&peer.db), notes(&peers[0].db));
        assert_eq!(now(&peer.db), now(&peers[0].db));
    }
}

#[test]
fn what_is_dated_ahead_poisons_no_new_device_and_is_applied_when_its_time_comes() {
    let ann = Peer::made(Variant::Raw);
    let whole = Peer::copy(&ann.db.keys());
    save(&ann.db, "a", "one");
    for n in 0..20 {
        patch(&ann.db, "a", &json!({"n": n}));
    }
    let mut forger = Forger::new(&ann.db);
    let soon = [forger.save(0, "f"), forger.save(HOUR_MS, "ahead")];
    take(&ann.db, &soon);
    take(&whole.db, &records(&ann.db));
    let device = Peer::restored(&exported(&ann.db)).unwrap();
    take(&whole.db, &records(&ann.db));
    // What the device writes is taken by all, and not as from the future.
    save(&device.db, "d", "device");
    take(&whole.db, &records(&device.db));
    assert!(whole.db.collection("Note").unwrap().has("d").unwrap());
    compact(&ann.db, Keep::Latest);
    take(&ann.db, &records(&device.db));
    let peers = [&whole, &ann, &device];
    for peer in peers {
        take(&peer.db, &records(&ann.db));
        assert!(!peer.db.collection("Note").unwrap().has("ahead").unwrap());
        assert_eq!(peer.db.held_counts().unwrap().quarantined, 1);
    }
    all_equal(&peers);
    for peer in peers {
        peer.clock.set(NOW_MS + 2 * HOUR_MS);
        peer.db.retry_held().unwrap();
        assert!(peer.db.collection("Note").unwrap().has("ahead").unwrap());
    }
    all_equal(&peers);
    compact(&ann.db, Keep::Latest);
    clean(&ann.db);
}

#[test]
fn who_has_a_slow_clock_is_told_so_and_blames_nobody() {
    let ann = Peer::made(Variant::Raw);
    ann.clock.set(NOW_MS + HOUR_MS);
    save(&ann.db, "a", "one");
    let file = exported(&ann.db);
    let refused = Peer::restored(&file).map(drop).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
    assert!(refused.to_string().contains("clock"));
    // Only what comes after the snapshot is ahead.
    let ann = Peer::made(Variant::Raw);
    save(&ann.db, "a", "one");
    for ahead_ms in [5 * 60_000, HOUR_MS] {
        ann.clock.set(NOW_MS + ahead_ms);
        let refused = Peer::restored(&exported(&ann.db)).map(drop).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
    }
}

#[test]
fn what_is_in_quarantine_for_what_it_is_stays_so_on_a_new_device() {
    let ann = Peer::made(Variant::Raw);
    let mut forger = Forger::new(&ann.db);
    let written = [
        forger.save(100, "first"),
        forger.save(50, "earlier"),
        forger.save(200, "later"),
    ];
    for n in 0..10 {
        save(&ann.db, "a", &format!("{n}"));
    }
    take(&ann.db, &written);
    let device = Peer::restored(&exported(&ann.db)).unwrap();
    for peer in [&ann, &device] {
        let held = peer.db.held().unwrap();
        let [held] = &held[..] else {
            panic!("{held:?}");
        };
        assert!(matches!(held.reason, HeldReason::Quarantine(_)), "{held:?}");
        peer.db.retry_held().unwrap();
        assert!(!peer.db.collection("Note").unwrap().has("earlier").unwrap());
    }
    assert_eq!(now(&ann.db), now(&device.db));
    take(&ann.db, &records(&device.db));
    compact(&ann.db, Keep::Latest);
    ann.db.retry_held().unwrap();
    assert!(!ann.db.collection("Note").unwrap().has("earlier").unwrap());
    clean(&ann.db);
}

#[test]
fn what_rules_kept_apart_is_applied_on_all_once_they_allow_it() {
    let root = Peer::made(Variant::AccessControlled);
    let whole = Peer::copy(&root.db.keys());
    let mut forger = Forger::new(&root.db);
    save(&root.db, "a", "one");
    let mut one = forger.save(100, "x");
    // It knows of no rule, and so nothing allows it.
    take(&root.db, std::slice::from_ref(&one));
    assert_eq!(root.db.held_counts().unwrap().quarantined, 1);
    let device = Peer::restored(&exported(&root.db)).unwrap();
    take(&whole.db, &records(&root.db));
    compact_alone(&root.db);
    clean(&root.db);
    // It is adopted, which counts on all alike.
    let held = root.db.held().unwrap();
    root.clock.set(NOW_MS + 1_000);
    root.db.write(|txn| txn.adopt(&held[0].record)).unwrap();
    for peer in [&device, &whole] {
        peer.clock.set(NOW_MS + 1_000);
        take(&peer.db, &records(&root.db));
    }
    all_equal(&[&root, &whole, &device]);
    assert!(root.db.collection("Note").unwrap().has("x").unwrap());
    // Who begins after the adoption does not take the adopted one a second time.
    let third = Peer::restored(&exported(&root.db)).unwrap();
    one.body.clear();
    assert_eq!(notes(&third.db), notes(&root.db));
    clean(&third.db);
}

#[test]
fn who_adopts_what_was_adopted_before_the_base_waits_for_the_older_records() {
    let root = Peer::made(Variant::AccessControlled);
    let bob = Peer::copy(&root.db.keys());
    grant(&root.db, bob.id(), Role::Write);
    let mut forger = Forger::new(&root.db);
    let value = json!({"_id": "x", "text": "forger"});
    let stranger = forger.write(at(0, 0), (&[], &[]), vec![saves("x", &value)]);
    take(&root.db, std::slice::from_ref(&stranger));
    take(&bob.db, &records(&root.db));
    take(&bob.db, std::slice::from_ref(&stranger));
    let held = bob.db.held().unwrap();
    assert_eq!(held.len(), 1, "{held:?}");
    let whole = Peer::copy(&root.db.keys());
    root.db.write(|txn| txn.adopt(&held[0].record)).unwrap();
    let all = records(&root.db);
    compact_alone(&root.db);
    // Bob knows nothing of that, and does the same.
    bob.clock.set(NOW_MS + 1_000);
    bob.db.write(|txn| txn.adopt(&held[0].record)).unwrap();
    for peer in [&root, &whole] {
        peer.clock.set(NOW_MS + 1_000);
        take(&peer.db, &all);
        take(&peer.db, &records(&bob.db));
    }
    assert_eq!(root.db.base().unwrap().map(|base| base.waiting), Some(1));
    assert_eq!(notes(&root.db), notes(&whole.db));
    let regained = root.db.regain().unwrap();
    assert_eq!((regained.lacking, regained.applied), (0, 1));
    take(&whole.db, &records(&root.db));
    all_equal(&[&root, &whole]);
}
