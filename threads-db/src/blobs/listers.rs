//! Blobs that are wanted because peers listed them: shared out among those, so that none takes the place of all.

use std::collections::BTreeMap;

use serde_bytes::ByteArray;
use threads_core::datastore::{ReadTxn, WriteTxn};
use threads_core::{Cid, Result};

use super::rows::{ListEnd, Root, name};
use super::wanted;
use crate::layout::Number;
use crate::layout::blobs::{self as keys, Name};
use crate::thread::Thread;

/// The most blobs of a thread that are wanted because peers listed them, and are not whole yet.
const WANTED_MAX: usize = 4_096;
/// How many peers are noted that listed one blob.
const LISTERS_MAX: usize = 64;

/// Who listed what is wanted, for a peer that lists more. A blob counts for the first of those who listed it.
pub(super) struct Listers<'a> {
    thread: &'a Thread,
    peer: [u8; 32],
    wanted: BTreeMap<[u8; 32], Vec<Name>>,
}

/// What came of a blob that a peer listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Noted {
    New,
    Known,
    NoRoom,
}

/// Whether more is wanted of what a peer lists.
pub(super) fn has_room(txn: &dyn ReadTxn, thread: &Thread, peer: &[u8; 32]) -> Result<bool> {
    if Root::wanted(txn, thread.number, None, WANTED_MAX)?.len() < WANTED_MAX {
        return Ok(true);
    }
    Ok(Listers::read(txn, thread, peer)?.has_room())
}

/// A peer has not what it may have listed: nobody is asked for it any more when nobody else listed it.
pub(super) fn lacks(
    txn: &mut dyn WriteTxn,
    thread: Number,
    name: &Name,
    peer: &[u8; 32],
) -> Result<()> {
    let root = Root::get(txn.as_read(), thread, name)?;
    let Some(mut root) = root.filter(|root| root.is_listed_only()) else {
        return Ok(());
    };
    let before = root.by.len();
    root.by.retain(|by| **by != *peer);
    match root.by.len() {
        0 => Root::delete(txn, thread, name),
        left if left < before => root.put(txn, thread, name),
        _ => Ok(()),
    }
}

impl<'a> Listers<'a> {
    pub(super) fn read(txn: &dyn ReadTxn, thread: &'a Thread, peer: &[u8; 32]) -> Result<Self> {
        let mut wanted = BTreeMap::from([(*peer, Vec::new())]);
        // As many as there is room for, and those that were asked for here.
        for name in Root::wanted(txn, thread.number, None, usize::MAX)? {
            let root = Root::get(txn, thread.number, &name)?;
            let listed = root.filter(Root::is_listed_only);
            if let Some(by) = listed.and_then(|root| root.by.first().copied()) {
                wanted.entry(*by).or_insert_with(Vec::new).push(name);
            }
        }
        Ok(Self {
            thread,
            peer: *peer,
            wanted,
        })
    }

    /// The peer listed a blob.
    pub(super) fn note(&mut self, txn: &mut dyn WriteTxn, cid: &Cid) -> Result<Noted> {
        if let Some(root) = Root::get(txn.as_read(), self.thread.number, &name(cid))? {
            self.add_to(txn, root, &name(cid))?;
            return Ok(Noted::Known);
        }
        if !self.has_room() {
            return Ok(Noted::NoRoom);
        }
        if self.is_full() {
            self.forget_one(txn)?;
        }
        wanted::begin(txn, self.thread, cid, vec![ByteArray::new(self.peer)])?;
        self.wanted.entry(self.peer).or_default().push(name(cid));
        Ok(Noted::New)
    }

    fn is_full(&self) -> bool {
        self.wanted.values().map(Vec::len).sum::<usize>() >= WANTED_MAX
    }

    /// Whether there is room, or the peer has less than its share.
    fn has_room(&self) -> bool {
        let own = self.wanted.get(&self.peer).map_or(0, Vec::len);
        !self.is_full() || own < WANTED_MAX / self.wanted.len()
    }

    /// Forgets a blob of the peer that has most of those that are wanted. It may list it again.
    fn forget_one(&mut self, txn: &mut dyn WriteTxn) -> Result<()> {
        let most = self.wanted.values_mut().max_by_key(|names| names.len());
        let Some(name) = most.and_then(Vec::pop) else {
            return Ok(());
        };
        let thread = self.thread.number;
        if let Some(root) = Root::get(txn.as_read(), thread, &name)? {
            for by in &root.by {
                hear_again(txn, thread, by)?;
            }
        }
        Root::delete(txn, thread, &name)
    }

