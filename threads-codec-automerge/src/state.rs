//! The state of an entity: what applications see, and all changes that are known of it.
//!
//! One byte, the version; the length of the text of what is seen, in four bytes, the highest first;
//! that text; then the changes as they came, one chunk after the other, in their order. It is
//! determined by the changes alone, so that it is the same in whatever order they came.

use threads_core::codec::EntityState;
use threads_core::{Error, Result};

use crate::change::{self, Change};
use crate::columns::Fault;

const VERSION: u8 = 1;
const HEAD_BYTES: usize = 5;

/// The parts of a state.
#[derive(Clone, Copy)]
pub(crate) struct Parts<'a> {
    pub(crate) view: &'a [u8],
    pub(crate) changes: &'a [u8],
}

pub(crate) fn join(view: &str, changes: &[u8]) -> Result<EntityState> {
    let len = u32::try_from(view.len())
        .map_err(|_| Error::rejected("a document would have more than 4 GiB of text"))?;
    let mut bytes = Vec::with_capacity(HEAD_BYTES + view.len() + changes.len());
    bytes.push(VERSION);
    bytes.extend_from_slice(&len.to_be_bytes());
    bytes.extend_from_slice(view.as_bytes());
    bytes.extend_from_slice(changes);
    Ok(EntityState::new(bytes))
}

pub(crate) fn split(state: &EntityState) -> Result<Parts<'_>> {
    let parts = || {
        let (head, rest) = state.as_bytes().split_first_chunk::<HEAD_BYTES>()?;
        let [VERSION, len @ ..] = *head else {
            return None;
        };
        rest.split_at_checked(usize::try_from(u32::from_be_bytes(len)).ok()?)
    };
    let (view, changes) = parts().ok_or_else(|| damaged("it has not its parts"))?;
    Ok(Parts { view, changes })
}

/// The changes of a state, each with its length.
pub(crate) fn changes(mut bytes: &[u8]) -> Result<Vec<(Change, usize)>> {
    let mut changes: Vec<(Change, usize)> = Vec::new();
    while !bytes.is_empty() {
        let len = change::chunk(bytes).map_err(damaged)?.len;
        let (this, rest) = bytes.split_at(len);
        let change = change::decode(this).map_err(damaged)?;
        if changes
            .last()
            .is_some_and(|(last, _)| last.order >= change.order)
        {
            return Err(damaged("its changes are not in order"));
        }
        changes.push((change, len));
        bytes = rest;
    }
    Ok(changes)
}

pub(crate) fn damaged(fault: Fault) -> Error {
    Error::corrupt("the state of an entity is damaged: rebuild it from its log").caused_by(fault)
}
