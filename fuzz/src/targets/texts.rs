//! What people type and other programs hand over: schemas, queries, names, addresses, keys.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use serde_json::{Value, json};
use threads_core::multibase::Base;
use threads_core::{
    CodecId, CollectionName, ContentKey, EntityId, Error, ErrorKind, FieldPath, Hlc, IdentityKey,
    LogId, LogKey, PeerId, ReadKey, ReplicaKey, ThreadAddr, ThreadId,
};
use threads_db::FeedCursor;
use threads_db::query::{Cursor, Filter, Sort, TEXT_BYTES_MAX};
use threads_db::schema::{CompiledSchema, schema_id};

use crate::check::{refused, text};

/// The shortest part of a key that would give something away, in characters.
const SECRET_CHARS: usize = 16;

fn utf8(input: &[u8]) -> &str {
    std::str::from_utf8(input).unwrap_or_default()
}

/// A schema, and after a line break an entity.
pub(crate) fn schema(input: &[u8]) {
    let mut lines = input.splitn(2, |byte| *byte == b'\n');
    let mut json = || serde_json::from_slice::<Value>(lines.next()?).ok();
    let Some(schema) = json() else {
        return;
    };
    let again: Value = serde_json::from_str(&schema.to_string()).unwrap();
    assert_eq!(schema_id(&schema), schema_id(&again));
    let compiled = match CompiledSchema::compile(&schema) {
        Ok(compiled) => compiled,
        Err(error) => return refused(&error, &[ErrorKind::Invalid]),
    };
    let entity = json().unwrap_or_else(|| json!({"_id": "a", "a": [1, {"a": "b"}]}));
    let valid = compiled.validate(&entity);
    if let Err(error) = &valid {
        refused(error, &[ErrorKind::Invalid]);
    }
    let twin = CompiledSchema::compile(&again).unwrap();
    assert_eq!(twin.validate(&entity).is_ok(), valid.is_ok());
}

/// Filters, orders and paths.
pub(crate) fn query(input: &[u8]) {
    let typed = utf8(input);
    text::<FieldPath>(typed);
    text::<Sort>(typed);
    let filter = match Filter::parse(typed) {
        Ok(filter) => filter,
        Err(error) => return refused(&error, &[ErrorKind::Invalid]),
    };
    filter.check().unwrap();
    let printed = filter.to_string();
    if printed.len() > TEXT_BYTES_MAX {
        return;
    }
    let again = Filter::parse(&printed).unwrap();
    assert_eq!(again, filter, "{printed}");
    for entity in [
        json!({"_id": "a", "a": 1, "b": {"c": "d"}}),
        json!({"_id": "b", "a": [1, "x", null], "b": false}),
    ] {
        assert_eq!(again.matches(&entity), filter.matches(&entity));
    }
}

/// Ids and names, as bytes and as text.
pub(crate) fn ids(input: &[u8]) {
    if let Ok(id) = ThreadId::from_bytes(input) {
        assert_eq!(id.as_bytes(), input);
        for base in [Base::Base58Btc, Base::Base16Upper, Base::Base64Url] {
            assert_eq!(id.encode(base).parse::<ThreadId>().unwrap(), id);
        }
    }
    if let Ok(id) = PeerId::from_bytes(input) {
        assert_eq!(id.to_bytes(), input);
    }
    if let Ok(id) = LogId::from_bytes(input) {
        assert_eq!(id.to_bytes(), input);
    }
    if let Some(time) = Hlc::from_bytes(input) {
        assert_eq!(time.to_bytes(), input);
    }
    let typed = utf8(input);
    text::<ThreadId>(typed);
    text::<PeerId>(typed);
    text::<LogId>(typed);
    verbatim::<EntityId>(typed);
    verbatim::<CollectionName>(typed);
    verbatim::<CodecId>(typed);
}

/// A name is its text.
fn verbatim<T: FromStr<Err = Error> + Display + Debug + PartialEq>(typed: &str) {
    if let Some(name) = text::<T>(typed) {
        assert_eq!(name.to_string(), typed);
    }
}

/// Thread addresses, as bytes and as text.
pub(crate) fn address(input: &[u8]) {
    match ThreadAddr::from_bytes(input) {
        Ok(address) => assert_eq!(address.to_bytes(), input),
        Err(error) => refused(&error, &[ErrorKind::Invalid, ErrorKind::Unsupported]),
    }
    if let Some(address) = text::<ThreadAddr>(utf8(input)) {
        assert_eq!(
            ThreadAddr::from_bytes(&address.to_bytes()).unwrap(),
            address
        );
    }
}

/// Where a page ended, and where a listener stopped.
pub(crate) fn cursor(input: &[u8]) {
    text::<FeedCursor>(utf8(input));
    text::<Cursor>(utf8(input));
}

/// Texts of keys: read but for capitals exactly, or refused in words that repeat nothing of them.
pub(crate) fn keys(input: &[u8]) {
    let typed = utf8(input);
    key(typed, |key: &IdentityKey| key.to_text().to_string());
    key(typed, |key: &LogKey| key.to_text().to_string());
    key(typed, |key: &ReplicaKey| key.to_text().to_string());
    key(typed, |key: &ReadKey| key.to_text().to_string());
    key(typed, |key: &ContentKey| key.to_text().to_string());
}

fn key<T: FromStr<Err = Error>>(typed: &str, print: fn(&T) -> String) {
    let error = match typed.parse::<T>() {
        // Base32 is the same in capitals.
        Ok(key) => return assert!(print(&key).eq_ignore_ascii_case(typed)),
        Err(error) => error,
    };
    refused(&error, &[ErrorKind::Invalid]);
    let said = error.to_string();
    let secret = typed.split_once("_b").map_or("", |(_, secret)| secret);
    let shown = secret.as_bytes().windows(SECRET_CHARS).find(|part| {
        said.as_bytes()
            .windows(SECRET_CHARS)
            .any(|said| said == *part)
    });
    assert_eq!(shown, None, "{said}");
}
