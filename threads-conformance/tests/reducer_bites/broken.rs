//! A reducer with one fault at a time. Without one it counts the entities of each collection, and
//! keeps the present value of each.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use threads_core::datastore::Direction;
use threads_core::reducer::{DispatchedEvent, Reducer, View};
use threads_core::{Cid, Result, ThreadId};

/// What a reducer does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    ChangesItsVersion,
    WritesAtRandom,
    CountsItsStarts,
    KnowsOneThread,
    SkipsWhatItSawLast,
    CountsItsBeginnings,
    TakesFaultsForAbsence,
    ForgetsBefore,
}

/// As random as a test can be: another number each time.
static RANDOM: AtomicU32 = AtomicU32::new(0);

#[derive(Debug)]
pub(crate) struct Broken {
    fault: Option<Fault>,
    memory: Mutex<Remembered>,
}

/// What no reducer should remember.
#[derive(Debug, Default)]
struct Remembered {
    started: bool,
    thread: Option<ThreadId>,
    last: Option<(ThreadId, Cid)>,
    beginnings: HashMap<ThreadId, u32>,
}

impl Broken {
    pub(crate) fn new(fault: Option<Fault>) -> Self {
        Self {
            fault,
            memory: Mutex::default(),
        }
    }

    fn is(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn number(&self, view: &View<'_>, key: &[u8]) -> Result<u32> {
        let value = match view.get(key) {
            Err(_) if self.is(Fault::TakesFaultsForAbsence) => None,
            value => value?,
        };
        Ok(value.map_or(0, |value| u32::from_be_bytes((*value).try_into().unwrap())))
    }

    fn add(&self, view: &mut View<'_>, key: &[u8], more: i32) -> Result<()> {
        match self.number(view, key)?.saturating_add_signed(more) {
            0 => view.delete(key),
            number => view.put(key, &number.to_be_bytes()),
        }
    }

    /// Does what the fault does before the events are looked at; says whether they are.
    fn begin(&self, view: &mut View<'_>, event: &DispatchedEvent) -> Result<bool> {
        let memory = &mut *self.memory.lock().unwrap();
        let thread = &event.thread;
        let empty = view
            .scan(b"", Direction::Forward)?
            .next()
            .transpose()?
            .is_none();
        match self.fault {
            Some(Fault::WritesAtRandom) => {
                let random = RANDOM.fetch_add(1, Ordering::Relaxed);
                view.put(b"random", &random.to_be_bytes())?;
            }
            Some(Fault::CountsItsStarts) if !memory.started || empty => {
                memory.started = true;
                self.add(view, b"starts", 1)?;
            }
            Some(Fault::KnowsOneThread) => {
                return Ok(memory.thread.get_or_insert_with(|| thread.clone()) == thread);
            }
            Some(Fault::SkipsWhatItSawLast) => {
                let this = Some((thread.clone(), event.record));
                let seen = memory.last == this && !empty;
                memory.last = this;
                return Ok(!seen);
            }
            Some(Fault::CountsItsBeginnings) if empty => {
                let beginnings = memory.beginnings.entry(thread.clone()).or_default();
                *beginnings += 1;
                view.put(b"beginnings", &beginnings.to_be_bytes())?;
            }
            _ => {}
        }
        Ok(true)
    }
}

impl Reducer for Broken {
    fn name(&self) -> &str {
        "tally"
    }

    fn version(&self) -> u32 {
        match self.is(Fault::ChangesItsVersion) {
            true => RANDOM.fetch_add(1, Ordering::Relaxed),
            false => 1,
        }
    }

    fn reduce(&self, view: &mut View<'_>, events: &[DispatchedEvent]) -> Result<()> {
        if !self.begin(view, &events[0])? {
            return Ok(());
        }
        for event in events {
            let count = format!("count/{}", event.collection);
            let (was, is) = (event.before.is_some(), event.after.is_some());
            if is && !was {
                self.add(view, count.as_bytes(), 1)?;
            }
            if was && !is && !self.is(Fault::ForgetsBefore) {
                self.add(view, count.as_bytes(), -1)?;
            }
            let key = format!("entity/{}/{}", event.collection, event.entity);
            match &event.after {
                Some(value) => view.put(key.as_bytes(), value.to_string().as_bytes())?,
                None => view.delete(key.as_bytes())?,
            }
        }
        Ok(())
    }
}
