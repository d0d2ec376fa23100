//! An entity as applications see it: the text of a JSON object that has its `_id`.
//!
//! It stays text as long as nobody asks for more. Queries and indexes read the few members they
//! look at ([`Members`]); a typed read goes from the text to the application's type.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde_json::error::Category;
use serde_json::{Map, Value};
use threads_core::codec::{EntityState, EventCodec};
use threads_core::{Error, FieldPath, Result};

use crate::query::{Candidate, Matcher, Place, Sort};

pub(crate) mod text;

/// The text of an entity.
pub(crate) struct Document(Vec<u8>);

impl Document {
    /// What `codec` shows of `state`, with the entity's own id whatever its events say; `None` when
    /// it shows no object.
    pub(crate) fn new(
        codec: &dyn EventCodec,
        state: EntityState,
        id: &str,
    ) -> Result<Option<Self>> {
        let shown = codec.view(&state)?;
        let text = match shown {
            // The state is the text itself, whole: no need to copy it.
            Cow::Borrowed(text) if std::ptr::eq(text, state.as_bytes()) => state.into_bytes(),
            shown => shown.into_owned(),
        };
        if begins_with_id(&text, id) {
            return Ok(Some(Self(text)));
        }
        Self(text).identified(id)
    }

    /// The document with this id, which it may lack.
    fn identified(self, id: &str) -> Result<Option<Self>> {
        if let Ok(members) = Members::id().read(&self.0)
            && members.get("_id").and_then(Value::as_str) == Some(id)
        {
            return Ok(Some(self));
        }
        let Value::Object(mut members) = self.read()? else {
            return Ok(None);
        };
        members.insert("_id".to_owned(), id.into());
        let text = serde_json::to_vec(&members).map_err(|cause| damaged(cause.into()))?;
        Ok(Some(Self(text)))
    }

    /// An object that has its id.
    pub(crate) fn of(value: &Value) -> Result<Self> {
        let text = serde_json::to_vec(value).map_err(|cause| damaged(cause.into()))?;
        Ok(Self(text))
    }

    /// The text.
    pub(crate) fn text(&self) -> &[u8] {
        &self.0
    }

    /// All of it.
    pub(crate) fn value(&self) -> Result<Value> {
        self.read()
    }

    /// An error about this entity, which it names.
    fn named(&self, error: Error) -> Error {
        let value: Option<Value> = serde_json::from_slice(&self.0).ok();
        let id = value.as_ref().and_then(|value| value.get("_id")?.as_str());
        match id {
            Some(id) => error.with("_id", id),
            None => error,
        }
    }

    /// The entity in the application's type.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.0).map_err(|cause| match cause.classify() {
            Category::Data => self.named(
                Error::invalid("an entity is not of the collection's type").caused_by(cause),
            ),
            _ => damaged(cause.into()),
        })
    }
}

impl Candidate for Document {
    fn meets(&self, matcher: &Matcher<'_>) -> bool {
        matcher.matches_text(&self.0)
    }

    fn place(&self, sort: &[Sort]) -> Result<Place> {
        let members = Members::of(sort.iter().map(|sort| &sort.path));
        Ok(Place::of(sort, &members.read(&self.0)?))
    }

    fn bytes(&self) -> u64 {
        self.text().len() as u64
    }
}

/// Whether a text begins with the member `_id`, as most do: names order, and few order before it.
fn begins_with_id(text: &[u8], id: &str) -> bool {
    text.strip_prefix(b"{\"_id\":\"")
        .and_then(|rest| rest.strip_prefix(id.as_bytes()))
        .is_some_and(|rest| rest.starts_with(b"\""))
        && !id.contains(['"', '\\'])
}

fn damaged(cause: Box<dyn std::error::Error + Send + Sync>) -> Error {
    Error::corrupt("the state of an entity is not JSON: verify the thread").caused_by(cause)
}

/// Some members of an object, by name: what a query or an index looks at.
#[derive(Clone, Debug)]
pub(crate) struct Members(Vec<String>);

