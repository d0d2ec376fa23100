//! What happens while a thread is compacted, or in another order elsewhere.

use super::base::even_alone;
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
    ann.db.compact(&even_alone(), &mut |_| ()).unwrap();
    clean(&ann.db);
    assert!(ann.db.base().unwrap().unwrap().dropped > 40);
    assert_eq!(notes(&ann.db), notes(&bob.db));
}
