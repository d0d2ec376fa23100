//! Steps: what one version of a collection changes in the one before, both ways.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::{Error, FieldPath, Result};

/// The most steps of a collection in one version.
pub const STEPS_MAX: usize = 64;
/// The most pairs of values of one [`Step::Map`].
pub const MAP_VALUES_MAX: usize = 256;
/// The most levels of objects that the path of a step leads through.
pub const STEP_LEVELS_MAX: usize = 8;
/// The longest default, and the longest value of a pair, in bytes of its JSON text.
pub const STEP_VALUE_BYTES_MAX: usize = 4 * 1024;

/// One difference between a version of a collection and the one before.
///
/// It is data, and it works both ways: the later version reads what the earlier one wrote, and
/// writes what the earlier one can read.
///
/// ```
/// use serde_json::json;
/// use threads_core::module::Step;
///
/// let steps = [
///     Step::add_with("tags", json!([])).unwrap(),
///     Step::rename("name", "fullName").unwrap(),
///     Step::wrap("email", "emails").unwrap(),
///     Step::map("adult", "status", [(json!(true), json!("adult")), (json!(false), json!("minor"))]).unwrap(),
///     Step::remove_with("fax", json!("")).unwrap(),
/// ];
/// assert_eq!(serde_json::to_value(&steps[1]).unwrap(), json!({"rename": {"from": "name", "to": "fullName"}}));
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Step {
    /// A member is new. Earlier versions do not see it, and keep it.
    Add {
        /// Where it is.
        path: FieldPath,
        /// What entities have that were made without it; `None` when they have none.
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            deserialize_with = "present"
        )]
        default: Option<Value>,
    },
    /// A member is no longer seen. Earlier versions go on with it.
    Remove {
        /// Where it was.
        path: FieldPath,
        /// What earlier versions get in entities that this one makes; `None` when they need none.
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            deserialize_with = "present"
        )]
        default: Option<Value>,
    },
    /// A member is called otherwise, or is at another place.
    Rename {
        /// Where it was.
        from: FieldPath,
        /// Where it is.
        to: FieldPath,
    },
    /// A member has another name and other values.
    ///
    /// Several new values may stand for one old value: the earlier version sees that one, and the
    /// later one its own for as long as the earlier one does not change it.
    Map {
        /// Where it was.
        from: FieldPath,
        /// Where it is.
        to: FieldPath,
        /// Old and new values that stand for each other; the first pair of a value counts.
        values: Vec<(Value, Value)>,
    },
    /// A single value became a list. Earlier versions see and change its first item.
    Wrap {
        /// Where the value was.
        from: FieldPath,
        /// Where the list is.
        to: FieldPath,
    },
}

/// A member that is there, be it `null`.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}

impl Step {
    /// A member that entities made before do not have.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for what is no path, here and below.
    ///
    /// ```
    /// assert!(threads_core::module::Step::add("nickname").is_ok());
    /// ```
    pub fn add(path: &str) -> Result<Self> {
        let (path, default) = (path.parse()?, None);
        Ok(Self::Add { path, default })
    }

    /// A member, and what entities have that were made before.
    ///
    /// ```
    /// assert!(threads_core::module::Step::add_with("tags", serde_json::json!([])).is_ok());
    /// ```
    pub fn add_with(path: &str, default: Value) -> Result<Self> {
        let (path, default) = (path.parse()?, Some(default));
        Ok(Self::Add { path, default })
    }

    /// A member that earlier versions can do without.
    ///
    /// ```
    /// assert!(threads_core::module::Step::remove("nickname").is_ok());
    /// ```
    pub fn remove(path: &str) -> Result<Self> {
        let (path, default) = (path.parse()?, None);
        Ok(Self::Remove { path, default })
    }

    /// A member, and what earlier versions get in entities that are made from now on.
    ///
    /// ```
    /// assert!(threads_core::module::Step::remove_with("fax", serde_json::json!("")).is_ok());
    /// ```
    pub fn remove_with(path: &str, default: Value) -> Result<Self> {
        let (path, default) = (path.parse()?, Some(default));
        Ok(Self::Remove { path, default })
    }

    /// Another name or place.
    ///
    /// ```
    /// assert!(threads_core::module::Step::rename("city", "address.city").is_ok());
    /// ```
    pub fn rename(from: &str, to: &str) -> Result<Self> {
        let (from, to) = (from.parse()?, to.parse()?);
        Ok(Self::Rename { from, to })
    }

    /// Another name and other values.
    ///
    /// ```
    /// use serde_json::json;
    /// use threads_core::module::Step;
    /// let values = [(json!(true), json!("done")), (json!(false), json!("open")), (json!(false), json!("waiting"))];
    /// assert!(Step::map("done", "state", values).is_ok());
    /// ```
    pub fn map(
        from: &str,
        to: &str,
        values: impl IntoIterator<Item = (Value, Value)>,
    ) -> Result<Self> {
        let (from, to) = (from.parse()?, to.parse()?);
        let values = values.into_iter().collect();
        Ok(Self::Map { from, to, values })
    }

    /// A list in place of a single value.
    ///
    /// ```
    /// assert!(threads_core::module::Step::wrap("email", "emails").is_ok());
    /// ```
    pub fn wrap(from: &str, to: &str) -> Result<Self> {
        let (from, to) = (from.parse()?, to.parse()?);
        Ok(Self::Wrap { from, to })
    }

    /// Where it was in the version before, if it was there.
    pub(super) fn from(&self) -> Option<&FieldPath> {
        match self {
            Self::Add { .. } => None,
            Self::Remove { path, .. } => Some(path),
            Self::Rename { from, .. } | Self::Map { from, .. } | Self::Wrap { from, .. } => {
                Some(from)
            }
        }
    }

    /// Where it is in this version, if it is there.
    pub(super) fn to(&self) -> Option<&FieldPath> {
        match self {
            Self::Remove { .. } => None,
            Self::Add { path, .. } => Some(path),
            Self::Rename { to, .. } | Self::Map { to, .. } | Self::Wrap { to, .. } => Some(to),
        }
    }

    /// Refuses a step that is too large.
    pub(super) fn check_size(&self) -> Result<()> {
        let mut paths = self.from().into_iter().chain(self.to());
        if let Some(path) = paths.find(|path| path.segments().len() > STEP_LEVELS_MAX) {
            let error = Error::invalid("the path of a step is too deep");
            return Err(error.with("path", path).with("most", STEP_LEVELS_MAX));
        }
        let values: Vec<&Value> = match self {
            Self::Add { default, .. } | Self::Remove { default, .. } => default.iter().collect(),
            Self::Map { values, .. } if values.len() > MAP_VALUES_MAX => {
                let error = Error::invalid("a step maps too many values");
                return Err(error.with("most", MAP_VALUES_MAX));
            }
            Self::Map { values, .. } => values.iter().flat_map(|(old, new)| [old, new]).collect(),
            Self::Rename { .. } | Self::Wrap { .. } => Vec::new(),
        };
        let long = |value: &&Value| value.to_string().len() > STEP_VALUE_BYTES_MAX;
        match values.into_iter().find(long) {
            Some(_) => {
                let error = Error::invalid("a value in a step is too long");
                Err(error.with("most_bytes", STEP_VALUE_BYTES_MAX))
            }
            None => Ok(()),
        }
    }
}
