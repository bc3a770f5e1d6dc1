//! A query in the form that Prometheus expects: the range and step, and the expression without variables.

use form_urlencoded::Serializer;
use kymograph_app::source::backend::{Query, QueryError, SourceSettings};
use kymograph_domain::source::frame::Labels;

use crate::backend::{expression, flag, number, range_ms, text};
use crate::client::json_text;
use crate::interval::{self, SECOND, seconds_text};
use crate::template;

/// The default scrape interval.
const SCRAPE_INTERVAL_MS: i64 = 15 * SECOND;

/// The maximum factor by which a query multiplies its step.
const MAX_FACTOR: i64 = 1_000;

/// The maximum offset of a clock from UTC.
const MAX_OFFSET_MS: i64 = 24 * 60 * 60 * SECOND;

/// The legend that leaves the naming to the client, which sees how the series differ.
const AUTO_LEGEND: &str = "__auto";

/// A query of Prometheus.
#[derive(Clone, Debug)]
pub(super) struct PrometheusQuery {
    /// The expression without variables.
    pub(super) expression: String,
    /// How series are named.
    legend: String,
    /// The time between points.
    pub(super) step_ms: i64,
    /// The first point.
    start_ms: i64,
    /// The last point.
    end_ms: i64,
    /// The end of the range of the request, at which an instant query is evaluated.
    instant_ms: i64,
    /// Further parameters of the source's settings.
    parameters: String,
    /// Whether points in a range are requested.
    pub(super) is_range: bool,
    /// Whether the values at its end are requested.
    pub(super) is_instant: bool,
    /// Whether exemplars are requested.
    pub(super) is_exemplar: bool,
}

impl PrometheusQuery {
    /// Reads the model of a query.
    pub(super) fn try_new(query: &Query, source: &SourceSettings) -> Result<Self, QueryError> {
        let model = &query.model;
        let (range, expression, range_ms) = (query.range, expression(model)?, range_ms(query)?);
        let times = Times::of(query, source, range_ms)?;
        let offset_ms = number(model, "utcOffsetSec").unwrap_or_default().saturating_mul(SECOND);
        let offset_ms = offset_ms.clamp(-MAX_OFFSET_MS, MAX_OFFSET_MS);
        let aligned = |at: i64| {
            at.checked_add(offset_ms)
                .map(|local| local.div_euclid(times.step_ms))
                .and_then(|steps| steps.checked_mul(times.step_ms)?.checked_sub(offset_ms))
                .ok_or_else(|| QueryError::invalid("the range of time is out of reach"))
        };
        let (is_instant, is_exemplar) = (flag(model, "instant"), flag(model, "exemplar"));
        Ok(Self {
            expression: times.fill(expression, range_ms),
            legend: template::legend_format(model)?,
            step_ms: times.step_ms,
            start_ms: aligned(range.from_ms)?,
            end_ms: aligned(range.to_ms)?,
            instant_ms: range.to_ms,
            parameters: json_text(source, "customQueryParameters").to_owned(),
            is_range: flag(model, "range") || !is_instant,
            is_instant,
            is_exemplar,
        })
    }

    /// The parameters of `query_range`.
    pub(super) fn range_parameters(&self) -> String {
        let mut parameters = self.begun();
        self.add_span(&mut parameters);
        parameters.append_pair("step", &seconds_text(self.step_ms));
        self.finished(parameters)
    }

    /// The parameters of `query`.
    pub(super) fn instant_parameters(&self) -> String {
        let mut parameters = self.begun();
        parameters.append_pair("time", &seconds_text(self.instant_ms));
        self.finished(parameters)
    }

    /// The parameters of `query_exemplars`.
    pub(super) fn exemplar_parameters(&self) -> String {
        let mut parameters = self.begun();
        self.add_span(&mut parameters);
        self.finished(parameters)
    }

