//! The server over all areas: the API, the metrics, and background tasks.

use std::sync::Arc;

use axum::Router;
use kymograph_api::kernel::health::Readiness;
use kymograph_api::kernel::openapi::Document;
use kymograph_api::kernel::routes::Route;
use kymograph_api::{Api, Services};
use kymograph_app::account::access::{AccessLog, AccessRecorder};
use kymograph_app::account::setup::Setup;
use kymograph_app::{Error, Result};
use kymograph_infra::change_feed::ChangeFeed;
use kymograph_infra::secret::PgSecrets;
use kymograph_jobs::JobRunner;
use tokio::task::JoinHandle;

use super::account::{AccountReaders, Identities};
use super::kernel::{Kernel, Log};
use super::settings::{api_settings, connection_settings};
use crate::metrics::{self, Counted};
use crate::serve::Connections;

/// A wired server.
pub struct Wired {
    /// Serves requests.
    pub router: Router,
    /// The routes of the router.
    pub routes: Vec<Route>,
    /// The OpenAPI document.
    pub document: Arc<Document>,
    /// Prepares an empty database.
    pub setup: Arc<Setup>,
    /// Keeps secrets; must be checked against the database before the server serves.
    pub secrets: Arc<PgSecrets>,
    /// Records refused requests; must be flushed before the background tasks are aborted.
    pub access: AccessLog,
    /// Notifies other servers of changes; must be flushed before the background tasks are aborted.
    pub feed: ChangeFeed,
    /// Runs jobs; must be stopped before the background tasks are aborted.
    pub jobs: JobRunner,
    /// Whether the server is ready for requests.
    pub readiness: Arc<Readiness>,
    /// The limit of connections.
    pub connections: Arc<Connections>,
    /// Background tasks, which are aborted at the stop.
    pub background: Vec<JoinHandle<()>>,
}

impl Wired {
    /// Builds the API and the metrics, and starts the background tasks.
    pub(super) fn start(
        kernel: &Kernel<'_>,
        log: Log,
        account: &AccountReaders,
        (identities, recorder): (Identities, AccessRecorder),
        jobs: JobRunner,
        services: Services,
    ) -> Result<Self> {
        let access = services.account.access.clone();
        let counted = Counted {
            readers: kernel.database.clone(),
            writers: kernel.pipelines.clone(),
            access: access.clone(),
            feed: log.feed.clone(),
            statistics: account.statistics.clone(),
        };
        let totals = metrics::register(&kernel.registry, kernel.config, counted).map_err(Error::internal)?;
        let connections = Connections::try_new(connection_settings(kernel.config), &kernel.registry)
            .map_err(Error::internal)?;
        let readiness = services.readiness.clone();
        let Api { router, routes, document } =
            kymograph_api::api(services, &api_settings(kernel.config)).map_err(Error::internal)?;
        let (statistics, now) = (account.statistics.clone(), kernel.clock.now());
        let mut background = vec![
            log.feed_task,
            tokio::spawn(recorder.run()),
            tokio::spawn(async move { statistics.warm_up(now).await }),
        ];
        background.extend(totals);
        background.extend(identities.keys.map(|keys| tokio::spawn(async move { keys.warm_up().await })));
        Ok(Self {
            router,
            routes,
            document,
            setup: identities.setup,
            secrets: kernel.secrets.clone(),
            access,
            feed: log.feed,
            jobs,
            readiness,
            connections: Arc::new(connections),
            background,
        })
    }
}
