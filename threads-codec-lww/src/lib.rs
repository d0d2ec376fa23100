#![doc = include_str!("../README.md")]

mod change;
mod codec;
mod limits;
mod state;
mod text;

pub use codec::Lww;
pub use limits::{DOCUMENT_DEPTH_MAX, EVENT_BYTES_MAX, STATE_BYTES_MAX};
