//! Queries in the audit logs of orgs that turned that on.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::Scope;
use crate::account::access::AccessLog;
use crate::account::org::OrgReader;
use crate::kernel::error::Result;
use crate::source::backend::{Query, ResourceRequest};

/// The members of a query that do not tell what is queried.
const OMITTED: [&str; 7] =
    ["refId", "datasource", "datasourceId", "hide", "intervalMs", "maxDataPoints", "timeRange"];

/// Records who queried what of which data source, before the source is called. Never records results.
pub struct QueryAudit {
    access: AccessLog,
    orgs: Arc<dyn OrgReader>,
}

impl QueryAudit {
    /// Records into this log, for the orgs that this reader says.
    #[must_use]
    pub fn new(access: AccessLog, orgs: Arc<dyn OrgReader>) -> Self {
        Self { access, orgs }
    }

    /// Records queries to a data source.
    pub(super) async fn queried(&self, scope: &Scope, data_source: &str, queries: &[Query]) -> Result<()> {
        if self.is_on(scope).await? {
            for query in queries {
                self.access.queried(scope, data_source, text_of_query(&query.model));
            }
        }
        Ok(())
    }

    /// Records a request to a data source: its method and path, but not its body, which can contain secrets.
    pub(super) async fn requested(
        &self,
        scope: &Scope,
        data_source: &str,
        request: &ResourceRequest,
    ) -> Result<()> {
        if self.is_on(scope).await? {
            self.access.queried(scope, data_source, text_of_request(request));
        }
        Ok(())
    }

    async fn is_on(&self, scope: &Scope) -> Result<bool> {
        Ok(self.orgs.find_audit(scope.org()).await?.queries)
    }
}

fn text_of_query(model: &Map<String, Value>) -> String {
    let told: BTreeMap<&str, &Value> = model
        .iter()
        .filter(|(name, _)| !OMITTED.contains(&name.as_str()))
        .map(|(name, value)| (name.as_str(), value))
        .collect();
    // A JSON object can always be written as text.
    serde_json::to_string(&told).unwrap_or_default()
}

fn text_of_request(request: &ResourceRequest) -> String {
    let ResourceRequest { method, path, query, .. } = request;
    let question_mark = if query.is_empty() { "" } else { "?" };
    format!("{method} {path}{question_mark}{query}")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_query_is_told_without_its_panel() {
        let Value::Object(model) = json!({"refId": "A", "datasource": {"uid": "prom"}, "expr": "up",
            "range": true, "intervalMs": 15_000, "maxDataPoints": 100})
        else {
            panic!("no object")
        };
        assert_eq!(text_of_query(&model), r#"{"expr":"up","range":true}"#);
    }

    #[test]
    fn a_request_is_told_without_its_body() {
        let request = |query: &str| ResourceRequest {
            method: "POST".into(),
            path: "api/v1/query".into(),
            query: query.into(),
            headers: vec![("authorization".into(), "secret".into())],
            body: Bytes::from_static(b"password=secret"),
        };
        assert_eq!(text_of_request(&request("")), "POST api/v1/query");
        assert_eq!(text_of_request(&request("query=up")), "POST api/v1/query?query=up");
    }
}
