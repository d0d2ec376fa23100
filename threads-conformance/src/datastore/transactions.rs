//! Laws of write transactions.

use std::ops::Bound::Excluded;

use threads_core::datastore::{DatastoreExt, Direction, Durability, KeyRange};

use super::Subject;
use super::rows::{ALL, ALL_KINDS, Bytes, SPACE, all, get, put, rows, scan};
use crate::law::{Checked, ensure};

pub(super) fn a_writer_gets_its_own_writes(subject: &Subject) -> Checked {
    let store = subject.open()?;
    put(
        &*store,
        &[(b"a", b"old"), (b"b", b"old")],
        Durability::Group,
    )?;
    let mut txn = store.write()?;
    txn.put(SPACE, b"a", b"new")?;
    txn.delete(SPACE, b"b")?;
    txn.put(SPACE, b"c", b"new")?;
    txn.put(SPACE, b"d", b"new")?;
    txn.delete(SPACE, b"d")?;
    let seen = [b"a", b"b", b"c", b"d"]
        .into_iter()
        .map(|key| get(&*txn, key))
        .collect::<threads_core::Result<Vec<_>>>()?;
    let new: Option<Bytes> = Some(b"new"[..].into());
    let done = "committed a and b = \"old\"; in one transaction put a and c = \"new\", deleted b, \
                put and deleted d, and got a, b, c, d";
    ensure(
        seen == [new.clone(), None, new, None],
        done,
        format_args!("{seen:?}"),
    )
}

pub(super) fn a_writer_scans_its_own_writes(subject: &Subject) -> Checked {
    let store = subject.open()?;
    let old: [(&[u8], &[u8]); 4] = [(b"b", b"1"), (b"d", b"1"), (b"f", b"1"), (b"h", b"1")];
    put(&*store, &old, Durability::Group)?;
    let mut txn = store.write()?;
    for key in [b"a", b"d", b"e", b"i"] {
        txn.put(SPACE, key, b"2")?;
    }
    txn.delete(SPACE, b"f")?;
    let done = "committed b d f h = 1; in one transaction put a d e i = 2, deleted f, and scanned";
    let mut wanted = rows(&[
        (b"a", b"2"),
        (b"b", b"1"),
        (b"d", b"2"),
        (b"e", b"2"),
        (b"h", b"1"),
        (b"i", b"2"),
    ]);
    let mut some_wanted = wanted[2..5].to_vec();
    let within: KeyRange<'_> = (Excluded(b"b"), Excluded(b"i"));
    for direction in [Direction::Forward, Direction::Reverse] {
        let seen = scan(&*txn, SPACE, ALL, direction)?;
        ensure(
            seen == wanted,
            done,
            format_args!("{direction:?}: {seen:?}"),
        )?;
        let seen = scan(&*txn, SPACE, within, direction)?;
        let right = seen == some_wanted;
        ensure(
            right,
            done,
            format_args!("{direction:?} above b and below i: {seen:?}"),
        )?;
        wanted.reverse();
        some_wanted.reverse();
    }
    Ok(())
}

pub(super) fn a_writer_begins_with_everything_committed(subject: &Subject) -> Checked {
    let store = subject.open()?;
    let early = store.read()?;
    for (n, durability) in (0u8..).zip(ALL_KINDS.into_iter().cycle().take(9)) {
        put(&*store, &[(b"n", &[n])], durability)?;
        let txn = store.write()?;
        let (seen, scanned) = (get(&*txn, b"n")?, all(&*txn)?);
        let done = format!("committed n = {n}, {durability:?}, and began to write");
        ensure(
            seen == Some(Bytes(vec![n])),
            &done,
            format_args!("get gives {seen:?}"),
        )?;
        let right = scanned == rows(&[(b"n", [n])]);
        ensure(right, &done, format_args!("a scan gives {scanned:?}"))?;
    }
    drop(early);
    Ok(())
}

