//! Transports: whole frames between peers.
//!
//! # Contract
//!
//! * A frame arrives whole and unaltered, or not at all. It has at most [`FRAME_BYTES_MAX`].
//! * `from` is the peer that proved to hold the key of that id; nobody else can cause the event.
//! * [`Transport::request`] gives the reply to that request, or an error. It ends: a peer that
//!   goes away, or drops its token, is an error and not a wait for ever.
//! * [`Transport::publish`] is best effort: frames may be lost or arrive in another order, never
//!   twice. It never waits for a slow peer.
//! * [`Transport::next_event`] is cancel-safe: a call dropped before it is ready took no event.
//!   An error of it is terminal: every later call gives an error too.
//! * Every queue is bounded. When one is full, requests are refused and publications lost;
//!   whether a peer is connected is never lost.
//!
//! # For implementers
//!
//! Move bytes; know nothing of threads. Authenticate peers before the first event. Bound every
//! queue by a named constant and refuse frames over the bound before reading them. Spawn what
//! you need on the runtime of your library: the traits name none.
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

use crate::{Error, PeerId, Result};

pub mod memory;

/// The longest frame, in bytes.
pub const FRAME_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The longest topic, in bytes.
pub const TOPIC_BYTES_MAX: usize = 64;

/// Moves frames between peers. See the [module](self) for its contract.
#[async_trait]
pub trait Transport: fmt::Debug + Send + Sync + 'static {
    /// Who this end is.
    fn local_peer(&self) -> PeerId;

    /// Sends `frame` to `peer` and waits for the reply.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when the frame is too long,
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) when the peer cannot be reached,
    /// is too busy or did not reply.
    async fn request(&self, peer: PeerId, frame: Vec<u8>) -> Result<Vec<u8>>;

    /// Replies to a request. The token is used up.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when the frame is too long,
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) when nobody waits any more.
    async fn reply(&self, token: ReplyToken, frame: Vec<u8>) -> Result<()>;

    /// Offers `frame` to the connected peers that care for `topic`, best effort. A transport
    /// that does not know who cares offers it to all.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when the frame or the topic is too long,
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) when the transport has ended.
    async fn publish(&self, topic: &[u8], frame: Vec<u8>) -> Result<()>;

    /// Waits for the next event. One caller at a time.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) when the transport has ended;
    /// it stays ended.
    async fn next_event(&self) -> Result<TransportEvent>;
}

#[async_trait]
impl<T: Transport + ?Sized> Transport for Arc<T> {
    fn local_peer(&self) -> PeerId {
        (**self).local_peer()
    }

    async fn request(&self, peer: PeerId, frame: Vec<u8>) -> Result<Vec<u8>> {
        (**self).request(peer, frame).await
    }

    async fn reply(&self, token: ReplyToken, frame: Vec<u8>) -> Result<()> {
        (**self).reply(token, frame).await
    }

    async fn publish(&self, topic: &[u8], frame: Vec<u8>) -> Result<()> {
        (**self).publish(topic, frame).await
    }

    async fn next_event(&self) -> Result<TransportEvent> {
        (**self).next_event().await
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
    /// A peer can be reached.
    Connected(PeerId),
    /// A peer cannot be reached any more.
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
        }
    }
}

/// The way back to whoever waits for a reply. It can be used once; dropping it is a refusal.
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

/// Refuses a topic that is too long. Every transport calls it before it publishes.
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
