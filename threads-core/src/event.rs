//! Events: a header for those who may read, and a body under a key of its own.
//!
//! The header is sealed with the thread's read key and holds the event's time, the format of its
//! body, the key of its body and the hash of the body's plaintext. The body is a separate block,
//! so that it can be large, arrive later, be filtered out, or be erased while the log's chain
//! still verifies. What is sealed is bound to its thread, log, place and key epoch.

use cid::Cid;
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use serde_bytes::{ByteArray, ByteBuf};
use zeroize::Zeroize;

use crate::block::{Block, check_link, decode, encode, sha256};
use crate::key::{AgreementKey, AgreementPublicKey, ContentKey, ReadKey};
use crate::record::Rejection;
use crate::seal::{Layer, aad};
use crate::{CodecId, Error, Hlc, LogId, Result, ThreadId};

/// The largest body, in bytes of plaintext.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// The largest event block, in bytes.
pub const EVENT_BYTES_MAX: usize = 4 * 1024;

const SEAL_DOMAIN: &[u8] = b"threads/content-key/1";

/// Where an event stands: what its ciphertexts are bound to.
///
/// ```
/// use threads_core::{LogId, event::Position};
/// let thread = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
/// let position = Position { thread: &thread, log: LogId::from_key_bytes([1; 32]), seq: 1, epoch: 0 };
/// assert_eq!(position.seq, 1);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Position<'a> {
    /// The thread.
    pub thread: &'a ThreadId,
    /// The log.
    pub log: LogId,
    /// The place of the event's record in the log.
    pub seq: u64,
    /// The number of the thread's keys.
    pub epoch: u64,
}

/// Who can open a body.
///
/// ```
/// use threads_core::event::Encryption;
/// assert!(matches!(Encryption::default(), Encryption::SingleUse));
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default)]
pub enum Encryption {
    /// Everybody with the thread's read key: a single-use key goes into the header.
    #[default]
    SingleUse,
    /// One recipient: the single-use key in the header is sealed to them.
    Sealed(AgreementPublicKey),
    /// Everybody: the body is not encrypted.
    None,
}

/// The key of a body, as the header holds it.
enum BodyKey {
    SingleUse(ContentKey),
    Sealed { to: ByteArray<32>, sealed: ByteBuf },
    None,
}

/// The encoded form. A single-use key is in `key`; one sealed to a recipient in `sealed`, with
/// the recipient's public key in `to`; a body in the clear has none of the three.
#[derive(Serialize, Deserialize)]
struct HeaderWire {
    time: (u64, u32),
    format: CodecId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<ByteArray<32>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to: Option<ByteArray<32>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sealed: Option<ByteBuf>,
    hash: ByteArray<32>,
}

impl BodyKey {
    fn from_wire(wire: &mut HeaderWire) -> Result<Self> {
        match (wire.key.take(), wire.to.take(), wire.sealed.take()) {
            (Some(mut key), None, None) => {
                let content = ContentKey::from_bytes(&key);
                key.zeroize();
                Ok(Self::SingleUse(content))
            }
            (None, Some(to), Some(sealed)) => Ok(Self::Sealed { to, sealed }),
            (None, None, None) => Ok(Self::None),
            _ => Err(Rejection::Malformed.into()),
        }
    }

