//! Making, listing, revoking and accepting invites.

use std::time::Duration;

use serde_bytes::{ByteArray, ByteBuf};
use threads_core::access::Scope;
use threads_core::datastore::{Datastore, DatastoreExt, Durability, WriteTxn};
use threads_core::transport::named_peer;
use threads_core::{EntityId, Error, PeerCard, PeerId, Result, Variant};

use super::members::no_such;
use super::rows::{INVITES, InviteEntity, InviteStatus, Rows};
use super::{
    INVITE_ADDRS_MAX, INVITE_LIFETIME_MAX, INVITE_USES_MAX, Invite, InviteOptions, Role, Unsigned,
    Way, check_of, open_keys, request, seal_keys,
};
use crate::db::Db;
use crate::node::Node;
use crate::snapshot::{Seek, SnapshotTrust};
use crate::sync::shares;

/// How to use an invite.
///
/// ```
/// let options = threads_db::JoinOptions::default();
/// assert!(options.from_snapshot.is_none(), "all records are got, and checked");
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JoinOptions {
    /// What to call the thread here; the inviter's name for it, or one like it that is free, if there is none.
    pub name: Option<String>,
    /// Whose word is taken for the state of the thread, so that it begins with a snapshot of theirs that a peer keeps, and
    /// has its records from there on. Nobody's if there is none: then all records are got. Where no such snapshot is to be had
    /// all are got too, and [`SyncStatus::from_snapshot`](crate::sync::SyncStatus::from_snapshot) says why.
    pub from_snapshot: Option<SnapshotTrust>,
}

/// What came of using an invite.
///
/// ```
/// fn open(joined: threads_db::Joined) -> Option<threads_db::Db> { joined.db() }
/// ```
#[non_exhaustive]
#[derive(Debug)]
pub enum Joined {
    /// The thread is here; what it holds comes with the next sync.
    Now(Db),
    /// The inviter is asked as soon as it can be reached, and the thread is here once a member has
    /// accepted.
    Asked,
}

impl Joined {
    /// The thread, if it is here.
    ///
    /// ```
    /// assert!(threads_db::Joined::Asked.db().is_none());
    /// ```
    pub fn db(self) -> Option<Db> {
        match self {
            Self::Now(db) => Some(db),
            Self::Asked => None,
        }
    }
}

fn check(options: &InviteOptions, me: PeerId) -> Result<()> {
    if !(1..=INVITE_USES_MAX).contains(&options.uses) {
        let error = Error::invalid("an invite has 1 to 1000 uses");
        return Err(error.with("uses", options.uses));
    }
    if options.to.is_some() && options.uses != 1 {
        return Err(Error::invalid("an invite to one peer has one use"));
    }
    if options.lifetime.is_zero() || options.lifetime > INVITE_LIFETIME_MAX {
        return Err(Error::invalid("an invite is good for at most 90 days")
            .with("seconds", options.lifetime.as_secs()));
    }
    if options.role == Role::Delete {
        return Err(Error::invalid(
            "an invite is to write, read or replicate: give the right to delete to a member",
        ));
    }
    let ours = |addr| named_peer(addr) == Some(me);
    if options.addrs.len() > INVITE_ADDRS_MAX || !options.addrs.iter().all(ours) {
        return Err(Error::invalid(
            "an invite names at most 16 addresses, each ending in /p2p/ and this node's id",
        ));
    }
    if options.to.is_some_and(|card| card.peer() == me) {
        return Err(Error::invalid("an invite is for others, not for oneself"));
    }
    Ok(())
}

impl Node {
    /// What others need to seal something to this node, such as an invite.
    ///
    /// ```
    /// use threads_core::datastore::Memory;
    /// let node = threads_db::Node::builder(Memory::new()).open().unwrap();
    /// assert_eq!(node.card().peer(), node.peer_id());
    /// ```
    pub fn card(&self) -> PeerCard {
        self.inner.identity.card()
    }

    /// Uses an invite, under a name of one's own for the thread; without one, under the inviter's, or one
    /// like it that is free.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Rejected`](threads_core::ErrorKind::Rejected) for an invite to somebody else, or
    /// one that has expired; [`ErrorKind::Conflict`](threads_core::ErrorKind::Conflict) when the
    /// thread is here, or another one has the name.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// # use threads_db::{InviteOptions, Joined, Node, Role};
    /// let other = Node::builder(Memory::new()).codec(JsonPatch::new()).open().unwrap();
    /// let link = db.invite(&InviteOptions::new(Role::Read)).unwrap();
    /// assert!(matches!(other.join(&link, None).unwrap(), Joined::Asked));
    /// ```
    pub fn join(&self, invite: &Invite, name: Option<&str>) -> Result<Joined> {
        let name = name.map(str::to_owned);
        self.join_with(
            invite,
            &JoinOptions {
                name,
                ..JoinOptions::default()
            },
        )
    }

