//! Of whom and of what the events speak that count.

use std::collections::BTreeMap;

use crate::{AclId, AclKind, Evaluator, Scope, Who};

/// How many events that count speak of whom, in which scope.
#[derive(Clone, Debug, Default)]
pub(super) struct Spoken(BTreeMap<(Scope, Who), u32>);

impl Spoken {
    fn add(&mut self, of: (Scope, Who)) {
        *self.0.entry(of).or_default() += 1;
    }

    fn remove(&mut self, of: (Scope, Who)) {
        if let Some(events) = self.0.get_mut(&of) {
            *events -= 1;
            if *events == 0 {
                self.0.remove(&of);
            }
        }
    }
}

impl Evaluator {
    /// Every scope that grants, removals and restrictions which count speak of, and of whom they do there;
    /// a restriction of an entity speaks of everyone. It takes as long as there are such, however much was
    /// stated that does not count.
    ///
    /// ```
    /// use threads_acl::{AclEvent, AclKind, Evaluator, Peer, Role, Scope, Who};
    ///
    /// let mut evaluator = Evaluator::new(Peer(0));
    /// let mut grant = |author, to| {
    ///     let kind = AclKind::Grant { target: Who::Peer(to), scope: Scope::Thread, role: Role::Read };
    ///     evaluator.insert(AclEvent { author, parents: vec![], kind }).unwrap();
    /// };
    /// grant(Peer(0), Peer(1));
    /// grant(Peer(8), Peer(9));
    /// assert!(evaluator.spoken_of().eq([(Scope::Thread, Who::Peer(Peer(1)))]));
    /// ```
    pub fn spoken_of(&self) -> impl Iterator<Item = (Scope, Who)> {
        self.spoken.0.keys().copied()
    }

    /// Notes that an event counts now, or that it does no more.
    pub(super) fn note_spoken(&mut self, id: AclId, counts: bool) {
        let event = &self.known[id.index()];
        let (who, scopes) = match event.kind {
            AclKind::Grant { target, scope, .. } => (target, [Some(scope), None]),
            AclKind::Restrict(entity) => (Who::Everyone, [Some(Scope::Entity(entity)), None]),
            kind => match kind.takes(event.author) {
                Some((target, scopes, _)) => (target, scopes),
                None => return,
            },
        };
        for scope in scopes.into_iter().flatten() {
            match counts {
                true => self.spoken.add((scope, who)),
                false => self.spoken.remove((scope, who)),
            }
        }
    }
}
