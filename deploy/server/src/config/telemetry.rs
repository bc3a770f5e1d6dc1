//! `[metrics]` and `[tracing.opentelemetry]`: telemetry.

use std::time::Duration;

use super::value::{self, Parsed};
use super::values::Values;
use super::{ConfigError, Secret, Sources};

/// The metrics page.
#[derive(Clone, Debug)]
pub struct MetricsConfig {
    /// Whether it is served.
    pub enabled: bool,
    /// The required login, empty for none.
    pub basic_auth_username: String,
    /// The required password, empty for none.
    pub basic_auth_password: Secret,
    /// Whether it includes the totals of all orgs.
    pub total_stats: bool,
    /// The interval of reading the totals.
    pub total_stats_interval: Duration,
}

impl MetricsConfig {
    pub(super) fn read(values: &Values) -> Result<Self, ConfigError> {
        let username = values.get("metrics", "basic_auth_username", value::text)?;
        let password = |password: &str| {
            let is_whole = username.is_empty() == password.is_empty();
            let expected = "a password if basic_auth_username is set, and none if it is not";
            if is_whole { Ok(Secret::new(password)) } else { Err(expected) }
        };
        let seconds: u64 =
            values.get("metrics", "total_stats_collector_interval_seconds", value::positive)?;
        Ok(Self {
            enabled: values.get("metrics", "enabled", value::flag)?,
            basic_auth_password: values.get("metrics", "basic_auth_password", password)?,
            total_stats: !values.get("metrics", "disable_total_stats", value::flag)?,
            total_stats_interval: Duration::from_secs(seconds),
            basic_auth_username: username,
        })
    }

    /// The required credentials.
    #[must_use]
    pub fn credentials(&self) -> Option<(&str, &str)> {
        let username = Some(self.basic_auth_username.as_str()).filter(|username| !username.is_empty());
        username.map(|username| (username, self.basic_auth_password.expose()))
    }
}

/// The export of traces.
#[derive(Clone, Debug)]
pub struct TracingConfig {
    /// The URL of a collector for OTLP over HTTP; without one nothing is traced.
    pub collector: Option<String>,
    /// The fraction of exported traces among those that begin here, from 0 to 1.
    pub sampled_part: f64,
    /// The service name.
    pub service_name: String,
    /// Further attributes of this server.
    pub attributes: Vec<(String, String)>,
}

impl TracingConfig {
    /// OpenTelemetry's standard variables are the defaults of Grafana's keys.
    pub(super) fn read(values: &Values, sources: &Sources) -> Result<Self, ConfigError> {
        let section = "tracing.opentelemetry";
        let address = values.get("tracing.opentelemetry.otlp", "address", address)?;
        let collector = match address {
            Some(url) => Some(url),
            None => from_environment(sources)?,
        };
        let is_constant = values.get(section, "sampler_type", sampler_type)?;
        let part = values.get(section, "sampler_param", sampled_part)?;
        let attributes = values.get(section, "custom_attributes", attributes)?;
        Ok(Self {
            collector,
            service_name: sources.variable("OTEL_SERVICE_NAME").unwrap_or("kymograph").to_owned(),
            sampled_part: if is_constant && part > 0.0 { 1.0 } else { part },
            attributes,
        })
    }
}

/// The path of traces at a collector.
const TRACES_PATH: &str = "/v1/traces";

fn from_environment(sources: &Sources) -> Result<Option<String>, ConfigError> {
    let variable = |name| sources.variable(name).filter(|value| !value.is_empty());
    let refused = |name: &str, expected| {
        Err(ConfigError::Value { origin: format!("environment variable {name}"), expected })
    };
    let url = match (variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), variable("OTEL_EXPORTER_OTLP_ENDPOINT"))
    {
        (Some(traces), _) => traces.to_owned(),
        (None, Some(all)) => format!("{}{TRACES_PATH}", all.trim_end_matches('/')),
        (None, None) => return Ok(None),
    };
    let protocols = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
    if let Some((name, protocol)) = protocols.iter().find_map(|name| Some((name, variable(name)?)))
        && protocol != "http/protobuf"
    {
        return refused(name, "http/protobuf, the supported protocol");
    }
    if !url.starts_with("http://") {
        return refused("OTEL_EXPORTER_OTLP_ENDPOINT", NO_TLS);
    }
    Ok(Some(url))
}

const NO_TLS: &str = "an http:// URL, as TLS is left to a collector beside the server";

