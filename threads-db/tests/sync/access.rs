//! Access control between real nodes: who may do what, agreed by all, replicas among them.

use serde_json::json;
use threads_acl::Acl;
use threads_core::access::{Rekey, Role, Scope, Statement, Subject};
use threads_core::group::GroupKeys;
use threads_core::module::CollectionSpec;
use threads_core::rand_core::CryptoRng;
use threads_core::{
    AgreementKey, EpochKeys, Error, ErrorKind, PeerCard, PeerId, Result, ThreadId, Variant,
};
use threads_db::{Db, InviteOptions};

use crate::net::{How, Net};

mod admins;
mod again;
mod told;

pub(crate) const ROOT: usize = 0;
pub(crate) const WRITER: usize = 1;
pub(crate) const REPLICA: usize = 2;
pub(crate) const OTHER: usize = 3;
const GUEST: usize = 4;

const RULED: How = |builder| builder.policy(Acl::new());

/// Root, a writer, a replica and another writer, who came by invites.
pub(crate) fn team() -> Net {
    let mut net = Net::new(0);
    (0..4).for_each(|_| net.add(RULED));
    let db = net
        .node(ROOT)
        .create_with("team", Variant::AccessControlled)
        .unwrap();
    net.use_thread(ROOT, db);
    net.db(ROOT).define(&spec("Thing")).unwrap();
    for (node, role) in [
        (WRITER, Role::Write),
        (REPLICA, Role::Replicate),
        (OTHER, Role::Write),
    ] {
        let options = InviteOptions::new(role).to(net.node(node).card());
        let invite = net.db(ROOT).invite(&options).unwrap();
        let joined = net.node(node).join(&invite, None).unwrap();
        net.use_thread(node, joined.db().unwrap());
    }
    net.connect_all();
    net.run();
    net
}

fn spec(name: &str) -> CollectionSpec {
    CollectionSpec::new(name.parse().unwrap(), "jsonpatch/1".parse().unwrap())
}

fn peer(net: &Net, node: usize) -> PeerId {
    net.node(node).peer_id()
}

pub(crate) fn remove(db: &Db, peer: PeerId) {
    let peer = Subject::Peer(peer);
    db.write(|txn| {
        txn.revoke(peer, Scope::Acl, Role::Write)?;
        txn.revoke(peer, Scope::Thread, Role::Replicate)
    })
    .unwrap();
}

fn assert_level(net: &Net) {
    let logs = |node: usize| {
        let logs = net.db(node).sync_status().unwrap().logs.into_iter();
        logs.map(|log| (log.log, log.have)).collect::<Vec<_>>()
    };
    for node in 1..4 {
        assert_eq!(logs(node), logs(ROOT), "{node}");
    }
}

fn roles(net: &Net, of: usize, at: usize) -> Vec<Role> {
    let roles = net.db(at).roles(&peer(net, of), &Scope::Thread).unwrap();
    roles.unwrap()
}

#[test]
fn those_who_were_invited_have_their_roles_everywhere() {
    let mut net = team();
    for at in 0..4 {
        assert_eq!(roles(&net, ROOT, at), Role::ALL, "{at}");
        let write = [Role::Replicate, Role::Read, Role::Write];
        assert_eq!(roles(&net, WRITER, at), write, "{at}");
        assert_eq!(roles(&net, REPLICA, at), [Role::Replicate], "{at}");
    }
    net.put(WRITER, json!({"_id": "a", "n": 1}));
    net.run();
    assert_eq!(net.get(OTHER, "a"), Some(json!({"_id": "a", "n": 1})));
    assert_level(&net);
}

#[test]
fn row_20_who_may_only_read_does_not_write() {
    let mut net = team();
    let writer = Subject::Peer(peer(&net, WRITER));
    net.db(ROOT)
        .write(|txn| txn.revoke(writer, Scope::Thread, Role::Write))
        .unwrap();
    net.run();
    let things = net.db(WRITER).collection("Thing").unwrap();
    let refused = things.save(&json!({"_id": "a"})).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Rejected);
    assert!(refused.to_string().contains("role write"), "{refused}");
    // What others write he reads still.
    net.put(OTHER, json!({"_id": "b"}));
    net.run();
    assert_eq!(net.get(WRITER, "b"), Some(json!({"_id": "b"})));
}

