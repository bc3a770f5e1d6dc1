//! The table of all known keys. All others are reported as unknown.

/// The treatment of a key's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Shown as it is.
    Plain,
    /// Shown as it is, with `%(name)s` replaced by the plain key of that name in the same section.
    Template,
    /// Never shown.
    Secret,
}

/// One key with its default.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) section: &'static str,
    pub(super) name: &'static str,
    pub(super) default: &'static str,
    pub(super) kind: Kind,
}

impl Key {
    /// The key of this section and name, if it is known.
    pub(super) fn find(section: &str, name: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.section == section && key.name == name)
    }

    /// The key that an environment variable sets, if it is known.
    pub(super) fn of_variable(variable: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.variable() == variable)
    }

    /// The environment variable that sets the key.
    pub(super) fn variable(&self) -> String {
        format!("GF_{}_{}", self.section, self.name).replace(['.', '-'], "_").to_uppercase()
    }
}

const fn plain(section: &'static str, name: &'static str, default: &'static str) -> Key {
    Key { section, name, default, kind: Kind::Plain }
}

const fn template(section: &'static str, name: &'static str, default: &'static str) -> Key {
    Key { section, name, default, kind: Kind::Template }
}

const fn secret(section: &'static str, name: &'static str, default: &'static str) -> Key {
    Key { section, name, default, kind: Kind::Secret }
}

