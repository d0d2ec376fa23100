//! Strangers and members who state more than anybody needs (R15): whatever the order in which it comes, what
//! others state counts, and all who have the same agree.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod common;

use common::Chance;
use common::node::{Node, grant, id, peer};
use threads_acl::{Acl, Room};
use threads_core::access::{
    Genesis, History, Role, Rules, STATEMENTS_MAX, Scope, Statement, Subject,
};
use threads_core::policy::{AccessPolicy, Again};
use threads_core::record::Dep;
use threads_core::{IdentityKey, LogId, system_rng};

const ROOT: u8 = 1;
const ANN: u8 = 2;
const BOB: u8 = 3;
const CARL: u8 = 6;
const DAVE: u8 = 7;
const EVE: u8 = 9;

/// A record, by its number: its author, what it knows of, what it states.
#[derive(Clone, Debug)]
struct Told(u8, u32, Vec<u32>, Vec<Statement>);

/// Tells a node the records, each after those that it knows of; the others in any order.
fn tell(genesis: &Genesis, room: Room, records: &[Told], chance: &mut Chance) -> Node {
    let node = Node::with_room(genesis, room);
    let mut left: Vec<&Told> = records.iter().collect();
    chance.shuffle(&mut left);
    while !left.is_empty() {
        let is_ready = |told: &&&Told| !left.iter().any(|other| told.2.contains(&other.1));
        let next = left.iter().find(is_ready).unwrap().1;
        let at = left.iter().position(|told| told.1 == next).unwrap();
        let Told(author, number, acl, statements) = left.remove(at);
        let acl: Vec<_> = acl.iter().map(|number| id(*number)).collect();
        node.learn(*author, *number, &acl, statements);
    }
    node
}

/// The rules that these records make in several orders, which have to be the same, also after the program was
/// started again.
fn rules(genesis: &Genesis, records: &[Told], orders: u64) -> Rules {
    rules_within(genesis, Room::default(), records, orders)
}

fn rules_within(genesis: &Genesis, room: Room, records: &[Told], orders: u64) -> Rules {
    let mut all = (0..orders).map(|seed| {
        let node = tell(genesis, room, records, &mut Chance(seed));
        let rules = node.rules().unwrap();
        let again = Node {
            policy: Acl::with_room(room),
            ..node
        };
        assert_eq!(again.rules().unwrap(), rules, "{seed}: loaded");
        rules
    });
    let first = all.next().unwrap();
    for (seed, other) in (1..).zip(all) {
        assert_eq!(other, first, "{seed}");
    }
    first
}

fn begin() -> (Genesis, Vec<Told>) {
    let genesis = Genesis::new(peer(ROOT), History::All, &mut system_rng());
    let begun = vec![
        Statement::Genesis(genesis.clone()),
        grant(ANN, Scope::Acl),
        grant(BOB, Scope::Acl),
    ];
    (genesis, vec![Told(ROOT, 0, vec![], begun)])
}

/// So many records that there is no room for them anywhere.
fn flood(author: u8, from: u32, statement: &Statement) -> Vec<Told> {
    let many = vec![statement.clone(); STATEMENTS_MAX];
    let most = Room::default().own as usize;
    let records = (most / STATEMENTS_MAX + 2) as u32;
    let told = |number| Told(author, number, vec![0], many.clone());
    (from..from + records).map(told).collect()
}

fn writes(rules: &Rules, number: u8) -> bool {
    rules.of(&peer(number)).thread.contains(&Role::Write)
}

