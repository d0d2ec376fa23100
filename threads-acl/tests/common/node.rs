//! A node that has the policy and nothing else, told of records.

use threads_acl::{Acl, Room};
use threads_core::access::{Genesis, Role, Rules, Scope, Statement, Subject};
use threads_core::block::{DAG_CBOR, cid_of};
use threads_core::datastore::{Datastore, DatastoreExt, Durability, Memory};
use threads_core::policy::{AccessPolicy, AccessRecord, Learned, policy_prefix};
use threads_core::reducer::View;
use threads_core::{Cid, PeerId, ThreadId};

pub(crate) struct Node {
    pub(crate) store: Memory,
    pub(crate) policy: Acl,
    pub(crate) thread: ThreadId,
}

pub(crate) fn peer(number: u8) -> PeerId {
    PeerId::from_key_bytes([number; 32])
}

pub(crate) fn id(number: u32) -> Cid {
    cid_of(DAG_CBOR, &number.to_be_bytes())
}

impl Node {
    pub(crate) fn new(genesis: &Genesis) -> Self {
        Self::with_room(genesis, Room::default())
    }

    pub(crate) fn with_room(genesis: &Genesis, room: Room) -> Self {
        Self {
            store: Memory::new(),
            policy: Acl::with_room(room),
            thread: genesis.thread_id().unwrap(),
        }
    }

    pub(crate) fn learn(
        &self,
        author: u8,
        number: u32,
        acl: &[Cid],
        statements: &[Statement],
    ) -> Learned {
        self.learn_from(peer(author), number, acl, statements)
    }

    pub(crate) fn learn_from(
        &self,
        author: PeerId,
        number: u32,
        acl: &[Cid],
        statements: &[Statement],
    ) -> Learned {
        let record = AccessRecord {
            thread: &self.thread,
            author,
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

    pub(crate) fn rules(&self) -> Option<Rules> {
        let txn = self.store.read().unwrap();
        self.policy.rules(&self.thread, &*txn).unwrap()
    }
}

pub(crate) fn grant(to: u8, scope: Scope) -> Statement {
    grant_to(peer(to), scope)
}

pub(crate) fn grant_to(to: PeerId, scope: Scope) -> Statement {
    Statement::Grant {
        to: Subject::Peer(to),
        scope,
        role: Role::Write,
    }
}
