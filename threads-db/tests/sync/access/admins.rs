//! Several who may change the rules, apart from each other.

use super::*;

#[test]
fn row_22_what_a_removed_admin_granted_without_knowing_it_is_void_and_all_built_on_it() {
    let mut net = team();
    make_admins(&mut net, &[WRITER]);
    let writer = Subject::Peer(peer(&net, WRITER));
    let sock = PeerId::from_key_bytes([9; 32]);
    cut_off(&mut net, WRITER, true);
    net.db(ROOT)
        .write(|txn| txn.revoke(writer, Scope::Acl, Role::Write))
        .unwrap();
    net.db(WRITER)
        .write(|txn| {
            txn.grant(Subject::Peer(sock), Scope::Thread, Role::Write)?;
            txn.grant(Subject::Peer(sock), Scope::Acl, Role::Write)
        })
        .unwrap();
    cut_off(&mut net, WRITER, false);
    assert_level(&net);
    for node in 0..4 {
        for scope in [Scope::Thread, Scope::Acl] {
            assert_eq!(
                net.db(node).roles(&sock, &scope).unwrap(),
                Some(vec![]),
                "{node}"
            );
        }
        let history = net.db(node).access_history().unwrap();
        let void = history.iter().filter(|stated| stated.void.is_some());
        assert_eq!(void.count(), 2, "{node}");
    }
}

#[test]
fn row_24_admins_who_remove_each_other_are_both_out_and_root_is_not() {
    let mut net = team();
    make_admins(&mut net, &[WRITER, OTHER]);
    // Root, who would say which of them it heard of first, is away.
    cut_off(&mut net, ROOT, true);
    cut_off(&mut net, OTHER, true);
    for (by, whom) in [(WRITER, OTHER), (OTHER, WRITER), (OTHER, ROOT)] {
        let whom = Subject::Peer(peer(&net, whom));
        net.db(by)
            .write(|txn| txn.revoke(whom, Scope::Acl, Role::Write))
            .unwrap();
    }
    net.connect(OTHER, WRITER);
    net.connect(OTHER, REPLICA);
    net.run();
    let acl = |net: &Net, node: usize| {
        let of = |of: usize| net.db(node).roles(&peer(net, of), &Scope::Acl).unwrap();
        [ROOT, WRITER, OTHER].map(|peer| of(peer).unwrap())
    };
    for node in 1..4 {
        let roles = acl(&net, node);
        assert_eq!(roles, [vec![Role::Write], vec![], vec![]], "{node}");
    }
    cut_off(&mut net, ROOT, false);
    assert_level(&net);
    for node in 1..4 {
        assert_eq!(acl(&net, node), acl(&net, ROOT), "{node}");
    }
    assert_eq!(acl(&net, ROOT)[ROOT], [Role::Write]);
}

#[test]
fn row_23_root_seals_what_admins_remove_by_itself() {
    let mut net = team();
    make_admins(&mut net, &[WRITER, OTHER]);
    remove(net.db(WRITER), peer(&net, OTHER));
    net.run();
    let history = net.db(ROOT).access_history().unwrap();
    let last = history.last().unwrap();
    assert_eq!(
        (last.author, &last.statement),
        (peer(&net, ROOT), &Statement::Checkpoint)
    );
    assert!(!net.db(WRITER).rules().unwrap().unwrap().unsealed);
}
