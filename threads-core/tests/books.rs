//! Books: what they keep, when it expires, and what they refuse.

#![expect(clippy::unwrap_used, reason = "a helper of tests may fail like a test")]

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use threads_core::block::Block;
use threads_core::books::{
    ADDRS_PER_LOG_MAX, ADDRS_PER_THREAD_MAX, AddrBookMut, AddrChange, AddrEvent, AddrStream,
    AddrWatch, Head, HeadBook, HeadBookMut, KeyBook, KeyBookMut, METADATA_BYTES_MAX, MetadataBook,
    MetadataBookMut, PENDING_EVENTS_MAX, TTL_MAX, WATCHERS_MAX,
};
use threads_core::datastore::{Datastore, DatastoreExt, Durability, Keyspace, Memory};
use threads_core::{
    EpochKeys, ErrorKind, Hlc, LogId, LogKey, Multiaddr, ReadKey, ReplicaKey, Result, ThreadId,
    system_rng,
};

const HOUR: Duration = Duration::from_secs(3600);
const HOUR_MS: u64 = 3_600_000;
const NOW: u64 = 1_700_000_000_000;

fn thread() -> ThreadId {
    "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap()
}

/// Another thread, whose id begins with all of the first one's.
fn other() -> ThreadId {
    ThreadId::from_bytes(&[thread().as_bytes(), &[7]].concat()).unwrap()
}

fn log(n: u16) -> LogId {
    let mut key = [7; 32];
    key[..2].copy_from_slice(&n.to_be_bytes());
    LogId::from_key_bytes(key)
}

fn addr(n: usize) -> Multiaddr {
    format!("/ip4/192.0.2.1/tcp/{n}").parse().unwrap()
}

fn addrs(range: std::ops::Range<usize>) -> Vec<Multiaddr> {
    range.map(addr).collect()
}

