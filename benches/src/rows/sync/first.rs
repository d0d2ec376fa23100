//! The first sync of a thread of 100,000 one-entity records.

use threads_core::datastore::{Datastore, Durability};
use threads_store_lmdb::Lmdb;

use crate::Result;
use crate::bench::Bench;
use crate::clock::timed;
use crate::engine::{self, SHARED_BYTES, THREAD};
use crate::floor::{Layers, Raw, Sync};
use crate::peer::{Peer, QUIC, TCP, Wire, records, share, until};
use crate::receiving::Receiving;
use crate::report::{Reach, Row};
use crate::trace::{Trace, Traced, take};

const RECORDS: usize = 100_000;

/// Over TCP, against the same bytes over the same stack.
pub(crate) fn tcp(bench: &Bench) -> Result<Row> {
    let count = bench.size(RECORDS);
    let source = source(bench, count, TCP)?;
    let (traced, noted) = Traced::new(Lmdb::open(bench.fresh()?.path())?);
    sync(&source, traced, TCP)?;
    let trace = take(&noted);
    let ours = || sync(&source, Lmdb::open(bench.fresh()?.path())?, TCP);
    let figures = bench.in_turns(ours, || floor(bench, &trace))?;
    let what = (
        format!("first sync of {count} one-entity records of {SHARED_BYTES} B, over TCP"),
        "the same bytes in as many replies, batch verification, hashing, three AEADs, LMDB puts",
    );
    Ok(
        Row::new("sync-first", what, figures, "s", Reach::AtMost(2.0))
            .note(format!("both sides: {} pages", trace.pages().len()))
            .note(trace.by_page().describe()),
    )
}

/// Over QUIC, against TCP.
pub(crate) fn quic(bench: &Bench) -> Result<Row> {
    let count = bench.size(RECORDS);
    let over = |listen| {
        let source = source(bench, count, listen)?;
        sync(&source, Lmdb::open(bench.fresh()?.path())?, listen)
    };
    let figures = bench.in_turns(|| over(QUIC), || over(TCP))?;
    let what = (
        format!("first sync of {count} one-entity records of {SHARED_BYTES} B, over QUIC"),
        "the same over TCP",
    );
    Ok(Row::new("sync-quic", what, figures, "s", Reach::Told))
}

/// Who has the thread.
pub(super) fn source(bench: &Bench, count: usize, listen: &str) -> Result<Peer> {
    let store = Lmdb::open(bench.log(count)?)?;
    Peer::start(&engine::node(store, Durability::Group)?, listen)
}

/// Gets all of it into an empty store; gives seconds.
fn sync(source: &Peer, store: impl Datastore, listen: &str) -> Result<f64> {
    let node = engine::node(store, Durability::Group)?;
    let theirs = source.node.open(THREAD)?;
    let ours = share(&theirs, &node)?;
    let all = records(&theirs)?;
    let peer = Peer::start(&node, listen)?;
    let (seconds, ()) = timed(|| {
        peer.wire.connect(&source.wire)?;
        until("the first sync", || Ok(records(&ours)? == all))
    })?;
    Ok(seconds)
}

/// Gets pages of the same lengths, and takes them in; gives seconds.
fn floor(bench: &Bench, trace: &Trace) -> Result<f64> {
    let (lengths, puts) = (trace.pages(), trace.by_page());
    let mut receiving = Receiving::new();
    let pages = lengths.iter().map(|page| receiving.page(page));
    let pages: Vec<Vec<u8>> = pages.collect::<Result<_>>()?;
    let asks = (0..pages.len() as u64).map(|number| number.to_be_bytes().to_vec());
    let (from, to) = (Wire::bare(TCP)?, Wire::bare(TCP)?);
    from.answer(move |ask| {
        let number = u64::from_be_bytes(ask.as_slice().try_into()?);
        Ok(pages[number as usize].clone())
    });
    let dir = bench.fresh()?;
    let raw = Raw::create(dir.path(), Sync::Yes)?;
    let (seconds, ()) = timed(|| {
        to.connect(&from)?;
        let mut replies = to.stream(&from, asks.collect());
        for (lengths, puts) in lengths.iter().zip(&puts.0) {
            let page = replies.blocking_recv().ok_or("a page did not come")?;
            receiving.take(&page, lengths, Layers::All)?;
            raw.commit(puts)?;
        }
        Ok(())
    })?;
    Ok(seconds)
}
