//! The columns of a change: run-length encoded, so that a few bytes may stand for many rows. Rows
//! are counted before they are made.

use std::sync::Arc;

/// What is wrong with bytes, for a person.
pub(crate) type Fault = &'static str;

/// Bytes that are still to be read.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn left(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or("it is cut off")?;
        self.0 = rest;
        Ok(taken)
    }

    /// A length, and so many bytes.
    pub(crate) fn prefixed(&mut self) -> Result<&'a [u8], Fault> {
        let len = self.unsigned()?;
        self.take(usize::try_from(len).map_err(|_| "it is cut off")?)
    }

    /// An unsigned LEB128 number of 64 bits, in its one shortest form.
    pub(crate) fn unsigned(&mut self) -> Result<u64, Fault> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            let low = u64::from(byte & 0x7f);
            if low.checked_shl(shift).map(|high| high >> shift) != Some(low) {
                break;
            }
            number |= low << shift;
            if byte < 0x80 {
                return match byte == 0 && shift > 0 {
                    true => Err("a number is longer than it needs to be"),
                    false => Ok(number),
                };
            }
        }
        Err("a number has more than 64 bits")
    }

    /// A signed LEB128 number of 64 bits.
    pub(crate) fn signed(&mut self) -> Result<i64, Fault> {
        let mut number = 0_i64;
        for shift in (0..70).step_by(7) {
            let byte = self.take(1)?[0];
            let low = i64::from(byte & 0x7f);
            if shift == 63 && low != 0 && low != 0x7f {
                break;
            }
            number |= low.wrapping_shl(shift);
            if byte < 0x80 {
                let ends = shift + 7;
                if byte & 0x40 != 0 && ends < 64 {
                    number |= -1 << ends;
                }
                return Ok(number);
            }
        }
        Err("a number has more than 64 bits")
    }
}

/// A column of optional values, of at most so many rows. An empty one has none.
fn runs<T: Clone>(
    bytes: &[u8],
    rows_max: usize,
    read: impl Fn(&mut Reader<'_>) -> Result<T, Fault>,
) -> Result<Vec<Option<T>>, Fault> {
    let (mut reader, mut rows) = (Reader::new(bytes), Vec::new());
    while !reader.is_empty() {
        let run = reader.signed()?;
        let count = match run {
            0 => reader.unsigned()?,
            run => run.unsigned_abs(),
        };
        let room = rows_max - rows.len();
        let count = usize::try_from(count).ok().filter(|count| *count <= room);
        let count = count.ok_or("a column has more rows than there may be")?;
        match run {
            0 => rows.resize(rows.len() + count, None),
            1.. => {
                let value = read(&mut reader)?;
                rows.resize(rows.len() + count, Some(value));
            }
            _ => {
                for _ in 0..count {
                    rows.push(Some(read(&mut reader)?));
                }
            }
        }
    }
    Ok(rows)
}

/// The rows of a column that has so many, or is empty: then each is nothing.
fn whole<T: Clone>(mut found: Vec<Option<T>>, rows: usize) -> Result<Vec<Option<T>>, Fault> {
    if found.is_empty() {
        found.resize(rows, None);
    }
    match found.len() == rows {
        true => Ok(found),
        false => Err("the columns have different numbers of rows"),
    }
}

pub(crate) fn unsigned(bytes: &[u8], rows: usize) -> Result<Vec<Option<u64>>, Fault> {
    whole(runs(bytes, rows, |reader| reader.unsigned())?, rows)
}

/// As [`unsigned`], of a column that has a number in every row, and says how many rows there are.
pub(crate) fn counted(bytes: &[u8], rows_max: usize) -> Result<Vec<u64>, Fault> {
    let rows = runs(bytes, rows_max, |reader| reader.unsigned())?;
    let rows: Option<Vec<u64>> = rows.into_iter().collect();
    rows.ok_or("a column lacks a number")
}

/// As [`counted`], of a column of so many rows.
pub(crate) fn every(bytes: &[u8], rows: usize) -> Result<Vec<u64>, Fault> {
    let found = counted(bytes, rows)?;
    match found.len() == rows {
        true => Ok(found),
        false => Err("the columns have different numbers of rows"),
    }
}

/// Texts, each counted as often as it stands there.
pub(crate) fn texts(
    bytes: &[u8],
    rows: usize,
    bytes_max: usize,
) -> Result<Vec<Option<Arc<str>>>, Fault> {
    let text = |reader: &mut Reader<'_>| {
        let text = std::str::from_utf8(reader.prefixed()?).map_err(|_| "a name is not UTF-8")?;
        Ok(Arc::from(text))
    };
    let texts: Vec<Option<Arc<str>>> = whole(runs(bytes, rows, text)?, rows)?;
    let mut room = bytes_max;
    for text in texts.iter().flatten() {
        room = room
            .checked_sub(text.len())
            .ok_or("the names have too many bytes")?;
    }
    Ok(texts)
}

