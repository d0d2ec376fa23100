//! A value that an application gives, straight from its own type: as JSON has it, and with text and
//! counters apart.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::Value;
use threads_core::{Error, Result};

use crate::limits::{DOCUMENT_BYTES_MAX, DOCUMENT_DEPTH_MAX, DOCUMENT_VALUES_MAX};

mod name;
mod serializer;

use serializer::ToNode;

/// A value. What it serialises to distinguishes every two.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) enum Node {
    Null,
    Bool(bool),
    /// Whole numbers that fit are never [`Node::Unsigned`].
    Integer(i64),
    Unsigned(u64),
    Float(f64),
    String(String),
    Text(String),
    Counter(i64),
    List(Vec<Self>),
    Map(BTreeMap<String, Self>),
}

/// Why a value cannot be written.
#[derive(Debug)]
pub(crate) struct Unwritable(String);

impl Unwritable {
    fn new(message: impl fmt::Display) -> Self {
        Self(message.to_string())
    }
}

impl fmt::Display for Unwritable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unwritable {}

impl serde::ser::Error for Unwritable {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message)
    }
}

/// The value of anything that can be serialised.
pub(crate) fn node<T: Serialize + ?Sized>(value: &T) -> std::result::Result<Node, Unwritable> {
    value.serialize(ToNode::new())
}

/// The members of an entity.
pub(crate) fn members<T: Serialize + ?Sized>(value: &T) -> Result<BTreeMap<String, Node>> {
    let node = node(value).map_err(|cause| {
        Error::invalid("a value cannot be an entity: see what caused it").caused_by(cause)
    })?;
    match node {
        Node::Map(members) => {
            Room::default().take_all(members.values())?;
            Ok(members)
        }
        _ => Err(Error::invalid("an entity is a JSON object")),
    }
}

/// What may still be written.
pub(crate) struct Room {
    values: usize,
    bytes: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            values: DOCUMENT_VALUES_MAX,
            bytes: DOCUMENT_BYTES_MAX,
        }
    }
}

impl Room {
    fn take(&mut self, bytes: usize) -> Result<()> {
        let values = self.values.checked_sub(1);
        let left = values.zip(self.bytes.checked_sub(bytes));
        (self.values, self.bytes) = left.ok_or_else(|| {
            Error::invalid("an entity is too large: split it into several")
                .with("most_values", DOCUMENT_VALUES_MAX)
                .with("most_bytes", DOCUMENT_BYTES_MAX)
        })?;
        Ok(())
    }

    fn take_all<'n>(&mut self, nodes: impl IntoIterator<Item = &'n Node>) -> Result<()> {
        // Invariant: the serializer has refused what nests too deeply.
        for node in nodes {
            match node {
                Node::List(nodes) => {
                    self.take(2)?;
                    self.take_all(nodes)?;
                }
                Node::Map(members) => {
                    self.take(2)?;
                    self.take_all(members.values())?;
                    self.take(members.keys().map(String::len).sum())?;
                }
                Node::String(text) | Node::Text(text) => self.take(text.len())?,
                _ => self.take(1)?,
            }
        }
        Ok(())
    }

    /// As a value of JSON that a patch writes.
    pub(crate) fn take_json(&mut self, value: &Value, level: usize) -> Result<()> {
        if level > DOCUMENT_DEPTH_MAX {
            return Err(Error::invalid("a value nests too deeply: flatten it")
                .with("most", DOCUMENT_DEPTH_MAX));
        }
        match value {
            Value::Array(elements) => {
                self.take(2)?;
                let mut all = elements.iter();
                all.try_for_each(|value| self.take_json(value, level + 1))
            }
            Value::Object(members) => {
                self.take(2)?;
                for (name, value) in members {
                    self.take(name.len())?;
                    self.take_json(value, level + 1)?;
                }
                Ok(())
            }
            Value::String(text) => self.take(text.len()),
            _ => self.take(1),
        }
    }
}
