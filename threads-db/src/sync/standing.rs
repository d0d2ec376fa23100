//! What peers signed for, and whether they could show it when asked: rows of the store.

use serde::{Deserialize, Serialize};
use threads_core::datastore::{Direction, Keyspace, ReadTxn, WriteTxn};
use threads_core::{Cid, Erasure, Error, LogId, PeerId, Receipt, Result, block};

use super::shares;
use crate::layout::{Number, Prefix, peers};

/// A record that a peer signed for and could not show.
///
/// ```
/// fn tell(failed: &threads_db::sync::FailedCheck) -> String {
///     format!("it signed for record {} of log {}, and did not show it", failed.seq, failed.log)
/// }
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedCheck {
    /// The log.
    pub log: LogId,
    /// The number of the record.
    pub seq: u64,
    /// When it was asked, in milliseconds since 1970.
    pub at_ms: u64,
    /// Whether it answered, with something else or nothing.
    pub answered: bool,
}

/// What became of the last checks of a peer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checked {
    /// When it last showed what it was asked for.
    pub(crate) shown_ms: Option<u64>,
    /// What it could not show, and has not shown since.
    pub(crate) failed: Option<FailedCheck>,
}

fn damaged(cause: Error) -> Error {
    Error::corrupt("a row about a peer is damaged: verify the thread").caused_by(cause)
}

/// Keeps a receipt, unless there is one for more.
pub(crate) fn keep(
    txn: &mut dyn WriteTxn,
    thread: Number,
    peer: &PeerId,
    receipt: &Receipt,
) -> Result<()> {
    let known = latest(txn.as_read(), thread, peer, &receipt.log())?;
    if known.is_some_and(|known| known.seq() >= receipt.seq()) {
        return Ok(());
    }
    let key = peers::receipt(thread, peer, &receipt.log());
    txn.put(Keyspace::Peers, &key, &block::encode(receipt)?)
}

/// The latest receipt of a peer for a log.
pub(crate) fn latest(
    txn: &dyn ReadTxn,
    thread: Number,
    peer: &PeerId,
    log: &LogId,
) -> Result<Option<Receipt>> {
    let row = txn.get(Keyspace::Peers, &peers::receipt(thread, peer, log))?;
    row.map(|row| block::decode(&row).map_err(damaged))
        .transpose()
}

/// The latest receipts of a peer, one for each log.
pub(crate) fn receipts(txn: &dyn ReadTxn, thread: Number, peer: &PeerId) -> Result<Vec<Receipt>> {
    let prefix = peers::receipts(thread, peer);
    let bounds = Prefix::new(&prefix);
    txn.scan(Keyspace::Peers, bounds.range(), Direction::Forward)?
        .map(|row| block::decode(&row?.1).map_err(damaged))
        .collect()
}

/// Keeps what a peer said to have erased, in place of what it said before.
pub(crate) fn keep_erasure(
    txn: &mut dyn WriteTxn,
    thread: Number,
    peer: &PeerId,
    erasure: &Erasure,
) -> Result<()> {
    let key = peers::erasure(thread, peer, &erasure.purge());
    txn.put(Keyspace::Peers, &key, &block::encode(erasure)?)
}

/// What a peer said to have erased by a purge.
pub(crate) fn erasure(
    txn: &dyn ReadTxn,
    thread: Number,
    peer: &PeerId,
    purge: &Cid,
) -> Result<Option<Erasure>> {
    let row = txn.get(Keyspace::Peers, &peers::erasure(thread, peer, purge))?;
    row.map(|row| block::decode(&row).map_err(damaged))
        .transpose()
}

/// What became of the last checks of a peer.
pub(crate) fn checked(txn: &dyn ReadTxn, thread: Number, peer: &PeerId) -> Result<Checked> {
    match txn.get(Keyspace::Peers, &peers::checked(thread, peer))? {
        Some(row) => block::decode(&row).map_err(damaged),
        None => Ok(Checked::default()),
    }
}

/// Notes that a peer showed what it was asked for.
pub(crate) fn note_shown(
    txn: &mut dyn WriteTxn,
    thread: Number,
    peer: &PeerId,
    (log, seq, now_ms): (LogId, u64, u64),
) -> Result<()> {
    let before = checked(txn.as_read(), thread, peer)?;
    let another = |failed: &FailedCheck| (failed.log, failed.seq) != (log, seq);
    let after = Checked {
        shown_ms: Some(now_ms),
        failed: before.failed.filter(another),
    };
    put_checked(txn, thread, peer, &after)
}

/// Notes what a peer could not show.
pub(crate) fn note_failed(
    txn: &mut dyn WriteTxn,
    thread: Number,
    peer: &PeerId,
    failed: FailedCheck,
) -> Result<()> {
    let mut after = checked(txn.as_read(), thread, peer)?;
    after.failed = Some(failed);
    put_checked(txn, thread, peer, &after)
}

