//! Channels: places to talk.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use threads_core::Result;
use threads_core::module::{ModuleCollection, Step};

use super::{CHANNEL, CODEC};

/// A channel, in version 2.
///
/// ```
/// use threads_module_messages::{Channel, ChannelKind};
/// let channel = Channel { kind: ChannelKind::Private, ..Channel::named("board") };
/// assert_eq!(serde_json::to_value(&channel).unwrap()["kind"], "private");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    /// Made by the database when there is none; messages name it.
    #[serde(rename = "_id", default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What people call it.
    pub name: String,
    /// What it is about.
    pub topic: String,
    /// Who should see it, and whether it is still in use.
    pub kind: ChannelKind,
}

impl Channel {
    /// An open channel whose id is its name.
    ///
    /// ```
    /// assert_eq!(threads_module_messages::Channel::named("general").id.unwrap(), "general");
    /// ```
    pub fn named(name: &str) -> Self {
        Self {
            id: Some(name.to_owned()),
            name: name.to_owned(),
            ..Self::default()
        }
    }
}

/// What kind of channel it is: applications show it so. It is no rule of access.
///
/// ```
/// use threads_module_messages::ChannelKind;
/// assert_eq!(ChannelKind::default(), ChannelKind::Open);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChannelKind {
    /// For everybody.
    #[default]
    Open,
    /// For those who know of it.
    Private,
    /// Nobody writes here any more. Version 1 shows it as private.
    Archived,
}

fn text(chars: u32) -> Value {
    json!({"type": "string", "maxLength": chars})
}

pub(super) fn version_1() -> Result<ModuleCollection> {
    let schema = json!({
        "title": "A channel",
        "type": "object",
        "required": ["name", "private"],
        "properties": {"name": text(200), "private": {"type": "boolean"}},
    });
    Ok(ModuleCollection::new(CHANNEL, CODEC, schema)?
        .with_invariant("a channel has a name", is_named)
        .with_fixture(json!({"name": "general", "private": false}))
        .with_fixture(json!({"name": "board", "private": true})))
}

pub(super) fn version_2() -> Result<ModuleCollection> {
    let schema = json!({
        "title": "A channel",
        "type": "object",
        "required": ["name", "topic", "kind"],
        "properties": {
            "name": text(200),
            "topic": text(2_000),
            "kind": {"enum": ["open", "private", "archived"]},
        },
    });
    let kinds = [
        (json!(false), json!("open")),
        (json!(true), json!("private")),
        (json!(true), json!("archived")),
    ];
    Ok(ModuleCollection::new(CHANNEL, CODEC, schema)?
        .with_step(Step::add_with("topic", json!(""))?)
        .with_step(Step::map("private", "kind", kinds)?)
        .with_invariant("a channel has a name", is_named)
        .with_fixture(json!({"name": "general", "topic": "Whatever", "kind": "open"}))
        .with_fixture(json!({"name": "2019", "topic": "", "kind": "archived"})))
}

fn is_named(channel: &Value) -> bool {
    let name = channel["name"].as_str();
    name.is_some_and(|name| !name.trim().is_empty())
}
