//! Transports: whole frames between peers.
//!
//! # Contract
//!
//! What is in brackets is the law in `threads-conformance` that checks the sentence. All of it holds
//! both ways round: whoever called the other.
//!
//! * A frame arrives whole and unaltered, or not at all (TR-1). It has at most [`FRAME_BYTES_MAX`],
//!   and a publication [`PUBLICATION_BYTES_MAX`]; more is [`Invalid`](crate::ErrorKind::Invalid)
//!   (TR-2).
//! * `from` is the peer that proved to hold the key of that id; nobody else can cause the event (TR-3).
//! * [`Transport::request`] gives the reply to that request (TR-4), in whatever order they come, and
//!   [`REQUESTS_MIN`] of one peer can wait for replies at once. It ends: a token that is dropped
//!   (TR-5), a peer that is not connected (TR-6), one that goes away (TR-7), and a
//!   [`Transport::disconnect`] of either end (TR-8) are
//!   [`Unavailable`](crate::ErrorKind::Unavailable), and no wait for ever. A request whose asker
//!   stopped waiting takes no room once it is answered (TR-9). A token of another transport is `Invalid` (TR-10).
//! * Each of [`Transport::addresses`] names the peer (TR-11), and leads to it: [`Transport::connect`]
//!   says who is there, and uses a connection that is there already (TR-12). An address where
//!   nobody is (TR-13), another peer than the one it names (TR-14), or this end itself (TR-15) is an
//!   error, and connects nobody.
//! * [`TransportEvent::Connected`] and [`TransportEvent::Disconnected`] of one peer come in turn, and
//!   what it asks comes between them, also when nobody has read for long (TR-16). That a peer is
//!   connected, or not any more, is never lost, whatever else is (TR-17).
//! * [`Transport::next_event`] is cancel-safe: a call dropped before it is ready took no event (TR-18).
//! * Queues are bounded. Whoever does not read has at most [`EVENTS_MAX`] frames waiting (TR-19), of
//!   [`EVENT_BYTES_MAX`] together (TR-20); beyond it requests are `Unavailable` to those who ask, and
//!   publications are lost. One peer fills a quarter at most: others get through (TR-21).
//! * [`Transport::publish`] reaches connected peers that subscribed (TR-22), with that topic, and
//!   nobody else (TR-23). It is best effort: frames may be lost or arrive in another order, never
//!   twice (TR-24). It never waits for a slow peer (TR-25). What is published after
//!   [`Transport::unsubscribe`] does not come (TR-26). There is room for [`TOPICS_MAX`] topics; one
//!   more is [`Full`](crate::ErrorKind::Full) (TR-27). A transport that carries publications on, to
//!   those who are connected to who reads them, does so only once the reader has [judged](Transport::judge)
//!   them fit for it.
//! * [`Transport::close`] ends it for good: every later call, [`Transport::next_event`] among them, is
//!   `Unavailable` (TR-28).
//! * Who says that it provides a key is found under it (TR-29), if the transport finds anybody.
//!
//! # For implementers
//!
//! Move bytes; know nothing of threads. Authenticate peers before the first event. Bound every
//! queue by a named constant and refuse frames over the bound before reading them. [`Inbox`] is the
//! queue of events as this contract wants it. Spawn what you need on the runtime of your library:
//! the traits name none.
//!
//! Run the laws: `threads_conformance::transport_laws!` makes a test of each, and the guide
//! `docs/writing-a-transport.md` leads there in an hour.
//!
//! # For users
//!
//! Pass one or more transports when the node is opened. [`memory::Hub`] connects nodes within a
//! process, for tests and examples.
//!
//! # Example
//!
//! ```
//! use threads_core::transport::{Transport, TransportEvent, memory::Hub};
//! use threads_core::{PeerId, Result};
//!
//! async fn echo(transport: &dyn Transport) -> Result<()> {
//!     loop {
//!         if let TransportEvent::Request { token, frame, .. } = transport.next_event().await? {
//!             transport.reply(token, frame).await?;
//!         }
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let hub = Hub::new();
//! let (ann, bob) = (PeerId::from_key_bytes([1; 32]), PeerId::from_key_bytes([2; 32]));
//! let (a, b) = (hub.join(ann).unwrap(), hub.join(bob).unwrap());
//! tokio::select! {
//!     reply = a.request(bob, b"hello".to_vec()) => assert_eq!(reply.unwrap(), b"hello"),
//!     ended = echo(&b) => ended.unwrap(),
//! }
//! # });
//! ```

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use multiaddr::{Multiaddr, Protocol};

