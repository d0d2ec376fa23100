#![doc = include_str!("../README.md")]

pub mod counter;
mod define;
pub mod docs;
pub mod feed;
pub mod key;
pub mod kv;
pub mod table;

pub use counter::Counters;
pub use docs::Docs;
pub use feed::Feed;
pub use kv::Kv;
pub use table::Table;
