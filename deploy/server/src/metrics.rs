//! Metrics other than those of requests.

use std::sync::Arc;

use kymograph_app::account::access::AccessLog;
use kymograph_infra::change_feed::ChangeFeed;
use kymograph_infra::metrics::{
    TotalMetrics, register_build, register_feed, register_pools, register_refusals,
};
use kymograph_infra::pipeline::PipelinePool;
use kymograph_projections::Database;
use kymograph_projections::account::statistic::PgStatisticReader;
use prometheus::Registry;
use tokio::task::JoinHandle;

use crate::config::Config;

/// The measured parts.
pub(crate) struct Counted {
    pub(crate) readers: Database,
    pub(crate) writers: PipelinePool,
    pub(crate) access: AccessLog,
    pub(crate) feed: ChangeFeed,
    pub(crate) statistics: Arc<PgStatisticReader>,
}

/// Registers the metrics of these parts, and starts the periodic reading of totals if it is enabled.
pub(crate) fn register(
    registry: &Registry,
    config: &Config,
    counted: Counted,
) -> prometheus::Result<Option<JoinHandle<()>>> {
    register_build(registry, &config.compatibility.grafana_version, env!("CARGO_PKG_VERSION"))?;
    register_pools(registry, counted.readers, counted.writers)?;
    register_refusals(registry, counted.access)?;
    register_feed(registry, counted.feed)?;
    let metrics = &config.metrics;
    if !metrics.enabled || !metrics.total_stats {
        return Ok(None);
    }
    let totals = TotalMetrics::try_new(registry)?;
    Ok(Some(tokio::spawn(totals.keep_reading(counted.statistics, metrics.total_stats_interval))))
}
