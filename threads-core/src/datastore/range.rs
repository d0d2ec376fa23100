//! Ranges of keys.

use std::ops::Bound;

/// Lower and upper bound of a scan.
///
/// ```
/// use std::ops::Bound;
/// let all: threads_core::datastore::KeyRange<'_> = (Bound::Unbounded, Bound::Unbounded);
/// assert_eq!(all.0, Bound::Unbounded);
/// ```
pub type KeyRange<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// The keys that begin with `prefix`, as an inclusive start and an exclusive end.
///
/// The end is `None` when no key is larger than all that begin with `prefix`.
///
/// ```
/// use threads_core::datastore::prefix_range;
/// assert_eq!(prefix_range(b"ab"), (b"ab".to_vec(), Some(b"ac".to_vec())));
/// assert_eq!(prefix_range(&[7, 0xff]), (vec![7, 0xff], Some(vec![8])));
/// assert_eq!(prefix_range(&[0xff]), (vec![0xff], None));
/// ```
pub fn prefix_range(prefix: &[u8]) -> (Vec<u8>, Option<Vec<u8>>) {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return (prefix.to_vec(), Some(end));
        }
    }
    (prefix.to_vec(), None)
}

/// Whether a range can hold no key at all: an end before its start.
///
/// Ordered maps panic on such a range, so stores ask first.
///
/// ```
/// use std::ops::Bound::{Excluded, Included};
/// use threads_core::datastore::range_is_empty;
/// assert!(range_is_empty(&(Included(b"b"), Excluded(b"a"))));
/// assert!(!range_is_empty(&(Included(b"a"), Excluded(b"b"))));
/// ```
pub fn range_is_empty(range: &KeyRange<'_>) -> bool {
    match range {
        // No key is empty, so none is before or at the empty one.
        (_, Bound::Included(b) | Bound::Excluded(b)) if b.is_empty() => true,
        (Bound::Included(a), Bound::Included(b)) => a > b,
        (Bound::Included(a) | Bound::Excluded(a), Bound::Excluded(b))
        | (Bound::Excluded(a), Bound::Included(b)) => a >= b,
        _ => false,
    }
}
