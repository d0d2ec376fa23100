//! The policy, told things in an order or an amount that nobody honest would choose.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod common;

use std::borrow::Cow;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use common::node::{Node, grant, grant_to, id, peer};
use threads_acl::Acl;
use threads_core::access::{
    EntityTag, Genesis, History, Role, STATEMENTS_MAX, Scope, Statement, Subject,
};
use threads_core::datastore::{Datastore, Direction, KeyRange, Keyspace, Memory, ReadTxn, Scan};
use threads_core::policy::{AccessPolicy, Learned};
use threads_core::record::Dep;
use threads_core::{Cid, IdentityKey, LogId, PeerCard, PeerId, Result, ThreadId, system_rng};

#[test]
fn whoever_comes_before_the_genesis_is_not_root() {
    let genesis = Genesis::new(peer(1), History::All, &mut system_rng());
    let began = [Statement::Genesis(genesis.clone())];
    let eve = [
        Statement::Checkpoint,
        grant(9, Scope::Acl),
        Statement::Leave { seen: vec![] },
    ];
    let root = [grant(2, Scope::Thread)];
    let (first, last) = (Node::new(&genesis), Node::new(&genesis));
    first.learn(1, 0, &[], &began);
    first.learn(9, 1, &[], &eve);
    first.learn(1, 2, &[id(0)], &root);
    last.learn(9, 1, &[], &eve);
    assert_eq!(last.rules(), None, "nothing is known of the thread yet");
    let learned = last.learn(1, 0, &[], &began);
    assert_eq!(learned.again, [threads_core::policy::Again::default()]);
    last.learn(1, 2, &[id(0)], &root);

    for node in [&first, &last] {
        let rules = node.rules().unwrap();
        assert_eq!(rules.root, peer(1));
        assert!(rules.of(&peer(2)).thread.contains(&Role::Write));
        assert!(rules.of(&peer(9)).acl.is_empty() && rules.of(&peer(9)).thread.is_empty());
    }
    // And so after the program was started again.
    let again = Node {
        policy: Acl::new(),
        ..last
    };
    assert_eq!(again.rules().unwrap().root, peer(1));
}

/// A card of a peer, as it may sign many: with an agreement key of another identity.
fn card(identity: &IdentityKey, number: u8) -> PeerCard {
    let agreement = IdentityKey::from_bytes(&[number; 32])
        .agreement_key()
        .public_key();
    let body = [&identity.peer_id().key_bytes()[..], &agreement.to_bytes()].concat();
    let sig = identity.sign(&[b"threads/card/1", &body[..]].concat());
    PeerCard::from_bytes(&[&body[..], &sig].concat()).unwrap()
}

/// Every order of some things.
fn orders(of: usize) -> Vec<Vec<usize>> {
    if of == 0 {
        return vec![Vec::new()];
    }
    let shorter = orders(of - 1).into_iter();
    let longer = shorter.flat_map(|order| {
        (0..of).map(move |at| {
            let mut order = order.clone();
            order.insert(at, of - 1);
            order
        })
    });
    longer.collect()
}

