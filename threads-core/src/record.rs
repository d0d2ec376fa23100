//! Records: the signed, linked, sealed entries of a log.
//!
//! A record goes through these states, each a type of its own, so that nothing unverified can be
//! stored and nothing unauthorised applied:
//!
//! ```text
//! block ──open──▶ SignedRecord ──verify──▶ Verified<SignedRecord> ──judge──▶ Authorised<SignedRecord>
//!                  (anybody's)              (its log key's)                   (may be applied)
//! ```

use std::borrow::Cow;
use std::fmt;

use cid::Cid;
use serde::{Deserialize, Serialize};
use serde_bytes::{ByteArray, ByteBuf};

use crate::block::{Block, check_link, decode, encode};
use crate::key::{IdentityKey, LogKey, ReplicaKey, SignatureError, verify};
use crate::seal::{Layer, aad};
use crate::{Error, LogId, PeerId, Result, ThreadId};

mod rejection;
mod skip;
mod verified;
mod wire;

pub use rejection::Rejection;
pub use skip::skip_target;
pub use verified::{Authorised, Verified};

use wire::{Author, Wire};

/// The version of the record format.
pub const RECORD_VERSION: u64 = 1;
/// The largest record block, in bytes.
pub const RECORD_BYTES_MAX: usize = 16 * 1024;
/// The most links to other logs' heads.
pub const DEPS_MAX: usize = 64;
/// The most links to access-control events, and the most topic tags.
pub const LINKS_MAX: usize = 64;
/// The most records of a thread that are sealed under the keys of one epoch. Nonces have 192 bits, so
/// this is far from where two of them could be expected to meet.
pub const RECORDS_PER_EPOCH_MAX: u64 = 1 << 32;
/// The longest blinded topic tag, in bytes.
pub const TAG_BYTES_MAX: usize = 32;

const SIGN_DOMAIN: &[u8] = b"threads/record/1";
const AUTHOR_DOMAIN: &[u8] = b"threads/author/1";

/// A link of a single-writer log, as in the paper's appendix.
///
/// # Contract
///
/// The accessors describe the same bytes that [`Record::id`] names, and [`Record::verify`]
/// covers all of them.
///
/// # For implementers
///
/// Implement it for a log of another format, so that tools that only follow links can read it.
///
/// # For users
///
/// [`SignedRecord`] is the one that Threads writes.
///
/// # Example
///
/// ```
/// use threads_core::record::Record;
/// fn describe(record: &dyn Record) -> String {
///     format!("{} -> {:?}", record.id(), record.prev_id())
/// }
/// ```
pub trait Record: fmt::Debug + Send + Sync {
    /// What names the record: the CID of its sealed block.
    fn id(&self) -> Cid;
    /// The sealed block.
    fn block(&self) -> &[u8];
    /// The event's block.
    fn block_id(&self) -> Cid;
    /// The record before it in the log; `None` for the first.
    fn prev_id(&self) -> Option<Cid>;
    /// The signature by the log's key.
    fn sig(&self) -> &[u8; 64];
    /// Checks the signature against the key of `log`.
    ///
    /// # Errors
    ///
    /// A [`Rejection`] as the source of an [`Error`] of kind `Rejected`.
    fn verify(&self, log: &LogId) -> Result<()>;
}

/// The head of a log that a record's author had seen.
///
/// ```
/// use threads_core::{LogId, block::Block, record::Dep};
/// let dep = Dep { log: LogId::from_key_bytes([1; 32]), seq: 3, cid: *Block::raw(*b"x").cid() };
/// assert_eq!(dep.seq, 3);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Dep {
    /// Which log.
    pub log: LogId,
    /// The sequence number of its head.
    pub seq: u64,
    /// The CID of its head.
    pub cid: Cid,
}

