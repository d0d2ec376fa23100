//! Where results and remarks go: data to standard output, everything else to standard error.

use std::borrow::Cow;
use std::fmt::{Display, Write as _};
use std::io::{self, BufWriter, IsTerminal, Write};

use serde::Serialize;
use serde_json::json;

/// The two ends of a command.
pub(crate) struct Output {
    data: Box<dyn Write>,
    remarks: Box<dyn Write>,
    json: bool,
    progress: bool,
    done: Option<&'static str>,
}

impl Output {
    /// Standard output and standard error.
    pub(crate) fn standard(json: bool) -> Self {
        Self {
            data: Box::new(BufWriter::new(io::stdout())),
            remarks: Box::new(io::stderr()),
            json,
            progress: !json && io::stderr().is_terminal(),
            done: None,
        }
    }

    /// Whether results are for a program.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether someone watches who would like to see how far it is.
    pub(crate) fn shows_progress(&self) -> bool {
        self.progress
    }

    /// Notes what the command has done, in case that its results cannot be written.
    pub(crate) fn done(&mut self, what: &'static str) {
        self.done = Some(what);
    }

    /// What the command has done besides printing.
    pub(crate) fn what_is_done(&self) -> Option<&'static str> {
        self.done
    }

    /// One line.
    pub(crate) fn line(&mut self, text: impl Display) -> io::Result<()> {
        writeln!(self.data, "{}", visible(&text.to_string()))
    }

    /// Bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.data.write_all(bytes)
    }

    /// One line of JSON.
    pub(crate) fn value(&mut self, value: &impl Serialize) -> io::Result<()> {
        let text = serde_json::to_string(value)?;
        self.line(text)
    }

    /// JSON as a person reads it, or as one line for a program.
    pub(crate) fn document(&mut self, value: &impl Serialize) -> io::Result<()> {
        if self.json {
            return self.value(value);
        }
        let text = serde_json::to_string_pretty(value)?;
        self.line(text)
    }

    /// A table, its last column as wide as it likes.
    pub(crate) fn table<const N: usize>(
        &mut self,
        headings: [&str; N],
        rows: &[[String; N]],
    ) -> io::Result<()> {
        let headings = headings.map(str::to_owned);
        let shown = |row: &[String; N]| std::array::from_fn(|at| visible(&row[at]).into_owned());
        let rows: Vec<[String; N]> = rows.iter().map(shown).collect();
        let lines = || std::iter::once(&headings).chain(&rows);
        let width = |column: usize| {
            lines()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or_default()
        };
        let widths: [usize; N] = std::array::from_fn(width);
        for row in lines() {
            let cells = row
                .iter()
                .zip(widths)
                .map(|(cell, width)| format!("{cell:width$}"));
            let line = cells.collect::<Vec<_>>().join("  ");
            writeln!(self.data, "{}", line.trim_end())?;
        }
        Ok(())
    }

    /// Sends what was written on its way: someone follows it.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.data.flush()
    }

    /// Says something to a person, who need not be there.
    pub(crate) fn remark(&mut self, text: impl Display) {
        if !self.json {
            self.aside(text);
        }
    }

    /// Says where the next page begins, to a person or a program.
    pub(crate) fn next_page(&mut self, cursor: impl Display) {
        let value = json!({ "next": cursor.to_string() });
        self.note(format_args!("more: add --after {cursor}"), &value);
    }

    /// Says something to a person as text, and to a program as a value.
    pub(crate) fn note(&mut self, text: impl Display, value: &serde_json::Value) {
        if self.json {
            self.aside(value);
        } else {
            self.aside(text);
        }
    }

    fn aside(&mut self, text: impl Display) {
        // Results first: a person reads them in the order they came. If they cannot be written,
        // the next write of results says so; if a remark cannot, there is no one to tell.
        let _ = self.data.flush();
        let _ = writeln!(self.remarks, "{}", visible(&text.to_string()));
    }
}