pub(super) fn nobody_sees_what_is_not_committed(subject: &Subject) -> Checked {
    let store = subject.open()?;
    put(
        &*store,
        &[(b"a", b"old"), (b"b", b"old")],
        Durability::Group,
    )?;
    let before = store.read()?;
    let mut txn = store.write()?;
    txn.put(SPACE, b"a", b"new")?;
    txn.put(SPACE, b"c", b"new")?;
    txn.delete(SPACE, b"b")?;
    let during = store.read()?;
    let wanted = rows(&[(b"a", b"old"), (b"b", b"old")]);
    for (reader, when) in [(&before, "before"), (&during, "during")] {
        let seen = all(&**reader)?;
        let done = format!(
            "in one transaction put a and c, deleted b, and did not commit; began to \
                            read {when} it"
        );
        ensure(
            seen == wanted,
            done,
            format_args!("{seen:?}, not {wanted:?}"),
        )?;
    }
    drop(during);
    txn.commit(Durability::Group)?;
    Ok(())
}

pub(super) fn a_dropped_writer_leaves_no_trace(subject: &Subject) -> Checked {
    let store = subject.open()?;
    put(
        &*store,
        &[(b"a", b"old"), (b"b", b"old")],
        Durability::Group,
    )?;
    let mut txn = store.write()?;
    txn.put(SPACE, b"a", b"new")?;
    txn.put(SPACE, b"c", b"new")?;
    txn.delete(SPACE, b"b")?;
    drop(txn);
    let wanted = rows(&[(b"a", b"old"), (b"b", b"old")]);
    let done = "in one transaction put a and c, deleted b, and dropped it";
    let seen = all(&*store.read()?)?;
    ensure(seen == wanted, done, format_args!("a reader sees {seen:?}"))?;
    let seen = all(&*store.write()?)?;
    ensure(
        seen == wanted,
        done,
        format_args!("the next writer sees {seen:?}"),
    )?;
    store.sync()?;
    let seen = all(&*store.read()?)?;
    ensure(
        seen == wanted,
        done,
        format_args!("after the next commit: {seen:?}"),
    )
}

pub(super) fn a_refused_change_takes_nothing_with_it(subject: &Subject) -> Checked {
    let store = subject.open()?;
    put(&*store, &[(b"a", b"old")], Durability::Group)?;
    let mut txn = store.write()?;
    txn.put(SPACE, b"b", b"new")?;
    for refused in [txn.put(SPACE, b"", b"v"), txn.delete(SPACE, &[0; 512])] {
        // Whether such keys are refused is another law's.
        if refused.is_ok() {
            return Ok(());
        }
    }
    txn.put(SPACE, b"c", b"new")?;
    let done = "in one transaction put b, put and deleted keys that are refused, put c";
    let committed = txn.commit(Durability::Group);
    ensure(
        committed.is_ok(),
        done,
        format_args!("commit gives {committed:?}"),
    )?;
    let seen = all(&*store.read()?)?;
    let right = seen == rows(&[(b"a", b"old"), (b"b", b"new"), (b"c", b"new")]);
    ensure(right, done, format_args!("after the commit: {seen:?}"))
}

pub(super) fn the_reader_of_a_writer_sees_the_same(subject: &Subject) -> Checked {
    let store = subject.open()?;
    put(
        &*store,
        &[(b"a", b"old"), (b"b", b"old")],
        Durability::Group,
    )?;
    let mut txn = store.write()?;
    txn.put(SPACE, b"a", b"new")?;
    txn.delete(SPACE, b"b")?;
    let reader = txn.as_read();
    let (seen, scanned) = ([get(reader, b"a")?, get(reader, b"b")?], all(reader)?);
    let done = "committed a and b; in one transaction put a = \"new\", deleted b, and read as_read";
    let right = seen == [Some(b"new"[..].into()), None];
    ensure(right, done, format_args!("get of a, b gives {seen:?}"))?;
    let right = scanned == rows(&[(b"a", b"new")]);
    ensure(right, done, format_args!("a scan gives {scanned:?}"))
}