/// Runs `work` on the address book at `now_ms` and commits it.
fn book(
    store: &Memory,
    now_ms: u64,
    work: impl FnOnce(&mut AddrBookMut<'_>) -> Result<()>,
) -> Result<Vec<AddrChange>> {
    store.transact(Durability::Group, |txn| {
        let mut book = AddrBookMut::new(txn, now_ms);
        work(&mut book)?;
        Ok(book.into_changes())
    })
}

fn present(store: &Memory, now_ms: u64) -> Vec<Multiaddr> {
    let snapshot = store.read().unwrap();
    threads_core::books::AddrBook::new(&*snapshot, now_ms)
        .addrs(&thread(), &log(1))
        .unwrap()
}

#[test]
fn an_address_lives_as_long_as_it_was_given() {
    let store = Memory::new();
    book(&store, NOW, |b| {
        b.add(&thread(), &log(1), &addrs(1..2), HOUR)
    })
    .unwrap();
    assert_eq!(present(&store, NOW + HOUR_MS - 1), addrs(1..2));
    assert!(present(&store, NOW + HOUR_MS).is_empty());
}

#[test]
fn adding_again_lengthens_and_never_shortens() {
    let store = Memory::new();
    let add = |ttl| {
        book(&store, NOW, |b| {
            b.add(&thread(), &log(1), &addrs(1..2), ttl)
        })
        .unwrap()
    };
    assert_eq!(add(HOUR).len(), 1);
    assert!(add(HOUR / 2).is_empty(), "nothing came or went");
    assert_eq!(present(&store, NOW + HOUR_MS - 1), addrs(1..2));
    add(HOUR * 2);
    assert_eq!(present(&store, NOW + 2 * HOUR_MS - 1), addrs(1..2));
    add(Duration::ZERO);
    assert_eq!(present(&store, NOW), addrs(1..2));
}

#[test]
fn setting_shortens_lengthens_and_removes() {
    let store = Memory::new();
    let set = |ttl| {
        book(&store, NOW, |b| {
            b.set(&thread(), &log(1), &addrs(1..2), ttl)
        })
        .unwrap()
    };
    book(&store, NOW, |b| {
        b.add(&thread(), &log(1), &addrs(2..3), HOUR)
    })
    .unwrap();
    set(HOUR);
    set(HOUR / 2);
    assert_eq!(present(&store, NOW + HOUR_MS / 2), addrs(2..3));
    let gone = set(Duration::ZERO);
    assert_eq!(gone[0].removed, addrs(1..2));
    assert_eq!(present(&store, NOW), addrs(2..3));
}

#[test]
fn updating_changes_those_of_the_old_time_alone() {
    let store = Memory::new();
    book(&store, NOW, |b| {
        b.add(&thread(), &log(1), &addrs(1..3), HOUR)?;
        b.add(&thread(), &log(1), &addrs(3..4), HOUR * 3)
    })
    .unwrap();
    let later = NOW + 1000;
    book(&store, later, |b| {
        b.update_ttl(&thread(), &log(1), HOUR, HOUR * 2)
    })
    .unwrap();
    assert_eq!(present(&store, later + 2 * HOUR_MS - 1), addrs(1..4));
    assert_eq!(present(&store, later + 2 * HOUR_MS), addrs(3..4));
    let gone = book(&store, later, |b| {
        b.update_ttl(&thread(), &log(1), HOUR * 2, Duration::ZERO)
    });
    assert_eq!(gone.unwrap()[0].removed, addrs(1..3));
}

#[test]
fn clearing_empties_one_log() {
    let store = Memory::new();
    book(&store, NOW, |b| {
        b.add(&thread(), &log(1), &addrs(1..3), HOUR)?;
        b.add(&thread(), &log(2), &addrs(3..4), HOUR)?;
        b.add(&other(), &log(1), &addrs(4..5), HOUR)?;
        b.clear(&thread(), &log(1))?;
        assert_eq!(b.as_read().all(&thread())?, [(log(2), addr(3))]);
        assert_eq!(b.as_read().all(&other())?, [(log(1), addr(4))]);
        b.clear_thread(&thread())?;
        assert!(b.as_read().all(&thread())?.is_empty());
        assert_eq!(b.as_read().all(&other())?.len(), 1);
        Ok(())
    })
    .unwrap();
}

#[test]
fn what_expired_is_removed_and_told() {
    let store = Memory::new();
    book(&store, NOW, |b| {
        b.add(&thread(), &log(1), &addrs(1..2), HOUR)?;
        b.add(&thread(), &log(1), &addrs(2..3), HOUR * 2)?;
        b.add(&thread(), &log(2), &addrs(3..4), HOUR)
    })
    .unwrap();
    let changes = book(&store, NOW + HOUR_MS, |b| b.expire(&thread())).unwrap();
    let removed: Vec<_> = changes.iter().map(|c| (c.log, c.removed.clone())).collect();
    assert_eq!(removed, [(log(1), addrs(1..2)), (log(2), addrs(3..4))]);
    // Gone for good, also for a clock that goes back.
    assert_eq!(present(&store, NOW), addrs(2..3));
    assert!(
        book(&store, NOW + HOUR_MS, |b| b.expire(&thread()))
            .unwrap()
            .is_empty()
    );
}

#[test]
fn the_address_book_is_bounded() {
    let store = Memory::new();
    let kind = |result: Result<Vec<AddrChange>>| result.unwrap_err().kind();
    let full = addrs(1..ADDRS_PER_LOG_MAX + 1);
    book(&store, NOW, |b| b.add(&thread(), &log(1), &full, HOUR)).unwrap();
    book(&store, NOW, |b| b.add(&thread(), &log(1), &full, HOUR * 2)).unwrap();
    let one_more = book(&store, NOW, |b| {
        b.add(&thread(), &log(1), &addrs(99..100), HOUR)
    });
    assert_eq!(kind(one_more), ErrorKind::Full);
    // What expired makes room.
    let later = NOW + 2 * HOUR_MS;
    book(&store, later, |b| {
        b.add(&thread(), &log(1), &addrs(99..100), HOUR)
    })
    .unwrap();
    assert_eq!(present(&store, later), addrs(99..100));
    let at_once = book(&store, NOW, |b| {
        b.set(&thread(), &log(2), &addrs(0..17), HOUR)
    });
    assert_eq!(kind(at_once), ErrorKind::Full);
    let long = book(&store, NOW, |b| {
        b.add(
            &thread(),
            &log(2),
            &addrs(1..2),
            TTL_MAX + Duration::from_millis(1),
        )
    });
    assert_eq!(kind(long), ErrorKind::Invalid);
    book(&store, NOW, |b| {
        b.add(&thread(), &log(2), &addrs(1..2), TTL_MAX)
    })
    .unwrap();
    let wide: Multiaddr = format!("/dns/{}", "x".repeat(2000)).parse().unwrap();
    assert_eq!(
        kind(book(&store, NOW, |b| b.add(
            &thread(),
            &log(3),
            &[wide],
            HOUR
        ))),
        ErrorKind::Invalid
    );
}

#[test]
fn a_thread_has_a_thousand_addresses() {
    let store = Memory::new();
    book(&store, NOW, |b| {
        let mut left = ADDRS_PER_THREAD_MAX;
        let mut n = 0;
        while left > 0 {
            let batch = left.min(ADDRS_PER_LOG_MAX);
            b.add(&thread(), &log(n), &addrs(1..batch + 1), HOUR)?;
            (left, n) = (left - batch, n + 1);
        }
        let error = b.add(&thread(), &log(n), &addrs(1..2), HOUR).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Full);
        b.add(&other(), &log(n), &addrs(1..2), HOUR)?;
        b.clear(&thread(), &log(0))?;
        b.add(&thread(), &log(n), &addrs(1..2), HOUR)
    })
    .unwrap();
}

