//! The canonical text of a filter.

use std::fmt::{self, Formatter, Write as _};

use serde_json::Value;
use threads_core::FieldPath;

use super::filter::Filter;
use super::token::{Keyword, is_word, is_word_start};

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(parts) if parts.is_empty() => f.write_str("true"),
            Self::Or(parts) if parts.is_empty() => f.write_str("false"),
            Self::And(parts) => join(f, parts, " and ", |part, f| operand(f, part)),
            Self::Or(parts) => join(f, parts, " or ", |part, f| match part {
                Self::And(_) => write!(f, "{part}"),
                _ => operand(f, part),
            }),
            Self::Not(inner) => match &**inner {
                Self::Exists { path } => {
                    write_path(f, path)?;
                    f.write_str(" not exists")
                }
                inner => {
                    f.write_str("not ")?;
                    operand(f, inner)
                }
            },
            Self::Compare { path, op, value } => {
                write_path(f, path)?;
                write!(f, " {op} ")?;
                write_value(f, value)
            }
            Self::In { path, values } => {
                write_path(f, path)?;
                f.write_str(" in ")?;
                write_list(f, values)
            }
            Self::NotIn { path, values } => {
                write_path(f, path)?;
                f.write_str(" not in ")?;
                write_list(f, values)
            }
            Self::Contains { path, value } => {
                write_path(f, path)?;
                f.write_str(" contains ")?;
                write_value(f, value)
            }
            Self::StartsWith { path, prefix } => {
                write_path(f, path)?;
                f.write_str(" starts_with ")?;
                quote(f, prefix, '\'')
            }
            Self::Exists { path } => {
                write_path(f, path)?;
                f.write_str(" exists")
            }
            Self::Invalid(message) => write!(f, "<{message}>"),
        }
    }
}

/// A part of a larger filter, in parentheses if it has parts itself.
fn operand(f: &mut Formatter<'_>, part: &Filter) -> fmt::Result {
    if part.is_compound() {
        write!(f, "({part})")
    } else {
        write!(f, "{part}")
    }
}

fn join<T>(
    f: &mut Formatter<'_>,
    items: impl IntoIterator<Item = T>,
    separator: &str,
    mut write: impl FnMut(T, &mut Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            f.write_str(separator)?;
        }
        write(item, f)?;
    }
    Ok(())
}

pub(super) fn write_path(f: &mut Formatter<'_>, path: &FieldPath) -> fmt::Result {
    join(
        f,
        path.segments().iter().enumerate(),
        ".",
        |(i, segment), f| {
            let starts_well = i > 0 || segment.starts_with(is_word_start);
            write_name(f, segment, starts_well)
        },
    )
}

fn write_name(f: &mut Formatter<'_>, name: &str, starts_well: bool) -> fmt::Result {
    let plain = starts_well
        && !name.is_empty()
        && !name.starts_with('-')
        && name.chars().all(is_word)
        && Keyword::of(name).is_none();
    if plain {
        f.write_str(name)
    } else {
        quote(f, name, '"')
    }
}

fn write_value(f: &mut Formatter<'_>, value: &Value) -> fmt::Result {
    match value {
        Value::Null => f.write_str("null"),
        Value::Bool(value) => write!(f, "{value}"),
        Value::Number(value) => write!(f, "{value}"),
        Value::String(value) => quote(f, value, '\''),
        Value::Array(items) => write_list(f, items),
        Value::Object(members) => {
            f.write_char('{')?;
            join(f, members, ", ", |(name, value), f| {
                write_name(f, name, name.starts_with(is_word_start))?;
                f.write_str(": ")?;
                write_value(f, value)
            })?;
            f.write_char('}')
        }
    }
}

fn write_list(f: &mut Formatter<'_>, values: &[Value]) -> fmt::Result {
    f.write_char('[')?;
    join(f, values, ", ", |value, f| write_value(f, value))?;
    f.write_char(']')
}

/// As in SQL, a quote inside is written twice.
fn quote(f: &mut Formatter<'_>, text: &str, mark: char) -> fmt::Result {
    f.write_char(mark)?;
    for c in text.chars() {
        if c == mark {
            f.write_char(mark)?;
        }
        f.write_char(c)?;
    }
    f.write_char(mark)
}
