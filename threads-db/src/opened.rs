//! A stored record, opened as far as this node's keys reach.

use threads_core::access::{self, ACCESS_FORMAT, Statement};
use threads_core::batch::{BATCH_FORMAT, Batch};
use threads_core::event::{Event, Position};
use threads_core::record::{Fields, Rejection, SignedRecord};
use threads_core::{Cid, CodecId, ErrorKind, Hlc, Result};

use crate::access::adopts;
use crate::chain::Blocks;
use crate::thread::Thread;

/// A record with its time and what its body says.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) record: SignedRecord,
    pub(crate) time: Hlc,
    pub(crate) format: Option<CodecId>,
    pub(crate) body: Body,
    /// The records whose changes it makes its author's own.
    pub(crate) adopts: Vec<Cid>,
}

/// What a body says to this node.
#[derive(Debug)]
pub(crate) enum Body {
    /// The events of a transaction.
    Batch(Batch),
    /// What an access record says.
    Access(Vec<Statement>),
    /// It is sealed to somebody else.
    Private,
    /// Its format is not known here.
    Unknown,
    /// The thread is kept here without its read key.
    Blind,
    /// It was purged.
    Purged,
}

impl Opened {
    /// The events, if the body is a batch that this node can read.
    pub(crate) fn batch(&self) -> Option<&Batch> {
        match &self.body {
            Body::Batch(batch) => Some(batch),
            Body::Access(_) | Body::Private | Body::Unknown | Body::Blind | Body::Purged => None,
        }
    }

    /// The statements, if it is an access record that this version knows.
    pub(crate) fn statements(&self) -> Option<&[Statement]> {
        match &self.body {
            Body::Access(statements) => Some(statements),
            Body::Batch(_) | Body::Private | Body::Unknown | Body::Blind | Body::Purged => None,
        }
    }
}

impl Thread {
    /// Opens a record's blocks. What is not as the record says is an error.
    pub(crate) fn open(&self, blocks: &Blocks) -> Result<Opened> {
        let record = self.open_record(&blocks.record)?;
        self.open_event(record, blocks)
    }

    /// Opens the event of a record that is open already.
    pub(crate) fn open_event(&self, record: SignedRecord, blocks: &Blocks) -> Result<Opened> {
        if blocks.purged_by()?.is_some() {
            return Ok(Opened {
                record,
                time: Hlc::ZERO,
                format: None,
                body: Body::Purged,
                adopts: Vec::new(),
            });
        }
        let event = Event::decode(&blocks.event)?;
        let Some(read) = self.header_key(record.fields())? else {
            return Ok(Opened {
                record,
                time: Hlc::ZERO,
                format: None,
                body: Body::Blind,
                adopts: Vec::new(),
            });
        };
        let position = self.position(record.fields());
        let header = event.open_header(&position, &read)?;
        if record.fields().access && header.recipient().is_some() {
            // What is said about access is said to all.
            return Err(Rejection::Malformed.into());
        }
        let own = &self.node.agreement;
        let body = match header.recipient() {
            Some(recipient) if recipient != own.public => Body::Private,
            _ => {
                let plain = header.open_body(&position, &blocks.body, Some(&own.secret))?;
                match (header.format.as_str(), record.fields().access) {
                    (BATCH_FORMAT, false) => Body::Batch(Batch::decode(&plain)?),
                    (ACCESS_FORMAT, true) => Body::Access(access::decode(&plain)?),
                    _ => Body::Unknown,
                }
            }
        };
        let adopts = match &body {
            Body::Batch(batch) => adopts(batch),
            _ => Vec::new(),
        };
        Ok(Opened {
            record,
            time: header.time,
            format: Some(header.format),
            body,
            adopts,
        })
    }

    /// The time of a record's event.
    pub(crate) fn time(&self, blocks: &Blocks) -> Result<Hlc> {
        let record = self.open_record(&blocks.record)?;
        self.time_of(&record, blocks)
    }

    /// The time of the event of a record that is open already; its body is not looked at. No time where
    /// the header is sealed to others, does not open, or was purged.
    pub(crate) fn time_of(&self, record: &SignedRecord, blocks: &Blocks) -> Result<Hlc> {
        if blocks.is_emptied() {
            return Ok(Hlc::ZERO);
        }
        let event = Event::decode(&blocks.event)?;
        let Some(read) = self.header_key(record.fields())? else {
            return Ok(Hlc::ZERO);
        };
        match event.open_header(&self.position(record.fields()), &read) {
            Ok(header) => Ok(header.time),
            Err(fault) if fault.kind() == ErrorKind::Rejected => Ok(Hlc::ZERO),
            Err(fault) => Err(fault),
        }
    }

    pub(crate) fn position<'a>(&'a self, fields: &Fields) -> Position<'a> {
        Position {
            thread: &self.id,
            log: fields.log,
            seq: fields.seq,
            epoch: fields.epoch,
        }
    }
}
