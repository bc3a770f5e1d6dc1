//! Configuration in Grafana's format. Later sources have precedence: built-in defaults, `conf/custom.ini` or the file
//! of `--config`, the environment (`GF_<SECTION>_<KEY>`), `cfg:section.key=value` arguments.
//!
//! Adding a key takes a line in `keys`, its typed field, and a line in `conf/sample.ini`.

mod access;
mod annotation;
mod data_proxy;
mod error;
mod expand;
mod ini_file;
mod jwt;
mod keys;
mod layers;
mod quota;
mod secret;
mod sections;
mod server;
mod smtp;
mod sources;
mod telemetry;
mod value;
mod values;

#[cfg(test)]
mod fixture;

use std::collections::BTreeMap;

use kymograph_app::content::annotation::RetentionRules;

pub use access::{AuthConfig, CookieSameSite, SecurityConfig};
pub use data_proxy::DataProxyConfig;
pub use error::ConfigError;
pub use jwt::JwtConfig;
pub use quota::QuotaConfig;
pub use secret::Secret;
pub use sections::{
    CompatibilityConfig, DatabaseConfig, LogConfig, LogFormat, PathsConfig, PluginsConfig, UsersConfig,
};
pub use server::ServerConfig;
pub use smtp::SmtpConfig;
pub use sources::Sources;
pub use telemetry::{MetricsConfig, TracingConfig};

use kymograph_infra::secret::MasterKeySettings;
use layers::{Layers, Unknown};
use values::Values;
use zeroize::Zeroizing;

/// The validated and typed configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// `[server]`
    pub server: ServerConfig,
    /// `[paths]`
    pub paths: PathsConfig,
    /// `[database]`
    pub database: DatabaseConfig,
    /// `[security]`
    pub security: SecurityConfig,
    /// `[auth]` and `[auth.basic]`
    pub auth: AuthConfig,
    /// `[auth.jwt]`, if it is enabled
    pub jwt: Option<JwtConfig>,
    /// `[users]`
    pub users: UsersConfig,
    /// `[quota]`
    pub quota: QuotaConfig,
    /// `[annotations.dashboard]` and `[annotations.api]`
    pub annotations: RetentionRules,
    /// `[smtp]`
    pub smtp: SmtpConfig,
    /// `[dataproxy]`, `[data_sources]` and `[tenancy]`
    pub data_proxy: DataProxyConfig,
    /// `[plugins]`
    pub plugins: PluginsConfig,
    /// `[log]` and `[log.console]`
    pub log: LogConfig,
    /// `[metrics]`
    pub metrics: MetricsConfig,
    /// `[tracing.opentelemetry]` and `[tracing.opentelemetry.otlp]`
    pub tracing: TracingConfig,
    /// `[compatibility]`
    pub compatibility: CompatibilityConfig,
    raw: BTreeMap<&'static str, BTreeMap<&'static str, String>>,
    unknown: Unknown,
}

impl Config {
    /// Merges the sources and checks every value.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        let layers = Layers::collect(sources)?;
        let values = Values::resolve(&layers, sources)?;
        Ok(Self {
            server: ServerConfig::read(&values)?,
            paths: PathsConfig::read(&values, &sources.working_dir)?,
            database: DatabaseConfig::read(&values)?,
            security: SecurityConfig::read(&values)?,
            auth: AuthConfig::read(&values)?,
            jwt: JwtConfig::read(&values, &layers)?,
            users: UsersConfig::read(&values)?,
            quota: QuotaConfig::read(&values)?,
            annotations: annotation::read(&values)?,
            smtp: SmtpConfig::read(&values)?,
            data_proxy: DataProxyConfig::read(&values)?,
            plugins: PluginsConfig::read(&values)?,
            log: LogConfig::read(&values)?,
            metrics: MetricsConfig::read(&values)?,
            tracing: TracingConfig::read(&values, sources)?,
            compatibility: CompatibilityConfig::read(&values)?,
            raw: values.redacted(),
            unknown: layers.into_unknown(),
        })
    }

    /// The sources of the master keys for secrets.
    #[must_use]
    pub fn master_keys(&self) -> MasterKeySettings {
        let texts = self.security.secret_keys.iter().map(|text| Zeroizing::new(text.expose().to_owned()));
        let file = self.security.secret_key_file.clone();
        MasterKeySettings {
            texts: texts.collect(),
            file: file.unwrap_or_else(|| self.paths.data.join("secret.key")),
        }
    }

    /// The merged text of every known key by section, for `/api/admin/settings`: secrets read `*********`. Unknown keys
    /// are omitted, because they may hold secrets.
    #[must_use]
    pub fn settings(&self) -> &BTreeMap<&'static str, BTreeMap<&'static str, String>> {
        &self.raw
    }

    /// Logs unknown settings. Call it after logging is set up, which needs the configuration first. Users carry over
    /// Grafana's files and environment, so this is not an error.
    pub fn report_unknown(&self) {
        if self.plugins.admin_enabled {
            tracing::warn!("[plugins] plugin_admin_enabled has no effect: plugins cannot be installed yet");
        }
        if self.users.verify_email_enabled && !self.smtp.enabled {
            tracing::warn!(
                "[users] verify_email_enabled has no effect: [smtp] enabled is false, so no mail can be sent"
            );
        }
        if self.jwt.as_ref().is_some_and(|jwt| jwt.expected.takes_any_audience()) {
            tracing::warn!(
                "[auth.jwt] expect_claims names no aud: tokens issued for other services are accepted"
            );
        }
        let Unknown { settings, variables } = &self.unknown;
        let (own, others): (Vec<_>, Vec<_>) =
            settings.iter().map(String::as_str).partition(|name| is_own(name));
        if !own.is_empty() {
            tracing::warn!(settings = own.join(", "), "ignoring unknown settings in sections of Kymograph");
        }
        if !others.is_empty() {
            tracing::info!(settings = others.join(", "), "ignoring unknown settings");
        }
        if !variables.is_empty() {
            tracing::debug!(variables = variables.join(", "), "ignoring unknown environment variables");
        }
    }
}