#[test]
fn row_21_what_a_removed_writer_wrote_meanwhile_is_undone_for_it_and_kept_for_others() {
    let mut net = team();
    net.put(WRITER, json!({"_id": "seen"}));
    net.run();
    for other in [ROOT, REPLICA, OTHER] {
        net.part(WRITER, other);
    }
    net.run();
    net.put(WRITER, json!({"_id": "unseen"}));
    let writer = Subject::Peer(peer(&net, WRITER));
    net.db(ROOT)
        .write(|txn| txn.revoke(writer, Scope::Thread, Role::Write))
        .unwrap();
    net.run();
    for other in [ROOT, REPLICA, OTHER] {
        net.connect(WRITER, other);
    }
    net.run();
    assert_level(&net);
    for node in [ROOT, WRITER, OTHER] {
        assert_eq!(
            net.get(node, "seen"),
            Some(json!({"_id": "seen"})),
            "{node}"
        );
        assert_eq!(net.get(node, "unseen"), None, "{node}");
        let held = net.db(node).held().unwrap();
        assert_eq!(held.len(), 1, "{node}");
        let why = net.db(node).why(&held[0].record).unwrap();
        assert!(
            why.last().unwrap().contains("took write in the thread"),
            "{why:?}"
        );
        assert!(net.db(node).verify(&mut |_| ()).unwrap().is_clean());
    }
    let held = net.db(OTHER).held().unwrap()[0].record;
    net.db(OTHER).write(|txn| txn.adopt(&held)).unwrap();
    net.run();
    for node in [ROOT, WRITER, OTHER] {
        assert_eq!(net.get(node, "unseen"), Some(json!({"_id": "unseen"})));
    }
    assert_level(&net);
}

#[test]
fn a_blind_replica_refuses_what_a_removed_member_pushes_and_pulls() {
    let mut net = team();
    // The replica hears of the removal; root and the other writer are away then.
    net.part(ROOT, WRITER);
    net.part(OTHER, WRITER);
    net.part(REPLICA, WRITER);
    net.run();
    remove(net.db(ROOT), peer(&net, WRITER));
    let (readers, replicas) = ([ROOT, OTHER], [REPLICA]);
    let readers = readers.map(|node| net.node(node).card());
    let replicas = replicas.map(|node| net.node(node).card());
    let rekeyed = net.db(ROOT).write(|txn| txn.rekey(&readers, &replicas));
    rekeyed.unwrap();
    net.put(ROOT, json!({"_id": "later"}));
    net.put(WRITER, json!({"_id": "mine"}));
    net.run();
    assert_eq!(roles(&net, WRITER, REPLICA), []);
    let before = net.db(REPLICA).sync_status().unwrap().logs;
    net.connect(WRITER, REPLICA);
    net.run();
    let have = |net: &Net| {
        let logs = net.db(REPLICA).sync_status().unwrap().logs.into_iter();
        logs.map(|log| (log.log, log.have)).collect::<Vec<_>>()
    };
    let before: Vec<_> = before.into_iter().map(|log| (log.log, log.have)).collect();
    assert_eq!(have(&net), before, "nothing was pushed");
    assert_eq!(net.get(WRITER, "later"), None, "nothing was pulled");
    assert!(net.db(REPLICA).held().unwrap().is_empty());
}

/// Root lets some change the rules, and all hear of it.
fn make_admins(net: &mut Net, admins: &[usize]) {
    for node in admins {
        let to = Subject::Peer(peer(net, *node));
        net.db(ROOT)
            .write(|txn| txn.grant(to, Scope::Acl, Role::Write))
            .unwrap();
    }
    net.run();
}

/// Nobody hears of a node, or everybody again.
fn cut_off(net: &mut Net, node: usize, is_cut: bool) {
    for other in (0..4).filter(|other| *other != node) {
        match is_cut {
            true => net.part(node, other),
            false => net.connect(node, other),
        }
    }
    net.run();
}

#[test]
fn row_42_only_who_may_change_the_rules_changes_definitions() {
    let net = team();
    let spec = spec("Task");
    let refused = net.db(WRITER).define(&spec).unwrap_err();
    assert!(refused.to_string().contains("access rules"), "{refused}");
    net.db(ROOT).define(&spec).unwrap();
}