#[test]
fn which_card_counts_does_not_depend_on_what_came_last() {
    let bob = IdentityKey::from_bytes(&[7; 32]);
    let mut cards: Vec<_> = (20..24).map(|number| card(&bob, number)).collect();
    cards.sort_by_key(PeerCard::to_bytes);
    let genesis = Genesis::new(peer(1), History::All, &mut system_rng());
    let (begun, of) = (vec![Statement::Genesis(genesis.clone())], bob.peer_id());
    let tell = |node: &Node, author: PeerId, number: u32, acl: &[Cid], card: PeerCard| {
        node.learn_from(author, number, acl, &[Statement::Card(card)]);
    };
    let friends = [of, peer(2), peer(3)].map(|peer| grant_to(peer, Scope::Thread));
    let begun = [begun, friends.to_vec()].concat();
    // By others: root, and two of Bob's friends. A stranger's word is none.
    for order in orders(3) {
        let node = Node::new(&genesis);
        node.learn(1, 0, &[], &begun);
        let strange = card(&bob, 30);
        tell(&node, peer(8), 20, &[id(0)], strange);
        for at in order {
            tell(
                &node,
                peer(at as u8 + 1),
                at as u32 + 1,
                &[id(0)],
                cards[at],
            );
        }
        assert_eq!(
            node.rules().unwrap().of(&of).card,
            Some(cards[2]),
            "the greatest"
        );
        // What Bob says himself is the newest, though others may say again what was; and what he says
        // later is newer.
        tell(&node, of, 10, &[id(0)], cards[1]);
        tell(&node, of, 11, &[id(10)], cards[0]);
        tell(&node, peer(9), 12, &[id(11)], cards[3]);
        assert_eq!(
            node.rules().unwrap().of(&of).card,
            Some(cards[0]),
            "the latest of Bob's own"
        );
    }
    // Bob at two places at once: two come after the first, and do not know each other.
    let own: [(u32, &[Cid], usize); 4] = [
        (1, &[id(0)], 3),
        (2, &[id(1)], 1),
        (3, &[id(1)], 2),
        (4, &[id(2)], 0),
    ];
    let sound = |order: &Vec<usize>| {
        let at = |of: usize| order.iter().position(|item| *item == of);
        at(0) < at(1) && at(0) < at(2) && at(1) < at(3)
    };
    let orders: Vec<_> = orders(4).into_iter().filter(sound).collect();
    assert_eq!(orders.len(), 3);
    for order in orders {
        let node = Node::new(&genesis);
        node.learn(1, 0, &[], &begun);
        for at in order {
            let (number, acl, card) = own[at];
            tell(&node, of, number, acl, cards[card]);
        }
        let again = Node {
            policy: Acl::new(),
            ..node
        };
        assert_eq!(again.rules().unwrap().of(&of).card, Some(cards[2]));
    }
}

#[test]
fn rules_name_only_what_counts_and_cost_no_more() {
    let genesis = Genesis::new(peer(1), History::All, &mut system_rng());
    let node = Node::new(&genesis);
    let tag = |number: u16| {
        let mut bytes = [0; 16];
        bytes[..2].copy_from_slice(&number.to_be_bytes());
        EntityTag::from_bytes(bytes)
    };
    let begun = [
        Statement::Genesis(genesis),
        grant(2, Scope::Thread),
        grant(3, Scope::Thread),
    ];
    node.learn(1, 0, &[], &begun);
    // A stranger names 20 records of entities, and as many peers.
    for number in 1..=20u8 {
        let name = |at: usize| {
            let place = u16::from(number) * 1_024 + at as u16;
            let mut key = [9; 32];
            key[..2].copy_from_slice(&place.to_be_bytes());
            let to = PeerId::from_key_bytes(key);
            grant_to(to, Scope::Entity(tag(place)))
        };
        let named: Vec<_> = (0..STATEMENTS_MAX).map(name).collect();
        node.learn(9, u32::from(number), &[id(0)], &named);
    }
    let restrict = Statement::Restrict {
        entity: tag(1),
        seen: vec![],
    };
    let revoke = Statement::Revoke {
        from: Subject::Peer(peer(3)),
        scope: Scope::Thread,
        role: Role::Replicate,
        seen: vec![],
    };
    node.learn(
        1,
        100,
        &[id(0)],
        &[restrict, grant(2, Scope::Entity(tag(1))), revoke],
    );
    // To ask of each peer for each entity would be 400 million questions.
    let rules = node.rules().unwrap();
    let peers: Vec<_> = rules.peers.keys().copied().collect();
    assert_eq!(peers, [peer(1), peer(2), peer(3)]);
    assert!(rules.of(&peer(3)).thread.is_empty());
    let entities: Vec<_> = rules.entities.into_iter().collect();
    let [(entity, of)] = &entities[..] else {
        panic!("{} entities", entities.len())
    };
    assert!(*entity == tag(1) && of.restricted);
    assert_eq!(of.roles[&Subject::Peer(peer(2))], [Role::Write]);
    assert_eq!(of.roles.len(), 1);
}

