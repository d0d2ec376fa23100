//! Commits of many threads, until there is no more room: for the tests of every store.

use std::thread;

use threads_core::ErrorKind;
use threads_core::datastore::{Datastore, DatastoreExt, Durability, Keyspace};

/// Each commit that failed left nothing, and each of the others everything, also when the store is
/// opened again. There must be room for less than 80,000 rows of 1,500 bytes.
pub(crate) fn check<S: Datastore>(open: impl Fn() -> S, verify: impl Fn(&S) -> u64) {
    let store = open();
    let commit_until_full = |t: u8| {
        let keys = (0..10_000u32).map(|i| [&[t][..], &i.to_be_bytes()].concat());
        let commit = |key: &Vec<u8>| {
            let put = store.transact(Durability::Group, |txn| {
                txn.put(Keyspace::Meta, key, &[t; 1_500])
            });
            let kind = put.map_err(|error| error.kind());
            assert!(
                matches!(kind, Ok(()) | Err(ErrorKind::Full)),
                "{kind:?} where there is no room"
            );
            kind.is_ok()
        };
        keys.take_while(commit).collect::<Vec<_>>()
    };
    let done: Vec<Vec<u8>> = thread::scope(|scope| {
        let commit_until_full = &commit_until_full;
        let threads = [0, 1, 2, 3, 4, 5, 6, 7].map(|t| scope.spawn(move || commit_until_full(t)));
        let done = threads.map(|thread| thread.join().unwrap());
        done.into_iter().flatten().collect()
    });
    assert!(done.len() < 80_000, "it was never full");
    let read = store.read().unwrap();
    for key in &done {
        assert!(read.get(Keyspace::Meta, key).unwrap().is_some());
    }
    drop(read);
    assert_eq!(verify(&store), done.len() as u64);
    drop(store);
    assert_eq!(verify(&open()), done.len() as u64);
}
