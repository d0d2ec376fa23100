//! What a change costs on an entity that has been changed very often: one more of a document that
//! merges, and one that comes late of a codec that wants an order.

use std::time::Duration;

use automerge::transaction::Transactable;
use automerge::{AutoCommit, ROOT};
use serde_json::{Value, json};
use threads_codec_automerge::Automerge;
use threads_core::datastore::Durability;
use threads_core::module::CollectionSpec;
use threads_db::{Collection, Node};
use threads_store_lmdb::Lmdb;

use crate::bench::Bench;
use crate::clock::{median, timed};
use crate::peer::{Peer, TCP, is_level, pause, records, share, until};
use crate::report::{Reach, Row};
use crate::{Result, engine};

/// The lengths of the histories.
const LENGTHS: [usize; 3] = [10, 1_000, 10_000];
/// How many changes are timed at each.
const TIMED: usize = 50;
/// How many events come late at once.
const LATE: usize = 20;
const NAME: &str = "Merging";

/// The lengths that are measured, not all of which are the same when sizes are divided.
fn lengths(bench: &Bench) -> [usize; 3] {
    let [short, middle, long] = LENGTHS;
    [short, bench.size(middle), bench.size(long)]
}

/// The middle time of the changes that follow so many others, each in microseconds.
fn after(lengths: [usize; 3], mut change: impl FnMut(usize) -> Result<()>) -> Result<[f64; 3]> {
    let mut turn = 0;
    let mut figures = [0.0; 3];
    for (length, figure) in lengths.into_iter().zip(&mut figures) {
        while turn < length {
            change(turn)?;
            turn += 1;
        }
        let mut took = Vec::new();
        for _ in 0..TIMED {
            took.push(timed(|| change(turn))?.0 * 1e6);
            turn += 1;
        }
        *figure = median(&took);
    }
    Ok(figures)
}

/// One change of a field in a transaction of its own, after so many others.
pub(crate) fn merging(bench: &Bench) -> Result<Row> {
    let lengths = lengths(bench);
    let ours = {
        let dir = bench.fresh()?;
        let builder = Node::builder(Lmdb::open(dir.path())?).durability(Durability::Relaxed);
        let node = builder
            .codec_for(|own| Automerge::of(own.to_string()))
            .open()?;
        let db = node.create("bench")?;
        db.define(&CollectionSpec::new(NAME.parse()?, "automerge/1".parse()?))?;
        let collection: Collection<Value> = db.typed(NAME)?;
        collection.create(&json!({"_id": "one"}))?;
        after(lengths, |turn| {
            Ok(collection.patch("one", &json!({"field": turn}))?)
        })?
    };
    let theirs = {
        let mut value = AutoCommit::new();
        after(lengths, |turn| {
            value.put(ROOT, "field", turn as u64)?;
            value.commit();
            std::hint::black_box(value.save_incremental());
            Ok(())
        })?
    };
    let what = (
        format!(
            "a change of one field, not synced, of a document that merges and had {} before",
            lengths[2]
        ),
        "the same of one that had 10 before",
    );
    let shown = |figures: [f64; 3]| figures.map(|figure| format!("{figure:.0}")).join(", ");
    let note = format!(
        "after {lengths:?} changes: {} µs; Automerge alone, in memory: {} µs",
        shown(ours),
        shown(theirs)
    );
    let figures = (ours[2], ours[0]);
    Ok(Row::new("merging-long", what, figures, "µs", Reach::Told).note(note))
}

/// What an event costs that comes late in an entity of so many events, in microseconds.
fn late_in(bench: &Bench, events: usize) -> Result<f64> {
    let dirs = [bench.fresh()?, bench.fresh()?];
    let here = engine::node(Lmdb::open(dirs[0].path())?, Durability::Relaxed)?;
    let there = engine::node(Lmdb::open(dirs[1].path())?, Durability::Relaxed)?;
    let ours: Collection<Value> = engine::collection(&here, &[])?;
    for turn in 0..events {
        ours.save(&json!({"_id": "one", "here": turn}))?;
    }
    let theirs = share(ours.db(), &there)?;
    let connected = || {
        let peers = (Peer::start(&here, TCP)?, Peer::start(&there, TCP)?);
        peers.0.wire.connect(&peers.1.wire)?;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(peers)
    };
    {
        let _peers = connected()?;
        until("agreement", || {
            Ok(is_level(ours.db())? && is_level(&theirs)?)
        })?;
    }
    let others: Collection<Value> = theirs.typed(engine::COLLECTION)?;
    for turn in 0..LATE {
        others.patch("one", &json!({"there": turn}))?;
    }
    // Later by the clock.
    pause(Duration::from_millis(5))?;
    ours.patch("one", &json!({"here": "last"}))?;
    let wanted = records(ours.db())? + LATE as u64;
    let _peers = connected()?;
    let (seconds, ()) = timed(|| until("the late ones", || Ok(records(ours.db())? >= wanted)))?;
    match ours.get("one")? {
        Some(one) if one["there"] == LATE - 1 && one["here"] == "last" => {
            Ok(seconds * 1e6 / LATE as f64)
        }
        other => Err(format!("another state was found: {other:?}").into()),
    }
}

/// Late events of an entity with a long history.
pub(crate) fn late(bench: &Bench) -> Result<Row> {
    let [short, middle, long] = lengths(bench);
    let between = late_in(bench, middle)?;
    let figures = bench.in_turns(|| late_in(bench, long), || late_in(bench, short))?;
    let what = (
        format!("an event that comes late in an entity of {long} events, {LATE} at once, over TCP"),
        "in an entity of 10 events",
    );
    Ok(Row::new("late", what, figures, "µs", Reach::Told)
        .note(format!("in an entity of {middle} events: {between:.0} µs")))
}
