//! Lines of a log.

use kymograph_app::source::backend::Query;
use kymograph_domain::source::frame::{Cells, Column, Field, Frame, FrameMeta};
use serde_json::Value;

use super::model::{alias, count};
use super::points::time_column;
use super::random::Random;

/// The maximum number of lines of a log.
pub const MAX_LINES: usize = 10_000;
const DEFAULT_LINES: usize = 10;
/// The time between two lines.
const STEP_MS: i64 = 3000;

const LEVELS: [&str; 4] = ["info", "warn", "error", "debug"];
const WHAT: [&str; 4] = ["request served", "cache refreshed", "connection closed", "job started"];
const WHERE: [&str; 4] = ["gateway", "worker", "scheduler", "storage"];

/// Lines up to the end of the range, newest first.
pub(super) fn logs(query: &Query) -> Result<Vec<Frame>, String> {
    let lines = count(&query.model, "lines", DEFAULT_LINES, MAX_LINES)?;
    let has_level = query.model.get("levelColumn").and_then(Value::as_bool).unwrap_or_default();
    let mut random = Random::of(&query.ref_id, 0, query.range.to_ms);
    let mut time = query.range.to_ms;
    let (mut times, mut messages, mut hosts, mut levels) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..lines {
        let (level, part) = (*random.pick(&LEVELS), *random.pick(&WHERE));
        let took_ms = (random.number() * 500.0).round();
        times.push(time);
        messages.push(format!("level={level} part={part} msg=\"{}\" took={took_ms}ms", random.pick(&WHAT)));
        hosts.push(part.to_owned());
        levels.push(level.to_owned());
        time = time.saturating_sub(STEP_MS);
    }
    let text = |cells| Column::Text(Cells::nullable(cells));
    let mut fields = vec![
        Field::new("time", time_column(&times)),
        Field::new("message", text(messages)),
        Field::new("hostname", text(hosts)),
    ];
    if has_level {
        fields.push(Field::new("level", text(levels)));
    }
    let meta = FrameMeta { preferred_visualisation: Some("logs"), ..FrameMeta::default() };
    Ok(vec![Frame {
        name: alias(&query.model, 0, query.ref_id.clone())?,
        meta: Some(Box::new(meta)),
        fields,
    }])
}
