//! The stored settings of a source.

use std::time::Duration;

use kymograph_app::source::backend::SourceSettings;
use kymograph_infra::database_server::TlsMode;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::pool::MAX_CONNECTIONS;
use crate::interval;

const DEFAULT_PORT: u16 = 5432;
/// The default maximum age of a connection.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(14_400);
/// The default maximum number of idle connections.
const DEFAULT_IDLE: usize = 2;

/// The connection settings. They are never printed, because they contain the password.
pub(super) struct PostgresSettings {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) password: Zeroizing<String>,
    pub(super) database: String,
    pub(super) tls: TlsMode,
    /// The maximum number of connections.
    pub(super) max_connections: usize,
    /// The maximum number of idle connections.
    pub(super) max_idle: usize,
    /// The maximum age of a connection.
    pub(super) lifetime: Duration,
    /// Whether the server has `time_bucket` of `TimescaleDB`.
    pub(super) has_timescale: bool,
    /// The minimum time between points, in milliseconds.
    pub(super) least_interval_ms: Option<i64>,
}

impl PostgresSettings {
    /// Parses the settings of a source; the error describes what is wrong.
    pub(super) fn parse(source: &SourceSettings) -> Result<Self, String> {
        let json = &source.content.json_data;
        let (host, port) = address(&source.content.url)?;
        let database = if source.content.database.is_empty() {
            text(json, "database")
        } else {
            &source.content.database
        };
        if source.content.user.is_empty() {
            return Err("the source has no user".to_owned());
        }
        if database.is_empty() {
            return Err("the source has no database".to_owned());
        }
        if [source.content.user.as_str(), database].iter().any(|text| text.contains('\0')) {
            return Err("the user or the database has a character that no name can have".to_owned());
        }
        let max_connections =
            number(json, "maxOpenConns").filter(|most| *most > 0).unwrap_or(MAX_CONNECTIONS);
        let lifetime = number(json, "connMaxLifetime").filter(|seconds| *seconds > 0);
        Ok(Self {
            host,
            port,
            user: source.content.user.clone(),
            password: Zeroizing::new(source.secrets.get("password").unwrap_or_default().to_owned()),
            database: database.to_owned(),
            tls: tls_mode(text(json, "sslmode"))?,
            max_connections: max_connections.min(MAX_CONNECTIONS),
            max_idle: number(json, "maxIdleConns").unwrap_or(DEFAULT_IDLE).min(MAX_CONNECTIONS),
            lifetime: lifetime.map_or(DEFAULT_LIFETIME, |seconds| {
                Duration::from_secs(seconds as u64).min(DEFAULT_LIFETIME)
            }),
            has_timescale: json.get("timescaledb").and_then(Value::as_bool).unwrap_or_default(),
            least_interval_ms: interval::parse(text(json, "timeInterval")),
        })
    }
}

pub(super) fn text<'a>(json: &'a Map<String, Value>, name: &str) -> &'a str {
    json.get(name).and_then(Value::as_str).unwrap_or_default().trim()
}

fn number(json: &Map<String, Value>, name: &str) -> Option<usize> {
    json.get(name).and_then(Value::as_u64).map(|number| usize::try_from(number).unwrap_or(usize::MAX))
}

/// The host and the port of an address like `db.example.org:5432` or `[::1]`.
fn address(url: &str) -> Result<(String, u16), String> {
    let url = url.trim();
    if url.is_empty() {
        return Err("the source has no address".to_owned());
    }
    let is_plain = |character: char| character.is_ascii_graphic() && !"/@?#\\'\"".contains(character);
    if !url.chars().all(is_plain) {
        return Err("the address must be a host and a port like db.example.org:5432".to_owned());
    }
    let (host, port) = match url.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':').or(rest.is_empty().then_some(""))),
        // More than one colon is an IPv6 address without a port.
        None => match url.split_once(':') {
            Some((host, port)) if !port.contains(':') => (host, Some(port)),
            _ => (url, Some("")),
        },
    };
    let port = match port {
        Some("") => Some(DEFAULT_PORT),
        Some(port) => port.parse().ok().filter(|port| *port > 0),
        None => None,
    };
    match port {
        Some(port) if !host.is_empty() => Ok((host.to_owned(), port)),
        _ => Err("the address must be a host and a port like db.example.org:5432".to_owned()),
    }
}

fn tls_mode(text: &str) -> Result<TlsMode, String> {
    match text.to_ascii_lowercase().as_str() {
        "" | "require" => Ok(TlsMode::Require),
        "disable" => Ok(TlsMode::Disable),
        "verify-ca" => Ok(TlsMode::VerifyCa),
        "verify-full" => Ok(TlsMode::VerifyFull),
        _ => Err("sslmode must be disable, require, verify-ca or verify-full".to_owned()),
    }
}
