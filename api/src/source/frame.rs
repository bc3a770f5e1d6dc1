//! Frames as Grafana's JSON, written straight into bytes.
//!
//! An answer with many series has hundreds of thousands of cells, so no document is built and nothing is allocated for a cell.
//! Series of an answer mostly have the same times, whose text is then copied. Numbers are written as Go does, with the fewest
//! digits that read as the same number.

mod number;

use std::collections::BTreeMap;
use std::ops::Range;

use kymograph_app::kernel::error::{Error, Result};
use kymograph_app::source::backend::{ErrorOrigin, QueryResult};
use kymograph_domain::kernel::json::push_string;
use kymograph_domain::source::frame::{Cells, Column, Field, FieldConfig, Frame, FrameMeta, Notice};
use serde::Serialize;
use serde::de::IgnoredAny;

use number::{push_f32, push_f64, push_whole};

const NANOS_OF_MS: i64 = 1_000_000;
/// The number of cells between two checks of the size.
const CELLS: usize = 256;
/// The average size of a cell in JSON, in bytes.
const BYTES_OF_CELL: usize = 14;
/// The length in bytes above which the escaped size of a text is computed before it is written.
const LONG_TEXT: usize = 4096;

/// Results by `refId`.
type Results<'a> = BTreeMap<&'a str, &'a QueryResult>;

/// The approximate size of an answer, in bytes.
pub(super) fn expected_bytes(results: &Results<'_>) -> usize {
    let frames = results.values().filter_map(|result| result.as_deref().ok()).flatten();
    frames.map(expected_bytes_of).fold(1024, usize::saturating_add)
}

fn expected_bytes_of(frame: &Frame) -> usize {
    let of_column = |column: &Column| match column {
        Column::Text(cells) | Column::Json(cells) => {
            cells.values.iter().map(|text| text.len() + 3).sum::<usize>()
        }
        column => column.len().saturating_mul(BYTES_OF_CELL),
    };
    // Names and labels take about as much as in memory.
    frame.bytes_without_cells() + frame.fields.iter().map(|field| of_column(&field.column)).sum::<usize>()
}

/// The answer to queries: a result for each `refId`, in their order, in a buffer of `expected` bytes at first. It fails if it would
/// have more than `max_bytes`.
pub fn answer(results: &Results<'_>, expected: usize, max_bytes: usize) -> Result<Vec<u8>> {
    let mut writer = Writer { out: Vec::with_capacity(expected.min(max_bytes)), max_bytes, times: None };
    writer.raw("{\"results\":{");
    for (place, (ref_id, result)) in results.iter().enumerate() {
        writer.separate(place);
        writer.text(ref_id)?;
        writer.raw(":");
        writer.result(ref_id, result)?;
    }
    writer.raw("}}");
    writer.must_fit()?;
    Ok(writer.out)
}

/// The maximum size of a text in JSON, in bytes: a control character becomes six.
fn escaped_bytes(text: &str) -> usize {
    let escaped = |byte: u8| match byte {
        b'"' | b'\\' => 2,
        ..0x20 => 6,
        _ => 1,
    };
    text.bytes().map(escaped).sum()
}

fn too_large() -> Error {
    Error::too_large("The answer would be too large: ask for fewer series or points")
}

struct Writer<'a> {
    out: Vec<u8>,
    max_bytes: usize,
    /// The times that were written last, and where their text is.
    times: Option<(&'a Cells<i64>, Range<usize>)>,
}

impl<'a> Writer<'a> {
    fn must_fit(&self) -> Result<()> {
        if self.out.len() <= self.max_bytes {
            return Ok(());
        }
        Err(too_large())
    }

    fn has_room(&self, text: &str) -> bool {
        self.has_room_for(text.len())
    }

    fn has_room_for(&self, bytes: usize) -> bool {
        self.out.len().saturating_add(bytes) <= self.max_bytes
    }

    fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// Writes a comma before every item but the first one.
    fn separate(&mut self, place: usize) {
        if place > 0 {
            self.out.push(b',');
        }
    }

    fn text(&mut self, text: &str) -> Result<()> {
        if !self.has_room(text) || text.len() > LONG_TEXT && !self.has_room_for(escaped_bytes(text)) {
            return Err(too_large());
        }
        push_string(&mut self.out, text).map_err(Error::internal)?;
        self.must_fit()
    }

