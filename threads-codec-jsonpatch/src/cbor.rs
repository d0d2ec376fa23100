//! JSON values out of canonical DAG-CBOR, checked while they are read.
//!
//! One pass and no second encoding to compare with: each head must be the shortest, each name the
//! next in order, each float 64 bits, finite and not minus zero. What is read is bounded in depth
//! and in values, whatever the bytes claim.

use std::fmt;

use serde_json::{Map, Number, Value};

use crate::limits::Excess;

/// Why bytes are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// They end too early or go on too long.
    Length,
    /// They are not in the one form that is allowed.
    NotCanonical,
    /// They hold what JSON has not.
    NotJson,
    /// They nest too deep, or hold too many values.
    Excess(Excess),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Excess(excess) => return excess.fmt(f),
            Self::Length => "the bytes end too early or go on too long",
            Self::NotCanonical => "the bytes are not canonical",
            Self::NotJson => "there is a value that JSON has not",
        })
    }
}

impl std::error::Error for Fault {}

/// How many elements a list is given room for before they are there.
const ROOM_MAX: u64 = 64;

/// The one value in `bytes`, of at most `values` values that nest at most `depth` deep.
pub(crate) fn read(bytes: &[u8], depth: usize, values: usize) -> Result<Value, Fault> {
    let mut reader = Reader {
        rest: bytes,
        values_left: values,
    };
    let value = reader.value(depth)?;
    if reader.rest.is_empty() {
        Ok(value)
    } else {
        Err(Fault::Length)
    }
}

struct Reader<'b> {
    rest: &'b [u8],
    values_left: usize,
}

