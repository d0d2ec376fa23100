//! What nodes make of records that no node of ours would write.

use serde_json::{Value, json};
use threads_acl::Acl;
use threads_codec_jsonpatch::JsonPatch;
use threads_core::access::{Rekey, Role, SEEN_MAX, Scope, Statement, Subject};
use threads_core::batch::EntityEvent;
use threads_core::codec::{Action, ActionKind, EventCodec};
use threads_core::datastore::Datastore;
use threads_core::module::CollectionSpec;
use threads_core::record::Dep;
use threads_core::{Cid, IdentityKey, PeerId, Variant, block, system_rng};

use super::author::{COLLECTION, NOW_MS, builder};
use super::forger::{Forged, Forger, creates, event};
use super::watch::Observer;
use crate::access::{ADOPTED, latest, state::seen_of};
use crate::chain::{self, Blocks};
use crate::db::Db;
use crate::feed::Change;
use crate::held::HeldReason;
use crate::ingest;
use crate::line;
use crate::listener::{ChangeFilter, FeedCursor, Notice};
use crate::thread::Tip;

/// A thread, and the identity of its root.
fn thread() -> (Db, IdentityKey) {
    let key = IdentityKey::generate(&mut system_rng());
    let node = builder(&std::sync::Arc::default()).policy(Acl::new());
    let node = node.identity(key.clone()).open().unwrap();
    let root = node.create_with("t", Variant::AccessControlled).unwrap();
    let spec = CollectionSpec::new(COLLECTION.parse().unwrap(), "jsonpatch/1".parse().unwrap());
    root.define(&spec).unwrap();
    (root, key)
}

fn somebody() -> IdentityKey {
    IdentityKey::generate(&mut system_rng())
}

fn grant(to: &IdentityKey, scope: Scope, role: Role) -> Statement {
    let to = Subject::Peer(to.peer_id());
    Statement::Grant { to, scope, role }
}

fn revoke(from: &IdentityKey, scope: Scope, role: Role, seen: Vec<Dep>) -> Statement {
    let from = Subject::Peer(from.peer_id());
    Statement::Revoke {
        from,
        scope,
        role,
        seen,
    }
}

/// Has a node state something; gives the record.
fn state(db: &Db, statements: &[Statement]) -> Cid {
    let mut txn = db.begin().unwrap();
    for statement in statements {
        txn.state(statement.clone()).unwrap();
    }
    txn.commit().unwrap().unwrap().record
}

/// Every record that a node has.
fn all(db: &Db) -> Vec<Blocks> {
    let (thread, mut all) = (db.thread(), Vec::new());
    let txn = thread.node.store.read().unwrap();
    for (line, head) in line::all(&*txn, thread).unwrap() {
        for seq in line.first..=head.seq {
            all.push(chain::expect(&*txn, line.place(thread.number, seq)).unwrap());
        }
    }
    all
}

fn take(db: &Db, blocks: &[Blocks]) {
    for blocks in blocks {
        ingest::take_in(db.thread(), std::slice::from_ref(blocks)).unwrap();
    }
}

/// A node that has all of another one's records, and these, which come in this order.
fn reader(root: &Db, blocks: &[Blocks]) -> Observer {
    let reader = Observer::new(&root.keys());
    take(&reader.db, &all(root));
    take(&reader.db, blocks);
    reader
}

/// The same in the opposite order.
fn late_reader(root: &Db, blocks: &[Blocks]) -> Observer {
    let mut all = [all(root), blocks.to_vec()].concat();
    all.reverse();
    let reader = Observer::new(&root.keys());
    take(&reader.db, &all);
    reader
}

fn readers(root: &Db, blocks: &[Blocks]) -> [Observer; 2] {
    [reader(root, blocks), late_reader(root, blocks)]
}

fn has(db: &Db, id: &str) -> bool {
    let things = db.collection(COLLECTION).unwrap();
    things.get(id).unwrap().is_some()
}

