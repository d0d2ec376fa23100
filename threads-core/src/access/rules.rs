//! Access rules as they stand: what people and programs are shown.

use std::collections::BTreeMap;

use super::{EntityTag, History, Role, Statement, Subject};
use crate::{Cid, PeerCard, PeerId};

/// Who may do what in a thread, as far as a node knows now.
///
/// ```
/// use threads_core::PeerId;
/// use threads_core::access::{History, Role, Rules};
///
/// let root = PeerId::from_key_bytes([1; 32]);
/// let rules = Rules::new(root, History::All);
/// assert!(rules.of(&root).thread.contains(&Role::Write));
/// assert!(rules.of(&PeerId::from_key_bytes([2; 32])).thread.is_empty());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Who made the thread: may do everything, always.
    pub root: PeerId,
    /// What newcomers may read.
    pub history: History,
    /// What everybody may do who has no role of their own and from whom none was taken.
    pub default: Vec<Role>,
    /// The same for the rules themselves.
    pub default_acl: Vec<Role>,
    /// Root, the peers that grants and removals name which count, and, where everybody has a role, those
    /// whose card is known.
    pub peers: BTreeMap<PeerId, PeerRules>,
    /// Entities that are restricted, or for which roles were given or taken: who has which.
    pub entities: BTreeMap<EntityTag, EntityRules>,
    /// Whether admins were removed by others than root since root last stated what it knows: until it
    /// does so again, what those admins write back-dated may still count.
    pub unsealed: bool,
}

/// What one peer may do.
///
/// ```
/// assert!(threads_core::access::PeerRules::default().acl.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerRules {
    /// In the thread, the default included.
    pub thread: Vec<Role>,
    /// With the rules themselves.
    pub acl: Vec<Role>,
    /// The key that things are sealed to for it, if it is known.
    pub card: Option<PeerCard>,
}

/// Who may do what with one entity.
///
/// ```
/// assert!(!threads_core::access::EntityRules::default().restricted);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntityRules {
    /// Whether only those may change it who are named here, and root.
    pub restricted: bool,
    /// The roles that were given for it.
    pub roles: BTreeMap<Subject, Vec<Role>>,
}

impl Rules {
    /// Those of a new thread: everything for root, nothing for anybody else.
    ///
    /// ```
    /// # use threads_core::{PeerId, access::{History, Rules}};
    /// let rules = Rules::new(PeerId::from_key_bytes([1; 32]), History::All);
    /// assert!(rules.default.is_empty() && rules.peers.is_empty());
    /// ```
    pub fn new(root: PeerId, history: History) -> Self {
        Self {
            root,
            history,
            default: Vec::new(),
            default_acl: Vec::new(),
            peers: BTreeMap::new(),
            entities: BTreeMap::new(),
            unsealed: false,
        }
    }

    /// What a peer may do, named or not.
    ///
    /// ```
    /// # use threads_core::{PeerId, access::{History, Role, Rules}};
    /// let mut rules = Rules::new(PeerId::from_key_bytes([1; 32]), History::All);
    /// rules.default = vec![Role::Read];
    /// assert_eq!(rules.of(&PeerId::from_key_bytes([2; 32])).thread, [Role::Read]);
    /// ```
    pub fn of(&self, peer: &PeerId) -> PeerRules {
        let named = self.peers.get(peer).cloned();
        if *peer == self.root {
            return PeerRules {
                thread: Role::ALL.to_vec(),
                acl: vec![Role::Write],
                ..named.unwrap_or_default()
            };
        }
        named.unwrap_or_else(|| PeerRules {
            thread: self.default.clone(),
            acl: self.default_acl.clone(),
            card: None,
        })
    }
}

/// One statement about access, and what became of it.
///
/// ```
/// use threads_core::access::Stated;
/// fn line(stated: &Stated) -> String {
///     format!("{} says {:?}: {}", stated.author, stated.statement, stated.void.as_deref().unwrap_or("counts"))
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stated {
    /// The record that it is in.
    pub record: Cid,
    /// Who says it.
    pub author: PeerId,
    /// What is said.
    pub statement: Statement,
    /// Why it does not count, in words; `None` when it does.
    pub void: Option<String>,
}
