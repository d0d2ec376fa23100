//! Histories written by real nodes: every event is the record of a node that knew exactly the event's past.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::json;
use threads_acl::eval::Described;
use threads_codec_jsonpatch::JsonPatch;
use threads_core::access::{EntityTag, Role, Scope, Statement, Subject};
use threads_core::books::KeyBookMut;
use threads_core::codec::{Action, ActionKind};
use threads_core::datastore::{Datastore, DatastoreExt, Durability, Memory};
use threads_core::module::CollectionSpec;
use threads_core::{Cid, IdentityKey, LogId, LogKey, ManualClock, PeerId, Variant, system_rng};

use crate::chain::{self, Blocks};
use crate::db::Db;
use crate::entity::{EntityRow, Life};
use crate::index::Moves;
use crate::ingest;
use crate::node::{Node, NodeBuilder};
use crate::sharing::ThreadKeys;
use crate::stage::Step;
use crate::thread::OwnLog;
use crate::txn::WriteTransaction;

pub(super) const COLLECTION: &str = "Thing";
/// All clocks stand still, so that events which know nothing of each other mostly have one time.
pub(super) const NOW_MS: u64 = 1_900_000_000_000;

/// What becomes of a second branch of what a peer writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Branch {
    /// It is a log of its own, as of another device.
    Log,
    /// It forks the log.
    Fork,
}

/// A history in records.
pub(super) struct Authored {
    pub(super) keys: ThreadKeys,
    pub(super) peers: BTreeMap<String, PeerId>,
    /// By event, in the order of the history.
    pub(super) records: BTreeMap<String, Cid>,
    /// What there is to deliver; one more than there are events.
    pub(super) blocks: Vec<Blocks>,
}

/// A node with nothing in its store.
pub(super) fn builder(store: &Arc<Memory>) -> NodeBuilder {
    Node::builder(Arc::clone(store))
        .codec(JsonPatch::new())
        .clock(ManualClock::at(NOW_MS))
}

/// Who writes: it keeps to no rules.
struct Writer {
    peer: String,
    db: Db,
    knows: BTreeSet<usize>,
}

struct Authors<'h> {
    events: &'h [Described],
    branch: Branch,
    identities: BTreeMap<String, IdentityKey>,
    writers: Vec<Writer>,
    /// The first log of each peer.
    logs: BTreeMap<String, (LogId, LogKey)>,
    pasts: Vec<BTreeSet<usize>>,
    authored: Authored,
}

/// Every event of a history as a record. What an event names comes before it; the genesis is the first.
pub(super) fn author(events: &[Described], branch: Branch) -> Authored {
    let names = events
        .iter()
        .flat_map(|event| [Some(&event.author), event.target.as_ref()]);
    let names = names.flatten().filter(|name| *name != "*");
    let identities: BTreeMap<_, _> = names
        .map(|name| (name.clone(), IdentityKey::generate(&mut system_rng())))
        .collect();
    let peers = identities
        .iter()
        .map(|(name, key)| (name.clone(), key.peer_id()));
    let root = &events[0].author;
    assert_eq!(events[0].kind, "genesis");
    let node = builder(&Arc::default()).identity(identities[root].clone());
    let db = node.open().unwrap();
    let db = db.create_with("t", Variant::AccessControlled).unwrap();
    let genesis = last(&db);
    let name = COLLECTION.parse().unwrap();
    db.define(&CollectionSpec::new(name, "jsonpatch/1".parse().unwrap()))
        .unwrap();
    let authored = Authored {
        keys: db.keys(),
        peers: peers.collect(),
        records: BTreeMap::from([(events[0].id.clone(), genesis.record_id())]),
        blocks: vec![genesis, last(&db)],
    };
    let mut authors = Authors {
        events,
        branch,
        identities,
        writers: Vec::new(),
        logs: BTreeMap::new(),
        pasts: vec![BTreeSet::new()],
        authored,
    };
    authors.add_writer(root, db, BTreeSet::from([0]));
    for at in 1..events.len() {
        authors.write(at);
    }
    authors.authored
}

/// The last record that a node wrote.
fn last(db: &Db) -> Blocks {
    let entry = db.log(Some(1)).unwrap().remove(0);
    blocks(db, &entry.record)
}

pub(super) fn blocks(db: &Db, record: &Cid) -> Blocks {
    let thread = db.thread();
    let txn = thread.node.store.read().unwrap();
    let place = chain::locate(&*txn, thread.number, record).unwrap();
    chain::expect(&*txn, place.unwrap()).unwrap()
}

/// This node's log and its key, once it wrote.
fn own_log(db: &Db) -> Option<(LogId, LogKey)> {
    let thread = db.thread();
    let txn = thread.node.store.read().unwrap();
    let own = OwnLog::get(&*txn, thread.number).unwrap()?;
    Some((own.log, thread.log_key(&*txn, &own.log).unwrap()))
}

/// Makes a node go on with a log that another one began.
fn take_over(db: &Db, (log, key): &(LogId, LogKey)) {
    let thread = db.thread();
    let instance = thread.node.store.capability().instance;
    let take = |txn: &mut dyn threads_core::datastore::WriteTxn| {
        KeyBookMut::new(txn).add_log_key(&thread.id, key)?;
        let log = *log;
        OwnLog { log, instance }.put(txn, thread.number)
    };
    thread.node.store.transact(Durability::Group, take).unwrap();
}