fn roles(db: &Db, of: &IdentityKey, scope: &Scope) -> Vec<Role> {
    db.roles(&of.peer_id(), scope).unwrap().unwrap()
}

fn latest_of(db: &Db) -> Vec<Cid> {
    let thread = db.thread();
    latest(&*thread.node.store.read().unwrap(), thread.number).unwrap()
}

#[test]
fn an_access_record_that_nobody_can_read_stands_for_what_it_names() {
    let (root, _) = thread();
    let ann = somebody();
    let granted = state(&root, &[grant(&ann, Scope::Thread, Role::Write)]);
    for (format, body) in [("access/1", &b"\xff"[..]), ("access/9", b"\x80")] {
        let mut log = Forger::new(&ann, &root);
        let written = [
            log.write(Forged::access(format, body).naming(&[granted])),
            // It names nothing, so it knows what the record before it in its log does.
            log.write(Forged::changing(vec![creates("n")])),
        ];
        for reader in readers(&root, &written) {
            assert!(has(&reader.db, "n"), "{format}");
            let held = reader.db.held().unwrap();
            assert!(held.iter().all(|held| held.record == log.seen(1).cid));
            reader.assert_clean();
        }
    }
}

#[test]
fn nothing_is_stated_to_one_alone() {
    let (root, _) = thread();
    let (ann, eve) = (somebody(), somebody());
    let granted = state(&root, &[grant(&ann, Scope::Acl, Role::Write)]);
    let (one, other) = (reader(&root, &[]), reader(&root, &[]));
    let forged = Forged::stating(&[grant(&eve, Scope::Thread, Role::Write)]).naming(&[granted]);
    let own = one.db.thread().node.agreement.public;
    let written = Forger::new(&ann, &root).write(forged.sealed_to(own));
    for reader in [one, other] {
        reader.take(&written);
        assert_eq!(roles(&reader.db, &eve, &Scope::Thread), []);
        let held = reader.db.held().unwrap();
        assert!(
            matches!(&held[..], [held] if held.reason.is_quarantine()),
            "{held:?}"
        );
        reader.assert_clean();
    }
}

#[test]
fn nobody_names_what_strangers_say_however_often_it_is_tried() {
    let (root, _) = thread();
    let (ann, eve) = (somebody(), somebody());
    state(&root, &[grant(&ann, Scope::Acl, Role::Write)]);
    let before = latest_of(&root);
    let mut log = Forger::new(&eve, &root);
    let written = [
        log.write(Forged::stating(&[Statement::Checkpoint]).naming(&before)),
        log.write(Forged::stating(&[grant(&eve, Scope::Acl, Role::Write)])),
        log.write(Forged::stating(&[revoke(
            &ann,
            Scope::Acl,
            Role::Write,
            vec![],
        )])),
        log.write(Forged::stating(&[Statement::Leave { seen: vec![] }])),
        log.write(Forged::stating(&[Statement::Card(eve.card())])),
        log.write(Forged::access("access/1", b"\xff")),
        log.write(Forged::access("access/9", b"\x80")),
    ];
    for reader in readers(&root, &written) {
        assert_eq!(latest_of(&reader.db), before);
        // What cannot be read is tried again whenever the thread is opened.
        let reader = reader.restart();
        assert_eq!(latest_of(&reader.db), before);
        // What ann says matters, and stands for what it names.
        let mut log = Forger::new(&ann, &root);
        let said = Forged::stating(&[grant(&ann, Scope::Thread, Role::Write)]);
        reader.take(&log.write(said.naming(&before)));
        assert_eq!(latest_of(&reader.db), [log.seen(1).cid]);
    }
}

