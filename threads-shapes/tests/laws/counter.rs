//! Counters.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::json;
use threads_core::ErrorKind;
use threads_shapes::Counters;

use crate::peers::{PEERS, Peers, Step, steps};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// At every moment a peer's counter is the sum of what it knows of, and in the end of all.
    #[test]
    fn whatever_is_added_anywhere_counts_once(
        history in steps(prop_oneof![-5..5_i64, Just(i64::MIN), Just(i64::MAX)]),
    ) {
        let mut peers = Peers::new(|db| drop(Counters::open(db, "c").unwrap()));
        let counters: Vec<_> = peers.dbs.iter().map(|db| Counters::open(db, "c").unwrap()).collect();
        let (mut added, mut knows) = (Vec::new(), vec![BTreeSet::new(); PEERS]);
        for step in history {
            match step {
                Step::Do(peer, by) => {
                    // The sum of one writer has an end; that is another test.
                    if counters[peer].add("x", by).is_ok() {
                        knows[peer].insert(added.len());
                        added.push(i128::from(by));
                    }
                }
                Step::Tell(from, to) => {
                    peers.tell(from, to);
                    let heard = knows[from].clone();
                    knows[to].extend(heard);
                }
            }
            for (counter, known) in counters.iter().zip(&knows) {
                let sum: i128 = known.iter().map(|place: &usize| added[*place]).sum();
                prop_assert_eq!(counter.value("x").unwrap(), sum);
            }
        }
        peers.meet();
        for counter in &counters {
            prop_assert_eq!(counter.value("x").unwrap(), added.iter().sum::<i128>());
        }
    }
}

#[test]
fn counters_are_apart_whatever_their_names() {
    let peers = Peers::alone();
    let counters = Counters::open(&peers.dbs[0], "c").unwrap();
    let names = ["a", "a ", "a b", "ab", "é", "\u{0}", "a!20"];
    for (by, name) in (1..).zip(names) {
        counters.add(name, by).unwrap();
        counters.add(name, 0).unwrap();
    }
    for (by, name) in (1..).zip(names) {
        assert_eq!(counters.value(name).unwrap(), by, "{name}");
        assert_eq!(counters.all().unwrap()[name], by);
    }
    assert_eq!(counters.all().unwrap().len(), names.len());
    counters.add(&"n".repeat(200), 1).unwrap();
    for refused in ["", &"n".repeat(201)] {
        let error = counters.add(refused, 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(counters.value(refused).is_err());
    }
}

#[test]
fn what_one_writer_cannot_count_any_more_is_refused_and_nothing_is_lost() {
    let peers = Peers::alone();
    let counters = Counters::open(&peers.dbs[0], "c").unwrap();
    let most = i128::from(u64::MAX);
    counters.add("x", i64::MAX).unwrap();
    counters.add("x", i64::MAX).unwrap();
    counters.add("x", 1).unwrap();
    assert_eq!(counters.value("x").unwrap(), most);
    assert_eq!(counters.add("x", 1).unwrap_err().kind(), ErrorKind::Invalid);
    counters.add("x", i64::MIN).unwrap();
    assert_eq!(counters.value("x").unwrap(), most + i128::from(i64::MIN));
    // What another program put there in a form of its own counts nothing, and keeps nobody from counting.
    let plain = peers.dbs[0].collection("c").unwrap();
    for foreign in [
        json!({"_id": "x y", "up": 1}),
        json!({"_id": "x z", "up": 1.5}),
    ] {
        plain.create(&foreign).unwrap();
    }
    assert_eq!(counters.value("x").unwrap(), most + i128::from(i64::MIN));
    assert_eq!(counters.all().unwrap().len(), 1);
}
