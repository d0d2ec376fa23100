//! Access rules that change in threads that begin with a snapshot.

use super::*;

#[test]
fn a_compacted_thread_is_exported_whatever_was_ruled_since() {
    let root = Peer::made(Variant::AccessControlled);
    save(&root.db, "a", "one");
    edits(&root.db, 30);
    compact(&root.db, Keep::Latest);
    grant(&root.db, PeerId::from_key_bytes([9; 32]), Role::Read);
    let mut file = Vec::new();
    root.db
        .export(&mut file, &with_keys(), &mut |_| ())
        .unwrap();
    let device = Peer::restored(&file).unwrap();
    assert_eq!(now(&device.db), now(&root.db));
    clean(&device.db);
}

#[test]
fn a_removal_that_is_about_what_is_gone_is_told() {
    let root = Peer::made(Variant::AccessControlled);
    let [ann, bob] = [(); 2].map(|()| Peer::copy(&root.db.keys()));
    for peer in [&ann, &bob] {
        grant(&root.db, peer.id(), Role::Write);
    }
    save(&root.db, "a", "one");
    let before = records(&root.db);
    take(&bob.db, &before);
    take(&ann.db, &before);
    patch(&bob.db, "a", &json!({"text": "bob's"}));
    level(&ann.db, &bob.db);
    assert_eq!(notes(&ann.db)[0]["text"], "bob's");
    compact_alone(&ann.db);
    clean(&ann.db);
    assert_eq!(ann.db.base().unwrap().unwrap().owes, None);
    // Root had not seen what Bob wrote when it removed him.
    revoke(&root.db, bob.id(), Role::Write);
    take(&ann.db, &records(&root.db));
    let base = ann.db.base().unwrap().unwrap();
    assert!(base.owes.is_some());
    // Nobody takes what is here for the state.
    assert!(ann.db.snapshot().is_err());
    assert!(
        ann.db
            .export(&mut Vec::new(), &with_keys(), &mut |_| ())
            .is_err()
    );
    clean(&ann.db);
    // What Bob writes from now on does not count.
    patch(&bob.db, "a", &json!({"text": "again"}));
    take(&ann.db, &records(&bob.db));
    assert_eq!(notes(&ann.db)[0]["text"], "bob's");
}

#[test]
fn a_removal_by_whoever_had_seen_it_all_owes_nothing() {
    let root = Peer::made(Variant::AccessControlled);
    let bob = Peer::copy(&root.db.keys());
    grant(&root.db, bob.id(), Role::Write);
    save(&root.db, "a", "one");
    take(&bob.db, &records(&root.db));
    patch(&bob.db, "a", &json!({"text": "bob's"}));
    take(&root.db, &records(&bob.db));
    compact_alone(&root.db);
    revoke(&root.db, bob.id(), Role::Write);
    assert_eq!(root.db.base().unwrap().unwrap().owes, None);
    // A new device learns the rules from the snapshot.
    let device = Peer::restored(&exported(&root.db)).unwrap();
    clean(&device.db);
    assert_eq!(now(&device.db), now(&root.db));
    patch(&bob.db, "a", &json!({"text": "again"}));
    take(&device.db, &records(&bob.db));
    assert_eq!(notes(&device.db)[0]["text"], "bob's");
    assert_eq!(device.db.held_counts().unwrap().quarantined, 1);
}

#[test]
fn a_removal_that_came_late_is_carried_out_once_the_older_records_are_back() {
    let root = Peer::made(Variant::AccessControlled);
    let bob = Peer::copy(&root.db.keys());
    let ann = Peer::copy(&root.db.keys());
    grant(&root.db, bob.id(), Role::Write);
    grant(&root.db, ann.id(), Role::Write);
    save(&root.db, "a", "one");
    take(&bob.db, &records(&root.db));
    patch(&bob.db, "a", &json!({"text": "bob's"}));
    take(&ann.db, &records(&root.db));
    take(&ann.db, &records(&bob.db));
    let all = records(&ann.db);
    compact_alone(&ann.db);
    revoke(&root.db, bob.id(), Role::Write);
    take(&ann.db, &records(&root.db));
    assert!(ann.db.base().unwrap().unwrap().owes.is_some());
    assert_eq!(notes(&ann.db)[0]["text"], "bob's");
    take(&ann.db, &all);
    let regained = ann.db.regain().unwrap();
    assert_eq!(regained.wrong.len(), 1, "{regained:?}");
    assert_eq!(notes(&ann.db)[0]["text"], "one");
    assert_eq!(ann.db.held_counts().unwrap().quarantined, 1);
    clean(&ann.db);
}

#[test]
fn who_keeps_what_is_from_before_a_change_of_rules_is_told_from_when_it_can() {
    let root = Peer::made(Variant::AccessControlled);
    save(&root.db, "a", "one");
    edits(&root.db, 20);
    root.clock.set(NOW_MS + 10_000);
    grant(&root.db, PeerId::from_key_bytes([9; 32]), Role::Read);
    root.clock.set(NOW_MS + 20_000);
    edits(&root.db, 5);
    let keep = |since_ms| CompactOptions {
        keep: Keep::SinceMs(since_ms),
        ..even_alone()
    };
    let refused = root
        .db
        .compact(&keep(NOW_MS + 5_000), &mut |_| ())
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    let changed_ms = format!("{}", NOW_MS + 10_000);
    assert!(refused.to_string().contains(&changed_ms), "{refused}");
    let did = root
        .db
        .compact(&keep(NOW_MS + 10_001), &mut |_| ())
        .unwrap();
    assert!(did.dropped > 0);
    clean(&root.db);
}
