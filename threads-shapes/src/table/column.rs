//! What a column holds.

use serde_json::{Value, json};

/// What a column holds.
///
/// ```
/// use threads_shapes::table::Kind;
/// assert_ne!(Kind::Integer, Kind::Number);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Whole numbers from -2⁶³ to 2⁶⁴-1; `1.0` is one.
    Integer,
    /// Numbers of any kind.
    Number,
    /// Text.
    Text,
    /// `true` or `false`.
    Boolean,
    /// The key of a row, in this table or another one.
    Key,
    /// Any JSON.
    Json,
}

impl Kind {
    /// The word for it in JSON Schema.
    fn word(self) -> Option<&'static str> {
        match self {
            Self::Integer => Some("integer"),
            Self::Number => Some("number"),
            Self::Text | Self::Key => Some("string"),
            Self::Boolean => Some("boolean"),
            Self::Json => None,
        }
    }
}

/// A column of a table.
///
/// ```
/// use threads_shapes::table::{Column, Kind};
/// let email = Column::new("email", Kind::Text).required().unique();
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub(super) name: String,
    kind: Kind,
    pub(super) required: bool,
    /// Whether there is an index, and it is unique.
    pub(super) index: Option<bool>,
}

impl Column {
    /// A column that a row may lack, or have `null` in.
    ///
    /// The example of the [type](Self) uses it.
    ///
    /// ```
    /// # use threads_shapes::table::{Column, Kind};
    /// assert_ne!(Column::new("a", Kind::Text), Column::new("a", Kind::Key));
    /// ```
    pub fn new(name: impl Into<String>, kind: Kind) -> Self {
        Self {
            name: name.into(),
            kind,
            required: false,
            index: None,
        }
    }

    /// Every row has a value in it, and not `null`.
    ///
    /// ```
    /// # use threads_shapes::table::{Column, Kind};
    /// let name = Column::new("name", Kind::Text).required();
    /// ```
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// With an index, so that conditions on it need not look at every row.
    ///
    /// ```
    /// # use threads_shapes::table::{Column, Kind};
    /// let year = Column::new("year", Kind::Integer).indexed();
    /// ```
    #[must_use]
    pub fn indexed(mut self) -> Self {
        self.index = self.index.or(Some(false));
        self
    }

    /// No two rows have the same value. Peers that were apart may each give it to a row: then both stay,
    /// and [`Db::conflicts`](threads_db::Db::conflicts) says so.
    ///
    /// ```
    /// # use threads_shapes::table::{Column, Kind};
    /// let email = Column::new("email", Kind::Text).unique();
    /// ```
    #[must_use]
    pub fn unique(mut self) -> Self {
        self.index = Some(true);
        self
    }

    /// What JSON Schema says of a value in it.
    pub(super) fn schema(&self) -> Value {
        let mut schema = match (self.kind.word(), self.required) {
            (None, true) => json!({"not": {"type": "null"}}),
            (None, false) => json!({}),
            (Some(word), true) => json!({"type": word}),
            (Some(word), false) => json!({"type": [word, "null"]}),
        };
        if self.kind == Kind::Integer {
            // To JSON Schema 1e300 is an integer too.
            schema["minimum"] = json!(i64::MIN);
            schema["maximum"] = json!(u64::MAX);
        }
        schema
    }
}
