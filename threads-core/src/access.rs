//! Access statements: what the logs of an access-controlled thread say about who may do what.
//!
//! A statement is part of an *access record*: an ordinary record of a log whose event is sealed under
//! a key that everyone with the replica key has ([`ReplicaKey::access_key`](crate::ReplicaKey::access_key)),
//! so that a replica can refuse what a removed writer pushes without reading the thread. What
//! statements mean is for an [`AccessPolicy`](crate::policy::AccessPolicy) to say; `threads-acl` has
//! the rules of the paper, made exact.
//!
//! ```
//! use threads_core::access::{Role, Scope, Statement, Subject, decode, encode};
//! use threads_core::PeerId;
//!
//! let ann = PeerId::from_key_bytes([1; 32]);
//! let grant = Statement::Grant { to: Subject::Peer(ann), scope: Scope::Thread, role: Role::Write };
//! let bytes = encode(std::slice::from_ref(&grant)).unwrap();
//! assert_eq!(decode(&bytes).unwrap(), [grant]);
//! ```

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::block::{self, sha256};
use crate::record::{Dep, Rejection};
use crate::{CollectionName, EntityId, Error, PeerCard, Result, ThreadId};

mod genesis;
mod role;
mod rules;

pub use genesis::{Genesis, History};
pub use role::{Role, Scope, Subject};
pub use rules::{EntityRules, PeerRules, Rules, Stated};

/// The body format that a header names for access statements.
pub const ACCESS_FORMAT: &str = "access/1";
/// The most statements of one record.
pub const STATEMENTS_MAX: usize = 1_024;
/// The most records that one statement says its author had seen.
pub const SEEN_MAX: usize = 1_024;
/// The most records that one statement has emptied.
pub const PURGED_MAX: usize = 1_024;
/// The most members that one statement brings new keys to.
pub const RECIPIENTS_MAX: usize = 4_096;

const ENTITY_DOMAIN: &[u8] = b"threads/entity/1";

/// An entity as access statements name it: whoever only replicates the thread cannot read its name,
/// though they can try names that they guess.
///
/// ```
/// use threads_core::access::EntityTag;
/// use threads_core::{ThreadId, Variant, system_rng};
///
/// let thread = ThreadId::generate(Variant::AccessControlled, &mut system_rng());
/// let (notes, plan) = ("Note".parse().unwrap(), "plan".parse().unwrap());
/// let tag = EntityTag::of(&thread, &notes, &plan);
/// assert_eq!(tag.to_string().parse::<EntityTag>().unwrap(), tag);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntityTag([u8; 16]);

impl EntityTag {
    /// The tag of an entity of a thread.
    ///
    /// ```
    /// # use threads_core::{access::EntityTag, ThreadId, Variant, system_rng};
    /// # let thread = ThreadId::generate(Variant::AccessControlled, &mut system_rng());
    /// let (one, two) = ("Note".parse().unwrap(), "Task".parse().unwrap());
    /// let plan = "plan".parse().unwrap();
    /// assert_ne!(EntityTag::of(&thread, &one, &plan), EntityTag::of(&thread, &two, &plan));
    /// ```
    pub fn of(thread: &ThreadId, collection: &CollectionName, entity: &EntityId) -> Self {
        let mut bytes = ENTITY_DOMAIN.to_vec();
        // The lengths keep the parts apart; each is far below 64 KiB.
        for part in [
            thread.as_bytes(),
            collection.as_str().as_bytes(),
            entity.as_str().as_bytes(),
        ] {
            bytes.extend_from_slice(&(part.len() as u16).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        // The first half of 32 bytes.
        Self(*sha256(&bytes).first_chunk().expect("32 bytes"))
    }

    /// From its 16 bytes.
    ///
    /// ```
    /// use threads_core::access::EntityTag;
    /// assert_eq!(EntityTag::from_bytes([1; 16]).to_bytes(), [1; 16]);
    /// ```
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its 16 bytes.
    ///
    /// ```
    /// use threads_core::access::EntityTag;
    /// assert_eq!(EntityTag::from_bytes([1; 16]).to_bytes(), [1; 16]);
    /// ```
    pub fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

impl std::fmt::Display for EntityTag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for EntityTag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EntityTag({self})")
    }
}

impl std::str::FromStr for EntityTag {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let malformed = || Error::invalid("the tag of an entity has 32 hexadecimal digits");
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(malformed());
        }
        let value = u128::from_str_radix(text, 16);
        value
            .map(|value| Self(value.to_be_bytes()))
            .map_err(|_| malformed())
    }
}

