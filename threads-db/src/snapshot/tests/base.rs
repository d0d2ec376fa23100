//! Threads that begin with a snapshot: opened from one, or compacted.

use threads_core::access::{Role, Scope, Subject};
use threads_core::datastore::{Direction, Keyspace};

use super::*;
use crate::held::HeldReason;
use crate::layout::{Prefix, thread_prefix};
use crate::{ChangeFilter, FeedCursor, Notice};

fn rows(db: &Db, space: Keyspace) -> usize {
    let txn = db.thread().node.store.read().unwrap();
    let prefix = Prefix::new(&thread_prefix(db.thread().number));
    txn.scan(space, prefix.range(), Direction::Forward)
        .unwrap()
        .count()
}

pub(super) fn even_alone() -> CompactOptions {
    let mut options = CompactOptions::new(Keep::Latest);
    options.even_alone = true;
    options
}

fn edits(db: &Db, count: u64) {
    for n in 0..count {
        patch(db, "a", &json!({"text": format!("{n}")}));
    }
}

#[test]
fn compacting_drops_what_is_not_needed_and_changes_no_answer() {
    let ann = Peer::made(Variant::Raw);
    save(&ann.db, "a", "one");
    save(&ann.db, "b", "two");
    edits(&ann.db, 300);
    ann.db.collection("Note").unwrap().delete("b").unwrap();
    let (before, name) = (notes(&ann.db), now(&ann.db));
    let blocks = rows(&ann.db, Keyspace::Blocks);

    let mut dry = CompactOptions::new(Keep::Latest);
    dry.dry_run = true;
    let would = ann.db.compact(&dry, &mut |_| ()).unwrap();
    assert_eq!(rows(&ann.db, Keyspace::Blocks), blocks, "it was dry");
    let did = compact(&ann.db, Keep::Latest);
    assert_eq!((did.dropped, did.bytes), (would.dropped, would.bytes));
    assert!(did.dropped > 280, "{did:?}");
    assert_eq!(did.snapshot, Some(name));
    assert_eq!(ann.db.check_snapshot(&name).unwrap(), SnapshotCheck::Agrees);
    assert_eq!(rows(&ann.db, Keyspace::Blocks) as u64, did.kept + 1);
    assert!(rows(&ann.db, Keyspace::Links) < 30);
    assert_eq!(rows(&ann.db, Keyspace::History), 1, "who signed");
    assert_eq!(rows(&ann.db, Keyspace::Feed), 1);
    assert_eq!(notes(&ann.db), before);
    clean(&ann.db);
    // The dead stay so, and the living go on.
    let revived = ann.db.collection("Note").unwrap();
    assert!(revived.create(&json!({"_id": "b"})).is_err());
    edits(&ann.db, 30);
    clean(&ann.db);
    compact(&ann.db, Keep::Latest);
    edits(&ann.db, 3);
    clean(&ann.db);
    assert_eq!(notes(&ann.db)[0]["text"], "2");
}

#[test]
fn what_is_kept_since_a_time_is_all_that_is_not_older() {
    let ann = Peer::made(Variant::Raw);
    save(&ann.db, "a", "one");
    edits(&ann.db, 20);
    ann.clock.set(NOW_MS + 10_000);
    save(&ann.db, "b", "new");
    edits(&ann.db, 20);
    let whole = Peer::copy(&ann.db.keys());
    whole.clock.set(NOW_MS + 10_000);
    take(&whole.db, &records(&ann.db));
    compact(&ann.db, Keep::SinceMs(NOW_MS + 5_000));
    clean(&ann.db);
    assert_eq!(records(&ann.db).len(), 22, "21, and who signed");
    take(&whole.db, &records(&ann.db));
    assert_eq!(now(&ann.db), now(&whole.db));
    let base = ann.db.base().unwrap().unwrap();
    assert_eq!(
        whole.db.check_snapshot(&base.snapshot).unwrap(),
        SnapshotCheck::Agrees
    );
}

