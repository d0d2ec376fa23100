//! Loading rows into a collection, batch by batch, in constant memory.

pub(crate) mod rows;

use std::io::BufRead;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde_json::Value;
use threads_core::event::BODY_BYTES_MAX;
use threads_core::{Clock, Error, ErrorKind, FieldPath, SystemClock};
use threads_db::{Collection, Db, WriteTransaction};

use crate::exit::{Failure, Result};
use crate::meter::Meter;
use crate::output::{Output, counted, grouped};
use rows::{Row, Rows, Stop};

/// How many rows that are not valid are told one by one.
pub(crate) const INVALID_TOLD_MAX: usize = 20;
/// The most text of the rows of one batch, in bytes: rows of some size fill one record with it.
const BATCH_BYTES_MAX: usize = BODY_BYTES_MAX / 4 * 3;
/// How much larger than its text a row may become in a record: a short fraction is one byte and
/// a half of text for each of the eight that hold it.
const GROWTH_MAX: usize = 3;
/// What a record needs for a row besides its values, and more.
const ROW_OVERHEAD_BYTES: usize = 1_024;

/// How to load.
#[derive(Debug)]
pub(crate) struct Options {
    /// Rows in one transaction.
    pub(crate) batch: usize,
    /// Where the `_id` comes from; `None` takes the row's own, or makes one.
    pub(crate) id_field: Option<FieldPath>,
    /// Whether the first row that is not valid ends it.
    pub(crate) strict: bool,
}

/// What was loaded.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Summary {
    /// Rows that are in.
    pub(crate) rows: u64,
    /// Rows that were not valid.
    pub(crate) skipped: u64,
    /// Records that they made.
    pub(crate) records: u64,
    /// Bytes of input that were read.
    pub(crate) bytes: u64,
    /// How long it took.
    pub(crate) seconds: f64,
    /// Rows that went in, by time.
    pub(crate) rows_per_second: u64,
    /// The first rows that were not valid.
    pub(crate) invalid: Vec<Invalid>,
}

/// A row that was not valid.
#[derive(Debug, Serialize)]
pub(crate) struct Invalid {
    line: u64,
    row: u64,
    reason: String,
}

/// How many rows are in. It is held during each commit, so whoever holds it is between two.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally(Arc<Mutex<u64>>);

impl Tally {
    pub(crate) fn lock(&self) -> MutexGuard<'_, u64> {
        // A number is right whatever became of the thread that counted it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether only this is left of a load.
    pub(crate) fn is_over(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }
}

/// One load.
pub(crate) struct Loader<'a, R> {
    db: &'a Db,
    collection: &'a Collection<Value>,
    rows: Rows<R>,
    options: Options,
    out: &'a mut Output,
    meter: Meter,
    began_ms: u64,
    summary: Summary,
    tally: Tally,
}

impl<'a, R: BufRead> Loader<'a, R> {
    pub(crate) fn new(
        (db, collection): (&'a Db, &'a Collection<Value>),
        rows: Rows<R>,
        options: Options,
        out: &'a mut Output,
        meter: Meter,
    ) -> Self {
        let (began_ms, summary) = (SystemClock.now_ms(), Summary::default());
        Self {
            db,
            collection,
            rows,
            options,
            out,
            meter,
            began_ms,
            summary,
            tally: Tally::default(),
        }
    }

    pub(crate) fn tally(&self) -> Tally {
        self.tally.clone()
    }

    /// Loads until the end of the input or the first reason to stop. Either way the summary says
    /// what is in.
    pub(crate) fn run(mut self) -> (Summary, Result) {
        let result = self.load();
        self.measure();
        let committed = self.summary.rows;
        let result = result.map_err(|failure| match failure {
            Failure::Error {
                error,
                excerpt,
                help,
            } => {
                let error = error.with("rows_committed", committed);
                Failure::Error {
                    error,
                    excerpt,
                    help,
                }
            }
            output => output,
        });
        (self.summary, result)
    }

    fn load(&mut self) -> Result {
        loop {
            let (batch, end) = self.read();
            if self.options.strict && matches!(end, Some(Err(_))) {
                return end.unwrap_or(Ok(()));
            }
            self.store(batch)?;
            self.measure();
            if let Some(end) = end {
                return end;
            }
        }
    }

    /// The next rows that may share a transaction, and how the input ended if it did.
    fn read(&mut self) -> (Vec<(Row, Value)>, Option<Result>) {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while batch.len() < self.options.batch && bytes < BATCH_BYTES_MAX {
            let mut row = match self.rows.next() {
                Ok(Some(row)) => row,
                Ok(None) => return (batch, Some(Ok(()))),
                Err(stop) => return (batch, Some(Err(stopped(stop)))),
            };
            bytes += row.bytes;
            let value = std::mem::replace(&mut row.value, Ok(Value::Null));
            let refused = match value.and_then(|value| self.identified(value)) {
                Ok(value) => {
                    batch.push((row, value));
                    continue;
                }
                Err(reason) => self.refuse(&row, reason),
            };
            if refused.is_err() {
                return (batch, Some(refused));
            }
        }
        (batch, None)
    }

