//! The event store of Kymograph in this process, as the server uses it.

use std::sync::Arc;

use kymograph_app::kernel::feed_health::FeedHealth;
use kymograph_app::{Actor, Commands, RequestContext, Scope};
use kymograph_domain::{OrgId, OrgRole, UserId};
use kymograph_infra::change_feed::{self, ChangeFeed};
use kymograph_infra::clock::SystemClock;
use kymograph_infra::database_server::DatabaseServer;
use kymograph_infra::event_store::{EventStoreParts, PgEventStore, stream_cache};
use kymograph_infra::metrics::FlightMetrics;
use kymograph_infra::pipeline::pipeline_pool;
use kymograph_infra::pool::{app_database, app_server};
use kymograph_infra::secret::{MasterKeySettings, MasterKeys, PgSecrets};
use kymograph_infra::server_key::PgServerKeys;
use kymograph_jobs::PgJobs;
use prometheus::Registry;
use tokio::task::JoinHandle;

use crate::error::Result;

/// An event store with all projectors, and the change feed that notifies other servers.
pub(crate) struct Store {
    /// Runs commands on it.
    pub(crate) commands: Commands,
    feed: JoinHandle<()>,
}

impl Store {
    /// Opens the store of a database that has the schema.
    pub(crate) fn open(server: &DatabaseServer, pool_size: usize) -> Result<Self> {
        let (feed, changes) = ChangeFeed::new();
        let feed_health = Arc::new(FeedHealth::default());
        let feed_task = change_feed::run(app_server(server), changes, Vec::new(), feed_health.clone())?;
        let database = app_database(server, pool_size)?;
        let jobs = Arc::new(PgJobs::new(&database));
        // The measured commands write no secrets.
        let master_keys = MasterKeySettings { texts: Vec::new(), file: "/nonexistent/secret.key".into() };
        let secrets = Arc::new(PgSecrets::new(database.clone(), Arc::new(MasterKeys::new(master_keys))));
        let keys = Arc::new(PgServerKeys::new(database.clone(), secrets.clone()));
        let store = PgEventStore::new(EventStoreParts {
            database,
            pipelines: pipeline_pool(app_server(server), pool_size)?,
            clock: Arc::new(SystemClock),
            jobs: jobs.clone(),
            projectors: kymograph_projections::projectors(),
            listeners: Vec::new(),
            feed,
            streams: Arc::new(stream_cache(&feed_health)),
            metrics: FlightMetrics::try_new(&Registry::new())?,
            health: Arc::default(),
        });
        Ok(Self { commands: Commands::new(Arc::new(store), secrets, jobs, keys), feed: feed_task })
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.feed.abort();
    }
}

/// The scope of an admin of an org.
pub(crate) fn scope(org: i64) -> Scope {
    let actor =
        Actor { user_id: UserId(1), uid: "admin".into(), login: "admin".into(), is_server_admin: true };
    let request = RequestContext {
        request_id: "0198c0de-0000-7000-8000-000000000000".into(),
        correlation_id: "0198c0de-0000-7000-8000-000000000000".into(),
        auth_method: "session",
        token_id: Some(1),
        ip: "127.0.0.1".into(),
        user_agent: "kymograph-bench".into(),
        ..RequestContext::default()
    };
    Scope::of_member(OrgId(org), OrgRole::Admin, Arc::new(actor), Arc::new(request))
}
