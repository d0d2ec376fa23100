//! What the user can type to look into the past, and to take changes back.

use clap::{Args, Subcommand};
use threads_core::{CollectionName, EntityId, FieldPath};
use threads_db::Point;

use super::{Find, Get, Target};

#[derive(Debug, Args)]
pub(crate) struct History {
    #[command(flatten)]
    pub(crate) target: Target,
    /// The entity's _id
    pub(crate) id: String,
}

#[derive(Debug, Args)]
pub(crate) struct Blame {
    #[command(flatten)]
    pub(crate) target: Target,
    /// The entity's _id
    pub(crate) id: String,
    /// Only this field, which may lead into a list (tags.0) or be gone
    pub(crate) field: Option<FieldPath>,
}

#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// A thread's name or id
    pub(crate) db: String,
    /// From this point: `now`, a time such as 2026-01-31T23:59:59Z, or the CIDs of records with commas between
    pub(crate) from: Point,
    /// To this one
    pub(crate) to: Point,
    /// Only this collection
    pub(crate) collection: Option<CollectionName>,
    /// Only this entity of it
    pub(crate) id: Option<EntityId>,
}

#[derive(Debug, Args)]
pub(crate) struct At {
    /// `now`, a time such as 2026-01-31T23:59:59Z, the CIDs of records with commas between, or @POSITION
    pub(crate) point: Point,
    #[command(subcommand)]
    pub(crate) what: AtCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AtCommand {
    /// Find entities as they were, as JSON Lines
    Find(Find),
    /// Print one entity as it was
    Get(Get),
}

#[derive(Debug, Args)]
pub(crate) struct Revert {
    #[command(flatten)]
    pub(crate) target: Target,
    /// The entity's _id
    pub(crate) id: String,
    /// What it was then: a time such as 2026-01-31T23:59:59Z, or the CIDs of records with commas between
    pub(crate) to: Point,
}

#[derive(Debug, Args)]
pub(crate) struct Undo {
    #[command(flatten)]
    pub(crate) what: TakeBack,
    /// Leave all that the transaction did, and have the next undo take back the one before it
    #[arg(long, conflicts_with_all = ["finally", "dry_run"])]
    pub(crate) skip: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TakeBack {
    /// A thread's name or id
    pub(crate) db: String,
    /// Also where entities were created or deleted: delete the first for good, leave the others dead
    #[arg(long = "final")]
    pub(crate) finally: bool,
    /// Show what would happen, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}
