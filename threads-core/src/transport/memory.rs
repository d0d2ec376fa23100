//! A transport within one process: for tests, examples and simulations.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use multiaddr::{Multiaddr, Protocol};

use super::{
    FOUND_ADDRESSES_MAX, Inbox, ReplyToken, TOPICS_MAX, Transport, TransportEvent, check_frame,
    check_publication, check_topic, named_peer, with_peer,
};
use crate::queue::Queue;
use crate::{Error, PeerId, Result};

/// The most requests of one peer that wait for a reply. Beyond it requests are refused.
pub const REQUESTS_MAX: usize = 4096;
/// The most peers of one hub.
pub const PEERS_MAX: usize = 256;
/// The most keys that the peers of one hub provide.
pub const PROVIDED_MAX: usize = 4096;

/// At most one reply goes through it.
type Reply = Queue<Vec<u8>>;

/// Where the peers of one process meet. Everyone is connected to everyone, until one disconnects
/// or the hub cuts them.
///
/// ```
/// use threads_core::PeerId;
/// use threads_core::transport::{Transport, memory::Hub};
///
/// let hub = Hub::new();
/// let ann = hub.join(PeerId::from_key_bytes([1; 32])).unwrap();
/// assert_eq!(ann.local_peer(), PeerId::from_key_bytes([1; 32]));
/// assert!(ann.addresses()[0].to_string().starts_with("/memory/1/p2p/"));
/// ```
#[derive(Clone, Default)]
pub struct Hub(Arc<Mutex<Peers>>);

/// No reply token is dropped while this is locked: one that is dropped locks it.
#[derive(Default)]
struct Peers {
    members: BTreeMap<PeerId, Member>,
    /// Pairs that cannot reach each other, the smaller id first.
    cut: BTreeSet<(PeerId, PeerId)>,
    /// Pairs that could, and one of them disconnected.
    apart: BTreeSet<(PeerId, PeerId)>,
    /// Who provides what.
    provided: BTreeSet<([u8; 32], PeerId)>,
    /// Requests that wait, by the number in their token.
    waiting: BTreeMap<u64, Waiting>,
    requests: u64,
    joined: u64,
}

struct Member {
    /// Its number in addresses.
    place: u64,
    inbox: Arc<Inbox>,
    topics: BTreeSet<Vec<u8>>,
}

struct Waiting {
    from: PeerId,
    to: PeerId,
    reply: Arc<Reply>,
}

fn pair(a: PeerId, b: PeerId) -> (PeerId, PeerId) {
    (a.min(b), a.max(b))
}

fn closed() -> Error {
    Error::unavailable("this end has left the hub")
}

impl Peers {
    /// The end that uses this inbox: it may have left, and its peer joined again.
    fn member(&mut self, peer: PeerId, inbox: &Arc<Inbox>) -> Option<&mut Member> {
        let member = self.members.get_mut(&peer)?;
        Arc::ptr_eq(&member.inbox, inbox).then_some(member)
    }

    fn connected(&self, a: PeerId, b: PeerId) -> bool {
        let pair = pair(a, b);
        a != b && !self.cut.contains(&pair) && !self.apart.contains(&pair)
    }

    /// Everyone to whom `peer` is connected.
    fn reached_by(&self, peer: PeerId) -> impl Iterator<Item = (PeerId, &Member)> {
        let others = self
            .members
            .iter()
            .filter(move |(id, _)| self.connected(**id, peer));
        others.map(|(id, member)| (*id, member))
    }

    fn address(&self, peer: PeerId) -> Option<Multiaddr> {
        let place = self.members.get(&peer)?.place;
        Some(with_peer(Protocol::Memory(place).into(), peer))
    }

    /// Ends the requests that wait between two peers for whom `gone` holds.
    fn give_up(&mut self, gone: impl Fn(PeerId, PeerId) -> bool) {
        self.waiting.retain(|_, waiting| {
            let lost = gone(waiting.from, waiting.to);
            if lost {
                waiting.reply.close();
            }
            !lost
        });
    }

