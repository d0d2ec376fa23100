//! Views: the part of the datastore that one reducer may touch.

use std::borrow::Cow;
use std::fmt;
use std::ops::Bound;

use super::strip;
use crate::datastore::{Direction, KEY_BYTES_MAX, Keyspace, ReadTxn, Scan, WriteTxn, prefix_range};
use crate::{Error, Result};

/// The longest key in a view, in bytes: a collection's name and an entity's id fit.
pub const VIEW_KEY_BYTES_MAX: usize = 320;

/// The longest prefix that leaves room for the keys.
const PREFIX_BYTES_MAX: usize = KEY_BYTES_MAX - VIEW_KEY_BYTES_MAX;

/// How many rows [`View::clear`] takes at a time.
const CLEAR_ROWS: usize = 1024;

fn check_prefix(prefix: &[u8]) -> Result<()> {
    // An empty prefix would be everybody's view.
    if prefix.is_empty() || prefix.len() > PREFIX_BYTES_MAX {
        return Err(
            Error::invalid("the prefix of a view has 1 to 191 bytes").with("bytes", prefix.len())
        );
    }
    Ok(())
}

fn full_key(prefix: &[u8], key: &[u8]) -> Result<Vec<u8>> {
    if key.len() > VIEW_KEY_BYTES_MAX {
        return Err(
            Error::invalid("a key in a view has at most 320 bytes").with("bytes", key.len())
        );
    }
    Ok([prefix, key].concat())
}

/// The rows within bounds, which are keys of the view.
fn range<'a>(
    txn: &'a dyn ReadTxn,
    prefix: &[u8],
    (start, end): (Bound<&[u8]>, Bound<&[u8]>),
    direction: Direction,
) -> Result<Scan<'a>> {
    let full = |bound: Bound<&[u8]>| -> Result<Bound<Vec<u8>>> {
        Ok(match bound {
            Bound::Included(key) => Bound::Included(full_key(prefix, key)?),
            Bound::Excluded(key) => Bound::Excluded(full_key(prefix, key)?),
            Bound::Unbounded => Bound::Unbounded,
        })
    };
    let (all_start, all_end) = prefix_range(prefix);
    let start = match full(start)? {
        Bound::Unbounded => Bound::Included(all_start),
        start => start,
    };
    let end = match full(end)? {
        Bound::Unbounded => all_end.map_or(Bound::Unbounded, Bound::Excluded),
        end => end,
    };
    let bounds = (
        start.as_ref().map(|key| &**key),
        end.as_ref().map(|key| &**key),
    );
    let rows = txn.scan(Keyspace::Views, bounds, direction)?;
    let strip_bytes = prefix.len();
    Ok(Box::new(rows.map(move |row| {
        row.map(|(key, value)| (strip(key, strip_bytes), value))
    })))
}

/// A reducer's view, to read and write within the dispatcher's transaction.
///
/// Keys are the reducer's own; those of other reducers and threads cannot be named.
///
/// ```
/// use threads_core::datastore::{DatastoreExt, Direction, Durability, Memory};
/// use threads_core::reducer::View;
///
/// let store = Memory::new();
/// store.transact(Durability::Group, |txn| {
///     let mut view = View::new(txn, b"mine")?;
///     view.put(b"a1", b"x")?;
///     view.put(b"b1", b"y")?;
///     let rows: Vec<_> = view.scan(b"a", Direction::Forward)?.collect::<Result<_, _>>()?;
///     assert_eq!(rows.len(), 1);
///     assert_eq!(&*rows[0].0, b"a1");
///     Ok(())
/// }).unwrap();
/// ```
pub struct View<'a> {
    txn: &'a mut dyn WriteTxn,
    prefix: &'a [u8],
}

