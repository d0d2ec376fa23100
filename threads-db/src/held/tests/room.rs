//! How much is held: of a thread, of an author, on the node; and what is given up for more.

use super::*;

fn kept_seqs(txn: &dyn ReadTxn, thread: Number) -> Vec<u64> {
    let arrivals = arrivals(txn, thread).unwrap().into_iter();
    let entries = arrivals.map(|arrival| get(txn, thread, arrival).unwrap().unwrap());
    entries.map(|entry| entry.row.seq).collect()
}

#[test]
fn row_35_a_flood_that_waits_is_bounded_and_the_oldest_unneeded_is_given_up() {
    let store = Memory::new();
    let mut txn = store.write().unwrap();
    let first = waits(0, 1);
    assert!(keep(&mut *txn, 7, None, &first).unwrap().kept);
    // One that waits for the first keeps it from being given up.
    let needs = entry(1, 1, Why::Missing(vec![first.row.record]));
    assert!(keep(&mut *txn, 7, None, &needs).unwrap().kept);
    for n in 2..RECORDS_MAX {
        assert_eq!(keep(&mut *txn, 7, None, &waits(n, 1)).unwrap().given_up, 0);
    }
    let room = keep(&mut *txn, 7, None, &waits(RECORDS_MAX, 1)).unwrap();
    assert_eq!((room.kept, room.given_up), (true, 1));
    assert_eq!(
        kept_seqs(&*txn, 7)[..2],
        [0, 2],
        "1 was the oldest unneeded"
    );
    let tally = Tally::get(&*txn, Keyspace::Held, &layout::held::tally(7, &[])).unwrap();
    assert_eq!(tally.records, RECORDS_MAX);
    // Another thread has its own bound.
    assert_eq!(keep(&mut *txn, 8, None, &waits(0, 1)).unwrap().given_up, 0);
}

#[test]
fn row_35_bytes_are_bounded_by_thread_and_by_node() {
    const MIB: usize = 1024 * 1024;
    let store = Memory::new();
    let mut txn = store.write().unwrap();
    for thread in 0..6 {
        for n in 0..80 {
            keep(&mut *txn, thread, None, &waits(n, MIB)).unwrap();
        }
    }
    let node = Tally::get(&*txn, Keyspace::Meta, meta::HELD).unwrap();
    assert!(
        node.bytes <= WAITING_BYTES_MAX && node.records == 255,
        "{node:?}"
    );
    let seqs = kept_seqs(&*txn, 0);
    assert_eq!((seqs.len(), seqs[0]), (63, 17), "the oldest made room");
    assert!(
        kept_seqs(&*txn, 5).is_empty(),
        "the node had no room for it"
    );
    forget(&mut *txn, 0).unwrap();
    let node = Tally::get(&*txn, Keyspace::Meta, meta::HELD).unwrap();
    assert_eq!(node.records, 192);
}

#[test]
fn row_35_quarantine_is_bounded_by_author_and_gives_nothing_up() {
    let store = Memory::new();
    let mut txn = store.write().unwrap();
    let by = |n, author| {
        let mut entry = entry(n, 1, Why::quarantine("x".repeat(10_000)));
        entry.row.author = Some(PeerId::from_key_bytes([author; 32]));
        entry
    };
    for n in 0..RECORDS_MAX {
        assert!(keep(&mut *txn, 7, None, &by(n, 1)).unwrap().kept);
    }
    let refused = keep(&mut *txn, 7, None, &by(RECORDS_MAX, 1)).unwrap();
    assert_eq!((refused.kept, refused.given_up), (false, 0));
    assert!(keep(&mut *txn, 7, None, &by(RECORDS_MAX, 2)).unwrap().kept);
    assert!(keep(&mut *txn, 7, None, &waits(0, 1)).unwrap().kept);
    let why = get(&*txn, 7, 0).unwrap().unwrap().row.why;
    assert_eq!(why, Why::Quarantine("x".repeat(WHY_CHARS_MAX)));
}

#[test]
fn row_35_what_is_in_quarantine_does_not_keep_the_oldest_that_waits_from_being_given_up() {
    let store = Memory::new();
    let mut txn = store.write().unwrap();
    for n in 0..100 {
        let apart = entry(RECORDS_MAX + 1 + n, 1, Why::quarantine("odd"));
        assert!(keep(&mut *txn, 7, None, &apart).unwrap().kept);
    }
    for n in 0..RECORDS_MAX {
        assert!(keep(&mut *txn, 7, None, &waits(n, 1)).unwrap().kept);
    }
    let room = keep(&mut *txn, 7, None, &waits(RECORDS_MAX, 1)).unwrap();
    assert_eq!((room.kept, room.given_up), (true, 1));
    assert_eq!(kept_seqs(&*txn, 7)[100], 1, "0 was the oldest that waited");
}

