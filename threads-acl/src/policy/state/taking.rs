//! Taking in what records state, one after the other.

use std::borrow::Cow;

use threads_core::access::{Scope, Statement, Subject};
use threads_core::policy::{AccessRecord, Again, Learned};
use threads_core::{ErrorKind, Result};

use super::{ROOT, Said, State, Void};
use crate::policy::named;
use crate::policy::rows::Row;
use crate::{AclEvent, AclId, AclKind, Entity, LeftOut, Peer, Who};

/// Of how many latest events a record that takes no part is kept as a list.
const LATEST_MAX: usize = 16;

impl State {
    /// Takes in an access record; says what it means, and why something that it states does not count, if so. What
    /// comes before the beginning of the thread waits for that, so that the order in which they came makes no
    /// difference.
    pub(in crate::policy) fn learn(
        &mut self,
        record: &AccessRecord<'_>,
    ) -> Result<(Learned, Option<Void>)> {
        let mut statements = record.statements.iter();
        if self.genesis.is_some() {
            return self.take(record);
        }
        if !statements.any(|statement| self.begins(record, statement)) {
            self.early.push(Row::of(record));
            let void = Void::because("it names no beginning of the thread");
            return Ok((passing(), Some(void)));
        }
        let (mut learned, void) = self.take(record)?;
        for row in std::mem::take(&mut self.early) {
            self.take(&row.record_of(&self.thread.clone()))?;
        }
        // All that was judged so far was judged without rules.
        learned.again = vec![Again::default()];
        Ok((learned, void))
    }

    /// Whether a statement is the beginning of this thread.
    fn begins(&self, record: &AccessRecord<'_>, statement: &Statement) -> bool {
        match statement {
            Statement::Genesis(genesis) => {
                genesis.root() == record.author && genesis.is_of(&self.thread)
            }
            _ => false,
        }
    }

    fn take(&mut self, record: &AccessRecord<'_>) -> Result<(Learned, Option<Void>)> {
        let mut learned = passing();
        if self.genesis.is_none() {
            // Root is the first to have a number.
            self.peers.number(record.author);
        }
        let knows = self.latest_of(record);
        let author = self.peer(&record.author);
        self.known.note_hidden(record, author == ROOT);
        if let Some(why) = self.leaves_out(record, author, &knows) {
            return self.set_aside(record, knows, why);
        }
        let mut parents = knows;
        for statement in record.statements {
            let event = self.state(record, statement, &parents, &mut learned)?;
            if let Ok(Some(id)) = &event {
                // What one record says is said in its order.
                parents = vec![*id];
            }
            self.said.push(Said {
                record: record.id,
                author: record.author,
                statement: statement.clone(),
                event,
            });
        }
        let last = match parents[..] {
            [last] if self.is_of(last, record) => Some(last),
            // It said nothing that counts for anybody: it stands for what it names.
            _ => {
                let author = Peer(self.peers.number(record.author));
                self.mark(author, parents, &mut learned)?
            }
        };
        if let Some(last) = last {
            self.known.insert(record.id, last);
        }
        let own = self.said.iter().rev().take(record.statements.len());
        let void = own.rev().find_map(|said| self.void(said));
        Ok((learned, void))
    }

    /// Whether an event is one of this record.
    fn is_of(&self, id: AclId, record: &AccessRecord<'_>) -> bool {
        let own = self.said.iter().rev().take(record.statements.len());
        own.into_iter()
            .any(|said| matches!(&said.event, Ok(Some(own)) if *own == id))
    }

    /// The latest events that a record knows of.
    fn latest_of(&self, record: &AccessRecord<'_>) -> Vec<AclId> {
        let all = record.acl.iter().flat_map(|known| self.last_of(known));
        let mut all: Vec<_> = all.copied().collect();
        all.sort_unstable_by(|a, b| b.cmp(a));
        all.dedup();
        let mut latest: Vec<AclId> = Vec::new();
        for id in all {
            let mut later = latest.iter();
            if !later.any(|later| self.evaluator.reaches(*later, id)) {
                latest.push(id);
            }
        }
        latest
    }

    /// Why what a record states takes no part, if it takes none, and root has not seen it.
    fn leaves_out(
        &self,
        record: &AccessRecord<'_>,
        author: Peer,
        knows: &[AclId],
    ) -> Option<LeftOut> {
        match self.evaluator.left_out(author, knows)? {
            LeftOut::NoRoom if self.known.is_seen_by_root(&record.id) => None,
            why => Some(why),
        }
    }

    /// Keeps of a record no more than what it knows of, for which it stands.
    fn set_aside(
        &mut self,
        record: &AccessRecord<'_>,
        knows: Vec<AclId>,
        why: LeftOut,
    ) -> Result<(Learned, Option<Void>)> {
        let mut learned = passing();
        let knows = match knows.len() > LATEST_MAX {
            // What is set aside is so only where its room was full before it came: its mark takes none of anybody.
            true => {
                let mark = self.mark(Peer::NOBODY, knows, &mut learned)?;
                mark.into_iter().collect()
            }
            false => knows,
        };
        self.known.set_aside(record.id, knows.into(), why);
        let says_something = !record.statements.is_empty();
        Ok((learned, says_something.then_some(Void::LeftOut(why))))
    }

