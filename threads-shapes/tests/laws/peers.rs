//! Peers with one thread, who exchange what they have as files.

use std::sync::Arc;

use proptest::prelude::*;
use threads_codec_jsonpatch::JsonPatch;
use threads_codec_lww::Lww;
use threads_core::ManualClock;
use threads_core::datastore::Memory;
use threads_db::{Db, ExportOptions, Node, RestoreOptions};

/// When the clocks begin, in milliseconds since 1970.
const BEGIN_MS: u64 = 1_700_000_000_000;

pub(crate) const PEERS: usize = 3;

/// By how much the clock of each is ahead: less than is held back.
const AHEAD_MS: [u64; PEERS] = [0, 20_000, 40_000];

pub(crate) struct Peers {
    clocks: Vec<Arc<ManualClock>>,
    pub(crate) dbs: Vec<Db>,
    now_ms: u64,
}

fn node(clock: &Arc<ManualClock>) -> Node {
    let builder = Node::builder(Memory::new()).codec(Lww::new());
    let builder = builder.codec(JsonPatch::new()).clock(Arc::clone(clock));
    builder.open().unwrap()
}

impl Peers {
    /// Peers that have what `begin` does on the first.
    pub(crate) fn new(begin: impl FnOnce(&Db)) -> Self {
        let clock = |ahead: u64| Arc::new(ManualClock::at(BEGIN_MS + ahead));
        let clocks: Vec<_> = AHEAD_MS.into_iter().map(clock).collect();
        let first = node(&clocks[0]).create("t").unwrap();
        begin(&first);
        let join = |clock| node(clock).add_thread("t", &first.keys()).unwrap();
        let others: Vec<_> = clocks[1..].iter().map(join).collect();
        let dbs = [first].into_iter().chain(others).collect();
        let now_ms = BEGIN_MS;
        let mut peers = Self {
            clocks,
            dbs,
            now_ms,
        };
        (1..PEERS).for_each(|to| peers.tell(0, to));
        peers
    }

    /// One of them, without the others.
    pub(crate) fn alone() -> Self {
        let clocks = vec![Arc::new(ManualClock::at(BEGIN_MS))];
        let dbs = vec![node(&clocks[0]).create("t").unwrap()];
        let now_ms = BEGIN_MS;
        Self {
            clocks,
            dbs,
            now_ms,
        }
    }

    /// A moment passes.
    pub(crate) fn tick(&mut self) {
        self.now_ms += 1_000;
        for (clock, ahead) in self.clocks.iter().zip(AHEAD_MS) {
            clock.set(self.now_ms + ahead);
        }
    }

    /// One gets all that another has.
    pub(crate) fn tell(&mut self, from: usize, to: usize) {
        let file = tempfile::NamedTempFile::new().unwrap();
        let options = ExportOptions::default();
        let out = file.reopen().unwrap();
        self.dbs[from].export(out, &options, &mut |_| ()).unwrap();
        let node = self.dbs[to].node();
        let options = RestoreOptions::default();
        node.restore(file.path(), &options, &mut |_| ()).unwrap();
        self.tick();
    }

    /// Everybody gets everything.
    pub(crate) fn meet(&mut self) {
        (1..PEERS).for_each(|from| self.tell(from, 0));
        (1..PEERS).for_each(|to| self.tell(0, to));
        for db in &self.dbs {
            let report = db.verify(&mut |_| ()).unwrap();
            assert!(report.is_clean(), "{:?}", report.problems);
        }
    }
}

/// What happens: a peer does something, or one tells another.
#[derive(Clone, Debug)]
pub(crate) enum Step<A> {
    Do(usize, A),
    Tell(usize, usize),
}

/// Histories of a few steps.
pub(crate) fn steps<A: std::fmt::Debug + Clone>(
    act: impl Strategy<Value = A>,
) -> impl Strategy<Value = Vec<Step<A>>> {
    let tell = (0..PEERS, 1..PEERS).prop_map(|(from, by)| Step::Tell(from, (from + by) % PEERS));
    let act = (0..PEERS, act).prop_map(|(peer, act)| Step::Do(peer, act));
    prop::collection::vec(prop_oneof![3 => act, 1 => tell], 1..24)
}
