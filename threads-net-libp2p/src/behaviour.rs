//! The parts of libp2p that a peer runs, and their bounds.

use std::time::Duration;

use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::gossipsub::{MaxCountSubscriptionFilter, TopicSubscriptionFilter};
use libp2p::identity::Keypair;
use libp2p::kad::store::{MemoryStore, MemoryStoreConfig};
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::{PeerId, StreamProtocol, autonat, dcutr, gossipsub, identify, kad, mdns, ping, relay};
use threads_core::transport::{PUBLICATION_BYTES_MAX, TOPIC_BYTES_MAX, TOPICS_MAX};
use threads_core::{Error, Result};

use crate::builder::{HashTable, Options};
use crate::frames::{Frames, PROTOCOL};
use crate::limits::{PROVIDED_BY_OTHERS_MAX, PROVIDED_MAX, PROVIDERS_MAX, STREAMS_MAX};
use crate::per_ip::PerIp;

/// The version of everything together, as `identify` tells it.
const VERSION: &str = "/threads/1";
/// The hash table of peers that speak this, and of nobody else.
pub(crate) const KAD: StreamProtocol = StreamProtocol::new("/threads/kad/1");
/// A publication with what carries it: topic, signature, key, sequence number.
const GOSSIP_BYTES_MAX: usize = 64 * 1024;

const _: () = assert!(PUBLICATION_BYTES_MAX + 4096 < GOSSIP_BYTES_MAX);

#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    limits: connection_limits::Behaviour,
    pub(crate) per_ip: PerIp,
    pub(crate) frames: request_response::Behaviour<Frames>,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    pub(crate) gossip: Gossip,
    mdns: Toggle<mdns::tokio::Behaviour>,
    pub(crate) kad: Toggle<kad::Behaviour<MemoryStore>>,
    relay: Toggle<relay::Behaviour>,
    relay_client: relay::client::Behaviour,
    pub(crate) dcutr: Toggle<dcutr::Behaviour>,
    autonat: Toggle<autonat::v2::client::Behaviour>,
    autonat_server: Toggle<autonat::v2::server::Behaviour>,
}

impl Behaviour {
    pub(crate) fn new(
        key: &Keypair,
        relay_client: relay::client::Behaviour,
        options: &Options,
    ) -> Result<Self> {
        let me = key.public().to_peer_id();
        let (limits, on) = (&options.limits, options);
        let mdns = on
            .mdns
            .then(|| mdns::tokio::Behaviour::new(mdns::Config::default(), me));
        let mdns = mdns.transpose().map_err(|error| {
            Error::unavailable("mDNS could not be started: start without it").caused_by(error)
        })?;
        let frames = request_response::Config::default()
            .with_request_timeout(limits.request)
            .with_max_concurrent_streams(STREAMS_MAX);
        let identify = identify::Config::new_with_signed_peer_record(VERSION.into(), key)
            .with_agent_version(concat!("threads-net-libp2p/", env!("CARGO_PKG_VERSION")).into())
            .with_push_listen_addr_updates(true)
            .with_cache_size(0);
        let relay_config = relay::Config {
            max_circuit_bytes: 64 * 1024 * 1024,
            max_circuit_duration: Duration::from_secs(10 * 60),
            ..relay::Config::default()
        };
        Ok(Self {
            limits: connection_limits::Behaviour::new(
                ConnectionLimits::default()
                    .with_max_established(Some(limits.connections))
                    .with_max_established_per_peer(Some(limits.connections_of_peer))
                    .with_max_pending_incoming(Some(limits.pending))
                    .with_max_pending_outgoing(Some(limits.pending)),
            ),
            per_ip: PerIp::new(limits.connections_from_ip),
            frames: request_response::Behaviour::with_codec(
                Frames::new(),
                [(PROTOCOL, ProtocolSupport::Full)],
                frames,
            ),
            identify: identify::Behaviour::new(identify),
            ping: ping::Behaviour::default(),
            gossip: gossip(key)?,
            mdns: mdns.into(),
            kad: hash_table(me, on.hash_table).into(),
            relay: on
                .relay
                .then(|| relay::Behaviour::new(me, relay_config))
                .into(),
            relay_client,
            dcutr: on.hole_punching.then(|| dcutr::Behaviour::new(me)).into(),
            autonat: on.autonat.then(Default::default).into(),
            autonat_server: on.relay.then(Default::default).into(),
        })
    }
}

/// Publications are signed by who publishes, and unsigned ones refused. Each is looked at here before
/// it goes on to others.
/// Gossip, with a bound on what others may ask for.
type Gossip =
    gossipsub::Behaviour<gossipsub::IdentityTransform, MaxCountSubscriptionFilter<ShortTopics>>;

/// Topics as long as this peer's may be, in the hexadecimal digits that name them on the wire.
#[derive(Clone, Default)]
pub(crate) struct ShortTopics;

impl TopicSubscriptionFilter for ShortTopics {
    fn can_subscribe(&mut self, topic: &gossipsub::TopicHash) -> bool {
        topic.as_str().len() <= 2 * TOPIC_BYTES_MAX
    }
}

fn gossip(key: &Keypair) -> Result<Gossip> {
    let config = gossipsub::ConfigBuilder::default()
        .validation_mode(gossipsub::ValidationMode::Strict)
        .validate_messages()
        .max_transmit_size(GOSSIP_BYTES_MAX)
        // All topics of a peer are told in one such message; it is lost silently when too long.
        .max_control_message_size(GOSSIP_BYTES_MAX)
        .build()
        .map_err(|error| Error::invalid("gossip cannot be set up so").caused_by(error))?;
    let topics = MaxCountSubscriptionFilter {
        filter: ShortTopics,
        max_subscribed_topics: TOPICS_MAX,
        // All at once when peers meet, or as many left as begun.
        max_subscriptions_per_request: 2 * TOPICS_MAX,
    };
    let author = gossipsub::MessageAuthenticity::Signed(key.clone());
    gossipsub::Behaviour::new_with_subscription_filter(author, config, topics)
        .map_err(Error::invalid)
}

fn hash_table(me: PeerId, mode: HashTable) -> Option<kad::Behaviour<MemoryStore>> {
    let mode = match mode {
        HashTable::Off => return None,
        HashTable::Client => kad::Mode::Client,
        HashTable::Server => kad::Mode::Server,
    };
    let store = MemoryStoreConfig {
        max_records: 0,
        max_value_bytes: 0,
        max_providers_per_key: PROVIDERS_MAX,
        max_provided_keys: PROVIDED_MAX + PROVIDED_BY_OTHERS_MAX,
    };
    let mut config = kad::Config::new(KAD);
    // What others say that they provide is counted before it is kept.
    config.set_record_filtering(kad::StoreInserts::FilterBoth);
    let mut kad = kad::Behaviour::with_config(me, MemoryStore::with_config(me, store), config);
    kad.set_mode(Some(mode));
    Some(kad)
}
