//! Synchronising threads with peers.
//!
//! Logs have one writer each, so what a peer has of a thread is told by one number for each log. Peers
//! that meet compare a digest of those numbers, thread by thread; where it differs they exchange the
//! numbers, and each gets what it lacks:
//!
//! * **Its writer pushes** what is new, to each peer that it is connected to, in one frame.
//! * **Who lacks more pulls** it, in bounded pages, oldest first, from one holder at a time. An
//!   interrupted pull goes on at the record where it was, with this or another holder.
//! * **Many lines are compared by ranges**, so that what two have alike costs next to nothing however many
//!   logs a thread has.
//! * **Everything else is told by numbers.** They acknowledge what is on disk, and say what is to be
//!   had. A record is never sent on suspicion.
//! * **Who is not connected hears of it by gossip**: the writer announces its head, sealed, and peers of
//!   other threads carry that on. It is a hint, on which who lacks something asks for it.
//! * **Peers sign for what a writer wrote**, once they have it on their disks. It waits for such
//!   receipts if it likes ([`Db::await_replicas`](crate::Db::await_replicas)), and has each peer show a
//!   record now and then, by chance.
//!
//! * **Peers say where they are**, signed, and pass on what others said, to those who share a thread with
//!   both: two that moved find each other again through a third.
//!
//! A [`Machine`] decides all of that. It does nothing itself: what happens goes in as [`Input`], what
//! is to be done comes out as [`Output`], and time and randomness are arguments. Its driver moves
//! frames, and has [`Node::perform`](crate::Node::perform) do the work on the store: [`Service`] is the
//! one for applications. A thread that nothing is to be done for takes no memory in it.
//!
//! The frames and rules are in the project's `spec/06-sync.md`.

mod active;
pub(crate) mod addresses;
mod answers;
mod attend;
pub(crate) mod blobs;
mod changes;
mod compare;
mod comparison;
mod conduct;
mod dial;
mod doing;
pub(crate) mod erasures;
mod evidence;
mod farewell;
mod few;
mod finding;
mod gossip;
#[cfg(test)]
mod hostile;
mod io;
mod join;
mod limits;
mod locate;
mod located;
mod machine;
mod news;
mod noted;
mod overheard;
mod page;
mod pause;
mod pull;
mod pulling;
mod ranged;
mod ranges;
mod refill;
mod removed;
mod service;
pub(crate) mod shares;
mod short;
pub(crate) mod standing;
mod status;
mod store;
mod taking;
mod timers;
#[cfg(test)]
mod vectors;
mod vouch;
mod watch;
pub(crate) mod wire;
pub(crate) mod words;

pub use changes::SyncChanges;
pub(crate) use io::Fresh;
pub use io::{CallId, Input, News, OpId, Output, PublicationId, RequestId, Work, Worked};
pub use machine::Machine;
pub use overheard::Announced;
pub use service::{Connected, Service};
pub use short::Dropped;
pub use standing::FailedCheck;
pub use status::{LogStatus, PeerStatus, SyncStatus};
pub use watch::NodeSyncChanges;
pub(crate) use wire::{Claim, PAGE_BYTES_MAX, Parcel};
