//! Converts the configuration to the settings of the parts.

use std::time::Duration;

use kymograph_api::ApiSettings;
use kymograph_api::account::authentication::JwtTransport;
use kymograph_api::account::session::CookieSettings;
use kymograph_api::kernel::layer::LayerSettings;
use kymograph_api::kernel::metrics::MetricsSettings;
use kymograph_api::portal::PortalFiles;
use kymograph_app::account::identity::LockOut;
use kymograph_app::account::session::SessionLifetimes;
use kymograph_app::account::user::DefaultMembership;
use kymograph_domain::OrgId;

use crate::config::{Config, CookieSameSite};
use crate::serve::ConnectionSettings;
use crate::serve::descriptors::max_connections;

/// The portal, if it was built before the server.
const PORTAL_FILES: PortalFiles = include!(concat!(env!("OUT_DIR"), "/portal_files.rs"));

pub(super) fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

pub(super) fn default_membership(config: &Config) -> DefaultMembership {
    let org_id = config.users.auto_assign_org.then_some(OrgId(config.users.auto_assign_org_id));
    DefaultMembership { org_id, role: config.users.auto_assign_org_role }
}

pub(super) fn session_lifetimes(config: &Config) -> SessionLifetimes {
    SessionLifetimes {
        inactive_seconds: seconds(config.auth.login_maximum_inactive_lifetime),
        total_seconds: seconds(config.auth.login_maximum_lifetime),
        rotation_seconds: seconds(config.auth.token_rotation_interval),
    }
}

pub(super) fn lock_out(config: &Config) -> LockOut {
    let security = &config.security;
    let is_on = !security.disable_brute_force_login_protection;
    LockOut { max_failures: is_on.then(|| i64::from(security.brute_force_login_protection_max_attempts)) }
}

pub(super) fn connection_settings(config: &Config) -> ConnectionSettings {
    let server = &config.server;
    ConnectionSettings {
        max_connections: max_connections(config),
        header_timeout: server.header_timeout,
        idle_timeout: server.idle_timeout,
        write_timeout: server.write_timeout,
        trusted_proxies: server.trusted_proxies.clone(),
        sub_path: server.served_path().to_owned(),
    }
}

pub(super) fn api_settings(config: &Config) -> ApiSettings {
    let sub_path = config.server.served_path().to_owned();
    let same_site = match config.security.cookie_samesite {
        CookieSameSite::Lax => Some("Lax"),
        CookieSameSite::Strict => Some("Strict"),
        CookieSameSite::None => Some("None"),
        CookieSameSite::Disabled => None,
    };
    ApiSettings {
        grafana_version: config.compatibility.grafana_version.clone(),
        cookie: CookieSettings {
            name: config.auth.login_cookie_name.clone(),
            path: if sub_path.is_empty() { "/".to_owned() } else { sub_path.clone() },
            is_secure: config.security.cookie_secure,
            same_site,
            max_age_seconds: session_lifetimes(config).total_seconds,
        },
        root_url: config.server.root_url.clone(),
        sub_path,
        portal: PORTAL_FILES,
        layer: LayerSettings {
            max_body_bytes: config.server.max_body,
            request_timeout: config.server.request_timeout,
            trusted_proxies: config.server.trusted_proxies.clone(),
            trusted_origins: config.security.csrf_trusted_origins.clone(),
        },
        is_basic_auth_enabled: config.auth.basic_enabled,
        jwt: config
            .jwt
            .as_ref()
            .map(|jwt| JwtTransport { header: jwt.header_name.clone(), url_login: jwt.url_login }),
        metrics: config.metrics.enabled.then(|| MetricsSettings::new(config.metrics.credentials())),
    }
}