use crate::{Error, PeerId, Result};

mod inbox;
pub mod memory;

pub use inbox::{
    DISCOVERIES_MAX, EVENT_BYTES_MAX, EVENTS_MAX, Inbox, PEER_BYTES_MAX, PEER_EVENTS_MAX,
};

/// The longest frame, in bytes.
pub const FRAME_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The longest publication, in bytes. Announce what is longer, and let others ask for it.
pub const PUBLICATION_BYTES_MAX: usize = 48 * 1024;
/// The longest topic, in bytes.
pub const TOPIC_BYTES_MAX: usize = 64;
/// The most topics that one end subscribes to. Who has more to follow shares them out in buckets.
pub const TOPICS_MAX: usize = 64;
/// So many requests of one peer can wait for replies at once, or more.
pub const REQUESTS_MIN: usize = 16;
/// The most addresses that [`Transport::find`] gives.
pub const FOUND_ADDRESSES_MAX: usize = 64;
/// The most addresses of one [`TransportEvent::Discovered`].
pub const DISCOVERED_ADDRESSES_MAX: usize = 16;

/// Moves frames between peers. See the [module](self) for its contract.
#[async_trait]
pub trait Transport: fmt::Debug + Send + Sync + 'static {
    /// Who this end is.
    fn local_peer(&self) -> PeerId;

    /// Where this end listens now, as others may dial it: each ends in `/p2p/` and its id.
    fn addresses(&self) -> Vec<Multiaddr>;

    /// Connects to whoever listens there and says who it is. A connection to that peer that is
    /// there already is used again.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when the transport cannot dial such an
    /// address, or it is this end's own; [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable)
    /// when nobody answers there, or another peer than the address names.
    async fn connect(&self, addr: &Multiaddr) -> Result<PeerId>;

    /// Ends the connection to `peer`, if there is one: requests under way fail, both ways.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) when this end is closed.
    async fn disconnect(&self, peer: PeerId) -> Result<()>;

    /// Sends `frame` to `peer` and waits for the reply.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when the frame is too long,
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) when the peer is not connected,
    /// is too busy or did not reply.
    async fn request(&self, peer: PeerId, frame: Vec<u8>) -> Result<Vec<u8>>;

    /// Replies to a request. The token is used up, also by an error.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when the frame is too long,
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) when nobody waits any more, as far
    /// as this end knows.
    async fn reply(&self, token: ReplyToken, frame: Vec<u8>) -> Result<()>;

    /// Asks for what others publish under `topic`. Once or again is the same.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when the topic is too long,
    /// [`ErrorKind::Full`](crate::ErrorKind::Full) when there are [`TOPICS_MAX`] already,
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) when this end is closed.
    async fn subscribe(&self, topic: &[u8]) -> Result<()>;

    /// Asks no longer for what others publish under `topic`. What waits may still be read.
    ///
    /// # Errors
    ///
    /// As [`Transport::subscribe`], but never `Full`.
    async fn unsubscribe(&self, topic: &[u8]) -> Result<()>;

    /// Offers `frame` to the connected peers that subscribed to `topic`, best effort. A transport
    /// may carry it further, to those who are connected to them, when these judge it fit for that.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when the frame or the topic is too long,
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) when this end is closed.
    async fn publish(&self, topic: &[u8], frame: Vec<u8>) -> Result<()>;

    /// Says what is to become of a publication that was read: until somebody does, it goes no
    /// further. A transport that carries nothing further does nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a token of another transport,
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) when this end is closed.
    async fn judge(&self, token: ReplyToken, fit: Acceptance) -> Result<()> {
        let _goes_no_further = (token, fit);
        Ok(())
    }

    /// Waits for the next event. One caller at a time.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) when this end is closed;
    /// it stays closed.
    async fn next_event(&self) -> Result<TransportEvent>;

    /// Says that this peer serves what `key` stands for, until it is closed. A transport that finds
    /// nobody does nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Full`](crate::ErrorKind::Full) when there are too many keys,
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) when it could not be said to
    /// anybody.
    async fn provide(&self, key: &[u8; 32]) -> Result<()> {
        let _nobody_asks = key;
        Ok(())
    }

    /// Looks for peers that provide `key`, and gives addresses of theirs, at most
    /// [`FOUND_ADDRESSES_MAX`]. Nothing that it gives is proven before a connection is.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) when nobody could be asked.
    async fn find(&self, key: &[u8; 32]) -> Result<Vec<Multiaddr>> {
        let _nobody_provides = key;
        Ok(Vec::new())
    }

    /// Whether a peer is connected within one network, so that addresses of that network which it tells
    /// lead somewhere from here. A transport that cannot know says no.
    fn is_near(&self, peer: PeerId) -> bool {
        let _cannot_know = peer;
        false
    }

    /// Ends this end at once and for good: others are told, and whatever waits gets an error.
    /// Dropping it does the same.
    fn close(&self);
}

