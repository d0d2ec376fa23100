//! A simulator of nodes that synchronise, in which one seed gives one history.
//!
//! A [script](script::Script) says what happens to two to eight peers: writes, cut links, crashes that
//! lose what was not synced, disks that are lost, clocks that are wrong by up to a day, peers that are
//! slow or say nothing, frames that are lost, doubled or overtaken. It is data, made from a seed. A
//! [`run`](run::run) plays it with the engine's own nodes and its own machine of sync, in virtual time.
//! While it runs, and when all is healed, it checks what sync promises:
//!
//! * No peer notes about another that it has more on its disk than it ever had there.
//! * On a peer that kept its disk no log ever gets shorter, but for relaxed commits of its own; and
//!   those no other peer has seen.
//! * Two peers never have different records in one place of a log, and honest peers are never cut off.
//! * Once everything is healed, within [`HEALED_MS_MAX`](run::HEALED_MS_MAX) all peers hold the same
//!   records and the same state, verify clean, say that they are in sync, and send nothing more. (Where
//!   requests came twice, which no transport does, a peer may know less of others than there is.)
//!
//! Bring your own codec, policy, reducers or writes as a [`Lab`](lab::Lab). A seed that fails gives a
//! [`Failure`](run::Failure), and [`check`](seeds::check) shrinks its script and shows it:
//!
//! ```
//! use threads_codec_jsonpatch::JsonPatch;
//! use threads_conformance::sim::{lab::Things, seeds};
//!
//! let lab = Things::new("jsonpatch/1".parse().unwrap(), |node| node.codec(JsonPatch::new()));
//! seeds::check(&lab, 0..2);
//! ```
//!
//! A lab may say more of what must hold: what [looks on](lab::Lab::watch) while peers run, and what
//! [must be](lab::Lab::check) in the end. [`generate::with`] adds to the scripts what a lab is about: peers that
//! lack a codec and get it later, that compact, that begin with a snapshot, that only meet through one that cannot
//! read, and whatever [a lab has them do](lab::Lab::act).
//!
//! [`Ruled`](lab::Ruled) makes a lab one of threads with access rules: peers grant roles, take them, restrict
//! entities and rotate keys meanwhile, and some of them only keep the thread. There is more that must hold then:
//!
//! * Nobody is refused what his own rules let him do.
//! * In the end all whom nobody could take out have the same rules and the same records in quarantine; of those who
//!   cannot read, none that readers apply.
//! * Nobody has the keys of a record whose writer knew that it was not for him.
//! * What is written when all is settled goes to nobody who is out by then, and nobody who remains takes what
//!   they write.

pub mod generate;
pub mod lab;
pub mod minimise;
mod network;
mod oracle;
mod outcome;
mod peer;
mod plant;
pub mod run;
pub mod script;
pub mod seeds;
pub mod store;
mod trace;
pub mod watch;
mod world;
