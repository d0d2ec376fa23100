//! Listeners: filters, cursors, lag, and changes as they were at their time.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_core::Stream;
use serde_json::json;
use threads_core::codec::ActionKind;
use threads_db::query::Query;
use threads_db::{Change, ChangeFilter, FeedCursor, LAG_RECORDS_MAX, Listener, Notice};

use super::common::{all, carry, node, people, spec};

fn drain(listener: &mut Listener) -> Vec<Change> {
    let mut changes = Vec::new();
    while let Some(notice) = listener.try_next().unwrap() {
        match notice {
            Notice::Change(change) => changes.push(*change),
            other => panic!("unexpected {other:?}"),
        }
    }
    changes
}

fn actions(changes: &[Change]) -> Vec<(ActionKind, &str)> {
    changes
        .iter()
        .map(|change| (change.action, change.entity.as_str()))
        .collect()
}

#[test]
fn a_listener_sees_each_change_with_its_values_at_the_time() {
    let (db, people) = people();
    let mut listener = db.listen(ChangeFilter::all()).unwrap();
    people.create(&json!({"_id": "a", "n": 1})).unwrap();
    people.patch("a", &json!({"n": 2})).unwrap();
    people.delete("a").unwrap();
    let changes = drain(&mut listener);
    assert_eq!(
        actions(&changes),
        [
            (ActionKind::Create, "a"),
            (ActionKind::Save, "a"),
            (ActionKind::Delete, "a")
        ]
    );
    assert_eq!(changes[1].before.as_ref().unwrap()["n"], 1);
    assert_eq!(changes[1].after.as_ref().unwrap()["n"], 2);
    assert_eq!(
        (
            changes[2].before.as_ref().unwrap()["n"].as_i64(),
            &changes[2].after
        ),
        (Some(2), &None)
    );
}

#[test]
fn several_actions_on_one_entity_in_a_transaction_are_one_net_change() {
    let (db, people) = people();
    let mut listener = db.listen(ChangeFilter::all()).unwrap();
    db.write(|txn| {
        txn.create(&people, &json!({"_id": "a", "n": 1}))?;
        txn.patch(&people, "a", &json!({"n": 2}))?;
        txn.create(&people, &json!({"_id": "gone"}))?;
        txn.delete(&people, "gone")
    })
    .unwrap();
    let changes = drain(&mut listener);
    assert_eq!(actions(&changes), [(ActionKind::Create, "a")]);
    assert_eq!(changes[0].after.as_ref().unwrap()["n"], 2);
}

#[test]
fn filters_choose_by_collection_entity_action_and_query() {
    let (db, people) = people();
    db.define(&spec("Pet")).unwrap();
    let pets = db.collection("Pet").unwrap();
    let filters = [
        ChangeFilter::all().collection("Pet".parse().unwrap()),
        ChangeFilter::all().entity("a".parse().unwrap()),
        ChangeFilter::all().action(ActionKind::Delete),
        ChangeFilter::all()
            .query(&Query::parse("n > 1").unwrap())
            .unwrap(),
    ];
    let mut listeners = filters.map(|filter| db.listen(filter).unwrap());
    people.create(&json!({"_id": "a", "n": 1})).unwrap();
    pets.create(&json!({"_id": "p", "n": 5})).unwrap();
    people.patch("a", &json!({"n": 2})).unwrap();
    people.delete("a").unwrap();
    let counts = listeners.each_mut().map(|listener| drain(listener).len());
    assert_eq!(counts, [1, 3, 1, 3]);
}