#[async_trait]
impl<T: Transport + ?Sized> Transport for Arc<T> {
    fn local_peer(&self) -> PeerId {
        (**self).local_peer()
    }

    fn addresses(&self) -> Vec<Multiaddr> {
        (**self).addresses()
    }

    async fn connect(&self, addr: &Multiaddr) -> Result<PeerId> {
        (**self).connect(addr).await
    }

    async fn disconnect(&self, peer: PeerId) -> Result<()> {
        (**self).disconnect(peer).await
    }

    async fn request(&self, peer: PeerId, frame: Vec<u8>) -> Result<Vec<u8>> {
        (**self).request(peer, frame).await
    }

    async fn reply(&self, token: ReplyToken, frame: Vec<u8>) -> Result<()> {
        (**self).reply(token, frame).await
    }

    async fn subscribe(&self, topic: &[u8]) -> Result<()> {
        (**self).subscribe(topic).await
    }

    async fn unsubscribe(&self, topic: &[u8]) -> Result<()> {
        (**self).unsubscribe(topic).await
    }

    async fn publish(&self, topic: &[u8], frame: Vec<u8>) -> Result<()> {
        (**self).publish(topic, frame).await
    }

    async fn judge(&self, token: ReplyToken, fit: Acceptance) -> Result<()> {
        (**self).judge(token, fit).await
    }

    async fn next_event(&self) -> Result<TransportEvent> {
        (**self).next_event().await
    }

    async fn provide(&self, key: &[u8; 32]) -> Result<()> {
        (**self).provide(key).await
    }

    async fn find(&self, key: &[u8; 32]) -> Result<Vec<Multiaddr>> {
        (**self).find(key).await
    }

    fn is_near(&self, peer: PeerId) -> bool {
        (**self).is_near(peer)
    }

    fn close(&self) {
        (**self).close();
    }
}

/// What a transport reports.
///
/// ```
/// use threads_core::transport::TransportEvent;
/// use threads_core::PeerId;
/// let event = TransportEvent::Connected(PeerId::from_key_bytes([1; 32]));
/// assert!(format!("{event:?}").starts_with("Connected"));
/// ```
#[non_exhaustive]
pub enum TransportEvent {
    /// A peer is connected.
    Connected(PeerId),
    /// A peer is not connected any more.
    Disconnected(PeerId),
    /// A peer asks and waits for a reply. Dropping the token tells it that none will come.
    Request {
        /// Who asks.
        from: PeerId,
        /// The way back.
        token: ReplyToken,
        /// What it asks.
        frame: Vec<u8>,
    },
    /// A peer published something.
    Published {
        /// Who published it.
        from: PeerId,
        /// Under which topic.
        topic: Vec<u8>,
        /// What it published.
        frame: Vec<u8>,
        /// To say by what is to become of it: see [`Transport::judge`].
        token: ReplyToken,
    },
    /// A peer is near, or announced itself, and may be connected to. Nothing of it is proven. May be
    /// lost, and may come again.
    Discovered {
        /// Who it says it is.
        peer: PeerId,
        /// Where, at most [`DISCOVERED_ADDRESSES_MAX`].
        addrs: Vec<Multiaddr>,
    },
}

/// Says how long frames are, not what is in them.
impl fmt::Debug for TransportEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected(peer) => write!(f, "Connected({peer})"),
            Self::Disconnected(peer) => write!(f, "Disconnected({peer})"),
            Self::Request { from, frame, .. } => {
                write!(f, "Request({} bytes from {from})", frame.len())
            }
            Self::Published { from, frame, .. } => {
                write!(f, "Published({} bytes from {from})", frame.len())
            }
            Self::Discovered { peer, addrs } => {
                write!(f, "Discovered({peer} at {} addresses)", addrs.len())
            }
        }
    }
}

/// What is to become of a publication.
///
/// ```
/// use threads_core::transport::Acceptance;
/// let goes_on = |fit| fit == Acceptance::Accept;
/// assert!(goes_on(Acceptance::Accept) && !goes_on(Acceptance::Ignore));
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// It goes on to others.
    Accept,
    /// It goes no further, and whoever handed it on did nothing wrong.
    Ignore,
    /// It goes no further, and nobody who looked at it would have handed it on.
    Reject,
}

