//! A node: one identity, one datastore, many threads.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use serde::{Deserialize, Serialize};
use threads_core::access::{Genesis, History};
use threads_core::datastore::{Datastore, DatastoreExt, Direction, Keyspace, ReadTxn, WriteTxn};
use threads_core::{
    Error, IdentityKey, PeerId, ReadKey, ReplicaKey, Result, ThreadId, Variant, block,
};

use crate::catalogue::Catalogue;
use crate::db::{Db, WeakDb};
use crate::held;
use crate::ingest;
use crate::layout::{self, Number, Prefix, meta};
use crate::thread::{Later, NodeInner, Thread, books};

mod builder;

pub use builder::NodeBuilder;

/// The longest name of a thread, in bytes.
const NAME_BYTES_MAX: usize = 128;
/// The version of the layout in the datastore.
const LAYOUT_VERSION: &[u8] = b"1";
const LAYOUT_KEY: &[u8] = b"layout";
pub(crate) const IDENTITY_KEY: &[u8] = b"identity";

/// One identity, one datastore, and the threads in it. Cloning it is cheap and shares everything.
///
/// ```
/// use threads_core::datastore::Memory;
/// use threads_db::Node;
///
/// let node = Node::builder(Memory::new()).open().unwrap();
/// let db = node.create("friends").unwrap();
/// assert_eq!(node.open("friends").unwrap().id(), db.id());
/// ```
#[derive(Clone)]
pub struct Node {
    pub(crate) inner: Arc<NodeInner>,
    /// The threads that somebody has open. Weak, for each of them holds this node.
    open: Arc<Mutex<HashMap<Number, WeakDb>>>,
}

/// What a node keeps of a thread.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct ThreadRow {
    id: ThreadId,
    name: String,
    created_ms: u64,
}

/// The id of a thread by its number.
pub(crate) fn thread_id(txn: &dyn ReadTxn, number: Number) -> Result<ThreadId> {
    thread_row(txn, number).map(|row| row.id)
}

/// The number of the thread that a row is about.
fn number_of(key: &[u8]) -> Result<Number> {
    let number = key[meta::THREADS.len()..].try_into();
    let number = number.map_err(|_| Error::corrupt("a thread's number is damaged"))?;
    Ok(Number::from_be_bytes(number))
}

fn thread_row(txn: &dyn ReadTxn, number: Number) -> Result<ThreadRow> {
    let row = txn
        .get(Keyspace::Meta, &meta::thread(number))?
        .ok_or_else(|| Error::corrupt("a thread's row is missing"))?;
    decode_row(&row)
}

/// A thread of a node, in short.
///
/// ```
/// # use threads_core::datastore::Memory;
/// let node = threads_db::Node::builder(Memory::new()).open().unwrap();
/// node.create("friends").unwrap();
/// assert_eq!(node.threads().unwrap()[0].name, "friends");
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ThreadSummary {
    /// The thread.
    pub id: ThreadId,
    /// Its name on this node.
    pub name: String,
    /// When it was made or restored here, in milliseconds since 1970.
    pub created_ms: u64,
    /// How many logs it has.
    pub logs: u64,
    /// How many records its logs have.
    pub records: u64,
    /// How many collections it has.
    pub collections: u64,
    /// Whether this node can read it, and does not only keep it for others.
    pub can_read: bool,
}

impl Node {
    /// Begins to open a node on a datastore.
    ///
    /// ```
    /// # use threads_core::datastore::Memory;
    /// let node = threads_db::Node::builder(Memory::new()).open().unwrap();
    /// ```
    pub fn builder(store: impl Datastore) -> NodeBuilder {
        NodeBuilder::new(Arc::new(store))
    }

    /// Who this node is.
    ///
    /// ```
    /// # use threads_core::datastore::Memory;
    /// # let node = threads_db::Node::builder(Memory::new()).open().unwrap();
    /// assert!(node.peer_id().to_string().starts_with("12D3KooW"));
    /// ```
    pub fn peer_id(&self) -> PeerId {
        self.inner.identity.peer_id()
    }

    /// The secret of this node's identity, for what proves to be this node, such as a transport.
    ///
    /// ```
    /// # let node = threads_db::Node::builder(threads_core::datastore::Memory::new()).open().unwrap();
    /// assert_eq!(node.identity().peer_id(), node.peer_id());
    /// ```
    pub fn identity(&self) -> &IdentityKey {
        &self.inner.identity
    }

    /// The datastore as this node sees it: over a [keystore](crate::keystore), with its keys opened.
    /// For what serves it to other processes of the same user.
    ///
    /// ```
    /// # use threads_core::datastore::Datastore;
    /// # let node = threads_db::Node::builder(threads_core::datastore::Memory::new()).open().unwrap();
    /// assert!(!node.datastore().capability().durable);
    /// ```
    pub fn datastore(&self) -> Arc<dyn Datastore> {
        Arc::clone(&self.inner.store)
    }