/// What a record says, before it is signed.
///
/// ```
/// use threads_core::{ThreadId, block::Block, record::Fields, LogId};
///
/// let fields = Fields {
///     thread: "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap(),
///     log: LogId::from_key_bytes([1; 32]),
///     seq: 1,
///     prev: None,
///     skip: None,
///     deps: Vec::new(),
///     acl: Vec::new(),
///     access: false,
///     epoch: 0,
///     tags: Vec::new(),
///     event: *Block::cbor(*b"\xa0").cid(),
/// };
/// assert_eq!(fields.seq, 1);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields {
    /// The thread it belongs to.
    pub thread: ThreadId,
    /// The log it belongs to.
    pub log: LogId,
    /// Its place in the log; the first record is 1.
    pub seq: u64,
    /// The record before it.
    pub prev: Option<Cid>,
    /// The older record that [`skip_target`] names.
    pub skip: Option<Cid>,
    /// The heads of other logs that moved since the author's last record, by log.
    pub deps: Vec<Dep>,
    /// The latest access records that the author had seen, when they are others than those its log
    /// named last: those that no other of them names.
    pub acl: Vec<Cid>,
    /// Whether this is an access record: its event holds statements about who may do what
    /// ([`access`](crate::access)), sealed for all who hold the replica key.
    pub access: bool,
    /// The number of the keys it is sealed under.
    pub epoch: u64,
    /// Blinded topic tags.
    pub tags: Vec<ByteBuf>,
    /// The event's block.
    pub event: Cid,
}

/// A record whose form is sound. Whether its signature is, is for [`Verified`] to say.
///
/// ```
/// # use threads_core::{IdentityKey, LogKey, ReplicaKey, ThreadId, Variant, block::Block, system_rng};
/// # use threads_core::record::{Fields, Record, SignedRecord, Verified};
/// # let mut rng = system_rng();
/// let (identity, log) = (IdentityKey::generate(&mut rng), LogKey::generate(&mut rng));
/// let replica = ReplicaKey::generate(&mut rng);
/// let thread = ThreadId::generate(Variant::Raw, &mut rng);
/// let fields = Fields {
///     thread: thread.clone(), log: log.log_id(), seq: 1, prev: None, skip: None, deps: vec![],
///     acl: vec![], access: false, epoch: 0, tags: vec![], event: *Block::cbor(*b"\xa0").cid(),
/// };
/// let record = SignedRecord::seal(fields, &log, Some(&identity), &replica).unwrap();
///
/// let opened = SignedRecord::open(record.block(), &thread, &replica).unwrap();
/// let verified = Verified::check(opened).unwrap();
/// assert_eq!(verified.author(), Some(identity.peer_id()));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SignedRecord {
    fields: Fields,
    author: Option<Author>,
    sig: [u8; 64],
    /// The bytes that the signature covers.
    signed: Vec<u8>,
    block: Block,
}

impl SignedRecord {
    /// Signs `fields` with the log's key and seals them with the replica key.
    ///
    /// The first record of a log (`seq` 1) also binds the log to `author`, whose own signature
    /// goes into it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when the fields break a rule of the
    /// format, or when a first record comes without an author or a later one with one.
    ///
    /// ```
    /// # use threads_core::{IdentityKey, LogKey, ReplicaKey, Result, ThreadId};
    /// # use threads_core::record::{Fields, SignedRecord, Verified};
    /// fn first(
    ///     fields: Fields, key: &LogKey, author: &IdentityKey, replica: &ReplicaKey,
    /// ) -> Result<Verified<SignedRecord>> {
    ///     SignedRecord::seal(fields, key, Some(author), replica)
    /// }
    /// ```
    pub fn seal(
        fields: Fields,
        key: &LogKey,
        author: Option<&IdentityKey>,
        replica: &ReplicaKey,
    ) -> Result<Verified<Self>> {
        check_fields(&fields)
            .map_err(|fault| Error::invalid("a record cannot be sealed").caused_by(fault))?;
        if author.is_some() != (fields.seq == 1) || key.log_id() != fields.log {
            return Err(Error::invalid(
                "the first record of a log, and no other, is sealed with its author",
            ));
        }
        let author = author.map(|identity| Author {
            peer: identity.peer_id(),
            sig: ByteArray::new(identity.sign(&author_message(&fields.thread, &fields.log))),
        });
        let mut wire = Wire::new(&fields, author.clone());
        let signed = encode(&wire)?;
        let sig = key.sign(&sign_message(&signed));
        wire.sig = Some(ByteArray::new(sig));
        let block = seal_block(&encode(&wire)?, &fields, replica)?;
        if block.bytes().len() > RECORD_BYTES_MAX {
            return Err(Error::invalid("a record is too large").with("bytes", block.bytes().len()));
        }
        Ok(Verified::sealed(Self {
            fields,
            author,
            sig,
            signed,
            block,
        }))
    }

