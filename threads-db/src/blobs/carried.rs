//! What sync asks of the blobs of a node.

use serde_bytes::ByteBuf;
use threads_core::block::Block;
use threads_core::datastore::{Datastore, DatastoreExt, Durability};
use threads_core::{Cid, ErrorKind, PeerId, Result};

use super::listers::{self, Listers, Noted};
use super::rows::{self, ListEnd, Root, name};
use super::wanted;
use crate::layout::Number;
use crate::layout::blobs as keys;
use crate::node::Node;
use crate::sync::Claim;
use crate::sync::blobs::{Blobbed, Blobbing, Listed};
use crate::sync::wire::{BLOBS_LISTED_MAX, BLOCKS_BYTES_MAX, BlobList};
use crate::thread::Thread;

/// How many blocks are planned for at a time.
const PLANNED_MAX: usize = 256;
/// Behind every list: of one that nothing is wanted of.
const NOTHING: BlobList = (0, u64::MAX);

impl Node {
    pub(crate) fn blobs_for_peers(&self, what: Blobbing) -> Result<Blobbed> {
        match what {
            Blobbing::Greet(thread, peer) => self.greeting(thread, &peer),
            Blobbing::List(peer, claim, heard, theirs) => {
                let Some(thread) = self.claimed(&peer, &claim)? else {
                    return Ok(Blobbed::Listed(None));
                };
                let listed = self.listed(thread, &peer, heard, theirs)?;
                Ok(Blobbed::Listed(Some(listed)))
            }
            Blobbing::Take(thread, peer, end, blobs) => self.take_list(thread, &peer, end, blobs),
            Blobbing::Plan(thread, (from, mark), peers) => {
                let db = self.db(thread)?;
                let claim = |peer: &PeerId| {
                    (
                        *peer,
                        Claim::new(&db.thread().replica, &self.peer_id(), peer),
                    )
                };
                let plan = wanted::plan(db.thread(), from, mark, PLANNED_MAX)?;
                Ok(Blobbed::Planned(plan, peers.iter().map(claim).collect()))
            }
            Blobbing::Serve(peer, claim, cids) => {
                let Some(thread) = self.claimed(&peer, &claim)? else {
                    return Ok(Blobbed::Served(None));
                };
                self.blocks(thread, &cids)
                    .map(|blocks| Blobbed::Served(Some(blocks)))
            }
            Blobbing::Keep(thread, peer, came, lacking) => {
                self.keep_blocks(thread, &peer, came, &lacking)
            }
        }
    }

    /// What a peer is to be told and asked, if there is a list here, or it told of one.
    fn greeting(&self, thread: Number, peer: &PeerId) -> Result<Blobbed> {
        let nothing = Blobbed::Greeting {
            ask: None,
            wanted: false,
        };
        {
            // Most threads have no blobs: they are not even opened.
            let txn = self.inner.store.read()?;
            let listed = ListEnd::get(&*txn, thread)?.is_some();
            let told = ListEnd::read(&*txn, &keys::heard(thread, peer.key_bytes()))?.is_some();
            let wanted = !Root::wanted(&*txn, thread, None, 1)?.is_empty();
            if !listed && !told && !wanted {
                return Ok(nothing);
            }
        }
        let db = self.db(thread)?;
        let txn = self.snapshot_on_disk()?;
        let ours = ListEnd::get(&*txn, thread)?.map_or((0, 0), |end| (end.id, end.last));
        let heard = self.heard_of(&*txn, db.thread(), peer)?;
        let asks = ours.1 > 0 || heard != NOTHING;
        let claim = Claim::new(&db.thread().replica, &self.peer_id(), peer);
        Ok(Blobbed::Greeting {
            ask: asks.then_some((claim, heard, ours)),
            wanted: !Root::wanted(&*txn, thread, None, 1)?.is_empty(),
        })
    }

    /// How much of a peer's list was taken in, if anything of it is wanted.
    fn heard_of(
        &self,
        txn: &dyn threads_core::datastore::ReadTxn,
        thread: &Thread,
        peer: &PeerId,
    ) -> Result<BlobList> {
        if !rows::keeps_all(txn, thread)?
            || self.is_full_for(txn, &thread.id)?
            || !listers::has_room(txn, thread, peer.key_bytes())?
        {
            return Ok(NOTHING);
        }
        let heard = ListEnd::read(txn, &keys::heard(thread.number, peer.key_bytes()))?;
        Ok(heard.map_or((0, 0), |end| (end.id, end.last)))
    }

