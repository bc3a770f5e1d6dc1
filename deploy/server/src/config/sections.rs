//! The small sections: `[paths]`, `[database]`, `[users]`, `[plugins]`, `[log]` and `[compatibility]`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kymograph_domain::OrgRole;
use kymograph_infra::database_server::TlsMode;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::value::{self, Parsed};
use super::values::Values;
use super::{ConfigError, Secret};

/// The directories.
#[derive(Clone, Debug)]
pub struct PathsConfig {
    /// The directory of all persistent data, including the embedded database.
    pub data: PathBuf,
}

impl PathsConfig {
    pub(super) fn read(values: &Values, working_dir: &Path) -> Result<Self, ConfigError> {
        Ok(Self { data: working_dir.join(values.get("paths", "data", value::non_empty)?) })
    }
}

/// The database.
#[derive(Clone, Debug)]
pub struct DatabaseConfig {
    /// The URL of a Postgres server; without one, the server runs its own.
    pub url: Option<Secret>,
    /// The maximum number of connections.
    pub max_open_conn: usize,
    /// The timeout of opening a connection.
    pub connect_timeout: Duration,
    /// The TLS mode, unless the URL has one.
    pub ssl_mode: Option<TlsMode>,
    /// The trusted certificate authorities, unless the URL has some.
    pub ca_cert_path: Option<PathBuf>,
    /// The client certificate, unless the URL has one.
    pub client_cert_path: Option<PathBuf>,
    /// Its key.
    pub client_key_path: Option<PathBuf>,
    /// The name that the server's certificate must have, if it is not the host of the URL.
    pub server_cert_name: Option<String>,
    /// The unprivileged user that runs the embedded Postgres, which refuses to run as root.
    pub embedded_user: Option<String>,
}

impl DatabaseConfig {
    /// The number of writing connections: half of all. A flight holds one for the duration of a flush.
    #[must_use]
    pub fn writers(&self) -> usize {
        (self.max_open_conn / 2).max(1)
    }

    /// The number of reading connections.
    #[must_use]
    pub fn readers(&self) -> usize {
        self.max_open_conn.saturating_sub(self.writers()).max(1)
    }

    pub(super) fn read(values: &Values) -> Result<Self, ConfigError> {
        let set = |key| {
            let text = values.get("database", key, value::text)?;
            Ok::<_, ConfigError>(Some(text).filter(|text| !text.is_empty()))
        };
        Ok(Self {
            url: values.get("database", "url", database_url)?,
            max_open_conn: values.get("database", "max_open_conn", connections)?,
            connect_timeout: values.get("database", "connect_timeout", value::positive_duration)?,
            ssl_mode: values.get("database", "ssl_mode", ssl_mode)?,
            ca_cert_path: set("ca_cert_path")?.map(PathBuf::from),
            client_cert_path: set("client_cert_path")?.map(PathBuf::from),
            client_key_path: set("client_key_path")?.map(PathBuf::from),
            server_cert_name: set("server_cert_name")?,
            embedded_user: set("embedded_user")?,
        })
    }
}

fn database_url(text: &str) -> Parsed<Option<Secret>> {
    if text.is_empty() {
        return Ok(None);
    }
    let is_postgres = text.starts_with("postgres://") || text.starts_with("postgresql://");
    if is_postgres { Ok(Some(Secret::new(text))) } else { Err("a PostgreSQL URL (postgres://…)") }
}

fn ssl_mode(text: &str) -> Parsed<Option<TlsMode>> {
    if text.is_empty() {
        return Ok(None);
    }
    let mode = TlsMode::parse(text);
    mode.map(Some).ok_or("disable, allow, prefer, require, verify-ca or verify-full")
}

/// Grafana's default is 0, for no limit. Postgres has a limit, so 0 means our default here.
fn connections(text: &str) -> Parsed<usize> {
    const DEFAULT: usize = 16;
    let count = value::count(text)?;
    Ok(if count == 0 { DEFAULT } else { count })
}

/// The settings of new users.
#[derive(Clone, Debug)]
pub struct UsersConfig {
    /// Whether new users join an existing org instead of a new one of their own.
    pub auto_assign_org: bool,
    /// The org they join.
    pub auto_assign_org_id: i64,
    /// Their role in it.
    pub auto_assign_org_role: OrgRole,
    /// Whether users must verify a new e-mail address.
    pub verify_email_enabled: bool,
    /// The lifetime of the link.
    pub verification_lifetime: Duration,
}

impl UsersConfig {
    pub(super) fn read(values: &Values) -> Result<Self, ConfigError> {
        let role = |text: &str| OrgRole::try_parse(text).map_err(|_| "None, Viewer, Editor or Admin");
        let lifetime = "verification_email_max_lifetime_duration";
        Ok(Self {
            auto_assign_org: values.get("users", "auto_assign_org", value::flag)?,
            auto_assign_org_id: values.get("users", "auto_assign_org_id", value::positive)?,
            auto_assign_org_role: values.get("users", "auto_assign_org_role", role)?,
            verify_email_enabled: values.get("users", "verify_email_enabled", value::flag)?,
            verification_lifetime: values.get("users", lifetime, value::positive_duration)?,
        })
    }
}

/// Plugins, which are not supported yet.
#[derive(Clone, Copy, Debug)]
pub struct PluginsConfig {
    /// Whether plugins can be installed. It is Grafana's default, which users carry over, so it only logs a warning.
    pub admin_enabled: bool,
}

