//! A transport over plain TCP, for authors of transports to start from.
//!
//! It keeps the laws of `threads-conformance`, and its code is short. Each peer proves who it is by a
//! signature when a connection begins, and **nothing after that is encrypted or protected**: it is
//! for wires that nobody else touches. `threads-net-libp2p` is the transport for networks.
//!
//! ```
//! use example_transport_tcp::Tcp;
//! use threads_core::transport::{Transport, TransportEvent};
//! use threads_core::{IdentityKey, system_rng};
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let identity = || IdentityKey::generate(&mut system_rng());
//! let here = "127.0.0.1:0".parse().unwrap();
//! let (ann, bob) = (Tcp::listen(identity(), here).unwrap(), Tcp::listen(identity(), here).unwrap());
//!
//! let peer = bob.connect(&ann.addresses()[0]).await.unwrap();
//! assert_eq!(peer, ann.local_peer());
//! assert!(matches!(ann.next_event().await, Ok(TransportEvent::Connected(_))));
//! # });
//! ```

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use threads_core::multiaddr::Protocol;
use threads_core::transport::{
    Inbox, ReplyToken, TOPICS_MAX, Transport, TransportEvent, check_frame, check_publication,
    check_topic, named_peer, with_peer,
};
use threads_core::{Error, IdentityKey, Multiaddr, PeerId, Result};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore};
use tokio::time::timeout;

use crate::link::Link;
use crate::wire::Message;

mod link;
mod wire;

/// The most connections.
const LINKS_MAX: usize = 512;
/// The most connections to one peer: two who call each other at once have two.
const LINKS_OF_PEER_MAX: usize = 2;
/// The most callers that have not yet proven who they are.
const HANDSHAKES_MAX: usize = 64;
/// How long that may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a request waits for its reply.
const REQUEST: Duration = Duration::from_secs(30);

/// One end. Dropping it closes it.
///
/// The example of the [crate] connects two.
///
/// ```
/// use example_transport_tcp::Tcp;
/// use threads_core::{IdentityKey, system_rng, transport::Transport};
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let identity = IdentityKey::generate(&mut system_rng());
/// let end = Tcp::listen(identity, "127.0.0.1:0".parse().unwrap()).unwrap();
/// assert!(end.addresses()[0].to_string().starts_with("/ip4/127.0.0.1/tcp/"));
/// # });
/// ```
pub struct Tcp(Arc<Shared>);

struct Shared {
    identity: IdentityKey,
    address: Multiaddr,
    runtime: Handle,
    inbox: Inbox,
    state: Mutex<State>,
    closing: Notify,
}

#[derive(Default)]
struct State {
    closed: bool,
    links: HashMap<PeerId, Vec<Arc<Link>>>,
    topics: BTreeSet<Vec<u8>>,
}

/// The way back to an asker. Dropped unused, it refuses.
struct Way {
    link: Option<Arc<Link>>,
    number: u64,
}

impl Drop for Way {
    fn drop(&mut self) {
        if let Some(link) = self.link.take() {
            let _ended = link.must_send(Message::Refusal(self.number));
        }
    }
}

fn closed() -> Error {
    Error::unavailable("this end is closed: make another one")
}

fn failed(error: std::io::Error) -> Error {
    Error::unavailable("nobody could be reached at this address").caused_by(error)
}

