//! The `_id` that an application's value has, found without making anything of the rest of it.

use std::fmt::{self, Write as _};

use serde::Serialize;
use serde::ser::{
    Error, Impossible, SerializeMap, SerializeStruct, SerializeStructVariant,
    SerializeTupleVariant, Serializer,
};
use serde_json::Value;

const ID: &str = "_id";

/// Why a value is no entity.
#[derive(Debug)]
pub(super) enum Fault {
    /// JSON has something else for it than an object.
    NoObject,
    /// It cannot be written; in its own words.
    Unwritable(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoObject => f.write_str("it is no object"),
            Self::Unwritable(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Fault {}

impl Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Unwritable(message.to_string())
    }
}

type Found = Result<Option<Value>, Fault>;

/// The member `_id` of what a value is as JSON; `None` for an object without.
pub(super) fn own_id<T: Serialize + ?Sized>(value: &T) -> Found {
    value.serialize(Look)
}

fn read<T: Serialize + ?Sized>(id: &T) -> Found {
    serde_json::to_value(id).map(Some).map_err(Error::custom)
}

struct Look;

/// The members of an object, or what is inside the one member that a variant of an enum is.
struct Members {
    found: Option<Value>,
    /// Whether the member that comes next is the id.
    next: bool,
    variant: bool,
}

impl Members {
    fn of_object() -> Self {
        let (found, next, variant) = (None, false, false);
        Self {
            found,
            next,
            variant,
        }
    }

    fn of_variant(name: &str) -> Self {
        Self {
            found: of_variant(name),
            variant: true,
            ..Self::of_object()
        }
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Fault> {
        if name == ID && !self.variant {
            self.found = read(value)?;
        }
        Ok(())
    }
}

/// A variant is an object of one member; one that is called so is no text.
fn of_variant(name: &str) -> Option<Value> {
    (name == ID).then_some(Value::Null)
}

/// Methods for what is no object.
macro_rules! no_objects {
    ($($method:ident($($type:ty),*) -> $made:ty)*) => { $(
        fn $method(self, $(_: $type),*) -> Result<$made, Fault> {
            Err(Fault::NoObject)
        }
    )* };
}

impl Serializer for Look {
    type Ok = Option<Value>;
    type Error = Fault;
    type SerializeSeq = Impossible<Option<Value>, Fault>;
    type SerializeTuple = Impossible<Option<Value>, Fault>;
    type SerializeTupleStruct = Impossible<Option<Value>, Fault>;
    type SerializeTupleVariant = Members;
    type SerializeMap = Members;
    type SerializeStruct = Members;
    type SerializeStructVariant = Members;

