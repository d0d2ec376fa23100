//! Taking in records that were made elsewhere: checked link by link, then dispatched like our own.

use std::collections::BTreeMap;
use std::sync::Arc;

use threads_core::batch::{Batch, EntityEvent};
use threads_core::books::HeadBook;
use threads_core::datastore::{Keyspace, WriteTxn};
use threads_core::record::{Record, Rejection, SignedRecord, Verified, skip_target};
use threads_core::{Error, Hlc, PeerId, Result};

use crate::catalogue::Catalogue;
use crate::chain::{self, Blocks};
use crate::definitions;
use crate::dispatcher::{self, Incoming, authorise};
use crate::entity::{EntityRow, Life};
use crate::feed;
use crate::history::{self, Events};
use crate::index;
use crate::layout::{self, EventPlace, Number, Place, meta};
use crate::stage::Effect;
use crate::thread::{Thread, Tip};

/// How far ahead of this machine's clock a record may be dated. Every later event of the thread wears
/// a later time, so one record from the far future would make all of them lie.
const FUTURE_MS_MAX: u64 = 10 * 60 * 1_000;

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
        let now = self.thread.node.clock.now_ms();
        self.tip
            .time
            .observe(opened.time, now, FUTURE_MS_MAX)
            .map_err(|error| {
                error
                    .with("advice", "set the clock of this machine, or wait")
                    .with("seq", fields.seq)
            })?;
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
        let effects = self.apply_all(opened.batch(), place, time, position)?;
        let origin = dispatcher::Origin::Elsewhere;
        dispatcher::broadcast(&mut *self.txn, self.thread, &incoming, effects, origin)?;
        Ok(Taken::New)
    }

    fn check_links(&self, record: &SignedRecord, place: Place, time: Hlc) -> Result<()> {
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

    /// Applies the events of a batch, one entity after the other, the framework's own first: what
    /// they define is known to the rest of the batch.
    fn apply_all(
        &mut self,
        batch: Option<&Batch>,
        place: Place,
        time: Hlc,
        position: u64,
    ) -> Result<Vec<Effect>> {
        let mut entities: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (event, index) in batch.map_or(&[][..], |batch| &batch.events).iter().zip(0..) {
            let at = EventPlace {
                time,
                log: place.log,
                seq: place.seq,
                index,
            };
            // Reserved names begin with `$`, which sorts before letters and digits.
            entities
                .entry((&event.collection, &event.entity))
                .or_default()
                .push((event, at));
        }
        let mut effects = Vec::new();
        let mut defined = false;
        for ((collection, _), events) in entities {
            if defined && !collection.is_reserved() {
                self.definitions_changed()?;
                defined = false;
            }
            defined |= collection.is_reserved();
            effects.extend(self.apply(&events, position)?);
        }
        if defined {
            self.definitions_changed()?;
        }
        Ok(effects)
    }

    fn definitions_changed(&mut self) -> Result<()> {
        definitions::changed(self.txn, self.thread)?;
        self.reload()
    }

    fn reload(&mut self) -> Result<()> {
        let (number, codecs) = (self.thread.number, &self.thread.node.codecs);
        self.catalogue = Arc::new(Catalogue::load(self.txn.as_read(), number, codecs)?);
        Ok(())
    }

    /// Applies the events that a batch has for one entity. Events that come late make the entity's
    /// history be replayed, so that all peers with the same events show the same state.
    fn apply(
        &mut self,
        events: &[(&EntityEvent, EventPlace)],
        position: u64,
    ) -> Result<Option<Effect>> {
        let (txn, thread) = (&mut *self.txn, self.thread);
        let Some((event, first)) = events.first().copied() else {
            return Ok(None);
        };
        let number =
            layout::number_or_assign(txn, &meta::collection(thread.number, &event.collection))?;
        let (key, prefix) = history::keys(thread.number, number, event.entity.as_str());
        let row = EntityRow::get(txn.as_read(), &key)?;
        for (_, place) in events {
            history::put(txn, &prefix, *place, position)?;
        }
        let late = row.as_ref().is_some_and(|row| row.last.time >= first.time);
        let before = row.map_or(Life::Unknown, |row| row.life);
        let (last, life) = if late {
            let rows = history::rows(txn.as_read(), thread, &prefix)?;
            let last = rows.last().map_or(first, |row| row.place);
            let places = rows.into_iter().map(|row| row.place);
            (
                last,
                Events::new(txn.as_read(), thread).replay(Life::Unknown, places)?,
            )
        } else {
            let mut life = before.clone();
            for (event, _) in events {
                life = history::apply(thread, life, event)?;
            }
            (events.last().map_or(first, |(_, place)| *place), life)
        };
        EntityRow {
            last,
            life: life.clone(),
        }
        .put(txn, &key)?;
        let change = (before, life);
        self.index(event, number, &change)?;
        if self.thread.node.reducers.is_empty() {
            return Ok(None);
        }
        let net = feed::net(self.thread, &event.entity, &change)?;
        Ok(net.map(|(action, before, after)| Effect {
            event: EntityEvent {
                action,
                ..event.clone()
            },
            before: before.map(Arc::new),
            after: after.map(Arc::new),
        }))
    }

    /// Keeps the indexes of an entity's collection, or notes that they cannot be kept now.
    fn index(&mut self, event: &EntityEvent, number: Number, change: &(Life, Life)) -> Result<()> {
        let (thread, id) = (self.thread, event.entity.as_str());
        let Some(definition) = self.catalogue.find(&event.collection) else {
            if event.collection.is_reserved() {
                return Ok(());
            }
            return self.txn.put(Keyspace::Meta, &meta::stale(number), &[]);
        };
        if definition.indexes.is_empty() {
            return Ok(());
        }
        let before = history::view(thread, &change.0, id)?;
        let after = history::view(thread, &change.1, id)?;
        let values = (before.as_ref(), after.as_ref());
        if index::update(self.txn, thread, definition, id, values.0, values.1)? {
            self.reload()?;
        }
        Ok(())
    }
}
