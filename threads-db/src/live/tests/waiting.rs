//! Waiting for updates: in a thread, and in a task.

use std::future::poll_fn;
use std::sync::mpsc;
use std::thread;

use super::*;

const LONG: Duration = Duration::from_secs(60);

#[test]
fn a_thread_waits_for_what_another_writes() {
    let db = made();
    let notes = notes(&db);
    let mut live = notes.watch(&Query::new()).unwrap();
    let (sender, updates) = mpsc::sync_channel(3);
    let waiting = thread::spawn(move || {
        for _ in 0..3 {
            let update = live.next_timeout(LONG).unwrap().unwrap();
            sender.send(update).unwrap();
        }
    });
    let mut list = Vec::new();
    updates.recv().unwrap().apply(&mut list);
    for n in 0..2 {
        notes.create(&json!({"n": n})).unwrap();
        updates.recv().unwrap().apply(&mut list);
    }
    waiting.join().unwrap();
    assert_eq!(list, notes.find(&Query::new()).unwrap());
}

#[tokio::test]
async fn a_task_is_woken_by_what_another_writes() {
    let db = made();
    let notes = notes(&db);
    let mut live = notes.watch(&Query::new()).unwrap();
    let mut next = async || {
        let update = poll_fn(|cx| Pin::new(&mut live).poll_next(cx)).await;
        update.unwrap().unwrap()
    };
    let mut list = Vec::new();
    next().await.apply(&mut list);
    let writer = notes.clone();
    let written = thread::spawn(move || writer.create(&json!({"n": 1})).unwrap());
    next().await.apply(&mut list);
    written.join().unwrap();
    assert_eq!(list, notes.find(&Query::new()).unwrap());
}
