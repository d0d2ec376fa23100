//! One ordered scan over layers of changes and the rows below them.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::iter::Peekable;
use std::ops::Bound;

use threads_core::Result;
use threads_core::datastore::{Direction, KeyRange, Row};

use crate::layer::Changes;

/// The rows of LMDB, already checked.
pub(crate) type Rows<'a> = Box<dyn Iterator<Item = Result<(&'a [u8], &'a [u8])>> + 'a>;

/// The merged rows: of equal keys the newest layer's change wins, and a removal hides the key.
pub(crate) struct Merge<'a> {
    /// Newest first.
    layers: Vec<Peekable<Changes<'a>>>,
    rows: Peekable<Rows<'a>>,
    direction: Direction,
    failed: bool,
}

impl<'a> Merge<'a> {
    pub(crate) fn new(layers: Vec<Changes<'a>>, rows: Rows<'a>, direction: Direction) -> Self {
        let layers = layers.into_iter().map(Iterator::peekable).collect();
        Self {
            layers,
            rows: rows.peekable(),
            direction,
            failed: false,
        }
    }

    /// The key that comes next: the first among the heads of all sources.
    fn next_key(&mut self) -> Result<Option<&'a [u8]>> {
        let mut next = match self.rows.next_if(Result::is_err) {
            Some(Err(error)) => return Err(error),
            _ => self
                .rows
                .peek()
                .and_then(|row| row.as_ref().ok())
                .map(|(key, _)| *key),
        };
        let sooner = match self.direction {
            Direction::Forward => Ordering::Less,
            Direction::Reverse => Ordering::Greater,
        };
        for layer in &mut self.layers {
            if let Some((key, _)) = layer.peek()
                && next.is_none_or(|next| (*key).cmp(next) == sooner)
            {
                next = Some(*key);
            }
        }
        Ok(next)
    }

    /// What the newest source says about `key`; every source moves past it.
    fn take(&mut self, key: &[u8]) -> Option<&'a [u8]> {
        let mut newest = None;
        for layer in &mut self.layers {
            if let Some((_, change)) = layer.next_if(|(head, _)| *head == key) {
                newest = newest.or(Some(change));
            }
        }
        let row = self
            .rows
            .next_if(|row| row.as_ref().is_ok_and(|(head, _)| *head == key));
        match (newest, row) {
            (Some(change), _) => change,
            (None, Some(Ok((_, value)))) => Some(value),
            (None, _) => None,
        }
    }
}

impl<'a> Iterator for Merge<'a> {
    type Item = Result<Row<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.failed {
            match self.next_key() {
                Ok(Some(key)) => {
                    if let Some(value) = self.take(key) {
                        return Some(Ok((Cow::Borrowed(key), Cow::Borrowed(value))));
                    }
                }
                Ok(None) => return None,
                Err(error) => {
                    self.failed = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

/// The range in a form that every source takes: `None` when no key can be in it.
///
/// Ordered maps panic on an end before its start, and LMDB refuses an empty key as a bound.
pub(crate) fn normal(range: KeyRange<'_>) -> Option<KeyRange<'_>> {
    let (start, end) = range;
    let start = match start {
        Bound::Included([]) | Bound::Excluded([]) => Bound::Unbounded,
        start => start,
    };
    let possible = match (start, end) {
        (_, Bound::Included([]) | Bound::Excluded([])) => false,
        (Bound::Included(a), Bound::Included(b)) => a <= b,
        (Bound::Included(a) | Bound::Excluded(a), Bound::Excluded(b))
        | (Bound::Excluded(a), Bound::Included(b)) => a < b,
        _ => true,
    };
    possible.then_some((start, end))
}
