#![doc = include_str!("../README.md")]

mod check;
mod commit;
mod env;
mod fault;
mod lock;
mod options;
mod reserve;
mod snapshot;
mod state;
mod store;
mod wipe;

pub use options::LmdbOptions;
pub use store::{Lmdb, Stats};
