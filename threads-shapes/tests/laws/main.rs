//! What each shape promises, on peers that are apart, hear of each other late, and have clocks of
//! their own.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod counter;
mod feed;
mod kv;
mod open;
mod peers;
mod table;
