//! The beginning of an access-controlled thread.

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;

use crate::block::{self, sha256};
use crate::{PeerId, Result, ThreadId};

/// What newcomers may read of what was written before they came.
///
/// ```
/// use threads_core::access::History;
/// assert_ne!(History::All, History::FromNow);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum History {
    /// All of it.
    All,
    /// What is sealed under the keys of the epoch in which they came, and of later ones.
    FromNow,
}

/// What an access-controlled thread is made from: who its root is. The thread's id is the digest of
/// this, so nobody can take a thread over who has not its root's key.
///
/// ```
/// use threads_core::access::{Genesis, History};
/// use threads_core::{IdentityKey, Variant, system_rng};
///
/// let ann = IdentityKey::generate(&mut system_rng());
/// let genesis = Genesis::new(ann.peer_id(), History::All, &mut system_rng());
/// let thread = genesis.thread_id().unwrap();
/// assert_eq!(thread.variant(), Variant::AccessControlled);
/// assert!(genesis.is_of(&thread));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Genesis {
    history: History,
    nonce: ByteArray<32>,
    root: PeerId,
}

impl Genesis {
    /// That of a new thread.
    ///
    /// ```
    /// # use threads_core::{PeerId, access::{Genesis, History}, system_rng};
    /// let root = PeerId::from_key_bytes([1; 32]);
    /// let new = || Genesis::new(root, History::All, &mut system_rng()).thread_id().unwrap();
    /// assert_ne!(new(), new());
    /// ```
    pub fn new(root: PeerId, history: History, rng: &mut dyn CryptoRng) -> Self {
        let mut nonce = [0; 32];
        rng.fill_bytes(&mut nonce);
        Self {
            history,
            nonce: ByteArray::new(nonce),
            root,
        }
    }

    /// Who made the thread, and can always change its rules.
    ///
    /// ```
    /// # use threads_core::{PeerId, access::{Genesis, History}, system_rng};
    /// let root = PeerId::from_key_bytes([1; 32]);
    /// assert_eq!(Genesis::new(root, History::All, &mut system_rng()).root(), root);
    /// ```
    pub fn root(&self) -> PeerId {
        self.root
    }

    /// What newcomers may read.
    ///
    /// ```
    /// # use threads_core::{PeerId, access::{Genesis, History}, system_rng};
    /// # let root = PeerId::from_key_bytes([1; 32]);
    /// assert_eq!(Genesis::new(root, History::All, &mut system_rng()).history(), History::All);
    /// ```
    pub fn history(&self) -> History {
        self.history
    }

    /// The id of its thread.
    ///
    /// # Errors
    ///
    /// None that a caller could cause.
    ///
    /// ```
    /// # use threads_core::{PeerId, access::{Genesis, History}, system_rng};
    /// # let genesis = Genesis::new(PeerId::from_key_bytes([1; 32]), History::All, &mut system_rng());
    /// assert_eq!(genesis.thread_id().unwrap().as_bytes().len(), 34);
    /// ```
    pub fn thread_id(&self) -> Result<ThreadId> {
        Ok(ThreadId::access_controlled(&sha256(&block::encode(self)?)))
    }

    /// Whether a thread began so.
    ///
    /// ```
    /// # use threads_core::{PeerId, ThreadId, Variant, access::{Genesis, History}, system_rng};
    /// # let genesis = Genesis::new(PeerId::from_key_bytes([1; 32]), History::All, &mut system_rng());
    /// assert!(!genesis.is_of(&ThreadId::generate(Variant::AccessControlled, &mut system_rng())));
    /// ```
    pub fn is_of(&self, thread: &ThreadId) -> bool {
        self.thread_id().is_ok_and(|own| own == *thread)
    }
}
