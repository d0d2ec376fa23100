//! Identifiers: threads, peers, logs, entities, collections, codecs.

mod entity;
mod name;
mod peer;
mod thread;

pub use entity::EntityId;
pub use name::{CodecId, CollectionName};
pub use peer::{LogId, PeerId};
pub use thread::{ThreadId, Variant};
