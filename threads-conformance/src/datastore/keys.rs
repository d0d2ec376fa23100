//! Laws of keys.

use std::ops::Bound::{Excluded, Included, Unbounded};

use threads_core::ErrorKind;
use threads_core::datastore::{DatastoreExt, Direction, Durability, KEY_BYTES_MAX, KeyRange};

use super::Subject;
use super::rows::{SPACE, all, get, put, scan};
use crate::law::{Checked, ensure};

/// They are put in an order that is none. Lengths differ, and bytes above 127, and prefixes.
pub(super) fn keys_order_bytewise(subject: &Subject) -> Checked {
    let store = subject.open()?;
    let longest = [0xff; KEY_BYTES_MAX];
    let keys: [&[u8]; 12] = [
        b"b",
        &[0xff],
        b"aa",
        &[0],
        b"Z",
        &longest,
        &[0, 0],
        &[0x80],
        b"a",
        b"ab",
        &[0x7f],
        &[0, 1],
    ];
    store.transact(Durability::Group, |txn| {
        keys.iter().try_for_each(|key| txn.put(SPACE, key, b"v"))
    })?;
    let seen: Vec<_> = all(&*store.read()?)?.into_iter().map(|row| row.0).collect();
    let mut wanted: Vec<_> = keys.map(Into::into).to_vec();
    wanted.sort();
    let done = "put twelve keys, committed, and scanned all of them forward";
    ensure(
        seen == wanted,
        done,
        format_args!("{seen:?}, not {wanted:?}"),
    )
}

pub(super) fn keys_have_bounds(subject: &Subject) -> Checked {
    let store = subject.open()?;
    let (longest, too_long) = ([7; KEY_BYTES_MAX], [7; KEY_BYTES_MAX + 1]);
    for key in [&b""[..], &too_long] {
        let mut txn = store.write()?;
        let refusals = [
            ("put", txn.put(SPACE, key, b"v")),
            ("deleted", txn.delete(SPACE, key)),
        ];
        for (done, refusal) in refusals {
            let kind = refusal.as_ref().err().map(threads_core::Error::kind);
            let right = kind == Some(ErrorKind::Invalid);
            let done = format!("{done} a key of {} bytes", key.len());
            ensure(right, done, format_args!("{refusal:?}"))?;
        }
    }
    for key in [&longest[..], b"k"] {
        let taken = put(&*store, &[(key, b"v")], Durability::Group);
        let done = format!("put a key of {} bytes", key.len());
        ensure(taken.is_ok(), &done, format_args!("{taken:?}"))?;
        let kept = get(&*store.read()?, key)?.is_some();
        ensure(kept, done, "it is not there")?;
    }
    Ok(())
}

pub(super) fn a_reader_may_name_any_key(subject: &Subject) -> Checked {
    let store = subject.open()?;
    put(&*store, &[(b"a", b"1"), (b"b", b"2")], Durability::Group)?;
    let txn = store.read()?;
    let (low, high) = ([b'a'; KEY_BYTES_MAX + 1], [b'b'; KEY_BYTES_MAX + 1]);
    for key in [&b""[..], &low] {
        let seen = get(&*txn, key);
        let done = format!("got a key of {} bytes", key.len());
        ensure(matches!(seen, Ok(None)), done, format_args!("{seen:?}"))?;
    }
    let ranges: [(KeyRange<'_>, usize); 7] = [
        ((Included(b""), Unbounded), 2),
        ((Excluded(b""), Unbounded), 2),
        ((Unbounded, Included(b"")), 0),
        ((Unbounded, Excluded(b"")), 0),
        ((Included(&low), Unbounded), 1),
        ((Unbounded, Included(&low)), 1),
        ((Excluded(&low), Excluded(&high)), 1),
    ];
    for (range, wanted) in ranges {
        let seen = scan(&*txn, SPACE, range, Direction::Forward).map(|rows| rows.len());
        let lengths = (range.0.map(<[u8]>::len), range.1.map(<[u8]>::len));
        let done = format!("put a and b, and scanned between bounds of these lengths: {lengths:?}");
        let right = seen.as_ref().is_ok_and(|rows| *rows == wanted);
        ensure(right, done, format_args!("{seen:?} rows, not {wanted}"))?;
    }
    Ok(())
}
