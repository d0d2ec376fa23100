//! Who was removed writes as if it did not know of it, on the node that it had before.

use threads_acl::eval::Described;
use threads_core::access::EntityRules;

use super::author::{Authored, Branch, author};
use super::common::Chance;
use super::watch::{Observer, Seen, kept};

/// Branches of what the removed one writes, and how many records each has.
const BRANCHES: usize = 20;
const EACH: usize = 50;

fn event(id: &str, author: &str, kind: &str, deps: &[&str]) -> Described {
    Described::new(id, author, kind, deps)
}

/// A thread of root, of A who is an admin and writes and deletes, and of B who does so too.
fn team() -> Vec<Described> {
    let mut events = vec![event("g", "R", "genesis", &[])];
    for peer in ["A", "B"] {
        for (scope, role) in [("acl", "write"), ("thread", "write"), ("thread", "delete")] {
            let last = events.last().unwrap().id.clone();
            let id = format!("{peer}-{scope}-{role}");
            let grant = event(&id, "R", "grant", &[&last]).scope(scope);
            events.push(grant.target(peer).role(role));
        }
    }
    events.push(event("e0", "A", "create", &["B-thread-delete"]).entity("n0"));
    events.push(event("e1", "B", "create", &["e0"]).entity("n1"));
    events.push(event("e2", "A", "save", &["e1"]).entity("n1"));
    events
}

/// Root takes the list from A, B takes all else, and root seals that.
fn removal() -> Vec<Described> {
    let list = event("r1", "R", "revoke", &["e2"]).scope("acl");
    let all = event("r2", "B", "revoke", &["r1"]);
    vec![
        list.target("A").role("write"),
        all.target("A").role("replicate"),
        event("c", "R", "checkpoint", &["r2"]),
    ]
}

/// What A writes after what it knew, and S, whom nobody but A lets in.
fn forged(before: &[Described], chance: &mut Chance) -> Vec<Described> {
    let mut forged: Vec<Described> = Vec::new();
    for branch in 0..BRANCHES {
        // At the least A has its roles and the first entity.
        let mut known = before[7 + chance.below(before.len() - 7)].id.clone();
        for at in 0..EACH {
            let id = format!("f{branch}-{at}");
            let stranger = at > 5 && chance.percent(20);
            let author = if stranger { "S" } else { "A" };
            let new = |kind| event(&id, author, kind, &[&known]);
            let entity = *chance.pick(&["n0", "n1"]);
            let scope = *chance.pick(&["acl", "thread", "entity:n1"]);
            let grant = |to| new("grant").target(to).scope(scope).role("write");
            forged.push(match chance.below(8) {
                0 => grant("S"),
                1 => grant("A"),
                2 => new("revoke").target("B").scope(scope).role("write"),
                3 => new("revoke").target("R").scope(scope).role("write"),
                4 => new("restrict").entity(entity),
                5 if at > EACH / 2 => new("delete").entity(entity),
                _ => new("save").entity(entity),
            });
            known = id;
        }
    }
    forged
}

/// The entities as they are kept and shown, and who may do what.
fn state(node: &Observer, authored: &Authored) -> String {
    let rules = node.db.rules().unwrap().unwrap();
    let entities = ["n0", "n1"].map(|entity| kept(&node.db, entity));
    let roles = ["R", "A", "B", "S"].map(|name| rules.of(&authored.peers[name]));
    // An entity that somebody named in vain has no rule.
    let mut named: Vec<_> = rules.entities.into_values().collect();
    named.retain(|rules| *rules != EntityRules::default());
    format!("{roles:?} {named:?} {entities:?}")
}

#[test]
fn rows_9_21_and_22_1_000_back_dated_records_change_nothing_on_real_nodes() {
    let before = team();
    let forged = forged(&before, &mut Chance(1));
    let history = [&before[..], &removal(), &forged].concat();
    let authored = author(&history, Branch::Fork);
    // The records of events, after the genesis and the definition.
    let (early, rest) = authored.blocks.split_at(before.len() + 1);
    let (removals, attempts) = rest.split_at(3);
    assert_eq!(attempts.len(), 1_000);
    let blind = authored.keys.clone().without_read();
    let reader = Observer::new(&authored.keys);
    let replica = Observer::new(&blind);
    let unaware = Observer::new(&authored.keys);
    for blocks in early {
        let all = [&reader, &replica, &unaware].into_iter();
        all.for_each(|node| node.take(blocks));
    }
    let shown = state(&unaware, &authored);
    for blocks in removals {
        let aware = [&reader, &replica].into_iter();
        aware.for_each(|node| node.take(blocks));
    }
    let expected = [&reader, &replica].map(|node| state(node, &authored));
    for (at, (blocks, event)) in attempts.iter().zip(&forged).enumerate() {
        reader.take(blocks);
        assert_eq!(state(&reader, &authored), expected[0], "{event:?}");
        replica.take(blocks);
        if at % EACH == EACH - 1 {
            assert_eq!(state(&replica, &authored), expected[1], "{event:?}");
        }
        if at < EACH {
            unaware.take(blocks);
        }
    }
    reader.assert_clean();
    replica.assert_clean();
    let seen = Seen::new(&reader.db, &history, &authored);
    let data = ["save", "delete"];
    let changes = forged
        .iter()
        .filter(|event| data.contains(&&event.kind[..]));
    assert_eq!(
        seen.quarantined.len(),
        changes.count(),
        "kept, and not applied"
    );
    // The same records do change things where nobody was removed.
    assert_ne!(state(&unaware, &authored), shown);
}
