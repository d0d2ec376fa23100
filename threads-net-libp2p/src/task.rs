//! The background task: it owns the swarm, carries out what the handle asks, and fills the inbox.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError};

use libp2p::core::transport::ListenerId;
use libp2p::futures::StreamExt;
use libp2p::kad::QueryId;
use libp2p::swarm::{ConnectionId, SwarmEvent};
use libp2p::{Multiaddr, Swarm, ping};
use threads_core::transport::{TOPICS_MAX, with_peer};
use threads_core::{Error, PeerId};
use tokio::sync::mpsc;
use tokio::time::{self, Instant};

use crate::behaviour::{Behaviour, BehaviourEvent};
use crate::book::{Book, is_local_address};
use crate::command::{Command, Done};
use crate::limits::{ADDRESSES_MAX, CLOSING, Limits, TICK};
use crate::outgoing::Outgoing;
use crate::peer::ours;
use crate::replying::Replying;
use crate::transport::Shared;

mod connections;
mod finding;
mod frames;
mod relays;
mod topics;

pub(crate) struct Task {
    swarm: Swarm<Behaviour>,
    commands: mpsc::Receiver<Command>,
    shared: Arc<Shared>,
    limits: Limits,
    /// Whom the reader was told to be connected.
    connected: HashSet<PeerId>,
    connecting: HashMap<ConnectionId, Done<PeerId>>,
    /// Calls that wait for a relay.
    behind: Vec<relays::Behind>,
    /// Connected peers that have said how they see this end.
    identified: HashSet<libp2p::PeerId>,
    /// How many connections there are with each peer.
    connections: HashMap<libp2p::PeerId, u32>,
    /// Connections through a relay.
    relayed: HashMap<ConnectionId, libp2p::PeerId>,
    /// How many requests of each peer have no reply yet.
    answering: HashMap<libp2p::PeerId, usize>,
    /// Connections that stay within one network, as this end sees it.
    near: HashMap<ConnectionId, libp2p::PeerId>,
    disconnecting: HashMap<PeerId, Vec<Done<()>>>,
    listeners: HashSet<ListenerId>,
    /// Who waits for a listener's first address.
    listening: HashMap<ListenerId, Done<Multiaddr>>,
    outgoing: Outgoing,
    replying: Replying,
    topics: HashSet<Vec<u8>>,
    book: Book,
    queries: HashMap<QueryId, finding::Query>,
    provided: finding::Provided,
    #[cfg(feature = "metrics")]
    metrics: Option<libp2p::metrics::Metrics>,
}

impl Task {
    pub(crate) fn new(
        swarm: Swarm<Behaviour>,
        commands: mpsc::Receiver<Command>,
        shared: Arc<Shared>,
        limits: Limits,
        #[cfg(feature = "metrics")] metrics: Option<libp2p::metrics::Metrics>,
    ) -> Self {
        Self {
            swarm,
            commands,
            shared,
            limits,
            connected: HashSet::new(),
            connecting: HashMap::new(),
            behind: Vec::new(),
            identified: HashSet::new(),
            connections: HashMap::new(),
            relayed: HashMap::new(),
            answering: HashMap::new(),
            near: HashMap::new(),
            disconnecting: HashMap::new(),
            listeners: HashSet::new(),
            listening: HashMap::new(),
            outgoing: Outgoing::default(),
            replying: Replying::new(),
            topics: HashSet::with_capacity(TOPICS_MAX),
            book: Book::default(),
            queries: HashMap::new(),
            provided: finding::Provided::default(),
            #[cfg(feature = "metrics")]
            metrics,
        }
    }

