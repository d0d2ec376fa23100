//! What the user can type.

use std::path::PathBuf;

use crate::exit::EXIT_CODES;
use crate::paths::{CompoundPath, SortBy};
use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use threads_core::{Cid, CodecId, CollectionName, FieldPath, PeerId};

mod acl;
mod blobs;
mod keys;
mod module;
mod peers;
mod shapes;
mod snapshots;
mod travel;

pub(crate) use acl::{
    AclCommand, AclDefault, AclEval, AclGrant, AclRestrict, AclRevoke, EntityPath, Purge,
    QuarantineAdopt, QuarantineCommand, QuarantineShow, RecordOrEntity, Who, Why,
};
pub(crate) use blobs::{
    BlobAdd, BlobCheck, BlobCommand, BlobGc, BlobGet, BlobLs, BlobRm, RefOrEntity,
};
pub(crate) use keys::{Begin, IdentityCommand, KeysCommand, KeystoreCommand};
pub(crate) use module::{ModuleAdd, ModuleCommand, ModuleNew};
pub(crate) use peers::{Connect, Decide, HashTablePart, Invite, Join, RevokeInvite, Serve, Sync};
pub(crate) use shapes::{
    FeedAppend, FeedCommand, FeedTail, KvCommand, KvDel, KvGet, KvLs, KvPut, Pairs,
};
pub(crate) use snapshots::{Compact, Snapshot, SnapshotCommand, SnapshotOf};
pub(crate) use travel::{At, AtCommand, Blame, Diff, History, Revert, TakeBack, Undo};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold());

/// The most rows of one batch: as many events as one record holds.
const BATCH_ROWS_MAX: u64 = threads_core::batch::EVENTS_MAX as u64;

/// Threads: documents that you can query, watch, prove intact and carry.
///
/// Begin with `threads demo`, or with `threads init` and `threads create NAME`.
#[derive(Debug, Parser)]
#[command(name = "threads", version, styles = STYLES, after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Cli {
    /// The repository's directory [default: $THREADS_REPO, or your data directory]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) repo: Option<PathBuf>,

    /// Open the keystore with the first line of this file
    /// [default: $THREADS_KEYSTORE_PASSPHRASE, $THREADS_PASSPHRASE, or ask]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) keystore_passphrase_file: Option<PathBuf>,

    /// Print results, and the error if there is one, as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make the repository: a place on disk, and an identity
    Init(Begin),
    /// Make a thread and print its id
    Create(Create),
    /// List the threads
    Ls,
    /// Show where each thread stands with its peers, and what is not applied here
    Status(Status),
    /// Serve the threads to peers, and keep them in sync, until interrupted
    ///
    /// Other commands work on the same repository meanwhile.
    Serve(Serve),
    /// Print this node's id, its card for invites, and where it listens
    Id,
    /// Say what protects the keys in the repository, or change it
    #[command(subcommand)]
    Keystore(KeystoreCommand),
    /// See and change the keys that a thread with rules is sealed under
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Write the identity down as 24 words, or bring it back by them
    #[command(subcommand)]
    Identity(IdentityCommand),
    /// Invite to a thread; prints what to hand over
    ///
    /// With --to only that peer can use it, and it holds the thread's keys sealed. Without, it is a
    /// link: who uses it asks to join, and is let in with `threads accept`.
    Invite(Invite),
    /// List the invites to a thread, and who asks to join
    Invites(OfThread),
    /// Make an invite good for nobody any more
    RevokeInvite(RevokeInvite),
    /// Take part in a thread by an invite
    Join(Join),
    /// Let in somebody who asks to join
    Accept(Decide),
    /// Do not let in somebody who asks to join
    Decline(Decide),
    /// List who joined a thread
    Members(OfThread),
    /// Take part in a thread no longer; what is here stays
    Leave(OfThread),
    /// List the peers that threads are shared with
    Peers,
    /// Connect to a peer, and remember where it is
    Connect(Connect),
    /// Exchange what is new in a thread with its peers
    ///
    /// Ends well only when every peer that was reached has the same records as this one.
    Sync(Sync),
    /// Define and list collections
    #[command(subcommand)]
    Collection(CollectionCommand),
    /// Add modules to threads, list them, and begin a new one
    #[command(subcommand)]
    Module(ModuleCommand),
    /// See and change who may do what
    #[command(subcommand)]
    Acl(AclCommand),
    /// Say why a record is applied or not; of an entity, all its records
    Why(Why),
    /// See and adopt records that are kept and not applied
    #[command(subcommand)]
    Quarantine(QuarantineCommand),
    /// Load a JSON array or JSON Lines into a collection
    ///
    /// A row whose _id is there already replaces that entity. So an import that was interrupted can
    /// be run again if its rows have an _id, or with --id-field; other rows would be in twice. Rows
    /// that are not valid are named and left out; the exit code is then 5.
    Import(Import),
    /// Find entities, as JSON Lines
    Find(Find),
    /// Print one entity
    Get(Get),
    /// Add an entity, or replace the one with its _id; prints the id
    Put(Put),
    /// Change part of an entity
    Patch(Patch),
    /// Delete entities: all of those named, or none
    Rm(Remove),
    /// Erase what entities said, here and on peers that follow; without entities, list what was purged
    Purge(Purge),
    /// Keys and values: put, get and delete them, and list ranges of them
    #[command(subcommand)]
    Kv(KvCommand),
    /// Append to a feed, and read and follow it
    #[command(subcommand)]
    Feed(FeedCommand),
    /// Tell what became of an entity, event by event
    History(History),
    /// Tell who gave the fields of an entity their values, and when
    Blame(Blame),
    /// Tell what differs between two points in time
    ///
    /// With --json each difference has a JSON Patch (RFC 6902).
    Diff(Diff),
    /// Look at a thread as it was
    At(At),
    /// Make an entity what it was
    Revert(Revert),
    /// Take back the last transaction of this repository, and keep what others changed since
    ///
    /// Deleting is final: a transaction that created or deleted entities is taken back with --final only.
    Undo(Undo),
    /// Take back the last undo
    Redo(TakeBack),
    /// Keep large content apart from records: put it in, write it out, list it, clear it
    #[command(subcommand)]
    Blob(BlobCommand),
    /// List the records, newest first
    Log(Log),
    /// Print what a block holds
    Show(Show),
    /// Prove every hash, signature, link and derived value
    Verify(OfThread),
    /// Print changes as they happen, as JSON Lines
    Watch(Watch),
    /// Make and sign a snapshot of a thread: its state, under a name; list, check and sign those of others
    Snapshot(Snapshot),
    /// Drop old records here and keep what they came to
    Compact(Compact),
    /// Write the whole thread to one file
    Export(Export),
    /// Read a thread from the file of an export
    Restore(Restore),
    /// Print a completion script for your shell
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Show the main job in a minute, in a directory of its own
    Demo,
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// What you will call the thread
    pub(crate) name: String,
    /// Make a thread with rules about who may do what; this node is its root, who may do everything
    #[arg(long)]
    pub(crate) access_controlled: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// A thread's name or id, to see each record that is not applied; all threads without it
    pub(crate) db: Option<String>,
    /// Go on, and tell whenever that changes
    #[arg(long)]
    pub(crate) follow: bool,
    /// End after N changes
    #[arg(long, value_name = "N", requires = "follow", value_parser = from_one)]
    pub(crate) count: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct OfThread {
    /// A thread's name or id
    pub(crate) db: String,
}