#[test]
fn a_listener_from_before_is_told_to_start_over_and_hears_the_rest() {
    let ann = Peer::made(Variant::Raw);
    save(&ann.db, "a", "one");
    let mut running = ann.db.listen(ChangeFilter::all()).unwrap();
    edits(&ann.db, 5);
    compact(&ann.db, Keep::Latest);
    patch(&ann.db, "a", &json!({"text": "after"}));
    let mut late = ann
        .db
        .listen_from(ChangeFilter::all(), FeedCursor::START)
        .unwrap();
    for listener in [&mut running, &mut late] {
        let first = listener.try_next().unwrap();
        assert!(matches!(first, Some(Notice::StartOver(_))), "{first:?}");
        let Some(Notice::Change(change)) = listener.try_next().unwrap() else {
            panic!("nothing came after it");
        };
        assert_eq!(change.before.unwrap()["text"], "4");
        assert_eq!(change.after.unwrap()["text"], "after");
        assert!(listener.try_next().unwrap().is_none());
    }
}

#[test]
fn a_new_device_opens_from_a_snapshot_and_goes_on() {
    let ann = Peer::made(Variant::Raw);
    save(&ann.db, "a", "one");
    edits(&ann.db, 60);
    save(&ann.db, "b", "two");
    ann.db.collection("Note").unwrap().delete("b").unwrap();
    let file = exported(&ann.db);
    let device = Peer::restored(&file).unwrap();
    assert_eq!(notes(&device.db), notes(&ann.db));
    assert_eq!(now(&device.db), now(&ann.db));
    clean(&device.db);
    let by_text = device.db.collection("Note").unwrap();
    let found = by_text.find(&Query::parse("text = '59'").unwrap()).unwrap();
    assert_eq!(found.len(), 1, "its indexes are filled");
    // Both write on, and see what the other did.
    patch(&device.db, "a", &json!({"text": "there"}));
    patch(&ann.db, "a", &json!({"more": true}));
    save(&ann.db, "c", "three");
    level(&ann.db, &device.db);
    assert_eq!(now(&device.db), now(&ann.db));
    clean(&device.db);
    clean(&ann.db);
    // It hands on what it has, as a snapshot.
    let mut file = Vec::new();
    device
        .db
        .export(&mut file, &with_keys(), &mut |_| ())
        .unwrap();
    let third = Peer::restored(&file).unwrap();
    assert_eq!(now(&third.db), now(&ann.db));
    clean(&third.db);
}

#[test]
fn a_late_event_waits_for_older_records_and_no_answer_is_wrong() {
    let ann = Peer::made(Variant::Raw);
    let bob = Peer::copy(&ann.db.keys());
    save(&ann.db, "a", "one");
    save(&ann.db, "b", "one");
    let score = |db: &Db, value: u64| {
        let scores = db.collection("Score").unwrap();
        scores.save(&json!({"_id": "s", "value": value})).unwrap();
    };
    score(&ann.db, 5);
    take(&bob.db, &records(&ann.db));
    // Bob writes, apart; Ann goes on later.
    patch(&bob.db, "a", &json!({"bob": 1}));
    score(&bob.db, 9);
    score(&bob.db, 3);
    save(&bob.db, "new", "bob's");
    bob.db.collection("Note").unwrap().delete("b").unwrap();
    let whole = Peer::copy(&ann.db.keys());
    ann.clock.set(NOW_MS + 1_000);
    whole.clock.set(NOW_MS + 1_000);
    patch(&ann.db, "a", &json!({"text": "ann"}));
    patch(&ann.db, "b", &json!({"text": "ann"}));
    score(&ann.db, 7);
    take(&whole.db, &records(&ann.db));
    compact(&ann.db, Keep::Latest);
    take(&ann.db, &records(&bob.db));
    take(&whole.db, &records(&bob.db));
    take(&whole.db, &records(&ann.db));

    let held = ann.db.held().unwrap();
    assert_eq!(held.len(), 1, "{held:?}");
    assert_eq!(held[0].reason, HeldReason::Older("Note/a".into()));
    assert_eq!(ann.db.base().unwrap().unwrap().waiting, 1);
    let of =
        |db: &Db, collection: &str, id: &str| db.collection(collection).unwrap().get(id).unwrap();
    // What comes to the same wherever it stands is applied.
    for (collection, id) in [("Score", "s"), ("Note", "new"), ("Note", "b")] {
        assert_eq!(
            of(&ann.db, collection, id),
            of(&whole.db, collection, id),
            "{id}"
        );
    }
    assert_eq!(of(&ann.db, "Score", "s").unwrap()["value"], 9);
    assert_eq!(of(&ann.db, "Note", "b"), None);
    assert!(of(&ann.db, "Note", "a").unwrap().get("bob").is_none());
    assert!(of(&whole.db, "Note", "a").unwrap().get("bob").is_some());
    clean(&ann.db);
    // While something waits, nobody takes what is here for the state.
    assert!(ann.db.snapshot().is_err());
}

