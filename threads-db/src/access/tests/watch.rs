//! Nodes that keep to the rules: what they make of records, one by one, in some order.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use threads_acl::Acl;
use threads_acl::eval::{Described, Outcome, Roles};
use threads_core::access::{Role, Rules, Scope};
use threads_core::datastore::{Datastore, Memory};

use super::author::{Authored, COLLECTION, builder};
use super::common::Chance;
use crate::chain::Blocks;
use crate::db::Db;
use crate::entity::{EntityRow, Life};
use crate::held::HeldReason;
use crate::ingest;
use crate::layout::{self, meta};
use crate::live::tests::Follower;
use crate::query::Query;
use crate::sharing::ThreadKeys;

/// A node that can be started anew.
pub(super) struct Observer {
    pub(super) store: Arc<Memory>,
    pub(super) db: Db,
    /// A list that is to be what a query gives, whatever is undone and done again.
    list: RefCell<Option<Follower>>,
}

impl Observer {
    pub(super) fn new(keys: &ThreadKeys) -> Self {
        let store = Arc::default();
        let node = builder(&store).policy(Acl::new()).open().unwrap();
        let db = node.add_thread("t", keys).unwrap();
        let list = RefCell::default();
        Self { store, db, list }
    }

    pub(super) fn restart(self) -> Self {
        let Self { store, db, list } = self;
        drop((db, list.take()));
        let node = builder(&store).policy(Acl::new()).open().unwrap();
        let db = node.open("t").unwrap();
        Self { store, db, list }
    }

    pub(super) fn take(&self, blocks: &Blocks) {
        ingest::take_in(self.db.thread(), std::slice::from_ref(blocks)).unwrap();
        let mut list = self.list.borrow_mut();
        if list.is_none()
            && let Ok(things) = self.db.collection(COLLECTION)
        {
            *list = Some(Follower::new(&things, &Query::new()));
        }
        list.iter_mut().for_each(Follower::follow);
    }

    /// Takes in all records in some order, some of them more than once, and starts anew now and then.
    pub(super) fn take_all(mut self, blocks: &[Blocks], seed: u64) -> Self {
        let mut chance = Chance(seed);
        let mut order: Vec<usize> = (0..blocks.len()).collect();
        let twice = order.iter().copied().filter(|_| chance.percent(25));
        let twice: Vec<_> = twice.collect();
        order.extend(twice);
        match seed {
            0 => order.reverse(),
            _ => chance.shuffle(&mut order),
        }
        for at in order {
            self.take(&blocks[at]);
            if chance.percent(10) {
                self = self.restart();
            }
        }
        self
    }

    pub(super) fn assert_clean(&self) {
        let report = self.db.verify(&mut |_| ()).unwrap();
        assert!(report.is_clean(), "{:#?}", report.problems);
    }
}

/// All that a node says of a history, by the names of the history.
#[derive(Debug, PartialEq)]
pub(super) struct Seen {
    pub(super) rules: Option<Rules>,
    /// The access events that do not count.
    pub(super) void: BTreeSet<String>,
    pub(super) quarantined: BTreeSet<String>,
    /// Every entity: as it is kept, and as it is shown.
    pub(super) entities: BTreeMap<String, (Life, Option<Value>)>,
}

impl Seen {
    pub(super) fn new(db: &Db, events: &[Described], authored: &Authored) -> Self {
        let names: BTreeMap<_, _> = authored
            .records
            .iter()
            .map(|(name, record)| (*record, name.clone()))
            .collect();
        let held = db.held().unwrap().into_iter().map(|held| {
            let apart = matches!(held.reason, HeldReason::Access(_));
            assert!(apart, "{held:?}");
            names[&held.record].clone()
        });
        let stated = db.access_history().unwrap().into_iter();
        let void = stated.filter(|stated| stated.void.is_some());
        let entities = events.iter().filter_map(|event| event.entity.clone());
        Self {
            rules: db.rules().unwrap(),
            void: void.map(|stated| names[&stated.record].clone()).collect(),
            quarantined: held.collect(),
            entities: entities
                .map(|entity| (entity.clone(), kept(db, &entity)))
                .collect(),
        }
    }
}

/// An entity as it is kept, and as it is shown where it can be read.
pub(super) fn kept(db: &Db, entity: &str) -> (Life, Option<Value>) {
    let thread = db.thread();
    let txn = thread.node.store.read().unwrap();
    let name = meta::collection(thread.number, &COLLECTION.parse().unwrap());
    let Some(number) = layout::number(&*txn, &name).unwrap() else {
        return (Life::Unknown, None);
    };
    let key = layout::entity(thread.number, number, entity);
    let row = EntityRow::get(&*txn, &key).unwrap();
    let life = row.map_or(Life::Unknown, |row| row.life);
    let shown = (!thread.is_blind()).then(|| {
        let things = db.collection(COLLECTION).unwrap();
        things.get(entity).unwrap()
    });
    (life, shown.flatten())
}

/// Compares what a node that can read makes of a history with what follows from it by the rules.
#[track_caller]
pub(super) fn assert_follows(
    (db, seen): (&Db, &Seen),
    events: &[Described],
    authored: &Authored,
    outcome: &Outcome,
) {
    assert_roles(db, authored, outcome);
    let quarantined: Vec<_> = seen.quarantined.iter().cloned().collect();
    assert_eq!(quarantined, outcome.quarantined);
    for event in events {
        let counts = match event.kind.as_str() {
            // A removal is as good as authorised; a restriction counts as grants do, which the outcome has not.
            "grant" => outcome.counted.contains(&event.id),
            "revoke" => outcome.authorised.contains(&event.id),
            _ => continue,
        };
        assert_eq!(!seen.void.contains(&event.id), counts, "{}", event.id);
    }
    for (entity, (life, shown)) in &seen.entities {
        assert_eq!(life.is_live(), shown.is_some(), "{entity}");
        let alive = outcome.alive.contains(entity);
        assert_eq!(life.is_live(), alive, "{entity}");
    }
}

/// Compares the roles of all peers with those that follow.
#[track_caller]
pub(super) fn assert_roles(db: &Db, authored: &Authored, outcome: &Outcome) {
    for (name, peer) in &authored.peers {
        let (thread, acl) = expected(&outcome.roles[name]);
        let found = |scope| db.roles(peer, &scope).unwrap().unwrap();
        assert_eq!(found(Scope::Thread), thread, "{name}");
        assert_eq!(found(Scope::Acl), acl, "{name}");
    }
}

/// What somebody may do who was given these roles.
fn expected(given: &Roles) -> (Vec<Role>, Vec<Role>) {
    let parse = |names: &[String]| {
        let roles = names.iter().map(|name| name.parse::<Role>().unwrap());
        roles.collect::<Vec<_>>()
    };
    let (thread, acl) = (parse(&given.thread), parse(&given.acl));
    let may = |role: &Role| {
        thread
            .iter()
            .any(|given| given == role || given.implies(*role))
    };
    (Role::ALL.into_iter().filter(may).collect(), acl)
}
