#![doc = include_str!("../README.md")]

mod cache;
mod change;
mod codec;
mod columns;
mod document;
mod edit;
mod foreign;
mod index;
mod limits;
mod made;
mod node;
mod ops;
mod patch;
mod seen;
mod sequence;
mod state;
mod types;
mod write;

pub use codec::Automerge;
pub use limits::{
    ACTOR_BYTES_MAX, CACHE_DOCUMENTS_MAX, CACHE_OPS_MAX, DOCUMENT_BYTES_MAX, DOCUMENT_DEPTH_MAX,
    DOCUMENT_VALUES_MAX, EVENT_BYTES_MAX, EVENT_DEPS_MAX, EVENT_NAME_BYTES_MAX, EVENT_OPS_MAX,
    EVENT_PREDS_MAX, HISTORY_BYTES_MAX, HISTORY_OPS_MAX, INCREMENT_MAX, OP_NUMBER_MAX,
    PATCH_OPS_MAX,
};
pub use types::{Counter, Text};
