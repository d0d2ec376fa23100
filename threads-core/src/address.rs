//! Thread addresses: where a thread can be reached, as `/…/p2p/<peer>/thread/<id>`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use multiaddr::{Multiaddr, Protocol};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Error, PeerId, Result, ThreadId, form};

/// The code of the `thread` part in the multicodec table; the paper's draft called it IPEL.
const CODE: u32 = 406;
/// What comes before the thread id in the text form.
const PART: &str = "/thread/";

/// The longest address, in bytes of either form. The longest in use have a relay, two peers and a
/// certificate hash or two; a stranger can send no more.
///
/// ```
/// use threads_core::address::ADDRESS_BYTES_MAX;
/// let long = format!("/dns/{}/thread/bafkxd5bjgi6k4zivuoyxo4ua4mzyy", "x".repeat(ADDRESS_BYTES_MAX));
/// assert!(long.parse::<threads_core::ThreadAddr>().is_err());
/// ```
pub const ADDRESS_BYTES_MAX: usize = 1024;

/// The address of a thread at a peer: a multiaddr that can be dialled, and the thread's id.
///
/// Multiaddr libraries do not know the `thread` part, so it is kept beside them.
///
/// ```
/// use threads_core::ThreadAddr;
///
/// let text = "/ip4/127.0.0.1/tcp/4006/p2p/12D3KooWAcB6uoHuAPyfsYcwnYTqGNt2biPmSmvbBam9cwmawgzK\
///             /thread/bafkxd5bjgi6k4zivuoyxo4ua4mzyy";
/// let addr: ThreadAddr = text.parse().unwrap();
/// assert_eq!(addr.thread().to_string(), "bafkxd5bjgi6k4zivuoyxo4ua4mzyy");
/// assert!(addr.peer().is_some());
/// assert_eq!(addr.to_string(), text);
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ThreadAddr {
    base: Multiaddr,
    thread: ThreadId,
}

impl ThreadAddr {
    /// The address of `thread` at `base`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when it would be longer than
    /// [`ADDRESS_BYTES_MAX`].
    ///
    /// ```
    /// use threads_core::{ThreadAddr, ThreadId};
    /// let thread: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// let addr = ThreadAddr::new("/ip4/127.0.0.1/tcp/4006".parse().unwrap(), thread).unwrap();
    /// assert_eq!(addr.to_string(), "/ip4/127.0.0.1/tcp/4006/thread/bafkxd5bjgi6k4zivuoyxo4ua4mzyy");
    /// ```
    pub fn new(base: Multiaddr, thread: ThreadId) -> Result<Self> {
        let addr = Self { base, thread };
        check_length(addr.to_bytes().len().max(addr.to_string().len()))?;
        Ok(addr)
    }

    /// What to dial: everything before the `thread` part.
    ///
    /// ```
    /// # let text = "/ip4/127.0.0.1/tcp/4006/thread/bafkxd5bjgi6k4zivuoyxo4ua4mzyy";
    /// let addr: threads_core::ThreadAddr = text.parse().unwrap();
    /// assert_eq!(addr.base().to_string(), "/ip4/127.0.0.1/tcp/4006");
    /// ```
    pub fn base(&self) -> &Multiaddr {
        &self.base
    }

    /// Which thread.
    ///
    /// ```
    /// # let text = "/ip4/127.0.0.1/tcp/4006/thread/bafkxd5bjgi6k4zivuoyxo4ua4mzyy";
    /// let addr: threads_core::ThreadAddr = text.parse().unwrap();
    /// assert_eq!(addr.thread().version(), 1);
    /// ```
    pub fn thread(&self) -> &ThreadId {
        &self.thread
    }

    /// Who is expected to answer: the `/p2p/` part that ends the base. `None` when there is
    /// none, or when its key is not Ed25519, as no peer of ours has another.
    ///
    /// ```
    /// # let text = "/ip4/127.0.0.1/tcp/4006/thread/bafkxd5bjgi6k4zivuoyxo4ua4mzyy";
    /// let addr: threads_core::ThreadAddr = text.parse().unwrap();
    /// assert_eq!(addr.peer(), None);
    /// ```
    pub fn peer(&self) -> Option<PeerId> {
        match self.base.iter().last()? {
            Protocol::P2p(peer) => PeerId::from_bytes(&peer.to_bytes()).ok(),
            _ => None,
        }
    }