    /// Makes a thread of the raw variant.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`](threads_core::ErrorKind::Conflict) when a thread of this node has
    /// the name, [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) when it is not a name.
    ///
    /// ```
    /// # use threads_core::datastore::Memory;
    /// # let node = threads_db::Node::builder(Memory::new()).open().unwrap();
    /// node.create("friends").unwrap();
    /// assert!(node.create("friends").is_err());
    /// ```
    pub fn create(&self, name: &str) -> Result<Db> {
        self.create_with(name, Variant::Raw)
    }

    /// Makes a thread of a variant; see [`Node::create`].
    ///
    /// ```
    /// # use threads_core::{datastore::Memory, Variant};
    /// # let node = threads_db::Node::builder(Memory::new()).open().unwrap();
    /// let db = node.create_with("team", Variant::AccessControlled).unwrap();
    /// assert_eq!(db.id().variant(), Variant::AccessControlled);
    /// ```
    pub fn create_with(&self, name: &str, variant: Variant) -> Result<Db> {
        let (id, genesis, replica, read) = {
            let rng = &mut **self.inner.rng();
            let genesis = match variant {
                Variant::AccessControlled => Some(Genesis::new(self.peer_id(), History::All, rng)),
                _ => None,
            };
            let id = match &genesis {
                Some(genesis) => genesis.thread_id()?,
                None => ThreadId::generate(variant, rng),
            };
            let genesis = genesis.as_ref().map(block::encode).transpose()?;
            (
                id,
                genesis,
                ReplicaKey::generate(rng),
                ReadKey::generate(rng),
            )
        };
        let number = self.inner.store.transact(self.inner.durability, |txn| {
            let number = layout::reserve(txn)?;
            self.add_thread_at(txn, number, &id, name, &replica, Some(&read))?;
            if let Some(genesis) = &genesis {
                txn.put(Keyspace::Meta, &meta::genesis(number), genesis)?;
            }
            Ok(number)
        })?;
        self.db(number)
    }

    /// Files a thread with its name and keys under a number that was reserved for it.
    pub(crate) fn add_thread_at(
        &self,
        txn: &mut dyn WriteTxn,
        number: Number,
        id: &ThreadId,
        name: &str,
        replica: &ReplicaKey,
        read: Option<&ReadKey>,
    ) -> Result<()> {
        check_free(txn.as_read(), name)?;
        let locator = meta::thread_by_locator(&replica.locator());
        for key in [meta::thread_by_id(id), meta::thread_by_name(name), locator] {
            txn.put(Keyspace::Meta, &key, &number.to_be_bytes())?;
        }
        let row = ThreadRow {
            id: id.clone(),
            name: name.to_owned(),
            created_ms: self.inner.clock.now_ms(),
        };
        txn.put(Keyspace::Meta, &meta::thread(number), &block::encode(&row)?)?;
        let installed = self.inner.codecs.names();
        txn.put(Keyspace::Meta, &meta::codecs(number), installed.as_bytes())?;
        books::put_thread_keys(txn, id, replica, read)
    }

    /// Refuses a name that a thread of this node has.
    pub(crate) fn check_free(&self, name: &str) -> Result<()> {
        check_free(&*self.inner.store.read()?, name)
    }

    /// Opens a thread by its name or its id.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](threads_core::ErrorKind::NotFound).
    ///
    /// ```
    /// # use threads_core::datastore::Memory;
    /// # let node = threads_db::Node::builder(Memory::new()).open().unwrap();
    /// let id = node.create("friends").unwrap().id().to_string();
    /// assert_eq!(node.open(&id).unwrap().name(), "friends");
    /// ```
    pub fn open(&self, name_or_id: &str) -> Result<Db> {
        let number = {
            let txn = self.inner.store.read()?;
            let by_name = match check_name(name_or_id) {
                Ok(()) => layout::number(&*txn, &meta::thread_by_name(name_or_id))?,
                Err(_) => None,
            };
            match name_or_id.parse::<ThreadId>() {
                Ok(id) => layout::number(&*txn, &meta::thread_by_id(&id))?,
                Err(_) => by_name,
            }
        };
        let number = number.ok_or_else(|| {
            Error::not_found("no thread of this name or id: create it, or list the threads")
                .with("thread", format_args!("{name_or_id:.80}"))
        })?;
        self.db(number)
    }

