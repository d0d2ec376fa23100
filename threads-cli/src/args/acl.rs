//! What the user can type about who may do what.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand};
use threads_core::access::{Role, Subject};
use threads_core::{Cid, CollectionName, EntityId, PeerCard, PeerId};

use super::OfThread;

#[derive(Debug, Subcommand)]
pub(crate) enum AclCommand {
    /// Show who may do what in a thread
    Show(OfThread),
    /// Give a role: replicate, read, write or delete
    ///
    /// Write gives read too, so that whoever loses write can read on. A role for an entity matters once the
    /// entity is restricted.
    Grant(AclGrant),
    /// Take a role, and every role that implies it
    ///
    /// Taking read takes write, taking replicate takes all. What the peer wrote before, as far as that is
    /// here, stays; what it wrote without knowing of this is put in quarantine.
    Revoke(AclRevoke),
    /// Let only those change an entity who have a role for it by name
    Restrict(AclRestrict),
    /// Set what everybody may do who has no role of their own
    Default(AclDefault),
    /// List what was said about who may do what, and whether it counts
    History(OfThread),
    /// Say what the rules of access control make of a history, and store nothing
    ///
    /// The history is {"events": [{"id", "author", "kind", "deps", ...}]}, in any order, with kind
    /// genesis, grant, revoke, restrict, checkpoint, create, save or delete. A grant or revoke has a
    /// target (a name, or * for everyone), a role (replicate, read, write or delete) and a scope (thread,
    /// acl or entity:ID); the others have an entity. The author of the genesis is root. Events whose deps are
    /// missing have no effect; they are named on standard error.
    Eval(AclEval),
}

#[derive(Debug, Args)]
pub(crate) struct AclEval {
    /// The history, as JSON; - reads standard input
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct AclGrant {
    /// A thread's name or id
    pub(crate) db: String,
    /// A peer's id, or the card that its `threads id` prints; * is everybody
    pub(crate) peer: Who,
    /// replicate, read, write or delete
    #[arg(required_unless_present = "acl")]
    pub(crate) role: Option<Role>,
    /// For this entity, and not for the thread
    #[arg(long, value_name = "COLLECTION/ID", conflicts_with = "acl")]
    pub(crate) entity: Option<EntityPath>,
    /// To change these rules, and not the thread
    #[arg(long)]
    pub(crate) acl: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AclRevoke {
    /// A thread's name or id
    pub(crate) db: String,
    /// A peer's id or card; * is everybody
    pub(crate) peer: Who,
    /// replicate, read, write or delete
    #[arg(required_unless_present_any = ["acl", "all"])]
    pub(crate) role: Option<Role>,
    /// For this entity, and not for the thread
    #[arg(long, value_name = "COLLECTION/ID", conflicts_with = "acl")]
    pub(crate) entity: Option<EntityPath>,
    /// To change these rules, and not the thread
    #[arg(long)]
    pub(crate) acl: bool,
    /// Everything: the roles of the thread, of entities, and to change these rules
    #[arg(long, conflicts_with_all = ["role", "entity", "acl"])]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AclRestrict {
    /// A thread's name or id
    pub(crate) db: String,
    /// The entity
    #[arg(value_name = "COLLECTION/ID")]
    pub(crate) entity: EntityPath,
}

#[derive(Debug, Args)]
pub(crate) struct AclDefault {
    /// A thread's name or id
    pub(crate) db: String,
    /// replicate, read, write or delete; no-access takes them
    pub(crate) role: MaybeRole,
}

#[derive(Debug, Args)]
pub(crate) struct Purge {
    /// A thread's name or id
    pub(crate) db: String,
    /// The entities: deleted for good, and nothing of what they said is kept
    #[arg(value_name = "COLLECTION/ID")]
    pub(crate) entities: Vec<EntityPath>,
    /// Write over what the disk still holds of what was purged before, here or by peers
    #[arg(long, conflicts_with = "entities")]
    pub(crate) wipe: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Why {
    /// A thread's name or id
    pub(crate) db: String,
    /// A record of `threads log`, or an entity
    #[arg(value_name = "CID|COLLECTION/ID")]
    pub(crate) what: RecordOrEntity,
}

#[derive(Debug, Subcommand)]
pub(crate) enum QuarantineCommand {
    /// List the records in quarantine, with the reasons
    Ls(OfThread),
    /// Show what a record in quarantine would change now
    Show(QuarantineShow),
    /// Make the changes of records in quarantine one's own, on top of what there is now
    Adopt(QuarantineAdopt),
}

#[derive(Debug, Args)]
pub(crate) struct QuarantineShow {
    /// A thread's name or id
    pub(crate) db: String,
    /// A record of `threads quarantine ls`
    #[arg(value_parser = super::cid)]
    pub(crate) cid: Cid,
}

#[derive(Debug, Args)]
pub(crate) struct QuarantineAdopt {
    /// A thread's name or id
    pub(crate) db: String,
    /// Records of `threads quarantine ls`
    #[arg(value_name = "CID", value_parser = super::cid, required_unless_present = "all_of")]
    pub(crate) records: Vec<Cid>,
    /// All records of this peer that nobody has adopted
    #[arg(long, value_name = "PEER", conflicts_with = "records")]
    pub(crate) all_of: Option<PeerId>,
}

/// Whom a rule is about.
#[derive(Clone, Debug)]
pub(crate) enum Who {
    Everybody,
    Peer(PeerId),
    Card(PeerCard),
}

impl Who {
    pub(crate) fn subject(&self) -> Subject {
        match self {
            Self::Everybody => Subject::Everybody,
            Self::Peer(peer) => Subject::Peer(*peer),
            Self::Card(card) => Subject::Peer(card.peer()),
        }
    }
}

impl FromStr for Who {
    type Err = threads_core::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "*" => Ok(Self::Everybody),
            card if card.starts_with("peer_") => card.parse().map(Self::Card),
            peer => peer.parse().map(Self::Peer),
        }
    }
}

/// A role, or none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MaybeRole(pub(crate) Option<Role>);

impl FromStr for MaybeRole {
    type Err = threads_core::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "no-access" => Ok(Self(None)),
            role => role.parse().map(|role| Self(Some(role))),
        }
    }
}

