//! Forks: where an author signed several records for one place of a log.

use serde::Serialize;
use threads_core::books::HeadBook;
use threads_core::datastore::Datastore;
use threads_core::{Cid, LogId, PeerId, Result};

use crate::chain;
use crate::db::Db;
use crate::line;

/// A place of a log for which its author signed several records. All of them are kept, with all that
/// comes after each, and shared with peers; nothing that was applied is undone.
///
/// The first records of the branches are the proof: each has the signature of the log's key, and no two
/// of them can follow one record rightly. [`Db::show`] has what they say.
///
/// ```
/// fn tell(fork: &threads_db::Fork) -> String {
///     format!("log {} was forked at {}: {} branches", fork.log, fork.at, fork.branches.len())
/// }
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fork {
    /// The log.
    pub log: LogId,
    /// The sequence number that several records have.
    pub at: u64,
    /// The branches, by the CIDs of their first records.
    pub branches: Vec<Branch>,
}

/// One branch of a forked log.
///
/// ```
/// fn length(branch: &threads_db::Branch, at: u64) -> u64 { branch.last - at + 1 }
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Branch {
    /// The CID of its first record.
    #[serde(serialize_with = "crate::text::display")]
    pub first: Cid,
    /// The sequence number of its last record that is here, or of the last one before it was forked
    /// itself.
    pub last: u64,
    /// Whose log it is. One for all branches, but where the log was forked at its first record: that is
    /// the one that says whose log it is, and each of several may say another.
    pub author: Option<PeerId>,
}

impl Db {
    /// Where logs of the thread were forked, by log and sequence number. It happens by malice, or by
    /// putting back a backup of a datastore and writing to it before a peer was met; this node goes on in
    /// a log of its own that is new when that happens to it.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// assert!(db.forks().unwrap().is_empty());
    /// ```
    pub fn forks(&self) -> Result<Vec<Fork>> {
        let thread = self.thread();
        let txn = thread.node.store.read()?;
        let lines = line::forked(&*txn, thread.number)?;
        let mut forks = Vec::new();
        for ended in lines.iter().filter(|line| line.forked) {
            let mut branches = Vec::new();
            let mut at = ended.first;
            for line in lines.iter().filter(|line| line.parent == Some(ended.id)) {
                let first = chain::expect(&*txn, line.place(thread.number, line.first))?;
                let head = HeadBook::new(&*txn).get(&thread.id, &line.id)?;
                at = line.first;
                branches.push(Branch {
                    first: first.record_id(),
                    last: head.map_or(at, |head| head.seq),
                    author: thread.author(&*txn, line.number)?,
                });
            }
            branches.sort();
            forks.push(Fork {
                log: ended.log,
                at,
                branches,
            });
        }
        forks.sort_by_key(|fork| (fork.log, fork.at));
        Ok(forks)
    }
}
