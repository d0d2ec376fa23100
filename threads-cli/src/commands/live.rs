//! `find --watch`: a result, and then what changes in it, whichever process changes it.

use serde_json::Value;
use threads_db::query::Query;
use threads_db::{Collection, LiveChange, LiveUpdate};

use crate::exit::Result;
use crate::interrupt;
use crate::output::Output;
use crate::repo::POLL;

pub(crate) fn run(
    collection: &Collection<Value>,
    query: &Query,
    updates: u64,
    out: &mut Output,
) -> Result {
    let mut live = collection.watch(query)?;
    interrupt::notice();
    let mut printed = 0;
    while printed < updates && !interrupt::came() {
        let update = match live.try_next()? {
            // Someone waits for what was printed.
            None => {
                out.flush()?;
                live.next_timeout(POLL)?
            }
            update => update,
        };
        let Some(update) = update else { continue };
        match out.is_json() {
            true => out.value(&update)?,
            false => print(&update, out)?,
        }
        printed += 1;
    }
    Ok(())
}

/// A line for each row, or each change, as a person reads it.
fn print(update: &LiveUpdate<Value>, out: &mut Output) -> Result {
    match update {
        LiveUpdate::Reset { why, rows } => {
            out.line(format_args!("= {} ({})", rows.len(), why.as_str()))?;
            for (at, row) in rows.iter().enumerate() {
                out.line(format_args!("  {at} {row}"))?;
            }
        }
        LiveUpdate::Changes(changes) => {
            for change in changes {
                out.line(line(change))?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn line(change: &LiveChange<Value>) -> String {
    match change {
        LiveChange::Added { at, row, .. } => format!("+ {at} {row}"),
        LiveChange::Changed { at, row, .. } => format!("~ {at} {row}"),
        LiveChange::Moved { from, to, id } => format!("> {from} to {to} {id}"),
        LiveChange::Removed { from, id } => format!("- {from} {id}"),
        _ => String::new(),
    }
}
