//! What taking records in came to.

use std::collections::{BTreeMap, BTreeSet};

use threads_core::LogId;

/// What became of records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Intake {
    /// How many were applied.
    pub(crate) new: u64,
    /// How many had been applied, and are not any more.
    pub(crate) reverted: u64,
    /// How many were here already.
    pub(crate) present: u64,
    /// How many there was no room to hold, or no more.
    pub(crate) dropped: u64,
    /// How many the thread holds now.
    pub(crate) held: u64,
    /// How many are sealed under keys that are not here.
    pub(crate) locked: u64,
    /// Whether purges are to be carried out by them.
    pub(crate) purges: bool,
    /// How many that had come emptied are whole now.
    pub(crate) filled: u64,
    /// Whether they brought keys.
    pub(crate) keys: bool,
    /// Whether the thread is shared with more peers by them.
    pub(crate) members: bool,
    /// Whether one of them shows that this node has no part in the thread any more.
    pub(crate) removed: bool,
    /// The last record of each log among them, as far as their links say.
    pub(crate) logs: BTreeMap<LogId, u64>,
    /// The last record of each line among them, where logs were forked.
    pub(crate) lines: BTreeMap<LogId, u64>,
    /// The lines that got further, those of records that had been held among them.
    pub(crate) moved: BTreeSet<LogId>,
    /// Logs of which another record is needed in a place where one is here: the first such place of each.
    pub(crate) astray: BTreeMap<LogId, u64>,
}

impl Intake {
    pub(crate) fn add(&mut self, more: Self) {
        self.new += more.new;
        self.reverted += more.reverted;
        self.present += more.present;
        self.dropped += more.dropped;
        self.held = more.held;
        self.locked += more.locked;
        self.purges |= more.purges;
        self.filled += more.filled;
        self.keys |= more.keys;
        self.members |= more.members;
        self.removed |= more.removed;
        self.logs.extend(more.logs);
        for (line, seq) in more.lines {
            let last = self.lines.entry(line).or_insert(seq);
            *last = seq.max(*last);
        }
        self.moved.extend(more.moved);
        for (line, seq) in more.astray {
            let first = self.astray.entry(line).or_insert(seq);
            *first = seq.min(*first);
        }
    }
}
