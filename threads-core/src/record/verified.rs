//! The states a record passes through, as types.

use std::ops::Deref;

use rand_core::CryptoRng;

use super::{Record, SignedRecord};
use crate::key::verify_batch;
use crate::{Error, Result};

/// A record whose signatures are those of its log key and, for a first record, its author.
///
/// ```
/// fn store(record: &threads_core::record::Verified<threads_core::record::SignedRecord>) {
///     // Only what was checked gets here.
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<R>(R);

impl Verified<SignedRecord> {
    /// Checks one record's signatures.
    ///
    /// # Errors
    ///
    /// A [`Rejection`](super::Rejection) as the source of an [`Error`] of kind `Rejected`.
    ///
    /// ```
    /// use threads_core::record::{SignedRecord, Verified};
    /// fn check(record: SignedRecord) -> threads_core::Result<Verified<SignedRecord>> {
    ///     Verified::check(record)
    /// }
    /// ```
    pub fn check(record: SignedRecord) -> Result<Self> {
        let log = record.fields().log;
        record.verify(&log)?;
        Ok(Self(record))
    }

    /// Checks many records at once, in about half the time. The verdicts are those of
    /// [`Verified::check`]: the rule for signatures makes single and batched checks agree.
    ///
    /// # Errors
    ///
    /// The first record that fails, as [`Verified::check`] reports it; none is verified then.
    ///
    /// ```
    /// use threads_core::{record::Verified, system_rng};
    /// assert!(Verified::check_all(Vec::new(), &mut system_rng()).unwrap().is_empty());
    /// ```
    pub fn check_all(records: Vec<SignedRecord>, rng: &mut dyn CryptoRng) -> Result<Vec<Self>> {
        let messages: Vec<_> = records.iter().map(SignedRecord::message).collect();
        let authors: Vec<_> = records
            .iter()
            .filter_map(SignedRecord::author_proof)
            .collect();
        let logs = records.iter().zip(&messages);
        let sound = verify_batch(
            logs.map(|(record, message)| {
                (
                    record.fields().log.key_bytes(),
                    message.as_slice(),
                    record.sig(),
                )
            })
            .chain(
                authors
                    .iter()
                    .map(|(peer, message, sig)| (peer.key_bytes(), message.as_slice(), sig)),
            ),
            rng,
        );
        if sound.is_ok() {
            return Ok(records.into_iter().map(Self).collect());
        }
        // The batch does not say which one is bad.
        records.into_iter().map(Self::check).collect()
    }

    /// A record that this node verified before it stored it.
    ///
    /// The store has checked the block against its CID; whoever can change both can change the
    /// node itself.
    ///
    /// ```
    /// use threads_core::record::{SignedRecord, Verified};
    /// fn reload(record: SignedRecord) -> Verified<SignedRecord> { Verified::assume_stored(record) }
    /// ```
    pub fn assume_stored(record: SignedRecord) -> Self {
        Self(record)
    }

    /// A record that this process has just signed.
    pub(super) fn sealed(record: SignedRecord) -> Self {
        Self(record)
    }
}

impl<R> Verified<R> {
    /// The record, when `judge` allows it to be applied.
    ///
    /// # Errors
    ///
    /// Whatever `judge` gives.
    ///
    /// ```
    /// use threads_core::record::{Authorised, SignedRecord, Verified};
    /// fn open(record: Verified<SignedRecord>) -> Authorised<SignedRecord> {
    ///     record.authorise(|_| Ok(())).unwrap()
    /// }
    /// ```
    pub fn authorise(self, judge: impl FnOnce(&R) -> Result<(), Error>) -> Result<Authorised<R>> {
        judge(&self.0)?;
        Ok(Authorised(self))
    }
}

impl<R> Deref for Verified<R> {
    type Target = R;

    fn deref(&self) -> &R {
        &self.0
    }
}

/// A verified record that the thread's access policy accepted: the only thing that is applied.
///
/// ```
/// fn apply(record: &threads_core::record::Authorised<threads_core::record::SignedRecord>) {}
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorised<R>(Verified<R>);

impl<R> Deref for Authorised<R> {
    type Target = Verified<R>;

    fn deref(&self) -> &Verified<R> {
        &self.0
    }
}
