//! Patterns: only what an engine without backtracking can run.

use std::collections::HashSet;

use threads_core::{Error, Result};

use super::PATTERN_BYTES_MAX;
use super::explain::shortened;

/// The most different patterns in one schema: each may take a megabyte when compiled.
const PATTERNS_MAX: usize = 128;

/// The patterns of one schema.
#[derive(Default)]
pub(super) struct Patterns<'a>(HashSet<&'a str>);

impl<'a> Patterns<'a> {
    /// Refuses a pattern that is too long, one too many, or that needs backtracking. What else
    /// is wrong with it, the engine finds.
    pub(super) fn check(&mut self, pattern: &'a str, at: &str) -> Result<()> {
        let refused = |what: String| Err(Error::invalid(what).with("at", at));
        if pattern.len() > PATTERN_BYTES_MAX {
            return refused(format!(
                "a pattern is longer than {PATTERN_BYTES_MAX} bytes"
            ));
        }
        self.0.insert(pattern);
        if self.0.len() > PATTERNS_MAX {
            return refused(format!(
                "a schema may have {PATTERNS_MAX} different patterns"
            ));
        }
        if let Some(construct) = backtracking(pattern) {
            return refused(format!(
                "a pattern uses {construct}, which cannot be matched in linear time: \
                 write it without, or check this in the application: {}",
                shortened(pattern)
            ));
        }
        Ok(())
    }
}

/// What in `pattern` needs backtracking.
fn backtracking(pattern: &str) -> Option<&'static str> {
    let mut rest = pattern;
    let mut in_class = false;
    while let Some(first) = rest.chars().next() {
        if let Some(escaped) = rest.strip_prefix('\\') {
            let reference = escaped.starts_with(|c: char| ('1'..='9').contains(&c))
                || escaped.starts_with("k<");
            if reference && !in_class {
                return Some("a back-reference");
            }
            let length = escaped.chars().next().map_or(0, char::len_utf8);
            rest = &escaped[length..];
            continue;
        }
        let around = ["(?=", "(?!", "(?<=", "(?<!"];
        if !in_class && around.iter().any(|start| rest.starts_with(start)) {
            return Some("look-around");
        }
        in_class = match first {
            '[' => true,
            ']' => false,
            _ => in_class,
        };
        rest = &rest[first.len_utf8()..];
    }
    None
}
