//! The tests of the engine, each on every store.
//!
//! The files in `suite/` are compiled once for each store, into this one program. They name no
//! store but [`place::Place`], which each of the modules below calls `Store`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]
#![allow(clippy::duplicate_mod, reason = "the suite is one for every store")]

mod place;

mod lmdb;
mod memory;
mod redb;

#[cfg(target_os = "linux")]
mod full_disk;
#[cfg(target_os = "linux")]
#[path = "../../../threads-store-group/tests/support/small_disk.rs"]
mod small_disk;
