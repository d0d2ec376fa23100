//! Laws of scans.

use std::ops::Bound::{self, Excluded, Included, Unbounded};

use threads_core::datastore::{DatastoreExt, Direction, Durability, KeyRange, Keyspace};

use super::Subject;
use super::rows::{ALL, Bytes, Rows, SPACE, put, rows, scan};
use crate::law::{Checked, ensure};

/// More rows than a store keeps in a page or hands out in one piece.
const MANY: u32 = 5_000;
/// In how many commits they are put.
const COMMITS: usize = 5;

/// Keys before and after the bounds, on them, and between them.
pub(super) fn every_kind_of_bound_is_kept(subject: &Subject) -> Checked {
    let store = subject.open()?;
    let keys = ["aa", "ba", "bb", "ca", "da", "db", "ea"].map(str::as_bytes);
    store.transact(Durability::Group, |txn| {
        keys.iter().try_for_each(|key| txn.put(SPACE, key, b"v"))
    })?;
    let txn = store.read()?;
    let bounds = |key| [Unbounded, Included(key), Excluded(key)];
    for start in bounds(&b"ba"[..]).into_iter().chain(bounds(b"b")) {
        for end in bounds(&b"da"[..]).into_iter().chain(bounds(b"daa")) {
            let within = keys.iter().filter(|key| is_within(key, (start, end)));
            let wanted: Rows = within.map(|key| ((*key).into(), b"v"[..].into())).collect();
            let seen = scan(&*txn, SPACE, (start, end), Direction::Forward)?;
            let shown = (start.map(Bytes::from), end.map(Bytes::from));
            let done = format!("put aa ba bb ca da db ea, and scanned within {shown:?}");
            ensure(
                seen == wanted,
                done,
                format_args!("{seen:?}, not {wanted:?}"),
            )?;
        }
    }
    Ok(())
}

fn is_within(key: &[u8], range: KeyRange<'_>) -> bool {
    let after_start = match range.0 {
        Included(start) => key >= start,
        Excluded(start) => key > start,
        Unbounded => true,
    };
    let before_end = match range.1 {
        Included(end) => key <= end,
        Excluded(end) => key < end,
        Unbounded => true,
    };
    after_start && before_end
}

/// With neighbours in the keyspaces before and after, which an open end could run into.
pub(super) fn reverse_is_forward_backwards(subject: &Subject) -> Checked {
    let store = subject.open()?;
    store.transact(Durability::Group, |txn| {
        for space in [Keyspace::Indexes, Keyspace::Feed, Keyspace::Views] {
            for key in [b"a", b"b", b"c", b"d"] {
                txn.put(space, key, space.name().as_bytes())?;
            }
        }
        Ok(())
    })?;
    let txn = store.read()?;
    let bounds: [Bound<&[u8]>; 3] = [Unbounded, Included(b"b"), Excluded(b"b")];
    let ends: [Bound<&[u8]>; 3] = [Unbounded, Included(b"d"), Excluded(b"d")];
    for range in bounds
        .iter()
        .flat_map(|start| ends.map(|end| (*start, end)))
    {
        let mut wanted = scan(&*txn, Keyspace::Feed, range, Direction::Forward)?;
        wanted.reverse();
        let seen = scan(&*txn, Keyspace::Feed, range, Direction::Reverse)?;
        let done = "put a b c d, and scanned from b to d, included, excluded and open";
        ensure(
            seen == wanted,
            done,
            format_args!("reverse gives {seen:?}, not {wanted:?}"),
        )?;
    }
    Ok(())
}

pub(super) fn a_range_that_holds_nothing_gives_nothing(subject: &Subject) -> Checked {
    let store = subject.open()?;
    put(
        &*store,
        &[(b"a", b"v"), (b"b", b"v"), (b"c", b"v")],
        Durability::Group,
    )?;
    let txn = store.read()?;
    let ranges: [KeyRange<'_>; 8] = [
        (Included(b"c"), Included(b"a")),
        (Included(b"c"), Excluded(b"a")),
        (Excluded(b"c"), Included(b"a")),
        (Excluded(b"c"), Excluded(b"a")),
        (Excluded(b"b"), Excluded(b"b")),
        (Included(b"b"), Excluded(b"b")),
        (Excluded(b"b"), Included(b"b")),
        (Included(b"d"), Unbounded),
    ];
    for (number, range) in ranges.into_iter().enumerate() {
        for direction in [Direction::Forward, Direction::Reverse] {
            let seen = scan(&*txn, SPACE, range, direction);
            let right = seen.as_ref().is_ok_and(Vec::is_empty);
            let done = format!("put a b c, and scanned the empty range {number}: {range:?}");
            ensure(right, done, format_args!("{seen:?}"))?;
        }
    }
    Ok(())
}

pub(super) fn a_scan_gives_every_row(subject: &Subject) -> Checked {
    let store = subject.open()?;
    let all: Vec<_> = (0..MANY).map(|n| (n.to_be_bytes(), b"row")).collect();
    for part in all.chunks(all.len() / COMMITS) {
        store.transact(Durability::Group, |txn| {
            part.iter()
                .try_for_each(|(key, value)| txn.put(SPACE, key, *value))
        })?;
    }
    let txn = store.read()?;
    let done = format!("put {MANY} rows in {COMMITS} commits, and scanned them");
    let mut wanted = rows(&all);
    for direction in [Direction::Forward, Direction::Reverse] {
        let seen = scan(&*txn, SPACE, ALL, direction)?;
        let right = seen == wanted;
        ensure(
            right,
            &done,
            format_args!("{direction:?}: {} other rows", seen.len()),
        )?;
        wanted.reverse();
    }
    Ok(())
}
