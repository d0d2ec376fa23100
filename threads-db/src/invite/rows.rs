//! Invites and members as entities of the thread.

use serde::{Deserialize, Serialize};
use threads_core::datastore::ReadTxn;
use threads_core::{PeerId, Result};

use super::Role;
use crate::catalogue::Catalogue;
use crate::layout::Number;
use crate::thread::Thread;

/// The reserved collection of invites.
pub(crate) const INVITES: &str = "$invites";
/// The reserved collection of members: who accepted an invite, or was accepted.
pub(crate) const MEMBERS: &str = "$members";

/// An entity of `$invites`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct InviteEntity {
    #[serde(rename = "_id")]
    pub(super) id: String,
    pub(super) by: PeerId,
    pub(super) role: Role,
    /// The peer that it is for; for a link, nobody.
    pub(super) to: Option<PeerId>,
    /// The digest of a link's secret.
    pub(super) check: Option<String>,
    pub(super) until: u64,
    pub(super) uses: u32,
    pub(super) revoked: bool,
}

/// An entity of `$members`; its id is the peer's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct MemberEntity {
    #[serde(rename = "_id")]
    pub(super) peer: String,
    pub(super) role: Role,
    pub(super) invite: Option<String>,
    /// Who noted it: the member itself, or who accepted it.
    pub(super) by: PeerId,
    pub(super) left: bool,
}

/// The invites and members of a thread.
pub(super) struct Rows {
    pub(super) invites: Vec<InviteEntity>,
    pub(super) members: Vec<MemberEntity>,
}

impl Rows {
    pub(super) fn read(txn: &dyn ReadTxn, thread: Number) -> Result<Self> {
        let catalogue = Catalogue::framework(txn, thread)?;
        Ok(Self {
            invites: catalogue.entities(txn, thread, INVITES)?,
            members: catalogue.entities(txn, thread, MEMBERS)?,
        })
    }

    pub(super) fn invite(&self, id: &str) -> Option<&InviteEntity> {
        self.invites.iter().find(|invite| invite.id == id)
    }

    pub(super) fn member(&self, peer: &PeerId) -> Option<&MemberEntity> {
        let id = peer.to_string();
        self.members.iter().find(|member| member.peer == id)
    }

    /// How often an invite was used.
    pub(super) fn used(&self, id: &str) -> u32 {
        let of_it = |member: &&MemberEntity| member.invite.as_deref() == Some(id);
        self.members.iter().filter(of_it).count() as u32
    }

    /// Why an invite is good no more, if so.
    pub(super) fn spent(&self, invite: &InviteEntity, now_ms: u64) -> Option<&'static str> {
        if invite.revoked {
            Some("the invite was revoked")
        } else if invite.until <= now_ms {
            Some("the invite has expired")
        } else if self.used(&invite.id) >= invite.uses {
            Some("the invite was used as often as it may be")
        } else {
            None
        }
    }
}

/// Whether somebody is invited to a thread who may still come.
pub(crate) fn is_any_good(txn: &dyn ReadTxn, thread: &Thread) -> Result<bool> {
    let (rows, now_ms) = (Rows::read(txn, thread.number)?, thread.node.clock.now_ms());
    let mut invites = rows.invites.iter();
    Ok(invites.any(|invite| rows.spent(invite, now_ms).is_none()))
}

/// An invite, as its thread knows it.
///
/// ```
#[doc = include_str!("../../doc/example_read.txt")]
/// # use threads_db::{InviteOptions, Role};
/// db.invite(&InviteOptions::new(Role::Read)).unwrap();
/// let invite = &db.invites().unwrap()[0];
/// assert_eq!((invite.role, invite.used, invite.spent), (Role::Read, 0, None));
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InviteStatus {
    /// Its id.
    pub id: String,
    /// Who invites.
    pub by: PeerId,
    /// What who accepts it may do.
    pub role: Role,
    /// The peer that it is for; nobody's in particular if it is a link.
    pub to: Option<PeerId>,
    /// Until when it is good, in milliseconds since 1970.
    pub until_ms: u64,
    /// How often it may be used.
    pub uses: u32,
    /// How often it was.
    pub used: u32,
    /// Why it is good no more, if so.
    pub spent: Option<&'static str>,
}
