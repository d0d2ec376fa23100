//! How a transport is started.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use libp2p::{Multiaddr, Swarm, SwarmBuilder, noise, tcp, yamux};
use threads_core::transport::Inbox;
use threads_core::{Error, IdentityKey, Result};
use tokio::sync::{Notify, mpsc};

use crate::behaviour::Behaviour;
use crate::counters::Counting;
use crate::limits::{COMMANDS_MAX, Limits};
use crate::peer;
use crate::task::Task;
use crate::transport::{Libp2p, Shared};

/// What part a peer takes in the distributed hash table in which peers find each other.
///
/// ```
/// use threads_core::{IdentityKey, system_rng};
/// use threads_net_libp2p::{HashTable, Libp2p};
/// let identity = IdentityKey::generate(&mut system_rng());
/// let builder = Libp2p::builder(&identity).hash_table(HashTable::Server);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HashTable {
    /// None: nothing is provided, and nobody found.
    #[default]
    Off,
    /// It asks others, and answers nobody: for phones, and whoever nobody can call.
    Client,
    /// It keeps a part of the table for others, and has to be one whom others can call.
    Server,
}

/// What a peer runs.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) listen: Vec<Multiaddr>,
    pub(crate) limits: Limits,
    pub(crate) mdns: bool,
    pub(crate) hash_table: HashTable,
    pub(crate) relay: bool,
    pub(crate) hole_punching: bool,
    pub(crate) autonat: bool,
}

/// Options of a transport, before it starts. By default it listens nowhere, and neither announces
/// itself nor works for others.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use threads_core::{IdentityKey, system_rng, transport::Transport};
/// use threads_net_libp2p::Libp2p;
///
/// let identity = IdentityKey::generate(&mut system_rng());
/// let transport = Libp2p::builder(&identity)
///     .listen("/ip4/127.0.0.1/tcp/0".parse().unwrap())
///     .start()
///     .await
///     .unwrap();
/// assert_eq!(transport.local_peer(), identity.peer_id());
/// assert_eq!(transport.addresses().len(), 1);
/// # });
/// ```
#[must_use]
pub struct Builder {
    identity: IdentityKey,
    options: Options,
    #[cfg(feature = "metrics")]
    metrics: Option<libp2p::metrics::Metrics>,
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder")
            .field("identity", &self.identity)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

macro_rules! switches {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        $($(#[$doc])*
        pub fn $name(mut self, on: bool) -> Self {
            self.options.$name = on;
            self
        })*
    };
}

impl Builder {
    pub(crate) fn new(identity: &IdentityKey) -> Self {
        Self {
            identity: identity.clone(),
            options: Options {
                listen: Vec::new(),
                limits: Limits::default(),
                mdns: false,
                hash_table: HashTable::Off,
                relay: false,
                hole_punching: true,
                autonat: false,
            },
            #[cfg(feature = "metrics")]
            metrics: None,
        }
    }

    /// Listens there, too: `/ip4/0.0.0.0/tcp/4001`, `/ip4/0.0.0.0/tcp/4002/ws`, with the feature
    /// `quic` `/ip4/0.0.0.0/udp/4001/quic-v1`, or at a relay `/…/p2p/<relay>/p2p-circuit`.
    ///
    /// ```
    /// # use threads_core::{IdentityKey, system_rng};
    /// # let identity = IdentityKey::generate(&mut system_rng());
    /// let builder = threads_net_libp2p::Libp2p::builder(&identity)
    ///     .listen("/ip4/0.0.0.0/tcp/0".parse().unwrap())
    ///     .listen("/ip6/::/tcp/0".parse().unwrap());
    /// ```
    pub fn listen(mut self, addr: Multiaddr) -> Self {
        self.options.listen.push(addr);
        self
    }

    /// Other bounds of connections.
    ///
    /// ```
    /// # use threads_core::{IdentityKey, system_rng};
    /// # let identity = IdentityKey::generate(&mut system_rng());
    /// use threads_net_libp2p::{Libp2p, Limits};
    /// let builder = Libp2p::builder(&identity).limits(Limits { connections: 32, ..Limits::default() });
    /// ```
    pub fn limits(mut self, limits: Limits) -> Self {
        self.options.limits = limits;
        self
    }

    /// What part it takes in the hash table. `Off` by default.
    ///
    /// ```
    /// # use threads_core::{IdentityKey, system_rng};
    /// # let identity = IdentityKey::generate(&mut system_rng());
    /// use threads_net_libp2p::{HashTable, Libp2p};
    /// let builder = Libp2p::builder(&identity).hash_table(HashTable::Client);
    /// ```
    pub fn hash_table(mut self, part: HashTable) -> Self {
        self.options.hash_table = part;
        self
    }

