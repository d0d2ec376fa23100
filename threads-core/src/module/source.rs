//! Sources: where in a stored entity a member of a version comes from.

use serde_json::Value;

use super::shape::{self, Shape};
use crate::{Error, FieldPath, Result};

/// Where a member is stored, and how it is read and written.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// It is stored as it is.
    Field(FieldPath),
    /// The value of the version before is stored, and beside it the exact one where several stand
    /// for that. It counts for as long as it does.
    Map {
        of: Box<Self>,
        exact: FieldPath,
        values: Vec<(Value, Value)>,
    },
    /// The first item is stored where the single value was, and the others beside it.
    Wrap { of: Box<Self>, rest: FieldPath },
}

impl Source {
    /// The first place where it was ever stored.
    pub(super) fn origin(&self) -> &FieldPath {
        match self {
            Self::Field(at) => at,
            Self::Map { of, .. } | Self::Wrap { of, .. } => of.origin(),
        }
    }

    /// Every place where something of it is stored.
    fn places(&self) -> Vec<&FieldPath> {
        match self {
            Self::Field(at) => vec![at],
            Self::Map { of, exact: own, .. } | Self::Wrap { of, rest: own } => {
                let mut places = of.places();
                places.push(own);
                places
            }
        }
    }

    pub(super) fn get(&self, stored: &Value, shape: Shape<'_>) -> Option<Value> {
        match self {
            Self::Field(at) => shape::find(stored, at).map(|value| shape.seen(value)),
            Self::Map { of, exact, values } => {
                let old = of.get(stored, Shape::anything())?;
                let exact = shape::find(stored, exact);
                match exact.filter(|exact| down(values, exact) == Some(&old)) {
                    Some(exact) => Some(exact.clone()),
                    // What no table knows came from elsewhere: it is shown, and not hidden.
                    None => Some(up(values, &old).cloned().unwrap_or(old)),
                }
            }
            Self::Wrap { of, rest } => {
                shape::holder(stored, self.origin())?;
                let first = of.get(stored, Shape::anything());
                let first = first.filter(|first| !first.is_null());
                let rest = shape::find(stored, rest).and_then(Value::as_array);
                let rest = rest.into_iter().flatten().cloned();
                let all: Value = first.into_iter().chain(rest).collect();
                Some(shape.seen(&all))
            }
        }
    }

    /// Writes a value of which `before` is what was stored.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for what the versions before cannot have.
    pub(super) fn put(
        &self,
        before: &Value,
        after: &mut Value,
        now: Option<&Value>,
        shape: Shape<'_>,
    ) -> Result<()> {
        if self.get(before, shape).as_ref() == now {
            for place in self.places() {
                shape::put(after, place, shape::find(before, place).cloned());
            }
            return Ok(());
        }
        match self {
            Self::Field(at) => {
                let woven = now.map(|now| shape.woven(shape::find(before, at), now));
                shape::put(after, at, woven);
            }
            Self::Map { of, exact, values } => {
                let old = now.map(|now| down(values, now).ok_or_else(|| unmapped(self.origin())));
                let old = old.transpose()?;
                of.put(before, after, old, Shape::anything())?;
                let special = now.filter(|now| old.and_then(|old| up(values, old)) != Some(*now));
                shape::put(after, exact, special.cloned());
            }
            Self::Wrap { of, rest } => {
                let items = match now {
                    None => &[][..],
                    Some(Value::Array(items)) if items.iter().all(|item| !item.is_null()) => items,
                    Some(_) => return Err(not_a_list(rest)),
                };
                let woven = now.map(|now| {
                    let before = self.get(before, Shape::anything());
                    shape.woven(before.as_ref(), now)
                });
                let items = woven
                    .as_ref()
                    .and_then(Value::as_array)
                    .map_or(items, |all| all);
                of.put(before, after, items.first(), Shape::anything())?;
                let others = items.get(1..).filter(|others| !others.is_empty());
                shape::put(after, rest, others.map(|others| others.to_vec().into()));
            }
        }
        Ok(())
    }
}

fn up<'v>(values: &'v [(Value, Value)], old: &Value) -> Option<&'v Value> {
    let pair = values.iter().find(|(from, _)| from == old)?;
    Some(&pair.1)
}

fn down<'v>(values: &'v [(Value, Value)], new: &Value) -> Option<&'v Value> {
    let pair = values.iter().find(|(_, to)| to == new)?;
    Some(&pair.0)
}

fn unmapped(at: &FieldPath) -> Error {
    Error::invalid("earlier versions have no value for this one: add the pair to the step")
        .with("stored_at", at)
}

fn not_a_list(at: &FieldPath) -> Error {
    Error::invalid("this member is a list, without null in it").with("stored_at", at)
}
