//! Who signed which snapshot, as the entities of the thread say.

use std::collections::{BTreeMap, BTreeSet};

use threads_core::codec::EntityState;
use threads_core::datastore::{Direction, Keyspace, ReadTxn};
use threads_core::record::Dep;
use threads_core::{Cid, LogId, PeerId, Result};

use super::{LOGS_MAX, SNAPSHOTS, SignedEntity, Snapshot};
use crate::base;
use crate::catalogue::{self, Catalogue};
use crate::history::{self, Events};
use crate::layout::{self, Prefix};
use crate::thread::Thread;

/// The snapshots that somebody signed.
pub(crate) fn signed(txn: &dyn ReadTxn, thread: &Thread) -> Result<Vec<Snapshot>> {
    let catalogue = Catalogue::framework(txn, thread.number)?;
    let Some(definition) = catalogue.find(&catalogue::reserved(SNAPSHOTS)) else {
        return Ok(Vec::new());
    };
    let prefix = layout::collection_prefix(thread.number, definition.number);
    let bounds = Prefix::new(&prefix);
    // Of one name there is more than one only where somebody lies about what it covers.
    let mut found: BTreeMap<(Cid, Vec<Dep>), (Snapshot, BTreeSet<PeerId>)> = BTreeMap::new();
    for row in txn.scan(Keyspace::Entities, bounds.range(), Direction::Forward)? {
        let (key, _) = row?;
        let id = layout::entity_id(&key, prefix.len())?;
        let Some((author, state)) = said(txn, thread, &key, id.as_str())? else {
            continue;
        };
        let snapshot = read(definition, &state, id.as_str())?;
        let is_its = |snapshot: &Snapshot| id.as_str() == format!("{}.{author}", snapshot.id);
        let Some(snapshot) = snapshot.filter(is_its) else {
            continue;
        };
        let key = (snapshot.id, snapshot.frontier.clone());
        let (content, emptied) = (snapshot.contents.values().next().cloned(), snapshot.emptied);
        let (known, signers) = found.entry(key).or_insert_with(|| {
            let contents = BTreeMap::new();
            (
                Snapshot {
                    contents,
                    ..snapshot
                },
                BTreeSet::new(),
            )
        });
        known.emptied = known.emptied.max(emptied);
        signers.insert(author);
        known
            .contents
            .extend(content.map(|content| (author, content)));
    }
    let mut snapshots: Vec<_> = found
        .into_values()
        .map(|(snapshot, signers)| Snapshot {
            signers: signers.into_iter().collect(),
            ..snapshot
        })
        .collect();
    snapshots.sort_by_key(|snapshot| (std::cmp::Reverse(snapshot.covers()), snapshot.id));
    Ok(snapshots)
}

/// What the keys of entities begin with that say who signed a snapshot; none if nobody did.
pub(crate) fn rows(txn: &dyn ReadTxn, thread: &Thread) -> Result<Option<[u8; 8]>> {
    let catalogue = Catalogue::framework(txn, thread.number)?;
    let definition = catalogue.find(&catalogue::reserved(SNAPSHOTS));
    Ok(definition.map(|of| layout::collection_prefix(thread.number, of.number)))
}

/// What the peer said last in an entity whom its id names. What others write there counts for nothing, and takes
/// nothing away.
fn said(
    txn: &dyn ReadTxn,
    thread: &Thread,
    key: &[u8],
    id: &str,
) -> Result<Option<(PeerId, EntityState)>> {
    let peer = id.rsplit_once('.').and_then(|(_, peer)| peer.parse().ok());
    let Some(peer) = peer else { return Ok(None) };
    let mut events = Events::new(txn, thread);
    let rows = history::rows(txn, thread, &[key, &[0]].concat())?;
    for row in rows.iter().rev() {
        if thread.author(txn, row.place.log)? == Some(peer) {
            // Of this codec an event is the state that it gives.
            let event = events.event(&row.place)?;
            return Ok(Some((peer, EntityState::new(event.payload))));
        }
    }
    let Some(begins) = base::of_entity(txn, thread.number, key)? else {
        return Ok(None);
    };
    let its = thread.author(txn, begins.last.log)? == Some(peer);
    let state = begins.life.state().filter(|_| its).cloned();
    Ok(state.map(|state| (peer, state)))
}

/// What an entity says, unless it makes no sense.
fn read(
    definition: &catalogue::Definition,
    state: &EntityState,
    id: &str,
) -> Result<Option<Snapshot>> {
    use threads_core::codec::EventCodecExt;
    let Ok(mut value) = definition.codec.value(state) else {
        return Ok(None);
    };
    if let Some(members) = value.as_object_mut() {
        members.insert("_id".to_owned(), id.into());
    }
    let Ok(entity) = serde_json::from_value::<SignedEntity>(value) else {
        return Ok(None);
    };
    let dep = |(log, seq, cid): (LogId, u64, String)| {
        let cid = cid.parse().ok()?;
        Some(Dep { log, seq, cid })
    };
    let frontier: Option<Vec<_>> = entity.logs.into_iter().map(dep).collect();
    let author = id.rsplit_once('.').and_then(|(_, peer)| peer.parse().ok());
    let (Some(frontier), Ok(name)) = (frontier, entity.snapshot.parse()) else {
        return Ok(None);
    };
    if frontier.len() > LOGS_MAX || !frontier.is_sorted_by(|a, b| a.log < b.log) {
        return Ok(None);
    }
    Ok(Some(Snapshot {
        id: name,
        frontier,
        entities: entity.entities,
        records: entity.records,
        bytes: entity.bytes,
        emptied: entity.emptied,
        signers: Vec::new(),
        contents: author.zip(entity.content).into_iter().collect(),
    }))
}
