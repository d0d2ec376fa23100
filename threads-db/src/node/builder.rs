//! Opening a node.

use std::fmt;
use std::sync::{Arc, Mutex};

use threads_core::codec::EventCodec;
use threads_core::datastore::{Datastore, DatastoreExt, Durability, Keyspace};
use threads_core::group::{GroupKeys, SealedToEach};
use threads_core::policy::{AccessPolicy, OpenPolicy};
use threads_core::rand_core::CryptoRng;
use threads_core::reducer::Reducer;
use threads_core::{Clock, Error, IdentityKey, PeerId, Result, SystemClock, system_rng};

use super::{IDENTITY_KEY, LAYOUT_KEY, LAYOUT_VERSION, Node};
use crate::keystore::{Keystore, KeystoreFault, Standing, standing};
use crate::notify::Notifier;
use crate::query::QueryCaps;
use crate::thread::{Agreement, Codecs, NodeInner};

/// Chooses the parts of a node: [`Node::builder`] begins, [`NodeBuilder::open`] ends.
///
/// ```
/// use threads_core::{ManualClock, datastore::{Durability, Memory}};
/// use threads_db::Node;
///
/// let node = Node::builder(Memory::new())
///     .clock(ManualClock::at(1_000))
///     .durability(Durability::Immediate)
///     .open()
///     .unwrap();
/// ```
pub struct NodeBuilder {
    store: Arc<dyn Datastore>,
    codecs: Vec<CodecFor>,
    reducers: Vec<Arc<dyn Reducer>>,
    policy: Arc<dyn AccessPolicy>,
    group_keys: Arc<dyn GroupKeys>,
    clock: Arc<dyn Clock>,
    rng: Box<dyn CryptoRng + Send>,
    durability: Durability,
    caps: QueryCaps,
    replica_quota: Option<u64>,
    identity: Option<IdentityKey>,
    keystore: Option<Keystore>,
}

/// Makes a codec once the node's identity is known.
type CodecFor = Box<dyn FnOnce(&PeerId) -> Arc<dyn EventCodec> + Send>;

impl fmt::Debug for NodeBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeBuilder")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

impl NodeBuilder {
    pub(super) fn new(store: Arc<dyn Datastore>) -> Self {
        Self {
            store,
            codecs: Vec::new(),
            reducers: Vec::new(),
            policy: Arc::new(OpenPolicy),
            group_keys: Arc::new(SealedToEach),
            clock: Arc::new(SystemClock),
            rng: Box::new(system_rng()),
            durability: Durability::default(),
            caps: QueryCaps::default(),
            replica_quota: None,
            identity: None,
            keystore: None,
        }
    }

    /// Adds a codec. A collection names the codec it uses.
    ///
    /// ```
    /// # use threads_core::datastore::Memory;
    /// use threads_codec_jsonpatch::JsonPatch;
    /// let node = threads_db::Node::builder(Memory::new()).codec(JsonPatch::new()).open().unwrap();
    /// ```
    #[must_use]
    pub fn codec(self, codec: impl EventCodec) -> Self {
        self.codec_for(|_| codec)
    }

    /// Adds a codec that has to know who writes: one that counts what two peers do at the same time
    /// as two, even if it is the same.
    ///
    /// ```
    /// # use threads_core::datastore::Memory;
    /// use threads_codec_automerge::Automerge;
    /// let builder = threads_db::Node::builder(Memory::new());
    /// let node = builder.codec_for(|own| Automerge::of(own.to_string())).open().unwrap();
    /// ```
    #[must_use]
    pub fn codec_for<C: EventCodec>(
        mut self,
        codec: impl FnOnce(&PeerId) -> C + Send + 'static,
    ) -> Self {
        self.codecs.push(Box::new(|own| Arc::new(codec(own))));
        self
    }

    /// Adds a reducer. One that is new, or whose version is, replays when a thread is opened.
    ///
    /// ```
    /// use threads_core::reducer::Reducer;
    /// fn with(builder: threads_db::NodeBuilder, view: impl Reducer) -> threads_db::NodeBuilder {
    ///     builder.reducer(view)
    /// }
    /// ```
    #[must_use]
    pub fn reducer(mut self, reducer: impl Reducer) -> Self {
        self.reducers.push(Arc::new(reducer));
        self
    }

