//! Helpers shared by the backends that speak HTTP.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use kymograph_app::source::backend::{
    Query, QueryError, QueryResult, QueryResults, ResourceRequest, SourceContext,
};
use serde_json::{Map, Value};

use crate::client::named;
use crate::text::{shown, shown_bytes};

/// The maximum number of queries of one request that a source that speaks HTTP receives concurrently.
pub(crate) const CONCURRENCY: usize = 8;

/// The maximum length of an expression, in bytes.
pub(crate) const MAX_EXPRESSION: usize = 128 * 1024;

/// Answers each query under its name, up to `concurrency` at once. A query that fails releases the memory that it
/// reserved, for those beside it.
pub(crate) async fn each<'q, A>(
    context: &'q SourceContext,
    queries: &'q [Query],
    concurrency: usize,
    answer: impl Fn(SourceContext, &'q Query) -> A,
) -> QueryResults
where
    A: Future<Output = QueryResult> + Send,
{
    let named = |query: &'q Query| {
        let part = Arc::new(context.share.part());
        let answer = answer(SourceContext { share: part.clone(), ..context.clone() }, query);
        async move {
            let answered = answer.await;
            if answered.is_ok() {
                context.share.absorb(&part);
            }
            (query.ref_id.clone(), answered)
        }
    };
    let answers: Vec<_> = queries.iter().map(named).collect();
    stream::iter(answers).buffer_unordered(concurrency).collect().await
}

/// The request without `accept-encoding`, so that the response is not compressed: nothing between here and the client
/// would decompress it.
pub(crate) fn identity(mut request: ResourceRequest) -> ResourceRequest {
    request.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("accept-encoding"));
    request
}

/// The error of an unknown resource of a source.
pub(crate) fn unknown_resource(request: &ResourceRequest) -> QueryError {
    QueryError::missing(format!("no resource answers {} {}", request.method, shown(&request.path)))
}

/// Whether a status is a success.
pub(crate) fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

/// The error of a response of a source with a status other than success.
pub(crate) fn failed_with(context: &SourceContext, status: u16, body: &[u8]) -> QueryError {
    let text = shown_bytes(body);
    let message = format!("{} answered {status}: {text}", named(&context.source));
    QueryError::downstream(status, message.trim_end_matches(": "))
}

/// The expression of a model.
pub(crate) fn expression(model: &Map<String, Value>) -> Result<&str, QueryError> {
    let expression = text(model, "expr")?.trim();
    if expression.is_empty() {
        return Err(QueryError::invalid("the query has no expression (expr)"));
    }
    if expression.len() > MAX_EXPRESSION {
        return Err(QueryError::invalid(format!("the expression is longer than {MAX_EXPRESSION} bytes")));
    }
    Ok(expression)
}

/// The length of the range of a query, in milliseconds.
pub(crate) fn range_ms(query: &Query) -> Result<i64, QueryError> {
    let length = query.range.to_ms.checked_sub(query.range.from_ms).filter(|length| *length >= 0);
    length.ok_or_else(|| QueryError::invalid("the range of time ends before it begins"))
}

/// A text of a model, empty if there is none.
pub(crate) fn text<'m>(model: &'m Map<String, Value>, name: &str) -> Result<&'m str, QueryError> {
    match model.get(name) {
        None | Some(Value::Null) => Ok(""),
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(QueryError::invalid(format!("{name} of the query has to be a text"))),
    }
}

/// A flag of a model.
pub(crate) fn flag(model: &Map<String, Value>, name: &str) -> bool {
    model.get(name).and_then(Value::as_bool).unwrap_or_default()
}

/// A whole number of a model, which may be written as a text.
pub(crate) fn number(model: &Map<String, Value>, name: &str) -> Option<i64> {
    let value = model.get(name)?;
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use kymograph_app::source::room::MAX_BYTES;
    use serde_json::json;

    use super::*;
    use crate::fixture;

    #[tokio::test]
    async fn a_failed_query_leaves_its_memory_to_those_beside_it() {
        let context = fixture::context(fixture::source("http://localhost"));
        let query = |ref_id: &str| Query { ref_id: ref_id.to_owned(), ..fixture::query(json!({})) };
        let queries = [query("A"), query("B")];
        let answers = each(&context, &queries, 1, async |context, query| {
            context.share.take(MAX_BYTES).await?;
            if query.ref_id == "A" { Err(QueryError::invalid("it fails")) } else { Ok(Vec::new()) }
        });
        let answers = answers.await;
        assert!(answers["A"].is_err());
        assert!(answers["B"].is_ok());
        assert!(context.share.take(1).await.is_err(), "the answer of B is kept");
    }
}
