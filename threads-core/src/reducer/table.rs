//! Tables: typed rows in a view, in the order of their keys, with indexes that keep themselves.

use std::fmt;
use std::ops::{Bound, Range};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{ReadView, View};
use crate::datastore::{Direction, Scan};
use crate::{Error, Result, block};

/// The longest name of a table or an index, in bytes.
pub const TABLE_NAME_BYTES_MAX: usize = 32;

/// The most entries of one row in one index.
pub const TABLE_ENTRIES_MAX: usize = 256;

const NUMBER: u8 = 0x30;
const TEXT: u8 = 0x40;
/// After the name of a table: its rows, or the name of an index and its entries.
const ROWS: u8 = 0x00;
const INDEX: u8 = 0x01;
/// Above every tag.
const END: u8 = 0xff;

/// A key of a [`Table`], part by part. Keys order part by part: numbers by value, before texts, by their
/// bytes; a key orders before those that go on after it.
///
/// ```
/// use threads_core::reducer::ViewKey;
/// let key = |channel: &str, sent: i64| ViewKey::new().text(channel).number(sent);
/// assert!(key("a", -1) < key("a", 2));
/// assert!(key("a", 9) < key("ab", 0));
/// let all = ViewKey::new().text("a").all();
/// assert!(all.contains(&key("a", 9)) && !all.contains(&key("ab", 0)));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ViewKey(Vec<u8>);

impl ViewKey {
    /// A key without parts, which is before every other one.
    ///
    /// ```
    /// # use threads_core::reducer::ViewKey;
    /// assert!(ViewKey::new() < ViewKey::new().text(""));
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Then a text.
    ///
    /// ```
    /// # use threads_core::reducer::ViewKey;
    /// assert!(ViewKey::new().text("a") < ViewKey::new().text("a\0"));
    /// ```
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self.0.push(TEXT);
        for &byte in text.as_bytes() {
            // What ends a text is before whatever goes on.
            let escaped: &[u8] = if byte == 0 { &[0x00, 0xff] } else { &[byte] };
            self.0.extend_from_slice(escaped);
        }
        self.0.extend_from_slice(&[0x00, 0x00]);
        self
    }

    /// Then a number.
    ///
    /// ```
    /// # use threads_core::reducer::ViewKey;
    /// assert!(ViewKey::new().number(i64::MIN) < ViewKey::new().number(-1));
    /// ```
    #[must_use]
    pub fn number(mut self, number: i64) -> Self {
        self.0.push(NUMBER);
        // With its sign turned over, a number orders as its bytes do.
        let sortable = (number as u64) ^ (1 << 63);
        self.0.extend_from_slice(&sortable.to_be_bytes());
        self
    }

    /// The keys that begin with this one, itself included.
    ///
    /// ```
    /// # use threads_core::reducer::ViewKey;
    /// assert!(ViewKey::new().all().contains(&ViewKey::new().number(7)));
    /// ```
    pub fn all(&self) -> Range<Self> {
        let mut end = self.clone();
        end.0.push(END);
        self.clone()..end
    }
}

/// A view that can be read: within a reducer, or from a snapshot.
///
/// ```
/// use threads_core::Result;
/// use threads_core::reducer::{AnyView, Table};
/// fn bob(view: &impl AnyView, ages: &Table<u8>) -> Result<Option<u8>> {
///     ages.get(view, &threads_core::reducer::ViewKey::new().text("bob"))
/// }
/// ```
pub trait AnyView {
    /// The value of a key.
    fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// The rows within bounds.
    fn rows(&self, bounds: (Bound<&[u8]>, Bound<&[u8]>), direction: Direction) -> Result<Scan<'_>>;
}

impl AnyView for View<'_> {
    fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.get(key)?.map(|value| value.into_owned()))
    }

    fn rows(&self, bounds: (Bound<&[u8]>, Bound<&[u8]>), direction: Direction) -> Result<Scan<'_>> {
        self.range(bounds, direction)
    }
}

