//! Named bounds of the transport.

use std::time::Duration;

use threads_core::transport::REQUESTS_MIN;

/// Requests to one peer that are on the wire at once. Further ones wait in [`QUEUED_MAX`].
pub const IN_FLIGHT_MAX: usize = 24;
/// Streams of one connection that carry frames, both ways together.
pub(crate) const STREAMS_MAX: usize = 64;
/// Requests to one peer that wait for their turn. Beyond it they are refused.
pub const QUEUED_MAX: usize = 256;
/// Bytes of requests to one peer that wait or are on the wire. Beyond it they are refused.
pub const QUEUED_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Bytes of frames that are being received from all peers together: of requests, and of replies.
pub const RECEIVING_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Bytes of replies that those who asked have not read yet: of one peer, and of all. Beyond it they
/// are not sent.
pub(crate) const REPLYING_BYTES_OF_PEER_MAX: usize = QUEUED_BYTES_MAX;
pub(crate) const REPLYING_BYTES_MAX: usize = 4 * REPLYING_BYTES_OF_PEER_MAX;
/// Calls that wait for the background task; whoever makes more waits.
pub(crate) const COMMANDS_MAX: usize = 256;
/// Connections that are being made at once.
pub(crate) const CONNECTING_MAX: usize = 64;
/// Addresses known of one peer.
pub const PEER_ADDRESSES_MAX: usize = 16;
/// Peers whose addresses are known. Beyond it the oldest are forgotten.
pub const PEERS_KNOWN_MAX: usize = 1024;
/// Keys that this peer provides.
pub const PROVIDED_MAX: usize = 16 * 1024;
/// Keys of others that a server of the hash table keeps.
pub const PROVIDED_BY_OTHERS_MAX: usize = 16 * 1024;
/// Peers that are kept for one such key.
pub(crate) const PROVIDERS_MAX: usize = 20;
/// Questions to the hash table at once.
pub(crate) const QUERIES_MAX: usize = 64;
/// Local addresses that are given to others.
pub(crate) const ADDRESSES_MAX: usize = 64;
/// How long peers' addresses are kept.
pub(crate) const ADDRESS_TTL: Duration = Duration::from_secs(24 * 60 * 60);
/// How long the end of connections is waited for when this end is closed.
pub(crate) const CLOSING: Duration = Duration::from_secs(1);
/// How often what waits for too long is looked for.
pub(crate) const TICK: Duration = Duration::from_secs(1);

const _: () = assert!(
    IN_FLIGHT_MAX >= REQUESTS_MIN && 2 * IN_FLIGHT_MAX <= STREAMS_MAX,
    "both ends can ask as much as they may, and neither refuses the other"
);

/// How many connections there may be, and how long anything may take. The defaults are those of a
/// peer on a small machine.
///
/// ```
/// use std::time::Duration;
/// use threads_net_libp2p::Limits;
/// let patient = Limits { request: Duration::from_secs(120), ..Limits::default() };
/// assert_eq!(patient.connections, 512);
/// ```
#[expect(
    clippy::exhaustive_structs,
    reason = "written with ..Limits::default()"
)]
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections in all.
    pub connections: u32,
    /// Connections with one peer.
    pub connections_of_peer: u32,
    /// Connections that others made from one address.
    pub connections_from_ip: u32,
    /// Connections under way, inwards and outwards each.
    pub pending: u32,
    /// Until a connection has proven who is there.
    pub handshake: Duration,
    /// Until a connection that nothing uses ends.
    pub idle: Duration,
    /// Until a request without a reply fails.
    pub request: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            connections_of_peer: 2,
            connections_from_ip: 16,
            pending: 64,
            handshake: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            request: Duration::from_secs(30),
        }
    }
}