/// An entity of a collection.
#[derive(Clone, Debug)]
pub(crate) struct EntityPath {
    pub(crate) collection: CollectionName,
    pub(crate) id: EntityId,
}

impl FromStr for EntityPath {
    type Err = threads_core::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || threads_core::Error::invalid("an entity is named COLLECTION/ID");
        let (collection, id) = text.split_once('/').ok_or_else(wrong)?;
        Ok(Self {
            collection: collection.parse()?,
            id: id.parse()?,
        })
    }
}

impl std::fmt::Display for EntityPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.collection, self.id)
    }
}

/// A record by its CID, or an entity.
#[derive(Clone, Debug)]
pub(crate) enum RecordOrEntity {
    Record(Cid),
    Entity(EntityPath),
}

impl FromStr for RecordOrEntity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains('/') {
            let path: Result<EntityPath, _> = text.parse();
            return path.map(Self::Entity).map_err(|error| error.to_string());
        }
        super::cid(text)
            .map(Self::Record)
            .map_err(|error| format!("{error}; an entity is named COLLECTION/ID"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entity_has_a_collection_and_any_id() {
        let path: EntityPath = "Note/a/b c".parse().unwrap();
        assert_eq!(
            (path.collection.as_str(), path.id.as_str()),
            ("Note", "a/b c")
        );
        assert_eq!(path.to_string(), "Note/a/b c");
        for wrong in ["Note", "Note/", "/a", "No te/a", ""] {
            assert!(wrong.parse::<EntityPath>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn whom_a_rule_is_about_is_a_peer_a_card_or_everybody() {
        let ann = threads_core::IdentityKey::from_bytes(&[7; 32]);
        for text in [ann.peer_id().to_string(), ann.card().to_string()] {
            let who: Who = text.parse().unwrap();
            assert_eq!(who.subject(), Subject::Peer(ann.peer_id()), "{text}");
        }
        assert_eq!("*".parse::<Who>().unwrap().subject(), Subject::Everybody);
        assert!("ann".parse::<Who>().is_err());
        assert!("no-access".parse::<MaybeRole>().unwrap().0.is_none());
        assert!("all".parse::<MaybeRole>().is_err());
    }
}
