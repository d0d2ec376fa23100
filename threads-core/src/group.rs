//! Group keys: how the keys of a new epoch get to those who may have them, and to nobody else.
//!
//! # Contract
//!
//! What is in brackets is the law in `threads-conformance` that checks the sentence; what has none
//! is kept by the framework or by types.
//!
//! * A scheme has a name of 1 to 32 bytes, which never changes (GK-1). It stands in every
//!   [`Rekey`], and sealed keys of another scheme are refused as unsupported (GK-2).
//! * Every reader opens both keys, and every replica the replica key and no read key (GK-3).
//! * Whoever was not among the recipients opens nothing, also when the list of recipients that is
//!   shown with the sealed keys was changed to name them (GK-4).
//! * What was sealed for one thread opens in no other (GK-5).
//! * What opens are the keys of the epoch that the [`Rekey`] names, or it is refused (GK-6).
//! * Neither key stands in the sealed bytes (GK-7).
//! * Sealed bytes come from strangers: whatever they are, opening gives the keys, nothing, or an
//!   error, and never panics (GK-8).
//! * What one instance sealed another one opens, as after a restart (GK-9).
//! * Readers get what they need to read, so keys without their read key cannot be sealed to a reader
//!   (GK-10).
//!
//! Who may have the keys is not for a scheme to say, nor which epoch a writer uses: the access policy
//! knows the readers, and the engine writes under an epoch only when its recipients are among them.
//!
//! # For implementers
//!
//! The sealed bytes are yours; at most [`RECIPIENTS_MAX`] recipients and what fits into the body of
//! one record. The epoch's keys are given to you, and not yours to make: a scheme that agrees on a
//! group secret, as trees of keys do, seals them under that secret. Bind the thread and the epoch.
//!
//! Run the laws: `threads_conformance::group_keys_laws!` makes a test of each.
//!
//! # For users
//!
//! [`SealedToEach`] is what a node uses unless it is given another scheme.
//!
//! # Example
//!
//! ```
//! use threads_core::access::Rekey;
//! use threads_core::group::{GroupKeys, SealedToEach};
//! use threads_core::{EpochKeys, IdentityKey, ThreadId, Variant, system_rng};
//!
//! let rng = &mut system_rng();
//! let (ann, keeper) = (IdentityKey::generate(rng), IdentityKey::generate(rng));
//! let thread = ThreadId::generate(Variant::AccessControlled, rng);
//! let keys = EpochKeys::generate(rng);
//! let rekey = SealedToEach.rekey(&thread, &keys, &[ann.card()], &[keeper.card()], rng).unwrap();
//!
//! let open = |who: &IdentityKey| SealedToEach.open(&thread, &rekey, &who.peer_id(), &who.agreement_key());
//! assert_eq!(open(&ann).unwrap(), Some(keys.clone()));
//! assert_eq!(open(&keeper).unwrap(), Some(keys.without_read()));
//! assert_eq!(open(&IdentityKey::generate(rng)).unwrap(), None);
//! ```

use std::fmt;
use std::sync::Arc;

use rand_core::CryptoRng;

use crate::access::Rekey;
use crate::{AgreementKey, EpochKeys, Error, PeerCard, PeerId, Result, ThreadId};

mod each;

pub use crate::access::RECIPIENTS_MAX;
pub use each::SealedToEach;