    switches! {
        /// Whether it announces itself in the local network by multicast DNS, and hears of others
        /// there. Off by default.
        ///
        /// ```
        /// # use threads_core::{IdentityKey, system_rng};
        /// # let identity = IdentityKey::generate(&mut system_rng());
        /// let builder = threads_net_libp2p::Libp2p::builder(&identity).mdns(true);
        /// ```
        mdns;
        /// Whether it carries connections of others who cannot reach each other, and tells them how
        /// it sees their addresses. Off by default: it costs bandwidth.
        ///
        /// ```
        /// # use threads_core::{IdentityKey, system_rng};
        /// # let identity = IdentityKey::generate(&mut system_rng());
        /// let builder = threads_net_libp2p::Libp2p::builder(&identity).relay(true);
        /// ```
        relay;
        /// Whether a connection through a relay is replaced by a direct one where that is possible.
        /// On by default.
        ///
        /// ```
        /// # use threads_core::{IdentityKey, system_rng};
        /// # let identity = IdentityKey::generate(&mut system_rng());
        /// let builder = threads_net_libp2p::Libp2p::builder(&identity).hole_punching(false);
        /// ```
        hole_punching;
        /// Whether it asks others to call it back, to learn which of its addresses work. Off by
        /// default.
        ///
        /// ```
        /// # use threads_core::{IdentityKey, system_rng};
        /// # let identity = IdentityKey::generate(&mut system_rng());
        /// let builder = threads_net_libp2p::Libp2p::builder(&identity).autonat(true);
        /// ```
        autonat;
    }

    /// Records what libp2p counts in a registry.
    ///
    /// ```
    /// # use threads_core::{IdentityKey, system_rng};
    /// # let identity = IdentityKey::generate(&mut system_rng());
    /// let mut registry = threads_net_libp2p::Registry::default();
    /// let builder = threads_net_libp2p::Libp2p::builder(&identity).metrics(&mut registry);
    /// ```
    #[cfg(feature = "metrics")]
    pub fn metrics(mut self, registry: &mut libp2p::metrics::Registry) -> Self {
        self.metrics = Some(libp2p::metrics::Metrics::new(registry));
        self
    }

    /// Starts it: one background task on the present runtime of tokio, which needs its clock and its
    /// I/O. Returns when it listens at every address.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`](threads_core::ErrorKind::Unavailable) when there is no runtime, or
    /// an address is in use; [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) for an address
    /// that it cannot listen at.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # use threads_core::{IdentityKey, system_rng};
    /// # let identity = IdentityKey::generate(&mut system_rng());
    /// let transport = threads_net_libp2p::Libp2p::builder(&identity).start().await.unwrap();
    /// # });
    /// ```
    pub async fn start(self) -> Result<Libp2p> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|error| {
            Error::unavailable("there is no runtime of tokio: start it within one").caused_by(error)
        })?;
        let swarm = self.swarm().await?;
        let (commands, received) = mpsc::channel(COMMANDS_MAX);
        let shared = Arc::new(Shared {
            inbox: Inbox::new(),
            addresses: Mutex::default(),
            external: Mutex::default(),
            near: Mutex::default(),
            counting: Counting::default(),
            closed: AtomicBool::new(false),
            closing: Notify::new(),
        });
        let task = Task::new(
            swarm,
            received,
            Arc::clone(&shared),
            self.options.limits.clone(),
            #[cfg(feature = "metrics")]
            self.metrics,
        );
        runtime.spawn(task.run());
        let transport = Libp2p::new(self.identity.peer_id(), commands, shared);
        for addr in self.options.listen {
            transport.listen(addr).await?;
        }
        Ok(transport)
    }

    async fn swarm(&self) -> Result<Swarm<Behaviour>> {
        fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
            Error::unavailable("libp2p could not be started").caused_by(error)
        }
        let builder = SwarmBuilder::with_existing_identity(peer::keypair(&self.identity)?)
            .with_tokio()
            .with_tcp(
                tcp::Config::default().nodelay(true),
                noise::Config::new,
                yamux::Config::default,
            )
            .map_err(failed)?;
        #[cfg(feature = "quic")]
        let builder = builder.with_quic();
        let limits = &self.options.limits;
        let (handshake, idle) = (limits.handshake, limits.idle);
        let mut fault = None;
        let swarm = builder
            .with_dns()
            .map_err(failed)?
            .with_websocket(noise::Config::new, yamux::Config::default)
            .await
            .map_err(failed)?
            .with_relay_client(noise::Config::new, yamux::Config::default)
            .map_err(failed)?
            .with_behaviour(|key, relay| {
                Behaviour::new(key, relay, &self.options).map_err(|error| {
                    let text = error.to_string();
                    fault = Some(error);
                    text.into()
                })
            });
        let swarm = match (swarm, fault) {
            (Ok(swarm), _) => swarm,
            (Err(_), Some(fault)) => return Err(fault),
            (Err(error), None) => return Err(failed(error)),
        };
        Ok(swarm
            .with_swarm_config(|config| config.with_idle_connection_timeout(idle))
            .with_connection_timeout(handshake)
            .build())
    }
}