    /// Tells both, if both are there.
    fn tell_connected(&self, (a, b): (PeerId, PeerId)) {
        if let (Some(to_a), Some(to_b)) = (self.members.get(&a), self.members.get(&b)) {
            to_a.inbox.connected(b);
            to_b.inbox.connected(a);
        }
    }

    /// Ends requests between two peers and tells both. Gives tokens to drop later.
    fn part(&mut self, (a, b): (PeerId, PeerId)) -> Vec<ReplyToken> {
        self.give_up(|from, to| pair(from, to) == (a, b));
        let mut unread = Vec::new();
        if let (Some(to_a), Some(to_b)) = (self.members.get(&a), self.members.get(&b)) {
            unread.extend(to_a.inbox.disconnected(b));
            unread.extend(to_b.inbox.disconnected(a));
        }
        unread
    }
}

impl Hub {
    /// A hub without peers.
    ///
    /// ```
    /// let hub = threads_core::transport::memory::Hub::new();
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, Peers> {
        // A panic under the lock can only be one of allocation; the maps are whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The end of `peer`. It leaves when the end is dropped.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) when the peer is there already,
    /// [`ErrorKind::Full`](crate::ErrorKind::Full) when the hub has [`PEERS_MAX`] peers.
    ///
    /// ```
    /// use threads_core::{PeerId, transport::memory::Hub};
    /// let hub = Hub::new();
    /// let ann = hub.join(PeerId::from_key_bytes([1; 32])).unwrap();
    /// assert!(hub.join(PeerId::from_key_bytes([1; 32])).is_err());
    /// ```
    pub fn join(&self, peer: PeerId) -> Result<Endpoint> {
        let mut peers = self.lock();
        if peers.members.contains_key(&peer) {
            return Err(Error::conflict("this peer is at the hub already").with("peer", peer));
        }
        if peers.members.len() >= PEERS_MAX {
            return Err(Error::full("the hub has no room for another peer").with("most", PEERS_MAX));
        }
        peers.joined += 1;
        let inbox = Arc::new(Inbox::new());
        let member = Member {
            place: peers.joined,
            inbox: Arc::clone(&inbox),
            topics: BTreeSet::new(),
        };
        peers.members.insert(peer, member);
        for (other, _) in peers.reached_by(peer) {
            peers.tell_connected((peer, other));
        }
        Ok(Endpoint {
            hub: self.clone(),
            peer,
            inbox,
        })
    }

    /// Cuts two peers from each other: they are told, their requests end, and they cannot connect.
    ///
    /// ```
    /// use threads_core::{PeerId, transport::memory::Hub};
    /// let hub = Hub::new();
    /// hub.cut(PeerId::from_key_bytes([1; 32]), PeerId::from_key_bytes([2; 32]));
    /// ```
    pub fn cut(&self, a: PeerId, b: PeerId) {
        let mut peers = self.lock();
        let were_connected = peers.connected(a, b);
        peers.cut.insert(pair(a, b));
        let unread = were_connected.then(|| peers.part(pair(a, b)));
        drop(peers);
        drop(unread);
    }

    /// Takes a cut back. The two are connected again, unless one of them had disconnected.
    ///
    /// ```
    /// use threads_core::{PeerId, transport::memory::Hub};
    /// let hub = Hub::new();
    /// hub.heal(PeerId::from_key_bytes([1; 32]), PeerId::from_key_bytes([2; 32]));
    /// ```
    pub fn heal(&self, a: PeerId, b: PeerId) {
        let mut peers = self.lock();
        if peers.cut.remove(&pair(a, b)) && peers.connected(a, b) {
            peers.tell_connected(pair(a, b));
        }
    }

    /// Ends a request, with or without a reply. Says whether it still waited.
    fn finish(&self, request: u64, frame: Option<Vec<u8>>) -> bool {
        let Some(waiting) = self.lock().waiting.remove(&request) else {
            return false;
        };
        waiting.reply.edit(|replies| replies.extend(frame));
        waiting.reply.close();
        true
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("peers", &self.lock().members.len())
            .finish_non_exhaustive()
    }
}

/// A request that waits: it ends when the token or the waiting call is dropped.
struct Request {
    hub: Hub,
    number: u64,
}

impl Drop for Request {
    fn drop(&mut self) {
        self.hub.finish(self.number, None);
    }
}

/// One peer's end of a [`Hub`]. Dropping it leaves the hub.
///
/// ```
/// use threads_core::{PeerId, transport::memory::Hub};
/// let ann = Hub::new().join(PeerId::from_key_bytes([1; 32])).unwrap();
/// assert!(format!("{ann:?}").contains("Endpoint"));
/// ```
pub struct Endpoint {
    hub: Hub,
    peer: PeerId,
    inbox: Arc<Inbox>,
}

impl Endpoint {
    /// The hub, if this end has not left it.
    fn present(&self) -> Result<MutexGuard<'_, Peers>> {
        let mut peers = self.hub.lock();
        match peers.member(self.peer, &self.inbox) {
            Some(_) => Ok(peers),
            None => Err(closed()),
        }
    }

