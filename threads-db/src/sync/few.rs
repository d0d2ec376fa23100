//! Lists that are refused at the first item too many, before it takes any memory.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

/// Decodes a list of at most `MAX` items.
pub(crate) fn few<'de, const MAX: usize, T, D>(decoder: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    decoder.deserialize_seq(Few::<MAX, T>(PhantomData))
}

struct Few<const MAX: usize, T>(PhantomData<T>);

impl<'de, const MAX: usize, T: Deserialize<'de>> Visitor<'de> for Few<MAX, T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MAX} items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
        let said = items.size_hint().unwrap_or(0);
        let mut list = Vec::new();
        while said <= MAX
            && let Some(item) = items.next_element()?
        {
            if list.len() == MAX {
                return Err(A::Error::invalid_length(MAX + 1, &self));
            }
            list.push(item);
        }
        match said > MAX {
            true => Err(A::Error::invalid_length(said, &self)),
            false => Ok(list),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};
    use threads_core::block;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Three(#[serde(deserialize_with = "super::few::<3, _, _>")] Vec<u64>);

    #[test]
    fn row_32_a_list_that_says_it_is_too_long_is_refused_before_its_items() {
        let decode = block::decode::<Three>;
        assert_eq!(decode(&[0x80]).unwrap(), Three(vec![]));
        assert_eq!(decode(&[0x83, 1, 2, 3]).unwrap(), Three(vec![1, 2, 3]));
        // The items are none, which nobody comes to see.
        for long in [&[0x84, 0xff, 0xff][..], &[0x9b, 0, 0, 1, 0, 0, 0, 0, 0]] {
            let error = decode(long).unwrap_err();
            let source = std::error::Error::source(&error).unwrap().to_string();
            assert!(source.contains("at most 3 items"), "{source}");
        }
        assert!(decode(&[0x83, 1, 2]).is_err());
        assert!(
            decode(&[0x9f, 1, 2, 3, 4, 0xff]).is_err(),
            "without a length"
        );
    }
}
