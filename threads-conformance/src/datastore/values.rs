//! Laws of values.

use threads_core::datastore::{DatastoreExt, Direction, Durability, Keyspace};

use super::Subject;
use super::rows::{ALL, Bytes, SPACE, all, get, get_in, get_now, put, rows, scan};
use crate::law::{Checked, ensure};

/// The size of a large value.
const LARGE_BYTES: usize = 1 << 20;

pub(super) fn an_empty_value_is_a_value(subject: &Subject) -> Checked {
    let store = subject.open()?;
    put(&*store, &[(b"k", b"")], Durability::Group)?;
    let txn = store.read()?;
    let (seen, scanned) = (get(&*txn, b"k")?, all(&*txn)?);
    let done = "put an empty value and committed";
    ensure(
        seen == Some(Bytes(Vec::new())),
        done,
        format_args!("get gives {seen:?}"),
    )?;
    let right = scanned == rows(&[(b"k", b"")]);
    ensure(right, done, format_args!("a scan gives {scanned:?}"))
}

/// No two windows of it are alike, so that a piece in a wrong place shows.
pub(super) fn a_large_value_is_kept_whole(subject: &Subject) -> Checked {
    let store = subject.open()?;
    let value: Vec<u8> = (0..LARGE_BYTES as u32 / 4)
        .flat_map(u32::to_be_bytes)
        .collect();
    put(
        &*store,
        &[(b"large", &value), (b"small", b"v")],
        Durability::Group,
    )?;
    let txn = store.read()?;
    for (key, wanted) in [(&b"large"[..], &value[..]), (b"small", b"v")] {
        let seen = get(&*txn, key)?;
        let right = seen == Some(wanted.into());
        let done = format!("put a value of {} bytes and committed", wanted.len());
        ensure(right, done, format_args!("another one: {seen:?}"))?;
    }
    let seen = all(&*txn)?;
    let right = seen == rows(&[(&b"large"[..], &value[..]), (b"small", b"v")]);
    ensure(
        right,
        "scanned a value of 1 MiB",
        format_args!("another one: {seen:?}"),
    )
}

pub(super) fn a_put_replaces(subject: &Subject) -> Checked {
    let store = subject.open()?;
    put(&*store, &[(b"k", b"old and longer")], Durability::Group)?;
    put(&*store, &[(b"k", b"new")], Durability::Group)?;
    let seen = all(&*store.read()?)?;
    let done = "committed k = \"old and longer\", then k = \"new\"";
    ensure(
        seen == rows(&[(b"k", b"new")]),
        done,
        format_args!("{seen:?}"),
    )
}

pub(super) fn a_delete_removes_its_key_and_no_other(subject: &Subject) -> Checked {
    let store = subject.open()?;
    put(
        &*store,
        &[(b"j", b"1"), (b"k", b"2"), (b"l", b"3")],
        Durability::Group,
    )?;
    store.transact(Durability::Group, |txn| txn.delete(SPACE, b"k"))?;
    let txn = store.read()?;
    let (gone, seen) = (get(&*txn, b"k")?, all(&*txn)?);
    let done = "committed j, k and l, then deleted k";
    ensure(gone.is_none(), done, format_args!("get gives {gone:?}"))?;
    let right = seen == rows(&[(b"j", b"1"), (b"l", b"3")]);
    ensure(right, done, format_args!("a scan gives {seen:?}"))
}

pub(super) fn a_delete_of_nothing_is_fine(subject: &Subject) -> Checked {
    let store = subject.open()?;
    put(&*store, &[(b"l", b"1")], Durability::Group)?;
    let deleted = store.transact(Durability::Group, |txn| txn.delete(SPACE, b"k"));
    let done = "committed l, then deleted k, which was never there";
    ensure(deleted.is_ok(), done, format_args!("{deleted:?}"))?;
    let seen = get_now(&*store, b"l")?;
    ensure(seen.is_some(), done, "l is gone")
}

pub(super) fn keyspaces_are_apart(subject: &Subject) -> Checked {
    let store = subject.open()?;
    store.transact(Durability::Group, |txn| {
        Keyspace::ALL
            .iter()
            .try_for_each(|space| txn.put(*space, b"k", space.name().as_bytes()))
    })?;
    let done = "put the same key with another value in every keyspace";
    let txn = store.read()?;
    for space in Keyspace::ALL {
        let wanted: Bytes = space.name().as_bytes().into();
        let seen = get_in(&*txn, *space, b"k")?;
        let right = seen.as_ref() == Some(&wanted);
        ensure(
            right,
            done,
            format_args!("get in {} gives {seen:?}", space.name()),
        )?;
        let seen = scan(&*txn, *space, ALL, Direction::Forward)?;
        let right = seen == [("k".as_bytes().into(), wanted)];
        ensure(
            right,
            done,
            format_args!("a scan of {} gives {seen:?}", space.name()),
        )?;
    }
    Ok(())
}
