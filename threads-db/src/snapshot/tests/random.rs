//! Histories by chance: a snapshot and what comes after it give what all records give.

use std::collections::BTreeSet;

use super::*;
use crate::held::HeldReason;

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

/// What a history has besides changes, levelling and offline writers.
#[derive(Clone, Copy, Debug, Default)]
struct Kind {
    ruled: bool,
    purges: bool,
    ahead: bool,
}

const COLLECTIONS: [&str; 2] = ["Note", "Score"];
const ENTITIES: u64 = 6;
const HOUR_MS: u64 = 3_600_000;

/// Some change by chance of one to three entities, in one transaction. What cannot be is not.
fn change(db: &Db, chance: &mut Chance) {
    let mut changes = Vec::new();
    for _ in 0..1 + chance.below(3) {
        let name = COLLECTIONS[chance.below(2) as usize];
        changes.push((
            name,
            chance.below(ENTITIES),
            chance.below(12),
            chance.below(1_000),
        ));
    }
    let _ = db.write(|txn| {
        for (name, id, kind, value) in changes {
            let (collection, id) = (db.collection(name)?, id.to_string());
            let known = txn.get(&collection, &id)?;
            match kind {
                0 if known.is_some() => txn.delete(&collection, &id)?,
                1..=6 if known.is_some() && name == "Note" => {
                    txn.patch(&collection, &id, &json!({format!("f{}", value % 4): value}))?;
                }
                _ => _ = txn.save(&collection, &json!({"_id": id, "value": value}))?,
            }
        }
        Ok(())
    });
}

/// Root, who is the first, or the second, whom it lets do so, gives a writer the right to write, or to rule, or takes
/// it. What the second may not do any more is not done.
fn rule(peers: &[Peer], chance: &mut Chance) {
    let peer = &peers[1 + chance.below(peers.len() as u64 - 1) as usize];
    let peer = Subject::Peer(peer.id());
    let scope = match chance.below(4) {
        0 => Scope::Acl,
        _ => Scope::Thread,
    };
    let (by, revokes) = (chance.below(2) as usize, chance.below(2) == 0);
    let ruled = peers[by].db.write(|txn| match revokes {
        true => txn.revoke(peer, scope, Role::Write),
        false => txn.grant(peer, scope, Role::Write),
    });
    assert!(by > 0 || ruled.is_ok(), "{ruled:?}");
}

/// Somebody adopts what is in quarantine with it, if anything is.
fn adopt(db: &Db, chance: &mut Chance) {
    let held = db.held().unwrap();
    let by_rules = |held: &&crate::HeldRecord| matches!(held.reason, HeldReason::Access(_));
    let apart: Vec<_> = held.iter().filter(by_rules).collect();
    if !apart.is_empty() {
        let record = apart[chance.below(apart.len() as u64) as usize].record;
        let _ = db.write(|txn| txn.adopt(&record));
    }
}

fn purge(db: &Db, chance: &mut Chance) {
    let name = COLLECTIONS[chance.below(2) as usize].parse().unwrap();
    let id = chance.below(ENTITIES).to_string().parse().unwrap();
    // It is refused where it would take something else along.
    let _ = db.purge([(name, id)]);
}

/// Writers who are offline most of the time.
fn write(peers: &[Peer], now_ms: &mut u64, kind: Kind, chance: &mut Chance) {
    let count = peers.len() as u64;
    for _ in 0..25 + chance.below(25) {
        *now_ms += chance.below(50);
        let (one, other) = (chance.below(count) as usize, chance.below(count) as usize);
        let writer = &peers[one];
        writer.clock.set(*now_ms);
        match chance.below(24) {
            0..=4 if one != other => level(&writer.db, &peers[other].db),
            5 if kind.ruled => rule(peers, chance),
            6 if kind.ruled => adopt(&writer.db, chance),
            7 if kind.purges => purge(&peers[0].db, chance),
            8 if kind.ahead => {
                writer.clock.set(*now_ms + HOUR_MS);
                change(&writer.db, chance);
            }
            _ => change(&writer.db, chance),
        }
    }
}

