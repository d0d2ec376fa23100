//! The memory of a process that shares 10,000 threads which nobody uses.

use std::cell::RefCell;
use std::fs;
use std::path::Path;

use threads_core::datastore::Durability;
use threads_core::transport::Transport as _;
use threads_store_lmdb::Lmdb;

use crate::Result;
use crate::bench::Bench;
use crate::engine::{self, THREAD};
use crate::peer::{Peer, TCP, is_level, share, until};
use crate::report::{Reach, Row};
use crate::rows::in_child;

const MANY: usize = 10_000;
const FEW: usize = 10;
/// What all of the threads together may take more, in MiB.
const MORE: f64 = 64.0;
/// Where the other process can be reached.
const ADDRESS: &str = "address";
/// What its memory is of.
const PARTS: &str = "parts";

pub(crate) fn run(bench: &Bench) -> Result<Row> {
    let many = bench.size(MANY);
    let parts = RefCell::new(String::new());
    let of_many = || {
        let (mib, of_what) = memory(bench, many)?;
        *parts.borrow_mut() = of_what;
        Ok(mib)
    };
    let figures = bench.in_turns(of_many, || Ok(memory(bench, FEW)?.0))?;
    let what = (
        format!(
            "resident memory of a process that shares {many} idle threads with a connected peer"
        ),
        "with 10 threads, and 64 MiB more",
    );
    let row = Row::new(
        "sync-idle",
        what,
        (figures.0, figures.1 + MORE),
        "MiB",
        Reach::AtMost(1.0),
    );
    Ok(row.note(format!(
        "{:.1} MiB against {:.1} MiB; of the former, {}",
        figures.0,
        figures.1,
        parts.borrow()
    )))
}

/// Makes the threads on two nodes, and has one of them measure itself when they have met. Gives MiB, and
/// what they are of.
fn memory(bench: &Bench, threads: usize) -> Result<(f64, String)> {
    let (dir, other) = (bench.fresh()?, bench.fresh()?);
    let here = engine::node(Lmdb::open(other.path())?, Durability::Relaxed)?;
    {
        let there = engine::node(Lmdb::open(dir.path())?, Durability::Relaxed)?;
        let spec = engine::spec(&[])?;
        for number in 0..threads {
            let db = there.create(&format!("{THREAD}-{number}"))?;
            db.define(&spec)?;
            share(&db, &here)?;
        }
    }
    let peer = Peer::start(&here, TCP)?;
    let address = peer.wire.net.addresses().into_iter().next();
    let address = address.ok_or("a peer listens nowhere")?;
    fs::write(dir.path().join(ADDRESS), address.to_string())?;
    let mib = in_child("idle", dir.path(), threads)?;
    Ok((mib, fs::read_to_string(dir.path().join(PARTS))?))
}

/// Meets the other process with the threads in `dir`; gives MiB when nothing is left to be done.
pub(crate) fn child(dir: &Path, threads: usize) -> Result<f64> {
    let node = engine::node(Lmdb::open(dir)?, Durability::Group)?;
    let peer = Peer::start(&node, TCP)?;
    peer.wire
        .call(&fs::read_to_string(dir.join(ADDRESS))?.parse()?)?;
    for number in 0..threads {
        let name = format!("{THREAD}-{number}");
        until("agreement", || is_level(&node.open(&name)?))?;
    }
    until("rest", || Ok(peer.is_settled()))?;
    let status = fs::read_to_string("/proc/self/status")?;
    let mib = |what: &str| -> Result<f64> {
        let line = status.lines().find_map(|line| line.strip_prefix(what));
        let words = line.and_then(|line| line.split_whitespace().next());
        let kib: f64 = words
            .ok_or("the memory cannot be counted on this system")?
            .parse()?;
        Ok(kib / 1024.0)
    };
    let parts = format!(
        "{:.1} MiB are its own and {:.1} MiB pages of files, the program among them",
        mib("RssAnon:")?,
        mib("RssFile:")?
    );
    fs::write(dir.join(PARTS), parts)?;
    mib("VmRSS:")
}
