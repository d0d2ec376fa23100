//! Who left, or was removed, and is let in again gets all that the others have, also what was written meanwhile
//! under keys that were not made for it; and reads what is written from then on.

use super::*;

/// Gives roles to a node, as somebody who may.
fn let_in(net: &mut Net, by: usize, node: usize, roles: &[Role]) {
    let to = Subject::Peer(peer(net, node));
    net.db(by)
        .write(|txn| {
            let mut roles = roles.iter();
            roles.try_for_each(|role| txn.grant(to, Scope::Thread, *role))
        })
        .unwrap();
    net.run();
}

/// Something that each of these writes.
fn write(net: &mut Net, nodes: &[usize], id: &str) {
    for node in nodes {
        net.put(*node, json!({"_id": format!("{id} by {node}")}));
    }
    net.run();
}

/// The epochs of which a node has records, or could have, and no keys.
fn locked(net: &Net, node: usize) -> Vec<u64> {
    net.db(node).sync_status().unwrap().locked
}

#[test]
fn a_blind_replica_that_left_and_is_let_in_again_gets_what_was_written_meanwhile() {
    for away in [false, true] {
        let mut net = team();
        net.db(REPLICA).leave().unwrap();
        net.run();
        cut_off(&mut net, REPLICA, away);
        write(&mut net, &[ROOT, OTHER], "meanwhile");
        net.db(ROOT).rotate_keys().unwrap();
        write(&mut net, &[ROOT, OTHER], "later");
        let_in(&mut net, ROOT, REPLICA, &[Role::Replicate]);
        write(&mut net, &[ROOT, OTHER], "after");
        cut_off(&mut net, REPLICA, false);
        assert_level(&net);
        assert!(locked(&net, REPLICA).is_empty(), "away: {away}");
        assert!(net.db(REPLICA).collection("Thing").is_err(), "it is blind");
        assert!(net.db(REPLICA).verify(&mut |_| ()).unwrap().is_clean());
        for node in [WRITER, REPLICA, OTHER] {
            assert!(net.db(node).removal().unwrap().is_none());
        }
    }
}

#[test]
fn a_member_that_an_admin_removed_and_root_lets_in_again_reads_on_whomever_it_meets() {
    // Who asks first follows from the names of peers, which are by chance.
    for meets in [ROOT, REPLICA, OTHER].repeat(3) {
        let mut net = team();
        make_admins(&mut net, &[OTHER]);
        cut_off(&mut net, WRITER, true);
        write(&mut net, &[ROOT, OTHER], "before");
        remove(net.db(OTHER), peer(&net, WRITER));
        write(&mut net, &[ROOT, OTHER], "meanwhile");
        let_in(&mut net, ROOT, WRITER, &[Role::Read, Role::Write]);
        write(&mut net, &[ROOT, OTHER], "after");
        net.connect(WRITER, meets);
        net.run();
        assert_level(&net);
        for id in ["before by 0", "after by 0", "after by 3"] {
            assert_eq!(net.get(WRITER, id), Some(json!({"_id": id})), "{meets}");
        }
        assert_eq!(net.get(WRITER, "meanwhile by 3"), None, "it was not for it");
        assert!(net.db(WRITER).verify(&mut |_| ()).unwrap().is_clean());
        // With another invite it reads that, too.
        let options = InviteOptions::new(Role::Write).to(net.node(WRITER).card());
        let invite = net.db(ROOT).invite(&options).unwrap();
        net.node(WRITER).join(&invite, None).unwrap();
        net.run();
        assert!(net.get(WRITER, "meanwhile by 3").is_some(), "{meets}");
        write(&mut net, &[WRITER], "mine");
        assert_eq!(
            net.get(OTHER, "mine by 1"),
            Some(json!({"_id": "mine by 1"}))
        );
    }
}

/// Whoever had a part and is given another role is no newcomer, and gets nothing that it has.
#[test]
fn who_was_never_out_is_handed_no_keys() {
    let mut net = team();
    net.db(ROOT).rotate_keys().unwrap();
    net.run();
    let stated = |net: &Net| net.db(ROOT).access_history().unwrap().len();
    let before = stated(&net);
    let_in(&mut net, ROOT, WRITER, &[Role::Write, Role::Delete]);
    assert_eq!(stated(&net), before + 2);
}

/// Keys that are handed on are no new ones: nobody writes under them for that.
#[test]
fn keys_that_are_handed_on_are_as_old_as_they_were() {
    let mut net = team();
    remove(net.db(ROOT), peer(&net, REPLICA));
    for _ in 0..6 {
        net.db(ROOT).rotate_keys().unwrap();
    }
    net.run();
    let in_use = |net: &Net, node: usize| {
        let epochs = net.db(node).epochs().unwrap().into_iter();
        let used: Vec<_> = epochs.filter(|epoch| epoch.in_use).collect();
        used[0].number
    };
    let used = in_use(&net, ROOT);
    let_in(&mut net, ROOT, REPLICA, &[Role::Replicate]);
    for node in [ROOT, WRITER, OTHER] {
        assert_eq!(in_use(&net, node), used, "{node}");
    }
}