    /// Opens a sealed block that claims to be a record of `thread`.
    ///
    /// # Errors
    ///
    /// A [`Rejection`] as the source of an [`Error`] of kind `Rejected`.
    ///
    /// ```
    /// # use threads_core::{ReplicaKey, record::SignedRecord};
    /// let thread = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// let key = ReplicaKey::from_bytes(&[7; 32]);
    /// assert!(SignedRecord::open(b"no record", &thread, &key).is_err());
    /// ```
    pub fn open(block: &[u8], thread: &ThreadId, replica: &ReplicaKey) -> Result<Self> {
        Self::open_with(block, thread, |_| Ok(Cow::Borrowed(replica)))
    }

    /// As [`SignedRecord::open`], with the key of the epoch that the block names.
    ///
    /// # Errors
    ///
    /// Those of [`SignedRecord::open`], and what `key_of` gives.
    ///
    /// ```
    /// # use threads_core::{Error, record::SignedRecord};
    /// let thread = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// let no_keys = |_| Err(Error::unsupported("no keys of this epoch"));
    /// assert!(SignedRecord::open_with(b"no record", &thread, no_keys).is_err());
    /// ```
    pub fn open_with<'k>(
        block: &[u8],
        thread: &ThreadId,
        key_of: impl FnOnce(u64) -> Result<Cow<'k, ReplicaKey>>,
    ) -> Result<Self> {
        if block.len() > RECORD_BYTES_MAX {
            return Err(Rejection::TooLarge.into());
        }
        let (version, epoch, sealed): (u64, u64, ByteBuf) =
            decode(block).map_err(|_| Rejection::Malformed)?;
        if version != RECORD_VERSION {
            return Err(Rejection::UnknownVersion.into());
        }
        let replica = key_of(epoch)?;
        let aad = aad(Layer::Record, thread, None, epoch);
        let plain = replica
            .open_synthetic(&aad, &sealed)
            .map_err(|_| Rejection::CannotOpen)?;
        let mut wire: Wire = decode(&plain).map_err(|_| Rejection::Malformed)?;
        let sig = wire.sig.take().ok_or(Rejection::Malformed)?;
        if wire.v != RECORD_VERSION {
            return Err(Rejection::UnknownVersion.into());
        }
        if wire.thread != *thread || wire.epoch != epoch {
            return Err(Rejection::WrongThread.into());
        }
        let signed = encode(&wire)?;
        let (fields, author) = wire.into_fields();
        check_fields(&fields)?;
        if author.is_some() != (fields.seq == 1) {
            return Err(Rejection::AuthorMismatch.into());
        }
        let block = Block::cbor(block);
        Ok(Self {
            fields,
            author,
            sig: sig.into_array(),
            signed,
            block,
        })
    }

    /// The epoch that a block names in clear, if it begins as a record does.
    ///
    /// ```
    /// use threads_core::record::SignedRecord;
    /// assert_eq!(SignedRecord::epoch_of(&[0x83, 1, 7, 0x40]), Some(7));
    /// assert_eq!(SignedRecord::epoch_of(b"no record"), None);
    /// ```
    pub fn epoch_of(block: &[u8]) -> Option<u64> {
        wire::epoch_of(block)
    }

    /// What the record says.
    ///
    /// ```
    /// fn place(record: &threads_core::record::SignedRecord) -> u64 { record.fields().seq }
    /// ```
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// The identity that owns the log, in the log's first record.
    ///
    /// ```
    /// fn first(record: &threads_core::record::SignedRecord) -> bool { record.author().is_some() }
    /// ```
    pub fn author(&self) -> Option<PeerId> {
        self.author.as_ref().map(|author| author.peer)
    }

    /// Checks that this record is the one after `(seq, cid)`; `(0, None)` stands before the first.
    ///
    /// # Errors
    ///
    /// [`Rejection::BrokenChain`].
    ///
    /// ```
    /// fn is_first(record: &threads_core::record::SignedRecord) -> bool { record.follows(0, None).is_ok() }
    /// ```
    pub fn follows(&self, seq: u64, cid: Option<&Cid>) -> Result<()> {
        if seq.checked_add(1) == Some(self.fields.seq) && self.fields.prev.as_ref() == cid {
            return Ok(());
        }
        Err(Rejection::BrokenChain.into())
    }

    /// What the log key signs.
    fn message(&self) -> Vec<u8> {
        sign_message(&self.signed)
    }

    /// The half of the binding that the author signed, if this is a first record.
    fn author_proof(&self) -> Option<(PeerId, Vec<u8>, [u8; 64])> {
        let author = self.author.as_ref()?;
        let message = author_message(&self.fields.thread, &self.fields.log);
        Some((author.peer, message, *author.sig))
    }
}

