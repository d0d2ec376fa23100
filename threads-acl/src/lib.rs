#![doc = include_str!("../README.md")]

mod changes;
pub mod crdt;
pub mod eval;
mod evaluator;
mod event;
mod judge;
mod past;
mod policy;
mod reason;
mod role;

pub use changes::{Changes, Touched};
pub use evaluator::{Evaluator, LeftOut, Room};
pub use event::{AclEvent, AclId, AclKind, Entity, Peer, Scope, Who};
pub use judge::{Data, Judgement, Standing};
pub use policy::Acl;
pub use reason::{Cause, Refusal, Supporter};
pub use role::RoleSet;
pub use threads_core::access::Role;