#[test]
fn a_cursor_resumes_exactly_where_it_was_even_within_a_record() {
    let (db, people) = people();
    db.write(|txn| {
        for id in ["a", "b", "c"] {
            txn.create(&people, &json!({"_id": id}))?;
        }
        Ok(())
    })
    .unwrap();
    people.create(&json!({"_id": "d"})).unwrap();
    let mut seen = Vec::new();
    let mut cursor = FeedCursor::START;
    loop {
        // A new listener for every notice: each is a restart.
        let mut listener = db.listen_from(ChangeFilter::all(), cursor).unwrap();
        let Some(Notice::Change(change)) = listener.try_next().unwrap() else {
            break;
        };
        seen.push(change.entity.to_string());
        cursor = listener.cursor().to_string().parse().unwrap();
    }
    assert_eq!(seen, ["a", "b", "c", "d"]);
    assert!(
        db.listen_from(ChangeFilter::all(), "99".parse().unwrap())
            .is_err()
    );
}

#[test]
fn a_late_listener_sees_what_a_listener_at_the_time_saw() {
    let (db, people) = people();
    let mut live = db
        .listen_from(ChangeFilter::all(), FeedCursor::START)
        .unwrap();
    let mut seen = Vec::new();
    for n in 0..10 {
        people
            .save(&json!({"_id": format!("e{}", n % 3), "n": n}))
            .unwrap();
        seen.extend(drain(&mut live));
    }
    let mut late = db
        .listen_from(ChangeFilter::all(), FeedCursor::START)
        .unwrap();
    assert_eq!(drain(&mut late), seen);
}

#[test]
fn an_event_that_comes_late_shows_as_the_net_change_it_made() {
    let (one, people) = people();
    people.create(&json!({"_id": "a", "x": 0})).unwrap();
    let (two, _) = carry(&one, &node()).unwrap();
    two.collection("Person")
        .unwrap()
        .patch("a", &json!({"y": 1}))
        .unwrap();
    people.patch("a", &json!({"x": 1})).unwrap();
    let mut listener = one.listen(ChangeFilter::all()).unwrap();
    carry(&two, &one.node()).unwrap();
    let changes = drain(&mut listener);
    assert_eq!(actions(&changes), [(ActionKind::Save, "a")]);
    assert_eq!(
        changes[0].before.as_ref().unwrap(),
        &json!({"_id": "a", "x": 1})
    );
    assert_eq!(changes[0].after.as_ref().unwrap(), &all(&one, "Person")[0]);
}

#[test]
fn row_36_a_slow_listener_is_told_it_lags_once_and_loses_nothing() {
    let (db, people) = people();
    let mut listener = db.listen(ChangeFilter::all()).unwrap();
    let records = LAG_RECORDS_MAX + 10;
    for n in 0..records {
        people.create(&json!({"_id": format!("{n}")})).unwrap();
    }
    assert_eq!(listener.try_next().unwrap(), Some(Notice::Lagged(records)));
    assert_eq!(drain(&mut listener).len() as u64, records);
}

#[test]
fn waiting_ends_with_a_commit_of_another_thread_of_the_process() {
    let (db, people) = people();
    let mut listener = db.listen(ChangeFilter::all()).unwrap();
    let waiter =
        std::thread::spawn(move || listener.next_timeout(Duration::from_secs(60)).unwrap());
    people.create(&json!({"_id": "a"})).unwrap();
    assert!(matches!(waiter.join().unwrap(), Some(Notice::Change(_))));
}

struct Flag(std::sync::atomic::AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, std::sync::atomic::Ordering::SeqCst);
    }
}

#[test]
fn as_a_stream_it_wakes_its_task() {
    let (db, people) = people();
    let mut listener = Box::pin(db.listen(ChangeFilter::all()).unwrap());
    let flag = Arc::new(Flag(false.into()));
    let waker = Waker::from(Arc::clone(&flag));
    let mut cx = Context::from_waker(&waker);
    assert!(matches!(
        listener.as_mut().poll_next(&mut cx),
        Poll::Pending
    ));
    people.create(&json!({"_id": "a"})).unwrap();
    assert!(flag.0.load(std::sync::atomic::Ordering::SeqCst));
    assert!(matches!(
        listener.as_mut().poll_next(&mut cx),
        Poll::Ready(Some(Ok(_)))
    ));
}
