//! The composition root: every part is made here, once, in the order in which the parts need each other. A part
//! that is missing, or a circle, cannot compile.

mod settings;

use std::sync::Arc;

use axum::Router;
use kymograph_api::kernel::health::Readiness;
use kymograph_api::kernel::openapi::Document;
use kymograph_api::kernel::routes::Route;
use kymograph_api::{Api, Services};
use kymograph_app::account::access::AccessLog;
use kymograph_app::account::housekeeping::{Housekeeping, HousekeepingPorts, TidyOrg, TidyServer};
use kymograph_app::account::identity::{Identity, IdentityCache, IdentityPorts, JwtLogIn, JwtPorts};
use kymograph_app::account::invite::{InviteEndings, InvitePorts, Invites};
use kymograph_app::account::job::Jobs;
use kymograph_app::account::membership::{Memberships, OrgGrantees};
use kymograph_app::account::org::Orgs;
use kymograph_app::account::quota::Quotas;
use kymograph_app::account::service_account::ServiceAccounts;
use kymograph_app::account::session::Sessions;
use kymograph_app::account::setup::Setup;
use kymograph_app::account::statistic::Statistics;
use kymograph_app::account::team::{TeamEndings, Teams};
use kymograph_app::account::user::{ConfirmationMails, EmailVerification, UserPorts, Users};
use kymograph_app::content::dashboard::{DashboardPorts, Dashboards, GuardedDashboards};
use kymograph_app::content::folder::{Folders, GuardedFolders};
use kymograph_app::content::preference::Preferences;
use kymograph_app::content::search::Searches;
use kymograph_app::content::star::Stars;
use kymograph_app::kernel::change::ChangeListener;
use kymograph_app::kernel::clock::Clock;
use kymograph_app::kernel::ending::Endings;
use kymograph_app::kernel::feed_health::FeedHealth;
use kymograph_app::kernel::mail::MailBudget;
use kymograph_app::kernel::moment::Moments;
use kymograph_app::kernel::random::random_bytes;
use kymograph_app::kernel::server_key::ServerKeys;
use kymograph_app::kernel::setting::Settings;
use kymograph_app::record::audit::Audits;
use kymograph_app::record::history::{Histories, HistoryPorts};
use kymograph_app::record::undo::{UndoPorts, Undos};
use kymograph_app::rights::resource_permission::{
    GrantEndings, ResourcePermissionPorts, ResourcePermissions,
};
use kymograph_app::{Authorization, Commands, Error, Result, Workers};
use kymograph_infra::change_feed::{self, ChangeFeed};
use kymograph_infra::compute::ComputeThreads;
use kymograph_infra::database_server::DatabaseServer;
use kymograph_infra::event_store::{EventStoreParts, PgEventStore, StreamCache};
use kymograph_infra::health::{PgHealthCheck, WriteHealth};
use kymograph_infra::id_allocator::PgIdAllocator;
use kymograph_infra::jwt::JwtKeys;
use kymograph_infra::login_attempt::PgLoginAttempts;
use kymograph_infra::mail::SmtpMailer;
use kymograph_infra::mail_budget::PgMailBudget;
use kymograph_infra::metrics::FlightMetrics;
use kymograph_infra::password::Argon2Hasher;
use kymograph_infra::pipeline::pipeline_pool;
use kymograph_infra::pool::{app_database, app_server};
use kymograph_infra::secret::PgSecrets;
use kymograph_infra::server_key::PgServerKeys;
use kymograph_infra::session::PgSessionStore;
use kymograph_jobs::{Handlers, JobMetrics, JobRunner, PgJobs};
use kymograph_projections::account::identity::PgIdentityReader;
use kymograph_projections::account::invite::PgInviteReader;
use kymograph_projections::account::membership::PgMembershipReader;
use kymograph_projections::account::org::PgOrgReader;
use kymograph_projections::account::quota::PgQuotaReader;
use kymograph_projections::account::service_account::{PgServiceAccountReader, PgTokenReader};
use kymograph_projections::account::statistic::{PgStatisticReader, TagCounts};
use kymograph_projections::account::team::PgTeamReader;
use kymograph_projections::account::user::PgUserReader;
use kymograph_projections::content::dashboard::{DashboardCache, PgDashboardReader};
use kymograph_projections::content::folder::{FolderCache, PgFolderReader};
use kymograph_projections::content::preference::PgPreferenceReader;
use kymograph_projections::content::search::PgSearchReader;
use kymograph_projections::content::star::{PgStarReader, StarCache};
use kymograph_projections::kernel::moment::PgLogReader;
use kymograph_projections::projectors_within;
use kymograph_projections::record::audit::PgAuditReader;
use kymograph_projections::record::history::PgHistoryReader;
use kymograph_projections::record::undo::PgUndoReader;
use kymograph_projections::rights::resource_permission::{
    AllowedCache, AllowedContents, PgResourcePermissionReader, ResourcePermissionCache,
};
use prometheus::Registry;
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::metrics::{self, Counted};
use crate::serve::Connections;
use settings::{api_settings, connection_settings, default_membership, lock_out, seconds, session_lifetimes};

