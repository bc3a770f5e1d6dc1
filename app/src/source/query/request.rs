//! Reading the queries of a request.

use std::sync::Arc;

use kymograph_domain::Timestamp;
use kymograph_domain::source::expression::is_expression;
use kymograph_domain::source::time_range::parse_range;
use serde_json::{Map, Value};

use super::NewQueries;
use crate::kernel::error::{Error, Result};
use crate::source::backend::{Query, TimeRange};
use crate::source::data_source::{DataSourceKey, DataSourceView};

/// The maximum number of queries in a request.
pub const MAX_QUERIES: usize = 100;

const DEFAULT_REF_ID: &str = "A";
const DEFAULT_MAX_DATA_POINTS: i64 = 100;
const DEFAULT_INTERVAL_MS: i64 = 1000;
/// The maximum number of points of a series, even if a client requests more.
const MAX_DATA_POINTS: i64 = 50_000;

/// The data source that a query names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SourceName {
    Uid(String),
    Id(i64),
}

impl SourceName {
    pub(super) fn key(&self) -> DataSourceKey<'_> {
        match self {
            Self::Uid(uid) => DataSourceKey::Uid(uid),
            Self::Id(id) => DataSourceKey::Id(*id),
        }
    }

    /// Whether it is the name of a data source.
    pub(super) fn names(&self, view: &DataSourceView) -> bool {
        match self {
            Self::Uid(uid) => view.uid.as_str() == uid,
            Self::Id(id) => view.id == *id,
        }
    }
}

/// A parsed query.
pub(super) struct Parsed {
    /// The source to query; `None` for an expression.
    pub(super) source: Option<SourceName>,
    pub(super) query: Query,
}

/// Reads the queries of a request.
pub(super) fn parse(new: NewQueries, now: Timestamp) -> Result<Vec<Parsed>> {
    if new.queries.is_empty() {
        return Err(Error::invalid("no queries found").with_code("query.noQueries"));
    }
    if new.queries.len() > MAX_QUERIES {
        return Err(Error::invalid(format!("a request has at most {MAX_QUERIES} queries")));
    }
    // Panels that request the last hour at the same time get the same hour.
    let now_ms = now.0 / 1_000_000 * 1000;
    let NewQueries { from, to, queries, .. } = new;
    queries.into_iter().map(|model| parse_query((&from, &to), model, now_ms)).collect()
}

fn parse_query(of_request: (&Value, &Value), model: Map<String, Value>, now_ms: i64) -> Result<Parsed> {
    let own = model.get("timeRange").and_then(Value::as_object);
    let (from, to) = match own {
        Some(range) => (range.get("from").unwrap_or(of_request.0), range.get("to").unwrap_or(of_request.1)),
        None => of_request,
    };
    let (from_ms, to_ms) =
        parse_range(from, to, now_ms).map_err(|error| Error::invalid(error.to_string()))?;
    let text = |name: &str| model.get(name).and_then(Value::as_str).unwrap_or_default();
    let number =
        |name: &str, default| number_of(model.get(name)).filter(|number| *number > 0).unwrap_or(default);
    let ref_id = Some(text("refId")).filter(|name| !name.is_empty()).unwrap_or(DEFAULT_REF_ID).to_owned();
    let source = if is_expression(&model) { None } else { Some(source_of(&model)?) };
    let query = Query {
        ref_id,
        query_type: text("queryType").to_owned(),
        range: TimeRange { from_ms, to_ms },
        interval_ms: number("intervalMs", DEFAULT_INTERVAL_MS),
        max_data_points: number("maxDataPoints", DEFAULT_MAX_DATA_POINTS).min(MAX_DATA_POINTS),
        model: Arc::new(model),
    };
    Ok(Parsed { source, query })
}

/// The source by the uid, by the text that older clients send, or by the numeric id.
fn source_of(model: &Map<String, Value>) -> Result<SourceName> {
    let uid = match model.get("datasource") {
        Some(Value::Object(source)) => source.get("uid").and_then(Value::as_str),
        Some(Value::String(uid)) => Some(uid.as_str()),
        _ => None,
    };
    if let Some(uid) = uid.filter(|uid| !uid.is_empty()) {
        return Ok(SourceName::Uid(uid.to_owned()));
    }
    let id = number_of(model.get("datasourceId")).filter(|id| *id > 0);
    id.map(SourceName::Id).ok_or_else(|| {
        let message = "Query does not contain a valid data source identifier";
        Error::invalid(message).with_code("query.invalidDatasourceId")
    })
}

/// An integer, which some clients send as `100.0`.
fn number_of(value: Option<&Value>) -> Option<i64> {
    let value = value?;
    #[allow(clippy::cast_possible_truncation, reason = "what does not fit is as large as can be")]
    value.as_i64().or_else(|| value.as_f64().map(|number| number as i64))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn queries(queries: Value) -> NewQueries {
        let queries = queries.as_array().unwrap().iter().map(|query| query.as_object().unwrap().clone());
        NewQueries {
            from: json!("now-1h"),
            to: json!("now"),
            queries: queries.collect(),
            headers: Vec::new(),
        }
    }

    fn parsed(model: Value) -> Result<Parsed> {
        parse(queries(json!([model])), Timestamp(7_200_123_456)).map(|mut parsed| parsed.remove(0))
    }

    #[test]
    fn what_is_left_out_has_defaults() {
        let Parsed { source, query } = parsed(json!({"datasource": {"uid": "p"}})).ok().unwrap();
        assert_eq!(source, Some(SourceName::Uid("p".to_owned())));
        assert_eq!((&*query.ref_id, query.interval_ms, query.max_data_points), ("A", 1000, 100));
        assert_eq!(query.range, TimeRange { from_ms: 3_600_000, to_ms: 7_200_000 });
        let many = json!({"datasourceId": 7.0, "refId": "B", "maxDataPoints": 1e300, "intervalMs": -5});
        let Parsed { source, query } = parsed(many).ok().unwrap();
        assert_eq!(source, Some(SourceName::Id(7)));
        assert_eq!((&*query.ref_id, query.interval_ms, query.max_data_points), ("B", 1000, MAX_DATA_POINTS));
    }

    #[test]
    fn a_query_can_have_a_time_of_its_own_and_be_an_expression() {
        let own = json!({"datasource": "p", "timeRange": {"from": "1000", "to": "2000"}});
        assert_eq!(parsed(own).ok().unwrap().query.range, TimeRange { from_ms: 1000, to_ms: 2000 });
        let expression = json!({"datasource": {"uid": "__expr__"}, "type": "math", "expression": "1"});
        assert!(parsed(expression).ok().unwrap().source.is_none());
    }

    #[test]
    fn requests_that_make_no_sense_are_refused() {
        let code = |result: Result<Vec<Parsed>>| result.err().and_then(|error| error.code());
        let now = Timestamp(0);
        assert_eq!(code(parse(queries(json!([])), now)), Some("query.noQueries"));
        for source in
            [json!({}), json!({"datasource": {}}), json!({"datasource": ""}), json!({"datasourceId": 0})]
        {
            assert_eq!(code(parse(queries(json!([source])), now)), Some("query.invalidDatasourceId"));
        }
        let many = |count| queries(Value::Array(vec![json!({"datasource": "p"}); count]));
        assert!(parse(many(MAX_QUERIES), now).is_ok() && parse(many(MAX_QUERIES + 1), now).is_err());
        let wrong = NewQueries { from: json!("yesterday"), ..queries(json!([{"datasource": "p"}])) };
        assert!(parse(wrong, now).is_err());
    }
}
