//! The keys of one epoch of a thread, and the number that they make.

use std::fmt;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::{ReadKey, ReplicaKey};
use crate::block::sha256;
use crate::{Error, Result};

const EPOCH_DOMAIN: &[u8] = b"threads/epoch/1";
const MARK_DOMAIN: &[u8] = b"threads/epoch-read/1";

/// Bytes of an [`EpochKeys::read_mark`].
pub const READ_MARK_BYTES: usize = 32;

/// The keys of an epoch that came after the first one. Its number follows from both, so there are no
/// others for that number: whoever holds keys can tell whether they are the ones that were meant.
///
/// Who only keeps the thread has the read key's [mark](Self::read_mark) in its place: enough to tell
/// the number, and nothing to read by.
///
/// ```
/// use threads_core::{EpochKeys, system_rng};
/// let keys = EpochKeys::generate(&mut system_rng());
/// let blind = keys.without_read();
/// assert_eq!(blind.number(), keys.number());
/// assert!(blind.read().is_none());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct EpochKeys {
    replica: ReplicaKey,
    read: Option<ReadKey>,
    mark: [u8; READ_MARK_BYTES],
    number: u64,
}

impl EpochKeys {
    /// New keys.
    ///
    /// ```
    /// use threads_core::{EpochKeys, system_rng};
    /// assert_ne!(EpochKeys::generate(&mut system_rng()).number(), 0);
    /// ```
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        loop {
            // Ends: one in 2^64 pairs has the number of the first epoch.
            let (replica, read) = (ReplicaKey::generate(rng), ReadKey::generate(rng));
            if let Ok(keys) = Self::new(replica, read) {
                return keys;
            }
        }
    }

    /// From both keys.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Rejected`](crate::ErrorKind::Rejected) when their number would be 0, that of
    /// the keys with which a thread begins.
    ///
    /// ```
    /// use threads_core::{EpochKeys, ReadKey, ReplicaKey};
    /// let keys = |byte| EpochKeys::new(ReplicaKey::from_bytes(&[7; 32]), ReadKey::from_bytes(&[byte; 32]));
    /// assert_ne!(keys(1).unwrap().number(), keys(2).unwrap().number());
    /// ```
    pub fn new(replica: ReplicaKey, read: ReadKey) -> Result<Self> {
        let marked = Zeroizing::new([MARK_DOMAIN, &*read.to_bytes()].concat());
        let mut keys = Self::blind(replica, sha256(&marked))?;
        keys.read = Some(read);
        Ok(keys)
    }

    /// From the replica key and the mark of the read key.
    ///
    /// # Errors
    ///
    /// As of [`EpochKeys::new`].
    ///
    /// ```
    /// use threads_core::{EpochKeys, system_rng};
    /// let keys = EpochKeys::generate(&mut system_rng());
    /// let blind = EpochKeys::blind(keys.replica().clone(), keys.read_mark()).unwrap();
    /// assert_eq!(blind, keys.without_read());
    /// ```
    pub fn blind(replica: ReplicaKey, mark: [u8; READ_MARK_BYTES]) -> Result<Self> {
        let hashed = Zeroizing::new([EPOCH_DOMAIN, &*replica.to_bytes(), &mark].concat());
        let digest = sha256(&hashed);
        // The first quarter of 32 bytes.
        let number = u64::from_be_bytes(*digest.first_chunk().expect("32 bytes"));
        if number == 0 {
            return Err(Error::rejected(
                "these keys have the number of those with which a thread begins",
            ));
        }
        Ok(Self {
            replica,
            read: None,
            mark,
            number,
        })
    }

    /// The keys, if they are those of an epoch.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Rejected`](crate::ErrorKind::Rejected) when they are of another.
    ///
    /// ```
    /// use threads_core::{EpochKeys, system_rng};
    /// let keys = EpochKeys::generate(&mut system_rng());
    /// assert!(keys.clone().of(keys.number()).is_ok());
    /// assert!(keys.clone().of(keys.number() ^ 1).is_err());
    /// ```
    pub fn of(self, epoch: u64) -> Result<Self> {
        if self.number != epoch {
            return Err(
                Error::rejected("keys are not those of the epoch they were given for")
                    .with("epoch", epoch),
            );
        }
        Ok(self)
    }

    /// The number of the epoch, never 0: the first 8 bytes of a digest of the keys.
    ///
    /// ```
    /// use threads_core::{EpochKeys, system_rng};
    /// let keys = EpochKeys::generate(&mut system_rng());
    /// assert_ne!(keys.number(), EpochKeys::generate(&mut system_rng()).number());
    /// ```
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The key that opens records.
    ///
    /// ```
    /// use threads_core::{EpochKeys, system_rng};
    /// let keys = EpochKeys::generate(&mut system_rng());
    /// assert_eq!(format!("{:?}", keys.replica()), "ReplicaKey(redacted)");
    /// ```
    pub fn replica(&self) -> &ReplicaKey {
        &self.replica
    }

    /// The key that opens headers; `None` for who only keeps the thread.
    ///
    /// ```
    /// use threads_core::{EpochKeys, system_rng};
    /// assert!(EpochKeys::generate(&mut system_rng()).read().is_some());
    /// ```
    pub fn read(&self) -> Option<&ReadKey> {
        self.read.as_ref()
    }

    /// What stands for the read key with who only keeps the thread.
    ///
    /// ```
    /// use threads_core::{EpochKeys, system_rng};
    /// let keys = EpochKeys::generate(&mut system_rng());
    /// assert_ne!(keys.read_mark(), *keys.read().unwrap().to_bytes());
    /// ```
    pub fn read_mark(&self) -> [u8; READ_MARK_BYTES] {
        self.mark
    }

    /// The same without the read key.
    ///
    /// ```
    /// use threads_core::{EpochKeys, system_rng};
    /// assert!(EpochKeys::generate(&mut system_rng()).without_read().read().is_none());
    /// ```
    #[must_use]
    pub fn without_read(&self) -> Self {
        Self {
            replica: self.replica.clone(),
            read: None,
            ..*self
        }
    }
}

impl fmt::Debug for EpochKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EpochKeys({}, redacted)", self.number)
    }
}
