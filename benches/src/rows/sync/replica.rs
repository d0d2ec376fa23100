//! How fast one core takes in what it cannot read.

use std::collections::VecDeque;

use threads_core::datastore::{Datastore, Durability};
use threads_core::{Error, PeerId, system_rng};
use threads_db::Node;
use threads_db::sync::{Input, Machine, Output};
use threads_store_lmdb::Lmdb;

use crate::Result;
use crate::bench::Bench;
use crate::clock::timed;
use crate::engine::{self, THREAD};
use crate::floor::{Layers, Raw, Sync};
use crate::peer::records;
use crate::receiving::Receiving;
use crate::report::{Reach, Row};
use crate::trace::{Trace, Traced, take};

const RECORDS: usize = 50_000;
/// How often nothing may happen before it is given up.
const IDLE_MAX: usize = 100;

pub(crate) fn run(bench: &Bench) -> Result<Row> {
    let count = bench.size(RECORDS);
    let store = Lmdb::open(bench.log(count)?)?;
    let source = engine::node(store, Durability::Group)?;
    let (traced, noted) = Traced::new(Lmdb::open(bench.fresh()?.path())?);
    ingest(&source, traced)?;
    let trace = take(&noted);
    let ours = || ingest(&source, Lmdb::open(bench.fresh()?.path())?);
    let figures = bench.in_turns(ours, || floor(bench, &trace))?;
    let what = (
        format!("{count} records taken in by a replica that cannot read them, on one thread"),
        "opening and hashing records, batch verification, LMDB puts, one sync for each page",
    );
    let row = Row::new("sync-replica", what, figures, "/s", Reach::AtLeast(0.6));
    Ok(row.note(trace.by_page().describe()))
}

/// One of two nodes whose machines are driven by turns, and the time that it takes.
struct Side {
    node: Node,
    machine: Machine,
    inputs: VecDeque<Input>,
    seconds: f64,
}

impl Side {
    fn new(node: &Node, other: PeerId) -> Self {
        Self {
            node: node.clone(),
            machine: Machine::new(node.peer_id()),
            inputs: [Input::Started, Input::Connected(other)].into(),
            seconds: 0.0,
        }
    }

    /// Takes in what happened so far; gives what happens to the other by that.
    fn step(&mut self, now_ms: u64) -> Result<Vec<Input>> {
        let mut over = Vec::new();
        let me = self.node.peer_id();
        let (seconds, ()) = timed(|| {
            while let Some(input) = self.inputs.pop_front() {
                for output in self.machine.handle(now_ms, input, &mut system_rng()) {
                    match output {
                        Output::Work(work) => {
                            let worked = self.node.perform(work);
                            self.inputs.push_back(Input::Worked(worked));
                        }
                        Output::Call(_, call, frame) => over.push(Input::Request(me, call, frame)),
                        Output::Reply(call, frame) => over.push(Input::Reply(call, Ok(frame))),
                        Output::Refuse(call) => {
                            let refused = Error::unavailable("refused");
                            over.push(Input::Reply(call, Err(refused)));
                        }
                        _ => {}
                    }
                }
            }
            Ok(())
        })?;
        self.seconds += seconds;
        Ok(over)
    }
}

/// Gets all of a thread without its read key; gives records in a second of the replica's own.
fn ingest(source: &Node, store: impl Datastore) -> Result<f64> {
    let replica = engine::node(store, Durability::Group)?;
    let theirs = source.open(THREAD)?;
    theirs.share_with(&replica.peer_id())?;
    let ours = replica.add_thread(THREAD, &theirs.keys().without_read())?;
    ours.share_with(&source.peer_id())?;
    let all = records(&theirs)?;
    let mut here = Side::new(&replica, source.peer_id());
    let mut there = Side::new(source, replica.peer_id());
    let (mut now_ms, mut idle) = (0, 0);
    while records(&ours)? < all {
        let (to_there, to_here) = (here.step(now_ms)?, there.step(now_ms)?);
        idle = if to_there.is_empty() && to_here.is_empty() {
            idle + 1
        } else {
            0
        };
        if idle > 0 {
            let next = [&here, &there].map(|side| side.machine.wake_at());
            now_ms = next
                .into_iter()
                .flatten()
                .min()
                .unwrap_or(now_ms)
                .max(now_ms);
            here.inputs.push_back(Input::Woken);
            there.inputs.push_back(Input::Woken);
        }
        if idle > IDLE_MAX {
            return Err("the replica gets no further".into());
        }
        here.inputs.extend(to_here);
        there.inputs.extend(to_there);
    }
    Ok(all as f64 / here.seconds)
}

fn floor(bench: &Bench, trace: &Trace) -> Result<f64> {
    let (lengths, puts) = (trace.pages(), trace.by_page());
    let mut receiving = Receiving::new();
    let pages = lengths.iter().map(|page| receiving.page(page));
    let pages: Vec<Vec<u8>> = pages.collect::<Result<_>>()?;
    let dir = bench.fresh()?;
    let raw = Raw::create(dir.path(), Sync::Yes)?;
    let (seconds, ()) = timed(|| {
        for ((page, lengths), puts) in pages.iter().zip(&lengths).zip(&puts.0) {
            receiving.take(page, lengths, Layers::Record)?;
            raw.commit(puts)?;
        }
        Ok(())
    })?;
    Ok(lengths.iter().map(Vec::len).sum::<usize>() as f64 / seconds)
}
