//! Laws of read transactions.

use threads_core::datastore::{DatastoreExt, Direction, Durability, Keyspace};

use super::Subject;
use super::rows::{ALL, ALL_KINDS, Bytes, SPACE, all, get, get_now, put, rows};
use crate::law::{Checked, ensure};

pub(super) fn a_snapshot_does_not_move(subject: &Subject) -> Checked {
    let store = subject.open()?;
    for durability in ALL_KINDS {
        put(
            &*store,
            &[(b"a", b"old"), (b"b", b"old")],
            Durability::Group,
        )?;
        let before = store.read()?;
        store.transact(durability, |txn| {
            txn.put(SPACE, b"a", b"new")?;
            txn.delete(SPACE, b"b")?;
            txn.put(SPACE, b"c", b"new")
        })?;
        let done = format!(
            "committed a and b = \"old\", began to read, then committed a = \"new\", b deleted, \
             c = \"new\", {durability:?}"
        );
        let seen = [b"a", b"b", b"c"]
            .into_iter()
            .map(|key| get(&*before, key))
            .collect::<threads_core::Result<Vec<_>>>()?;
        let old: Option<Bytes> = Some(b"old"[..].into());
        let right = seen == [old.clone(), old, None];
        ensure(right, &done, format_args!("get of a, b, c gives {seen:?}"))?;
        let seen = all(&*before)?;
        let right = seen == rows(&[(b"a", b"old"), (b"b", b"old")]);
        ensure(right, &done, format_args!("a scan gives {seen:?}"))?;
        drop(before);
        store.transact(durability, |txn| txn.delete(SPACE, b"c"))?;
    }
    Ok(())
}

pub(super) fn a_scan_goes_on_while_others_commit(subject: &Subject) -> Checked {
    const ROWS: u8 = 100;
    const SPACE: Keyspace = Keyspace::History;
    let store = subject.open()?;
    store.transact(Durability::Group, |txn| {
        (0..ROWS).try_for_each(|n| txn.put(SPACE, &[n], b"old"))
    })?;
    let txn = store.read()?;
    let mut scan = txn.scan(SPACE, ALL, Direction::Forward)?;
    let mut seen = Vec::new();
    seen.extend(scan.by_ref().take(10));
    store.transact(Durability::Group, |txn| {
        (0..ROWS)
            .step_by(2)
            .try_for_each(|n| txn.delete(SPACE, &[n]))?;
        (0..ROWS).try_for_each(|n| txn.put(SPACE, &[n, 0], b"new"))
    })?;
    seen.extend(scan);
    let seen = seen.into_iter().collect::<threads_core::Result<Vec<_>>>()?;
    let old = seen.iter().filter(|row| *row.1 == *b"old").count();
    let done = "scanned 10 of 100 rows, committed other rows and deletes, and scanned on";
    let seen = format!(
        "{old} of the rows that were there, {} others",
        seen.len() - old
    );
    ensure(
        seen == "100 of the rows that were there, 0 others",
        done,
        &seen,
    )
}

/// Also those of the last moment, and beside a read transaction that began earlier.
pub(super) fn a_read_sees_everything_committed(subject: &Subject) -> Checked {
    let store = subject.open()?;
    let early = store.read()?;
    for (n, durability) in (0u8..).zip(ALL_KINDS.into_iter().cycle().take(9)) {
        put(&*store, &[(b"n", &[n])], durability)?;
        let seen = get_now(&*store, b"n")?;
        let done = format!("committed n = {n}, {durability:?}, and began to read");
        ensure(
            seen == Some(Bytes(vec![n])),
            done,
            format_args!("get gives {seen:?}"),
        )?;
    }
    drop(early);
    Ok(())
}