fn made(kind: Kind) -> Vec<Peer> {
    let variant = match kind.ruled {
        true => Variant::AccessControlled,
        false => Variant::Raw,
    };
    let root = Peer::made(variant);
    let mut peers = vec![root];
    for _ in 0..2 {
        let peer = Peer::copy(&peers[0].db.keys());
        if kind.ruled {
            // Who loses the right to write still reads.
            for role in [Role::Read, Role::Write, Role::Delete] {
                grant(&peers[0].db, peer.id(), role);
            }
        }
        peers.push(peer);
    }
    if kind.ruled {
        let second = Subject::Peer(peers[1].id());
        let may_rule =
            |txn: &mut crate::WriteTransaction<'_>| txn.grant(second, Scope::Acl, Role::Write);
        peers[0].db.write(may_rule).unwrap();
    }
    for peer in &peers[1..] {
        take(&peer.db, &records(&peers[0].db));
    }
    peers
}

/// Has somebody drop what is old, if anything may be dropped there now: says whether.
fn drop_old(peer: &Peer, now_ms: u64, chance: &mut Chance) -> bool {
    let mut options = CompactOptions::new(match chance.below(2) {
        0 => Keep::SinceMs(now_ms - chance.below(1_000)),
        _ => Keep::Latest,
    });
    options.even_alone = true;
    match peer.db.compact(&options, &mut |_| ()) {
        Ok(report) => report.dropped > 0,
        Err(error) => {
            // Who may not write cannot sign for what it drops.
            let may = [ErrorKind::Unavailable, ErrorKind::Rejected];
            assert!(may.contains(&error.kind()), "{error}");
            false
        }
    }
}

/// A history by chance, and what nodes make of it that have only a part: says how many begin with a snapshot.
fn history(seed: u64, kind: Kind) -> u64 {
    let mut chance = Chance(seed);
    let mut peers = made(kind);
    let mut now_ms = NOW_MS;
    write(&peers, &mut now_ms, kind, &mut chance);
    let mut all: Vec<Blocks> = peers.iter().flat_map(|peer| records(&peer.db)).collect();
    // One makes a snapshot of what it knows, for a new device; two drop what is old, at other times.
    let maker = chance.below(3) as usize;
    let mut file = Vec::new();
    let exported = peers[maker]
        .db
        .export_snapshot(&mut file, &with_keys(), &mut |_| ());
    let device = exported.ok().and_then(|_| Peer::restored(&file).ok());
    all.extend(records(&peers[maker].db));
    let mut short = u64::from(drop_old(&peers[maker], now_ms, &mut chance));
    write(&peers, &mut now_ms, kind, &mut chance);
    all.extend(peers.iter().flat_map(|peer| records(&peer.db)));
    let other = (maker + 1) % 3;
    short += u64::from(drop_old(&peers[other], now_ms, &mut chance));
    all.extend(peers.iter().flat_map(|peer| records(&peer.db)));

    let whole = Peer::copy(&peers[0].db.keys());
    peers.extend(device);
    now_ms += 1_000;
    for peer in peers.iter().chain([&whole]) {
        peer.clock.set(now_ms);
    }
    take(&whole.db, &all);
    // The older ones come last, but for some.
    let newest = |blocks: &Blocks, db: &Db| {
        let record = db.thread().open_record(&blocks.record).unwrap();
        let base = db.base().unwrap();
        let logs = base.iter().flat_map(|base| &base.logs);
        let fields = record.fields();
        logs.clone()
            .all(|(log, last)| *log != fields.log || fields.seq > *last)
    };
    for peer in &mut peers {
        let mut tail: Vec<_> = all
            .iter()
            .filter(|blocks| newest(blocks, &peer.db))
            .cloned()
            .collect();
        chance.shuffle(&mut tail);
        for part in tail.chunks((tail.len() / 3).max(1)) {
            take(&peer.db, part);
            if chance.below(3) == 0 {
                peer.reopen();
            }
        }
        settled(peer);
    }
    settled(&whole);
    if kind.ahead {
        // Until then who dated it ahead is the only one that shows it.
        later(&peers, &whole, now_ms);
    }
    for peer in &peers {
        compare(peer, &whole, seed);
    }
    for peer in &peers {
        regained(peer, (&whole, &all), (seed, kind));
    }
    short
}

fn settled(peer: &Peer) {
    peer.db.retry_held().unwrap();
    clean(&peer.db);
}

