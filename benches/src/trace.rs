//! What the engine writes: a datastore that notes the net changes of each transaction, so that a
//! floor program can put the same rows with the same bytes.
//!
//! A trace is taken in a run of its own. No run that is timed has one.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use threads_core::datastore::{
    Capability, Datastore, Direction, Durability, KeyRange, Keyspace, ReadTxn, Scan, WriteTxn,
};
use threads_core::{Error, Result};

type Changes = BTreeMap<(Keyspace, Vec<u8>), Option<Vec<u8>>>;

/// One change of a transaction: a put, or a removal when there is no value.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) space: Keyspace,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Option<Vec<u8>>,
}

/// The lengths of a record's three blocks, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lengths {
    pub(crate) record: usize,
    pub(crate) event: usize,
    pub(crate) body: usize,
}

/// The net changes of each transaction, in the order of their keys.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace(pub(crate) Vec<Vec<Change>>);

impl Trace {
    /// The lengths of the blocks that each transaction filed.
    pub(crate) fn lengths(&self) -> Result<Vec<Lengths>> {
        let of = |changes: &Vec<Change>| {
            let blocks = changes.iter().find(|one| one.space == Keyspace::Blocks);
            let value = blocks.and_then(|one| one.value.as_deref());
            value
                .and_then(lengths)
                .ok_or_else(|| Error::corrupt("a transaction filed no blocks"))
        };
        self.0.iter().map(of).collect()
    }

    /// The lengths of the blocks of each page of records that came, of those transactions that filed any.
    pub(crate) fn pages(&self) -> Vec<Vec<Lengths>> {
        let of = |changes: &Vec<Change>| {
            let blocks = changes.iter().filter(|one| one.space == Keyspace::Blocks);
            let values = blocks.filter_map(|one| one.value.as_deref());
            values.filter_map(lengths).collect::<Vec<_>>()
        };
        let pages = self.0.iter().map(of);
        pages.filter(|page| !page.is_empty()).collect()
    }

    /// The same changes in as many transactions as there are [`Trace::pages`]: each with what was
    /// committed since the one before.
    pub(crate) fn by_page(&self) -> Self {
        let (mut pages, mut net) = (Vec::new(), Changes::new());
        for changes in &self.0 {
            for change in changes {
                net.insert((change.space, change.key.clone()), change.value.clone());
            }
            if changes.iter().any(|one| one.space == Keyspace::Blocks) {
                pages.push(flat(std::mem::take(&mut net)));
            }
        }
        Self(pages)
    }

    /// The same changes in `groups` transactions: what is left to put when commits are gathered.
    pub(crate) fn gathered(&self, groups: usize) -> Self {
        let all = self.0.len();
        let groups = groups.clamp(1, all.max(1));
        let gather = |group: usize| {
            let mut net = Changes::new();
            let members = &self.0[all * group / groups..all * (group + 1) / groups];
            for change in members.iter().flatten() {
                net.insert((change.space, change.key.clone()), change.value.clone());
            }
            flat(net)
        };
        Self((0..groups).map(gather).collect())
    }

    /// Rows and bytes put for each transaction, by keyspace, for a remark.
    pub(crate) fn describe(&self) -> String {
        let mut spaces = BTreeMap::<Keyspace, (usize, usize)>::new();
        for change in self.0.iter().flatten() {
            if let Some(value) = &change.value {
                let (rows, bytes) = spaces.entry(change.space).or_default();
                *rows += 1;
                *bytes += change.key.len() + value.len();
            }
        }
        let all = self.0.len().max(1) as f64;
        let told = |name: &str, rows: usize, bytes: usize| {
            let (rows, bytes) = (rows as f64 / all, bytes as f64 / all);
            format!("{name} {rows:.1} rows, {bytes:.0} B")
        };
        let (rows, bytes) = spaces
            .values()
            .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        let spaces = spaces
            .iter()
            .map(|(space, (rows, bytes))| told(space.name(), *rows, *bytes));
        let parts: Vec<_> = std::iter::once(told("all", rows, bytes))
            .chain(spaces)
            .collect();
        format!("puts of each transaction: {}", parts.join("; "))
    }
}

/// The lengths are in front of the blocks: four bytes for the record, four for the event.
fn lengths(value: &[u8]) -> Option<Lengths> {
    let (record, rest) = value.split_first_chunk::<4>()?;
    let (event, rest) = rest.split_first_chunk::<4>()?;
    let (record, event) = (u32::from_be_bytes(*record), u32::from_be_bytes(*event));
    let (record, event) = (record as usize, event as usize);
    let body = rest.len().checked_sub(record + event)?;
    Some(Lengths {
        record,
        event,
        body,
    })
}

fn flat(changes: Changes) -> Vec<Change> {
    let change = |((space, key), value)| Change { space, key, value };
    changes.into_iter().map(change).collect()
}

