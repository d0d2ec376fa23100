//! What a node asks of the policy when it looks after a thread's rules.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use threads_acl::Acl;
use threads_core::access::{Role, Rules, Scope, Subject};
use threads_core::datastore::{Memory, ReadTxn};
use threads_core::policy::{AccessPolicy, AccessRecord, Candidate, Learned, Verdict};
use threads_core::reducer::View;
use threads_core::{PeerId, Result, ThreadId, Variant};

use crate::Node;

/// The policy, which counts how often somebody asks for all of its rules.
#[derive(Debug, Default)]
struct Counting(Acl, AtomicUsize);

impl AccessPolicy for Counting {
    fn judge(&self, candidate: &Candidate<'_>, txn: &dyn ReadTxn) -> Result<Verdict> {
        self.0.judge(candidate, txn)
    }

    fn learn(&self, record: &AccessRecord<'_>, view: &mut View<'_>) -> Result<Learned> {
        self.0.learn(record, view)
    }

    fn roles(
        &self,
        thread: &ThreadId,
        peer: &PeerId,
        scope: &Scope,
        txn: &dyn ReadTxn,
    ) -> Result<Option<Vec<Role>>> {
        self.0.roles(thread, peer, scope, txn)
    }

    fn rules(&self, thread: &ThreadId, txn: &dyn ReadTxn) -> Result<Option<Rules>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.rules(thread, txn)
    }
}

#[test]
fn rules_are_asked_for_only_when_they_changed() {
    let policy = Arc::new(Counting::default());
    let node = Node::builder(Memory::new())
        .policy(Arc::clone(&policy))
        .open()
        .unwrap();
    let db = node.create_with("team", Variant::AccessControlled).unwrap();
    let asked = || {
        let before = policy.1.load(Ordering::Relaxed);
        assert!(!db.attend_access().unwrap());
        policy.1.load(Ordering::Relaxed) - before
    };
    assert!(asked() > 0);
    assert_eq!([asked(), asked()], [0, 0]);
    let ann = Subject::Peer(PeerId::from_key_bytes([7; 32]));
    db.write(|txn| txn.grant(ann, Scope::Thread, Role::Read))
        .unwrap();
    assert!(asked() > 0);
    assert_eq!(asked(), 0);
}
