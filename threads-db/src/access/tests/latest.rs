//! More latest access records than a record can name.

use threads_acl::Acl;
use threads_core::block::{DAG_CBOR, cid_of};
use threads_core::datastore::{Datastore, DatastoreExt, Durability, Keyspace, Memory};
use threads_core::record::LINKS_MAX;
use threads_core::{Cid, Variant, block};

use crate::access::{enter, to_name};
use crate::layout::{Place, meta};
use crate::node::Node;

fn cid(number: usize) -> Cid {
    cid_of(DAG_CBOR, &number.to_be_bytes())
}

#[test]
fn of_too_many_to_name_what_was_named_before_is_named_again() {
    let node = Node::builder(Memory::new())
        .policy(Acl::new())
        .open()
        .unwrap();
    let db = node.create_with("team", Variant::AccessControlled).unwrap();
    let place = Place {
        thread: db.thread().number,
        log: 7,
        seq: 2,
    };
    let all: Vec<Cid> = (0..LINKS_MAX + 20).map(cid).collect();
    let mut known = all.clone();
    known.sort();
    // Those that would be left out.
    let known = known.split_off(LINKS_MAX + 10);
    let note = |txn: &mut dyn threads_core::datastore::WriteTxn| {
        for one in &all {
            enter(txn, place, (one, &[]))?;
        }
        let key = meta::known_access(place.thread, place.log);
        txn.put(Keyspace::Meta, &key, &block::encode(&known)?)
    };
    let store = &db.thread().node.store;
    store.transact(Durability::Relaxed, note).unwrap();
    let named = to_name(&*store.read().unwrap(), place).unwrap();
    assert_eq!(named.len(), LINKS_MAX);
    assert!(named.is_sorted() && known.iter().all(|cid| named.contains(cid)));
}
