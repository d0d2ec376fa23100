//! Blocks of blobs on disk, who owns them, and which blobs are whole.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;
use threads_core::block::{self, DAG_CBOR};
use threads_core::datastore::{Direction, Keyspace, ReadTxn, WriteTxn};
use threads_core::{Cid, Error, ErrorKind, Result};

use crate::kept;
use crate::layout::blobs::{self as keys, Name};
use crate::layout::{Number, Prefix};
use crate::thread::Thread;

const SPACE: Keyspace = Keyspace::Blobs;

pub(crate) fn damaged() -> Error {
    Error::corrupt("a row about a blob is damaged: get the blob again")
}

/// What names a block here.
pub(crate) fn name(cid: &Cid) -> Name {
    // Every CID that is taken has 32 bytes of digest; another one names nothing here.
    cid.hash().digest().try_into().unwrap_or_default()
}

/// The name at the end of a key, behind a prefix.
pub(crate) fn name_in(key: &[u8], prefix: &[u8]) -> Result<Name> {
    let name = key.get(prefix.len()..).unwrap_or_default();
    name.try_into().map_err(|_| damaged())
}

/// The names at the ends of the keys with a prefix, behind a key or from the first on, at most so many.
fn names(txn: &dyn ReadTxn, prefix: &[u8], after: Option<&[u8]>, most: usize) -> Result<Vec<Name>> {
    let bounds = Prefix::new(prefix);
    let rows = txn.scan(SPACE, bounds.after(after), Direction::Forward)?;
    let read = rows.take(most).map(|row| name_in(&row?.0, prefix));
    read.collect()
}

/// The CID of a manifest, by its name.
pub(crate) fn cid_of(name: &Name) -> Cid {
    block::cid_of_digest(DAG_CBOR, name)
}

/// A blob that is here, or is to come.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Root {
    /// Its place in the list that peers are told; none while it is not whole.
    pub(crate) place: Option<u64>,
    /// When it became whole, or was asked for, by this machine's clock.
    pub(crate) since_ms: u64,
    pub(crate) size: u64,
    /// Whether it stays though nothing names it.
    pub(crate) pinned: bool,
    /// The peers that listed it, the first ones first; none if it was asked for here, or is whole.
    pub(crate) by: Vec<ByteArray<32>>,
    /// Whether its manifest is none: it is not asked for again.
    pub(crate) unsound: bool,
}

impl Root {
    pub(crate) fn get(txn: &dyn ReadTxn, thread: Number, name: &Name) -> Result<Option<Self>> {
        let row = txn.get(SPACE, &keys::root(thread, name))?;
        row.map(|row| Self::decode(&row)).transpose()
    }

    fn decode(row: &[u8]) -> Result<Self> {
        block::decode(row).map_err(|cause| damaged().caused_by(cause))
    }

    /// Whether it is to be got.
    pub(crate) fn is_wanted(&self) -> bool {
        self.place.is_none() && !self.unsound
    }

    /// Whether it is to be got for no other reason than that peers listed it.
    pub(crate) fn is_listed_only(&self) -> bool {
        self.is_wanted() && !self.pinned && !self.by.is_empty()
    }

    pub(crate) fn put(&self, txn: &mut dyn WriteTxn, thread: Number, name: &Name) -> Result<()> {
        let wanted = keys::wanted(thread, name);
        match self.is_wanted() {
            true => txn.put(SPACE, &wanted, &[])?,
            false => txn.delete(SPACE, &wanted)?,
        }
        txn.put(SPACE, &keys::root(thread, name), &block::encode(self)?)
    }

    /// The names of those that are to be got, after a name or from the first on, at most so many.
    pub(crate) fn wanted(
        txn: &dyn ReadTxn,
        thread: Number,
        after: Option<&Name>,
        most: usize,
    ) -> Result<Vec<Name>> {
        let begin = after.map(|name| keys::wanted(thread, name));
        names(txn, &keys::all_wanted(thread), begin.as_deref(), most)
    }

