//! The keys of a thread, handed on, and the peers that it is shared with.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;
use threads_core::access::History;
use threads_core::datastore::{Datastore, DatastoreExt, Durability, WriteTxn};
use threads_core::transport::named_peer;
use threads_core::{
    EpochKeys, Error, Multiaddr, PeerId, ReadKey, ReplicaKey, Result, ThreadId, block,
};

use zeroize::{Zeroize, Zeroizing};

use crate::db::Db;
use crate::ingest;
use crate::invite::Role;
use crate::layout::{self, Number, meta};
use crate::node::Node;
use crate::sync::addresses::{self, ADDRS_PER_PEER_MAX};
use crate::sync::{Fresh, News, shares};
use crate::thread::books;

/// The most epochs whose keys are handed on at once.
const EPOCHS_MAX: usize = 4_096;

/// A thread's id and its keys: all that a peer needs to share it. With the read key it reads the thread;
/// without, it keeps and serves what it cannot read.
///
/// ```
#[doc = include_str!("../doc/example_read.txt")]
/// let keys = db.keys();
/// assert_eq!(keys.id(), db.id());
/// assert!(!format!("{keys:?}").contains("key"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ThreadKeys {
    id: ThreadId,
    replica: ReplicaKey,
    read: Option<ReadKey>,
    /// The keys of later epochs.
    later: Vec<EpochKeys>,
}

/// Shows the id and no key.
impl fmt::Debug for ThreadKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ThreadKeys({})", self.id)
    }
}

impl ThreadKeys {
    /// The keys of the thread `id`.
    ///
    /// ```
    /// use threads_core::{ReadKey, ReplicaKey, ThreadId, Variant, system_rng};
    /// let rng = &mut system_rng();
    /// let id = ThreadId::generate(Variant::Raw, rng);
    /// let keys = threads_db::ThreadKeys::new(id.clone(), ReplicaKey::generate(rng), ReadKey::generate(rng));
    /// assert_eq!(keys.id(), &id);
    /// ```
    pub fn new(id: ThreadId, replica: ReplicaKey, read: ReadKey) -> Self {
        Self {
            id,
            replica,
            read: Some(read),
            later: Vec::new(),
        }
    }

    /// The same for somebody who is to keep the thread and not to read it.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// let replica = threads_db::Node::builder(Memory::new()).open().unwrap();
    /// let blind = replica.add_thread("friends", &db.keys().without_read()).unwrap();
    /// assert!(blind.collection("Person").is_err(), "it cannot be read there");
    /// ```
    #[must_use]
    pub fn without_read(mut self) -> Self {
        self.read = None;
        self.later = self.later.iter().map(EpochKeys::without_read).collect();
        self
    }

    /// Whether who has them can read the thread.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// assert!(db.keys().can_read() && !db.keys().without_read().can_read());
    /// ```
    pub fn can_read(&self) -> bool {
        self.read.is_some() || self.later.iter().any(|keys| keys.read().is_some())
    }

    /// The thread.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// assert_eq!(db.keys().id(), db.id());
    /// ```
    pub fn id(&self) -> &ThreadId {
        &self.id
    }
}

/// The keys of a thread as they are sealed to whoever is to have them.
#[derive(Serialize, Deserialize)]
struct Handed {
    thread: ThreadId,
    replica: ByteArray<32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    read: Option<ByteArray<32>>,
    role: Role,
    name: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    epochs: Vec<HandedEpoch>,
}

/// The keys of an epoch, as [`HandedEpoch`] has them.
pub(crate) fn hand_epochs(keys: &[EpochKeys], can_read: bool) -> Vec<HandedEpoch> {
    let hand = |keys: &EpochKeys| {
        let read = keys.read().filter(|_| can_read);
        HandedEpoch {
            mark: read.is_none().then(|| ByteArray::new(keys.read_mark())),
            read: read.map(|read| ByteArray::new(*read.to_bytes())),
            replica: ByteArray::new(*keys.replica().to_bytes()),
        }
    };
    keys.iter().map(hand).collect()
}

/// The inverse of [`hand_epochs`]; refuses more than [`EPOCHS_MAX`].
pub(crate) fn take_epochs(handed: &[HandedEpoch]) -> Result<Vec<EpochKeys>> {
    if handed.len() > EPOCHS_MAX {
        return Err(Error::invalid("too many keys of one thread").with("epochs", handed.len()));
    }
    let take = |epoch: &HandedEpoch| {
        let replica = ReplicaKey::from_bytes(&epoch.replica);
        match (&epoch.read, &epoch.mark) {
            (Some(read), None) => EpochKeys::new(replica, ReadKey::from_bytes(read)),
            (None, Some(mark)) => EpochKeys::blind(replica, **mark),
            _ => Err(Error::invalid(
                "the keys of an epoch have a read key, or its mark",
            )),
        }
    };
    handed.iter().map(take).collect()
}

