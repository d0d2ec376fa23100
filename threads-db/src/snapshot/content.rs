//! What a snapshot says, item by item, as bytes: the same on every peer that has the same records.
//!
//! The bytes are a list of items, each as its length in four bytes and its canonical DAG-CBOR: the thread, its logs,
//! marks of their records, the records that stay needed, the entities, and an end that counts them. Nothing in it is local to a node, and
//! nothing is random, so that peers sign for the same hash.

use std::io::Read;

use serde::{Deserialize, Serialize};
use serde_bytes::{ByteArray, ByteBuf};
use sha2::{Digest, Sha256};
use threads_core::block::{self, RAW, cid_of_digest};
use threads_core::codec::EntityState;
use threads_core::{Cid, CodecId, CollectionName, EntityId, Error, Hlc, LogId, Result, ThreadId};

use super::LOGS_MAX;
use super::covered::Apart;
use crate::base::marks::Mark;
use crate::chain::Blocks;
use crate::entity::Life;

/// The version of the content.
pub(crate) const CONTENT_VERSION: u64 = 1;
/// The longest item. A record has at most 16 KiB, its event less, its body a little more than 1 MiB; the state of
/// an entity is bounded by its codec.
const ITEM_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The most access records that one item names.
const ACL_MAX: usize = 4_096;
/// How many bytes of an item are made room for before they are there.
const ROOM_BYTES: u64 = 64 * 1024;

/// A part of a snapshot, in the order in which they come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Item {
    /// The thread, and the access records that no other names.
    Thread {
        version: u64,
        thread: ThreadId,
        acl: Vec<Cid>,
    },
    Log(LogItem),
    Marks(MarksItem),
    Record(RecordItem),
    Entity(EntityItem),
    /// How many of each there were.
    End {
        logs: u64,
        records: u64,
        entities: u64,
    },
}

/// How far a log is covered. Logs come by their ids.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct LogItem {
    pub(crate) log: LogId,
    /// The last record that is covered.
    pub(crate) seq: u64,
    pub(crate) record: Cid,
    time: ByteArray<12>,
    /// The access records that its author knew of by then.
    pub(crate) acl: Vec<Cid>,
}

/// Marks of the covered records of a log that follow each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct MarksItem {
    /// Which of the logs they are of.
    pub(crate) log: u64,
    /// The number of the first record.
    pub(crate) first: u64,
    marks: ByteBuf,
}

/// A record that stays needed: by place, logs in their order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RecordItem {
    /// Which of the logs it is of.
    pub(crate) log: u64,
    pub(crate) seq: u64,
    /// Why it is in quarantine, if it is: nothing of it is in the entities.
    pub(crate) apart: Option<Apart>,
    /// The access records that it names, or those before it in its log did.
    pub(crate) acl: Vec<Cid>,
    record: ByteBuf,
    event: ByteBuf,
    body: ByteBuf,
}

/// An entity: by collection, then by id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct EntityItem {
    pub(crate) collection: CollectionName,
    pub(crate) id: EntityId,
    life: LifeItem,
    time: ByteArray<12>,
    /// The last of its events: which of the logs, the record, the place in its batch.
    pub(crate) log: u64,
    pub(crate) seq: u64,
    pub(crate) index: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum LifeItem {
    Live(CodecId, ByteBuf),
    Deleted,
    Unknown,
}

fn malformed() -> Error {
    Error::rejected("what is said to be a snapshot is none")
}

fn hlc(bytes: &ByteArray<12>) -> Result<Hlc> {
    Hlc::from_bytes(&bytes[..]).ok_or_else(malformed)
}

impl LogItem {
    pub(crate) fn new(log: LogId, (seq, record): (u64, Cid), time: Hlc, acl: Vec<Cid>) -> Self {
        Self {
            log,
            seq,
            record,
            time: ByteArray::new(time.to_bytes()),
            acl,
        }
    }

    /// The time of its last record; none if that was purged.
    pub(crate) fn time(&self) -> Result<Hlc> {
        hlc(&self.time)
    }
}

impl MarksItem {
    pub(crate) fn new(log: u64, first: u64, marks: &[Mark]) -> Self {
        let marks: Vec<u8> = marks
            .iter()
            .flat_map(|mark| mark.bytes().to_vec())
            .collect();
        let marks = ByteBuf::from(marks);
        Self { log, first, marks }
    }

    /// The marks.
    pub(crate) fn marks(&self) -> Result<Vec<Mark>> {
        let (marks, rest) = self.marks.as_chunks();
        match rest {
            [] => Ok(marks.iter().map(|mark| Mark::from_bytes(*mark)).collect()),
            _ => Err(malformed()),
        }
    }
}

impl RecordItem {
    pub(crate) fn new(
        (log, seq): (u64, u64),
        apart: Option<Apart>,
        acl: Vec<Cid>,
        blocks: Blocks,
    ) -> Self {
        Self {
            log,
            seq,
            apart,
            acl,
            record: ByteBuf::from(blocks.record),
            event: ByteBuf::from(blocks.event),
            body: ByteBuf::from(blocks.body),
        }
    }

    pub(crate) fn blocks(&self) -> Blocks {
        Blocks {
            record: self.record.to_vec(),
            event: self.event.to_vec(),
            body: self.body.to_vec(),
        }
    }
}