    /// Those after a name, or from the first on.
    pub(crate) fn after(
        txn: &dyn ReadTxn,
        thread: Number,
        after: Option<&Name>,
    ) -> Result<Vec<(Name, Self)>> {
        let prefix = keys::roots(thread);
        let bounds = Prefix::new(&prefix);
        let begin = after.map(|name| keys::root(thread, name));
        let rows = txn.scan(SPACE, bounds.after(begin.as_deref()), Direction::Forward)?;
        let read = rows.take(ROOTS_AT_ONCE).map(|row| {
            let (key, value) = row?;
            Ok((name_in(&key, &prefix)?, Self::decode(&value)?))
        });
        read.collect()
    }

    /// All of them, so many at once as [`Root::after`] gives. Whoever gets an error stops.
    pub(crate) fn pages(
        txn: &dyn ReadTxn,
        thread: Number,
    ) -> impl Iterator<Item = Result<Vec<(Name, Self)>>> {
        let mut after = None;
        // Ends: each page is behind the last blob of the one before.
        std::iter::from_fn(move || {
            let page = Self::after(txn, thread, after.as_ref());
            if let Ok(page) = &page {
                after = Some(page.last()?.0);
            }
            Some(page)
        })
    }

    /// A blob that is whole from now on: it is listed.
    pub(crate) fn become_whole(
        mut self,
        txn: &mut dyn WriteTxn,
        thread: &Thread,
        name: &Name,
    ) -> Result<()> {
        if self.place.is_none() {
            let end = ListEnd::get(txn.as_read(), thread.number)?;
            let end = match end {
                Some(end) => end.next(),
                None => ListEnd::begin(thread),
            };
            end.put(txn, thread.number)?;
            txn.put(SPACE, &keys::listed(thread.number, end.last), name)?;
            self.place = Some(end.last);
        }
        self.put(txn, thread.number, name)
    }

    /// Takes a blob off: its blocks are for [`super::gc`] to clear.
    pub(crate) fn delete(txn: &mut dyn WriteTxn, thread: Number, name: &Name) -> Result<()> {
        let place = Self::get(txn.as_read(), thread, name)?.and_then(|root| root.place);
        if let Some(place) = place {
            unlist(txn, thread, place)?;
        }
        txn.delete(SPACE, &keys::wanted(thread, name))?;
        txn.delete(SPACE, &keys::root(thread, name))
    }
}

/// How many rows about blobs are read at once.
pub(crate) const ROOTS_AT_ONCE: usize = 256;

/// Where the list of whole blobs ends. Its id tells a list from the one of a store that was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ListEnd {
    pub(crate) id: u64,
    pub(crate) last: u64,
}

impl ListEnd {
    fn begin(thread: &Thread) -> Self {
        let id = thread.node.rng().next_u64();
        Self { id, last: 1 }
    }

    fn next(self) -> Self {
        let last = self.last.saturating_add(1);
        Self { last, ..self }
    }

    pub(crate) fn get(txn: &dyn ReadTxn, thread: Number) -> Result<Option<Self>> {
        Self::read(txn, &keys::list_end(thread))
    }

    pub(crate) fn read(txn: &dyn ReadTxn, key: &[u8]) -> Result<Option<Self>> {
        let Some(row) = txn.get(SPACE, key)? else {
            return Ok(None);
        };
        let row: [u8; 16] = (&*row).try_into().map_err(|_| damaged())?;
        let [id, last] = [0, 8].map(|at| {
            let mut half = [0; 8];
            half.copy_from_slice(&row[at..at + 8]);
            u64::from_be_bytes(half)
        });
        Ok(Some(Self { id, last }))
    }

    fn put(self, txn: &mut dyn WriteTxn, thread: Number) -> Result<()> {
        self.write(txn, &keys::list_end(thread))
    }

    pub(crate) fn write(self, txn: &mut dyn WriteTxn, key: &[u8]) -> Result<()> {
        let row = [self.id.to_be_bytes(), self.last.to_be_bytes()].concat();
        txn.put(SPACE, key, &row)
    }
}

