//! `[dataproxy]`, `[data_sources]` and `[tenancy]`: requests to data sources, and their allowed addresses.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use kymograph_sources::client::{ClientSettings, ForwardProxy};
use kymograph_sources::policy::EgressPolicy;

use super::ConfigError;
use super::value::{self, Parsed};
use super::values::Values;

/// The ports of hosts without one.
const DEFAULT_PORTS: [u16; 2] = [80, 443];

/// The settings of requests to data sources.
#[derive(Clone, Debug)]
pub struct DataProxyConfig {
    /// The HTTP settings.
    pub client: ClientSettings,
    /// The allowed addresses.
    pub egress: EgressPolicy,
    /// The maximum size of a response of a data source in bytes, if it is below the limit of queries.
    pub response_limit: Option<usize>,
    /// The maximum number of rows in a database's response to a query.
    pub row_limit: usize,
}

/// The maximum size of a data source's response to a query, in bytes.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

impl DataProxyConfig {
    /// The maximum size of a data source's response to a query, in bytes. A response that is streamed takes no memory, and is
    /// limited by `response_limit` only.
    pub(crate) fn max_answer_bytes(&self) -> usize {
        self.response_limit.map_or(MAX_ANSWER_BYTES, |limit| limit.min(MAX_ANSWER_BYTES))
    }

    pub(super) fn read(values: &Values) -> Result<Self, ConfigError> {
        let seconds = |name| Ok(Duration::from_secs(values.get("dataproxy", name, value::positive)?));
        let no_limit = |limit| if limit == 0 { None } else { Some(limit) };
        let response_limit = values.get("dataproxy", "response_limit", value::count).map(no_limit)?;
        let client = ClientSettings {
            timeout: seconds("timeout")?,
            dial_timeout: seconds("dialTimeout")?,
            keep_alive: Duration::from_secs(values.get("dataproxy", "keep_alive_seconds", value::count)?),
            idle_timeout: seconds("idle_conn_timeout_seconds")?,
            max_idle: values.get("dataproxy", "max_idle_connections", value::count)?,
            sends_user: values.get("dataproxy", "send_user_header", value::flag)?,
            max_streamed_bytes: response_limit,
            proxy: values.get("data_sources", "http_proxy", proxy)?,
        };
        let row_limit = values.get("dataproxy", "row_limit", value::positive)?;
        Ok(Self { client, egress: egress(values)?, response_limit, row_limit })
    }
}

fn proxy(text: &str) -> Parsed<Option<ForwardProxy>> {
    if text.is_empty() {
        return Ok(None);
    }
    ForwardProxy::parse(text)
        .map(Some)
        .ok_or("an address such as http://user:password@proxy.example.org:3128")
}

fn egress(values: &Values) -> Result<EgressPolicy, ConfigError> {
    let is_multi_tenant = values.get("tenancy", "multi_tenant", value::flag)?;
    let allows_private = |text: &str| match text {
        "auto" => Ok(!is_multi_tenant),
        text => value::flag(text).map_err(|_| "auto, true or false"),
    };
    let (allowed_networks, allowed_hosts) = values.get("data_sources", "allowed_hosts", allowed)?;
    Ok(EgressPolicy {
        allows_private: values.get("data_sources", "allow_private_networks", allows_private)?,
        allows_loopback: values.get("data_sources", "allow_loopback", value::flag)?,
        allowed_networks,
        allowed_hosts,
        destinations: values.get("security", "data_source_proxy_whitelist", destinations)?,
    })
}

/// Networks, single addresses, and host names.
fn allowed(text: &str) -> Parsed<(Vec<IpNet>, Vec<String>)> {
    let (mut networks, mut hosts) = (Vec::new(), Vec::new());
    for word in value::list(text)? {
        let network = word.parse().ok().or_else(|| word.parse::<IpAddr>().map(IpNet::from).ok());
        match network {
            Some(network) => networks.push(network),
            None if word.contains(['/', ':', '*']) => {
                return Err("names of hosts, addresses and networks like 10.0.0.0/8");
            }
            None => hosts.push(word.trim_end_matches('.').to_lowercase()),
        }
    }
    Ok((networks, hosts))
}

