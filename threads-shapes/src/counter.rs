//! Counters that count everybody, also those who are apart.
//!
//! A counter has an entity for each writer, with how much that writer added and took away; its value is
//! the sum of all. Nobody writes another one's entity, so whatever is added anywhere counts, once,
//! whenever it arrives. There are no floats, and no sum overflows.
//!
//! ```
#![doc = include_str!("../doc/example.txt")]
//! use threads_shapes::Counters;
//!
//! let counters = Counters::open(&db, "votes").unwrap();
//! counters.add("yes", 3).unwrap();
//! counters.add("yes", -1).unwrap();
//! assert_eq!(counters.value("yes").unwrap(), 2);
//! assert_eq!(counters.value("no").unwrap(), 0);
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use threads_core::{Error, LogId, Result};
use threads_db::query::{Query, field};
use threads_db::{Collection, Db, WriteTransaction};

use crate::{define, key};

/// The longest name of a counter, as [`key::to_id`] counts: the writer's part needs the rest of an id.
///
/// ```
/// assert_eq!(threads_shapes::counter::NAME_BYTES_MAX, 200);
/// ```
pub const NAME_BYTES_MAX: usize = 200;

/// Between a name and a writer. It comes before whatever a name may go on with.
const THEN: char = ' ';

/// What one writer counted.
#[derive(Debug, Serialize, Deserialize)]
struct Part {
    #[serde(rename = "_id")]
    id: String,
    #[serde(default)]
    up: u64,
    #[serde(default)]
    down: u64,
}

impl Part {
    fn value(&self) -> i128 {
        i128::from(self.up) - i128::from(self.down)
    }
}

/// Counters in a collection. See the [module](self) for an example.
#[derive(Clone, Debug)]
pub struct Counters {
    parts: Collection<Part>,
}

impl Counters {
    /// The counters in the collection of this name, which is defined if it is not there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`](threads_core::ErrorKind::Unsupported) when the codec `lww/1` is not
    /// registered, and where the collection would have to be defined in a store that is only read;
    /// [`ErrorKind::Conflict`](threads_core::ErrorKind::Conflict) for a collection of another codec.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// let counters = threads_shapes::Counters::open(&db, "votes").unwrap();
    /// ```
    pub fn open(db: &Db, name: &str) -> Result<Self> {
        let parts = define::collection(db, name, define::LWW)?;
        Ok(Self { parts })
    }

    /// Adds to a counter, or takes away.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) for a name that is empty or longer than
    /// [`NAME_BYTES_MAX`], and when this writer has added, or taken away, more than 2⁶⁴-1 in all.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// let counters = threads_shapes::Counters::open(&db, "stock").unwrap();
    /// counters.add("apples", -7).unwrap();
    /// assert_eq!(counters.value("apples").unwrap(), -7);
    /// ```
    pub fn add(&self, counter: &str, by: i64) -> Result<()> {
        self.parts.db().write(|txn| self.add_in(txn, counter, by))
    }

    /// Adds in a transaction that changes other things too.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// let counters = threads_shapes::Counters::open(&db, "votes").unwrap();
    /// db.write(|txn| {
    ///     counters.add_in(txn, "yes", 1)?;
    ///     counters.add_in(txn, "all", 1)
    /// })
    /// .unwrap();
    /// ```
    pub fn add_in(&self, txn: &mut WriteTransaction<'_>, counter: &str, by: i64) -> Result<()> {
        let name = name(counter)?;
        let id = format!("{name}{THEN}{}", txn.log()?);
        let (up, down) = (0, 0);
        let stored = txn.get(&self.parts, &id)?;
        let mut part = stored.unwrap_or(Part { id, up, down });
        let total = if by < 0 { &mut part.down } else { &mut part.up };
        *total = total.checked_add(by.unsigned_abs()).ok_or_else(|| {
            Error::invalid("this writer cannot count further: use another counter")
                .with("counter", counter)
        })?;
        if by != 0 {
            txn.save(&self.parts, &part)?;
        }
        Ok(())
    }

    /// The value of a counter: 0 if nobody has counted.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) for a name that none can have.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// assert_eq!(threads_shapes::Counters::open(&db, "votes").unwrap().value("yes").unwrap(), 0);
    /// ```
    pub fn value(&self, counter: &str) -> Result<i128> {
        let parts = format!("{}{THEN}", name(counter)?);
        let query = Query::new().filter(field("_id").starts_with(parts));
        let mut value = 0;
        self.each(&query, |_, part| value += part.value())?;
        Ok(value)
    }

    /// Every counter, with its value.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// let counters = threads_shapes::Counters::open(&db, "votes").unwrap();
    /// counters.add("yes", 1).unwrap();
    /// assert_eq!(counters.all().unwrap()["yes"], 1);
    /// ```
    pub fn all(&self) -> Result<BTreeMap<String, i128>> {
        let mut all = BTreeMap::new();
        self.each(&Query::new(), |name, part| {
            *all.entry(name).or_default() += part.value()
        })?;
        Ok(all)
    }

    /// What is no part of a counter was put there by somebody else, and counts nothing: nobody who may
    /// write can keep others from reading the rest.
    fn each(&self, query: &Query, mut work: impl FnMut(String, &Part)) -> Result<()> {
        self.parts.for_each(query, &mut |row: Value| {
            let part = serde_json::from_value::<Part>(row).ok();
            let named = part.and_then(|part| Some((name_of(&part.id)?, part)));
            if let Some((name, part)) = named {
                work(name, &part);
            }
            Ok(true)
        })
    }
}

/// The counter of an id, if it is one of a part.
fn name_of(id: &str) -> Option<String> {
    let (name, writer) = id.split_once(THEN)?;
    writer.parse::<LogId>().ok()?;
    String::from_utf8(key::of_id(name)?).ok()
}

/// A counter's part of an id.
fn name(counter: &str) -> Result<String> {
    let name = key::to_id(counter.as_bytes())?;
    if name.len() > NAME_BYTES_MAX {
        let error = Error::invalid("the name of a counter is too long");
        return Err(error.with("bytes", name.len()).with("most", NAME_BYTES_MAX));
    }
    Ok(name)
}