#[test]
fn what_strangers_state_takes_no_room_of_anybody() {
    let (genesis, mut records) = begin();
    records.push(Told(ANN, 1, vec![0], vec![grant(4, Scope::Thread)]));
    records.push(Told(ROOT, 2, vec![0], vec![grant(5, Scope::Thread)]));
    let quiet = rules(&genesis, &records, 3);
    let says = [
        grant(EVE, Scope::Acl),
        Statement::Leave { seen: vec![] },
        Statement::Checkpoint,
        Statement::Card(IdentityKey::from_bytes(&[7; 32]).card()),
    ];
    // By many names she says many things.
    for (name, statement) in (EVE..).zip(&says) {
        records.extend(flood(name, u32::from(name) * 100, statement));
    }
    assert_eq!(rules(&genesis, &records, 2), quiet);
    assert!(writes(&quiet, 4) && writes(&quiet, 5));
}

#[test]
fn what_strangers_state_is_told_with_the_reason_and_stands_for_what_it_knows_of() {
    let (genesis, mut records) = begin();
    records.push(Told(EVE, 1, vec![0], vec![grant(EVE, Scope::Acl)]));
    // By Eve's record Ann knows of her own grant.
    records.push(Told(ANN, 2, vec![1], vec![grant(4, Scope::Thread)]));
    let node = tell(&genesis, Room::default(), &records, &mut Chance(1));
    assert!(writes(&node.rules().unwrap(), 4));
    let txn = threads_core::datastore::Datastore::read(&node.store).unwrap();
    let stated = node.policy.statements(&node.thread, &*txn).unwrap();
    let by: Vec<_> = stated
        .iter()
        .map(|stated| (stated.author, stated.void.is_some()))
        .collect();
    let root = (peer(ROOT), false);
    assert_eq!(
        by,
        [root, root, root, (peer(EVE), true), (peer(ANN), false)]
    );
    let again = node.learn(EVE, 1, &[id(0)], &[grant(EVE, Scope::Acl)]);
    assert!(again.passing && again.void.is_none(), "it is known");
}

#[test]
fn an_admin_who_states_too_much_leaves_room_for_others_and_keeps_what_root_has_seen() {
    let (genesis, mut records) = begin();
    records.push(Told(ANN, 1, vec![0], vec![grant(4, Scope::Thread)]));
    records.push(Told(ROOT, 2, vec![1], vec![Statement::Checkpoint]));
    records.push(Told(ANN, 3, vec![1], vec![grant(5, Scope::Thread)]));
    records.push(Told(BOB, 4, vec![0], vec![grant(6, Scope::Thread)]));
    let before = rules(&genesis, &records, 2);
    assert!([4, 5, 6].into_iter().all(|number| writes(&before, number)));

    records.extend(flood(ANN, 100, &grant(7, Scope::Thread)));
    let full = rules(&genesis, &records, 6);
    assert!(writes(&full, 4), "root had seen it");
    assert!(!writes(&full, 5) && !writes(&full, 7), "there is no room");
    assert!(writes(&full, 6), "Bob has his own");

    // Root lets her in once more by name of what she said, or of one who knows it.
    records.push(Told(BOB, 5, vec![3, 4, 110], vec![grant(8, Scope::Thread)]));
    records.push(Told(ROOT, 6, vec![2, 5], vec![Statement::Checkpoint]));
    let seen = rules(&genesis, &records, 6);
    assert!(
        [4, 5, 6, 7, 8]
            .into_iter()
            .all(|number| writes(&seen, number)),
        "root has seen it"
    );
}

#[test]
fn a_guest_who_states_too_much_takes_no_room_of_its_host() {
    let (genesis, mut records) = begin();
    records.push(Told(ANN, 1, vec![0], vec![grant(EVE, Scope::Acl)]));
    let mut floods = flood(EVE, 100, &grant(7, Scope::Thread));
    floods.iter_mut().for_each(|told| told.2 = vec![1]);
    records.extend(floods);
    records.push(Told(ANN, 2, vec![0], vec![grant(4, Scope::Thread)]));
    // Whom root lets in itself is nobody's guest.
    records.push(Told(ROOT, 3, vec![1], vec![grant(EVE, Scope::Acl)]));
    records.push(Told(EVE, 4, vec![3], vec![grant(8, Scope::Thread)]));
    let rules = rules(&genesis, &records, 6);
    assert!(writes(&rules, 4) && !writes(&rules, 7) && writes(&rules, 8));
}

