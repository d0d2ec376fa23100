//! `acl eval`: what the rules make of a described history.

use serde::Deserialize;
use threads_acl::eval::{Described, evaluate};

use crate::args::AclEval;
use crate::exit::Result;
use crate::input;
use crate::output::{Output, counted};

/// The longest history that is read, in bytes: several times what the evaluator takes in.
const HISTORY_BYTES_MAX: u64 = 256 << 20;

#[derive(Deserialize)]
struct History {
    events: Vec<Described>,
}

pub(crate) fn run(args: &AclEval, out: &mut Output) -> Result {
    const HELP: &str = "`threads help acl eval` shows the form of a history";
    let history: History = input::typed(&args.file, "the history", HISTORY_BYTES_MAX, HELP)?;
    let evaluation = evaluate(&history.events)?;
    out.document(&evaluation.outcome)?;
    if !evaluation.pending.is_empty() {
        let count = counted(evaluation.pending.len() as u64, "event");
        let mut text = format!("{count} without effect, because others are missing:");
        for event in &evaluation.pending {
            text += &format!("\n  {} waits for {}", event.id, event.missing.join(", "));
        }
        out.note(text, &serde_json::json!({ "pending": evaluation.pending }));
    }
    Ok(())
}