    /// Registers a request, so that a cut ends it.
    fn wait_for(&self, to: PeerId) -> Result<(Request, Arc<Inbox>, Arc<Reply>)> {
        let mut peers = self.present()?;
        let member = peers.reached_by(self.peer).find(|(id, _)| *id == to);
        let Some(inbox) = member.map(|(_, member)| Arc::clone(&member.inbox)) else {
            return Err(Error::unavailable("the peer is not connected").with("peer", to));
        };
        let mine = |waiting: &&Waiting| waiting.from == self.peer;
        if peers.waiting.values().filter(mine).count() >= REQUESTS_MAX {
            return Err(Error::unavailable("too many requests wait for replies"));
        }
        peers.requests += 1;
        let (number, reply) = (peers.requests, Arc::new(Reply::new()));
        let waiting = Waiting {
            from: self.peer,
            to,
            reply: Arc::clone(&reply),
        };
        peers.waiting.insert(number, waiting);
        let hub = self.hub.clone();
        Ok((Request { hub, number }, inbox, reply))
    }
}

#[async_trait]
impl Transport for Endpoint {
    fn local_peer(&self) -> PeerId {
        self.peer
    }

    fn addresses(&self) -> Vec<Multiaddr> {
        let address = self
            .present()
            .ok()
            .and_then(|peers| peers.address(self.peer));
        address.into_iter().collect()
    }

    async fn connect(&self, addr: &Multiaddr) -> Result<PeerId> {
        let Some(Protocol::Memory(place)) = addr.iter().next() else {
            return Err(
                Error::invalid("not an address at a hub, /memory/<number>").with("address", addr)
            );
        };
        let mut peers = self.present()?;
        let there = peers
            .members
            .iter()
            .find(|(_, member)| member.place == place);
        let Some(peer) = there.map(|(peer, _)| *peer) else {
            return Err(Error::unavailable("nobody is at this address").with("address", addr));
        };
        if named_peer(addr).is_some_and(|named| named != peer) {
            return Err(Error::unavailable("another peer is at this address").with("peer", peer));
        }
        if peer == self.peer {
            return Err(Error::invalid("this is the address of this end itself"));
        }
        let pair = pair(self.peer, peer);
        if peers.cut.contains(&pair) {
            return Err(Error::unavailable("the peer cannot be reached").with("peer", peer));
        }
        if peers.apart.remove(&pair) {
            peers.tell_connected(pair);
        }
        Ok(peer)
    }

    async fn disconnect(&self, peer: PeerId) -> Result<()> {
        let mut peers = self.present()?;
        let there = peers.members.contains_key(&peer) && peers.connected(self.peer, peer);
        let unread = there.then(|| {
            peers.apart.insert(pair(self.peer, peer));
            peers.part(pair(self.peer, peer))
        });
        drop(peers);
        drop(unread);
        Ok(())
    }

