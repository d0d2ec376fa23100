//! A file of rows, one at a time in constant memory: JSON Lines or one JSON array.
//!
//! Which of the two it is, the first byte that is not space decides: `[` begins an array.
//!
//! In JSON Lines a line that is not JSON costs that row and no other. In an array a row that is
//! JSON but cannot be kept (a number too large, too many levels) costs that row too. After any
//! other mistake in an array its text cannot be trusted, since a lost quote turns everything after
//! it inside out: reading ends there.

use std::io::{self, BufRead};

use serde::de::IgnoredAny;
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
    /// The array is not JSON from this place on, in or after this row. The column counts bytes.
    Broken {
        line: u64,
        column: u64,
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
    /// Where in the input that line begins.
    line_start: u64,
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
            line_start: 0,
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
            self.line_start = self.taken;
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
        let start = self.place();
        self.number += 1;
        let whole = self.read_line()?;
        let value = if whole {
            serde_json::from_slice(&self.text).map_err(|error| not_json_at(&error, start))
        } else {
            Err(too_long())
        };
        Ok(Some(self.row(start, value)))
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
                self.line_start = self.taken;
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
        match byte {
            None => return Err(self.broken("the array does not end: a ']' is missing")),
            Some(b']') => return Err(self.broken("a ',' without a row after it: remove it")),
            Some(b',') => return Err(self.broken("a ',' without a row before it: remove it")),
            Some(_) => {}
        }
        let start = self.place();
        self.number += 1;
        self.read_element()?;
        let value = match serde_json::from_slice(&self.text) {
            Ok(value) => Ok(value),
            // The row is JSON, so the array goes on after it as it says.
            Err(error) if serde_json::from_slice::<IgnoredAny>(&self.text).is_ok() => {
                Err(not_json_at(&error, start))
            }
            Err(error) => {
                let (line, column) = place_of(&error, start);
                return Err(Stop::Broken {
                    line,
                    column,
                    number: self.number,
                    reason: format!("not JSON: {}", words_of(&error)),
                });
            }
        };
        Ok(Some(self.row(start, value)))
    }

    fn row(&self, (line, _): Place, value: Result<Value, String>) -> Row {
        Row {
            line,
            number: self.number,
            bytes: self.text.len(),
            value,
        }
    }

    /// The line and the column of the next byte.
    fn place(&self) -> Place {
        (self.line, self.taken - self.line_start + 1)
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
            let taken = part.len();
            self.line += part.iter().filter(|byte| **byte == b'\n').count() as u64;
            if let Some(last) = part.iter().rposition(|byte| *byte == b'\n') {
                self.line_start = self.taken + last as u64 + 1;
            }
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
        let (line, column) = self.place();
        Stop::Broken {
            line,
            column,
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
                if *byte == b'\n' {
                    lines += 1;
                    self.line_start = self.taken + taken as u64;
                }
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

/// A line and a column, both from 1; the column counts bytes.
type Place = (u64, u64);

/// Where in the input the parser stopped, which counts from the beginning of the row.
fn place_of(error: &serde_json::Error, (line, column): Place) -> Place {
    let (lines, columns) = (error.line() as u64, error.column() as u64);
    if lines <= 1 {
        (line, column + columns.saturating_sub(1))
    } else {
        (line + lines - 1, columns.max(1))
    }
}

/// The parser's words without its place.
fn words_of(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let words = text.rsplit_once(" at line ").map(|(words, _)| words);
    words.unwrap_or(&text).to_owned()
}

/// Why the row that begins at `start` is none.
fn not_json_at(error: &serde_json::Error, start: Place) -> String {
    let (line, column) = place_of(error, start);
    let place = if line == start.0 {
        format!("column {column}")
    } else {
        format!("line {line}, column {column}")
    };
    format!("not JSON at {place}: {}", words_of(error))
}

fn too_long() -> String {
    format!(
        "a row is longer than {} MiB; perhaps a quote is missing",
        ROW_BYTES_MAX >> 20
    )
}

#[cfg(test)]
mod tests;