/// The collection that a command works on.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// A thread's name or id
    pub(crate) db: String,
    /// A collection of it
    pub(crate) collection: CollectionName,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CollectionCommand {
    /// Define a collection, or change its schema or indexes
    Add(CollectionAdd),
    /// List the collections of a thread
    Ls(OfThread),
}

#[derive(Debug, Args)]
pub(crate) struct CollectionAdd {
    #[command(flatten)]
    pub(crate) target: Target,
    /// A JSON Schema that every entity must follow; - reads standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) schema: Option<PathBuf>,
    /// How changes are encoded
    #[arg(long, value_name = "ID", default_value = "jsonpatch/1")]
    pub(crate) codec: CodecId,
    /// Index a field (address.city or /address/city), or several together (a,b); repeatable
    #[arg(long, value_name = "PATH")]
    pub(crate) index: Vec<CompoundPath>,
    /// The same, and refuse a second entity with the same value; repeatable
    #[arg(long, value_name = "PATH")]
    pub(crate) unique: Vec<CompoundPath>,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    #[command(flatten)]
    pub(crate) target: Target,
    /// A JSON array or JSON Lines; - reads standard input
    pub(crate) file: PathBuf,
    /// Rows in one transaction, and so in one record
    #[arg(long, value_name = "N", default_value_t = 1_000,
          value_parser = clap::value_parser!(u64).range(1..=BATCH_ROWS_MAX))]
    pub(crate) batch: u64,
    /// Take each entity's _id from this field
    #[arg(long, value_name = "PATH")]
    pub(crate) id_field: Option<FieldPath>,
    /// End at the first row that is not valid
    #[arg(long)]
    pub(crate) strict: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Find {
    #[command(flatten)]
    pub(crate) target: Target,
    /// A condition, such as "age >= 60 and name starts_with 'A'" [default: every entity]
    pub(crate) expr: Option<String>,
    /// Sort by a field, descending with :desc; repeatable
    #[arg(long, value_name = "PATH[:asc|:desc]")]
    pub(crate) sort: Vec<SortBy>,
    /// Leave out the first N
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) skip: u64,
    /// Print at most N, then the cursor of the next page on standard error
    #[arg(long, value_name = "N", value_parser = from_one)]
    pub(crate) limit: Option<u64>,
    /// Go on after this cursor, with the same query
    #[arg(long, value_name = "CURSOR")]
    pub(crate) after: Option<String>,
    /// Print only these fields, and _id
    #[arg(long, value_name = "PATHS", value_delimiter = ',')]
    pub(crate) fields: Vec<FieldPath>,
    /// Print how many there are
    #[arg(long, conflicts_with_all = ["explain", "fields", "after", "skip", "limit"])]
    pub(crate) count: bool,
    /// Print how the query would run
    #[arg(long)]
    pub(crate) explain: bool,
    /// Go on, and print what changes in the result
    #[arg(long, conflicts_with_all = ["count", "explain"])]
    pub(crate) watch: bool,
    /// End after N updates, the result counted
    #[arg(long, value_name = "N", requires = "watch", value_parser = from_one)]
    pub(crate) updates: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct Get {
    #[command(flatten)]
    pub(crate) target: Target,
    /// The entity's _id
    pub(crate) id: String,
}

