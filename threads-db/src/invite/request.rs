//! Asking to take part by a link, and deciding about who asks.

use serde::{Deserialize, Serialize};
use serde_bytes::{ByteArray, ByteBuf};
use subtle::ConstantTimeEq;
use threads_core::access::Scope;
use threads_core::datastore::{Datastore, DatastoreExt, Direction, Durability, Keyspace};
use threads_core::{Error, ErrorKind, PeerCard, PeerId, Result, block};

use super::members::no_such;
use super::rows::{MEMBERS, Rows};
use super::{Invite, Role, Way, check_of, open_keys, seal_keys};
use crate::access;
use crate::db::Db;
use crate::layout::{self, Prefix, meta, peers};
use crate::node::Node;
use crate::snapshot::SnapshotTrust;
use crate::sync::{Fresh, News};

/// The most requests to join one thread that wait for a decision.
pub(crate) const REQUESTS_PER_THREAD_MAX: usize = 64;
/// The most threads that this node waits to join.
pub(crate) const PENDING_MAX: usize = 64;

/// Somebody who asks to take part.
///
/// ```
/// fn line(request: &threads_db::JoinRequest) -> String { format!("{} by {}", request.peer, request.invite) }
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JoinRequest {
    /// Who asks; a proven id.
    pub peer: PeerId,
    /// The link it uses.
    pub invite: String,
    /// When it first asked, in milliseconds since 1970.
    pub since_ms: u64,
}

/// A request as it is kept.
#[derive(Serialize, Deserialize)]
struct RequestRow {
    card: ByteBuf,
    invite: String,
    since_ms: u64,
}

/// A link that this node waits for, as it is kept.
#[derive(Clone, Serialize, Deserialize)]
struct PendingRow {
    by: PeerId,
    secret: ByteArray<16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    until: u64,
    /// Whose word for a snapshot is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trust: Option<SnapshotTrust>,
}

/// A link that this node waits for.
#[derive(Debug)]
pub(crate) struct PendingJoin {
    pub(crate) invite: String,
    pub(crate) secret: ByteArray<16>,
    pub(crate) card: PeerCard,
}

/// What becomes of a request.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Nobody has decided.
    Waiting,
    /// The thread's keys, sealed to who asked.
    Admitted(ByteBuf, ByteBuf),
}

/// The role, of those that a peer who replicates has, by which it gets keys.
fn most_of(roles: &[Role]) -> Role {
    let of_keys = [Role::Write, Role::Read];
    let most = of_keys.into_iter().find(|role| roles.contains(role));
    most.unwrap_or(Role::Replicate)
}

fn decode<T: Serialize + for<'de> Deserialize<'de>>(bytes: &[u8]) -> Result<T> {
    block::decode(bytes).map_err(|cause| {
        Error::corrupt("a row about an invite is damaged: verify the thread").caused_by(cause)
    })
}

/// Lets this node answer those who use a link of its own.
pub(super) fn know_link(db: &Db, id: &str) -> Result<()> {
    let number = db.thread().number.to_be_bytes();
    let store = &db.thread().node.store;
    store.transact(Durability::Group, |txn| {
        txn.put(Keyspace::Meta, &meta::link_by_id(id), &number)
    })
}

impl Node {
    /// Notes a link to be used as soon as its inviter can be reached.
    pub(super) fn ask_to_join(
        &self,
        invite: &Invite,
        name: Option<&str>,
        trust: Option<SnapshotTrust>,
    ) -> Result<()> {
        name.map_or(Ok(()), |name| self.check_free(name))?;
        let Way::Link(secret) = &invite.unsigned.way else {
            return Err(Error::invalid("not a link"));
        };
        let row = PendingRow {
            by: invite.by(),
            secret: *secret,
            name: name.map(str::to_owned),
            until: invite.until_ms(),
            trust,
        };
        let key = meta::pending_join(invite.id());
        self.inner.store.transact(Durability::Group, |txn| {
            let prefix = Prefix::new(meta::PENDING_JOINS);
            let waiting = txn.scan(Keyspace::Meta, prefix.range(), Direction::Forward)?;
            if waiting.count() >= PENDING_MAX {
                return Err(Error::full(
                    "this node waits to join as many threads as it may",
                ));
            }
            txn.put(Keyspace::Meta, &key, &block::encode(&row)?)
        })?;
        self.inner.notifier.notify_of(News(Fresh::Asked(row.by)));
        Ok(())
    }

