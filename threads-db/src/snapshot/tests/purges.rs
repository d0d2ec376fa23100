//! Purges in threads that begin with a snapshot.

use std::ops::Bound::Unbounded;

use threads_core::datastore::{Direction, Keyspace};

use super::*;

fn name(id: &str) -> (threads_core::CollectionName, threads_core::EntityId) {
    ("Note".parse().unwrap(), id.parse().unwrap())
}

/// Whether a word is anywhere in what a node keeps, in the clear or within a record that it can open.
fn has_word(db: &Db, word: &str) -> bool {
    let txn = db.thread().node.store.read().unwrap();
    let within = |bytes: &[u8]| {
        bytes
            .windows(word.len())
            .any(|part| part == word.as_bytes())
    };
    let all = || (Unbounded, Unbounded);
    let in_clear = Keyspace::ALL.iter().any(|space| {
        let mut rows = txn.scan(*space, all(), Direction::Forward).unwrap();
        rows.any(|row| within(&row.unwrap().1))
    });
    let mut blocks = txn
        .scan(Keyspace::Blocks, all(), Direction::Forward)
        .unwrap();
    let sealed = blocks.any(|row| {
        let blocks = chain::split(&row.unwrap().1, 0).unwrap();
        let opened = db.thread().open(&blocks).unwrap();
        let events = opened.batch().map_or(&[][..], |batch| &batch.events);
        events.iter().any(|event| within(&event.payload))
    });
    in_clear || sealed
}

#[test]
fn an_honest_signer_is_not_said_to_differ_where_somebody_purged() {
    for signer_purges in [true, false] {
        let ann = Peer::made(Variant::Raw);
        let bob = Peer::copy(&ann.db.keys());
        save(&ann.db, "b", "kept");
        save(&ann.db, "a", "a secret");
        if signer_purges {
            ann.db.collection("Note").unwrap().delete("a").unwrap();
            take(&bob.db, &records(&ann.db));
            ann.db.purge([name("a")]).unwrap();
        }
        let made = ann.db.snapshot().unwrap();
        assert_eq!(made.emptied > 0, signer_purges);
        take(&bob.db, &records(&ann.db));
        if !signer_purges {
            assert_eq!(
                bob.db.check_snapshot(&made.id).unwrap(),
                SnapshotCheck::Agrees
            );
            bob.db.purge([name("a")]).unwrap();
        }
        let check = bob.db.check_snapshot(&made.id).unwrap();
        let may = matches!(check, SnapshotCheck::Unknown(_)) || check == SnapshotCheck::Agrees;
        assert!(may, "{check:?}");
        if !signer_purges {
            assert!(matches!(check, SnapshotCheck::Unknown(_)), "{check:?}");
        }
        // Who signs for something else is found all the same, where nobody purged.
        let carol = Peer::copy(&ann.db.keys());
        take(&carol.db, &records(&ann.db));
        let lie = Snapshot {
            id: threads_core::block::cid_of(threads_core::block::RAW, b"a lie"),
            emptied: 0,
            ..made
        };
        if !signer_purges {
            ann.db.sign(lie.clone()).unwrap();
            take(&carol.db, &records(&ann.db));
            let check = carol.db.check_snapshot(&lie.id).unwrap();
            assert!(matches!(check, SnapshotCheck::Differs(_)), "{check:?}");
        }
    }
}

#[test]
fn what_is_purged_after_a_compaction_is_gone() {
    let ann = Peer::made(Variant::Raw);
    save(&ann.db, "a", "a secret");
    save(&ann.db, "b", "kept");
    patch(&ann.db, "a", &json!({"text": "another secret"}));
    compact(&ann.db, Keep::Latest);
    patch(&ann.db, "a", &json!({"more": 1}));
    assert!(has_word(&ann.db, "secret"));
    ann.db.purge([name("a")]).unwrap();
    assert!(!has_word(&ann.db, "secret"));
    clean(&ann.db);
    assert_eq!(notes(&ann.db).len(), 1);
}

