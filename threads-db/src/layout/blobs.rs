//! Keys of [`Keyspace::Blobs`](threads_core::datastore::Keyspace::Blobs).

use super::Number;

/// What names a block: the digest of its CID.
pub(crate) type Name = [u8; 32];

fn tagged(thread: Number, tag: u8) -> Vec<u8> {
    [&thread.to_be_bytes()[..], &[tag]].concat()
}

fn named(thread: Number, tag: u8, name: &Name) -> Vec<u8> {
    [&tagged(thread, tag)[..], name].concat()
}

/// A block: a chunk, or a manifest.
pub(crate) fn block(thread: Number, name: &Name) -> Vec<u8> {
    named(thread, b'b', name)
}

pub(crate) fn all_here(thread: Number) -> Vec<u8> {
    tagged(thread, b'h')
}

/// That a block is here, and how long it is: to be looked up without reading it.
pub(crate) fn here(thread: Number, name: &Name) -> Vec<u8> {
    named(thread, b'h', name)
}

/// The owners of a block: manifests, and what is being put in.
pub(crate) fn owners(thread: Number, name: &Name) -> Vec<u8> {
    named(thread, b'u', name)
}

pub(crate) fn owner(thread: Number, name: &Name, owner: &Name) -> Vec<u8> {
    [&owners(thread, name)[..], owner].concat()
}

pub(crate) fn roots(thread: Number) -> Vec<u8> {
    tagged(thread, b'r')
}

/// A blob, by the name of its manifest.
pub(crate) fn root(thread: Number, name: &Name) -> Vec<u8> {
    named(thread, b'r', name)
}

pub(crate) fn all_wanted(thread: Number) -> Vec<u8> {
    tagged(thread, b'w')
}

/// That a blob is to be got.
pub(crate) fn wanted(thread: Number, name: &Name) -> Vec<u8> {
    named(thread, b'w', name)
}

pub(crate) fn list(thread: Number) -> Vec<u8> {
    tagged(thread, b'l')
}

/// A blob, by the order in which they became whole here.
pub(crate) fn listed(thread: Number, position: u64) -> Vec<u8> {
    [&list(thread)[..], &position.to_be_bytes()].concat()
}

/// What tells this list from others, and its last position.
pub(crate) fn list_end(thread: Number) -> Vec<u8> {
    tagged(thread, b'n')
}

/// What is being put in, by a name made up for it: when it was last seen to.
pub(crate) fn upload(thread: Number, name: &Name) -> Vec<u8> {
    named(thread, b'p', name)
}

/// That this node gets every blob of a thread that peers list.
pub(crate) fn keeps_all(thread: Number) -> Vec<u8> {
    tagged(thread, b'a')
}

/// How much of a peer's list this node has taken in.
pub(crate) fn heard(thread: Number, peer: &[u8; 32]) -> Vec<u8> {
    [&tagged(thread, b'c')[..], peer].concat()
}
