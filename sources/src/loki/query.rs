//! A query in the form that Loki expects.

use form_urlencoded::Serializer;
use kymograph_app::source::backend::{Query, QueryError, SourceSettings};
use kymograph_domain::source::frame::Labels;

use crate::backend::{expression, flag, number, range_ms, text};
use crate::client::json_number;
use crate::interval::{self, MAX_POINTS, SECOND, seconds_text};
use crate::prometheus::metric_name;
use crate::template;

/// The number of lines if neither the query nor the source sets one.
const DEFAULT_LINES: i64 = 1_000;

/// The maximum number of lines requested. Loki's own limit is lower unless its operator raised it.
pub(crate) const MAX_LINES: i64 = 100_000;

/// A query of Loki.
#[derive(Clone, Debug)]
pub(super) struct LokiQuery {
    /// The expression without variables.
    pub(super) expression: String,
    /// Whether the values at the end of the range are requested, instead of a series over the range.
    pub(super) is_instant: bool,
    /// Whether the oldest lines come first.
    pub(super) is_forward: bool,
    /// The time between points.
    pub(super) step_ms: i64,
    legend: String,
    lines: i64,
    start_ns: i64,
    end_ns: i64,
}

impl LokiQuery {
    /// Reads the model of a query.
    pub(super) fn try_new(query: &Query, source: &SourceSettings) -> Result<Self, QueryError> {
        let model = &query.model;
        let (expression, range_ms) = (expression(model)?, range_ms(query)?);
        let nanos = |millis: i64| {
            let nanos = millis.checked_mul(1_000_000);
            nanos.ok_or_else(|| QueryError::invalid("the range of time is out of reach"))
        };
        let kind = match query.query_type.as_str() {
            "" => text(model, "queryType")?,
            kind => kind,
        };
        let is_instant = match kind {
            "instant" => true,
            "range" | "stream" => false,
            "" => flag(model, "instant"),
            _ => return Err(QueryError::invalid("queryType has to be range, instant or stream")),
        };
        let step_ms = step(query, range_ms)?;
        let (interval_ms, auto) = (query.interval_ms.max(1), if is_instant { range_ms } else { step_ms });
        let from_settings = json_number(source, "maxLines").and_then(|lines| i64::try_from(lines).ok());
        let lines = number(model, "maxLines").filter(|lines| *lines > 0).or(from_settings);
        Ok(Self {
            expression: fill(expression, interval_ms, range_ms, auto),
            is_instant,
            is_forward: text(model, "direction")? == "forward",
            step_ms,
            legend: template::legend_format(model)?,
            lines: lines.filter(|lines| *lines > 0).unwrap_or(DEFAULT_LINES).min(MAX_LINES),
            start_ns: nanos(query.range.from_ms)?,
            end_ns: nanos(query.range.to_ms)?,
        })
    }

    /// The parameters of `query_range` or of `query`.
    pub(super) fn parameters(&self) -> String {
        let mut parameters = Serializer::new(String::with_capacity(self.expression.len() + 128));
        parameters.append_pair("query", &self.expression);
        if self.is_instant {
            parameters.append_pair("time", &self.end_ns.to_string());
        } else {
            parameters.append_pair("start", &self.start_ns.to_string());
            parameters.append_pair("end", &self.end_ns.to_string());
            parameters.append_pair("step", &seconds_text(self.step_ms));
        }
        parameters.append_pair("direction", if self.is_forward { "forward" } else { "backward" });
        parameters.append_pair("limit", &self.lines.to_string());
        parameters.finish()
    }

    /// The metric query as it was sent, for people.
    pub(super) fn executed(&self) -> String {
        let step = interval::go_text(self.step_ms);
        if self.is_instant {
            self.executed_logs()
        } else {
            format!("Expr: {}\nStep: {step}", self.expression)
        }
    }

    /// The log query as it was sent, for people.
    pub(super) fn executed_logs(&self) -> String {
        format!("Expr: {}", self.expression)
    }

