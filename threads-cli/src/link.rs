//! The link between commands and the process that serves the repository.
//!
//! One process at a time can change a repository. While `serve` is that process, other commands work
//! on its datastore over a socket in the repository, which only its owner can open: [`client`] is a
//! [`Datastore`](threads_core::datastore::Datastore) like any other, so that no command knows the
//! difference. Each transaction has a connection of its own; when a command ends half-way, its
//! connection does, and the transaction with it.

pub(crate) mod client;
pub(crate) mod control;
pub(crate) mod server;
mod socket;
mod wire;

#[cfg(test)]
mod tests;
