//! The one order of JSON values, for comparing, sorting and index keys.

use std::cmp::Ordering;

use serde_json::{Map, Number, Value};

/// Compares two values in the total order that sorting uses.
///
/// Missing (`None`) < null < false < true < numbers < strings < arrays < objects. Numbers compare
/// by their exact value, whatever their representation; strings by Unicode scalar values; arrays
/// element by element; objects by their members in the order of their names.
///
/// ```
/// use std::cmp::Ordering;
/// use serde_json::json;
/// use threads_db::query::compare_values;
///
/// let (whole, float) = (json!(9_007_199_254_740_993_u64), json!(9_007_199_254_740_992.0));
/// assert_eq!(compare_values(Some(&whole), Some(&float)), Ordering::Greater);
/// assert_eq!(compare_values(Some(&json!(1)), Some(&json!(1.0))), Ordering::Equal);
/// assert_eq!(compare_values(None, Some(&json!(null))), Ordering::Less);
/// ```
pub fn compare_values(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => compare(a, b),
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
}

pub(crate) fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Number(a), Value::Number(b)) => compare_numbers(a, b),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Array(a), Value::Array(b)) => {
            let pairs = a.iter().zip(b).map(|(a, b)| compare(a, b));
            first_difference(pairs).then_with(|| a.len().cmp(&b.len()))
        }
        (Value::Object(a), Value::Object(b)) => compare_objects(a, b),
        _ => kind(a).cmp(&kind(b)),
    }
}

/// The JSON type of a value as its place in the order.
pub(crate) fn kind(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
    }
}

/// A number as the largest double not above it, and the exact rest.
///
/// Doubles are less than 2^11 apart below 2^64, so the rest of an integer fits; the rest of a
/// double is zero. Pairs order as the numbers do, which neither doubles nor integers alone could.
pub(crate) fn exact(number: &Number) -> (f64, u16) {
    let integer = number
        .as_i64()
        .map(i128::from)
        .or_else(|| number.as_u64().map(i128::from));
    let Some(integer) = integer else {
        // Adding zero turns minus zero into zero, which it equals.
        return (number.as_f64().unwrap_or(f64::INFINITY) + 0.0, 0);
    };
    let near = integer as f64;
    let floor = if near as i128 > integer {
        near.next_down()
    } else {
        near
    };
    (floor, (integer - floor as i128) as u16)
}

fn compare_numbers(a: &Number, b: &Number) -> Ordering {
    let ((a, a_rest), (b, b_rest)) = (exact(a), exact(b));
    // JSON has no NaN, so the doubles always compare.
    a.partial_cmp(&b)
        .unwrap_or(Ordering::Equal)
        .then(a_rest.cmp(&b_rest))
}

/// The order of members in memory depends on how `serde_json` was built, so it is not used.
fn compare_objects(a: &Map<String, Value>, b: &Map<String, Value>) -> Ordering {
    let (a, b) = (sorted(a), sorted(b));
    let pairs = a
        .iter()
        .zip(&b)
        .map(|(a, b)| a.0.cmp(b.0).then_with(|| compare(a.1, b.1)));
    first_difference(pairs).then_with(|| a.len().cmp(&b.len()))
}

fn sorted(members: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut members: Vec<_> = members.iter().collect();
    members.sort_unstable_by_key(|(name, _)| *name);
    members
}

pub(super) fn first_difference(mut orders: impl Iterator<Item = Ordering>) -> Ordering {
    orders
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}