impl Serialize for EntityTag {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_bytes::ByteArray::new(self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for EntityTag {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = serde_bytes::ByteArray::<16>::deserialize(deserializer)?;
        Ok(Self(bytes.into_array()))
    }
}

/// One statement about access.
///
/// ```
/// use threads_core::access::Statement;
/// assert_eq!(Statement::Checkpoint, Statement::Checkpoint.clone());
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Statement {
    /// The beginning of the thread, by its root: the thread's id is its digest.
    Genesis(Genesis),
    /// Gives a role, and what it implies.
    Grant {
        /// To whom.
        to: Subject,
        /// Where it holds.
        scope: Scope,
        /// The role.
        role: Role,
    },
    /// Takes a role, and every role that implies it.
    Revoke {
        /// From whom.
        from: Subject,
        /// Where it held.
        scope: Scope,
        /// The role.
        role: Role,
        /// The last record of each log of theirs that its author had seen: what came before stays.
        seen: Vec<Dep>,
    },
    /// From now on an entity is for those who have a role for it by name.
    Restrict {
        /// The entity.
        entity: EntityTag,
        /// The last record of each log that its author had seen: what came before stays.
        seen: Vec<Dep>,
    },
    /// Root's word that it knows all that is before this.
    Checkpoint,
    /// Its author takes no more part: all roles are given up.
    Leave {
        /// The last record of each log of the author.
        seen: Vec<Dep>,
    },
    /// The key that things are sealed to for a peer, as the peer signed it.
    Card(#[serde(with = "card")] PeerCard),
    /// New keys for what is written from now on, sealed to each who may have them.
    Rekey(Rekey),
    /// What these records say of entities that were deleted is to be erased: event and body go, and of each
    /// the sealed record stays.
    Purge {
        /// The records, ascending.
        records: Vec<Dep>,
    },
}

/// The keys of a new epoch, sealed to those who may have them.
///
/// ```
/// use threads_core::access::Rekey;
/// let rekey = Rekey { epoch: 7, readers: vec![], replicas: vec![], scheme: "each/1".into(), sealed: vec![].into() };
/// assert!(rekey.readers.is_empty());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rekey {
    /// The number of the epoch: what its keys hash to, so nobody can give others keys of their own for it.
    pub epoch: u64,
    /// Who gets both keys, ascending.
    pub readers: Vec<crate::PeerId>,
    /// Who gets the replica key only, ascending.
    pub replicas: Vec<crate::PeerId>,
    /// How they are sealed.
    pub scheme: String,
    /// The sealed keys, in the bytes of the scheme.
    pub sealed: ByteBuf,
}

impl Statement {
    /// The records that its author says to have seen: all of them must be here before it counts.
    ///
    /// ```
    /// use threads_core::access::Statement;
    /// assert!(Statement::Checkpoint.seen().is_empty());
    /// ```
    pub fn seen(&self) -> &[Dep] {
        match self {
            Self::Revoke { seen, .. } | Self::Restrict { seen, .. } | Self::Leave { seen } => seen,
            _ => &[],
        }
    }
}

/// The canonical bytes of the statements of one record.
///
/// # Errors
///
/// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when there is none, or more than [`STATEMENTS_MAX`],
/// or one is not in its form: `seen` ascends and has at most [`SEEN_MAX`] items, recipients ascend, and so
/// does what is to be purged, of at most [`PURGED_MAX`].
///
/// ```
/// assert!(threads_core::access::encode(&[]).is_err());
/// ```
pub fn encode(statements: &[Statement]) -> Result<Vec<u8>> {
    check(statements).map_err(Error::invalid)?;
    block::encode(&statements)
}

/// Decodes what [`encode`] wrote, and nothing else.
///
/// # Errors
///
/// [`Rejection::Malformed`] as the source of an error of kind
/// [`Rejected`](crate::ErrorKind::Rejected).
///
/// ```
/// assert!(threads_core::access::decode(&[0x80]).is_err());
/// ```
pub fn decode(bytes: &[u8]) -> Result<Vec<Statement>> {
    let statements: Vec<Statement> = block::decode(bytes).map_err(|_| Rejection::Malformed)?;
    check(&statements).map_err(|_| Rejection::Malformed)?;
    Ok(statements)
}

fn check(statements: &[Statement]) -> Result<(), &'static str> {
    if statements.is_empty() || statements.len() > STATEMENTS_MAX {
        return Err("an access record has 1 to 1,024 statements");
    }
    for statement in statements {
        let seen = statement.seen();
        if seen.len() > SEEN_MAX || !seen.is_sorted_by(|a, b| a < b) {
            return Err("what a statement has seen ascends, and is at most 1,024 records");
        }
        if let Statement::Purge { records } = statement {
            let ascend = records.is_sorted_by(|a, b| a < b);
            if !ascend || records.is_empty() || records.len() > PURGED_MAX {
                return Err("what is to be purged ascends, and is 1 to 1,024 records");
            }
        }
        if let Statement::Rekey(rekey) = statement {
            let ascend = |peers: &[crate::PeerId]| peers.is_sorted_by(|a, b| a < b);
            if !ascend(&rekey.readers) || !ascend(&rekey.replicas) {
                return Err("those who get new keys ascend");
            }
            if rekey.epoch == 0 || rekey.readers.len() + rekey.replicas.len() > RECIPIENTS_MAX {
                return Err("new keys have a number, and go to at most 4,096 members");
            }
        }
    }
    Ok(())
}