impl Members {
    /// The members that `paths` begin with, and `_id`.
    pub(crate) fn of<'p>(paths: impl IntoIterator<Item = &'p FieldPath>) -> Self {
        let mut names = vec!["_id".to_owned()];
        for first in paths.into_iter().filter_map(|path| path.segments().first()) {
            if !names.contains(first) {
                names.push(first.clone());
            }
        }
        Self(names)
    }

    fn id() -> Self {
        Self::of([])
    }

    /// The object in `text`, with these members only.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`](threads_core::ErrorKind::Corrupt) when a member is not JSON.
    pub(crate) fn read(&self, text: &[u8]) -> Result<Value> {
        let mut members = Map::new();
        for (spelled, value) in text::Members::of(text).into_iter().flatten() {
            let wanted = |name: &&String| text::is_name(spelled, name);
            if let Some(name) = self.0.iter().find(wanted) {
                let value = serde_json::from_slice(value).map_err(|cause| damaged(cause.into()))?;
                members.insert(name.clone(), value);
                if members.len() == self.0.len() {
                    break;
                }
            }
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use threads_codec_jsonpatch::JsonPatch;

    use super::*;

    fn document(text: &str, id: &str) -> Option<Value> {
        let state = EntityState::new(text.as_bytes());
        let document = Document::new(&JsonPatch::new(), state, id).unwrap();
        document.map(|document| document.value().unwrap())
    }

    #[test]
    fn an_entity_has_its_own_id_whatever_its_events_say() {
        let mine = json!({"A": 1, "_id": "a"});
        assert_eq!(document(r#"{"A":1,"_id":"a"}"#, "a"), Some(mine.clone()));
        assert_eq!(document(r#"{"A":1,"_id":"b"}"#, "a"), Some(mine.clone()));
        assert_eq!(document(r#"{"A":1,"_id":["a"]}"#, "a"), Some(mine.clone()));
        assert_eq!(document(r#"{"A":1}"#, "a"), Some(mine));
        assert_eq!(document(r#"{"_id":"ab"}"#, "a"), Some(json!({"_id": "a"})));
        assert_eq!(
            document(r#"{"_id":"a\""}"#, "a\\\""),
            Some(json!({"_id": "a\\\""}))
        );
    }

    /// A codec that shows the same of every state.
    #[derive(Debug)]
    struct Constant;

    impl EventCodec for Constant {
        fn id(&self) -> threads_core::CodecId {
            "constant/1".parse().unwrap()
        }

        fn ordering(&self) -> threads_core::codec::Ordering {
            threads_core::codec::Ordering::Total
        }

        fn encode(
            &self,
            _before: Option<&EntityState>,
            _action: &threads_core::codec::Action<'_>,
        ) -> Result<Option<Vec<u8>>> {
            Ok(None)
        }

        fn apply(&self, _before: Option<&EntityState>, event: &[u8]) -> Result<EntityState> {
            Ok(EntityState::new(event))
        }

        fn view<'a>(&self, _state: &'a EntityState) -> Result<Cow<'a, [u8]>> {
            Ok(Cow::Borrowed(b"{}"))
        }
    }

    #[test]
    fn a_view_that_is_as_long_as_the_state_is_not_taken_for_it() {
        let document = Document::new(&Constant, EntityState::new(*b"12"), "a").unwrap();
        assert_eq!(document.unwrap().value().unwrap(), json!({"_id": "a"}));
    }

    #[test]
    fn what_is_no_object_is_nothing() {
        for text in ["[]", "1", "null", "\"{}\""] {
            assert_eq!(document(text, "a"), None);
        }
    }

    #[test]
    fn only_the_wanted_members_are_read() {
        let paths = ["a.b", "c", "a.d"].map(|path| path.parse().unwrap());
        let members = Members::of(&paths);
        let text = br#"{"_id":"x","a":{"b":[1]},"b":{"c":2},"\u0063":3,"d":[{}]}"#;
        let read = members.read(text).unwrap();
        assert_eq!(read, json!({"_id": "x", "a": {"b": [1]}, "c": 3}));
    }

    #[test]
    fn what_is_not_json_is_damage() {
        let error = Members::id().read(br#"{"_id":x}"#).unwrap_err();
        assert_eq!(error.kind(), threads_core::ErrorKind::Corrupt);
        let state = EntityState::new(*b"{\"_id\":\"b\"");
        let error = Document::new(&JsonPatch::new(), state, "a").err().unwrap();
        assert_eq!(error.kind(), threads_core::ErrorKind::Corrupt);
    }
}