    /// An event that says nothing, by which others can name a record. It takes room of its author, and if it is
    /// root's, root has seen what it names: by either others may take part, or do so no more.
    fn mark(
        &mut self,
        author: Peer,
        parents: Vec<AclId>,
        learned: &mut Learned,
    ) -> Result<Option<AclId>> {
        let kind = AclKind::Genesis;
        let event = AclEvent {
            author,
            parents,
            kind,
        };
        match self.evaluator.insert(event) {
            Ok((id, changes)) => {
                self.touched(id, &changes, learned);
                Ok(Some(id))
            }
            Err(error) if error.kind() == ErrorKind::Full => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes in one statement. Gives its number, or why it has none.
    fn state(
        &mut self,
        record: &AccessRecord<'_>,
        statement: &Statement,
        parents: &[AclId],
        learned: &mut Learned,
    ) -> Result<Result<Option<AclId>, Cow<'static, str>>> {
        if let Statement::Genesis(genesis) = statement {
            if !self.begins(record, statement) {
                return Ok(Err("it is the beginning of another thread".into()));
            }
            self.genesis.get_or_insert_with(|| genesis.clone());
        }
        let Some(kind) = self.kind(statement) else {
            return Ok(Err("this version does not know what it says".into()));
        };
        let author = Peer(self.peers.number(record.author));
        let event = AclEvent {
            author,
            parents: parents.to_vec(),
            kind,
        };
        // Who has nothing to leave says nothing to anybody by leaving; nor who is nobody, by a card.
        let own_card = matches!(statement, Statement::Card(card) if card.peer() == record.author);
        let says_nothing = (kind == AclKind::Leave || own_card) && !self.has_any_role(author);
        let (id, changes) = match self.evaluator.insert(event) {
            Ok(inserted) => inserted,
            // Of more than there may be, and of what has no meaning, nobody can make errors for others.
            Err(error) if matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Full) => {
                return Ok(Err(error.to_string().into()));
            }
            Err(error) => return Err(error),
        };
        learned.passing &= match statement {
            // Who takes the role to delete from its author later has seen it by that.
            Statement::Purge { .. } => self.judge_purge(id).is_err(),
            _ if self.left_out(id).is_some() => true,
            Statement::Card(_) => says_nothing || !own_card,
            _ => says_nothing || !self.evaluator.is_authorised(id),
        };
        if let Statement::Card(card) = statement {
            self.cards.state(id, (card, own_card));
        }
        if !statement.seen().is_empty() {
            self.seen.insert(id, statement.seen().to_vec());
        }
        self.note_unsealed(id);
        self.purging |= matches!(statement, Statement::Purge { .. });
        self.touched(id, &changes, learned);
        Ok(Ok(Some(id)))
    }

    /// What a statement is to the evaluator.
    fn kind(&mut self, statement: &Statement) -> Option<AclKind> {
        Some(match statement {
            Statement::Genesis(_) => AclKind::Genesis,
            Statement::Grant { to, scope, role } => AclKind::Grant {
                target: self.who(to),
                scope: self.scope(scope),
                role: *role,
            },
            Statement::Revoke {
                from, scope, role, ..
            } => AclKind::Revoke {
                target: self.who(from),
                scope: self.scope(scope),
                role: *role,
            },
            Statement::Restrict { entity, .. } => {
                AclKind::Restrict(Entity(self.entities.number(*entity)))
            }
            Statement::Checkpoint => AclKind::Checkpoint,
            Statement::Leave { .. } => AclKind::Leave,
            // An event without effect, so that it is known who states it, and what comes after it.
            Statement::Card(_) => AclKind::Genesis,
            // Of effect by what it brings; whether its author may is what an event says.
            Statement::Rekey(_) => AclKind::Checkpoint,
            // It changes no rule: what stands for it is judged like a delete.
            Statement::Purge { .. } => AclKind::Genesis,
            _ => return None,
        })
    }

    fn has_any_role(&self, peer: Peer) -> bool {
        let has = |scope| !self.evaluator.roles(peer, scope).is_empty();
        has(crate::Scope::Thread) || has(crate::Scope::Acl)
    }

    fn who(&mut self, subject: &Subject) -> Who {
        named(subject).map_or(Who::Everyone, |peer| {
            Who::Peer(Peer(self.peers.number(*peer)))
        })
    }

    fn scope(&mut self, scope: &Scope) -> crate::Scope {
        match scope {
            Scope::Thread => crate::Scope::Thread,
            Scope::Acl => crate::Scope::Acl,
            Scope::Entity(tag) => crate::Scope::Entity(Entity(self.entities.number(*tag))),
        }
    }

    /// Root says again what it knows when others removed an admin, unless it has.
    fn note_unsealed(&mut self, id: AclId) {
        let Some((author, kind)) = self.evaluator.event(id) else {
            return;
        };
        if author == ROOT && kind == AclKind::Checkpoint {
            let evaluator = &self.evaluator;
            self.unsealed
                .retain(|removal| !evaluator.reaches(id, *removal));
        } else if author != ROOT
            && matches!(
                kind,
                AclKind::Revoke {
                    scope: crate::Scope::Acl,
                    ..
                }
            )
        {
            self.unsealed.insert(id);
        }
    }
}

/// What a record means of which nothing is known yet that others need to name.
fn passing() -> Learned {
    Learned {
        passing: true,
        ..Learned::default()
    }
}