impl fmt::Debug for SignedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedRecord")
            .field("id", &self.block.cid())
            .field("log", &self.fields.log)
            .field("seq", &self.fields.seq)
            .finish_non_exhaustive()
    }
}

impl Record for SignedRecord {
    fn id(&self) -> Cid {
        *self.block.cid()
    }

    fn block(&self) -> &[u8] {
        self.block.bytes()
    }

    fn block_id(&self) -> Cid {
        self.fields.event
    }

    fn prev_id(&self) -> Option<Cid> {
        self.fields.prev
    }

    fn sig(&self) -> &[u8; 64] {
        &self.sig
    }

    fn verify(&self, log: &LogId) -> Result<()> {
        if *log != self.fields.log {
            return Err(Rejection::WrongLog.into());
        }
        verify(log.key_bytes(), &self.message(), &self.sig).map_err(|fault| match fault {
            SignatureError::WeakKey => Rejection::WeakKey,
            _ => Rejection::BadSignature,
        })?;
        if let Some((peer, message, sig)) = self.author_proof() {
            verify(peer.key_bytes(), &message, &sig).map_err(|_| Rejection::AuthorMismatch)?;
        }
        Ok(())
    }
}

fn check_fields(fields: &Fields) -> Result<(), Rejection> {
    let Fields {
        seq,
        prev,
        skip,
        deps,
        acl,
        tags,
        event,
        log,
        ..
    } = fields;
    if *seq == 0 || prev.is_some() != (*seq > 1) || skip.is_some() != skip_target(*seq).is_some() {
        return Err(Rejection::BadLink);
    }
    if deps.len() > DEPS_MAX || acl.len() > LINKS_MAX || tags.len() > LINKS_MAX {
        return Err(Rejection::TooManyLinks);
    }
    let mut links = prev
        .iter()
        .chain(skip)
        .chain(acl)
        .chain(deps.iter().map(|d| &d.cid));
    let ordered = deps.is_sorted_by(|a, b| a < b) && acl.is_sorted_by(|a, b| a < b);
    let foreign = deps.iter().all(|dep| dep.log != *log && dep.seq > 0);
    let short = tags.iter().all(|tag| tag.len() <= TAG_BYTES_MAX);
    if links.any(|cid| check_link(cid).is_err()) || check_link(event).is_err() {
        return Err(Rejection::BadLink);
    }
    if !(ordered && foreign && short) {
        return Err(Rejection::Malformed);
    }
    Ok(())
}

fn seal_block(plain: &[u8], fields: &Fields, replica: &ReplicaKey) -> Result<Block> {
    let aad = aad(Layer::Record, &fields.thread, None, fields.epoch);
    let sealed = ByteBuf::from(replica.seal_synthetic(&aad, plain)?);
    Ok(Block::cbor(encode(&(
        RECORD_VERSION,
        fields.epoch,
        sealed,
    ))?))
}

fn sign_message(signed: &[u8]) -> Vec<u8> {
    [SIGN_DOMAIN, signed].concat()
}

fn author_message(thread: &ThreadId, log: &LogId) -> Vec<u8> {
    // The length keeps apart what follows, whatever the length of a thread id.
    let length = [thread.as_bytes().len() as u8];
    [AUTHOR_DOMAIN, &length, thread.as_bytes(), log.key_bytes()].concat()
}

#[cfg(test)]
mod tests;