    /// The binary form: the base, the code 406, the length of the id, the id.
    ///
    /// ```
    /// # let text = "/ip4/127.0.0.1/tcp/4006/thread/bafkxd5bjgi6k4zivuoyxo4ua4mzyy";
    /// use threads_core::ThreadAddr;
    /// let addr: ThreadAddr = text.parse().unwrap();
    /// assert_eq!(ThreadAddr::from_bytes(&addr.to_bytes()).unwrap(), addr);
    /// ```
    pub fn to_bytes(&self) -> Vec<u8> {
        let id = self.thread.as_bytes();
        let (mut code, mut length) = (
            unsigned_varint::encode::u32_buffer(),
            unsigned_varint::encode::usize_buffer(),
        );
        let code = unsigned_varint::encode::u32(CODE, &mut code);
        let length = unsigned_varint::encode::usize(id.len(), &mut length);
        [self.base.as_ref(), code, length, id].concat()
    }

    /// Decodes the binary form.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when it is not an address that ends in a
    /// `thread` part; the errors of [`ThreadId::from_bytes`].
    ///
    /// ```
    /// assert!(threads_core::ThreadAddr::from_bytes(b"/thread/").is_err());
    /// ```
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        check_length(bytes.len())?;
        let mut rest = bytes;
        // Each turn takes at least one byte of at most ADDRESS_BYTES_MAX.
        while !rest.is_empty() {
            match Protocol::from_bytes(rest) {
                Ok((_, after)) => rest = after,
                Err(multiaddr::Error::UnknownProtocolId(CODE)) => {
                    let base = bytes[..bytes.len() - rest.len()].to_vec();
                    let base = Multiaddr::try_from(base).map_err(malformed)?;
                    return Self::new(base, decode_thread(rest)?);
                }
                Err(cause) => return Err(malformed(cause)),
            }
        }
        Err(no_thread())
    }
}

/// Whether an address leads somewhere only within a network or a machine, and may lead to somebody else
/// in another one: of private ranges, of the machine itself, by names of such.
///
/// ```
/// use threads_core::address::is_local;
/// let local = |text: &str| is_local(&text.parse().unwrap());
/// assert!(local("/ip4/127.0.0.1/tcp/4001") && local("/ip4/192.168.1.7/tcp/4001"));
/// assert!(!local("/ip4/192.0.2.7/tcp/4001") && !local("/dns4/example.org/tcp/4001"));
/// ```
pub fn is_local(addr: &Multiaddr) -> bool {
    match addr.iter().next() {
        Some(Protocol::Ip4(ip)) => is_local_ip(ip.into()),
        Some(Protocol::Ip6(ip)) => is_local_ip(ip.into()),
        Some(
            Protocol::Dns(name)
            | Protocol::Dns4(name)
            | Protocol::Dns6(name)
            | Protocol::Dnsaddr(name),
        ) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            let last = name.rsplit('.').next();
            matches!(last, Some("localhost" | "local" | "internal"))
        }
        Some(Protocol::Memory(_) | Protocol::Unix(_)) => true,
        _ => false,
    }
}

fn is_local_ip(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_unspecified()
                // Addresses of a provider's own network.
                || ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64
        }
        IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
            Some(ip) => is_local_ip(ip.into()),
            None => {
                ip.is_loopback()
                    || ip.is_unspecified()
                    || ip.is_unique_local()
                    || ip.is_unicast_link_local()
            }
        },
    }
}

/// Decodes a `thread` part that nothing follows.
fn decode_thread(part: &[u8]) -> Result<ThreadId> {
    let (_, rest) = unsigned_varint::decode::u32(part).map_err(malformed)?;
    let (length, id) = unsigned_varint::decode::usize(rest).map_err(malformed)?;
    if length != id.len() {
        return Err(
            Error::invalid("a thread address must end with its thread id")
                .with("expected_bytes", length)
                .with("bytes", id.len()),
        );
    }
    ThreadId::from_bytes(id)
}

fn check_length(bytes: usize) -> Result<()> {
    if bytes > ADDRESS_BYTES_MAX {
        return Err(Error::invalid("a thread address is too long")
            .with("bytes", bytes)
            .with("most", ADDRESS_BYTES_MAX));
    }
    Ok(())
}

fn malformed(cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::invalid("not a thread address: expected /…/p2p/<peer>/thread/<id>").caused_by(cause)
}

fn no_thread() -> Error {
    Error::invalid("not a thread address: it has no /thread/<id> part")
}

impl FromStr for ThreadAddr {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        check_length(text.len())?;
        let (base, thread) = text.rsplit_once(PART).ok_or_else(no_thread)?;
        // Read the id first: a wrong id is likelier, and its error says more.
        let thread = thread.parse()?;
        Self::new(base.parse().map_err(malformed)?, thread)
    }
}

impl fmt::Display for ThreadAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{PART}{}", self.base, self.thread)
    }
}

impl fmt::Debug for ThreadAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ThreadAddr({self})")
    }
}

/// Text in formats for people, bytes in binary ones.
impl Serialize for ThreadAddr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        form::serialize(self, &self.to_bytes(), serializer)
    }
}

impl<'de> Deserialize<'de> for ThreadAddr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        form::deserialize(Self::from_bytes, deserializer)
    }
}