    /// Writes a value that is built already.
    fn value(&mut self, value: &impl Serialize) -> Result<()> {
        serde_json::to_writer(&mut self.out, value).map_err(Error::internal)?;
        self.must_fit()
    }

    fn result(&mut self, ref_id: &str, result: &'a QueryResult) -> Result<()> {
        let (status, frames) = match result {
            Ok(frames) => (200, frames.as_slice()),
            Err(error) => {
                self.raw("{\"error\":");
                self.text(&error.message)?;
                self.raw(match error.origin {
                    ErrorOrigin::Plugin => ",\"errorSource\":\"plugin\",\"status\":",
                    ErrorOrigin::Downstream | ErrorOrigin::Network | ErrorOrigin::Timeout => {
                        ",\"errorSource\":\"downstream\",\"status\":"
                    }
                });
                push_whole(&mut self.out, error.status);
                self.raw(",\"frames\":[]}");
                return Ok(());
            }
        };
        self.raw("{\"status\":");
        push_whole(&mut self.out, status);
        self.raw(",\"frames\":[");
        for (place, frame) in frames.iter().enumerate() {
            self.separate(place);
            self.frame(ref_id, frame)?;
        }
        self.raw("]}");
        self.must_fit()
    }

    fn frame(&mut self, ref_id: &str, frame: &'a Frame) -> Result<()> {
        self.raw("{\"schema\":{");
        if !frame.name.is_empty() {
            self.raw("\"name\":");
            self.text(&frame.name)?;
            self.raw(",");
        }
        self.raw("\"refId\":");
        self.text(ref_id)?;
        if let Some(meta) = &frame.meta {
            self.raw(",\"meta\":{");
            self.meta(meta)?;
            self.raw("}");
        }
        self.raw(",\"fields\":[");
        for (place, field) in frame.fields.iter().enumerate() {
            self.separate(place);
            self.field(field)?;
        }
        self.raw("]},\"data\":{\"values\":[");
        let mut remarks = Remarks::default();
        for (place, field) in frame.fields.iter().enumerate() {
            self.separate(place);
            let of_column = self.column(&field.column)?;
            remarks = Remarks {
                are_special: remarks.are_special | of_column.are_special,
                have_nanos: remarks.have_nanos | of_column.have_nanos,
            };
        }
        self.raw("]");
        if remarks.are_special {
            self.entities(&frame.fields)?;
        }
        if remarks.have_nanos {
            self.nanos(&frame.fields)?;
        }
        self.raw("}}");
        Ok(())
    }

    fn meta(&mut self, meta: &FrameMeta) -> Result<()> {
        if let Some(kind) = meta.kind {
            self.raw("\"type\":");
            self.text(kind)?;
            self.raw(",");
        }
        self.raw("\"typeVersion\":");
        self.value(&meta.kind_version)?;
        if let Some(custom) = &meta.custom {
            self.raw(",\"custom\":");
            self.value(custom)?;
        }
        if !meta.notices.is_empty() {
            self.raw(",\"notices\":[");
            for (place, Notice { severity, text }) in meta.notices.iter().enumerate() {
                self.separate(place);
                self.raw("{\"severity\":");
                self.text(severity)?;
                self.raw(",\"text\":");
                self.text(text)?;
                self.raw("}");
            }
            self.raw("]");
        }
        if let Some(visualisation) = meta.preferred_visualisation {
            self.raw(",\"preferredVisualisationType\":");
            self.text(visualisation)?;
        }
        if let Some(query) = &meta.executed_query {
            self.raw(",\"executedQueryString\":");
            self.text(query)?;
        }
        Ok(())
    }

