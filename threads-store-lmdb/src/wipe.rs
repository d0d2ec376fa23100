//! Writing over what the file still holds of rows that were removed or replaced.

use std::ops::Bound;

use threads_core::datastore::{DatastoreExt, Direction, Durability, Keyspace, prefix_range};
use threads_core::{Error, Result};

use crate::Lmdb;

/// How the keys of the rows begin that fill free pages. No other row of the keyspace begins so: theirs
/// begin with the length of a thread's id.
const PREFIX: &[u8] = b"\0wipe";
const SPACE: Keyspace = Keyspace::Views;
/// The value of such a row: two of them fill a page of 4 KiB, eight one of 16 KiB.
const FILLER: [u8; 1_990] = [0xff; 1_990];
/// Rows of the first commits, and of one at most.
const ROWS: std::ops::RangeInclusive<u64> = 32..=8_192;
/// How many bytes of rows are written anew in one commit.
const REWRITE_BYTES: usize = 4 << 20;
/// The pages that a commit frees can be written two commits later.
const ROUNDS_MIN: u64 = 4;
/// The most commits: enough for 60 GiB of free pages.
const ROUNDS_MAX: u64 = 4_096;

impl Lmdb {
    /// Writes over what the file still holds of rows that were removed or replaced, so that nobody finds
    /// them who reads it. Call it on a store that was opened since: what was written before in the same
    /// process may be written again with it.
    ///
    /// It takes as long as writing every row anew, which it does: a page keeps a part of what it had
    /// before. Pages that another process is reading stay as they are.
    ///
    /// # Errors
    ///
    /// Those of a commit; there is nothing to be undone then, and it can be called again.
    ///
    /// ```
    /// use threads_core::datastore::{DatastoreExt, Durability, Keyspace};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let dir = dir.path().join("store");
    /// let store = threads_store_lmdb::Lmdb::open(&dir).unwrap();
    /// store.transact(Durability::Immediate, |txn| txn.put(Keyspace::Views, b"k", b"forget me")).unwrap();
    /// store.transact(Durability::Immediate, |txn| txn.delete(Keyspace::Views, b"k")).unwrap();
    /// drop(store);
    /// let store = threads_store_lmdb::Lmdb::open(&dir).unwrap();
    /// store.wipe().unwrap();
    /// let file = std::fs::read(dir.join("data.mdb")).unwrap();
    /// assert!(!file.windows(9).any(|window| window == b"forget me"));
    /// ```
    pub fn wipe(&self) -> Result<()> {
        for space in Keyspace::ALL {
            self.rewrite(*space)?;
        }
        let filled = self.fill();
        // Whatever happened, the filler is of no more use.
        self.unfill().and(filled)
    }

    /// Puts every row of a keyspace again, some at a time.
    fn rewrite(&self, space: Keyspace) -> Result<()> {
        let mut last = Vec::new();
        loop {
            let after = match last.is_empty() {
                true => Bound::Unbounded,
                false => Bound::Excluded(&last[..]),
            };
            let next = self.transact(Durability::Immediate, |txn| {
                let mut rows = Vec::new();
                let mut bytes = 0;
                for row in txn.scan(space, (after, Bound::Unbounded), Direction::Forward)? {
                    let (key, value) = row?;
                    bytes += key.len() + value.len();
                    rows.push((key.into_owned(), value.into_owned()));
                    if bytes >= REWRITE_BYTES {
                        break;
                    }
                }
                rows.iter()
                    .try_for_each(|(key, value)| txn.put(space, key, value))?;
                Ok(rows.pop().map(|(key, _)| key))
            })?;
            match next {
                Some(key) => last = key,
                None => return Ok(()),
            }
        }
    }

    /// Fills free pages, until the file has to grow.
    fn fill(&self) -> Result<()> {
        let (mut rows, mut filled) = (*ROWS.start(), 0);
        for round in 0..ROUNDS_MAX {
            let before = self.env.info().last_page_number;
            let numbers = filled..filled + rows;
            filled = numbers.end;
            self.transact(Durability::Immediate, |txn| {
                numbers.into_iter().try_for_each(|number| {
                    txn.put(SPACE, &[PREFIX, &number.to_be_bytes()].concat(), &FILLER)
                })
            })?;
            let grown = self.env.info().last_page_number.saturating_sub(before);
            if round >= ROUNDS_MIN {
                if grown as u64 >= rows / 16 {
                    return Ok(());
                }
                rows = (2 * rows).min(*ROWS.end());
            }
        }
        Err(Error::unavailable(
            "the store has more free pages than can be written over at once: do it again",
        ))
    }

    fn unfill(&self) -> Result<()> {
        let (start, end) = prefix_range(PREFIX);
        let end = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let range = (Bound::Included(&start[..]), end);
        loop {
            let removed = self.transact(Durability::Immediate, |txn| {
                let rows = txn.scan(SPACE, range, Direction::Forward)?;
                let rows = rows.take(*ROWS.end() as usize);
                let keys: Vec<_> = rows
                    .map(|row| row.map(|(key, _)| key.into_owned()))
                    .collect::<Result<_>>()?;
                keys.iter().try_for_each(|key| txn.delete(SPACE, key))?;
                Ok(keys.len())
            })?;
            if removed == 0 {
                return Ok(());
            }
        }
    }
}
