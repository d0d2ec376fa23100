//! What goes over a connection: who is there, and then messages.
//!
//! Both ends send the key they claim and a number used once; each signs both keys and both numbers.
//! The one that was called proves itself first, so that a caller who looked for somebody else can go
//! without having said who it is for certain.

use std::io;

use threads_core::transport::{FRAME_BYTES_MAX, PUBLICATION_BYTES_MAX, TOPIC_BYTES_MAX};
use threads_core::{Error, IdentityKey, PeerId, Result, key, system_rng};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// What signatures are for, so that they are good for nothing else.
const DOMAIN: &[u8] = b"threads-example-transport-tcp/1 ";

/// A message of one peer to another. Numbers are of requests, and the asker's.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Request(u64, Vec<u8>),
    Reply(u64, Vec<u8>),
    /// There will be no reply.
    Refusal(u64),
    Subscribe(Vec<u8>),
    Unsubscribe(Vec<u8>),
    /// A topic, and what is published under it.
    Publication(Vec<u8>, Vec<u8>),
}

impl Message {
    /// How much memory it holds.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Refusal(_) => 0,
            Self::Request(_, bytes) | Self::Reply(_, bytes) => bytes.len(),
            Self::Subscribe(topic) | Self::Unsubscribe(topic) => topic.len(),
            Self::Publication(topic, frame) => topic.len() + frame.len(),
        }
    }

    /// Kind, number, lengths of topic and frame, topic, frame.
    pub(crate) async fn write(&self, to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        let (kind, number, topic, frame): (u8, u64, &[u8], &[u8]) = match self {
            Self::Request(number, frame) => (0, *number, &[], frame),
            Self::Reply(number, frame) => (1, *number, &[], frame),
            Self::Refusal(number) => (2, *number, &[], &[]),
            Self::Subscribe(topic) => (3, 0, topic, &[]),
            Self::Unsubscribe(topic) => (4, 0, topic, &[]),
            Self::Publication(topic, frame) => (5, 0, topic, frame),
        };
        to.write_u8(kind).await?;
        to.write_u64(number).await?;
        to.write_u8(u8::try_from(topic.len()).map_err(io::Error::other)?)
            .await?;
        to.write_u32(u32::try_from(frame.len()).map_err(io::Error::other)?)
            .await?;
        to.write_all(topic).await?;
        to.write_all(frame).await
    }

    /// Reads one. What is too long is refused before any of it is read.
    pub(crate) async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Self> {
        let kind = from.read_u8().await?;
        let number = from.read_u64().await?;
        let topic_bytes = usize::from(from.read_u8().await?);
        let frame_bytes = from.read_u32().await? as usize;
        let most = match kind {
            0 | 1 => FRAME_BYTES_MAX,
            5 => PUBLICATION_BYTES_MAX,
            _ => 0,
        };
        if topic_bytes > TOPIC_BYTES_MAX || frame_bytes > most {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a frame that is too long",
            ));
        }
        let topic = exactly(from, topic_bytes).await?;
        let frame = exactly(from, frame_bytes).await?;
        match kind {
            0 => Ok(Self::Request(number, frame)),
            1 => Ok(Self::Reply(number, frame)),
            2 => Ok(Self::Refusal(number)),
            3 => Ok(Self::Subscribe(topic)),
            4 => Ok(Self::Unsubscribe(topic)),
            5 => Ok(Self::Publication(topic, frame)),
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a message of no known kind",
            )),
        }
    }
}

