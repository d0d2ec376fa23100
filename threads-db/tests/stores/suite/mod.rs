//! The tests. What they say holds on every store; `super::Store` is the one they run on.

pub(crate) mod common;

mod attacks;
mod carry;
mod codecs;
mod engine;
mod faults;
mod ids;
mod listen;
mod reduce;
mod rejudge;
pub(crate) mod review;
mod verify;