/// A datastore that notes what is committed to another one.
pub(crate) struct Traced<D> {
    store: D,
    trace: Arc<Mutex<Trace>>,
}

impl<D: Datastore> Traced<D> {
    /// The datastore, and where its trace appears.
    pub(crate) fn new(store: D) -> (Self, Arc<Mutex<Trace>>) {
        let trace = Arc::<Mutex<Trace>>::default();
        let shared = Arc::clone(&trace);
        (Self { store, trace }, shared)
    }
}

/// Takes what was noted so far.
pub(crate) fn take(trace: &Mutex<Trace>) -> Trace {
    let mut held = trace.lock().unwrap_or_else(PoisonError::into_inner);
    std::mem::take(&mut *held)
}

impl<D: Datastore> fmt::Debug for Traced<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Traced").field(&self.store).finish()
    }
}

impl<D: Datastore> Datastore for Traced<D> {
    fn capability(&self) -> Capability {
        self.store.capability()
    }

    fn read(&self) -> Result<Box<dyn ReadTxn + '_>> {
        self.store.read()
    }

    fn write(&self) -> Result<Box<dyn WriteTxn + '_>> {
        Ok(Box::new(Writer {
            txn: self.store.write()?,
            changes: Changes::new(),
            trace: &self.trace,
        }))
    }
}

struct Writer<'a> {
    txn: Box<dyn WriteTxn + 'a>,
    changes: Changes,
    trace: &'a Mutex<Trace>,
}

impl ReadTxn for Writer<'_> {
    fn get(&self, space: Keyspace, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        self.txn.get(space, key)
    }

    fn scan(&self, space: Keyspace, range: KeyRange<'_>, direction: Direction) -> Result<Scan<'_>> {
        self.txn.scan(space, range, direction)
    }
}

impl WriteTxn for Writer<'_> {
    fn put(&mut self, space: Keyspace, key: &[u8], value: &[u8]) -> Result<()> {
        self.txn.put(space, key, value)?;
        let change = ((space, key.to_vec()), Some(value.to_vec()));
        self.changes.extend([change]);
        Ok(())
    }

    fn delete(&mut self, space: Keyspace, key: &[u8]) -> Result<()> {
        self.txn.delete(space, key)?;
        self.changes.insert((space, key.to_vec()), None);
        Ok(())
    }

    fn commit(self: Box<Self>, durability: Durability) -> Result<()> {
        self.txn.commit(durability)?;
        let mut trace = self.trace.lock().unwrap_or_else(PoisonError::into_inner);
        trace.0.push(flat(self.changes));
        Ok(())
    }

    fn as_read(&self) -> &dyn ReadTxn {
        self.txn.as_read()
    }
}

#[cfg(test)]
mod tests {
    use threads_core::datastore::{DatastoreExt as _, Memory};

    use super::*;

    #[test]
    fn pages_end_where_blocks_were_filed() {
        let (store, noted) = Traced::new(Memory::new());
        let blocks = [&2_u32.to_be_bytes()[..], &1_u32.to_be_bytes(), b"rrebbb"].concat();
        for (space, value) in [
            (Keyspace::Meta, &b"note"[..]),
            (Keyspace::Blocks, &blocks),
            (Keyspace::Meta, b"after"),
        ] {
            let put = |txn: &mut dyn WriteTxn| txn.put(space, b"k", value);
            store.transact(Durability::Group, put).unwrap();
        }
        let trace = take(&noted);
        let pages = trace.pages();
        assert_eq!((pages.len(), pages[0].len()), (1, 1));
        let Lengths {
            record,
            event,
            body,
        } = pages[0][0];
        assert_eq!((record, event, body), (2, 1, 3));
        let gathered = trace.by_page();
        assert_eq!((gathered.0.len(), gathered.0[0].len()), (1, 2));
    }

    #[test]
    fn a_trace_is_what_was_committed_and_gathers_to_the_net_changes() {
        let (store, noted) = Traced::new(Memory::new());
        for value in [b"1", b"2", b"3"] {
            let put = |txn: &mut dyn WriteTxn| {
                txn.put(Keyspace::Meta, b"k", b"first")?;
                txn.put(Keyspace::Meta, b"k", value)?;
                txn.delete(Keyspace::Views, value)
            };
            store.transact(Durability::Group, put).unwrap();
        }
        drop(store.write().unwrap());
        let trace = take(&noted);
        let shape = |trace: &Trace| trace.0.iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(shape(&trace), [2, 2, 2]);
        assert_eq!(trace.0[1][0].value.as_deref(), Some(&b"2"[..]));
        assert_eq!(shape(&trace.gathered(2)), [2, 3]);
        let told = "puts of each transaction: all 1.0 rows, 2 B; meta 1.0 rows, 2 B";
        assert_eq!(trace.describe(), told);
        assert_eq!(trace.gathered(1).0[0][0].value.as_deref(), Some(&b"3"[..]));
        assert_eq!(shape(&trace.gathered(9)), shape(&trace));
    }
}
