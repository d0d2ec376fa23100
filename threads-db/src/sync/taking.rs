//! Records that a peer sent are taken in, those apart that are at fault.

use std::collections::BTreeSet;

use threads_core::{Error, ErrorKind, LogId, Result};

use super::active::raise_all;
use super::wire::Frontier;
use crate::chain::Blocks;
use crate::db::Db;
use crate::ingest;

/// What comes of taking in records, one bad record in nobody's way.
#[derive(Default)]
pub(super) struct Taking {
    pub(super) logs: Frontier,
    pub(super) moved: BTreeSet<LogId>,
    pub(super) astray: Frontier,
    pub(super) new: u64,
    /// How many that had come emptied are whole now.
    pub(super) filled: u64,
    pub(super) locked: bool,
    /// Whether this node has no part in the thread any more.
    pub(super) removed: bool,
    pub(super) refused: Option<Error>,
}

impl Taking {
    pub(super) fn take(&mut self, db: &Db, blocks: &[Blocks]) -> Result<()> {
        match ingest::take_in(db.thread(), blocks) {
            Ok(intake) => {
                if intake.filled > 0 {
                    db.regain_once_whole()?;
                }
                self.new += intake.new;
                self.filled += intake.filled;
                self.locked |= intake.locked > 0;
                self.removed |= intake.removed;
                raise_all(&mut self.logs, &intake.logs);
                raise_all(&mut self.logs, &intake.lines);
                self.moved.extend(intake.moved);
                self.astray.extend(intake.astray);
                Ok(())
            }
            Err(error) if !is_of_the_record(&error) => Err(error),
            Err(error) if blocks.len() == 1 => {
                self.refused.get_or_insert(error);
                Ok(())
            }
            Err(_) => {
                let (first, second) = blocks.split_at(blocks.len() / 2);
                self.take(db, first)?;
                self.take(db, second)
            }
        }
    }
}

/// Whether an error is of a record, and not of this node's disk.
fn is_of_the_record(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Rejected | ErrorKind::Invalid)
}