impl<'b> Reader<'b> {
    fn take(&mut self, count: u64) -> Result<&'b [u8], Fault> {
        let count = usize::try_from(count).map_err(|_| Fault::Length)?;
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Fault::Length)?;
        self.rest = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Fault> {
        let (byte, rest) = self.rest.split_first().ok_or(Fault::Length)?;
        self.rest = rest;
        Ok(*byte)
    }

    fn number(&mut self, bytes: u64) -> Result<u64, Fault> {
        let fold = |number, byte: &u8| number << 8 | u64::from(*byte);
        Ok(self.take(bytes)?.iter().fold(0, fold))
    }

    /// The argument of a head, in the shortest form.
    fn argument(&mut self, short: u8) -> Result<u64, Fault> {
        let (argument, least) = match short {
            0..=23 => return Ok(short.into()),
            24 => (self.number(1)?, 24),
            25 => (self.number(2)?, 1 << 8),
            26 => (self.number(4)?, 1 << 16),
            27 => (self.number(8)?, 1 << 32),
            _ => return Err(Fault::NotCanonical),
        };
        if argument < least {
            return Err(Fault::NotCanonical);
        }
        Ok(argument)
    }

    fn value(&mut self, depth_left: usize) -> Result<Value, Fault> {
        self.values_left = self
            .values_left
            .checked_sub(1)
            .ok_or(Fault::Excess(Excess::Values))?;
        let head = self.byte()?;
        let (major, short) = (head >> 5, head & 0x1f);
        match major {
            0 => Ok(self.argument(short)?.into()),
            1 => {
                let below = i64::try_from(self.argument(short)?).map_err(|_| Fault::NotJson)?;
                Ok((-1 - below).into())
            }
            3 => self.text(short).map(|text| text.to_owned().into()),
            4 => self.list(short, depth_left),
            5 => self.object(short, depth_left),
            7 => self.simple(short),
            _ => Err(Fault::NotJson),
        }
    }

    fn text(&mut self, short: u8) -> Result<&'b str, Fault> {
        let length = self.argument(short)?;
        std::str::from_utf8(self.take(length)?).map_err(|_| Fault::NotJson)
    }

    fn list(&mut self, short: u8, depth_left: usize) -> Result<Value, Fault> {
        let depth_left = depth_left
            .checked_sub(1)
            .ok_or(Fault::Excess(Excess::Depth))?;
        let length = self.argument(short)?;
        let mut elements = Vec::with_capacity(length.min(ROOM_MAX) as usize);
        for _ in 0..length {
            elements.push(self.value(depth_left)?);
        }
        Ok(elements.into())
    }

    /// Names come shorter ones first, and in the order of their bytes among equals.
    fn object(&mut self, short: u8, depth_left: usize) -> Result<Value, Fault> {
        let depth_left = depth_left
            .checked_sub(1)
            .ok_or(Fault::Excess(Excess::Depth))?;
        let mut members = Map::new();
        let mut last: Option<&str> = None;
        for _ in 0..self.argument(short)? {
            let head = self.byte()?;
            if head >> 5 != 3 {
                return Err(Fault::NotJson);
            }
            let name = self.text(head & 0x1f)?;
            if last.is_some_and(|last| (last.len(), last) >= (name.len(), name)) {
                return Err(Fault::NotCanonical);
            }
            last = Some(name);
            members.insert(name.to_owned(), self.value(depth_left)?);
        }
        Ok(members.into())
    }

    fn simple(&mut self, short: u8) -> Result<Value, Fault> {
        match short {
            20 => Ok(false.into()),
            21 => Ok(true.into()),
            22 => Ok(Value::Null),
            27 => {
                let float = f64::from_bits(self.number(8)?);
                if float == 0.0 && float.is_sign_negative() {
                    return Err(Fault::NotCanonical);
                }
                let number = Number::from_f64(float).ok_or(Fault::NotJson)?;
                Ok(number.into())
            }
            _ => Err(Fault::NotCanonical),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn refused(bytes: &[u8]) -> Fault {
        read(bytes, 8, 100).unwrap_err()
    }

    #[test]
    fn one_form_is_read_and_no_other() {
        let value = json!({"b": [1, -1, 1.5, null], "aa": {"": true}});
        let bytes = serde_ipld_dagcbor::to_vec(&value).unwrap();
        assert_eq!(read(&bytes, 8, 100), Ok(value));
        assert_eq!(refused(b"\x18\x17"), Fault::NotCanonical, "a long head");
        assert_eq!(
            refused(b"\x1b\0\0\0\0\xff\xff\xff\xff"),
            Fault::NotCanonical
        );
        assert_eq!(
            refused(b"\xa2\x61b\x01\x61a\x02"),
            Fault::NotCanonical,
            "order"
        );
        assert_eq!(
            refused(b"\xa2\x61a\x01\x61a\x02"),
            Fault::NotCanonical,
            "twice"
        );
        assert_eq!(refused(b"\x9f\xff"), Fault::NotCanonical, "no length");
        assert_eq!(refused(b"\xfa\x3f\x80\0\0"), Fault::NotCanonical, "32 bits");
        assert_eq!(refused(b"\xfb\x7f\xf8\0\0\0\0\0\0"), Fault::NotJson, "NaN");
        assert_eq!(
            refused(b"\xfb\x80\0\0\0\0\0\0\0"),
            Fault::NotCanonical,
            "minus zero"
        );
        assert_eq!(refused(b"\x41a"), Fault::NotJson, "bytes");
        assert_eq!(
            refused(b"\xa1\x01\x01"),
            Fault::NotJson,
            "a number for a name"
        );
        assert_eq!(refused(b"\x61\xff"), Fault::NotJson, "no UTF-8");
        assert_eq!(refused(b"\x01\x01"), Fault::Length);
        assert_eq!(
            refused(b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff"),
            Fault::Length
        );
    }

    #[test]
    fn depth_and_values_are_bounded() {
        assert!(read(b"\x81\x81\x01", 2, 3).is_ok());
        assert_eq!(
            read(b"\x81\x81\x01", 1, 3),
            Err(Fault::Excess(Excess::Depth))
        );
        assert_eq!(
            read(b"\x81\x81\x01", 2, 2),
            Err(Fault::Excess(Excess::Values))
        );
    }

    proptest! {
        #[test]
        fn what_is_read_encodes_to_the_same_bytes(
            bytes in prop::collection::vec(any::<u8>(), 0..24),
        ) {
            if let Ok(value) = read(&bytes, 8, 100) {
                prop_assert_eq!(serde_ipld_dagcbor::to_vec(&value).unwrap(), bytes);
            }
        }
    }
}