    fn begun(&self) -> Serializer<'static, String> {
        let mut parameters = Serializer::new(String::with_capacity(self.expression.len() + 128));
        parameters.append_pair("query", &self.expression);
        parameters
    }

    fn add_span(&self, parameters: &mut Serializer<'static, String>) {
        parameters.append_pair("start", &seconds_text(self.start_ms));
        parameters.append_pair("end", &seconds_text(self.end_ms));
    }

    fn finished(&self, mut parameters: Serializer<'static, String>) -> String {
        parameters.extend_pairs(form_urlencoded::parse(self.parameters.as_bytes()));
        parameters.finish()
    }

    /// The query as it was sent, for people.
    pub(super) fn executed(&self) -> String {
        format!("Expr: {}\nStep: {}", self.expression, interval::go_text(self.step_ms))
    }

    /// The name of a series; empty if the client chooses one.
    pub(super) fn name(&self, labels: &Labels) -> String {
        let name = match self.legend.as_str() {
            AUTO_LEGEND if labels.is_empty() => self.expression.clone(),
            AUTO_LEGEND => return String::new(),
            "" => metric_name(labels),
            format => template::legend(format, |label| labels.get(label).map(String::as_str)),
        };
        if name.is_empty() || name == "{}" { self.expression.clone() } else { name }
    }
}

/// A series in the notation of queries, like `up{job="a"}`.
pub(crate) fn metric_name(labels: &Labels) -> String {
    const NAME: &str = "__name__";
    let mut text = labels.get(NAME).cloned().unwrap_or_default();
    let others: Vec<_> = labels
        .iter()
        .filter(|(name, _)| *name != NAME)
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    if !others.is_empty() || text.is_empty() {
        text.push('{');
        text.push_str(&others.join(", "));
        text.push('}');
    }
    text
}

/// The step of a query and the value of `__rate_interval`.
struct Times {
    step_ms: i64,
    rate_ms: i64,
}

impl Times {
    fn of(query: &Query, source: &SourceSettings, range_ms: i64) -> Result<Self, QueryError> {
        let scrape_ms = match json_text(source, "timeInterval") {
            "" => SCRAPE_INTERVAL_MS,
            text => interval::parse(text).ok_or_else(|| {
                QueryError::invalid("the scrape interval of the data source is no interval")
            })?,
        };
        let text = text(&query.model, "interval")?.trim();
        let variable = text.strip_prefix('$').map(|name| name.trim_matches(['{', '}']));
        let wanted_ms =
            match (text, variable) {
                ("" | "0s", _) | (_, Some(_)) => None,
                _ => Some(interval::parse(text).ok_or_else(|| {
                    QueryError::invalid("the interval of the query is no interval like 15s")
                })?),
            };
        let asked_ms = Some(query.interval_ms).filter(|millis| *millis > 0);
        let least_ms = wanted_ms.or(asked_ms).unwrap_or(scrape_ms);
        let fitting_ms = interval::fitting(range_ms, query.max_data_points, least_ms);
        let step_ms = fitting_ms.max(interval::safe(range_ms));
        if variable == Some("__rate_interval") {
            // The rate interval is final: no factor changes it.
            let rate_ms = rate(step_ms, scrape_ms);
            return Ok(Self { step_ms: rate_ms, rate_ms });
        }
        let factor = number(&query.model, "intervalFactor").unwrap_or(1).clamp(1, MAX_FACTOR);
        let step_ms = step_ms.saturating_mul(factor);
        let between_scrapes = match variable {
            Some("__interval") => step_ms,
            _ => wanted_ms.unwrap_or(scrape_ms),
        };
        Ok(Self { step_ms, rate_ms: rate(step_ms, between_scrapes) })
    }

    fn fill(&self, expression: &str, range_ms: i64) -> String {
        let range_s = (range_ms + SECOND / 2) / SECOND;
        let values = [
            ("__interval", interval::text(self.step_ms)),
            ("__interval_ms", self.step_ms.to_string()),
            ("__rate_interval", interval::go_text(self.rate_ms)),
            ("__rate_interval_ms", self.rate_ms.to_string()),
            ("__range", format!("{range_s}s")),
            ("__range_s", range_s.to_string()),
            ("__range_ms", range_ms.to_string()),
        ];
        template::fill(expression, |name| {
            values.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
        })
    }
}

/// A range that covers at least four scrapes, so that a rate has two samples even if some scrapes failed.
fn rate(step_ms: i64, scrape_ms: i64) -> i64 {
    step_ms.saturating_add(scrape_ms).max(scrape_ms.saturating_mul(4))
}

#[cfg(test)]
mod tests {
    use kymograph_app::source::backend::TimeRange;
    use serde_json::{Value, json};

    use super::*;
    use crate::fixture::{query, source};

    const HOUR_MS: i64 = 3_600_000;

    fn read(model: Value, change: impl FnOnce(&mut Query)) -> Result<PrometheusQuery, QueryError> {
        let mut query = query(model);
        query.range = TimeRange { from_ms: 1_700_000_003_000, to_ms: 1_700_000_003_000 + HOUR_MS };
        change(&mut query);
        PrometheusQuery::try_new(&query, &source("http://localhost"))
    }

