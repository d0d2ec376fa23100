//! The table: for people, for programs and for the documents.

use std::fmt::Write as _;

use serde::Serialize;

use crate::Result;
use crate::machine::Machine;

/// A measured value with its unit.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figure {
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
}

impl Figure {
    pub(crate) fn new(value: f64, unit: &'static str) -> Self {
        Self { value, unit }
    }

    fn text(&self) -> String {
        format!("{} {}", number(self.value), self.unit)
    }
}

/// What the ratio is to be.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reach {
    AtLeast(f64),
    AtMost(f64),
    /// It is told, and may be anything.
    Told,
}

impl Reach {
    fn is_met(self, ratio: f64) -> bool {
        match self {
            Self::AtLeast(bound) => ratio >= bound,
            Self::AtMost(bound) => ratio <= bound,
            Self::Told => true,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtLeast(bound) => format!("≥ {bound}"),
            Self::AtMost(bound) => format!("≤ {bound}"),
            Self::Told => "told".to_owned(),
        }
    }
}

/// One line of the table.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) what: String,
    pub(crate) against: &'static str,
    pub(crate) ours: Figure,
    pub(crate) theirs: Figure,
    pub(crate) ratio: f64,
    pub(crate) reach: Reach,
    pub(crate) met: bool,
    /// What helps to understand the figures.
    pub(crate) notes: Vec<String>,
}

impl Row {
    /// A row whose ratio is ours by theirs.
    pub(crate) fn new(
        name: &'static str,
        (what, against): (impl Into<String>, &'static str),
        (ours, theirs): (f64, f64),
        unit: &'static str,
        reach: Reach,
    ) -> Self {
        let ratio = ours / theirs;
        Self {
            name,
            what: what.into(),
            against,
            ours: Figure::new(ours, unit),
            theirs: Figure::new(theirs, unit),
            ratio,
            reach,
            met: reach.is_met(ratio),
            notes: Vec::new(),
        }
    }

    #[must_use]
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// The row on one line.
    pub(crate) fn line(&self) -> String {
        let cells = self.cells();
        format!(
            "{}: {} against {}, {} ({}: {})",
            cells[0], cells[3], cells[4], cells[5], cells[6], cells[7]
        )
    }

    fn cells(&self) -> [String; 8] {
        [
            self.name.to_owned(),
            self.what.clone(),
            self.against.to_owned(),
            self.ours.text(),
            self.theirs.text(),
            format!("{} ×", number(self.ratio)),
            self.reach.text(),
            if self.met { "yes" } else { "no" }.to_owned(),
        ]
    }
}

const HEADINGS: [&str; 8] = [
    "row", "what", "against", "ours", "theirs", "ratio", "reach", "met",
];

/// All that one run measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    machine: Machine,
    /// By how much all sizes were divided.
    divided_by: usize,
    rounds: usize,
    /// Whether times are those of the processor.
    pub(crate) processor: bool,
    pub(crate) rows: Vec<Row>,
}

impl Report {
    pub(crate) fn new(machine: Machine, divided_by: usize, rounds: usize) -> Self {
        Self {
            machine,
            divided_by,
            rounds,
            processor: false,
            rows: Vec::new(),
        }
    }

    pub(crate) fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for (name, value) in self.facts() {
            let _ = writeln!(text, "{name:<8} {value}");
        }
        for row in &self.rows {
            let cells = row.cells();
            let _ = writeln!(text, "\n{}: {}\n  against {}", cells[0], cells[1], cells[2]);
            for (heading, cell) in HEADINGS.iter().zip(&cells).skip(3) {
                let _ = writeln!(text, "  {heading:<8} {cell}");
            }
            for note in &row.notes {
                let _ = writeln!(text, "  - {note}");
            }
        }
        text
    }

    pub(crate) fn markdown(&self) -> String {
        let mut text = String::new();
        for (name, value) in self.facts() {
            let _ = writeln!(text, "* {name}: {value}");
        }
        let _ = writeln!(text, "\n| {} |", HEADINGS.join(" | "));
        let _ = writeln!(text, "|{}", "---|".repeat(HEADINGS.len()));
        for row in &self.rows {
            let _ = writeln!(text, "| {} |", row.cells().join(" | "));
        }
        text.push('\n');
        for row in &self.rows {
            for note in &row.notes {
                let _ = writeln!(text, "* {}: {note}", row.name);
            }
        }
        text
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts = self.machine.lines();
        let divided = match self.divided_by {
            1 => String::new(),
            by => format!(", sizes divided by {by}: the figures say nothing of speed"),
        };
        if self.processor {
            let told =
                "of the processor: what waits for a disk or a peer is cheaper here than it is";
            facts.push(("times", told.to_owned()));
        }
        facts.push(("rounds", format!("{}, medians{divided}", self.rounds)));
        facts
    }
}

/// Three digits, or all of a large number with a comma before each three.
fn number(value: f64) -> String {
    if !value.is_finite() {
        return "none".to_owned();
    }
    if value.abs() < 100.0 {
        let digits = if value.abs() < 10.0 { 2 } else { 1 };
        return format!("{value:.digits$}");
    }
    let plain = format!("{value:.0}");
    let mut grouped = String::new();
    for (place, digit) in plain.chars().enumerate() {
        if place > 0 && (plain.len() - place) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let shown = [0.1234, 12.34, 999.6, 1_234_567.0].map(number);
        assert_eq!(shown, ["0.12", "12.3", "1,000", "1,234,567"]);
        assert_eq!(number(f64::NAN), "none");
    }

    #[test]
    fn a_reach_is_met_from_its_side() {
        let row = |ours, reach| Row::new("a", ("b", "c"), (ours, 2.0), "s", reach);
        assert!(row(2.0, Reach::AtLeast(1.0)).met);
        assert!(!row(1.9, Reach::AtLeast(1.0)).met);
        assert!(row(3.0, Reach::AtMost(1.5)).met);
        assert!(!row(3.1, Reach::AtMost(1.5)).met);
    }
}
