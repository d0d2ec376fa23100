//! The rules as they stand, for people and programs: as much work as there is that counts, whatever else
//! was ever stated.

use std::collections::BTreeMap;

use threads_core::PeerId;
use threads_core::access::{EntityRules, EntityTag, PeerRules, Role, Rules, Scope, Subject};

use super::State;
use crate::Who;

impl State {
    pub(in crate::policy) fn rules(&self) -> Option<Rules> {
        let genesis = self.genesis.as_ref()?;
        let mut rules = Rules::new(genesis.root(), genesis.history());
        let default = self.evaluator.default_roles(crate::Scope::Thread);
        rules.default = Role::ALL
            .into_iter()
            .filter(|role| default.may(*role))
            .collect();
        let default_acl = self.evaluator.default_roles(crate::Scope::Acl);
        rules.default_acl = default_acl.iter().collect();
        let mut of_entities: BTreeMap<EntityTag, EntityRules> = BTreeMap::new();
        rules
            .peers
            .insert(genesis.root(), self.peer_rules(&genesis.root()));
        for (scope, who) in self.evaluator.spoken_of() {
            match (scope, who) {
                (crate::Scope::Entity(entity), who) => {
                    let Some(tag) = self.entities.name(entity.0) else {
                        continue;
                    };
                    let of = of_entities.entry(tag).or_insert_with(|| EntityRules {
                        restricted: self.evaluator.is_restricted(entity),
                        ..EntityRules::default()
                    });
                    of.roles.extend(self.roles_given(scope, who));
                }
                (_, Who::Peer(peer)) => {
                    if let Some(peer) = self.peer_name(peer) {
                        rules.peers.insert(peer, self.peer_rules(&peer));
                    }
                }
                (_, Who::Everyone) => {}
            }
        }
        if !default.is_empty() {
            // Things are sealed to whoever has what everybody has, if it is known how.
            for peer in self.cards.peers(&self.evaluator) {
                let known = rules.peers.entry(*peer);
                known.or_insert_with(|| self.peer_rules(peer));
            }
        }
        rules.entities = of_entities;
        rules.unsealed = self.unsealed.iter().any(|id| self.evaluator.counts(*id));
        Some(rules)
    }

    /// What one peer may do, from what the evaluator says.
    fn peer_rules(&self, peer: &PeerId) -> PeerRules {
        PeerRules {
            thread: self.roles(peer, &Scope::Thread).unwrap_or_default(),
            acl: self.roles(peer, &Scope::Acl).unwrap_or_default(),
            card: self.cards.of(&self.evaluator, peer),
        }
    }

    /// The roles of an entity that somebody was given, or everybody, if any.
    fn roles_given(&self, scope: crate::Scope, who: Who) -> Option<(Subject, Vec<Role>)> {
        let (subject, given) = match who {
            Who::Everyone => (Subject::Everybody, self.evaluator.default_roles(scope)),
            Who::Peer(peer) if peer == self.evaluator.root() => return None,
            Who::Peer(peer) => {
                let name = self.peer_name(peer)?;
                (Subject::Peer(name), self.evaluator.roles(peer, scope))
            }
        };
        (!given.is_empty()).then(|| (subject, given.iter().collect()))
    }
}
