//! What the user can type about large content.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Subcommand};
use threads_core::blob::BlobRef;
use threads_core::{Cid, FieldPath};

use super::acl::EntityPath;
use super::peers::duration;

#[derive(Debug, Subcommand)]
pub(crate) enum BlobCommand {
    /// Put files in; prints a reference for each, to be kept in an entity
    Add(BlobAdd),
    /// Write a blob out, and get it from peers first if it is not here
    Get(BlobGet),
    /// List the blobs that are here, or asked for
    Ls(BlobLs),
    /// Take away the blobs that no entity names, and what was never finished
    Gc(BlobGc),
    /// Take one blob away here, whoever names it
    Rm(BlobRm),
    /// Look whether every block is what its name says
    Check(BlobCheck),
}

#[derive(Debug, Args)]
pub(crate) struct BlobAdd {
    /// A thread's name or id
    pub(crate) db: String,
    /// The files; - is the standard input
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// What they are, such as image/jpeg
    #[arg(long = "type", value_name = "MEDIA TYPE", default_value = "")]
    pub(crate) media_type: String,
}

#[derive(Debug, Args)]
pub(crate) struct BlobGet {
    /// A thread's name or id
    pub(crate) db: String,
    /// A reference, or the entity that has one: COLLECTION/ID
    #[arg(value_name = "REF|ENTITY")]
    pub(crate) what: RefOrEntity,
    /// The member of the entity that has it, where there are several
    #[arg(long, value_name = "PATH")]
    pub(crate) field: Option<FieldPath>,
    /// Write it to this file [default: the standard output]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Replace the file if it is there
    #[arg(long, requires = "output")]
    pub(crate) force: bool,
    /// How long to wait for what is not here
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    pub(crate) wait: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct BlobLs {
    /// A thread's name or id
    pub(crate) db: String,
}

#[derive(Debug, Args)]
pub(crate) struct BlobGc {
    /// A thread's name or id
    pub(crate) db: String,
    /// Leave those that came within this time: a reference may be on its way
    #[arg(long, value_name = "TIME", default_value = "1d", value_parser = duration)]
    pub(crate) older: Duration,
    /// Only say which
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Of a thread that cannot be read here: all that came before that time, for nobody can tell what is named
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct BlobRm {
    /// A thread's name or id
    pub(crate) db: String,
    /// Which, of `threads blob ls DB`
    #[arg(value_name = "CID")]
    pub(crate) blob: Cid,
}

#[derive(Debug, Args)]
pub(crate) struct BlobCheck {
    /// A thread's name or id
    pub(crate) db: String,
    /// Take away what is damaged, and have it fetched again
    #[arg(long)]
    pub(crate) repair: bool,
}

/// A reference, as text or JSON, or an entity that has one.
#[derive(Clone, Debug)]
pub(crate) enum RefOrEntity {
    Ref(BlobRef),
    Entity(EntityPath),
}

impl FromStr for RefOrEntity {
    type Err = threads_core::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.trim_start().starts_with('{') {
            let named = serde_json::from_str(text);
            let wrong = |cause| threads_core::Error::invalid("not a reference").caused_by(cause);
            return named.map(Self::Ref).map_err(wrong);
        }
        match text.starts_with("blob_") {
            true => text.parse().map(Self::Ref),
            false => text.parse().map(Self::Entity),
        }
    }
}