    fn into_wire(self, time: Hlc, format: CodecId, hash: [u8; 32]) -> HeaderWire {
        let (key, to, sealed) = match self {
            Self::SingleUse(key) => (Some(ByteArray::new(*key.to_bytes())), None, None),
            Self::Sealed { to, sealed } => (None, Some(to), Some(sealed)),
            Self::None => (None, None, None),
        };
        let (time, hash) = ((time.wall_ms, time.counter), ByteArray::new(hash));
        HeaderWire {
            time,
            format,
            key,
            to,
            sealed,
            hash,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct EventWire {
    header: ByteBuf,
    body: Cid,
}

impl Position<'_> {
    fn aad(&self, layer: Layer) -> Vec<u8> {
        aad(layer, self.thread, Some((&self.log, self.seq)), self.epoch)
    }

    fn seal_info(&self) -> Vec<u8> {
        [SEAL_DOMAIN, &self.aad(Layer::Header)].concat()
    }
}

/// An event and its body, sealed and ready for a record to point to.
///
/// ```
/// # use threads_core::{Hlc, LogId, ReadKey, system_rng};
/// # use threads_core::event::{Encryption, Event, Position, SealedEvent};
/// # let mut rng = system_rng();
/// # let thread = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
/// # let position = Position { thread: &thread, log: LogId::from_key_bytes([1; 32]), seq: 1, epoch: 0 };
/// let key = ReadKey::generate(&mut rng);
/// let format = "batch/1".parse().unwrap();
/// let sealed =
///     SealedEvent::seal(&position, &key, Hlc::ZERO, format, b"body", Encryption::SingleUse, &mut rng)
///         .unwrap();
///
/// let event = Event::decode(sealed.event.bytes()).unwrap();
/// let header = event.open_header(&position, &key).unwrap();
/// assert_eq!(header.open_body(&position, sealed.body.bytes(), None).unwrap(), b"body");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedEvent {
    /// The event's block.
    pub event: Block,
    /// The body's block.
    pub body: Block,
}

impl SealedEvent {
    /// Seals `body` for the place it will have.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when the body is larger than
    /// [`BODY_BYTES_MAX`], or the recipient's key is not one.
    ///
    /// ```
    /// # use threads_core::{Hlc, LogId, ReadKey, system_rng};
    /// # use threads_core::event::{Encryption, Position, SealedEvent};
    /// # let thread = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// # let at = Position { thread: &thread, log: LogId::from_key_bytes([1; 32]), seq: 1, epoch: 0 };
    /// # let key = ReadKey::generate(&mut system_rng());
    /// let (format, rng) = ("batch/1".parse().unwrap(), &mut system_rng());
    /// let open = SealedEvent::seal(&at, &key, Hlc::ZERO, format, b"body", Encryption::None, rng);
    /// assert_eq!(open.unwrap().body.bytes(), b"body");
    /// ```
    pub fn seal(
        position: &Position<'_>,
        read: &ReadKey,
        time: Hlc,
        format: CodecId,
        body: &[u8],
        encryption: Encryption,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self> {
        if body.len() > BODY_BYTES_MAX {
            return Err(
                Error::invalid("an event's body is too large: use smaller transactions")
                    .with("bytes", body.len())
                    .with("most", BODY_BYTES_MAX),
            );
        }
        let hash = sha256(body);
        let (key, sealed) = seal_body(position, body, encryption, rng)?;
        let body = Block::raw(sealed);
        let mut wire = key.into_wire(time, format, hash);
        let mut plain = encode(&wire)?;
        if let Some(key) = &mut wire.key {
            key.zeroize();
        }
        let header = read.seal_random(&position.aad(Layer::Header), &plain, rng)?;
        plain.zeroize();
        let event = encode(&EventWire {
            header: ByteBuf::from(header),
            body: *body.cid(),
        })?;
        Ok(Self {
            event: Block::cbor(event),
            body,
        })
    }
}

fn seal_body(
    position: &Position<'_>,
    body: &[u8],
    encryption: Encryption,
    rng: &mut dyn CryptoRng,
) -> Result<(BodyKey, Vec<u8>)> {
    if let Encryption::None = encryption {
        return Ok((BodyKey::None, body.to_vec()));
    }
    let content = ContentKey::generate(rng);
    let sealed = content.seal_random(&position.aad(Layer::Body), body, rng)?;
    let key = match encryption {
        Encryption::Sealed(to) => BodyKey::Sealed {
            to: ByteArray::new(to.to_bytes()),
            sealed: ByteBuf::from(to.seal(&position.seal_info(), &content, rng)?),
        },
        _ => BodyKey::SingleUse(content),
    };
    Ok((key, sealed))
}

/// An event's block, opened as far as everybody can: a sealed header and a link to a body.
///
/// ```
/// assert!(threads_core::event::Event::decode(b"no event").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    header: Vec<u8>,
    body: Cid,
}

impl Event {
    /// Decodes an event's block.
    ///
    /// # Errors
    ///
    /// A [`Rejection`] as the source of an [`Error`] of kind `Rejected`.
    ///
    /// ```
    /// assert!(threads_core::event::Event::decode(&[0xa0]).is_err());
    /// ```
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > EVENT_BYTES_MAX {
            return Err(Rejection::TooLarge.into());
        }
        let wire: EventWire = decode(bytes).map_err(|_| Rejection::Malformed)?;
        check_link(&wire.body).map_err(|_| Rejection::BadLink)?;
        Ok(Self {
            header: wire.header.into_vec(),
            body: wire.body,
        })
    }

    /// The body's block.
    ///
    /// ```
    /// fn body(event: &threads_core::event::Event) -> threads_core::Cid { event.body_id() }
    /// ```
    pub fn body_id(&self) -> Cid {
        self.body
    }

