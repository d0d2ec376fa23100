//! How far a long command is, for a person who watches.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::output::Output;

const TICK: Duration = Duration::from_millis(100);
const BYTES: &str = "{bar:30} {bytes}/{total_bytes}  {msg}  {elapsed} elapsed, {eta} left";
const STEPS: &str = "{bar:30} {human_pos}/{human_len} {prefix}  {per_sec}, {eta} left";
const UNKNOWN: &str = "{spinner} {human_pos} {prefix}  {msg}  {elapsed} elapsed";

/// A progress bar on standard error, or nothing when that is not a terminal.
pub(crate) struct Meter {
    bar: ProgressBar,
}

impl Meter {
    /// For an input of so many bytes, if that is known.
    pub(crate) fn bytes(out: &Output, total: Option<u64>) -> Self {
        Self::new(out, total, BYTES, "bytes")
    }

    /// For a walk over things of one kind, whose number becomes known on the way.
    pub(crate) fn steps(out: &Output, what: &'static str) -> Self {
        Self::new(out, None, STEPS, what)
    }

    fn new(out: &Output, total: Option<u64>, template: &str, what: &'static str) -> Self {
        if !out.shows_progress() {
            return Self {
                bar: ProgressBar::hidden(),
            };
        }
        let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
        let template = if total.is_some() || template == STEPS {
            template
        } else {
            UNKNOWN
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(what);
        bar.enable_steady_tick(TICK);
        Self { bar }
    }

    pub(crate) fn set(&self, done: u64, total: Option<u64>) {
        if let Some(total) = total {
            self.bar.set_length(total);
        }
        self.bar.set_position(done);
    }

    pub(crate) fn say(&self, message: String) {
        self.bar.set_message(message);
    }

    /// Runs `speak` while the bar is out of the way.
    pub(crate) fn aside(&self, speak: impl FnOnce()) {
        self.bar.suspend(speak);
    }
}

/// Leaves nothing behind on the screen, however the command ends.
impl Drop for Meter {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
