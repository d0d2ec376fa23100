//! One ordered scan over layers of changes and the rows below them.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::iter::Peekable;

use super::{Changes, Direction, Row, Scan};
use crate::Result;

/// The rows that are seen through `layers`, newest first, over `rows`.
///
/// All of them go in `direction`. Of equal keys the newest layer's change wins, and a removal
/// hides the key. The scan ends with the first error of `rows`.
///
/// ```
/// use std::ops::Bound::Unbounded;
/// use threads_core::datastore::{Direction, Keyspace, Layer, merged};
///
/// let mut layer = Layer::default();
/// layer.set(Keyspace::Meta, *b"a", None);
/// layer.set(Keyspace::Meta, *b"b", Some(b"new"[..].into()));
/// let changes = layer.range(Keyspace::Meta, (Unbounded, Unbounded), Direction::Forward);
/// let rows = [("a", "1"), ("c", "3")].map(|(k, v)| Ok((k.as_bytes().into(), v.as_bytes().into())));
/// let seen = merged(changes.into_iter().collect(), Box::new(rows.into_iter()), Direction::Forward);
/// let seen: threads_core::Result<Vec<_>> = seen.collect();
/// assert_eq!(seen.unwrap(), [(b"b"[..].into(), b"new"[..].into()), (b"c"[..].into(), b"3"[..].into())]);
/// ```
pub fn merged<'a>(layers: Vec<Changes<'a>>, rows: Scan<'a>, direction: Direction) -> Scan<'a> {
    if layers.is_empty() {
        return rows;
    }
    Box::new(Merge {
        layers: layers.into_iter().map(Iterator::peekable).collect(),
        rows: rows.peekable(),
        direction,
        failed: false,
    })
}

struct Merge<'a> {
    /// Newest first.
    layers: Vec<Peekable<Changes<'a>>>,
    rows: Peekable<Scan<'a>>,
    direction: Direction,
    failed: bool,
}

impl<'a> Merge<'a> {
    /// The key that comes next among the layers.
    fn next_change(&mut self) -> Option<&'a [u8]> {
        let heads = self.layers.iter_mut().filter_map(|layer| layer.peek());
        let keys = heads.map(|(key, _)| *key);
        match self.direction {
            Direction::Forward => keys.min(),
            Direction::Reverse => keys.max(),
        }
    }

    /// What the newest layer says about `key`; every layer moves past it.
    fn take_change(&mut self, key: &[u8]) -> Option<&'a [u8]> {
        let mut newest = None;
        for layer in &mut self.layers {
            if let Some((_, change)) = layer.next_if(|(head, _)| *head == key) {
                newest = newest.or(Some(change));
            }
        }
        newest.flatten()
    }
}

impl<'a> Iterator for Merge<'a> {
    type Item = Result<Row<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.failed {
            let change = self.next_change();
            let order = match (self.rows.peek(), change) {
                (Some(Err(_)), _) => {
                    self.failed = true;
                    return self.rows.next();
                }
                (None, None) => return None,
                (Some(Ok(_)), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(Ok((row, _))), Some(key)) => match self.direction {
                    Direction::Forward => (**row).cmp(key),
                    Direction::Reverse => key.cmp(row),
                },
            };
            if order == Ordering::Less {
                return self.rows.next();
            }
            if order == Ordering::Equal {
                // The layers hide it.
                self.rows.next();
            }
            if let Some(key) = change
                && let Some(value) = self.take_change(key)
            {
                return Some(Ok((Cow::Borrowed(key), Cow::Borrowed(value))));
            }
        }
        None
    }
}
