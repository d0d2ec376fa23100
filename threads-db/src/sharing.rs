//! The keys of a thread, handed on, and the peers that it is shared with.

use std::fmt;

use threads_core::datastore::{Datastore, DatastoreExt, Durability};
use threads_core::{Error, PeerId, ReadKey, ReplicaKey, Result, ThreadId};

use crate::db::Db;
use crate::layout::{self, meta};
use crate::node::Node;
use crate::sync::shares;

/// A thread's id and the keys that open it: all that a peer needs to share it. Whoever has them reads
/// the thread.
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
    read: ReadKey,
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
        Self { id, replica, read }
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
        ThreadKeys::new(
            thread.id.clone(),
            thread.replica.clone(),
            thread.read.clone(),
        )
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
        let store = &self.thread().node.store;
        store.transact(Durability::Group, |txn| shares::remove(txn, number, peer))
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
    /// Takes part in a thread of somebody else's, under a name of one's own. It is empty until a
    /// peer has sent what it holds; joining makes no log.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`](threads_core::ErrorKind::Conflict) when the thread is here, or
    /// another one has the name.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// assert!(node.add_thread("again", &db.keys()).is_err());
    /// ```
    pub fn add_thread(&self, name: &str, keys: &ThreadKeys) -> Result<Db> {
        let number = self.inner.store.transact(self.inner.durability, |txn| {
            let here = layout::number(txn.as_read(), &meta::thread_by_id(&keys.id))?;
            if here.is_some() {
                let error = Error::conflict("the thread is here already: open it by its id");
                return Err(error.with("thread", &keys.id));
            }
            let number = layout::reserve(txn)?;
            self.add_thread_at(txn, number, &keys.id, name, &keys.replica, &keys.read)?;
            Ok(number)
        })?;
        self.db(number)
    }
}
