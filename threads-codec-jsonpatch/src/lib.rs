#![doc = include_str!("../README.md")]

mod apply;
mod cbor;
mod codec;
mod diff;
mod document;
mod limits;
mod patch;
mod wire;

pub use codec::JsonPatch;
pub use limits::{
    DOCUMENT_BYTES_MAX, DOCUMENT_DEPTH_MAX, DOCUMENT_VALUES_MAX, EVENT_BYTES_MAX, EVENT_OPS_MAX,
};
