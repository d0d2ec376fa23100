//! Keys and values.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;
use threads_core::ErrorKind;
use threads_shapes::{Kv, key};

use crate::peers::{PEERS, Peers, Step, steps};

#[derive(Clone, Debug)]
enum Act {
    Put(Vec<u8>, Vec<u8>),
    Del(Vec<u8>),
    Batch(Vec<(Vec<u8>, Option<Vec<u8>>)>),
}

/// Few keys, which differ where ids could go wrong: around what stands for itself, and by prefixes.
fn any_key() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop::sample::select(b"!\"az}~ \x00\x7f\x80\xff".to_vec());
    prop::collection::vec(byte, 1..4)
}

fn few_keys() -> impl Strategy<Value = Vec<u8>> {
    prop::sample::select(vec![b"a".to_vec(), b"b".to_vec(), vec![0], vec![0xff]])
}

fn act(key: BoxedStrategy<Vec<u8>>) -> impl Strategy<Value = Act> {
    let value = || prop::collection::vec(any::<u8>(), 0..3);
    let change = (key.clone(), prop::option::of(value()));
    prop_oneof![
        (key.clone(), value()).prop_map(|(key, value)| Act::Put(key, value)),
        key.prop_map(Act::Del),
        prop::collection::vec(change, 0..4).prop_map(Act::Batch),
    ]
}

fn carry_out(kv: &Kv, act: &Act) {
    match act {
        Act::Put(key, value) => kv.put(key, value).unwrap(),
        Act::Del(key) => drop(kv.del(key).unwrap()),
        Act::Batch(changes) => kv
            .write(|batch| {
                changes.iter().try_for_each(|(key, value)| match value {
                    Some(value) => batch.put(key, value),
                    None => batch.del(key).map(drop),
                })
            })
            .unwrap(),
    }
}

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn model(model: &mut Model, act: &Act) {
    let mut change = |key: &Vec<u8>, value: Option<&Vec<u8>>| match value {
        Some(value) => drop(model.insert(key.clone(), value.clone())),
        None => drop(model.remove(key)),
    };
    match act {
        Act::Put(key, value) => change(key, Some(value)),
        Act::Del(key) => change(key, None),
        Act::Batch(changes) => changes
            .iter()
            .for_each(|(key, value)| change(key, value.as_ref())),
    }
}

