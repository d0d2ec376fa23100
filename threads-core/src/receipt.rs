//! Receipts: a peer's signed word that it has a log on its disk, up to a record.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;

use crate::key::{IdentityKey, verify};
use crate::record::Rejection;
use crate::{Cid, Error, LogId, PeerId, Result, ThreadId, block};

/// What the signed bytes begin with.
const SIGN_DOMAIN: &[u8] = b"threads/receipt/1";

/// A peer's word that it has every record of a log up to one of them, on its disk. Whoever has the
/// thread's id can check it; the record's CID stands for all records before it.
///
/// ```
/// use threads_core::{IdentityKey, LogId, Receipt, ThreadId, Variant, block, system_rng};
///
/// let thread = ThreadId::generate(Variant::Raw, &mut system_rng());
/// let replica = IdentityKey::generate(&mut system_rng());
/// let (log, head) = (LogId::from_key_bytes([1; 32]), block::cid_of(block::DAG_CBOR, b"a record"));
///
/// let receipt = Receipt::sign(&replica, &thread, log, 7, head).unwrap();
/// assert!(receipt.verify(&replica.peer_id(), &thread).is_ok());
/// let other = ThreadId::generate(Variant::Raw, &mut system_rng());
/// assert!(receipt.verify(&replica.peer_id(), &other).is_err(), "it is of one thread");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt(LogId, u64, Cid, ByteArray<64>);

/// What is signed, besides the domain.
#[derive(Serialize)]
struct Statement<'a> {
    head: &'a Cid,
    log: &'a LogId,
    seq: u64,
    thread: &'a ThreadId,
}

impl Receipt {
    /// The word of `key` that it has `log` on its disk up to the record `head`, which is number `seq`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for the number 0.
    ///
    /// ```
    /// # use threads_core::{IdentityKey, LogId, Receipt, ThreadId, Variant, block, system_rng};
    /// # let thread = ThreadId::generate(Variant::Raw, &mut system_rng());
    /// let key = IdentityKey::from_bytes(&[7; 32]);
    /// let (log, head) = (LogId::from_key_bytes([1; 32]), block::cid_of(block::DAG_CBOR, b""));
    /// assert!(Receipt::sign(&key, &thread, log, 0, head).is_err(), "records are counted from 1");
    /// ```
    pub fn sign(
        key: &IdentityKey,
        thread: &ThreadId,
        log: LogId,
        seq: u64,
        head: Cid,
    ) -> Result<Self> {
        if seq == 0 {
            return Err(Error::invalid("a receipt is for at least one record"));
        }
        let sig = key.sign(&message(thread, &log, seq, &head)?);
        Ok(Self(log, seq, head, ByteArray::new(sig)))
    }

    /// Checks that `peer` signed it, for `thread`.
    ///
    /// # Errors
    ///
    /// [`Rejection::BadSignature`] when it did not.
    ///
    /// ```
    /// # use threads_core::{IdentityKey, LogId, Receipt, ThreadId, Variant, block, system_rng};
    /// # let thread = ThreadId::generate(Variant::Raw, &mut system_rng());
    /// # let (log, head) = (LogId::from_key_bytes([1; 32]), block::cid_of(block::DAG_CBOR, b""));
    /// let (ann, bob) = (IdentityKey::from_bytes(&[7; 32]), IdentityKey::from_bytes(&[8; 32]));
    /// let receipt = Receipt::sign(&ann, &thread, log, 1, head).unwrap();
    /// assert!(receipt.verify(&bob.peer_id(), &thread).is_err());
    /// ```
    pub fn verify(&self, peer: &PeerId, thread: &ThreadId) -> Result<()> {
        let Self(log, seq, head, sig) = self;
        let message = message(thread, log, *seq, head)?;
        verify(peer.key_bytes(), &message, sig).map_err(|_| Rejection::BadSignature.into())
    }

    /// The log.
    ///
    /// ```
    /// fn of(receipt: &threads_core::Receipt) -> String { format!("log {}", receipt.log()) }
    /// ```
    pub fn log(&self) -> LogId {
        self.0
    }

    /// How many of its records the peer has: all up to this number.
    ///
    /// ```
    /// fn covers(receipt: &threads_core::Receipt, seq: u64) -> bool { receipt.seq() >= seq }
    /// ```
    pub fn seq(&self) -> u64 {
        self.1
    }

    /// The record of that number.
    ///
    /// ```
    /// fn is_of(receipt: &threads_core::Receipt, record: threads_core::Cid) -> bool { receipt.head() == record }
    /// ```
    pub fn head(&self) -> Cid {
        self.2
    }

    /// The signature of all of this and the thread.
    ///
    /// ```
    /// fn as_bytes(receipt: &threads_core::Receipt) -> &[u8; 64] { receipt.signature() }
    /// ```
    pub fn signature(&self) -> &[u8; 64] {
        &self.3
    }
}

fn message(thread: &ThreadId, log: &LogId, seq: u64, head: &Cid) -> Result<Vec<u8>> {
    let statement = Statement {
        head,
        log,
        seq,
        thread,
    };
    Ok([SIGN_DOMAIN, &block::encode(&statement)?].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Variant;

    #[test]
    fn a_receipt_is_good_for_what_was_signed_and_nothing_else() {
        let key = IdentityKey::from_bytes(&[7; 32]);
        let (peer, thread) = (
            key.peer_id(),
            ThreadId::generate(Variant::Raw, &mut crate::system_rng()),
        );
        let (log, other_log) = (
            LogId::from_key_bytes([1; 32]),
            LogId::from_key_bytes([2; 32]),
        );
        let cid = |bytes: &[u8]| block::cid_of(block::DAG_CBOR, bytes);
        let Receipt(_, seq, head, sig) =
            Receipt::sign(&key, &thread, log, 7, cid(b"head")).unwrap();
        let forged = [
            Receipt(other_log, seq, head, sig),
            Receipt(log, seq + 1, head, sig),
            Receipt(log, seq, cid(b"other"), sig),
            Receipt(log, seq, head, ByteArray::new([1; 64])),
        ];
        for receipt in forged {
            let refused = receipt.verify(&peer, &thread).unwrap_err();
            assert_eq!(Rejection::of(&refused), Some(Rejection::BadSignature));
        }
        let receipt = Receipt(log, seq, head, sig);
        assert!(receipt.verify(&peer, &thread).is_ok());
        let bytes = block::encode(&receipt).unwrap();
        assert_eq!(block::decode::<Receipt>(&bytes).unwrap(), receipt);
    }
}
