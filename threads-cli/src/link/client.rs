//! A datastore in another process.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;
use std::io;
use std::ops::Bound;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

use threads_core::datastore::{
    Capability, Datastore, Direction, Durability, KeyRange, Keyspace, Layer, ReadTxn, Row, Scan,
    WriteTxn, check_key, merged,
};
use threads_core::{Error, Result};

use super::socket;
use super::wire::{self, Frame, Parts, answer, ask, receive};

/// The datastore of the process that serves a repository.
pub(crate) struct Linked {
    dir: PathBuf,
    capability: Capability,
    /// The threads that have the write transaction, or wait for it.
    writing: Mutex<HashSet<ThreadId>>,
}

impl fmt::Debug for Linked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Linked({})", self.dir.display())
    }
}

/// What to say when the other process does not answer.
fn gone(error: io::Error) -> Error {
    Error::unavailable("the process that serves the repository does not answer").caused_by(error)
}

/// One connection.
pub(super) struct Line(RefCell<UnixStream>);

impl Line {
    pub(super) fn open(dir: &Path) -> Result<Self> {
        Ok(Self(RefCell::new(socket::connect(dir).map_err(gone)?)))
    }

    pub(super) fn ask(&self, frame: &Frame) -> Result<Vec<u8>> {
        let stream = &mut *self.0.borrow_mut();
        let asked = frame.send(stream).and_then(|()| receive(stream));
        let ended = || gone(io::Error::from(io::ErrorKind::UnexpectedEof));
        asked.map_err(gone)?.ok_or_else(ended)
    }
}

impl Linked {
    /// The datastore behind the socket of `dir`; `None` when nobody listens there.
    pub(crate) fn open(dir: &Path) -> Result<Option<Self>> {
        match socket::connect(dir) {
            Ok(_) => {}
            Err(error) if is_nobody(&error) => return Ok(None),
            Err(error) => return Err(gone(error)),
        }
        let told = Line::open(dir)?.ask(&Frame::of(ask::ABOUT))?;
        let mut told = answer(&told)?;
        let mut capability = match told.byte()? {
            0 => Capability::volatile(),
            _ => Capability::durable(),
        };
        let instance = told.string()?;
        capability.instance = instance.try_into().ok().map(u64::from_be_bytes);
        Ok(Some(Self {
            dir: dir.to_owned(),
            capability,
            writing: Mutex::default(),
        }))
    }
}

impl Linked {
    fn writing(&self) -> MutexGuard<'_, HashSet<ThreadId>> {
        // A set is whole between any two of its operations.
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_nobody(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}

impl Datastore for Linked {
    fn capability(&self) -> Capability {
        self.capability
    }

    fn read(&self) -> Result<Box<dyn ReadTxn + '_>> {
        let line = Line::open(&self.dir)?;
        answer(&line.ask(&Frame::of(ask::READ))?)?;
        Ok(Box::new(Reading(line)))
    }

    fn write(&self) -> Result<Box<dyn WriteTxn + '_>> {
        let turn = Turn::take(self)?;
        let line = Line::open(&self.dir)?;
        answer(&line.ask(&Frame::of(ask::WRITE))?)?;
        Ok(Box::new(Writing {
            below: Reading(line),
            changes: Layer::default(),
            _turn: turn,
        }))
    }
}

/// A snapshot there.
struct Reading(Line);

impl ReadTxn for Reading {
    fn get(&self, space: Keyspace, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        let frame = Frame::of(ask::GET).byte(wire::space(space)).string(key);
        let value = self.0.ask(&frame)?;
        let mut value = answer(&value)?;
        match value.is_empty() {
            true => Ok(None),
            false => Ok(Some(Cow::Owned(value.string()?.to_vec()))),
        }
    }

    fn scan(&self, space: Keyspace, range: KeyRange<'_>, direction: Direction) -> Result<Scan<'_>> {
        let owned = |bound: Bound<&[u8]>| match bound {
            Bound::Included(key) => Bound::Included(key.to_vec()),
            Bound::Excluded(key) => Bound::Excluded(key.to_vec()),
            Bound::Unbounded => Bound::Unbounded,
        };
        Ok(Box::new(Pages {
            line: &self.0,
            space,
            range: (owned(range.0), owned(range.1)),
            direction,
            rows: Vec::new().into_iter(),
            more: true,
        }))
    }
}

type Owned = (Vec<u8>, Vec<u8>);

/// A scan there, page by page.
struct Pages<'a> {
    line: &'a Line,
    space: Keyspace,
    range: (Bound<Vec<u8>>, Bound<Vec<u8>>),
    direction: Direction,
    rows: std::vec::IntoIter<Owned>,
    more: bool,
}

