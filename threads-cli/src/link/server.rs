//! Serving a repository's datastore to other commands.

use std::io;
use std::ops::Bound;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use threads_core::datastore::{Datastore, KeyRange, ReadTxn, WriteTxn};
use threads_core::{Error, Result};
use threads_db::Node;

use super::control::Control;
use super::socket;
use super::wire::{self, Frame, Parts, ask, done, failed, receive};

/// The most commands that are served at a time.
const LINES_MAX: usize = 64;
/// How many bytes of rows one page of a scan has, at least.
const PAGE_BYTES: usize = 256 * 1024;

/// What commands are served with.
pub(crate) struct Served {
    pub(crate) store: Arc<dyn Datastore>,
    pub(crate) node: Node,
    pub(crate) control: Control,
}

/// Listens for commands from now on, on threads of its own.
pub(crate) fn start(dir: &Path, served: Served) -> Result<()> {
    let listener = socket::listen(dir).map_err(|error| {
        Error::unavailable("the socket of the repository cannot be made").caused_by(error)
    })?;
    let served = Arc::new(served);
    thread::spawn(move || accept(&listener, &served));
    Ok(())
}

/// Takes the socket away, so that nobody waits at it.
pub(crate) fn stop(dir: &Path) {
    socket::remove(dir);
}

fn accept(listener: &UnixListener, served: &Arc<Served>) {
    let lines = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming() {
        let Ok(stream) = stream else { continue };
        if lines.fetch_add(1, Ordering::AcqRel) >= LINES_MAX {
            lines.fetch_sub(1, Ordering::AcqRel);
            continue;
        }
        let (served, lines) = (Arc::clone(served), Arc::clone(&lines));
        thread::spawn(move || {
            // A command that went away needs no answer.
            _ = serve(stream, &served);
            lines.fetch_sub(1, Ordering::AcqRel);
        });
    }
}

/// Serves one connection: one transaction, or one thing to be told or done.
fn serve(mut stream: UnixStream, served: &Served) -> io::Result<()> {
    let Some(first) = receive(&mut stream)? else {
        return Ok(());
    };
    match first.first() {
        Some(&ask::ABOUT) => {
            let capability = served.store.capability();
            let instance = capability.instance.map(u64::to_be_bytes);
            let instance = instance.as_ref().map_or(&[][..], |bytes| bytes);
            let durable = u8::from(capability.durable);
            done().byte(durable).string(instance).send(&mut stream)
        }
        Some(&ask::READ) => match served.store.read() {
            Ok(txn) => {
                done().send(&mut stream)?;
                read(&mut stream, &*txn).map(drop)
            }
            Err(error) => failed(&error).send(&mut stream),
        },
        Some(&ask::WRITE) => match served.store.write() {
            Ok(txn) => write(&mut stream, txn, &served.node),
            Err(error) => failed(&error).send(&mut stream),
        },
        Some(&ask::CONTROL) => {
            let answer = match served.control.answer(&first[1..]) {
                Ok(text) => done().string(text.as_bytes()),
                Err(error) => failed(&error),
            };
            answer.send(&mut stream)
        }
        _ => failed(&wire::garbled()).send(&mut stream),
    }
}

/// Answers what is read until something else is asked; gives that.
fn read(stream: &mut UnixStream, txn: &dyn ReadTxn) -> io::Result<Option<Vec<u8>>> {
    loop {
        let Some(frame) = receive(stream)? else {
            return Ok(None);
        };
        let mut parts = Parts::of(&frame);
        let answer = match parts.byte() {
            Ok(ask::GET) => get(txn, &mut parts),
            Ok(ask::SCAN) => scan(txn, &mut parts),
            _ => return Ok(Some(frame)),
        };
        answer.unwrap_or_else(|error| failed(&error)).send(stream)?;
    }
}

fn get(txn: &dyn ReadTxn, parts: &mut Parts<'_>) -> Result<Frame> {
    let value = txn.get(parts.space()?, parts.string()?)?;
    Ok(match value {
        Some(value) => done().string(&value),
        None => done(),
    })
}

fn scan(txn: &dyn ReadTxn, parts: &mut Parts<'_>) -> Result<Frame> {
    let space = parts.space()?;
    let direction = wire::direction_of(parts.byte()?);
    let range: KeyRange<'_> = (bound(parts)?, bound(parts)?);
    let mut rows = Frame::default();
    let mut more = 0;
    for row in txn.scan(space, range, direction)? {
        if rows.len() >= PAGE_BYTES {
            more = 1;
            break;
        }
        let (key, value) = row?;
        rows.push(&key);
        rows.push(&value);
    }
    Ok(done().byte(more).with(rows))
}

fn bound<'a>(parts: &mut Parts<'a>) -> Result<Bound<&'a [u8]>> {
    Ok(match parts.byte()? {
        0 => Bound::Unbounded,
        1 => Bound::Included(parts.string()?),
        _ => Bound::Excluded(parts.string()?),
    })
}

/// Serves a write transaction. It is given up when the connection ends before it is committed.
fn write(stream: &mut UnixStream, mut txn: Box<dyn WriteTxn + '_>, node: &Node) -> io::Result<()> {
    done().send(stream)?;
    let Some(frame) = read(stream, txn.as_read())? else {
        return Ok(());
    };
    let committed = take(&frame, &mut *txn).and_then(|(durability, feed)| {
        txn.commit(durability)?;
        Ok(feed)
    });
    match committed {
        Ok(changed) => {
            node.note_changes(changed.iter().map(|(space, key)| (*space, &key[..])));
            done().send(stream)
        }
        Err(error) => failed(&error).send(stream),
    }
}

type Changed = Vec<(threads_core::datastore::Keyspace, Vec<u8>)>;

/// Takes the changes of a commit; gives how it is to be committed, and which keys changed.
fn take(
    frame: &[u8],
    txn: &mut dyn WriteTxn,
) -> Result<(threads_core::datastore::Durability, Changed)> {
    let mut parts = Parts::of(frame);
    if parts.byte()? != ask::COMMIT {
        return Err(wire::garbled());
    }
    let durability = wire::durability_of(parts.byte()?);
    let mut changed = Vec::new();
    while !parts.is_empty() {
        let (space, key) = (parts.space()?, parts.string()?);
        match parts.byte()? {
            0 => txn.delete(space, key)?,
            _ => {
                txn.put(space, key, parts.string()?)?;
                changed.push((space, key.to_vec()));
            }
        }
    }
    Ok((durability, changed))
}