/// A line ends at `last` because of a fork: what comes after is of other lines, and whoever could not show
/// it by the name of this one may have known of the fork.
pub(crate) fn cut(
    txn: &mut dyn WriteTxn,
    thread: Number,
    peer: &PeerId,
    (line, last): (&LogId, u64),
) -> Result<()> {
    let mut after = checked(txn.as_read(), thread, peer)?;
    let beyond = |failed: &mut FailedCheck| failed.log == *line && failed.seq > last;
    match after.failed.take_if(beyond) {
        Some(_) => put_checked(txn, thread, peer, &after),
        None => Ok(()),
    }
}

fn put_checked(
    txn: &mut dyn WriteTxn,
    thread: Number,
    peer: &PeerId,
    after: &Checked,
) -> Result<()> {
    let key = peers::checked(thread, peer);
    txn.put(Keyspace::Peers, &key, &block::encode(after)?)
}

/// The peers whose word for a record counts: they signed for it, have not said since that they have
/// less, and showed what they were asked for.
pub(crate) fn holders(
    txn: &dyn ReadTxn,
    thread: Number,
    log: &LogId,
    seq: u64,
) -> Result<Vec<PeerId>> {
    let mut holders = Vec::new();
    for peer in shares::of_thread(txn, thread)? {
        let Some(receipt) = latest(txn, thread, &peer, log)? else {
            continue;
        };
        let said = shares::acked_of(txn, thread, &peer, log)?;
        let has_less = said.is_some_and(|said| said < seq);
        if receipt.seq() >= seq && !has_less && checked(txn, thread, &peer)?.failed.is_none() {
            holders.push(peer);
        }
    }
    Ok(holders)
}

/// Forgets what a peer signed for.
pub(crate) fn remove(txn: &mut dyn WriteTxn, thread: Number, peer: &PeerId) -> Result<()> {
    for receipt in receipts(txn.as_read(), thread, peer)? {
        let key = peers::receipt(thread, peer, &receipt.log());
        txn.delete(Keyspace::Peers, &key)?;
    }
    txn.delete(Keyspace::Peers, &peers::checked(thread, peer))
}

#[cfg(test)]
mod tests {
    use threads_core::datastore::{Datastore, DatastoreExt, Durability, Memory};
    use threads_core::{IdentityKey, ThreadId, Variant, system_rng};

    use super::*;

    const THREAD: Number = 3;

    fn log() -> LogId {
        LogId::from_key_bytes([1; 32])
    }

    fn receipt(key: &IdentityKey, seq: u64) -> Receipt {
        let thread = ThreadId::generate(Variant::Raw, &mut system_rng());
        let head = block::cid_of(block::DAG_CBOR, &seq.to_be_bytes());
        Receipt::sign(key, &thread, log(), seq, head).unwrap()
    }

    fn change(store: &Memory, what: impl FnOnce(&mut dyn WriteTxn) -> Result<()>) {
        store.transact(Durability::Group, what).unwrap();
    }

    #[test]
    fn a_word_counts_for_what_it_covers_while_nothing_speaks_against_it() {
        let (store, key) = (Memory::new(), IdentityKey::from_bytes(&[7; 32]));
        let peer = key.peer_id();
        let holders = |seq| holders(&*store.read().unwrap(), THREAD, &log(), seq).unwrap();
        let says = |seq| {
            change(&store, |txn| {
                shares::acknowledge(txn, THREAD, &peer, [(&log(), &seq)], 0)
            });
        };
        change(&store, |txn| {
            shares::add(txn, THREAD, &peer)?;
            keep(txn, THREAD, &peer, &receipt(&key, 5))?;
            keep(txn, THREAD, &peer, &receipt(&key, 4))
        });
        says(6);
        assert_eq!(
            (holders(5), holders(6)),
            (vec![peer], vec![]),
            "the newest counts"
        );
        says(2);
        assert_eq!(
            (holders(3), holders(2)),
            (vec![], vec![peer]),
            "it says that it lost some"
        );
        says(6);

        let failed = FailedCheck {
            log: log(),
            seq: 1,
            at_ms: 0,
            answered: true,
        };
        change(&store, |txn| {
            note_failed(txn, THREAD, &peer, failed.clone())
        });
        assert_eq!(holders(1), vec![]);
        change(&store, |txn| note_shown(txn, THREAD, &peer, (log(), 2, 0)));
        assert_eq!(holders(1), vec![], "another record than that");
        change(&store, |txn| note_shown(txn, THREAD, &peer, (log(), 1, 0)));
        assert_eq!(holders(1), vec![peer]);

        let failed = FailedCheck { seq: 4, ..failed };
        change(&store, |txn| note_failed(txn, THREAD, &peer, failed));
        change(&store, |txn| shares::cut(txn, THREAD, &log(), 4));
        assert_eq!(holders(1), vec![], "it is before the fork");
        change(&store, |txn| shares::cut(txn, THREAD, &log(), 3));
        assert_eq!(holders(1), vec![peer], "it is not of this line any more");
    }
}
