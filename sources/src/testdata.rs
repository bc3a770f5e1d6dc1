//! Generated data, to try panels, alerts and clients with. The same query has the same result.

mod csv;
mod logs;
mod model;
mod points;
mod predictable;
mod random;
mod scenario;
mod streaming;
mod walk;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use kymograph_app::kernel::work::Workers;
use kymograph_app::source::backend::{
    Backend, Health, Query, QueryError, QueryResults, ResourceRequest, ResourceResponse, SourceContext,
};
use serde_json::json;

use crate::backend::each;

pub use self::csv::MAX_CSV_BYTES;
pub use logs::MAX_LINES;
pub use points::{MAX_POINTS, MAX_POINTS_OF_QUERY, MAX_SERIES};
pub use scenario::MAX_DELAY;

/// The types of sources that this backend serves.
pub const TYPES: [&str; 2] = ["grafana-testdata-datasource", "testdata"];

/// The maximum number of concurrent queries of a request, so that slow ones run in parallel.
const CONCURRENT_QUERIES: usize = 8;

/// Answers queries with generated data.
pub struct TestDataBackend {
    workers: Workers,
}

impl TestDataBackend {
    /// A backend whose workers generate large responses.
    #[must_use]
    pub fn new(workers: Workers) -> Self {
        Self { workers }
    }
}

#[async_trait]
impl Backend for TestDataBackend {
    async fn query(&self, context: &SourceContext, queries: &[Query]) -> QueryResults {
        each(context, queries, CONCURRENT_QUERIES, async |context, query| {
            scenario::answer(&self.workers, &context, query).await
        })
        .await
    }

    async fn check_health(&self, _context: &SourceContext) -> Health {
        Health::ok("Data source is working")
    }

    async fn call_resource(
        &self,
        _context: &SourceContext,
        request: ResourceRequest,
    ) -> Result<ResourceResponse, QueryError> {
        if request.method != "GET" || request.path.trim_end_matches('/') != "scenarios" {
            return Err(QueryError::missing("test data offers nothing but GET scenarios beside queries"));
        }
        let list: Vec<_> = scenario::SCENARIOS
            .iter()
            .map(|known| json!({"id": known.id, "name": known.name, "stringInput": known.input}))
            .collect();
        let body = Bytes::from(json!(list).to_string());
        Ok(ResourceResponse {
            status: 200,
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: stream::iter([Ok(body)]).boxed(),
        })
    }
}

#[cfg(test)]
mod tests;
