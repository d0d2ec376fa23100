#![doc = include_str!("../README.md")]

mod access;
mod base;
mod blobs;
#[cfg(doctest)]
#[doc = include_str!("../doc/blobs.md")]
mod blobs_page {}
mod car;
mod catalogue;
mod chain;
mod collection;
mod compact;
mod db;
mod definitions;
mod dispatcher;
mod document;
mod entity;
mod epoch;
mod export;
mod feed;
mod fork;
#[doc(hidden)]
pub mod fuzzing;
mod held;
mod history;
pub mod index;
mod ingest;
mod installed;
pub mod invite;
mod kept;
pub mod keystore;
mod layout;
mod line;
mod listener;
mod live;
mod log;
mod missing;
mod modules;
mod node;
mod notify;
mod opened;
mod passphrase;
mod progress;
mod purge;
pub mod query;
mod read;
mod reducers;
mod replicas;
mod restore;
pub mod schema;
mod sharing;
mod snapshot;
mod stage;
pub mod sync;
mod text;
mod thread;
#[doc = include_str!("../guides/time-travel.md")]
pub mod time_travel {}
mod travel;
mod txn;
#[cfg(test)]
mod vectors;
mod verify;
mod whole;

pub use access::Removal;
pub use blobs::{BlobInfo, BlobReader, Blobs, BlobsChecked, BlobsCleared, Missing};
pub use collection::Collection;
pub use compact::{BaseInfo, CompactOptions, CompactReport, Keep, Regained};
pub use db::{CollectionInfo, Db};
pub use epoch::{EpochHeld, EpochInfo};
pub use export::{ExportOptions, ExportReport};
pub use feed::{Change, Rejudged};
pub use fork::{Branch, Fork};
pub use held::{HeldCounts, HeldReason, HeldRecord};
pub use index::UniqueConflict;
pub use invite::{
    Invite, InviteOptions, InviteStatus, JoinOptions, JoinRequest, Joined, Member, Role,
};
pub use keystore::{Keystore, KeystoreFault, KeystoreFile, PassphrasePrice};
pub use listener::{ChangeFilter, FeedCursor, LAG_RECORDS_MAX, Listener, Notice};
pub use live::{
    LIVE_ENTITIES_MAX, LIVE_RECORDS_MAX, LIVE_SPARE_ROWS_MAX, LiveChange, LiveQuery, LiveUpdate,
    LiveView, Renewed,
};
pub use log::{LogEntry, Shown, ShownEvent};
pub use missing::MissingCodec;
pub use modules::{
    BREACHES_MAX, Breach, InstallOptions, InstalledModule, MODULE_CONFLICTS_MAX, MODULES_MAX,
    ModuleConflict, ModuleConflictKind, ModuleInfo,
};
pub use node::{Node, NodeBuilder, ThreadSummary};
pub use progress::Progress;
pub use purge::{Emptied, EmptiedCounts, PURGE_ENTITIES_MAX, Purge, PurgeReport};
pub use restore::{RestoreOptions, RestoreReport};
pub use sharing::ThreadKeys;
pub use snapshot::{FromSnapshot, NotOpened, Snapshot, SnapshotCheck, SnapshotTrust, TRUSTED_MAX};
pub use threads_core::Erased;
pub use travel::{
    Blame, DiffScope, Edit, EntityDiff, Fate, Finality, History, KeptField, Moment, Past, Point,
    Undone, UndoneEntity, UndoneHow,
};
pub use txn::{Commit, ReadTransaction, Rows, WriteTransaction};
pub use verify::{PROBLEMS_MAX, Problem, VerifyReport};

/// The page on live views: its code compiles, and runs.
#[cfg(doctest)]
#[doc = include_str!("../../docs/live-views.md")]
struct LiveViewsPage;

/// The same of the page on snapshots.
#[cfg(doctest)]
#[doc = include_str!("../../docs/snapshots.md")]
struct SnapshotsPage;

#[cfg(feature = "codec-automerge")]
#[doc(inline)]
pub use threads_codec_automerge as codec_automerge;
#[cfg(feature = "codec-jsonpatch")]
#[doc(inline)]
pub use threads_codec_jsonpatch as codec_jsonpatch;
#[cfg(feature = "codec-lww")]
#[doc(inline)]
pub use threads_codec_lww as codec_lww;
#[cfg(feature = "store-lmdb")]
#[doc(inline)]
pub use threads_store_lmdb as store_lmdb;
#[cfg(feature = "store-redb")]
#[doc(inline)]
pub use threads_store_redb as store_redb;
