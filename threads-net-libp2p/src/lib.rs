#![doc = include_str!("../README.md")]

mod behaviour;
mod book;
mod builder;
mod command;
mod counters;
mod frames;
mod limits;
mod outgoing;
mod peer;
mod per_ip;
mod replying;
mod task;
mod transport;

pub use builder::{Builder, HashTable};
pub use counters::Counters;
#[cfg(feature = "metrics")]
pub use libp2p::metrics::Registry;
pub use limits::{
    IN_FLIGHT_MAX, Limits, PEER_ADDRESSES_MAX, PEERS_KNOWN_MAX, PROVIDED_BY_OTHERS_MAX,
    PROVIDED_MAX, QUEUED_BYTES_MAX, QUEUED_MAX, RECEIVING_BYTES_MAX,
};
pub use transport::Libp2p;
