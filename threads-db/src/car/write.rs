//! Writing a CAR file.

use std::io::{self, Write};

use threads_core::block::{BLOCK_BYTES_MAX, Block, check_link, encode};
use threads_core::{Cid, Error, Result};

use super::Header;

/// Writes blocks as they come. Give it a buffered writer.
#[derive(Debug)]
pub(crate) struct CarWriter<W> {
    output: W,
    root: Cid,
    root_written: bool,
    position: u64,
}

impl<W: Write> CarWriter<W> {
    /// Begins a file that is about `root`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) for a CID that Threads does not
    /// use; [`ErrorKind::Full`](threads_core::ErrorKind::Full) and
    /// [`ErrorKind::Unavailable`](threads_core::ErrorKind::Unavailable) from the writer.
    pub(crate) fn new(output: W, root: Cid) -> Result<Self> {
        check_link(&root)?;
        let header = encode(&Header {
            roots: Some(vec![root]),
            version: 1,
        })?;
        let mut car = Self {
            output,
            root,
            root_written: false,
            position: 0,
        };
        car.section(&[&header])?;
        Ok(car)
    }

    /// Adds a block. Write the root last, so that a file cut short has no root.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) for a block larger than
    /// [`BLOCK_BYTES_MAX`]; those of [`CarWriter::new`] from the writer.
    pub(crate) fn write(&mut self, block: &Block) -> Result<()> {
        if block.bytes().len() > BLOCK_BYTES_MAX {
            return Err(Error::invalid("a block is too large for a CAR file")
                .with("cid", block.cid())
                .with("bytes", block.bytes().len())
                .with("most", BLOCK_BYTES_MAX));
        }
        self.section(&[&block.cid().to_bytes(), block.bytes()])?;
        self.root_written |= *block.cid() == self.root;
        Ok(())
    }

    /// How many bytes were written.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Ends the file, flushes, and gives the writer back; syncing to disk is the caller's.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) when the root was not written:
    /// no reader would accept the file. Those of [`CarWriter::new`] from the writer.
    pub(crate) fn finish(mut self) -> Result<W> {
        if !self.root_written {
            return Err(
                Error::invalid("a CAR file needs its root: write that block too")
                    .with("root", self.root),
            );
        }
        self.output.flush().map_err(unwritable)?;
        Ok(self.output)
    }

    /// Writes the length of `parts` together, then the parts.
    fn section(&mut self, parts: &[&[u8]]) -> Result<()> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let prefix = prefix(length);
        self.output.write_all(&prefix).map_err(unwritable)?;
        for part in parts {
            self.output.write_all(part).map_err(unwritable)?;
        }
        self.position += (prefix.len() + length) as u64;
        Ok(())
    }
}

/// `length` as an unsigned varint.
pub(super) fn prefix(mut length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while length >= 0x80 {
        bytes.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes
}

fn unwritable(cause: io::Error) -> Error {
    let full = matches!(
        cause.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    );
    let error = if full {
        Error::full("the CAR file does not fit: free space, or choose another place")
    } else {
        Error::unavailable("the CAR file cannot be written")
    };
    error.with("cause", &cause).caused_by(cause)
}