/// Blobs that became whole after a position, at most so many, with their positions.
pub(crate) fn listed(
    txn: &dyn ReadTxn,
    thread: Number,
    after: u64,
    most: usize,
) -> Result<Vec<(u64, Name)>> {
    let prefix = keys::list(thread);
    let (bounds, begin) = (Prefix::new(&prefix), keys::listed(thread, after));
    let rows = txn.scan(SPACE, bounds.after(Some(&begin)), Direction::Forward)?;
    let read = rows.take(most).map(|row| {
        let (key, value) = row?;
        let position = key[prefix.len()..].try_into().map_err(|_| damaged())?;
        let name = (&*value).try_into().map_err(|_| damaged())?;
        Ok((u64::from_be_bytes(position), name))
    });
    read.collect()
}

/// Takes a blob off the list that peers are told.
pub(crate) fn unlist(txn: &mut dyn WriteTxn, thread: Number, place: u64) -> Result<()> {
    txn.delete(SPACE, &keys::listed(thread, place))
}

/// The blocks that are here, after one or from the first on, at most so many.
pub(crate) fn here_after(
    txn: &dyn ReadTxn,
    thread: Number,
    after: Option<&Name>,
    most: usize,
) -> Result<Vec<Name>> {
    let begin = after.map(|name| keys::here(thread, name));
    names(txn, &keys::all_here(thread), begin.as_deref(), most)
}

/// How long a block is, if it is here. A row that is damaged tells of none.
pub(crate) fn here(txn: &dyn ReadTxn, thread: Number, name: &Name) -> Result<Option<u64>> {
    let row = unless_damaged(txn.get(SPACE, &keys::here(thread, name)))?;
    Ok(row.and_then(|row| Some(u64::from_be_bytes((&*row).try_into().ok()?))))
}

fn unless_damaged<T>(row: Result<Option<T>>) -> Result<Option<T>> {
    match row {
        Err(error) if error.kind() == ErrorKind::Corrupt => Ok(None),
        row => row,
    }
}

/// How long a block is that is here, for the count of what is kept: where the row that says so is damaged, the
/// block itself tells.
fn counted(txn: &dyn ReadTxn, thread: Number, name: &Name) -> Result<u64> {
    if let Some(length) = here(txn, thread, name)? {
        return Ok(length);
    }
    let block = unless_damaged(read(txn, thread, name))?;
    Ok(block.map_or(0, |bytes| bytes.len() as u64))
}

/// A block, if it is here.
pub(crate) fn read<'a>(
    txn: &'a dyn ReadTxn,
    thread: Number,
    name: &Name,
) -> Result<Option<Cow<'a, [u8]>>> {
    txn.get(SPACE, &keys::block(thread, name))
}

