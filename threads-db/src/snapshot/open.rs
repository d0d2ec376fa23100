//! Opening a thread from a snapshot: what it says is put where records would have put it.
//!
//! Whether it is what its name says is known at its end, and whether somebody signed for that name when the records
//! after it are here. So this fills a thread that nobody sees yet, which is cleared if anything is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use threads_core::books::{Head, HeadBookMut};
use threads_core::datastore::{DatastoreExt, Durability, Keyspace, ReadTxn, WriteTxn};
use threads_core::record::{Fields, Record, SignedRecord, Verified};
use threads_core::{Cid, CollectionName, EntityId, Error, Hlc, PeerId, Result, block};

use super::content::{CONTENT_VERSION, EntityItem, Item, LogItem, Reader, RecordItem};
use super::covered::{Apart, Covered};
use crate::access;
use crate::base::Base;
use crate::chain;
use crate::definitions;
use crate::entity::{EntityRow, Life};
use crate::held::{self, Entry, Why};
use crate::ingest::Ingest;
use crate::invite;
use crate::layout::{self, EventPlace, Number, Place, meta};
use crate::purge::EmptiedRow;
use crate::thread::{Thread, Tip};

mod sound;

use sound::Says;

/// How many items, and about how many bytes, one commit puts.
const ITEMS_PER_COMMIT: usize = 4_096;
const BYTES_PER_COMMIT: usize = 8 * 1024 * 1024;
/// The position of the feed that stands for all that is covered.
const POSITION: u64 = 1;

fn malformed(why: &'static str) -> Error {
    Error::rejected("what is said to be a snapshot is none").with("why", why)
}

/// A snapshot on its way into the store.
struct Opening<'a> {
    thread: &'a Thread,
    /// Whether its first item came.
    begun: bool,
    /// The access records that no other names.
    acl: Vec<Cid>,
    logs: Vec<(Number, LogItem)>,
    covered: Covered,
    /// Of which log the next marks are, and from which record on.
    marked: (u64, u64),
    /// The records that came, and what they say.
    carried: BTreeMap<(u64, u64), Says>,
    /// The access records that something names.
    named: BTreeSet<Cid>,
    /// The record that came last, and the entity.
    record: (u64, u64),
    entity: Option<(CollectionName, EntityId)>,
    /// The access records, and which others each knows of.
    access: Vec<(Place, Cid, Fields)>,
    knows: Vec<Vec<Cid>>,
    /// The logs that showed whose they are.
    owned: BTreeSet<u64>,
    time: Hlc,
}

/// Fills a thread that holds nothing yet with what a snapshot says, if it is the one of this name.
///
/// # Errors
///
/// [`ErrorKind::Rejected`](threads_core::ErrorKind::Rejected) for what is no snapshot of this thread, or not this
/// one.
pub(crate) fn open(thread: &Thread, input: impl Read, name: &Cid) -> Result<()> {
    open_if(thread, input, name, &|_| Ok(()))
}

/// The same, if all of it may be so, by what is in it: what is asked when it is there, and before anybody sees it.
pub(super) fn open_if(
    thread: &Thread,
    input: impl Read,
    name: &Cid,
    may: &dyn Fn(&dyn ReadTxn) -> Result<()>,
) -> Result<()> {
    let store = &thread.node.store;
    let mut reader = Reader::new(input);
    let mut opening = Opening::new(thread);
    let mut ended = false;
    // Ends: each turn takes in items of an input that ends.
    while !ended {
        let (mut items, mut bytes) = (Vec::new(), 0);
        while items.len() < ITEMS_PER_COMMIT && bytes < BYTES_PER_COMMIT {
            let Some(item) = reader.next()? else {
                ended = true;
                break;
            };
            bytes += item.bytes();
            items.push(item);
        }
        store.transact(Durability::Group, |txn| opening.take(txn, items))?;
    }
    let (found, _) = reader.finish();
    if found != *name {
        return Err(
            Error::rejected("the snapshot is not the one that was signed")
                .with("snapshot", name)
                .with("found", found),
        );
    }
    let keys = store.transact(Durability::Group, |txn| {
        let keys = opening.finish(txn, name)?;
        may(txn.as_read())?;
        Ok(keys)
    })?;
    if keys {
        thread.take_up_keys()?;
    }
    Ok(())
}

