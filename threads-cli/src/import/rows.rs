//! A file of rows, one at a time in constant memory: JSON Lines or one JSON array.
//!
//! Which of the two it is, the first byte that is not space decides: `[` begins an array.
//!
//! In JSON Lines a line that is not JSON costs that row and no other. In an array the text after
//! a mistake cannot be trusted, since a lost quote turns everything after it inside out: reading
//! ends there.

use std::io::{self, BufRead};

use serde_json::Value;

/// The longest text of one row, in bytes: several times what one record holds.
pub(crate) const ROW_BYTES_MAX: usize = 4 << 20;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// One row and where it is.
#[derive(Debug, PartialEq)]
pub(crate) struct Row {
    /// The line it begins on, from 1.
    pub(crate) line: u64,
    /// Its number among the rows, from 1.
    pub(crate) number: u64,
    /// The length of its text, in bytes.
    pub(crate) bytes: usize,
    /// Its value, or why there is none.
    pub(crate) value: Result<Value, String>,
}

/// Why reading ended before the end of the input.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The array is not JSON from this line on, in or after this row.
    Broken {
        line: u64,
        number: u64,
        reason: String,
    },
    /// The input could not be read.
    Io(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Unknown,
    Lines,
    /// Inside the brackets; the next thing is an element, or the closing bracket.
    Array,
    Ended,
}

/// Reads rows. Holds one row's text and whatever `input` buffers.
#[derive(Debug)]
pub(crate) struct Rows<R> {
    input: R,
    form: Form,
    line: u64,
    number: u64,
    text: Vec<u8>,
    taken: u64,
}

impl<R: BufRead> Rows<R> {
    pub(crate) fn new(input: R) -> Self {
        Self {
            input,
            form: Form::Unknown,
            line: 1,
            number: 0,
            text: Vec::new(),
            taken: 0,
        }
    }

    /// The next row; `None` at the end. After a [`Stop`] there is nothing more.
    pub(crate) fn next(&mut self) -> Result<Option<Row>, Stop> {
        if self.form == Form::Unknown {
            self.form = self.detect()?;
        }
        let row = match self.form {
            Form::Lines => self.next_line().map_err(Stop::Io),
            Form::Array => self.next_element(),
            Form::Unknown | Form::Ended => Ok(None),
        };
        if !matches!(row, Ok(Some(_))) {
            self.form = Form::Ended;
        }
        row
    }

    /// How many bytes of the input were read.
    pub(crate) fn bytes(&self) -> u64 {
        self.taken
    }

    fn detect(&mut self) -> io::Result<Form> {
        for byte in BYTE_ORDER_MARK {
            if self.peek()? != Some(*byte) {
                break;
            }
            self.take(1);
        }
        Ok(match self.skip_space()? {
            Some(b'[') => {
                self.take(1);
                Form::Array
            }
            Some(_) => Form::Lines,
            None => Form::Ended,
        })
    }

    fn next_line(&mut self) -> io::Result<Option<Row>> {
        if self.skip_space()?.is_none() {
            return Ok(None);
        }
        let line = self.line;
        self.number += 1;
        let whole = self.read_line()?;
        let value = if whole {
            serde_json::from_slice(&self.text).map_err(|error| not_json(&error))
        } else {
            Err(too_long())
        };
        Ok(Some(Row {
            line,
            number: self.number,
            bytes: self.text.len(),
            value,
        }))
    }

    /// Reads up to and over the end of the line; `false` if it is too long to keep.
    fn read_line(&mut self) -> io::Result<bool> {
        self.text.clear();
        let mut whole = true;
        loop {
            let bytes = fill(&mut self.input)?;
            if bytes.is_empty() {
                return Ok(whole);
            }
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let part = &bytes[..end.unwrap_or(bytes.len())];
            whole = whole && self.text.len() + part.len() <= ROW_BYTES_MAX;
            if whole {
                self.text.extend_from_slice(part);
            }
            let taken = part.len() + usize::from(end.is_some());
            self.take(taken);
            if end.is_some() {
                self.line += 1;
                return Ok(whole);
            }
        }
    }