/// The socket of an address such as `/ip4/192.0.2.7/tcp/4001`, with or without a peer's name.
fn socket(addr: &Multiaddr) -> Option<SocketAddr> {
    let mut parts = addr.iter();
    let ip = match parts.next()? {
        Protocol::Ip4(ip) => IpAddr::V4(ip),
        Protocol::Ip6(ip) => IpAddr::V6(ip),
        _ => return None,
    };
    let Protocol::Tcp(port) = parts.next()? else {
        return None;
    };
    matches!(parts.next(), None | Some(Protocol::P2p(_))).then_some((ip, port).into())
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Each change leaves the maps whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> Result<MutexGuard<'_, State>> {
        let state = self.state();
        if state.closed {
            Err(closed())
        } else {
            Ok(state)
        }
    }

    /// Takes over a connection to a peer that has proven who it is.
    fn begin(self: &Arc<Self>, peer: PeerId, stream: TcpStream) -> Result<()> {
        let (link, to_send) = Link::new(peer);
        {
            let mut state = self.open()?;
            if state.links.values().map(Vec::len).sum::<usize>() >= LINKS_MAX {
                return Err(Error::unavailable("there are too many connections"));
            }
            for topic in &state.topics {
                link.must_send(Message::Subscribe(topic.clone()))?;
            }
            let links = state.links.entry(peer).or_default();
            if links.is_empty() {
                self.inbox.connected(peer);
            } else if links.len() >= LINKS_OF_PEER_MAX {
                // The oldest is most likely to be a dead one.
                links.remove(0).stop();
            }
            links.push(Arc::clone(&link));
        }
        let shared = Arc::clone(self);
        self.runtime.spawn(async move {
            link::run(&link, stream, to_send, |message| {
                shared.take_in(&link, message)
            })
            .await;
            shared.end(&link);
        });
        Ok(())
    }

    /// Forgets a connection, and tells when it was the last one to its peer.
    fn end(&self, link: &Arc<Link>) {
        let mut state = self.state();
        let Some(links) = state.links.get_mut(&link.peer) else {
            return;
        };
        links.retain(|one| !Arc::ptr_eq(one, link));
        if links.is_empty() {
            state.links.remove(&link.peer);
            drop(self.inbox.disconnected(link.peer));
        }
    }

    /// What a connection brings. It never waits, so that one peer never holds up its own replies.
    fn take_in(&self, link: &Arc<Link>, message: Message) {
        let state = self.state();
        let known = |links: &Vec<Arc<Link>>| links.iter().any(|one| Arc::ptr_eq(one, link));
        if !state.links.get(&link.peer).is_some_and(known) {
            return;
        }
        match message {
            Message::Request(number, frame) => {
                let link_back = Some(Arc::clone(link));
                let token = ReplyToken::new(Way {
                    link: link_back,
                    number,
                });
                // Without room the token is dropped, which refuses.
                drop(self.inbox.request(link.peer, token, frame));
            }
            Message::Reply(number, frame) => link.answered(number, Some(frame)),
            Message::Refusal(number) => link.answered(number, None),
            Message::Subscribe(topic) => link.subscribed(topic, true),
            Message::Unsubscribe(topic) => link.subscribed(topic, false),
            Message::Publication(topic, frame) => {
                if state.topics.contains(&topic) {
                    // It goes no further from here, whatever becomes of it.
                    let token = ReplyToken::new(());
                    self.inbox.published(link.peer, &topic, frame, token);
                }
            }
        }
    }

    /// Answers whoever calls, until this end is closed.
    async fn accept(self: Arc<Self>, listener: TcpListener) {
        let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.closing.notified() => return,
            };
            if self.state().closed {
                return;
            }
            // Who finds no room, or hangs up at once, may call again.
            let (Ok((mut stream, _)), Ok(room)) =
                (accepted, Arc::clone(&handshakes).try_acquire_owned())
            else {
                continue;
            };
            let shared = Arc::clone(&self);
            self.runtime.spawn(async move {
                let answered =
                    timeout(HANDSHAKE, wire::answer(&mut stream, &shared.identity)).await;
                drop(room);
                if let (Ok(Ok(peer)), Ok(())) = (answered, stream.set_nodelay(true)) {
                    // It hears of a refusal by the end of the connection.
                    let _refused = shared.begin(peer, stream);
                }
            });
        }
    }
}

impl Tcp {
    /// An end that listens there. It works on the runtime of tokio that this is called in.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`](threads_core::ErrorKind::Unavailable) when there is no runtime, or
    /// it cannot listen there.
    ///
    /// ```
    /// use example_transport_tcp::Tcp;
    /// use threads_core::{IdentityKey, system_rng};
    /// let identity = IdentityKey::generate(&mut system_rng());
    /// assert!(Tcp::listen(identity, "127.0.0.1:0".parse().unwrap()).is_err(), "no runtime");
    /// ```
    pub fn listen(identity: IdentityKey, at: SocketAddr) -> Result<Self> {
        let runtime = Handle::try_current()
            .map_err(|error| Error::unavailable("there is no runtime of tokio").caused_by(error))?;
        let cannot = |error| Error::unavailable("cannot listen there").caused_by(error);
        let listener = std::net::TcpListener::bind(at).map_err(cannot)?;
        listener.set_nonblocking(true).map_err(cannot)?;
        let listener = TcpListener::from_std(listener).map_err(cannot)?;
        let at = listener.local_addr().map_err(cannot)?;
        let address = Multiaddr::from(at.ip()).with(Protocol::Tcp(at.port()));
        let shared = Arc::new(Shared {
            address: with_peer(address, identity.peer_id()),
            identity,
            runtime,
            inbox: Inbox::new(),
            state: Mutex::default(),
            closing: Notify::new(),
        });
        shared.runtime.spawn(Arc::clone(&shared).accept(listener));
        Ok(Self(shared))
    }