fn read_all(stream: &mut AddrStream) -> Vec<AddrEvent> {
    std::iter::from_fn(|| stream.try_next()).collect()
}

#[test]
fn a_stream_tells_what_is_there_and_then_what_changes() {
    let (store, watch) = (Memory::new(), AddrWatch::new());
    book(&store, NOW, |b| {
        b.add(&thread(), &log(1), &addrs(1..3), HOUR)
    })
    .unwrap();
    let mut stream = watch.subscribe(&store, &thread(), &log(1), NOW).unwrap();
    assert_eq!(
        read_all(&mut stream),
        [AddrEvent::Added(addr(1)), AddrEvent::Added(addr(2))]
    );
    let changes = book(&store, NOW, |b| {
        b.clear(&thread(), &log(1))?;
        b.add(&thread(), &log(1), &addrs(3..4), HOUR)?;
        b.add(&thread(), &log(2), &addrs(4..5), HOUR)?;
        b.add(&other(), &log(1), &addrs(5..6), HOUR)
    });
    watch.notify(&changes.unwrap());
    let expected = [
        AddrEvent::Removed(addr(1)),
        AddrEvent::Removed(addr(2)),
        AddrEvent::Added(addr(3)),
    ];
    assert_eq!(read_all(&mut stream), expected);
}

#[tokio::test]
async fn a_stream_wakes_its_reader() {
    let (store, watch) = (Memory::new(), AddrWatch::new());
    let mut stream = watch.subscribe(&store, &thread(), &log(1), NOW).unwrap();
    assert!(
        pin!(stream.next())
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_pending()
    );
    let reader = tokio::spawn(async move { (stream.next().await, stream.next().await) });
    tokio::task::yield_now().await;
    watch.notify(
        &book(&store, NOW, |b| {
            b.add(&thread(), &log(1), &addrs(1..2), HOUR)
        })
        .unwrap(),
    );
    drop(watch);
    assert_eq!(
        reader.await.unwrap(),
        (Some(AddrEvent::Added(addr(1))), None)
    );
}

