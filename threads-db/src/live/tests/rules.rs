//! Histories by chance in a thread with rules: rights that come and go, and with them what was written.

use threads_acl::Acl;
use threads_core::access::{Role, Scope, Subject};
use threads_core::{PeerId, Variant};

use super::histories::{deliver, purge, random_query, write};
use super::views::{ByNumber, Watcher};
use super::*;

const HISTORIES: u64 = 300;
const STEPS: usize = 20;

fn ruled() -> (Db, Db) {
    let open = || {
        let builder = builder(&Arc::default()).reducer(ByNumber);
        builder.policy(Acl::new()).open().unwrap()
    };
    let root = open().create_with("t", Variant::AccessControlled).unwrap();
    root.define(&spec()).unwrap();
    let ann = open().add_thread("t", &root.keys()).unwrap();
    let peer = ann.node().peer_id();
    for role in [Role::Read, Role::Write, Role::Delete] {
        turn(&root, peer, role, true);
    }
    take(&ann, &records(&root));
    take(&root, &records(&ann));
    (root, ann)
}

fn turn(root: &Db, peer: PeerId, role: Role, to: bool) {
    let subject = Subject::Peer(peer);
    root.write(|txn| match to {
        true => txn.grant(subject, Scope::Thread, role),
        false => txn.revoke(subject, Scope::Thread, role),
    })
    .unwrap();
}

/// Everything that can be seen of a node, followed.
struct Screen {
    notes: Collection<Value>,
    lists: Vec<Follower>,
    counts: Watcher,
}

impl Screen {
    fn new(db: &Db, chance: &mut Chance) -> Self {
        let notes = notes(db);
        let list = |_| Follower::new(&notes, &random_query(chance));
        Self {
            lists: (0..3).map(list).collect(),
            counts: Watcher::new(db),
            notes,
        }
    }

    fn follow(&mut self) {
        self.lists.iter_mut().for_each(Follower::follow);
        self.counts.follow(&self.notes);
    }
}

fn history(seed: u64) -> usize {
    let mut chance = Chance(seed);
    let (root, ann) = ruled();
    let peer = ann.node().peer_id();
    let mut screens = [&root, &ann].map(|db| Screen::new(db, &mut chance));
    let mut may = [true; 2];
    for _ in 0..STEPS {
        match chance.below(12) {
            0..3 => write(&root, &mut chance),
            3..6 => write(&ann, &mut chance),
            6 | 7 => deliver(&root, &ann, &mut chance),
            8 | 9 => deliver(&ann, &root, &mut chance),
            10 => {
                let which = chance.below(2);
                may[which] = !may[which];
                let role = [Role::Write, Role::Delete][which];
                turn(&root, peer, role, may[which]);
            }
            _ => {
                let purger = if chance.percent(50) { &root } else { &ann };
                purge(purger, &mut chance);
            }
        }
        for screen in &mut screens {
            if chance.percent(60) {
                screen.follow();
            }
        }
    }
    screens.iter_mut().for_each(Screen::follow);
    let held = |db: &Db| db.held_counts().unwrap().quarantined;
    usize::from(held(&root) + held(&ann) > 0)
}

#[test]
fn lists_follow_what_rights_undo() {
    let undone: usize = (0..HISTORIES).map(history).sum();
    assert!(undone as u64 > HISTORIES / 10, "{undone}");
}
