//! The events that wait for whoever reads a transport, bounded: a part for transports.

use std::collections::VecDeque;

use super::{ReplyToken, TransportEvent};
use crate::queue::Queue;
use crate::{Error, PeerId, Result};

/// The most requests and publications that wait to be read.
pub const EVENTS_MAX: usize = 1024;
/// The most of them that one peer may have waiting, so that it leaves room for others.
pub const PEER_EVENTS_MAX: usize = EVENTS_MAX / 4;
/// The most bytes of frames that wait to be read.
pub const EVENT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The most of them that one peer may have waiting.
pub const PEER_BYTES_MAX: usize = EVENT_BYTES_MAX / 4;
/// The most discoveries that wait to be read. Beyond it the oldest is lost.
pub const DISCOVERIES_MAX: usize = 64;

/// The queue behind [`Transport::next_event`](super::Transport::next_event), as its contract wants
/// it: bounded, with a share for each peer, and with news that is never lost.
///
/// ```
/// use threads_core::PeerId;
/// use threads_core::transport::{Inbox, TransportEvent};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let (inbox, ann) = (Inbox::new(), PeerId::from_key_bytes([1; 32]));
/// inbox.connected(ann);
/// assert!(matches!(inbox.next().await, Ok(TransportEvent::Connected(peer)) if peer == ann));
/// inbox.close();
/// assert!(inbox.next().await.is_err());
/// # });
/// ```
#[derive(Debug)]
pub struct Inbox(Queue<TransportEvent>);

/// What one peer, and all of them, have waiting.
#[derive(Default)]
struct Waiting {
    events: usize,
    bytes: usize,
}

impl Waiting {
    fn of<'e>(events: impl Iterator<Item = &'e TransportEvent>) -> Self {
        events.fold(Self::default(), |sum, event| match event.frame() {
            Some((_, frame)) => Self {
                events: sum.events + 1,
                bytes: sum.bytes + frame.len(),
            },
            None => sum,
        })
    }

    fn has_room(&self, bytes: usize, events_max: usize, bytes_max: usize) -> bool {
        self.events < events_max && self.bytes + bytes <= bytes_max
    }
}

impl TransportEvent {
    /// Who sent a frame, and the frame.
    fn frame(&self) -> Option<(PeerId, &[u8])> {
        match self {
            Self::Request { from, frame, .. } | Self::Published { from, frame, .. } => {
                Some((*from, frame))
            }
            Self::Connected(_) | Self::Disconnected(_) | Self::Discovered { .. } => None,
        }
    }
}

impl Inbox {
    /// An empty one.
    ///
    /// ```
    /// let inbox = threads_core::transport::Inbox::new();
    /// ```
    pub fn new() -> Self {
        Self(Queue::new())
    }

    /// Queues what a peer asks. Refused, it gives the token back: drop it, and whoever asks learns
    /// that the peer is too busy.
    ///
    /// # Errors
    ///
    /// The token, when there is no room for it, or nobody reads any more.
    ///
    /// ```
    /// use threads_core::PeerId;
    /// use threads_core::transport::{Inbox, PEER_EVENTS_MAX, ReplyToken};
    ///
    /// let (inbox, ann) = (Inbox::new(), PeerId::from_key_bytes([1; 32]));
    /// let ask = |n: usize| inbox.request(ann, ReplyToken::new(n), b"?".to_vec());
    /// assert!((0..PEER_EVENTS_MAX).all(|n| ask(n).is_ok()));
    /// assert!(ask(PEER_EVENTS_MAX).is_err());
    /// ```
    pub fn request(
        &self,
        from: PeerId,
        token: ReplyToken,
        frame: Vec<u8>,
    ) -> Result<(), ReplyToken> {
        let refused = self.offer(TransportEvent::Request { from, token, frame });
        match refused {
            Some(TransportEvent::Request { token, .. }) => Err(token),
            _ => Ok(()),
        }
    }

    /// Queues what a peer published, or loses it, when there is no room. The token is for
    /// [`Transport::judge`](super::Transport::judge); a transport that carries nothing further puts
    /// nothing in it.
    ///
    /// ```
    /// use threads_core::{PeerId, transport::{Inbox, ReplyToken}};
    /// let (ann, token) = (PeerId::from_key_bytes([1; 32]), ReplyToken::new(()));
    /// Inbox::new().published(ann, b"topic", b"frame".to_vec(), token);
    /// ```
    pub fn published(&self, from: PeerId, topic: &[u8], frame: Vec<u8>, token: ReplyToken) {
        let topic = topic.to_vec();
        let _lost = self.offer(TransportEvent::Published {
            from,
            topic,
            frame,
            token,
        });
    }

