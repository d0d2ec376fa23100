//! What running a query may cost.
//!
//! The text and the shape of a query have limits of their own; these are for what it does.

use std::fmt;

use threads_core::{Clock, Error, Result};

/// The rows of a page when the query does not say how many.
pub const PAGE_ROWS: u64 = 1_000;

/// What running a query may cost. Beyond a cap it fails with an error of kind
/// [`Invalid`](threads_core::ErrorKind::Invalid), whose source is a [`TooExpensive`].
///
/// The default bounds memory and nothing else: counting or walking over a million entities of one's
/// own is no mistake. For queries of strangers there is [`QueryCaps::strict`].
///
/// ```
/// use threads_db::query::QueryCaps;
/// let caps = QueryCaps::default();
/// assert_eq!((caps.rows, caps.examined), (10_000, None));
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryCaps {
    /// The most rows in memory at once: skipped ones, the page itself, what is sorted.
    pub rows: u64,
    /// The most bytes of their text and of what they are sorted by; and of the ids that indexes find:
    /// where those do not fit, all entities are looked at instead.
    pub bytes: u64,
    /// The most entities that are looked at; `None` is all.
    pub examined: Option<u64>,
    /// The most time, in milliseconds by the node's clock; `None` is any.
    pub time_ms: Option<u64>,
}

impl Default for QueryCaps {
    fn default() -> Self {
        Self {
            rows: 10_000,
            bytes: 16 * 1024 * 1024,
            examined: None,
            time_ms: None,
        }
    }
}

impl QueryCaps {
    /// For queries of strangers: 10,000 rows, 16 MiB, 100,000 entities looked at, 5 seconds.
    ///
    /// ```
    /// # use threads_db::query::QueryCaps;
    /// assert_eq!(QueryCaps::strict().time_ms, Some(5_000));
    /// ```
    #[must_use]
    pub fn strict() -> Self {
        Self {
            examined: Some(100_000),
            time_ms: Some(5_000),
            ..Self::default()
        }
    }

    /// No caps: a query may take all the memory there is.
    ///
    /// ```
    /// # use threads_db::query::QueryCaps;
    /// assert_eq!(QueryCaps::unbounded().rows, u64::MAX);
    /// ```
    #[must_use]
    pub fn unbounded() -> Self {
        Self {
            rows: u64::MAX,
            bytes: u64::MAX,
            examined: None,
            time_ms: None,
        }
    }

    /// The same with another number of rows.
    ///
    /// ```
    /// # use threads_db::query::QueryCaps;
    /// assert_eq!(QueryCaps::default().with_rows(50).rows, 50);
    /// ```
    #[must_use]
    pub fn with_rows(mut self, rows: u64) -> Self {
        self.rows = rows;
        self
    }

    /// The same with another number of bytes.
    ///
    /// ```
    /// # use threads_db::query::QueryCaps;
    /// assert_eq!(QueryCaps::default().with_bytes(1 << 20).bytes, 1 << 20);
    /// ```
    #[must_use]
    pub fn with_bytes(mut self, bytes: u64) -> Self {
        self.bytes = bytes;
        self
    }

    /// The same with another number of entities to look at; `None` is all.
    ///
    /// ```
    /// # use threads_db::query::QueryCaps;
    /// assert_eq!(QueryCaps::default().with_examined(Some(5)).examined, Some(5));
    /// ```
    #[must_use]
    pub fn with_examined(mut self, entities: Option<u64>) -> Self {
        self.examined = entities;
        self
    }

    /// The same with another time, in milliseconds; `None` is any.
    ///
    /// ```
    /// # use threads_db::query::QueryCaps;
    /// assert_eq!(QueryCaps::default().with_time_ms(Some(50)).time_ms, Some(50));
    /// ```
    #[must_use]
    pub fn with_time_ms(mut self, ms: Option<u64>) -> Self {
        self.time_ms = ms;
        self
    }

    /// Refuses what is not to be in memory.
    pub(crate) fn check_memory(&self, rows: usize, bytes: u64) -> Result<()> {
        if rows as u64 > self.rows {
            return Err(TooExpensive::Rows.error(self.rows));
        }
        if bytes > self.bytes {
            return Err(TooExpensive::Bytes.error(self.bytes));
        }
        Ok(())
    }
}

/// Which cap a query met. It is the [`source`](std::error::Error::source) of the error.
///
/// ```
/// # use threads_core::Error;
/// use threads_db::query::TooExpensive;
/// assert_eq!(TooExpensive::of(&Error::invalid("something else")), None);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TooExpensive {
    /// Too many rows in memory.
    Rows,
    /// Too many bytes in memory.
    Bytes,
    /// Too many entities looked at.
    Examined,
    /// Too much time.
    Time,
}

impl TooExpensive {
    /// The cap that an error is about, if it is about one.
    ///
    /// ```
    /// # use threads_core::Error;
    /// # use threads_db::query::TooExpensive;
    /// let error = Error::invalid("too much").caused_by(TooExpensive::Time);
    /// assert_eq!(TooExpensive::of(&error), Some(TooExpensive::Time));
    /// ```
    pub fn of(error: &Error) -> Option<Self> {
        let source = std::error::Error::source(error)?;
        source.downcast_ref::<Self>().copied()
    }

    fn error(self, most: u64) -> Error {
        let message = match self {
            Self::Rows | Self::Bytes => {
                "the query is too expensive: set a smaller limit and go on by cursor, use for_each without a sort, or raise its caps"
            }
            Self::Examined | Self::Time => {
                "the query is too expensive: add an index for its conditions (explain shows the plan), ask for less, or raise its caps"
            }
        };
        Error::invalid(message).with("most", most).caused_by(self)
    }
}

impl fmt::Display for TooExpensive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rows => "too many rows in memory",
            Self::Bytes => "too many bytes in memory",
            Self::Examined => "too many entities to look at",
            Self::Time => "it takes too long",
        })
    }
}

impl std::error::Error for TooExpensive {}

/// Watches over one run of a query.
#[derive(Clone)]
pub(crate) struct Guard<'a> {
    caps: QueryCaps,
    clock: &'a dyn Clock,
    began_ms: u64,
    examined: u64,
}

impl<'a> Guard<'a> {
    pub(crate) fn new(caps: QueryCaps, clock: &'a dyn Clock) -> Self {
        let began_ms = caps.time_ms.map_or(0, |_| clock.now_ms());
        Self {
            caps,
            clock,
            began_ms,
            examined: 0,
        }
    }

    /// One more entity is looked at.
    pub(crate) fn examine(&mut self) -> Result<()> {
        self.examined += 1;
        match self.caps.examined {
            Some(most) if self.examined > most => Err(TooExpensive::Examined.error(most)),
            // Entities may be long: one look at the clock costs less than most of them.
            _ => self.check_time(),
        }
    }

    fn check_time(&self) -> Result<()> {
        match self.caps.time_ms {
            Some(most) if self.clock.now_ms().saturating_sub(self.began_ms) > most => {
                Err(TooExpensive::Time.error(most))
            }
            _ => Ok(()),
        }
    }

    /// The same rows, as long as they are within the caps.
    pub(crate) fn watch<T>(
        mut self,
        rows: impl Iterator<Item = Result<T>>,
    ) -> impl Iterator<Item = Result<T>> {
        rows.map(move |row| self.examine().and(row))
    }
}