impl Pages<'_> {
    fn turn(&mut self) -> Result<()> {
        let mut frame = Frame::of(ask::SCAN)
            .byte(wire::space(self.space))
            .byte(wire::direction(self.direction));
        for bound in [&self.range.0, &self.range.1] {
            match bound {
                Bound::Unbounded => frame.push_byte(0),
                Bound::Included(key) => frame = frame.byte(1).string(key),
                Bound::Excluded(key) => frame = frame.byte(2).string(key),
            }
        }
        let page = self.line.ask(&frame)?;
        let mut page = answer(&page)?;
        self.more = page.byte()? == 1;
        let rows = rows(&mut page)?;
        if let Some((last, _)) = rows.last() {
            let next = Bound::Excluded(last.clone());
            match self.direction {
                Direction::Forward => self.range.0 = next,
                Direction::Reverse => self.range.1 = next,
            }
        }
        self.rows = rows.into_iter();
        Ok(())
    }
}

fn rows(page: &mut Parts<'_>) -> Result<Vec<Owned>> {
    let mut rows = Vec::new();
    while !page.is_empty() {
        rows.push((page.string()?.to_vec(), page.string()?.to_vec()));
    }
    Ok(rows)
}

impl<'a> Iterator for Pages<'a> {
    type Item = Result<Row<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((key, value)) = self.rows.next() {
                return Some(Ok((Cow::Owned(key), Cow::Owned(value))));
            }
            if !std::mem::take(&mut self.more) {
                return None;
            }
            if let Err(error) = self.turn() {
                return Some(Err(error));
            }
        }
    }
}

/// That a thread has a write transaction: a second one would wait for the first for ever.
struct Turn<'a>(&'a Linked, ThreadId);

impl<'a> Turn<'a> {
    fn take(store: &'a Linked) -> Result<Self> {
        let me = thread::current().id();
        match store.writing().insert(me) {
            true => Ok(Self(store, me)),
            false => Err(Error::invalid(
                "this thread has a write transaction already: commit or drop it first",
            )),
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.writing().remove(&self.1);
    }
}

/// The write transaction there. Changes are kept here until they are committed.
struct Writing<'a> {
    below: Reading,
    changes: Layer,
    _turn: Turn<'a>,
}

impl ReadTxn for Writing<'_> {
    fn get(&self, space: Keyspace, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        match self.changes.get(space, key) {
            Some(change) => Ok(change.as_deref().map(Cow::Borrowed)),
            None => self.below.get(space, key),
        }
    }

    fn scan(&self, space: Keyspace, range: KeyRange<'_>, direction: Direction) -> Result<Scan<'_>> {
        let changes = self.changes.range(space, range, direction);
        let rows = self.below.scan(space, range, direction)?;
        Ok(merged(changes.into_iter().collect(), rows, direction))
    }
}

impl WriteTxn for Writing<'_> {
    fn put(&mut self, space: Keyspace, key: &[u8], value: &[u8]) -> Result<()> {
        check_key(key)?;
        self.changes.set(space, key, Some(value.into()));
        Ok(())
    }

    fn delete(&mut self, space: Keyspace, key: &[u8]) -> Result<()> {
        check_key(key)?;
        self.changes.set(space, key, None);
        Ok(())
    }

    fn commit(self: Box<Self>, durability: Durability) -> Result<()> {
        let mut frame = Frame::of(ask::COMMIT).byte(wire::durability(durability));
        for (space, key, change) in self.changes.iter() {
            frame.push_byte(wire::space(space));
            frame.push(key);
            frame.push_byte(u8::from(change.is_some()));
            if let Some(value) = change {
                frame.push(value);
            }
        }
        answer(&self.below.0.ask(&frame)?).map(drop)
    }

    fn as_read(&self) -> &dyn ReadTxn {
        self
    }
}