/// Numbers, each given by how much more it is than the one before.
pub(crate) fn deltas(bytes: &[u8], rows: usize) -> Result<Vec<Option<i64>>, Fault> {
    let mut found = whole(runs(bytes, rows, |reader| reader.signed())?, rows)?;
    let mut at = 0_i64;
    for delta in found.iter_mut().flatten() {
        at = at.checked_add(*delta).ok_or("a number is out of bounds")?;
        *delta = at;
    }
    Ok(found)
}

/// How many are false, how many then true, and so on.
pub(crate) fn booleans(bytes: &[u8], rows: usize) -> Result<Vec<bool>, Fault> {
    let (mut reader, mut found, mut value) = (Reader::new(bytes), Vec::new(), false);
    while !reader.is_empty() {
        let count = usize::try_from(reader.unsigned()?).unwrap_or(usize::MAX);
        if count > rows - found.len() {
            return Err("a column has more rows than there may be");
        }
        found.resize(found.len() + count, value);
        value = !value;
    }
    match found.len() == rows {
        true => Ok(found),
        false => Err("the columns have different numbers of rows"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_each_kind_are_read() {
        // Three times 7; 1 and 2; two of nothing.
        let bytes = [3, 7, 0x7e, 1, 2, 0, 2];
        let wanted = [Some(7), Some(7), Some(7), Some(1), Some(2), None, None];
        assert_eq!(unsigned(&bytes, 7).unwrap(), wanted);
        assert_eq!(deltas(&bytes, 7).unwrap()[4], Some(24));
        assert_eq!(booleans(&[1, 2], 3).unwrap(), [false, true, true]);
        assert_eq!(texts(&[2, 1, b'a'], 2, 2).unwrap()[1].as_deref(), Some("a"));
        assert_eq!(unsigned(&[], 2).unwrap(), [None, None]);
    }

    #[test]
    fn a_few_bytes_that_stand_for_many_rows_are_refused() {
        let many = [0xff, 0xff, 0xff, 0xff, 0x07, 1];
        assert!(unsigned(&many, 10).is_err());
        assert!(counted(&many, 10).is_err());
        assert!(deltas(&[0, 0xff, 0xff, 0xff, 0x07], 10).is_err());
        assert!(booleans(&[0xff, 0xff, 0xff, 0x07], 10).is_err());
        assert!(texts(&[11, 1, b'a'], 11, 10).is_err());
        assert!(texts(&[10, 1, b'a'], 10, 10).is_ok());
    }

    #[test]
    fn numbers_have_64_bits() {
        let read = |bytes: &[u8]| Reader::new(bytes).unsigned();
        assert_eq!(read(&[0xe5, 0x8e, 0x26]), Ok(624_485));
        assert_eq!(read(&[&[0xff; 9][..], &[1]].concat()), Ok(u64::MAX));
        assert!(read(&[&[0xff; 9][..], &[2]].concat()).is_err());
        assert!(read(&[0x80, 0]).is_err());
        let read = |bytes: &[u8]| Reader::new(bytes).signed();
        assert_eq!(read(&[0x7f]), Ok(-1));
        assert_eq!(read(&[0xc0, 0xbb, 0x78]), Ok(-123_456));
        assert_eq!(read(&[&[0x80; 9][..], &[0x7f]].concat()), Ok(i64::MIN));
        assert_eq!(read(&[&[0xff; 9][..], &[0]].concat()), Ok(i64::MAX));
        assert!(read(&[&[0xff; 9][..], &[1]].concat()).is_err());
    }
}