/// How many bytes of documents are kept in memory.
const DASHBOARD_CACHE_BYTES: u64 = 64 * 1024 * 1024;

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
    reason = "one ordered list of all parts is easier to follow than pieces of it"
)]
pub fn wire(config: &Config, database_server: &DatabaseServer, clock: Arc<dyn Clock>) -> Result<Wired> {
    let database = app_database(database_server, config.database.readers())?;
    let pipelines = pipeline_pool(app_server(database_server), config.database.writers())?;
    let registry = Registry::new();

    let threads = ComputeThreads::start("compute", Workers::turns()).map_err(Error::internal)?;
    let workers = Workers::on(threads);
    let feed_health = Arc::new(FeedHealth::default());
    let identity_cache = Arc::new(IdentityCache::new(random_bytes()?, &feed_health));
    let folder_cache = Arc::new(FolderCache::new(&feed_health));
    let dashboard_cache = Arc::new(DashboardCache::with_bytes(DASHBOARD_CACHE_BYTES, &feed_health));
    let star_cache = Arc::new(StarCache::new(&feed_health));
    let tag_counts = Arc::new(TagCounts::new(&feed_health));
    let permission_cache = Arc::new(ResourcePermissionCache::new(&feed_health));
    let allowed_cache = Arc::new(AllowedCache::default());
    let streams = Arc::new(StreamCache::new(&feed_health));
    let read_caches: Vec<Arc<dyn ChangeListener>> = vec![
        identity_cache.clone(),
        folder_cache.clone(),
        dashboard_cache.clone(),
        star_cache.clone(),
        tag_counts.clone(),
        permission_cache.clone(),
        allowed_cache.clone(),
    ];

    let users = Arc::new(PgUserReader::new(database.clone()));
    let orgs = Arc::new(PgOrgReader::new(database.clone()));
    let memberships = Arc::new(PgMembershipReader::new(database.clone()));
    let teams = Arc::new(PgTeamReader::new(database.clone()));
    let service_accounts = Arc::new(PgServiceAccountReader::new(database.clone()));
    let tokens = Arc::new(PgTokenReader::new(database.clone()));
    let identities = Arc::new(PgIdentityReader::new(database.clone()));
    let permissions =
        Arc::new(PgResourcePermissionReader::new(database.clone(), permission_cache, folder_cache.clone()));
    let allowed = Arc::new(AllowedContents::new(database.clone(), allowed_cache, workers.clone()));
    let folders = Arc::new(PgFolderReader::new(database.clone(), folder_cache, allowed.clone()));
    let dashboards =
        Arc::new(PgDashboardReader::new(database.clone(), dashboard_cache, workers.clone(), allowed.clone()));
    let invites = Arc::new(PgInviteReader::new(database.clone()));
    let preferences = Arc::new(PgPreferenceReader::new(database.clone()));
    let quotas = Arc::new(PgQuotaReader::new(database.clone()));
    // Grafana 12.4 alone finds words in the tags of dashboards, too.
    let words_in_tags = config.compatibility.grafana_version.starts_with("12.4.");
    let searches = Arc::new(PgSearchReader::new(database.clone(), allowed.clone(), words_in_tags));
    let stars = Arc::new(PgStarReader::new(database.clone(), star_cache, allowed));
    let statistics = Arc::new(PgStatisticReader::new(database.in_background(), tag_counts));
    let (warming, now) = (statistics.clone(), clock.now());
    let warm_up = tokio::spawn(async move { warming.warm_up(now).await });
    let log = Arc::new(PgLogReader::new(database.clone()));
    let audits = Arc::new(PgAuditReader::new(database.clone(), log.clone()));
    let histories = Arc::new(PgHistoryReader::new(database.clone()));
    let undos = Arc::new(PgUndoReader::new(database.clone()));
    let server_keys = Arc::new(PgServerKeys::new(database.clone()));
    let sessions =
        Arc::new(PgSessionStore::new(database.clone(), pipelines.clone(), config.quota.max_sessions));
    let attempts = Arc::new(PgLoginAttempts::new(database.clone()));
    let mails = Arc::new(PgMailBudget::new(database.clone()));
    let ids = Arc::new(PgIdAllocator::new(database.clone()));
    let passwords = Arc::new(Argon2Hasher::start().map_err(Error::internal)?);
    let write_health = Arc::new(WriteHealth::default());
    let health =
        PgHealthCheck::new(database.clone(), pipelines.clone(), write_health.clone(), feed_health.clone());
    let health = Arc::new(health);

    let (feed, changes) = ChangeFeed::new();
    let mut feed_listeners = read_caches.clone();
    feed_listeners.push(streams.clone());
    let feed_task = change_feed::run(app_server(database_server), changes, feed_listeners, feed_health)?;
    let queue = PgJobs::new(&database);
    let store = Arc::new(PgEventStore::new(EventStoreParts {
        database: database.clone(),
        pipelines: pipelines.clone(),
        clock: clock.clone(),
        jobs: Arc::new(queue.clone()),
        projectors: projectors_within(config.quota.limits.as_ref()),
        listeners: read_caches,
        feed: feed.clone(),
        streams,
        metrics: FlightMetrics::try_new(&registry).map_err(Error::internal)?,
        health: write_health,
    }));
    let commands = Commands::new(store.clone(), Arc::new(PgSecrets), Arc::new(queue.clone()));
    let (access, recorder) = AccessLog::new(commands.clone(), clock.clone());
    let access_task = tokio::spawn(recorder.run());
    let counted = Counted {
        readers: database,
        writers: pipelines,
        access: access.clone(),
        feed: feed.clone(),
        statistics: statistics.clone(),
    };
    let totals = metrics::register(&registry, config, counted).map_err(Error::internal)?;
    let authorization = Arc::new(Authorization::new(permissions.clone()));

    let endings = Endings::new(vec![
        Arc::new(InviteEndings::new(invites.clone())),
        Arc::new(TeamEndings::new(teams.clone())),
        Arc::new(GrantEndings::new(permissions.clone())),
        Arc::new(GuardedDashboards::new(dashboards.clone())),
    ]);

    let verification = email_verification(config, server_keys.clone(), mails.clone(), clock.clone());
    let user_service = Arc::new(Users::new(
        commands.clone(),
        UserPorts {
            reader: users.clone(),
            memberships: memberships.clone(),
            endings: endings.clone(),
            ids: ids.clone(),
            passwords: passwords.clone(),
            verification: verification.clone(),
        },
        default_membership(config),
    ));
    let membership_service = Arc::new(Memberships::new(
        commands.clone(),
        memberships.clone(),
        users.clone(),
        orgs.clone(),
        invites.clone(),
        endings.clone(),
    ));
    let jwt_keys = match &config.jwt {
        Some(jwt) => Some((jwt, Arc::new(JwtKeys::try_new(&jwt.keys)?))),
        None => None,
    };
    let jwt = jwt_keys.as_ref().map(|(jwt, keys)| {
        let ports = JwtPorts {
            verifier: keys.clone(),
            users: users.clone(),
            orgs: orgs.clone(),
            accounts: user_service.clone(),
            memberships: membership_service.clone(),
        };
        JwtLogIn::new(ports, jwt.settings(default_membership(config)))
    });
    let identity = Arc::new(Identity::new(
        IdentityPorts {
            reader: identities.clone(),
            tokens: tokens.clone(),
            sessions: sessions.clone(),
            attempts: attempts.clone(),
            passwords: passwords.clone(),
            users: user_service.clone(),
            jwt,
            clock: clock.clone(),
            cache: identity_cache,
            access: access.clone(),
        },
        session_lifetimes(config),
        lock_out(config),
    ));
    let setup = Arc::new(Setup::new(
        commands.clone(),
        log.clone(),
        users.clone(),
        identities,
        ids.clone(),
        passwords,
    ));
    let invite_service = Arc::new(Invites::new(
        commands.clone(),
        InvitePorts {
            reader: invites.clone(),
            orgs: orgs.clone(),
            user_reader: users.clone(),
            users: user_service.clone(),
            memberships: membership_service.clone(),
            ids: ids.clone(),
            clock: clock.clone(),
        },
    ));
    let ports = HousekeepingPorts {
        store,
        jobs: Arc::new(queue.clone()),
        invites: invite_service.clone(),
        sessions: sessions.clone(),
        attempts,
        mails,
        clock: clock.clone(),
    };
    let housekeeping = Arc::new(Housekeeping::new(ports, session_lifetimes(config)));
    let mut handlers =
        Handlers::default().with::<TidyServer>(housekeeping.clone()).with::<TidyOrg>(housekeeping);
    if let Some(verification) = verification {
        let mailer = Arc::new(SmtpMailer::new(&config.smtp.settings())?);
        handlers = handlers.with(Arc::new(ConfirmationMails::new(commands.clone(), verification, mailer)));
    }
    let job_metrics = JobMetrics::try_new(&registry, &handlers).map_err(Error::internal)?;
    let job_service = Arc::new(Jobs::new(Arc::new(queue.clone()), Arc::new(queue.clone())));
    let jobs = JobRunner::start(queue, handlers, job_metrics, vec![TidyServer::job()?]);
    let moments = Arc::new(Moments::new(log.clone(), clock.clone()));
    let dashboard_service = Arc::new(Dashboards::new(
        commands.clone(),
        DashboardPorts {
            reader: dashboards.clone(),
            folders: folders.clone(),
            authorization: authorization.clone(),
            moments: moments.clone(),
            ids: ids.clone(),
        },
        workers.clone(),
        config.server.max_body,
    ));
    let folder_service = Arc::new(Folders::new(
        commands.clone(),
        folders.clone(),
        authorization.clone(),
        moments.clone(),
        ids.clone(),
        endings.clone(),
    ));
    let readiness = Arc::new(Readiness::default());
    let services = Services {
        access: access.clone(),
        audits: Arc::new(Audits::new(
            audits,
            log,
            histories.clone(),
            server_keys,
            clock.clone(),
            workers.clone(),
        )),
        commands: commands.clone(),
        undos: Arc::new(Undos::new(
            commands.clone(),
            UndoPorts {
                reader: undos,
                histories: histories.clone(),
                folders: folders.clone(),
                invites: invites.clone(),
                ids: ids.clone(),
                workers: workers.clone(),
            },
        )),
        histories: Arc::new(Histories::new(
            commands.clone(),
            HistoryPorts {
                reader: histories,
                authorization: authorization.clone(),
                dashboards: dashboard_service.clone(),
                folders: folder_service.clone(),
                invites,
                ids: ids.clone(),
                workers,
            },
        )),
        dashboards: dashboard_service,
        folders: folder_service,
        identity,
        invites: invite_service,
        jobs: job_service,
        memberships: membership_service,
        orgs: Arc::new(Orgs::new(commands.clone(), orgs, ids.clone())),
        preferences: Arc::new(Preferences::new(
            commands.clone(),
            preferences,
            dashboards.clone(),
            teams.clone(),
            authorization.clone(),
        )),
        quotas: Arc::new(Quotas::new(commands.clone(), quotas, config.quota.limits.clone())),
        resource_permissions: Arc::new(ResourcePermissions::new(
            commands.clone(),
            ResourcePermissionPorts {
                reader: permissions.clone(),
                authorization: authorization.clone(),
                kinds: vec![
                    Arc::new(GuardedFolders::new(folders.clone())),
                    Arc::new(GuardedDashboards::new(dashboards)),
                ],
                grantees: Arc::new(OrgGrantees),
            },
        )),
        searches: Arc::new(Searches::new(searches, folders, stars.clone(), moments)),
        sessions: Arc::new(Sessions::new(commands.clone(), sessions, users.clone())),
        settings: Arc::new(Settings::new(config.settings().clone())),
        stars: Arc::new(Stars::new(commands.clone(), stars, authorization)),
        statistics: Arc::new(Statistics::new(statistics, clock.clone())),
        service_accounts: Arc::new(ServiceAccounts::new(
            commands.clone(),
            service_accounts,
            tokens,
            endings.clone(),
            ids.clone(),
            clock,
        )),
        teams: Arc::new(Teams::new(commands, teams, memberships, endings, ids)),
        users: user_service,
        health,
        readiness: readiness.clone(),
        metrics: registry,
    };
    let connections =
        Connections::try_new(connection_settings(config), &services.metrics).map_err(Error::internal)?;
    let Api { router, routes, document } =
        kymograph_api::api(services, &api_settings(config)).map_err(Error::internal)?;
    let fetching = jwt_keys.map(|(_, keys)| tokio::spawn(async move { keys.warm_up().await }));
    let background = [feed_task, access_task, warm_up].into_iter().chain(totals).chain(fetching).collect();
    let connections = Arc::new(connections);
    Ok(Wired { router, routes, document, setup, access, feed, jobs, readiness, connections, background })
}

fn email_verification(
    config: &Config,
    keys: Arc<dyn ServerKeys>,
    budget: Arc<dyn MailBudget>,
    clock: Arc<dyn Clock>,
) -> Option<Arc<EmailVerification>> {
    if !config.smtp.enabled || !config.users.verify_email_enabled {
        return None;
    }
    let lifetime = seconds(config.users.verification_lifetime);
    Some(Arc::new(EmailVerification::new(keys, budget, clock, lifetime, &config.server.root_url)))
}