/// The way back to whoever waits for a reply, or hands on what is published. It can be used once;
/// dropping it is a refusal.
///
/// A transport puts in it whatever it needs to find the request again.
///
/// ```
/// use threads_core::transport::ReplyToken;
/// let token = ReplyToken::new(7_u64);
/// assert_eq!(token.into_inner::<u64>().unwrap(), 7);
/// ```
pub struct ReplyToken(Box<dyn std::any::Any + Send + Sync>);

impl ReplyToken {
    /// A token that holds `way`: an id, or the sending half of a channel.
    ///
    /// ```
    /// let token = threads_core::transport::ReplyToken::new(7_u64);
    /// assert_eq!(format!("{token:?}"), "ReplyToken");
    /// ```
    pub fn new<T: Send + Sync + 'static>(way: T) -> Self {
        Self(Box::new(way))
    }

    /// What the token holds.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when it is of another type: a token of
    /// another transport.
    ///
    /// ```
    /// let token = threads_core::transport::ReplyToken::new(7_u64);
    /// assert!(token.into_inner::<String>().is_err());
    /// ```
    pub fn into_inner<T: 'static>(self) -> Result<T> {
        let way = self.0.downcast::<T>();
        way.map(|way| *way)
            .map_err(|_| Error::invalid("a reply token of another transport"))
    }
}

impl fmt::Debug for ReplyToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplyToken")
    }
}

/// Refuses a frame that is too long. Every transport calls it before it sends.
///
/// ```
/// assert!(threads_core::transport::check_frame(b"hello").is_ok());
/// ```
pub fn check_frame(frame: &[u8]) -> Result<()> {
    if frame.len() > FRAME_BYTES_MAX {
        return Err(Error::invalid("a frame is too long: split it")
            .with("bytes", frame.len())
            .with("most", FRAME_BYTES_MAX));
    }
    Ok(())
}

/// Refuses a publication that is too long. Every transport calls it before it publishes.
///
/// ```
/// use threads_core::transport::{PUBLICATION_BYTES_MAX, check_publication};
/// assert!(check_publication(&[0; PUBLICATION_BYTES_MAX + 1]).is_err());
/// ```
pub fn check_publication(frame: &[u8]) -> Result<()> {
    if frame.len() > PUBLICATION_BYTES_MAX {
        return Err(
            Error::invalid("a publication is too long: announce it, and let others ask")
                .with("bytes", frame.len())
                .with("most", PUBLICATION_BYTES_MAX),
        );
    }
    Ok(())
}

/// Refuses a topic that is too long. Every transport calls it before it publishes or subscribes.
///
/// ```
/// assert!(threads_core::transport::check_topic(&[0; 65]).is_err());
/// ```
pub fn check_topic(topic: &[u8]) -> Result<()> {
    if topic.len() > TOPIC_BYTES_MAX {
        return Err(Error::invalid("a topic is too long")
            .with("bytes", topic.len())
            .with("most", TOPIC_BYTES_MAX));
    }
    Ok(())
}

/// The peer that an address names at its end, if it names one.
///
/// ```
/// use threads_core::{PeerId, transport::{named_peer, with_peer}};
/// let ann = PeerId::from_key_bytes([1; 32]);
/// let addr = "/ip4/192.0.2.7/tcp/4001".parse().unwrap();
/// assert_eq!(named_peer(&addr), None);
/// assert_eq!(named_peer(&with_peer(addr, ann)), Some(ann));
/// ```
pub fn named_peer(addr: &Multiaddr) -> Option<PeerId> {
    match addr.iter().last()? {
        Protocol::P2p(peer) => PeerId::from_bytes(&peer.to_bytes()).ok(),
        _ => None,
    }
}

/// The address with the peer's name at its end, as [`Transport::addresses`] gives it.
///
/// ```
/// use threads_core::{PeerId, transport::with_peer};
/// let addr = with_peer("/memory/1".parse().unwrap(), PeerId::from_key_bytes([1; 32]));
/// assert!(addr.to_string().starts_with("/memory/1/p2p/12D3KooW"));
/// ```
pub fn with_peer(addr: Multiaddr, peer: PeerId) -> Multiaddr {
    let peer = multiaddr::PeerId::from_bytes(&peer.to_bytes())
        // What `to_bytes` gives is libp2p's form.
        .expect("an id in libp2p's form");
    addr.with(Protocol::P2p(peer))
}