    /// The links of a peer that this node waits for.
    pub(crate) fn pending_joins(&self, by: &PeerId) -> Result<Vec<PendingJoin>> {
        let rows = self.pending()?.into_iter();
        let of_it = rows.filter(|(_, row)| row.by == *by);
        let pending = |(invite, row): (String, PendingRow)| PendingJoin {
            invite,
            secret: row.secret,
            card: self.card(),
        };
        Ok(of_it.map(pending).collect())
    }

    /// The peers whose links this node waits for. Links that expired are forgotten.
    pub(crate) fn awaited_inviters(&self) -> Result<Vec<PeerId>> {
        let now_ms = self.inner.clock.now_ms();
        let rows = self.pending()?;
        for (invite, _) in rows.iter().filter(|(_, row)| row.until <= now_ms) {
            self.forget_pending(invite)?;
        }
        let live = rows.into_iter().filter(|(_, row)| row.until > now_ms);
        Ok(live.map(|(_, row)| row.by).collect())
    }

    fn pending(&self) -> Result<Vec<(String, PendingRow)>> {
        let txn = self.inner.store.read()?;
        let prefix = Prefix::new(meta::PENDING_JOINS);
        let rows = txn.scan(Keyspace::Meta, prefix.range(), Direction::Forward)?;
        rows.map(|row| {
            let (key, value) = row?;
            let id = String::from_utf8_lossy(&key[meta::PENDING_JOINS.len()..]).into_owned();
            Ok((id, decode(&value)?))
        })
        .collect()
    }

    fn forget_pending(&self, invite: &str) -> Result<()> {
        let key = meta::pending_join(invite);
        let store = &self.inner.store;
        store.transact(Durability::Group, |txn| txn.delete(Keyspace::Meta, &key))
    }

    /// The keys came: this node takes part.
    pub(crate) fn take_admission(&self, invite: &str, key: &[u8], secret: &[u8]) -> Result<Db> {
        let mut rows = self.pending()?.into_iter();
        let row = rows.find(|(id, _)| id == invite);
        let (_, row) =
            row.ok_or_else(|| no_such("this node does not wait for the link", invite))?;
        let (keys, role, theirs) = open_keys(&self.inner.identity, key, secret)?;
        let db = match self.open(&keys.id().to_string()) {
            Ok(db) => db,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // Who asked may have used the name since.
                let asked = row
                    .name
                    .as_deref()
                    .filter(|name| self.check_free(name).is_ok());
                let name = self.name_for(asked, &theirs, &keys)?;
                let of = (Some(invite), row.by);
                self.admitted((&keys, row.trust), role, &name, of)?
            }
            Err(error) => return Err(error),
        };
        self.forget_pending(invite)?;
        Ok(db)
    }

    /// What becomes of a peer that asks by a link. `None` when there is nothing to be had, whatever
    /// the reason.
    pub(crate) fn decide(
        &self,
        from: &PeerId,
        invite: &str,
        secret: &[u8; 16],
        card: &PeerCard,
    ) -> Result<Option<Verdict>> {
        let number = layout::number(&*self.inner.store.read()?, &meta::link_by_id(invite))?;
        let Some(number) = number.filter(|_| card.peer() == *from) else {
            return Ok(None);
        };
        let db = self.db(number)?;
        let rows = Rows::read(&*self.inner.store.read()?, number)?;
        let Some(link) = rows.invite(invite) else {
            return Ok(None);
        };
        let check = link.check.as_deref().unwrap_or_default();
        if !bool::from(check.as_bytes().ct_eq(check_of(secret).as_bytes())) {
            return Ok(None);
        }
        let member = rows.member(from).filter(|member| !member.left);
        let txn = self.inner.store.read()?;
        let id = db.id();
        if let Some(member) = member
            && access::may_share(&*self.inner.policy, &*txn, id, from)?
        {
            // What the rules gave since then, or took, counts.
            let roles = self.inner.policy.roles(id, from, &Scope::Thread, &*txn)?;
            let role = roles.map_or(member.role, |roles| most_of(&roles));
            let keys = db.keys_for_newcomer()?;
            let rng = &mut **self.inner.rng();
            let (key, sealed) = seal_keys(&keys, role, db.name(), card, rng)?;
            return Ok(Some(Verdict::Admitted(key, sealed)));
        }
        if rows.spent(link, self.inner.clock.now_ms()).is_some() {
            return Ok(None);
        }
        db.note_request(card, invite)?;
        Ok(Some(Verdict::Waiting))
    }
}