/// A card as its bytes.
mod card {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use serde_bytes::ByteBuf;

    use crate::PeerCard;

    pub(super) fn serialize<S: Serializer>(card: &PeerCard, to: S) -> Result<S::Ok, S::Error> {
        serde_bytes::Bytes::new(&card.to_bytes()).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PeerCard, D::Error> {
        let bytes = ByteBuf::deserialize(from)?;
        PeerCard::from_bytes(&bytes).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{IdentityKey, LogId, PeerId, Variant, system_rng};

    fn dep(byte: u8) -> Dep {
        Dep {
            log: LogId::from_key_bytes([byte; 32]),
            seq: 3,
            cid: block::cid_of(block::DAG_CBOR, &[byte]),
        }
    }

    fn all() -> Vec<Statement> {
        let ann = IdentityKey::from_bytes(&[7; 32]);
        let entity = EntityTag::from_bytes([9; 16]);
        let to = Subject::Peer(ann.peer_id());
        let seen = vec![dep(1), dep(2)];
        vec![
            Statement::Genesis(Genesis::new(ann.peer_id(), History::All, &mut system_rng())),
            Statement::Grant {
                to,
                scope: Scope::Acl,
                role: Role::Write,
            },
            Statement::Grant {
                to: Subject::Everybody,
                scope: Scope::Entity(entity),
                role: Role::Delete,
            },
            Statement::Revoke {
                from: to,
                scope: Scope::Thread,
                role: Role::Read,
                seen: seen.clone(),
            },
            Statement::Restrict {
                entity,
                seen: seen.clone(),
            },
            Statement::Checkpoint,
            Statement::Leave { seen },
            Statement::Card(ann.card()),
            Statement::Rekey(Rekey {
                epoch: 5,
                readers: vec![ann.peer_id()],
                replicas: Vec::new(),
                scheme: "each/1".to_owned(),
                sealed: ByteBuf::from(vec![1, 2]),
            }),
            Statement::Purge {
                records: vec![dep(1), dep(2)],
            },
        ]
    }

    #[test]
    fn statements_come_back_as_they_went() {
        let statements = all();
        assert_eq!(decode(&encode(&statements).unwrap()).unwrap(), statements);
    }

    #[test]
    fn what_is_out_of_order_or_too_much_is_refused() {
        let bad = [
            vec![],
            vec![Statement::Checkpoint; STATEMENTS_MAX + 1],
            vec![Statement::Leave {
                seen: vec![dep(2), dep(1)],
            }],
            vec![Statement::Purge {
                records: Vec::new(),
            }],
            vec![Statement::Purge {
                records: vec![dep(1), dep(1)],
            }],
            vec![Statement::Rekey(Rekey {
                epoch: 1,
                readers: vec![PeerId::from_key_bytes([2; 32]); 2],
                replicas: Vec::new(),
                scheme: String::new(),
                sealed: ByteBuf::new(),
            })],
            vec![Statement::Rekey(Rekey {
                epoch: 0,
                readers: Vec::new(),
                replicas: Vec::new(),
                scheme: String::new(),
                sealed: ByteBuf::new(),
            })],
        ];
        for statements in bad {
            assert!(encode(&statements).is_err());
            let bytes = block::encode(&statements).unwrap();
            let refused = decode(&bytes).unwrap_err();
            assert_eq!(Rejection::of(&refused), Some(Rejection::Malformed));
        }
    }

    #[test]
    fn a_card_that_its_peer_did_not_sign_is_refused() {
        let mut bytes =
            encode(&[Statement::Card(IdentityKey::from_bytes(&[7; 32]).card())]).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        assert!(decode(&bytes).is_err());
    }

    #[test]
    fn an_entity_has_another_tag_in_each_thread() {
        let mut rng = system_rng();
        let (collection, entity) = ("Note".parse().unwrap(), "plan".parse().unwrap());
        let mut tag = || {
            let thread = ThreadId::generate(Variant::AccessControlled, &mut rng);
            EntityTag::of(&thread, &collection, &entity)
        };
        assert_ne!(tag(), tag());
        assert!("12".parse::<EntityTag>().is_err());
    }
}
