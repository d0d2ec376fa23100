//! From a type of the application to a [`Node`], as `serde_json` would make JSON of it.

use std::collections::BTreeMap;

use serde::ser::{self, Serialize, Serializer};

use super::name::ToName;
use super::{Node, Unwritable};
use crate::limits::DOCUMENT_DEPTH_MAX;
use crate::types::{COUNTER, TEXT};

type Made = Result<Node, Unwritable>;

/// Makes a value at a level of nesting, which begins at 1.
#[derive(Clone, Copy)]
pub(super) struct ToNode {
    level: usize,
    /// What a newtype around it says it is.
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Plain,
    Text,
    Counter,
}

impl ToNode {
    pub(super) fn new() -> Self {
        Self {
            level: 1,
            kind: Kind::Plain,
        }
    }

    /// For what is inside an object or an array.
    fn inside(self) -> Self {
        Self {
            level: self.level + 1,
            kind: Kind::Plain,
        }
    }

    /// For an object or an array, in an object of its own if it is an enum's.
    fn container(self, variant: Option<&'static str>) -> Result<Self, Unwritable> {
        let this = variant.map_or(self, |_| self.inside());
        match this.level > DOCUMENT_DEPTH_MAX {
            true => Err(Unwritable::new(format_args!(
                "it nests deeper than {DOCUMENT_DEPTH_MAX} levels: flatten it"
            ))),
            false => Ok(this),
        }
    }

    fn list(self, variant: Option<&'static str>) -> Result<List, Unwritable> {
        Ok(List {
            elements: Vec::new(),
            variant,
            level: self.container(variant)?,
        })
    }

    fn map(self, variant: Option<&'static str>) -> Result<Map, Unwritable> {
        Ok(Map {
            members: BTreeMap::new(),
            name: None,
            variant,
            level: self.container(variant)?,
        })
    }

    fn integer(self, value: i64) -> Node {
        match self.kind {
            Kind::Counter => Node::Counter(value),
            _ => Node::Integer(value),
        }
    }
}

/// An object of one member: how enums are written.
fn tagged(variant: Option<&'static str>, node: Node) -> Node {
    match variant {
        Some(variant) => Node::Map(BTreeMap::from([(variant.to_owned(), node)])),
        None => node,
    }
}

impl Serializer for ToNode {
    type Ok = Node;
    type Error = Unwritable;
    type SerializeSeq = List;
    type SerializeTuple = List;
    type SerializeTupleStruct = List;
    type SerializeTupleVariant = List;
    type SerializeMap = Map;
    type SerializeStruct = Map;
    type SerializeStructVariant = Map;

    fn serialize_bool(self, value: bool) -> Made {
        Ok(Node::Bool(value))
    }

    fn serialize_i8(self, value: i8) -> Made {
        self.serialize_i64(value.into())
    }

    fn serialize_i16(self, value: i16) -> Made {
        self.serialize_i64(value.into())
    }

    fn serialize_i32(self, value: i32) -> Made {
        self.serialize_i64(value.into())
    }

    fn serialize_i64(self, value: i64) -> Made {
        Ok(self.integer(value))
    }

    fn serialize_i128(self, value: i128) -> Made {
        match (i64::try_from(value), u64::try_from(value)) {
            (Ok(value), _) => self.serialize_i64(value),
            (_, Ok(value)) => self.serialize_u64(value),
            _ => Err(Unwritable::new(
                "a whole number needs more than 64 bits: store it as a string",
            )),
        }
    }

    fn serialize_u8(self, value: u8) -> Made {
        self.serialize_i64(value.into())
    }

    fn serialize_u16(self, value: u16) -> Made {
        self.serialize_i64(value.into())
    }

    fn serialize_u32(self, value: u32) -> Made {
        self.serialize_i64(value.into())
    }

    fn serialize_u64(self, value: u64) -> Made {
        Ok(i64::try_from(value).map_or(Node::Unsigned(value), |value| self.integer(value)))
    }

    fn serialize_u128(self, value: u128) -> Made {
        match u64::try_from(value) {
            Ok(value) => self.serialize_u64(value),
            Err(_) => Err(Unwritable::new(
                "a whole number needs more than 64 bits: store it as a string",
            )),
        }
    }