    async fn call(&self, at: SocketAddr, wanted: Option<PeerId>) -> Result<PeerId> {
        let mut stream = TcpStream::connect(at).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let peer = wire::call(&mut stream, &self.0.identity, wanted).await?;
        self.0.begin(peer, stream)?;
        Ok(peer)
    }
}

#[async_trait]
impl Transport for Tcp {
    fn local_peer(&self) -> PeerId {
        self.0.identity.peer_id()
    }

    fn addresses(&self) -> Vec<Multiaddr> {
        vec![self.0.address.clone()]
    }

    async fn connect(&self, addr: &Multiaddr) -> Result<PeerId> {
        let what = "not an address of TCP, such as /ip4/192.0.2.7/tcp/4001";
        let at = socket(addr).ok_or_else(|| Error::invalid(what).with("address", addr))?;
        let wanted = named_peer(addr);
        if wanted == Some(self.local_peer()) {
            return Err(Error::invalid("this is the address of this end itself"));
        }
        let connected = {
            let state = self.0.open()?;
            wanted.filter(|peer| state.links.contains_key(peer))
        };
        if let Some(peer) = connected {
            return Ok(peer);
        }
        let called = timeout(HANDSHAKE, self.call(at, wanted)).await;
        called.map_err(|_| Error::unavailable("who is there says nothing"))?
    }

    async fn disconnect(&self, peer: PeerId) -> Result<()> {
        let mut state = self.0.open()?;
        for link in state.links.remove(&peer).unwrap_or_default() {
            link.stop();
            drop(self.0.inbox.disconnected(peer));
        }
        Ok(())
    }

    async fn request(&self, peer: PeerId, frame: Vec<u8>) -> Result<Vec<u8>> {
        check_frame(&frame)?;
        let link = self
            .0
            .open()?
            .links
            .get(&peer)
            .and_then(|links| links.first().cloned());
        let nobody = || Error::unavailable("the peer is not connected").with("peer", peer);
        let asked = link.ok_or_else(nobody)?.ask(frame)?;
        let replied = timeout(REQUEST, asked.reply()).await;
        replied.map_err(|_| Error::unavailable("the peer did not reply in time"))?
    }

    async fn reply(&self, token: ReplyToken, frame: Vec<u8>) -> Result<()> {
        let mut way = token.into_inner::<Way>()?;
        check_frame(&frame)?;
        drop(self.0.open()?);
        let link = way.link.take().ok_or_else(closed)?;
        link.must_send(Message::Reply(way.number, frame))
    }

    async fn subscribe(&self, topic: &[u8]) -> Result<()> {
        check_topic(topic)?;
        let mut state = self.0.open()?;
        if state.topics.contains(topic) {
            return Ok(());
        }
        if state.topics.len() >= TOPICS_MAX {
            return Err(Error::full("too many topics: share them out").with("most", TOPICS_MAX));
        }
        state.topics.insert(topic.to_vec());
        for link in state.links.values().flatten() {
            let _ended = link.must_send(Message::Subscribe(topic.to_vec()));
        }
        Ok(())
    }

    async fn unsubscribe(&self, topic: &[u8]) -> Result<()> {
        check_topic(topic)?;
        let mut state = self.0.open()?;
        if state.topics.remove(topic) {
            for link in state.links.values().flatten() {
                let _ended = link.must_send(Message::Unsubscribe(topic.to_vec()));
            }
        }
        Ok(())
    }

    async fn publish(&self, topic: &[u8], frame: Vec<u8>) -> Result<()> {
        check_topic(topic)?;
        check_publication(&frame)?;
        for links in self.0.open()?.links.values() {
            // By one way only, so that nothing comes twice.
            if let Some(link) = links.iter().find(|link| link.has_subscribed_to(topic)) {
                link.publish(topic, &frame);
            }
        }
        Ok(())
    }

    async fn next_event(&self) -> Result<TransportEvent> {
        self.0.inbox.next().await
    }

    fn close(&self) {
        let mut state = self.0.state();
        state.closed = true;
        for link in std::mem::take(&mut state.links).into_values().flatten() {
            link.stop();
        }
        drop(state);
        drop(self.0.inbox.close());
        self.0.closing.notify_one();
    }
}

impl fmt::Debug for Tcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tcp({})", self.0.address)
    }
}

impl Drop for Tcp {
    fn drop(&mut self) {
        self.close();
    }
}
