//! What the user can type about who may do what.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum AclCommand {
    /// Say what the rules of access control make of a history, and store nothing
    ///
    /// The history is {"events": [{"id", "author", "kind", "deps": [ids], ...}]}, in any order, with kind
    /// genesis, grant, revoke, restrict, checkpoint, create, save or delete. A grant or revoke has a
    /// target (a name, or * for everyone), a role (replicate, read, write or delete) and a scope (thread,
    /// acl or entity:ID); the others have an entity. The author of the genesis is root. Events whose deps are
    /// missing have no effect; they are named on standard error.
    Eval(AclEval),
}

#[derive(Debug, Args)]
pub(crate) struct AclEval {
    /// The history, as JSON; - reads standard input
    pub(crate) file: PathBuf,
}
