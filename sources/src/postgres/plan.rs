//! The plan of a query, and the frame of its result.

use kymograph_app::source::backend::{Query, TimeRange};
use kymograph_domain::source::frame::{Frame, FrameMeta, Notice};
use serde_json::Value;

use super::column::Table;
use super::query::{Answer, Cut};
use super::settings::PostgresSettings;
use crate::interval::fitting;
use crate::sql::fill::{Fill, fill_of};
use crate::sql::macros::{Replacements, statement};
use crate::sql::time_series::{SeriesOptions, time_series, with_times};

/// The default minimum time between points, in milliseconds, if neither the query nor its source sets it.
const LEAST_INTERVAL_MS: i64 = 60_000;

/// The format of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    TimeSeries,
    Table,
    Logs,
}

/// A parsed query.
pub(super) struct Plan {
    /// The statement.
    pub(super) sql: String,
    format: Format,
    fill: Option<Fill>,
    range: TimeRange,
}

/// The memory allowed for series, in bytes: a constant, and a part for each byte of the rows.
const WIDE_BYTES: usize = 1024 * 1024;
const WIDE_BYTES_OF_BYTE: usize = 16;

impl Plan {
    /// Parses a query; `None` if it has no statement.
    pub(super) fn of(query: &Query, settings: &PostgresSettings) -> Result<Option<Self>, String> {
        let raw_sql = match query.model.get("rawSql") {
            None | Some(Value::Null) => "",
            Some(Value::String(text)) => text.as_str(),
            Some(_) => return Err("rawSql must be a text".to_owned()),
        };
        if raw_sql.trim().is_empty() {
            return Ok(None);
        }
        let range = query.range;
        let wanted = if query.interval_ms > 0 { Some(query.interval_ms) } else { settings.least_interval_ms };
        let interval_ms = fitting(
            range.to_ms.saturating_sub(range.from_ms).max(0),
            query.max_data_points,
            wanted.unwrap_or(LEAST_INTERVAL_MS),
        );
        let replacements = Replacements { range, interval_ms, has_time_bucket: settings.has_timescale };
        let statement = statement(raw_sql, replacements)?;
        let fill: Option<Fill> = match statement.fill {
            Some(fill) => Some(fill),
            None => fill_of(&query.model)?,
        };
        Ok(Some(Self { sql: statement.sql, format: format(query.model.get("format"))?, fill, range }))
    }

    /// The memory allowed for the frame of an answer in addition to the answer of `rows` bytes. Most tables of series
    /// have about as many cells as rows; missing cells are null.
    pub(super) fn bytes_of_frames(&self, rows: usize) -> usize {
        match self.format {
            Format::TimeSeries => rows.saturating_mul(WIDE_BYTES_OF_BYTE).saturating_add(WIDE_BYTES),
            Format::Table | Format::Logs => 0,
        }
    }

    /// The frame of an answer, whose series may take up to `max_bytes` bytes.
    pub(super) fn frames(self, answer: Answer, max_bytes: usize) -> Result<Vec<Frame>, String> {
        let mut notices = Vec::new();
        let rows = answer.table.as_ref().map_or(0, Table::rows);
        match answer.cut {
            Some(Cut::Rows) => {
                notices
                    .push(format!("The query returns more than {rows} rows, of which these are the first"));
            }
            Some(Cut::Bytes) => notices.push(format!(
                "The query returns more than an answer may hold; these are the first {rows} rows"
            )),
            None => {}
        }
        let mut fields = Vec::new();
        if let Some(table) = answer.table.filter(|table| table.rows() > 0) {
            if table.lost_times() > 0 {
                let text = "{} times are infinite or beyond the years 1678 to 2261, and shown as null";
                notices.push(text.replace("{}", &table.lost_times().to_string()));
            }
            fields = match self.format {
                Format::TimeSeries => {
                    let options = SeriesOptions { fill: self.fill, range: self.range, max_bytes };
                    time_series(table.into_fields(), options)?
                }
                Format::Table | Format::Logs => with_times(table.into_fields()),
            };
        }
        let meta = FrameMeta {
            executed_query: Some(self.sql),
            preferred_visualisation: (self.format == Format::Logs).then_some("logs"),
            notices: notices.into_iter().map(|text| Notice { severity: "warning", text }).collect(),
            ..FrameMeta::default()
        };
        Ok(vec![Frame { name: String::new(), meta: Some(Box::new(meta)), fields }])
    }
}

fn format(value: Option<&Value>) -> Result<Format, String> {
    match value {
        None | Some(Value::Null) => Ok(Format::TimeSeries),
        Some(Value::String(text)) if text.is_empty() || text == "time_series" => Ok(Format::TimeSeries),
        Some(Value::String(text)) if text == "table" => Ok(Format::Table),
        Some(Value::String(text)) if text == "logs" => Ok(Format::Logs),
        Some(_) => Err("format must be time_series, table or logs".to_owned()),
    }
}
