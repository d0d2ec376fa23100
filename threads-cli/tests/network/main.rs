//! Real processes on a real network, which are killed and cut off from each other.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on says so"
)]

#[path = "../common/mod.rs"]
mod common;

mod album;
#[cfg(target_os = "linux")]
mod apart;
#[cfg(target_os = "linux")]
#[path = "../../../threads-db/tests/sync/frames.rs"]
#[allow(dead_code, reason = "this test binary uses its own part")]
mod frames;
mod gossip;
#[cfg(target_os = "linux")]
mod hostile;
mod kills;
mod meeting;
mod moving;
mod newcomer;
mod resuming;