#[test]
fn what_is_said_to_be_seen_where_it_is_not_was_not_seen() {
    let (root, key) = thread();
    let ann = somebody();
    let granted = state(&root, &[grant(&ann, Scope::Thread, Role::Write)]);
    let mut log = Forger::new(&ann, &root);
    let mut written = vec![log.write(Forged::changing(vec![creates("n1")]).naming(&[granted]))];
    written.extend((2..=5).map(|n| log.write(Forged::changing(vec![creates(&format!("n{n}"))]))));
    let two = log.seen(2);
    let elsewhere = Forger::new(&ann, &root).log();
    let lies = [
        (two.clone(), 3),
        (
            Dep {
                seq: u64::MAX,
                ..two.clone()
            },
            5,
        ),
        (Dep { seq: 4, ..two }, 5),
        (
            Dep {
                log: elsewhere,
                ..two.clone()
            },
            5,
        ),
    ];
    for (seen, undone) in lies {
        let removal = revoke(&ann, Scope::Thread, Role::Write, vec![seen.clone()]);
        let removal =
            Forger::new(&key, &root).write(Forged::stating(&[removal]).naming(&[granted]));
        for reader in readers(&root, &[&written[..], &[removal]].concat()) {
            let held = reader.db.held().unwrap();
            assert_eq!(held.len(), undone, "{seen:?}");
            let apart = |reason: &HeldReason| matches!(reason, HeldReason::Access(_));
            assert!(held.iter().all(|held| apart(&held.reason)));
            assert_eq!(has(&reader.db, "n2"), undone == 3);
            reader.assert_clean();
        }
    }
}

#[test]
fn whoever_has_many_logs_is_removed_like_anybody() {
    let (root, _) = thread();
    let ann = somebody();
    let granted = state(&root, &[grant(&ann, Scope::Thread, Role::Write)]);
    let written = (0..=SEEN_MAX).map(|n| {
        let forged = Forged::changing(vec![creates(&format!("n{n}"))]).naming(&[granted]);
        Forger::new(&ann, &root).write(forged)
    });
    let written: Vec<_> = written.collect();
    let other = reader(&root, &written);
    ingest::take_in(root.thread(), &written).unwrap();
    let seen = |db: &Db| {
        let thread = db.thread();
        let txn = thread.node.store.read().unwrap();
        seen_of(&*txn, thread, Some(&ann.peer_id())).unwrap()
    };
    assert_eq!(seen(&root).len(), SEEN_MAX);
    assert_eq!(seen(&root), seen(&other.db), "all leave out the same");
    let from = Subject::Peer(ann.peer_id());
    root.write(|txn| txn.revoke(from, Scope::Thread, Role::Write))
        .unwrap();
    take(&other.db, &all(&root));
    for db in [&root, &other.db] {
        assert_eq!(roles(db, &ann, &Scope::Thread), []);
        let held = db.held().unwrap();
        assert_eq!(held.len(), 1, "what is left out counts as not seen");
        assert!(seen(&root).iter().all(|dep| dep.log != held[0].log));
    }
}

/// Dated an hour ahead of all clocks.
const HOUR_MS: u64 = 60 * 60 * 1_000;

#[test]
fn what_is_stated_ahead_of_time_counts_at_once_and_moves_no_clock() {
    let (root, _) = thread();
    let (ann, bob, cat) = (somebody(), somebody(), somebody());
    let granted = state(&root, &[grant(&ann, Scope::Acl, Role::Write)]);
    for ahead_ms in [2 * 60 * 1_000, HOUR_MS] {
        let stated = Forged::stating(&[grant(&bob, Scope::Acl, Role::Write)]).dated(ahead_ms);
        let mut of_ann = Forger::new(&ann, &root);
        let mut written = vec![of_ann.write(stated.naming(&[granted]))];
        // What builds on it is dated now, as its author's clock is right.
        let mut of_bob = Forger::new(&bob, &root);
        let stated = Forged::stating(&[grant(&cat, Scope::Thread, Role::Write)]);
        written.push(of_bob.write(stated.naming(&[of_ann.seen(1).cid])));
        let changed = Forged::changing(vec![creates("n")]);
        let named = [of_bob.seen(1).cid];
        written.push(Forger::new(&cat, &root).write(changed.naming(&named)));
        for reader in readers(&root, &written) {
            assert!(has(&reader.db, "n"), "{ahead_ms}");
            assert_eq!(reader.db.held().unwrap(), []);
            let thread = reader.db.thread();
            let txn = thread.node.store.read().unwrap();
            let tip = Tip::get(&*txn, thread.number).unwrap();
            assert_eq!(tip.time.wall_ms, NOW_MS);
            reader.assert_clean();
        }
    }
}

