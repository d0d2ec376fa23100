//! The two sets of the paper, as delta-state CRDTs: a remove-wins set in an observed-remove map.
//!
//! A thread's list is a map of peers to sets of roles. [`RWORSet`] is a set in which a removal wins over an
//! addition that happened at the same time; [`ORMap`] holds one for each key, all of them with one
//! [`CausalContext`]. Both follow Almeida, Shoker and Baquero, *Delta state replicated data types* (2018):
//! every change makes a small state, the *delta*, and all that is ever done with states is to
//! [`merge`](RWORSet::merge) them. Merging is commutative, associative and idempotent, so that deltas may
//! come in any order, twice, and in groups.
//!
//! ```
//! use threads_acl::crdt::RWORSet;
//!
//! let mut ann = RWORSet::default();
//! ann.merge(&ann.added(ann.next_dot(1), "write"));
//! let mut bob = ann.clone();
//!
//! // Ann adds it again while Bob takes it away.
//! ann.merge(&ann.added(ann.next_dot(1), "write"));
//! bob.merge(&bob.removed(bob.next_dot(2), "write"));
//! ann.merge(&bob);
//! assert!(!ann.contains(&"write"), "removal wins");
//!
//! // Who has seen the removal can add again.
//! ann.merge(&ann.added(ann.next_dot(1), "write"));
//! assert!(ann.contains(&"write"));
//! ```
//!
//! # How the rules differ
//!
//! The paper would have these be the list. They are how the list is shown, by
//! [`Evaluator::map`](crate::Evaluator::map); what it holds is decided by the rules, which are stricter:
//!
//! * **Who may write.** The sets take every change from everybody. R3 to R6 say which changes count.
//! * **Removing a peer.** `ORMap` lets an addition win over [`without`](ORMap::without), and forgets what was
//!   removed in the set; so a grant at the same time would undo a ban. A removal is therefore a removal of
//!   every role, never of the key.
//! * **No access.** As an element of a remove-wins set, lifting *no-access* would win over imposing it. It is
//!   the absence of roles, and a removal that grants to everyone do not answer.
//! * **Two removals at the same time.** In the set each may be answered by another addition. By R7 one grant
//!   has to have seen both. So a peer that has a role by R7 has it in the set too, and not the other way round.
//! * **Roles imply roles.** A removal of read is one of write too: in the set, a removal of each.

mod context;
mod map;
mod set;
mod store;

pub use context::{CausalContext, Dot};
pub use map::ORMap;
pub use set::RWORSet;
pub use store::{Causal, DotMap, DotSet, DotStore};