    /// The name of a series.
    pub(super) fn name(&self, labels: &Labels) -> String {
        if self.legend.is_empty() {
            return metric_name(labels);
        }
        template::legend(&self.legend, |label| labels.get(label).map(String::as_str))
    }
}

/// The time between points: that of the query, or that of the panel multiplied by the factor of the query.
fn step(query: &Query, range_ms: i64) -> Result<i64, QueryError> {
    let interval_ms = query.interval_ms.max(1);
    let wanted = fill(text(&query.model, "step")?.trim(), interval_ms, range_ms, interval_ms);
    let step_ms = if wanted.is_empty() {
        let factor = number(&query.model, "resolution").unwrap_or(1).clamp(1, 1_000);
        interval_ms.saturating_mul(factor)
    } else {
        interval::parse(&wanted)
            .ok_or_else(|| QueryError::invalid("the step of the query is no interval like 15s"))?
    };
    Ok(step_ms.max((range_ms / MAX_POINTS).saturating_add(1)))
}

fn fill(expression: &str, interval_ms: i64, range_ms: i64, auto_ms: i64) -> String {
    let range_s = range_ms.saturating_add(SECOND / 2) / SECOND;
    let values = [
        ("__interval", interval::text(interval_ms)),
        ("__interval_ms", interval_ms.to_string()),
        ("__range", format!("{range_s}s")),
        ("__range_s", range_s.to_string()),
        ("__range_ms", range_ms.to_string()),
        ("__auto", interval::text(auto_ms.max(1))),
    ];
    template::fill(expression, |name| {
        values.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    })
}

#[cfg(test)]
mod tests {
    use kymograph_app::source::backend::TimeRange;
    use serde_json::{Value, json};

    use super::*;
    use crate::fixture::{query, source};

    fn read(model: Value) -> Result<LokiQuery, QueryError> {
        let mut query = query(model);
        query.range = TimeRange { from_ms: 1_700_000_000_000, to_ms: 1_700_003_600_000 };
        query.interval_ms = 15_000;
        LokiQuery::try_new(&query, &source("http://localhost"))
    }

    #[test]
    fn parameters_are_those_of_its_api() {
        let cases = [
            (
                json!({"expr": "{a=\"b\"}"}),
                "query=%7Ba%3D%22b%22%7D&start=1700000000000000000&end=1700003600000000000&step=15\
                 &direction=backward&limit=1000",
            ),
            (
                json!({"expr": "x", "queryType": "instant", "maxLines": 5, "direction": "forward"}),
                "query=x&time=1700003600000000000&direction=forward&limit=5",
            ),
            (
                json!({"expr": "x", "step": "$__interval", "resolution": 7}),
                "query=x&start=1700000000000000000&end=1700003600000000000&step=15&direction=backward&limit=1000",
            ),
            (
                json!({"expr": "x", "resolution": 2, "maxLines": 10_000_000}),
                "query=x&start=1700000000000000000&end=1700003600000000000&step=30&direction=backward&limit=100000",
            ),
            (
                json!({"expr": "x", "step": "1ms"}),
                "query=x&start=1700000000000000000&end=1700003600000000000&step=0.328&direction=backward&limit=1000",
            ),
        ];
        for (model, expected) in cases {
            assert_eq!(read(model.clone()).unwrap().parameters(), expected, "{model}");
        }
    }

    #[test]
    fn variables_stand_for_times() {
        let expr = "[$__interval] [$__auto] [${__range}] $__range_ms";
        let range = read(json!({"expr": expr, "step": "1m"})).unwrap();
        assert_eq!(range.expression, "[15s] [1m] [3600s] 3600000");
        assert_eq!(range.executed(), format!("Expr: {}\nStep: 1m0s", range.expression));
        let instant = read(json!({"expr": expr, "queryType": "instant"})).unwrap();
        assert_eq!(instant.expression, "[15s] [1h] [3600s] 3600000");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for model in [
            json!({}),
            json!({"expr": "x", "queryType": "guess"}),
            json!({"expr": "x", "step": "often"}),
            json!({"expr": "x", "direction": 1}),
        ] {
            assert_eq!(read(model).unwrap_err().status, 400);
        }
    }
}
