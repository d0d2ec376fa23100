//! Invites: a thread handed to one person, or a link by which anybody may ask to take part.
//!
//! An invite is one text. Made *to* a peer, it holds the thread's keys sealed to that peer's card, and
//! opens for nobody else. Made as a *link*, it holds no keys: whoever has it may ask the inviter, a
//! member accepts, and the keys are sealed to who asked. Invites, who accepted them and who left are
//! entities of the thread, so every member sees them (paper, "Log Synchronization").

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_bytes::{ByteArray, ByteBuf};
use threads_core::block::{self, sha256};
use threads_core::key::verify;
use threads_core::{ContentKey, Error, IdentityKey, Multiaddr, PeerCard, PeerId, Result, text};

use crate::sharing::ThreadKeys;

mod admit;
mod members;
mod request;
mod rows;
#[cfg(test)]
mod vectors;

pub use admit::{JoinOptions, Joined};
pub use members::Member;
pub use threads_core::access::Role;

pub(crate) use members::{note_all_members, note_members};
pub use request::JoinRequest;
pub(crate) use request::{PendingJoin, Verdict};
pub use rows::InviteStatus;
pub(crate) use rows::{INVITES, MEMBERS, is_any_good};

/// The longest time for which an invite is good.
pub const INVITE_LIFETIME_MAX: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// The most uses of one invite.
pub const INVITE_USES_MAX: u32 = 1_000;
/// The most addresses of the inviter in an invite.
pub const INVITE_ADDRS_MAX: usize = 16;

const TAG: &str = "invite";
const TEXT_BYTES_MAX: usize = 4 * 1024;
const SIGN_DOMAIN: &[u8] = b"threads/invite/1";
const SEAL_DOMAIN: &[u8] = b"threads/invite-keys/1";

/// What an invite is to be.
///
/// ```
/// use threads_db::{InviteOptions, Role};
/// let link = InviteOptions::new(Role::Read).uses(10);
/// assert_eq!(link, InviteOptions::new(Role::Read).uses(10));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct InviteOptions {
    role: Role,
    to: Option<PeerCard>,
    lifetime: Duration,
    uses: u32,
    addrs: Vec<Multiaddr>,
}

impl InviteOptions {
    /// A link, good for one use within seven days.
    ///
    /// ```
    /// let options = threads_db::InviteOptions::new(threads_db::Role::Write);
    /// ```
    pub fn new(role: Role) -> Self {
        Self {
            role,
            to: None,
            lifetime: Duration::from_secs(7 * 24 * 60 * 60),
            uses: 1,
            addrs: Vec::new(),
        }
    }

    /// For the peer of this card alone.
    ///
    /// ```
    /// use threads_db::{InviteOptions, Role};
    /// let bob = threads_core::IdentityKey::from_bytes(&[7; 32]).card();
    /// let options = InviteOptions::new(Role::Write).to(bob);
    /// ```
    #[must_use]
    pub fn to(mut self, card: PeerCard) -> Self {
        self.to = Some(card);
        self
    }

    /// How long it is good, at most [`INVITE_LIFETIME_MAX`].
    ///
    /// ```
    /// use threads_db::{InviteOptions, Role};
    /// let day = std::time::Duration::from_secs(24 * 60 * 60);
    /// let options = InviteOptions::new(Role::Write).lifetime(day);
    /// ```
    #[must_use]
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// How often it may be used, from 1 to [`INVITE_USES_MAX`].
    ///
    /// ```
    /// let options = threads_db::InviteOptions::new(threads_db::Role::Read).uses(5);
    /// ```
    #[must_use]
    pub fn uses(mut self, uses: u32) -> Self {
        self.uses = uses;
        self
    }

    /// Where the inviter can be reached, at most [`INVITE_ADDRS_MAX`]; each ends in `/p2p/` and its id.
    ///
    /// ```
    /// use threads_db::{InviteOptions, Role};
    /// let options = InviteOptions::new(Role::Read).addresses(Vec::new());
    /// ```
    #[must_use]
    pub fn addresses(mut self, addrs: Vec<Multiaddr>) -> Self {
        self.addrs = addrs;
        self
    }
}

/// An invite to a thread. Its text ([`Display`](fmt::Display), [`FromStr`]) is what people pass on; a
/// link is a secret for as long as it is good.
///
/// ```
#[doc = include_str!("../doc/example_read.txt")]
/// # use threads_db::{Invite, InviteOptions, Node, Role};
/// let other = Node::builder(Memory::new()).codec(JsonPatch::new()).open().unwrap();
/// let invite = db.invite(&InviteOptions::new(Role::Write).to(other.card())).unwrap();
/// let text = invite.to_string();
///
/// let joined = other.join(&text.parse().unwrap(), Some("friends of bob")).unwrap();
/// assert_eq!(joined.db().unwrap().id(), db.id());
/// assert!(node.join(&text.parse().unwrap(), None).is_err(), "it is for the other");
/// ```
#[derive(Clone, PartialEq)]
pub struct Invite {
    unsigned: Unsigned,
    sig: ByteArray<64>,
}

