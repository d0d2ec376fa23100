//! Taking in records that were made elsewhere: checked link by link, then dispatched like our own.

use std::sync::Arc;

use threads_core::batch::EntityEvent;
use threads_core::books::HeadBook;
use threads_core::datastore::WriteTxn;
use threads_core::record::{Record, Rejection, SignedRecord, Verified, skip_target};
use threads_core::{Error, PeerId, Result};

use crate::catalogue::Catalogue;
use crate::chain::{self, Blocks};
use crate::definitions;
use crate::dispatcher::{self, Incoming, authorise};
use crate::entity::{EntityRow, Life};
use crate::feed;
use crate::history::{self, Events};
use crate::index;
use crate::layout::{self, EventPlace, Place, meta};
use crate::stage::Effect;
use crate::thread::{Thread, Tip};

/// One transaction that takes in records.
pub(crate) struct Ingest<'a> {
    txn: &'a mut dyn WriteTxn,
    thread: &'a Thread,
    catalogue: Arc<Catalogue>,
    tip: Tip,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is new here.
    New,
    /// It was here already.
    Present,
}

impl<'a> Ingest<'a> {
    pub(crate) fn new(txn: &'a mut dyn WriteTxn, thread: &'a Thread) -> Result<Self> {
        let catalogue = Catalogue::load(txn.as_read(), thread.number, &thread.node.codecs)?;
        let tip = Tip::get(txn.as_read(), thread.number)?;
        Ok(Self {
            txn,
            thread,
            catalogue: Arc::new(catalogue),
            tip,
        })
    }

    /// Takes in the next record of its log. `(log, seq)` of a record that is here already is
    /// recognised; another record of the same place is a fork.
    pub(crate) fn take(
        &mut self,
        record: Verified<SignedRecord>,
        blocks: &Blocks,
    ) -> Result<Taken> {
        let fields = record.fields();
        let log = self.thread.log_number(&mut *self.txn, &fields.log)?;
        let place = Place {
            thread: self.thread.number,
            log,
            seq: fields.seq,
        };
        if let Some(present) = chain::get(self.txn.as_read(), place)? {
            return match present.record_id() == record.id() {
                true => Ok(Taken::Present),
                false => Err(
                    Error::rejected("the log was forked: two records have one place")
                        .with("log", fields.log)
                        .with("seq", fields.seq),
                ),
            };
        }
        let opened = self.thread.open_event((*record).clone(), blocks)?;
        self.check_links(&record, place, opened.time)?;
        let author = self.author(&record, place)?;
        let changes = opened.batch().map(dispatcher::changes).unwrap_or_default();
        let record = authorise(self.txn.as_read(), self.thread, record, author, &changes)?;
        let (time, position) = (opened.time, self.tip.position + 1);
        let incoming = Incoming {
            record: &record,
            place,
            blocks,
            time,
            position,
        };
        self.tip = dispatcher::file(&mut *self.txn, self.thread, &incoming, &self.tip)?;
        let mut effects = Vec::new();
        for (event, index) in opened
            .batch()
            .map_or(&[][..], |b| &b.events)
            .iter()
            .zip(0..)
        {
            let place = EventPlace {
                time,
                log,
                seq: place.seq,
                index,
            };
            effects.extend(self.apply(event, place, position)?);
        }
        let origin = dispatcher::Origin::Elsewhere;
        dispatcher::broadcast(&mut *self.txn, self.thread, &incoming, effects, origin)?;
        Ok(Taken::New)
    }

    fn check_links(
        &self,
        record: &SignedRecord,
        place: Place,
        time: threads_core::Hlc,
    ) -> Result<()> {
        let fields = record.fields();
        let head = HeadBook::new(self.txn.as_read()).get(&self.thread.id, &fields.log)?;
        record.follows(
            head.map_or(0, |head| head.seq),
            head.map(|head| head.record).as_ref(),
        )?;
        if head.is_some_and(|head| head.time >= time) {
            return Err(Rejection::BrokenChain.into());
        }
        if let Some(seq) = skip_target(place.seq) {
            let target = chain::expect(self.txn.as_read(), Place { seq, ..place })?;
            if fields.skip != Some(target.record_id()) {
                return Err(Rejection::BrokenChain.into());
            }
        }
        Ok(())
    }

    fn author(&self, record: &SignedRecord, place: Place) -> Result<PeerId> {
        if let Some(author) = record.author() {
            return Ok(author);
        }
        let author = self.thread.author(self.txn.as_read(), place.log)?;
        author.ok_or_else(|| Error::corrupt("a log's author is missing"))
    }

    /// Applies one event to its entity. An event that comes late makes its entity's history be
    /// replayed, so that all peers with the same events show the same state.
    fn apply(
        &mut self,
        event: &EntityEvent,
        place: EventPlace,
        position: u64,
    ) -> Result<Option<Effect>> {
        let (txn, thread) = (&mut *self.txn, self.thread);
        let name = meta::collection(thread.number, &event.collection);
        let number = layout::number_or_assign(txn, &name)?;
        let (key, prefix) = history::keys(thread.number, number, event.entity.as_str());
        let before = EntityRow::get(txn.as_read(), &key)?;
        history::put(txn, &prefix, place, position)?;
        let (last, life) = match &before {
            Some(row) if row.last.time >= place.time => {
                let rows = history::rows(txn.as_read(), thread, &prefix)?;
                let last = rows.last().map_or(place, |row| row.place);
                let places = rows.into_iter().map(|row| row.place);
                (
                    last,
                    Events::new(txn.as_read(), thread).replay(Life::Unknown, places)?,
                )
            }
            Some(row) => (place, history::apply(thread, row.life.clone(), event)?),
            None => (place, history::apply(thread, Life::Unknown, event)?),
        };
        let before = before.map_or(Life::Unknown, |row| row.life);
        EntityRow {
            last,
            life: life.clone(),
        }
        .put(txn, &key)?;
        if let Some(definition) = self.catalogue.find(&event.collection) {
            let id = event.entity.as_str();
            let old = history::view(&*definition.codec, &before)?;
            let new = history::view(&*definition.codec, &life)?;
            index::update(
                txn,
                thread.number,
                definition,
                id,
                old.as_ref(),
                new.as_ref(),
            )?;
        }
        if event.collection.is_reserved() {
            definitions::changed(txn, thread)?;
            let loaded = Catalogue::load(txn.as_read(), thread.number, &thread.node.codecs)?;
            self.catalogue = Arc::new(loaded);
        }
        if thread.node.reducers.is_empty() {
            return Ok(None);
        }
        let net = feed::net(thread, &event.codec, &(before, life))?;
        Ok(net.map(|(action, before, after)| Effect {
            event: EntityEvent {
                action,
                ..event.clone()
            },
            before: before.map(Arc::new),
            after: after.map(Arc::new),
        }))
    }
}