impl AnyView for ReadView<'_> {
    fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.get(key)?.map(|value| value.into_owned()))
    }

    fn rows(&self, bounds: (Bound<&[u8]>, Bound<&[u8]>), direction: Direction) -> Result<Scan<'_>> {
        self.range(bounds, direction)
    }
}

/// Rows of one type in a [`View`], in the order of their keys, and found by what its indexes say of them.
///
/// A view has room for several tables, each with a name of its own; keys that a reducer puts there itself
/// must not begin with the name of one. What an index says of a row is worked out when the row is put, so
/// a change of it, of its name or of the type is a change of the reducer: raise its
/// [`version`](super::Reducer::version).
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use threads_core::datastore::{DatastoreExt, Direction, Durability, Memory};
/// use threads_core::reducer::{Table, View, ViewKey};
///
/// #[derive(Debug, PartialEq, Serialize, Deserialize)]
/// struct Person { name: String, age: u8 }
///
/// let people = Table::new("people").index("age", |person: &Person| {
///     vec![ViewKey::new().number(person.age.into())]
/// });
/// let store = Memory::new();
/// store.transact(Durability::Group, |txn| {
///     let mut view = View::new(txn, b"mine")?;
///     for (id, name, age) in [("a", "Ann", 61), ("b", "Bob", 67), ("c", "Cid", 12)] {
///         let person = Person { name: name.into(), age };
///         people.put(&mut view, &ViewKey::new().text(id), &person)?;
///     }
///     let adults = ViewKey::new().number(18)..ViewKey::new().all().end;
///     let oldest = people.range_by(&view, "age", adults, Direction::Reverse)?.next();
///     assert_eq!(oldest.unwrap()?.1.name, "Bob");
///     Ok(())
/// }).unwrap();
/// ```
pub struct Table<R> {
    name: &'static str,
    indexes: Vec<Index<R>>,
}

/// Rows of a [`Table`] as they are read, with their keys.
///
/// ```
/// use threads_core::Result;
/// use threads_core::reducer::TableRows;
/// fn sum(rows: TableRows<'_, u64>) -> Result<u64> { rows.map(|row| Ok(row?.1)).sum() }
/// ```
pub type TableRows<'v, R> = Box<dyn Iterator<Item = Result<(ViewKey, R)>> + 'v>;

struct Index<R> {
    name: &'static str,
    entries: fn(&R) -> Vec<ViewKey>,
}

impl<R> fmt::Debug for Table<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let indexes: Vec<_> = self.indexes.iter().map(|index| index.name).collect();
        f.debug_struct("Table")
            .field("name", &self.name)
            .field("indexes", &indexes)
            .finish()
    }
}

impl<R> Table<R> {
    /// A table without indexes.
    ///
    /// ```
    /// use threads_core::reducer::Table;
    /// let ages = Table::<u8>::new("ages");
    /// ```
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            indexes: Vec::new(),
        }
    }

    /// The same with an index: a row is found by each of the `entries` that it has.
    ///
    /// ```
    /// use threads_core::reducer::{Table, ViewKey};
    /// let ages = Table::<u8>::new("ages").index("age", |age| vec![ViewKey::new().number((*age).into())]);
    /// ```
    #[must_use]
    pub fn index(mut self, name: &'static str, entries: fn(&R) -> Vec<ViewKey>) -> Self {
        self.indexes.push(Index { name, entries });
        self
    }

    /// What the keys of the table begin with.
    fn prefix(&self) -> Result<Vec<u8>> {
        let mut prefix = named(self.name)?;
        prefix.push(ROWS);
        Ok(prefix)
    }

    /// What the entries of an index begin with.
    fn index_prefix(&self, index: &str) -> Result<Vec<u8>> {
        let mut prefix = named(self.name)?;
        prefix.push(INDEX);
        prefix.extend(named(index)?);
        Ok(prefix)
    }

    /// The keys of the entries that a row has.
    fn entries(&self, key: &ViewKey, row: &R) -> Result<Vec<Vec<u8>>> {
        let mut keys = Vec::new();
        for index in &self.indexes {
            let entries = (index.entries)(row);
            if entries.len() > TABLE_ENTRIES_MAX {
                return Err(Error::invalid("a row has too many entries in an index")
                    .with("index", index.name)
                    .with("most", TABLE_ENTRIES_MAX));
            }
            let prefix = self.index_prefix(index.name)?;
            keys.extend(
                entries
                    .iter()
                    .map(|entry| [&prefix, &*entry.0, &key.0].concat()),
            );
        }
        keys.sort_unstable();
        keys.dedup();
        Ok(keys)
    }
}

