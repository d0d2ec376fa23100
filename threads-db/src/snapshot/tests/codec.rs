//! A codec whose events may come in any order: of each member the greatest value counts.

use std::borrow::Cow;

use serde_json::{Map, Value};
use threads_core::codec::{Action, EntityState, EventCodec, Ordering};
use threads_core::{CodecId, Error, Result};

#[derive(Debug)]
pub(super) struct Most;

fn members(bytes: &[u8]) -> Result<Map<String, Value>> {
    serde_json::from_slice(bytes).map_err(|cause| Error::rejected("no object").caused_by(cause))
}

fn rank(value: &Value) -> (f64, String) {
    (value.as_f64().unwrap_or(-1.0), value.to_string())
}

impl EventCodec for Most {
    fn id(&self) -> CodecId {
        "most/1".parse().unwrap()
    }

    fn ordering(&self) -> Ordering {
        Ordering::Any
    }

    fn encode(&self, _: Option<&EntityState>, action: &Action<'_>) -> Result<Option<Vec<u8>>> {
        let (Action::Create(value) | Action::Save(value)) = action else {
            return Err(Error::unsupported("save it whole"));
        };
        Ok(Some(serde_json::to_vec(value).unwrap()))
    }

    fn apply(&self, before: Option<&EntityState>, event: &[u8]) -> Result<EntityState> {
        let mut all = before.map_or(Ok(Map::new()), |before| members(before.as_bytes()))?;
        for (name, value) in members(event)? {
            let known = all.get(&name).map(rank);
            if known.is_none_or(|known| known < rank(&value)) {
                all.insert(name, value);
            }
        }
        Ok(EntityState::new(Value::Object(all).to_string()))
    }

    fn view<'a>(&self, state: &'a EntityState) -> Result<Cow<'a, [u8]>> {
        Ok(Cow::Borrowed(state.as_bytes()))
    }
}
