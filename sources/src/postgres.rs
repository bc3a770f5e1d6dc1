//! PostgreSQL as a data source.
//!
//! The protocol is spoken here rather than by `tokio-postgres`, for three reasons: rows go from the socket straight into
//! columns; each column comes in the format that suits its type, so that types nobody knows come as text; and the server is
//! somebody's who may not wish us well, so no length that it names is believed.

mod cancel;
mod column;
mod error;
mod log_in;
mod numeric;
mod plan;
mod pool;
mod query;
mod session;
mod settings;
mod share;
mod tls;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use kymograph_app::Error;
use kymograph_app::kernel::work::Workers;
use kymograph_app::source::backend::{
    Backend, ErrorOrigin, Health, Query, QueryError, QueryResult, ResourceRequest, ResourceResponse,
    SourceContext, SourceSettings,
};
use kymograph_domain::{OrgId, Uid};
use moka::sync::Cache;
use serde_json::json;

pub use column::MAX_COLUMNS;
pub use log_in::MAX_SCRAM_ITERATIONS;
pub use pool::{CONNECT_TIMEOUT, IDLE_TIME, MAX_CONNECTIONS, WAIT_FOR_CONNECTION};
pub use query::{MAX_ROWS, QUERY_TIMEOUT};
pub use share::{MAX_CONNECTIONS_OF_ALL, MAX_CONNECTIONS_OF_ORG};

use crate::policy::Egress;
use error::SourceError;
use plan::Plan;
use pool::SourcePool;
use query::Answer;
use share::Shares;

/// The types of sources that this backend serves.
pub const TYPES: [&str; 2] = ["grafana-postgresql-datasource", "postgres"];

/// How many sources have a pool of connections at a time.
pub const MAX_POOLS: u64 = 1000;
/// How long a pool is kept that nobody asks.
const POOL_IDLE_TIME: Duration = Duration::from_secs(600);
/// How many queries of a request are asked at a time.
const CONCURRENT_QUERIES: usize = 4;

type PoolKey = (OrgId, Uid, i64);

/// Asks PostgreSQL.
pub struct PostgresBackend {
    egress: Egress,
    workers: Workers,
    shares: Arc<Shares>,
    pools: Cache<PoolKey, Arc<SourcePool>>,
}

impl PostgresBackend {
    /// A backend with a way out. Nothing is connected to before it is asked.
    #[must_use]
    pub fn new(egress: Egress, workers: Workers) -> Self {
        let pools = Cache::builder().max_capacity(MAX_POOLS).time_to_idle(POOL_IDLE_TIME).build();
        Self { egress, workers, shares: Arc::default(), pools }
    }

    /// The pool of a source as it is now. A change of the source leads to a new pool; the old one closes its connections once
    /// they have nothing to do.
    fn pool(&self, source: &SourceSettings) -> Result<Arc<SourcePool>, SourceError> {
        let key = (source.org, source.uid.clone(), source.version);
        let make = || SourcePool::try_new(source, self.egress.clone(), self.shares.clone()).map(Arc::new);
        let made = self.pools.try_get_with(key, make);
        made.map_err(|error| (*error).clone())
    }

    /// Runs a statement. If there are too many connections, those that have nothing to do give way.
    async fn run(&self, pool: &SourcePool, sql: &str, max_bytes: usize) -> Result<Answer, SourceError> {
        match query::run(pool, sql, max_bytes).await {
            Err(SourceError::Full) => {
                self.pools.iter().for_each(|(_, pool)| pool.close_idle());
                query::run(pool, sql, max_bytes).await
            }
            answer => answer,
        }
    }

    async fn named(&self, context: &SourceContext, query: &Query) -> (String, QueryResult) {
        (query.ref_id.clone(), self.answer(context, query).await)
    }

    async fn answer(&self, context: &SourceContext, query: &Query) -> QueryResult {
        let source = &context.source;
        let told = |error: SourceError| error.of_source(&source.name);
        let pool = self.pool(source).map_err(told)?;
        let invalid = |text| told(SourceError::Invalid(text));
        let plan = Plan::of(query, pool.settings(), context.max_bytes);
        let Some(plan) = plan.map_err(invalid)? else { return Ok(Vec::new()) };
        let answer = self.run(&pool, &plan.sql, context.max_bytes).await.map_err(told)?;
        let frames = self.workers.run(source.org, answer.bytes, move || plan.frames(answer)).await;
        frames.map_err(overloaded)?.map_err(invalid)
    }
}

/// There is too much work of the org, or of all.
fn overloaded(error: Error) -> QueryError {
    QueryError { message: error.message().to_owned(), status: 429, origin: ErrorOrigin::Plugin }
}

#[async_trait]
impl Backend for PostgresBackend {
    async fn query(&self, context: &SourceContext, queries: &[Query]) -> BTreeMap<String, QueryResult> {
        let answers: Vec<_> = queries.iter().map(|query| self.named(context, query)).collect();
        stream::iter(answers).buffer_unordered(CONCURRENT_QUERIES).collect().await
    }

    async fn check_health(&self, context: &SourceContext) -> Health {
        let checked = async {
            let pool = self.pool(&context.source)?;
            self.run(&pool, "SELECT 1", context.max_bytes).await
        };
        match checked.await {
            Ok(_) => Health { is_ok: true, message: "Database Connection OK".to_owned(), details: None },
            Err(error) => {
                let error = error.of_source(&context.source.name);
                Health {
                    is_ok: false,
                    details: Some(json!({"verboseMessage": error.message})),
                    message: error.message,
                }
            }
        }
    }

    async fn call_resource(
        &self,
        context: &SourceContext,
        _request: ResourceRequest,
    ) -> Result<ResourceResponse, QueryError> {
        Err(QueryError {
            message: format!("{} offers nothing but queries", context.source.name),
            status: 404,
            origin: ErrorOrigin::Plugin,
        })
    }
}
