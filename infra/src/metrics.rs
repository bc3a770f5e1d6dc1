//! Metrics below the API: the build, database connections, commits, and totals.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kymograph_app::Result;
use kymograph_app::account::access::AccessLog;
use kymograph_projections::Database;
use kymograph_projections::account::statistic::PgStatisticReader;
use kymograph_projections::kernel::database::PoolUsage;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{
    GaugeVec, Histogram, HistogramOpts, HistogramTimer, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
};

use crate::change_feed::ChangeFeed;
use crate::pipeline::PipelinePool;

/// Registers the versions of the build and of Grafana's API.
pub fn register_build(registry: &Registry, grafana_version: &str, version: &str) -> prometheus::Result<()> {
    let opts = Opts::new("grafana_build_info", "The version of Grafana that the server is compatible with.");
    let grafana = GaugeVec::new(opts, &["version", "revision", "branch", "edition"])?;
    grafana.with_label_values(&[grafana_version, "kymograph", "", "oss"]).set(1.0);
    let own = GaugeVec::new(Opts::new("kymograph_build_info", "The version of the server."), &["version"])?;
    own.with_label_values(&[version]).set(1.0);
    registry.register(Box::new(grafana))?;
    registry.register(Box::new(own))
}

/// Registers the usage of database connections, readers and writers together. It is read on each scrape.
pub fn register_pools(
    registry: &Registry,
    readers: Database,
    writers: PipelinePool,
) -> prometheus::Result<()> {
    let gauges = [
        IntGauge::new("grafana_database_conn_max_open", "Maximum number of database connections.")?,
        IntGauge::new("grafana_database_conn_open", "Connections that are open.")?,
        IntGauge::new("grafana_database_conn_in_use", "Database connections in use.")?,
        IntGauge::new("grafana_database_conn_idle", "Idle database connections.")?,
        IntGauge::new("kymograph_database_conn_waited_for", "Requests that wait for a database connection.")?,
    ];
    registry.register(Box::new(PoolCollector { readers, writers, gauges }))
}

struct PoolCollector {
    readers: Database,
    writers: PipelinePool,
    gauges: [IntGauge; 5],
}

impl Collector for PoolCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.gauges.iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let pools = [self.readers.pool_usage(), self.writers.usage()];
        let sum = |number: fn(&PoolUsage) -> usize| pools.iter().map(number).sum::<usize>();
        let values = [
            sum(|pool| pool.max),
            sum(|pool| pool.idle + pool.in_use),
            sum(|pool| pool.in_use),
            sum(|pool| pool.idle),
            sum(|pool| pool.waited_for),
        ];
        for (gauge, value) in self.gauges.iter().zip(values) {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        }
        self.gauges.iter().flat_map(Collector::collect).collect()
    }
}

/// Registers the queue length of the change feed. Inline projections cannot lag; caches of other servers can, by this.
pub fn register_feed(registry: &Registry, feed: ChangeFeed) -> prometheus::Result<()> {
    let waiting = IntGauge::new(
        "kymograph_changes_waiting",
        "Change notifications that wait to be sent to other servers.",
    )?;
    registry.register(Box::new(FeedCollector { feed, waiting }))
}

struct FeedCollector {
    feed: ChangeFeed,
    waiting: IntGauge,
}

impl Collector for FeedCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.waiting.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.waiting.set(i64::try_from(self.feed.waiting()).unwrap_or(i64::MAX));
        self.waiting.collect()
    }
}

/// Registers the number of denied requests, failed log-ins and rejected tokens, and of those missing in the audit log.
pub fn register_refusals(registry: &Registry, access: AccessLog) -> prometheus::Result<()> {
    let opts =
        Opts::new("kymograph_access_refused_total", "Denied requests, failed log-ins and invalid tokens.");
    let counters = IntCounterVec::new(opts, &["what"])?;
    let by_kind = ["denied", "login_failed", "token_refused"].map(|what| counters.with_label_values(&[what]));
    let unrecorded = IntCounter::new(
        "kymograph_access_unrecorded_total",
        "Denied requests, failed log-ins and invalid tokens missing in the audit log.",
    )?;
    registry.register(Box::new(RefusalCollector {
        access,
        by_kind,
        unrecorded,
        counters,
        lock: Mutex::new(()),
    }))
}

