//! Reading a CAR file.

use std::io::{self, BufRead, BufReader, Read};

use threads_core::block::{Block, check_link, decode};
use threads_core::{Cid, Error, ErrorKind, Result};

use super::{HEADER_BYTES_MAX, Header, PREFIX_BYTES_MAX, SECTION_BYTES_MAX};

/// How DAG-CBOR begins a map of one member.
const MAP_OF_ONE: u8 = 0xa1;
/// How DAG-CBOR begins a map of two members.
const MAP_OF_TWO: u8 = 0xa2;

/// Reads blocks one by one, each checked against its CID.
///
/// It ends after the first error, and with an error when a root was not among the blocks.
#[derive(Debug)]
pub(crate) struct CarReader<R> {
    input: BufReader<R>,
    roots: Vec<Cid>,
    /// Roots not met yet: few, as the header is small.
    awaited: Vec<Cid>,
    position: u64,
    ended: bool,
}

impl<R: Read> CarReader<R> {
    /// Reads the header. The reader need not be buffered.
    ///
    /// # Errors
    ///
    /// * [`ErrorKind::Invalid`] when it is not a CAR file.
    /// * [`ErrorKind::Unsupported`] for CAR version 2, and for roots that Threads does not use.
    /// * [`ErrorKind::Corrupt`] when it ends too early.
    /// * [`ErrorKind::Unavailable`] from the reader.
    pub(crate) fn new(input: R) -> Result<Self> {
        let mut car = Self {
            input: BufReader::new(input),
            roots: Vec::new(),
            awaited: Vec::new(),
            position: 0,
            ended: false,
        };
        let Some(length) = car.prefix(HEADER_BYTES_MAX).map_err(|e| foreign(Some(e)))? else {
            return Err(foreign(None));
        };
        // A text file has a first byte that reads as a length, too: a header is a small map.
        if car
            .peek()?
            .is_some_and(|byte| ![MAP_OF_ONE, MAP_OF_TWO].contains(&byte))
        {
            return Err(foreign(None));
        }
        let bytes = car.exactly(length)?;
        let header: Header = decode(&bytes).map_err(|cause| foreign(Some(cause)))?;
        if header.version == 2 {
            return Err(Error::unsupported(
                "this is a CAR file of version 2: convert it to version 1 with a CAR tool",
            ));
        }
        let (1, Some(roots)) = (header.version, header.roots) else {
            return Err(foreign(None).with("version", header.version));
        };
        for root in &roots {
            check_link(root).map_err(unknown_kind)?;
        }
        car.awaited.clone_from(&roots);
        car.roots = roots;
        Ok(car)
    }

    /// What the file is about.
    pub(crate) fn roots(&self) -> &[Cid] {
        &self.roots
    }

    /// How many bytes were read: for progress, and to say where something is wrong.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The next block; `None` where the file properly ends.
    fn section(&mut self) -> Result<Option<Block>> {
        let start = self.position;
        let Some(length) = self.prefix(SECTION_BYTES_MAX)? else {
            return match self.awaited.first() {
                None => Ok(None),
                Some(root) => Err(Error::corrupt(
                    "the CAR file lacks its root block: get a complete copy",
                )
                .with("root", root)
                .with("byte", start)),
            };
        };
        let mut bytes = self.exactly(length)?;
        let mut rest = &bytes[..];
        let cid = Cid::read_bytes(&mut rest).map_err(|cause| {
            Error::corrupt("a section of the CAR file has no readable CID: get another copy")
                .with("byte", start)
                .caused_by(cause)
        })?;
        let cid_length = bytes.len() - rest.len();
        check_link(&cid).map_err(|cause| unknown_kind(cause).with("byte", start))?;
        bytes.drain(..cid_length);
        let block = Block::checked(cid, bytes).map_err(|cause| {
            Error::corrupt("a block of the CAR file is damaged: get another copy")
                .with("cid", cid)
                .with("byte", start)
                .caused_by(cause)
        })?;
        self.awaited.retain(|root| *root != cid);
        Ok(Some(block))
    }

    /// A length of at most `most`; `None` at the end of the input.
    fn prefix(&mut self, most: usize) -> Result<Option<usize>> {
        let start = self.position;
        let mut length = 0;
        for place in 0..PREFIX_BYTES_MAX {
            let Some(byte) = self.byte()? else {
                return if place == 0 {
                    Ok(None)
                } else {
                    Err(self.cut())
                };
            };
            length |= usize::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 != 0 {
                continue;
            }
            if length == 0 || (byte == 0 && place > 0) {
                return Err(Error::corrupt(
                    "a length in the CAR file is empty or not canonical: get another copy",
                )
                .with("byte", start));
            }
            if length > most {
                break;
            }
            return Ok(Some(length));
        }
        Err(Error::invalid(
            "a section of the CAR file is too large for Threads: get another copy, or split the block",
        )
        .with("byte", start)
        .with("most", most))
    }

    /// The next byte; `None` at the end of the input.
    fn byte(&mut self) -> Result<Option<u8>> {
        let byte = self.peek()?;
        if byte.is_some() {
            self.input.consume(1);
            self.position += 1;
        }
        Ok(byte)
    }

    /// The byte that comes next, which stays there.
    fn peek(&mut self) -> Result<Option<u8>> {
        loop {
            match self.input.fill_buf() {
                Ok(buffer) => return Ok(buffer.first().copied()),
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(unreadable(cause)),
            }
        }
    }

    /// Exactly `length` bytes. Memory grows with what arrives, not with what is promised.
    fn exactly(&mut self, length: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = (&mut self.input)
            .take(length as u64)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        self.position += read as u64;
        if read < length {
            return Err(self.cut());
        }
        Ok(bytes)
    }

    fn cut(&self) -> Error {
        Error::corrupt("the CAR file ends too early: get a complete copy")
            .with("byte", self.position)
    }
}

impl<R: Read> Iterator for CarReader<R> {
    type Item = Result<Block>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.section().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

impl<R: Read> std::iter::FusedIterator for CarReader<R> {}

/// The start of the file is not that of a CAR file, unless reading it failed altogether.
fn foreign(cause: Option<Error>) -> Error {
    let error = Error::invalid("not a CAR file: choose a file that was exported from a thread");
    match cause {
        Some(cause) if cause.kind() == ErrorKind::Unavailable => cause,
        Some(cause) => error.caused_by(cause),
        None => error,
    }
}

fn unknown_kind(cause: Error) -> Error {
    Error::unsupported(
        "the CAR file holds blocks of a kind that Threads does not use: \
         choose a file that was exported from a thread",
    )
    .caused_by(cause)
}

fn unreadable(cause: io::Error) -> Error {
    Error::unavailable("the CAR file cannot be read")
        .with("cause", &cause)
        .caused_by(cause)
}