#[test]
fn an_entity_can_be_kept_for_some() {
    let mut net = team();
    net.put(OTHER, json!({"_id": "plan", "n": 1}));
    net.run();
    let (thing, plan) = ("Thing".parse().unwrap(), "plan".parse().unwrap());
    net.db(ROOT)
        .write(|txn| txn.restrict(&thing, &plan))
        .unwrap();
    net.run();
    let things = net.db(WRITER).collection("Thing").unwrap();
    assert!(things.save(&json!({"_id": "plan", "n": 2})).is_err());
    things.save(&json!({"_id": "else"})).unwrap();
    let scope = Scope::Entity(threads_core::access::EntityTag::of(
        net.db(ROOT).id(),
        &thing,
        &plan,
    ));
    let writer = Subject::Peer(peer(&net, WRITER));
    net.db(ROOT)
        .write(|txn| txn.grant(writer, scope, Role::Write))
        .unwrap();
    net.run();
    things.save(&json!({"_id": "plan", "n": 3})).unwrap();
    net.run();
    assert_eq!(net.get(OTHER, "plan"), Some(json!({"_id": "plan", "n": 3})));
}

#[test]
fn who_leaves_has_no_role_any_more() {
    let mut net = team();
    net.put(OTHER, json!({"_id": "before"}));
    net.run();
    net.db(OTHER).leave().unwrap();
    net.run();
    assert_eq!(roles(&net, OTHER, ROOT), []);
    for node in [ROOT, WRITER] {
        assert!(net.get(node, "before").is_some(), "it had seen that itself");
    }
    let epochs = net.db(ROOT).epochs().unwrap();
    let used = epochs.iter().find(|epoch| epoch.in_use).unwrap();
    assert!(!used.readers.is_empty() && !used.readers.contains(&peer(&net, OTHER)));
    assert!(
        net.db(OTHER)
            .collection("Thing")
            .unwrap()
            .save(&json!({"_id": "x"}))
            .is_err()
    );
}

#[test]
fn a_blind_replica_leaves_and_everybody_knows() {
    let mut net = team();
    net.put(WRITER, json!({"_id": "before"}));
    net.run();
    assert!(net.db(REPLICA).collection("Thing").is_err(), "it is blind");
    net.db(REPLICA).leave().unwrap();
    net.run();
    let me = peer(&net, REPLICA);
    for node in [ROOT, WRITER, OTHER, REPLICA] {
        assert_eq!(roles(&net, REPLICA, node), [], "{node}");
    }
    for node in [ROOT, WRITER, OTHER] {
        let shared = net.db(node).shared_with().unwrap();
        assert!(!shared.contains(&me), "{node} shares nothing with it");
    }
    let epochs = net.db(ROOT).epochs().unwrap();
    let used = epochs.iter().find(|epoch| epoch.in_use).unwrap();
    assert!(used.number != 0 && !used.replicas.contains(&me));
    let removal = net.db(REPLICA).removal().unwrap().unwrap();
    assert_eq!(removal.by, me, "by its own word");
    assert!(net.db(REPLICA).verify(&mut |_| ()).unwrap().is_clean());
    let records = |net: &Net| {
        let logs = net.db(REPLICA).sync_status().unwrap().logs.into_iter();
        logs.map(|log| log.have).sum::<u64>()
    };
    let before = records(&net);
    net.put(WRITER, json!({"_id": "after"}));
    net.run();
    assert_eq!(net.get(OTHER, "after"), Some(json!({"_id": "after"})));
    assert_eq!(records(&net), before, "it gets nothing more");
}

/// Whoever was removed may go on asking: it is refused, for this thread, and not cut off for it.
#[test]
fn who_was_removed_or_left_and_asks_on_is_refused_and_not_cut_off() {
    let mut net = team();
    // One is told of it by nobody, and one knows it.
    cut_off(&mut net, WRITER, true);
    remove(net.db(ROOT), peer(&net, WRITER));
    net.db(OTHER).leave().unwrap();
    net.run();
    for round in 0..40 {
        let things = net.db(WRITER).collection("Thing").unwrap();
        // Refused as soon as it was told that it is out.
        drop(things.save(&json!({"_id": format!("mine {round}")})));
        for (gone, other) in [WRITER, OTHER]
            .into_iter()
            .flat_map(|n| [(n, ROOT), (n, REPLICA)])
        {
            net.part(gone, other);
            net.connect(gone, other);
        }
        // So soon that what is held against somebody is not forgotten.
        net.run_for(1_500);
    }
    assert_eq!(net.cut_off(), []);
    assert_eq!(net.get(ROOT, "mine 1"), None);
}

