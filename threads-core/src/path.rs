//! Field paths: where in an entity a query, an index or a projection looks.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Error, Result};

/// The most segments a path may have; deeper documents are refused before they get here.
const SEGMENTS_MAX: usize = 64;

/// A path to a field of an entity: `address.city`, `tags.0`, or the JSON Pointer `/address/city`.
///
/// The dotted form splits at `.`; a name that itself contains a dot, or begins with a slash, is
/// written as a JSON Pointer (RFC 6901), where `~1` stands for `/` and `~0` for `~`.
///
/// ```
/// use threads_core::FieldPath;
///
/// let dotted: FieldPath = "address.city".parse().unwrap();
/// let pointer: FieldPath = "/address/city".parse().unwrap();
/// assert_eq!(dotted, pointer);
/// assert_eq!(dotted.to_string(), "address.city");
/// assert_eq!("/a.b".parse::<FieldPath>().unwrap().to_string(), "/a.b");
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldPath(Vec<String>);

impl FieldPath {
    /// A path from its segments, at least one and none of them empty.
    ///
    /// ```
    /// use threads_core::FieldPath;
    /// assert_eq!(FieldPath::new(["a", "b"]).unwrap().to_string(), "a.b");
    /// assert!(FieldPath::new([] as [&str; 0]).is_err());
    /// ```
    pub fn new<S: Into<String>>(segments: impl IntoIterator<Item = S>) -> Result<Self> {
        let segments: Vec<String> = segments.into_iter().map(Into::into).collect();
        if segments.is_empty() {
            return Err(Error::invalid(
                "a field path is empty: name a field, such as address.city",
            ));
        }
        if segments.len() > SEGMENTS_MAX {
            return Err(Error::invalid("a field path is too deep").with("most", SEGMENTS_MAX));
        }
        Ok(Self(segments))
    }

    /// The segments, outermost first.
    ///
    /// ```
    /// let path: threads_core::FieldPath = "a.b".parse().unwrap();
    /// assert_eq!(path.segments(), ["a", "b"]);
    /// ```
    pub fn segments(&self) -> &[String] {
        &self.0
    }
}

impl FromStr for FieldPath {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if let Some(pointer) = text.strip_prefix('/') {
            return Self::new(
                pointer
                    .split('/')
                    .map(|s| s.replace("~1", "/").replace("~0", "~")),
            );
        }
        if text.split('.').any(str::is_empty) {
            return Err(Error::invalid(
                "a field path has an empty name: write a.b, or /a/b for names with dots",
            )
            .with("path", text));
        }
        Self::new(text.split('.'))
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |s: &String| !s.is_empty() && !s.contains(['.', '/', '~']);
        if self.0.iter().all(plain) {
            return f.write_str(&self.0.join("."));
        }
        for segment in &self.0 {
            write!(f, "/{}", segment.replace('~', "~0").replace('/', "~1"))?;
        }
        Ok(())
    }
}

impl fmt::Debug for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FieldPath({self})")
    }
}

impl Serialize for FieldPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FieldPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