/// A way to give the keys of an epoch to members. See the [module](self) for its contract.
pub trait GroupKeys: fmt::Debug + Send + Sync + 'static {
    /// Its name, as in [`Rekey::scheme`]: 1 to 32 bytes, and always the same.
    fn id(&self) -> &str;

    /// Seals keys to exactly these: both to each reader, the replica key to each replica. Both lists
    /// ascend by peer, and nobody is in both.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for lists out of that form, for more than
    /// [`RECIPIENTS_MAX`], for keys without their read key when there are readers, and for a card
    /// whose key would hide nothing.
    fn seal(
        &self,
        thread: &ThreadId,
        keys: &EpochKeys,
        readers: &[PeerCard],
        replicas: &[PeerCard],
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>>;

    /// Opens the keys as far as they are for `me`; `None` when they are not.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Rejected`](crate::ErrorKind::Rejected) for what names `me` and does not open, or
    /// has other keys than its number says; [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported)
    /// for another scheme.
    fn open(
        &self,
        thread: &ThreadId,
        rekey: &Rekey,
        me: &PeerId,
        agreement: &AgreementKey,
    ) -> Result<Option<EpochKeys>>;

    /// The statement that brings keys to members, who may be given in any order.
    ///
    /// # Errors
    ///
    /// Those of [`GroupKeys::seal`].
    fn rekey(
        &self,
        thread: &ThreadId,
        keys: &EpochKeys,
        readers: &[PeerCard],
        replicas: &[PeerCard],
        rng: &mut dyn CryptoRng,
    ) -> Result<Rekey> {
        let ascending = |cards: &[PeerCard]| {
            let mut cards = cards.to_vec();
            cards.sort_by_key(PeerCard::peer);
            cards
        };
        let (readers, replicas) = (ascending(readers), ascending(replicas));
        let sealed = self.seal(thread, keys, &readers, &replicas, rng)?;
        Ok(Rekey {
            epoch: keys.number(),
            readers: readers.iter().map(PeerCard::peer).collect(),
            replicas: replicas.iter().map(PeerCard::peer).collect(),
            scheme: self.id().to_owned(),
            sealed: sealed.into(),
        })
    }
}

impl<T: GroupKeys + ?Sized> GroupKeys for Arc<T> {
    fn id(&self) -> &str {
        (**self).id()
    }

    fn seal(
        &self,
        thread: &ThreadId,
        keys: &EpochKeys,
        readers: &[PeerCard],
        replicas: &[PeerCard],
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>> {
        (**self).seal(thread, keys, readers, replicas, rng)
    }

    fn open(
        &self,
        thread: &ThreadId,
        rekey: &Rekey,
        me: &PeerId,
        agreement: &AgreementKey,
    ) -> Result<Option<EpochKeys>> {
        (**self).open(thread, rekey, me, agreement)
    }
}

/// Checks what every scheme asks of recipients and keys.
///
/// # Errors
///
/// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), as [`GroupKeys::seal`] says.
///
/// ```
/// use threads_core::{EpochKeys, IdentityKey, group::check_recipients, system_rng};
/// let card = IdentityKey::generate(&mut system_rng()).card();
/// let keys = EpochKeys::generate(&mut system_rng());
/// assert!(check_recipients(&keys, &[card], &[]).is_ok());
/// assert!(check_recipients(&keys, &[card], &[card]).is_err());
/// assert!(check_recipients(&keys.without_read(), &[card], &[]).is_err());
/// ```
pub fn check_recipients(
    keys: &EpochKeys,
    readers: &[PeerCard],
    replicas: &[PeerCard],
) -> Result<()> {
    let ascend = |cards: &[PeerCard]| cards.is_sorted_by(|a, b| a.peer() < b.peer());
    let is_reader = |card: &PeerCard| {
        let found = readers.binary_search_by_key(&card.peer(), PeerCard::peer);
        found.is_ok()
    };
    if !ascend(readers) || !ascend(replicas) || replicas.iter().any(is_reader) {
        let why = "those who get new keys ascend, and nobody is a reader and a replica at once";
        return Err(Error::invalid(why));
    }
    let count = readers.len() + replicas.len();
    if count > RECIPIENTS_MAX {
        let why = "new keys go to at most 4,096 members";
        return Err(Error::invalid(why).with("members", count));
    }
    if keys.read().is_none() && !readers.is_empty() {
        let why = "readers cannot be given keys of an epoch whose read key is not known here";
        return Err(Error::invalid(why).with("epoch", keys.number()));
    }
    Ok(())
}
