//! The store keeps every law, and a torn end of its journal never was.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use std::fs;

use example_store_journal::Journal;
use threads_conformance::datastore::{LAWS, Subject};
use threads_core::ErrorKind;
use threads_core::datastore::{Datastore, DatastoreExt, Durability, Keyspace};

fn subject() -> Subject {
    Subject::new(Journal::open).with_failing(|dir| Journal::open_with(dir, 1 << 20))
}

threads_conformance::datastore_laws!(subject());

#[test]
fn no_law_is_skipped() {
    let wanted = format!("checked {0} of {0} laws, skipped none", LAWS.len());
    assert_eq!(threads_conformance::summary(LAWS, subject), wanted);
}

/// What a power cut leaves of a commit that had not returned: any part of it, behind what the
/// header knows.
#[test]
fn a_torn_end_never_was_and_damage_before_it_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let store = Journal::open(dir.path()).unwrap();
    let put = |n: u8| store.transact(Durability::Group, |txn| txn.put(Keyspace::Meta, &[n], b"v"));
    put(1).unwrap();
    let before = fs::read(&path).unwrap();
    put(2).unwrap();
    let after = fs::read(&path).unwrap();
    drop(store);

    let there = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        let store = Journal::open(dir.path())?;
        let read = store.read()?;
        Ok::<_, threads_core::Error>(
            [1, 2].map(|n| read.get(Keyspace::Meta, &[n]).unwrap().is_some()),
        )
    };
    for end in before.len()..=after.len() {
        let torn = [&before[..], &after[before.len()..end]].concat();
        assert_eq!(
            there(&torn).unwrap(),
            [true, end == after.len()],
            "{end} bytes"
        );
        // The file may be longer before its contents are written.
        let mut unwritten = torn;
        unwritten.resize(after.len(), 0);
        assert_eq!(
            there(&unwritten).unwrap(),
            [true, end == after.len()],
            "{end} bytes"
        );
    }
    for at in 0..after.len() {
        let mut damaged = after.clone();
        damaged[at] ^= 0x10;
        let error = there(&damaged).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "byte {at}");
    }
}