impl EntityItem {
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`](threads_core::ErrorKind::Unsupported) for one whose codec is missing: nobody here knows its state.
    pub(crate) fn new(
        (collection, id): (CollectionName, EntityId),
        life: Life,
        time: Hlc,
        (log, seq, index): (u64, u64, u32),
    ) -> Result<Self> {
        let life = match life {
            Life::Live(codec, state) => LifeItem::Live(codec, ByteBuf::from(state.as_bytes())),
            Life::Deleted => LifeItem::Deleted,
            Life::Unknown => LifeItem::Unknown,
            Life::Waiting(codec) => {
                return Err(Error::unsupported(
                    "an entity waits for its codec, so nobody here knows its state: install the codec first",
                )
                .with("codec", codec)
                .with("collection", collection)
                .with("_id", id));
            }
        };
        let time = ByteArray::new(time.to_bytes());
        Ok(Self {
            collection,
            id,
            life,
            time,
            log,
            seq,
            index,
        })
    }

    pub(crate) fn time(&self) -> Result<Hlc> {
        hlc(&self.time)
    }

    pub(crate) fn life(&self) -> Life {
        match &self.life {
            LifeItem::Live(codec, state) => {
                Life::Live(codec.clone(), EntityState::new(state.as_slice()))
            }
            LifeItem::Deleted => Life::Deleted,
            LifeItem::Unknown => Life::Unknown,
        }
    }
}

impl Item {
    /// About how many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Thread { .. } | Self::Log(_) | Self::End { .. } => 128 + self.acl_bytes(),
            Self::Marks(item) => item.marks.len(),
            Self::Record(item) => {
                item.record.len() + item.event.len() + item.body.len() + self.acl_bytes()
            }
            Self::Entity(item) => match &item.life {
                LifeItem::Live(_, state) => 128 + state.len(),
                LifeItem::Deleted | LifeItem::Unknown => 128,
            },
        }
    }

    fn acl_bytes(&self) -> usize {
        size_of_val(self.acl())
    }

    /// The access records that it names.
    fn acl(&self) -> &[Cid] {
        match self {
            Self::Thread { acl, .. } => acl,
            Self::Log(item) => &item.acl,
            Self::Record(item) => &item.acl,
            Self::Marks(_) | Self::Entity(_) | Self::End { .. } => &[],
        }
    }

    /// The item with its length before it.
    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        let bytes = block::encode(self)?;
        if bytes.len() > ITEM_BYTES_MAX {
            return Err(Error::unsupported("an entity is too large for a snapshot")
                .with("bytes", bytes.len()));
        }
        // The bound is far below four gigabytes.
        Ok([&(bytes.len() as u32).to_be_bytes()[..], &bytes].concat())
    }
}

/// The name of a snapshot: the CID of all its bytes.
#[derive(Default)]
pub(crate) struct Name {
    hash: Sha256,
    bytes: u64,
}

impl Name {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    /// The name, and how many bytes it is of.
    pub(crate) fn finish(self) -> (Cid, u64) {
        let digest: [u8; 32] = self.hash.finalize().into();
        (cid_of_digest(RAW, &digest), self.bytes)
    }
}

/// Reads items from whoever has them. Whether the whole is what its name says is known at its end: nothing of it
/// may be believed before.
pub(crate) struct Reader<R> {
    input: R,
    name: Name,
    counts: [u64; 3],
    ended: bool,
}

impl<R: Read> Reader<R> {
    pub(crate) fn new(input: R) -> Self {
        Self {
            input,
            name: Name::default(),
            counts: [0; 3],
            ended: false,
        }
    }

    /// The next item, the end among them; nothing after the end.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Rejected`](threads_core::ErrorKind::Rejected) for what is no item, or ends early, or goes on after its end.
    pub(crate) fn next(&mut self) -> Result<Option<Item>> {
        let mut length = [0; 4];
        if self.ended {
            return match self.take(1)?.is_empty() {
                true => Ok(None),
                false => Err(malformed().with("why", "it goes on after its end")),
            };
        }
        let bytes = self.take(4)?;
        length.copy_from_slice(bytes.get(..4).ok_or_else(cut_short)?);
        let length = u32::from_be_bytes(length) as usize;
        if length > ITEM_BYTES_MAX {
            return Err(malformed().with("why", "an item is too long"));
        }
        let bytes = self.take(length as u64)?;
        if bytes.len() != length {
            return Err(cut_short());
        }
        let item = block::decode(&bytes).map_err(|cause| malformed().caused_by(cause))?;
        self.count(&item)?;
        Ok(Some(item))
    }

    fn take(&mut self, length: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(length.min(ROOM_BYTES) as usize);
        let mut input = (&mut self.input).take(length);
        let read = input.read_to_end(&mut bytes);
        read.map_err(|cause| match cause.downcast::<Error>() {
            Ok(error) => error,
            Err(cause) => Error::unavailable("a snapshot cannot be read on").caused_by(cause),
        })?;
        self.name.update(&bytes);
        Ok(bytes)
    }

    fn count(&mut self, item: &Item) -> Result<()> {
        if item.acl().len() > ACL_MAX {
            return Err(malformed().with("why", "it names too many access records"));
        }
        match item {
            Item::Thread { .. } | Item::Marks(_) => {}
            Item::Log(_) => self.counts[0] += 1,
            Item::Record(_) => self.counts[1] += 1,
            Item::Entity(_) => self.counts[2] += 1,
            Item::End {
                logs,
                records,
                entities,
            } => {
                self.ended = true;
                if self.counts != [*logs, *records, *entities] {
                    return Err(malformed().with("why", "it has not what it counts"));
                }
            }
        }
        match self.counts[0] > LOGS_MAX as u64 {
            true => Err(malformed().with("why", "it has too many logs")),
            false => Ok(()),
        }
    }

    /// The name of what was read to its end.
    pub(crate) fn finish(self) -> (Cid, u64) {
        self.name.finish()
    }
}

fn cut_short() -> Error {
    malformed().with("why", "it ends early")
}