/// A name with its length, so that none is the beginning of another.
fn named(name: &str) -> Result<Vec<u8>> {
    match u8::try_from(name.len()) {
        Ok(bytes @ 1..) if name.len() <= TABLE_NAME_BYTES_MAX => {
            Ok([&[bytes], name.as_bytes()].concat())
        }
        _ => {
            Err(Error::invalid("the name of a table or index has 1 to 32 bytes").with("name", name))
        }
    }
}

impl<R: Serialize + DeserializeOwned + 'static> Table<R> {
    /// The row of a key.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) when what is there is not of this type: it was put by
    /// another version of the reducer.
    ///
    /// ```
    /// # use threads_core::{datastore::{Datastore, Memory}, reducer::{ReadView, Table, ViewKey}};
    /// # let store = Memory::new();
    /// # let snapshot = store.read().unwrap();
    /// let view = ReadView::new(&*snapshot, b"mine").unwrap();
    /// let ages = Table::<u8>::new("ages");
    /// assert!(ages.get(&view, &ViewKey::new().text("bob")).unwrap().is_none());
    /// ```
    pub fn get(&self, view: &impl AnyView, key: &ViewKey) -> Result<Option<R>> {
        let value = view.value(&[self.prefix()?, key.0.clone()].concat())?;
        value.map(|value| decode(&value)).transpose()
    }

    /// Sets the row of a key, and its entries in the indexes; gives the row that was there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a key or an entry that is too long, or too many
    /// entries.
    ///
    /// ```
    /// # use threads_core::{datastore::{Datastore, Memory}, reducer::{Table, View, ViewKey}};
    /// # let store = Memory::new();
    /// # let mut txn = store.write().unwrap();
    /// let mut view = View::new(&mut *txn, b"mine").unwrap();
    /// let (ages, bob) = (Table::<u8>::new("ages"), ViewKey::new().text("bob"));
    /// assert_eq!(ages.put(&mut view, &bob, &66).unwrap(), None);
    /// assert_eq!(ages.put(&mut view, &bob, &67).unwrap(), Some(66));
    /// ```
    pub fn put(&self, view: &mut View<'_>, key: &ViewKey, row: &R) -> Result<Option<R>> {
        let old = self.get(view, key)?;
        let is = self.entries(key, row)?;
        let was = match &old {
            Some(old) => self.entries(key, old)?,
            None => Vec::new(),
        };
        for entry in was.iter().filter(|entry| is.binary_search(entry).is_err()) {
            view.delete(entry)?;
        }
        for entry in is.iter().filter(|entry| was.binary_search(entry).is_err()) {
            view.put(entry, &key.0)?;
        }
        view.put(
            &[self.prefix()?, key.0.clone()].concat(),
            &block::encode(row)?,
        )?;
        Ok(old)
    }

    /// Removes the row of a key and its entries; gives it, if there was one.
    ///
    /// ```
    /// # use threads_core::{datastore::{Datastore, Memory}, reducer::{Table, View, ViewKey}};
    /// # let store = Memory::new();
    /// # let mut txn = store.write().unwrap();
    /// let mut view = View::new(&mut *txn, b"mine").unwrap();
    /// let (ages, bob) = (Table::<u8>::new("ages"), ViewKey::new().text("bob"));
    /// ages.put(&mut view, &bob, &66).unwrap();
    /// assert_eq!(ages.delete(&mut view, &bob).unwrap(), Some(66));
    /// assert_eq!(ages.delete(&mut view, &bob).unwrap(), None);
    /// ```
    pub fn delete(&self, view: &mut View<'_>, key: &ViewKey) -> Result<Option<R>> {
        let Some(old) = self.get(view, key)? else {
            return Ok(None);
        };
        for entry in self.entries(key, &old)? {
            view.delete(&entry)?;
        }
        view.delete(&[self.prefix()?, key.0.clone()].concat())?;
        Ok(Some(old))
    }

    /// The rows whose keys are in a range, in their order or from its end, with their keys.
    ///
    /// ```
    /// # use threads_core::{datastore::{Datastore, Direction, Memory}, reducer::{ReadView, Table, ViewKey}};
    /// # let store = Memory::new();
    /// # let snapshot = store.read().unwrap();
    /// let view = ReadView::new(&*snapshot, b"mine").unwrap();
    /// let ages = Table::<u8>::new("ages");
    /// let all = ages.range(&view, ViewKey::new().all(), Direction::Forward).unwrap();
    /// assert_eq!(all.count(), 0);
    /// ```
    pub fn range<'v>(
        &self,
        view: &'v impl AnyView,
        keys: Range<ViewKey>,
        direction: Direction,
    ) -> Result<TableRows<'v, R>> {
        let prefix = self.prefix()?;
        let bytes = prefix.len();
        let rows = scan(view, &prefix, &keys, direction)?;
        Ok(Box::new(rows.map(move |row| {
            let (key, value) = row?;
            Ok((ViewKey(key[bytes..].to_vec()), decode(&value)?))
        })))
    }

    /// The rows that have an entry in a range of an index, in the order of the entries and then of their
    /// keys, or from its end; a row that has several comes several times.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is no such index.
    ///
    /// ```
    /// # use threads_core::{datastore::{Datastore, Direction, Memory}, reducer::{ReadView, Table, ViewKey}};
    /// # let store = Memory::new();
    /// # let snapshot = store.read().unwrap();
    /// let view = ReadView::new(&*snapshot, b"mine").unwrap();
    /// let ages = Table::<u8>::new("ages");
    /// assert!(ages.range_by(&view, "age", ViewKey::new().all(), Direction::Forward).is_err());
    /// ```
    pub fn range_by<'v>(
        &'v self,
        view: &'v impl AnyView,
        index: &str,
        entries: Range<ViewKey>,
        direction: Direction,
    ) -> Result<TableRows<'v, R>> {
        if !self.indexes.iter().any(|known| known.name == index) {
            return Err(Error::not_found("the table has no such index")
                .with("table", self.name)
                .with("index", index));
        }
        let prefix = self.index_prefix(index)?;
        let rows = scan(view, &prefix, &entries, direction)?;
        Ok(Box::new(rows.map(move |row| {
            let key = ViewKey(row?.1.into_owned());
            let row = self.get(view, &key)?;
            let row = row.ok_or_else(|| {
                Error::corrupt(
                    "an index of a view names a row that is not there: verify the thread",
                )
            })?;
            Ok((key, row))
        })))
    }
}

fn scan<'v>(
    view: &'v impl AnyView,
    prefix: &[u8],
    keys: &Range<ViewKey>,
    direction: Direction,
) -> Result<Scan<'v>> {
    let start = [prefix, &keys.start.0].concat();
    let end = [prefix, &keys.end.0].concat();
    if start > end {
        return Ok(Box::new(std::iter::empty()));
    }
    view.rows((Bound::Included(&start), Bound::Excluded(&end)), direction)
}

fn decode<R: Serialize + DeserializeOwned>(value: &[u8]) -> Result<R> {
    block::decode(value).map_err(|cause| {
        Error::corrupt(
            "a row of a view is not of its table's type: raise the version of its reducer",
        )
        .caused_by(cause)
    })
}

#[cfg(test)]
mod tests;