impl<'a> Opening<'a> {
    fn new(thread: &'a Thread) -> Self {
        Self {
            thread,
            begun: false,
            acl: Vec::new(),
            logs: Vec::new(),
            covered: Covered::default(),
            marked: (0, 1),
            carried: BTreeMap::new(),
            named: BTreeSet::new(),
            record: (0, 0),
            entity: None,
            access: Vec::new(),
            knows: Vec::new(),
            owned: BTreeSet::new(),
            time: Hlc::ZERO,
        }
    }

    fn take(&mut self, txn: &mut dyn WriteTxn, items: Vec<Item>) -> Result<()> {
        let mut records = Vec::new();
        for item in items {
            let first = !std::mem::replace(&mut self.begun, true);
            match item {
                Item::Thread {
                    version,
                    thread,
                    acl,
                } if first => {
                    self.named.extend(&acl);
                    self.acl = acl;
                    if version != CONTENT_VERSION || thread != self.thread.id {
                        return Err(malformed("it is of another thread, or a later version"));
                    }
                }
                Item::Log(log) if !first && self.is_before_marks() => self.log(txn, log)?,
                Item::Marks(marks) if !first => self.marks(txn, &marks)?,
                Item::Record(record) if !first && self.is_marked() && self.entity.is_none() => {
                    records.push(self.record(txn, &record)?);
                }
                Item::Entity(entity) if !first && self.is_marked() => self.entity(txn, &entity)?,
                Item::End { .. } if !first && self.is_marked() => {}
                _ => return Err(malformed("its items are out of turn")),
            }
        }
        Verified::check_all(records, &mut **self.thread.node.rng()).map(drop)
    }

    fn is_before_marks(&self) -> bool {
        self.marked == (0, 1) && self.record == (0, 0) && self.entity.is_none()
    }

    fn log(&mut self, txn: &mut dyn WriteTxn, item: LogItem) -> Result<()> {
        let in_order = self.logs.last().is_none_or(|(_, last)| last.log < item.log);
        if !in_order || item.seq == 0 {
            return Err(malformed("its logs are out of turn"));
        }
        let number = self.thread.log_number(txn, &item.log)?;
        let head = Head {
            seq: item.seq,
            record: item.record,
            time: item.time()?,
        };
        HeadBookMut::new(txn).set(&self.thread.id, &item.log, &head)?;
        self.named.extend(&item.acl);
        self.covered.last.insert(number, item.seq);
        self.logs.push((number, item));
        Ok(())
    }

    /// Puts a record whose signature is still to be checked.
    fn record(&mut self, txn: &mut dyn WriteTxn, item: &RecordItem) -> Result<SignedRecord> {
        let log = self.logs.get(item.log as usize);
        let (number, log) = log.ok_or_else(|| malformed("a record is of no log"))?;
        let in_order = (item.log, item.seq) > self.record || self.record == (0, 0);
        if !in_order || item.seq == 0 || item.seq > log.seq {
            return Err(malformed("its records are out of turn"));
        }
        self.record = (item.log, item.seq);
        let place = Place {
            thread: self.thread.number,
            log: *number,
            seq: item.seq,
        };
        let blocks = item.blocks();
        let record = self.thread.open_record(&blocks.record)?;
        blocks.check_links(&record)?;
        let (fields, cid) = (record.fields(), record.id());
        let is_last = item.seq == log.seq;
        if (fields.log, fields.seq) != (log.log, item.seq) || is_last && cid != log.record {
            return Err(malformed("a record stands in another place"));
        }
        self.check_marks(txn.as_read(), place, &record)?;
        chain::put(txn, place, &cid, &blocks)?;
        if let Some(author) = record.author() {
            let key = meta::author(place.thread, place.log);
            txn.put(Keyspace::Meta, &key, author.key_bytes())?;
            self.owned.insert(item.log);
        }
        if !item.acl.is_empty() && fields.acl.is_empty() && item.seq > 1 {
            name_access(txn, (place.thread, place.log, item.seq - 1), &item.acl)?;
        }
        access::note(txn, place, (&cid, fields))?;
        if let Some(by) = blocks.purged_by()? {
            let (known, was_applied) = (false, false);
            EmptiedRow {
                by,
                known,
                was_applied,
            }
            .put(txn, place)?;
        }
        if let Some(apart) = item.apart {
            self.covered.apart.insert((place.log, place.seq), apart);
            self.hold(txn, (&cid, fields), (record.author(), apart))?;
        }
        self.named.extend(&item.acl);
        if fields.access {
            self.access.push((place, cid, fields.clone()));
            self.knows.push(item.acl.clone());
        }
        self.check_time((item, &record), &blocks)?;
        Ok(record)
    }

