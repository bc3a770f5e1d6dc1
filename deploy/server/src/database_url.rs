//! The URL of a database server, with libpq's parameters for TLS.

use std::path::PathBuf;

use kymograph_infra::database_server::{ClientCertificate, Roots, TlsMode, TlsSettings};
use percent_encoding::percent_decode_str;

use crate::config::DatabaseConfig;
use crate::error::ServerError;

/// libpq's name of the system's roots.
const SYSTEM: &str = "system";

/// A parsed URL.
pub(crate) struct DatabaseUrl {
    /// The part for `tokio-postgres`.
    pub(crate) config: tokio_postgres::Config,
    /// The TLS settings, by default those of the configuration.
    pub(crate) tls: TlsSettings,
}

/// The TLS parameters of a URL.
#[derive(Default)]
struct TlsParameters {
    mode: Option<TlsMode>,
    roots: Option<String>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

impl DatabaseUrl {
    /// Parses a URL. Its parameters have precedence over the settings.
    pub(crate) fn parse(url: &str, settings: &DatabaseConfig) -> Result<Self, ServerError> {
        let (rest, parameters) = TlsParameters::take_from(url)?;
        let mut config: tokio_postgres::Config = rest.parse().map_err(ServerError::DatabaseUrl)?;
        config.connect_timeout(settings.connect_timeout);
        let roots = match parameters.roots {
            Some(name) if name == SYSTEM => Roots::System,
            Some(path) => Roots::File(path.into()),
            None => settings.ca_cert_path.clone().map_or(Roots::Unset, Roots::File),
        };
        // As in libpq, `sslrootcert=system` implies verification of the host.
        let default = if roots == Roots::System { TlsMode::VerifyFull } else { TlsMode::Prefer };
        let tls = TlsSettings {
            mode: parameters.mode.or(settings.ssl_mode).unwrap_or(default),
            roots,
            client: ClientCertificate {
                certificate: parameters.certificate.or_else(|| settings.client_cert_path.clone()),
                key: parameters.key.or_else(|| settings.client_key_path.clone()),
            },
            server_name: settings.server_cert_name.clone(),
        };
        Ok(Self { config, tls })
    }
}

impl TlsParameters {
    /// The TLS parameters of a URL, and the URL without them.
    fn take_from(url: &str) -> Result<(String, Self), ServerError> {
        // A password can contain a question mark, but it ends before the @.
        let host = url.find('@').unwrap_or_default();
        let Some(query) = url[host..].find('?').map(|at| host + at) else {
            return Ok((url.to_owned(), Self::default()));
        };
        let mut found = Self::default();
        let mut others = Vec::new();
        for parameter in url[query + 1..].split('&') {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let decoded = percent_decode_str(value).decode_utf8();
            let text = decoded.map_err(|_| ServerError::DatabaseUrlParameter(name.to_owned()))?;
            match name {
                "sslmode" => {
                    let mode = TlsMode::parse(&text).ok_or(ServerError::SslMode)?;
                    found.mode = Some(mode);
                }
                "sslrootcert" => found.roots = not_empty(&text).map(str::to_owned),
                "sslcert" => found.certificate = not_empty(&text).map(PathBuf::from),
                "sslkey" => found.key = not_empty(&text).map(PathBuf::from),
                _ => others.push(parameter),
            }
        }
        let rest = format!("{}?{}", &url[..query], others.join("&"));
        Ok((rest.trim_end_matches('?').to_owned(), found))
    }
}

fn not_empty(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use tokio_postgres::config::Host;

    use super::super::config::{Config, DatabaseConfig, Sources};
    use super::{DatabaseUrl, Roots, TlsMode};

    fn settings(overrides: &[&str]) -> DatabaseConfig {
        let overrides = overrides.iter().map(|setting| format!("cfg:database.{setting}")).collect();
        let sources =
            Sources { config_file: None, env: Vec::new(), overrides, working_dir: "/nonexistent".into() };
        Config::load(&sources).unwrap().database
    }

    fn parse(url: &str, overrides: &[&str]) -> DatabaseUrl {
        DatabaseUrl::parse(url, &settings(overrides)).map_err(|error| error.to_string()).unwrap()
    }

    #[test]
    fn the_url_says_what_tls_is_wanted() {
        let url = "postgres://ann:p?w@db/kymo?sslmode=verify-full&application_name=a%26b&sslrootcert=/etc/my%20ca.pem\
                   &sslcert=/c.pem&sslkey=/k.pem";
        let DatabaseUrl { config, tls } = parse(url, &[]);
        assert_eq!(config.get_hosts(), [Host::Tcp("db".into())]);
        assert_eq!(config.get_password(), Some(&b"p?w"[..]));
        assert_eq!((config.get_dbname(), config.get_application_name()), (Some("kymo"), Some("a&b")));
        assert_eq!((tls.mode, tls.roots), (TlsMode::VerifyFull, Roots::File("/etc/my ca.pem".into())));
        let (certificate, key) = (tls.client.certificate.unwrap(), tls.client.key.unwrap());
        assert_eq!((certificate.to_str(), key.to_str()), (Some("/c.pem"), Some("/k.pem")));
    }

    #[test]
    fn the_url_wins_over_the_settings_and_those_over_the_default() {
        assert_eq!(parse("postgres://db", &[]).tls.mode, TlsMode::Prefer);
        assert_eq!(parse("postgres://db?sslrootcert=system", &[]).tls.mode, TlsMode::VerifyFull);
        let overrides = ["ssl_mode=verify-ca", "ca_cert_path=/ca.pem", "server_cert_name=db.example"];
        let tls = parse("postgres://db", &overrides).tls;
        assert_eq!((tls.mode, tls.roots), (TlsMode::VerifyCa, Roots::File("/ca.pem".into())));
        assert_eq!(tls.server_name.as_deref(), Some("db.example"));
        let tls = parse("postgres://db?sslmode=disable&sslrootcert=/other.pem", &overrides).tls;
        assert_eq!((tls.mode, tls.roots), (TlsMode::Disable, Roots::File("/other.pem".into())));
    }

    #[test]
    fn what_cannot_be_read_is_refused_without_repeating_a_secret() {
        for url in ["postgres://ann:hunter2@db?sslmode=please", "postgres://ann:hunter2@db?sslcert=%ff"] {
            let error = DatabaseUrl::parse(url, &settings(&[])).err().unwrap().to_string();
            assert!(error.contains("ssl") && !error.contains("hunter2"), "{error}");
        }
    }
}
