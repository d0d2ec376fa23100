//! Where peers can be reached: rows of the store.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use threads_core::datastore::{Direction, Keyspace, ReadTxn, WriteTxn};
use threads_core::{Error, Multiaddr, PeerId, Result, block};

use crate::layout::{Prefix, peers};

/// The most addresses of one peer. A new one takes the place of the oldest.
pub(crate) const ADDRS_PER_PEER_MAX: usize = 16;
/// How long an address is kept that nobody named again, in milliseconds.
const TTL_MS: u64 = 30 * 24 * 60 * 60 * 1_000;

/// An address and when it is forgotten, in milliseconds since 1970.
#[derive(Clone, Serialize, Deserialize)]
struct Row(ByteBuf, u64);

fn decode(bytes: &[u8]) -> Result<Vec<Row>> {
    block::decode(bytes)
        .map_err(|cause| Error::corrupt("the addresses of a peer are damaged").caused_by(cause))
}

fn live(bytes: &[u8], now_ms: u64) -> Result<Vec<Multiaddr>> {
    let rows = decode(bytes)?.into_iter().filter(|row| row.1 > now_ms);
    // One that a later version wrote may mean nothing here.
    Ok(rows
        .filter_map(|row| Multiaddr::try_from(row.0.into_vec()).ok())
        .collect())
}

/// Notes that a peer can be reached at `addr`.
pub(crate) fn add(
    txn: &mut dyn WriteTxn,
    peer: &PeerId,
    addr: &Multiaddr,
    now_ms: u64,
) -> Result<()> {
    let key = peers::addrs(peer);
    let mut rows = match txn.get(Keyspace::Peers, &key)? {
        Some(bytes) => decode(&bytes)?,
        None => Vec::new(),
    };
    rows.retain(|row| row.1 > now_ms && row.0 != addr.to_vec());
    rows.push(Row(addr.to_vec().into(), now_ms.saturating_add(TTL_MS)));
    put(txn, &key, rows)
}

/// Notes where a peer is by its own word, the best first, and that it is not any more where it was by an
/// earlier one. Says whether there is something to try.
pub(crate) fn replace(
    txn: &mut dyn WriteTxn,
    (peer, old): (&PeerId, &[Multiaddr]),
    new: &[Multiaddr],
    until_ms: u64,
    now_ms: u64,
) -> Result<bool> {
    let key = peers::addrs(peer);
    let mut rows = match txn.get(Keyspace::Peers, &key)? {
        Some(bytes) => decode(&bytes)?,
        None => Vec::new(),
    };
    let is_in = |addrs: &[Multiaddr], row: &Row| addrs.iter().any(|addr| addr.to_vec() == *row.0);
    let unknown = new.iter();
    let unknown = unknown.filter(|addr| !rows.iter().any(|row| row.0 == addr.to_vec()));
    let any_unknown = unknown.count() > 0;
    rows.retain(|row| row.1 > now_ms && !is_in(old, row) && !is_in(new, row));
    let until_ms = until_ms.min(now_ms.saturating_add(TTL_MS));
    // The last is tried first.
    let addrs = new.iter().rev();
    rows.extend(addrs.map(|addr| Row(addr.to_vec().into(), until_ms)));
    put(txn, &key, rows)?;
    Ok(any_unknown)
}

fn put(txn: &mut dyn WriteTxn, key: &[u8], mut rows: Vec<Row>) -> Result<()> {
    let surplus = rows.len().saturating_sub(ADDRS_PER_PEER_MAX);
    rows.drain(..surplus);
    match rows.is_empty() {
        true => txn.delete(Keyspace::Peers, key),
        false => txn.put(Keyspace::Peers, key, &block::encode(&rows)?),
    }
}

/// Where a peer can be reached, the latest first.
pub(crate) fn of(txn: &dyn ReadTxn, peer: &PeerId, now_ms: u64) -> Result<Vec<Multiaddr>> {
    let Some(bytes) = txn.get(Keyspace::Peers, &peers::addrs(peer))? else {
        return Ok(Vec::new());
    };
    let mut addrs = live(&bytes, now_ms)?;
    addrs.reverse();
    Ok(addrs)
}

/// The peers of which an address is known.
pub(crate) fn peers_with(txn: &dyn ReadTxn) -> Result<Vec<PeerId>> {
    let prefix = peers::all_addrs();
    let bounds = Prefix::new(&prefix);
    let damaged = || Error::corrupt("a row about a peer is damaged");
    txn.scan(Keyspace::Peers, bounds.range(), Direction::Forward)?
        .map(|row| {
            let (key, _) = row?;
            let key = key[prefix.len()..].try_into().map_err(|_| damaged())?;
            Ok(PeerId::from_key_bytes(key))
        })
        .collect()
}
