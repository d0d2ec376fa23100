//! Adopting what is in quarantine: a writer makes the changes of another's record its own.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use threads_core::batch::{Batch, EntityEvent};
use threads_core::codec::ActionKind;
use threads_core::datastore::{Direction, Keyspace, ReadTxn};
use threads_core::record::Record;
use threads_core::{Cid, Error, PeerId, Result};

use crate::catalogue::{self, Catalogue, Definition};
use crate::chain;
use crate::entity::{EntityRow, Life};
use crate::held;
use crate::history;
use crate::index::Moves;
use crate::layout::{self, Prefix};
use crate::stage::Step;
use crate::thread::Thread;
use crate::txn::WriteTransaction;

/// The reserved collection of records that were adopted.
pub(crate) const ADOPTED: &str = "$adopted";

/// The records that a batch says to adopt.
pub(crate) fn adopts(batch: &Batch) -> Vec<Cid> {
    let said = batch
        .events
        .iter()
        .filter(|event| event.collection.as_str() == ADOPTED && event.action != ActionKind::Delete);
    // What names no record adopts none.
    said.filter_map(|event| event.entity.as_str().parse().ok())
        .collect()
}

/// An entity of `$adopted`; its id is the record's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct AdoptedEntity {
    #[serde(rename = "_id")]
    record: String,
    by: PeerId,
}

/// Who adopted which records, by their CIDs: the authors of those that say so, whomever these name.
pub(crate) fn adopters(txn: &dyn ReadTxn, thread: &Thread) -> Result<HashMap<String, PeerId>> {
    let catalogue = Catalogue::framework(txn, thread.number)?;
    let Some(definition) = catalogue.find(&catalogue::reserved(ADOPTED)) else {
        return Ok(HashMap::new());
    };
    let mut adopters = HashMap::new();
    let prefix = layout::collection_prefix(thread.number, definition.number);
    let bounds = Prefix::new(&prefix);
    for row in txn.scan(Keyspace::Entities, bounds.range(), Direction::Forward)? {
        let (key, value) = row?;
        let id = layout::entity_id(&key, prefix.len())?;
        let row = EntityRow::decode(&value)?;
        if let Some(author) = thread.author(txn, row.last.log)? {
            adopters.insert(id.as_str().to_owned(), author);
        }
    }
    Ok(adopters)
}

impl WriteTransaction<'_> {
    /// Makes the changes of a record that is in quarantine again, as changes of this node, on top of
    /// what there is now. Gives how many of them changed something: what was deleted stays so, and an
    /// event that its codec refuses on the present state does nothing, as for every peer.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](threads_core::ErrorKind::NotFound) when the record is not in quarantine;
    /// [`ErrorKind::Unsupported`](threads_core::ErrorKind::Unsupported) when its body cannot be read
    /// here, or changes what belongs to the framework; [`ErrorKind::Conflict`](threads_core::ErrorKind::Conflict)
    /// when somebody has adopted it already; and those of a commit.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// let applied = db.log(None).unwrap()[0].record;
    /// assert!(db.write(|txn| txn.adopt(&applied)).is_err(), "it is not in quarantine");
    /// ```
    pub fn adopt(&mut self, record: &Cid) -> Result<usize> {
        let (thread, txn) = (self.thread(), self.txn.as_read());
        let unknown = || {
            Error::not_found("no record in quarantine has this CID: list what is held")
                .with("cid", record)
        };
        let place = chain::locate(txn, thread.number, record)?.ok_or_else(unknown)?;
        let opened = thread.open(&chain::expect(txn, place)?)?;
        let row = (&opened.record.fields().log, place.seq, &opened.record.id());
        let arrival = held::find(txn, thread.number, row)?.ok_or_else(unknown)?;
        let entry = held::get(txn, thread.number, arrival)?.ok_or_else(unknown)?;
        if !entry.row.why.is_quarantine() {
            return Err(unknown());
        }
        let batch = opened.batch().ok_or_else(|| {
            Error::unsupported("the body of this record cannot be read here, so not adopted")
        })?;
        if batch
            .events
            .iter()
            .any(|event| event.collection.is_reserved())
        {
            return Err(Error::unsupported(
                "this record changes definitions or members: make those changes anew",
            ));
        }
        if adopters(txn, thread)?.contains_key(&record.to_string()) {
            return Err(Error::conflict(
                "this record was adopted already, so its changes are made",
            ));
        }
        let adopted = AdoptedEntity {
            record: record.to_string(),
            by: thread.own_author(),
        };
        self.whole(|txn| {
            let mut changed = 0;
            for event in &batch.events {
                changed += usize::from(txn.stage_event(event)?);
            }
            txn.save_reserved(ADOPTED, &adopted.record, &adopted)?;
            Ok(changed)
        })
    }

    /// Stages an event as it is, if it changes anything. It is checked as little as one of another peer:
    /// nobody could adopt what broke a rule of a schema that came later.
    fn stage_event(&mut self, event: &EntityEvent) -> Result<bool> {
        let catalogue = self.catalogue();
        let definition = catalogue.get(&event.collection)?;
        let (key, _) = self.keys(definition, &event.entity);
        let before = EntityRow::get(self.txn.as_read(), &key)?;
        let before = before.map_or(Life::Unknown, |row| row.life);
        let life = history::apply(self.thread(), before.clone(), event)?;
        if life == before {
            return Ok(false);
        }
        let seen = self.seen(definition, &before, &event.entity)?;
        let after = self.seen(definition, &life, &event.entity)?;
        let moves = Moves::new(definition, seen.as_ref(), after.as_ref());
        let step = Step {
            definition,
            id: &event.entity,
            action: event.action,
            payload: event.payload.clone(),
            life,
            moves,
            before: seen,
            after,
        };
        self.check_same_codec(definition, event)?;
        self.effect(step)?;
        Ok(true)
    }

    fn check_same_codec(&self, definition: &Definition, event: &EntityEvent) -> Result<()> {
        if definition.codec_id == event.codec {
            return Ok(());
        }
        Err(
            Error::unsupported("the collection has another codec than this record was made with")
                .with("collection", &definition.name)
                .with("codec", &event.codec),
        )
    }
}
