//! Histories by chance: a snapshot and what comes after it give what all records give.

use super::*;

/// Numbers by chance, from a seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }

    fn shuffle<T>(&mut self, all: &mut [T]) {
        for last in (1..all.len()).rev() {
            let other = self.below(last as u64 + 1) as usize;
            all.swap(last, other);
        }
    }
}

/// Some change by chance.
fn change(peer: &Peer, chance: &mut Chance) {
    let id = format!("{}", chance.below(6));
    let value = chance.below(1_000);
    let name = *[("Note"), ("Score")].get(chance.below(2) as usize).unwrap();
    let collection = peer.db.collection(name).unwrap();
    let known = collection.get(&id).unwrap();
    // What cannot be, as the entity is dead, is not.
    match chance.below(12) {
        0 if known.is_some() => collection.delete(&id).unwrap(),
        1..=6 if known.is_some() && name == "Note" => {
            collection
                .patch(&id, &json!({format!("f{}", value % 4): value}))
                .unwrap();
        }
        _ => _ = collection.save(&json!({"_id": id, "value": value})),
    }
}

fn history(seed: u64) {
    let mut chance = Chance(seed);
    let ann = Peer::made(Variant::Raw);
    let writers = [Peer::copy(&ann.db.keys()), Peer::copy(&ann.db.keys()), ann];
    take(&writers[0].db, &records(&writers[2].db));
    take(&writers[1].db, &records(&writers[2].db));
    let mut now_ms = NOW_MS;
    for _ in 0..20 + chance.below(20) {
        now_ms += chance.below(50);
        let writer = &writers[chance.below(3) as usize];
        writer.clock.set(now_ms);
        match chance.below(6) {
            0 => level(&writers[0].db, &writers[1].db),
            1 => level(&writers[1].db, &writers[2].db),
            _ => change(writer, &mut chance),
        }
    }
    // One of them makes a snapshot of what it knows, for a new device, and drops what is old itself.
    let maker = &writers[chance.below(3) as usize];
    let file = exported(&maker.db);
    let keys = maker.db.keys();
    let whole = Peer::copy(&keys);
    let device = Peer::restored(&file).unwrap();
    let mut tail: Vec<Blocks> = Vec::new();
    for writer in &writers {
        tail.extend(records(&writer.db));
    }
    compact(&maker.db, Keep::Latest);
    for peer in [&whole, &device, maker] {
        peer.clock.set(now_ms + 1_000);
    }
    take(&whole.db, &tail);
    chance.shuffle(&mut tail);
    let some = tail.len() / 3;
    for part in tail.chunks(some.max(1)) {
        take(&device.db, part);
        take(&maker.db, part);
    }
    take(&whole.db, &records(&maker.db));
    take(&device.db, &records(&maker.db));
    for peer in [&device, maker] {
        compare(peer, &whole, seed);
    }
}

/// A node that had a snapshot is as one that has all records, but for what it says it waits with.
fn compare(peer: &Peer, whole: &Peer, seed: u64) {
    clean(&peer.db);
    let waiting: Vec<_> = peer.db.held().unwrap();
    let waits = |id: &str| {
        waiting
            .iter()
            .any(|held| held.reason.to_string().ends_with(&format!("Note/{id}")))
    };
    let only_older = |held: &crate::HeldRecord| matches!(held.reason, crate::HeldReason::Older(_));
    assert!(waiting.iter().all(only_older), "{seed}: {waiting:?}");
    if waiting.is_empty() {
        assert_eq!(now(&peer.db), now(&whole.db), "{seed}");
    }
    for (name, id) in ["Note", "Score"]
        .iter()
        .flat_map(|name| (0..6).map(move |id| (name, id)))
    {
        let id = id.to_string();
        let of = |db: &Db| db.collection(name).unwrap().get(&id).unwrap();
        assert!(
            waits(&id) || of(&peer.db) == of(&whole.db),
            "{seed}: {name}/{id}"
        );
    }
    // The records that it had dropped came with the others, so in the end nothing is left to wait for.
    let regained = peer.db.regain().unwrap();
    assert_eq!(
        (regained.lacking, &regained.wrong[..]),
        (0, &[][..]),
        "{seed}"
    );
    assert_eq!(now(&peer.db), now(&whole.db), "{seed}");
    clean(&peer.db);
}

#[test]
fn a_snapshot_and_what_comes_after_it_give_what_all_records_give() {
    let seeds = std::env::var("THREADS_SNAPSHOT_SEEDS").ok();
    let seeds = seeds.map_or(20, |seeds| seeds.parse().unwrap());
    for seed in 0..seeds {
        history(seed);
    }
}