#[test]
fn a_slow_reader_is_told_and_holds_nobody_up() {
    let (store, watch) = (Memory::new(), AddrWatch::new());
    let mut slow = watch.subscribe(&store, &thread(), &log(1), NOW).unwrap();
    let change = |n| AddrChange {
        thread: thread(),
        log: log(1),
        added: addrs(n..n + 1),
        removed: vec![],
    };
    for n in 0..PENDING_EVENTS_MAX {
        watch.notify(&[change(n)]);
    }
    assert_eq!(read_all(&mut slow).len(), PENDING_EVENTS_MAX);
    for n in 0..=PENDING_EVENTS_MAX {
        watch.notify(&[change(n)]);
    }
    watch.notify(&[change(7)]);
    assert_eq!(
        read_all(&mut slow),
        [AddrEvent::Lagged, AddrEvent::Added(addr(7))]
    );
}

#[test]
fn streams_are_bounded_and_dropped_ones_make_room() {
    let (store, watch) = (Memory::new(), AddrWatch::new());
    let one = || watch.subscribe(&store, &thread(), &log(1), NOW);
    let mut streams: Vec<_> = (0..WATCHERS_MAX).map(|_| one().unwrap()).collect();
    assert_eq!(one().unwrap_err().kind(), ErrorKind::Full);
    streams.pop();
    one().unwrap();
}

#[test]
fn keys_are_kept_apart_and_never_replaced() {
    let store = Memory::new();
    let mine = LogKey::from_bytes(&[1; 32]);
    let theirs = LogKey::from_bytes(&[2; 32]).log_id();
    let (read, replica) = (
        ReadKey::from_bytes(&[3; 32]),
        ReplicaKey::from_bytes(&[4; 32]),
    );
    store
        .transact(Durability::Group, |txn| {
            let mut keys = KeyBookMut::new(txn);
            keys.add_log_key(&thread(), &mine)?;
            keys.add_log_key(&thread(), &mine)?;
            keys.add_log(&thread(), &theirs)?;
            // Known already: the secret stays.
            keys.add_log(&thread(), &mine.log_id())?;
            keys.add_read_key(&thread(), &read)?;
            keys.add_replica_key(&thread(), &replica)?;
            keys.add_read_key(&thread(), &read)?;
            let another = keys.add_read_key(&thread(), &ReadKey::from_bytes(&[9; 32]));
            let error = another.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Conflict);
            let another = keys.add_replica_key(&thread(), &ReplicaKey::from_bytes(&[9; 32]));
            assert_eq!(another.unwrap_err().kind(), ErrorKind::Conflict);
            let weak = keys.add_log(&thread(), &LogId::from_key_bytes([0; 32]));
            assert_eq!(weak.unwrap_err().kind(), ErrorKind::Rejected);
            keys.add_read_key(&other(), &ReadKey::from_bytes(&[9; 32]))
        })
        .unwrap();
    let snapshot = store.read().unwrap();
    let keys = KeyBook::new(&*snapshot);
    assert_eq!(keys.read_key(&thread()).unwrap(), Some(read));
    assert_eq!(keys.replica_key(&thread()).unwrap(), Some(replica));
    assert_eq!(keys.replica_key(&other()).unwrap(), None);
    assert_eq!(
        keys.log_key(&thread(), &mine.log_id()).unwrap(),
        Some(mine.clone())
    );
    assert_eq!(keys.log_key(&thread(), &theirs).unwrap(), None);
    assert!(keys.has_log(&thread(), &theirs).unwrap());
    assert!(!keys.has_log(&other(), &theirs).unwrap());
    let mut logs = vec![mine.log_id(), theirs];
    logs.sort();
    assert_eq!(keys.logs(&thread()).unwrap(), logs);
    assert!(keys.logs(&other()).unwrap().is_empty());
}