    /// [`Node::join`] with more to say: that the thread is to begin with a snapshot that peers keep, so that its state
    /// is here at once, and what came before it never. See [`JoinOptions`].
    ///
    /// # Errors
    ///
    /// Those of [`Node::join`]; [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) for a trust that no snapshot could
    /// satisfy.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// # use threads_db::{FromSnapshot, InviteOptions, JoinOptions, Node, Role, SnapshotTrust};
    /// let other = Node::builder(Memory::new()).codec(JsonPatch::new()).open().unwrap();
    /// let invite = db.invite(&InviteOptions::new(Role::Write).to(other.card())).unwrap();
    /// let mut options = JoinOptions::default();
    /// options.from_snapshot = Some(SnapshotTrust::inviter());
    /// let theirs = other.join_with(&invite, &options).unwrap().db().unwrap();
    /// let status = theirs.sync_status().unwrap();
    /// assert_eq!(status.from_snapshot, Some(FromSnapshot::Looking));
    /// ```
    pub fn join_with(&self, invite: &Invite, options: &JoinOptions) -> Result<Joined> {
        let name = options.name.as_deref();
        let trust = options.from_snapshot.clone();
        let trust = trust.map(|trust| trust.of(invite.by())).transpose()?;
        let unsigned = &invite.unsigned;
        if unsigned.until <= self.inner.clock.now_ms() {
            let error = Error::rejected("the invite has expired: ask for a new one");
            return Err(error.with("until_ms", unsigned.until));
        }
        if unsigned.by == self.peer_id() {
            return Err(Error::invalid("an invite of one's own: it is for others"));
        }
        let joined = match &unsigned.way {
            Way::To(to, ..) if *to != self.peer_id() => {
                let error =
                    Error::rejected("the invite is for another peer: ask for one of your own");
                return Err(error.with("to", to));
            }
            Way::To(_, key, secret) => {
                let (keys, role, theirs) = open_keys(&self.inner.identity, key, secret)?;
                let name = self.name_for(name, &theirs, &keys)?;
                let of = (Some(invite.id()), unsigned.by);
                Joined::Now(self.admitted((&keys, trust), role, &name, of)?)
            }
            Way::Link(_) => {
                self.ask_to_join(invite, name, trust)?;
                Joined::Asked
            }
        };
        for addr in invite.addresses() {
            if named_peer(&addr) == Some(unsigned.by) {
                self.add_address(&addr)?;
            }
        }
        Ok(joined)
    }

    /// The name that was asked for; or the inviter's, with the end of the thread's id when it is taken.
    pub(super) fn name_for(
        &self,
        asked: Option<&str>,
        theirs: &str,
        keys: &crate::ThreadKeys,
    ) -> Result<String> {
        match asked {
            Some(name) => Ok(name.to_owned()),
            None if self.check_free(theirs).is_ok() => Ok(theirs.to_owned()),
            None => {
                let id = keys.id().to_string();
                let end = id.get(id.len().saturating_sub(8)..).unwrap_or_default();
                let like: String = theirs.chars().take(32).collect();
                let name = format!("{like}-{end}");
                self.check_free(&name).map(|()| name)
            }
        }
    }

    /// Takes part in a thread whose keys came. A writer says so in the thread; for a reader, whoever
    /// meets it first does.
    pub(crate) fn admitted(
        &self,
        (keys, trust): (&crate::ThreadKeys, Option<SnapshotTrust>),
        role: Role,
        name: &str,
        (invite, by): (Option<&str>, PeerId),
    ) -> Result<Db> {
        let db = self.add_thread(name, keys)?;
        // With rules, whoever changed them to let it in has noted it.
        let says_so = role == Role::Write && db.id().variant() != Variant::AccessControlled;
        match trust.filter(|_| !db.thread().is_blind()) {
            Some(trust) => {
                // A snapshot opens a thread that holds no record, so this one waits.
                let member = says_so.then(|| (role, invite.map(str::to_owned)));
                let (seek, thread) = (Seek::new(trust, member), db.thread().number);
                let put = |txn: &mut dyn WriteTxn| seek.put(txn, thread);
                self.inner.store.transact(Durability::Group, put)?;
                db.share_with(&by)?;
            }
            None => {
                db.share_with(&by)?;
                if says_so {
                    db.put_member(&self.peer_id(), role, invite)?;
                }
            }
        }
        Ok(db)
    }
}

