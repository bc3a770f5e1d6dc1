//! The backend for Alertmanager, which receives alerts: that of Prometheus, or those of Mimir and Cortex, which serve
//! it below a path.

use std::sync::Arc;

use async_trait::async_trait;
use hyper::Method;
use kymograph_app::source::backend::{
    Backend, Health, Query, QueryError, QueryResults, ResourceRequest, ResourceResponse, SourceContext,
    SourceSettings, all_failed,
};

use crate::backend::{failed_with, identity, is_success, unknown_resource};
use crate::client::{Call, HttpClients, json_text};

/// Queries sources of the type `alertmanager`.
pub struct AlertmanagerBackend {
    clients: Arc<HttpClients>,
}

impl AlertmanagerBackend {
    /// A backend with these clients.
    #[must_use]
    pub fn new(clients: Arc<HttpClients>) -> Self {
        Self { clients }
    }

    async fn probe(&self, context: &SourceContext) -> Result<(), QueryError> {
        let client = self.clients.of(&context.source)?;
        let path = api_path(&context.source, "status");
        let call = Call { method: Method::GET, path: &path, parameters: String::new(), headers: &[] };
        let answer = client.fetch(context, call).await?;
        if is_success(answer.status) {
            return Ok(());
        }
        Err(failed_with(context, answer.status, &answer.body))
    }
}

/// The path of a part of the API.
fn api_path(source: &SourceSettings, part: &str) -> String {
    match json_text(source, "implementation") {
        "" | "prometheus" => format!("api/v2/{part}"),
        _ => format!("alertmanager/api/v2/{part}"),
    }
}

#[async_trait]
impl Backend for AlertmanagerBackend {
    async fn query(&self, _: &SourceContext, queries: &[Query]) -> QueryResults {
        all_failed(queries, &QueryError::invalid("an Alertmanager answers no queries"))
    }

    async fn check_health(&self, context: &SourceContext) -> Health {
        match self.probe(context).await {
            Ok(()) => Health::ok("The Alertmanager told its status."),
            Err(error) => error.into(),
        }
    }

    async fn call_resource(
        &self,
        context: &SourceContext,
        mut request: ResourceRequest,
    ) -> Result<ResourceResponse, QueryError> {
        let part = request.path.strip_prefix("api/v2/").filter(|_| request.method == "GET");
        let Some(part) = part else { return Err(unknown_resource(&request)) };
        request.path = api_path(&context.source, part);
        self.clients.of(&context.source)?.open(context, identity(request), None).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixture::{Reply, StandIn, collected, context, query, resource, source};

    #[tokio::test]
    async fn each_implementation_has_its_paths() {
        let server = StandIn::start(|request| match request.path.as_str() {
            "/base/api/v2/status" => Reply::json(200, "{}"),
            "/base/alertmanager/api/v2/status" => Reply::text(406, "no tenant"),
            "/base/alertmanager/api/v2/alerts" => Reply::json(200, "[]"),
            _ => Reply::text(404, "not found"),
        })
        .await;
        let backend = AlertmanagerBackend::new(server.clients());
        let mut source = source(&format!("{}/base", server.url()));
        assert!(backend.check_health(&context(source.clone())).await.is_ok);
        source.content.json_data.insert("implementation".to_owned(), "mimir".into());
        source.version += 1;
        let context = context(source);
        let health = backend.check_health(&context).await;
        assert_eq!(
            (health.is_ok, health.message.as_str()),
            (false, "data source \"Test\" answered 406: no tenant")
        );
        let answer = backend.call_resource(&context, resource("GET", "api/v2/alerts", "")).await.unwrap();
        assert_eq!((answer.status, collected(answer).await.unwrap().as_slice()), (200, b"[]".as_slice()));
        for (method, path) in [("POST", "api/v2/alerts"), ("GET", "api/v1/alerts"), ("GET", "api/v2/../x")] {
            let error = backend.call_resource(&context, resource(method, path, "")).await.unwrap_err();
            assert!(matches!(error.status, 400 | 404), "{method} {path}");
        }
        let answers = backend.query(&context, &[query(json!({}))]).await;
        assert_eq!(answers["A"].clone().unwrap_err().status, 400);
    }
}
