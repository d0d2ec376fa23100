//! What is wrong with an entity, in words, without repeating what it holds.

use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use jsonschema::{ErrorIterator, ValidationError};
use serde_json::Value;
use threads_core::Error;

/// The most reasons given at once.
const REASONS_MAX: usize = 3;
/// The longest piece of text repeated from a schema, a member name or a pointer, in characters.
const PIECE_CHARS_MAX: usize = 120;

/// The error for an entity with these violations.
pub(super) fn violations(mut errors: ErrorIterator<'_>) -> Error {
    let mut first = None;
    let mut reasons = Vec::new();
    for error in errors.by_ref().take(REASONS_MAX) {
        let place = place(&error);
        let name = if place.is_empty() { "it" } else { &place };
        reasons.push(format!("{name} {}", reason(error.kind(), error.instance())));
        first.get_or_insert(place);
    }
    let more = match errors.count() {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    Error::invalid(format!(
        "the entity does not match its schema: {}{more}",
        reasons.join("; ")
    ))
    .with("at", first.unwrap_or_default())
}

/// Where the violation is: for a member that is missing or too many, where it would be.
fn place(error: &ValidationError<'_>) -> String {
    let mut place = error.instance_path().as_str().to_owned();
    let member = match error.kind() {
        Kind::Required { property } => property.as_str(),
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            unexpected.first().map(String::as_str)
        }
        _ => None,
    };
    if let Some(member) = member {
        place.push('/');
        place.push_str(&member.replace('~', "~0").replace('/', "~1"));
    }
    shortened(&place)
}

/// Why, as the end of a sentence that begins with the place.
pub(super) fn reason(kind: &Kind, instance: &Value) -> String {
    let text = match kind {
        Kind::Required { .. } => "is required".to_owned(),
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            match unexpected.len() {
                0 | 1 => "is not a known member".to_owned(),
                more => format!("and {} others are not known members", more - 1),
            }
        }
        Kind::Type { kind } => format!("must be {}, not {}", types(kind), type_of(instance)),
        Kind::Minimum { limit } => format!("must be at least {limit}"),
        Kind::Maximum { limit } => format!("must be at most {limit}"),
        Kind::ExclusiveMinimum { limit } => format!("must be more than {limit}"),
        Kind::ExclusiveMaximum { limit } => format!("must be less than {limit}"),
        Kind::MultipleOf { multiple_of } => format!("must be a multiple of {multiple_of}"),
        Kind::MinLength { limit } => format!("must have at least {limit} characters"),
        Kind::MaxLength { limit } => format!("must have at most {limit} characters"),
        Kind::MinItems { limit } => format!("must have at least {limit} items"),
        Kind::MaxItems { limit } => format!("must have at most {limit} items"),
        Kind::AdditionalItems { limit } => format!("must have at most {limit} items"),
        Kind::UnevaluatedItems { .. } => "has items that the schema does not know".to_owned(),
        Kind::MinProperties { limit } => format!("must have at least {limit} members"),
        Kind::MaxProperties { limit } => format!("must have at most {limit} members"),
        Kind::Pattern { pattern } => format!("must match the pattern {pattern}"),
        Kind::Format { format } => format!("must be in the format {format}"),
        Kind::Constant { expected_value } => format!("must be {expected_value}"),
        Kind::Enum { options } => format!("must be one of {options}"),
        Kind::UniqueItems => "must not have an item twice".to_owned(),
        Kind::Contains => "does not contain the items it must".to_owned(),
        Kind::PropertyNames { .. } => "has a member whose name is not allowed".to_owned(),
        Kind::AnyOf { .. } => "matches none of the alternatives of anyOf".to_owned(),
        Kind::OneOfNotValid { .. } => "matches none of the alternatives of oneOf".to_owned(),
        Kind::OneOfMultipleValid { .. } => "matches several alternatives of oneOf".to_owned(),
        Kind::Not { .. } => "matches what the schema excludes with not".to_owned(),
        Kind::FalseSchema => "is not allowed".to_owned(),
        Kind::Referencing(cause) => format!("has a reference that does not resolve: {cause}"),
        other => format!("does not satisfy {}", other.keyword()),
    };
    shortened(&text)
}

fn types(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(one) => one.to_string(),
        TypeKind::Multiple(several) => {
            let names: Vec<String> = several.iter().map(|one| one.to_string()).collect();
            names.join(" or ")
        }
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// `text`, cut where a message would grow too long.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(PIECE_CHARS_MAX) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
