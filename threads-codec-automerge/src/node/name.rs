//! The name of a member, from a type of the application.

use serde::ser::{Impossible, Serialize, Serializer};

use super::Unwritable;

/// Makes the name of a member: of texts, whole numbers and truth values, as `serde_json` does.
pub(super) struct ToName;

fn no_name() -> Unwritable {
    Unwritable::new("the name of a member is neither text nor a whole number")
}

/// Methods that make a name of what a value shows.
macro_rules! names {
    ($($method:ident: $type:ty)*) => { $(
        fn $method(self, value: $type) -> Result<String, Unwritable> {
            Ok(value.to_string())
        }
    )* };
}

impl Serializer for ToName {
    type Ok = String;
    type Error = Unwritable;
    type SerializeSeq = Impossible<String, Unwritable>;
    type SerializeTuple = Impossible<String, Unwritable>;
    type SerializeTupleStruct = Impossible<String, Unwritable>;
    type SerializeTupleVariant = Impossible<String, Unwritable>;
    type SerializeMap = Impossible<String, Unwritable>;
    type SerializeStruct = Impossible<String, Unwritable>;
    type SerializeStructVariant = Impossible<String, Unwritable>;

    names! {
        serialize_bool: bool
        serialize_i8: i8
        serialize_i16: i16
        serialize_i32: i32
        serialize_i64: i64
        serialize_i128: i128
        serialize_u8: u8
        serialize_u16: u16
        serialize_u32: u32
        serialize_u64: u64
        serialize_u128: u128
        serialize_char: char
        serialize_str: &str
    }

    fn serialize_f32(self, _value: f32) -> Result<String, Unwritable> {
        Err(no_name())
    }

    fn serialize_f64(self, _value: f64) -> Result<String, Unwritable> {
        Err(no_name())
    }

    fn serialize_bytes(self, _value: &[u8]) -> Result<String, Unwritable> {
        Err(no_name())
    }

    fn serialize_none(self) -> Result<String, Unwritable> {
        Err(no_name())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<String, Unwritable> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<String, Unwritable> {
        Err(no_name())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<String, Unwritable> {
        Err(no_name())
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _at: u32,
        variant: &'static str,
    ) -> Result<String, Unwritable> {
        Ok(variant.to_owned())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<String, Unwritable> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _at: u32,
        _variant: &'static str,
        _value: &T,
    ) -> Result<String, Unwritable> {
        Err(no_name())
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<Self::SerializeSeq, Unwritable> {
        Err(no_name())
    }

    fn serialize_tuple(self, _len: usize) -> Result<Self::SerializeTuple, Unwritable> {
        Err(no_name())
    }

    fn serialize_tuple_struct(
        self,
        _name: &'static str,
        _len: usize,
    ) -> Result<Self::SerializeTupleStruct, Unwritable> {
        Err(no_name())
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _at: u32,
        _variant: &'static str,
        _len: usize,
    ) -> Result<Self::SerializeTupleVariant, Unwritable> {
        Err(no_name())
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Self::SerializeMap, Unwritable> {
        Err(no_name())
    }

    fn serialize_struct(
        self,
        _name: &'static str,
        _len: usize,
    ) -> Result<Self::SerializeStruct, Unwritable> {
        Err(no_name())
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _at: u32,
        _variant: &'static str,
        _len: usize,
    ) -> Result<Self::SerializeStructVariant, Unwritable> {
        Err(no_name())
    }
}
