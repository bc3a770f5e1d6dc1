//! The HTTP API: slice routers, wire types, error mapping and the authentication layer.
//!
//! A slice is one file per noun with a `routes` function. Slices know their own services only; the layers of all
//! requests are in [`layer`](kernel::layer).

pub mod account;
pub mod content;
pub mod frontend;
pub mod kernel;
pub mod limit;
pub mod portal;
pub mod record;
pub mod rights;
pub mod source;

use std::sync::Arc;

use axum::Router;
use axum::http::uri::PathAndQuery;
use axum::http::{Method, StatusCode, Uri, header};
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use kymograph_app::Commands;
use kymograph_app::account::AccountServices;
use kymograph_app::content::ContentServices;
use kymograph_app::kernel::health::HealthCheck;
use kymograph_app::kernel::setting::Settings;
use kymograph_app::record::RecordServices;
use kymograph_app::rights::RightsServices;
use kymograph_app::source::SourceServices;
use prometheus::Registry;

use crate::account::access::Nouns;
use crate::account::authentication::{
    Authentication, JwtTransport, UrlLogIn, log_in_by_url, without_url_token,
};
use crate::account::session::CookieSettings;
use crate::kernel::health::Readiness;
use crate::kernel::layer::{Common, Layer, LayerSettings};
use crate::kernel::metrics::{HttpMetrics, MetricsSettings};
use crate::kernel::openapi::Document;
use crate::kernel::panic::catch_panics;
use crate::kernel::routes::{Route, Routes};
use crate::kernel::url::sub_path;

/// The services of the API.
pub struct Services {
    /// Orgs and accounts.
    pub account: AccountServices,
    /// Permissions.
    pub rights: RightsServices,
    /// Folders, dashboards and related objects.
    pub content: ContentServices,
    /// Data sources.
    pub source: SourceServices,
    /// The audit log, histories and undo.
    pub record: RecordServices,
    /// Runs commands, and knows idempotency keys.
    pub commands: Commands,
    /// Settings.
    pub settings: Arc<Settings>,
    /// Checks the database.
    pub health: Arc<dyn HealthCheck>,
    /// Whether the server is ready for requests.
    pub readiness: Arc<Readiness>,
    /// The metrics.
    pub metrics: Registry,
}

/// The settings of the API.
#[derive(Clone, Debug)]
pub struct ApiSettings {
    /// The version of Grafana that it is compatible with.
    pub grafana_version: String,
    /// The public URL of the server, with a trailing slash.
    pub root_url: String,
    /// The path under which it is served, empty for the root.
    pub sub_path: String,
    /// The portal.
    pub portal: portal::PortalFiles,
    /// The layers of all requests.
    pub layer: LayerSettings,
    /// Whether basic authentication is accepted.
    pub is_basic_auth_enabled: bool,
    /// Where a JWT is sent, if JWTs are accepted.
    pub jwt: Option<JwtTransport>,
    /// The session cookie.
    pub cookie: CookieSettings,
    /// The metrics page. Without one, requests are not counted.
    pub metrics: Option<MetricsSettings>,
}

/// The assembled API.
pub struct Api {
    /// Serves requests.
    pub router: Router,
    /// The routes of the router.
    pub routes: Vec<Route>,
    /// The OpenAPI document of the routes.
    pub document: Arc<Document>,
}

/// Assembles the API. It fails if a metric is registered already.
pub fn api(services: Services, settings: &ApiSettings) -> prometheus::Result<Api> {
    let cookie = Arc::new(settings.cookie.clone());
    let (identity, access) = (services.account.identity.clone(), services.account.access.clone());
    let url_login = UrlLogIn {
        identity: identity.clone(),
        cookie: cookie.clone(),
        trusted_proxies: settings.layer.trusted_proxies.clone().into(),
        sub_path: sub_path(&settings.root_url).into(),
    };
    let document = Document::new(settings);
    let metrics_page =
        |page: &MetricsSettings| kernel::metrics::routes(services.metrics.clone(), page.clone());
    let mut routes = Routes::default()
        .merge(kernel::health::routes(services.health.clone(), services.readiness, &settings.grafana_version))
        .merge(settings.metrics.as_ref().map(metrics_page).unwrap_or_default())
        .merge(frontend::routes(&settings.grafana_version))
        .merge(kernel::openapi::routes(&document))
        .merge(kernel::setting::routes(&services.settings))
        .merge(account::routes(services.account, &cookie, &settings.root_url))
        .merge(rights::routes(&services.rights, content::url_of))
        .merge(content::routes(services.content))
        .merge(source::routes(&services.source, &cookie, settings.jwt.as_ref()));
    let histories = routes.take_histories();
    let (public, private, routes) = routes.merge(record::routes(&services.record, histories)).into_routers();
    let authentication = Authentication {
        identity: identity.clone(),
        access,
        nouns: Nouns::of(&routes),
        cookie: cookie.clone(),
        is_basic_enabled: settings.is_basic_auth_enabled,
        jwt: settings.jwt.clone(),
    };
    let metrics = match settings.metrics {
        Some(_) => Some(HttpMetrics::try_new(&services.metrics, &routes, &settings.sub_path)?),
        None => None,
    };
    let mut portal = portal::router(settings.portal, &settings.root_url, &settings.cookie.name);
    if settings.jwt.as_ref().is_some_and(|jwt| jwt.url_login) {
        portal = portal.route_layer(from_fn_with_state(url_login, log_in_by_url));
    }
    let panics = metrics.as_ref().map(|metrics| metrics.panics().clone());
    let portal = portal.layer(from_fn_with_state(panics, catch_panics));
    let sub_path = sub_path(&settings.root_url).into();
    let layer = Layer {
        common: Common { settings: settings.layer.clone(), sub_path, metrics },
        commands: services.commands,
        gate: Arc::new(authentication),
    };
    let router = kernel::layer::protected(public, private, layer).merge(portal);
    let router = if settings.sub_path.is_empty() { router } else { under(&settings.sub_path, router) };
    document.set_routes(routes.clone());
    Ok(Api { router, routes, document })
}

/// The router under a sub-path. Like Grafana, it redirects requests for pages outside of it; a token is not passed on.
/// API requests get an error instead: a redirected client would send another request.
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
