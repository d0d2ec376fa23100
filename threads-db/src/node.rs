//! A node: one identity, one datastore, many threads.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use threads_core::codec::EventCodec;
use threads_core::datastore::{
    Datastore, DatastoreExt, Direction, Durability, Keyspace, ReadTxn, WriteTxn,
};
use threads_core::policy::AccessPolicy;
use threads_core::rand_core::CryptoRng;
use threads_core::reducer::Reducer;
use threads_core::{
    AgreementKey, AgreementPublicKey, Clock, CodecId, Error, IdentityKey, LogId, PeerId, ReadKey,
    ReplicaKey, Result, ThreadId, Variant, block,
};

use crate::db::{Db, WeakDb};
use crate::layout::{self, Number, Prefix, meta};
use crate::notify::Notifier;
use crate::whole::{Whole, whole_id};

pub(crate) mod books;
mod builder;

pub(crate) use books::Tip;
pub use builder::NodeBuilder;

/// The longest name of a thread, in bytes.
const NAME_BYTES_MAX: usize = 128;
/// The version of the layout in the datastore.
const LAYOUT_VERSION: &[u8] = b"1";
const LAYOUT_KEY: &[u8] = b"layout";
const IDENTITY_KEY: &[u8] = b"identity";

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
pub struct Node(pub(crate) Arc<NodeInner>);

pub(crate) struct NodeInner {
    pub(crate) store: Arc<dyn Datastore>,
    pub(crate) identity: IdentityKey,
    pub(crate) agreement: Agreement,
    pub(crate) codecs: Codecs,
    pub(crate) reducers: Vec<Arc<dyn Reducer>>,
    pub(crate) policy: Arc<dyn AccessPolicy>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) durability: Durability,
    pub(crate) notifier: Notifier,
    rng: Mutex<Box<dyn CryptoRng + Send>>,
    /// The threads that somebody has open. Weak, for each of them holds this node.
    open: Mutex<HashMap<Number, WeakDb>>,
}

/// The pair that opens what is sealed to this node; deriving it takes longer than opening.
pub(crate) struct Agreement {
    pub(crate) secret: AgreementKey,
    pub(crate) public: AgreementPublicKey,
}

impl NodeInner {
    /// The source of randomness, for as long as the guard lives.
    pub(crate) fn rng(&self) -> MutexGuard<'_, Box<dyn CryptoRng + Send>> {
        // A generator of random bytes has no state that a panic could break.
        self.rng.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The codecs of a node, by id.
#[derive(Clone, Debug)]
pub(crate) struct Codecs(BTreeMap<CodecId, Arc<dyn EventCodec>>);

impl Codecs {
    fn new(codecs: Vec<Arc<dyn EventCodec>>) -> Result<Self> {
        let mut by_id: BTreeMap<CodecId, Arc<dyn EventCodec>> = BTreeMap::new();
        by_id.insert(whole_id(), Arc::new(Whole));
        for codec in codecs {
            let id = codec.id();
            if by_id.insert(id.clone(), codec).is_some() {
                return Err(Error::invalid("two codecs have the same id").with("codec", id));
            }
        }
        Ok(Self(by_id))
    }

    pub(crate) fn get(&self, id: &CodecId) -> Result<Arc<dyn EventCodec>> {
        self.0.get(id).cloned().ok_or_else(|| {
            let installed: Vec<_> = self.0.keys().map(CodecId::as_str).collect();
            Error::unsupported("codec missing: register it when the node is opened")
                .with("codec", id)
                .with("installed", installed.join(" "))
        })
    }
}

/// What a node keeps of a thread.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct ThreadRow {
    id: ThreadId,
    name: String,
    created_ms: u64,
}

/// A thread with its keys: what everything below [`Db`] works with.
pub(crate) struct Thread {
    pub(crate) node: Arc<NodeInner>,
    pub(crate) number: Number,
    pub(crate) id: ThreadId,
    pub(crate) name: String,
    pub(crate) replica: ReplicaKey,
    pub(crate) read: ReadKey,
}

