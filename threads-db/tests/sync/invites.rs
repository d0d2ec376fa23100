//! Invites, joining and leaving.

use serde_json::json;
use threads_core::ErrorKind;
use threads_db::{Invite, InviteOptions, Joined, Node, Role};

use crate::net::Net;

/// A network of which the first node has a thread with one entity.
fn net(nodes: usize) -> Net {
    let mut net = Net::new(nodes);
    let db = net.node(0).create("friends").unwrap();
    net.use_thread(0, db);
    net.put(0, json!({"_id": "bob", "age": 42}));
    net.connect_all();
    net
}

/// The invite as it would be copied.
fn copied(invite: &Invite) -> Invite {
    invite.to_string().parse().unwrap()
}

fn join(node: &Node, invite: &Invite) -> Joined {
    node.join(&copied(invite), Some("theirs")).unwrap()
}

#[test]
fn an_invite_to_a_peer_brings_the_thread_and_both_write() {
    let mut net = net(3);
    let options = InviteOptions::new(Role::Write).to(net.node(1).card());
    let invite = net.db(0).invite(&options).unwrap();
    let db = join(net.node(1), &invite).db().unwrap();
    net.use_thread(1, db);
    net.run();
    assert_eq!(net.get(1, "bob"), Some(json!({"_id": "bob", "age": 42})));
    net.put(1, json!({"_id": "eve"}));
    net.run();
    assert_eq!(net.get(0, "eve"), Some(json!({"_id": "eve"})));
    let members = net.db(0).members().unwrap();
    assert_eq!(members.len(), 1);
    assert_eq!(
        (members[0].peer, members[0].role),
        (net.node(1).peer_id(), Role::Write)
    );
    assert_eq!(net.db(0).invites().unwrap()[0].used, 1);
}

#[test]
fn row_17_an_invite_to_one_peer_opens_for_nobody_else() {
    let net = net(3);
    let options = InviteOptions::new(Role::Write).to(net.node(1).card());
    let invite = net.db(0).invite(&options).unwrap();
    let refused = net.node(2).join(&copied(&invite), None).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Rejected, "{refused}");
    assert!(net.node(2).threads().unwrap().is_empty());
}

#[test]
fn a_link_only_asks_until_a_member_accepts() {
    let mut net = net(2);
    let link = net.db(0).invite(&InviteOptions::new(Role::Write)).unwrap();
    assert!(matches!(join(net.node(1), &link), Joined::Asked));
    net.run();
    assert!(
        net.node(1).threads().unwrap().is_empty(),
        "nobody has accepted"
    );
    let requests = net.db(0).join_requests().unwrap();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].peer, net.node(1).peer_id());

    net.db(0).accept(&requests[0].peer).unwrap();
    net.run();
    let db = net.node(1).open("theirs").unwrap();
    net.use_thread(1, db);
    net.run();
    assert_eq!(net.get(1, "bob"), Some(json!({"_id": "bob", "age": 42})));
    assert!(net.db(0).join_requests().unwrap().is_empty());
    for node in 0..2 {
        let status = net.db(node).sync_status().unwrap();
        assert!(status.is_in_sync(), "{node}: {status:?}");
    }
}

#[test]
fn row_18_a_link_that_is_spent_or_revoked_lets_nobody_in() {
    let mut net = net(4);
    let once = net.db(0).invite(&InviteOptions::new(Role::Read)).unwrap();
    let revoked = net.db(0).invite(&InviteOptions::new(Role::Read)).unwrap();
    net.db(0).revoke_invite(revoked.id()).unwrap();
    for node in [1, 2] {
        join(net.node(node), &once);
    }
    join(net.node(3), &revoked);
    net.run();
    // Both ask by the link with one use: the second cannot be accepted any more.
    let asking: Vec<_> = net.db(0).join_requests().unwrap();
    assert_eq!(asking.len(), 2, "{asking:?}");
    net.db(0).accept(&asking[0].peer).unwrap();
    let refused = net.db(0).accept(&asking[1].peer).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Rejected, "{refused}");
    net.run();
    let joined = (1..4).filter(|node| !net.node(*node).threads().unwrap().is_empty());
    assert_eq!(joined.count(), 1);
    assert!(
        net.db(0)
            .invites()
            .unwrap()
            .iter()
            .all(|invite| invite.spent.is_some())
    );
}

#[test]
fn row_18_an_invite_that_has_expired_lets_nobody_in() {
    const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
    let mut net = net(2);
    let day = std::time::Duration::from_millis(DAY_MS);
    let options = InviteOptions::new(Role::Write).lifetime(day);
    let link = net.db(0).invite(&options).unwrap();
    let named = net.db(0).invite(&options.to(net.node(1).card())).unwrap();
    // The one who comes has a clock that is behind, or pretends to.
    net.set_ahead(0, DAY_MS);
    join(net.node(1), &link);
    net.run();
    assert!(net.db(0).join_requests().unwrap().is_empty());
    let spent = net.db(0).invites().unwrap().into_iter();
    assert!(
        spent
            .into_iter()
            .all(|invite| invite.spent == Some("the invite has expired"))
    );
    net.set_ahead(1, DAY_MS);
    for invite in [&link, &named] {
        let refused = net.node(1).join(&copied(invite), None).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Rejected, "{refused}");
    }
    assert!(net.node(1).threads().unwrap().is_empty());
}

#[test]
fn a_link_with_another_secret_or_signature_is_refused() {
    let net = net(2);
    let text = net
        .db(0)
        .invite(&InviteOptions::new(Role::Write))
        .unwrap()
        .to_string();
    let mut mistyped = text.clone().into_bytes();
    let last = mistyped.len() - 1;
    mistyped[last] = if mistyped[last] == b'a' { b'b' } else { b'a' };
    let refused = String::from_utf8(mistyped)
        .unwrap()
        .parse::<Invite>()
        .unwrap_err();
    assert!(
        !refused.to_string().contains(&text[10..30]),
        "an error shows no part of it"
    );
    let cut = text[..text.len() - 3].parse::<Invite>();
    assert_eq!(cut.unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn readers_come_to_be_members_when_they_are_met_and_leavers_are_told() {
    let mut net = net(2);
    let options = InviteOptions::new(Role::Read).to(net.node(1).card());
    let invite = net.db(0).invite(&options).unwrap();
    let db = join(net.node(1), &invite).db().unwrap();
    net.use_thread(1, db);
    net.run();
    let members = net.db(0).members().unwrap();
    assert_eq!((members.len(), members[0].role), (1, Role::Read));

    net.db(1).leave().unwrap();
    net.run();
    assert!(net.db(0).members().unwrap()[0].left);
    assert!(net.db(0).shared_with().unwrap().is_empty());
}

#[test]
fn members_hear_of_each_other_and_share_what_one_writes() {
    let mut net = net(3);
    for node in [1, 2] {
        let options = InviteOptions::new(Role::Write).to(net.node(node).card());
        let invite = net.db(0).invite(&options).unwrap();
        let db = join(net.node(node), &invite).db().unwrap();
        net.use_thread(node, db);
        net.run();
    }
    let peer = net.node(2).peer_id();
    assert!(
        net.db(1).shared_with().unwrap().contains(&peer),
        "from the thread itself"
    );
    net.put(2, json!({"_id": "eve"}));
    net.run();
    assert_eq!(net.get(1, "eve"), Some(json!({"_id": "eve"})));
}
