#![doc = include_str!("../README.md")]

pub mod dir;
pub mod fault;
pub mod flight;
pub mod group;
mod pending;
pub mod snapshot;
mod writer;

pub use dir::DirLock;
pub use fault::Fault;
pub use flight::Flight;
pub use group::{Carrier, Counts, Group, State, Turn};
pub use snapshot::{Snapshot, View};
pub use writer::Writer;