#[test]
fn keys_of_epochs_are_kept_beside_those_a_thread_began_with() {
    let store = Memory::new();
    let mut txn = store.write().unwrap();
    let mut keys = KeyBookMut::new(&mut *txn);
    let [one, two, away] = [0; 3].map(|_| EpochKeys::generate(&mut system_rng()));
    // A log's row is no epoch's, nor the other way round.
    keys.add_log_key(&thread(), &LogKey::from_bytes(&[1; 32]))
        .unwrap();
    keys.add_epoch(&thread(), &one).unwrap();
    keys.add_epoch(&thread(), &two.without_read()).unwrap();
    keys.add_epoch(&other(), &away).unwrap();
    let mut numbers = vec![one.number(), two.number()];
    numbers.sort_unstable();
    let book = keys.as_read();
    assert_eq!(book.epochs(&thread()).unwrap(), numbers);
    assert_eq!(book.logs(&thread()).unwrap().len(), 1);
    assert_eq!(book.replica_key(&thread()).unwrap(), None);
    let found = |keys: &KeyBookMut<'_>, number| keys.as_read().epoch_keys(&thread(), number);
    assert_eq!(found(&keys, one.number()).unwrap(), Some(one.clone()));
    let blind = found(&keys, two.number()).unwrap();
    assert_eq!(blind, Some(two.without_read()));
    assert_eq!(found(&keys, away.number()).unwrap(), None);
    // A read key comes later, and is not lost when the keys come again without it.
    keys.add_epoch(&thread(), &two).unwrap();
    keys.add_epoch(&thread(), &two.without_read()).unwrap();
    assert_eq!(found(&keys, two.number()).unwrap(), Some(two));
    keys.clear(&thread()).unwrap();
    assert!(keys.as_read().epochs(&thread()).unwrap().is_empty());
    assert_eq!(found(&keys, one.number()).unwrap(), None);
}

