//! What must be impossible in the engine: tests carry the numbers of the rows in `spec/threats.md`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use serde_json::json;
use threads_codec_jsonpatch::JsonPatch;
use threads_core::block::Block;
use threads_core::datastore::ReadTxn;
use threads_core::policy::{AccessPolicy, Candidate, Change, Verdict};
use threads_core::{Cid, Result};
use threads_db::{ChangeFilter, Db, HeldReason, Node, Notice};

use super::common::{SharedClock, Store, all, assert_clean, builder, carry, node, people, spec};

const NOW: u64 = 1_700_000_000_000;

/// Writes one record a thread's clock `ahead_ms` ahead of [`NOW`], and carries it to a node whose
/// clock says [`NOW`].
fn ahead_by(ahead_ms: u64) -> (Db, Db, SharedClock) {
    let fast = SharedClock::at(NOW);
    let one = builder().clock(fast.clone()).open().unwrap();
    let one = one.create("t").unwrap();
    one.define(&spec("N")).unwrap();
    fast.0.set(NOW + ahead_ms);
    let notes = one.collection("N").unwrap();
    notes.create(&json!({"_id": "early"})).unwrap();
    notes.create(&json!({"_id": "next"})).unwrap();
    let clock = SharedClock::at(NOW);
    let two = builder().clock(clock.clone()).open().unwrap();
    let (two, report) = carry(&one, &two).unwrap();
    assert_eq!(report.held, two.held().unwrap().len() as u64);
    (one, two, clock)
}

/// The time of the next record that a node writes.
fn next_time(db: &Db) -> u64 {
    let notes = db.collection("N").unwrap();
    notes.save(&json!({"_id": "mine"})).unwrap();
    db.log(Some(1)).unwrap()[0].time.wall_ms
}

#[test]
fn row_27_a_time_within_a_minute_is_taken_as_it_is() {
    let (_, two, _) = ahead_by(60_000);
    assert!(two.held().unwrap().is_empty());
    assert_eq!(all(&two, "N").len(), 2);
}

#[test]
fn row_27_a_time_beyond_a_minute_waits_until_it_is_due() {
    let (one, two, clock) = ahead_by(60_001);
    let until = HeldReason::EarlyUntilMs(NOW + 1);
    assert_eq!(two.held().unwrap()[0].reason, until);
    assert_eq!(two.held_counts().unwrap().pending, 2);
    assert!(all(&two, "N").is_empty());
    assert_clean(&two);
    assert_eq!(two.retry_held().unwrap(), 0);
    assert_eq!(next_time(&two), NOW, "the clock did not follow");
    clock.0.set(NOW + 1);
    assert_eq!(two.retry_held().unwrap(), 2);
    assert!(two.held().unwrap().is_empty());
    carry(&two, &one.node()).unwrap();
    assert_eq!(all(&one, "N"), all(&two, "N"));
    assert_clean(&two);
}

#[test]
fn row_27_a_time_beyond_ten_minutes_is_quarantined_and_the_clock_does_not_follow() {
    let century = 100 * 365 * 24 * 3_600_000;
    for ahead_ms in [600_001, century, u64::MAX - NOW] {
        let (_, two, clock) = ahead_by(ahead_ms);
        let held = two.held().unwrap();
        assert_eq!(held.len(), 2);
        for record in &held {
            let HeldReason::Quarantine(why) = &record.reason else {
                panic!("{:?}", record.reason);
            };
            assert!(why.contains("set the clock"), "{why}");
        }
        assert_eq!(two.held_counts().unwrap().quarantined, 2);
        assert!(all(&two, "N").is_empty());
        assert_eq!(next_time(&two), NOW);
        assert_clean(&two);
        // Nothing is lost if it was this clock that was wrong.
        clock.0.set(NOW + ahead_ms);
        assert_eq!(two.retry_held().unwrap(), 2);
        assert_eq!(all(&two, "N").len(), 3);
    }
}