    fn field(&mut self, field: &Field) -> Result<()> {
        let (kind, type_of_cells, is_nullable) = match &field.column {
            Column::Time(cells) => ("time", "time.Time", cells.is_nullable),
            Column::Float64(cells) => ("number", "float64", cells.is_nullable),
            Column::Float32(cells) => ("number", "float32", cells.is_nullable),
            Column::Int64(cells) => ("number", "int64", cells.is_nullable),
            Column::Int32(cells) => ("number", "int32", cells.is_nullable),
            Column::Int16(cells) => ("number", "int16", cells.is_nullable),
            Column::Bool(cells) => ("boolean", "bool", cells.is_nullable),
            Column::Text(cells) => ("string", "string", cells.is_nullable),
            Column::Json(cells) => ("other", "json.RawMessage", cells.is_nullable),
        };
        self.raw("{\"name\":");
        self.text(&field.name)?;
        self.raw(",\"type\":\"");
        self.raw(kind);
        self.raw("\",\"typeInfo\":{\"frame\":\"");
        self.raw(type_of_cells);
        self.raw(if is_nullable { "\",\"nullable\":true}" } else { "\"}" });
        if let Some(labels) = &field.labels {
            self.raw(",\"labels\":{");
            for (place, (name, value)) in labels.iter().enumerate() {
                self.separate(place);
                self.text(name)?;
                self.raw(":");
                self.text(value)?;
            }
            self.raw("}");
        }
        if let Some(config) = &field.config {
            self.raw(",\"config\":{");
            self.config(config)?;
            self.raw("}");
        }
        self.raw("}");
        Ok(())
    }

    fn config(&mut self, config: &FieldConfig) -> Result<()> {
        let begin = self.out.len();
        let member = |writer: &mut Self, name: &str| {
            writer.separate(writer.out.len() - begin);
            writer.raw("\"");
            writer.raw(name);
            writer.raw("\":");
        };
        if let Some(name) = &config.display_name_from_ds {
            member(self, "displayNameFromDS");
            self.text(name)?;
        }
        if let Some(is_filterable) = config.is_filterable {
            member(self, "filterable");
            self.raw(if is_filterable { "true" } else { "false" });
        }
        if let Some(unit) = &config.unit {
            member(self, "unit");
            self.text(unit)?;
        }
        if let Some(interval_ms) = config.interval_ms.filter(|interval| interval.is_finite()) {
            member(self, "interval");
            push_f64(&mut self.out, interval_ms);
        }
        if let Some(links) = &config.links {
            member(self, "links");
            self.value(links)?;
        }
        Ok(())
    }
}

/// What is said of the cells of a frame beside them.
#[derive(Clone, Copy, Default)]
struct Remarks {
    /// Some are NaN or infinite.
    are_special: bool,
    /// Some are times that are no whole milliseconds.
    have_nanos: bool,
}

impl<'a> Writer<'a> {
    fn column(&mut self, column: &'a Column) -> Result<Remarks> {
        let mut remarks = Remarks::default();
        match column {
            Column::Time(cells) => {
                self.times(cells)?;
                remarks.have_nanos = nanos_of(cells).any(|nanos| nanos != 0);
            }
            Column::Float64(cells) => self.cells(cells, |out, value| {
                remarks.are_special |= !value.is_finite();
                push_f64(out, *value);
            })?,
            Column::Float32(cells) => self.cells(cells, |out, value| {
                remarks.are_special |= !value.is_finite();
                push_f32(out, *value);
            })?,
            Column::Int64(cells) => self.cells(cells, |out, value| push_whole(out, *value))?,
            Column::Int32(cells) => self.cells(cells, |out, value| push_whole(out, *value))?,
            Column::Int16(cells) => self.cells(cells, |out, value| push_whole(out, *value))?,
            Column::Bool(cells) => self.cells(cells, |out, value| {
                out.extend_from_slice(if *value { b"true" } else { b"false" });
            })?,
            Column::Text(cells) => self.texts(cells, Self::text)?,
            Column::Json(cells) => self.texts(cells, Self::json)?,
        }
        Ok(remarks)
    }

    /// Writes cells of a bounded size.
    fn cells<T>(&mut self, cells: &Cells<T>, mut write: impl FnMut(&mut Vec<u8>, &T)) -> Result<()> {
        self.out.push(b'[');
        for (chunk, values) in cells.values.chunks(CELLS).enumerate() {
            self.separate(chunk);
            self.out.reserve(values.len() * BYTES_OF_CELL);
            let nulls = cells.nulls.get(chunk * CELLS..).unwrap_or_default();
            for (place, value) in values.iter().enumerate() {
                self.separate(place);
                if nulls.get(place) == Some(&true) {
                    self.raw("null");
                } else {
                    write(&mut self.out, value);
                }
            }
            self.must_fit()?;
        }
        self.out.push(b']');
        Ok(())
    }