    /// Queues what was found, in place of the oldest when many wait.
    ///
    /// ```
    /// use threads_core::{PeerId, transport::Inbox};
    /// let addr = "/ip4/192.0.2.7/tcp/4001".parse().unwrap();
    /// Inbox::new().discovered(PeerId::from_key_bytes([1; 32]), vec![addr]);
    /// ```
    pub fn discovered(&self, peer: PeerId, mut addrs: Vec<crate::Multiaddr>) {
        addrs.truncate(super::DISCOVERED_ADDRESSES_MAX);
        let is = |event: &TransportEvent| matches!(event, TransportEvent::Discovered { .. });
        self.0.edit(|events| {
            if events.iter().filter(|event| is(event)).count() >= DISCOVERIES_MAX {
                let oldest = events.iter().position(is);
                oldest.and_then(|at| events.remove(at));
            }
            events.push_back(TransportEvent::Discovered { peer, addrs });
        });
    }

    /// Queues the news that a peer is connected. Call it before anything of that peer.
    ///
    /// ```
    /// use threads_core::{PeerId, transport::Inbox};
    /// Inbox::new().connected(PeerId::from_key_bytes([1; 32]));
    /// ```
    pub fn connected(&self, peer: PeerId) {
        self.0
            .edit(|events| events.push_back(TransportEvent::Connected(peer)));
    }

    /// Queues the news that a peer is not connected any more. Gives its requests that nobody has
    /// read: their askers are gone. A connection that came and went unread is no news.
    ///
    /// ```
    /// use threads_core::{PeerId, transport::Inbox};
    /// let unread = Inbox::new().disconnected(PeerId::from_key_bytes([1; 32]));
    /// assert!(unread.is_empty());
    /// ```
    pub fn disconnected(&self, peer: PeerId) -> Vec<ReplyToken> {
        let edited = self.0.edit(|events| {
            let mut tokens = Vec::new();
            let mut known = true;
            for event in std::mem::take(events) {
                match event {
                    TransportEvent::Request { from, token, .. } if from == peer => {
                        tokens.push(token);
                    }
                    TransportEvent::Connected(unread) if unread == peer => known = false,
                    other => events.push_back(other),
                }
            }
            if known {
                events.push_back(TransportEvent::Disconnected(peer));
            }
            tokens
        });
        edited.unwrap_or_default()
    }

    /// The next event; waits for it. Cancel-safe.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) once it is closed.
    ///
    /// ```
    /// # async fn read(inbox: &threads_core::transport::Inbox) -> threads_core::Result<()> {
    /// loop {
    ///     println!("{:?}", inbox.next().await?);
    /// }
    /// # }
    /// ```
    pub async fn next(&self) -> Result<TransportEvent> {
        let event = self.0.next().await;
        event.ok_or_else(|| Error::unavailable("this end is closed: make another one"))
    }

    /// Ends it. Gives what nobody has read.
    ///
    /// ```
    /// assert!(threads_core::transport::Inbox::new().close().is_empty());
    /// ```
    pub fn close(&self) -> VecDeque<TransportEvent> {
        let unread = self.0.edit(std::mem::take);
        self.0.close();
        unread.unwrap_or_default()
    }

    /// Queues a frame; gives it back when there is no room.
    fn offer(&self, event: TransportEvent) -> Option<TransportEvent> {
        let mut event = Some(event);
        self.0.edit(|events| {
            let Some((from, frame)) = event.as_ref().and_then(TransportEvent::frame) else {
                return;
            };
            let its = |one: &&TransportEvent| one.frame().is_some_and(|(peer, _)| peer == from);
            let (all, its) = (
                Waiting::of(events.iter()),
                Waiting::of(events.iter().filter(its)),
            );
            if all.has_room(frame.len(), EVENTS_MAX, EVENT_BYTES_MAX)
                && its.has_room(frame.len(), PEER_EVENTS_MAX, PEER_BYTES_MAX)
            {
                events.extend(event.take());
            }
        });
        event
    }
}

impl Default for Inbox {
    fn default() -> Self {
        Self::new()
    }
}
