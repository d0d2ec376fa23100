//! Nodes that dropped old records, and those that need them.

use serde_json::json;
use threads_db::{CompactOptions, Keep};

use crate::net::Net;

const HERE: usize = 0;
const THERE: usize = 1;
const LATER: usize = 2;

fn compact(net: &Net, node: usize) {
    let mut options = CompactOptions::new(Keep::Latest);
    options.even_alone = true;
    let did = net.db(node).compact(&options, &mut |_| ()).unwrap();
    assert!(did.dropped > 10, "{did:?}");
}

fn clean(net: &Net, node: usize) {
    assert_eq!(net.db(node).verify(&mut |_| ()).unwrap().problems, []);
}

fn edited(nodes: usize) -> Net {
    let mut net = Net::new(nodes);
    net.shared_thread();
    net.connect(HERE, THERE);
    for n in 0..40 {
        net.put(HERE, json!({"_id": "x", "n": n}));
    }
    net.run();
    net
}

#[test]
fn what_waits_for_older_records_gets_them_from_a_peer_that_has_them() {
    let mut net = edited(3);
    net.connect(HERE, LATER);
    net.run();
    net.part(HERE, THERE);
    net.put(THERE, json!({"_id": "x", "there": 1}));
    net.run_for(1_000);
    net.put(HERE, json!({"_id": "x", "here": 1}));
    net.put(HERE, json!({"_id": "y"}));
    net.run();
    let careful = CompactOptions::new(Keep::Latest);
    let refused = net.db(HERE).compact(&careful, &mut |_| ());
    assert!(refused.is_err(), "no peer promises to keep what it has");
    compact(&net, HERE);
    clean(&net, HERE);
    net.connect(HERE, THERE);
    net.connect(LATER, THERE);
    net.run_for(60_000);
    let db = net.db(HERE);
    assert!(db.base().unwrap().is_none(), "it has all records again");
    assert!(db.held().unwrap().is_empty());
    for id in ["x", "y"] {
        assert_eq!(net.get(HERE, id), net.get(THERE, id));
    }
    [HERE, THERE].iter().for_each(|node| clean(&net, *node));
}

#[test]
fn nobody_is_asked_for_older_records_that_nothing_needs() {
    let mut net = edited(2);
    compact(&net, HERE);
    net.put(THERE, json!({"_id": "x", "there": 1}));
    net.run_for(60_000);
    assert_eq!(net.get(HERE, "x"), net.get(THERE, "x"));
    assert!(net.db(HERE).base().unwrap().is_some());
}

#[test]
fn who_asks_for_what_was_dropped_gets_it_elsewhere_and_is_not_called_level() {
    let mut net = edited(3);
    compact(&net, HERE);
    net.connect(HERE, LATER);
    net.run_for(10_000);
    assert_eq!(net.get(LATER, "x"), None);
    assert!(!net.db(LATER).sync_status().unwrap().is_in_sync());
    net.connect(THERE, LATER);
    net.run_for(60_000);
    assert_eq!(net.get(LATER, "x"), net.get(THERE, "x"));
    clean(&net, LATER);
}

#[test]
fn who_dropped_records_signs_for_no_log_of_them() {
    let mut net = edited(2);
    compact(&net, THERE);
    net.put(HERE, json!({"_id": "x", "n": 41}));
    net.run_for(60_000);
    let record = net.db(HERE).log(Some(1)).unwrap()[0].record;
    assert_eq!(net.get(THERE, "x"), net.get(HERE, "x"));
    assert!(net.db(HERE).replicas_of(&record).unwrap().is_empty());
}