    /// The row with the `_id` that it is to have.
    fn identified(&self, mut value: Value) -> Result<Value, String> {
        let Some(path) = &self.options.id_field else {
            return Ok(value);
        };
        let found = path
            .segments()
            .iter()
            .try_fold(&value, |value, name| match value {
                Value::Array(items) => items.get(name.parse::<usize>().ok()?),
                value => value.get(name),
            });
        let id = match found {
            Some(Value::String(id)) => id.clone(),
            Some(Value::Number(id)) if !id.is_f64() => id.to_string(),
            Some(_) => return Err(format!("{path} is not text or an integer, so it is no _id")),
            None => return Err(format!("{path} is missing, which --id-field names")),
        };
        if let Some(members) = value.as_object_mut() {
            members.insert("_id".to_owned(), id.into());
        }
        Ok(value)
    }

    /// Stores a batch: one record, or more if one cannot hold it.
    fn store(&mut self, batch: Vec<(Row, Value)>) -> Result {
        let db = self.db;
        let mut txn = db.begin()?;
        let mut staged = 0;
        for (row, value) in batch {
            let room = row.bytes * GROWTH_MAX + ROW_OVERHEAD_BYTES;
            if txn.staged_events() > 0 && txn.staged_bytes() + room > BODY_BYTES_MAX {
                self.commit(txn, staged)?;
                txn = db.begin()?;
                staged = 0;
            }
            match self.stage(&mut txn, &value) {
                Ok(()) => staged += 1,
                Err(error) if is_about_the_row(&error) => self.refuse(&row, error.to_string())?,
                Err(error) => return Err(error.into()),
            }
        }
        self.commit(txn, staged)
    }

    /// An entity that has its `_id` already is replaced, so that loading a file again repairs a
    /// load that was interrupted.
    fn stage(&self, txn: &mut WriteTransaction<'_>, value: &Value) -> Result<(), Error> {
        txn.save(self.collection, value).map(drop)
    }

    fn commit(&mut self, txn: WriteTransaction<'_>, staged: u64) -> Result {
        let mut rows_in = self.tally.lock();
        let commit = txn.commit()?;
        *rows_in += staged;
        self.summary.rows += staged;
        self.summary.records += u64::from(commit.is_some());
        Ok(())
    }

    /// Leaves a row out and says why, or ends the load if it is strict.
    fn refuse(&mut self, row: &Row, reason: String) -> Result {
        if self.options.strict {
            let error = Error::invalid("a row is not valid, and --strict ends the import there")
                .with("line", row.line)
                .with("row", row.number)
                .with("reason", reason);
            return Err(Failure::new(
                error,
                "correct the row, or leave --strict out to skip such rows",
            ));
        }
        self.summary.skipped += 1;
        if self.summary.invalid.len() < INVALID_TOLD_MAX {
            let Row { line, number, .. } = row;
            let out = &mut *self.out;
            self.meter
                .aside(|| out.remark(format_args!("line {line}, row {number}: {reason}")));
            self.summary.invalid.push(Invalid {
                line: *line,
                row: *number,
                reason,
            });
        }
        Ok(())
    }

    fn measure(&mut self) {
        let summary = &mut self.summary;
        let ms = SystemClock.now_ms().saturating_sub(self.began_ms);
        summary.bytes = self.rows.bytes();
        summary.seconds = ms as f64 / 1_000.0;
        summary.rows_per_second = summary.rows * 1_000 / ms.max(1);
        self.meter.set(summary.bytes, None);
        let (rows, rate) = (
            counted(summary.rows, "row"),
            grouped(summary.rows_per_second),
        );
        self.meter.say(format!("{rows}, {rate}/s"));
    }
}

/// Whether another row may do better.
fn is_about_the_row(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Invalid | ErrorKind::Conflict | ErrorKind::Rejected
    )
}

fn stopped(stop: Stop) -> Failure {
    match stop {
        Stop::Broken {
            line,
            column,
            number,
            reason,
        } => {
            let error = Error::invalid("the array is not JSON here, and was read no further")
                .with("line", line)
                .with("column", column)
                .with("row", number)
                .with("reason", reason);
            Failure::new(
                error,
                "correct the file, or write it as JSON Lines: one object on each line",
            )
        }
        Stop::Io(error) => {
            let said = Error::unavailable("the input could not be read to its end")
                .with("cause", &error)
                .caused_by(error);
            Failure::new(
                said,
                "the rows before are in; load the rest, or all again if they have an _id or with --id-field",
            )
        }
    }
}