impl Db {
    /// Invites to this thread, and gives what to hand over.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) for options beyond their bounds.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// # use threads_db::{InviteOptions, Role};
    /// let link = db.invite(&InviteOptions::new(Role::Read).uses(3)).unwrap();
    /// assert!(link.to_string().starts_with("invite_b"));
    /// ```
    pub fn invite(&self, options: &InviteOptions) -> Result<Invite> {
        let node = self.node();
        check(options, node.peer_id())?;
        self.offer_what_was_dropped()?;
        let now_ms = node.inner.clock.now_ms();
        let mut secret = [0; 16];
        let keys = match options.to {
            Some(_) => Some(self.keys_for_newcomer()?),
            None => None,
        };
        // The commit below asks for randomness too, so it is not held for longer.
        let (id, way) = {
            let rng = &mut **node.inner.rng();
            rng.fill_bytes(&mut secret);
            let way = match options.to.as_ref().zip(keys) {
                Some((card, keys)) => {
                    let (key, sealed) = seal_keys(&keys, options.role, self.name(), card, rng)?;
                    Way::To(card.peer(), key, sealed)
                }
                None => Way::Link(ByteArray::new(secret)),
            };
            (EntityId::generate(now_ms, rng).to_string(), way)
        };
        let unsigned = Unsigned {
            v: 1,
            id: id.clone(),
            by: node.peer_id(),
            addrs: options
                .addrs
                .iter()
                .map(|addr| ByteBuf::from(addr.to_vec()))
                .collect(),
            until: now_ms.saturating_add(millis(options.lifetime)),
            way,
        };
        let row = InviteEntity {
            id,
            by: node.peer_id(),
            role: options.role,
            to: options.to.map(|card| card.peer()),
            check: options.to.is_none().then(|| check_of(&secret)),
            until: unsigned.until,
            uses: options.uses,
            revoked: false,
        };
        let invite = unsigned.sign(&node.inner.identity)?;
        self.write(|txn| {
            if let Some(card) = &options.to {
                txn.let_in(card, options.role)?;
            }
            txn.save_reserved(INVITES, &row.id, &row)
        })?;
        if invite.is_link() {
            request::know_link(self, &row.id)?;
        }
        Ok(invite)
    }

    /// The invites to this thread, of all its members.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// assert!(db.invites().unwrap().is_empty());
    /// ```
    pub fn invites(&self) -> Result<Vec<InviteStatus>> {
        let thread = self.thread();
        let rows = Rows::read(&*thread.node.store.read()?, thread.number)?;
        let now_ms = thread.node.clock.now_ms();
        let status = |row: &InviteEntity| InviteStatus {
            id: row.id.clone(),
            by: row.by,
            role: row.role,
            to: row.to,
            until_ms: row.until,
            uses: row.uses,
            used: rows.used(&row.id),
            spent: rows.spent(row, now_ms),
        };
        Ok(rows.invites.iter().map(status).collect())
    }

    /// Makes an invite good for nobody any more. Who accepted it stays; who was sent keys has them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](threads_core::ErrorKind::NotFound) when there is no such invite.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// # use threads_db::{InviteOptions, Role};
    /// let link = db.invite(&InviteOptions::new(Role::Read)).unwrap();
    /// db.revoke_invite(link.id()).unwrap();
    /// assert_eq!(db.invites().unwrap()[0].spent, Some("the invite was revoked"));
    /// ```
    pub fn revoke_invite(&self, id: &str) -> Result<()> {
        let (row, unused) = {
            let thread = self.thread();
            let rows = Rows::read(&*thread.node.store.read()?, thread.number)?;
            let row = rows.invite(id).cloned();
            // Who came may have nothing to its name but that it was seen.
            let txn = thread.node.store.read()?;
            let came = match row.as_ref().and_then(|row| row.to) {
                Some(peer) => !shares::acked(&*txn, thread.number, &peer)?.is_empty(),
                None => false,
            };
            (row, rows.used(id) == 0 && !came)
        };
        let row = row.ok_or_else(|| no_such("no such invite: list them", id))?;
        let row = InviteEntity {
            revoked: true,
            ..row
        };
        self.write(|txn| {
            // Nobody came by it, so nobody is to.
            if let Some(peer) = row.to.filter(|_| unused) {
                txn.keep_out(&peer)?;
            }
            txn.save_reserved(INVITES, &row.id, &row).map(drop)
        })
    }

    /// Notes that a peer which showed the thread's key came by an invite that names it, if there is
    /// one and nobody has noted it.
    pub(crate) fn note_invited(&self, peer: &PeerId) -> Result<()> {
        let thread = self.thread();
        if thread.is_blind() {
            return Ok(());
        }
        let rows = Rows::read(&*thread.node.store.read()?, thread.number)?;
        if rows.member(peer).is_some() {
            return Ok(());
        }
        let now_ms = thread.node.clock.now_ms();
        let mut invites = rows.invites.iter();
        let named = invites.find(|row| row.to == Some(*peer) && rows.spent(row, now_ms).is_none());
        match named {
            Some(row) if self.may_note(row.role)? => self.put_member(peer, row.role, Some(&row.id)),
            _ => Ok(()),
        }
    }
}

impl Db {
    /// Whether this node notes a member of this role that it meets. Without rules a writer does so
    /// itself; with rules, whoever may change them.
    fn may_note(&self, role: Role) -> Result<bool> {
        let acl = self.roles(&self.node().peer_id(), &Scope::Acl)?;
        Ok(acl.map_or(role != Role::Write, |acl| acl.contains(&Role::Write)))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
