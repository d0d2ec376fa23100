//! The program, from the outside.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on says so"
)]

#[path = "../common/mod.rs"]
mod common;

mod access;
mod acl;
mod blobs;
mod carry;
mod codecs;
mod errors;
mod honest;
mod importing;
mod keystore;
mod main_job;
mod module;
mod peers;
mod pipes;
mod purge;
#[cfg(unix)]
mod readme;
mod shapes;
mod snapshots;
mod travel;
