//! `[smtp]`: the mail server.

use kymograph_infra::mail::{SmtpSettings, StartTls};

use super::value::{self, Parsed};
use super::values::Values;
use super::{ConfigError, Secret};

/// The default port of a mail server.
const DEFAULT_PORT: u16 = 25;

/// The mail server.
#[derive(Clone, Debug)]
pub struct SmtpConfig {
    /// Whether mail is sent.
    pub enabled: bool,
    host: (String, u16),
    user: String,
    password: Secret,
    from_address: String,
    from_name: String,
    start_tls: StartTls,
    skip_verify: bool,
}

impl SmtpConfig {
    pub(super) fn read(values: &Values) -> Result<Self, ConfigError> {
        Ok(Self {
            enabled: values.get("smtp", "enabled", value::flag)?,
            host: values.get("smtp", "host", host_and_port)?,
            user: values.get("smtp", "user", value::text)?,
            password: values.get("smtp", "password", value::text).map(Secret::new)?,
            from_address: values.get("smtp", "from_address", value::non_empty)?,
            from_name: values.get("smtp", "from_name", value::text)?,
            start_tls: values.get("smtp", "startTLS_policy", start_tls)?,
            skip_verify: values.get("smtp", "skip_verify", value::flag)?,
        })
    }

    /// The settings of a mailer.
    #[must_use]
    pub fn settings(&self) -> SmtpSettings {
        let (host, port) = self.host.clone();
        let credentials = (self.user.clone(), self.password.expose().to_owned());
        SmtpSettings {
            host,
            port,
            credentials: Some(credentials).filter(|(user, _)| !user.is_empty()),
            from_address: self.from_address.clone(),
            from_name: self.from_name.clone(),
            start_tls: self.start_tls,
            skip_verify: self.skip_verify,
        }
    }
}

/// A host with an optional port; an IPv6 address with a port is in brackets.
fn host_and_port(text: &str) -> Parsed<(String, u16)> {
    const EXPECTED: &str = "a host, with a port or without, such as mail.example.org:587";
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            (host, port.parse().map_err(|_| EXPECTED)?)
        }
        _ => (text, DEFAULT_PORT),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() { Err(EXPECTED) } else { Ok((host.to_owned(), port)) }
}

fn start_tls(text: &str) -> Parsed<StartTls> {
    match text {
        "" | "OpportunisticStartTLS" => Ok(StartTls::Opportunistic),
        "MandatoryStartTLS" => Ok(StartTls::Mandatory),
        "NoStartTLS" => Ok(StartTls::Never),
        _ => Err("OpportunisticStartTLS, MandatoryStartTLS or NoStartTLS"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Directory;
    use super::{StartTls, host_and_port};

    #[test]
    fn a_mail_server_is_configured_as_for_grafana() {
        let env = [
            ("GF_SMTP_ENABLED", "true"),
            ("GF_SMTP_HOST", "mail.example.org:587"),
            ("GF_SMTP_USER", "kymograph"),
            ("GF_SMTP_PASSWORD", "hunter2"),
            ("GF_SMTP_STARTTLS_POLICY", "MandatoryStartTLS"),
        ];
        let smtp = Directory::new().load(&env, &[]).unwrap().smtp;
        let settings = smtp.settings();
        assert!(smtp.enabled && !settings.skip_verify);
        assert_eq!((settings.host.as_str(), settings.port), ("mail.example.org", 587));
        assert_eq!(settings.credentials, Some(("kymograph".to_owned(), "hunter2".to_owned())));
        assert_eq!(settings.start_tls, StartTls::Mandatory);
        assert!(Directory::new().load(&[], &[]).unwrap().smtp.settings().credentials.is_none());
    }

    #[test]
    fn hosts_have_ports_or_not() {
        let cases = [
            ("mail", "mail", 25),
            ("mail:465", "mail", 465),
            ("::1", "::1", 25),
            ("[::1]:2525", "::1", 2525),
        ];
        for (text, host, port) in cases {
            assert_eq!(host_and_port(text), Ok((host.to_owned(), port)), "{text}");
        }
        for text in ["", ":25", "mail:smtp"] {
            assert!(host_and_port(text).is_err(), "{text}");
        }
    }
}
