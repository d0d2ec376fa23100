//! Who was in a thread may ask on for ever, whatever it asks; who never was may not.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use threads_acl::Acl;
use threads_core::access::{Role, Scope, Subject};
use threads_core::datastore::Memory;
use threads_core::{PeerId, Variant, system_rng};

use super::super::io::{Input, Output};
use super::super::machine::Machine;
use super::super::wire::{Ask, Claim, asks};
use crate::db::Db;
use crate::node::Node;

/// How often each question is asked, one a second: more often than a stranger may.
const TIMES: u64 = 40;

/// A thread with rules, and somebody who was removed from it.
fn begin() -> (Db, PeerId) {
    let node = Node::builder(Memory::new()).policy(Acl::new());
    let node = node.open().unwrap();
    let db = node.create_with("t", Variant::AccessControlled).unwrap();
    let peer = PeerId::from_key_bytes([7; 32]);
    let subject = Subject::Peer(peer);
    for grants in [true, false] {
        db.write(|txn| match grants {
            true => txn.grant(subject, Scope::Thread, Role::Read),
            false => txn.revoke(subject, Scope::Thread, Role::Replicate),
        })
        .unwrap();
    }
    (db, peer)
}

/// Whether a peer that has the thread's key is cut off for asking this again and again.
fn is_cut_off(db: &Db, peer: PeerId, ask: &Ask) -> bool {
    let node = db.node();
    let mut machine = Machine::new(node.peer_id());
    machine.handle(0, Input::Connected(peer), &mut system_rng());
    for request in 1..=TIMES {
        let frame = ask.encode().unwrap();
        let mut inputs = vec![Input::Request(peer, request, frame)];
        // Ends: each work is done once, and what is told of it asks for nothing here.
        while let Some(input) = inputs.pop() {
            for output in machine.handle(request * 1_000, input, &mut system_rng()) {
                match output {
                    Output::Work(work) => inputs.push(Input::Worked(node.perform(work))),
                    Output::Reply(_, frame) => assert!(frame.len() < 100, "it is told nothing"),
                    Output::Disconnect(_) => return true,
                    _ => {}
                }
            }
        }
    }
    false
}

#[test]
fn who_was_removed_is_cut_off_for_no_question_and_a_stranger_for_each() {
    let (db, removed) = begin();
    let stranger = PeerId::from_key_bytes([8; 32]);
    let claim = |peer: &PeerId| {
        let me = db.node().peer_id();
        Claim::new(&db.thread().replica, peer, &me)
    };
    let of_thread = |ask: &&Ask| !matches!(ask, Ask::Join(..));
    for ask in asks(claim(&removed)).iter().filter(of_thread) {
        assert!(!is_cut_off(&db, removed, ask), "{ask:?}");
    }
    for ask in asks(claim(&stranger)).iter().filter(of_thread) {
        assert!(is_cut_off(&db, stranger, ask), "{ask:?}");
    }
}
