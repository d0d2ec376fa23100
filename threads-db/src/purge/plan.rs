//! What a purge has to do: which records hold what is to go, and whether they may go.

use std::collections::{BTreeMap, BTreeSet};

use threads_core::batch::Batch;
use threads_core::codec::ActionKind;
use threads_core::datastore::ReadTxn;
use threads_core::record::{Dep, Record};
use threads_core::{Cid, CollectionName, EntityId, Error, ErrorKind, Result};

use super::empty;
use crate::base::Base;
use crate::chain::{self, Blocks};
use crate::compact;
use crate::entity::EntityRow;
use crate::held;
use crate::history;
use crate::layout::{self, Place, meta};
use crate::opened::Opened;
use crate::thread::Thread;
use crate::txn::WriteTransaction;

/// How many entities an error names.
const NAMED_MAX: usize = 5;

type Name = (CollectionName, EntityId);

/// Looks for the records that hold what entities said.
pub(super) struct Plan<'a> {
    txn: &'a dyn ReadTxn,
    thread: &'a Thread,
    entities: &'a BTreeSet<Name>,
    /// The entities of which something was found.
    found: BTreeSet<Name>,
    /// Others that were written with them, and in which record.
    others: BTreeMap<Name, Cid>,
    looked_at: BTreeSet<Place>,
    records: BTreeSet<Dep>,
}

impl<'a> Plan<'a> {
    pub(super) fn new(
        txn: &'a dyn ReadTxn,
        thread: &'a Thread,
        entities: &'a BTreeSet<Name>,
    ) -> Self {
        Self {
            txn,
            thread,
            entities,
            found: BTreeSet::new(),
            others: BTreeMap::new(),
            looked_at: BTreeSet::new(),
            records: BTreeSet::new(),
        }
    }

    /// The records that are to be emptied.
    pub(super) fn make(mut self) -> Result<Vec<Dep>> {
        for name in self.entities {
            self.of_history(name)?;
        }
        self.of_held()?;
        self.of_kept()?;
        if let Some((collection, id)) = self.entities.difference(&self.found).next() {
            return Err(
                Error::not_found("no entity of this _id, and none was deleted")
                    .with("collection", collection)
                    .with("_id", id),
            );
        }
        match self.others.is_empty() {
            true => Ok(self.records.into_iter().collect()),
            false => Err(self.mixed()),
        }
    }

    /// A transaction is one body, so what it wrote together goes together.
    fn mixed(&self) -> Error {
        let names = self.others.keys().take(NAMED_MAX);
        let names: Vec<_> = names.map(|(of, id)| format!("{of}/{id}")).collect();
        let error = Error::conflict(
            "other entities were written in the same transactions, and would be lost: purge them too, or leave it",
        );
        let error = error
            .with("others", self.others.len())
            .with("first", names.join(", "));
        match self.others.values().next() {
            Some(record) => error.with("record", record),
            None => error,
        }
    }

    fn of_history(&mut self, (collection, id): &Name) -> Result<()> {
        let thread = self.thread.number;
        let number = layout::number(self.txn, &meta::collection(thread, collection))?;
        let Some(number) = number else { return Ok(()) };
        let (key, prefix) = history::keys(thread, number, id.as_str());
        if EntityRow::get(self.txn, &key)?.is_some() {
            self.found.insert((collection.clone(), id.clone()));
        }
        for row in history::all(self.txn, self.thread, &prefix)? {
            let place = row.place.of_record(thread);
            if self.looked_at.insert(place) {
                let blocks = chain::expect(self.txn, place)?;
                self.look_at(&self.thread.open(&blocks)?, row.turns.is_applied());
            }
        }
        Ok(())
    }

    /// Of what the thread begins with here there is no history, and some records all the same.
    fn of_kept(&mut self) -> Result<()> {
        let Some(base) = Base::get(self.txn, self.thread.number)? else {
            return Ok(());
        };
        for place in compact::kept(self.txn, self.thread, &base)? {
            if self.looked_at.insert(place) {
                let blocks = chain::expect(self.txn, place)?;
                let opened = self.thread.open(&blocks)?;
                self.look_at(&opened, base.covered.has(place));
            }
        }
        Ok(())
    }

    /// What is held may be of any entity: records in quarantine, and those that wait.
    fn of_held(&mut self) -> Result<()> {
        for arrival in held::arrivals(self.txn, self.thread.number)? {
            let Some(entry) = held::get(self.txn, self.thread.number, arrival)? else {
                continue;
            };
            let blocks = match entry.blocks {
                Some(blocks) => blocks,
                None => match chain::locate(self.txn, self.thread.number, &entry.row.record)? {
                    Some(place) => chain::expect(self.txn, place)?,
                    None => continue,
                },
            };
            self.look_at_held(&blocks)?;
        }
        Ok(())
    }

    fn look_at_held(&mut self, blocks: &Blocks) -> Result<()> {
        match self.thread.open(blocks) {
            Ok(opened) => self.look_at(&opened, false),
            // Nobody can tell whose it is.
            Err(error) if error.kind() == ErrorKind::Rejected => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Looks at a record; of one that is not applied nothing that lives would be lost.
    fn look_at(&mut self, opened: &Opened, applied: bool) {
        let Some(Batch { events }) = opened.batch() else {
            return;
        };
        let name = |event: &threads_core::batch::EntityEvent| {
            (event.collection.clone(), event.entity.clone())
        };
        let mut concerned = false;
        for event in events {
            if self.entities.contains(&name(event)) {
                self.found.insert(name(event));
                // Deletes say nothing but that, and keep the entity dead.
                concerned |= event.action != ActionKind::Delete;
            }
        }
        if !concerned {
            return;
        }
        let (record, fields) = (opened.record.id(), opened.record.fields());
        for event in events.iter().filter(|_| applied) {
            if !self.entities.contains(&name(event)) && !empty::is_note(event) {
                self.others.entry(name(event)).or_insert(record);
            }
        }
        self.records.insert(Dep {
            log: fields.log,
            seq: fields.seq,
            cid: record,
        });
    }
}

impl WriteTransaction<'_> {
    /// Stages a delete, whatever became of the entity before: one that nobody will empty.
    pub(super) fn stage_last_delete(&mut self, (collection, id): &Name) -> Result<()> {
        let catalogue = self.catalogue();
        let definition = catalogue.get(collection)?;
        let life = self.life(definition, id)?;
        self.stage_tombstone(definition, id, &life)
    }
}
