//! What happens while a thread is compacted, or in another order elsewhere.

use super::forger::Forger;
use super::*;

/// Two logs, so that dropping takes two steps; what of all of it is edited is one entity.
fn two_logs() -> (Peer, Peer) {
    let ann = Peer::made(Variant::Raw);
    let bob = Peer::copy(&ann.db.keys());
    save(&ann.db, "a", "one");
    for (one, other) in [(&ann, &bob), (&bob, &ann)] {
        for n in 0..30 {
            patch(&one.db, "a", &json!({"n": n}));
        }
        take(&other.db, &records(&one.db));
    }
    (ann, bob)
}

#[test]
fn what_comes_back_while_it_is_dropped_stays() {
    let (ann, bob) = two_logs();
    let mut file = Vec::new();
    ann.db.export(&mut file, &with_keys(), &mut |_| ()).unwrap();
    let mut came_back = false;
    let mut come_back = |_: crate::Progress| {
        if !std::mem::replace(&mut came_back, true) {
            restore(&ann.db.node(), &file).unwrap();
        }
    };
    ann.db.compact(&even_alone(), &mut come_back).unwrap();
    clean(&ann.db);
    assert!(ann.db.base().unwrap().is_none(), "all of it is here");
    assert_eq!(notes(&ann.db), notes(&bob.db));
    take(&bob.db, &records(&ann.db));
    assert_eq!(now(&ann.db), now(&bob.db));
    // It can be compacted all the same.
    compact_alone(&ann.db);
    clean(&ann.db);
    assert!(ann.db.base().unwrap().unwrap().dropped > 40);
    assert_eq!(notes(&ann.db), notes(&bob.db));
}

fn all_here(db: &Db) -> Covered {
    let txn = db.thread().node.store.read().unwrap();
    covered_until(&*txn, db.thread(), None).unwrap()
}

#[test]
fn who_drops_less_after_another_dropped_more_is_refused() {
    let (ann, bob) = two_logs();
    let mut covered = all_here(&ann.db);
    covered.last.values_mut().for_each(|last| *last = 10);
    let name = ann.db.sign_covered(&covered).unwrap();
    compact_alone(&ann.db);
    let refused = ann.db.begin_with(covered, &name);
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unavailable);
    clean(&ann.db);
    assert_eq!(notes(&ann.db), notes(&bob.db));
}

#[test]
fn what_was_forked_since_it_was_looked_at_is_not_dropped() {
    let ann = Peer::made(Variant::Raw);
    let mut forger = Forger::new(&ann.db);
    let written: Vec<_> = (0..30).map(|n| forger.save(n, "a")).collect();
    take(&ann.db, &written);
    let covered = all_here(&ann.db);
    let name = ann.db.sign_covered(&covered).unwrap();
    take(&ann.db, &[forger.at(9).save(2_000, "forked")]);
    let refused = ann.db.begin_with(covered, &name);
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unavailable);
    clean(&ann.db);
}

#[test]
fn new_keys_that_are_made_while_it_is_signed_for_are_not_in_what_a_thread_begins_with() {
    let root = Peer::made(Variant::AccessControlled);
    let bob = Peer::copy(&root.db.keys());
    grant(&root.db, bob.id(), Role::Write);
    save(&root.db, "a", "one");
    for n in 0..30 {
        patch(&root.db, "a", &json!({"n": n}));
    }
    // By now new keys are due, which whoever writes next states first.
    root.clock.set(NOW_MS + 31 * 24 * 3_600_000);
    compact_alone(&root.db);
    clean(&root.db);
    root.db
        .export(&mut Vec::new(), &with_keys(), &mut |_| ())
        .unwrap();
}

#[test]
fn in_whichever_order_rules_came_the_snapshot_is_the_same() {
    let root = Peer::made(Variant::AccessControlled);
    let bob = Peer::copy(&root.db.keys());
    grant(&root.db, bob.id(), Role::Write);
    save(&root.db, "a", "one");
    take(&bob.db, &records(&root.db));
    // Whoever hears of the removal first sees that there is nothing left to leave.
    bob.db.leave().unwrap();
    revoke(&root.db, bob.id(), Role::Replicate);
    let (one, other) = (records(&root.db), records(&bob.db));
    let ends = [[&one, &other], [&other, &one]].map(|order| {
        let end = Peer::copy(&root.db.keys());
        order.iter().for_each(|records| _ = take(&end.db, records));
        clean(&end.db);
        end
    });
    assert_eq!(now(&ends[0].db), now(&ends[1].db));
    // And newcomers open it.
    for end in &ends {
        let bytes = content_now(end.db.thread()).unwrap();
        let new = Peer::copy(&root.db.keys());
        open(new.db.thread(), &bytes[..], &now(&end.db)).unwrap();
        assert_eq!(now(&new.db), now(&end.db));
    }
}