    /// Writes times in milliseconds. If they were also those of the last series, their text is copied.
    fn times(&mut self, cells: &'a Cells<i64>) -> Result<()> {
        if let Some((last, text)) = self.times.clone()
            && last.values == cells.values
            && last.nulls == cells.nulls
        {
            self.out.extend_from_within(text);
            return self.must_fit();
        }
        let begin = self.out.len();
        self.cells(cells, |out, time| push_whole(out, time.div_euclid(NANOS_OF_MS)))?;
        self.times = Some((cells, begin..self.out.len()));
        Ok(())
    }

    /// Writes cells that can have any size.
    fn texts(&mut self, cells: &Cells<String>, write: impl Fn(&mut Self, &str) -> Result<()>) -> Result<()> {
        self.out.push(b'[');
        for (place, cell) in cells.iter().enumerate() {
            self.separate(place);
            match cell {
                Some(text) => write(self, text)?,
                None => self.raw("null"),
            }
        }
        self.out.push(b']');
        self.must_fit()
    }

    /// Writes a JSON text as it is. Should it be none, it is written as a text, which does the rest of the answer no harm.
    fn json(&mut self, text: &str) -> Result<()> {
        if !self.has_room(text) {
            return Err(too_large());
        }
        if serde_json::from_str::<IgnoredAny>(text).is_err() {
            return self.text(text);
        }
        self.raw(text);
        Ok(())
    }

    /// Says which cells are NaN or infinite, which are null in JSON.
    fn entities(&mut self, fields: &[Field]) -> Result<()> {
        self.raw(",\"entities\":[");
        for (place, field) in fields.iter().enumerate() {
            self.separate(place);
            match &field.column {
                Column::Float64(cells) => self.entities_of(cells, |value| *value)?,
                Column::Float32(cells) => self.entities_of(cells, |value| f64::from(*value))?,
                _ => self.raw("null"),
            }
        }
        self.raw("]");
        Ok(())
    }

    fn entities_of<T>(&mut self, cells: &Cells<T>, number: impl Fn(&T) -> f64) -> Result<()> {
        type Test = fn(f64) -> bool;
        const KINDS: [(&str, Test); 3] = [
            ("NaN", f64::is_nan),
            ("Inf", |value| value == f64::INFINITY),
            ("NegInf", |value| value == f64::NEG_INFINITY),
        ];
        let mut known = 0;
        for (name, is_it) in KINDS {
            let numbers = cells.iter().enumerate();
            let places = numbers
                .filter_map(|(place, value)| value.filter(|value| is_it(number(value))).map(|_| place));
            let mut count = 0;
            for place in places {
                if count == 0 {
                    self.raw(if known == 0 { "{\"" } else { ",\"" });
                    self.raw(name);
                    self.raw("\":[");
                    known += 1;
                }
                self.separate(count);
                push_whole(&mut self.out, place);
                count += 1;
                self.must_fit()?;
            }
            if count > 0 {
                self.raw("]");
            }
        }
        self.raw(if known == 0 { "null" } else { "}" });
        Ok(())
    }

    /// Says by how many nanoseconds times are after their milliseconds.
    fn nanos(&mut self, fields: &[Field]) -> Result<()> {
        self.raw(",\"nanos\":[");
        for (place, field) in fields.iter().enumerate() {
            self.separate(place);
            match &field.column {
                Column::Time(cells) if nanos_of(cells).any(|nanos| nanos != 0) => {
                    self.raw("[");
                    for (place, nanos) in nanos_of(cells).enumerate() {
                        self.separate(place);
                        push_whole(&mut self.out, nanos);
                        self.must_fit()?;
                    }
                    self.raw("]");
                }
                _ => self.raw("null"),
            }
        }
        self.raw("]");
        Ok(())
    }
}

/// By how many nanoseconds times are after their milliseconds, 0 of those that are null.
fn nanos_of(cells: &Cells<i64>) -> impl Iterator<Item = i64> {
    cells.iter().map(|time| time.map_or(0, |time| time.rem_euclid(NANOS_OF_MS)))
}

#[cfg(test)]
mod tests;
