//! Reports the results.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the table is what the program is for")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::row::{Bound, Reading, Row};
use crate::slice::Slice;

const HEADINGS: [&str; 10] =
    ["row", "value", "floor", "goal", "", "per second", "p50 ms", "p99 ms", "CPU µs: server", "PostgreSQL"];

/// Reports the current activity, separately from the results.
pub(crate) fn progress(text: &str) {
    eprintln!("{text}");
}

/// Prints a line to standard output.
pub(crate) fn line(text: &str) {
    println!("{text}");
}

/// The results of all rows.
#[derive(Default)]
pub(crate) struct Report {
    entries: Vec<Entry>,
    lines: Vec<[String; 10]>,
    failures: Vec<String>,
}

/// A row in `bench.json`.
#[derive(Serialize)]
struct Entry {
    name: &'static str,
    /// `None` if the row could not be measured.
    value: Option<f64>,
    unit: &'static str,
    floor: f64,
    goal: f64,
    ok: bool,
}

impl Report {
    /// Adds the measurement of a row.
    pub(crate) fn add(&mut self, row: &Row, reading: Reading) {
        let Reading { value, mut ours, mut theirs } = reading;
        let reaches = |limit: f64| match row.bound {
            Bound::AtLeast => value >= limit,
            Bound::AtMost => value <= limit,
        };
        let verdict = match (reaches(row.floor), reaches(row.goal)) {
            (false, _) => "MISSED",
            (true, false) => "ok",
            (true, true) => "ok, goal",
        };
        let mut both = |show: fn(&mut Slice) -> Option<String>| {
            let side = |side: &mut Option<Slice>| side.as_mut().and_then(show);
            match (side(&mut ours), side(&mut theirs)) {
                (None, None) => String::new(),
                (ours, theirs) => {
                    let text = |side: Option<String>| side.unwrap_or_else(|| "-".into());
                    format!("{} / {}", text(ours), text(theirs))
                }
            }
        };
        self.lines.push([
            row.name.into(),
            amount(value, row.unit),
            amount(row.floor, row.unit),
            amount(row.goal, row.unit),
            verdict.into(),
            both(|side| Some(format!("{:.0}", side.rate()))),
            both(|side| side.percentile(50).map(milliseconds)),
            both(|side| side.percentile(99).map(milliseconds)),
            both(|side| side.server_cpu.map(|time| microseconds(time, side.count))),
            both(|side| side.postgres_cpu.map(|time| microseconds(time, side.count))),
        ]);
        self.push_entry(row, Some(value), reaches(row.floor));
    }

    /// Adds a row that could not be measured, which counts as failed.
    pub(crate) fn add_failed(&mut self, row: &Row, error: &Error) {
        let mut cells = <[String; 10]>::default();
        cells[..5].clone_from_slice(&[
            row.name.into(),
            "failed".into(),
            amount(row.floor, row.unit),
            amount(row.goal, row.unit),
            "MISSED".into(),
        ]);
        self.lines.push(cells);
        self.failures.push(format!("{} failed: {error}", row.name));
        self.push_entry(row, None, false);
    }

    fn push_entry(&mut self, row: &Row, value: Option<f64>, ok: bool) {
        let Row { name, unit, floor, goal, .. } = *row;
        self.entries.push(Entry { name, value, unit, floor, goal, ok });
    }

    /// Whether every row has reached its floor.
    pub(crate) fn is_ok(&self) -> bool {
        self.entries.iter().all(|entry| entry.ok)
    }

    /// Prints the table, with each pair of numbers as ours / the limit, and the warnings.
    pub(crate) fn print(&self, warnings: &[String]) {
        let headings = HEADINGS.map(str::to_owned);
        let lines: Vec<_> = std::iter::once(&headings).chain(&self.lines).collect();
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; 10] = std::array::from_fn(width);
        for cells in &lines {
            let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
            line(padded.collect::<Vec<_>>().join("  ").trim_end());
        }
        for text in self.failures.iter().chain(warnings) {
            line(text);
        }
    }

    /// Writes the results as JSON.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        Ok(fs::write(path, serde_json::to_string_pretty(&self.entries)? + "\n")?)
    }
}

fn amount(value: f64, unit: &str) -> String {
    format!("{value:.2} {unit}")
}

fn milliseconds(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1e3)
}

fn microseconds(time: Duration, count: u32) -> String {
    format!("{:.0}", time.as_secs_f64() * 1e6 / f64::from(count.max(1)))
}
