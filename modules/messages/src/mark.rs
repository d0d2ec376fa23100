//! Read marks: how far somebody has read a channel.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;
use threads_core::Result;
use threads_core::module::{IndexSpec, ModuleCollection};

use super::message::{Message, POSITION_MAX};
use super::{CODEC, READ_MARK};

/// The most authors of one mark.
pub const AUTHORS_MAX: usize = 10_000;

/// How far a reader has read a channel on one device.
///
/// ```
/// use threads_module_messages::ReadMark;
/// let mark = ReadMark::new("general", "ann", "phone");
/// assert_eq!(mark.id, "general/ann/phone");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadMark {
    /// Channel, reader and device, so that each device has its own.
    #[serde(rename = "_id")]
    pub id: String,
    /// The channel's id.
    pub channel: String,
    /// Who reads.
    pub reader: String,
    /// The position of the last message of each author that was read.
    pub up_to: BTreeMap<String, u64>,
}

impl ReadMark {
    /// The mark of a device where nothing was read yet.
    ///
    /// ```
    /// assert!(threads_module_messages::ReadMark::new("general", "ann", "phone").up_to.is_empty());
    /// ```
    pub fn new(channel: &str, reader: &str, device: &str) -> Self {
        Self {
            id: format!("{channel}/{reader}/{device}"),
            channel: channel.to_owned(),
            reader: reader.to_owned(),
            up_to: BTreeMap::new(),
        }
    }

    /// Notes that a message was read, and what its author said before it. A mark never goes back.
    /// Beyond [`AUTHORS_MAX`] authors nothing is noted.
    ///
    /// ```
    /// use threads_module_messages::{Message, ReadMark};
    /// let mut mark = ReadMark::new("general", "ann", "phone");
    /// mark.note(&Message { position: 7, ..Message::after(None, "general", "bob", 1, "So") });
    /// mark.note(&Message::after(None, "general", "bob", 1, "Hello"));
    /// assert_eq!(mark.up_to["bob"], 7);
    /// ```
    pub fn note(&mut self, message: &Message) {
        let room = self.up_to.len() < AUTHORS_MAX || self.up_to.contains_key(&message.author);
        if message.channel == self.channel && room {
            let up_to = self.up_to.entry(message.author.clone()).or_default();
            *up_to = message.position.max(*up_to);
        }
    }
}

/// Whether a message was read, by the marks of one reader on all devices.
///
/// ```
/// use threads_module_messages::{Message, ReadMark, is_read};
/// let message = Message::after(None, "general", "bob", 1, "Hello");
/// let mut mark = ReadMark::new("general", "ann", "phone");
/// assert!(!is_read(&message, [&mark]));
/// mark.note(&message);
/// assert!(is_read(&message, [&mark]));
/// ```
pub fn is_read<'m>(message: &Message, marks: impl IntoIterator<Item = &'m ReadMark>) -> bool {
    let mut marks = marks
        .into_iter()
        .filter(|mark| mark.channel == message.channel);
    marks.any(|mark| mark.up_to.get(&message.author) >= Some(&message.position))
}

pub(super) fn collection() -> Result<ModuleCollection> {
    let name = || json!({"type": "string", "maxLength": 256});
    let schema = json!({
        "title": "How far somebody has read a channel on one device",
        "type": "object",
        "required": ["channel", "reader", "upTo"],
        "properties": {
            "channel": name(),
            "reader": name(),
            "upTo": {
                "type": "object",
                "additionalProperties": {"type": "integer", "minimum": 0, "maximum": POSITION_MAX},
                "maxProperties": AUTHORS_MAX,
            },
        },
    });
    Ok(ModuleCollection::new(READ_MARK, CODEC, schema)?
        .with_index(IndexSpec::on("reader".parse()?))
        .with_fixture(json!({"channel": "general", "reader": "ann", "upTo": {"bob": 2}})))
}