/// The text with its control characters written out: a terminal would obey them. What JSON lets
/// stand between quotes stays JSON, and the same text.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    let obeyed = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if !text.contains(obeyed) {
        return text.into();
    }
    let mut shown = String::new();
    for c in text.chars() {
        if obeyed(c) {
            // Writing to a string does not fail.
            let _ = write!(shown, "\\u{:04x}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    shown.into()
}

/// A number with its thousands apart: `147043` as `147,043`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with its noun: `1 row`, `2,000 rows`, `2 entities`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    let number_text = grouped(number);
    match noun.strip_suffix('y') {
        _ if number == 1 => format!("{number_text} {noun}"),
        Some(stem) => format!("{number_text} {stem}ies"),
        None => format!("{number_text} {noun}s"),
    }
}

/// Bytes in a unit that fits: `17.1 MB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if bytes < 1_000 {
        return format!("{bytes} B");
    }
    let mut size = bytes as f64 / 1_000.0;
    let mut unit = 0;
    while size >= 999.95 && unit + 1 < UNITS.len() {
        size /= 1_000.0;
        unit += 1;
    }
    format!("{size:.1} {}", UNITS[unit])
}

/// Milliseconds since 1970 as `2026-01-31 23:59:59`, in UTC.
pub(crate) fn time(ms: u64) -> String {
    let seconds = ms / 1_000;
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

/// The date of a day since 1970. Years begin in March, so that a leap day ends one.
fn civil(day: u64) -> (u64, u64, u64) {
    const DAYS_OF_400_YEARS: u64 = 146_097;
    // Day 0 is now 0000-03-01.
    let day = day.saturating_add(719_468);
    let (era, day) = (day / DAYS_OF_400_YEARS, day % DAYS_OF_400_YEARS);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = match month {
        0..=9 => (year, month + 3),
        _ => (year + 1, month - 9),
    };
    (era * 400 + year, month, day)
}

/// The end of a long id: enough to tell two apart by eye.
pub(crate) fn short(id: impl Display) -> String {
    let id = id.to_string();
    let count = id.chars().count();
    if count <= 12 {
        return id;
    }
    format!("…{}", id.chars().skip(count - 8).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(time(0), "1970-01-01 00:00:00");
        assert_eq!(time(951_782_399_999), "2000-02-28 23:59:59");
        assert_eq!(time(951_782_400_000), "2000-02-29 00:00:00");
        assert_eq!(time(1_709_251_200_000), "2024-03-01 00:00:00");
        assert_eq!(time(4_107_542_399_000), "2100-02-28 23:59:59");
        assert_eq!(time(4_107_542_400_000), "2100-03-01 00:00:00");
        time(u64::MAX);
    }

    #[test]
    fn a_terminal_gets_nothing_to_obey() {
        assert_eq!(
            visible("a\u{9b}31m\n\tb\u{1b}\u{7f}é"),
            "a\\u009b31m\n\tb\\u001b\\u007fé"
        );
        let text = serde_json::to_string("\u{85}\u{7f}\u{1}").unwrap();
        assert_eq!(
            serde_json::from_str::<String>(&visible(&text)).unwrap(),
            "\u{85}\u{7f}\u{1}"
        );
    }

    #[test]
    fn numbers_read_easily() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_000), "1,000");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(counted(1, "row"), "1 row");
        assert_eq!(counted(2_000, "row"), "2,000 rows");
        assert_eq!(counted(1, "entity"), "1 entity");
        assert_eq!(counted(2, "entity"), "2 entities");
        assert_eq!(size(999), "999 B");
        assert_eq!(size(17_142_887), "17.1 MB");
        assert_eq!(size(999_999), "1.0 MB");
        assert_eq!(short("bafkxd5bjgi6k4zivuoyxo4ua4mzyy"), "…4ua4mzyy");
        assert_eq!(short("a name"), "a name");
    }
}
