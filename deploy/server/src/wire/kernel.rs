//! The parts that all nouns depend on.

use std::sync::Arc;

use kymograph_app::kernel::change::ChangeListener;
use kymograph_app::kernel::clock::Clock;
use kymograph_app::kernel::feed_health::FeedHealth;
use kymograph_app::kernel::moment::Moments;
use kymograph_app::{Commands, Error, Result, Workers};
use kymograph_infra::change_feed::{self, ChangeFeed};
use kymograph_infra::compute::ComputeThreads;
use kymograph_infra::database_server::DatabaseServer;
use kymograph_infra::event_store::{EventStoreParts, PgEventStore, stream_cache};
use kymograph_infra::health::{PgHealthCheck, WriteHealth};
use kymograph_infra::id_allocator::PgIdAllocator;
use kymograph_infra::mail_budget::PgMailBudget;
use kymograph_infra::metrics::FlightMetrics;
use kymograph_infra::pipeline::{PipelinePool, pipeline_pool};
use kymograph_infra::pool::{app_database, app_server};
use kymograph_infra::secret::{MasterKeys, PgSecrets};
use kymograph_infra::server_key::PgServerKeys;
use kymograph_jobs::PgJobs;
use kymograph_projections::kernel::moment::PgLogReader;
use kymograph_projections::{Database, projectors_within};
use prometheus::Registry;
use tokio::task::JoinHandle;

use crate::config::Config;

/// The parts below all nouns.
pub(super) struct Kernel<'a> {
    pub(super) config: &'a Config,
    pub(super) server: &'a DatabaseServer,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) registry: Registry,
    pub(super) database: Database,
    pub(super) pipelines: PipelinePool,
    pub(super) workers: Workers,
    pub(super) feed_health: Arc<FeedHealth>,
    pub(super) write_health: Arc<WriteHealth>,
    pub(super) ids: Arc<PgIdAllocator>,
    pub(super) jobs: PgJobs,
    pub(super) log: Arc<PgLogReader>,
    pub(super) mails: Arc<PgMailBudget>,
    pub(super) moments: Arc<Moments>,
    pub(super) secrets: Arc<PgSecrets>,
    pub(super) server_keys: Arc<PgServerKeys>,
}

impl<'a> Kernel<'a> {
    pub(super) fn start(
        config: &'a Config,
        server: &'a DatabaseServer,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let database = app_database(server, config.database.readers())?;
        let threads = ComputeThreads::start("compute", Workers::turns()).map_err(Error::internal)?;
        let log = Arc::new(PgLogReader::new(database.clone()));
        let master_keys = Arc::new(MasterKeys::new(config.master_keys()));
        let secrets = Arc::new(PgSecrets::new(database.clone(), master_keys));
        Ok(Self {
            config,
            server,
            registry: Registry::new(),
            pipelines: pipeline_pool(app_server(server), config.database.writers())?,
            workers: Workers::on(threads),
            feed_health: Arc::default(),
            write_health: Arc::default(),
            ids: Arc::new(PgIdAllocator::new(database.clone())),
            jobs: PgJobs::new(&database),
            mails: Arc::new(PgMailBudget::new(database.clone())),
            moments: Arc::new(Moments::new(log.clone(), clock.clone())),
            server_keys: Arc::new(PgServerKeys::new(database.clone(), secrets.clone())),
            secrets,
            log,
            database,
            clock,
        })
    }

    /// Checks reads and writes of the database.
    pub(super) fn health(&self) -> Arc<PgHealthCheck> {
        let (database, pipelines) = (self.database.clone(), self.pipelines.clone());
        Arc::new(PgHealthCheck::new(database, pipelines, self.write_health.clone(), self.feed_health.clone()))
    }
}

/// The log and its commands.
pub(super) struct Log {
    pub(super) store: Arc<PgEventStore>,
    pub(super) commands: Commands,
    pub(super) feed: ChangeFeed,
    /// Notifies other servers of changes, and receives their notifications.
    pub(super) feed_task: JoinHandle<()>,
}

impl Log {
    /// Opens the log, whose changes invalidate these caches.
    pub(super) fn open(kernel: &Kernel<'_>, caches: Vec<Arc<dyn ChangeListener>>) -> Result<Self> {
        let streams = Arc::new(stream_cache(&kernel.feed_health));
        let (feed, changes) = ChangeFeed::new();
        let mut listeners = caches.clone();
        listeners.push(streams.clone());
        let server = app_server(kernel.server);
        let feed_task = change_feed::run(server, changes, listeners, kernel.feed_health.clone())?;
        let store = Arc::new(PgEventStore::new(EventStoreParts {
            database: kernel.database.clone(),
            pipelines: kernel.pipelines.clone(),
            clock: kernel.clock.clone(),
            jobs: Arc::new(kernel.jobs.clone()),
            projectors: projectors_within(kernel.config.quota.limits.as_ref()),
            listeners: caches,
            feed: feed.clone(),
            streams,
            metrics: FlightMetrics::try_new(&kernel.registry).map_err(Error::internal)?,
            health: kernel.write_health.clone(),
        }));
        let jobs = Arc::new(kernel.jobs.clone());
        let commands = Commands::new(store.clone(), kernel.secrets.clone(), jobs, kernel.server_keys.clone());
        Ok(Self { store, commands, feed, feed_task })
    }
}