#[test]
fn row_27_a_negative_step_of_the_own_clock_stops_nothing() {
    let (one, _, _) = ahead_by(0);
    let behind = builder().clock(SharedClock::at(0)).open().unwrap();
    let (behind, report) = carry(&one, &behind).unwrap();
    assert_eq!((report.records, report.held), (0, 3));
    assert!(behind.collections().unwrap().is_empty());
    assert_clean(&behind);
}

/// Judges what makes or changes the entity `odd` as it is told, and accepts everything else.
#[derive(Clone, Debug, Default)]
struct Judge(Arc<AtomicU8>);

const ACCEPT: u8 = 0;
const QUARANTINE: u8 = 1;
const DEFER: u8 = 2;
const REJECT: u8 = 3;

impl AccessPolicy for Judge {
    fn judge(&self, candidate: &Candidate<'_>, _view: &dyn ReadTxn) -> Result<Verdict> {
        let odd = |change: &Change| change.entity.as_str() == "odd";
        if !candidate.changes.iter().any(odd) {
            return Ok(Verdict::Accept);
        }
        Ok(match self.0.load(Ordering::SeqCst) {
            ACCEPT => Verdict::Accept,
            QUARANTINE => Verdict::Quarantine("odd".into()),
            REJECT => Verdict::Reject("odd".into()),
            _ => Verdict::Defer(vec![missing()]),
        })
    }
}

fn missing() -> Cid {
    *Block::cbor(*b"\xa0").cid()
}

#[test]
fn what_the_policy_keeps_apart_stands_in_its_log_and_is_not_applied() {
    let (one, people) = people();
    people.create(&json!({"_id": "odd"})).unwrap();
    people.create(&json!({"_id": "even", "n": 1})).unwrap();
    for (verdict, reason) in [
        (QUARANTINE, HeldReason::Quarantine("odd".into())),
        (DEFER, HeldReason::Missing(vec![missing()])),
    ] {
        let judge = Judge::default();
        judge.0.store(verdict, Ordering::SeqCst);
        let store = Store::fresh();
        let strict = || {
            let builder = Node::builder(Arc::clone(&store)).codec(JsonPatch::new());
            builder.policy(judge.clone()).open().unwrap()
        };
        let (two, report) = carry(&one, &strict()).unwrap();
        assert_eq!((report.records, report.held), (2, 1));
        assert_eq!(two.held().unwrap()[0].reason, reason);
        // What comes after it in the log is judged on its own.
        assert_eq!(all(&two, "Person"), [json!({"_id": "even", "n": 1})]);
        assert_clean(&two);
        // It is not shown, and it is carried on to those who may judge otherwise.
        assert_eq!(two.log(None).unwrap().len(), 2);
        let (three, _) = carry(&two, &node()).unwrap();
        assert_eq!(all(&three, "Person"), all(&one, "Person"));
        // The same file again changes nothing, nor does another trial, nor a restart.
        let (_, again) = carry(&one, &two.node()).unwrap();
        assert_eq!((again.records, again.held), (0, 1));
        assert_eq!(two.retry_held().unwrap(), 0);
        judge.0.store(REJECT, Ordering::SeqCst);
        assert_eq!(two.retry_held().unwrap(), 0);
        let id = two.id().to_string();
        drop(two);
        let two = strict().open(&id).unwrap();
        assert_eq!(two.held_counts().unwrap().quarantined, 1);
        assert_clean(&two);
        // One's own changes go on meanwhile, and the verdict can change.
        let mut listener = two.listen(ChangeFilter::default()).unwrap();
        two.collection("Person")
            .unwrap()
            .create(&json!({"_id": "mine"}))
            .unwrap();
        judge.0.store(ACCEPT, Ordering::SeqCst);
        assert_eq!(two.retry_held().unwrap(), 1);
        assert!(two.held().unwrap().is_empty());
        assert_eq!(all(&two, "Person").len(), 3);
        assert_clean(&two);
        let mut seen = Vec::new();
        while let Some(notice) = listener.try_next().unwrap() {
            if let Notice::Change(change) = notice {
                seen.push(change.entity.to_string());
            }
        }
        assert_eq!(seen, ["mine", "odd"]);
    }
}
