//! Transactions.
//!
//! A write transaction is the datastore's one write transaction: what it stages is in the store's
//! own uncommitted state, so it reads its own writes, others do not, and giving up leaves no
//! trace. Every check is made when an action is staged, before a record exists. Committing makes
//! one record of everything that was staged.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use threads_core::codec::{Action, ActionKind};
use threads_core::datastore::{Durability, ReadTxn, WriteTxn};
use threads_core::erased_serde::Serialize as Serialized;
use threads_core::{Cid, EntityId, Error, Hlc, LogId, Result};

use crate::base::Base;
use crate::catalogue::{Catalogue, Definition};
use crate::collection::Collection;
use crate::db::Db;
use crate::purge;
use crate::stage::Staged;
use crate::sync::{Fresh, News};
use crate::thread::{Thread, Tip};

mod identified;
mod own_id;
mod reads;

use identified::Identified;

pub use reads::{ReadTransaction, Rows};

/// What a commit made.
///
/// ```
/// use threads_db::Commit;
/// fn describe(commit: &Commit) -> String { format!("{} at {}", commit.record, commit.position) }
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Commit {
    /// The record.
    #[serde(serialize_with = "crate::text::display")]
    pub record: Cid,
    /// The log it is in: this node's.
    pub log: LogId,
    /// Its place in the log.
    pub seq: u64,
    /// Its position in the thread's feed.
    pub position: u64,
}

/// Changes to a thread, over all its collections: all of them happen, or none.
///
/// ```
/// # use threads_core::{datastore::Memory, module::CollectionSpec};
/// # use threads_codec_jsonpatch::JsonPatch;
/// # let node = threads_db::Node::builder(Memory::new()).codec(JsonPatch::new()).open().unwrap();
/// # let db = node.create("friends").unwrap();
/// # db.define(&CollectionSpec::new("Person".parse().unwrap(), "jsonpatch/1".parse().unwrap())).unwrap();
/// use serde_json::json;
///
/// let people = db.collection("Person").unwrap();
/// let mut txn = db.begin().unwrap();
/// let id = txn.create(&people, &json!({"name": "Bob"})).unwrap();
/// assert!(txn.has(&people, id.as_str()).unwrap(), "it reads its own writes");
/// assert!(!people.has(id.as_str()).unwrap(), "others do not");
/// txn.commit().unwrap().expect("something changed");
/// assert!(people.has(id.as_str()).unwrap());
/// ```
pub struct WriteTransaction<'a> {
    pub(crate) db: &'a Db,
    pub(crate) txn: Box<dyn WriteTxn + 'a>,
    catalogue: Arc<Catalogue>,
    pub(crate) tip: Tip,
    pub(crate) time: Hlc,
    /// What the thread begins with here, where not all of its records are here.
    pub(crate) base: Option<Base>,
    pub(crate) staged: Staged,
}

impl fmt::Debug for WriteTransaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteTransaction")
            .field("db", self.db)
            .field("events", &self.staged_events())
            .finish_non_exhaustive()
    }
}

impl<'a> WriteTransaction<'a> {
    pub(crate) fn new(db: &'a Db) -> Result<Self> {
        Self::with(db, |txn| db.catalogue(txn))
    }

    /// One in which nothing is changed, and something stated: what is stated reads who holds the replica key
    /// only, too, and may state it.
    pub(crate) fn to_state(db: &'a Db) -> Result<Self> {
        Self::with(db, |_| Ok(Arc::default()))
    }

    fn with(
        db: &'a Db,
        catalogue: impl FnOnce(&dyn ReadTxn) -> Result<Arc<Catalogue>>,
    ) -> Result<Self> {
        let node = &db.thread().node;
        let txn = node.store.write()?;
        let catalogue = catalogue(txn.as_read())?;
        let tip = Tip::get(txn.as_read(), db.thread().number)?;
        let time = tip.time.tick(node.clock.now_ms())?;
        let base = Base::get(txn.as_read(), db.thread().number)?;
        Ok(Self {
            db,
            txn,
            catalogue,
            tip,
            time,
            base,
            staged: Staged::default(),
        })
    }

