//! A reducer that keeps its rows in tables keeps the laws: with indexes that move, and rows that come and go.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use threads_conformance::reducer::Subject;
use threads_core::Result;
use threads_core::reducer::{DispatchedEvent, Reducer, Table, View, ViewKey};

/// How many messages of a channel are unread.
#[derive(Debug, Serialize, Deserialize)]
struct Channel {
    unread: i64,
    messages: i64,
}

#[derive(Debug)]
struct Inbox;

fn channels() -> Table<Channel> {
    Table::new("channels")
        .index("unread", |channel: &Channel| {
            vec![ViewKey::new().number(channel.unread)]
        })
        .index("all", |channel: &Channel| match channel.unread {
            0 => Vec::new(),
            unread => vec![ViewKey::new(), ViewKey::new().number(-unread)],
        })
}

fn count(view: &mut View<'_>, message: &Value, by: i64) -> Result<()> {
    let key = ViewKey::new().text(message["channel"].as_str().unwrap_or_default());
    let mut channel = channels().get(view, &key)?.unwrap_or(Channel {
        unread: 0,
        messages: 0,
    });
    channel.unread += if message["read"] == true { 0 } else { by };
    channel.messages += by;
    match channel.messages {
        0 => channels().delete(view, &key)?,
        _ => channels().put(view, &key, &channel)?,
    };
    Ok(())
}

impl Reducer for Inbox {
    fn name(&self) -> &str {
        "inbox"
    }

    fn version(&self) -> u32 {
        1
    }

    fn reduce(&self, view: &mut View<'_>, events: &[DispatchedEvent]) -> Result<()> {
        for event in events {
            if let Some(before) = &event.before {
                count(view, before, -1)?;
            }
            if let Some(after) = &event.after {
                count(view, after, 1)?;
            }
        }
        Ok(())
    }
}

fn subject() -> Subject {
    let messages = [
        json!({"channel": "general", "read": true}),
        json!({"channel": "general"}),
        json!({"channel": "lunch"}),
        json!({}),
    ];
    Subject::new(|| Inbox)
        .with_values("Message", messages)
        .of_present_state()
}

threads_conformance::reducer_laws!(subject());
