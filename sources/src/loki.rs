//! The backend for Loki: log lines, and metrics computed from them.

mod answer;
mod lines;
mod query;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use hyper::Method;
use kymograph_app::kernel::work::Workers;
use kymograph_app::source::backend::{
    Backend, Health, Query, QueryError, QueryResult, QueryResults, ResourceRequest, ResourceResponse,
    SourceContext, all_failed,
};

use crate::backend::{CONCURRENCY, each, failed_with, identity, is_success, unknown_resource};
use crate::client::{Call, HttpClients, SourceClient, unusable};
use crate::parse::parsed;
use query::LokiQuery;

pub(crate) use query::MAX_LINES;

/// The path of the API.
const API: &str = "loki/api/v1";

/// Makes Loki report the origin of each label.
const CATEGORIZED: (&str, &str) = ("x-loki-response-encoding-flags", "categorize-labels");

/// The API endpoints that clients may call in addition to queries. The endpoints for values of labels and fields
/// contain a name.
const RESOURCES: &[&str] = &[
    "detected_fields",
    "detected_labels",
    "format_query",
    "index/stats",
    "index/volume",
    "index/volume_range",
    "labels",
    "patterns",
    "series",
];

/// The query of the health check, which needs no data.
const PROBE: &str = "query=vector%281%29%2Bvector%281%29";

/// Queries sources of the type `loki`.
pub struct LokiBackend {
    clients: Arc<HttpClients>,
    workers: Workers,
}

impl LokiBackend {
    /// A backend with these clients, whose workers parse large responses.
    #[must_use]
    pub fn new(clients: Arc<HttpClients>, workers: Workers) -> Self {
        Self { clients, workers }
    }

    async fn answer(&self, client: &SourceClient, context: &SourceContext, query: &Query) -> QueryResult {
        let query = LokiQuery::try_new(query, &context.source)?;
        let path = format!("{API}/{}", if query.is_instant { "query" } else { "query_range" });
        let parameters = query.parameters();
        let call = Call { method: Method::GET, path: &path, parameters, headers: &[CATEGORIZED] };
        let answer = client.fetch(context, call).await?;
        if !is_success(answer.status) {
            return Err(failed_with(context, answer.status, answer::error_text(&answer.body).as_bytes()));
        }
        let read = parsed(&self.workers, context, answer.body, move |text, budget| {
            answer::read(text, budget, &query)
        });
        let read = read.await?;
        read.map_err(|error| {
            unusable(&context.source, format_args!("answered {} with {error}", answer.status))
        })
    }

    async fn probe(&self, context: &SourceContext) -> Result<(), QueryError> {
        let client = self.clients.of(&context.source)?;
        let path = format!("{API}/query");
        let call = Call { method: Method::GET, path: &path, parameters: PROBE.to_owned(), headers: &[] };
        let answer = client.fetch(context, call).await?;
        if is_success(answer.status) {
            return Ok(());
        }
        Err(failed_with(context, answer.status, answer::error_text(&answer.body).as_bytes()))
    }
}

#[async_trait]
impl Backend for LokiBackend {
    async fn query(&self, context: &SourceContext, queries: &[Query]) -> QueryResults {
        let client = match self.clients.of(&context.source) {
            Ok(client) => client,
            Err(error) => return all_failed(queries, &error),
        };
        let client = &client;
        each(context, queries, CONCURRENCY, async |context, query| self.answer(client, &context, query).await)
            .await
    }

    async fn check_health(&self, context: &SourceContext) -> Health {
        match self.probe(context).await {
            Ok(()) => Health::ok("Loki answered a query."),
            Err(error) => error.into(),
        }
    }

    async fn call_resource(
        &self,
        context: &SourceContext,
        mut request: ResourceRequest,
    ) -> Result<ResourceResponse, QueryError> {
        if request.method != "GET" || !is_resource(&request.path) {
            return Err(unknown_resource(&request));
        }
        request.path = format!("{API}/{}", request.path);
        self.clients.of(&context.source)?.open(context, identity(request), None).await
    }
}

/// Whether clients may call an endpoint of the API.
fn is_resource(path: &str) -> bool {
    let named = |beginning: &str| {
        path.strip_prefix(beginning)
            .and_then(|rest| rest.strip_suffix("/values"))
            .is_some_and(|name| !name.is_empty() && !name.contains('/'))
    };
    RESOURCES.contains(&path) || named("label/") || named("detected_field/")
}
