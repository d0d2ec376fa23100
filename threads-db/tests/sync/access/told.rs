//! Who was removed is told so, by whom, and is refused everything; nobody else is.

use super::*;

/// What the status of a node says of its removal: by whom.
fn removed_by(net: &Net, node: usize) -> Option<PeerId> {
    let status = net.db(node).sync_status().unwrap();
    assert_eq!(status.removed, net.db(node).removal().unwrap());
    status.removed.map(|removal| removal.by)
}

fn assert_refused_as_removed(net: &Net, node: usize) {
    let things = net.db(node).collection("Thing").unwrap();
    let refused = things.save(&json!({"_id": "mine"})).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Rejected);
    let by = format!("removed from the thread by {}", peer(net, ROOT));
    assert!(refused.to_string().contains(&by), "{refused}");
}

#[test]
fn who_is_removed_while_connected_is_told_by_whom_and_has_nothing_more() {
    let mut net = team();
    remove(net.db(ROOT), peer(&net, WRITER));
    net.put(ROOT, json!({"_id": "later"}));
    net.run();
    assert_eq!(removed_by(&net, WRITER), Some(peer(&net, ROOT)));
    assert_refused_as_removed(&net, WRITER);
    assert_eq!(net.get(WRITER, "later"), None);
    for node in [ROOT, REPLICA, OTHER] {
        assert_eq!(removed_by(&net, node), None);
    }
}

#[test]
fn who_was_removed_while_away_is_told_by_whomever_it_meets() {
    for meets in [ROOT, REPLICA, OTHER] {
        let mut net = team();
        net.put(WRITER, json!({"_id": "seen"}));
        net.run();
        cut_off(&mut net, WRITER, true);
        // There is much between what it has and its removal.
        for n in 0..3 {
            net.put(ROOT, json!({"_id": "meanwhile", "n": n}));
            net.put(OTHER, json!({"_id": "meanwhile", "m": n}));
            net.run();
        }
        remove(net.db(ROOT), peer(&net, WRITER));
        net.put(ROOT, json!({"_id": "later"}));
        net.run();
        net.put(WRITER, json!({"_id": "unseen"}));
        net.run();
        assert_eq!(removed_by(&net, WRITER), None);
        net.connect(WRITER, meets);
        net.run();
        assert_eq!(
            removed_by(&net, WRITER),
            Some(peer(&net, ROOT)),
            "by {meets}"
        );
        assert_refused_as_removed(&net, WRITER);
        for id in ["meanwhile", "later"] {
            assert_eq!(net.get(WRITER, id), None, "nothing else comes with it");
        }
    }
}

#[test]
fn who_was_removed_is_told_so_by_one_that_it_never_met() {
    let mut net = team();
    net.add(RULED);
    let options = InviteOptions::new(Role::Write).to(net.node(GUEST).card());
    let invite = net.db(ROOT).invite(&options).unwrap();
    let joined = net.node(GUEST).join(&invite, None).unwrap();
    net.use_thread(GUEST, joined.db().unwrap());
    net.connect(GUEST, ROOT);
    net.run();
    net.part(GUEST, ROOT);
    net.run();
    remove(net.db(ROOT), peer(&net, GUEST));
    net.run();
    net.connect(GUEST, OTHER);
    net.run();
    assert_eq!(removed_by(&net, GUEST), Some(peer(&net, ROOT)));
}

#[test]
fn who_is_let_in_again_knows_no_more_of_its_removal() {
    let mut net = team();
    let replica = peer(&net, REPLICA);
    cut_off(&mut net, REPLICA, true);
    net.put(ROOT, json!({"_id": "meanwhile"}));
    remove(net.db(ROOT), replica);
    net.run();
    net.connect(REPLICA, OTHER);
    net.run();
    assert_eq!(removed_by(&net, REPLICA), Some(peer(&net, ROOT)));
    let again = Subject::Peer(replica);
    net.db(ROOT)
        .write(|txn| txn.grant(again, Scope::Thread, Role::Replicate))
        .unwrap();
    net.run();
    net.part(REPLICA, OTHER);
    cut_off(&mut net, REPLICA, false);
    assert_eq!(removed_by(&net, REPLICA), None);
    assert_level(&net);
}

#[test]
fn row_13_who_never_had_a_part_is_told_nothing_though_it_has_the_key() {
    let mut net = team();
    net.add(RULED);
    let guest = net.node(GUEST).add_thread("team", &net.db(ROOT).keys());
    net.use_thread(GUEST, guest.unwrap());
    net.db(GUEST).share_with(&peer(&net, ROOT)).unwrap();
    net.connect(GUEST, ROOT);
    net.run();
    assert_eq!(net.db(GUEST).log(None).unwrap().len(), 0);
    assert!(net.db(GUEST).held().unwrap().is_empty());
    assert_eq!(removed_by(&net, GUEST), None);
}

#[test]
fn nobody_is_told_a_removal_by_one_who_may_not_remove() {
    let mut net = team();
    // Of its own accord, a writer without a say states it, against its own program's rules.
    let writer = peer(&net, WRITER);
    cut_off(&mut net, WRITER, true);
    make_admins(&mut net, &[OTHER]);
    remove(net.db(OTHER), writer);
    net.run();
    net.connect(WRITER, OTHER);
    net.run();
    assert_eq!(
        removed_by(&net, WRITER),
        None,
        "it has not heard that he may"
    );
    net.part(WRITER, OTHER);
    net.connect(WRITER, ROOT);
    net.run();
    assert_eq!(removed_by(&net, WRITER), None);
}