#[test]
fn who_takes_the_same_again_has_nothing_judged_again() {
    let genesis = Genesis::new(peer(1), History::All, &mut system_rng());
    let node = Node::new(&genesis);
    let root = [Statement::Genesis(genesis), grant(2, Scope::Thread)];
    node.learn(1, 0, &[], &root);
    let upto = |seq| {
        let (log, cid) = (LogId::from_key_bytes([7; 32]), id(1_000 + seq as u32));
        vec![Dep { log, seq, cid }]
    };
    let leave = |seen| [Statement::Leave { seen }];
    let revoke = |seen| {
        let (from, scope, role) = (Subject::Peer(peer(2)), Scope::Thread, Role::Replicate);
        [Statement::Revoke {
            from,
            scope,
            role,
            seen,
        }]
    };
    let what = |learned: Learned| {
        let again = learned.again.into_iter();
        again
            .map(|again| (again.author, again.beyond, again.within))
            .collect::<Vec<_>>()
    };
    let (ann, five, six) = (Some(peer(2)), upto(5), upto(6));
    let first = node.learn(2, 1, &[id(0)], &leave(five.clone()));
    assert_eq!(what(first), [(ann, five.clone(), None)]);
    // The same again, by whomever, and a hundred times.
    for number in 2..100 {
        let learned = match number % 2 {
            0 => node.learn(2, number, &[id(number - 1)], &leave(five.clone())),
            _ => node.learn(1, number, &[id(number - 1)], &revoke(five.clone())),
        };
        assert_eq!(what(learned), []);
    }
    // Of more than was covered nothing is otherwise; of less, what was covered till then.
    let more = node.learn(2, 100, &[id(0)], &leave(six.clone()));
    assert_eq!(what(more), [(ann, six, Some(five.clone()))]);
    let less = node.learn(2, 101, &[id(0)], &leave(vec![]));
    assert_eq!(what(less), [(ann, vec![], Some(five.clone()))]);
    assert_eq!(what(node.learn(2, 102, &[id(0)], &leave(vec![]))), []);
    // After a grant that answers all of that it takes something again.
    node.learn(
        1,
        103,
        &[id(99), id(100), id(101), id(102)],
        &[grant(2, Scope::Thread)],
    );
    let anew = node.learn(1, 104, &[id(103)], &revoke(five.clone()));
    assert_eq!(what(anew), [(ann, five, None)]);
    // An entity that is restricted twice.
    let restrict = [Statement::Restrict {
        entity: EntityTag::from_bytes([1; 16]),
        seen: vec![],
    }];
    assert_eq!(node.learn(1, 105, &[id(0)], &restrict).again.len(), 1);
    assert_eq!(node.learn(1, 106, &[id(0)], &restrict).again, []);
}

/// What a node sees, which asks the policy of another thread, elsewhere, whenever rows are read.
struct Asking<'a>(&'a dyn ReadTxn, Arc<Acl>, ThreadId);

impl ReadTxn for Asking<'_> {
    fn get(&self, space: Keyspace, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        self.0.get(space, key)
    }

    fn scan(&self, space: Keyspace, range: KeyRange<'_>, direction: Direction) -> Result<Scan<'_>> {
        let (policy, other) = (Arc::clone(&self.1), self.2.clone());
        let (told, asked) = mpsc::sync_channel(1);
        std::thread::spawn(move || {
            let store = Memory::new();
            let rules = policy.rules(&other, &*store.read().unwrap()).unwrap();
            told.send(rules.is_none()).unwrap();
        });
        let nothing = asked.recv_timeout(Duration::from_secs(20));
        assert_eq!(
            nothing,
            Ok(true),
            "the rules of one thread are loaded, and those of another wait"
        );
        self.0.scan(space, range, direction)
    }
}

#[test]
fn rules_that_are_loaded_keep_nobody_from_asking_of_other_threads() {
    let [genesis, other] =
        [1, 2].map(|root| Genesis::new(peer(root), History::All, &mut system_rng()));
    let node = Node::new(&genesis);
    node.learn(1, 0, &[], &[Statement::Genesis(genesis)]);
    let policy = Arc::new(Acl::new());
    let txn = node.store.read().unwrap();
    let asking = Asking(&*txn, Arc::clone(&policy), other.thread_id().unwrap());
    let rules = policy.rules(&node.thread, &asking).unwrap();
    assert_eq!(rules.unwrap().root, peer(1));
}
