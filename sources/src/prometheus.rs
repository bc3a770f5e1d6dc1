//! The backend for Prometheus and compatible servers like Thanos and Mimir.

mod answer;
mod query;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::{OptionFuture, join3};
use hyper::Method;
use kymograph_app::kernel::work::Workers;
use kymograph_app::source::backend::{
    Backend, Health, Query, QueryError, QueryResult, QueryResults, ResourceRequest, ResourceResponse,
    SourceContext, TimeRange, all_failed,
};
use kymograph_domain::source::frame::Frame;

use crate::backend::{CONCURRENCY, each, failed_with, identity, is_success, unknown_resource};
use crate::client::{Answer, Call, HttpClients, SourceClient, json_text, named, refused, unusable};
use crate::parse::parsed;
use answer::{Asked, PrometheusAnswer};
use query::PrometheusQuery;

pub(crate) use answer::MAX_NOTICES;
pub(crate) use query::metric_name;

/// How much of an error response is kept for the message, in bytes.
const MAX_SAID: usize = 4_096;

/// The type of these sources.
pub(crate) const KIND: &str = "prometheus";

/// The endpoints that only read, although they accept `POST`.
const READING: &[&str] = &[
    "api/v1/query",
    "api/v1/query_range",
    "api/v1/query_exemplars",
    "api/v1/series",
    "api/v1/labels",
    "api/v1/format_query",
    "api/v1/parse_query",
];

/// Queries sources of the type `prometheus`.
pub struct PrometheusBackend {
    clients: Arc<HttpClients>,
    workers: Workers,
}

impl PrometheusBackend {
    /// A backend with these clients, whose workers parse large responses.
    #[must_use]
    pub fn new(clients: Arc<HttpClients>, workers: Workers) -> Self {
        Self { clients, workers }
    }

    async fn answer(&self, client: &SourceClient, context: &SourceContext, query: &Query) -> QueryResult {
        let query = Arc::new(PrometheusQuery::try_new(query, &context.source)?);
        let ask = |is_asked: bool, asked| {
            OptionFuture::from(is_asked.then(|| self.ask(client, context, query.clone(), asked)))
        };
        let (range, instant, exemplars) = join3(
            ask(query.is_range, Asked::Range),
            ask(query.is_instant, Asked::Instant),
            ask(query.is_exemplar, Asked::Exemplars),
        )
        .await;
        let mut frames = Vec::new();
        for answered in [range, instant].into_iter().flatten() {
            frames.extend(answered?);
        }
        match exemplars {
            Some(Ok(exemplars)) => frames.extend(exemplars),
            // Many sources have no exemplars, and points without exemplars are better than an error.
            Some(Err(error)) => tracing::debug!(error = error.message, "a source gave no exemplars"),
            None => {}
        }
        Ok(frames)
    }
}

#[async_trait]
impl Backend for PrometheusBackend {
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
            Ok(()) => Health::ok("The Prometheus API answered a query."),
            Err(error) => error.into(),
        }
    }

    async fn call_resource(
        &self,
        context: &SourceContext,
        request: ResourceRequest,
    ) -> Result<ResourceResponse, QueryError> {
        let is_known = request.path.starts_with("api/v1/") && !request.path.starts_with("api/v1/admin/");
        if !is_known || !matches!(request.method.as_str(), "GET" | "POST") {
            return Err(unknown_resource(&request));
        }
        if !is_reading(&request.method, &request.path) {
            return Err(refused(&context.source, "it is only asked for what there is"));
        }
        self.clients.of(&context.source)?.open(context, identity(request), None).await
    }
}

impl PrometheusBackend {
    async fn probe(&self, context: &SourceContext) -> Result<(), QueryError> {
        let client = self.clients.of(&context.source)?;
        let query = Query {
            ref_id: String::new(),
            query_type: String::new(),
            model: Arc::new(
                [("expr".to_owned(), "1+1".into()), ("instant".to_owned(), true.into())]
                    .into_iter()
                    .collect(),
            ),
            range: TimeRange { from_ms: 1_000, to_ms: 1_000 },
            interval_ms: 0,
            max_data_points: 1,
        };
        self.answer(&client, context, &query).await.map(drop)
    }

    /// Sends one request to the API.
    async fn ask(
        &self,
        client: &SourceClient,
        context: &SourceContext,
        query: Arc<PrometheusQuery>,
        asked: Asked,
    ) -> Result<Vec<Frame>, QueryError> {
        let (path, parameters) = match asked {
            Asked::Range => ("api/v1/query_range", query.range_parameters()),
            Asked::Instant => ("api/v1/query", query.instant_parameters()),
            Asked::Exemplars => ("api/v1/query_exemplars", query.exemplar_parameters()),
        };
        let is_get = json_text(&context.source, "httpMethod").eq_ignore_ascii_case("GET");
        let call = |method| Call { method, path, parameters: parameters.clone(), headers: &[] };
        let mut answer = client.fetch(context, call(if is_get { Method::GET } else { Method::POST })).await?;
        if answer.status == 405 && !is_get {
            // Old servers, and some proxies in front of new ones, do not accept POST.
            answer = client.fetch(context, call(Method::GET)).await?;
        }
        let Answer { status, body } = answer;
        let beginning =
            if is_success(status) { Vec::new() } else { body.iter().take(MAX_SAID).copied().collect() };
        let read = parsed(&self.workers, context, body, move |text, budget| {
            PrometheusAnswer::read(text, budget, asked, &query)
        })
        .await?;
        let source = &context.source;
        match read {
            Ok(PrometheusAnswer { error: Some(error), .. }) => {
                let shown_status = if is_success(status) { 502 } else { status };
                let message = format!("{} answered {status}: {error}", named(source));
                Err(QueryError::downstream(shown_status, message))
            }
            Ok(answer) if is_success(status) => Ok(answer.frames),
            Err(error) if is_success(status) => {
                Err(unusable(source, format_args!("answered {status} with {error}")))
            }
            _ => Err(failed_with(context, status, &beginning)),
        }
    }
}

/// Whether a request to the API of Prometheus changes nothing there.
pub(crate) fn is_reading(method: &str, path: &str) -> bool {
    match method {
        "GET" | "HEAD" | "OPTIONS" => true,
        "POST" => READING.contains(&path.trim_end_matches('/')),
        _ => false,
    }
}
