//! The HTTP API: slice routers, wire types, error mapping and the authentication layer.
//!
//! A slice is one file by noun that ends in its `routes` function. Slices know their own services only; what
//! all requests go through is in [`layer`](kernel::layer).

pub mod account;
pub mod content;
pub mod kernel;
pub mod limit;
pub mod record;
pub mod rights;

use std::sync::Arc;

use axum::Router;
use axum::http::uri::PathAndQuery;
use axum::http::{Method, StatusCode, Uri, header};
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use kymograph_app::Commands;
use kymograph_app::account::access::AccessLog;
use kymograph_app::account::identity::Identity;
use kymograph_app::account::invite::Invites;
use kymograph_app::account::membership::Memberships;
use kymograph_app::account::org::Orgs;
use kymograph_app::account::quota::Quotas;
use kymograph_app::account::service_account::ServiceAccounts;
use kymograph_app::account::session::Sessions;
use kymograph_app::account::statistic::Statistics;
use kymograph_app::account::team::Teams;
use kymograph_app::account::user::Users;
use kymograph_app::content::dashboard::Dashboards;
use kymograph_app::content::folder::Folders;
use kymograph_app::content::preference::Preferences;
use kymograph_app::content::search::Searches;
use kymograph_app::content::star::Stars;
use kymograph_app::kernel::health::HealthCheck;
use kymograph_app::kernel::setting::Settings;
use kymograph_app::record::audit::Audits;
use kymograph_app::record::history::Histories;
use kymograph_app::record::undo::Undos;
use kymograph_app::rights::resource_permission::ResourcePermissions;
use prometheus::Registry;

use crate::account::session::CookieSettings;
use crate::kernel::health::Readiness;
use crate::kernel::layer::{Authentication, LayerSettings, UrlLogIn, log_in_by_url, without_url_token};
use crate::kernel::metrics::{HttpMetrics, MetricsSettings};
use crate::kernel::openapi::Document;
use crate::kernel::panic::catch_panics;
use crate::kernel::routes::{Route, Routes};

/// What the API serves.
pub struct Services {
    /// Records who was denied what.
    pub access: AccessLog,
    /// The audit log.
    pub audits: Arc<Audits>,
    /// Runs commands, and knows which requests came before.
    pub commands: Commands,
    /// Dashboards.
    pub dashboards: Arc<Dashboards>,
    /// Folders.
    pub folders: Arc<Folders>,
    /// Histories of anything.
    pub histories: Arc<Histories>,
    /// Who is asking.
    pub identity: Arc<Identity>,
    /// Invites.
    pub invites: Arc<Invites>,
    /// Memberships.
    pub memberships: Arc<Memberships>,
    /// Orgs.
    pub orgs: Arc<Orgs>,
    /// Preferences.
    pub preferences: Arc<Preferences>,
    /// Quotas.
    pub quotas: Arc<Quotas>,
    /// Permissions of folders and dashboards.
    pub resource_permissions: Arc<ResourcePermissions>,
    /// Searching.
    pub searches: Arc<Searches>,
    /// Service accounts.
    pub service_accounts: Arc<ServiceAccounts>,
    /// Sessions.
    pub sessions: Arc<Sessions>,
    /// Settings.
    pub settings: Arc<Settings>,
    /// Stars.
    pub stars: Arc<Stars>,
    /// Statistics.
    pub statistics: Arc<Statistics>,
    /// Teams.
    pub teams: Arc<Teams>,
    /// Undoing what requests did.
    pub undos: Arc<Undos>,
    /// Users.
    pub users: Arc<Users>,
    /// Whether the database answers.
    pub health: Arc<dyn HealthCheck>,
    /// Whether the server takes requests.
    pub readiness: Arc<Readiness>,
    /// What is counted.
    pub metrics: Registry,
}

/// What can be set about the API.
#[derive(Clone, Debug)]
pub struct ApiSettings {
    /// The version of Grafana that it is compatible with.
    pub grafana_version: String,
    /// The address that people reach the server by. It ends in a slash.
    pub root_url: String,
    /// The path under which it is served, empty for the root.
    pub sub_path: String,
    /// The portal.
    pub portal: kernel::portal::PortalFiles,
    /// What all requests go through.
    pub layer: LayerSettings,
    /// The session cookie.
    pub cookie: CookieSettings,
    /// The page of metrics. Without one, requests are not counted.
    pub metrics: Option<MetricsSettings>,
}

