//! The composition root: every part is made here, once, in the order in which the parts need each other. A part
//! that is missing, or a circle, cannot compile. Each area makes its own.

mod account;
mod content;
mod identity;
mod job;
mod kernel;
mod record;
mod rights;
mod settings;

use std::sync::Arc;

use axum::Router;
use kymograph_api::kernel::health::Readiness;
use kymograph_api::kernel::openapi::Document;
use kymograph_api::kernel::routes::Route;
use kymograph_api::{Api, Services};
use kymograph_app::account::access::AccessLog;
use kymograph_app::account::identity::IdentityCache;
use kymograph_app::account::membership::Memberships;
use kymograph_app::account::setup::Setup;
use kymograph_app::content::annotation::AnnotationEndings;
use kymograph_app::content::dashboard::GuardedDashboards;
use kymograph_app::kernel::change::ChangeListener;
use kymograph_app::kernel::clock::Clock;
use kymograph_app::kernel::ending::Endings;
use kymograph_app::kernel::random::random_bytes;
use kymograph_app::kernel::setting::Settings;
use kymograph_app::rights::resource_permission::GrantEndings;
use kymograph_app::{Error, Result};
use kymograph_infra::change_feed::ChangeFeed;
use kymograph_infra::database_server::DatabaseServer;
use kymograph_jobs::JobRunner;
use kymograph_projections::content::folder::folder_cache;
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::metrics::{self, Counted};
use crate::serve::Connections;
use account::AccountReaders;
use content::ContentReaders;
use identity::Identities;
use kernel::{Kernel, Log};
use rights::RightsReaders;
use settings::{api_settings, connection_settings};

/// A server whose parts are put together.
pub struct Wired {
    /// Serves requests.
    pub router: Router,
    /// The routes that the router has.
    pub routes: Vec<Route>,
    /// The document that describes them.
    pub document: Arc<Document>,
    /// Prepares an empty database.
    pub setup: Arc<Setup>,
    /// Records who was refused; has to be flushed before the background work is aborted.
    pub access: AccessLog,
    /// Tells other servers of changes; has to be flushed before the background work is aborted.
    pub feed: ChangeFeed,
    /// Does jobs; has to be stopped before the background work is aborted.
    pub jobs: JobRunner,
    /// Whether the server wants requests.
    pub readiness: Arc<Readiness>,
    /// The limit of connections.
    pub connections: Arc<Connections>,
    /// Work beside the requests, which is aborted at the stop.
    pub background: Vec<JoinHandle<()>>,
}

/// Puts a server together on a database that has its schema.
#[allow(
    clippy::too_many_lines,
    reason = "one ordered list of all areas is easier to follow than pieces of it"
)]
pub fn wire(config: &Config, database_server: &DatabaseServer, clock: Arc<dyn Clock>) -> Result<Wired> {
    let kernel = Kernel::start(config, database_server, clock)?;
    let identity_cache = Arc::new(IdentityCache::new(random_bytes()?, &kernel.feed_health));
    let folder_cache = Arc::new(folder_cache(&kernel.feed_health));
    let account = AccountReaders::start(&kernel)?;
    let rights = RightsReaders::new(&kernel, folder_cache.clone());
    let content = ContentReaders::new(&kernel, folder_cache, &rights);
    let caches: [Arc<dyn ChangeListener>; 2] = [identity_cache.clone(), account.tag_counts.clone()];
    let caches = caches.into_iter().chain(rights.caches.clone()).chain(content.caches.clone()).collect();
    let log = Log::open(&kernel, caches)?;
    let commands = &log.commands;

    let (access, recorder) = AccessLog::new(commands.clone(), kernel.clock.clone());
    let mut endings = account.endings();
    endings.push(Arc::new(GrantEndings::new(rights.permissions.clone())));
    endings.push(Arc::new(GuardedDashboards::new(content.dashboards.clone())));
    endings.push(Arc::new(AnnotationEndings::new(content.annotations.clone())));
    let endings = Endings::new(endings);
    let memberships = Arc::new(Memberships::new(
        commands.clone(),
        account.memberships.clone(),
        account.users.clone(),
        account.orgs.clone(),
        endings.clone(),
    ));
    let identities =
        Identities::start(&kernel, commands, &account, (&access, identity_cache), &memberships, &endings)?;
    let accounts = account.services(&kernel, commands, access.clone(), memberships, &identities, &endings);
    let contents = content.services(&kernel, commands, &rights, endings.clone(), account.teams.clone());
    let records = record::services(&kernel, commands, &rights, (&content, &contents), endings);
    let jobs = job::start(&kernel, &log, (&account, &content), &identities, &accounts)?;

    let counted = Counted {
        readers: kernel.database.clone(),
        writers: kernel.pipelines.clone(),
        access: access.clone(),
        feed: log.feed.clone(),
        statistics: account.statistics.clone(),
    };
    let totals = metrics::register(&kernel.registry, config, counted).map_err(Error::internal)?;
    let connections =
        Connections::try_new(connection_settings(config), &kernel.registry).map_err(Error::internal)?;
    let readiness = Arc::new(Readiness::default());
    let services = Services {
        account: accounts,
        rights: rights.services(commands.clone(), content.guarded()),
        content: contents,
        record: records,
        commands: commands.clone(),
        settings: Arc::new(Settings::new(config.settings().clone())),
        health: kernel.health(),
        readiness: readiness.clone(),
        metrics: kernel.registry.clone(),
    };
    let Api { router, routes, document } =
        kymograph_api::api(services, &api_settings(config)).map_err(Error::internal)?;

    let (statistics, now) = (account.statistics, kernel.clock.now());
    let mut background = vec![
        log.feed_task,
        tokio::spawn(recorder.run()),
        tokio::spawn(async move { statistics.warm_up(now).await }),
    ];
    background.extend(totals);
    background.extend(identities.keys.map(|keys| tokio::spawn(async move { keys.warm_up().await })));
    Ok(Wired {
        router,
        routes,
        document,
        setup: identities.setup,
        access,
        feed: log.feed,
        jobs,
        readiness,
        connections: Arc::new(connections),
        background,
    })
}