    fn listed(
        &self,
        thread: Number,
        peer: &PeerId,
        heard: BlobList,
        theirs: BlobList,
    ) -> Result<Listed> {
        let db = self.db(thread)?;
        let (end, blobs, known) = {
            let txn = self.snapshot_on_disk()?;
            let end = ListEnd::get(&*txn, thread)?.map_or((0, 0), |end| (end.id, end.last));
            // Of a list that was lost, or taken from a copy, it is told anew.
            let after = match heard.0 == end.0 && heard.1 <= end.1 || heard == NOTHING {
                true => heard.1,
                false => 0,
            };
            let blobs = match after {
                u64::MAX => Vec::new(),
                after => rows::listed(&*txn, thread, after, BLOBS_LISTED_MAX)?,
            };
            (end, blobs, self.heard_of(&*txn, db.thread(), peer)?)
        };
        let behind = known != NOTHING && theirs.1 > 0 && known != theirs;
        // So that it is known to have told of one.
        if behind && known.0 != theirs.0 {
            let begin = ListEnd {
                id: theirs.0,
                last: 0,
            };
            let store = &self.inner.store;
            store.transact(Durability::Relaxed, |txn| {
                begin.write(txn, &keys::heard(thread, peer.key_bytes()))
            })?;
        }
        let named = |(position, name)| (position, rows::cid_of(&name));
        let blobs = blobs.into_iter().map(named).collect();
        Ok(Listed {
            thread,
            end,
            blobs,
            behind,
        })
    }

    /// Wants what a peer listed, as much as is wanted at a time.
    fn take_list(
        &self,
        thread: Number,
        peer: &PeerId,
        end: BlobList,
        blobs: Vec<(u64, Cid)>,
    ) -> Result<Blobbed> {
        let db = self.db(thread)?;
        let (mut new, mut more) = (false, false);
        self.inner.store.transact(Durability::Group, |txn| {
            if !rows::keeps_all(txn.as_read(), db.thread())?
                || self.is_full_for(txn.as_read(), db.id())?
            {
                return Ok(());
            }
            let mut listers = Listers::read(txn.as_read(), db.thread(), peer.key_bytes())?;
            let (mut last, mut room) = (0, true);
            for (position, cid) in &blobs {
                let noted = listers.note(txn, cid)?;
                room = noted != Noted::NoRoom;
                if !room {
                    break;
                }
                new |= noted == Noted::New;
                last = *position;
            }
            // Behind a part that is not full there is nothing: what was last in the list may be gone.
            if room && blobs.len() < BLOBS_LISTED_MAX {
                last = end.1;
            }
            more = room && last < end.1;
            let heard = ListEnd { id: end.0, last };
            match last {
                0 => Ok(()),
                _ => heard.write(txn, &keys::heard(thread, peer.key_bytes())),
            }
        })?;
        Ok(Blobbed::Taken { new, more })
    }

    /// Those of the blocks that fit into a reply, in their order; empty ones for those that are not here.
    fn blocks(&self, thread: Number, cids: &[Cid]) -> Result<Vec<ByteBuf>> {
        let txn = self.snapshot_on_disk()?;
        let (mut blocks, mut bytes) = (Vec::new(), 0);
        for cid in cids {
            let length = rows::here(&*txn, thread, &name(cid))?.unwrap_or(0) as usize;
            if bytes + length > BLOCKS_BYTES_MAX && !blocks.is_empty() {
                break;
            }
            bytes += length;
            // One that is damaged here is as good as none: nobody is sent other bytes.
            let block = rows::sound(&*txn, thread, &name(cid))?;
            blocks.push(ByteBuf::from(block.unwrap_or_default().into_owned()));
        }
        Ok(blocks)
    }

    fn keep_blocks(
        &self,
        thread: Number,
        peer: &PeerId,
        came: Vec<(Cid, Vec<u8>)>,
        lacking: &[Cid],
    ) -> Result<Blobbed> {
        let db = self.db(thread)?;
        let full = self.is_full_for(&*self.inner.store.read()?, db.id())?;
        let (mut blocks, mut sound) = (Vec::new(), true);
        for (cid, bytes) in came {
            match Block::checked(cid, bytes) {
                Ok(block) => blocks.push(block),
                Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Invalid) => {
                    sound = false;
                }
                Err(error) => return Err(error),
            }
        }
        let gave = match full || blocks.is_empty() {
            true => 0,
            false => wanted::take_in(db.thread(), blocks)?,
        };
        self.inner.store.transact(Durability::Relaxed, |txn| {
            for cid in lacking {
                listers::lacks(txn, thread, &name(cid), peer.key_bytes())?;
            }
            Ok(())
        })?;
        if sound {
            self.inner.notifier.notify_in([thread]);
        }
        Ok(Blobbed::Kept {
            sound,
            gave: gave > 0,
            full,
        })
    }
}