/// The keys of an epoch after the first: with the read key, or with its mark.
#[derive(Serialize, Deserialize)]
pub(crate) struct HandedEpoch {
    replica: ByteArray<32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    read: Option<ByteArray<32>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mark: Option<ByteArray<32>>,
}

impl Drop for HandedEpoch {
    fn drop(&mut self) {
        self.replica.zeroize();
        if let Some(read) = &mut self.read {
            read.zeroize();
        }
    }
}

impl ThreadKeys {
    /// The keys that go with a role, to be sealed.
    pub(crate) fn encode(&self, role: Role, name: &str) -> Result<Zeroizing<Vec<u8>>> {
        let read = self.read.as_ref().filter(|_| role.can_read());
        let read = read.map(|read| ByteArray::new(*read.to_bytes()));
        let mut handed = Handed {
            thread: self.id.clone(),
            replica: ByteArray::new(*self.replica.to_bytes()),
            read,
            role,
            name: name.to_owned(),
            epochs: hand_epochs(&self.later, role.can_read()),
        };
        let bytes = block::encode(&handed).map(Zeroizing::new);
        handed.replica.zeroize();
        if let Some(read) = &mut handed.read {
            read.zeroize();
        }
        bytes
    }

    /// The inverse of [`ThreadKeys::encode`].
    pub(crate) fn decode(bytes: &[u8]) -> Result<(Self, Role, String)> {
        let handed: Handed = block::decode(bytes)?;
        let replica = ReplicaKey::from_bytes(&handed.replica);
        let later = take_epochs(&handed.epochs)?;
        let keys = Self {
            later,
            id: handed.thread,
            replica,
            read: handed.read.map(|read| ReadKey::from_bytes(&read)),
        };
        Ok((keys, handed.role, handed.name))
    }
}

impl Db {
    /// The keys of this thread: secrets, to be handed to those who may read it.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// let other = threads_db::Node::builder(Memory::new()).codec(JsonPatch::new()).open().unwrap();
    /// let same = other.add_thread("friends of bob", &db.keys()).unwrap();
    /// assert_eq!(same.id(), db.id());
    /// ```
    pub fn keys(&self) -> ThreadKeys {
        let thread = self.thread();
        // What cannot be read now is what another process stated just now, if anything.
        let later = thread
            .node
            .store
            .read()
            .and_then(|txn| thread.all_later(&*txn));
        ThreadKeys {
            id: thread.id.clone(),
            replica: thread.replica.clone(),
            read: thread.read.get().cloned(),
            later: later.unwrap_or_default(),
        }
    }

    /// The keys for somebody who is invited now: where newcomers are not to read what was before them,
    /// of the keys that open headers only those that are in use.
    pub(crate) fn keys_for_newcomer(&self) -> Result<ThreadKeys> {
        let thread = self.thread();
        let mut keys = self.keys();
        let txn = thread.node.store.read()?;
        let rules = thread.node.policy.rules(&thread.id, &*txn)?;
        if rules.is_some_and(|rules| rules.history == History::FromNow) && keys.can_read() {
            let epoch = thread.writing_epoch(&*txn)?;
            keys.read = keys.read.filter(|_| epoch == 0);
            let later = keys.later.into_iter();
            keys.later = later
                .map(|keys| match keys.number() == epoch {
                    true => keys,
                    false => keys.without_read(),
                })
                .collect();
        }
        Ok(keys)
    }

    /// Shares this thread with a peer: from now on what is new is sent to it whenever it can be
    /// reached, if it has shown that it holds the thread's keys. The peer does not get them by this.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) for this node itself,
    /// [`ErrorKind::Full`](threads_core::ErrorKind::Full) when too many share it.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// let peer = threads_core::PeerId::from_key_bytes([1; 32]);
    /// db.share_with(&peer).unwrap();
    /// assert_eq!(db.shared_with().unwrap(), [peer]);
    /// ```
    pub fn share_with(&self, peer: &PeerId) -> Result<()> {
        let node = self.node();
        if *peer == node.peer_id() {
            return Err(Error::invalid(
                "a thread is shared with others, not with oneself",
            ));
        }
        node.add_share(self.thread().number, peer)
    }

    /// Shares this thread with a peer no longer. It keeps what it has, and its keys.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// let peer = threads_core::PeerId::from_key_bytes([1; 32]);
    /// db.share_with(&peer).unwrap();
    /// db.unshare(&peer).unwrap();
    /// assert!(db.shared_with().unwrap().is_empty());
    /// ```
    pub fn unshare(&self, peer: &PeerId) -> Result<()> {
        let number = self.thread().number;
        let node = &self.thread().node;
        let remove = |txn: &mut dyn WriteTxn| shares::remove(txn, number, peer);
        node.store.transact(Durability::Group, remove)?;
        node.notifier.notify_of(News(Fresh::Members(number)));
        Ok(())
    }