#[test]
fn a_member_without_a_say_takes_no_room_of_whoever_let_it_in() {
    let (genesis, mut records) = begin();
    records.push(Told(ANN, 1, vec![0], vec![grant(EVE, Scope::Thread)]));
    let mut floods = flood(EVE, 100, &Statement::Leave { seen: vec![] });
    floods.iter_mut().for_each(|told| told.2 = vec![1]);
    records.extend(floods);
    records.push(Told(ANN, 2, vec![0], vec![grant(4, Scope::Thread)]));
    let rules = rules(&genesis, &records, 4);
    assert!(writes(&rules, 4));
    assert!(
        writes(&rules, EVE),
        "what it says too often it has not said"
    );
}

/// What was left out and is seen by root after all changes what was judged: all of it is looked at again.
#[test]
fn what_root_has_seen_after_all_is_judged_again() {
    let (genesis, records) = begin();
    let node = tell(&genesis, Room::default(), &records, &mut Chance(1));
    for Told(author, number, _, statements) in flood(ANN, 100, &grant(7, Scope::Thread)) {
        node.learn(author, number, &[id(0)], &statements);
    }
    let learned = node.learn(ANN, 1, &[id(0)], &[grant(4, Scope::Thread)]);
    assert!(learned.passing && learned.void.unwrap().contains("room"));
    let learned = node.learn(ROOT, 2, &[id(1)], &[Statement::Checkpoint]);
    assert_eq!(learned.again, [Again::default()]);
    assert!(writes(&node.rules().unwrap(), 4) && !writes(&node.rules().unwrap(), 7));
}

/// Room for three events of guests, one of whom Carl is.
fn guests() -> (Node, Vec<Statement>) {
    let room = Room {
        guests: 3,
        ..Room::default()
    };
    let (genesis, records) = begin();
    let node = tell(&genesis, room, &records, &mut Chance(1));
    let lets_in = [grant(CARL, Scope::Acl), grant(EVE, Scope::Acl)];
    node.learn(ANN, 1, &[id(0)], &lets_in);
    let other = Genesis::new(peer(EVE), History::All, &mut system_rng());
    (node, vec![Statement::Genesis(other)])
}

/// What says nothing takes room all the same: what it puts out is judged again, and what root lets in again by it.
#[test]
fn what_a_record_that_says_nothing_turns_is_judged_again() {
    let (node, nothing) = guests();
    node.learn(CARL, 2, &[id(1)], &[grant(DAVE, Scope::Thread)]);
    let of_dave = |again: &Again| again.author == Some(peer(DAVE));
    for (number, statements) in [(10, &nothing[..]), (11, &[])] {
        let learned = node.learn(EVE, number, &[id(1)], statements);
        assert_eq!(learned.again, [], "there is room");
    }
    assert!(writes(&node.rules().unwrap(), DAVE));
    let learned = node.learn(EVE, 12, &[id(1)], &nothing);
    assert!(learned.again.iter().any(of_dave));
    assert!(!writes(&node.rules().unwrap(), DAVE));
    let learned = node.learn(ROOT, 13, &[id(2)], &nothing);
    assert!(learned.again.iter().any(of_dave));
    assert!(writes(&node.rules().unwrap(), DAVE), "root has seen it");
}

