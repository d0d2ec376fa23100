//! Real nodes and the rules: whatever the order in which records come, what is applied is what follows from
//! them, on readers and blind replicas alike.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod attending;
mod author;
mod backdating;
#[path = "../../../threads-acl/tests/common/mod.rs"]
mod common;
mod definitions;
mod forger;
mod latest;
mod notice;
mod strangers;
mod upgrade;
mod watch;

use author::{Branch, author};
use common::random::History;
use common::{Chance, vectors};
use threads_acl::eval::{Described, Outcome, evaluate};
use watch::{Observer, Seen, assert_follows, assert_roles};

/// In how many orders each scenario is delivered, and how many histories by chance there are. The variable
/// `THREADS_ORDERS` says otherwise.
const ORDERS: u64 = 200;

fn orders() -> u64 {
    let wanted = std::env::var("THREADS_ORDERS").ok();
    wanted.map_or(ORDERS, |wanted| wanted.parse().unwrap())
}

/// Has a history written, delivers it in these orders to a reader and to a blind replica, and compares
/// what they make of it with what follows by the rules.
fn deliver(events: &[Described], outcome: &Outcome, branch: Branch, seeds: std::ops::Range<u64>) {
    let authored = author(events, branch);
    let blind = authored.keys.clone().without_read();
    let mut first: Option<[Seen; 2]> = None;
    for seed in seeds {
        let reader = Observer::new(&authored.keys).take_all(&authored.blocks, seed);
        let replica = Observer::new(&blind).take_all(&authored.blocks, !seed);
        let seen = [&reader, &replica].map(|node| {
            node.assert_clean();
            Seen::new(&node.db, events, &authored)
        });
        assert_follows((&reader.db, &seen[0]), events, &authored, outcome);
        assert_roles(&replica.db, &authored, outcome);
        assert_eq!(seen[0].rules, seen[1].rules);
        assert_eq!(seen[0].void, seen[1].void);
        // Who cannot read a change cannot hold it against its author what it changes.
        assert!(seen[1].quarantined.is_subset(&seen[0].quarantined));
        match &first {
            None => first = Some(seen),
            Some(first) => assert_eq!(*first, seen, "{seed}"),
        }
    }
}

fn deliver_scenarios(branch: Branch, seeds: std::ops::Range<u64>) {
    let histories = vectors::read().vectors;
    assert!(histories.len() >= 20);
    for history in &histories {
        println!("{}", history.name);
        deliver(&history.events, &history.outcome, branch, seeds.clone());
    }
}

#[test]
fn every_scenario_ends_alike_in_every_order_on_real_nodes() {
    deliver_scenarios(Branch::Log, 0..orders());
}

#[test]
fn every_scenario_ends_alike_where_logs_are_forked() {
    deliver_scenarios(Branch::Fork, orders()..2 * orders());
}

#[test]
fn nodes_agree_with_the_rules_on_histories_by_chance() {
    let mut told = 0;
    let histories = orders();
    for seed in 0..histories {
        let mut chance = Chance(seed);
        let count = 5 + chance.below(14);
        let events = History::random(count, &mut chance).described();
        let outcome = evaluate(&events).unwrap().outcome;
        told += outcome.applied.len().min(outcome.quarantined.len()) as u64;
        let branch = *chance.pick(&[Branch::Log, Branch::Fork, Branch::Fork]);
        println!("{seed} {branch:?}");
        deliver(&events, &outcome, branch, seed * 2..seed * 2 + 2);
    }
    assert!(told > histories / 4, "too little is decided: {told}");
}

#[test]
fn a_blind_replica_verifies_a_fork_behind_an_access_record() {
    // A replica knows the time of A's grant and of none of the changes after it.
    let new = Described::new;
    let events = [
        new("g", "R", "genesis", &[]),
        new("a", "R", "grant", &["g"]).target("A").scope("acl"),
        new("w", "R", "grant", &["a"]).target("A"),
        new("x", "A", "grant", &["w"]).target("X"),
        new("e1", "A", "save", &["x"]).entity("n"),
        new("e2", "A", "save", &["x"]).entity("n"),
    ];
    let events = events.map(|event| match &event.kind[..] {
        "grant" => event.role("write"),
        _ => event,
    });
    let outcome = evaluate(&events).unwrap().outcome;
    assert_eq!(outcome.applied, ["e1", "e2"]);
    deliver(&events, &outcome, Branch::Fork, 0..8);
}