/// All clocks have come to what was dated ahead.
fn later(peers: &[Peer], whole: &Peer, now_ms: u64) {
    for peer in peers.iter().chain([whole]) {
        peer.clock.set(now_ms + 3 * HOUR_MS);
        settled(peer);
    }
}

/// The entities that records change which wait for older ones.
fn waiting(db: &Db) -> BTreeSet<(String, String)> {
    let (thread, txn) = (db.thread(), db.thread().node.store.read().unwrap());
    let mut waiting = BTreeSet::new();
    for arrival in crate::held::arrivals(&*txn, thread.number).unwrap() {
        let entry = crate::held::get(&*txn, thread.number, arrival)
            .unwrap()
            .unwrap();
        if !matches!(entry.row.why, crate::held::Why::Older(_)) {
            continue;
        }
        let place = chain::locate(&*txn, thread.number, &entry.row.record).unwrap();
        let blocks = entry
            .blocks
            .unwrap_or_else(|| chain::expect(&*txn, place.unwrap()).unwrap());
        let opened = thread.open(&blocks).unwrap();
        let events = opened.batch().map_or(&[][..], |batch| &batch.events);
        let name = |event: &threads_core::batch::EntityEvent| {
            (event.collection.to_string(), event.entity.to_string())
        };
        waiting.extend(events.iter().map(name));
    }
    waiting
}

fn entities() -> impl Iterator<Item = (&'static str, String)> {
    COLLECTIONS
        .into_iter()
        .flat_map(|name| (0..ENTITIES).map(move |id| (name, id.to_string())))
}

fn of(db: &Db, name: &str, id: &str) -> Option<Value> {
    db.collection(name).unwrap().get(id).unwrap()
}

/// A node that begins with a snapshot is as one that has all records, but for what it says it waits with.
fn compare(peer: &Peer, whole: &Peer, seed: u64) {
    let base = peer.db.base().unwrap();
    if base.is_some_and(|base| base.owes.is_some()) {
        // It says so, and hands on nothing of it.
        assert!(peer.db.snapshot().is_err());
        return;
    }
    let waiting = waiting(&peer.db);
    for (name, id) in entities() {
        let waits = waiting.contains(&(name.to_owned(), id.clone()));
        let (ours, theirs) = (of(&peer.db, name, &id), of(&whole.db, name, &id));
        assert!(
            waits || ours == theirs,
            "{seed}: {name}/{id}: {ours:?}, not {theirs:?}"
        );
    }
}

/// Once all records are there nothing is left to wait for, and nothing differs.
fn regained(peer: &Peer, (whole, all): (&Peer, &[Blocks]), (seed, kind): (u64, Kind)) {
    let owes = peer
        .db
        .base()
        .unwrap()
        .is_some_and(|base| base.owes.is_some());
    take(&peer.db, all);
    let regained = peer.db.regain().unwrap();
    assert_eq!(regained.lacking, 0, "{seed}");
    assert!(owes || regained.wrong.is_empty(), "{seed}: {regained:?}");
    settled(peer);
    for (name, id) in entities() {
        assert_eq!(
            of(&peer.db, name, &id),
            of(&whole.db, name, &id),
            "{seed}: {name}/{id}"
        );
    }
    // What was purged here may not have been there.
    if !kind.purges {
        assert_eq!(now(&peer.db), now(&whole.db), "{seed}");
    }
}

fn histories(kind: Kind) {
    let seeds = std::env::var("THREADS_SNAPSHOT_SEEDS").ok();
    let seeds = seeds.map_or(5, |seeds| seeds.parse().unwrap());
    let short: u64 = (0..seeds).map(|seed| history(seed, kind)).sum();
    assert!(short >= seeds / 2, "too little was dropped: {short}");
}

#[test]
fn a_snapshot_and_what_comes_after_it_give_what_all_records_give() {
    histories(Kind::default());
}

#[test]
fn the_same_where_writers_come_and_go_and_their_changes_are_adopted() {
    histories(Kind {
        ruled: true,
        ..Kind::default()
    });
}

#[test]
fn the_same_where_clocks_are_ahead() {
    histories(Kind {
        ahead: true,
        ..Kind::default()
    });
}

#[test]
fn the_same_where_things_are_purged() {
    for ruled in [false, true] {
        histories(Kind {
            ruled,
            purges: true,
            ahead: false,
        });
    }
}