/// So many bytes. Memory grows as they arrive, and not on the word of whoever sends them.
async fn exactly(from: &mut (impl AsyncRead + Unpin), bytes: usize) -> io::Result<Vec<u8>> {
    let mut read = Vec::new();
    from.take(bytes as u64).read_to_end(&mut read).await?;
    match read.len() == bytes {
        true => Ok(read),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn broken(error: io::Error) -> Error {
    Error::unavailable("the connection broke before it was clear who is there").caused_by(error)
}

/// A key and a number used once, as they are sent.
struct Hello([u8; 64]);

impl Hello {
    fn new(me: PeerId) -> Self {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(me.key_bytes());
        // A key made for nothing else is as random as a number can be.
        let once = IdentityKey::generate(&mut system_rng()).peer_id();
        bytes[32..].copy_from_slice(once.key_bytes());
        Self(bytes)
    }

    async fn read(from: &mut TcpStream) -> Result<Self> {
        let mut bytes = [0; 64];
        from.read_exact(&mut bytes).await.map_err(broken)?;
        Ok(Self(bytes))
    }

    fn peer(&self) -> PeerId {
        let mut key = [0; 32];
        key.copy_from_slice(&self.0[..32]);
        PeerId::from_key_bytes(key)
    }
}

/// What the caller signs, or the one that was called.
fn statement(role: u8, caller: &Hello, called: &Hello) -> Vec<u8> {
    [DOMAIN, &[role], &caller.0, &called.0].concat()
}

async fn check(stream: &mut TcpStream, peer: PeerId, statement: &[u8]) -> Result<()> {
    let mut signature = [0; 64];
    stream.read_exact(&mut signature).await.map_err(broken)?;
    key::verify(peer.key_bytes(), statement, &signature).map_err(|error| {
        Error::unavailable("who is there did not prove who it is").caused_by(error)
    })
}

/// Proves to each other who is there, for the end that called. `wanted` is whom it looks for.
pub(crate) async fn call(
    stream: &mut TcpStream,
    me: &IdentityKey,
    wanted: Option<PeerId>,
) -> Result<PeerId> {
    let caller = Hello::new(me.peer_id());
    stream.write_all(&caller.0).await.map_err(broken)?;
    let called = Hello::read(stream).await?;
    let peer = called.peer();
    check(stream, peer, &statement(1, &caller, &called)).await?;
    if peer == me.peer_id() {
        return Err(Error::invalid("this is the address of this end itself"));
    }
    if wanted.is_some_and(|wanted| wanted != peer) {
        return Err(Error::unavailable("another peer is at this address").with("peer", peer));
    }
    let signature = me.sign(&statement(0, &caller, &called));
    stream.write_all(&signature).await.map_err(broken)?;
    Ok(peer)
}

/// The same, for the end that was called.
pub(crate) async fn answer(stream: &mut TcpStream, me: &IdentityKey) -> Result<PeerId> {
    let caller = Hello::read(stream).await?;
    let called = Hello::new(me.peer_id());
    let signature = me.sign(&statement(1, &caller, &called));
    stream
        .write_all(&[&called.0[..], &signature].concat())
        .await
        .map_err(broken)?;
    let peer = caller.peer();
    check(stream, peer, &statement(0, &caller, &called)).await?;
    Ok(peer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_back(bytes: &[u8]) -> io::Result<Message> {
        let mut bytes = bytes;
        tokio::runtime::Builder::new_current_thread()
            .build()?
            .block_on(Message::read(&mut bytes))
    }

    fn header(kind: u8, topic_bytes: usize, frame_bytes: usize) -> Vec<u8> {
        let mut header = vec![kind, 0, 0, 0, 0, 0, 0, 0, 7, topic_bytes as u8];
        header.extend((frame_bytes as u32).to_be_bytes());
        header
    }

    #[test]
    fn what_is_too_long_is_refused_by_its_header() {
        let limits = [
            (0, FRAME_BYTES_MAX),
            (1, FRAME_BYTES_MAX),
            (2, 0),
            (3, 0),
            (5, PUBLICATION_BYTES_MAX),
        ];
        for (kind, most) in limits {
            let refused = read_back(&header(kind, 0, most + 1)).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::InvalidData, "{kind}");
            let topic = read_back(&header(kind, TOPIC_BYTES_MAX + 1, 0)).unwrap_err();
            assert_eq!(topic.kind(), io::ErrorKind::InvalidData, "{kind}");
            let fits = [header(kind, 0, most), vec![1; most]].concat();
            assert!(read_back(&fits).is_ok(), "{kind}");
        }
        let unknown = read_back(&header(6, 0, 0)).unwrap_err();
        assert_eq!(unknown.kind(), io::ErrorKind::InvalidData);
        let short = read_back(&header(0, 0, 1)).unwrap_err();
        assert_eq!(short.kind(), io::ErrorKind::UnexpectedEof);
    }
}