impl Authors<'_> {
    fn add_writer(&mut self, peer: &str, db: Db, knows: BTreeSet<usize>) -> usize {
        let peer = peer.to_owned();
        self.writers.push(Writer { peer, db, knows });
        self.writers.len() - 1
    }

    /// A node of a peer that knows nothing but what is in this past; the one that knows most.
    fn writer(&mut self, peer: &str, past: &BTreeSet<usize>) -> usize {
        let may = |writer: &Writer| writer.peer == peer && writer.knows.is_subset(past);
        let all = self.writers.iter().enumerate();
        let fits = all.filter(|(_, writer)| may(writer));
        if let Some((at, _)) = fits.max_by_key(|(_, writer)| writer.knows.len()) {
            return at;
        }
        let node = builder(&Arc::default()).identity(self.identities[peer].clone());
        let db = node.open().unwrap();
        let db = db.add_thread("t", &self.authored.keys).unwrap();
        ingest::take_in(db.thread(), &self.authored.blocks[..2]).unwrap();
        if let (Branch::Fork, Some(log)) = (self.branch, self.logs.get(peer)) {
            take_over(&db, log);
        }
        self.add_writer(peer, db, BTreeSet::from([0]))
    }

    fn write(&mut self, at: usize) {
        let event = &self.events[at];
        let deps = event.deps.iter().map(|dep| {
            let known = self.events[..at].iter().position(|event| event.id == *dep);
            known.expect("what an event names comes before it")
        });
        let mut past: BTreeSet<usize> = deps.collect();
        for dep in past.clone() {
            past.extend(&self.pasts[dep]);
        }
        let writer = self.writer(&event.author, &past);
        let Writer { db, knows, .. } = &mut self.writers[writer];
        for new in past.difference(knows) {
            // After the genesis there is the definition, which is no event.
            let blocks = &self.authored.blocks[new + 1];
            ingest::take_in(db.thread(), std::slice::from_ref(blocks)).unwrap();
        }
        assert_eq!(db.held().unwrap(), []);
        let mut txn = db.begin().unwrap();
        stage(&mut txn, event, &self.authored.peers);
        let commit = txn.commit().unwrap().unwrap();
        let written = blocks(db, &commit.record);
        knows.extend(&past);
        knows.insert(at);
        self.pasts.push(past);
        if let Some(log) = own_log(db) {
            self.logs.entry(event.author.clone()).or_insert(log);
        }
        let record = written.record_id();
        self.authored.records.insert(event.id.clone(), record);
        self.authored.blocks.push(written);
    }
}

/// Stages what an event says.
fn stage(txn: &mut WriteTransaction<'_>, event: &Described, peers: &BTreeMap<String, PeerId>) {
    let subject = || match event.target.as_deref().unwrap() {
        "*" => Subject::Everybody,
        name => Subject::Peer(peers[name]),
    };
    let role = || event.role.as_deref().unwrap().parse::<Role>().unwrap();
    let scope = scope(txn.db, event.scope.as_deref());
    match event.kind.as_str() {
        "grant" => txn.grant(subject(), scope, role()).unwrap(),
        "revoke" => txn.revoke(subject(), scope, role()).unwrap(),
        "checkpoint" => txn.state(Statement::Checkpoint).unwrap(),
        "restrict" => {
            let entity = event.entity.as_deref().unwrap().parse().unwrap();
            txn.restrict(&COLLECTION.parse().unwrap(), &entity).unwrap();
        }
        kind => change(txn, event, kind == "delete"),
    }
}

pub(super) fn scope(db: &Db, scope: Option<&str>) -> Scope {
    match scope.unwrap_or("thread") {
        "thread" => Scope::Thread,
        "acl" => Scope::Acl,
        entity => {
            let entity = entity.strip_prefix("entity:").unwrap().parse().unwrap();
            Scope::Entity(EntityTag::of(
                db.id(),
                &COLLECTION.parse().unwrap(),
                &entity,
            ))
        }
    }
}

/// Stages a change, also of what is deleted, or a deletion of what was never there.
fn change(txn: &mut WriteTransaction<'_>, event: &Described, deletes: bool) {
    let things = txn.db.collection(COLLECTION).unwrap();
    let (text, id) = (event.entity.as_deref().unwrap(), event.id.as_str());
    let entity = text.parse().unwrap();
    let catalogue = txn.catalogue();
    let definition = catalogue.get(&COLLECTION.parse().unwrap()).unwrap();
    let (key, _) = txn.keys(definition, &entity);
    let row = EntityRow::get(txn.txn.as_read(), &key).unwrap();
    let life = row.map_or(Life::Unknown, |row| row.life);
    let value = json!({"_id": text, id: true});
    let (action, payload) = match (life, deletes) {
        (Life::Live(..), true) => return txn.delete(&things, text).unwrap(),
        (Life::Live(..), false) => {
            return txn.patch(&things, text, &json!({id: true})).unwrap();
        }
        (Life::Unknown, false) => {
            txn.create(&things, &value).unwrap();
            return;
        }
        (_, true) => (ActionKind::Delete, Vec::new()),
        (_, false) => {
            let payload = definition.codec.encode(None, &Action::Save(&value));
            let payload =
                payload.or_else(|_| definition.codec.encode(None, &Action::Create(&value)));
            (ActionKind::Save, payload.unwrap().unwrap())
        }
    };
    txn.effect(Step {
        definition,
        id: &entity,
        action,
        payload,
        life: Life::Deleted,
        moves: Moves::new(definition, None, None),
        before: None,
        after: None,
    })
    .unwrap();
}
