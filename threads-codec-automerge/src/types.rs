//! Text and counters for the fields of typed values.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

/// How the codec knows a [`Text`] among the values that it is given.
pub(crate) const TEXT: &str = "$threads.automerge.Text";

/// How the codec knows a [`Counter`].
pub(crate) const COUNTER: &str = "$threads.automerge.Counter";

/// A text that several people edit at once: what each of them types survives. A `String` is one
/// value, and of two that are saved at once one wins.
///
/// In JSON it is a string. A save sends the characters that changed.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use threads_codec_automerge::{Automerge, Text};
/// use threads_core::codec::{Action, EventCodec, EventCodecExt};
///
/// #[derive(Serialize, Deserialize)]
/// struct Note { _id: String, body: Text }
///
/// let codec = Automerge::of("ann");
/// let mut note = Note { _id: "n".into(), body: "Milk and tea".into() };
/// let created = codec.encode(None, &Action::Create(&note)).unwrap().unwrap();
/// let state = codec.apply(None, &created).unwrap();
///
/// // Two people edit at the same time.
/// note.body.0 = "Oat milk and tea".into();
/// let one = codec.encode(Some(&state), &Action::Save(&note)).unwrap().unwrap();
/// note.body.0 = "Milk and green tea".into();
/// let other = codec.encode(Some(&state), &Action::Save(&note)).unwrap().unwrap();
///
/// let state = codec.apply(Some(&state), &one).unwrap();
/// let state = codec.apply(Some(&state), &other).unwrap();
/// let body = codec.value(&state).unwrap()["body"].clone();
/// assert_eq!(body, "Oat milk and green tea");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename = "$threads.automerge.Text")]
pub struct Text(
    /// The characters.
    pub String,
);

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// A number that several people count up or down at once: all of it counts. Of two integers that
/// are saved at once one wins.
///
/// In JSON it is a number. A save sends how much it changed.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use threads_codec_automerge::{Automerge, Counter};
/// use threads_core::codec::{Action, EventCodec, EventCodecExt};
///
/// #[derive(Serialize, Deserialize)]
/// struct Photo { _id: String, likes: Counter }
///
/// let (ann, bob) = (Automerge::of(b"ann"), Automerge::of(b"bob"));
/// let photo = Photo { _id: "p".into(), likes: Counter(0) };
/// let created = ann.encode(None, &Action::Create(&photo)).unwrap().unwrap();
/// let state = ann.apply(None, &created).unwrap();
///
/// // Both like it at the same time.
/// let liked = Photo { _id: "p".into(), likes: Counter(1) };
/// let one = ann.encode(Some(&state), &Action::Save(&liked)).unwrap().unwrap();
/// let other = bob.encode(Some(&state), &Action::Save(&liked)).unwrap().unwrap();
///
/// let state = ann.apply(Some(&state), &one).unwrap();
/// let state = ann.apply(Some(&state), &other).unwrap();
/// assert_eq!(ann.value(&state).unwrap()["likes"], 2);
/// ```
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename = "$threads.automerge.Counter")]
pub struct Counter(
    /// What it stands at.
    pub i64,
);

impl From<i64> for Counter {
    fn from(value: i64) -> Self {
        Self(value)
    }
}

/// A string.
impl JsonSchema for Text {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

/// An integer.
impl JsonSchema for Counter {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Counter".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        i64::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::{Node, node};

    #[test]
    fn the_codec_knows_them_and_json_shows_plain_values() {
        let text = Text::from("a");
        assert_eq!(node(&text).unwrap(), Node::Text("a".into()));
        assert_eq!(serde_json::to_string(&text).unwrap(), "\"a\"");
        let counter = Counter::from(3);
        assert_eq!(node(&counter).unwrap(), Node::Counter(3));
        assert_eq!(serde_json::from_str::<Counter>("3").unwrap(), counter);
    }
}
