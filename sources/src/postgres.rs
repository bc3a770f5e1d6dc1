//! PostgreSQL as a data source.
//!
//! The protocol is implemented here instead of using `tokio-postgres`, for three reasons: rows go from the socket
//! directly into columns; each column has the format that suits its type, so that unknown types arrive as text; and the
//! server may be hostile, so no length that it sends is trusted.

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

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kymograph_app::kernel::work::Workers;
use kymograph_app::source::backend::{
    Backend, Health, Query, QueryError, QueryResult, QueryResults, ResourceRequest, ResourceResponse,
    SourceContext, SourceSettings,
};
use kymograph_domain::OrgId;
use moka::sync::Cache;
use serde_json::json;

pub use column::MAX_COLUMNS;
pub use log_in::MAX_SCRAM_ITERATIONS;
pub use pool::{CONNECT_TIMEOUT, IDLE_TIME, MAX_CONNECTIONS, WAIT_FOR_CONNECTION};
pub use query::{MAX_ROWS, QUERY_TIMEOUT};
pub use share::{MAX_CONNECTIONS_OF_ALL, MAX_CONNECTIONS_OF_ORG};

use crate::backend::each;
use crate::parse::Parsed;
use crate::policy::Egress;
use error::SourceError;
use plan::Plan;
use pool::SourcePool;
use query::{Answer, Room};
use share::Shares;

/// The types of sources that this backend serves.
pub const TYPES: [&str; 2] = ["grafana-postgresql-datasource", "postgres"];

/// The memory of the pools of all sources, without their connections, in bytes.
pub const MAX_POOL_BYTES: usize = 32 * 1024 * 1024;
/// How long an unused pool is kept.
const POOL_IDLE_TIME: Duration = Duration::from_secs(600);
/// The maximum number of concurrent queries of a request.
const CONCURRENT_QUERIES: usize = 4;

/// The org, the id and the version of a source. Another source can have its uid later, with versions that begin at 1
/// again.
type PoolKey = (OrgId, i64, i64);

/// Queries PostgreSQL.
pub struct PostgresBackend {
    egress: Egress,
    workers: Workers,
    shares: Arc<Shares>,
    pools: Cache<PoolKey, Arc<SourcePool>>,
    max_rows: usize,
}

impl PostgresBackend {
    /// A backend with an egress. Connections are opened by the first query.
    #[must_use]
    pub fn new(egress: Egress, workers: Workers) -> Self {
        let pools = Cache::builder()
            .max_capacity(MAX_POOL_BYTES as u64)
            .weigher(|_, pool: &Arc<SourcePool>| pool.weight())
            .time_to_idle(POOL_IDLE_TIME)
            .build();
        Self { egress, workers, shares: Arc::default(), pools, max_rows: MAX_ROWS }
    }

    /// The same backend with a maximum number of rows per response.
    #[must_use]
    pub fn with_max_rows(self, max_rows: usize) -> Self {
        Self { max_rows, ..self }
    }

    /// The pool of the current version of a source. A change of the source creates a new pool; the old one closes its
    /// connections once they are idle.
    fn pool(&self, source: &SourceSettings) -> Result<Arc<SourcePool>, SourceError> {
        let key = (source.org, source.id, source.version);
        let make = || SourcePool::try_new(source, self.egress.clone(), self.shares.clone()).map(Arc::new);
        let made = self.pools.try_get_with(key, make);
        made.map_err(|error| (*error).clone())
    }

    /// Runs a statement. If the limit of connections is reached, idle ones are closed first.
    async fn run(
        &self,
        pool: &SourcePool,
        sql: &str,
        context: &SourceContext,
    ) -> Result<Answer, SourceError> {
        let room = Room { rows: self.max_rows, bytes: context.max_bytes, share: &context.share };
        match query::run(pool, sql, room).await {
            Err(SourceError::Full) => {
                self.pools.iter().for_each(|(_, pool)| pool.close_idle());
                query::run(pool, sql, room).await
            }
            answer => answer,
        }
    }

    async fn answer(&self, context: &SourceContext, query: &Query) -> QueryResult {
        let source = &context.source;
        let told = |error: SourceError| error.of_source(&source.content.name);
        let pool = self.pool(source).map_err(told)?;
        let invalid = |text| told(SourceError::Invalid(text));
        let plan = Plan::of(query, pool.settings()).map_err(invalid)?;
        let Some(plan) = plan else { return Ok(Vec::new()) };
        let answer = self.run(&pool, &plan.sql, context).await.map_err(told)?;
        let rows = answer.bytes;
        let room = plan.bytes_of_frames(rows).min(context.max_bytes);
        context.share.take(room).await?;
        let frames = self.workers.run(source.org, rows, move || plan.frames(answer, room)).await?;
        let kept = frames.as_ref().map_or(0, Parsed::bytes);
        context.share.give_back((rows + room).saturating_sub(kept));
        frames.map_err(invalid)
    }
}

#[async_trait]
impl Backend for PostgresBackend {
    async fn query(&self, context: &SourceContext, queries: &[Query]) -> QueryResults {
        each(context, queries, CONCURRENT_QUERIES, async |context, query| self.answer(&context, query).await)
            .await
    }

    async fn check_health(&self, context: &SourceContext) -> Health {
        let checked = async {
            let pool = self.pool(&context.source)?;
            self.run(&pool, "SELECT 1", context).await
        };
        match checked.await {
            Ok(_) => Health::ok("Database Connection OK"),
            Err(error) => {
                let error = error.of_source(&context.source.content.name);
                let details = Some(json!({"verboseMessage": error.message}));
                Health { details, ..error.into() }
            }
        }
    }

    async fn call_resource(
        &self,
        context: &SourceContext,
        _request: ResourceRequest,
    ) -> Result<ResourceResponse, QueryError> {
        Err(QueryError::missing(format!("{} offers nothing but queries", context.source.content.name)))
    }
}