    async fn request(&self, peer: PeerId, frame: Vec<u8>) -> Result<Vec<u8>> {
        check_frame(&frame)?;
        let (request, inbox, reply) = self.wait_for(peer)?;
        let token = ReplyToken::new(Request {
            hub: self.hub.clone(),
            number: request.number,
        });
        if inbox.request(self.peer, token, frame).is_err() {
            return Err(Error::unavailable("the peer is too busy").with("peer", peer));
        }
        let reply = reply.next().await;
        reply.ok_or_else(|| Error::unavailable("the peer did not reply").with("peer", peer))
    }

    async fn reply(&self, token: ReplyToken, frame: Vec<u8>) -> Result<()> {
        let request: Request = token.into_inner()?;
        check_frame(&frame)?;
        if !request.hub.finish(request.number, Some(frame)) {
            return Err(Error::unavailable("nobody waits for the reply any more"));
        }
        Ok(())
    }

    async fn subscribe(&self, topic: &[u8]) -> Result<()> {
        check_topic(topic)?;
        let mut peers = self.hub.lock();
        let member = peers.member(self.peer, &self.inbox).ok_or_else(closed)?;
        if member.topics.len() >= TOPICS_MAX && !member.topics.contains(topic) {
            return Err(
                Error::full("too many topics: share them out in buckets").with("most", TOPICS_MAX)
            );
        }
        member.topics.insert(topic.to_vec());
        Ok(())
    }

    async fn unsubscribe(&self, topic: &[u8]) -> Result<()> {
        check_topic(topic)?;
        let mut peers = self.hub.lock();
        let member = peers.member(self.peer, &self.inbox).ok_or_else(closed)?;
        member.topics.remove(topic);
        Ok(())
    }

    async fn publish(&self, topic: &[u8], frame: Vec<u8>) -> Result<()> {
        check_topic(topic)?;
        check_publication(&frame)?;
        let peers = self.present()?;
        for (_, member) in peers.reached_by(self.peer) {
            if member.topics.contains(topic) {
                // Everybody is connected to everybody: there is nobody to hand it on to.
                let token = ReplyToken::new(());
                member
                    .inbox
                    .published(self.peer, topic, frame.clone(), token);
            }
        }
        Ok(())
    }

    async fn next_event(&self) -> Result<TransportEvent> {
        self.inbox.next().await
    }

    async fn provide(&self, key: &[u8; 32]) -> Result<()> {
        let mut peers = self.present()?;
        if peers.provided.len() >= PROVIDED_MAX && !peers.provided.contains(&(*key, self.peer)) {
            return Err(Error::full("the hub has no room for more keys").with("most", PROVIDED_MAX));
        }
        peers.provided.insert((*key, self.peer));
        Ok(())
    }

    async fn find(&self, key: &[u8; 32]) -> Result<Vec<Multiaddr>> {
        let peers = self.present()?;
        let others = peers
            .provided
            .iter()
            .filter(|(provided, peer)| provided == key && *peer != self.peer);
        let found = others.filter_map(|(_, peer)| peers.address(*peer));
        Ok(found.take(FOUND_ADDRESSES_MAX).collect())
    }

    fn is_near(&self, _: PeerId) -> bool {
        true
    }

    fn close(&self) {
        let read = self.inbox.close();
        let mut unread = Vec::new();
        let mut peers = self.hub.lock();
        if peers.member(self.peer, &self.inbox).is_some() {
            peers.give_up(|from, to| from == self.peer || to == self.peer);
            for (_, member) in peers.reached_by(self.peer) {
                unread.extend(member.inbox.disconnected(self.peer));
            }
            peers.members.remove(&self.peer);
            peers
                .apart
                .retain(|(a, b)| *a != self.peer && *b != self.peer);
            peers.provided.retain(|(_, peer)| *peer != self.peer);
        }
        drop(peers);
        drop((read, unread));
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({})", self.peer)
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.close();
    }
}
