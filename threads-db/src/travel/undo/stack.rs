//! What there is to undo and to redo, read from this node's log.
//!
//! After a plain transaction there is that one to undo, and nothing to redo. After an undo of X there is to undo
//! what there was before X; after a redo of U there is to redo what there was before U. So from the end of the log
//! each undo or redo leads to an older place, and nothing between is looked at.

use serde::{Deserialize, Serialize};
use threads_core::books::HeadBook;
use threads_core::codec::ActionKind;
use threads_core::datastore::{Datastore, ReadTxn};
use threads_core::{Cid, Result, block};

use crate::base;
use crate::chain;
use crate::layout;
use crate::layout::{Place, meta};
use crate::line;
use crate::opened::Opened;
use crate::thread::{OwnLog, Thread};
use crate::txn::WriteTransaction;

/// The reserved collection of what was taken back.
pub(crate) const UNDONE: &str = "$undone";

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Undo,
    Redo,
}

/// An entity of `$undone`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct UndoneNote {
    /// The CID of the record that is taken back.
    #[serde(rename = "_id")]
    record: String,
    /// Whether that is itself an undo.
    redo: bool,
}

/// What a record takes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::travel) struct Taken {
    pub(in crate::travel) record: Cid,
    redo: bool,
}

/// What a record takes back, if it is of an undo or a redo.
pub(in crate::travel) fn takes_back(opened: &Opened) -> Option<Taken> {
    let mut events = opened.batch()?.events.iter();
    let note = events
        .find(|event| event.collection.as_str() == UNDONE && event.action != ActionKind::Delete)?;
    let note: UndoneNote = block::decode(&note.payload).ok()?;
    let record = note.record.parse().ok()?;
    let redo = note.redo;
    Some(Taken { record, redo })
}

impl WriteTransaction<'_> {
    /// Notes that this transaction takes back a record.
    pub(super) fn note_taken_back(&mut self, record: &Cid, step: Step) -> Result<()> {
        let note = UndoneNote {
            record: record.to_string(),
            redo: step == Step::Redo,
        };
        self.whole(|txn| txn.save_reserved(UNDONE, &note.record, &note))?;
        Ok(())
    }
}

/// What a record is to undo and redo.
enum Kind {
    /// A transaction.
    Plain,
    /// The undo of a record at a place before it.
    Undo(u64),
    /// The redo of an undo at a place before it.
    Redo(u64),
    /// What is passed over: rules, definitions, what cannot be read.
    Other,
}

/// This node's log.
pub(super) struct Stack<'a> {
    txn: &'a dyn ReadTxn,
    thread: &'a Thread,
    /// Its last record, if it has any.
    head: Option<Place>,
}

impl<'a> Stack<'a> {
    pub(super) fn of(txn: &'a dyn ReadTxn, thread: &'a Thread) -> Result<Self> {
        let here = thread.node.store.capability().instance;
        let own = OwnLog::get(txn, thread.number)?;
        // Another copy of the datastore may go on with that log: here another one begins.
        let head = match own.filter(|own| !own.is_of_another(here)) {
            None => None,
            Some(own) => {
                let number = layout::number(txn, &meta::log_by_id(thread.number, &own.log))?;
                let head = HeadBook::new(txn).get(&thread.id, &own.log)?;
                number.zip(head).map(|(log, head)| Place {
                    thread: thread.number,
                    log,
                    seq: head.seq,
                })
            }
        };
        Ok(Self { txn, thread, head })
    }

    /// The record that is to be taken back next.
    pub(super) fn top(&self, step: Step) -> Result<Option<Place>> {
        let Some(head) = self.head else {
            return Ok(None);
        };
        let mut seq = head.seq;
        while seq > 0 {
            let place = line::ancestor(self.txn, head, seq)?;
            if seq <= base::last(self.txn, place)? {
                // What is not here any more is not taken back.
                return Ok(None);
            }
            seq = match (step, self.kind(place)?) {
                (_, Kind::Other) => seq - 1,
                (Step::Undo, Kind::Plain | Kind::Redo(_)) => return Ok(Some(place)),
                (Step::Redo, Kind::Undo(_)) => return Ok(Some(place)),
                (Step::Redo, Kind::Plain) => return Ok(None),
                (Step::Undo, Kind::Undo(of)) | (Step::Redo, Kind::Redo(of)) => of - 1,
            };
        }
        Ok(None)
    }

    fn kind(&self, place: Place) -> Result<Kind> {
        let opened = self.thread.open(&chain::expect(self.txn, place)?)?;
        let Some(batch) = opened.batch() else {
            return Ok(Kind::Other);
        };
        if let Some(taken) = takes_back(&opened) {
            let of = chain::locate(self.txn, self.thread.number, &taken.record)?;
            let before = of.filter(|of| of.log == place.log && of.seq < place.seq);
            return Ok(match (before, taken.redo) {
                (Some(of), false) => Kind::Undo(of.seq),
                (Some(of), true) => Kind::Redo(of.seq),
                // Nothing of this version wrote it.
                (None, _) => Kind::Other,
            });
        }
        let plain = batch
            .events
            .iter()
            .any(|event| !event.collection.is_reserved());
        Ok(if plain { Kind::Plain } else { Kind::Other })
    }
}
