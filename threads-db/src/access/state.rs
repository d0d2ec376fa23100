//! Stating who may do what: access statements in a transaction, and the record that they become.

use threads_core::access::{
    self, ACCESS_FORMAT, EntityTag, Role, SEEN_MAX, Scope, Statement, Subject,
};
use threads_core::datastore::ReadTxn;
use threads_core::event::{Encryption, Position, SealedEvent};
use threads_core::record::{Dep, Record};
use threads_core::{CollectionName, EntityId, Error, PeerCard, PeerId, Result, Variant};

use crate::chain::Blocks;
use crate::dispatcher::{self, Incoming, Origin, refused};
use crate::ingest::Ingest;
use crate::layout::Place;
use crate::line;
use crate::thread::{Thread, Tip};
use crate::txn::{Commit, WriteTransaction};

impl WriteTransaction<'_> {
    /// Gives a peer a role, or everybody. What is stated becomes a record of its own when the
    /// transaction is committed, after that of its changes. Who had a part before gets with it the keys to keep what was
    /// written meanwhile, and to read what is written from now on; to read all of it, it is [invited](crate::Db::invite) again.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`](threads_core::ErrorKind::Unsupported) in a thread without access
    /// rules, and for reading or replicating one entity: whoever has the thread's keys reads all of it.
    /// Whether this node may say so is decided when the transaction is committed.
    ///
    /// ```
    /// # use threads_core::{PeerId, Variant, access::{Role, Scope, Subject}, datastore::Memory};
    /// # let node = threads_db::Node::builder(Memory::new()).open().unwrap();
    /// let team = node.create_with("team", Variant::AccessControlled).unwrap();
    /// let ann = Subject::Peer(PeerId::from_key_bytes([1; 32]));
    /// team.write(|txn| txn.grant(ann, Scope::Thread, Role::Write)).unwrap();
    /// ```
    pub fn grant(&mut self, to: Subject, scope: Scope, role: Role) -> Result<()> {
        self.state(Statement::Grant { to, scope, role })
    }

    /// Takes a role from a peer, and every role that implies it. A role that it has only because another
    /// one implies it goes with that one. What it wrote before, as far as that
    /// is here, stays; what it wrote without knowing of this is put in quarantine.
    ///
    /// # Errors
    ///
    /// Those of [`WriteTransaction::grant`].
    ///
    /// ```
    /// # use threads_core::{PeerId, Variant, access::{Role, Scope, Subject}, datastore::Memory};
    /// # let node = threads_db::Node::builder(Memory::new()).open().unwrap();
    /// # let team = node.create_with("team", Variant::AccessControlled).unwrap();
    /// let ann = Subject::Peer(PeerId::from_key_bytes([1; 32]));
    /// team.write(|txn| txn.revoke(ann, Scope::Thread, Role::Replicate)).unwrap();
    /// ```
    pub fn revoke(&mut self, from: Subject, scope: Scope, role: Role) -> Result<()> {
        let seen = self.seen_of(match &from {
            Subject::Peer(peer) => Some(peer),
            Subject::Everybody => None,
        })?;
        self.state(Statement::Revoke {
            from,
            scope,
            role,
            seen,
        })
    }

    /// From now on, an entity may be changed only by those who have a role for it by name.
    ///
    /// # Errors
    ///
    /// Those of [`WriteTransaction::grant`].
    ///
    /// ```
    /// # use threads_core::{Variant, datastore::Memory};
    /// # let node = threads_db::Node::builder(Memory::new()).open().unwrap();
    /// # let team = node.create_with("team", Variant::AccessControlled).unwrap();
    /// let (notes, plan) = ("Note".parse().unwrap(), "plan".parse().unwrap());
    /// team.write(|txn| txn.restrict(&notes, &plan)).unwrap();
    /// ```
    pub fn restrict(&mut self, collection: &CollectionName, entity: &EntityId) -> Result<()> {
        let entity = EntityTag::of(&self.thread().id, collection, entity);
        let seen = self.seen_of(None)?;
        self.state(Statement::Restrict { entity, seen })
    }

    /// Gives a peer that is invited its role, where there are rules, and makes known what things are
    /// sealed to for it.
    pub(crate) fn let_in(&mut self, card: &PeerCard, role: Role) -> Result<()> {
        if self.thread().id.variant() != Variant::AccessControlled {
            return Ok(());
        }
        let to = Subject::Peer(card.peer());
        self.state(Statement::Card(*card))?;
        if role == Role::Write {
            // What is left when writing is taken: a role that was only implied would go with it.
            self.grant(to, Scope::Thread, Role::Read)?;
        }
        self.grant(to, Scope::Thread, role)
    }

    /// Takes every role from a peer, where there are rules.
    pub(crate) fn keep_out(&mut self, peer: &PeerId) -> Result<()> {
        if self.thread().id.variant() != Variant::AccessControlled {
            return Ok(());
        }
        self.revoke(Subject::Peer(*peer), Scope::Thread, Role::Replicate)
    }

    /// Gives up all roles of this node in the thread.
    pub(crate) fn give_up(&mut self) -> Result<()> {
        let seen = self.seen_of(Some(&self.thread().own_author()))?;
        self.state(Statement::Leave { seen })
    }

    /// Stages a statement.
    ///
    /// # Errors
    ///
    /// Those of [`WriteTransaction::grant`].
    ///
    /// ```
    /// # use threads_core::{Variant, access::Statement, datastore::Memory};
    /// # let node = threads_db::Node::builder(Memory::new()).open().unwrap();
    /// # let team = node.create_with("team", Variant::AccessControlled).unwrap();
    /// team.write(|txn| txn.state(Statement::Checkpoint)).unwrap();
    /// let raw = node.create("friends").unwrap();
    /// assert!(raw.write(|txn| txn.state(Statement::Checkpoint)).is_err());
    ///
    /// use threads_core::access::{EntityTag, Role, Scope, Subject};
    /// let (note, plan) = ("Note".parse().unwrap(), "plan".parse().unwrap());
    /// let scope = Scope::Entity(EntityTag::of(team.id(), &note, &plan));
    /// let read = Statement::Grant { to: Subject::Everybody, scope, role: Role::Read };
    /// let refused = team.write(|txn| txn.state(read)).unwrap_err();
    /// assert_eq!(refused.kind(), threads_core::ErrorKind::Unsupported);
    /// ```
    pub fn state(&mut self, statement: Statement) -> Result<()> {
        if self.thread().id.variant() != Variant::AccessControlled {
            return Err(Error::unsupported(
                "this thread has no access rules: whoever has its keys may change it",
            ));
        }
        if let Statement::Grant {
            scope: Scope::Entity(_),
            role: role @ (Role::Read | Role::Replicate),
            ..
        } = &statement
        {
            // Keys are those of an epoch of the thread: there are none that open one entity alone.
            return Err(Error::unsupported(
                "roles of one entity are write and delete: whoever may read the thread reads all of it",
            )
            .with("role", role));
        }
        self.staged.statements.push(statement);
        Ok(())
    }

    /// The last records of the logs of a peer, or of all, that are here.
    fn seen_of(&self, author: Option<&PeerId>) -> Result<Vec<Dep>> {
        seen_of(self.txn.as_read(), self.thread(), author)
    }

    /// Makes a record of what is stated, and has the policy learn it.
    pub(crate) fn dispatch_access(&mut self) -> Result<Commit> {
        let thread = self.thread();
        let (log, number, seq) = self.own_log()?;
        let place = Place {
            thread: thread.number,
            log: number,
            seq,
        };
        let statements = std::mem::take(&mut self.staged.statements);
        // It may change with whom the thread is shared.
        self.staged.members = true;
        // It may come after a record of the same transaction, and is later than that.
        let tip = Tip::get(self.txn.as_read(), thread.number)?;
        let time = tip.time.tick(thread.node.clock.now_ms())?;
        // All who ever had keys have those of the first epoch, so that nobody is locked out of the rules.
        let sealed = SealedEvent::seal(
            &Position {
                thread: &thread.id,
                log,
                seq,
                epoch: 0,
            },
            &thread.replica.access_key(),
            time,
            ACCESS_FORMAT.parse()?,
            &access::encode(&statements)?,
            Encryption::SingleUse,
            &mut **thread.node.rng(),
        )?;
        let record = self.seal_record(place, (log, *sealed.event.cid()), (0, true))?;
        let blocks = Blocks {
            record: record.block().to_vec(),
            event: sealed.event.into_bytes(),
            body: sealed.body.into_bytes(),
        };
        let (id, fields) = (record.id(), record.fields().clone());
        dispatcher::link(
            &mut *self.txn,
            thread,
            (&record, &log),
            (place, time),
            &blocks,
        )?;
        // What does not count is refused below, and the transaction with it.
        let record = record.authorise(|_| Ok(()))?;
        let position = tip.position + 1;
        let incoming = Incoming {
            record: &record,
            place,
            time,
            position,
            rejudged: None,
        };
        dispatcher::publish(&mut *self.txn, thread, &incoming, &tip)?;
        dispatcher::broadcast(&mut *self.txn, thread, &incoming, Vec::new(), Origin::Here)?;
        self.staged.log = Some((log, number, seq + 1));
        let learned =
            Ingest::new(&mut *self.txn, thread)?.learn((id, &fields), place, &statements)?;
        match learned.void {
            Some(why) => Err(refused(why)),
            None => Ok(Commit {
                record: id,
                log,
                seq,
                position,
            }),
        }
    }
}

/// The last records of the logs of a peer, or of all, that are here.
pub(crate) fn seen_of(
    txn: &dyn ReadTxn,
    thread: &Thread,
    author: Option<&PeerId>,
) -> Result<Vec<Dep>> {
    let mut lines = line::all(txn, thread)?;
    // Whoever saw the branches of a log saw what is before them.
    lines.retain(|(line, _)| !line.forked);
    if let Some(author) = author {
        let mut own = Vec::new();
        for (line, head) in lines {
            if thread.author(txn, line.number)?.as_ref() == Some(author) {
                own.push((line, head));
            }
        }
        lines = own;
    }
    let mut links = line::head_links(lines);
    // What is left out counts as not seen: nobody can keep others from removing them by having many logs.
    links.truncate(SEEN_MAX);
    Ok(links)
}