impl<'a> View<'a> {
    /// The view that is kept under `prefix`, as made by [`view_prefix`](super::view_prefix).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when the prefix is empty or too long.
    ///
    /// ```
    /// use threads_core::datastore::{Datastore, Memory};
    /// use threads_core::reducer::View;
    /// let store = Memory::new();
    /// assert!(View::new(&mut *store.write().unwrap(), b"").is_err());
    /// ```
    pub fn new(txn: &'a mut dyn WriteTxn, prefix: &'a [u8]) -> Result<Self> {
        check_prefix(prefix)?;
        Ok(Self { txn, prefix })
    }

    /// The value of `key`, if there is one. Any key but one that is too long is allowed, also
    /// the empty one.
    ///
    /// ```
    /// # use threads_core::{datastore::{Datastore, Memory}, reducer::View};
    /// # let store = Memory::new();
    /// # let mut txn = store.write().unwrap();
    /// let view = View::new(&mut *txn, b"mine").unwrap();
    /// assert!(view.get(b"a").unwrap().is_none());
    /// ```
    pub fn get(&self, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        self.txn.get(Keyspace::Views, &full_key(self.prefix, key)?)
    }

    /// Sets the value of `key`.
    ///
    /// ```
    /// # use threads_core::{datastore::{Datastore, Memory}, reducer::View};
    /// # let store = Memory::new();
    /// # let mut txn = store.write().unwrap();
    /// let mut view = View::new(&mut *txn, b"mine").unwrap();
    /// view.put(b"a", b"1").unwrap();
    /// assert_eq!(view.get(b"a").unwrap().as_deref(), Some(&b"1"[..]));
    /// ```
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.txn
            .put(Keyspace::Views, &full_key(self.prefix, key)?, value)
    }

    /// Removes `key`, if it is there.
    ///
    /// ```
    /// # use threads_core::{datastore::{Datastore, Memory}, reducer::View};
    /// # let store = Memory::new();
    /// # let mut txn = store.write().unwrap();
    /// let mut view = View::new(&mut *txn, b"mine").unwrap();
    /// view.delete(b"a").unwrap();
    /// ```
    pub fn delete(&mut self, key: &[u8]) -> Result<()> {
        self.txn
            .delete(Keyspace::Views, &full_key(self.prefix, key)?)
    }

    /// The rows whose keys begin with `keys`, all of them when it is empty.
    ///
    /// ```
    /// # use threads_core::{datastore::{Datastore, Direction, Memory}, reducer::View};
    /// # let store = Memory::new();
    /// # let mut txn = store.write().unwrap();
    /// let view = View::new(&mut *txn, b"mine").unwrap();
    /// assert_eq!(view.scan(b"", Direction::Forward).unwrap().count(), 0);
    /// ```
    pub fn scan(&self, keys: &[u8], direction: Direction) -> Result<Scan<'_>> {
        let (start, end) = prefix_range(keys);
        let end = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        self.range((Bound::Included(&start), end), direction)
    }

    /// The rows whose keys are within bounds.
    ///
    /// ```
    /// # use std::ops::Bound;
    /// # use threads_core::{datastore::{Datastore, Direction, Memory}, reducer::ReadView};
    /// # let store = Memory::new();
    /// # let snapshot = store.read().unwrap();
    /// let view = ReadView::new(&*snapshot, b"mine").unwrap();
    /// let from_b = (Bound::Included(&b"b"[..]), Bound::Unbounded);
    /// assert_eq!(view.range(from_b, Direction::Forward).unwrap().count(), 0);
    /// ```
    pub fn range(
        &self,
        bounds: (Bound<&[u8]>, Bound<&[u8]>),
        direction: Direction,
    ) -> Result<Scan<'_>> {
        range(self.txn.as_read(), self.prefix, bounds, direction)
    }

    /// Removes every row: before a replay.
    ///
    /// ```
    /// # use threads_core::{datastore::{Datastore, Direction, Memory}, reducer::View};
    /// # let store = Memory::new();
    /// # let mut txn = store.write().unwrap();
    /// let mut view = View::new(&mut *txn, b"mine").unwrap();
    /// view.put(b"a", b"1").unwrap();
    /// view.clear().unwrap();
    /// assert_eq!(view.scan(b"", Direction::Forward).unwrap().count(), 0);
    /// ```
    pub fn clear(&mut self) -> Result<()> {
        loop {
            let keys = self
                .scan(b"", Direction::Forward)?
                .take(CLEAR_ROWS)
                .map(|row| row.map(|(key, _)| key.into_owned()))
                .collect::<Result<Vec<_>>>()?;
            // Ends: every turn removes at least one of finitely many rows.
            if keys.is_empty() {
                return Ok(());
            }
            for key in keys {
                self.delete(&key)?;
            }
        }
    }
}