impl fmt::Debug for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Thread")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
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
        self.0.identity.peer_id()
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
        let (id, replica, read) = {
            let rng = &mut **self.0.rng();
            (
                ThreadId::generate(variant, rng),
                ReplicaKey::generate(rng),
                ReadKey::generate(rng),
            )
        };
        let number = self.0.store.transact(self.0.durability, |txn| {
            self.add_thread(txn, &id, name, &replica, &read)
        })?;
        self.db(number)
    }

    /// Files a thread with its name and keys under a new number.
    fn add_thread(
        &self,
        txn: &mut dyn WriteTxn,
        id: &ThreadId,
        name: &str,
        replica: &ReplicaKey,
        read: &ReadKey,
    ) -> Result<Number> {
        let number = layout::reserve(txn)?;
        self.add_thread_at(txn, number, id, name, replica, read)?;
        Ok(number)
    }

    /// Files a thread with its name and keys under a number that was reserved for it.
    pub(crate) fn add_thread_at(
        &self,
        txn: &mut dyn WriteTxn,
        number: Number,
        id: &ThreadId,
        name: &str,
        replica: &ReplicaKey,
        read: &ReadKey,
    ) -> Result<()> {
        check_free(txn.as_read(), name)?;
        for key in [meta::thread_by_id(id), meta::thread_by_name(name)] {
            txn.put(Keyspace::Meta, &key, &number.to_be_bytes())?;
        }
        let row = ThreadRow {
            id: id.clone(),
            name: name.to_owned(),
            created_ms: self.0.clock.now_ms(),
        };
        txn.put(Keyspace::Meta, &meta::thread(number), &block::encode(&row)?)?;
        books::put_thread_keys(txn, id, replica, read)
    }

    /// Refuses a name that a thread of this node has.
    pub(crate) fn check_free(&self, name: &str) -> Result<()> {
        check_free(&*self.0.store.read()?, name)
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
            let txn = self.0.store.read()?;
            let by_name = match check_name(name_or_id) {
                Ok(()) => layout::number(&*txn, &meta::thread_by_name(name_or_id))?,
                Err(_) => None,
            };
            match (by_name, name_or_id.parse::<ThreadId>()) {
                (Some(number), _) => Some(number),
                (None, Ok(id)) => layout::number(&*txn, &meta::thread_by_id(&id))?,
                (None, Err(_)) => None,
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
        let txn = self.0.store.read()?;
        let prefix = Prefix::new(meta::THREADS);
        let mut threads = Vec::new();
        for row in txn.scan(Keyspace::Meta, prefix.range(), Direction::Forward)? {
            let (key, value) = row?;
            let number = Number::from_be_bytes(
                key[meta::THREADS.len()..]
                    .try_into()
                    .map_err(|_| Error::corrupt("a thread's number is damaged"))?,
            );
            let row: ThreadRow = decode_row(&value)?;
            let heads = books::heads(&*txn, &row.id)?;
            let catalogue = crate::catalogue::Catalogue::load(&*txn, number, &self.0.codecs)?;
            threads.push(ThreadSummary {
                logs: heads.len() as u64,
                records: heads.iter().map(|(_, head)| head.seq).sum(),
                collections: catalogue.collections().count() as u64,
                id: row.id,
                name: row.name,
                created_ms: row.created_ms,
            });
        }
        threads.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(threads)
    }

    /// The open thread of a number; one value for all who ask.
    pub(crate) fn db(&self, number: Number) -> Result<Db> {
        if let Some(db) = self.open_threads().get(&number).and_then(WeakDb::upgrade) {
            return Ok(db);
        }
        let thread = {
            let txn = self.0.store.read()?;
            let row = txn
                .get(Keyspace::Meta, &meta::thread(number))?
                .ok_or_else(|| Error::corrupt("a thread's row is missing"))?;
            let row: ThreadRow = decode_row(&row)?;
            let (replica, read) = books::thread_keys(&*txn, &row.id)?;
            Thread {
                node: Arc::clone(&self.0),
                number,
                id: row.id,
                name: row.name,
                replica,
                read,
            }
        };
        let db = Db::new(thread);
        db.catch_up_reducers()?;
        let mut open = self.open_threads();
        if let Some(first) = open.get(&number).and_then(WeakDb::upgrade) {
            return Ok(first);
        }
        open.retain(|_, db| db.upgrade().is_some());
        open.insert(number, db.downgrade());
        Ok(db)
    }

    fn open_threads(&self) -> MutexGuard<'_, HashMap<Number, WeakDb>> {
        // The map is whole between any two of its operations.
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("peer_id", &self.peer_id())
            .finish_non_exhaustive()
    }
}

impl Thread {
    /// The identity that owns the log this node writes.
    pub(crate) fn own_author(&self) -> PeerId {
        self.node.identity.peer_id()
    }

    /// The identity that owns a log, if its first record is here.
    pub(crate) fn author(&self, txn: &dyn ReadTxn, log: Number) -> Result<Option<PeerId>> {
        let author = txn.get(Keyspace::Meta, &meta::author(self.number, log))?;
        let key: Option<[u8; 32]> = author.and_then(|bytes| (&*bytes).try_into().ok());
        Ok(key.map(PeerId::from_key_bytes))
    }

    /// The ids of the thread's logs, by their local numbers.
    pub(crate) fn log_ids(&self, txn: &dyn ReadTxn) -> Result<HashMap<Number, LogId>> {
        let prefix = meta::logs(self.number);
        let bounds = Prefix::new(&prefix);
        let damaged = || Error::corrupt("a log's number is damaged");
        txn.scan(Keyspace::Meta, bounds.range(), Direction::Forward)?
            .map(|row| {
                let (key, value) = row?;
                let number = key[prefix.len()..].try_into().map_err(|_| damaged())?;
                let log = (&*value).try_into().map_err(|_| damaged())?;
                Ok((Number::from_be_bytes(number), LogId::from_key_bytes(log)))
            })
            .collect()
    }

    /// The local number of a log, given out now if it is new.
    pub(crate) fn log_number(&self, txn: &mut dyn WriteTxn, log: &LogId) -> Result<Number> {
        let key = meta::log_by_id(self.number, log);
        if let Some(number) = layout::number(txn.as_read(), &key)? {
            return Ok(number);
        }
        let number = layout::assign(txn, &key)?;
        txn.put(
            Keyspace::Meta,
            &meta::log(self.number, number),
            log.key_bytes(),
        )?;
        Ok(number)
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
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains(char::is_control) {
        return Err(
            Error::invalid("a thread's name has 1 to 128 bytes and no control characters")
                .with("bytes", name.len()),
        );
    }
    Ok(())
}

fn decode_row<T: Serialize + for<'de> Deserialize<'de>>(bytes: &[u8]) -> Result<T> {
    block::decode(bytes)
        .map_err(|cause| Error::corrupt("a thread's row is damaged").caused_by(cause))
}