    /// Opens the header.
    ///
    /// # Errors
    ///
    /// [`Rejection::CannotOpen`] when it was sealed under another key or for another place.
    ///
    /// ```
    /// use threads_core::{ReadKey, Result, event::{Event, EventHeader, Position}};
    /// fn open(event: &Event, at: &Position<'_>, key: &ReadKey) -> Result<EventHeader> {
    ///     event.open_header(at, key)
    /// }
    /// ```
    pub fn open_header(&self, position: &Position<'_>, read: &ReadKey) -> Result<EventHeader> {
        let mut plain = read
            .open(&position.aad(Layer::Header), &self.header)
            .map_err(|_| Rejection::CannotOpen)?;
        let wire = decode::<HeaderWire>(&plain);
        plain.zeroize();
        let mut wire = wire.map_err(|_| Rejection::Malformed)?;
        Ok(EventHeader {
            time: Hlc {
                wall_ms: wire.time.0,
                counter: wire.time.1,
            },
            key: BodyKey::from_wire(&mut wire)?,
            format: wire.format,
            hash: wire.hash.into_array(),
        })
    }
}

/// An event's header, for those who may read.
///
/// ```
/// fn when(header: &threads_core::event::EventHeader) -> u64 { header.time.wall_ms }
/// ```
pub struct EventHeader {
    /// When it happened, in hybrid logical time.
    pub time: Hlc,
    /// The format of the body, such as `batch/1`.
    pub format: CodecId,
    key: BodyKey,
    hash: [u8; 32],
}

impl std::fmt::Debug for EventHeader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventHeader")
            .field("time", &self.time)
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

impl EventHeader {
    /// The only recipient of the body, when it was sealed to one.
    ///
    /// ```
    /// fn private(header: &threads_core::event::EventHeader) -> bool { header.recipient().is_some() }
    /// ```
    pub fn recipient(&self) -> Option<AgreementPublicKey> {
        match &self.key {
            BodyKey::Sealed { to, .. } => Some(AgreementPublicKey::from_bytes(to)),
            _ => None,
        }
    }

