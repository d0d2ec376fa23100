//! Keys of [`Keyspace::Meta`](threads_core::datastore::Keyspace::Meta).

use super::{CollectionName, LogId, Number, ThreadId};

pub(crate) fn counter() -> Vec<u8> {
    b"next".to_vec()
}

pub(crate) fn thread_by_id(id: &ThreadId) -> Vec<u8> {
    [b"id/", id.as_bytes()].concat()
}

pub(crate) fn thread_by_name(name: &str) -> Vec<u8> {
    [b"name/", name.as_bytes()].concat()
}

/// By what peers that hold the thread's replica key call it.
pub(crate) fn thread_by_locator(locator: &[u8; 16]) -> Vec<u8> {
    [b"loc/", &locator[..]].concat()
}

pub(crate) const PENDING_JOINS: &[u8] = b"join/";

/// A link that this node waits for.
pub(crate) fn pending_join(invite: &str) -> Vec<u8> {
    [PENDING_JOINS, invite.as_bytes()].concat()
}

/// The thread of a link that this node made.
pub(crate) fn link_by_id(invite: &str) -> Vec<u8> {
    [b"link/", invite.as_bytes()].concat()
}

pub(crate) const THREADS: &[u8] = b"thread/";

pub(crate) fn thread(thread: Number) -> Vec<u8> {
    [THREADS, &thread.to_be_bytes()].concat()
}

pub(crate) fn tip(thread: Number) -> Vec<u8> {
    [b"tip/", &thread.to_be_bytes()[..]].concat()
}

/// The generation of the thread's catalogue: changed whenever a definition changes.
pub(crate) fn catalogue(thread: Number) -> Vec<u8> {
    [b"cat/", &thread.to_be_bytes()[..]].concat()
}

/// The local number of a log; of a log that was forked, that of the branch that came first.
pub(crate) fn log_by_id(thread: Number, log: &LogId) -> Vec<u8> {
    [b"log/", &thread.to_be_bytes()[..], log.key_bytes()].concat()
}

pub(crate) fn logs(thread: Number) -> Vec<u8> {
    [b"logno/", &thread.to_be_bytes()[..]].concat()
}

/// From a local number to the log.
pub(crate) fn log(thread: Number, log: Number) -> Vec<u8> {
    [logs(thread), log.to_be_bytes().to_vec()].concat()
}

/// The lines of forked logs.
pub(crate) fn lines(thread: Number) -> Vec<u8> {
    [b"line/", &thread.to_be_bytes()[..]].concat()
}

pub(crate) fn line(thread: Number, line: &LogId) -> Vec<u8> {
    [&lines(thread)[..], line.key_bytes()].concat()
}

/// The line whose records are kept under a local number from `first` on.
pub(crate) fn segment(thread: Number, log: Number, first: u64) -> Vec<u8> {
    let (thread, log) = (thread.to_be_bytes(), log.to_be_bytes());
    [b"seg/", &thread[..], &log, &first.to_be_bytes()].concat()
}

/// What a branch with a local number of its own branches off.
pub(crate) fn origin(thread: Number, branch: Number) -> Vec<u8> {
    [b"origin/", &thread.to_be_bytes()[..], &branch.to_be_bytes()].concat()
}

/// The identity that owns a log.
pub(crate) fn author(thread: Number, log: Number) -> Vec<u8> {
    [b"author/", &thread.to_be_bytes()[..], &log.to_be_bytes()].concat()
}

pub(crate) const RESTORING: &[u8] = b"restoring/";

/// Marks a thread that a restore has begun and not ended.
pub(crate) fn restoring(thread: Number) -> Vec<u8> {
    [RESTORING, &thread.to_be_bytes()].concat()
}

/// The log that this node writes in the thread.
pub(crate) fn own_log(thread: Number) -> Vec<u8> {
    [b"own/", &thread.to_be_bytes()[..]].concat()
}

/// What an access-controlled thread that was made here begins with.
pub(crate) fn genesis(thread: Number) -> Vec<u8> {
    [b"genesis/", &thread.to_be_bytes()[..]].concat()
}

/// The latest access records of the thread: those that no other names.
pub(crate) fn latest_access(thread: Number) -> Vec<u8> {
    [b"acl/", &thread.to_be_bytes()[..]].concat()
}

/// The access records that a record of a log named, for all after it that name none.
pub(crate) fn named_access(thread: Number, log: Number, seq: u64) -> Vec<u8> {
    let (thread, log) = (thread.to_be_bytes(), log.to_be_bytes());
    [b"aclat/", &thread[..], &log, &seq.to_be_bytes()].concat()
}

/// The access records that a log knows of after its last record.
pub(crate) fn known_access(thread: Number, log: Number) -> Vec<u8> {
    [b"acllast/", &thread.to_be_bytes()[..], &log.to_be_bytes()].concat()
}