impl Db {
    fn note_request(&self, card: &PeerCard, invite: &str) -> Result<()> {
        let thread = self.thread();
        let key = peers::request(thread.number, &card.peer());
        if thread
            .node
            .store
            .read()?
            .get(Keyspace::Peers, &key)?
            .is_some()
        {
            return Ok(());
        }
        if self.join_requests()?.len() >= REQUESTS_PER_THREAD_MAX {
            return Err(Error::full("as many ask to join the thread as may wait"));
        }
        let row = RequestRow {
            card: card.to_bytes().to_vec().into(),
            invite: invite.to_owned(),
            since_ms: thread.node.clock.now_ms(),
        };
        let row = block::encode(&row)?;
        thread.node.store.transact(Durability::Group, |txn| {
            txn.put(Keyspace::Peers, &key, &row)
        })
    }

    /// Who asks this node to take part in this thread, by a link of this node.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// assert!(db.join_requests().unwrap().is_empty());
    /// ```
    pub fn join_requests(&self) -> Result<Vec<JoinRequest>> {
        let thread = self.thread();
        let prefix = peers::requests(thread.number);
        let bounds = Prefix::new(&prefix);
        let txn = thread.node.store.read()?;
        let rows = txn.scan(Keyspace::Peers, bounds.range(), Direction::Forward)?;
        rows.map(|row| {
            let row: RequestRow = decode(&row?.1)?;
            Ok(JoinRequest {
                peer: PeerCard::from_bytes(&row.card)?.peer(),
                invite: row.invite,
                since_ms: row.since_ms,
            })
        })
        .collect()
    }

    /// Accepts somebody who asks: it becomes a member in its link's role, and gets the keys when it
    /// asks again.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](threads_core::ErrorKind::NotFound) when it does not ask,
    /// [`ErrorKind::Rejected`](threads_core::ErrorKind::Rejected) when its link is good no more.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// assert!(db.accept(&threads_core::PeerId::from_key_bytes([1; 32])).is_err());
    /// ```
    pub fn accept(&self, peer: &PeerId) -> Result<()> {
        let request = self.request_of(peer)?;
        let role = {
            let thread = self.thread();
            let rows = Rows::read(&*thread.node.store.read()?, thread.number)?;
            let link = rows.invite(&request.invite);
            let link = link.ok_or_else(|| no_such("the link is gone", &request.invite))?;
            if let Some(why) = rows.spent(link, thread.node.clock.now_ms()) {
                return Err(Error::rejected(why).with("invite", &request.invite));
            }
            link.role
        };
        let row = self.member_row(peer, role, Some(&request.invite));
        let card = self.card_of(peer)?;
        self.write(|txn| {
            txn.let_in(&card, role)?;
            txn.save_reserved(MEMBERS, &row.peer, &row).map(drop)
        })?;
        self.decline(peer)
    }

    /// Does not accept somebody who asks. It may ask again.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](threads_core::ErrorKind::NotFound) when it does not ask.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// assert!(db.decline(&threads_core::PeerId::from_key_bytes([1; 32])).is_err());
    /// ```
    pub fn decline(&self, peer: &PeerId) -> Result<()> {
        self.request_of(peer)?;
        let thread = self.thread();
        let key = peers::request(thread.number, peer);
        let store = &thread.node.store;
        store.transact(Durability::Group, |txn| txn.delete(Keyspace::Peers, &key))
    }

    fn card_of(&self, peer: &PeerId) -> Result<PeerCard> {
        let thread = self.thread();
        let key = peers::request(thread.number, peer);
        let txn = thread.node.store.read()?;
        let row = txn.get(Keyspace::Peers, &key)?;
        let row =
            row.ok_or_else(|| no_such("nobody of this id asks to join", &peer.to_string()))?;
        PeerCard::from_bytes(&decode::<RequestRow>(&row)?.card)
    }

    fn request_of(&self, peer: &PeerId) -> Result<JoinRequest> {
        let mut requests = self.join_requests()?.into_iter();
        let request = requests.find(|request| request.peer == *peer);
        request.ok_or_else(|| no_such("nobody of this id asks to join", &peer.to_string()))
    }
}