    /// Holds a record that was in quarantine where the snapshot was made.
    fn hold(
        &self,
        txn: &mut dyn WriteTxn,
        (cid, fields): (&Cid, &Fields),
        (author, apart): (Option<PeerId>, Apart),
    ) -> Result<()> {
        let why = "it was not accepted where the snapshot was made";
        let row = held::Row {
            log: fields.log,
            seq: fields.seq,
            record: *cid,
            author,
            since_ms: self.thread.node.clock.now_ms(),
            why: match apart {
                Apart::Itself => Why::quarantine(why),
                Apart::Rules => Why::access(why),
            },
        };
        let entry = Entry { row, blocks: None };
        held::keep(txn, self.thread.number, None, &entry).map(drop)
    }

    fn entity(&mut self, txn: &mut dyn WriteTxn, item: &EntityItem) -> Result<()> {
        let name = (item.collection.clone(), item.id.clone());
        let in_order = self.entity.as_ref().is_none_or(|last| *last < name);
        let log = self.logs.get(item.log as usize);
        let (log, of) = log.ok_or_else(|| malformed("an event is of no log"))?;
        if !in_order || item.seq == 0 || item.seq > of.seq {
            return Err(malformed("its entities are out of turn"));
        }
        self.entity = Some(name);
        self.check_last((item.log, item.seq), item.time()?)?;
        let last = EventPlace {
            time: item.time()?,
            log: *log,
            seq: item.seq,
            index: item.index,
        };
        self.time = self.time.max(last.time);
        let thread = self.thread.number;
        let number = layout::number_or_assign(txn, &meta::collection(thread, &item.collection))?;
        let key = layout::entity(thread, number, item.id.as_str());
        let life = item.life();
        self.check_state(&life, &item.id)?;
        if let Life::Live(codec, _) = &life
            && self.thread.node.codecs.get(codec).is_err()
        {
            // It waits for its codec as if it had come in records, which are replayed then.
            let waiting = Life::Waiting(codec.clone());
            let beside = layout::beside_history(&key);
            txn.put(
                Keyspace::History,
                &beside,
                &EntityRow { last, life }.encode(),
            )?;
            return EntityRow {
                last,
                life: waiting,
            }
            .put(txn, &key);
        }
        EntityRow { last, life }.put(txn, &key)
    }

    /// Makes the rest follow from what came. Says whether keys were among it.
    fn finish(&mut self, txn: &mut dyn WriteTxn, name: &Cid) -> Result<bool> {
        self.check_whole()?;
        self.check_clock()?;
        let thread = self.thread.number;
        for (number, log) in &self.logs {
            if !log.acl.is_empty() {
                name_access(txn, (thread, *number, log.seq), &log.acl)?;
                let known = meta::known_access(thread, *number);
                txn.put(Keyspace::Meta, &known, &block::encode(&log.acl)?)?;
            }
        }
        let tip = Tip {
            time: self.time,
            position: POSITION,
        };
        tip.put(txn, thread)?;
        let base = Base {
            covered: std::mem::take(&mut self.covered),
            position: POSITION,
            time: self.time,
            snapshot: *name,
            clearing: false,
            owes: None,
            acl: self.acl.clone(),
            no_feed: BTreeMap::new(),
        };
        base.put(txn, thread)?;
        definitions::changed(txn, self.thread)?;
        let keys = self.learn(txn)?;
        self.check_latest(txn.as_read(), &base)?;
        // Not before all of it is known to be right: who shares the thread stays so when the rest is cleared.
        invite::note_all_members(txn, self.thread)?;
        // What they say of records that are covered was known where the snapshot was made.
        base.put(txn, thread)?;
        Ok(keys)
    }

    /// Shows the policy the access records, none before those that it names.
    fn learn(&mut self, txn: &mut dyn WriteTxn) -> Result<bool> {
        let (access, knows) = (&mut self.access, &self.knows);
        let records = sound::in_turn(std::mem::take(access), knows)?;
        let mut ingest = Ingest::new(txn, self.thread)?;
        for (place, cid, fields) in &records {
            ingest.learn_at(*place, (*cid, fields))?;
        }
        Ok(ingest.came_keys())
    }
}

/// Notes which access records are known at a place of a log, unless that is noted.
fn name_access(
    txn: &mut dyn WriteTxn,
    (thread, log, seq): (Number, Number, u64),
    acl: &[Cid],
) -> Result<()> {
    let key = meta::named_access(thread, log, seq);
    if txn.get(Keyspace::Meta, &key)?.is_none() {
        txn.put(Keyspace::Meta, &key, &block::encode(acl)?)?;
    }
    Ok(())
}
