//! Where a path leads in a document.

use serde_json::Value;

use crate::document::text;

/// Calls `visit` with every value that `segments` lead to, in document order, until it says
/// `true`; whether it did.
///
/// Over an array, a number picks one element and a name means each of them. The recursion is as
/// deep as arrays nest in the document, which its decoder bounds.
pub(crate) fn any_at<'v>(
    mut value: &'v Value,
    mut segments: &[String],
    visit: &mut dyn FnMut(&'v Value) -> bool,
) -> bool {
    while let Some((first, rest)) = segments.split_first() {
        let next = match value {
            Value::Object(members) => members.get(first),
            Value::Array(items) => match array_index(first) {
                Some(index) => items.get(index),
                None => return items.iter().any(|item| any_at(item, segments, visit)),
            },
            _ => None,
        };
        let Some(next) = next else { return false };
        (value, segments) = (next, rest);
    }
    visit(value)
}

/// As [`any_at`], in a document's text. Where the way leads through members of objects, nothing
/// but what it leads to is read.
pub(crate) fn any_in_text(
    mut text: &[u8],
    mut segments: &[String],
    visit: &mut dyn FnMut(&Value) -> bool,
) -> bool {
    while let Some((first, rest)) = segments.split_first()
        && !text::is_array(text)
    {
        let Some(next) = text::member(text, first) else {
            return false;
        };
        (text, segments) = (next, rest);
    }
    serde_json::from_slice::<Value>(text).is_ok_and(|value| any_at(&value, segments, visit))
}

/// The first value, in document order, that `segments` lead to.
pub(crate) fn first_at<'v>(value: &'v Value, segments: &[String]) -> Option<&'v Value> {
    let mut first = None;
    any_at(value, segments, &mut |found| {
        first = Some(found);
        true
    });
    first
}

/// The element that a segment picks from an array; `None` if it is a name.
pub(crate) fn array_index(segment: &str) -> Option<usize> {
    let canonical = segment == "0" || !segment.starts_with('0');
    let digits = segment.bytes().all(|b| b.is_ascii_digit());
    if canonical && digits {
        segment.parse().ok()
    } else {
        None
    }
}
