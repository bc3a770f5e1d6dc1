//! The pool of pipelines.

use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{self, Metrics, Object, PoolError, RecycleError, RecycleResult};
use kymograph_app::{Error, Result};
use kymograph_projections::kernel::database::PoolUsage;

use super::Pipeline;
use super::connect::connect;
use crate::database_server::DatabaseServer;

/// How long a flight waits for a connection before its commits fail as unavailable.
const WAIT_FOR_CONNECTION: Duration = Duration::from_secs(5);

/// A pool of pipelines.
#[derive(Clone)]
pub struct PipelinePool(managed::Pool<Manager>);

impl PipelinePool {
    /// The usage of its connections.
    #[must_use]
    pub fn usage(&self) -> PoolUsage {
        let status = self.0.status();
        PoolUsage {
            idle: status.available,
            in_use: status.size.saturating_sub(status.available),
            max: status.max_size,
            waited_for: status.waiting,
        }
    }

    pub(crate) async fn get(&self) -> Result<Object<Manager>> {
        self.0.get().await.map_err(|error| match error {
            PoolError::Backend(error) => error,
            error => Error::unavailable(error),
        })
    }
}

/// A pool of pipelines with these settings. Connections are opened on demand.
pub fn pipeline_pool(server: DatabaseServer, max_size: usize) -> Result<PipelinePool> {
    let pool = managed::Pool::builder(Manager { server })
        .max_size(max_size)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(WAIT_FOR_CONNECTION))
        .create_timeout(Some(WAIT_FOR_CONNECTION));
    pool.build().map(PipelinePool).map_err(Error::internal)
}

/// Opens pipelines, and discards unusable ones.
pub(crate) struct Manager {
    server: DatabaseServer,
}

impl managed::Manager for Manager {
    type Type = Pipeline;
    type Error = Error;

    async fn create(&self) -> Result<Pipeline> {
        connect(&self.server).await
    }

    async fn recycle(&self, pipeline: &mut Pipeline, _: &Metrics) -> RecycleResult<Error> {
        if pipeline.is_usable() { Ok(()) } else { Err(RecycleError::message("the connection was lost")) }
    }
}
