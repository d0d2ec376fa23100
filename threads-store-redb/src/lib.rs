#![doc = include_str!("../README.md")]

mod check;
mod commit;
mod disk;
mod fault;
mod lock;
mod options;
mod snapshot;
mod store;
mod table;
mod wipe;

pub use options::RedbOptions;
pub use redb::StorageBackend;
pub use store::{Redb, Stats};