/// Everything, in order.
fn all(kv: &Kv) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut pairs = Vec::new();
    kv.for_each::<&[u8]>(.., &mut |key, value| {
        pairs.push((key, value));
        Ok(true)
    })
    .unwrap();
    pairs
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn one_peer_has_what_an_ordered_map_has(
        acts in prop::collection::vec(act(any_key().boxed()), 0..24),
        low in any_key(),
        high in any_key(),
    ) {
        let peers = Peers::alone();
        let kv = Kv::open(&peers.dbs[0], "kv").unwrap();
        let mut map = Model::new();
        for act in &acts {
            carry_out(&kv, act);
            model(&mut map, act);
        }
        let pairs = |pairs: &mut dyn Iterator<Item = (&Vec<u8>, &Vec<u8>)>| -> Vec<_> {
            pairs.map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        prop_assert_eq!(all(&kv), pairs(&mut map.iter()));
        prop_assert_eq!(kv.count().unwrap(), map.len() as u64);
        for key in map.keys().chain([&low, &high]) {
            prop_assert_eq!(kv.get(key).unwrap(), map.get(key).cloned());
        }
        if low <= high {
            let range = low.clone()..high.clone();
            prop_assert_eq!(kv.range(range.clone(), 100).unwrap(), pairs(&mut map.range(range.clone())));
            let mut back = pairs(&mut map.range(range.clone()));
            back.reverse();
            back.truncate(2);
            prop_assert_eq!(kv.range_back(range, 2).unwrap(), back);
        }
        let begins = |key: &Vec<u8>| key.starts_with(&low);
        let begin = pairs(&mut map.iter().filter(|(key, _)| begins(key)));
        prop_assert_eq!(kv.prefix(&low, 100).unwrap(), begin);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn peers_that_were_apart_agree(history in steps(act(few_keys().boxed()))) {
        let mut peers = Peers::new(|db| drop(Kv::open(db, "kv").unwrap()));
        let kvs: Vec<_> = peers.dbs.iter().map(|db| Kv::open(db, "kv").unwrap()).collect();
        for step in &history {
            peers.tick();
            match step {
                Step::Do(peer, act) => carry_out(&kvs[*peer], act),
                Step::Tell(from, to) => peers.tell(*from, *to),
            }
        }
        peers.meet();
        for peer in 1..PEERS {
            prop_assert_eq!(all(&kvs[peer]), all(&kvs[0]));
        }
    }
}

#[test]
fn keys_order_as_their_bytes_do() {
    let keys: Vec<Vec<u8>> = (0..=255_u8)
        .flat_map(|byte| [vec![byte], vec![byte, 0], vec![byte, 255], vec![b'a', byte]])
        .collect();
    for one in &keys {
        let id = key::to_id(one).unwrap();
        assert_eq!(key::of_id(&id).unwrap(), *one);
        for other in &keys {
            let ids = id.cmp(&key::to_id(other).unwrap());
            assert_eq!(ids, one.cmp(other), "{one:?} and {other:?}");
            let begins = id.starts_with(&key::to_id(other).unwrap());
            assert_eq!(begins, one.starts_with(other));
        }
    }
}

#[test]
fn a_put_wins_over_a_delete_that_did_not_know_of_it() {
    let mut peers = Peers::new(|db| Kv::open(db, "kv").unwrap().put("k", "old").unwrap());
    let kvs: Vec<_> = peers
        .dbs
        .iter()
        .map(|db| Kv::open(db, "kv").unwrap())
        .collect();
    kvs[0].put("k", "new").unwrap();
    peers.tick();
    // Later, and by a clock that is ahead.
    assert!(kvs[1].del("k").unwrap());
    peers.meet();
    for kv in &kvs {
        assert_eq!(kv.get("k").unwrap().unwrap(), b"new");
    }
    // A delete that knows of it counts, and the key can be used again.
    assert!(kvs[2].del("k").unwrap());
    peers.meet();
    assert!(kvs.iter().all(|kv| all(kv).is_empty()));
    kvs[1].put("k", "again").unwrap();
    peers.meet();
    assert!(kvs.iter().all(|kv| kv.count().unwrap() == 1));
}

#[test]
fn limits_hold_and_what_others_wrote_is_no_value() {
    let peers = Peers::alone();
    let kv = Kv::open(&peers.dbs[0], "kv").unwrap();
    kv.put([b'a'; 256], "v").unwrap();
    kv.put([0xff; 85], vec![0xff; 700_000]).unwrap();
    assert_eq!(kv.get([0xff; 85]).unwrap().unwrap().len(), 700_000);
    for (key, value) in [
        (vec![], 1),
        (vec![b'a'; 257], 1),
        (vec![0xff; 86], 1),
        (vec![b'a'], 1 << 20),
    ] {
        let refused = kv.put(key, "v".repeat(value)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
    }
    // A batch that fails does nothing.
    let failed = kv.write(|batch| {
        batch.put("b", "1")?;
        batch.put("", "2")
    });
    assert!(failed.is_err() && kv.get("b").unwrap().is_none());
    let plain = peers.dbs[0].collection("kv").unwrap();
    plain
        .create(&json!({"_id": "foreign", "value": {"n": 1}}))
        .unwrap();
    assert_eq!(kv.get("foreign").unwrap_err().kind(), ErrorKind::Invalid);
    plain
        .create(&json!({"_id": "é", "value": "no key is so"}))
        .unwrap();
    assert_eq!(all(&kv).len(), 2);
}
