//! Forks: one author, two records for one place, by a backup that was put back and written to.

use serde_json::json;
use threads_codec_jsonpatch::JsonPatch;
use threads_core::datastore::Memory;
use threads_db::{ExportOptions, Node, RestoreOptions};

use crate::net::Net;

/// Two nodes that share a thread; the first wrote `before` records that both have, then `lost` ones that
/// the second has alone, and `again` others in their places.
fn forked(before: usize, lost: usize, again: usize) -> Net {
    let mut net = Net::new(2);
    net.shared_thread();
    for n in 0..before {
        net.put(0, json!({"_id": "common", "n": n}));
    }
    net.connect(0, 1);
    net.run();
    let backup = net.backup(0);
    for n in 0..lost {
        net.put(0, json!({"_id": format!("lost{n}")}));
    }
    net.run();
    net.part(0, 1);
    net.run();
    net.put_back(0, backup);
    for n in 0..again {
        net.put(0, json!({"_id": format!("again{n}")}));
    }
    net
}

fn assert_converged(net: &Net, lost: usize, again: usize) {
    let id = net.db(0).id().clone();
    net.assert_level(&id);
    for node in 0..2 {
        for n in 0..lost {
            assert!(
                net.get(node, &format!("lost{n}")).is_some(),
                "{node}: lost{n}"
            );
        }
        for n in 0..again {
            assert!(
                net.get(node, &format!("again{n}")).is_some(),
                "{node}: again{n}"
            );
        }
        let status = net.db(node).sync_status().unwrap();
        assert!(status.is_in_sync(), "{node}: {status:?}");
        let report = net.db(node).verify(&mut |_| ()).unwrap();
        assert!(report.is_clean(), "{node}: {report:?}");
        let machine = format!("{:?}", net.machine(node));
        assert!(machine.contains("active: 0"), "{machine}");
    }
}

const LENGTHS: [(usize, usize, usize); 7] = [
    (1, 1, 1),
    (1, 1, 3),
    (2, 3, 1),
    (0, 2, 2),
    (4, 40, 3),
    (4, 3, 40),
    // Deeper than one page of what is asked for to find it.
    (520, 520, 520),
];

#[test]
fn row_09_both_branches_of_a_fork_are_kept_whatever_their_lengths() {
    for (before, lost, again) in LENGTHS {
        let mut net = forked(before, lost, again);
        net.connect(0, 1);
        net.run();
        assert_converged(&net, lost, again);
    }
}

#[test]
fn row_09_a_fork_is_told_of_with_its_proof_and_nothing_is_undone() {
    let mut net = forked(2, 2, 3);
    let before = net.get(1, "lost1");
    net.connect(0, 1);
    net.run();
    assert_eq!(net.get(1, "lost1"), before);
    let forks = net.db(1).forks().unwrap();
    assert_eq!(forks, net.db(0).forks().unwrap(), "all tell the same");
    let [fork] = &forks[..] else {
        panic!("{forks:?}")
    };
    let author = Some(net.node(0).peer_id());
    assert!(fork.branches.iter().all(|branch| branch.author == author));
    // The definition and two entities come before it.
    assert_eq!((fork.at, fork.branches.len()), (4, 2));
    let mut ends: Vec<_> = fork.branches.iter().map(|branch| branch.last).collect();
    ends.sort_unstable();
    assert_eq!(ends, [5, 6]);
    let shown: Vec<_> = fork
        .branches
        .iter()
        .map(|branch| net.db(1).show(&branch.first).unwrap())
        .collect();
    assert_eq!(shown[0].prev, shown[1].prev);
    assert_eq!((shown[0].log, shown[0].seq), (fork.log, fork.at));
    assert_ne!(shown[0].signature, shown[1].signature);
}

#[test]
fn row_09_whoever_forked_a_log_goes_on_in_a_new_one() {
    let mut net = forked(1, 2, 1);
    net.connect(0, 1);
    net.run();
    net.put(0, json!({"_id": "later"}));
    net.run();
    assert_converged(&net, 2, 1);
    assert!(net.get(1, "later").is_some());
    let status = net.db(1).sync_status().unwrap();
    let logs = status.logs.iter();
    let whole = logs.filter(|log| log.branch.is_none()).count();
    assert_eq!((status.logs.len(), whole), (4, 2), "{status:?}");
    let log = net.db(0).log(Some(1)).unwrap();
    let later = net.db(0).show(&log[0].record).unwrap();
    assert_eq!(later.seq, 1);
    assert_eq!(
        later.deps.len(),
        2,
        "it names both branches: {:?}",
        later.deps
    );
}

