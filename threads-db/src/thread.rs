//! A thread with its keys, and the parts of its node: what everything below a database works with.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use threads_core::codec::EventCodec;
use threads_core::datastore::{Datastore, Direction, Durability, Keyspace, ReadTxn, WriteTxn};
use threads_core::group::GroupKeys;
use threads_core::policy::AccessPolicy;
use threads_core::rand_core::CryptoRng;
use threads_core::reducer::Reducer;
use threads_core::{
    AgreementKey, AgreementPublicKey, Clock, CodecId, Error, ErrorKind, IdentityKey, LogId, LogKey,
    PeerId, ReadKey, ReplicaKey, Result, ThreadId,
};

use crate::access::{Attended, Choice};
use crate::catalogue::{CLOSED, Catalogue};
use crate::layout::{self, Number, Prefix, meta};
use crate::line;
use crate::notify::Notifier;
use crate::query::QueryCaps;
use crate::whole::{Whole, whole_id};

pub(crate) mod books;
mod keys;
mod own;

pub(crate) use books::Tip;
pub(crate) use keys::Later;
pub(crate) use own::OwnLog;

/// A thread with its keys: what everything below [`Db`] works with.
pub(crate) struct Thread {
    pub(crate) node: Arc<NodeInner>,
    pub(crate) number: Number,
    pub(crate) id: ThreadId,
    pub(crate) name: String,
    /// The key that opens records, of those with which the thread began; it stands for the thread with
    /// peers for all of its life.
    pub(crate) replica: ReplicaKey,
    /// The key that opens headers, of those with which the thread began; none in a blind replica, which
    /// stores and serves what it cannot read, until somebody gives it to it.
    pub(crate) read: OnceLock<ReadKey>,
    /// The keys of later epochs.
    pub(crate) later: Later,
    /// The epoch to write under, as it was chosen last.
    pub(crate) choice: Mutex<Option<Choice>>,
    /// What came of it when this node last looked at what it is to state for the rules.
    pub(crate) attended: Mutex<Attended>,
    /// The key of the log that was written last; making one from its seed takes as long as signing.
    pub(crate) log_key: Mutex<Option<LogKey>>,
    /// The latest committed catalogue that was read; reading one takes as long as it is large.
    pub(crate) catalogue: Mutex<Arc<Catalogue>>,
}

impl fmt::Debug for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Thread")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Thread {
    /// Refuses what needs to read the thread where nothing of it can be read.
    pub(crate) fn check_reads(&self) -> Result<()> {
        if !self.is_blind() {
            return Ok(());
        }
        let why = "this node holds only the replica key of the thread: it keeps it for others, and \
                   cannot read it";
        Err(Error::unsupported(why).with("thread", &self.id))
    }

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

    /// The identity that owns a log, by the id of one of its lines.
    pub(crate) fn author_of(&self, txn: &dyn ReadTxn, line: &LogId) -> Result<Option<PeerId>> {
        match line::find(txn, self.number, line)? {
            Some(line) => self.author(txn, line.number),
            None => Ok(None),
        }
    }

    /// The id of a log, by its local number.
    pub(crate) fn log_id(&self, txn: &dyn ReadTxn, log: Number) -> Result<LogId> {
        let id = txn.get(Keyspace::Meta, &meta::log(self.number, log))?;
        let id = id.and_then(|bytes| (&*bytes).try_into().ok());
        id.map(LogId::from_key_bytes)
            .ok_or_else(|| Error::corrupt("a log's number is damaged"))
    }

    /// The ids of the thread's logs, by their local numbers; of a forked log there are several.
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

    /// The catalogue as `txn` sees it, which must have changed no definition itself.
    pub(crate) fn catalogue(&self, txn: &dyn ReadTxn) -> Result<Arc<Catalogue>> {
        let generation = Catalogue::generation(txn, self.number)?;
        if generation == CLOSED {
            return Err(Error::unavailable(
                "the thread is being opened from a snapshot: read it when that is done",
            ));
        }
        // A catalogue is put in whole, so a panic elsewhere broke nothing.
        let mut cached = self
            .catalogue
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if cached.generation != generation {
            *cached = Arc::new(Catalogue::load(txn, self.number, &self.node.codecs)?);
        }
        Ok(Arc::clone(&cached))
    }

    /// The key of a log that this node writes.
    pub(crate) fn log_key(&self, txn: &dyn ReadTxn, log: &LogId) -> Result<LogKey> {
        // A key is put in whole, so a panic elsewhere broke nothing.
        let mut last = self.log_key.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = last.as_ref().filter(|key| key.log_id() == *log) {
            return Ok(key.clone());
        }
        let key = books::log_key(txn, &self.id, log)?;
        Ok(last.insert(key).clone())
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

/// The parts that a node was opened with.
pub(crate) struct NodeInner {
    pub(crate) store: Arc<dyn Datastore>,
    pub(crate) identity: IdentityKey,
    pub(crate) agreement: Agreement,
    pub(crate) codecs: Codecs,
    pub(crate) reducers: Vec<Arc<dyn Reducer>>,
    pub(crate) policy: Arc<dyn AccessPolicy>,
    pub(crate) group_keys: Arc<dyn GroupKeys>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) durability: Durability,
    /// What a query may cost that says nothing of it.
    pub(crate) caps: QueryCaps,
    /// How many bytes are kept of threads that cannot be read here, before no more is taken.
    pub(crate) replica_quota: Option<u64>,
    pub(crate) notifier: Notifier,
    /// Held by the one restore that runs.
    pub(crate) restoring: Mutex<()>,
    pub(crate) rng: Mutex<Box<dyn CryptoRng + Send>>,
}

/// The pair that opens what is sealed to this node; deriving it takes longer than opening.
pub(crate) struct Agreement {
    pub(crate) secret: AgreementKey,
    pub(crate) public: AgreementPublicKey,
}

impl NodeInner {
    /// The write transaction; `None` when the store was opened to be read only.
    pub(crate) fn writer(&self) -> Result<Option<Box<dyn WriteTxn + '_>>> {
        match self.store.write() {
            Ok(txn) => Ok(Some(txn)),
            Err(error) if error.kind() == ErrorKind::Unsupported => Ok(None),
            Err(error) => Err(error),
        }
    }

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
    pub(crate) fn new(codecs: Vec<Arc<dyn EventCodec>>) -> Result<Self> {
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

    /// The ids of all codecs, in one line.
    pub(crate) fn names(&self) -> String {
        let names: Vec<_> = self.0.keys().map(CodecId::as_str).collect();
        names.join(" ")
    }

    /// The codec of this name, if it is installed.
    pub(crate) fn find(&self, name: &str) -> Option<&dyn EventCodec> {
        let mut codecs = self.0.iter();
        let (_, codec) = codecs.find(|(id, _)| id.as_str() == name)?;
        Some(&**codec)
    }

    pub(crate) fn get(&self, id: &CodecId) -> Result<Arc<dyn EventCodec>> {
        self.0.get(id).cloned().ok_or_else(|| {
            let said = format!("codec missing: {id}: register it when the node is opened");
            Error::unsupported(said).with("installed", self.names())
        })
    }
}
