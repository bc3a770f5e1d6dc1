//! Expressions: computations on the results of data sources and of other expressions.
//!
//! A [`Plan`] is made of the queries of a request, and then evaluated on their results. It converts frames to sets of
//! series and numbers, from which each kind of expression makes another set. Work and memory are metered, because a
//! join can be a product.

mod classic;
mod convert;
mod join;
mod math;
mod meter;
mod model;
mod plan;
mod reason;
mod reduce;
mod resample;
mod set;
mod threshold;

#[cfg(test)]
mod fuzz;

use serde_json::{Map, Value};

pub use classic::{ClassicConditions, MAX_CONDITIONS};
pub use convert::Converter;
pub use join::MAX_SERIES;
pub use math::{Formula, MAX_BYTES, MAX_DEPTH};
pub use meter::{MAX_VALUES, MAX_WORK, Meter};
pub use plan::{Evaluation, Plan, PlannedQuery};
pub use reason::{ExpressionError, ExpressionFault, Reason};
pub use resample::MAX_POINTS;
pub use set::{Data, Item, Points, Set, Shared};
pub use threshold::Threshold;

/// The maximum number of expressions of a request.
pub const MAX_EXPRESSIONS: usize = 100;
/// The maximum length of the name of a query, in bytes.
pub const MAX_REF_ID_BYTES: usize = 190;

/// The type and the uid of the source that stands for expressions.
const EXPRESSIONS: &str = "__expr__";
/// Its numeric id, which is also written in the place of the uid.
const EXPRESSIONS_ID: &str = "-100";

/// Whether a uid or a type of source means that a query is an expression.
#[must_use]
pub fn names_expressions(source: &str) -> bool {
    matches!(source, EXPRESSIONS | EXPRESSIONS_ID)
}

/// Whether a query is an expression.
#[must_use]
pub fn is_expression(model: &Map<String, Value>) -> bool {
    let is_name = |value: Option<&Value>| value.and_then(Value::as_str).is_some_and(names_expressions);
    let is_id = |value: Option<&Value>| value.and_then(Value::as_i64) == Some(-100);
    match model.get("datasource") {
        Some(Value::Object(source)) => {
            is_name(source.get("uid")) || is_name(source.get("type")) || is_id(source.get("uid"))
        }
        Some(source @ Value::String(_)) => is_name(Some(source)),
        _ => is_id(model.get("datasourceId")) || is_name(model.get("datasourceUid")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn expressions_are_told_from_queries_to_sources() {
        let is = |model: Value| is_expression(model.as_object().unwrap());
        assert!(is(json!({ "datasource": { "uid": "__expr__" } })));
        assert!(is(json!({ "datasource": { "type": "__expr__", "uid": "x" } })));
        assert!(
            is(json!({ "datasource": { "uid": "-100" } })) && is(json!({ "datasource": { "uid": -100 } }))
        );
        assert!(is(json!({ "datasource": "__expr__" })) && is(json!({ "datasource": "-100" })));
        assert!(is(json!({ "datasourceId": -100 })) && is(json!({ "datasourceUid": "__expr__" })));
        assert!(!is(json!({ "datasource": { "uid": "prom", "type": "prometheus" }, "datasourceId": -100 })));
        assert!(!is(json!({ "datasource": "prom" })) && !is(json!({ "datasourceId": 1 })) && !is(json!({})));
    }
}
