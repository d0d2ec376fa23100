//! What the vectors of `threads-core` are made, kept and read with.

#[path = "../../threads-core/tests/vectors/encode.rs"]
pub(crate) mod encode;
#[path = "../../threads-core/tests/vectors/harness.rs"]
mod harness;

pub(crate) use harness::{TestRng, array, bytes, check, hex, text};