    /// Notes the peer too, where it may be asked for what others listed and have not.
    fn add_to(&self, txn: &mut dyn WriteTxn, mut root: Root, name: &Name) -> Result<()> {
        let known = root.by.iter().any(|by| **by == self.peer);
        if known || !root.is_listed_only() {
            return Ok(());
        }
        if root.by.len() == LISTERS_MAX {
            let first = root.by.remove(0);
            hear_again(txn, self.thread.number, &first)?;
        }
        root.by.push(ByteArray::new(self.peer));
        root.put(txn, self.thread.number, name)
    }
}

/// A peer's list is taken in from its beginning when it is told of again.
fn hear_again(txn: &mut dyn WriteTxn, thread: Number, peer: &[u8; 32]) -> Result<()> {
    let key = keys::heard(thread, peer);
    match ListEnd::read(txn.as_read(), &key)? {
        Some(end) => ListEnd { last: 0, ..end }.write(txn, &key),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use threads_core::PeerId;
    use threads_core::block::{DAG_CBOR, cid_of};
    use threads_core::datastore::Memory;

    use super::*;
    use crate::sync::blobs::{Blobbed, Blobbing};
    use crate::{Db, Node};

    fn node() -> (Node, Db) {
        let node = Node::builder(Memory::new()).open().unwrap();
        let db = node.create("a").unwrap();
        db.blobs().keep_all(true).unwrap();
        (node, db)
    }

    fn peer() -> PeerId {
        Node::builder(Memory::new()).open().unwrap().peer_id()
    }

    fn cid(n: u64) -> Cid {
        cid_of(DAG_CBOR, &n.to_be_bytes())
    }

    /// A peer lists these; says whether it is to be asked for more.
    fn lists(node: &Node, db: &Db, peer: &PeerId, blobs: std::ops::Range<u64>) -> bool {
        let blobs = (1..).zip(blobs.map(cid)).collect();
        let take = Blobbing::Take(db.thread().number, *peer, (7, 100_000), blobs);
        let Blobbed::Taken { more, .. } = node.blobs_for_peers(take).unwrap() else {
            panic!("something else came of it");
        };
        more
    }

    fn has_not(node: &Node, db: &Db, peer: &PeerId, n: u64) {
        let keep = Blobbing::Keep(db.thread().number, *peer, Vec::new(), vec![cid(n)]);
        node.blobs_for_peers(keep).unwrap();
    }

    fn wants(db: &Db, n: u64) -> bool {
        let blobs = db.blobs().list().unwrap();
        blobs.iter().any(|blob| blob.cid == cid(n))
    }

    #[test]
    fn who_lists_much_leaves_room_for_others() {
        let (node, db) = node();
        let (much, little) = (peer(), peer());
        assert!(!lists(&node, &db, &much, 0..5_000), "there is no room");
        assert_eq!(db.blobs().list().unwrap().len(), WANTED_MAX);
        lists(&node, &db, &little, 10_000..10_010);
        assert!((10_000..10_010).all(|n| wants(&db, n)));
        assert_eq!(db.blobs().list().unwrap().len(), WANTED_MAX);

        lists(&node, &db, &little, 20_000..25_000);
        let all = db.blobs().list().unwrap();
        let all: std::collections::BTreeSet<_> = all.into_iter().map(|blob| blob.cid).collect();
        let of = |range: std::ops::Range<u64>| range.filter(|n| all.contains(&cid(*n))).count();
        assert_eq!(of(0..5_000), WANTED_MAX / 2, "each has its share");
        assert_eq!(db.blobs().list().unwrap().len(), WANTED_MAX);
    }

    #[test]
    fn what_one_has_not_is_asked_of_the_other_who_listed_it() {
        let (node, db) = node();
        let (liar, other) = (peer(), peer());
        lists(&node, &db, &liar, 1..4);
        lists(&node, &db, &other, 1..3);
        db.blobs().pin(&cid(3), true).unwrap();
        for n in 1..4 {
            has_not(&node, &db, &liar, n);
        }
        assert!(wants(&db, 1) && wants(&db, 2), "the other may have them");
        assert!(wants(&db, 3), "it is pinned");
        has_not(&node, &db, &other, 1);
        assert!(!wants(&db, 1) && wants(&db, 2));
    }
}