    fn serialize_f32(self, value: f32) -> Made {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(self, value: f64) -> Made {
        Ok(match value.is_finite() {
            true => Node::Float(value + 0.0),
            false => Node::Null,
        })
    }

    fn serialize_char(self, value: char) -> Made {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Made {
        Ok(match self.kind {
            Kind::Text => Node::Text(value.to_owned()),
            _ => Node::String(value.to_owned()),
        })
    }

    fn serialize_bytes(self, value: &[u8]) -> Made {
        let elements = value.iter().map(|byte| Node::Integer((*byte).into()));
        Ok(Node::List(elements.collect()))
    }

    fn serialize_none(self) -> Made {
        Ok(Node::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Made {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Made {
        Ok(Node::Null)
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Made {
        Ok(Node::Null)
    }

    fn serialize_unit_variant(self, _name: &'static str, _at: u32, variant: &'static str) -> Made {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Made {
        let kind = match name {
            TEXT => Kind::Text,
            COUNTER => Kind::Counter,
            _ => Kind::Plain,
        };
        value.serialize(Self { kind, ..self })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _at: u32,
        variant: &'static str,
        value: &T,
    ) -> Made {
        let node = value.serialize(self.container(None)?.inside())?;
        Ok(tagged(Some(variant), node))
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<List, Unwritable> {
        self.list(None)
    }

    fn serialize_tuple(self, _len: usize) -> Result<List, Unwritable> {
        self.list(None)
    }

    fn serialize_tuple_struct(self, _name: &'static str, _len: usize) -> Result<List, Unwritable> {
        self.list(None)
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _at: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<List, Unwritable> {
        self.list(Some(variant))
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Map, Unwritable> {
        self.map(None)
    }

    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<Map, Unwritable> {
        self.map(None)
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _at: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Map, Unwritable> {
        self.map(Some(variant))
    }
}

/// An array that is being made.
pub(super) struct List {
    elements: Vec<Node>,
    variant: Option<&'static str>,
    level: ToNode,
}

impl List {
    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritable> {
        self.elements.push(value.serialize(self.level.inside())?);
        Ok(())
    }

    fn finish(self) -> Made {
        Ok(tagged(self.variant, Node::List(self.elements)))
    }
}

impl ser::SerializeSeq for List {
    type Ok = Node;
    type Error = Unwritable;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritable> {
        self.push(value)
    }

    fn end(self) -> Made {
        self.finish()
    }
}

impl ser::SerializeTuple for List {
    type Ok = Node;
    type Error = Unwritable;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritable> {
        self.push(value)
    }

    fn end(self) -> Made {
        self.finish()
    }
}

impl ser::SerializeTupleStruct for List {
    type Ok = Node;
    type Error = Unwritable;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritable> {
        self.push(value)
    }

    fn end(self) -> Made {
        self.finish()
    }
}

impl ser::SerializeTupleVariant for List {
    type Ok = Node;
    type Error = Unwritable;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritable> {
        self.push(value)
    }

    fn end(self) -> Made {
        self.finish()
    }
}

/// An object that is being made.
pub(super) struct Map {
    members: BTreeMap<String, Node>,
    name: Option<String>,
    variant: Option<&'static str>,
    level: ToNode,
}

impl Map {
    fn put<T: Serialize + ?Sized>(&mut self, name: String, value: &T) -> Result<(), Unwritable> {
        let node = value.serialize(self.level.inside())?;
        self.members.insert(name, node);
        Ok(())
    }

    fn finish(self) -> Made {
        Ok(tagged(self.variant, Node::Map(self.members)))
    }
}

impl ser::SerializeMap for Map {
    type Ok = Node;
    type Error = Unwritable;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Unwritable> {
        self.name = Some(key.serialize(ToName)?);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritable> {
        let name = self.name.take();
        let name = name.ok_or_else(|| Unwritable::new("a value comes before its name"))?;
        self.put(name, value)
    }

    fn end(self) -> Made {
        self.finish()
    }
}

impl ser::SerializeStruct for Map {
    type Ok = Node;
    type Error = Unwritable;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Unwritable> {
        self.put(name.to_owned(), value)
    }

    fn end(self) -> Made {
        self.finish()
    }
}

impl ser::SerializeStructVariant for Map {
    type Ok = Node;
    type Error = Unwritable;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Unwritable> {
        self.put(name.to_owned(), value)
    }

    fn end(self) -> Made {
        self.finish()
    }
}