/// A purge changes no rule, so that nothing but it hangs on whether it takes part.
#[test]
fn which_purges_count_is_asked_again_when_they_take_part_no_more() {
    let (node, nothing) = guests();
    let to = Subject::Peer(peer(CARL));
    let deletes = Statement::Grant {
        to,
        scope: Scope::Thread,
        role: Role::Delete,
    };
    node.learn(ANN, 3, &[id(1)], &[deletes]);
    let listed = Dep {
        cid: id(99),
        log: LogId::from_key_bytes([7; 32]),
        seq: 1,
    };
    let records = vec![listed];
    node.learn(CARL, 2, &[id(3)], &[Statement::Purge { records }]);
    let counts = || {
        let txn = threads_core::datastore::Datastore::read(&node.store).unwrap();
        let stated = node.policy.statements(&node.thread, &*txn).unwrap();
        let mut purges = stated.iter().filter(|stated| stated.record == id(2));
        purges.all(|stated| stated.void.is_none())
    };
    for number in [10, 11] {
        let learned = node.learn(EVE, number, &[id(1)], &nothing);
        assert!(learned.again.is_empty() && counts(), "there is room");
    }
    let learned = node.learn(EVE, 12, &[id(1)], &[grant(DAVE, Scope::Thread)]);
    assert!(!learned.again.is_empty() && !counts());
    let learned = node.learn(ROOT, 13, &[id(2)], &[Statement::Checkpoint]);
    assert!(!learned.again.is_empty() && counts(), "root has seen it");
}

/// What is set aside here takes no room where others still have some, whatever it knows of.
#[test]
fn what_is_set_aside_and_knows_of_much_takes_no_room() {
    let room = Room {
        member: 2,
        everyone: 3,
        ..Room::default()
    };
    let (genesis, mut records) = begin();
    let everybody = Statement::Grant {
        to: Subject::Everybody,
        scope: Scope::Thread,
        role: Role::Read,
    };
    let lets_in = vec![everybody, grant(EVE, Scope::Thread)];
    records.push(Told(ANN, 1, vec![0], lets_in));
    let forks = 2..22;
    records.extend((forks.clone()).map(|n| Told(ANN, n, vec![1], vec![Statement::Checkpoint])));
    let leaves = vec![Statement::Leave { seen: vec![] }];
    records.extend((30..33).map(|number| Told(EVE, number, vec![1], leaves.clone())));
    records
        .extend((40..45).map(|number| Told(EVE, number, forks.clone().collect(), leaves.clone())));
    let card = IdentityKey::from_bytes(&[7; 32]).card();
    records.push(Told(DAVE, 50, vec![1], vec![Statement::Card(card)]));
    let rules = rules_within(&genesis, room, &records, 6);
    assert_eq!(rules.of(&card.peer()).card, Some(card));
}

/// Strangers, guests, members and admins who all say too much of many things, some of it seen by root.
#[test]
fn whoever_says_too_much_of_whatever_all_orders_agree() {
    let mut otherwise = 0;
    for seed in 0..120 {
        let mut chance = Chance(seed);
        let room = common::little_room(&mut chance);
        let (genesis, mut records) = begin();
        for number in 1..40 {
            let known = |chance: &mut Chance| records[chance.below(records.len())].1;
            let mut acl = vec![0, known(&mut chance), known(&mut chance)];
            acl.sort_unstable();
            acl.dedup();
            let author = *chance.pick(&[ROOT, ANN, ANN, BOB, 4, 5, EVE]);
            let to = *chance.pick(&[ANN, BOB, 4, 5, 6]);
            let states = |chance: &mut Chance| match chance.below(8) {
                0..=2 => grant(to, Scope::Acl),
                3..=4 => grant(to, Scope::Thread),
                5 => Statement::Leave { seen: vec![] },
                6 => Statement::Checkpoint,
                _ => Statement::Card(IdentityKey::from_bytes(&[to; 32]).card()),
            };
            let said = (0..1 + chance.below(3))
                .map(|_| states(&mut chance))
                .collect();
            records.push(Told(author, number, acl, said));
        }
        let little = rules_within(&genesis, room, &records, 4);
        otherwise += u32::from(little != rules(&genesis, &records, 1));
    }
    assert!(
        otherwise > 30,
        "there has to be too little room: {otherwise}"
    );
}