impl fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").finish_non_exhaustive()
    }
}

/// A reducer's view, to read from a snapshot.
///
/// ```
/// use threads_core::datastore::{Datastore, Memory};
/// use threads_core::reducer::ReadView;
///
/// let store = Memory::new();
/// let snapshot = store.read().unwrap();
/// let view = ReadView::new(&*snapshot, b"mine").unwrap();
/// assert!(view.get(b"a").unwrap().is_none());
/// ```
#[derive(Clone, Copy)]
pub struct ReadView<'a> {
    txn: &'a dyn ReadTxn,
    prefix: &'a [u8],
}

impl<'a> ReadView<'a> {
    /// The view that is kept under `prefix`, as made by [`view_prefix`](super::view_prefix).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when the prefix is empty or too long.
    ///
    /// ```
    /// use threads_core::datastore::{Datastore, Memory};
    /// use threads_core::reducer::ReadView;
    /// let store = Memory::new();
    /// assert!(ReadView::new(&*store.read().unwrap(), b"").is_err());
    /// ```
    pub fn new(txn: &'a dyn ReadTxn, prefix: &'a [u8]) -> Result<Self> {
        check_prefix(prefix)?;
        Ok(Self { txn, prefix })
    }

    /// The value of `key`, if there is one.
    ///
    /// ```
    /// # use threads_core::{datastore::{Datastore, Memory}, reducer::ReadView};
    /// # let store = Memory::new();
    /// # let snapshot = store.read().unwrap();
    /// let view = ReadView::new(&*snapshot, b"mine").unwrap();
    /// assert!(view.get(b"a").unwrap().is_none());
    /// ```
    pub fn get(&self, key: &[u8]) -> Result<Option<Cow<'a, [u8]>>> {
        self.txn.get(Keyspace::Views, &full_key(self.prefix, key)?)
    }

    /// The rows whose keys begin with `keys`, all of them when it is empty.
    ///
    /// ```
    /// # use threads_core::{datastore::{Datastore, Direction, Memory}, reducer::ReadView};
    /// # let store = Memory::new();
    /// # let snapshot = store.read().unwrap();
    /// let view = ReadView::new(&*snapshot, b"mine").unwrap();
    /// assert_eq!(view.scan(b"", Direction::Reverse).unwrap().count(), 0);
    /// ```
    pub fn scan(&self, keys: &[u8], direction: Direction) -> Result<Scan<'a>> {
        let (start, end) = prefix_range(keys);
        let end = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        self.range((Bound::Included(&start), end), direction)
    }

    /// The rows whose keys are within bounds.
    ///
    /// ```
    /// # use std::ops::Bound;
    /// # use threads_core::{datastore::{Datastore, Direction, Memory}, reducer::ReadView};
    /// # let store = Memory::new();
    /// # let snapshot = store.read().unwrap();
    /// let view = ReadView::new(&*snapshot, b"mine").unwrap();
    /// let from_b = (Bound::Included(&b"b"[..]), Bound::Unbounded);
    /// assert_eq!(view.range(from_b, Direction::Forward).unwrap().count(), 0);
    /// ```
    pub fn range(
        &self,
        bounds: (Bound<&[u8]>, Bound<&[u8]>),
        direction: Direction,
    ) -> Result<Scan<'a>> {
        range(self.txn, self.prefix, bounds, direction)
    }
}

impl fmt::Debug for ReadView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadView").finish_non_exhaustive()
    }
}