    /// Takes in no more of the threads that this node cannot read, and keeps for others, once it keeps
    /// so many bytes of their records and blobs; the page that reaches it is kept whole. Peers are told. Without
    /// a quota there is no end but the disk's.
    ///
    /// ```
    /// # use threads_core::datastore::Memory;
    /// let node = threads_db::Node::builder(Memory::new()).replica_quota(1 << 30).open().unwrap();
    /// assert_eq!(node.kept_for_others().unwrap(), 0);
    /// ```
    #[must_use]
    pub fn replica_quota(mut self, bytes: u64) -> Self {
        self.replica_quota = Some(bytes);
        self
    }

    /// Judges records by `policy` instead of accepting all.
    ///
    /// ```
    /// # use threads_core::datastore::Memory;
    /// use threads_core::policy::OpenPolicy;
    /// let node = threads_db::Node::builder(Memory::new()).policy(OpenPolicy).open().unwrap();
    /// ```
    #[must_use]
    pub fn policy(mut self, policy: impl AccessPolicy) -> Self {
        self.policy = Arc::new(policy);
        self
    }

    /// Gives keys to members by another scheme than [`SealedToEach`].
    ///
    /// ```
    /// # use threads_core::datastore::Memory;
    /// use threads_core::group::SealedToEach;
    /// let node = threads_db::Node::builder(Memory::new()).group_keys(SealedToEach).open().unwrap();
    /// ```
    #[must_use]
    pub fn group_keys(mut self, scheme: impl GroupKeys) -> Self {
        self.group_keys = Arc::new(scheme);
        self
    }

    /// Takes the time from `clock` instead of the system.
    ///
    /// ```
    /// # use threads_core::{datastore::Memory, ManualClock};
    /// let node = threads_db::Node::builder(Memory::new()).clock(ManualClock::at(7)).open().unwrap();
    /// ```
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Takes randomness from `rng` instead of the system. For simulation and tests only.
    ///
    /// ```
    /// # use threads_core::{datastore::Memory, system_rng};
    /// let node = threads_db::Node::builder(Memory::new()).rng(system_rng()).open().unwrap();
    /// ```
    #[must_use]
    pub fn rng(mut self, rng: impl CryptoRng + Send + 'static) -> Self {
        self.rng = Box::new(rng);
        self
    }

    /// What a commit promises when it returns; [`Durability::Group`] when nothing is said.
    ///
    /// ```
    /// # use threads_core::datastore::{Durability, Memory};
    /// let node = threads_db::Node::builder(Memory::new()).durability(Durability::Relaxed).open().unwrap();
    /// ```
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// What a query may cost that has no caps of its own. For one that runs the queries of
    /// strangers, [`QueryCaps::strict`].
    ///
    /// ```
    /// # use threads_core::datastore::Memory;
    /// use threads_db::query::QueryCaps;
    /// let builder = threads_db::Node::builder(Memory::new()).query_caps(QueryCaps::strict());
    /// assert!(builder.open().is_ok());
    /// ```
    #[must_use]
    pub fn query_caps(mut self, caps: QueryCaps) -> Self {
        self.caps = caps;
        self
    }

    /// Uses this identity in a datastore that has none yet, instead of a new one.
    ///
    /// ```
    /// # use threads_core::{datastore::Memory, IdentityKey, system_rng};
    /// let identity = IdentityKey::generate(&mut system_rng());
    /// let peer = identity.peer_id();
    /// let node = threads_db::Node::builder(Memory::new()).identity(identity).open().unwrap();
    /// assert_eq!(node.peer_id(), peer);
    /// ```
    #[must_use]
    pub fn identity(mut self, identity: IdentityKey) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Takes the identity from a keystore, and keeps no key in the datastore that is not sealed by it.
    /// A datastore with its keys in the clear is [taken over](crate::keystore) when the node is opened;
    /// from then on it opens with this keystore only.
    ///
    /// ```
    /// use threads_core::{datastore::Memory, system_rng};
    /// use threads_db::{Keystore, KeystoreFault, Node};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("keystore");
    /// let store = std::sync::Arc::new(Memory::new());
    /// let keystore = Keystore::create(&path, None, None, &mut system_rng()).unwrap();
    /// Node::builder(store.clone()).keystore(&keystore).open().unwrap();
    /// let error = Node::builder(store).open().unwrap_err();
    /// assert_eq!(KeystoreFault::of(&error), Some(KeystoreFault::Missing));
    /// ```
    #[must_use]
    pub fn keystore(mut self, keystore: &Keystore) -> Self {
        self.keystore = Some(keystore.clone());
        self
    }

