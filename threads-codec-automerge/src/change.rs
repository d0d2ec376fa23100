//! A change as bytes: a chunk of Automerge's format, looked through before Automerge meets it.
//!
//! Automerge takes what it is given on trust in places: an operation of an unknown kind, or in an
//! object that is not there, ends the program; a run of a few bytes can stand for endless
//! operations; a deflated chunk is inflated whole. So nothing reaches it that was not read here.

use automerge as am;
use sha2::{Digest, Sha256};

use crate::columns::{Fault, Reader};
use crate::limits::{ACTOR_BYTES_MAX, EVENT_BYTES_MAX, EVENT_DEPS_MAX, OP_NUMBER_MAX};
use crate::ops::{self, Op};
use crate::write;

const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
const CHANGE: u8 = 1;
pub(crate) const DEFLATED: u8 = 2;

/// A change's name: the SHA-256 of what it says.
pub(crate) type Hash = [u8; 32];

/// The place of a change among the changes of its document: after those that it depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Order {
    pub(crate) start: u64,
    /// Changes without operations come before others that begin with the same number.
    pub(crate) full: bool,
    pub(crate) hash: Hash,
}

/// What a change says. Whether what it refers to is there, a document knows.
pub(crate) struct Change {
    pub(crate) order: Order,
    pub(crate) actor: Box<[u8]>,
    pub(crate) seq: u64,
    pub(crate) deps: Vec<Hash>,
    /// The actors that its operations refer to by number; the first is its own.
    pub(crate) actors: Vec<Box<[u8]>>,
    pub(crate) ops: Vec<Op>,
}

/// A change whose bytes are sound, as it is read here and as Automerge reads it.
pub(crate) struct Decoded {
    pub(crate) change: Change,
    pub(crate) inner: am::Change,
}

impl Change {
    /// The number of its last operation, or of the one before it began.
    pub(crate) fn last(&self) -> u64 {
        self.order.start + self.ops.len() as u64 - 1
    }
}

/// A chunk, of which nothing but the lengths is known.
pub(crate) struct Chunk<'a> {
    pub(crate) kind: u8,
    pub(crate) contents: &'a [u8],
    sum: [u8; 4],
    /// How many bytes it has, with what is before the contents.
    pub(crate) len: usize,
}

/// The chunk that `bytes` begin with.
pub(crate) fn chunk(bytes: &[u8]) -> Result<Chunk<'_>, Fault> {
    let mut reader = Reader::new(bytes);
    if reader.take(4)? != MAGIC {
        return Err("it does not begin as a chunk of Automerge does");
    }
    let sum = reader.take(4)?;
    let sum = [sum[0], sum[1], sum[2], sum[3]];
    let kind = reader.take(1)?[0];
    let contents = reader.prefixed()?;
    Ok(Chunk {
        kind,
        contents,
        sum,
        len: bytes.len() - reader.left(),
    })
}

/// The chunk of a change with these contents, and its name.
pub(crate) fn whole(contents: &[u8]) -> (Hash, Vec<u8>) {
    let hash = hash(contents);
    let mut bytes = Vec::with_capacity(contents.len() + 16);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&hash[..4]);
    bytes.extend_from_slice(&head(contents));
    bytes.extend_from_slice(contents);
    (hash, bytes)
}

/// What is hashed before the contents of a change: its kind and its length.
fn head(contents: &[u8]) -> Vec<u8> {
    let mut head = vec![CHANGE];
    write::unsigned(contents.len() as u64, &mut head);
    head
}

fn hash(contents: &[u8]) -> Hash {
    Sha256::new()
        .chain_update(head(contents))
        .chain_update(contents)
        .finalize()
        .into()
}

/// Reads a change that is exactly these bytes.
pub(crate) fn decode(bytes: &[u8]) -> Result<Decoded, Fault> {
    if bytes.len() > EVENT_BYTES_MAX {
        return Err("it has too many bytes");
    }
    let Chunk {
        kind,
        contents,
        sum,
        len,
    } = chunk(bytes)?;
    match kind {
        CHANGE if len == bytes.len() => {}
        CHANGE => return Err("something follows the change"),
        DEFLATED => return Err("it is deflated: inflate it before it becomes an event"),
        _ => return Err("it is a chunk of another kind"),
    }
    let hash = hash(contents);
    if hash[..4] != sum {
        return Err("its checksum is wrong");
    }
    let mut reader = Reader::new(contents);
    let deps = deps(&mut reader)?;
    let actor = actor(&mut reader)?;
    let (seq, start) = (reader.unsigned()?, reader.unsigned()?);
    if seq == 0 || start == 0 || start > OP_NUMBER_MAX {
        return Err("it has a number out of bounds");
    }
    reader.signed()?;
    std::str::from_utf8(reader.prefixed()?).map_err(|_| "its message is not UTF-8")?;
    let mut actors = vec![actor.clone()];
    for _ in 0..count(&mut reader, contents.len() / 2)? {
        actors.push(self::actor(&mut reader)?);
    }
    let ops = ops::decode(&mut reader, start, actors.len())?;
    if seq > 1 && !reader.is_empty() {
        return Err("it says more than a change does");
    }
    if ops.is_empty() && !deps.is_empty() {
        return Err("it changes nothing");
    }
    let inner = am::Change::from_bytes(bytes.to_vec()).map_err(|_| "Automerge cannot read it")?;
    let full = !ops.is_empty();
    let change = Change {
        order: Order { start, full, hash },
        actor,
        seq,
        deps,
        actors,
        ops,
    };
    Ok(Decoded { change, inner })
}

fn deps(reader: &mut Reader<'_>) -> Result<Vec<Hash>, Fault> {
    let mut deps: Vec<Hash> = Vec::new();
    for _ in 0..count(reader, EVENT_DEPS_MAX)? {
        // Invariant: so many bytes were taken.
        let dep: Hash = reader.take(32)?.try_into().map_err(|_| "it is cut off")?;
        if deps.last().is_some_and(|last| *last >= dep) {
            return Err("what it depends on is not in order");
        }
        deps.push(dep);
    }
    Ok(deps)
}

fn actor(reader: &mut Reader<'_>) -> Result<Box<[u8]>, Fault> {
    let actor = reader.prefixed()?;
    match actor.len() <= ACTOR_BYTES_MAX {
        true => Ok(actor.into()),
        false => Err("an actor id has too many bytes"),
    }
}

fn count(reader: &mut Reader<'_>, most: usize) -> Result<usize, Fault> {
    let count = usize::try_from(reader.unsigned()?).ok();
    count
        .filter(|count| *count <= most)
        .ok_or("it has more than there may be of something")
}