/// The sections that Grafana does not have, so that its files have no keys in them.
const OWN_SECTIONS: [&str; 3] = ["compatibility", "data_sources", "tenancy"];

/// Whether a setting, as it is logged, is in one of those sections: most likely a typing error.
fn is_own(setting: &str) -> bool {
    OWN_SECTIONS.iter().any(|section| setting.starts_with(&format!("[{section}] ")))
}

#[cfg(test)]
mod tests {
    use super::Config;
    use super::fixture::Directory;

    const SAMPLE: &str = include_str!("../../../conf/sample.ini");

    #[test]
    fn defaults_are_complete_and_valid() {
        let config = Directory::new().load(&[], &[]).unwrap();
        assert_eq!(config.server.listen_address(), ("0.0.0.0", 3000));
        assert_eq!(config.server.root_url, "http://localhost:3000/");
        assert_eq!(config.server.max_body, 16 * 1024 * 1024);
        assert!(config.database.url.is_none());
        assert_eq!(config.security.admin_user, "admin");
        assert_eq!(config.security.admin_password.expose(), "admin");
        assert!(config.auth.basic_enabled);
        assert_eq!(config.users.auto_assign_org_id, 1);
        assert_eq!(config.compatibility.grafana_version, "13.0.1");
        assert!(config.unknown.settings.is_empty() && config.unknown.variables.is_empty());
    }

    #[test]
    fn settings_hide_secrets_that_are_set() {
        let config = Directory::new().load(&[("GF_SERVER_DOMAIN", "example.org")], &[]).unwrap();
        let settings = config.settings();
        assert_eq!(settings["server"]["root_url"], "http://example.org:3000/");
        assert_eq!(settings["security"]["admin_password"], "*********");
        assert_eq!(settings["database"]["url"], "");
        assert_eq!(settings["auth.basic"]["enabled"], "true");
    }

    #[test]
    fn debug_output_holds_no_secret() {
        let env = [
            ("GF_DATABASE_URL", "postgres://kymograph:hunter2@db/kymograph"),
            ("GF_SECURITY_ADMIN_PASSWORD", "hunter2"),
            ("GF_SMTP_PASSWORD", "hunter2"),
        ];
        let config = Directory::new().load(&env, &["cfg:smtp.password=hunter2"]).unwrap();
        assert!(!format!("{config:?} {:?}", config.settings()).contains("hunter2"));
    }

    #[test]
    fn the_sample_documents_every_key_with_its_default() {
        let mut section = "";
        let mut documented = Vec::new();
        for line in SAMPLE.lines() {
            if let Some(name) = line.strip_prefix('[') {
                section = name.trim_end_matches(']');
            } else if let Some(setting) = line.strip_prefix(';') {
                let (name, default) = setting.split_once('=').unwrap();
                documented.push((section, name.trim(), default.trim()));
            }
        }
        let expected: Vec<_> =
            super::keys::KEYS.iter().map(|key| (key.section, key.name, key.default)).collect();
        assert_eq!(documented, expected);
    }

    #[test]
    fn the_sample_loads_as_it_stands_and_uncommented() {
        let directory = Directory::new();
        for text in [SAMPLE.to_owned(), SAMPLE.replace("\n;", "\n")] {
            directory.write("conf/custom.ini", &text);
            let config: Config = directory.load(&[], &[]).unwrap();
            assert_eq!(config.unknown.settings, Vec::<String>::new());
            assert_eq!(config.server.root_url, "http://localhost:3000/");
        }
    }
}