    /// Opens the body; `recipient` is needed when it was sealed to one.
    ///
    /// # Errors
    ///
    /// [`Rejection::CannotOpen`] when the key does not fit, [`Rejection::BadCommitment`] when the
    /// plaintext is not the one the header commits to: a ciphertext that opens under two keys
    /// cannot show two bodies.
    ///
    /// ```
    /// use threads_core::{Result, event::{EventHeader, Position}};
    /// fn open(header: &EventHeader, at: &Position<'_>, body: &[u8]) -> Result<Vec<u8>> {
    ///     header.open_body(at, body, None)
    /// }
    /// ```
    pub fn open_body(
        &self,
        position: &Position<'_>,
        body: &[u8],
        recipient: Option<&AgreementKey>,
    ) -> Result<Vec<u8>> {
        let content = match &self.key {
            BodyKey::None => None,
            BodyKey::SingleUse(key) => Some(key.clone()),
            BodyKey::Sealed { sealed, .. } => {
                let recipient = recipient.ok_or(Rejection::CannotOpen)?;
                let opened = recipient.open(&position.seal_info(), sealed);
                Some(opened.map_err(|_| Rejection::CannotOpen)?)
            }
        };
        let plain = match content {
            None => body.to_vec(),
            Some(key) => key
                .open(&position.aad(Layer::Body), body)
                .map_err(|_| Rejection::CannotOpen)?,
        };
        if plain.len() > BODY_BYTES_MAX {
            return Err(Rejection::TooLarge.into());
        }
        if sha256(&plain) != self.hash {
            return Err(Rejection::BadCommitment.into());
        }
        Ok(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{IdentityKey, system_rng};

    struct Setup {
        thread: ThreadId,
        read: ReadKey,
    }

    impl Setup {
        fn new() -> Self {
            let thread = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
            Self {
                thread,
                read: ReadKey::generate(&mut system_rng()),
            }
        }

        fn at(&self, seq: u64) -> Position<'_> {
            let log = LogId::from_key_bytes([1; 32]);
            Position {
                thread: &self.thread,
                log,
                seq,
                epoch: 0,
            }
        }

        fn seal(&self, encryption: Encryption) -> SealedEvent {
            let (time, format) = (
                Hlc {
                    wall_ms: 7,
                    counter: 1,
                },
                "batch/1".parse().unwrap(),
            );
            let rng = &mut system_rng();
            SealedEvent::seal(
                &self.at(1),
                &self.read,
                time,
                format,
                b"body",
                encryption,
                rng,
            )
            .unwrap()
        }

        fn header(&self, sealed: &SealedEvent) -> EventHeader {
            Event::decode(sealed.event.bytes())
                .unwrap()
                .open_header(&self.at(1), &self.read)
                .unwrap()
        }
    }

    fn rejection<T>(result: Result<T>) -> Rejection {
        Rejection::of(&result.err().expect("must be refused")).expect("a rejection")
    }

    #[test]
    fn all_three_kinds_of_content_key_open() {
        let setup = Setup::new();
        let recipient = IdentityKey::generate(&mut system_rng()).agreement_key();
        let kinds = [
            Encryption::SingleUse,
            Encryption::Sealed(recipient.public_key()),
            Encryption::None,
        ];
        for kind in kinds {
            let sealed = setup.seal(kind);
            let header = setup.header(&sealed);
            let body = header.open_body(&setup.at(1), sealed.body.bytes(), Some(&recipient));
            assert_eq!(body.unwrap(), b"body", "{kind:?}");
            assert_eq!(
                header.time,
                Hlc {
                    wall_ms: 7,
                    counter: 1
                }
            );
            let clear = sealed.body.bytes() == b"body";
            assert_eq!(clear, matches!(kind, Encryption::None));
        }
    }

    #[test]
    fn a_body_sealed_to_one_opens_for_nobody_else() {
        let setup = Setup::new();
        let agreement = || IdentityKey::generate(&mut system_rng()).agreement_key();
        let sealed = setup.seal(Encryption::Sealed(agreement().public_key()));
        let header = setup.header(&sealed);
        for other in [None, Some(&agreement())] {
            let body = header.open_body(&setup.at(1), sealed.body.bytes(), other);
            assert_eq!(rejection(body), Rejection::CannotOpen);
        }
    }

    #[test]
    fn what_is_sealed_opens_in_its_place_only() {
        let setup = Setup::new();
        let sealed = setup.seal(Encryption::SingleUse);
        let event = Event::decode(sealed.event.bytes()).unwrap();
        let moved = event.open_header(&setup.at(2), &setup.read);
        assert_eq!(rejection(moved), Rejection::CannotOpen);
        let moved = setup
            .header(&sealed)
            .open_body(&setup.at(2), sealed.body.bytes(), None);
        assert_eq!(rejection(moved), Rejection::CannotOpen);
    }

    #[test]
    fn row_28_a_header_with_an_impossible_time_is_malformed() {
        #[derive(Serialize)]
        struct Forged {
            time: (i128, i128),
            format: &'static str,
            hash: ByteArray<32>,
        }
        let setup = Setup::new();
        let open = |time| {
            let (format, hash) = ("batch/1", ByteArray::new([0; 32]));
            let plain = encode(&Forged { time, format, hash }).unwrap();
            let aad = setup.at(1).aad(Layer::Header);
            let sealed = setup.read.seal_random(&aad, &plain, &mut system_rng());
            let event = encode(&EventWire {
                header: ByteBuf::from(sealed.unwrap()),
                body: *Block::raw([]).cid(),
            });
            let event = Event::decode(&event.unwrap()).unwrap();
            event.open_header(&setup.at(1), &setup.read)
        };
        assert_eq!(open((0, 0)).unwrap().time, Hlc::ZERO);
        for time in [(-1, 0), (0, -1), (0, 1 << 32)] {
            assert_eq!(rejection(open(time)), Rejection::Malformed, "{time:?}");
        }
    }

    #[test]
    fn row_46_a_body_that_is_not_the_committed_one_is_refused() {
        let setup = Setup::new();
        let sealed = setup.seal(Encryption::None);
        let header = setup.header(&sealed);
        let body = header.open_body(&setup.at(1), b"another body", None);
        assert_eq!(rejection(body), Rejection::BadCommitment);
    }

    #[test]
    fn a_body_beyond_the_bound_is_refused_on_both_sides() {
        let setup = Setup::new();
        let (format, rng) = ("batch/1".parse().unwrap(), &mut system_rng());
        let body = vec![0; BODY_BYTES_MAX + 1];
        let at = setup.at(1);
        let sealed = SealedEvent::seal(
            &at,
            &setup.read,
            Hlc::ZERO,
            format,
            &body,
            Encryption::None,
            rng,
        );
        assert_eq!(sealed.unwrap_err().kind(), crate::ErrorKind::Invalid);
        let header = setup.header(&setup.seal(Encryption::None));
        assert_eq!(
            rejection(header.open_body(&at, &body, None)),
            Rejection::TooLarge
        );
    }

    #[test]
    fn debug_shows_no_key() {
        let setup = Setup::new();
        let header = setup.header(&setup.seal(Encryption::SingleUse));
        assert!(!format!("{header:?}").contains("key"));
    }
}
