//! Verification of what is held: each row, the ways to it, and the counts.

use std::collections::BTreeMap;

use threads_core::datastore::{Direction, Keyspace};
use threads_core::record::{Record, Verified};
use threads_core::{Error, Result};

use super::Check;
use crate::chain;
use crate::held::{self, Entry, Tally};
use crate::layout::{self, Prefix};
use crate::line;

impl Check<'_> {
    pub(super) fn held(&mut self) -> Result<()> {
        let mut tallies: BTreeMap<Vec<u8>, Tally> = BTreeMap::new();
        for arrival in held::arrivals(self.txn, self.thread.number)? {
            self.report.held += 1;
            if let Err(error) = self.held_record(arrival, &mut tallies) {
                let place = format!("held record {arrival}");
                self.report.problem(place, error.to_string());
            }
        }
        let bounds = Prefix::new(&layout::held::tallies(self.thread.number));
        let rows = self
            .txn
            .scan(Keyspace::Held, bounds.range(), Direction::Forward)?;
        let mut counted = BTreeMap::new();
        for row in rows {
            let (key, value) = row?;
            counted.insert(key.into_owned(), Tally::decode(&value)?);
        }
        let bounds = Prefix::new(&layout::held::dues(self.thread.number));
        let dues = self
            .txn
            .scan(Keyspace::Held, bounds.range(), Direction::Forward)?;
        if dues.count() != self.dues {
            self.report
                .problem("held records", "they are not all due when they are");
        }
        if counted != tallies {
            self.report
                .problem("held records", "they are not as many as was counted");
        }
        Ok(())
    }

    fn held_record(&mut self, arrival: u64, tallies: &mut BTreeMap<Vec<u8>, Tally>) -> Result<()> {
        let thread = self.thread;
        let key = layout::held::row(thread.number, arrival);
        let value = self.txn.get(Keyspace::Held, &key)?.unwrap_or_default();
        let Entry { row, blocks } = Entry::decode(&value)?;
        let tally = tallies.entry(layout::held::tally(thread.number, row.owner()));
        let tally = tally.or_default();
        *tally = tally.plus(value.len() as u64);
        let held = (&row.log, row.seq, &row.record);
        if held::find(self.txn, thread.number, held)? != Some(arrival) {
            return Err(Error::corrupt("it cannot be found by its record"));
        }
        if let Some(at_ms) = row.why.due_ms() {
            let due = layout::held::due(thread.number, at_ms, arrival);
            self.dues += 1;
            if self.txn.get(Keyspace::Held, &due)?.is_none() {
                return Err(Error::corrupt("it is not tried again when it is due"));
            }
        }
        let known = chain::locate(self.txn, thread.number, &row.record)?;
        let Some(blocks) = blocks else {
            let Some(place) = known.filter(|place| place.seq == row.seq) else {
                return Err(Error::corrupt("it does not stand in its log"));
            };
            if line::at(self.txn, &row.log, place)?.log != row.log {
                return Err(Error::corrupt("it stands in another log"));
            }
            self.apart.insert(place);
            return Ok(());
        };
        if known.is_some() {
            return Err(Error::corrupt("it is held, and stands in its log too"));
        }
        let record = thread.open_record(&blocks.record)?;
        blocks.check_links(&record)?;
        let fields = record.fields();
        if (&fields.log, fields.seq, &record.id()) != held {
            return Err(Error::corrupt("it is filed as another record"));
        }
        Verified::check(record).map(|_| ())
    }
}