    /// Every thread of this node, by name.
    ///
    /// ```
    /// # use threads_core::datastore::Memory;
    /// # let node = threads_db::Node::builder(Memory::new()).open().unwrap();
    /// assert!(node.threads().unwrap().is_empty());
    /// ```
    pub fn threads(&self) -> Result<Vec<ThreadSummary>> {
        let txn = self.inner.store.read()?;
        let prefix = Prefix::new(meta::THREADS);
        let mut threads = Vec::new();
        for row in txn.scan(Keyspace::Meta, prefix.range(), Direction::Forward)? {
            let (key, value) = row?;
            let number = number_of(&key)?;
            let row: ThreadRow = decode_row(&value)?;
            let heads = books::heads(&*txn, &row.id)?;
            let catalogue = Catalogue::load(&*txn, number, &self.inner.codecs)?;
            threads.push(ThreadSummary {
                logs: heads.len() as u64,
                records: heads.iter().map(|(_, head)| head.seq).sum(),
                collections: catalogue.collections().count() as u64,
                can_read: books::can_read(&*txn, &row.id)?,
                id: row.id,
                name: row.name,
                created_ms: row.created_ms,
            });
        }
        threads.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(threads)
    }

    /// The first thread whose number is not below this one.
    pub(crate) fn thread_from(&self, first: Number) -> Result<Option<Number>> {
        let txn = self.inner.store.read()?;
        let (prefix, from) = (Prefix::new(meta::THREADS), meta::thread(first));
        let (_, end) = prefix.range();
        let from = std::ops::Bound::Included(&from[..]);
        let row = txn
            .scan(Keyspace::Meta, (from, end), Direction::Forward)?
            .next();
        row.transpose()?.map(|(key, _)| number_of(&key)).transpose()
    }

    pub(crate) fn has_thread(&self, number: Number) -> Result<bool> {
        let txn = self.inner.store.read()?;
        Ok(txn.get(Keyspace::Meta, &meta::thread(number))?.is_some())
    }

    /// The open thread of a number; one value for all who ask.
    pub(crate) fn db(&self, number: Number) -> Result<Db> {
        if let Some(db) = self.open_threads().get(&number).and_then(WeakDb::upgrade) {
            return Ok(db);
        }
        let (thread, holding) = {
            let txn = self.inner.store.read()?;
            let holding = held::any(&*txn, number)?;
            let row = thread_row(&*txn, number)?;
            let (replica, read) = books::thread_keys(&*txn, &row.id)?;
            let later = Later::load(&*txn, &row.id)?;
            let thread = Thread {
                node: Arc::clone(&self.inner),
                number,
                id: row.id,
                name: row.name,
                replica,
                read: read.map(OnceLock::from).unwrap_or_default(),
                later,
                choice: Mutex::default(),
                attended: Mutex::default(),
                log_key: Mutex::default(),
                catalogue: Catalogue::unread(),
            };
            (thread, holding)
        };
        let blind = thread.is_blind();
        let db = Db::new(self.clone(), thread);
        if !blind && !db.is_being_opened()? {
            db.install_codecs()?;
            db.catch_up_reducers()?;
        }
        if holding {
            db.catch_up_held()?;
        }
        db.catch_up_compaction()?;
        db.catch_up_purges()?;
        ingest::read_on(db.thread())?;
        db.begin_access()?;
        let mut open = self.open_threads();
        if let Some(first) = open.get(&number).and_then(WeakDb::upgrade) {
            return Ok(first);
        }
        open.retain(|_, db| db.upgrade().is_some());
        open.insert(number, db.downgrade());
        Ok(db)
    }

    /// Takes up keys of open threads that another process put into the datastore.
    pub(crate) fn take_up_keys(&self) -> Result<()> {
        let open: Vec<_> = self
            .open_threads()
            .values()
            .filter_map(WeakDb::upgrade)
            .collect();
        open.iter().try_for_each(|db| db.thread().take_up_keys())
    }

    fn open_threads(&self) -> MutexGuard<'_, HashMap<Number, WeakDb>> {
        // The map is whole between any two of its operations.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("peer_id", &self.peer_id())
            .finish_non_exhaustive()
    }
}

fn check_free(txn: &dyn ReadTxn, name: &str) -> Result<()> {
    check_name(name)?;
    if layout::number(txn, &meta::thread_by_name(name))?.is_some() {
        return Err(
            Error::conflict("a thread of this name exists: choose another name").with("name", name),
        );
    }
    Ok(())
}

fn check_name(name: &str) -> Result<()> {
    // What is not seen could make one name look like another.
    let unseen = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains(unseen) {
        let error = "a thread's name has 1 to 128 bytes and no characters that cannot be seen";
        return Err(Error::invalid(error).with("bytes", name.len()));
    }
    if name.parse::<ThreadId>().is_ok() {
        return Err(Error::invalid(
            "a thread cannot be named like the id of one",
        ));
    }
    Ok(())
}

fn decode_row<T: Serialize + for<'de> Deserialize<'de>>(bytes: &[u8]) -> Result<T> {
    block::decode(bytes)
        .map_err(|cause| Error::corrupt("a thread's row is damaged").caused_by(cause))
}
