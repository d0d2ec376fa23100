//! Changes that were made elsewhere, by any program that speaks Automerge's format.

use std::io::Read;

use flate2::bufread::DeflateDecoder;
use serde_json::{Value, json};
use threads_core::{Error, Result};

use crate::change::{self, DEFLATED};
use crate::columns::Fault;
use crate::limits::EVENT_BYTES_MAX;

/// The operation of a patch that carries a change.
const OP: &str = "change";

/// The event of a change: its chunk, inflated if it is deflated.
pub(crate) fn event(chunk: &[u8]) -> Result<Vec<u8>> {
    let event = inflated(chunk).map_err(refused)?;
    change::decode(&event).map_err(refused)?;
    Ok(event)
}

fn refused(fault: Fault) -> Error {
    Error::invalid("this is no change that this version can take in").caused_by(fault)
}

fn inflated(chunk: &[u8]) -> std::result::Result<Vec<u8>, Fault> {
    let found = change::chunk(chunk)?;
    if found.kind != DEFLATED {
        return Ok(chunk.to_vec());
    }
    if found.len != chunk.len() {
        return Err("something follows the change");
    }
    let mut inflated = Vec::new();
    // One byte more than there may be tells that there is more.
    let mut reader = DeflateDecoder::new(found.contents).take(EVENT_BYTES_MAX as u64 + 1);
    reader
        .read_to_end(&mut inflated)
        .map_err(|_| "it cannot be inflated")?;
    match inflated.len() <= EVENT_BYTES_MAX {
        true => Ok(change::whole(&inflated).1),
        false => Err("it has too many bytes"),
    }
}

/// The patch that carries out a change.
pub(crate) fn patch(chunk: &[u8]) -> Result<Value> {
    let event = event(chunk)?;
    let text: String = event.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(json!([{"op": OP, "change": text}]))
}

/// The change that a patch carries, if it is such a patch.
pub(crate) fn carried(list: &Value) -> Option<Result<Vec<u8>>> {
    let [op] = list.as_array()?.as_slice() else {
        return None;
    };
    if op.get("op")? != OP {
        return None;
    }
    let text = op.get("change").and_then(Value::as_str);
    let chunk = text.and_then(bytes);
    Some(match chunk {
        Some(chunk) => event(&chunk),
        None => Err(refused("it is not hexadecimal")),
    })
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) || digits.len() / 2 > 2 * EVENT_BYTES_MAX {
        return None;
    }
    let digit = |digit: u8| char::from(digit).to_digit(16);
    // Invariant: two digits are one byte.
    let pair = |pair: &[u8]| Some((digit(pair[0])? << 4 | digit(pair[1])?) as u8);
    digits.chunks_exact(2).map(pair).collect()
}