    /// Opens the node. A datastore that is new gets an identity.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`](threads_core::ErrorKind::Unsupported) when the datastore was
    /// written by a later version, [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) when
    /// two codecs or reducers have the same name, or the datastore or the keystore has another identity
    /// already; [`KeystoreFault`](crate::KeystoreFault) when the keystore is missing, or another's.
    ///
    /// ```
    /// # use threads_core::datastore::Memory;
    /// assert!(threads_db::Node::builder(Memory::new()).open().is_ok());
    /// ```
    pub fn open(mut self) -> Result<Node> {
        let mut names: Vec<_> = self.reducers.iter().map(|reducer| reducer.name()).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Error::invalid("two reducers have the same name").with("reducer", pair[0]));
        }
        if let Some(keystore) = &self.keystore {
            self.store = keystore.over(self.store)?;
            let own = keystore.identity();
            let identity = self.identity.get_or_insert_with(|| own.clone());
            if identity != own {
                return Err(Error::invalid("the keystore belongs to another identity")
                    .with("identity", own.peer_id()));
            }
        }
        let identity = match stored_identity(&*self.store)? {
            Some(stored) => stored,
            None => store_identity(&*self.store, self.identity.take(), &mut *self.rng)?,
        };
        if self
            .identity
            .is_some_and(|wanted| wanted.peer_id() != identity.peer_id())
        {
            return Err(Error::invalid("this datastore belongs to another identity")
                .with("identity", identity.peer_id()));
        }
        let own = identity.peer_id();
        let codecs = self.codecs.into_iter().map(|codec| codec(&own));
        let codecs = Codecs::new(codecs.collect())?;
        let secret = identity.agreement_key();
        let inner = NodeInner {
            agreement: Agreement {
                public: secret.public_key(),
                secret,
            },
            store: self.store,
            identity,
            codecs,
            reducers: self.reducers,
            policy: self.policy,
            group_keys: self.group_keys,
            clock: self.clock,
            durability: self.durability,
            caps: self.caps,
            replica_quota: self.replica_quota,
            notifier: Notifier::default(),
            restoring: Mutex::default(),
            rng: Mutex::new(self.rng),
        };
        Ok(Node {
            inner: Arc::new(inner),
            open: Arc::default(),
        })
    }
}

/// The identity in a datastore of this layout, if it has one.
fn stored_identity(store: &dyn Datastore) -> Result<Option<IdentityKey>> {
    let txn = store.read()?;
    match txn.get(Keyspace::Meta, LAYOUT_KEY)?.as_deref() {
        None => return Ok(None),
        Some(LAYOUT_VERSION) => {}
        Some(_) => {
            return Err(Error::unsupported(
                "this datastore was written by another version of Threads: use that one, or export and restore",
            ));
        }
    }
    match standing(&*txn)? {
        Standing::Clear(identity) => Ok(Some(*identity)),
        Standing::Sealed(_) => Err(KeystoreFault::Missing.of_store()),
        Standing::New => Err(Error::corrupt("the identity of this datastore is damaged")),
    }
}

fn store_identity(
    store: &dyn Datastore,
    identity: Option<IdentityKey>,
    rng: &mut dyn CryptoRng,
) -> Result<IdentityKey> {
    let identity = identity.unwrap_or_else(|| IdentityKey::generate(rng));
    store.transact(Durability::Immediate, |txn| {
        txn.put(Keyspace::Meta, LAYOUT_KEY, LAYOUT_VERSION)?;
        txn.put(Keyspace::Keys, IDENTITY_KEY, &*identity.to_bytes())
    })?;
    Ok(identity)
}
