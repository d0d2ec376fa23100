//! Messages, and the order that all agree on.

use serde::{Deserialize, Serialize};
use serde_json::json;
use threads_core::Result;
use threads_core::module::{IndexSpec, ModuleCollection};

use super::{CODEC, MESSAGE};

/// What messages are sorted by, the most important first; `_id` decides between equals.
pub const ORDER: [&str; 2] = ["position", "sentMs"];

/// The greatest position. A stranger may have used it: messages after it stand beside each other,
/// in the order of their times.
pub const POSITION_MAX: u64 = (1 << 53) - 1;

/// The longest text, in characters.
pub const TEXT_CHARS_MAX: u32 = 16_384;

/// What somebody said in a channel.
///
/// ```
/// use threads_module_messages::Message;
/// let question = Message { id: Some("q".into()), ..Message::after(None, "general", "ann", 5_000, "Who comes?") };
/// // Bob's clock is behind.
/// let answer = Message::after(Some(&question), "general", "bob", 1_000, "I do").discussing(&question);
/// assert!(answer.position > question.position);
/// assert_eq!(answer.discussion.as_deref(), Some("q"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// Made by the database when there is none.
    #[serde(rename = "_id", default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The channel's id.
    pub channel: String,
    /// Who wrote it, and on which device: one name for each, such as a peer id.
    pub author: String,
    /// Where it stands, from 1.
    pub position: u64,
    /// When it was sent by its author's clock, in milliseconds since 1970.
    pub sent_ms: u64,
    /// What it says.
    pub text: String,
    /// The id of the message that began the discussion it is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discussion: Option<String>,
}

impl Message {
    /// A message after the last one that its author knows in the channel.
    ///
    /// ```
    /// use threads_module_messages::Message;
    /// let first = Message::after(None, "general", "ann", 1_000, "Hello");
    /// assert_eq!(Message::after(Some(&first), "general", "ann", 2_000, "Hello?").position, 2);
    /// ```
    pub fn after(
        last: Option<&Self>,
        channel: &str,
        author: &str,
        sent_ms: u64,
        text: &str,
    ) -> Self {
        let last = last.map_or(0, |last| last.position);
        Self {
            id: None,
            channel: channel.to_owned(),
            author: author.to_owned(),
            position: last.saturating_add(1).min(POSITION_MAX),
            sent_ms,
            text: text.to_owned(),
            discussion: None,
        }
    }

    /// The same as part of the discussion that another one began, or is part of.
    ///
    /// ```
    /// use threads_module_messages::Message;
    /// let began = Message { id: Some("a".into()), ..Message::after(None, "general", "ann", 1, "Hello") };
    /// let answer = Message::after(Some(&began), "general", "bob", 2, "Hi").discussing(&began);
    /// let next = Message::after(Some(&answer), "general", "ann", 3, "So").discussing(&answer);
    /// assert_eq!(next.discussion, answer.discussion);
    /// ```
    #[must_use]
    pub fn discussing(mut self, other: &Self) -> Self {
        self.discussion = other.discussion.clone().or_else(|| other.id.clone());
        self
    }

    /// What it is ordered by, for whoever has messages at hand and no query.
    ///
    /// ```
    /// use threads_module_messages::Message;
    /// let mut messages = [Message::after(None, "general", "bob", 2, "b"), Message::after(None, "general", "ann", 1, "a")];
    /// messages.sort_by(|one, other| one.order().cmp(&other.order()));
    /// assert_eq!(messages[0].text, "a");
    /// ```
    pub fn order(&self) -> (u64, u64, Option<&str>) {
        (self.position, self.sent_ms, self.id.as_deref())
    }
}

pub(super) fn collection() -> Result<ModuleCollection> {
    let name = || json!({"type": "string", "maxLength": 256});
    let schema = json!({
        "title": "A message",
        "type": "object",
        "required": ["channel", "author", "position", "sentMs", "text"],
        "properties": {
            "channel": name(),
            "author": name(),
            "position": {"type": "integer", "minimum": 1, "maximum": POSITION_MAX},
            "sentMs": {"type": "integer", "minimum": 0, "maximum": POSITION_MAX},
            "text": {"type": "string", "maxLength": TEXT_CHARS_MAX},
            "discussion": name(),
        },
    });
    let place = IndexSpec::on("channel".parse()?).then("position".parse()?);
    Ok(ModuleCollection::new(MESSAGE, CODEC, schema)?
        .with_index(place)
        .with_index(IndexSpec::on("discussion".parse()?))
        .with_invariant("a message says something", |message| {
            let text = message["text"].as_str();
            text.is_some_and(|text| !text.trim().is_empty())
        })
        .with_fixture(json!({
            "channel": "general", "author": "ann", "position": 1, "sentMs": 1_700_000_000_000_u64, "text": "Hello",
        }))
        .with_fixture(json!({
            "channel": "general", "author": "bob", "position": 2, "sentMs": 1_700_000_001_000_u64, "text": "Hi",
            "discussion": "a-message",
        })))
}