#[test]
fn row_35_quarantine_takes_no_room_of_what_waits_and_nothing_is_given_up_in_vain() {
    const MIB: usize = 1024 * 1024;
    let store = Memory::new();
    let mut txn = store.write().unwrap();
    for author in 0..5 {
        for n in 0..63 {
            let mut apart = entry(n, MIB, Why::quarantine("odd"));
            apart.row.author = Some(PeerId::from_key_bytes([author; 32]));
            keep(&mut *txn, 7, None, &apart).unwrap();
        }
    }
    assert_eq!(kept_seqs(&*txn, 7).len(), 127, "the bound of a node");
    for thread in [8, 9, 10, 11] {
        for n in 0..63 {
            let room = keep(&mut *txn, thread, None, &waits(n, MIB)).unwrap();
            assert_eq!((room.kept, room.given_up), (true, 0));
        }
    }
    // Three more fit. Then only another thread's could make room for a long one.
    assert!(keep(&mut *txn, 6, None, &waits(0, MIB)).unwrap().kept);
    let room = keep(&mut *txn, 6, None, &waits(1, 9 * MIB)).unwrap();
    assert_eq!((room.kept, room.given_up), (false, 0));
    assert_eq!(kept_seqs(&*txn, 6), [0]);
}

/// There is always room for what stands in its log, so it must not take that of others.
#[test]
fn what_stands_and_is_not_applied_takes_no_room_of_what_waits_in_other_threads() {
    let store = Memory::new();
    let mut txn = store.write().unwrap();
    let (node, most) = (meta::HELD_WAITING, WAITING_BYTES_MAX);
    for n in 0..1_000 {
        let mut stands = entry(n, 1, Why::access("the author may not write"));
        stands.blocks = None;
        assert!(keep(&mut *txn, 7, None, &stands).unwrap().kept);
    }
    let count = |txn: &dyn ReadTxn, key| Tally::get(txn, Keyspace::Meta, key).unwrap();
    assert_eq!(count(&*txn, meta::HELD).records, 1_000);
    assert_eq!(count(&*txn, node), Tally::default());
    assert_eq!(count(&*txn, meta::HELD_APART), Tally::default());
    // As if there were as many of them as a node waits for: another thread's find room.
    let full = Tally {
        records: 1,
        bytes: most,
    };
    full.put(&mut *txn, Keyspace::Meta, meta::HELD).unwrap();
    assert!(keep(&mut *txn, 8, None, &waits(0, 1)).unwrap().kept);
    let waiting = count(&*txn, node);
    assert_eq!(waiting.records, 1);
    forget(&mut *txn, 8).unwrap();
    assert_eq!(count(&*txn, node), Tally::default());
}

/// Whoever follows its log, or names it in another one, waits for it.
#[test]
fn row_35_a_full_quarantine_does_not_block_the_log_of_what_is_kept_apart() {
    let source = source(1);
    let copy = empty_copy(&source, &Arc::default());
    take(&copy, &records(&source));
    let (author, key) = (
        IdentityKey::generate(&mut system_rng()),
        LogKey::generate(&mut system_rng()),
    );
    let (thread, number) = (copy.thread(), copy.thread().number);
    thread
        .node
        .store
        .transact(Durability::Group, |txn| {
            (0..RECORDS_MAX).try_for_each(|n| {
                let mut apart = entry(n, 1, Why::quarantine("odd"));
                apart.row.author = Some(author.peer_id());
                keep(txn, number, None, &apart).map(|room| assert!(room.kept))
            })
        })
        .unwrap();
    let bad = sealed_as(&copy, &author, &key, None, Some(b"another body"));
    assert_eq!(take(&copy, std::slice::from_ref(&bad)).dropped, 0);
    let next = sealed_at(&copy, &author, &key, 6, Some(bad.record_id()), None);
    assert_eq!(take(&copy, std::slice::from_ref(&next)).new, 1);
    assert_eq!(copy.held_counts().unwrap().quarantined, RECORDS_MAX + 1);
}
