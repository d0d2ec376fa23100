//! What is said over the link: frames of a length and so many bytes, built of numbers and strings.

use std::io::{self, Read, Write};

use threads_core::datastore::{Direction, Durability, Keyspace};
use threads_core::{Error, ErrorKind, Result};

/// The longest frame: the largest value that a store takes, and its key.
const FRAME_BYTES_MAX: usize = (1 << 30) + 4096;

/// What a command asks. Keys and values follow as strings.
pub(super) mod ask {
    pub(in crate::link) const ABOUT: u8 = b'a';
    pub(in crate::link) const READ: u8 = b'r';
    pub(in crate::link) const WRITE: u8 = b'w';
    pub(in crate::link) const GET: u8 = b'g';
    pub(in crate::link) const SCAN: u8 = b's';
    pub(in crate::link) const COMMIT: u8 = b'c';
    pub(in crate::link) const CONTROL: u8 = b'k';
}

/// A frame that is built.
#[derive(Default)]
pub(super) struct Frame(Vec<u8>);

impl Frame {
    pub(super) fn of(kind: u8) -> Self {
        Self(vec![kind])
    }

    pub(super) fn byte(mut self, byte: u8) -> Self {
        self.0.push(byte);
        self
    }

    pub(super) fn string(mut self, bytes: &[u8]) -> Self {
        self.push(bytes);
        self
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        // Nothing longer than a frame is put into one.
        self.0
            .extend_from_slice(&(bytes.len() as u32).to_be_bytes());
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn push_byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    /// With all that another one has.
    pub(super) fn with(mut self, other: Self) -> Self {
        self.0.extend_from_slice(&other.0);
        self
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn send(&self, to: &mut impl Write) -> io::Result<()> {
        to.write_all(&(self.0.len() as u32).to_be_bytes())?;
        to.write_all(&self.0)?;
        to.flush()
    }
}

/// A frame that came, as far as it has been read.
pub(super) struct Parts<'a>(&'a [u8]);

/// Reads a frame; `None` when the other end is done.
pub(super) fn receive(from: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let length = u32::from_be_bytes(length) as usize;
    if length > FRAME_BYTES_MAX {
        return Err(io::Error::from(io::ErrorKind::InvalidData));
    }
    let mut frame = Vec::new();
    // Memory is taken as bytes come, whatever the length says.
    from.take(length as u64).read_to_end(&mut frame)?;
    match frame.len() == length {
        true => Ok(Some(frame)),
        false => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
    }
}

impl<'a> Parts<'a> {
    pub(super) fn of(frame: &'a [u8]) -> Self {
        Self(frame)
    }

    pub(super) fn byte(&mut self) -> Result<u8> {
        let (byte, rest) = self.0.split_first().ok_or_else(garbled)?;
        self.0 = rest;
        Ok(*byte)
    }

    pub(super) fn string(&mut self) -> Result<&'a [u8]> {
        let (length, rest) = self.0.split_first_chunk::<4>().ok_or_else(garbled)?;
        let length = u32::from_be_bytes(*length) as usize;
        let (string, rest) = rest.split_at_checked(length).ok_or_else(garbled)?;
        self.0 = rest;
        Ok(string)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn space(&mut self) -> Result<Keyspace> {
        let place = usize::from(self.byte()?);
        Keyspace::ALL.get(place).copied().ok_or_else(garbled)
    }
}

pub(super) fn garbled() -> Error {
    Error::unavailable(
        "the process that serves the repository is of another version: restart `threads serve`",
    )
}

pub(super) fn space(space: Keyspace) -> u8 {
    // There are a dozen, and every one is listed.
    Keyspace::ALL
        .iter()
        .position(|one| *one == space)
        .unwrap_or(usize::MAX) as u8
}

pub(super) fn direction(direction: Direction) -> u8 {
    u8::from(direction == Direction::Reverse)
}

pub(super) fn direction_of(byte: u8) -> Direction {
    match byte {
        0 => Direction::Forward,
        _ => Direction::Reverse,
    }
}

pub(super) fn durability(durability: Durability) -> u8 {
    match durability {
        Durability::Immediate => 0,
        Durability::Relaxed => 2,
        _ => 1,
    }
}

pub(super) fn durability_of(byte: u8) -> Durability {
    match byte {
        0 => Durability::Immediate,
        2 => Durability::Relaxed,
        _ => Durability::Group,
    }
}

const KINDS: [ErrorKind; 8] = [
    ErrorKind::NotFound,
    ErrorKind::Conflict,
    ErrorKind::Invalid,
    ErrorKind::Rejected,
    ErrorKind::Corrupt,
    ErrorKind::Unsupported,
    ErrorKind::Unavailable,
    ErrorKind::Full,
];

/// An answer: it went well, and what comes of it follows; or an error.
pub(super) fn done() -> Frame {
    Frame::of(0)
}

pub(super) fn failed(error: &Error) -> Frame {
    let kind = KINDS
        .iter()
        .position(|kind| *kind == error.kind())
        .unwrap_or(6);
    Frame::of(1)
        .byte(kind as u8)
        .string(error.to_string().as_bytes())
}

/// The rest of an answer, or the error that it is.
pub(super) fn answer(frame: &[u8]) -> Result<Parts<'_>> {
    let mut parts = Parts::of(frame);
    if parts.byte()? == 0 {
        return Ok(parts);
    }
    let kind = KINDS.get(usize::from(parts.byte()?)).copied();
    let text = String::from_utf8_lossy(parts.string()?).into_owned();
    Err(Error::new(kind.unwrap_or(ErrorKind::Unavailable), text))
}
