//! A blind replica that is given the read key in the middle of a history ends as whoever read from the start.

use threads_acl::eval::{Described, Outcome, evaluate};
use threads_core::datastore::{DatastoreExt, Durability};

use super::author::{Branch, author};
use super::common::random::History;
use super::common::{Chance, vectors};
use super::watch::{Observer, Seen, assert_follows};
use crate::ingest::Unread;

/// How many histories by chance, and how many ways through each.
const HISTORIES: u64 = 40;
const WAYS: u64 = 4;

/// One way: the key comes at some point, is taken up at another one, and reading is cut short at a third.
fn upgraded(events: &[Described], outcome: &Outcome, branch: Branch, seed: u64) {
    let authored = author(events, branch);
    let reader = Observer::new(&authored.keys);
    let read = reader.db.thread().read.get().unwrap();
    let mut chance = Chance(seed);
    let mut order: Vec<_> = authored.blocks.iter().collect();
    if chance.percent(50) {
        chance.shuffle(&mut order);
    }
    let first = chance.below(order.len());
    let second = first + chance.below(order.len() - first);
    let node = Observer::new(&authored.keys.clone().without_read());
    order[..first].iter().for_each(|blocks| node.take(blocks));
    let (thread, store) = (node.db.thread(), &node.db.thread().node.store);
    let mut come = |txn: &mut dyn threads_core::datastore::WriteTxn| {
        if chance.percent(30) {
            return thread.add_keys(txn, (Some(read), &[])).map(drop);
        }
        // The same, after reading had begun once.
        thread.add_keys(txn, (Some(read), &[]))?;
        Unread::note(txn, thread.number, 0)
    };
    store.transact(Durability::Group, &mut come).unwrap();
    if chance.percent(50) {
        thread.take_up_keys().unwrap();
    }
    order[first..second]
        .iter()
        .for_each(|blocks| node.take(blocks));
    let node = node.restart();
    order[second..].iter().for_each(|blocks| node.take(blocks));
    node.assert_clean();
    let seen = Seen::new(&node.db, events, &authored);
    assert_follows((&node.db, &seen), events, &authored, outcome);
}

#[test]
fn a_replica_that_gets_the_read_key_in_the_middle_ends_like_a_reader() {
    for history in &vectors::read().vectors {
        println!("{}", history.name);
        for seed in 0..WAYS {
            upgraded(&history.events, &history.outcome, Branch::Log, seed);
        }
    }
    for seed in 0..HISTORIES {
        let mut chance = Chance(seed);
        let count = 5 + chance.below(14);
        let events = History::random(count, &mut chance).described();
        let outcome = evaluate(&events).unwrap().outcome;
        println!("{seed}");
        for way in 0..WAYS {
            upgraded(&events, &outcome, Branch::Fork, seed * WAYS + way);
        }
    }
}
