//! Queries to data sources, and expressions over their results.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use kymograph_app::source::query::{NewQueries, QueryAnswers};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::frame;
use super::resource::SourceState;
use crate::kernel::body::JsonBody;
use crate::kernel::error::ApiResult;
use crate::kernel::layer::{Caller, HeldBody};
use crate::kernel::routes::{Group, Routes, post};

const GROUP: Group = Group::new("ds", "Queries to data sources");

/// The routes of queries.
pub(super) fn routes(state: &SourceState) -> Routes {
    Routes::of(&GROUP).add(
        post("/api/ds/query", "queryMetricsWithExpressions", "Query data sources and evaluate expressions")
            .details("If a query fails, the status is 400, and the results of the others are in the body.")
            .for_everybody()
            .fails(&[404])
            .answers::<QueryDataBody>(200, "The results by `refId`")
            .answers::<QueryDataBody>(400, "The results by `refId`, of which at least one is an error")
            .to(state, query_metrics_with_expressions),
    )
}

#[derive(Deserialize, Default, ToSchema)]
struct QueryForm {
    /// The beginning of the time range: milliseconds since 1970, or date math like `now-6h`.
    #[schema(value_type = Option<String>)]
    from: Option<Value>,
    /// The end of the time range.
    #[schema(value_type = Option<String>)]
    to: Option<Value>,
    /// The queries. Each names its data source by `datasource.uid`; its other members depend on the type.
    #[schema(value_type = Vec<Object>, required)]
    queries: Option<Vec<Map<String, Value>>>,
}

/// The results of queries, or an error of the request.
#[derive(Serialize, ToSchema)]
struct QueryDataBody {
    /// `{status, frames}`, or `{status, error, errorSource}`, by `refId`.
    #[schema(value_type = Option<Object>)]
    results: Option<()>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(rename = "messageId")]
    message_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<String>,
}

async fn query_metrics_with_expressions(
    State(state): State<SourceState>,
    Caller(scope): Caller,
    headers: HeaderMap,
    JsonBody(form): JsonBody<QueryForm>,
) -> ApiResult<Response> {
    let new = NewQueries {
        from: form.from.unwrap_or_default(),
        to: form.to.unwrap_or_default(),
        queries: form.queries.unwrap_or_default(),
        headers: state.cookies(&headers),
    };
    let answers = state.queries.query_metrics(&scope, new).await?;
    let expected = frame::expected_bytes(&answers.results());
    let write =
        move |answers: &QueryAnswers, max_bytes| frame::answer(&answers.results(), expected, max_bytes);
    let written = state.queries.write_answers(&scope, answers, expected, write).await?;
    let status = if written.has_failed { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    // A repeated query is asked again: large responses are not kept.
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    Ok((status, headers, HeldBody::around(Body::from(written.text), written.held)).into_response())
}
