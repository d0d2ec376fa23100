//! Reducers' views, policies and modules: what they can and cannot do.

#![expect(clippy::unwrap_used, reason = "a helper of tests may fail like a test")]

use std::sync::Arc;

use serde_json::json;
use threads_core::datastore::{Datastore, DatastoreExt, Direction, Durability, Keyspace, Memory};
use threads_core::module::{CollectionSpec, INDEX_PATHS_MAX, INDEXES_MAX, IndexSpec, Module};
use threads_core::policy::{AccessPolicy, Candidate, OpenPolicy, Verdict};
use threads_core::reducer::{
    DispatchedEvent, ReadView, Reducer, VIEW_KEY_BYTES_MAX, View, view_prefix,
};
use threads_core::{ErrorKind, LogId, PeerId, ThreadId};

fn threads() -> [ThreadId; 2] {
    [
        "bafkxd5bjgi6k4zivuoyxo4ua4mzyy",
        "bafykrq5i25vd64ghamtgus6lue74k",
    ]
    .map(|t| t.parse().unwrap())
}

const _: () = {
    const fn usable<T: ?Sized + Send + Sync>() {}
    usable::<dyn Reducer>();
    usable::<dyn AccessPolicy>();
    usable::<dyn Module>();
};

#[test]
fn views_never_meet() {
    let store = Memory::new();
    let [one, other] = threads();
    let prefixes: Vec<_> = [(&one, "a"), (&one, "ab"), (&other, "a"), (&one, "a\u{1}")]
        .iter()
        .map(|(thread, name)| view_prefix(thread, name).unwrap())
        .collect();
    store
        .transact(Durability::Group, |txn| {
            for (i, prefix) in prefixes.iter().enumerate() {
                let mut view = View::new(txn, prefix)?;
                for key in [&b""[..], b"b", &[0xff; 3]] {
                    view.put(key, &[i as u8])?;
                }
            }
            // Clearing one leaves the others.
            View::new(txn, &prefixes[0])?.clear()
        })
        .unwrap();
    let snapshot = store.read().unwrap();
    for (i, prefix) in prefixes.iter().enumerate() {
        let view = ReadView::new(&*snapshot, prefix).unwrap();
        let rows: Vec<_> = view
            .scan(b"", Direction::Forward)
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let expected: &[&[u8]] = if i == 0 {
            &[]
        } else {
            &[b"", b"b", &[0xff; 3]]
        };
        assert_eq!(rows.iter().map(|row| &*row.0).collect::<Vec<_>>(), expected);
        assert!(rows.iter().all(|row| *row.1 == [i as u8]));
        assert_eq!(view.get(b"b").unwrap().is_some(), i != 0);
    }
}

