//! What can be typed after `kv` and `feed`.

use clap::{Args, Subcommand};
use threads_core::CollectionName;
use threads_db::FeedCursor;
use threads_shapes::feed::Position;

use super::from_one;

#[derive(Debug, Subcommand)]
pub(crate) enum KvCommand {
    /// Put a value under a key; the collection is made with the first
    Put(KvPut),
    /// Print the value of a key, as it is
    Get(KvGet),
    /// Delete keys: all of those named, or none
    Del(KvDel),
    /// List keys and values in order
    Ls(KvLs),
}

/// The pairs that a command works on.
#[derive(Debug, Args)]
pub(crate) struct Pairs {
    /// A thread's name or id
    pub(crate) db: String,
    /// The collection they are in
    #[arg(long, value_name = "NAME", default_value = "kv")]
    pub(crate) collection: CollectionName,
}

#[derive(Debug, Args)]
pub(crate) struct KvPut {
    #[command(flatten)]
    pub(crate) pairs: Pairs,
    /// The key
    pub(crate) key: String,
    /// The value; - reads standard input, which may be any bytes
    pub(crate) value: String,
}

#[derive(Debug, Args)]
pub(crate) struct KvGet {
    #[command(flatten)]
    pub(crate) pairs: Pairs,
    /// The key
    pub(crate) key: String,
}

#[derive(Debug, Args)]
pub(crate) struct KvDel {
    #[command(flatten)]
    pub(crate) pairs: Pairs,
    /// The keys
    #[arg(required = true, value_name = "KEY")]
    pub(crate) keys: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct KvLs {
    #[command(flatten)]
    pub(crate) pairs: Pairs,
    /// Only keys that begin so
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["from", "to"])]
    pub(crate) prefix: Option<String>,
    /// Begin with this key
    #[arg(long, value_name = "KEY")]
    pub(crate) from: Option<String>,
    /// End before this key
    #[arg(long, value_name = "KEY")]
    pub(crate) to: Option<String>,
    /// Print at most N
    #[arg(long, value_name = "N", value_parser = from_one)]
    pub(crate) limit: Option<u64>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum FeedCommand {
    /// Append an item, and print its position; the collection is made with the first
    Append(FeedAppend),
    /// Print the last items, or those after a position or a cursor, as JSON Lines
    Tail(FeedTail),
}

#[derive(Debug, Args)]
pub(crate) struct FeedAppend {
    /// A thread's name or id
    pub(crate) db: String,
    /// The item, as JSON; - reads standard input
    pub(crate) item: String,
    /// The collection it is in
    #[arg(long, value_name = "NAME", default_value = "feed")]
    pub(crate) collection: CollectionName,
}

#[derive(Debug, Args)]
pub(crate) struct FeedTail {
    /// A thread's name or id
    pub(crate) db: String,
    /// The collection it is in
    #[arg(long, value_name = "NAME", default_value = "feed")]
    pub(crate) collection: CollectionName,
    /// Print the last N; after a position or a cursor, at most N
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10, value_parser = from_one)]
    pub(crate) limit: u64,
    /// Those after this position, in the order that all peers agree on
    #[arg(long, value_name = "POSITION")]
    pub(crate) after: Option<Position>,
    /// Those that arrived here after this cursor, in the order of arrival; 0 is the beginning. Each line
    /// has the cursor to go on from
    #[arg(long, value_name = "CURSOR", conflicts_with = "after")]
    pub(crate) since: Option<FeedCursor>,
    /// Go on with what comes, after the last ones, until interrupted
    #[arg(long, conflicts_with = "after")]
    pub(crate) follow: bool,
    /// End after N items that came
    #[arg(long, value_name = "N", requires = "follow", value_parser = from_one)]
    pub(crate) count: Option<u64>,
}