#[test]
fn what_is_purged_right_after_a_compaction_is_gone() {
    let ann = Peer::made(Variant::Raw);
    save(&ann.db, "a", "a secret");
    save(&ann.db, "b", "kept");
    compact(&ann.db, Keep::Latest);
    assert!(has_word(&ann.db, "secret"));
    ann.db.purge([name("a")]).unwrap();
    assert!(!has_word(&ann.db, "secret"));
    assert_eq!(notes(&ann.db).len(), 1);
    clean(&ann.db);
}

/// A thread of root's in which Bob and Ann may write and delete, all at the same state.
fn ruled() -> [Peer; 3] {
    let root = Peer::made(Variant::AccessControlled);
    let [ann, bob] = [(); 2].map(|()| Peer::copy(&root.db.keys()));
    for peer in [&ann, &bob] {
        for role in [Role::Write, Role::Delete] {
            grant(&root.db, peer.id(), role);
        }
    }
    save(&root.db, "b", "bob deletes it");
    save(&root.db, "s", "a secret");
    for peer in [&ann, &bob] {
        take(&peer.db, &records(&root.db));
    }
    [root, ann, bob]
}

#[test]
fn a_purge_takes_nothing_from_the_dead_that_it_does_not_name() {
    let [root, ann, bob] = ruled();
    compact_alone(&ann.db);
    bob.db.collection("Note").unwrap().delete("b").unwrap();
    take(&ann.db, &records(&bob.db));
    assert!(!ann.db.collection("Note").unwrap().has("b").unwrap());
    // Something that came after Ann's base is purged.
    save(&root.db, "new", "another secret");
    take(&ann.db, &records(&root.db));
    root.db.purge([name("new")]).unwrap();
    take(&ann.db, &records(&root.db));
    assert!(!has_word(&ann.db, "another secret"));
    // Root had not seen that Bob deleted something when it removed him: that is undone.
    revoke(&root.db, bob.id(), Role::Replicate);
    take(&ann.db, &records(&root.db));
    take(&root.db, &records(&bob.db));
    assert!(root.db.collection("Note").unwrap().has("b").unwrap());
    assert!(ann.db.collection("Note").unwrap().has("b").unwrap());
    assert_eq!(ann.db.base().unwrap().unwrap().owes, None);
    for peer in [&root, &ann] {
        clean(&peer.db);
    }
    assert_eq!(notes(&ann.db), notes(&root.db));
}

#[test]
fn what_is_purged_of_what_is_covered_leaves_nothing_though_it_is_deleted_later() {
    let [root, ann, bob] = ruled();
    compact_alone(&ann.db);
    // Bob deletes it, and root, who knows of that, purges it.
    bob.db.collection("Note").unwrap().delete("s").unwrap();
    take(&root.db, &records(&bob.db));
    root.db.purge([name("s")]).unwrap();
    let mut all = records(&root.db);
    all.extend(records(&bob.db));
    for blocks in all.iter().rev() {
        take(&ann.db, std::slice::from_ref(blocks));
    }
    take(&ann.db, &all);
    assert!(!has_word(&ann.db, "a secret"));
    clean(&ann.db);
    assert_eq!(notes(&ann.db), notes(&root.db));
}

#[test]
fn who_has_dropped_records_leaves_the_purge_to_others_and_does_it_with_them() {
    let root = Peer::made(Variant::AccessControlled);
    let ann = Peer::copy(&root.db.keys());
    for role in [Role::Write, Role::Delete] {
        grant(&root.db, ann.id(), role);
    }
    save(&root.db, "a", "a secret");
    save(&root.db, "b", "kept");
    patch(&root.db, "a", &json!({"text": "another secret"}));
    level(&root.db, &ann.db);
    compact_alone(&ann.db);
    let refused = ann.db.purge([name("a")]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported, "{refused}");
    assert!(has_word(&ann.db, "secret"));
    root.db.purge([name("a")]).unwrap();
    take(&ann.db, &records(&root.db));
    for peer in [&root, &ann] {
        assert!(!has_word(&peer.db, "secret"));
        clean(&peer.db);
        assert_eq!(notes(&peer.db).len(), 1);
    }
}
