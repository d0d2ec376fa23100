//! Encoders of their own, written from the specification: they make what the library makes, and
//! what it never would.

use threads_core::record::{Dep, Fields};
use threads_core::{Cid, IdentityKey, LogId, LogKey, ReplicaKey, ThreadId};

pub(crate) use crate::encode::{blob, list, map, string, uint, unsorted};

pub(crate) fn link(cid: &Cid) -> Vec<u8> {
    [vec![0xd8, 42], blob([&[0], &*cid.to_bytes()].concat())].concat()
}

/// What a ciphertext is bound to.
pub(crate) fn aad(
    layer: u8,
    thread: &ThreadId,
    epoch: u64,
    place: Option<(&LogId, u64)>,
) -> Vec<u8> {
    let mut aad = b"threads/aad/1".to_vec();
    aad.push(layer);
    aad.push(thread.as_bytes().len() as u8);
    aad.extend_from_slice(thread.as_bytes());
    aad.extend_from_slice(&epoch.to_be_bytes());
    if let Some((log, seq)) = place {
        aad.extend_from_slice(log.key_bytes());
        aad.extend_from_slice(&seq.to_be_bytes());
    }
    aad
}

/// A record map that can be changed before it is signed, or after.
pub(crate) struct Forged {
    pub(crate) thread: ThreadId,
    pub(crate) epoch: u64,
    members: Vec<(&'static str, Vec<u8>)>,
}

impl Forged {
    pub(crate) fn new(fields: &Fields, author: Option<&IdentityKey>) -> Self {
        let mut members = vec![
            ("v", uint(1)),
            ("thread", blob(fields.thread.as_bytes())),
            ("log", blob(fields.log.key_bytes())),
            ("seq", uint(fields.seq)),
            ("epoch", uint(fields.epoch)),
            ("event", link(&fields.event)),
        ];
        members.extend(fields.prev.map(|cid| ("prev", link(&cid))));
        members.extend(fields.skip.map(|cid| ("skip", link(&cid))));
        let lists = [
            ("deps", fields.deps.iter().map(dep).collect::<Vec<_>>()),
            ("acl", fields.acl.iter().map(link).collect()),
            ("tags", fields.tags.iter().map(blob).collect()),
        ];
        let lists = lists.into_iter().filter(|(_, items)| !items.is_empty());
        members.extend(lists.map(|(name, items)| (name, list(&items))));
        members.extend(author.map(|key| ("author", author_member(key, fields))));
        Self {
            thread: fields.thread.clone(),
            epoch: fields.epoch,
            members,
        }
    }

    pub(crate) fn set(mut self, name: &'static str, value: Vec<u8>) -> Self {
        self = self.without(name);
        self.members.push((name, value));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.members.retain(|(member, _)| *member != name);
        self
    }

    pub(crate) fn sign(self, key: &LogKey) -> Self {
        let unsigned = self.without("sig");
        let message = [b"threads/record/1", &*map(&unsigned.members)].concat();
        unsigned.set("sig", blob(key.sign(&message)))
    }

    pub(crate) fn plain(&self) -> Vec<u8> {
        map(&self.members)
    }

    pub(crate) fn seal(&self, replica: &ReplicaKey) -> Vec<u8> {
        self.seal_plain(replica, &self.plain())
    }

    /// Any bytes in the place of the record map.
    pub(crate) fn seal_plain(&self, replica: &ReplicaKey, plain: &[u8]) -> Vec<u8> {
        let aad = aad(0, &self.thread, self.epoch, None);
        envelope(1, self.epoch, &replica.seal_synthetic(&aad, plain).unwrap())
    }
}

pub(crate) fn envelope(version: u64, epoch: u64, sealed: &[u8]) -> Vec<u8> {
    list(&[uint(version), uint(epoch), blob(sealed)])
}

pub(crate) fn dep(dep: &Dep) -> Vec<u8> {
    map(&[
        ("log", blob(dep.log.key_bytes())),
        ("seq", uint(dep.seq)),
        ("cid", link(&dep.cid)),
    ])
}

pub(crate) fn author_member(identity: &IdentityKey, fields: &Fields) -> Vec<u8> {
    let thread = fields.thread.as_bytes();
    let message = [
        b"threads/author/1",
        &[thread.len() as u8][..],
        thread,
        fields.log.key_bytes(),
    ]
    .concat();
    map(&[
        ("peer", blob(identity.peer_id().key_bytes())),
        ("sig", blob(identity.sign(&message))),
    ])
}