    no_objects! {
        serialize_bool(bool) -> Option<Value>
        serialize_i8(i8) -> Option<Value>
        serialize_i16(i16) -> Option<Value>
        serialize_i32(i32) -> Option<Value>
        serialize_i64(i64) -> Option<Value>
        serialize_i128(i128) -> Option<Value>
        serialize_u8(u8) -> Option<Value>
        serialize_u16(u16) -> Option<Value>
        serialize_u32(u32) -> Option<Value>
        serialize_u64(u64) -> Option<Value>
        serialize_u128(u128) -> Option<Value>
        serialize_f32(f32) -> Option<Value>
        serialize_f64(f64) -> Option<Value>
        serialize_char(char) -> Option<Value>
        serialize_str(&str) -> Option<Value>
        serialize_bytes(&[u8]) -> Option<Value>
        serialize_none() -> Option<Value>
        serialize_unit() -> Option<Value>
        serialize_unit_struct(&'static str) -> Option<Value>
        serialize_unit_variant(&'static str, u32, &'static str) -> Option<Value>
        serialize_seq(Option<usize>) -> Self::SerializeSeq
        serialize_tuple(usize) -> Self::SerializeTuple
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Found {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Found {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _value: &T,
    ) -> Found {
        Ok(of_variant(variant))
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Members, Fault> {
        Ok(Members::of_object())
    }

    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<Members, Fault> {
        Ok(Members::of_object())
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Members, Fault> {
        Ok(Members::of_variant(variant))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Members, Fault> {
        Ok(Members::of_variant(variant))
    }
}

impl SerializeMap for Members {
    type Ok = Option<Value>;
    type Error = Fault;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Fault> {
        self.next = is_id(key);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Fault> {
        if std::mem::take(&mut self.next) {
            self.found = read(value)?;
        }
        Ok(())
    }

    fn end(self) -> Found {
        Ok(self.found)
    }
}

impl SerializeStruct for Members {
    type Ok = Option<Value>;
    type Error = Fault;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Fault> {
        self.field(name, value)
    }

    fn end(self) -> Found {
        Ok(self.found)
    }
}

impl SerializeStructVariant for Members {
    type Ok = Option<Value>;
    type Error = Fault;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Fault> {
        self.field(name, value)
    }

    fn end(self) -> Found {
        Ok(self.found)
    }
}

impl SerializeTupleVariant for Members {
    type Ok = Option<Value>;
    type Error = Fault;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, _value: &T) -> Result<(), Fault> {
        Ok(())
    }

    fn end(self) -> Found {
        Ok(self.found)
    }
}

/// Whether a member's name is that of the id.
fn is_id<T: Serialize + ?Sized>(name: &T) -> bool {
    /// What of the id's name is not written yet.
    struct Rest(&'static str);

    impl fmt::Write for Rest {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0 = self.0.strip_prefix(text).ok_or(fmt::Error)?;
            Ok(())
        }
    }

    /// A name as a text: the formatter takes whatever a name can be.
    struct Name<'n, T: ?Sized>(&'n T);

    impl<T: Serialize + ?Sized> fmt::Display for Name<'_, T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.serialize(f)
        }
    }

    let mut rest = Rest(ID);
    write!(rest, "{}", Name(name)).is_ok() && rest.0.is_empty()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};

    use serde_json::json;

    use super::*;

    #[derive(Serialize)]
    struct Named {
        #[serde(rename = "_id")]
        id: String,
        inner: BTreeMap<String, String>,
    }

    #[derive(Serialize)]
    struct Flat {
        a: u8,
        #[serde(flatten)]
        rest: BTreeMap<char, u8>,
        #[serde(flatten)]
        named: Named,
    }

    #[derive(Serialize)]
    struct Wrapped(Option<Named>);

    #[derive(Serialize)]
    enum Either {
        One(Named),
        Two {
            _id: u8,
        },
        Three(u8, u8),
        #[serde(rename = "_id")]
        Four(Named),
        Five,
    }

    fn named() -> Named {
        Named {
            id: "a".into(),
            inner: BTreeMap::from([("_id".into(), "b".into())]),
        }
    }

    /// What is found is what there is in the value as JSON.
    fn check<T: Serialize>(value: &T) {
        let json = serde_json::to_value(value).unwrap();
        match (own_id(value), json) {
            (Ok(found), Value::Object(members)) => {
                let id = members.get(ID);
                assert_eq!(found.is_some(), id.is_some());
                assert_eq!(
                    found.as_ref().and_then(Value::as_str),
                    id.and_then(Value::as_str)
                );
            }
            (Err(Fault::NoObject), Value::Object(members)) => panic!("not seen: {members:?}"),
            (found, _) => assert!(matches!(found, Err(Fault::NoObject)), "{found:?}"),
        }
    }

    #[test]
    fn the_id_is_that_of_the_value_as_json() {
        let rest = BTreeMap::from([('c', 1)]);
        let named_flat = named();
        check(&named());
        check(&Flat {
            a: 1,
            rest,
            named: named_flat,
        });
        check(&Wrapped(Some(named())));
        check(&Wrapped(None));
        for either in [
            Either::One(named()),
            Either::Two { _id: 1 },
            Either::Three(1, 2),
            Either::Four(named()),
            Either::Five,
        ] {
            check(&either);
        }
        check(&HashMap::from([("_id", 7)]));
        check(&BTreeMap::from([(1, "_id"), (2, "b")]));
        check(&BTreeMap::from([(true, 1)]));
        for value in [
            json!({"_id": "a", "b": {"_id": "c"}}),
            json!({"b": {"_id": "c"}}),
            json!({"_i": 1, "_idd": 2, "": 3}),
            json!({"_id": null}),
            json!({}),
            json!([{"_id": "a"}]),
            json!("_id"),
            json!(1.5),
            json!(true),
            json!(null),
        ] {
            check(&value);
        }
        check(b"bytes");
        check(&('a', 1_u128, -1_i128, ()));
    }

    #[test]
    fn a_value_that_cannot_be_written_says_why() {
        struct Broken;

        impl Serialize for Broken {
            fn serialize<S: Serializer>(&self, _serializer: S) -> Result<S::Ok, S::Error> {
                Err(S::Error::custom("broken"))
            }
        }

        let why = |found: Found| match found {
            Err(Fault::Unwritable(why)) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(why(own_id(&Broken)), "broken");
        assert_eq!(why(own_id(&BTreeMap::from([("_id", Broken)]))), "broken");
    }
}
