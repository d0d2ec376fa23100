//! An application's JSON Patch (RFC 6902), bounded while it is carried out.

use json_patch::{PatchErrorKind, PatchOperation, patch_unsafe};
use serde::Deserialize;
use serde_json::Value;
use threads_core::{Error, ErrorKind, Result};

use crate::document::measure;
use crate::limits::{DOCUMENT_BYTES_MAX, DOCUMENT_DEPTH_MAX, EVENT_OPS_MAX, Excess};

/// While a patch runs the document may be twice as long as at its end, so that a value can be
/// copied before the original is removed.
const WORK_BYTES_MAX: usize = 2 * DOCUMENT_BYTES_MAX;

/// Carries out all of `patch` on `document`, or fails and leaves it half done.
pub(crate) fn patch(document: &mut Value, patch: &Value) -> Result<()> {
    let Value::Array(list) = patch else {
        return Err(Error::invalid(
            "a JSON Patch is a list of operations, such as [{\"op\": \"remove\", \"path\": \"/a\"}]",
        ));
    };
    if list.len() > EVENT_OPS_MAX {
        return Err(Error::invalid(
            "a JSON Patch has too many operations: save the document whole",
        )
        .with("most", EVENT_OPS_MAX));
    }
    let invalid = |excess: Excess| excess.error(ErrorKind::Invalid);
    // Two levels are the patch's own.
    measure(patch, DOCUMENT_BYTES_MAX, DOCUMENT_DEPTH_MAX + 2).map_err(invalid)?;
    let mut work = Work {
        document,
        bytes: WORK_BYTES_MAX,
    };
    for (number, item) in list.iter().enumerate() {
        let op = PatchOperation::deserialize(item).map_err(|error| {
            Error::invalid("an operation of a JSON Patch is malformed")
                .with("operation", number)
                .caused_by(error)
        })?;
        work.make_room(&op)
            .map_err(|excess| describe(invalid(excess), number, &op))?;
        work.apply(&op)
            .map_err(|error| describe(error, number, &op))?;
    }
    Ok(())
}

fn describe(error: Error, number: usize, op: &PatchOperation) -> Error {
    let name = match op {
        PatchOperation::Add(_) => "add",
        PatchOperation::Remove(_) => "remove",
        PatchOperation::Replace(_) => "replace",
        PatchOperation::Move(_) => "move",
        PatchOperation::Copy(_) => "copy",
        PatchOperation::Test(_) => "test",
    };
    error
        .with("operation", number)
        .with("op", name)
        .with("path", format_args!("{:.80}", op.path()))
}

struct Work<'a> {
    document: &'a mut Value,
    /// At least as much as the document's text is long.
    bytes: usize,
}

impl Work<'_> {
    /// Refuses an operation whose result is too deep or too long, before it allocates anything.
    fn make_room(&mut self, op: &PatchOperation) -> Result<(), Excess> {
        let Some((path, value)) = self.puts(op) else {
            return Ok(());
        };
        let levels = path.matches('/').count();
        let depth = DOCUMENT_DEPTH_MAX
            .checked_sub(levels)
            .ok_or(Excess::Depth)?;
        let bytes = measure(value, WORK_BYTES_MAX, depth)?;
        let moves = matches!(op, PatchOperation::Move(_));
        // A byte of a name is at most six of text; quotes, colon and comma are four.
        let grows = if moves { 0 } else { bytes } + 6 * path.len() + 4;
        if self.bytes + grows > WORK_BYTES_MAX {
            self.bytes = measure(self.document, WORK_BYTES_MAX, DOCUMENT_DEPTH_MAX)?;
        }
        self.bytes += grows;
        if self.bytes > WORK_BYTES_MAX {
            Err(Excess::Bytes)
        } else {
            Ok(())
        }
    }

    /// What an operation puts where; `None` when it puts nothing, or when the place it takes the
    /// value from is missing, which is for [`Work::apply`] to report.
    fn puts<'v>(&'v self, op: &'v PatchOperation) -> Option<(&'v str, &'v Value)> {
        let source = |from: &str| self.document.pointer(from);
        match op {
            PatchOperation::Add(op) => Some((op.path.as_str(), &op.value)),
            PatchOperation::Replace(op) => Some((op.path.as_str(), &op.value)),
            PatchOperation::Move(op) => Some((op.path.as_str(), source(op.from.as_str())?)),
            PatchOperation::Copy(op) => Some((op.path.as_str(), source(op.from.as_str())?)),
            PatchOperation::Remove(_) | PatchOperation::Test(_) => None,
        }
    }

    fn apply(&mut self, op: &PatchOperation) -> Result<()> {
        if let PatchOperation::Test(test) = op
            && let Some(found) = self.document.pointer(test.path.as_str())
            && same(found, &test.value)
        {
            return Ok(());
        }
        patch_unsafe(self.document, std::slice::from_ref(op)).map_err(|error| match error.kind {
            PatchErrorKind::TestFailed => {
                Error::conflict("a test of a JSON Patch failed: read the entity and decide again")
            }
            kind => Error::invalid("a JSON Patch does not fit the entity: read it and patch again")
                .caused_by(kind),
        })
    }
}

/// Equality as RFC 6902 §4.6 defines it for `test`: numbers by value, so that 1 is 1.0.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(a), Value::Number(b)) if a.is_f64() != b.is_f64() => {
            a.as_f64() == b.as_f64()
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let equal = |(name, a)| b.get(name).is_some_and(|b| same(a, b));
            a.len() == b.len() && a.iter().all(equal)
        }
        _ => one == other,
    }
}