/// All that the inviter signs.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct Unsigned {
    v: u64,
    id: String,
    by: PeerId,
    addrs: Vec<ByteBuf>,
    until: u64,
    way: Way,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Way {
    /// For this peer: a key sealed to it, and the thread's keys sealed with that.
    To(PeerId, ByteBuf, ByteBuf),
    /// For whoever knows this.
    Link(ByteArray<16>),
}

#[derive(Serialize, Deserialize)]
struct Wire(Unsigned, ByteArray<64>);

/// Seals a thread's keys to a card: the sealed key, and what is sealed with it.
pub(crate) fn seal_keys(
    keys: &ThreadKeys,
    role: Role,
    name: &str,
    to: &PeerCard,
    rng: &mut dyn threads_core::rand_core::CryptoRng,
) -> Result<(ByteBuf, ByteBuf)> {
    let content = ContentKey::generate(rng);
    let info = [SEAL_DOMAIN, to.peer().key_bytes()].concat();
    let key = to.agreement().seal(&info, &content, rng)?;
    let plain = keys.encode(role, name)?;
    let secret = content.seal_random(&info, &plain, rng)?;
    Ok((key.into(), secret.into()))
}

/// The inverse of [`seal_keys`], for the peer that they were sealed to.
pub(crate) fn open_keys(
    identity: &IdentityKey,
    key: &[u8],
    secret: &[u8],
) -> Result<(ThreadKeys, Role, String)> {
    let info = [SEAL_DOMAIN, identity.peer_id().key_bytes()].concat();
    let content = identity.agreement_key().open(&info, key)?;
    ThreadKeys::decode(&content.open(&info, secret)?)
}

impl Unsigned {
    fn message(&self) -> Result<Vec<u8>> {
        Ok([SIGN_DOMAIN, &block::encode(self)?].concat())
    }

    fn sign(self, identity: &IdentityKey) -> Result<Invite> {
        let sig = ByteArray::new(identity.sign(&self.message()?));
        Ok(Invite {
            unsigned: self,
            sig,
        })
    }
}

impl Invite {
    /// The id by which it is listed and revoked.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// # use threads_db::{InviteOptions, Role};
    /// let invite = db.invite(&InviteOptions::new(Role::Read)).unwrap();
    /// assert_eq!(db.invites().unwrap()[0].id, invite.id());
    /// ```
    pub fn id(&self) -> &str {
        &self.unsigned.id
    }

    /// Who invites.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// # use threads_db::{InviteOptions, Role};
    /// let invite = db.invite(&InviteOptions::new(Role::Read)).unwrap();
    /// assert_eq!(invite.by(), node.peer_id());
    /// ```
    pub fn by(&self) -> PeerId {
        self.unsigned.by
    }

    /// Where the inviter may be reached.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// # use threads_db::{InviteOptions, Role};
    /// assert!(db.invite(&InviteOptions::new(Role::Read)).unwrap().addresses().is_empty());
    /// ```
    pub fn addresses(&self) -> Vec<Multiaddr> {
        let addrs = self.unsigned.addrs.iter();
        // What a later version wrote may mean nothing here.
        addrs
            .filter_map(|addr| Multiaddr::try_from(addr.to_vec()).ok())
            .collect()
    }

    /// Whether it only lets one ask.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// # use threads_db::{InviteOptions, Role};
    /// assert!(db.invite(&InviteOptions::new(Role::Read)).unwrap().is_link());
    /// ```
    pub fn is_link(&self) -> bool {
        matches!(self.unsigned.way, Way::Link(_))
    }

    /// Until when it is good, in milliseconds since 1970.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// # use threads_db::{InviteOptions, Role};
    /// assert!(db.invite(&InviteOptions::new(Role::Read)).unwrap().until_ms() > 0);
    /// ```
    pub fn until_ms(&self) -> u64 {
        self.unsigned.until
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        let Wire(unsigned, sig) = block::decode(bytes)?;
        if unsigned.v != 1 {
            let error = Error::unsupported("the invite is of a later version: upgrade to use it");
            return Err(error.with("version", unsigned.v));
        }
        if unsigned.addrs.len() > INVITE_ADDRS_MAX {
            return Err(Error::rejected("an invite names too many addresses"));
        }
        verify(unsigned.by.key_bytes(), &unsigned.message()?, &sig).map_err(|cause| {
            Error::rejected("the invite is not signed by who it says invites").caused_by(cause)
        })?;
        Ok(Self { unsigned, sig })
    }
}

impl fmt::Display for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wire = Wire(self.unsigned.clone(), self.sig);
        let bytes = block::encode(&wire).map_err(|_| fmt::Error)?;
        f.write_str(&text::encode(TAG, &bytes))
    }
}

impl FromStr for Invite {
    type Err = Error;

    fn from_str(shown: &str) -> Result<Self> {
        Self::decode(&text::decode(TAG, shown, TEXT_BYTES_MAX)?)
    }
}

/// Shows no secret.
impl fmt::Debug for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Invite({} by {})", self.unsigned.id, self.unsigned.by)
    }
}

/// What is kept of a link's secret, to know it again.
fn check_of(secret: &[u8; 16]) -> String {
    let digest = sha256(secret);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