    pub(crate) fn store(&self) -> &dyn WriteTxn {
        &*self.txn
    }

    pub(crate) fn thread(&self) -> &'a Thread {
        self.db.thread()
    }

    pub(crate) fn catalogue(&self) -> Arc<Catalogue> {
        Arc::clone(&self.catalogue)
    }

    /// Reads the definitions again, after this transaction changed one.
    pub(crate) fn reload_catalogue(&mut self) -> Result<()> {
        let thread = self.thread();
        let loaded = Catalogue::load(self.txn.as_read(), thread.number, &thread.node.codecs)?;
        self.catalogue = Arc::new(loaded);
        Ok(())
    }

    /// The hybrid time that the record of this transaction will have: after everything this node knows
    /// of the thread.
    ///
    /// ```
    /// # let node = threads_db::Node::builder(threads_core::datastore::Memory::new()).open().unwrap();
    /// let db = node.create("a").unwrap();
    /// assert!(db.begin().unwrap().time() > threads_core::Hlc::ZERO);
    /// ```
    pub fn time(&self) -> Hlc {
        self.time
    }

    /// The log that the record of this transaction will be in; it is made if this node has none yet.
    /// No other writer ever has the same one, so it tells what is this node's own.
    ///
    /// # Errors
    ///
    /// Those of the store.
    ///
    /// ```
    /// # let node = threads_db::Node::builder(threads_core::datastore::Memory::new()).open().unwrap();
    /// let db = node.create("a").unwrap();
    /// let mut txn = db.begin().unwrap();
    /// assert_eq!(txn.log().unwrap(), txn.log().unwrap());
    /// ```
    pub fn log(&mut self) -> Result<LogId> {
        self.own_log().map(|(log, _, _)| log)
    }

    /// How many events the record of this transaction will hold so far; at most 10,000.
    ///
    /// ```
    /// # let node = threads_db::Node::builder(threads_core::datastore::Memory::new()).open().unwrap();
    /// assert_eq!(node.create("a").unwrap().begin().unwrap().staged_events(), 0);
    /// ```
    pub fn staged_events(&self) -> usize {
        self.staged.events.len()
    }

    /// How many bytes they take so far; at most 1 MiB. Commit before it is reached.
    ///
    /// ```
    /// # let node = threads_db::Node::builder(threads_core::datastore::Memory::new()).open().unwrap();
    /// assert_eq!(node.create("a").unwrap().begin().unwrap().staged_bytes(), 0);
    /// ```
    pub fn staged_bytes(&self) -> usize {
        self.staged.bytes
    }

    /// Creates an entity and gives its id: the value's `_id`, or a new ULID if it has none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`](threads_core::ErrorKind::Conflict) when the id is taken or was
    /// deleted, or a unique value is taken; [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid)
    /// when the value is not an object, breaks the schema, or is too large.
    ///
    /// ```
    /// # use threads_core::{datastore::Memory, module::CollectionSpec};
    /// # use threads_codec_jsonpatch::JsonPatch;
    /// # let node = threads_db::Node::builder(Memory::new()).codec(JsonPatch::new()).open().unwrap();
    /// # let db = node.create("friends").unwrap();
    /// # db.define(&CollectionSpec::new("Person".parse().unwrap(), "jsonpatch/1".parse().unwrap())).unwrap();
    /// # use serde_json::json;
    /// let people = db.collection("Person").unwrap();
    /// let id = db.write(|txn| txn.create(&people, &json!({"_id": "bob"}))).unwrap();
    /// assert_eq!(id.as_str(), "bob");
    /// ```
    pub fn create<T: Serialize>(
        &mut self,
        collection: &Collection<T>,
        value: &T,
    ) -> Result<EntityId> {
        let definition = self.writable(collection)?;
        let (id, value) = self.identified(value)?;
        let stored = collection
            .view()
            .map(|view| view.stored(None, &as_json(&value)?))
            .transpose()?;
        let value = stored_or(&stored, &value);
        self.stage(&definition, &id, ActionKind::Create, &Action::Create(value))?;
        Ok(id)
    }

    /// Makes an entity's value this one, whole; creates it if there is none.
    ///
    /// # Errors
    ///
    /// Those of [`WriteTransaction::create`], but for a taken id.
    ///
    /// ```
    /// # use threads_core::{datastore::Memory, module::CollectionSpec};
    /// # use threads_codec_jsonpatch::JsonPatch;
    /// # let node = threads_db::Node::builder(Memory::new()).codec(JsonPatch::new()).open().unwrap();
    /// # let db = node.create("friends").unwrap();
    /// # db.define(&CollectionSpec::new("Person".parse().unwrap(), "jsonpatch/1".parse().unwrap())).unwrap();
    /// # use serde_json::json;
    /// let people = db.collection("Person").unwrap();
    /// db.write(|txn| {
    ///     txn.save(&people, &json!({"_id": "bob", "age": 41}))?;
    ///     txn.save(&people, &json!({"_id": "bob", "age": 42}))
    /// })
    /// .unwrap();
    /// assert_eq!(people.get("bob").unwrap().unwrap()["age"], 42);
    /// ```
    pub fn save<T: Serialize>(
        &mut self,
        collection: &Collection<T>,
        value: &T,
    ) -> Result<EntityId> {
        let definition = self.writable(collection)?;
        let (id, value) = self.identified(value)?;
        let mut stored = None;
        if let Some(view) = collection.view() {
            let before = self.document(&definition, id.as_str())?;
            stored = Some(view.stored(before.as_ref(), &as_json(&value)?)?);
        }
        let value = stored_or(&stored, &value);
        let life = self.life(&definition, &id)?;
        let (kind, action) = match life.is_live() {
            true => (ActionKind::Save, Action::Save(value)),
            false => (ActionKind::Create, Action::Create(value)),
        };
        self.stage_on(life, (&definition, &id), kind, &action)?;
        Ok(id)
    }

    /// Changes the members of an entity that `merge` has; `null` removes one (RFC 7396).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](threads_core::ErrorKind::NotFound) when there is no such entity,
    /// and those of [`WriteTransaction::create`].
    ///
    /// ```
    /// # use threads_core::{datastore::Memory, module::CollectionSpec};
    /// # use threads_codec_jsonpatch::JsonPatch;
    /// # let node = threads_db::Node::builder(Memory::new()).codec(JsonPatch::new()).open().unwrap();
    /// # let db = node.create("friends").unwrap();
    /// # db.define(&CollectionSpec::new("Person".parse().unwrap(), "jsonpatch/1".parse().unwrap())).unwrap();
    /// # use serde_json::json;
    /// let people = db.collection("Person").unwrap();
    /// people.create(&json!({"_id": "bob", "age": 41, "nick": "b"})).unwrap();
    /// db.write(|txn| txn.patch(&people, "bob", &json!({"age": 42, "nick": null}))).unwrap();
    /// assert_eq!(people.get("bob").unwrap().unwrap(), json!({"_id": "bob", "age": 42}));
    /// ```
    pub fn patch<T>(&mut self, collection: &Collection<T>, id: &str, merge: &Value) -> Result<()> {
        self.change(collection, id, &Action::Merge(merge))
    }

    /// Carries out the operations of a JSON Patch (RFC 6902) on an entity, all or none.
    ///
    /// # Errors
    ///
    /// Those of [`WriteTransaction::patch`], and
    /// [`ErrorKind::Conflict`](threads_core::ErrorKind::Conflict) when a `test` fails.
    ///
    /// ```
    /// # use threads_core::{datastore::Memory, module::CollectionSpec};
    /// # use threads_codec_jsonpatch::JsonPatch;
    /// # let node = threads_db::Node::builder(Memory::new()).codec(JsonPatch::new()).open().unwrap();
    /// # let db = node.create("friends").unwrap();
    /// # db.define(&CollectionSpec::new("Person".parse().unwrap(), "jsonpatch/1".parse().unwrap())).unwrap();
    /// # use serde_json::json;
    /// let people = db.collection("Person").unwrap();
    /// people.create(&json!({"_id": "bob", "tags": []})).unwrap();
    /// let ops = json!([{"op": "add", "path": "/tags/-", "value": "new"}]);
    /// db.write(|txn| txn.apply_patch(&people, "bob", &ops)).unwrap();
    /// assert_eq!(people.get("bob").unwrap().unwrap()["tags"], json!(["new"]));
    /// ```
    pub fn apply_patch<T>(
        &mut self,
        collection: &Collection<T>,
        id: &str,
        operations: &Value,
    ) -> Result<()> {
        self.change(collection, id, &Action::Patch(operations))
    }

    /// Deletes an entity, for good: its id is not used again.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](threads_core::ErrorKind::NotFound) when there is no such entity.
    ///
    /// ```
    /// # use threads_core::{datastore::Memory, module::CollectionSpec};
    /// # use threads_codec_jsonpatch::JsonPatch;
    /// # let node = threads_db::Node::builder(Memory::new()).codec(JsonPatch::new()).open().unwrap();
    /// # let db = node.create("friends").unwrap();
    /// # db.define(&CollectionSpec::new("Person".parse().unwrap(), "jsonpatch/1".parse().unwrap())).unwrap();
    /// # use serde_json::json;
    /// let people = db.collection("Person").unwrap();
    /// people.create(&json!({"_id": "bob"})).unwrap();
    /// db.write(|txn| txn.delete(&people, "bob")).unwrap();
    /// assert!(people.create(&json!({"_id": "bob"})).is_err());
    /// ```
    pub fn delete<T>(&mut self, collection: &Collection<T>, id: &str) -> Result<()> {
        let definition = self.definition(collection)?;
        self.stage_delete(&definition, &id.parse()?)
    }

    fn change<T>(
        &mut self,
        collection: &Collection<T>,
        id: &str,
        action: &Action<'_>,
    ) -> Result<()> {
        let definition = self.writable(collection)?;
        let entity = id.parse()?;
        let before = match collection.view() {
            Some(view) => self
                .document(&definition, id)?
                .map(|before| view.patched(&*definition.codec, &before, action)),
            None => None,
        };
        let Some(value) = before.transpose()? else {
            return self.stage(&definition, &entity, ActionKind::Save, action);
        };
        let action = Action::Save(&value);
        self.stage(&definition, &entity, ActionKind::Save, &action)
    }

    /// What is stored of an entity that lives.
    fn document(&self, definition: &Definition, id: &str) -> Result<Option<Value>> {
        let found = self.reader(definition).get(id)?;
        found.map(|document| document.value()).transpose()
    }

    pub(crate) fn definition<T>(&self, collection: &Collection<T>) -> Result<Arc<Definition>> {
        collection.check_thread(self.thread())?;
        if collection.name().is_reserved() {
            return Err(Error::invalid(
                "this collection belongs to the framework: define and drop_index change it",
            )
            .with("collection", collection.name()));
        }
        self.catalogue.get(collection.name()).cloned()
    }

    /// The definition of a collection that is as whoever writes to it believes.
    pub(crate) fn writable<T>(&self, collection: &Collection<T>) -> Result<Arc<Definition>> {
        let definition = self.definition(collection)?;
        if let Some(view) = collection.view() {
            view.check_definition(&definition)?;
        }
        Ok(definition)
    }

    /// A value and its id; one without gets one.
    fn identified<'v, T: Serialize>(&self, value: &'v T) -> Result<(EntityId, Identified<'v, T>)> {
        Identified::new(value, || {
            let node = &self.thread().node;
            EntityId::generate(node.clock.now_ms(), &mut **node.rng())
        })
    }

    /// Makes one record of everything staged; `None` when nothing changed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Rejected`](threads_core::ErrorKind::Rejected) when the access policy refuses,
    /// and those of the datastore. Nothing of the transaction is visible then.
    ///
    /// ```
    /// # let node = threads_db::Node::builder(threads_core::datastore::Memory::new()).open().unwrap();
    /// assert_eq!(node.create("a").unwrap().begin().unwrap().commit().unwrap(), None);
    /// ```
    pub fn commit(self) -> Result<Option<Commit>> {
        let durability = self.thread().node.durability;
        self.commit_with(durability)
    }

    /// [`WriteTransaction::commit`] with a promise of its own.
    ///
    /// ```
    /// # use threads_core::datastore::Durability;
    /// # let node = threads_db::Node::builder(threads_core::datastore::Memory::new()).open().unwrap();
    /// node.create("a").unwrap().begin().unwrap().commit_with(Durability::Immediate).unwrap();
    /// ```
    pub fn commit_with(self, durability: Durability) -> Result<Option<Commit>> {
        let made = self.make_all(durability)?;
        Ok(made.keys.or(made.statements).or(made.changes))
    }

    /// [`WriteTransaction::commit`], with all that it made.
    pub(crate) fn commit_all(self) -> Result<Made> {
        let durability = self.thread().node.durability;
        self.make_all(durability)
    }

    fn make_all(mut self, durability: Durability) -> Result<Made> {
        if self.staged.broken {
            return Err(Error::invalid(
                "a step of this transaction failed half-way, so none of it is committed: begin again",
            ));
        }
        let (mut made, mut is_back) = (Made::default(), false);
        if !self.staged.events.is_empty() {
            let deleted = self.deleted()?;
            let changes = self.dispatch()?;
            self.empty_staged(&changes.record)?;
            self.purge_deleted(&deleted)?;
            made.changes = Some(changes);
        }
        if !self.staged.statements.is_empty() {
            is_back = self.hand_on_keys()?;
            made.statements = Some(self.dispatch_access()?);
        }
        if made == Made::default() {
            return Ok(made);
        }
        let rotated = self.rotate_if_due(is_back)?;
        // New keys belong to the rules that made them due; those that were due anyway, to nothing written here.
        made.keys = rotated.filter(|_| made.statements.is_some());
        self.txn.commit(durability)?;
        let thread = self.db.thread();
        let news = News(Fresh::Committed(thread.number));
        thread.node.notifier.notify_of(news);
        if self.staged.members {
            let news = News(Fresh::Members(thread.number));
            thread.node.notifier.notify_of(news);
        }
        if made.statements.is_some() {
            // It is committed; what is left undone here is tried again when the thread is opened.
            _ = purge::settle(thread);
        }
        Ok(made)
    }
}

/// A value as JSON, for a version of a module to look at.
fn as_json(value: &impl Serialize) -> Result<Value> {
    serde_json::to_value(value)
        .map_err(|cause| Error::invalid("an entity must be JSON").caused_by(cause))
}

/// What is stored for a value: the value itself, unless a version of a module stores it otherwise.
fn stored_or<'v>(stored: &'v Option<Value>, value: &'v dyn Serialized) -> &'v dyn Serialized {
    match stored {
        Some(stored) => stored,
        None => value,
    }
}

/// The records that a transaction made.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Made {
    pub(crate) changes: Option<Commit>,
    pub(crate) statements: Option<Commit>,
    /// New keys, where the statements made them due.
    pub(crate) keys: Option<Commit>,
}