struct RefusalCollector {
    access: AccessLog,
    by_kind: [IntCounter; 3],
    unrecorded: IntCounter,
    counters: IntCounterVec,
    /// Concurrent scrapes must not both add the difference.
    lock: Mutex<()>,
}

impl Collector for RefusalCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.counters.desc().into_iter().chain(self.unrecorded.desc()).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let _guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let refusals = self.access.refusals();
        let counts = [refusals.denied, refusals.logins, refusals.tokens];
        for (counter, count) in
            self.by_kind.iter().zip(counts).chain([(&self.unrecorded, refusals.unrecorded)])
        {
            counter.inc_by(count.saturating_sub(counter.get()));
        }
        self.counters.collect().into_iter().chain(self.unrecorded.collect()).collect()
    }
}

/// The metrics of group commits.
#[derive(Clone)]
pub struct FlightMetrics {
    seconds: Histogram,
    batch: Histogram,
    /// By [`Outcome`].
    outcomes: [IntCounter; 4],
}

/// The outcome of a commit.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    /// It was written.
    Written,
    /// It had a conflict and is decided again.
    Conflict,
    /// It violated a rule, or repeated a request.
    Refused,
    /// It could not be written.
    Failed,
}

impl FlightMetrics {
    /// Metrics in a registry.
    pub fn try_new(registry: &Registry) -> prometheus::Result<Self> {
        let seconds = vec![0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];
        let opts =
            HistogramOpts::new("kymograph_flight_seconds", "Duration of the transactions of group commits.");
        let seconds = Histogram::with_opts(opts.buckets(seconds))?;
        let opts =
            HistogramOpts::new("kymograph_flight_commits", "Commits per transaction of a group commit.");
        let batch = Histogram::with_opts(opts.buckets(vec![1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]))?;
        let opts = Opts::new("kymograph_commits_total", "Commits by outcome.");
        let outcomes = IntCounterVec::new(opts, &["outcome"])?;
        registry.register(Box::new(seconds.clone()))?;
        registry.register(Box::new(batch.clone()))?;
        registry.register(Box::new(outcomes.clone()))?;
        let outcomes = ["written", "conflict", "refused", "failed"]
            .map(|outcome| outcomes.with_label_values(&[outcome]));
        Ok(Self { seconds, batch, outcomes })
    }

    /// Counts a flight with this many commits. Its duration is measured until the returned timer is dropped.
    pub(crate) fn start_flight(&self, commits: usize) -> HistogramTimer {
        #[allow(clippy::cast_precision_loss, reason = "a flight has some dozens of commits")]
        self.batch.observe(commits as f64);
        self.seconds.start_timer()
    }

    /// Counts a commit.
    pub(crate) fn count(&self, outcome: Outcome) {
        self.outcomes[outcome as usize].inc();
    }
}

/// The totals of all orgs. They are read periodically, however often they are scraped.
pub struct TotalMetrics {
    dashboards: IntGauge,
    folders: IntGauge,
    users: IntGauge,
    orgs: IntGauge,
}

impl TotalMetrics {
    /// Metrics in a registry.
    pub fn try_new(registry: &Registry) -> prometheus::Result<Self> {
        let gauge = |name: &str, help: &str| -> prometheus::Result<IntGauge> {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        Ok(Self {
            dashboards: gauge("grafana_stat_totals_dashboard", "Dashboards in all orgs.")?,
            folders: gauge("grafana_stat_totals_folder", "Folders in all orgs.")?,
            users: gauge("grafana_stat_total_users", "Users.")?,
            orgs: gauge("grafana_stat_total_orgs", "Orgs.")?,
        })
    }

    /// Reads the totals periodically, forever.
    pub async fn keep_reading(self, reader: Arc<PgStatisticReader>, interval: Duration) {
        loop {
            if let Err(error) = self.read(&reader).await {
                tracing::warn!(%error, "could not read the totals for the metrics");
            }
            tokio::time::sleep(interval).await;
        }
    }

    async fn read(&self, reader: &PgStatisticReader) -> Result<()> {
        let totals = reader.read_totals().await?;
        self.users.set(totals.users);
        self.orgs.set(totals.orgs);
        self.dashboards.set(totals.dashboards);
        self.folders.set(totals.folders);
        Ok(())
    }
}
