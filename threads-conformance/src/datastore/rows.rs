//! Rows as laws compare and show them.

use std::fmt;
use std::ops::Bound::Unbounded;

use threads_core::Result;
use threads_core::datastore::{
    Datastore, DatastoreExt, Direction, Durability, KeyRange, Keyspace, ReadTxn,
};

/// Where laws that need one keyspace work.
pub(super) const SPACE: Keyspace = Keyspace::Views;
/// Every kind of commit.
pub(super) const ALL_KINDS: [Durability; 3] = [
    Durability::Immediate,
    Durability::Group,
    Durability::Relaxed,
];
/// Every key.
pub(super) const ALL: KeyRange<'static> = (Unbounded, Unbounded);
/// How many bytes of a key or value are shown.
const SHOWN_BYTES: usize = 24;

/// Bytes as a person reads them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.len().min(SHOWN_BYTES);
        write!(f, "\"{}\"", self.0[..shown].escape_ascii())?;
        match self.0.len() > shown {
            true => write!(f, "… ({} bytes)", self.0.len()),
            false => Ok(()),
        }
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

/// Keys and values, in the order in which they came.
pub(super) type Rows = Vec<(Bytes, Bytes)>;

pub(super) fn rows<'a, K: AsRef<[u8]> + 'a, V: AsRef<[u8]> + 'a>(
    rows: impl IntoIterator<Item = &'a (K, V)>,
) -> Rows {
    rows.into_iter()
        .map(|(key, value)| (key.as_ref().into(), value.as_ref().into()))
        .collect()
}

pub(super) fn scan(
    txn: &(impl ReadTxn + ?Sized),
    space: Keyspace,
    range: KeyRange<'_>,
    direction: Direction,
) -> Result<Rows> {
    txn.scan(space, range, direction)?
        .map(|row| row.map(|(key, value)| (Bytes(key.into_owned()), Bytes(value.into_owned()))))
        .collect()
}

/// Every row of [`SPACE`].
pub(super) fn all(txn: &(impl ReadTxn + ?Sized)) -> Result<Rows> {
    scan(txn, SPACE, ALL, Direction::Forward)
}

pub(super) fn get(txn: &(impl ReadTxn + ?Sized), key: &[u8]) -> Result<Option<Bytes>> {
    get_in(txn, SPACE, key)
}

pub(super) fn get_in(
    txn: &(impl ReadTxn + ?Sized),
    space: Keyspace,
    key: &[u8],
) -> Result<Option<Bytes>> {
    Ok(txn.get(space, key)?.map(|value| Bytes(value.into_owned())))
}

/// What a read transaction that begins now gets.
pub(super) fn get_now(store: &dyn Datastore, key: &[u8]) -> Result<Option<Bytes>> {
    get(&*store.read()?, key)
}

pub(super) fn put(
    store: &dyn Datastore,
    rows: &[(&[u8], &[u8])],
    durability: Durability,
) -> Result<()> {
    store.transact(durability, |txn| {
        rows.iter()
            .try_for_each(|(key, value)| txn.put(SPACE, key, value))
    })
}