#[test]
fn what_builds_on_what_waits_waits_with_it() {
    let ann = Peer::made(Variant::Raw);
    let bob = Peer::copy(&ann.db.keys());
    save(&ann.db, "a", "one");
    edits(&ann.db, 30);
    take(&bob.db, &records(&ann.db));
    let known = records(&bob.db).len();
    let notes_of = bob.db.collection("Note").unwrap();
    bob.db
        .write(|txn| {
            txn.patch(&notes_of, "a", &json!({"bob": 1}))?;
            txn.create(&notes_of, &json!({"_id": "new", "text": "whole"}))
        })
        .unwrap();
    patch(&bob.db, "new", &json!({"more": 1}));
    save(&bob.db, "apart", "bob's");
    ann.clock.set(NOW_MS + 1_000);
    patch(&ann.db, "a", &json!({"text": "ann"}));
    let all = records(&ann.db);
    compact(&ann.db, Keep::Latest);
    take(&ann.db, &records(&bob.db)[known..]);
    let ids = |db: &Db| {
        notes(db)
            .iter()
            .map(|note| note["_id"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&ann.db), ["a", "apart"], "nothing in between is shown");
    assert_eq!(ann.db.base().unwrap().unwrap().waiting, 2);
    take(&ann.db, &all);
    assert_eq!(ann.db.regain().unwrap().applied, 2);
    take(&bob.db, &records(&ann.db));
    bob.clock.set(NOW_MS + 2_000);
    bob.db.retry_held().unwrap();
    assert_eq!(now(&ann.db), now(&bob.db));
}

#[test]
fn a_compacted_thread_is_exported_whatever_was_ruled_since() {
    let root = Peer::made(Variant::AccessControlled);
    save(&root.db, "a", "one");
    edits(&root.db, 30);
    compact(&root.db, Keep::Latest);
    let to = Subject::Peer(PeerId::from_key_bytes([9; 32]));
    let grant = |txn: &mut crate::WriteTransaction<'_>| txn.grant(to, Scope::Thread, Role::Read);
    root.db.write(grant).unwrap();
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
        let to = Subject::Peer(peer.db.node().peer_id());
        let grant =
            |txn: &mut crate::WriteTransaction<'_>| txn.grant(to, Scope::Thread, Role::Write);
        root.db.write(grant).unwrap();
    }
    save(&root.db, "a", "one");
    let before = records(&root.db);
    take(&bob.db, &before);
    take(&ann.db, &before);
    patch(&bob.db, "a", &json!({"text": "bob's"}));
    level(&ann.db, &bob.db);
    assert_eq!(notes(&ann.db)[0]["text"], "bob's");
    ann.db.compact(&even_alone(), &mut |_| ()).unwrap();
    clean(&ann.db);
    assert_eq!(ann.db.base().unwrap().unwrap().owes, None);
    // Root had not seen what Bob wrote when it removed him.
    let from = Subject::Peer(bob.db.node().peer_id());
    root.db
        .write(|txn| txn.revoke(from, Scope::Thread, Role::Write))
        .unwrap();
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
    let peer = Subject::Peer(bob.db.node().peer_id());
    root.db
        .write(|txn| txn.grant(peer, Scope::Thread, Role::Write))
        .unwrap();
    save(&root.db, "a", "one");
    take(&bob.db, &records(&root.db));
    patch(&bob.db, "a", &json!({"text": "bob's"}));
    take(&root.db, &records(&bob.db));
    root.db.compact(&even_alone(), &mut |_| ()).unwrap();
    root.db
        .write(|txn| txn.revoke(peer, Scope::Thread, Role::Write))
        .unwrap();
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

/// Whether a word is anywhere in what a node keeps, in the clear or within a record that it can open.
pub(super) fn has_word(db: &Db, word: &str) -> bool {
    let txn = db.thread().node.store.read().unwrap();
    let within = |bytes: &[u8]| {
        bytes
            .windows(word.len())
            .any(|part| part == word.as_bytes())
    };
    let all = || (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
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
fn what_is_purged_after_a_compaction_is_gone() {
    let ann = Peer::made(Variant::Raw);
    save(&ann.db, "a", "a secret");
    save(&ann.db, "b", "kept");
    patch(&ann.db, "a", &json!({"text": "another secret"}));
    compact(&ann.db, Keep::Latest);
    patch(&ann.db, "a", &json!({"more": 1}));
    assert!(has_word(&ann.db, "secret"));
    let name = ("Note".parse().unwrap(), "a".parse().unwrap());
    ann.db.purge([name]).unwrap();
    assert!(!has_word(&ann.db, "secret"));
    clean(&ann.db);
    assert_eq!(notes(&ann.db).len(), 1);
}

#[test]
fn who_has_dropped_records_leaves_the_purge_to_others_and_does_it_with_them() {
    let root = Peer::made(Variant::AccessControlled);
    let ann = Peer::copy(&root.db.keys());
    let to = Subject::Peer(ann.db.node().peer_id());
    for role in [Role::Write, Role::Delete] {
        let grant = |txn: &mut crate::WriteTransaction<'_>| txn.grant(to, Scope::Thread, role);
        root.db.write(grant).unwrap();
    }
    save(&root.db, "a", "a secret");
    save(&root.db, "b", "kept");
    patch(&root.db, "a", &json!({"text": "another secret"}));
    level(&root.db, &ann.db);
    ann.db.compact(&even_alone(), &mut |_| ()).unwrap();
    let name = || ("Note".parse().unwrap(), "a".parse().unwrap());
    let refused = ann.db.purge([name()]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported, "{refused}");
    assert!(has_word(&ann.db, "secret"));
    root.db.purge([name()]).unwrap();
    take(&ann.db, &records(&root.db));
    for peer in [&root, &ann] {
        assert!(!has_word(&peer.db, "secret"));
        clean(&peer.db);
        assert_eq!(notes(&peer.db).len(), 1);
    }
}

#[test]
fn what_others_lack_is_not_dropped_unless_somebody_says_so() {
    let ann = Peer::made(Variant::Raw);
    let bob = Peer::copy(&ann.db.keys());
    save(&ann.db, "a", "one");
    edits(&ann.db, 20);
    ann.db
        .node()
        .add_share(ann.db.thread().number, &bob.db.node().peer_id())
        .unwrap();
    let mut options = CompactOptions::new(Keep::Latest);
    let refused = ann.db.compact(&options, &mut |_| ()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert!(ann.db.base().unwrap().is_none());
    options.dry_run = true;
    assert_eq!(
        ann.db.compact(&options, &mut |_| ()).unwrap().alone.len(),
        1
    );
    options.dry_run = false;
    options.even_alone = true;
    assert!(ann.db.compact(&options, &mut |_| ()).unwrap().dropped > 0);
}

#[test]
fn a_compaction_that_is_cut_short_goes_on() {
    let store = Arc::new(Memory::new());
    let open = || {
        builder(&store)
            .clock(ManualClock::at(NOW_MS))
            .open()
            .unwrap()
    };
    let ann = open().create("t").unwrap();
    define(&ann);
    save(&ann, "a", "one");
    edits(&ann, 100);
    let before = notes(&ann);
    let covered = covered_until(
        &*ann.thread().node.store.read().unwrap(),
        ann.thread(),
        None,
    )
    .unwrap();
    let signed = ann.sign_covered(&covered).unwrap();
    ann.begin_with(covered, &signed).unwrap();
    // Here it is cut short: what is covered is not dropped yet, and nobody looks at it any more.
    assert!(rows(&ann, Keyspace::Blocks) > 100);
    assert_eq!(notes(&ann), before);
    clean(&ann);
    edits(&ann, 3);
    clean(&ann);
    let after = (notes(&ann), now(&ann));
    drop(ann);
    let ann = open().open("t").unwrap();
    assert!(rows(&ann, Keyspace::Blocks) < 30);
    assert!(rows(&ann, Keyspace::History) < 10);
    assert_eq!((notes(&ann), now(&ann)), after);
    clean(&ann);
}

#[test]
fn the_past_that_is_gone_is_not_made_up() {
    let ann = Peer::made(Variant::Raw);
    save(&ann.db, "a", "one");
    save(&ann.db, "b", "never changed again");
    let before = ann.db.heads().unwrap();
    edits(&ann.db, 5);
    ann.clock.set(NOW_MS + 10_000);
    compact(&ann.db, Keep::Latest);
    let begins = ann.db.heads().unwrap();
    patch(&ann.db, "a", &json!({"more": 1}));
    let notes = ann.db.collection("Note").unwrap();
    let past = |point: &crate::Point| {
        ann.db
            .as_of(point)
            .map(|past| past.get(&notes, "a").unwrap())
    };
    let then = past(&crate::Point::Records(begins.clone()))
        .unwrap()
        .unwrap();
    assert_eq!((&then["text"], then.get("more")), (&json!("4"), None));
    let all = ann.db.as_of(&crate::Point::Records(begins)).unwrap();
    assert_eq!(all.find(&notes, &Query::new()).unwrap().len(), 2);
    for gone in [
        crate::Point::Records(before),
        crate::Point::Position(3),
        "1970-01-01T00:00:00Z".parse().unwrap(),
    ] {
        assert!(past(&gone).is_err(), "{gone}");
    }
    let history = ann.db.history(&notes, "a").unwrap();
    assert_eq!((history.moments.len(), history.older), (1, true));
    assert_eq!(history.moments[0].edits.len(), 1);
    let fields = ann.db.blame(&notes, "a").unwrap();
    assert_eq!(
        fields
            .iter()
            .map(|blame| blame.path.to_string())
            .collect::<Vec<_>>(),
        ["more"]
    );
    let told = ann.db.blame_field(&notes, "a", &"text".parse().unwrap());
    assert_eq!(told.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[test]
fn older_records_that_come_back_let_what_waited_be_applied() {
    let ann = Peer::made(Variant::Raw);
    let bob = Peer::copy(&ann.db.keys());
    save(&ann.db, "a", "one");
    edits(&ann.db, 30);
    take(&bob.db, &records(&ann.db));
    patch(&bob.db, "a", &json!({"bob": 1}));
    ann.clock.set(NOW_MS + 1_000);
    patch(&ann.db, "a", &json!({"text": "ann"}));
    let all = records(&ann.db);
    compact(&ann.db, Keep::Latest);
    let bobs = records(&bob.db);
    take(&ann.db, &bobs[bobs.len() - 1..]);
    assert_eq!(ann.db.base().unwrap().unwrap().waiting, 1);
    // One of them is not enough.
    take(&ann.db, &all[..20]);
    let regained = ann.db.regain().unwrap();
    assert!(regained.lacking > 0, "{regained:?}");
    assert_eq!(ann.db.base().unwrap().unwrap().waiting, 1);
    clean(&ann.db);
    take(&ann.db, &all);
    let regained = ann.db.regain().unwrap();
    assert_eq!(
        (regained.lacking, regained.applied, &regained.wrong[..]),
        (0, 1, &[][..])
    );
    assert!(ann.db.base().unwrap().is_none() && ann.db.held().unwrap().is_empty());
    clean(&ann.db);
    let whole = Peer::copy(&ann.db.keys());
    whole.clock.set(NOW_MS + 1_000);
    take(&whole.db, &records(&ann.db));
    assert_eq!(now(&ann.db), now(&whole.db));
    let history = |db: &Db| db.history(&db.collection("Note").unwrap(), "a").unwrap();
    assert_eq!(history(&ann.db), history(&whole.db));
    // It goes on as any other, and may be compacted again.
    let mut listener = ann
        .db
        .listen_from(ChangeFilter::all(), FeedCursor::START)
        .unwrap();
    assert!(matches!(
        listener.try_next().unwrap(),
        Some(Notice::StartOver(_))
    ));
    assert!(matches!(
        listener.try_next().unwrap(),
        Some(Notice::Change(_))
    ));
    edits(&ann.db, 3);
    clean(&ann.db);
    compact(&ann.db, Keep::Latest);
    clean(&ann.db);
    assert_eq!(notes(&ann.db)[0]["text"], "2");
}

#[test]
fn a_removal_that_came_late_is_carried_out_once_the_older_records_are_back() {
    let root = Peer::made(Variant::AccessControlled);
    let bob = Peer::copy(&root.db.keys());
    let ann = Peer::copy(&root.db.keys());
    let peer = Subject::Peer(bob.db.node().peer_id());
    let grant = |txn: &mut crate::WriteTransaction<'_>| txn.grant(peer, Scope::Thread, Role::Write);
    root.db.write(grant).unwrap();
    let me = Subject::Peer(ann.db.node().peer_id());
    root.db
        .write(|txn| txn.grant(me, Scope::Thread, Role::Write))
        .unwrap();
    save(&root.db, "a", "one");
    take(&bob.db, &records(&root.db));
    patch(&bob.db, "a", &json!({"text": "bob's"}));
    take(&ann.db, &records(&root.db));
    take(&ann.db, &records(&bob.db));
    let all = records(&ann.db);
    ann.db.compact(&even_alone(), &mut |_| ()).unwrap();
    root.db
        .write(|txn| txn.revoke(peer, Scope::Thread, Role::Write))
        .unwrap();
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
fn what_is_kept_since_a_time_is_whole_though_older_ones_came_between() {
    let ann = Peer::made(Variant::Raw);
    let bob = Peer::copy(&ann.db.keys());
    save(&ann.db, "a", "one");
    take(&bob.db, &records(&ann.db));
    save(&bob.db, "b", "old");
    save(&bob.db, "c", "old");
    let bobs = records(&bob.db);
    ann.clock.set(NOW_MS + 10_000);
    save(&ann.db, "a", "new");
    save(&ann.db, "d", "new");
    take(&ann.db, &bobs[bobs.len() - 2..]);
    save(&ann.db, "e", "new");
    let before = ann.db.log(None).unwrap();
    compact(&ann.db, Keep::SinceMs(NOW_MS + 5_000));
    clean(&ann.db);
    // What stays is listed, what goes is not.
    let listed: Vec<_> = ann
        .db
        .log(None)
        .unwrap()
        .iter()
        .map(|entry| entry.record)
        .collect();
    let stays = |entry: &&crate::LogEntry| entry.time.wall_ms >= NOW_MS + 5_000;
    let kept: Vec<_> = before
        .iter()
        .filter(stays)
        .map(|entry| entry.record)
        .collect();
    assert_eq!(listed[1..], kept, "the first one is who signed");
    assert_eq!(ann.db.log(Some(2)).unwrap().len(), 2);
    let history = ann
        .db
        .history(&ann.db.collection("Note").unwrap(), "a")
        .unwrap();
    assert_eq!((history.moments.len(), history.older), (1, true));
    ann.clock.set(NOW_MS + 20_000);
    save(&ann.db, "a", "newest");
    compact(&ann.db, Keep::SinceMs(NOW_MS + 15_000));
    clean(&ann.db);
    compact(&ann.db, Keep::Latest);
    clean(&ann.db);
    assert_eq!(notes(&ann.db).len(), 5);
}

#[test]
fn who_keeps_what_is_from_before_a_change_of_rules_is_told_from_when_it_can() {
    let root = Peer::made(Variant::AccessControlled);
    save(&root.db, "a", "one");
    edits(&root.db, 20);
    root.clock.set(NOW_MS + 10_000);
    let to = Subject::Peer(PeerId::from_key_bytes([9; 32]));
    root.db
        .write(|txn| txn.grant(to, Scope::Thread, Role::Read))
        .unwrap();
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
