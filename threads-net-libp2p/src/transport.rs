//! The handle of a transport.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use libp2p::Multiaddr;
use threads_core::transport::{
    Acceptance, Inbox, ReplyToken, Transport, TransportEvent, check_frame, check_publication,
    check_topic,
};
use threads_core::{Error, IdentityKey, PeerId, Result};
use tokio::sync::{Notify, mpsc, oneshot};

use crate::builder::Builder;
use crate::command::{Command, Done, Overheard, Way};
use crate::counters::{Counters, Counting};

/// What the handle and the task share.
pub(crate) struct Shared {
    pub(crate) inbox: Inbox,
    pub(crate) addresses: Mutex<Vec<Multiaddr>>,
    /// Those of them that others have confirmed, or this end was told of.
    pub(crate) external: Mutex<Vec<Multiaddr>>,
    /// Who is connected within one network. There are no more of them than connections.
    pub(crate) near: Mutex<HashSet<PeerId>>,
    pub(crate) counting: Counting,
    pub(crate) closed: AtomicBool,
    pub(crate) closing: Notify,
}

/// A peer on the network. Dropping it closes it.
///
/// The example of the [crate](crate) connects two.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use threads_core::{IdentityKey, system_rng, transport::Transport};
/// use threads_net_libp2p::Libp2p;
///
/// let identity = IdentityKey::generate(&mut system_rng());
/// let transport = Libp2p::builder(&identity).start().await.unwrap();
/// transport.close();
/// assert!(transport.next_event().await.is_err());
/// # });
/// ```
pub struct Libp2p {
    peer: PeerId,
    commands: mpsc::Sender<Command>,
    shared: Arc<Shared>,
}

fn closed() -> Error {
    Error::unavailable("this end is closed: start another one")
}

impl Libp2p {
    pub(crate) fn new(peer: PeerId, commands: mpsc::Sender<Command>, shared: Arc<Shared>) -> Self {
        Self {
            peer,
            commands,
            shared,
        }
    }

    /// Options of a transport for this identity: its peer id is the identity's.
    ///
    /// ```
    /// use threads_core::{IdentityKey, system_rng};
    /// let identity = IdentityKey::generate(&mut system_rng());
    /// let builder = threads_net_libp2p::Libp2p::builder(&identity).mdns(true);
    /// ```
    pub fn builder(identity: &IdentityKey) -> Builder {
        Builder::new(identity)
    }

    /// Listens at one more address, and gives the first one under which it can be called there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) when it cannot listen at such an
    /// address, [`ErrorKind::Unavailable`](threads_core::ErrorKind::Unavailable) when it is in use,
    /// or a relay refuses.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # use threads_core::{IdentityKey, system_rng, transport::Transport};
    /// # let identity = IdentityKey::generate(&mut system_rng());
    /// let transport = threads_net_libp2p::Libp2p::builder(&identity).start().await.unwrap();
    /// let here = transport.listen("/ip4/127.0.0.1/tcp/0/ws".parse().unwrap()).await.unwrap();
    /// assert_eq!(transport.addresses(), [here]);
    /// # });
    /// ```
    pub async fn listen(&self, addr: Multiaddr) -> Result<Multiaddr> {
        self.ask(|done| Command::Listen(addr, done)).await
    }

