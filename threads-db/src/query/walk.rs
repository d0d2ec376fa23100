//! Where a path leads in a document.

use serde_json::Value;

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
pub(super) fn array_index(segment: &str) -> Option<usize> {
    let canonical = segment == "0" || !segment.starts_with('0');
    let digits = segment.bytes().all(|b| b.is_ascii_digit());
    if canonical && digits {
        segment.parse().ok()
    } else {
        None
    }
}