    #[test]
    fn steps_follow_the_panel_the_query_and_the_cap() {
        let cases = [
            (json!({"expr": "up"}), 15_000, 1_000, 15_000),
            (json!({"expr": "up", "interval": "1m"}), 15_000, 1_000, 60_000),
            (json!({"expr": "up", "interval": "1m", "intervalFactor": 2}), 15_000, 1_000, 120_000),
            (json!({"expr": "up", "interval": "1s"}), 15_000, 100, 30_000),
            (json!({"expr": "up", "interval": "$__interval"}), 15_000, 1_000, 15_000),
            (json!({"expr": "up", "interval": "$__rate_interval"}), 15_000, 1_000, 60_000),
            (
                json!({"expr": "up", "interval": "${__rate_interval}", "intervalFactor": 3}),
                60_000,
                1_000,
                75_000,
            ),
            (json!({"expr": "up"}), 0, 1_000, 15_000),
            (json!({"expr": "up"}), 1, 1_000_000, 500),
        ];
        for (model, interval_ms, points, step) in cases {
            let read = read(model.clone(), |query| {
                query.interval_ms = interval_ms;
                query.max_data_points = points;
            });
            assert_eq!(read.unwrap().step_ms, step, "{model}");
        }
    }

    #[test]
    fn ranges_begin_at_whole_steps_of_the_local_clock() {
        let parameters = |model: Value| {
            let made = read(model, |query| query.interval_ms = 3_600_000).unwrap();
            made.range_parameters()
        };
        let plain = parameters(json!({"expr": "a + b"}));
        assert_eq!(plain, "query=a+%2B+b&start=1699999200&end=1700002800&step=3600");
        let shifted = parameters(json!({"expr": "up", "utcOffsetSec": 1_800}));
        assert_eq!(shifted, "query=up&start=1699997400&end=1700001000&step=3600");
        let instant = read(json!({"expr": "up", "instant": true}), |_| ()).unwrap();
        assert_eq!(instant.instant_parameters(), "query=up&time=1700003603");
        assert!(instant.is_instant && !instant.is_range);
    }

    #[test]
    fn variables_stand_for_times() {
        let model = json!({"expr": "a[$__interval] b[${__rate_interval}] c[$__range] $__range_ms ${__range_s} \
            $__interval_ms $__rate_interval_ms"});
        let made = read(model, |query| query.interval_ms = 15_000).unwrap();
        assert_eq!(made.expression, "a[15s] b[1m0s] c[3600s] 3600000 3600 15000 60000");
        assert_eq!(made.executed(), format!("Expr: {}\nStep: 15s", made.expression));
        let model = json!({"expr": "$__rate_interval", "interval": "30s"});
        assert_eq!(read(model, |query| query.interval_ms = 1_000).unwrap().expression, "2m0s");
    }

    #[test]
    fn series_have_names() {
        let labels: Labels = [("__name__", "up"), ("job", "a\"b")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let named = |legend: &str, labels: &Labels| {
            read(json!({"expr": "sum(x)", "legendFormat": legend}), |_| ()).unwrap().name(labels)
        };
        assert_eq!(named("", &labels), r#"up{job="a\"b"}"#);
        assert_eq!(named("{{job}}!", &labels), "a\"b!");
        assert_eq!(named("__auto", &labels), "");
        assert_eq!(named("__auto", &Labels::new()), "sum(x)");
        assert_eq!(named("", &Labels::new()), "sum(x)");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let long = "a".repeat(crate::backend::MAX_EXPRESSION + 1);
        for model in [
            json!({}),
            json!({"expr": " "}),
            json!({"expr": 1}),
            json!({"expr": long}),
            json!({"expr": "up", "interval": "often"}),
            json!({"expr": "up", "legendFormat": []}),
            json!({"expr": "up", "legendFormat": "x".repeat(2049)}),
        ] {
            assert_eq!(read(model, |_| ()).unwrap_err().status, 400);
        }
        for (from_ms, to_ms) in [(1, 0), (i64::MIN, i64::MAX), (i64::MIN, i64::MIN)] {
            let made = read(json!({"expr": "up", "utcOffsetSec": i64::MIN}), |query| {
                query.range = TimeRange { from_ms, to_ms };
            });
            assert_eq!(made.unwrap_err().status, 400);
        }
    }
}