/// Whether there is a row of a block, whatever is in it.
pub(crate) fn is_kept(txn: &dyn ReadTxn, thread: Number, name: &Name) -> Result<bool> {
    for key in [keys::here(thread, name), keys::block(thread, name)] {
        match txn.get(SPACE, &key) {
            Ok(None) => {}
            Ok(Some(_)) => return Ok(true),
            Err(error) if error.kind() == ErrorKind::Corrupt => return Ok(true),
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// A block, if it is here and what its name says.
pub(crate) fn sound<'a>(
    txn: &'a dyn ReadTxn,
    thread: Number,
    name: &Name,
) -> Result<Option<Cow<'a, [u8]>>> {
    let block = unless_damaged(read(txn, thread, name))?;
    Ok(block.filter(|bytes| block::sha256(bytes) == *name))
}

/// Puts a block in, unless it is here; says whether it was not. One that is damaged is written anew.
pub(crate) fn keep(
    txn: &mut dyn WriteTxn,
    thread: &Thread,
    name: &Name,
    bytes: &[u8],
) -> Result<bool> {
    let before = here(txn.as_read(), thread.number, name)?;
    let length = bytes.len() as u64;
    if before == Some(length)
        && unless_damaged(read(txn.as_read(), thread.number, name))?.as_deref() == Some(bytes)
    {
        return Ok(false);
    }
    let replaced = counted(txn.as_read(), thread.number, name)?;
    txn.put(SPACE, &keys::block(thread.number, name), bytes)?;
    txn.put(
        SPACE,
        &keys::here(thread.number, name),
        &length.to_be_bytes(),
    )?;
    kept::subtract(txn, thread, replaced)?;
    kept::add(txn, thread, length)?;
    Ok(true)
}

/// Takes a block away, also one that is damaged; says how long it was.
pub(crate) fn discard(txn: &mut dyn WriteTxn, thread: &Thread, name: &Name) -> Result<u64> {
    let length = counted(txn.as_read(), thread.number, name)?;
    txn.delete(SPACE, &keys::block(thread.number, name))?;
    txn.delete(SPACE, &keys::here(thread.number, name))?;
    kept::subtract(txn, thread, length)?;
    Ok(length)
}

/// Notes that a block belongs to a manifest, or to what is being put in.
pub(crate) fn own(txn: &mut dyn WriteTxn, thread: Number, name: &Name, owner: &Name) -> Result<()> {
    txn.put(SPACE, &keys::owner(thread, name, owner), &[])
}

pub(crate) fn disown(
    txn: &mut dyn WriteTxn,
    thread: Number,
    name: &Name,
    owner: &Name,
) -> Result<()> {
    txn.delete(SPACE, &keys::owner(thread, name, owner))
}

/// To whom a block belongs, at most so many of them.
pub(crate) fn owners(
    txn: &dyn ReadTxn,
    thread: Number,
    name: &Name,
    most: usize,
) -> Result<Vec<Name>> {
    names(txn, &keys::owners(thread, name), None, most)
}

/// Whether any of those to whom a block belongs is one that is looked for.
pub(crate) fn any_owner(
    txn: &dyn ReadTxn,
    thread: Number,
    name: &Name,
    is_so: impl Fn(&Name) -> Result<bool>,
) -> Result<bool> {
    let prefix = keys::owners(thread, name);
    let bounds = Prefix::new(&prefix);
    // Ends: a block has no more owners than there are manifests here.
    for row in txn.scan(SPACE, bounds.range(), Direction::Forward)? {
        let owner = name_in(&row?.0, &prefix)?;
        if is_so(&owner)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a block belongs to anything, or is a blob itself.
pub(crate) fn is_owned(txn: &dyn ReadTxn, thread: Number, name: &Name) -> Result<bool> {
    Ok(Root::get(txn, thread, name)?.is_some() || !owners(txn, thread, name, 1)?.is_empty())
}

/// When something was last done for what is being put in; none when it has ended.
pub(crate) fn upload_seen(txn: &dyn ReadTxn, thread: Number, name: &Name) -> Result<Option<u64>> {
    let row = txn.get(SPACE, &keys::upload(thread, name))?;
    let seen = row.map(|row| (&*row).try_into().map_err(|_| damaged()));
    Ok(seen.transpose()?.map(u64::from_be_bytes))
}

pub(crate) fn see_upload(
    txn: &mut dyn WriteTxn,
    thread: Number,
    name: &Name,
    now_ms: u64,
) -> Result<()> {
    txn.put(SPACE, &keys::upload(thread, name), &now_ms.to_be_bytes())
}

pub(crate) fn end_upload(txn: &mut dyn WriteTxn, thread: Number, name: &Name) -> Result<()> {
    txn.delete(SPACE, &keys::upload(thread, name))
}

/// Whether this node gets every blob of a thread that peers list.
pub(crate) fn keeps_all(txn: &dyn ReadTxn, thread: &Thread) -> Result<bool> {
    Ok(thread.is_blind() || txn.get(SPACE, &keys::keeps_all(thread.number))?.is_some())
}

pub(crate) fn keep_all(txn: &mut dyn WriteTxn, thread: Number, all: bool) -> Result<()> {
    match all {
        true => txn.put(SPACE, &keys::keeps_all(thread), &[]),
        false => txn.delete(SPACE, &keys::keeps_all(thread)),
    }
}