impl PluginsConfig {
    pub(super) fn read(values: &Values) -> Result<Self, ConfigError> {
        Ok(Self { admin_enabled: values.get("plugins", "plugin_admin_enabled", value::flag)? })
    }
}

/// Logging.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// A level, or a filter such as `info,kymograph=debug`, in the syntax of `tracing`.
    pub filter: String,
    /// The format of the lines.
    pub format: LogFormat,
}

impl LogConfig {
    pub(super) fn read(values: &Values) -> Result<Self, ConfigError> {
        Ok(Self {
            filter: values.get("log", "level", log_filter)?,
            format: values.get("log.console", "format", LogFormat::parse)?,
        })
    }
}

/// The filter for `tracing`. A single word must be a level: `tracing` would interpret a misspelt level as a module, and
/// disable all others.
fn log_filter(text: &str) -> Parsed<String> {
    const EXPECTED: &str =
        "a level (error, warn, info, debug or trace) or a filter such as info,kymograph=debug";
    let mut directives = Vec::new();
    for directive in text.split(',').map(str::trim) {
        // Grafana's highest level, which has no counterpart.
        let directive = if directive == "critical" { "error" } else { directive };
        let is_level = !directive.is_empty() && directive.parse::<LevelFilter>().is_ok();
        if !is_level && !directive.contains(['=', '[']) {
            return Err(EXPECTED);
        }
        directives.push(directive);
    }
    let filter = directives.join(",");
    EnvFilter::try_new(&filter).map_err(|_| EXPECTED)?;
    Ok(filter)
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text in a terminal, JSON otherwise.
    Auto,
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    fn parse(text: &str) -> Parsed<Self> {
        match text {
            "auto" => Ok(Self::Auto),
            "console" | "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("auto, console, text or json"),
        }
    }
}

/// The compatibility with Grafana.
#[derive(Clone, Debug)]
pub struct CompatibilityConfig {
    /// The version of Grafana reported to clients, which depend on it.
    pub grafana_version: String,
}

impl CompatibilityConfig {
    pub(super) fn read(values: &Values) -> Result<Self, ConfigError> {
        Ok(Self { grafana_version: values.get("compatibility", "grafana_version", grafana_version)? })
    }
}

/// Three numbers, with an optional suffix of a pre-release or build.
fn grafana_version(text: &str) -> Parsed<String> {
    let core = text.split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<_> = core.split('.').map(str::parse::<u32>).collect();
    let is_version = numbers.len() == 3 && numbers.iter().all(Result::is_ok);
    if is_version { Ok(text.to_owned()) } else { Err("a version such as 13.0.1") }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Directory;
    use super::{LogFormat, OrgRole, connections, grafana_version, log_filter};

    #[test]
    fn the_small_sections_are_typed() {
        let env = [
            ("GF_DATABASE_URL", "postgresql://db/kymograph"),
            ("GF_DATABASE_EMBEDDED_USER", "nobody"),
            ("GF_USERS_AUTO_ASSIGN_ORG_ROLE", "Editor"),
            ("GF_LOG_LEVEL", "warn, kymograph=debug"),
            ("GF_LOG_CONSOLE_FORMAT", "console"),
            ("GF_PATHS_DATA", "/var/lib/kymograph"),
        ];
        let config = Directory::new().load(&env, &[]).unwrap();
        assert_eq!(config.database.url.unwrap().expose(), "postgresql://db/kymograph");
        assert_eq!(config.database.embedded_user.as_deref(), Some("nobody"));
        assert_eq!(config.users.auto_assign_org_role, OrgRole::Editor);
        assert_eq!(
            (config.log.filter.as_str(), config.log.format),
            ("warn,kymograph=debug", LogFormat::Text)
        );
        assert_eq!(config.paths.data.to_str(), Some("/var/lib/kymograph"));
    }

    #[test]
    fn a_refused_database_url_is_not_repeated() {
        let error =
            Directory::new().load(&[("GF_DATABASE_URL", "mysql://root:hunter2@db")], &[]).unwrap_err();
        let expected = "environment variable GF_DATABASE_URL: expected a PostgreSQL URL (postgres://…)";
        assert_eq!(error.to_string(), expected);
        assert!(!format!("{error:?}").contains("hunter2"));
    }

    #[test]
    fn no_limit_of_connections_means_the_default() {
        let default = Directory::new().load(&[], &[]).unwrap().database.max_open_conn;
        assert_eq!((connections("0"), connections("4")), (Ok(default), Ok(4)));
    }

    #[test]
    fn log_filters() {
        for filter in ["off", "INFO", "info,kymograph=debug", "warn,[request{org=1}]=trace"] {
            assert_eq!(log_filter(filter).as_deref(), Ok(filter));
        }
        assert_eq!(log_filter("critical").as_deref(), Ok("error"));
        for filter in ["", "inof", "info,kymograph", "info,", "kymograph=loud"] {
            assert!(log_filter(filter).is_err(), "{filter}");
        }
    }

    #[test]
    fn versions() {
        assert!(grafana_version("13.0.1").is_ok() && grafana_version("13.1.0-pre.1+security-01").is_ok());
        assert!(grafana_version("13.0").is_err() && grafana_version("v13.0.1").is_err());
    }
}
