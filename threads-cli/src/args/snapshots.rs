//! `snapshot`, `compact`.

use clap::{Args, Subcommand};
use threads_core::Cid;
use threads_db::{Keep, Point};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Snapshot {
    #[command(subcommand)]
    pub(crate) command: Option<SnapshotCommand>,
    /// A thread's name or id
    #[arg(required = true)]
    pub(crate) db: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SnapshotCommand {
    /// List the snapshots that somebody signed
    Ls(SnapshotLs),
    /// Make one again from the records that are here, and say whether it is right
    Check(SnapshotOf),
    /// Sign one that others signed, once it was found to be right
    Sign(SnapshotOf),
}

#[derive(Debug, Args)]
pub(crate) struct SnapshotLs {
    /// A thread's name or id
    pub(crate) db: String,
}

#[derive(Debug, Args)]
pub(crate) struct SnapshotOf {
    /// A thread's name or id
    pub(crate) db: String,
    /// The snapshot's name, as `snapshot ls` lists it
    pub(crate) id: Cid,
}

#[derive(Debug, Args)]
pub(crate) struct Compact {
    /// A thread's name or id
    pub(crate) db: String,
    /// What to keep: all, latest, or since:TIME
    #[arg(long, value_name = "WHAT", default_value = "latest", value_parser = keep)]
    pub(crate) keep: Keep,
    /// Only say what would be dropped
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Drop records of a shared thread too: see to it that another peer keeps all of them
    #[arg(long)]
    pub(crate) even_alone: bool,
}

fn keep(text: &str) -> Result<Keep, String> {
    if let Some(Ok(Point::Time(time))) = text.strip_prefix("since:").map(str::parse) {
        return Ok(Keep::SinceMs(time.wall_ms));
    }
    let wrong = "say all, latest, or since: and a time such as 2026-01-31T00:00:00Z";
    text.parse().map_err(|_| wrong.to_owned())
}