#[test]
fn a_log_forked_thrice_and_again_on_a_branch_is_the_same_tree_everywhere() {
    let mut net = Net::new(4);
    net.shared_thread();
    net.connect(0, 1);
    net.run();
    let first = net.backup(0);
    net.put(0, json!({"_id": "a"}));
    let second = net.backup(0);
    net.put(0, json!({"_id": "ab"}));
    net.run();
    net.part(0, 1);
    // Each peer sees another branch.
    for (peer, backup, id) in [(2, second, "ac"), (3, first, "b")] {
        net.run();
        net.put_back(0, backup);
        net.put(0, json!({"_id": id}));
        net.connect(0, peer);
        net.run();
        net.part(0, peer);
    }
    net.connect(1, 2);
    net.run();
    net.connect(2, 3);
    net.connect(0, 1);
    net.run();
    let forks = net.db(0).forks().unwrap();
    assert_eq!(forks.len(), 2, "{forks:?}");
    let thread = net.db(0).id().clone();
    net.assert_level(&thread);
    for node in 0..4 {
        for id in ["a", "ab", "ac", "b"] {
            assert!(net.get(node, id).is_some(), "{node}: {id}");
        }
        assert_eq!(net.db(node).forks().unwrap(), forks, "{node}");
        let report = net.db(node).verify(&mut |_| ()).unwrap();
        assert!(report.is_clean(), "{node}: {report:?}");
    }
}

#[test]
fn a_branch_that_is_here_is_not_sent_again() {
    let mut net = forked(2, 200, 1);
    let branch = net.exported(1);
    let before = net.received(1);
    net.connect(0, 1);
    net.run();
    assert_converged(&net, 200, 1);
    let received = net.received(1) - before;
    assert!(
        received < branch / 10,
        "{received} bytes for one record, and {branch} are here"
    );
}

/// Peers that know of one fork have different records deep inside one of its branches.
#[test]
fn a_fork_deep_inside_a_branch_is_found() {
    for (one, two) in [(3, 3), (3, 5), (5, 3)] {
        let mut net = Net::new(5);
        net.shared_thread();
        net.put(0, json!({"_id": "common"}));
        let begin = net.backup(0);
        net.put(0, json!({"_id": "a"}));
        let branch = net.backup(0);
        let meet = |net: &mut Net, a, b| {
            net.connect(a, b);
            net.run();
            net.part(a, b);
            net.run();
        };
        for (peer, records) in [(1, one), (2, two)] {
            for n in 0..records {
                net.put(0, json!({"_id": format!("{peer}-{n}")}));
            }
            meet(&mut net, 0, peer);
            net.put_back(0, branch.fork());
        }
        net.put_back(0, begin);
        net.put(0, json!({"_id": "b"}));
        for (peer, other) in [(3, 1), (4, 2)] {
            meet(&mut net, 0, peer);
            meet(&mut net, peer, other);
        }
        assert_eq!(net.db(1).forks().unwrap().len(), 1);
        assert_eq!(net.db(2).forks().unwrap().len(), 1);

        net.connect(1, 2);
        for _ in 0..3 {
            net.run();
        }
        for node in [1, 2] {
            assert_eq!(
                net.db(node).forks().unwrap().len(),
                2,
                "{node}: {one} and {two}"
            );
            assert_eq!(net.db(node).held_counts().unwrap().pending, 0);
            let report = net.db(node).verify(&mut |_| ()).unwrap();
            assert!(report.is_clean(), "{node}: {report:?}");
        }
        assert_eq!(net.db(1).forks().unwrap(), net.db(2).forks().unwrap());
        assert!(net.get(1, "2-2").is_some() && net.get(2, "1-2").is_some());
    }
}

#[test]
fn an_export_of_a_forked_thread_restores() {
    let mut net = forked(2, 3, 2);
    net.connect(0, 1);
    net.run();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("thread.car");
    let file = std::fs::File::create(&path).unwrap();
    let passphrase = Some("correct horse".to_owned().into());
    let options = ExportOptions {
        passphrase,
        ..Default::default()
    };
    net.db(1).export(file, &options, &mut |_| ()).unwrap();

    let node = Node::builder(Memory::new())
        .codec(JsonPatch::new())
        .open()
        .unwrap();
    let passphrase = Some("correct horse".to_owned().into());
    let options = RestoreOptions {
        passphrase,
        ..Default::default()
    };
    node.restore(&path, &options, &mut |_| ()).unwrap();
    let db = node.open(&net.db(1).id().to_string()).unwrap();
    assert_eq!(db.forks().unwrap(), net.db(1).forks().unwrap());
    assert!(db.verify(&mut |_| ()).unwrap().is_clean());
    for id in ["lost2", "again1"] {
        assert!(db.collection("Thing").unwrap().has(id).unwrap(), "{id}");
    }
}

#[test]
fn a_blind_replica_keeps_both_branches_and_hands_them_on() {
    let mut net = crate::replicas::net();
    net.connect(0, 1);
    net.put(0, json!({"_id": "common"}));
    net.run();
    let backup = net.backup(0);
    net.put(0, json!({"_id": "lost"}));
    net.run();
    net.part(0, 1);
    net.run();
    net.put_back(0, backup);
    net.put(0, json!({"_id": "again"}));
    net.connect(0, 1);
    net.run();
    net.part(0, 1);
    net.connect(1, 2);
    net.run();
    assert!(net.db(1).verify(&mut |_| ()).unwrap().is_clean());
    for node in [0, 2] {
        for id in ["common", "lost", "again"] {
            assert!(net.get(node, id).is_some(), "{node}: {id}");
        }
    }
    assert_eq!(net.db(1).forks().unwrap(), net.db(2).forks().unwrap());
}