#[test]
fn rules_do_not_make_time_pass() {
    let (root, _) = thread();
    let ann = somebody();
    let granted = state(&root, &[grant(&ann, Scope::Thread, Role::Write)]);
    let changed = Forged::changing(vec![creates("n")]).naming(&[granted]);
    let written = Forger::new(&ann, &root).write(changed.dated(HOUR_MS));
    let reader = reader(&root, &[written]);
    let before = reader.db.held().unwrap();
    assert!(matches!(before[0].reason, HeldReason::Quarantine(_)));
    // Both have what ann wrote judged again, and the rules allow it.
    for statement in [
        revoke(&ann, Scope::Thread, Role::Delete, vec![]),
        grant(&ann, Scope::Thread, Role::Write),
    ] {
        state(&root, &[statement]);
        take(&reader.db, &all(&root));
        assert_eq!(reader.db.held().unwrap(), before);
        assert!(!has(&reader.db, "n"));
    }
    reader.assert_clean();
}

/// New keys for nobody.
fn rekey() -> Statement {
    Statement::Rekey(Rekey {
        epoch: 7,
        readers: Vec::new(),
        replicas: Vec::new(),
        scheme: "each/1".to_owned(),
        sealed: Vec::new().into(),
    })
}

#[test]
fn new_keys_count_by_what_their_author_knew_in_whatever_order_that_comes() {
    let (root, _) = thread();
    let (ann, bob, eve) = (somebody(), somebody(), somebody());
    let say = |to: &IdentityKey| grant(to, Scope::Acl, Role::Write);
    let granted = state(&root, &[say(&ann), say(&bob)]);
    let mut of_ann = Forger::new(&ann, &root);
    let mut of_bob = Forger::new(&bob, &root);
    let written = [
        of_ann.write(Forged::stating(&[rekey()]).naming(&[granted])),
        // Bob does not know of that. What ann states when she knows of this is void.
        of_bob.write(
            Forged::stating(&[revoke(&ann, Scope::Acl, Role::Write, vec![])]).naming(&[granted]),
        ),
        of_ann.write(Forged::stating(&[rekey()]).naming(&[of_bob.seen(1).cid])),
        Forger::new(&eve, &root).write(Forged::stating(&[rekey()]).naming(&[granted])),
    ];
    for reader in readers(&root, &written) {
        let history = reader.db.access_history().unwrap().into_iter();
        let keys = history.filter(|stated| matches!(stated.statement, Statement::Rekey(_)));
        let counts: Vec<_> = keys
            .filter(|stated| stated.void.is_none())
            .map(|stated| stated.record)
            .collect();
        assert_eq!(counts, [of_ann.seen(1).cid]);
    }
}

#[test]
fn root_has_sealed_a_removal_when_it_states_so_and_not_before() {
    let (root, _) = thread();
    let (ann, bob) = (somebody(), somebody());
    let say = |to: &IdentityKey| grant(to, Scope::Acl, Role::Write);
    let granted = state(&root, &[say(&ann), say(&bob)]);
    let mut of_ann = Forger::new(&ann, &root);
    let removal = revoke(&bob, Scope::Acl, Role::Write, vec![]);
    take(
        &root,
        &[of_ann.write(Forged::stating(&[removal]).naming(&[granted]))],
    );
    // Root knows of the removal when it states something else.
    state(&root, &[grant(&somebody(), Scope::Thread, Role::Read)]);
    assert!(root.rules().unwrap().unwrap().unsealed);
    assert!(root.attend_access().unwrap());
    assert!(!root.rules().unwrap().unwrap().unsealed);
    // What bob writes as if he did not know of it does nothing.
    let removal = revoke(&ann, Scope::Acl, Role::Write, vec![]);
    take(
        &root,
        &[Forger::new(&bob, &root).write(Forged::stating(&[removal]).naming(&[granted]))],
    );
    assert_eq!(roles(&root, &ann, &Scope::Acl), [Role::Write]);
}