#[test]
fn a_view_scans_by_prefix_in_both_directions() {
    let store = Memory::new();
    let mut txn = store.write().unwrap();
    let mut view = View::new(&mut *txn, b"mine").unwrap();
    for key in [&b"a"[..], b"a1", b"a2", b"b"] {
        view.put(key, b"").unwrap();
    }
    view.delete(b"a1").unwrap();
    view.delete(b"absent").unwrap();
    let keys = |direction| {
        let rows = view.scan(b"a", direction).unwrap();
        rows.map(|row| row.unwrap().0.into_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(keys(Direction::Forward), [&b"a"[..], b"a2"]);
    assert_eq!(keys(Direction::Reverse), [&b"a2"[..], b"a"]);
}

#[test]
fn a_view_writes_to_its_keyspace_alone() {
    let store = Memory::new();
    store
        .transact(Durability::Group, |txn| {
            View::new(txn, b"mine")?.put(b"k", b"v")
        })
        .unwrap();
    let snapshot = store.read().unwrap();
    for space in Keyspace::ALL {
        let all = (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
        let rows = snapshot
            .scan(*space, all, Direction::Forward)
            .unwrap()
            .count();
        assert_eq!(rows, usize::from(*space == Keyspace::Views));
    }
}

#[test]
fn a_view_bounds_its_keys() {
    let store = Memory::new();
    let mut txn = store.write().unwrap();
    let name = "n".repeat(64);
    let longest = ThreadId::from_bytes(&[&[1, 0x55][..], &[7; 64]].concat()).unwrap();
    let prefix = view_prefix(&longest, &name).unwrap();
    let mut view = View::new(&mut *txn, &prefix).unwrap();
    view.put(&[b'k'; VIEW_KEY_BYTES_MAX], b"").unwrap();
    let error = view.put(&[b'k'; VIEW_KEY_BYTES_MAX + 1], b"").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(view.get(&[b'k'; VIEW_KEY_BYTES_MAX + 1]).is_err());
    assert!(view_prefix(&longest, &"n".repeat(65)).is_err());
    assert!(View::new(&mut *txn, &[1; 192]).is_err());
}

#[test]
fn clearing_takes_any_number_of_rows() {
    let store = Memory::new();
    let mut txn = store.write().unwrap();
    let mut view = View::new(&mut *txn, b"mine").unwrap();
    for i in 0..2500_u32 {
        view.put(&i.to_be_bytes(), b"").unwrap();
    }
    view.clear().unwrap();
    assert_eq!(view.scan(b"", Direction::Forward).unwrap().count(), 0);
}

#[test]
fn an_event_shows_no_values() {
    let event = DispatchedEvent {
        thread: threads()[0].clone(),
        record: threads_core::Cid::default(),
        log: LogId::from_key_bytes([7; 32]),
        seq: 1,
        time: threads_core::Hlc::ZERO,
        collection: "Person".parse().unwrap(),
        entity: "alice".parse().unwrap(),
        action: threads_core::codec::ActionKind::Save,
        before: Some(Arc::new(json!({"secret": "old"}))),
        after: Some(Arc::new(json!({"secret": "new"}))),
    };
    let shown = format!("{event:?}");
    assert!(
        shown.contains("alice") && !shown.contains("secret"),
        "{shown}"
    );
}

#[test]
fn the_open_policy_accepts() {
    let thread = &threads()[0];
    let candidate = Candidate {
        thread,
        author: PeerId::from_key_bytes([1; 32]),
        log: LogId::from_key_bytes([2; 32]),
        seq: 1,
        deps: &[],
        acl: &[],
        changes: None,
        within: &|_| Ok(false),
    };
    let store = Memory::new();
    let policy: Arc<dyn AccessPolicy> = Arc::new(OpenPolicy);
    let verdict = policy.judge(&candidate, &*store.read().unwrap()).unwrap();
    assert_eq!(verdict, Verdict::Accept);
}

fn spec() -> CollectionSpec {
    CollectionSpec::new("Person".parse().unwrap(), "jsonpatch/1".parse().unwrap())
}

#[test]
fn a_specification_survives_json_and_omits_what_is_not_there() {
    assert_eq!(
        serde_json::to_value(spec()).unwrap(),
        json!({"name": "Person", "codec": "jsonpatch/1"})
    );
    let full = spec().with_schema(json!({"type": "object"})).with_index(
        IndexSpec::on("a.b".parse().unwrap())
            .then("c".parse().unwrap())
            .unique(),
    );
    let json = serde_json::to_string(&full).unwrap();
    assert_eq!(serde_json::from_str::<CollectionSpec>(&json).unwrap(), full);
    let cbor = serde_ipld_dagcbor::to_vec(&full).unwrap();
    assert_eq!(
        serde_ipld_dagcbor::from_slice::<CollectionSpec>(&cbor).unwrap(),
        full
    );
}

#[test]
fn a_specification_is_bounded() {
    let on = |i: usize| IndexSpec::on(format!("f{i}").parse().unwrap());
    let many = |n: usize| (0..n).fold(spec(), |spec, i| spec.with_index(on(i)));
    assert!(many(INDEXES_MAX).check().is_ok());
    assert!(many(INDEXES_MAX + 1).check().is_err());
    let wide = |n: usize| IndexSpec {
        paths: (0..n).map(|i| on(i).paths.remove(0)).collect(),
        unique: false,
    };
    assert!(spec().with_index(wide(INDEX_PATHS_MAX)).check().is_ok());
    assert!(
        spec()
            .with_index(wide(INDEX_PATHS_MAX + 1))
            .check()
            .is_err()
    );
    assert!(spec().with_index(wide(0)).check().is_err());
    let twice = spec().with_index(on(1)).with_index(on(1).unique());
    let error = twice.check().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("same fields"), "{error}");
}
