//! Who takes part in a thread.

use serde::Serialize;
use threads_core::access::Scope;
use threads_core::batch::EntityEvent;
use threads_core::datastore::{Datastore, WriteTxn};
use threads_core::{Error, PeerId, Result, Variant};

use super::Role;
use super::rows::{MEMBERS, MemberEntity, Rows};
use crate::db::Db;
use crate::sync::shares;
use crate::thread::Thread;
use crate::txn::WriteTransaction;

/// Somebody who takes part in a thread.
///
/// ```
#[doc = include_str!("../../doc/example_read.txt")]
/// assert!(db.members().unwrap().is_empty(), "its creator is a member without a row");
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Member {
    /// Who.
    pub peer: PeerId,
    /// What it may do.
    pub role: Role,
    /// The invite that it accepted, if it was by one.
    pub invite: Option<String>,
    /// Who noted it.
    pub by: PeerId,
    /// Whether it has left.
    pub left: bool,
}

impl Db {
    /// Who takes part in this thread, besides its creator.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// assert!(db.members().unwrap().is_empty());
    /// ```
    pub fn members(&self) -> Result<Vec<Member>> {
        let thread = self.thread();
        let rows = Rows::read(&*thread.node.store.read()?, thread.number)?;
        let member = |row: MemberEntity| {
            Some(Member {
                // One that a later version wrote may mean nothing here.
                peer: row.peer.parse().ok()?,
                role: row.role,
                invite: row.invite,
                by: row.by,
                left: row.left,
            })
        };
        Ok(rows.members.into_iter().filter_map(member).collect())
    }

    /// Notes a member.
    pub(crate) fn put_member(&self, peer: &PeerId, role: Role, invite: Option<&str>) -> Result<()> {
        let row = self.member_row(peer, role, invite);
        self.write(|txn| txn.save_reserved(MEMBERS, &row.peer, &row).map(drop))
    }

    pub(super) fn member_row(
        &self,
        peer: &PeerId,
        role: Role,
        invite: Option<&str>,
    ) -> MemberEntity {
        MemberEntity {
            peer: peer.to_string(),
            role,
            invite: invite.map(str::to_owned),
            by: self.node().peer_id(),
            left: false,
        }
    }

    /// Leaves this thread: says so to its members, if this node may write, and shares it with nobody
    /// any more once they have heard of it. What is here stays here. Where there are rules, a node that only
    /// keeps the thread for others can leave it, too.
    ///
    /// # Errors
    ///
    /// Those of a commit; [`ErrorKind::Unsupported`](threads_core::ErrorKind::Unsupported) for a node that
    /// cannot read the thread, where there are no rules: its members remove it.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// db.leave().unwrap();
    /// assert!(db.members().unwrap()[0].left);
    /// ```
    pub fn leave(&self) -> Result<()> {
        let me = self.node().peer_id();
        if self.id().variant() == Variant::AccessControlled {
            let mut txn = WriteTransaction::to_state(self)?;
            txn.give_up()?;
            return txn.commit().map(drop);
        }
        let known = {
            let thread = self.thread();
            Rows::read(&*thread.node.store.read()?, thread.number)?
        };
        let row = known.member(&me).cloned();
        let row = MemberEntity {
            peer: me.to_string(),
            role: row.as_ref().map_or(Role::Write, |row| row.role),
            invite: row.and_then(|row| row.invite),
            by: me,
            left: true,
        };
        self.write(|txn| txn.save_reserved(MEMBERS, &row.peer, &row).map(drop))
    }
}

/// What events of members mean here: the thread is shared with who joined, and not with who left. The
/// leaver itself goes on sharing, or nobody would hear of it. Says whether anybody is
/// new, or left.
pub(crate) fn note_members(
    txn: &mut dyn WriteTxn,
    thread: &Thread,
    events: &[EntityEvent],
) -> Result<bool> {
    let members = events
        .iter()
        .filter(|event| event.collection.as_str() == MEMBERS);
    let peers: Vec<_> = members
        .filter_map(|event| event.entity.as_str().parse().ok())
        .collect();
    note(txn, thread, &peers)
}

/// The same of all members of a thread.
pub(crate) fn note_all_members(txn: &mut dyn WriteTxn, thread: &Thread) -> Result<bool> {
    let known = Rows::read(txn.as_read(), thread.number)?;
    let members = known.members.iter();
    let peers: Vec<_> = members
        .filter_map(|member| member.peer.parse().ok())
        .collect();
    note(txn, thread, &peers)
}

fn note(txn: &mut dyn WriteTxn, thread: &Thread, peers: &[PeerId]) -> Result<bool> {
    let mut changed = false;
    if peers.is_empty() {
        return Ok(changed);
    }
    let me = thread.node.identity.peer_id();
    let policy = &thread.node.policy;
    if policy
        .roles(&thread.id, &me, &Scope::Thread, txn.as_read())?
        .is_some()
    {
        // Rules say with whom it is shared.
        return Ok(false);
    }
    let rows = Rows::read(txn.as_read(), thread.number)?;
    for peer in peers.iter().filter(|peer| **peer != me) {
        match rows.member(peer) {
            Some(member) if member.left => {
                shares::remove(txn, thread.number, peer)?;
                changed = true;
            }
            Some(_) => match shares::add(txn, thread.number, peer) {
                Ok(new) => changed |= new,
                // More members than peers that a thread is shared with: others serve them.
                Err(error) if error.kind() == threads_core::ErrorKind::Full => {}
                Err(error) => return Err(error),
            },
            None => {}
        }
    }
    Ok(changed)
}

/// The error for what only members do.
pub(super) fn no_such(what: &'static str, id: &str) -> Error {
    Error::not_found(what).with("id", format_args!("{id:.80}"))
}