#[test]
fn who_was_removed_reads_nothing_that_is_written_after() {
    let mut net = team();
    net.put(ROOT, json!({"_id": "before"}));
    net.run();
    remove(net.db(ROOT), peer(&net, WRITER));
    net.put(ROOT, json!({"_id": "after", "secret": "canary"}));
    net.run();
    assert_eq!(
        net.get(OTHER, "after"),
        Some(json!({"_id": "after", "secret": "canary"}))
    );
    // The whole disk of a replica, and his own keys.
    let file = std::env::temp_dir().join(format!("{}.car", peer(&net, WRITER)));
    let out = std::fs::File::create(&file).unwrap();
    let export = threads_db::ExportOptions::default();
    net.db(REPLICA).export(out, &export, &mut |_| ()).unwrap();
    let options = threads_db::RestoreOptions {
        passphrase: None,
        ..Default::default()
    };
    // Whether it takes the records in or not, it cannot read them.
    drop(net.node(WRITER).restore(&file, &options, &mut |_| ()));
    std::fs::remove_file(file).unwrap();
    assert_eq!(net.get(WRITER, "before"), Some(json!({"_id": "before"})));
    assert_eq!(net.get(WRITER, "after"), None);
    let traces = net.traces(WRITER);
    assert!(!traces.windows(6).any(|bytes| bytes == b"canary"));
}

#[test]
fn row_56_after_two_removals_at_once_who_is_out_has_not_the_keys() {
    let mut net = team();
    for node in [WRITER, OTHER] {
        let to = Subject::Peer(peer(&net, node));
        net.db(ROOT)
            .write(|txn| txn.grant(to, Scope::Acl, Role::Write))
            .unwrap();
    }
    net.run();
    for (a, b) in [
        (ROOT, WRITER),
        (ROOT, OTHER),
        (WRITER, OTHER),
        (REPLICA, WRITER),
        (REPLICA, OTHER),
    ] {
        net.part(a, b);
    }
    net.run();
    remove(net.db(WRITER), peer(&net, OTHER));
    remove(net.db(OTHER), peer(&net, WRITER));
    net.run();
    net.connect(ROOT, WRITER);
    net.run();
    net.connect(ROOT, OTHER);
    net.run();
    // Root heard of one removal first, and has sealed it: what the removed one did is void.
    assert_eq!(roles(&net, OTHER, ROOT), []);
    net.put(ROOT, json!({"_id": "after", "secret": "canary"}));
    net.run();
    assert_eq!(net.get(WRITER, "after").unwrap()["secret"], "canary");
    let traces = net.traces(OTHER);
    assert!(!traces.windows(6).any(|bytes| bytes == b"canary"));
}

#[test]
fn whoever_is_removed_while_connected_gets_nothing_more() {
    let mut net = team();
    let writer = Subject::Peer(peer(&net, WRITER));
    net.db(ROOT)
        .write(|txn| txn.revoke(writer, Scope::Thread, Role::Replicate))
        .unwrap();
    net.put(ROOT, json!({"_id": "later"}));
    net.run();
    assert_eq!(net.get(OTHER, "later"), Some(json!({"_id": "later"})));
    assert_eq!(net.get(WRITER, "later"), None);
}

#[test]
fn whoever_was_in_with_everybody_gets_nothing_more_when_that_is_taken() {
    let mut net = team();
    let everybody = Subject::Everybody;
    net.db(ROOT)
        .write(|txn| txn.grant(everybody, Scope::Thread, Role::Read))
        .unwrap();
    net.add(RULED);
    let guest = net.node(GUEST).add_thread("team", &net.db(ROOT).keys());
    net.use_thread(GUEST, guest.unwrap());
    net.db(GUEST).share_with(&peer(&net, ROOT)).unwrap();
    net.connect(GUEST, ROOT);
    net.put(ROOT, json!({"_id": "first"}));
    net.run();
    assert_eq!(net.get(GUEST, "first"), Some(json!({"_id": "first"})));
    net.db(ROOT)
        .write(|txn| txn.revoke(everybody, Scope::Thread, Role::Replicate))
        .unwrap();
    net.put(ROOT, json!({"_id": "later"}));
    net.run();
    assert_eq!(net.get(GUEST, "later"), None);
}

