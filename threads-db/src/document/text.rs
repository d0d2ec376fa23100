//! Finding members in the text of a JSON object without reading the rest of it.
//!
//! The text is what a codec showed, so it is JSON; of text that is not, this finds nothing or some
//! part of it, and never panics. Nothing here recurses.

use std::borrow::Cow;

/// The text of the value of the member `name` of the object in `text`.
pub(crate) fn member<'t>(text: &'t [u8], name: &str) -> Option<&'t [u8]> {
    Members::of(text)?
        .find(|(spelled, _)| is_name(spelled, name))
        .map(|(_, value)| value)
}

/// Whether a value's text is that of an array.
pub(crate) fn is_array(text: &[u8]) -> bool {
    text.get(after_space(text, 0)) == Some(&b'[')
}

/// Whether a name between its quotes, as it is spelled, is `name`.
pub(crate) fn is_name(spelled: &[u8], name: &str) -> bool {
    if spelled.contains(&b'\\') {
        let quoted = [b"\"", spelled, b"\""].concat();
        return serde_json::from_slice::<Cow<'_, str>>(&quoted).is_ok_and(|read| read == name);
    }
    spelled == name.as_bytes()
}

/// The members of an object: names between their quotes, as they are spelled, and values as text.
pub(crate) struct Members<'t> {
    text: &'t [u8],
    at: usize,
}

impl<'t> Members<'t> {
    /// The members of the object in `text`, if that is an object.
    pub(crate) fn of(text: &'t [u8]) -> Option<Self> {
        let at = after_space(text, 0);
        (text.get(at) == Some(&b'{')).then_some(Self { text, at: at + 1 })
    }
}

impl<'t> Iterator for Members<'t> {
    type Item = (&'t [u8], &'t [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let text = self.text;
        let mut at = after_space(text, self.at);
        if text.get(at) == Some(&b',') {
            at = after_space(text, at + 1);
        }
        if text.get(at) != Some(&b'"') {
            return None;
        }
        let name_end = string_end(text, at);
        let name = text.get(at + 1..name_end.checked_sub(1)?)?;
        at = after_space(text, name_end);
        if text.get(at) != Some(&b':') {
            return None;
        }
        at = after_space(text, at + 1);
        let value_end = value_end(text, at);
        self.at = value_end;
        Some((name, text.get(at..value_end)?))
    }
}

fn after_space(text: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = text.get(at) {
        at += 1;
    }
    at
}

/// The place after the string that begins with the quote at `at`.
fn string_end(text: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

/// The place after the value that begins at `at`.
fn value_end(text: &[u8], at: usize) -> usize {
    match text.get(at) {
        Some(b'"') => string_end(text, at),
        Some(b'{' | b'[') => nested_end(text, at),
        _ => {
            let rest = text.get(at..).unwrap_or_default();
            let ends =
                |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t');
            rest.iter()
                .position(ends)
                .map_or(text.len(), |len| at + len)
        }
    }
}

/// The place after the object or array that begins at `at`. Brackets are counted and not told
/// apart: in JSON they match.
fn nested_end(text: &[u8], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => {
                at = string_end(text, at);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn read(text: &[u8], name: &str) -> Option<Value> {
        member(text, name).map(|value| serde_json::from_slice(value).unwrap())
    }

    #[test]
    fn members_are_found_however_they_are_spelled() {
        let text = br#" { "a" : [ { "b" : "]}\"," } , 1 ] ,"\u0062":-1.5e3 , "":{} ,"c":"" }"#;
        assert_eq!(read(text, "a"), Some(json!([{"b": "]}\","}, 1])));
        assert_eq!(read(text, "b"), Some(json!(-1500.0)));
        assert_eq!(read(text, ""), Some(json!({})));
        assert_eq!(read(text, "c"), Some(json!("")));
        assert_eq!(read(text, "d"), None);
        assert_eq!(read(b"[\"a\"]", "a"), None);
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[\"\\\\{}\\[\\],: a]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a\"\\\\{]{0,2}", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_members_are_those_of_the_object(value in value(), pretty in any::<bool>()) {
            let write = if pretty { serde_json::to_vec_pretty } else { serde_json::to_vec };
            let text = write(&value).unwrap();
            let Some(object) = value.as_object() else {
                prop_assert!(Members::of(&text).is_none());
                return Ok(());
            };
            prop_assert_eq!(Members::of(&text).unwrap().count(), object.len());
            for (name, value) in object {
                prop_assert_eq!(read(&text, name), Some(value.clone()));
            }
        }

        #[test]
        fn any_bytes_end(text in prop::collection::vec(prop::sample::select(b"{}[]\",:\\ a1".to_vec()), 0..40)) {
            if let Some(members) = Members::of(&text) {
                prop_assert!(members.count() <= text.len());
            }
        }
    }
}