    /// The peers that share this thread, as far as this node knows.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// assert!(db.shared_with().unwrap().is_empty());
    /// ```
    pub fn shared_with(&self) -> Result<Vec<PeerId>> {
        let thread = self.thread();
        shares::of_thread(&*thread.node.store.read()?, thread.number)
    }
}

impl Node {
    /// Notes where a peer can be reached: an address that ends in `/p2p/<peer>`. It is forgotten after
    /// thirty days unless it is named again. Gives the peer.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) for an address that names no peer, or
    /// this node.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// let peer = threads_core::PeerId::from_key_bytes([1; 32]);
    /// let addr = format!("/ip4/192.0.2.7/tcp/4001/p2p/{peer}").parse().unwrap();
    /// assert_eq!(node.add_address(&addr).unwrap(), peer);
    /// assert_eq!(node.addresses_of(&peer).unwrap(), [addr]);
    /// ```
    pub fn add_address(&self, addr: &Multiaddr) -> Result<PeerId> {
        let peer = named_peer(addr).filter(|peer| *peer != self.peer_id());
        let peer = peer.ok_or_else(|| {
            Error::invalid("an address of another peer ends in /p2p/ and its id").with("addr", addr)
        })?;
        let now_ms = self.inner.clock.now_ms();
        let store = &self.inner.store;
        store.transact(Durability::Group, |txn| {
            addresses::add(txn, &peer, addr, now_ms)
        })?;
        self.inner.notifier.notify_of(News(Fresh::Address(peer)));
        Ok(peer)
    }

    /// Where a peer can be reached, as far as is known; the latest first.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// let peer = threads_core::PeerId::from_key_bytes([1; 32]);
    /// assert!(node.addresses_of(&peer).unwrap().is_empty());
    /// ```
    pub fn addresses_of(&self, peer: &PeerId) -> Result<Vec<Multiaddr>> {
        addresses::of(&*self.inner.store.read()?, peer, self.inner.clock.now_ms())
    }

    /// Notes where a peer is said to be, if something is shared with it.
    pub(crate) fn discovered(&self, peer: &PeerId, addrs: &[Multiaddr]) -> Result<()> {
        if shares::of_peer(&*self.inner.store.read()?, peer)?.is_empty() {
            return Ok(());
        }
        let known = self.addresses_of(peer)?;
        let news = addrs.iter().filter(|addr| named_peer(addr) == Some(*peer));
        let news = news
            .filter(|addr| !known.contains(addr))
            .take(ADDRS_PER_PEER_MAX);
        for addr in news {
            self.add_address(addr)?;
        }
        Ok(())
    }

    /// Takes part in a thread of somebody else's, under a name of one's own. It is empty until a
    /// peer has sent what it holds; joining makes no log.
    ///
    /// A thread that is here keeps its name, and gets the keys that it lacks: so a replica becomes a reader, and
    /// reads all that it has kept.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`](threads_core::ErrorKind::Conflict) when the thread is here with all these
    /// keys, or with others, or when another one has the name.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// assert!(node.add_thread("again", &db.keys()).is_err());
    /// ```
    pub fn add_thread(&self, name: &str, keys: &ThreadKeys) -> Result<Db> {
        let here = layout::number(&*self.inner.store.read()?, &meta::thread_by_id(&keys.id))?;
        if let Some(number) = here {
            return self.add_keys(number, keys);
        }
        let number = self.inner.store.transact(self.inner.durability, |txn| {
            let number = layout::reserve(txn)?;
            self.add_thread_at(
                txn,
                number,
                &keys.id,
                name,
                &keys.replica,
                keys.read.as_ref(),
            )?;
            books::put_epochs(txn, &keys.id, &keys.later)?;
            Ok(number)
        })?;
        self.db(number)
    }

    /// Gives a thread that is here the keys that it lacks, and reads what they open.
    fn add_keys(&self, number: Number, keys: &ThreadKeys) -> Result<Db> {
        let db = self.db(number)?;
        let thread = db.thread();
        if thread.replica != keys.replica {
            let error =
                Error::conflict("the thread is here with other keys: ask who invited for its id");
            return Err(error.with("thread", &keys.id));
        }
        let handed = (keys.read.as_ref(), &keys.later[..]);
        let store = &self.inner.store;
        let new = store.transact(self.inner.durability, |txn| thread.add_keys(txn, handed))?;
        if !new {
            let error = Error::conflict("the thread is here already: open it by its id");
            return Err(error.with("thread", &keys.id));
        }
        thread.take_up_keys()?;
        db.install_codecs()?;
        db.catch_up_reducers()?;
        ingest::read_on(thread)?;
        // Peers are asked for what was sealed under keys that are here now.
        let news = News(Fresh::Members(number));
        self.inner.notifier.notify_of(news);
        Ok(db)
    }
}