#[test]
fn who_came_by_an_invite_stays_when_it_is_revoked_and_who_did_not_never_comes() {
    let mut net = team();
    net.add(RULED);
    // The writer came by another one, so nothing but that it was seen says that it did.
    let invites = [(WRITER, Role::Write), (GUEST, Role::Read)].map(|(node, role)| {
        let options = InviteOptions::new(role).to(net.node(node).card());
        net.db(ROOT).invite(&options).unwrap()
    });
    net.run();
    for invite in invites {
        net.db(ROOT).revoke_invite(invite.id()).unwrap();
    }
    net.run();
    for at in 0..4 {
        let write = [Role::Replicate, Role::Read, Role::Write];
        assert_eq!(roles(&net, WRITER, at), write, "{at}");
        assert_eq!(roles(&net, GUEST, at), [], "{at}");
    }
}

#[test]
fn whoever_hears_that_somebody_was_let_in_serves_them() {
    let mut net = team();
    net.put(WRITER, json!({"_id": "a"}));
    net.run();
    net.add(RULED);
    // The guest has met the writer, and knows of root only.
    net.connect(GUEST, WRITER);
    net.run();
    let options = InviteOptions::new(Role::Read).to(net.node(GUEST).card());
    let invite = net.db(ROOT).invite(&options).unwrap();
    let joined = net.node(GUEST).join(&invite, None).unwrap();
    net.use_thread(GUEST, joined.db().unwrap());
    net.run();
    let shared = net.db(WRITER).shared_with().unwrap();
    assert!(shared.contains(&peer(&net, GUEST)));
    assert_eq!(net.get(GUEST, "a"), Some(json!({"_id": "a"})));
}

#[test]
fn keys_go_out_by_what_somebody_may_do_by_now() {
    let mut net = team();
    net.put(ROOT, json!({"_id": "secret"}));
    net.add(RULED);
    let link = net.db(ROOT).invite(&InviteOptions::new(Role::Write));
    net.node(GUEST).join(&link.unwrap(), None).unwrap();
    net.connect(GUEST, ROOT);
    net.run();
    net.part(GUEST, ROOT);
    net.run();
    let guest = peer(&net, GUEST);
    net.db(ROOT).accept(&guest).unwrap();
    // Before the guest asks again it is made a replica.
    let to = Subject::Peer(guest);
    let lessened = net.db(ROOT).write(|txn| {
        txn.grant(to, Scope::Thread, Role::Replicate)?;
        txn.revoke(to, Scope::Thread, Role::Read)
    });
    lessened.unwrap();
    assert_eq!(roles(&net, GUEST, ROOT), [Role::Replicate]);
    net.connect(GUEST, ROOT);
    net.run();
    let threads = net.node(GUEST).threads().unwrap();
    assert_eq!(threads.len(), 1, "it was accepted");
    assert!(!threads[0].can_read);
}

/// A scheme that brings nobody keys.
#[derive(Debug)]
struct Broken;

impl GroupKeys for Broken {
    fn id(&self) -> &str {
        "broken/1"
    }

    fn seal(
        &self,
        _: &ThreadId,
        _: &EpochKeys,
        _: &[PeerCard],
        _: &[PeerCard],
        _: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>> {
        Err(Error::unavailable("nothing can be sealed now"))
    }

    fn open(
        &self,
        _: &ThreadId,
        _: &Rekey,
        _: &PeerId,
        _: &AgreementKey,
    ) -> Result<Option<EpochKeys>> {
        Ok(None)
    }
}

#[test]
fn what_a_node_cannot_do_for_the_rules_is_told_and_keeps_no_records_out() {
    let mut net = team();
    make_admins(&mut net, &[WRITER]);
    assert_eq!(net.db(ROOT).sync_status().unwrap().unattended, None);
    net.reopen(ROOT, |builder| RULED(builder).group_keys(Broken));
    let db = net.node(ROOT).open("team").unwrap();
    net.use_thread(ROOT, db);
    net.connect_all();
    // Root cannot open the keys that come with this, nor make others.
    remove(net.db(WRITER), peer(&net, OTHER));
    net.run();
    assert_eq!(roles(&net, OTHER, ROOT), []);
    let status = net.db(ROOT).sync_status().unwrap();
    let why = status.unattended.unwrap();
    assert!(why.contains("nothing can be sealed now"), "{why}");
    let status = net.db(WRITER).sync_status().unwrap();
    let root = status.peers.iter().find(|of| of.peer == peer(&net, ROOT));
    assert!(root.unwrap().is_level(), "{root:?}");
}