/// Hosts with ports. A host without one gets the ports of HTTP.
fn destinations(text: &str) -> Parsed<Vec<String>> {
    const EXPECTED: &str = "hosts with ports like prometheus:9090";
    let mut all = Vec::new();
    for word in value::list(text)? {
        let word = word.to_lowercase();
        match word.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                let port: u16 = port.parse().map_err(|_| EXPECTED)?;
                all.push(format!("{host}:{port}"));
            }
            _ if word.contains('/') => return Err(EXPECTED),
            _ => all.extend(DEFAULT_PORTS.map(|port| format!("{word}:{port}"))),
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Directory;
    use super::*;

    fn load(arguments: &[&str]) -> Result<DataProxyConfig, String> {
        let loaded = Directory::new().load(&[], arguments);
        loaded.map(|config| config.data_proxy).map_err(|error| error.to_string())
    }

    #[test]
    fn the_keys_of_grafana_mean_what_they_mean_there() {
        let plain = load(&[]).unwrap();
        let expected = ClientSettings::default();
        assert_eq!(format!("{:?}", plain.client), format!("{expected:?}"));
        assert_eq!(plain.row_limit, 1_000_000);
        let env = [
            ("GF_DATAPROXY_TIMEOUT", "5"),
            ("GF_DATAPROXY_DIALTIMEOUT", "2"),
            ("GF_DATAPROXY_RESPONSE_LIMIT", "1000"),
            ("GF_DATAPROXY_SEND_USER_HEADER", "true"),
            ("GF_SECURITY_DATA_SOURCE_PROXY_WHITELIST", "Prometheus:9090 loki.example [::1]:80"),
        ];
        let DataProxyConfig { client, egress, response_limit, .. } =
            Directory::new().load(&env, &[]).unwrap().data_proxy;
        assert_eq!((client.timeout.as_secs(), client.dial_timeout.as_secs()), (5, 2));
        assert_eq!((response_limit, client.sends_user), (Some(1_000), true));
        let destinations = ["prometheus:9090", "loki.example:80", "loki.example:443", "[::1]:80"];
        assert_eq!(egress.destinations, destinations);
    }

    #[test]
    fn private_networks_are_closed_between_tenants() {
        let allows = |arguments: &[&str]| load(arguments).unwrap().egress.allows_private;
        assert!(allows(&[]));
        assert!(!allows(&["cfg:tenancy.multi_tenant=true"]));
        assert!(allows(&["cfg:tenancy.multi_tenant=true", "cfg:data_sources.allow_private_networks=true"]));
        assert!(!allows(&["cfg:data_sources.allow_private_networks=false"]));
        assert!(!load(&[]).unwrap().egress.allows_loopback);
    }

    #[test]
    fn lists_are_of_hosts_and_networks() {
        let egress =
            load(&["cfg:data_sources.allowed_hosts=10.1.0.0/16, ::1 Prometheus.Internal."]).unwrap().egress;
        assert_eq!(egress.allowed_hosts, ["prometheus.internal"]);
        let networks: Vec<_> = egress.allowed_networks.iter().map(ToString::to_string).collect();
        assert_eq!(networks, ["10.1.0.0/16", "::1/128"]);
    }

    #[test]
    fn what_would_not_work_is_refused() {
        for argument in [
            "dataproxy.timeout=0",
            "dataproxy.row_limit=0",
            "dataproxy.max_idle_connections=-1",
            "data_sources.allow_private_networks=perhaps",
            "data_sources.allowed_hosts=10.0.0.0/99",
            "data_sources.allowed_hosts=host:9090",
            "data_sources.http_proxy=socks5://proxy",
            "security.data_source_proxy_whitelist=http://prometheus:9090/",
            "security.data_source_proxy_whitelist=prometheus:port",
        ] {
            let message = load(&[&format!("cfg:{argument}")]).unwrap_err();
            let (origin, _) = argument.split_once('=').unwrap();
            assert!(message.starts_with(&format!("argument cfg:{origin}: expected ")), "{message}");
        }
        let secret = load(&["cfg:data_sources.http_proxy=ftp://ann:hunter2@proxy"]).unwrap_err();
        assert!(!secret.contains("hunter2"));
    }
}
