//! The state of an entity: what applications see, and all changes that are known of it.
//!
//! One byte, the version; the length of the text of what is seen, in four bytes, the highest first;
//! that text; from which change on changes are forgotten, if there were too many; then the changes as
//! they came, one chunk after the other, in their order. It is determined by the changes alone, so that
//! it is the same in whatever order they came.

use threads_core::codec::EntityState;
use threads_core::{Error, Result};

use crate::change::{self, Decoded, Order};
use crate::columns::Fault;

const VERSION: u8 = 1;
const HEAD_BYTES: usize = 5;

/// The bytes of a place in the order of changes.
const ORDER_BYTES: usize = 8 + 1 + 32;

/// The parts of a state.
#[derive(Clone, Copy, Default)]
pub(crate) struct Parts<'a> {
    pub(crate) view: &'a [u8],
    /// From here on changes are forgotten.
    pub(crate) cut: Option<Order>,
    pub(crate) changes: &'a [u8],
}

pub(crate) fn join(parts: Parts<'_>) -> Result<EntityState> {
    let Parts { view, cut, changes } = parts;
    let len = u32::try_from(view.len())
        .map_err(|_| Error::rejected("a document would have more than 4 GiB of text"))?;
    let room = HEAD_BYTES + view.len() + 1 + ORDER_BYTES + changes.len();
    let mut bytes = Vec::with_capacity(room);
    bytes.push(VERSION);
    bytes.extend_from_slice(&len.to_be_bytes());
    bytes.extend_from_slice(view);
    bytes.push(cut.is_some().into());
    if let Some(cut) = cut {
        bytes.extend_from_slice(&cut.start.to_be_bytes());
        bytes.push(cut.full.into());
        bytes.extend_from_slice(&cut.hash);
    }
    bytes.extend_from_slice(changes);
    Ok(EntityState::new(bytes))
}

pub(crate) fn split(state: &EntityState) -> Result<Parts<'_>> {
    parts(state.as_bytes()).ok_or_else(|| damaged("it has not its parts"))
}

fn parts(bytes: &[u8]) -> Option<Parts<'_>> {
    let (head, rest) = bytes.split_first_chunk::<HEAD_BYTES>()?;
    let [VERSION, len @ ..] = *head else {
        return None;
    };
    let (view, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(len)).ok()?)?;
    let (cut, changes) = match rest.split_first()? {
        (0, changes) => (None, changes),
        (1, rest) => {
            let (start, rest) = rest.split_first_chunk::<8>()?;
            let (full, rest) = rest.split_first()?;
            let (hash, changes) = rest.split_first_chunk::<32>()?;
            let cut = Order {
                start: u64::from_be_bytes(*start),
                full: *full != 0,
                hash: *hash,
            };
            (Some(cut), changes)
        }
        _ => return None,
    };
    Some(Parts { view, cut, changes })
}

/// The changes of a state, each with its length.
pub(crate) fn changes(mut bytes: &[u8]) -> Result<Vec<(Decoded, usize)>> {
    let mut changes: Vec<(Decoded, usize)> = Vec::new();
    while !bytes.is_empty() {
        let len = change::chunk(bytes).map_err(damaged)?.len;
        let (this, rest) = bytes.split_at(len);
        let decoded = change::decode(this).map_err(damaged)?;
        if changes
            .last()
            .is_some_and(|(last, _)| last.change.order >= decoded.change.order)
        {
            return Err(damaged("its changes are not in order"));
        }
        changes.push((decoded, len));
        bytes = rest;
    }
    Ok(changes)
}

pub(crate) fn damaged(fault: Fault) -> Error {
    Error::corrupt("the state of an entity is damaged: rebuild it from its log").caused_by(fault)
}