/// Every key, in the order of `conf/sample.ini`.
pub(super) const KEYS: &[Key] = &[
    plain("server", "protocol", "http"),
    plain("server", "http_addr", ""),
    plain("server", "http_port", "3000"),
    plain("server", "domain", "localhost"),
    template("server", "root_url", "%(protocol)s://%(domain)s:%(http_port)s/"),
    plain("server", "serve_from_sub_path", "false"),
    plain("server", "trusted_proxies", ""),
    plain("server", "max_body", "16MiB"),
    plain("server", "request_timeout", "60s"),
    plain("server", "write_timeout", "60s"),
    plain("server", "max_connections", "0"),
    plain("server", "header_timeout", "10s"),
    plain("server", "idle_timeout", "2m"),
    plain("server", "drain_timeout", "10s"),
    plain("paths", "data", "data"),
    secret("database", "url", ""),
    plain("database", "max_open_conn", "16"),
    plain("database", "connect_timeout", "5s"),
    plain("database", "ssl_mode", ""),
    plain("database", "ca_cert_path", ""),
    plain("database", "client_cert_path", ""),
    plain("database", "client_key_path", ""),
    plain("database", "server_cert_name", ""),
    plain("database", "embedded_user", ""),
    plain("security", "admin_user", "admin"),
    secret("security", "admin_password", "admin"),
    plain("security", "admin_email", "admin@localhost"),
    secret("security", "secret_key", ""),
    secret("security", "previous_secret_keys", ""),
    plain("security", "secret_key_file", ""),
    plain("security", "cookie_secure", "false"),
    plain("security", "cookie_samesite", "lax"),
    plain("security", "csrf_trusted_origins", ""),
    plain("security", "disable_brute_force_login_protection", "false"),
    plain("security", "brute_force_login_protection_max_attempts", "5"),
    plain("security", "data_source_proxy_whitelist", ""),
    plain("auth", "login_cookie_name", "grafana_session"),
    plain("auth", "login_maximum_inactive_lifetime_duration", "7d"),
    plain("auth", "login_maximum_lifetime_duration", "30d"),
    plain("auth", "token_rotation_interval_minutes", "10"),
    plain("auth.basic", "enabled", "true"),
    plain("auth.jwt", "enabled", "false"),
    plain("auth.jwt", "header_name", ""),
    plain("auth.jwt", "url_login", "false"),
    plain("auth.jwt", "username_claim", ""),
    plain("auth.jwt", "username_attribute_path", ""),
    plain("auth.jwt", "email_claim", ""),
    plain("auth.jwt", "email_attribute_path", ""),
    plain("auth.jwt", "name_attribute_path", ""),
    plain("auth.jwt", "key_file", ""),
    plain("auth.jwt", "key_id", ""),
    plain("auth.jwt", "jwk_set_file", ""),
    plain("auth.jwt", "jwk_set_url", ""),
    plain("auth.jwt", "jwk_set_bearer_token_file", ""),
    plain("auth.jwt", "tls_client_ca", ""),
    plain("auth.jwt", "tls_skip_verify_insecure", "false"),
    plain("auth.jwt", "cache_ttl", "60m"),
    plain("auth.jwt", "expect_claims", "{}"),
    plain("auth.jwt", "auto_sign_up", "false"),
    plain("auth.jwt", "skip_org_role_sync", "false"),
    plain("auth.jwt", "role_attribute_path", ""),
    plain("auth.jwt", "role_attribute_strict", "false"),
    plain("auth.jwt", "allow_assign_grafana_admin", "false"),
    plain("auth.jwt", "org_attribute_path", ""),
    plain("auth.jwt", "org_mapping", ""),
    plain("auth.jwt", "groups_attribute_path", ""),
    plain("users", "auto_assign_org", "true"),
    plain("users", "auto_assign_org_id", "1"),
    plain("users", "auto_assign_org_role", "Viewer"),
    plain("users", "verify_email_enabled", "false"),
    plain("users", "verification_email_max_lifetime_duration", "1h"),
    plain("quota", "enabled", "false"),
    plain("quota", "org_user", "-1"),
    plain("quota", "org_dashboard", "-1"),
    plain("quota", "org_folder", "-1"),
    plain("quota", "org_data_source", "-1"),
    plain("quota", "org_api_key", "-1"),
    plain("quota", "org_alert_rule", "-1"),
    plain("quota", "user_org", "-1"),
    plain("quota", "global_org", "-1"),
    plain("quota", "global_user", "-1"),
    plain("quota", "global_dashboard", "-1"),
    plain("quota", "global_api_key", "-1"),
    plain("quota", "global_session", "-1"),
    plain("annotations.dashboard", "max_age", ""),
    plain("annotations.dashboard", "max_annotations_to_keep", "0"),
    plain("annotations.api", "max_age", ""),
    plain("annotations.api", "max_annotations_to_keep", "0"),
    plain("smtp", "enabled", "false"),
    plain("smtp", "host", "localhost:25"),
    plain("smtp", "user", ""),
    secret("smtp", "password", ""),
    plain("smtp", "from_address", "admin@grafana.localhost"),
    plain("smtp", "from_name", "Kymograph"),
    plain("smtp", "startTLS_policy", ""),
    plain("smtp", "skip_verify", "false"),
    plain("dataproxy", "timeout", "30"),
    plain("dataproxy", "dialTimeout", "10"),
    plain("dataproxy", "keep_alive_seconds", "30"),
    plain("dataproxy", "idle_conn_timeout_seconds", "90"),
    plain("dataproxy", "max_idle_connections", "100"),
    plain("dataproxy", "send_user_header", "false"),
    plain("dataproxy", "response_limit", "0"),
    plain("dataproxy", "row_limit", "1000000"),
    plain("tenancy", "multi_tenant", "false"),
    plain("data_sources", "allow_private_networks", "auto"),
    plain("data_sources", "allow_loopback", "false"),
    plain("data_sources", "allowed_hosts", ""),
    secret("data_sources", "http_proxy", ""),
    plain("plugins", "plugin_admin_enabled", "false"),
    plain("log", "level", "info"),
    plain("log.console", "format", "auto"),
    plain("metrics", "enabled", "true"),
    plain("metrics", "disable_total_stats", "false"),
    plain("metrics", "total_stats_collector_interval_seconds", "1800"),
    plain("metrics", "basic_auth_username", ""),
    secret("metrics", "basic_auth_password", ""),
    plain("tracing.opentelemetry", "custom_attributes", ""),
    plain("tracing.opentelemetry", "sampler_type", ""),
    plain("tracing.opentelemetry", "sampler_param", ""),
    plain("tracing.opentelemetry.otlp", "address", ""),
    plain("compatibility", "grafana_version", "13.0.1"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{KEYS, Key};

    #[test]
    fn variables_are_unambiguous() {
        let variables: BTreeSet<_> = KEYS.iter().map(Key::variable).collect();
        assert_eq!(variables.len(), KEYS.len());
        assert!(variables.contains("GF_AUTH_BASIC_ENABLED"));
        assert!(variables.contains("GF_DATABASE_URL"));
    }
}