/// A record of `ann`, who was removed by `bob`: it is in quarantine until root says that it had removed bob
/// before.
struct Removed {
    log: Forger,
    /// Ann's record, and bob's removal of her.
    written: [Blocks; 2],
    /// Root removes bob, without knowing of his removal.
    pardon: Blocks,
}

fn removed((root, key): &(Db, IdentityKey), changes: Vec<EntityEvent>) -> Removed {
    let (ann, bob) = (somebody(), somebody());
    let granted = state(
        root,
        &[
            grant(&ann, Scope::Thread, Role::Read),
            grant(&ann, Scope::Thread, Role::Write),
            grant(&bob, Scope::Acl, Role::Write),
        ],
    );
    let mut log = Forger::new(&ann, root);
    let changed = log.write(Forged::changing(changes).naming(&[granted]).dated(1));
    let removal = Forged::stating(&[revoke(&ann, Scope::Thread, Role::Write, vec![])]);
    let removal = Forger::new(&bob, root).write(removal.naming(&[granted]));
    let pardon = Forged::stating(&[revoke(&bob, Scope::Acl, Role::Write, vec![])]);
    let pardon = Forger::new(key, root).write(pardon.naming(&[granted]));
    let written = [changed, removal];
    Removed {
        log,
        written,
        pardon,
    }
}

/// An entity with a list of so many elements: adding one to it is an event that is not the whole.
fn listing(id: &str, elements: usize) -> Value {
    json!({"_id": id, "list": vec!["element"; elements]})
}

/// Adds an element to a list of 20.
fn appends(id: &str) -> EntityEvent {
    let codec = JsonPatch::new();
    let created = event(COLLECTION, id, &listing(id, 20));
    let state = codec.apply(None, &created.payload).unwrap();
    let patch = json!([{"op": "add", "path": "/list/-", "value": "element"}]);
    let payload = codec.encode(Some(&state), &Action::Patch(&patch)).unwrap();
    EntityEvent {
        action: ActionKind::Save,
        payload: payload.unwrap(),
        ..created
    }
}

fn elements(db: &Db, id: &str) -> usize {
    let things = db.collection(COLLECTION).unwrap();
    let entity: Value = things.get(id).unwrap().unwrap();
    entity["list"].as_array().unwrap().len()
}

#[test]
fn what_was_adopted_and_applies_after_all_applies_once() {
    let team = thread();
    let root = &team.0;
    let things = root.collection(COLLECTION).unwrap();
    things.save(&listing("n", 20)).unwrap();
    let removed = removed(&team, vec![appends("n")]);
    let cat = somebody();
    let granted = state(root, &[grant(&cat, Scope::Thread, Role::Write)]);
    let before = all(root);
    take(root, &removed.written);
    assert_eq!(elements(root, "n"), 20);
    let record = removed.log.seen(1).cid;
    let own = root.write(|txn| {
        txn.adopt(&record)?;
        txn.create(&things, &json!({"_id": "m"}))
    });
    own.unwrap();
    assert_eq!(elements(root, "n"), 21);
    let again = root.write(|txn| txn.adopt(&record));
    assert!(again.unwrap_err().to_string().contains("already"));

    let adopted = all(root);
    // Another writer, who does not know of it, adopts it too.
    let other = Forged::changing(vec![appends("n"), adopting(&record, cat.peer_id())]);
    let other = [Forger::new(&cat, root).write(other.naming(&[granted]).dated(2))];
    take(root, &other);
    assert_eq!(elements(root, "n"), 21, "one of them did");
    let pardon = [removed.pardon.clone()];
    take(root, &pardon);
    assert_eq!(elements(root, "n"), 21, "it is applied itself now");
    let written = &removed.written;
    for blocks in [
        [&before[..], written, &adopted, &other, &pardon].concat(),
        [&before[..], &pardon, &other, written, &adopted].concat(),
        [&before[..], &adopted, written, &pardon, &other].concat(),
        [&pardon[..], &other, &adopted, written, &before].concat(),
    ] {
        let reader = Observer::new(&root.keys());
        take(&reader.db, &blocks);
        assert_eq!(elements(&reader.db, "n"), 21);
        assert_eq!(told(&reader.db, "n"), Some(listing("n", 21)));
        assert!(has(&reader.db, "m"), "the rest of the transaction counts");
        reader.assert_clean();
    }
}