/// A host and port, or the whole URL.
fn address(text: &str) -> Parsed<Option<String>> {
    match text.split_once("://") {
        None if text.is_empty() => Ok(None),
        None => Ok(Some(format!("http://{text}{TRACES_PATH}"))),
        Some(("http", rest)) if rest.trim_end_matches('/').contains('/') => Ok(Some(text.to_owned())),
        Some(("http", _)) => Ok(Some(format!("{}{TRACES_PATH}", text.trim_end_matches('/')))),
        Some(_) => Err(NO_TLS),
    }
}

/// Samples all traces or none.
fn sampler_type(text: &str) -> Parsed<bool> {
    match text {
        "" | "const" => Ok(true),
        "probabilistic" => Ok(false),
        _ => Err("const or probabilistic"),
    }
}

fn sampled_part(text: &str) -> Parsed<f64> {
    let part = if text.is_empty() { Some(1.0) } else { text.parse().ok() };
    part.filter(|part| (0.0..=1.0).contains(part)).ok_or("a number from 0 to 1")
}

fn attributes(text: &str) -> Parsed<Vec<(String, String)>> {
    let attribute = |attribute: &str| {
        let (name, value) = attribute.split_once(':')?;
        Some((name.trim().to_owned(), value.trim().to_owned()))
    };
    let attributes = text.split(',').filter(|attribute| !attribute.trim().is_empty()).map(attribute);
    attributes.collect::<Option<_>>().ok_or("a list such as cluster:one,zone:two")
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Directory;

    fn collector(env: &[(&str, &str)]) -> Result<Option<String>, String> {
        let config = Directory::new().load(env, &[]);
        config.map(|config| config.tracing.collector).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_is_traced_unless_a_collector_is_named() {
        let named = |env: &[(&str, &str)], url: &str| assert_eq!(collector(env), Ok(Some(url.to_owned())));
        assert_eq!(collector(&[]), Ok(None));
        let address = |value| ("GF_TRACING_OPENTELEMETRY_OTLP_ADDRESS", value);
        let standard = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/");
        named(&[address("localhost:4318"), standard], "http://localhost:4318/v1/traces");
        named(&[address("http://localhost:4318/")], "http://localhost:4318/v1/traces");
        named(&[address("http://localhost/otlp/traces")], "http://localhost/otlp/traces");
        named(&[standard], "http://collector:4318/v1/traces");
        named(&[standard, ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:1")], "http://traces:1");
        let protocol = |value| ("OTEL_EXPORTER_OTLP_PROTOCOL", value);
        named(&[standard, protocol("http/protobuf")], "http://collector:4318/v1/traces");
        assert!(collector(&[standard, protocol("grpc")]).is_err());
        assert_eq!(collector(&[protocol("grpc")]), Ok(None));
        assert!(collector(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector")]).is_err());
        assert!(collector(&[address("https://collector")]).is_err());
    }

    #[test]
    fn sampling_and_attributes_are_typed() {
        let env = [
            ("GF_TRACING_OPENTELEMETRY_SAMPLER_TYPE", "probabilistic"),
            ("GF_TRACING_OPENTELEMETRY_SAMPLER_PARAM", "0.25"),
            ("GF_TRACING_OPENTELEMETRY_CUSTOM_ATTRIBUTES", "cluster:one, zone : two"),
        ];
        let tracing = Directory::new().load(&env, &[]).unwrap().tracing;
        assert!((tracing.sampled_part - 0.25).abs() < f64::EPSILON);
        let attributes = [("cluster".to_owned(), "one".to_owned()), ("zone".to_owned(), "two".to_owned())];
        assert_eq!(tracing.attributes, attributes);
        for refused in ["sampler_type=remote", "sampler_param=2", "custom_attributes=x"] {
            let argument = format!("cfg:tracing.opentelemetry.{refused}");
            assert!(Directory::new().load(&[], &[&argument]).is_err(), "{refused}");
        }
    }

    #[test]
    fn metrics_ask_for_a_whole_pair_of_credentials() {
        let username = ("GF_METRICS_BASIC_AUTH_USERNAME", "prom");
        let password = ("GF_METRICS_BASIC_AUTH_PASSWORD", "hunter2");
        let metrics = Directory::new().load(&[username, password], &[]).unwrap().metrics;
        assert_eq!(metrics.credentials(), Some(("prom", "hunter2")));
        assert_eq!(Directory::new().load(&[], &[]).unwrap().metrics.credentials(), None);
        assert!(Directory::new().load(&[username], &[]).is_err());
        assert!(Directory::new().load(&[password], &[]).is_err());
    }
}