/// Row 14: what is in the store under a number has to be the keys of that number.
#[test]
fn row_14_keys_under_the_number_of_others_are_damage() {
    let store = Memory::new();
    let mut txn = store.write().unwrap();
    let keys = EpochKeys::generate(&mut system_rng());
    KeyBookMut::new(&mut *txn)
        .add_epoch(&thread(), &keys)
        .unwrap();
    let all = (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
    let forward = threads_core::datastore::Direction::Forward;
    let mut rows = txn.as_read().scan(Keyspace::Keys, all, forward).unwrap();
    let (key, mut value) = rows
        .next()
        .unwrap()
        .map(|(k, v)| (k.into_owned(), v.into_owned()))
        .unwrap();
    drop(rows);
    value[0] ^= 1;
    txn.put(Keyspace::Keys, &key, &value).unwrap();
    let found = KeyBook::new(txn.as_read()).epoch_keys(&thread(), keys.number());
    assert_eq!(found.unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn a_thread_can_be_forgotten() {
    let store = Memory::new();
    let mut txn = store.write().unwrap();
    let mut keys = KeyBookMut::new(&mut *txn);
    for thread in [thread(), other()] {
        keys.add_log_key(&thread, &LogKey::from_bytes(&[1; 32]))
            .unwrap();
        keys.add_read_key(&thread, &ReadKey::from_bytes(&[3; 32]))
            .unwrap();
    }
    keys.clear(&thread()).unwrap();
    assert!(keys.as_read().logs(&thread()).unwrap().is_empty());
    assert!(keys.as_read().read_key(&thread()).unwrap().is_none());
    assert!(keys.as_read().read_key(&other()).unwrap().is_some());
}

#[test]
fn heads_move_forward_only() {
    let store = Memory::new();
    let mut txn = store.write().unwrap();
    let mut heads = HeadBookMut::new(&mut *txn);
    let head = |seq, text: &str| Head {
        seq,
        record: *Block::raw(text.as_bytes()).cid(),
        time: Hlc {
            wall_ms: 9,
            counter: 2,
        },
    };
    heads.set(&thread(), &log(2), &head(7, "a")).unwrap();
    heads.set(&thread(), &log(2), &head(7, "a")).unwrap();
    for wrong in [head(7, "b"), head(6, "c")] {
        assert_eq!(
            heads.set(&thread(), &log(2), &wrong).unwrap_err().kind(),
            ErrorKind::Conflict
        );
    }
    heads.set(&thread(), &log(2), &head(8, "b")).unwrap();
    heads.set(&thread(), &log(1), &head(1, "d")).unwrap();
    heads.set(&other(), &log(1), &head(3, "e")).unwrap();
    let expected = [(log(1), head(1, "d")), (log(2), head(8, "b"))];
    assert_eq!(heads.as_read().all(&thread()).unwrap(), expected);
    assert_eq!(
        heads.as_read().get(&other(), &log(1)).unwrap(),
        Some(head(3, "e"))
    );
    heads.clear(&thread()).unwrap();
    assert!(heads.as_read().all(&thread()).unwrap().is_empty());
    assert_eq!(heads.as_read().all(&other()).unwrap().len(), 1);
}

#[test]
fn small_values_keep_their_type() {
    let store = Memory::new();
    let mut txn = store.write().unwrap();
    let mut metadata = MetadataBookMut::new(&mut *txn);
    metadata.put(&thread(), "title", "Holidays").unwrap();
    metadata.put(&thread(), "count", &7_i64).unwrap();
    metadata.put(&thread(), "open", &true).unwrap();
    let read = metadata.as_read();
    assert_eq!(
        read.get::<String>(&thread(), "title").unwrap().as_deref(),
        Some("Holidays")
    );
    assert_eq!(read.get::<i64>(&thread(), "count").unwrap(), Some(7));
    assert_eq!(read.get::<bool>(&thread(), "open").unwrap(), Some(true));
    assert_eq!(read.get::<bool>(&thread(), "closed").unwrap(), None);
    assert_eq!(read.get::<bool>(&other(), "open").unwrap(), None);
    assert_eq!(
        read.get::<bool>(&thread(), "title").unwrap_err().kind(),
        ErrorKind::Invalid
    );
    metadata.delete(&thread(), "open").unwrap();
    assert_eq!(
        metadata.as_read().get::<bool>(&thread(), "open").unwrap(),
        None
    );
    for name in ["", &"n".repeat(65)] {
        assert!(metadata.put(&thread(), name, &1).is_err());
    }
    let large = "x".repeat(METADATA_BYTES_MAX);
    assert!(metadata.put(&thread(), "large", &large).is_err());
    assert!(metadata.put(&thread(), "large", &large[8..]).is_ok());
}

#[test]
fn damaged_rows_are_corrupt_and_never_wrong() {
    let store = Memory::new();
    let head = Head {
        seq: 1,
        record: *Block::raw(*b"x").cid(),
        time: Hlc::ZERO,
    };
    store
        .transact(Durability::Group, |txn| {
            HeadBookMut::new(txn).set(&thread(), &log(1), &head)?;
            KeyBookMut::new(txn).add_read_key(&thread(), &ReadKey::from_bytes(&[3; 32]))?;
            AddrBookMut::new(txn, NOW).add(&thread(), &log(1), &addrs(1..2), HOUR)
        })
        .unwrap();
    store
        .transact(Durability::Group, |txn| {
            for space in [Keyspace::Heads, Keyspace::Keys, Keyspace::Addresses] {
                let all = (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
                let forward = threads_core::datastore::Direction::Forward;
                let (key, value) = txn.scan(space, all, forward)?.next().unwrap()?;
                let (key, value) = (key.into_owned(), value[..value.len() - 1].to_vec());
                txn.put(space, &key, &value)?;
            }
            Ok(())
        })
        .unwrap();
    let snapshot = store.read().unwrap();
    let heads = HeadBook::new(&*snapshot);
    assert_eq!(
        heads.get(&thread(), &log(1)).unwrap_err().kind(),
        ErrorKind::Corrupt
    );
    assert_eq!(heads.all(&thread()).unwrap_err().kind(), ErrorKind::Corrupt);
    let keys = KeyBook::new(&*snapshot);
    assert_eq!(
        keys.read_key(&thread()).unwrap_err().kind(),
        ErrorKind::Corrupt
    );
    let addrs = threads_core::books::AddrBook::new(&*snapshot, NOW);
    assert_eq!(
        addrs.addrs(&thread(), &log(1)).unwrap_err().kind(),
        ErrorKind::Corrupt
    );
    assert!(
        MetadataBook::new(&*snapshot)
            .get::<u8>(&thread(), "n")
            .unwrap()
            .is_none()
    );
}
