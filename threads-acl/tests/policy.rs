//! The policy, told things in an order or an amount that nobody honest would choose.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use threads_acl::{ACL_EVENTS_MAX, Acl};
use threads_core::access::{
    Genesis, History, Role, Rules, STATEMENTS_MAX, Scope, Statement, Subject,
};
use threads_core::block::{DAG_CBOR, cid_of};
use threads_core::datastore::{Datastore, DatastoreExt, Durability, Memory};
use threads_core::policy::{AccessPolicy, AccessRecord, Learned, policy_prefix};
use threads_core::reducer::View;
use threads_core::{Cid, PeerId, ThreadId, system_rng};

struct Node {
    store: Memory,
    policy: Acl,
    thread: ThreadId,
}

fn peer(number: u8) -> PeerId {
    PeerId::from_key_bytes([number; 32])
}

fn id(number: u32) -> Cid {
    cid_of(DAG_CBOR, &number.to_be_bytes())
}

impl Node {
    fn new(genesis: &Genesis) -> Self {
        Self {
            store: Memory::new(),
            policy: Acl::new(),
            thread: genesis.thread_id().unwrap(),
        }
    }

    fn learn(&self, author: u8, number: u32, acl: &[Cid], statements: &[Statement]) -> Learned {
        let record = AccessRecord {
            thread: &self.thread,
            author: peer(author),
            id: id(number),
            acl,
            statements,
        };
        let prefix = policy_prefix(&self.thread);
        let learned = self.store.transact(Durability::Relaxed, |txn| {
            self.policy.learn(&record, &mut View::new(txn, &prefix)?)
        });
        learned.unwrap()
    }

    fn rules(&self) -> Option<Rules> {
        let txn = self.store.read().unwrap();
        self.policy.rules(&self.thread, &*txn).unwrap()
    }
}

fn grant(to: u8, scope: Scope) -> Statement {
    Statement::Grant {
        to: Subject::Peer(peer(to)),
        scope,
        role: Role::Write,
    }
}

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

#[test]
fn a_stranger_who_fills_the_rules_makes_no_errors_for_others() {
    let genesis = Genesis::new(peer(1), History::All, &mut system_rng());
    let node = Node::new(&genesis);
    node.learn(1, 0, &[], &[Statement::Genesis(genesis)]);
    let many = vec![Statement::Checkpoint; STATEMENTS_MAX];
    let records = (ACL_EVENTS_MAX / STATEMENTS_MAX + 2) as u32;
    for number in 1..=records {
        let learned = node.learn(9, number, &[], &many);
        assert!(learned.passing, "nobody has to name what a stranger says");
    }
    let learned = node.learn(1, records + 1, &[id(0)], &[grant(2, Scope::Thread)]);
    assert!(learned.void.unwrap().contains("as many"));
}