/// The head of another log that this node's own log named last.
pub(crate) fn named_head(thread: Number, log: &LogId) -> Vec<u8> {
    [b"named/", &thread.to_be_bytes()[..], log.key_bytes()].concat()
}

pub(crate) fn collections(thread: Number) -> Vec<u8> {
    [b"col/", &thread.to_be_bytes()[..]].concat()
}

pub(crate) fn collection(thread: Number, name: &CollectionName) -> Vec<u8> {
    [&collections(thread)[..], name.as_str().as_bytes()].concat()
}

/// An index is known by its collection and a digest of its paths.
pub(crate) fn index(collection: Number, paths: &[u8; 32]) -> Vec<u8> {
    [&indexes(collection)[..], &paths[..16]].concat()
}

/// What the keys of all indexes of a collection begin with.
pub(crate) fn indexes(collection: Number) -> Vec<u8> {
    [b"idx/", &collection.to_be_bytes()[..]].concat()
}

/// Set once an entity has had more than one entry in the index.
pub(crate) fn index_multi(index: Number) -> Vec<u8> {
    [b"multi/", &index.to_be_bytes()[..]].concat()
}

/// Set while the indexes of a collection are not kept, because it cannot be used here.
pub(crate) fn stale(collection: Number) -> Vec<u8> {
    [b"stale/", &collection.to_be_bytes()[..]].concat()
}

/// The codecs that were installed when the thread was last opened.
pub(crate) fn codecs(thread: Number) -> Vec<u8> {
    [b"codecs/", &thread.to_be_bytes()[..]].concat()
}

/// Set once an entity had more entries than the index can hold.
pub(crate) fn index_partial(index: Number) -> Vec<u8> {
    [b"partial/", &index.to_be_bytes()[..]].concat()
}

/// What the state of the thread begins with here, where not all of its records are here.
pub(crate) fn base(thread: Number) -> Vec<u8> {
    [b"base/", &thread.to_be_bytes()[..]].concat()
}

/// What is kept of records that were dropped, or never here, by log.
pub(crate) fn all_marks(thread: Number) -> Vec<u8> {
    [b"marks/", &thread.to_be_bytes()[..]].concat()
}

/// The same of some records of a log that follow each other.
pub(crate) fn marks(thread: Number, log: Number, row: u64) -> Vec<u8> {
    let (thread, log) = (thread.to_be_bytes(), log.to_be_bytes());
    [b"marks/", &thread[..], &log, &row.to_be_bytes()].concat()
}

/// What is derived here of a thread's records: the prefixes of all of it.
pub(crate) fn of_records(thread: Number) -> Vec<Vec<u8>> {
    let of = |prefix: &[u8]| [prefix, &thread.to_be_bytes()].concat();
    vec![
        base(thread),
        tip(thread),
        latest_access(thread),
        removal(thread),
        of(b"author/"),
        of(b"aclat/"),
        of(b"acllast/"),
        all_marks(thread),
    ]
}

/// That the thread is to begin with a snapshot here, and how far that is.
pub(crate) fn sought(thread: Number) -> Vec<u8> {
    [b"sought/", &thread.to_be_bytes()[..]].concat()
}

/// By whose word, and in which record, this node lost its part in a thread.
pub(crate) fn removal(thread: Number) -> Vec<u8> {
    [b"removal/", &thread.to_be_bytes()[..]].concat()
}

/// Set while the files of the store may still hold what was purged.
pub(crate) const UNWIPED: &[u8] = b"unwiped";

/// How much is held on the node, over all its threads.
pub(crate) const HELD: &[u8] = b"held";
/// The same of those that wait, and of those in quarantine, which do not stand in their logs.
pub(crate) const HELD_WAITING: &[u8] = b"held/waiting";
pub(crate) const HELD_APART: &[u8] = b"held/apart";

pub(crate) const KEPT: &[u8] = b"kept/";

/// How many bytes are kept of a thread that this node cannot read.
pub(crate) fn kept(thread: Number) -> Vec<u8> {
    [KEPT, &thread.to_be_bytes()].concat()
}

/// What is here and was not read yet, as its keys came later.
pub(crate) fn unread(thread: Number) -> Vec<u8> {
    [b"unread/", &thread.to_be_bytes()[..]].concat()
}

/// After which position the keys of an epoch came.
pub(crate) fn epoch(thread: Number, epoch: u64) -> Vec<u8> {
    [b"epo/", &thread.to_be_bytes()[..], &epoch.to_be_bytes()].concat()
}

/// Epochs of which records came that no keys here open.
pub(crate) fn locked(thread: Number) -> Vec<u8> {
    [b"lck/", &thread.to_be_bytes()[..]].concat()
}

pub(crate) fn reducer(thread: Number, name: &str) -> Vec<u8> {
    [b"red/", &thread.to_be_bytes()[..], name.as_bytes()].concat()
}
