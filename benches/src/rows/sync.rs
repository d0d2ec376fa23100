//! Nodes that share threads over loopback.

pub(super) mod first;
pub(super) mod idle;
pub(super) mod meeting;
pub(super) mod mesh;
pub(super) mod replica;
pub(super) mod visible;