    /// Where others outside its network reach this end, as far as it knows: what a peer confirmed that called
    /// it back ([`Builder::autonat`]), what it was [told](Libp2p::announce), and where a relay takes its
    /// calls. Each ends in `/p2p/` and its id.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # use threads_core::{IdentityKey, system_rng, transport::Transport};
    /// # let identity = IdentityKey::generate(&mut system_rng());
    /// let transport = threads_net_libp2p::Libp2p::builder(&identity).start().await.unwrap();
    /// assert!(transport.external_addresses().is_empty());
    /// transport.announce("/dns4/example.org/tcp/4001".parse().unwrap()).await.unwrap();
    /// assert_eq!(transport.external_addresses(), transport.addresses());
    /// # });
    /// ```
    pub fn external_addresses(&self) -> Vec<Multiaddr> {
        // It is only ever replaced whole.
        let external = self.shared.external.lock();
        external.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Gives others an address that this end cannot see itself: a name, or a forwarded port.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`](threads_core::ErrorKind::Unavailable) when this end is closed.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # use threads_core::{IdentityKey, system_rng, transport::Transport};
    /// # let identity = IdentityKey::generate(&mut system_rng());
    /// let transport = threads_net_libp2p::Libp2p::builder(&identity).start().await.unwrap();
    /// transport.announce("/dns4/example.org/tcp/4001".parse().unwrap()).await.unwrap();
    /// assert!(transport.addresses()[0].to_string().starts_with("/dns4/example.org/tcp/4001/p2p/"));
    /// # });
    /// ```
    pub async fn announce(&self, addr: Multiaddr) -> Result<()> {
        self.ask(|done| Command::Announce(addr, done)).await
    }

    /// What has gone in and out.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # use threads_core::{IdentityKey, system_rng};
    /// # let identity = IdentityKey::generate(&mut system_rng());
    /// let transport = threads_net_libp2p::Libp2p::builder(&identity).start().await.unwrap();
    /// assert_eq!(transport.counters().connections, 0);
    /// # });
    /// ```
    pub fn counters(&self) -> Counters {
        self.shared.counting.now()
    }

    /// Asks the task for something, and waits for the outcome.
    async fn ask<T>(&self, command: impl FnOnce(Done<T>) -> Command) -> Result<T> {
        if self.shared.closed.load(Ordering::SeqCst) {
            return Err(closed());
        }
        let (done, outcome) = oneshot::channel();
        let sent = self.commands.send(command(done)).await;
        sent.map_err(|_| closed())?;
        outcome.await.map_err(|_| closed())?
    }
}

#[async_trait]
impl Transport for Libp2p {
    fn local_peer(&self) -> PeerId {
        self.peer
    }

    fn addresses(&self) -> Vec<Multiaddr> {
        // It is only ever replaced whole.
        let addresses = self.shared.addresses.lock();
        addresses.unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn connect(&self, addr: &Multiaddr) -> Result<PeerId> {
        self.ask(|done| Command::Connect(addr.clone(), done)).await
    }

    async fn disconnect(&self, peer: PeerId) -> Result<()> {
        self.ask(|done| Command::Disconnect(peer, done)).await
    }

    async fn request(&self, peer: PeerId, frame: Vec<u8>) -> Result<Vec<u8>> {
        check_frame(&frame)?;
        self.ask(|done| Command::Request(peer, frame, done)).await
    }

    async fn reply(&self, token: ReplyToken, frame: Vec<u8>) -> Result<()> {
        let way = token.into_inner::<Way>()?;
        check_frame(&frame)?;
        self.ask(|done| Command::Reply(way, frame, done)).await
    }

    async fn subscribe(&self, topic: &[u8]) -> Result<()> {
        check_topic(topic)?;
        self.ask(|done| Command::Subscribe(topic.to_vec(), done))
            .await
    }

    async fn unsubscribe(&self, topic: &[u8]) -> Result<()> {
        check_topic(topic)?;
        self.ask(|done| Command::Unsubscribe(topic.to_vec(), done))
            .await
    }

    async fn publish(&self, topic: &[u8], frame: Vec<u8>) -> Result<()> {
        check_topic(topic)?;
        check_publication(&frame)?;
        self.ask(|done| Command::Publish(topic.to_vec(), frame, done))
            .await
    }

    async fn judge(&self, token: ReplyToken, fit: Acceptance) -> Result<()> {
        let overheard = token.into_inner::<Overheard>()?;
        self.ask(|done| Command::Judge(overheard, fit, done)).await
    }

    async fn next_event(&self) -> Result<TransportEvent> {
        self.shared.inbox.next().await
    }

    async fn provide(&self, key: &[u8; 32]) -> Result<()> {
        self.ask(|done| Command::Provide(*key, done)).await
    }

    async fn find(&self, key: &[u8; 32]) -> Result<Vec<Multiaddr>> {
        self.ask(|done| Command::Find(*key, done)).await
    }

    fn is_near(&self, peer: PeerId) -> bool {
        // A set is whole between any two of its operations.
        let near = self.shared.near.lock();
        let near = near.unwrap_or_else(PoisonError::into_inner);
        near.contains(&peer)
    }

    fn close(&self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        drop(self.shared.inbox.close());
        self.shared.closing.notify_one();
    }
}

impl fmt::Debug for Libp2p {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Libp2p")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

impl Drop for Libp2p {
    fn drop(&mut self) {
        self.close();
    }
}