#[derive(Debug, Args)]
pub(crate) struct Put {
    #[command(flatten)]
    pub(crate) target: Target,
    /// The entity; - reads standard input
    pub(crate) value: String,
}

#[derive(Debug, Args)]
pub(crate) struct Patch {
    #[command(flatten)]
    pub(crate) target: Target,
    /// The entity's _id
    pub(crate) id: String,
    /// Members to replace, null to remove one (RFC 7396); - reads standard input
    pub(crate) patch: String,
    /// The patch is a list of operations (RFC 6902)
    #[arg(long)]
    pub(crate) rfc6902: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Remove {
    #[command(flatten)]
    pub(crate) target: Target,
    /// The _id of each
    #[arg(required = true, value_name = "ID")]
    pub(crate) ids: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Log {
    #[command(flatten)]
    pub(crate) of: OfThread,
    /// Print at most N
    #[arg(long, value_name = "N", value_parser = from_one)]
    pub(crate) limit: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    #[command(flatten)]
    pub(crate) of: OfThread,
    /// A record of `threads log`, or a block that one names
    #[arg(value_parser = cid)]
    pub(crate) cid: Cid,
}

#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// A thread's name or id
    pub(crate) db: String,
    /// Only this collection
    pub(crate) collection: Option<CollectionName>,
    /// Only entities that meet this condition
    pub(crate) expr: Option<String>,
    /// Begin after this cursor, or at the `start`, instead of now
    #[arg(long, value_name = "CURSOR")]
    pub(crate) since: Option<String>,
    /// End after N changes
    #[arg(long, value_name = "N", value_parser = from_one)]
    pub(crate) count: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// A thread's name or id
    pub(crate) db: String,
    /// The file to write
    pub(crate) file: PathBuf,
    /// Put the thread's keys in the file, sealed under a passphrase
    #[arg(long)]
    pub(crate) with_keys: bool,
    /// Write what the records came to in place of them, signed
    #[arg(long)]
    pub(crate) snapshot: bool,
    /// Put in what is here of blobs too
    #[arg(long)]
    pub(crate) with_blobs: bool,
    /// Replace the file if it exists
    #[arg(long)]
    pub(crate) force: bool,
    /// Take the passphrase from the first line of this file [default: $THREADS_PASSPHRASE, or ask]
    #[arg(long, value_name = "FILE", requires = "with_keys")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// The file of an export
    pub(crate) file: PathBuf,
    /// What to call the thread here [default: its name there]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Take the passphrase from the first line of this file [default: $THREADS_PASSPHRASE, or ask]
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// How many peers must have signed for the snapshot that the file begins with, if it does
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) signers: usize,
    /// Count only what this peer signed; may be given several times [default: all who write]
    #[arg(long, value_name = "PEER")]
    pub(crate) trust: Vec<PeerId>,
}

/// A number of things of which none is not worth asking for.
fn from_one(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("give a whole number from 1 to {}", u64::MAX)),
    }
}

fn cid(text: &str) -> Result<Cid, String> {
    text.parse()
        .map_err(|_| "not a CID: `threads log DB` lists those of the records".to_owned())
}