/// Says that a peer has adopted a record.
fn adopting(record: &Cid, by: PeerId) -> EntityEvent {
    let record = record.to_string();
    let by = json!({"_id": record, "by": by.to_string()});
    EntityEvent {
        codec: "whole/1".parse().unwrap(),
        payload: block::encode(&by).unwrap(),
        ..event(ADOPTED, &record, &by)
    }
}

/// An entity, as the feed tells of its last change.
fn told(db: &Db, id: &str) -> Option<Value> {
    let last = changes(db)
        .into_iter()
        .rfind(|change| change.entity.as_str() == id);
    last.unwrap().after
}

fn changes(db: &Db) -> Vec<Change> {
    let listener = db.listen_from(ChangeFilter::all(), FeedCursor::default());
    let mut listener = listener.unwrap();
    let changes = std::iter::from_fn(|| listener.try_next().unwrap());
    let changes = changes.map(|notice| match notice {
        Notice::Change(change) => *change,
        other => panic!("{other:?}"),
    });
    changes.collect()
}

#[test]
fn who_adopted_what_is_who_wrote_so_whomever_that_names() {
    let team = thread();
    let (root, cat) = (&team.0, somebody());
    let removed = removed(&team, vec![creates("n")]);
    let granted = state(root, &[grant(&cat, Scope::Thread, Role::Write)]);
    let says = adopting(&removed.log.seen(1).cid, root.node().peer_id());
    let says = Forged::changing(vec![says]).naming(&[granted]);
    let written = [&removed.written[..], &[Forger::new(&cat, root).write(says)]].concat();
    let reader = reader(root, &written);
    let held = reader.db.held().unwrap();
    let adopted_by: Vec<_> = held.iter().map(|held| held.adopted_by).collect();
    assert_eq!(adopted_by, [Some(cat.peer_id())]);
}

#[test]
fn a_record_that_cannot_be_adopted_whole_is_not_adopted() {
    let team = thread();
    let root = &team.0;
    let removed = removed(&team, vec![creates("n"), event("Nowhere", "n", &json!({}))]);
    take(root, &removed.written);
    let mut txn = root.begin().unwrap();
    assert!(txn.adopt(&removed.log.seen(1).cid).is_err());
    // Whoever goes on after that commits nothing.
    let things = root.collection(COLLECTION).unwrap();
    txn.create(&things, &json!({"_id": "m"})).unwrap();
    assert!(txn.commit().is_err());
    assert!(!has(root, "n") && !has(root, "m"));
}

#[test]
fn what_was_undone_and_is_taken_in_again_is_told_once_more() {
    let team = thread();
    let removed = removed(&team, vec![creates("n")]);
    let reader = reader(&team.0, &removed.written);
    assert!(!has(&reader.db, "n"));
    let before = changes(&reader.db);
    // Without rules it is tried again when the thread is opened.
    let Observer { store, db, .. } = reader;
    drop(db);
    let db = builder(&store).open().unwrap().open("t").unwrap();
    assert!(has(&db, "n"));
    let after = changes(&db);
    assert_eq!(after[..before.len()], before, "what was told stays so");
    let kinds: Vec<_> = after.iter().map(|change| change.action).collect();
    let (created, deleted) = (ActionKind::Create, ActionKind::Delete);
    assert_eq!(kinds, [created, deleted, created]);
    assert!(db.verify(&mut |_| ()).unwrap().is_clean());
}