    /// Until the handle is closed.
    pub(crate) async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let mut tick = time::interval(TICK);
        loop {
            // In no fixed order: who calls without a pause must not keep the network waiting.
            tokio::select! {
                () = shared.closing.notified() => break,
                command = self.commands.recv() => match command {
                    Some(command) => self.carry_out(command),
                    None => break,
                },
                event = self.swarm.select_next_some() => self.handle(event),
                now = tick.tick() => {
                    self.outgoing.expire(now);
                    self.expire_behind(now);
                    self.leave_relays();
                }
            }
        }
        self.end().await;
    }

    /// Ends in an orderly way: nobody gets in any more, and then the others are told at once.
    async fn end(mut self) {
        self.commands.close();
        self.outgoing = Outgoing::default();
        self.swarm.behaviour_mut().per_ip.shut();
        let last = Instant::now() + CLOSING;
        let mut listeners = std::mem::take(&mut self.listeners);
        listeners.retain(|id| self.swarm.remove_listener(*id));
        while !listeners.is_empty() {
            let Ok(event) = time::timeout_at(last, self.swarm.select_next_some()).await else {
                break;
            };
            if let SwarmEvent::ListenerClosed { listener_id, .. } = event {
                listeners.remove(&listener_id);
            }
        }
        let peers: Vec<_> = self.swarm.connected_peers().copied().collect();
        for peer in peers {
            // One that is gone already is gone.
            let _gone = self.swarm.disconnect_peer_id(peer);
        }
        while self.swarm.connected_peers().next().is_some() {
            let next = time::timeout_at(last, self.swarm.select_next_some());
            if next.await.is_err() {
                break;
            }
        }
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Listen(addr, done) => self.listen(addr, done),
            Command::Announce(addr, done) => {
                self.swarm.add_external_address(addr);
                self.tell_addresses();
                tell(done, Ok(()));
            }
            Command::Connect(addr, done) => self.connect(addr, done),
            Command::Disconnect(peer, done) => self.disconnect(peer, done),
            Command::Request(peer, frame, done) => self.request(peer, frame, done),
            Command::Reply(way, frame, done) => self.reply(way, frame, done),
            Command::Subscribe(topic, done) => self.subscribe(topic, done),
            Command::Unsubscribe(topic, done) => self.unsubscribe(&topic, done),
            Command::Publish(topic, frame, done) => self.publish(&topic, frame, done),
            Command::Judge(overheard, fit, done) => self.judge(&overheard, fit, done),
            Command::Provide(key, done) => self.provide(&key, done),
            Command::Find(key, done) => self.find(&key, done),
        }
    }

    fn handle(&mut self, event: SwarmEvent<BehaviourEvent>) {
        #[cfg(feature = "metrics")]
        self.record(&event);
        match event {
            SwarmEvent::Behaviour(event) => self.handle_part(event),
            SwarmEvent::ConnectionEstablished {
                peer_id,
                connection_id,
                endpoint,
                num_established,
                ..
            } => {
                self.connections.insert(peer_id, num_established.get());
                if is_local_address(endpoint.get_remote_address()) {
                    self.near.insert(connection_id, peer_id);
                    self.tell_near(&peer_id);
                }
                if endpoint.is_relayed() {
                    self.relayed.insert(connection_id, peer_id);
                }
                self.established(&peer_id, connection_id);
            }
            SwarmEvent::ConnectionClosed {
                peer_id,
                connection_id,
                num_established,
                ..
            } => {
                if self.near.remove(&connection_id).is_some() {
                    self.tell_near(&peer_id);
                }
                match num_established {
                    0 => self.connections.remove(&peer_id),
                    left => self.connections.insert(peer_id, left),
                };
                self.relayed.remove(&connection_id);
                self.closed(&peer_id, num_established);
            }
            SwarmEvent::OutgoingConnectionError {
                connection_id,
                peer_id,
                error,
            } => self.not_connected(connection_id, peer_id, &error),
            SwarmEvent::IncomingConnectionError { .. } => {
                self.shared
                    .counting
                    .count(|counters| counters.connections_failed += 1);
            }
            SwarmEvent::NewListenAddr {
                listener_id,
                address,
            } => self.listens(listener_id, address),
            SwarmEvent::ListenerClosed {
                listener_id,
                reason,
                ..
            } => {
                self.listeners.remove(&listener_id);
                self.listens_no_more(listener_id, reason.err());
            }
            SwarmEvent::ListenerError { listener_id, error } => {
                self.listens_no_more(listener_id, Some(error));
            }
            SwarmEvent::ExpiredListenAddr { .. }
            | SwarmEvent::ExternalAddrConfirmed { .. }
            | SwarmEvent::ExternalAddrExpired { .. } => self.tell_addresses(),
            _ => {}
        }
    }

    fn handle_part(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Frames(event) => self.handle_frames(event),
            BehaviourEvent::Gossip(event) => self.handle_gossip(event),
            BehaviourEvent::Identify(event) => self.handle_identify(event),
            BehaviourEvent::Kad(event) => self.handle_kad(event),
            BehaviourEvent::Mdns(event) => self.handle_mdns(event),
            BehaviourEvent::Ping(ping::Event {
                connection,
                result: Err(ping::Failure::Timeout | ping::Failure::Other { .. }),
                ..
            }) => {
                // Nobody is there any more, whatever the system says.
                self.swarm.close_connection(connection);
            }
            _ => {}
        }
    }

    #[cfg(feature = "metrics")]
    fn record(&self, event: &SwarmEvent<BehaviourEvent>) {
        use libp2p::metrics::Recorder;
        let Some(metrics) = &self.metrics else { return };
        metrics.record(event);
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Gossip(event)) => metrics.record(event),
            SwarmEvent::Behaviour(BehaviourEvent::Identify(event)) => metrics.record(event),
            SwarmEvent::Behaviour(BehaviourEvent::Kad(event)) => metrics.record(event),
            SwarmEvent::Behaviour(BehaviourEvent::Ping(event)) => metrics.record(event),
            SwarmEvent::Behaviour(BehaviourEvent::Relay(event)) => metrics.record(event),
            SwarmEvent::Behaviour(BehaviourEvent::Dcutr(event)) => metrics.record(event),
            _ => {}
        }
    }

    /// Under which addresses others may call, as the handle gives them.
    fn tell_addresses(&self) {
        let me = *self.swarm.local_peer_id();
        let external = self.swarm.external_addresses().cloned();
        *self
            .shared
            .external
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = external
            .take(ADDRESSES_MAX)
            .map(|addr| self.named(addr))
            .collect();
        let mut addresses = Vec::new();
        for addr in self
            .swarm
            .external_addresses()
            .chain(self.swarm.listeners())
        {
            let named = addr.clone().with_p2p(me);
            // One that ends in another peer's name is none of ours.
            if let Ok(named) = named
                && !addresses.contains(&named)
                && addresses.len() < ADDRESSES_MAX
            {
                addresses.push(named);
            }
        }
        let mut told = self
            .shared
            .addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *told = addresses;
    }

    /// Whether a peer is connected within one network, as the handle says it.
    fn tell_near(&self, peer: &libp2p::PeerId) {
        let is_near = self.near.values().any(|near| near == peer);
        let Some(peer) = ours(peer) else { return };
        let near = self.shared.near.lock();
        let mut near = near.unwrap_or_else(PoisonError::into_inner);
        match is_near {
            true => near.insert(peer),
            false => near.remove(&peer),
        };
    }

    /// The address with this peer's name at its end.
    fn named(&self, addr: Multiaddr) -> Multiaddr {
        match ours(self.swarm.local_peer_id()) {
            Some(me) if threads_core::transport::named_peer(&addr) != Some(me) => {
                with_peer(addr, me)
            }
            _ => addr,
        }
    }
}

/// A task that ends, even with its runtime, ends the events.
impl Drop for Task {
    fn drop(&mut self) {
        drop(self.shared.inbox.close());
    }
}

/// Tells the outcome, if anybody still waits for it.
fn tell<T>(done: Done<T>, outcome: threads_core::Result<T>) {
    let _nobody_waits = done.send(outcome);
}

fn unavailable(what: &'static str, cause: impl std::fmt::Display) -> Error {
    Error::unavailable(what).with("cause", cause)
}