/// The API, put together.
pub struct Api {
    /// Serves requests.
    pub router: Router,
    /// The routes that it has.
    pub routes: Vec<Route>,
    /// The document that describes them.
    pub document: Arc<Document>,
}

/// Puts the API together. It fails if a metric is registered already.
pub fn api(services: Services, settings: &ApiSettings) -> prometheus::Result<Api> {
    let Services { identity, users, sessions, memberships, .. } = services;
    let cookie = Arc::new(settings.cookie.clone());
    let authentication = Authentication {
        identity: identity.clone(),
        commands: services.commands,
        access: services.access,
        cookie: cookie.clone(),
        is_basic_enabled: settings.layer.is_basic_auth_enabled,
        jwt: settings.layer.jwt.clone(),
    };
    let url_login = UrlLogIn {
        identity: identity.clone(),
        cookie: cookie.clone(),
        trusted_proxies: settings.layer.trusted_proxies.clone().into(),
        sub_path: kernel::portal::sub_path(&settings.root_url).into(),
    };
    let document = Document::new(settings);
    let metrics_page =
        |page: &MetricsSettings| kernel::metrics::routes(services.metrics.clone(), page.clone());
    let (public, private, routes) = Routes::default()
        .merge(kernel::health::routes(services.health.clone(), services.readiness, &settings.grafana_version))
        .merge(settings.metrics.as_ref().map(metrics_page).unwrap_or_default())
        .merge(kernel::frontend::routes(&settings.grafana_version))
        .merge(account::avatar::routes())
        .merge(kernel::openapi::routes(&document))
        .merge(account::invite::routes(
            services.invites,
            identity.clone(),
            cookie.clone(),
            &settings.root_url,
        ))
        .merge(account::session::routes(identity.clone(), sessions, cookie, &settings.root_url))
        .merge(account::setting::routes(&services.settings))
        .merge(account::statistic::routes(&services.statistics))
        .merge(account::org::routes(services.orgs))
        .merge(account::membership::routes(memberships.clone()))
        .merge(account::user::routes(users, memberships, identity, &settings.root_url))
        .merge(account::service_account::routes(&services.service_accounts))
        .merge(account::team::routes(&services.teams))
        .merge(content::folder::routes(services.folders))
        .merge(content::dashboard::routes(services.dashboards, services.stars.clone()))
        .merge(account::quota::routes(&services.quotas))
        .merge(rights::resource_permission::routes(&services.resource_permissions))
        .merge(content::data_source::routes())
        .merge(content::search::routes(services.searches))
        .merge(content::preference::routes(services.preferences))
        .merge(content::star::routes(services.stars))
        .merge(record::audit::routes(services.audits))
        .merge(record::history::routes(&services.histories))
        .merge(record::undo::routes(&services.undos))
        .into_routers();
    let metrics = match settings.metrics {
        Some(_) => Some(HttpMetrics::try_new(&services.metrics, &routes, &settings.sub_path)?),
        None => None,
    };
    let mut portal = kernel::portal::router(settings.portal, &settings.root_url, &settings.cookie.name);
    if settings.layer.jwt.as_ref().is_some_and(|jwt| jwt.url_login) {
        portal = portal.route_layer(from_fn_with_state(url_login, log_in_by_url));
    }
    let panics = metrics.as_ref().map(|metrics| metrics.panics().clone());
    let portal = portal.layer(from_fn_with_state(panics, catch_panics));
    let sub_path = kernel::portal::sub_path(&settings.root_url);
    let router =
        kernel::layer::protected(public, private, &settings.layer, sub_path, metrics, authentication)
            .merge(portal);
    let router = if settings.sub_path.is_empty() { router } else { under(&settings.sub_path, router) };
    document.set_routes(routes.clone());
    Ok(Api { router, routes, document })
}

/// The router under a sub-path. Like Grafana, it leads there who asks for a page outside of it; a token is not carried
/// along. A program is told instead that it has the wrong address: led elsewhere, it would send another request.
fn under(sub_path: &str, router: Router) -> Router {
    let prefix: Arc<str> = sub_path.into();
    let lead = async move |method: Method, uri: Uri| {
        let is_page = !uri.path().starts_with("/api/") && matches!(method, Method::GET | Method::HEAD);
        if !is_page {
            return kernel::layer::not_found().await.into_response();
        }
        let uri = without_url_token(uri);
        let asked = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        (StatusCode::FOUND, [(header::LOCATION, format!("{prefix}{asked}"))]).into_response()
    };
    Router::new().nest(sub_path, router).fallback(lead)
}