    fn next_element(&mut self) -> Result<Option<Row>, Stop> {
        let mut byte = self.skip_space()?;
        if byte == Some(b']') {
            return self.close();
        }
        if self.number > 0 {
            match byte {
                Some(b',') => self.take(1),
                Some(_) => return Err(self.broken("expected ',' or ']' after a row")),
                None => {}
            }
            byte = self.skip_space()?;
        }
        if byte.is_none() {
            return Err(self.broken("the array does not end: a ']' is missing"));
        }
        let line = self.line;
        self.number += 1;
        self.read_element()?;
        match serde_json::from_slice(&self.text) {
            Ok(value) => Ok(Some(Row {
                line,
                number: self.number,
                bytes: self.text.len(),
                value: Ok(value),
            })),
            Err(error) => Err(Stop::Broken {
                line: line + (error.line() as u64).saturating_sub(1),
                number: self.number,
                reason: not_json(&error),
            }),
        }
    }

    /// Takes the text of one element, up to the comma or bracket that ends it.
    fn read_element(&mut self) -> Result<(), Stop> {
        self.text.clear();
        let mut scan = Scan::default();
        loop {
            let bytes = fill(&mut self.input)?;
            if bytes.is_empty() {
                return Ok(());
            }
            let end = bytes.iter().position(|byte| scan.ends_at(*byte));
            let part = &bytes[..end.unwrap_or(bytes.len())];
            self.text.extend_from_slice(part);
            self.line += part.iter().filter(|byte| **byte == b'\n').count() as u64;
            let taken = part.len();
            self.take(taken);
            if self.text.len() > ROW_BYTES_MAX {
                return Err(self.broken(&too_long()));
            }
            if end.is_some() {
                return Ok(());
            }
        }
    }

    /// Takes the bracket that ends the array, after which only space may follow.
    fn close(&mut self) -> Result<Option<Row>, Stop> {
        self.take(1);
        match self.skip_space()? {
            Some(_) => Err(self.broken("there is more text after the end of the array")),
            None => Ok(None),
        }
    }

    fn broken(&self, reason: &str) -> Stop {
        Stop::Broken {
            line: self.line,
            number: self.number,
            reason: reason.to_owned(),
        }
    }

    fn take(&mut self, bytes: usize) {
        self.input.consume(bytes);
        self.taken += bytes as u64;
    }

    fn peek(&mut self) -> io::Result<Option<u8>> {
        Ok(fill(&mut self.input)?.first().copied())
    }

    /// The next byte that is not space, which stays.
    fn skip_space(&mut self) -> io::Result<Option<u8>> {
        loop {
            let bytes = fill(&mut self.input)?;
            let space = bytes
                .iter()
                .take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
            let (mut taken, mut lines) = (0, 0);
            for byte in space {
                taken += 1;
                lines += u64::from(*byte == b'\n');
            }
            let found = bytes.get(taken).copied();
            let ended = bytes.is_empty();
            self.take(taken);
            self.line += lines;
            if found.is_some() || ended {
                return Ok(found);
            }
        }
    }
}

/// Where in the text of an element the reader is.
#[derive(Default)]
struct Scan {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Scan {
    /// Whether the element ended before `byte`.
    fn ends_at(&mut self, byte: u8) -> bool {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' => self.in_string = true,
            b'[' | b'{' => self.depth += 1,
            b',' | b']' | b'}' if self.depth == 0 => return true,
            b']' | b'}' => self.depth -= 1,
            _ => {}
        }
        false
    }
}

/// What the input has ready; empty at its end.
fn fill<R: BufRead>(input: &mut R) -> io::Result<&[u8]> {
    loop {
        match input.fill_buf() {
            // Asking again costs nothing: what is ready stays ready.
            Ok(_) => return input.fill_buf(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The parser's words without its place, which counts from the beginning of the row.
fn not_json(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let words = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(words, _)| words);
    format!("not JSON: {words}")
}

fn too_long() -> String {
    format!(
        "a row is longer than {} MiB; perhaps a quote is missing",
        ROW_BYTES_MAX >> 20
    )
}

#[cfg(test)]
mod tests;
