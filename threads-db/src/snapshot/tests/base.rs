//! Threads that begin with a snapshot: opened from one, or compacted.

use threads_core::datastore::{Direction, Keyspace};

use super::*;
use crate::layout::{Prefix, thread_prefix};
use crate::{ChangeFilter, FeedCursor, Notice};

fn rows(db: &Db, space: Keyspace) -> usize {
    let txn = db.thread().node.store.read().unwrap();
    let prefix = Prefix::new(&thread_prefix(db.thread().number));
    txn.scan(space, prefix.range(), Direction::Forward)
        .unwrap()
        .count()
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
